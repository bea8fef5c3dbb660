//! An installed imaptest: its rates, its error lines, and what it cost the server.

use std::env;
use std::fmt;
use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::process::{Command, Stdio};
use std::thread;
use std::time::Instant;

use clap::Args;
use serde::Deserialize;
use skein_testkit::process;
use skein_testkit::server::PASSWORD;

use crate::meter::Meter;
use crate::scenario::Figures;

/// What imaptest is told.
#[derive(Clone, Debug, Args, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Load {
    /// Clients.
    #[arg(long, default_value_t = 50)]
    pub clients: usize,
    /// Users, test1 to this one: few, so that clients meet.
    #[arg(long, default_value_t = 20)]
    pub users: usize,
    /// Seconds.
    #[arg(long, default_value_t = 30)]
    pub secs: u32,
    /// More words for imaptest, like own_flags or checkpoint=10.
    #[arg(last = true)]
    #[serde(default)]
    pub more: Vec<String>,
}

/// What came of it.
#[derive(Clone, Debug)]
pub struct Report {
    /// Commands that were answered.
    pub commands: u64,
    /// Commands a second.
    pub per_second: f64,
    /// Server CPU seconds for a thousand commands.
    pub cpu_per_1000: f64,
    /// CPU seconds of imaptest itself for a thousand commands: what it needs of the machine that the server lacks.
    pub own_cpu_per_1000: f64,
    /// Lines with errors and the second each came at, and how imaptest ended when it did not end well.
    pub errors: Vec<String>,
    /// Each command's name and count.
    pub totals: Vec<(String, u64)>,
}

impl Report {
    /// By their names.
    pub fn figures(&self) -> Figures {
        Figures::of([
            ("commands/s", self.per_second),
            ("server CPU s/1000 commands", self.cpu_per_1000),
            ("imaptest CPU s/1000 commands", self.own_cpu_per_1000),
            ("errors", self.errors.len() as f64),
        ])
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let totals: Vec<String> = self.totals.iter().map(|(name, count)| format!("{name} {count}")).collect();
        self.errors.iter().try_for_each(|line| writeln!(f, "{line}"))?;
        writeln!(f, "{}", totals.join(", "))?;
        let Report { commands, per_second, cpu_per_1000, .. } = self;
        write!(
            f,
            "{commands} commands, {per_second:.0}/s, {cpu_per_1000:.4} s server CPU per 1000, {} errors",
            self.errors.len()
        )
    }
}

/// Which program to run: `$IMAPTEST`, or the one on the path; `None` when there is none.
pub fn program() -> Option<String> {
    let name = env::var("IMAPTEST").unwrap_or_else(|_| "imaptest".into());
    let probe = Command::new(&name).arg("--help").stdout(Stdio::null()).stderr(Stdio::null()).status();
    probe.is_ok().then_some(name)
}

/// Runs it.
///
/// # Errors
/// When it is not there or prints no totals.
pub fn run(addr: SocketAddr, pid: u32, load: &Load) -> Result<Report, String> {
    let program = program().ok_or("imaptest is not installed: set IMAPTEST")?;
    let mut command = Command::new(program);
    command.args([format!("host={}", addr.ip()), format!("port={}", addr.port()), format!("pass={PASSWORD}")]);
    command.args([
        format!("clients={}", load.clients),
        format!("users=1-{}", load.users),
        format!("secs={}", load.secs),
    ]);
    command.args(["user=test%d", "random_msg_size=2000", "msgs=30", "seed=123"]).args(&load.more);
    let own = process::cpu_seconds(std::process::id());
    let meter = Meter::start(pid);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().map_err(|e| format!("imaptest: {e}"))?;
    let began = Instant::now();
    let (said, complained) = (child.stdout.take().ok_or("no output")?, child.stderr.take().ok_or("no output")?);
    let complaints = thread::spawn(move || lines(complained, began));
    let (text, mut errors) = lines(said, began);
    let (more_text, more_errors) = complaints.join().map_err(|_| "the reader of imaptest's complaints panicked")?;
    let status = child.wait().map_err(|e| format!("imaptest: {e}"))?;
    let (used, own) = (meter.used(), process::cpu_seconds(std::process::id()) - own);
    let text = text + &more_text;
    errors.extend(more_errors);
    let totals = totals(&text).ok_or_else(|| format!("imaptest printed no totals:\n{text}"))?;
    let commands: u64 = totals.iter().map(|(_, count)| count).sum();
    if !status.success() {
        errors.push(format!("imaptest ended with {status}"));
    }
    let per_1000 = 1000.0 / commands.max(1) as f64;
    let per_second = commands as f64 / f64::from(load.secs);
    let (cpu_per_1000, own_cpu_per_1000) = (used.cpu_seconds * per_1000, own * per_1000);
    Ok(Report { commands, per_second, cpu_per_1000, own_cpu_per_1000, errors, totals })
}

/// All that is said, and the lines with errors, each with its second, which are printed as they come.
fn lines(from: impl Read, began: Instant) -> (String, Vec<String>) {
    let (mut text, mut errors) = (String::new(), Vec::new());
    for line in BufReader::new(from).split(b'\n').map_while(Result::ok) {
        let line = String::from_utf8_lossy(&line);
        if is_error(&line) {
            let error = format!("{:.0} s: {line}", began.elapsed().as_secs_f64());
            eprintln!("{error}");
            errors.push(error);
        }
        text += &line;
        text.push('\n');
    }
    (text, errors)
}

fn is_error(line: &str) -> bool {
    ["Error", "Fatal", "Panic", "Warning"].iter().any(|word| line.starts_with(word)) || line.contains("stalled")
}

/// The table after `Totals:`: a line of names, lines of percentages, a line of counts.
fn totals(text: &str) -> Option<Vec<(String, u64)>> {
    let mut lines = text[text.rfind("Totals:")?..].lines().skip(1);
    let names: Vec<&str> = lines.next()?.split_ascii_whitespace().collect();
    let counts = lines.find_map(|line| {
        let numbers: Result<Vec<u64>, _> = line.split_ascii_whitespace().map(str::parse).collect();
        numbers.ok().filter(|n| n.len() >= names.len())
    })?;
    Some(names.into_iter().map(str::to_owned).zip(counts).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn totals_are_read() {
        let text = "x\nTotals:\nLogi List Stor \n100%  50%  50% \n           30% \n  12    6    3 \n\n";
        assert_eq!(totals(text), Some(vec![("Logi".into(), 12), ("List".into(), 6), ("Stor".into(), 3)]));
        assert_eq!(totals("nothing"), None);
        assert!(is_error("Error: user") && is_error(" - 3 stalled for 20 secs") && !is_error("  12  6  3"));
    }
}
