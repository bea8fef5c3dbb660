//! Very many accounts on one machine: what each costs on disk and in memory, and what a start, a login and a crash cost with them.

use std::cell::RefCell;
use std::fs;
use std::net::SocketAddr;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::thread;
use std::time::{Duration, Instant};

use clap::Args;
use skein_testkit::server::{PASSWORD, set};
use skein_testkit::{Server, adm, imap, mail, process};

use crate::crowd::{self, Machine, Next};
use crate::ledger::{self, Row, short};
use crate::lmtp::stuffed;
use crate::meter::forget_pages;
use crate::metrics;

/// Recipients of a message, and connections that deliver.
const RECIPIENTS: usize = 1;
const CONNECTIONS: usize = 50;
/// Logins under way at once, and in a batch, whose connections stay open until it ends.
const OPENING_MAX: usize = 20;
const BATCH: usize = 4000;
/// Nothing drains for so long is a stall.
const STALL: Duration = Duration::from_secs(120);

/// Small: what is left in the segments that are written to is little beside all.
const SEGMENT_BYTES: u64 = 4 << 20;
const SHARDS: f64 = 2.0;

/// How many.
#[derive(Clone, Debug, Args)]
pub struct Load {
    /// Accounts on disk.
    #[arg(long, default_value_t = 1_000_000)]
    pub accounts: usize,
    /// Accounts that are opened, and stay open.
    #[arg(long, default_value_t = 100_000)]
    pub open: usize,
    /// Messages that each account has.
    #[arg(long, default_value_t = 1)]
    pub messages: usize,
    /// Size of a message in bytes.
    #[arg(long, default_value_t = 4096)]
    pub bytes: usize,
    /// MiB of log that is not drained when the server is killed.
    #[arg(long, default_value_t = 1024)]
    pub undrained: usize,
    /// Where the server has its data; it is left there. Without it: in a temporary folder.
    #[arg(long)]
    pub folder: Option<PathBuf>,
    /// Appends the figures to the ledger.
    #[arg(long)]
    pub ledger: bool,
}

/// Figures, printed as they come.
#[derive(Default)]
struct Figures(Vec<Row>);

impl Figures {
    fn add(&mut self, question: &str, value: f64) {
        println!("{question}: {}", short(value));
        let (server, question) = (format!("skein {}", env!("CARGO_PKG_VERSION")), question.to_owned());
        self.0.push(Row { server, question, median: value, rounds: vec![value] });
    }
}

/// Makes them, and measures.
///
/// # Errors
/// A refusal, a broken connection, a stall.
pub fn run(load: &Load) -> Result<(), String> {
    process::raise_open_files();
    let mut figures = Figures::default();
    let mut server = Server::start_changed(|settings, folder| configured(&settings, folder, load));
    let count = load.accounts as f64;
    println!("{} accounts with {} messages of {} bytes", load.accounts, load.messages, load.bytes);

    let (began, before) = (Instant::now(), process::cpu_seconds(server.pid()));
    for _ in 0..load.messages {
        deliver(server.ports().lmtp, load.accounts, load.bytes)?;
    }
    let cpu = process::cpu_seconds(server.pid()) - before;
    figures
        .add("accounts: deliveries/s to different users", count * load.messages as f64 / began.elapsed().as_secs_f64());
    figures.add("accounts: server CPU, us a delivery", cpu * 1e6 / (count * load.messages as f64));
    drained(&server, SEGMENT_BYTES)?;
    figures.add("accounts: s until all of it is drained", began.elapsed().as_secs_f64());
    figures.add("accounts: resident MiB after that", mib(process::memory(server.pid()).rss_bytes));
    let began = Instant::now();
    if !server.stop().success() {
        return Err("the server did not stop well".to_owned());
    }
    figures.add("accounts: s to stop", began.elapsed().as_secs_f64());
    let data = data(&server, load);
    let (bytes, inodes) = usage(&data);
    figures.add("accounts: KiB on disk an account", bytes as f64 / 1024.0 / count);
    figures.add("accounts: inodes an account", inodes as f64 / count);

    // Now they stay open.
    server.change_settings(|settings| {
        let settings = set(&settings, "store", "account_idle_seconds", "86400");
        set(&settings, "store", "memory_bytes", &(16_u64 << 30).to_string())
    });
    forget_pages();
    let began = Instant::now();
    server.restart();
    first_login(server.ports().imap)?;
    figures.add("accounts: s from a start to the first login", began.elapsed().as_secs_f64());
    figures.add("accounts: resident MiB after it", mib(process::memory(server.pid()).rss_bytes));
    let began = Instant::now();
    adm::good(&server, "stats");
    figures.add("accounts: s of adm stats", began.elapsed().as_secs_f64());
    let before = process::memory(server.pid()).rss_bytes;
    let (began, mut times) = (Instant::now(), open(server.ports().imap, load)?);
    let seconds = began.elapsed().as_secs_f64();
    times.sort_by(f64::total_cmp);
    let at = |part: f64| times[((times.len() - 1) as f64 * part) as usize];
    figures.add("accounts: sessions/s, each in an account of its own", load.open as f64 / seconds);
    figures.add("accounts: ms from connecting to the mail of a cold account, p50", at(0.5));
    figures.add("accounts: the same, p99", at(0.99));
    figures.add("accounts: open at once", gauge(&server, "skein_accounts_open")?);
    let grown = process::memory(server.pid()).rss_bytes.saturating_sub(before);
    figures.add("accounts: resident KiB an open account", grown as f64 / 1024.0 / load.open as f64);
    figures.add("accounts: resident MiB with them open", mib(process::memory(server.pid()).rss_bytes));
    let began = Instant::now();
    let listed = adm::good(&server, "user list").lines().count().saturating_sub(1);
    figures.add("accounts: s of adm user list", began.elapsed().as_secs_f64());
    if listed != load.accounts {
        return Err(format!("adm user list has {listed} users"));
    }
    figures.add("accounts: resident MiB after it", mib(process::memory(server.pid()).rss_bytes));

    if load.undrained > 0 {
        server.change_settings(|settings| set(&settings, "store", "log_keep_bytes", &(1_u64 << 40).to_string()));
        if !server.stop().success() {
            return Err("the server did not stop well".to_owned());
        }
        server.restart();
        let messages = load.undrained * 1024 * 1024 / UNDRAINED_BYTES;
        for _ in 0..messages.div_ceil(load.accounts / RECIPIENTS * RECIPIENTS) {
            deliver(server.ports().lmtp, messages.min(load.accounts), UNDRAINED_BYTES)?;
        }
        let kept = gauge(&server, "skein_log_kept_bytes")?;
        server.kill();
        forget_pages();
        let began = Instant::now();
        server.restart();
        first_login(server.ports().imap)?;
        figures.add("accounts: MiB of log that a start after kill -9 reads", kept / f64::from(1 << 20));
        figures.add("accounts: s from that start to the first login", began.elapsed().as_secs_f64());
        figures.add("accounts: resident MiB after it", mib(process::memory(server.pid()).rss_bytes));
    }
    server.stop();
    if load.ledger {
        println!("appended to {}", ledger::append(&figures.0)?);
    }
    Ok(())
}

/// Size of the messages that are not drained: each recipient's is a record of its own.
const UNDRAINED_BYTES: usize = 10 * 1024;

fn mib(bytes: u64) -> f64 {
    bytes as f64 / f64::from(1 << 20)
}

fn user(number: usize) -> String {
    format!("user{number}")
}

/// A passwd-file with all of them, and a log that is drained at once.
fn configured(settings: &str, folder: &Path, load: &Load) -> String {
    let users: String = (0..load.accounts).map(|n| format!("{}:{{PLAIN}}{PASSWORD}\n", user(n))).collect();
    fs::write(folder.join("users"), users).expect("the folder is ours");
    let settings = settings.replace("sources = [", "sources = [{ driver = \"passwd-file\", path = \"users\" }, ");
    let settings = set(&settings, "store", "log_keep_bytes", "0");
    let settings = set(&settings, "store", "segment_bytes", &SEGMENT_BYTES.to_string());
    let settings = set(&settings, "log", "level", "\"warn\"");
    let settings = format!("shards = {SHARDS}\n{settings}");
    match &load.folder {
        None => settings,
        Some(folder) => {
            let (before, after) = settings.split_once("data_dir = ").expect("it is set");
            let (_, after) = after.split_once('\n').expect("a line");
            format!("{before}data_dir = {folder:?}\n{after}")
        }
    }
}

fn data(server: &Server, load: &Load) -> PathBuf {
    load.folder.clone().unwrap_or_else(|| server.folder().join("data"))
}

/// One message for each of the first `users`.
fn deliver(addr: SocketAddr, users: usize, bytes: usize) -> Result<(), String> {
    let text = stuffed(&mail::sized("accounts", bytes));
    let next = Rc::new(RefCell::new(0));
    let machines =
        (0..CONNECTIONS).map(|_| Bulk { next: next.clone(), users, text: text.clone(), awaited: Awaited::Greeting });
    crowd::run(addr, machines.collect(), CONNECTIONS).map(drop)
}

enum Awaited {
    Greeting,
    Hello,
    /// MAIL and RCPT replies still to come, then DATA's; the recipients.
    Envelope(usize, usize),
    /// Replies for recipients still to come.
    Message(usize),
    Quit,
}

struct Bulk {
    next: Rc<RefCell<usize>>,
    users: usize,
    text: Vec<u8>,
    awaited: Awaited,
}

impl Machine for Bulk {
    fn line(&mut self, line: &str, out: &mut Vec<u8>) -> Result<Next, String> {
        if line.as_bytes().get(3) == Some(&b'-') {
            return Ok(Next::Go);
        }
        let expected = match self.awaited {
            Awaited::Greeting => "220",
            Awaited::Envelope(0, _) => "354",
            Awaited::Quit => return Ok(Next::Done),
            Awaited::Hello | Awaited::Envelope(..) | Awaited::Message(_) => "250",
        };
        if !line.starts_with(expected) {
            return Err(format!("expected {expected}, got {line}"));
        }
        self.awaited = match self.awaited {
            Awaited::Greeting => {
                out.extend_from_slice(b"LHLO load\r\n");
                Awaited::Hello
            }
            Awaited::Envelope(0, recipients) => {
                out.extend_from_slice(&self.text);
                Awaited::Message(recipients)
            }
            Awaited::Envelope(left, recipients) => Awaited::Envelope(left - 1, recipients),
            Awaited::Message(left) if left > 1 => Awaited::Message(left - 1),
            Awaited::Hello | Awaited::Message(_) => self.envelope(out),
            Awaited::Quit => Awaited::Quit,
        };
        Ok(Next::Go)
    }
}

impl Bulk {
    fn envelope(&mut self, out: &mut Vec<u8>) -> Awaited {
        let mut next = self.next.borrow_mut();
        let (first, end) = (*next, (*next + RECIPIENTS).min(self.users));
        *next = end;
        if first == end {
            out.extend_from_slice(b"QUIT\r\n");
            return Awaited::Quit;
        }
        out.extend_from_slice(b"MAIL FROM:<sender@example.org>\r\n");
        (first..end).for_each(|n| out.extend_from_slice(format!("RCPT TO:<{}>\r\n", user(n)).as_bytes()));
        out.extend_from_slice(b"DATA\r\n");
        Awaited::Envelope(end - first + 1, end - first)
    }
}

/// Waits until no segment of the log but the open ones is left.
pub fn drained(server: &Server, segment_bytes: u64) -> Result<(), String> {
    let (mut least, mut since) = (f64::MAX, Instant::now());
    loop {
        let kept = gauge(server, "skein_log_kept_bytes")?;
        // Those that are written to stay.
        if kept < SHARDS * segment_bytes as f64 {
            return Ok(());
        }
        if kept < least {
            (least, since) = (kept, Instant::now());
        }
        if since.elapsed() > STALL {
            return Err(format!("{kept} bytes of log are not drained"));
        }
        thread::park_timeout(Duration::from_millis(500));
    }
}

/// The sum of a gauge over the shards.
fn gauge(server: &Server, name: &str) -> Result<f64, String> {
    metrics::read(server.ports().http).map(|metrics| metrics::sum(&metrics, name))
}

/// Bytes on disk and inodes under `folder`.
pub fn usage(folder: &Path) -> (u64, u64) {
    let mut sum = (0, 0);
    let Ok(entries) = fs::read_dir(folder) else { return sum };
    for entry in entries.flatten() {
        let Ok(meta) = entry.metadata() else { continue };
        sum = (sum.0 + meta.blocks() * 512, sum.1 + 1);
        if meta.is_dir() {
            let below = usage(&entry.path());
            sum = (sum.0 + below.0, sum.1 + below.1);
        }
    }
    sum
}

fn first_login(addr: SocketAddr) -> Result<(), String> {
    let failed = |e: std::io::Error| format!("login: {e}");
    let mut client = imap::Client::connect(addr).map_err(failed)?;
    let reply = client.login(&user(0), PASSWORD).map_err(failed)?;
    if !reply.is_ok() {
        return Err(format!("login: {reply:?}"));
    }
    let reply = client.command("SELECT INBOX").map_err(failed)?;
    reply.exists().filter(|count| *count > 0).map(drop).ok_or_else(|| format!("SELECT: {reply:?}"))
}

/// Milliseconds of each session.
fn open(addr: SocketAddr, load: &Load) -> Result<Vec<f64>, String> {
    let times = Rc::new(RefCell::new(Vec::with_capacity(load.open)));
    let step = (load.accounts / load.open).max(1);
    for first in (0..load.open).step_by(BATCH) {
        let some = first..(first + BATCH).min(load.open);
        let machines = some.map(|n| Reader { user: n * step, step: 0, began: Instant::now(), times: times.clone() });
        crowd::run(addr, machines.collect(), OPENING_MAX)?;
    }
    Ok(times.take())
}

struct Reader {
    user: usize,
    step: usize,
    began: Instant,
    times: Rc<RefCell<Vec<f64>>>,
}

impl Machine for Reader {
    fn line(&mut self, line: &str, out: &mut Vec<u8>) -> Result<Next, String> {
        let expected = ["* OK", "a1 OK", "a2 OK", "a3 OK", "a4 OK"][self.step];
        if !line.starts_with(expected) {
            let refused = [" NO ", " BAD "].iter().any(|word| line.contains(word));
            return if refused { Err(line.to_owned()) } else { Ok(Next::Go) };
        }
        let command = match self.step {
            0 => {
                self.began = Instant::now();
                format!("a1 LOGIN {} {PASSWORD}\r\n", user(self.user))
            }
            1 => "a2 SELECT INBOX\r\n".to_owned(),
            2 => "a3 FETCH 1 (FLAGS BODY.PEEK[])\r\n".to_owned(),
            3 => {
                self.times.borrow_mut().push(self.began.elapsed().as_secs_f64() * 1000.0);
                "a4 LOGOUT\r\n".to_owned()
            }
            _ => return Ok(Next::Done),
        };
        out.extend_from_slice(command.as_bytes());
        self.step += 1;
        Ok(Next::Go)
    }
}
