//! A long run: imaptest, deliveries and readers who tidy up, while memory and disk are watched. Flat lines are the answer.

use std::fmt;
use std::fs;
use std::io::Write;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::thread;
use std::time::{Duration, Instant};

use clap::Args;
use skein_testkit::random::Random;
use skein_testkit::server::PASSWORD;
use skein_testkit::{Server, imap, lmtp, mail, process};

use crate::chart;
use crate::imaptest;

/// Users of imaptest are below this one, users of deliveries from it on: neither meets the other's mail.
const FIRST_USER: usize = 101;
/// Different message texts.
const TEXTS: usize = 64;
/// The second and the last quarter of a run may differ by so much: the first is the caches' filling.
const GROWTH_MAX: f64 = 1.15;
/// Seconds between two looks at the machine, and a look that takes so long is told.
const LOOK: Duration = Duration::from_millis(250);
const LATE: Duration = Duration::from_secs(1);

/// How long and how hard.
#[derive(Clone, Debug, Args)]
pub struct Load {
    /// Seconds.
    #[arg(long, default_value_t = 7200)]
    pub secs: u32,
    /// Seconds between two samples.
    #[arg(long, default_value_t = 15)]
    pub sample_secs: u32,
    /// Clients of imaptest.
    #[arg(long, default_value_t = 20)]
    pub clients: usize,
    /// Deliveries a second.
    #[arg(long, default_value_t = 100)]
    pub rate: u32,
    /// Users who get them.
    #[arg(long, default_value_t = 50)]
    pub users: usize,
    /// Messages that a reader leaves in an INBOX.
    #[arg(long, default_value_t = 200)]
    pub keep: usize,
    /// Where the samples (NAME.tsv) and the plot (NAME.svg) go.
    #[arg(long, default_value = "perf/results/soak")]
    pub out: PathBuf,
}

/// One look at the server.
#[derive(Clone, Copy, Debug)]
pub struct Sample {
    /// Seconds since the start.
    pub at: f64,
    /// Resident memory, bytes.
    pub rss: u64,
    /// The data folder, bytes on disk.
    pub disk: u64,
    /// Its log alone.
    pub log: u64,
    /// Messages delivered so far.
    pub delivered: u64,
    /// Messages expunged so far.
    pub expunged: u64,
}

/// What the loads share.
#[derive(Default)]
struct Tally {
    stop: AtomicBool,
    delivered: AtomicU64,
    expunged: AtomicU64,
}

/// Runs it against a server of its own.
///
/// # Errors
/// An error line, a load that broke, or a line that is not flat.
pub fn run(load: &Load) -> Result<(), String> {
    let server = Server::start();
    let tally = Arc::new(Tally::default());
    let (alarm, alarms) = mpsc::channel();
    let began = Instant::now();
    let ports = server.ports();
    let mut workers = vec![
        worker(&alarm, deliveries(ports.lmtp, load.clone(), tally.clone())),
        worker(&alarm, readers(ports.imap, load.clone(), tally.clone())),
    ];
    let stress = imaptest::Load { clients: load.clients, users: 20, secs: load.secs, more: vec!["own_flags".into()] };
    let (addr, pid) = (ports.imap, server.pid());
    if imaptest::program().is_some() {
        workers.push(worker(&alarm, move || errors_of(imaptest::run(addr, pid, &stress))));
    } else {
        eprintln!("imaptest is not installed (set IMAPTEST): its part is left out");
    }
    let folder = server.folder().to_owned();
    workers.push(worker(&alarm, witness(folder.join("witness"), load.clone(), tally.clone())));
    let samples = watch(&server, load, &tally, began, &alarms)?;
    tally.stop.store(true, Ordering::Relaxed);
    for worker in workers {
        worker.join().map_err(|_| "a load panicked")?;
    }
    if let Some(why) = alarms.try_iter().next() {
        return Err(why);
    }
    write_out(load, &samples)?;
    judge(&samples)
}

fn errors_of(report: Result<imaptest::Report, String>) -> Result<(), String> {
    let report = report?;
    println!("{report}");
    report.errors.first().map_or(Ok(()), |line| Err(line.clone()))
}

/// Runs a load in a thread of its own; its failure is an alarm.
fn worker(
    alarm: &Sender<String>,
    load: impl FnOnce() -> Result<(), String> + Send + 'static,
) -> thread::JoinHandle<()> {
    let alarm = alarm.clone();
    thread::spawn(move || {
        if let Err(why) = load() {
            let _the_run_may_be_over = alarm.send(why);
        }
    })
}

/// Delivers at the given rate, one message after the other.
fn deliveries(addr: std::net::SocketAddr, load: Load, tally: Arc<Tally>) -> impl FnOnce() -> Result<(), String> {
    move || {
        let texts: Vec<Vec<u8>> = (0..TEXTS).map(|n| mail::sized(&format!("soak-{n}"), 2048 << (n % 4))).collect();
        let mut random = Random::new(1);
        let mut client = lmtp::Client::connect(addr).map_err(|e| format!("LMTP: {e}"))?;
        let (pause, began) = (Duration::from_secs(1) / load.rate, Instant::now());
        for number in 0.. {
            if tally.stop.load(Ordering::Relaxed) || began.elapsed() > Duration::from_secs(u64::from(load.secs)) {
                return Ok(());
            }
            let user = Server::user(FIRST_USER + random.below(load.users));
            let answers = client.deliver(&[&user], &texts[random.below(TEXTS)]).map_err(|e| format!("LMTP: {e}"))?;
            if !answers.iter().all(|a| a.code == 250) {
                return Err(format!("a delivery was answered with {answers:?}"));
            }
            tally.delivered.fetch_add(1, Ordering::Relaxed);
            wait((pause * number).saturating_sub(began.elapsed()));
        }
        unreachable!("the numbers do not end")
    }
}

/// Reads what came, user after user, and expunges all but the newest.
fn readers(addr: std::net::SocketAddr, load: Load, tally: Arc<Tally>) -> impl FnOnce() -> Result<(), String> {
    move || {
        let began = Instant::now();
        for user in (0..load.users).cycle() {
            if tally.stop.load(Ordering::Relaxed) || began.elapsed() > Duration::from_secs(u64::from(load.secs)) {
                return Ok(());
            }
            let user = Server::user(FIRST_USER + user);
            let expunged = tidy(addr, &user, load.keep).map_err(|e| format!("IMAP of {user}: {e}"))?;
            tally.expunged.fetch_add(expunged, Ordering::Relaxed);
            wait(Duration::from_millis(100));
        }
        Ok(())
    }
}

fn tidy(addr: std::net::SocketAddr, user: &str, keep: usize) -> Result<u64, String> {
    let text = |e: std::io::Error| e.to_string();
    let mut client = imap::Client::connect(addr).map_err(text)?;
    let ask = |client: &mut imap::Client, words: &str| {
        let reply = client.command(words).map_err(text)?;
        if reply.is_ok() { Ok(reply) } else { Err(format!("{words}: {reply:?}")) }
    };
    if !client.login(user, PASSWORD).map_err(text)?.is_ok() {
        return Err("no login".into());
    }
    ask(&mut client, "SELECT INBOX")?;
    // By UID: a sequence set can not name anything in an empty mailbox.
    let found = ask(&mut client, "UID FETCH 1:* (UID FLAGS ENVELOPE)")?.fetches().len();
    let surplus = found.saturating_sub(keep);
    if surplus > 0 {
        ask(&mut client, &format!("FETCH 1:{surplus} (BODY.PEEK[])"))?;
        ask(&mut client, &format!("STORE 1:{surplus} +FLAGS.SILENT (\\Deleted)"))?;
        ask(&mut client, "EXPUNGE")?;
    }
    ask(&mut client, "LOGOUT").ok();
    Ok(surplus as u64)
}

/// Looks at the machine beside the server: whether a thread that only sleeps wakes in time, and how long a small write
/// takes to reach the disk. When a client waits, this says whether the machine made it.
fn witness(path: PathBuf, load: Load, tally: Arc<Tally>) -> impl FnOnce() -> Result<(), String> {
    move || {
        let file = fs::File::create(&path).map_err(|e| format!("{}: {e}", path.display()))?;
        let began = Instant::now();
        while !tally.stop.load(Ordering::Relaxed) && began.elapsed() < Duration::from_secs(u64::from(load.secs)) {
            let asleep = Instant::now();
            wait(LOOK);
            let awake = Instant::now();
            file.write_all_at(&[0; 512], 0).and_then(|()| file.sync_all()).map_err(|e| e.to_string())?;
            let (slept, synced) = (awake - asleep, awake.elapsed());
            if slept > LOOK + LATE || synced > LATE {
                eprintln!(
                    "{:.0} s: slept {slept:.1?} for {LOOK:?}, a sync took {synced:.1?}",
                    began.elapsed().as_secs_f64()
                );
            }
        }
        Ok(())
    }
}

/// Waits without holding anything.
fn wait(time: Duration) {
    let (_never, silence) = mpsc::channel::<()>();
    let _timeout = silence.recv_timeout(time);
}

/// Samples until the time is over.
fn watch(
    server: &Server,
    load: &Load,
    tally: &Tally,
    began: Instant,
    alarms: &Receiver<String>,
) -> Result<Vec<Sample>, String> {
    let data = server.folder().join("data");
    let mut samples = Vec::new();
    while began.elapsed() < Duration::from_secs(u64::from(load.secs)) {
        match alarms.recv_timeout(Duration::from_secs(u64::from(load.sample_secs))) {
            Ok(why) => return Err(why),
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return Err("every load has ended".into()),
        }
        let sample = Sample {
            at: began.elapsed().as_secs_f64(),
            rss: process::memory(server.pid()).rss_bytes,
            disk: disk_bytes(&data),
            log: disk_bytes(&data.join("log")),
            delivered: tally.delivered.load(Ordering::Relaxed),
            expunged: tally.expunged.load(Ordering::Relaxed),
        };
        eprintln!("{sample}");
        samples.push(sample);
    }
    Ok(samples)
}

impl fmt::Display for Sample {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Sample { at, rss, disk, log, delivered, expunged } = self;
        let mib = |bytes: &u64| bytes >> 20;
        write!(
            f,
            "{at:.0} s: {} MiB resident, {} MiB on disk, {} MiB of it log, {delivered} delivered, {expunged} expunged",
            mib(rss),
            mib(disk),
            mib(log)
        )
    }
}

/// Bytes that the files below a folder take on disk. Files come and go meanwhile.
fn disk_bytes(folder: &Path) -> u64 {
    use std::os::unix::fs::MetadataExt;
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let of = |entry: fs::DirEntry| match entry.file_type() {
        Ok(kind) if kind.is_dir() => disk_bytes(&entry.path()),
        Ok(_) => entry.metadata().map_or(0, |m| m.blocks() * 512),
        Err(_) => 0,
    };
    entries.map(of).sum()
}

fn write_out(load: &Load, samples: &[Sample]) -> Result<(), String> {
    let path = load.out.with_extension("tsv");
    let mut file = fs::File::create(&path).map_err(|e| format!("{}: {e}", path.display()))?;
    let mut lines = String::from("seconds\trss_bytes\tdisk_bytes\tlog_bytes\tdelivered\texpunged\n");
    for s in samples {
        lines += &format!("{:.0}\t{}\t{}\t{}\t{}\t{}\n", s.at, s.rss, s.disk, s.log, s.delivered, s.expunged);
    }
    file.write_all(lines.as_bytes()).map_err(|e| e.to_string())?;
    chart::draw(&load.out.with_extension("svg"), samples)?;
    println!("{} and its plot beside it", path.display());
    Ok(())
}

/// Whether memory and disk stay where they were after the first quarter.
fn judge(samples: &[Sample]) -> Result<(), String> {
    let quarter = samples.len() / 4;
    if quarter == 0 {
        return Err("too few samples to judge".into());
    }
    let mean = |part: &[Sample], of: fn(&Sample) -> u64| part.iter().map(of).sum::<u64>() as f64 / part.len() as f64;
    for (name, of) in [("memory", (|s| s.rss) as fn(&Sample) -> u64), ("disk", |s| s.disk)] {
        let before = mean(&samples[quarter..2 * quarter], of);
        let after = mean(&samples[samples.len() - quarter..], of);
        println!("{name}: {:.1} MiB in the second quarter, {:.1} in the last", before / 1048576.0, after / 1048576.0);
        if after > before * GROWTH_MAX {
            return Err(format!("{name} grows: by {:.0} % over half of the run", (after / before - 1.0) * 100.0));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn samples(rss: impl Fn(u64) -> u64) -> Vec<Sample> {
        let sample = |n| Sample { at: n as f64, rss: rss(n), disk: 1 << 30, log: 0, delivered: n, expunged: 0 };
        (0..40).map(sample).collect()
    }

    #[test]
    fn growth_is_told_from_filling() {
        assert_eq!(judge(&samples(|n| (n.min(9) + 1) << 20)), Ok(()));
        assert!(judge(&samples(|n| (n + 10) << 20)).unwrap_err().contains("memory grows"));
        assert!(judge(&samples(|_| 1)[..3]).is_err());
    }
}
