//! One POST of a JSON object.

use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Bytes;
use hyper::header::{CONTENT_TYPE, HOST};
use hyper::{Request, Uri};
use hyper_util::rt::TokioIo;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use std::sync::Arc;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

/// Bytes of an answer that are read; nothing is done with them.
const ANSWER_BYTES_MAX: usize = 64 * 1024;

/// Posts it.
///
/// # Errors
/// It does not arrive, or is answered with anything but success; in words.
pub(super) async fn post(url: &str, body: String, tls: Option<Arc<ClientConfig>>) -> Result<(), String> {
    let uri: Uri = url.parse().map_err(|error| format!("{url}: {error}"))?;
    let (host, authority) = uri.host().zip(uri.authority()).ok_or_else(|| format!("{url} names no host"))?;
    let secure = uri.scheme_str() == Some("https");
    let host = host.trim_matches(['[', ']']);
    let place = (host, uri.port_u16().unwrap_or(if secure { 443 } else { 80 }));
    let path = uri.path_and_query().map_or("/", |path| path.as_str());
    let request = Request::post(path)
        .header(HOST, authority.as_str())
        .header(CONTENT_TYPE, "application/json")
        .body(Full::new(Bytes::from(body)))
        .map_err(|error| format!("{url}: {error}"))?;
    let stream = TcpStream::connect(place).await.map_err(|error| format!("{url}: {error}"))?;
    if !secure {
        return send(url, stream, request).await;
    }
    let tls = tls.ok_or("the settings of the start named no https address: restart the server")?;
    let name = ServerName::try_from(host.to_owned()).map_err(|error| format!("{url}: {error}"))?;
    let stream = TlsConnector::from(tls).connect(name, stream).await.map_err(|error| format!("{url}: {error}"))?;
    send(url, stream, request).await
}

async fn send(
    url: &str,
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    request: Request<Full<Bytes>>,
) -> Result<(), String> {
    let broken = |error: hyper::Error| format!("{url}: {error}");
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(broken)?;
    // It ends with the last of the two halves; what went wrong, the other one says.
    let connection = tokio::spawn(async move { drop(connection.await) });
    let answer = sender.send_request(request).await.map_err(broken)?;
    let status = answer.status();
    let _text = Limited::new(answer.into_body(), ANSWER_BYTES_MAX).collect().await;
    drop(sender);
    connection.abort();
    if status.is_success() { Ok(()) } else { Err(format!("{url} answers {status}")) }
}
