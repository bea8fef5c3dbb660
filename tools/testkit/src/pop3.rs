//! A small blocking POP3 client for tests.

use std::io::{self, BufRead, BufReader, ErrorKind, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};

use crate::wait::PATIENCE;

/// One connection.
#[derive(Debug)]
pub struct Client {
    stream: BufReader<TcpStream>,
}

/// A status line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Status(pub String);

impl Status {
    /// True for `+OK`.
    pub fn is_ok(&self) -> bool {
        self.0.starts_with("+OK")
    }

    /// Itself when it is `+OK`.
    ///
    /// # Panics
    /// When it is not.
    #[track_caller]
    pub fn expect_ok(self) -> Status {
        assert!(self.is_ok(), "{}", self.0);
        self
    }
}

impl Client {
    /// Connects and reads the greeting.
    ///
    /// # Errors
    /// The socket's, and `InvalidData` for a refusal.
    pub fn connect(addr: SocketAddr) -> io::Result<Client> {
        let stream = TcpStream::connect(addr)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        let mut client = Client { stream: BufReader::with_capacity(64 * 1024, stream) };
        match client.status()? {
            status if status.is_ok() => Ok(client),
            Status(line) => Err(io::Error::new(ErrorKind::InvalidData, line)),
        }
    }

    /// USER and PASS; the answer to whichever was refused, else to PASS.
    ///
    /// # Errors
    /// The connection's.
    pub fn login(&mut self, user: &str, password: &str) -> io::Result<Status> {
        match self.command(&format!("USER {user}"))? {
            status if status.is_ok() => self.command(&format!("PASS {password}")),
            refused => Ok(refused),
        }
    }

    /// A command with one line for an answer.
    ///
    /// # Errors
    /// The connection's.
    pub fn command(&mut self, line: &str) -> io::Result<Status> {
        self.write(format!("{line}\r\n").as_bytes())?;
        self.status()
    }

    /// A command with a listing for an answer: its lines.
    ///
    /// # Errors
    /// The connection's, and `InvalidData` for `-ERR`.
    pub fn listing(&mut self, line: &str) -> io::Result<Vec<String>> {
        let text = self.retrieve(line)?;
        Ok(String::from_utf8_lossy(&text).lines().map(str::to_owned).collect())
    }

    /// A command with a message for an answer: the message.
    ///
    /// # Errors
    /// The connection's, and `InvalidData` for `-ERR`.
    pub fn retrieve(&mut self, line: &str) -> io::Result<Vec<u8>> {
        match self.command(line)? {
            status if status.is_ok() => self.text(),
            Status(refusal) => Err(io::Error::new(ErrorKind::InvalidData, refusal)),
        }
    }

    /// Writes raw bytes.
    ///
    /// # Errors
    /// The connection's.
    pub fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.get_mut().write_all(bytes)
    }

    /// Reads one status line.
    ///
    /// # Errors
    /// The connection's, `UnexpectedEof` when closed.
    pub fn status(&mut self) -> io::Result<Status> {
        let line = self.line()?;
        Ok(Status(String::from_utf8_lossy(&line).trim_end().to_owned()))
    }

    /// Reads the lines behind a status line, dots taken out.
    ///
    /// # Errors
    /// The connection's, `UnexpectedEof` when closed before the end.
    pub fn text(&mut self) -> io::Result<Vec<u8>> {
        let mut text = Vec::new();
        loop {
            let line = self.line()?;
            if line == b".\r\n" {
                return Ok(text);
            }
            text.extend_from_slice(line.strip_prefix(b".").unwrap_or(&line));
        }
    }

    /// Closes without QUIT, and waits until the server has closed, too.
    pub fn drop_connection(self) {
        let _may_be_closed = self.stream.get_ref().shutdown(Shutdown::Write);
        let _ends = io::copy(&mut { self.stream }, &mut io::sink());
    }

    fn line(&mut self) -> io::Result<Vec<u8>> {
        let mut line = Vec::new();
        if self.stream.read_until(b'\n', &mut line)? == 0 || !line.ends_with(b"\n") {
            return Err(ErrorKind::UnexpectedEof.into());
        }
        Ok(line)
    }
}
