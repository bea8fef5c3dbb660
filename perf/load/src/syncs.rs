//! How often a server asked the disk to make something durable.
//!
//! Skein counts that itself, as its syncs go through io_uring where strace sees nothing; of Dovecot strace counts the calls.

use std::io::Read;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use rustix::process::Signal;
use skein_testkit::server::Kind;
use skein_testkit::{process, wait};

use crate::metrics;
use crate::stage::Stage;

const CALLS: &str = "fsync,fdatasync,sync_file_range,syncfs,sync,msync";
/// What Skein counts of its syncs.
const COUNTERS: [&str; 2] = ["skein_log_syncs_total", "skein_checkpoint_syncs_total"];

/// A count that has begun.
pub enum Syncs {
    /// The counters before.
    Counted(f64),
    /// The tracer.
    Traced(Child),
}

impl Syncs {
    /// Begins.
    ///
    /// # Errors
    /// No strace, no metrics.
    pub fn start(stage: &Stage) -> Result<Syncs, String> {
        if stage.kind() == Kind::Skein {
            return counted(stage).map(Syncs::Counted);
        }
        let mut strace = Command::new("strace");
        strace.args(["-f", "-c", "-U", "calls,name", "-e", &format!("trace={CALLS}")]);
        for pid in process::tree(stage.pid()) {
            strace.args(["-p", &pid.to_string()]);
        }
        strace.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        let tracer = strace.spawn().map_err(|e| format!("strace (apt-get install strace): {e}"))?;
        let is_traced = |pid: &u32| {
            let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
            !status.contains("TracerPid:\t0\n")
        };
        let attached = wait::until(wait::PATIENCE, || process::tree(stage.pid()).iter().all(is_traced));
        if attached { Ok(Syncs::Traced(tracer)) } else { Err("strace does not get hold of the server".to_owned()) }
    }

    /// Ends: the syncs since.
    ///
    /// # Errors
    /// As of the start.
    pub fn stop(self, stage: &Stage) -> Result<u64, String> {
        let mut tracer = match self {
            Syncs::Counted(before) => return counted(stage).map(|now| (now - before) as u64),
            Syncs::Traced(tracer) => tracer,
        };
        process::signal(tracer.id(), Signal::INT);
        let mut said = String::new();
        let output = tracer.stderr.take().ok_or("no output")?.read_to_string(&mut said);
        output.and_then(|_| tracer.wait()).map_err(|e| format!("strace: {e}"))?;
        Ok(total(&said))
    }
}

/// What a checkpoint or a delivery counts is told once a second.
fn counted(stage: &Stage) -> Result<f64, String> {
    std::thread::park_timeout(Duration::from_millis(1500));
    let metrics = metrics::read(stage.ports().http)?;
    Ok(COUNTERS.iter().map(|name| metrics::sum(&metrics, name)).sum())
}

/// The sum over the lines `calls name` of a summary.
fn total(summary: &str) -> u64 {
    let counts = summary.lines().filter_map(|line| {
        let (calls, name) = line.trim().split_once(char::is_whitespace)?;
        CALLS.split(',').any(|call| call == name.trim()).then(|| calls.parse::<u64>().ok())?
    });
    counts.sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_summary_is_added_up() {
        let said = "strace: Process 7 attached\n    calls syscall\n--------- ----------------\n      400 fsync\n       12 fdatasync\n      100 read\n--------- ----------------\n      512 total\n";
        assert_eq!(total(said), 412);
        assert_eq!(total(""), 0);
    }
}
