//! The way to the server: one request over HTTP on its Unix socket, and the lines of the answer.

use super::output::Output;
use crate::words;
use http_body_util::{BodyExt, Full};
use hyper::Request as HttpRequest;
use hyper::body::Bytes;
use hyper_util::rt::TokioIo;
use skein_admin::adm::{Code, IMPORT_PATH, ImportList, Line, PATH, REQUEST_BYTES_MAX, Request};
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use tokio::net::UnixStream;

/// Bytes of one line: a whole message, written as JSON and base64.
const LINE_BYTES_MAX: usize = 2 << 30;

/// Why there is no whole answer.
#[derive(Debug)]
pub enum AskError {
    /// Nobody answers at the socket.
    Connect { socket: PathBuf, error: io::Error },
    /// The server would not read all of it, and break off.
    TooLong { bytes: usize },
    /// The answer broke off or makes no sense.
    Broken(String),
    /// The rows can not be printed.
    Print(io::Error),
}

impl AskError {
    /// The kind of failure.
    pub fn code(&self) -> Code {
        match self {
            AskError::Connect { error, .. } if error.kind() == io::ErrorKind::PermissionDenied => Code::Denied,
            AskError::Connect { .. } => Code::Unavailable,
            AskError::TooLong { .. } => Code::Usage,
            AskError::Broken(_) => Code::Unavailable,
            AskError::Print(_) => Code::Data,
        }
    }
}

impl fmt::Display for AskError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            AskError::Connect { socket, error } if error.kind() == io::ErrorKind::PermissionDenied => {
                write!(f, "{}: only root and the server's user may", socket.display())
            }
            AskError::Connect { socket, error } => {
                let hint = "is the server running? --config or --socket says which";
                write!(f, "no server answers at {}: {error}; {hint}", socket.display())
            }
            AskError::TooLong { bytes } => {
                write!(f, "a request of {bytes} bytes: at most {REQUEST_BYTES_MAX} are taken")
            }
            AskError::Broken(text) => write!(f, "the server broke off: {text}"),
            AskError::Print(error) => write!(f, "can not print: {error}"),
        }
    }
}

/// Asks and prints the rows as they come; the worst problem that the server told of.
///
/// # Errors
/// No server, or the answer is not whole.
pub fn ask(socket: &Path, request: &Request, output: &mut Output) -> Result<Option<Code>, AskError> {
    let mut worst = None;
    lines(socket, request, &mut |line| match line {
        Line::Row(row) => output.row(row),
        Line::Problem(problem) => {
            output.flush()?;
            words::complain(format_args!("skein adm: {problem}"));
            worst = worst.or(Some(problem.code));
            Ok(())
        }
        Line::End => output.flush(),
    })?;
    Ok(worst)
}

/// Asks and hands over each line as it comes, [`Line::End`] last.
///
/// # Errors
/// No server, the answer is not whole, or `take` fails.
pub fn lines(socket: &Path, request: &Request, take: Take<'_>) -> Result<(), AskError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| AskError::Broken(error.to_string()))?;
    let body = serde_json::to_vec(request).expect("a request has string keys");
    if body.len() > REQUEST_BYTES_MAX {
        return Err(AskError::TooLong { bytes: body.len() });
    }
    runtime.block_on(exchange(socket, PATH, body, take))
}

/// Sends messages with what is said of them, and hands over the lines of the answer.
///
/// # Errors
/// As [`lines`].
pub fn import(socket: &Path, list: &ImportList, bodies: &[Vec<u8>], take: Take<'_>) -> Result<(), AskError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| AskError::Broken(error.to_string()))?;
    let said = serde_json::to_vec(list).expect("a list has string keys");
    let mut body = (said.len() as u32).to_le_bytes().to_vec();
    body.extend_from_slice(&said);
    bodies.iter().for_each(|message| body.extend_from_slice(message));
    runtime.block_on(exchange(socket, IMPORT_PATH, body, take))
}

type Take<'a> = &'a mut dyn FnMut(Line) -> io::Result<()>;

async fn exchange(socket: &Path, path: &str, body: Vec<u8>, take: Take<'_>) -> Result<(), AskError> {
    let connected = UnixStream::connect(socket).await;
    let stream = connected.map_err(|error| AskError::Connect { socket: socket.to_owned(), error })?;
    let broken = |error: hyper::Error| AskError::Broken(error.to_string());
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(broken)?;
    let connection = tokio::spawn(connection);
    let request = HttpRequest::post(path).header("host", "skein").body(Full::new(Bytes::from(body)));
    let response = sender.send_request(request.expect("all parts are constants")).await.map_err(broken)?;
    if !response.status().is_success() {
        return Err(AskError::Broken(format!("HTTP {}", response.status())));
    }
    let whole = take_lines(response.into_body(), take).await;
    connection.abort();
    whole
}

async fn take_lines(mut body: hyper::body::Incoming, take: Take<'_>) -> Result<(), AskError> {
    let mut pending: Vec<u8> = Vec::new();
    while let Some(frame) = body.frame().await {
        let Ok(bytes) = frame.map_err(|error| AskError::Broken(error.to_string()))?.into_data() else { continue };
        let searched = pending.len();
        pending.extend_from_slice(&bytes);
        let mut start = 0;
        while let Some(end) = pending[start.max(searched)..].iter().position(|&b| b == b'\n') {
            let end = start.max(searched) + end;
            let line = serde_json::from_slice(&pending[start..end]);
            let line: Line = line.map_err(|error| AskError::Broken(error.to_string()))?;
            let is_end = line == Line::End;
            take(line).map_err(AskError::Print)?;
            if is_end {
                return Ok(());
            }
            start = end + 1;
        }
        pending.drain(..start);
        if pending.len() > LINE_BYTES_MAX {
            return Err(AskError::Broken(format!("a line longer than {LINE_BYTES_MAX} bytes")));
        }
    }
    Err(AskError::Broken("the answer is not whole".to_owned()))
}
