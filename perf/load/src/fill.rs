//! Mailboxes are filled as an importing client does it: many messages in one APPEND (RFC 3502), none waited for (RFC 7888).

use std::net::SocketAddr;

use serde::Deserialize;

use crate::client::Client;
use crate::corpus::Corpus;
use crate::meter::Meter;
use crate::scenario::{Figures, scaled};

/// Messages and bytes of one APPEND at most.
const BATCH_MESSAGES: usize = 200;
const BATCH_BYTES: usize = 8 << 20;

/// Which mail, in the INBOX of each of the users test1 to the last.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Mail {
    /// Users.
    pub users: usize,
    /// Messages of each.
    pub messages: usize,
    /// Bytes of a message, on average.
    pub bytes: usize,
}

impl Mail {
    /// The same with fewer or more messages.
    pub fn scale(&mut self, scale: f64) {
        self.messages = scaled(self.messages, scale);
    }

    /// Fills the mailboxes.
    ///
    /// # Errors
    /// A refusal, a broken connection.
    pub fn fill(&self, addr: SocketAddr) -> Result<(), String> {
        for user in 1..=self.users {
            let mut client = Client::login(addr, &format!("test{user}"))?;
            let mut corpus = Corpus::new(user as u64, self.bytes);
            let mut left = self.messages;
            while left > 0 {
                left -= append(&mut client, &mut corpus, left)?;
            }
        }
        Ok(())
    }

    /// The figures of filling them.
    ///
    /// # Errors
    /// As [`Mail::fill`].
    pub fn measure(&self, addr: SocketAddr, pid: u32) -> Result<Figures, String> {
        let meter = Meter::start(pid);
        self.fill(addr)?;
        let used = meter.used();
        let messages = (self.users * self.messages) as f64;
        Ok(Figures::of([
            ("messages/s", messages / used.seconds),
            ("server CPU us/message", used.cpu_seconds * 1e6 / messages),
            ("disk flushes/message", used.flushes as f64 / messages),
        ]))
    }
}

/// One APPEND of at most `left` messages; how many it was.
fn append(client: &mut Client, corpus: &mut Corpus, left: usize) -> Result<usize, String> {
    let (command, messages) = command(corpus, left);
    client.write(&command)?;
    client.finish().map_err(|why| format!("APPEND: {why}"))?;
    Ok(messages)
}

/// Its bytes, and how many messages it has.
pub fn command(corpus: &mut Corpus, left: usize) -> (Vec<u8>, usize) {
    let (mut command, mut messages) = (b"a APPEND INBOX".to_vec(), 0);
    while messages < left.min(BATCH_MESSAGES) && command.len() < BATCH_BYTES {
        let mail = corpus.next();
        command.extend_from_slice(format!(" \"{}\" {{{}+}}\r\n", mail.internal_date, mail.text.len()).as_bytes());
        command.extend_from_slice(&mail.text);
        messages += 1;
    }
    command.extend_from_slice(b"\r\n");
    (command, messages)
}
