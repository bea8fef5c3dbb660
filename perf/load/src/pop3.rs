//! POP3 clients that retrieve all messages of a maildrop and leave them there.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Instant;

use serde::Deserialize;
use skein_testkit::server::PASSWORD;

use crate::crowd::{self, Machine, Next};
use crate::histogram::Histogram;
use crate::meter::Meter;
use crate::scenario::Figures;
use crate::stage::Stage;

/// Who retrieves how.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Load {
    /// Sessions at once.
    pub connections: usize,
    /// Sessions in all.
    pub sessions: usize,
    /// Users, test1 to this one; as many as connections at least, since a maildrop is one session's at a time.
    pub users: usize,
    /// RETRs sent before the first of them is answered.
    pub pipeline: usize,
}

/// Retrieves.
///
/// # Errors
/// A refusal, a broken connection.
pub fn run(stage: &Stage, load: &Load) -> Result<Figures, String> {
    if load.connections > load.users {
        return Err("there are more connections than maildrops".to_owned());
    }
    let job = Rc::new(RefCell::new(Job::default()));
    // A user's next session comes after others have gone; the server may still close the last one's.
    let machine = |number: usize| Retriever {
        job: job.clone(),
        user: number % load.users + 1,
        pipeline: load.pipeline.max(1),
        state: State::Greeting,
        messages: 0,
        sent: 0,
        read: 0,
        began: Instant::now(),
    };
    let meter = Meter::start(stage.pid());
    for first in (0..load.sessions).step_by(load.connections) {
        let some = first..(first + load.connections).min(load.sessions);
        crowd::run(stage.ports().pop3, some.map(machine).collect(), load.connections)?;
    }
    let (used, job) = (meter.used(), job.borrow());
    let messages = job.messages as f64;
    Ok(Figures::of([
        ("messages/s", messages / used.seconds),
        ("server CPU us/message", used.cpu_seconds * 1e6 / messages),
        ("server CPU s/GB", used.cpu_seconds * 1e9 / job.bytes as f64),
        ("session p50 ms", job.latencies.ms(0.5)),
    ]))
}

#[derive(Default)]
struct Job {
    messages: u64,
    bytes: u64,
    latencies: Histogram,
}

enum State {
    Greeting,
    User,
    Password,
    Stat,
    /// The first line of an answer to RETR comes next, or a line of the message.
    Message,
    Text,
    Quit,
}

struct Retriever {
    job: Rc<RefCell<Job>>,
    user: usize,
    pipeline: usize,
    state: State,
    messages: usize,
    sent: usize,
    read: usize,
    began: Instant,
}

impl Machine for Retriever {
    fn connected(&mut self) {
        self.began = Instant::now();
    }

    fn line(&mut self, line: &str, out: &mut Vec<u8>) -> Result<Next, String> {
        if !line.starts_with("+OK") {
            return Err(format!("refused: {line}"));
        }
        self.state = match self.state {
            State::Greeting => {
                out.extend_from_slice(format!("USER test{}\r\n", self.user).as_bytes());
                State::User
            }
            State::User => {
                out.extend_from_slice(format!("PASS {PASSWORD}\r\n").as_bytes());
                State::Password
            }
            State::Password => {
                out.extend_from_slice(b"STAT\r\n");
                State::Stat
            }
            State::Stat => {
                let count = line.split(' ').nth(1).and_then(|count| count.parse().ok());
                self.messages = count.filter(|count| *count > 0).ok_or_else(|| format!("no mail: {line}"))?;
                self.ask(out);
                State::Message
            }
            State::Message => State::Text,
            State::Text => State::Text,
            State::Quit => {
                self.job.borrow_mut().latencies.add(self.began.elapsed());
                return Ok(Next::Done);
            }
        };
        Ok(Next::Go)
    }

    fn feed(&mut self, input: &mut Vec<u8>, out: &mut Vec<u8>) -> Result<Next, String> {
        let (mut at, mut next) = (0, Next::Go);
        while let (Some(end), Next::Go) = (memchr::memchr(b'\n', &input[at..]), next) {
            let line = &input[at..at + end];
            let line = line.strip_suffix(b"\r").unwrap_or(line);
            match self.state {
                // Lines of the text that begin with a dot have one more (RFC 1939 §3).
                State::Text if line == b"." => self.took_one(out),
                State::Text => {}
                _ => next = self.line(&String::from_utf8_lossy(line), out)?,
            }
            at += end + 1;
        }
        self.job.borrow_mut().bytes += at as u64;
        input.drain(..at);
        Ok(next)
    }
}

impl Retriever {
    /// Keeps the pipeline full, half of it at once.
    fn ask(&mut self, out: &mut Vec<u8>) {
        if (self.sent - self.read) * 2 <= self.pipeline {
            let end = (self.read + self.pipeline).min(self.messages);
            (self.sent + 1..=end).for_each(|n| out.extend_from_slice(format!("RETR {n}\r\n").as_bytes()));
            self.sent = end;
        }
    }

    fn took_one(&mut self, out: &mut Vec<u8>) {
        self.read += 1;
        self.job.borrow_mut().messages += 1;
        self.state = State::Message;
        if self.read == self.messages {
            out.extend_from_slice(b"QUIT\r\n");
            self.state = State::Quit;
        } else {
            self.ask(out);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fill::Mail;
    use skein_testkit::server::Kind;

    #[test]
    fn all_messages_are_retrieved() {
        let stage = Stage::new(Kind::Skein, "", Some(&Mail { users: 2, messages: 7, bytes: 3000 })).expect("a server");
        for pipeline in [1, 4, 100] {
            let figures = run(&stage, &Load { connections: 2, sessions: 5, users: 2, pipeline }).expect("a run");
            assert!(figures.find("messages/s").is_some_and(|rate| rate > 1.0), "{figures:?}");
        }
        let server = stage.server();
        assert_eq!(server.pop3_login("test1").command("STAT").expect("an answer").0.split(' ').nth(1), Some("7"));
        assert!(run(&stage, &Load { connections: 2, sessions: 5, users: 1, pipeline: 1 }).is_err());
    }
}
