//! Who is at either end of a connection, and what its listener is like.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use crate::tls::Tls;

/// One end of a connection.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Endpoint {
    /// An address and port.
    Ip(SocketAddr),
    /// A Unix socket: a process of this machine, without an address.
    Unix,
}

impl Endpoint {
    /// The address without its port; `None` for a Unix socket. An IPv4 address in IPv6 clothes is an IPv4 one.
    pub fn ip(&self) -> Option<IpAddr> {
        match self {
            Endpoint::Ip(addr) => Some(addr.ip().to_canonical()),
            Endpoint::Unix => None,
        }
    }

    /// A number for its host, as [`AddressLimit`](crate::AddressLimit) counts: that of an IPv4 address, or of an IPv6 network of 64 bits;
    /// `None` for a Unix socket.
    pub fn host(&self) -> Option<u64> {
        self.ip().map(crate::address::place)
    }

    /// True when it is this very machine, so that nobody on the way can listen.
    pub fn is_local(&self) -> bool {
        self.ip().is_none_or(|ip| ip.is_loopback())
    }
}

impl From<SocketAddr> for Endpoint {
    fn from(addr: SocketAddr) -> Endpoint {
        Endpoint::Ip(addr)
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Endpoint::Ip(addr) => addr.fmt(f),
            Endpoint::Unix => f.write_str("unix"),
        }
    }
}

/// What a listener is like, as its connections know it wherever they move.
#[derive(Clone)]
pub struct Door {
    /// Name of the service, for logs.
    pub service: &'static str,
    /// Whether TLS is spoken, and with which certificates.
    pub tls: DoorTls,
}

/// Whether TLS is spoken.
#[derive(Clone)]
pub enum DoorTls {
    /// Never.
    None,
    /// When the client asks.
    Offered(Arc<Tls>),
    /// From the first byte.
    Implicit(Arc<Tls>),
}

impl Door {
    /// A door without TLS.
    pub fn plain(service: &'static str) -> Door {
        Door { service, tls: DoorTls::None }
    }

    /// The certificates, when TLS is spoken at all.
    pub fn certificates(&self) -> Option<&Arc<Tls>> {
        match &self.tls {
            DoorTls::None => None,
            DoorTls::Offered(tls) | DoorTls::Implicit(tls) => Some(tls),
        }
    }

    /// True when TLS starts with the first byte.
    pub fn is_implicit_tls(&self) -> bool {
        matches!(self.tls, DoorTls::Implicit(_))
    }

    /// True when the client may ask for TLS.
    pub fn offers_tls(&self) -> bool {
        matches!(self.tls, DoorTls::Offered(_))
    }
}

/// What a trusted proxy said of TLS between it and the client.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ForwardedTls {
    /// `TLSv1.3`, as the proxy writes it; may be empty.
    pub version: String,
    /// The cipher suite; may be empty.
    pub cipher: String,
    /// The host the client asked for (SNI).
    pub server_name: Option<String>,
    /// Common name in the client's certificate, where it gave one that the proxy verified.
    pub client_name: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ends_of_this_machine() {
        let at = |text: &str| Endpoint::Ip(text.parse().unwrap());
        assert!(Endpoint::Unix.is_local() && at("127.0.0.9:1").is_local() && at("[::1]:1").is_local());
        assert!(at("[::ffff:127.0.0.1]:1").is_local() && !at("192.0.2.1:1").is_local());
        assert_eq!((Endpoint::Unix.to_string(), at("[::1]:7").to_string()), ("unix".into(), "[::1]:7".into()));
    }
}
