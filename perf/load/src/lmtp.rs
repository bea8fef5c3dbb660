//! Deliveries: persistent connections, one message in flight on each, envelope pipelined.

use std::cell::RefCell;
use std::fmt;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Instant;

use clap::Args;
use skein_testkit::mail;
use skein_testkit::random::Random;

use crate::crowd::{self, Machine, Next};
use crate::meter::Meter;

/// Different message texts; each delivery still has its own Message-ID.
const TEXTS: usize = 64;

/// What is delivered.
#[derive(Clone, Debug, Args)]
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

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Report { per_second, cpu_us, flushes, p50_ms, p99_ms } = self;
        write!(
            f,
            "{per_second:.0} messages/s, {cpu_us:.0} us CPU and {flushes:.3} flushes a message, p50 {p50_ms:.2} ms, p99 {p99_ms:.2} ms"
        )
    }
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
    let mut job = job.borrow_mut();
    job.latencies_ms.sort_by(f64::total_cmp);
    let (count, at) = (load.messages as f64, |part: f64| job.latencies_ms[(load.messages as f64 * part) as usize]);
    Ok(Report {
        per_second: count / used.seconds,
        cpu_us: used.cpu_seconds * 1e6 / count,
        flushes: used.flushes as f64 / count,
        p50_ms: at(0.5),
        p99_ms: at(0.99),
    })
}

/// What all connections share.
struct Job {
    left: usize,
    users: usize,
    texts: Vec<Vec<u8>>,
    random: Random,
    latencies_ms: Vec<f64>,
}

impl Job {
    fn new(load: &Load) -> Job {
        let texts = (0..TEXTS).map(|n| stuffed(&mail::sized(&format!("load-{n}"), load.bytes))).collect();
        let random = Random::new(load.messages as u64);
        Job { left: load.messages, users: load.users, texts, random, latencies_ms: Vec::with_capacity(load.messages) }
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
                self.job.borrow_mut().latencies_ms.push(self.began.elapsed().as_secs_f64() * 1e3);
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
