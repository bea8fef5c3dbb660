//! One POST of a JSON object.

use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Bytes;
use hyper::header::{CONTENT_TYPE, HOST};
use hyper::{Request, Uri};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

/// Bytes of an answer that are read; nothing is done with them.
const ANSWER_BYTES_MAX: usize = 64 * 1024;

/// Posts it.
///
/// # Errors
/// It does not arrive, or is answered with anything but success; in words.
pub(super) async fn post(url: &str, body: String) -> Result<(), String> {
    let uri: Uri = url.parse().map_err(|error| format!("{url}: {error}"))?;
    let (host, authority) = uri.host().zip(uri.authority()).ok_or_else(|| format!("{url} names no host"))?;
    let place = (host.trim_matches(['[', ']']), uri.port_u16().unwrap_or(80));
    let path = uri.path_and_query().map_or("/", |path| path.as_str());
    let request = Request::post(path)
        .header(HOST, authority.as_str())
        .header(CONTENT_TYPE, "application/json")
        .body(Full::new(Bytes::from(body)))
        .map_err(|error| format!("{url}: {error}"))?;
    let stream = TcpStream::connect(place).await.map_err(|error| format!("{url}: {error}"))?;
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
