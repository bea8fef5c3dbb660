//! Idle clients: each logs in, opens INBOX, and waits in IDLE.

use std::fmt;
use std::thread;
use std::time::Duration;

use clap::Args;
use serde::Deserialize;
use skein_testkit::process;
use skein_testkit::server::PASSWORD;

use crate::crowd::{self, Door, Machine, Next};
use crate::scenario::Figures;
use crate::script::Tls;

/// Logins under way at once.
const OPENING_MAX: usize = 40;

/// How many wait.
#[derive(Clone, Debug, Args, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Load {
    /// Connections.
    #[arg(long, default_value_t = 2000)]
    pub connections: usize,
    /// Users, test1 to this one.
    #[arg(long, default_value_t = 200)]
    pub users: usize,
    /// Seconds between the last login and the measurement.
    #[arg(long, default_value_t = 5)]
    pub settle: u64,
    /// How they come.
    #[arg(skip)]
    #[serde(default)]
    pub tls: Tls,
}

/// What one of them costs.
#[derive(Clone, Debug)]
pub struct Report {
    /// Growth of the server's proportional set size for a connection.
    pub bytes: f64,
    /// Processes at the end.
    pub processes: usize,
}

impl Report {
    /// By their names.
    pub fn figures(&self) -> Figures {
        Figures::of([("bytes/connection", self.bytes), ("processes", self.processes as f64)])
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.0} bytes an idle connection, {} processes", self.bytes, self.processes)
    }
}

/// Opens them and measures.
///
/// # Errors
/// A refusal, a broken connection.
pub fn run(door: impl Into<Door>, pid: u32, load: &Load) -> Result<Report, String> {
    process::raise_open_files();
    let before = process::memory(pid);
    let machines = (0..load.connections).map(|n| Idler { user: n % load.users + 1, step: 0 }).collect();
    let crowd = crowd::run(door, machines, OPENING_MAX)?;
    // The server may hand memory back a moment later; nothing tells when.
    thread::park_timeout(Duration::from_secs(load.settle));
    let after = process::memory(pid);
    drop(crowd);
    let grown = after.pss_bytes.saturating_sub(before.pss_bytes);
    Ok(Report { bytes: grown as f64 / load.connections as f64, processes: after.processes })
}

struct Idler {
    user: usize,
    step: usize,
}

impl Machine for Idler {
    fn line(&mut self, line: &str, out: &mut Vec<u8>) -> Result<Next, String> {
        let expected = ["* OK", "a1 OK", "a2 OK", "+"][self.step];
        if !line.starts_with(expected) {
            let refused = [" NO ", " BAD ", "* BYE"].iter().any(|word| line.contains(word));
            return if refused { Err(line.to_owned()) } else { Ok(Next::Go) };
        }
        let command = match self.step {
            0 => format!("a1 LOGIN test{} {PASSWORD}\r\n", self.user),
            1 => "a2 SELECT INBOX\r\n".to_owned(),
            2 => "a3 IDLE\r\n".to_owned(),
            _ => return Ok(Next::Rest),
        };
        out.extend_from_slice(command.as_bytes());
        self.step += 1;
        Ok(Next::Go)
    }
}
