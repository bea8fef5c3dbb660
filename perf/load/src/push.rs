//! How soon a change is told: many clients watch one mailbox, another one changes it, and each notes when it hears of that.
//!
//! ```text
//! writer (a thread)        ──APPEND or DATA──▶ server ──OK──▶          sent: its last byte has left; acknowledged: OK was read
//! watchers (one epoll loop)                    server ──EXISTS──▶      told
//! ```
//!
//! A change is made when all have been told of the one before. The figures hold what the loop itself takes: who is read last has
//! waited for all others, a few microseconds each.

use std::cell::RefCell;
use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use clap::{Args, ValueEnum};
use serde::Deserialize;
use skein_testkit::server::{PASSWORD, set};
use skein_testkit::{Server, imap, lmtp, mail, process};

use crate::crowd::{self, Crowd, Machine, Next};
use crate::lmtp::stuffed;
use crate::scenario::Figures;

/// Logins under way at once.
const OPENING_MAX: usize = 40;
/// A change that is not told to all for so long.
const STALL: Duration = Duration::from_secs(60);
/// Moments that are kept, 24 bytes each.
const SAMPLES_MAX: usize = 5_000_000;
/// Whose mailbox it is.
const USER: &str = "test1";

/// Who watches what.
#[derive(Clone, Debug, Args, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Load {
    /// Clients that watch.
    #[arg(long, default_value_t = 1000)]
    pub watchers: usize,
    /// Changes of each kind, one after the other.
    #[arg(long, default_value_t = 100)]
    pub changes: usize,
    /// Size of a message in bytes.
    #[arg(long, default_value_t = 4096)]
    pub bytes: usize,
    /// How the watchers wait.
    #[arg(long, value_enum, default_value_t = How::Idle)]
    pub how: How,
    /// A running server's IMAP, which knows test1 and lets it have so many connections; without it one is started.
    #[arg(long, requires = "lmtp")]
    #[serde(default)]
    pub imap: Option<SocketAddr>,
    /// Its LMTP.
    #[arg(long, requires = "imap")]
    #[serde(default)]
    pub lmtp: Option<SocketAddr>,
}

/// How a watcher waits.
#[derive(Clone, Copy, Debug, ValueEnum, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum How {
    /// In IDLE.
    Idle,
    /// Without a command, after NOTIFY.
    Notify,
}

/// Runs both kinds of change and prints how soon they were told.
///
/// # Errors
/// A refusal, a broken connection, a stall.
pub fn run(load: &Load) -> Result<(), String> {
    let own = load.imap.is_none().then(start);
    let of = |server: &Server| (server.ports().imap, server.ports().lmtp);
    let (imap, lmtp) = load.imap.zip(load.lmtp).or(own.as_ref().map(of)).expect("one of them");
    let reports = both(imap, lmtp, load)?;
    println!("{} watchers ({:?}), messages of {} bytes", load.watchers, load.how, load.bytes);
    for (name, report) in reports {
        println!("{:<8}{report}", format!("{name}:"));
    }
    Ok(())
}

/// The same against a running server, as figures.
///
/// # Errors
/// As [`run`].
pub fn figures(imap: SocketAddr, lmtp: SocketAddr, load: &Load) -> Result<Figures, String> {
    let mut figures = Figures::default();
    for (name, Report { after_acknowledged: spread, .. }) in both(imap, lmtp, load)? {
        figures.add(&format!("{name}: p50 ms"), spread.p50);
        figures.add(&format!("{name}: p99 ms"), spread.p99);
    }
    Ok(figures)
}

fn both(imap: SocketAddr, lmtp: SocketAddr, load: &Load) -> Result<[(&'static str, Report); 2], String> {
    let samples = load.watchers.saturating_mul(load.changes);
    if samples == 0 || samples > SAMPLES_MAX {
        return Err(format!("{samples} moments: from 1 to {SAMPLES_MAX} can be kept"));
    }
    process::raise_open_files();
    let job = Rc::new(RefCell::new(Job::default()));
    let watcher = |_| Watcher { job: job.clone(), how: load.how, step: 0, told: 0 };
    let mut crowd = crowd::run(imap, (0..load.watchers).map(watcher).collect(), OPENING_MAX)?;
    let text = mail::sized("push", load.bytes);
    let append = Append::new(imap, &text).map_err(|e| format!("the writer: {e}"))?;
    let append = measure(&mut crowd, &job, append, load)?;
    let deliver = Deliver::new(lmtp, &text).map_err(|e| format!("the writer: {e}"))?;
    Ok([("APPEND", append), ("LMTP", measure(&mut crowd, &job, deliver, load)?)])
}

fn start() -> Server {
    Server::start_changed(|settings, _| {
        let settings = set(&settings, "limits", "connections_per_user_max", "0");
        set(&settings, "log", "level", "\"warn\"")
    })
}

/// One who changes the mailbox.
trait Writer: Send {
    /// Makes a change.
    fn change(&mut self) -> io::Result<Change>;
}

/// When it was made.
struct Change {
    sent: Instant,
    acknowledged: Instant,
}

/// Lets `writer` make the changes, one by one, and the crowd hear of them.
fn measure<W: Writer>(
    crowd: &mut Crowd<Watcher>,
    job: &RefCell<Job>,
    mut writer: W,
    load: &Load,
) -> Result<Report, String> {
    let (all_told, told) = channel();
    let first = job.borrow().first + job.borrow().changes;
    *job.borrow_mut() =
        Job { watchers: load.watchers, first, changes: load.changes, told: Vec::new(), all_told: Some(all_told) };
    let changes = thread::scope(|scope| {
        let writing = scope.spawn(move || write(&mut writer, &told, load.changes));
        let expected = load.watchers * load.changes;
        let heard = crowd.listen(|| job.borrow().told.len() == expected || writing.is_finished());
        // Nobody is told any more, so a writer that waits for that ends.
        job.borrow_mut().all_told = None;
        let changes = writing.join().map_err(|_| "the writer panicked".to_owned())?;
        heard.and(changes)
    })?;
    let told = &job.borrow().told;
    let since = |of: fn(&Change) -> Instant| told.iter().map(move |&(change, at)| (of, change, at));
    let after = |of| Spread::of(since(of).map(|(of, change, at)| signed_ms(of(&changes[change]), at)).collect());
    Ok(Report { after_acknowledged: after(|change| change.acknowledged), after_sent: after(|change| change.sent) })
}

fn write(writer: &mut impl Writer, told: &Receiver<()>, changes: usize) -> Result<Vec<Change>, String> {
    let one = |number| {
        let change = writer.change().map_err(|e| format!("change {number}: {e}"))?;
        told.recv_timeout(STALL).map_err(|e| format!("change {number} was not told to all: {e}"))?;
        Ok(change)
    };
    (0..changes).map(one).collect()
}

/// From one to the other; negative when the second was first.
fn signed_ms(from: Instant, to: Instant) -> f64 {
    (to.saturating_duration_since(from).as_secs_f64() - from.saturating_duration_since(to).as_secs_f64()) * 1e3
}

/// What all watchers share.
#[derive(Default)]
struct Job {
    watchers: usize,
    /// Changes that were made before these.
    first: usize,
    /// These.
    changes: usize,
    /// Who was told of which change when, whoever it was.
    told: Vec<(usize, Instant)>,
    all_told: Option<Sender<()>>,
}

struct Watcher {
    job: Rc<RefCell<Job>>,
    how: How,
    step: usize,
    /// Changes of all kinds that it was told of.
    told: usize,
}

impl Machine for Watcher {
    fn line(&mut self, line: &str, out: &mut Vec<u8>) -> Result<Next, String> {
        let waits = match self.how {
            How::Idle => "+",
            How::Notify => "a3 OK",
        };
        let expected = ["* OK", "a1 OK", "a2 OK", waits];
        let Some(expected) = expected.get(self.step) else { return self.news(line) };
        if !line.starts_with(expected) {
            let refused = [" NO ", " BAD ", "* BYE"].iter().any(|word| line.contains(word));
            return if refused { Err(line.to_owned()) } else { Ok(Next::Go) };
        }
        let command = match (self.step, self.how) {
            (0, _) => format!("a1 LOGIN {USER} {PASSWORD}\r\n"),
            (1, _) => "a2 SELECT INBOX\r\n".to_owned(),
            (2, How::Idle) => "a3 IDLE\r\n".to_owned(),
            (2, How::Notify) => "a3 NOTIFY SET (SELECTED (MessageNew MessageExpunge))\r\n".to_owned(),
            _ => String::new(),
        };
        out.extend_from_slice(command.as_bytes());
        self.step += 1;
        Ok(if self.step == 4 { Next::Rest } else { Next::Go })
    }
}

impl Watcher {
    fn news(&mut self, line: &str) -> Result<Next, String> {
        if line.starts_with("* BYE") {
            return Err(line.to_owned());
        }
        if line.ends_with(" EXISTS") {
            let mut job = self.job.borrow_mut();
            let change = self.told - job.first;
            if change != job.told.len() / job.watchers {
                return Err(format!("told of one change twice: {line}"));
            }
            job.told.push((change, Instant::now()));
            if job.told.len().is_multiple_of(job.watchers)
                && let Some(all_told) = &job.all_told
            {
                // A writer that is gone says itself why.
                _ = all_told.send(());
            }
            self.told += 1;
        }
        Ok(Next::Go)
    }
}

/// Appends to the mailbox, as another session of its user.
struct Append {
    client: imap::Client,
    command: Vec<u8>,
}

impl Append {
    fn new(addr: SocketAddr, text: &[u8]) -> io::Result<Append> {
        let mut client = imap::Client::connect(addr)?;
        client.login(USER, PASSWORD)?.expect_ok();
        let command = [format!("w1 APPEND INBOX {{{}+}}\r\n", text.len()).as_bytes(), text, b"\r\n"].concat();
        Ok(Append { client, command })
    }
}

impl Writer for Append {
    fn change(&mut self) -> io::Result<Change> {
        self.client.write(&self.command)?;
        let sent = Instant::now();
        let reply = self.client.finish("w1")?;
        let acknowledged = Instant::now();
        accepted(reply.is_ok(), "APPEND")?;
        Ok(Change { sent, acknowledged })
    }
}

/// Delivers to its user.
struct Deliver {
    client: lmtp::Client,
    text: Vec<u8>,
}

impl Deliver {
    fn new(addr: SocketAddr, text: &[u8]) -> io::Result<Deliver> {
        Ok(Deliver { client: lmtp::Client::connect(addr)?, text: stuffed(text) })
    }
}

impl Writer for Deliver {
    fn change(&mut self) -> io::Result<Change> {
        self.client.write(format!("MAIL FROM:<load@gen.example>\r\nRCPT TO:<{USER}>\r\nDATA\r\n").as_bytes())?;
        for expected in [250, 250, 354] {
            accepted(self.client.read()?.code == expected, "the envelope")?;
        }
        self.client.write(&self.text)?;
        let sent = Instant::now();
        let answer = self.client.read()?;
        let acknowledged = Instant::now();
        accepted(answer.is_ok(), "the message")?;
        Ok(Change { sent, acknowledged })
    }
}

fn accepted(is_ok: bool, what: &str) -> io::Result<()> {
    if is_ok { Ok(()) } else { Err(io::Error::other(format!("{what} was refused"))) }
}

/// How soon.
struct Report {
    after_acknowledged: Spread,
    after_sent: Spread,
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "after the acknowledgement {}; after the last byte {}", self.after_acknowledged, self.after_sent)
    }
}

/// Of many times, in milliseconds.
#[derive(PartialEq, Debug)]
struct Spread {
    p50: f64,
    p99: f64,
    max: f64,
}

impl Spread {
    /// Of at least one.
    fn of(mut times_ms: Vec<f64>) -> Spread {
        times_ms.sort_by(f64::total_cmp);
        let at = |part: f64| times_ms[((times_ms.len() as f64 * part) as usize).min(times_ms.len() - 1)];
        Spread { p50: at(0.5), p99: at(0.99), max: at(1.0) }
    }
}

impl fmt::Display for Spread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Spread { p50, p99, max } = self;
        write!(f, "p50 {p50:.2} ms, p99 {p99:.2} ms, max {max:.2} ms")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spreads() {
        assert_eq!(Spread::of(vec![-1.0]), Spread { p50: -1.0, p99: -1.0, max: -1.0 });
        let all = (1..=200).rev().map(f64::from).collect();
        assert_eq!(Spread::of(all), Spread { p50: 101.0, p99: 199.0, max: 200.0 });
        let early = Instant::now();
        let late = early + Duration::from_millis(5);
        assert_eq!([signed_ms(early, late), signed_ms(late, late), signed_ms(late, early)], [5.0, 0.0, -5.0]);
    }

    #[test]
    fn few_watchers_hear_all_of_few_changes() {
        for how in [How::Idle, How::Notify] {
            let load = Load { watchers: 3, changes: 4, bytes: 500, how, imap: None, lmtp: None };
            run(&load).expect("a run");
        }
        let none = Load { watchers: 0, changes: 4, bytes: 500, how: How::Idle, imap: None, lmtp: None };
        assert!(run(&none).is_err());
    }
}
