//! One IMAP client that reads as fast as it can and looks at little: the time it measures is the server's.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use crate::replies::{Ended, Replies};

/// Bytes read at once.
const BLOCK_BYTES: usize = 256 * 1024;
/// An answer that is not complete after so long is none.
const PATIENCE: Duration = Duration::from_secs(600);

/// One connection.
pub struct Client {
    stream: TcpStream,
    replies: Replies,
    input: Vec<u8>,
    block: Box<[u8]>,
}

impl Client {
    /// Connects and reads the greeting.
    ///
    /// # Errors
    /// The connection's.
    pub fn connect(addr: SocketAddr) -> Result<Client, String> {
        let stream = TcpStream::connect(addr).map_err(|e| format!("connect: {e}"))?;
        let set = stream.set_nodelay(true).and_then(|()| stream.set_read_timeout(Some(PATIENCE)));
        set.map_err(|e| format!("connect: {e}"))?;
        let block = vec![0; BLOCK_BYTES].into_boxed_slice();
        let mut client = Client { stream, replies: Replies::default(), input: Vec::new(), block };
        while !client.input.ends_with(b"\n") {
            client.read()?;
        }
        client.input.clear();
        Ok(client)
    }

    /// Logs in.
    ///
    /// # Errors
    /// The connection's, and a refusal.
    pub fn login(addr: SocketAddr, user: &str) -> Result<Client, String> {
        let mut client = Client::connect(addr)?;
        client.run(&format!("LOGIN {user} {}", skein_testkit::server::PASSWORD))?;
        Ok(client)
    }

    /// Sends a command and reads its answer to the end.
    ///
    /// # Errors
    /// The connection's, and a refusal.
    pub fn run(&mut self, command: &str) -> Result<(), String> {
        self.write(format!("a {command}\r\n").as_bytes())?;
        self.finish().map_err(|why| format!("{command}: {why}"))
    }

    /// Sends bytes as they are.
    ///
    /// # Errors
    /// The connection's.
    pub fn write(&mut self, bytes: &[u8]) -> Result<(), String> {
        self.stream.write_all(bytes).map_err(|e| format!("write: {e}"))
    }

    /// Reads until a tagged reply.
    ///
    /// # Errors
    /// The connection's, and a refusal.
    pub fn finish(&mut self) -> Result<(), String> {
        self.read()?;
        while !self.is_answered()? {
            self.read()?;
        }
        Ok(())
    }

    /// Reads some; how much.
    ///
    /// # Errors
    /// The connection's.
    pub fn read(&mut self) -> Result<u64, String> {
        let read = loop {
            match self.stream.read(&mut self.block) {
                // Somebody looks at this process.
                Err(e) if e.kind() == ErrorKind::Interrupted => {}
                read => break read,
            }
        };
        match read {
            Ok(0) => Err("the server closed".to_owned()),
            Ok(n) => {
                self.input.extend_from_slice(&self.block[..n]);
                Ok(n as u64)
            }
            Err(e) => Err(format!("read: {e}")),
        }
    }

    /// Takes what was read, and tells whether it holds the end of a command.
    ///
    /// # Errors
    /// A refusal.
    pub fn is_answered(&mut self) -> Result<bool, String> {
        let mut done = false;
        self.replies.take(&mut self.input, |end| done |= end == Ended::Ok)?;
        Ok(done)
    }
}
