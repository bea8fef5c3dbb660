//! The PROXY protocol, versions 1 and 2 (haproxy's proxy-protocol.txt): a proxy in front says who the client is.
//!
//! ```text
//! loop { read at most want() bytes ──feed──▶ None: go on │ Some(Header): the next byte is the client's own }
//! ```
//!
//! The header is read to its exact end, since what follows may be a TLS handshake that is not ours to touch.
//!
//! Never here: whether the proxy may be believed; the deadline.

mod binary;
mod text;
mod tlv;

use std::fmt;
use std::net::SocketAddr;

/// Bytes of a version 1 header with its CRLF (§2.1).
pub const TEXT_BYTES_MAX: usize = 107;
/// Bytes of a version 2 header: addresses take up to 232, and what proxies add (a client's certificate in PEM, at most)
/// some thousand. The protocol itself would allow 65 551.
pub const BINARY_BYTES_MAX: usize = 8192;

/// The start of version 2 (§2.2). No line of version 1, nor of any mail protocol, starts so.
const SIGNATURE: [u8; 12] = *b"\r\n\r\n\0\r\nQUIT\n";
/// The start of version 1.
const WORD: &[u8] = b"PROXY ";
/// Signature, version and command, family, length.
const FIXED_BYTES: usize = 16;

/// What a header says.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Header {
    /// Client and server address of the client's connection; `None` when the proxy speaks for itself (a health check) or
    /// does not know them: then the connection's own are the ones to use.
    pub addresses: Option<(SocketAddr, SocketAddr)>,
    /// True when both ends of the client's connection are on the proxy's own machine, over a Unix socket.
    pub unix: bool,
    /// TLS between client and proxy.
    pub tls: Option<Tls>,
    /// The host name the client asked for (SNI).
    pub authority: Option<String>,
    /// The application protocol agreed on (ALPN).
    pub alpn: Option<String>,
}

/// What a proxy tells of its TLS with the client (§2.2.5).
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Tls {
    /// As `TLSv1.3`; empty when not said.
    pub version: String,
    /// The cipher suite; empty when not said.
    pub cipher: String,
    /// Common name of the client's certificate, where it gave one and the proxy verified it.
    pub common_name: Option<String>,
}

/// Why a header is none.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum HeaderError {
    /// It starts like neither version.
    NoHeader,
    /// A version, command, family or word that the protocol does not know.
    Unknown,
    /// Addresses, ports, lengths or separators that are none.
    Malformed,
    /// Longer than [`TEXT_BYTES_MAX`] or [`BINARY_BYTES_MAX`].
    TooLong,
    /// Its checksum is another's.
    Checksum,
}

impl fmt::Display for HeaderError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            HeaderError::NoHeader => "no PROXY header: the proxy must send one (haproxy: send-proxy-v2)",
            HeaderError::Unknown => "a PROXY header of a kind nobody knows",
            HeaderError::Malformed => "a malformed PROXY header",
            HeaderError::TooLong => "a PROXY header that does not end",
            HeaderError::Checksum => "a PROXY header with a wrong checksum",
        })
    }
}

impl std::error::Error for HeaderError {}

/// Reads one header.
#[derive(Default, Debug)]
pub struct Reader {
    bytes: Vec<u8>,
}

impl Reader {
    /// At the start of a connection.
    pub fn new() -> Reader {
        Reader::default()
    }

    /// How many bytes may be read without touching what follows the header; never 0.
    pub fn want(&self) -> usize {
        let read = self.bytes.len();
        match read {
            // The shortest header of either version is longer than the signature.
            0..12 => SIGNATURE.len() - read,
            _ if self.is_binary() => match self.binary_bytes() {
                Some(whole) => whole - read,
                None => FIXED_BYTES - read,
            },
            // Unfinished, so at least its CRLF is still to come.
            _ => {
                if self.bytes.ends_with(b"\r") {
                    1
                } else {
                    2
                }
            }
        }
    }

    /// Takes bytes of the header and no others; how many, and the header once it is whole.
    ///
    /// # Errors
    /// The connection is of no use: nobody knows who it is.
    pub fn feed(&mut self, mut input: &[u8]) -> Result<(usize, Option<Header>), HeaderError> {
        let offered = input.len();
        while !input.is_empty() {
            let (more, rest) = input.split_at(self.want().min(input.len()));
            self.bytes.extend_from_slice(more);
            input = rest;
            self.check_start()?;
            if let Some(header) = self.whole()? {
                return Ok((offered - input.len(), Some(header)));
            }
        }
        Ok((offered, None))
    }

    fn is_binary(&self) -> bool {
        self.bytes.starts_with(&SIGNATURE)
    }

    /// A stranger is refused at his first wrong byte, not when he has sent twelve.
    fn check_start(&self) -> Result<(), HeaderError> {
        let starts = |with: &[u8]| self.bytes.iter().zip(with).all(|(a, b)| a == b);
        if starts(&SIGNATURE) || starts(WORD) { Ok(()) } else { Err(HeaderError::NoHeader) }
    }

    /// Bytes of the whole binary header, once its fixed part is there.
    fn binary_bytes(&self) -> Option<usize> {
        let length = self.bytes.get(14..FIXED_BYTES)?;
        Some(FIXED_BYTES + usize::from(u16::from_be_bytes([length[0], length[1]])))
    }

    fn whole(&self) -> Result<Option<Header>, HeaderError> {
        if self.bytes.len() < SIGNATURE.len() {
            return Ok(None);
        }
        if !self.is_binary() {
            return match self.bytes.strip_suffix(b"\r\n") {
                _ if self.bytes.len() > TEXT_BYTES_MAX => Err(HeaderError::TooLong),
                Some(line) => text::read(line).map(Some),
                None if self.bytes.len() == TEXT_BYTES_MAX => Err(HeaderError::TooLong),
                None => Ok(None),
            };
        }
        match self.binary_bytes() {
            Some(whole) if whole > BINARY_BYTES_MAX => Err(HeaderError::TooLong),
            Some(whole) if self.bytes.len() == whole => binary::read(&self.bytes).map(Some),
            _ => Ok(None),
        }
    }
}

#[cfg(test)]
mod tests;
