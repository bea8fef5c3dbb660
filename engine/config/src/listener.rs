//! Listeners as they are written in the file.

use ipnet::IpNet;
use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;

/// Connections the kernel may hold before they are accepted, where nothing is written: a burst of logins after a restart.
pub(crate) const BACKLOG_DEFAULT: u32 = 4096;

/// One place a service listens at.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Listener {
    /// Where.
    pub place: Place,
    /// Whether TLS is spoken there.
    pub tls: TlsMode,
    /// A certificate of its own and its key, in PEM; `None` is that of `tls.cert` and `tls.key`.
    pub certificate: Option<CertificateFiles>,
    /// A proxy in front that names the client in a PROXY header; `None`: clients connect themselves.
    pub proxy: Option<TrustedProxies>,
    /// Connections the kernel may hold before they are accepted.
    pub backlog: u32,
}

/// Where a listener is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Place {
    /// An address and port; an IPv6 one takes IPv6 clients only.
    Tcp(SocketAddr),
    /// A Unix socket.
    Unix(UnixPlace),
}

/// A Unix socket and who may connect to it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct UnixPlace {
    /// Its file.
    pub path: PathBuf,
    /// Permissions of the file; who may write may connect.
    pub mode: u32,
    /// Name of the user who owns the file; the server's own where `None`.
    pub owner: Option<String>,
    /// Name of the group of the file.
    pub group: Option<String>,
}

/// Whether TLS is spoken at a listener.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum TlsMode {
    /// Never: STARTTLS is not offered.
    None,
    /// When the client asks for it.
    StartTls,
    /// From the first byte.
    Implicit,
}

impl TlsMode {
    /// The words of the file, in the order of the variants.
    pub(crate) const WORDS: &[&str] = &["none", "starttls", "implicit"];
    pub(crate) const ALL: [TlsMode; 3] = [TlsMode::None, TlsMode::StartTls, TlsMode::Implicit];
}

/// A certificate chain and its private key.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct CertificateFiles {
    /// The chain, the server's own certificate first.
    pub certificate: PathBuf,
    /// The private key.
    pub key: PathBuf,
}

/// Whose PROXY headers are believed. Who reaches a Unix socket is trusted by its permissions.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TrustedProxies {
    /// Networks the proxies are in; others are refused.
    pub networks: Vec<IpNet>,
}

impl Listener {
    /// A plain listener at `address`.
    pub fn tcp(address: SocketAddr, tls: TlsMode) -> Listener {
        Listener { place: Place::Tcp(address), tls, certificate: None, proxy: None, backlog: BACKLOG_DEFAULT }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Place::Tcp(address) => address.fmt(f),
            Place::Unix(unix) => unix.path.display().fmt(f),
        }
    }
}
