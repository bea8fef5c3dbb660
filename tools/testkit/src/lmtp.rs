//! A small blocking LMTP client for tests.

use std::io::{self, BufRead, BufReader, ErrorKind, Write};
use std::net::{SocketAddr, TcpStream};

use crate::wait::PATIENCE;

/// One connection.
#[derive(Debug)]
pub struct Client {
    stream: BufReader<TcpStream>,
}

/// A reply: its code and all its text lines.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The three digits.
    pub code: u16,
    /// The text after the code, lines joined by LF.
    pub text: String,
}

impl Answer {
    /// True for 2xx.
    pub fn is_ok(&self) -> bool {
        self.code / 100 == 2
    }
}

impl Client {
    /// Connects, reads the greeting and says LHLO.
    ///
    /// # Errors
    /// The socket's, and `InvalidData` for a refusal.
    pub fn connect(addr: SocketAddr) -> io::Result<Client> {
        let mut client = Client::connect_unread(addr)?;
        client.read_expecting(220)?;
        client.write(b"LHLO client.example\r\n")?;
        client.read_expecting(250)?;
        Ok(client)
    }

    /// Connects without reading the greeting.
    ///
    /// # Errors
    /// The socket's.
    pub fn connect_unread(addr: SocketAddr) -> io::Result<Client> {
        let stream = TcpStream::connect(addr)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        Ok(Client { stream: BufReader::new(stream) })
    }

    /// Delivers `mail` to `recipients` and returns an answer for each, in order.
    ///
    /// # Errors
    /// As [`Client::deliver_with`].
    pub fn deliver(&mut self, recipients: &[&str], mail: &[u8]) -> io::Result<Vec<Answer>> {
        let mut answers = Vec::new();
        self.deliver_with(recipients, mail, |_, answer| answers.push(answer))?;
        Ok(answers)
    }

    /// Delivers `mail`, handing over each recipient's final answer (with its index) as soon as it is read.
    ///
    /// # Errors
    /// The connection's, and `InvalidData` when the server refuses sender or DATA.
    pub fn deliver_with(
        &mut self,
        recipients: &[&str],
        mail: &[u8],
        mut each: impl FnMut(usize, Answer),
    ) -> io::Result<()> {
        let accepted = self.envelope(recipients, &mut each)?;
        if accepted.is_empty() {
            return self.reset();
        }
        self.write(&stuffed(mail))?;
        for index in accepted {
            let answer = self.read()?;
            each(index, answer);
        }
        Ok(())
    }

    /// Writes raw bytes.
    ///
    /// # Errors
    /// The connection's.
    pub fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.get_mut().write_all(bytes)
    }

    /// Reads one answer of one or more lines.
    ///
    /// # Errors
    /// The connection's, `UnexpectedEof` when closed, `InvalidData` when it is no answer.
    pub fn read(&mut self) -> io::Result<Answer> {
        let mut answer = Answer { code: 0, text: String::new() };
        loop {
            let mut line = String::new();
            if self.stream.read_line(&mut line)? == 0 {
                return Err(ErrorKind::UnexpectedEof.into());
            }
            let invalid = || io::Error::new(ErrorKind::InvalidData, format!("not an LMTP answer: {line:?}"));
            answer.code = line.get(..3).and_then(|c| c.parse().ok()).ok_or_else(invalid)?;
            answer.text.push_str(line.get(4..).unwrap_or("").trim_end());
            match line.as_bytes().get(3) {
                Some(b'-') => answer.text.push('\n'),
                _ => return Ok(answer),
            }
        }
    }

    /// Sends the envelope in one write (RFC 2920) and returns the indices of the recipients that were accepted.
    fn envelope(&mut self, recipients: &[&str], each: &mut impl FnMut(usize, Answer)) -> io::Result<Vec<usize>> {
        let mut commands = String::from("MAIL FROM:<sender@example.org>\r\n");
        recipients.iter().for_each(|r| commands += &format!("RCPT TO:<{r}>\r\n"));
        self.write((commands + "DATA\r\n").as_bytes())?;
        self.read_expecting(250)?;
        let mut accepted = Vec::new();
        for index in 0..recipients.len() {
            let answer = self.read()?;
            match answer.is_ok() {
                true => accepted.push(index),
                false => each(index, answer),
            }
        }
        let data = self.read()?;
        match (data.code, accepted.is_empty()) {
            (354, false) | (503 | 554, true) => Ok(accepted),
            _ => Err(io::Error::new(ErrorKind::InvalidData, format!("DATA: {data:?}"))),
        }
    }

    fn reset(&mut self) -> io::Result<()> {
        self.write(b"RSET\r\n")?;
        self.read_expecting(250)
    }

    fn read_expecting(&mut self, code: u16) -> io::Result<()> {
        let answer = self.read()?;
        match answer.code == code {
            true => Ok(()),
            false => Err(io::Error::new(ErrorKind::InvalidData, format!("expected {code}, got {answer:?}"))),
        }
    }
}

/// `mail`, whose lines end in CRLF, with leading dots doubled and the final dot (RFC 5321 §4.5.2).
fn stuffed(mail: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(mail.len() + 64);
    let mut at_start = true;
    for &byte in mail {
        if at_start && byte == b'.' {
            out.push(b'.');
        }
        out.push(byte);
        at_start = byte == b'\n' && out.ends_with(b"\r\n");
    }
    if !out.ends_with(b"\r\n") {
        out.extend_from_slice(b"\r\n");
    }
    out.extend_from_slice(b".\r\n");
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dots_are_stuffed() {
        let check = |mail: &[u8], expect: &[u8]| assert_eq!(stuffed(mail), expect);
        check(b"a\r\n.\r\n..b\r\n", b"a\r\n..\r\n...b\r\n.\r\n");
        check(b".a", b"..a\r\n.\r\n");
        check(b"a\n.b\r\n", b"a\n.b\r\n.\r\n");
    }
}
