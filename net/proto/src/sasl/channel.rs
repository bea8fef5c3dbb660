//! What a mechanism may know of the connection under it.

/// The connection under an exchange. `false.into()` is one without TLS, `true.into()` one in TLS of which nothing else is known.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Channel {
    /// TLS is active.
    pub tls: bool,
    /// The client has shown a certificate that was accepted, and it names a user: EXTERNAL may be offered.
    pub certified: bool,
    /// What -PLUS mechanisms bind to; none without TLS.
    pub bindings: Option<Box<Bindings>>,
}

/// Channel binding data (RFC 5056).
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Bindings {
    /// `tls-exporter` (RFC 9266), with TLS 1.3 only: before it, the value is not safe without the extended master secret.
    pub exporter: Option<[u8; 32]>,
    /// `tls-server-end-point` (RFC 5929 §4): a hash of the server's certificate.
    pub end_point: Option<Vec<u8>>,
}

impl From<bool> for Channel {
    fn from(tls: bool) -> Channel {
        Channel { tls, ..Channel::default() }
    }
}

impl Bindings {
    /// By the registered name; `None` when there is none of it on this connection.
    pub(super) fn named(&self, name: &[u8]) -> Option<&[u8]> {
        match name {
            b"tls-exporter" => self.exporter.as_ref().map(|bytes| &bytes[..]),
            b"tls-server-end-point" => self.end_point.as_deref(),
            _ => None,
        }
    }
}
