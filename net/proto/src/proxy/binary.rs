//! Version 2: fixed part, addresses, then TLVs (§2.2).

use super::tlv::Tlvs;
use super::{FIXED_BYTES, Header, HeaderError};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// The upper half of byte 13.
const VERSION: u8 = 0x20;
const LOCAL: u8 = 0x0;
const PROXY: u8 = 0x1;

const UNSPECIFIED: u8 = 0x00;
const TCP4: u8 = 0x11;
const TCP6: u8 = 0x21;
const UNIX_STREAM: u8 = 0x31;
/// Two paths of 108 bytes.
const UNIX_BYTES: usize = 216;

/// Reads a whole header.
pub(super) fn read(bytes: &[u8]) -> Result<Header, HeaderError> {
    let (command, family, body) = (bytes[12], bytes[13], &bytes[FIXED_BYTES..]);
    match command ^ VERSION {
        // The proxy speaks for itself: whatever follows is to be skipped.
        LOCAL => return Ok(Header::default()),
        PROXY => {}
        _ => return Err(HeaderError::Unknown),
    }
    let mut header = Header::default();
    let tlvs = match family {
        UNSPECIFIED => body,
        TCP4 => {
            let (ends, tlvs) = body.split_first_chunk::<12>().ok_or(HeaderError::Malformed)?;
            let ip = |at: usize| IpAddr::V4(Ipv4Addr::new(ends[at], ends[at + 1], ends[at + 2], ends[at + 3]));
            header.addresses = Some(addresses(ip(0), ip(4), &ends[8..]));
            tlvs
        }
        TCP6 => {
            let (ends, tlvs) = body.split_first_chunk::<36>().ok_or(HeaderError::Malformed)?;
            let ip = |at: usize| {
                let octets: [u8; 16] = ends[at..at + 16].try_into().expect("sixteen bytes");
                IpAddr::V6(Ipv6Addr::from(octets))
            };
            header.addresses = Some(addresses(ip(0), ip(16), &ends[32..]));
            tlvs
        }
        UNIX_STREAM => {
            header.unix = true;
            body.get(UNIX_BYTES..).ok_or(HeaderError::Malformed)?
        }
        _ => return Err(HeaderError::Unknown),
    };
    Tlvs { whole: bytes, rest: tlvs }.read_into(&mut header)?;
    Ok(header)
}

/// Two addresses with the two ports behind them, in network order.
fn addresses(from: IpAddr, to: IpAddr, ports: &[u8]) -> (SocketAddr, SocketAddr) {
    let port = |at: usize| u16::from_be_bytes([ports[at], ports[at + 1]]);
    (SocketAddr::new(from, port(0)), SocketAddr::new(to, port(2)))
}
