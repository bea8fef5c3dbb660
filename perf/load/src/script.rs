//! Many IMAP clients with the same commands: over one connection each until the time is over, or a session for each turn.
//!
//! With a rate, each command has a moment when it is meant to be sent, and its latency is counted from then, late as it may be
//! sent: a server that stops for a second is not spared the commands that users would have sent meanwhile.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use rustls::client::Resumption;
use serde::Deserialize;
use skein_testkit::random::Random;
use skein_testkit::server::PASSWORD;
use skein_testkit::{imap, mail, process};

use crate::client::Client;
use crate::corpus::Corpus;
use crate::crowd::{self, Door, Machine, Next};
use crate::fill;
use crate::histogram::Histogram;
use crate::meter::{Meter, Used};
use crate::replies::{Ended, Replies};
use crate::scenario::{Figures, scaled};
use crate::stage::Stage;

/// Who appends beside the clients; none of them.
const IMPORTER: &str = "test200";
/// Size of the messages that it appends.
const IMPORTED_BYTES: usize = 20_000;

/// What the clients do.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Load {
    /// Clients at once.
    pub connections: usize,
    /// Users, test1 to this one.
    pub users: usize,
    /// How they come.
    #[serde(default)]
    pub tls: Tls,
    /// What each sends after LOGIN, before anything is measured; with `sessions` a part of each.
    #[serde(default)]
    pub opening: Vec<String>,
    /// What they send, again and again, each beginning somewhere else. `{n}` is one of the messages of the scenario's mail, `{mail}`
    /// a literal of `mail_bytes`.
    pub commands: Vec<String>,
    /// For `{n}`.
    #[serde(skip)]
    pub numbers: usize,
    /// For `{mail}`.
    #[serde(default)]
    pub mail_bytes: usize,
    /// Commands sent before the first of them is answered.
    #[serde(default = "one")]
    pub pipeline: usize,
    /// How long.
    #[serde(default)]
    pub seconds: f64,
    /// In place of `seconds`: so many sessions, each with all of the commands and LOGOUT.
    #[serde(default)]
    pub sessions: usize,
    /// Commands a second of all clients together; 0: as fast as they are answered.
    #[serde(default)]
    pub rate: f64,
    /// Another user appends to a mailbox of his meanwhile, as fast as he can.
    #[serde(default)]
    pub import: bool,
}

/// How clients come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Tls {
    /// In plain text.
    #[default]
    None,
    /// With a full handshake.
    Full,
    /// With the tickets of those before them.
    Resumed,
}

impl Tls {
    /// The door of a server.
    pub fn door(self, stage: &Stage) -> Door {
        if self == Tls::None {
            return stage.imap().into();
        }
        let mut config = imap::client_config();
        if self == Tls::Full {
            config.resumption = Resumption::disabled();
        }
        Door { addr: stage.ports().imaps, tls: Some(Arc::new(config)) }
    }
}

fn one() -> usize {
    1
}

impl Load {
    /// Less or more.
    pub fn scale(&mut self, scale: f64) {
        self.seconds *= scale;
        if self.sessions > 0 {
            self.sessions = scaled(self.sessions, scale);
        }
    }
}

/// Runs it.
///
/// # Errors
/// A refusal, a broken connection.
pub fn run(stage: &Stage, load: &Load) -> Result<Figures, String> {
    process::raise_open_files();
    let door = load.tls.door(stage);
    let job = Rc::new(RefCell::new(Job::new(load)));
    if load.sessions > 0 {
        return sessions(stage, &door, load, &job);
    }
    let players = (0..load.connections).map(|number| Player::new(number, load, &job)).collect();
    let mut crowd = crowd::run(door, players, load.connections)?;
    let importer = load.import.then(|| Importer::start(stage));
    let meter = Meter::start(stage.pid());
    job.borrow_mut().begin(load, Instant::now());
    crowd.listen(|| job.borrow().is_over())?;
    let used = meter.used();
    let imported = importer.map(Importer::stop).transpose()?;
    let mut figures = job.borrow().figures(load, &used, "command");
    if let Some(bytes) = imported {
        figures.add("imported MB/s", bytes as f64 / 1e6 / used.seconds);
    }
    Ok(figures)
}

/// A machine is a session.
fn sessions(stage: &Stage, door: &Door, load: &Load, job: &Rc<RefCell<Job>>) -> Result<Figures, String> {
    let of = |sessions: usize| (0..sessions).map(|number| Player::new(number, load, job)).collect();
    // Caches of logins, tickets and mailboxes that are made at the first login are not what is asked.
    crowd::run(door.clone(), of(load.users.max(load.connections)), load.connections)?;
    job.replace(Job::new(load));
    let meter = Meter::start(stage.pid());
    crowd::run(door.clone(), of(load.sessions), load.connections)?;
    Ok(job.borrow().figures(load, &meter.used(), "session"))
}

/// What all clients share.
struct Job {
    commands: Vec<String>,
    mail: String,
    numbers: usize,
    random: Random,
    latencies: Histogram,
    bytes: u64,
    /// `None` before it begins.
    end: Option<Instant>,
    /// The first moment of a command of client 0, and how long after it the next one is due; clients are spread over the interval.
    rate: Option<(Instant, Duration)>,
    /// Commands that were sent and are not answered.
    open: usize,
}

impl Job {
    fn new(load: &Load) -> Job {
        let text = String::from_utf8_lossy(&mail::sized("script", load.mail_bytes)).into_owned();
        Job {
            commands: load.commands.clone(),
            mail: format!("{{{}+}}\r\n{text}", text.len()),
            numbers: load.numbers.max(1),
            random: Random::new(1),
            latencies: Histogram::default(),
            bytes: 0,
            end: None,
            rate: None,
            open: 0,
        }
    }

    fn begin(&mut self, load: &Load, now: Instant) {
        self.bytes = 0;
        self.end = Some(now + Duration::from_secs_f64(load.seconds));
        let interval = |rate: f64| Duration::from_secs_f64(load.connections as f64 / rate);
        self.rate = (load.rate > 0.0).then(|| (now, interval(load.rate)));
    }

    fn is_over(&self) -> bool {
        self.open == 0 && self.end.is_some_and(|end| end <= Instant::now())
    }

    /// The next of the commands that are played again and again.
    fn send_nth(&mut self, number: usize, out: &mut Vec<u8>) {
        let command = self.commands[number % self.commands.len()].clone();
        self.open += 1;
        self.send(&command, out);
    }

    fn send(&mut self, command: &str, out: &mut Vec<u8>) {
        let mut command = command.replace("{mail}", &self.mail);
        if command.contains("{n}") {
            let n = self.random.below(self.numbers) + 1;
            command = command.replace("{n}", &n.to_string());
        }
        out.extend_from_slice(format!("a {command}\r\n").as_bytes());
    }

    fn figures(&self, load: &Load, used: &Used, unit: &str) -> Figures {
        let count = self.latencies.count() as f64;
        let mut figures = Figures::default();
        figures.add(&format!("{unit}s/s"), count / used.seconds);
        figures.add(&format!("server CPU us/{unit}"), used.cpu_seconds * 1e6 / count);
        figures.add("server CPU s/GB", used.cpu_seconds * 1e9 / self.bytes as f64);
        figures.add("p50 ms", self.latencies.ms(0.5));
        figures.add("p99 ms", self.latencies.ms(0.99));
        if load.rate > 0.0 {
            figures.add("max ms", self.latencies.ms(1.0));
        }
        figures
    }
}

/// One client.
struct Player {
    job: Rc<RefCell<Job>>,
    number: usize,
    clients: usize,
    pipeline: usize,
    /// What comes before it rests, or all of its session, and how much of it was answered.
    opening: Vec<String>,
    answered: usize,
    is_session: bool,
    began: Instant,
    greeted: bool,
    replies: Replies,
    /// Commands sent after the opening, and when those that are not answered were meant to be sent.
    sent: usize,
    due: VecDeque<Instant>,
}

impl Player {
    fn new(number: usize, load: &Load, job: &Rc<RefCell<Job>>) -> Player {
        let login = format!("LOGIN test{} {PASSWORD}", number % load.users + 1);
        let mut opening: Vec<String> = std::iter::once(login).chain(load.opening.iter().cloned()).collect();
        if load.sessions > 0 {
            opening.extend(load.commands.iter().cloned());
            opening.push("LOGOUT".to_owned());
        }
        Player {
            job: job.clone(),
            number,
            clients: load.connections,
            pipeline: load.pipeline.max(1),
            opening,
            answered: 0,
            is_session: load.sessions > 0,
            began: Instant::now(),
            greeted: false,
            replies: Replies::default(),
            sent: 0,
            due: VecDeque::new(),
        }
    }

    fn answer(&mut self, out: &mut Vec<u8>) -> Next {
        if self.answered < self.opening.len() {
            self.answered += 1;
            return match self.opening.get(self.answered) {
                Some(next) => {
                    self.job.borrow_mut().send(next, out);
                    Next::Go
                }
                None if self.is_session => {
                    self.job.borrow_mut().latencies.add(self.began.elapsed());
                    Next::Done
                }
                None => Next::Rest,
            };
        }
        let mut job = self.job.borrow_mut();
        if let Some(due) = self.due.pop_front() {
            job.latencies.add(due.elapsed());
            job.open -= 1;
        }
        drop(job);
        self.go_on(out);
        Next::Go
    }

    /// Sends what is due.
    fn go_on(&mut self, out: &mut Vec<u8>) {
        let mut job = self.job.borrow_mut();
        let (now, Some(end)) = (Instant::now(), job.end) else { return };
        if job.rate.is_none() {
            if now < end && self.due.len() * 2 <= self.pipeline {
                while self.due.len() < self.pipeline {
                    job.send_nth(self.number + self.sent, out);
                    self.due.push_back(now);
                    self.sent += 1;
                }
            }
            return;
        }
        while let Some(due) = self.next_due(&job).filter(|due| *due <= now) {
            job.send_nth(self.number + self.sent, out);
            self.due.push_back(due);
            self.sent += 1;
        }
    }

    /// When the next command is meant to be sent; `None` when there is none, or the pipeline is full.
    fn next_due(&self, job: &Job) -> Option<Instant> {
        let (first, interval) = job.rate?;
        let due = first + interval.mul_f64(self.sent as f64 + self.number as f64 / self.clients as f64);
        (self.due.len() < self.pipeline && job.end.is_some_and(|end| due < end)).then_some(due)
    }
}

impl Machine for Player {
    fn line(&mut self, _: &str, _: &mut Vec<u8>) -> Result<Next, String> {
        Ok(Next::Go)
    }

    fn connected(&mut self) {
        self.began = Instant::now();
    }

    fn feed(&mut self, input: &mut Vec<u8>, out: &mut Vec<u8>) -> Result<Next, String> {
        let before = input.len();
        if !self.greeted {
            let Some(end) = memchr::memchr(b'\n', input) else { return Ok(Next::Go) };
            input.drain(..=end);
            self.greeted = true;
            self.job.borrow_mut().send(&self.opening[0], out);
        }
        let mut answers = 0;
        self.replies.take(input, |end| answers += usize::from(end == Ended::Ok))?;
        self.job.borrow_mut().bytes += (before - input.len()) as u64;
        let mut next = Next::Go;
        for _ in 0..answers {
            next = self.answer(out);
        }
        Ok(next)
    }

    fn alarm(&self) -> Option<Instant> {
        self.next_due(&self.job.borrow())
    }

    fn woken(&mut self, out: &mut Vec<u8>) {
        self.go_on(out);
    }
}

/// Appends until it is told to stop.
struct Importer {
    stop: Arc<AtomicBool>,
    thread: thread::JoinHandle<Result<u64, String>>,
}

impl Importer {
    fn start(stage: &Stage) -> Importer {
        let (stop, addr) = (Arc::new(AtomicBool::new(false)), stage.imap());
        let told = stop.clone();
        let thread = thread::spawn(move || {
            let mut client = Client::login(addr, IMPORTER)?;
            // Made once: the time of this machine is the server's.
            let command = fill::command(&mut Corpus::new(200, IMPORTED_BYTES), usize::MAX).0;
            let mut bytes = 0;
            while !told.load(Ordering::Relaxed) {
                client.write(&command)?;
                client.finish()?;
                bytes += command.len() as u64;
            }
            Ok(bytes)
        });
        Importer { stop, thread }
    }

    /// The bytes that were appended.
    fn stop(self) -> Result<u64, String> {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().map_err(|_| "the importer panicked".to_owned())?
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use skein_testkit::server::Kind;

    fn load(toml: &str) -> Load {
        toml::from_str(toml).expect("it is right")
    }

    #[test]
    fn commands_and_sessions_are_played() {
        let stage = Stage::new(Kind::Skein, "", None).expect("a server");
        let mut steady = load(
            "connections = 3\nusers = 2\nopening = ['SELECT INBOX']\nseconds = 0.2\nmail_bytes = 900\n\
             commands = ['NOOP', 'APPEND INBOX {mail}', 'FETCH {n} BODY.PEEK[]', 'STATUS INBOX (MESSAGES)']\n",
        );
        steady.commands.remove(2);
        let figures = run(&stage, &steady).expect("a run");
        assert!(figures.find("commands/s").is_some_and(|rate| rate > 1.0), "{figures:?}");
        steady.pipeline = 8;
        steady.rate = 200.0;
        let figures = run(&stage, &steady).expect("a run");
        assert!(figures.find("p50 ms").is_some() && figures.find("max ms").is_some(), "{figures:?}");
        for tls in ["none", "full", "resumed"] {
            let sessions = format!(
                "connections = 2\nusers = 2\ntls = '{tls}'\nsessions = 5\ncommands = ['SELECT INBOX', 'FETCH 1 BODY.PEEK[]']"
            );
            let figures = run(&stage, &load(&sessions)).expect("a run");
            assert!(figures.find("server CPU us/session").is_some_and(f64::is_finite), "{figures:?}");
        }
        assert!(run(&stage, &load("connections = 1\nusers = 1\nseconds = 0.1\ncommands = ['NONSENSE']")).is_err());
    }

    /// A server that stops for a while makes the commands late that were due meanwhile, not only the one that was under way.
    #[test]
    fn lateness_of_all_that_was_due_is_counted() {
        let load = load("connections = 1\nusers = 1\nseconds = 1.0\nrate = 100.0\ncommands = ['NOOP']");
        let job = Rc::new(RefCell::new(Job::new(&load)));
        let mut player = Player::new(0, &load, &job);
        (player.greeted, player.answered) = (true, player.opening.len());
        let long_ago = Instant::now().checked_sub(Duration::from_secs(2)).expect("the clock runs");
        job.borrow_mut().begin(&load, long_ago);
        let mut out = Vec::new();
        player.woken(&mut out);
        assert_eq!(player.sent, 1);
        for _ in 0..50 {
            assert_eq!(player.feed(&mut b"a OK\r\n".to_vec(), &mut out), Ok(Next::Go));
        }
        assert!(job.borrow().latencies.ms(0.5) > 1000.0, "{}", job.borrow().latencies.ms(0.5));
        // However long the answers take, no more is sent than was due in the second that it lasts.
        while !player.due.is_empty() || player.sent < 100 {
            player.woken(&mut out);
            assert_eq!(player.feed(&mut b"a OK\r\n".to_vec(), &mut out), Ok(Next::Go));
        }
        assert_eq!((player.sent, job.borrow().latencies.count(), player.alarm()), (100, 100, None));
    }
}
