//! Version 1: one line of text (§2.1).

use super::{Header, HeaderError};
use std::net::{IpAddr, SocketAddr};

/// Reads a line without its CRLF, which starts with `PROXY `.
pub(super) fn read(line: &[u8]) -> Result<Header, HeaderError> {
    let line = std::str::from_utf8(line).map_err(|_| HeaderError::Malformed)?;
    let mut words = line.split(' ').skip(1);
    let family = words.next().unwrap_or_default();
    if family == "UNKNOWN" {
        // What follows is for nobody.
        return Ok(Header::default());
    }
    let rest: Vec<&str> = words.collect();
    let &[from, to, from_port, to_port] = &rest[..] else { return Err(HeaderError::Malformed) };
    let addresses = (address(family, from, from_port)?, address(family, to, to_port)?);
    Ok(Header { addresses: Some(addresses), ..Header::default() })
}

fn address(family: &str, ip: &str, port: &str) -> Result<SocketAddr, HeaderError> {
    let ip = match family {
        "TCP4" => ip.parse().map(IpAddr::V4),
        "TCP6" => ip.parse().map(IpAddr::V6),
        _ => return Err(HeaderError::Unknown),
    };
    let is_number = port.bytes().all(|byte| byte.is_ascii_digit()) && (port.len() == 1 || !port.starts_with('0'));
    let port = port.parse().ok().filter(|_| is_number).ok_or(HeaderError::Malformed)?;
    Ok(SocketAddr::new(ip.map_err(|_| HeaderError::Malformed)?, port))
}
