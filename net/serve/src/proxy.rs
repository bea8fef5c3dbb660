//! The header that a proxy sends before the client's first byte.

use skein_proto::proxy::{Header, HeaderError, Reader};
use skein_runtime::Deadline;
use skein_runtime::metrics::Counter;
use skein_transport::{Conn, Endpoint, ForwardedTls};
use std::fmt;
use std::io;
use std::net::IpAddr;
use std::time::Duration;

/// A proxy sends its header at once; Dovecot waits as long.
const HEADER_PATIENCE: Duration = Duration::from_secs(3);

static REFUSED: Counter =
    Counter::new("skein_proxy_refused", "Connections closed for a missing, wrong or untrusted PROXY header.");

/// Makes the metrics of this page known.
pub(crate) fn register() {
    REFUSED.register();
}

/// Why a connection through a proxy is refused.
#[derive(Debug)]
pub enum ProxyError {
    /// It comes from outside of the trusted networks.
    Untrusted,
    /// Nothing, or too little, was sent in time.
    TooSlow,
    /// What was sent is no header.
    Header(HeaderError),
    /// The connection ended or broke before.
    Broken(io::Error),
}

/// Reads the header and makes the ends it names the connection's. `trusts` says whose word counts; whoever may use a Unix
/// socket is trusted.
///
/// # Errors
/// The connection is to be closed.
pub async fn receive_proxy_header(conn: &mut Conn, trusts: impl Fn(IpAddr) -> bool) -> Result<(), ProxyError> {
    if conn.peer().ip().is_some_and(|ip| !trusts(ip)) {
        return Err(ProxyError::Untrusted);
    }
    let header = Deadline::after(HEADER_PATIENCE).limit(read(conn)).await.unwrap_or(Err(ProxyError::TooSlow))?;
    if let Some((peer, local)) = header.addresses {
        conn.set_ends(peer.into(), local.into());
    } else if header.unix {
        conn.set_ends(Endpoint::Unix, Endpoint::Unix);
    }
    if let Some(tls) = header.tls {
        conn.set_forwarded_tls(ForwardedTls {
            version: tls.version,
            cipher: tls.cipher,
            server_name: header.authority,
            client_name: tls.common_name,
        });
    }
    Ok(())
}

async fn read(conn: &mut Conn) -> Result<Header, ProxyError> {
    let (mut reader, mut bytes) = (Reader::new(), Vec::new());
    loop {
        bytes.clear();
        if conn.read_into(&mut bytes, reader.want()).await.map_err(ProxyError::Broken)? == 0 {
            return Err(ProxyError::Broken(io::ErrorKind::UnexpectedEof.into()));
        }
        // No more was read than the reader wants, so all of it is the header's.
        if let (_, Some(header)) = reader.feed(&bytes).map_err(ProxyError::Header)? {
            return Ok(header);
        }
    }
}

impl ProxyError {
    /// Writes down that a connection was refused. One that just ended is a health check, seen every second.
    pub fn log(&self, conn: &Conn) {
        let (peer, service) = (conn.peer(), conn.door().service);
        if let ProxyError::Broken(_) = self {
            tracing::debug!(%peer, service, error = %self, "a connection ended before its PROXY header");
            return;
        }
        REFUSED.add(1);
        tracing::warn!(%peer, service, error = %self, "a connection was refused");
    }
}

impl fmt::Display for ProxyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ProxyError::Untrusted => f.write_str("not a trusted proxy: its network is not in proxy_networks"),
            ProxyError::TooSlow => write!(f, "no whole PROXY header within {} seconds", HEADER_PATIENCE.as_secs()),
            ProxyError::Header(error) => error.fmt(f),
            ProxyError::Broken(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for ProxyError {}
