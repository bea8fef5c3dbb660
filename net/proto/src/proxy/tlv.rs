//! What a version 2 header carries behind the addresses (§2.2.1 to §2.2.5). Unknown types are skipped.

use super::{Header, HeaderError, Tls};

const ALPN: u8 = 0x01;
const AUTHORITY: u8 = 0x02;
const CRC32C: u8 = 0x03;
const SSL: u8 = 0x20;
const SSL_VERSION: u8 = 0x21;
const SSL_CN: u8 = 0x22;
const SSL_CIPHER: u8 = 0x23;

/// Bits of the SSL TLV's client field.
const CLIENT_SSL: u8 = 0x01;
const CLIENT_CERT_CONN: u8 = 0x02;
const CLIENT_CERT_SESS: u8 = 0x04;

/// Longest text that is kept: a host name has 253 bytes, a common name 64. Longer is nobody's.
const TEXT_BYTES_MAX: usize = 255;

/// The TLVs of a header.
pub(super) struct Tlvs<'a> {
    /// The header from its first byte, for its checksum.
    pub whole: &'a [u8],
    /// From the first TLV on.
    pub rest: &'a [u8],
}

impl Tlvs<'_> {
    /// Takes over what is of use.
    pub fn read_into(&self, header: &mut Header) -> Result<(), HeaderError> {
        let mut rest = self.rest;
        while !rest.is_empty() {
            let (kind, value, after) = split(rest)?;
            match kind {
                ALPN => header.alpn = text(value),
                AUTHORITY => header.authority = text(value),
                SSL => header.tls = ssl(value)?,
                CRC32C => self.check(value, self.whole.len() - after.len() - value.len())?,
                _ => {}
            }
            rest = after;
        }
        Ok(())
    }

    /// The checksum is over the whole header with zeros in its own place, `at`.
    fn check(&self, value: &[u8], at: usize) -> Result<(), HeaderError> {
        let value: [u8; 4] = value.try_into().map_err(|_| HeaderError::Malformed)?;
        let before = crc32c::crc32c(&self.whole[..at]);
        let through = crc32c::crc32c_append(before, &[0; 4]);
        let sum = crc32c::crc32c_append(through, &self.whole[at + 4..]);
        if sum == u32::from_be_bytes(value) { Ok(()) } else { Err(HeaderError::Checksum) }
    }
}

fn split(bytes: &[u8]) -> Result<(u8, &[u8], &[u8]), HeaderError> {
    let (&[kind, high, low], rest) = bytes.split_first_chunk::<3>().ok_or(HeaderError::Malformed)?;
    let (value, rest) =
        rest.split_at_checked(usize::from(u16::from_be_bytes([high, low]))).ok_or(HeaderError::Malformed)?;
    Ok((kind, value, rest))
}

/// Client bits, the outcome of verifying the client's certificate (0 is good), then TLVs of its own.
fn ssl(value: &[u8]) -> Result<Option<Tls>, HeaderError> {
    let (&[client, v0, v1, v2, v3], mut rest) = value.split_first_chunk::<5>().ok_or(HeaderError::Malformed)?;
    let verified = [v0, v1, v2, v3] == [0; 4] && client & (CLIENT_CERT_CONN | CLIENT_CERT_SESS) != 0;
    let mut tls = Tls::default();
    while !rest.is_empty() {
        let (kind, value, after) = split(rest)?;
        match kind {
            SSL_VERSION => tls.version = text(value).unwrap_or_default(),
            SSL_CIPHER => tls.cipher = text(value).unwrap_or_default(),
            SSL_CN if verified => tls.common_name = text(value),
            _ => {}
        }
        rest = after;
    }
    Ok((client & CLIENT_SSL != 0).then_some(tls))
}

/// Text for logs and comparisons; what could not be one is left out.
fn text(value: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(value).ok()?;
    let fits = !text.is_empty() && text.len() <= TEXT_BYTES_MAX && !text.contains(char::is_control);
    fits.then(|| text.to_owned())
}
