//! Deliveries: persistent connections, one message in flight on each, envelope pipelined.

use std::cell::RefCell;
use std::fmt;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Instant;

use clap::Args;
use serde::Deserialize;
use skein_testkit::mail;
use skein_testkit::random::Random;

use crate::crowd::{self, Machine, Next};
use crate::histogram::Histogram;
use crate::meter::Meter;
use crate::scenario::Figures;
use crate::stage::Stage;
use crate::syncs::Syncs;

/// Different message texts; each delivery still has its own Message-ID.
const TEXTS: usize = 64;

/// What is delivered.
#[derive(Clone, Debug, Args, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Load {
    /// Connections.
    #[arg(long, default_value_t = 10)]
    pub connections: usize,
    /// Messages.
    #[arg(long, default_value_t = 4000)]
    pub messages: usize,
    /// Size of a message in bytes.
    #[arg(long, default_value_t = 10_240)]
    pub bytes: usize,
    /// Users, test1 to this one.
    #[arg(long, default_value_t = 100)]
    pub users: usize,
    /// The server's syncs are counted, too: Dovecot's by strace, which slows it down.
    #[arg(skip)]
    #[serde(default)]
    pub syncs: bool,
}

/// How it went.
#[derive(Clone, Debug)]
pub struct Report {
    /// Messages accepted in a second.
    pub per_second: f64,
    /// Server CPU for a message.
    pub cpu_us: f64,
    /// Disk flushes for a message.
    pub flushes: f64,
    /// Half of the messages were answered within this.
    pub p50_ms: f64,
    /// All but one in a hundred.
    pub p99_ms: f64,
}

impl Report {
    /// By their names.
    fn figures(&self) -> Figures {
        Figures::of([
            ("messages/s", self.per_second),
            ("server CPU us/message", self.cpu_us),
            ("disk flushes/message", self.flushes),
            ("p50 ms", self.p50_ms),
            ("p99 ms", self.p99_ms),
        ])
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Report { per_second, cpu_us, flushes, p50_ms, p99_ms } = self;
        write!(
            f,
            "{per_second:.0} messages/s, {cpu_us:.0} us CPU and {flushes:.3} flushes a message, p50 {p50_ms:.2} ms, p99 {p99_ms:.2} ms"
        )
    }
}

/// Delivers to a server whose mailboxes were made before.
///
/// # Errors
/// As [`run`].
pub fn measure(stage: &Stage, load: &Load) -> Result<Figures, String> {
    let (addr, pid) = (stage.ports().lmtp, stage.pid());
    // The first delivery to a user makes its mailbox: not what is asked here. One connection, because Dovecot 2.3.19
    // refuses a delivery now and then when two of them make the same mailbox.
    run(addr, pid, &Load { connections: 1, messages: load.users * 4, ..load.clone() })?;
    let syncs = load.syncs.then(|| Syncs::start(stage)).transpose()?;
    let mut figures = run(addr, pid, load)?.figures();
    if let Some(syncs) = syncs {
        figures.add("syncs/message", syncs.stop(stage)? as f64 / load.messages as f64);
    }
    Ok(figures)
}

/// Delivers.
///
/// # Errors
/// A refusal, a broken connection.
pub fn run(addr: SocketAddr, pid: u32, load: &Load) -> Result<Report, String> {
    let job = Rc::new(RefCell::new(Job::new(load)));
    let machines =
        (0..load.connections).map(|_| Delivery { job: job.clone(), state: State::Greeting, began: Instant::now() });
    let meter = Meter::start(pid);
    crowd::run(addr, machines.collect(), load.connections)?;
    let used = meter.used();
    let (count, job) = (load.messages as f64, job.borrow());
    Ok(Report {
        per_second: count / used.seconds,
        cpu_us: used.cpu_seconds * 1e6 / count,
        flushes: used.flushes as f64 / count,
        p50_ms: job.latencies.ms(0.5),
        p99_ms: job.latencies.ms(0.99),
    })
}

/// What all connections share.
struct Job {
    left: usize,
    users: usize,
    texts: Vec<Vec<u8>>,
    random: Random,
    latencies: Histogram,
}

impl Job {
    fn new(load: &Load) -> Job {
        let texts = (0..TEXTS).map(|n| stuffed(&mail::sized(&format!("load-{n}"), load.bytes))).collect();
        let random = Random::new(load.messages as u64);
        Job { left: load.messages, users: load.users, texts, random, latencies: Histogram::default() }
    }
}

pub(crate) fn stuffed(mail: &[u8]) -> Vec<u8> {
    let text = String::from_utf8_lossy(mail).replace("\r\n.", "\r\n..");
    format!("{text}.\r\n").into_bytes()
}

enum State {
    Greeting,
    Hello,
    /// Replies still to come before DATA's own.
    Envelope(u8),
    Message,
    Quit,
}

struct Delivery {
    job: Rc<RefCell<Job>>,
    state: State,
    began: Instant,
}

impl Machine for Delivery {
    fn line(&mut self, line: &str, out: &mut Vec<u8>) -> Result<Next, String> {
        if line.as_bytes().get(3) == Some(&b'-') {
            return Ok(Next::Go);
        }
        let expected = match self.state {
            State::Greeting => "220",
            State::Envelope(0) => "354",
            State::Quit => return Ok(Next::Done),
            State::Hello | State::Envelope(_) | State::Message => "250",
        };
        if !line.starts_with(expected) {
            return Err(format!("expected {expected}, got {line}"));
        }
        self.advance(out);
        Ok(Next::Go)
    }
}

impl Delivery {
    fn advance(&mut self, out: &mut Vec<u8>) {
        self.state = match self.state {
            State::Greeting => {
                out.extend_from_slice(b"LHLO load.example\r\n");
                State::Hello
            }
            State::Hello => self.begin(out),
            State::Envelope(0) => {
                let mut job = self.job.borrow_mut();
                let (id, text) = (job.random.next(), job.random.below(TEXTS));
                out.extend_from_slice(format!("X-Load: {id:x}\r\n").as_bytes());
                out.extend_from_slice(&job.texts[text]);
                State::Message
            }
            State::Envelope(more) => State::Envelope(more - 1),
            State::Message => {
                self.job.borrow_mut().latencies.add(self.began.elapsed());
                self.begin(out)
            }
            State::Quit => State::Quit,
        };
    }

    fn begin(&mut self, out: &mut Vec<u8>) -> State {
        let mut job = self.job.borrow_mut();
        if job.left == 0 {
            out.extend_from_slice(b"QUIT\r\n");
            return State::Quit;
        }
        job.left -= 1;
        let users = job.users;
        let user = job.random.below(users) + 1;
        self.began = Instant::now();
        out.extend_from_slice(format!("MAIL FROM:<load@gen.example>\r\nRCPT TO:<test{user}>\r\nDATA\r\n").as_bytes());
        State::Envelope(2)
    }
}
