//! A small blocking IMAP client for tests: strict about what it reads, free about what it sends.

mod ago;
mod reply;
mod tls;
mod told;
mod value;
mod wire;

use std::io::{self, BufRead, BufReader, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};

pub use ago::ago;
pub use reply::{Fetched, Reply, Status, copied_pairs, expand_set};
pub use tls::client_config;
pub use told::{ask, ask_lines, check, check_lines};
pub use value::Value;

use crate::wait::PATIENCE;
use wire::Wire;

/// Longest literal the client takes, so that a broken server can not eat the machine's memory.
const LITERAL_BYTES_MAX: usize = 256 << 20;

/// One connection.
#[derive(Debug)]
pub struct Client {
    stream: BufReader<Wire>,
    last_tag: u32,
}

impl Client {
    /// Connects and reads the greeting.
    ///
    /// # Errors
    /// The socket's, and `InvalidData` when the greeting is not `* OK`.
    pub fn connect(addr: SocketAddr) -> io::Result<Client> {
        let mut client = Client::connect_unread(addr)?;
        let greeting = client.read_line()?;
        if !greeting.starts_with(b"* OK") {
            return Err(bad("greeting", &greeting));
        }
        Ok(client)
    }

    /// Connects without reading the greeting.
    ///
    /// # Errors
    /// The socket's.
    pub fn connect_unread(addr: SocketAddr) -> io::Result<Client> {
        Client::open(addr, false)
    }

    /// The same to a port that speaks TLS from the first byte. Whose certificate it is does not matter.
    ///
    /// # Errors
    /// The socket's.
    pub fn connect_tls_unread(addr: SocketAddr) -> io::Result<Client> {
        Client::open(addr, true)
    }

    fn open(addr: SocketAddr, tls: bool) -> io::Result<Client> {
        let stream = TcpStream::connect(addr)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        let mut client = Client { stream: BufReader::new(Wire::new(stream)), last_tag: 0 };
        if tls {
            client.encrypt();
        }
        Ok(client)
    }

    /// The socket, for what the client does not do.
    pub fn socket(&self) -> &TcpStream {
        &self.stream.get_ref().socket
    }

    /// Speaks TLS from here on, after the server's OK to STARTTLS.
    pub fn encrypt(&mut self) {
        assert!(self.stream.buffer().is_empty(), "nothing follows the OK in plain text");
        self.stream.get_mut().encrypt();
    }

    /// Speaks DEFLATE from here on, after the server's OK to COMPRESS.
    pub fn deflate(&mut self) {
        assert!(self.stream.buffer().is_empty(), "nothing follows the OK uncompressed");
        self.stream.get_mut().compress();
    }

    /// Compresses from here on (RFC 4978).
    ///
    /// # Errors
    /// The connection's, and `InvalidData` when the server refuses.
    pub fn compress(&mut self) -> io::Result<()> {
        let reply = self.command("COMPRESS DEFLATE")?;
        if !reply.is_ok() {
            return Err(bad("COMPRESS", format!("{reply:?}").as_bytes()));
        }
        self.deflate();
        Ok(())
    }

    /// Logs in.
    ///
    /// # Errors
    /// The connection's.
    pub fn login(&mut self, user: &str, password: &str) -> io::Result<Reply> {
        self.command(&format!("LOGIN {user} {password}"))
    }

    /// Sends `command` under a new tag and reads until its tagged reply.
    ///
    /// # Errors
    /// The connection's, `UnexpectedEof` when the server closed, `InvalidData` when it broke the grammar.
    pub fn command(&mut self, command: &str) -> io::Result<Reply> {
        let tag = self.send(command)?;
        self.finish(&tag)
    }

    /// Sends `command` under a new tag, which it returns, and reads nothing.
    ///
    /// # Errors
    /// The connection's.
    pub fn send(&mut self, command: &str) -> io::Result<String> {
        let tag = self.next_tag();
        self.write(format!("{tag} {command}\r\n").as_bytes())?;
        Ok(tag)
    }

    /// Appends `mail` with `flags` (`\Seen $Forwarded`) by a literal that waits for the server's `+`.
    ///
    /// # Errors
    /// The connection's.
    pub fn append(&mut self, mailbox: &str, flags: &str, mail: &[u8]) -> io::Result<Reply> {
        let tag = self.send(&format!("APPEND {mailbox} ({flags}) {{{}}}", mail.len()))?;
        let first = self.read_response()?;
        if !first.starts_with(b"+") {
            return self.finish_from(&tag, first);
        }
        self.write(mail)?;
        self.write(b"\r\n")?;
        self.finish(&tag)
    }

    /// Appends by a non-synchronising literal (RFC 7888): one write, one reply.
    ///
    /// # Errors
    /// The connection's.
    pub fn append_at_once(&mut self, mailbox: &str, flags: &str, mail: &[u8]) -> io::Result<Reply> {
        let tag = self.next_tag();
        let mut all = format!("{tag} APPEND {mailbox} ({flags}) {{{}+}}\r\n", mail.len()).into_bytes();
        all.extend_from_slice(mail);
        all.extend_from_slice(b"\r\n");
        self.write(&all)?;
        self.finish(&tag)
    }

    /// Appends `mail` as one that came so many seconds ago.
    ///
    /// # Errors
    /// The connection's.
    pub fn append_aged(&mut self, mailbox: &str, seconds: u64, mail: &[u8]) -> io::Result<Reply> {
        let tag = self.next_tag();
        let begin = format!("{tag} APPEND {mailbox} () \"{}\" {{{}+}}\r\n", ago(seconds), mail.len());
        self.write(&[begin.as_bytes(), mail, b"\r\n"].concat())?;
        self.finish(&tag)
    }

    /// Starts IDLE and waits until the server is in it.
    ///
    /// # Errors
    /// The connection's, and `InvalidData` when the server refuses.
    pub fn idle(&mut self) -> io::Result<String> {
        let tag = self.send("IDLE")?;
        loop {
            let line = self.read_response()?;
            if line.starts_with(b"+") {
                return Ok(tag);
            }
            if !line.starts_with(b"*") {
                return Err(bad("IDLE", &line));
            }
        }
    }

    /// Ends the IDLE that was started under `tag`.
    ///
    /// # Errors
    /// The connection's.
    pub fn done(&mut self, tag: &str) -> io::Result<Reply> {
        self.write(b"DONE\r\n")?;
        self.finish(tag)
    }

    /// Writes raw bytes.
    ///
    /// # Errors
    /// The connection's.
    pub fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.get_mut().write_all(bytes)
    }

    /// Reads responses until the tagged one of `tag`.
    ///
    /// # Errors
    /// As [`Client::command`].
    pub fn finish(&mut self, tag: &str) -> io::Result<Reply> {
        let first = self.read_response()?;
        self.finish_from(tag, first)
    }

    /// Reads one response with its literals in place, without the last CRLF.
    ///
    /// # Errors
    /// As [`Client::command`].
    pub fn read_response(&mut self) -> io::Result<Vec<u8>> {
        let mut response = self.read_line()?;
        while let Some(bytes) = literal_bytes(&response) {
            if bytes > LITERAL_BYTES_MAX {
                return Err(bad("literal", &response));
            }
            response.extend_from_slice(b"\r\n");
            let start = response.len();
            response.resize(start + bytes, 0);
            self.stream.read_exact(&mut response[start..])?;
            let rest = self.read_line()?;
            response.extend_from_slice(&rest);
        }
        Ok(response)
    }

    /// Reads one line without its CRLF.
    ///
    /// # Errors
    /// As [`Client::command`].
    pub fn read_line(&mut self) -> io::Result<Vec<u8>> {
        let mut line = Vec::new();
        self.stream.read_until(b'\n', &mut line)?;
        if line.is_empty() {
            return Err(ErrorKind::UnexpectedEof.into());
        }
        match line.strip_suffix(b"\r\n") {
            Some(content) => Ok(content.to_vec()),
            None => Err(bad("line", &line)),
        }
    }

    /// Everything until the server closes. A reset counts as closing.
    pub fn read_to_close(&mut self) -> Vec<u8> {
        let mut all = Vec::new();
        let _reset_is_a_close_too = self.stream.read_to_end(&mut all);
        all
    }

    fn finish_from(&mut self, tag: &str, first: Vec<u8>) -> io::Result<Reply> {
        let mut untagged = Vec::new();
        let mut response = first;
        loop {
            if let Some(tail) = response.strip_prefix(tag.as_bytes()).and_then(|r| r.strip_prefix(b" ")) {
                return Reply::new(tail, untagged).ok_or_else(|| bad("tagged reply", &response));
            }
            if !response.starts_with(b"* ") && !response.starts_with(b"+") {
                return Err(bad("response", &response));
            }
            untagged.push(response);
            response = self.read_response()?;
        }
    }

    fn next_tag(&mut self) -> String {
        self.last_tag += 1;
        format!("a{}", self.last_tag)
    }
}

/// The size when `line` ends in a literal's announcement, `{n}` or `~{n}`.
fn literal_bytes(line: &[u8]) -> Option<usize> {
    let inner = line.strip_suffix(b"}")?;
    let open = inner.iter().rposition(|&b| b == b'{')?;
    let digits = std::str::from_utf8(&inner[open + 1..]).ok()?;
    digits.bytes().all(|b| b.is_ascii_digit()).then(|| digits.parse().ok())?
}

fn bad(what: &str, got: &[u8]) -> io::Error {
    let shown = &got[..got.len().min(300)];
    io::Error::new(ErrorKind::InvalidData, format!("{what}: {}", shown.escape_ascii()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn literals_are_announced_at_the_end() {
        let check = |line: &[u8], expect| assert_eq!(literal_bytes(line), expect, "{}", line.escape_ascii());
        check(b"* 1 FETCH (BODY[] {12}", Some(12));
        check(b"* 1 FETCH (BINARY[1] ~{0}", Some(0));
        check(b"* OK {x}", None);
        check(b"* OK", None);
    }
}
