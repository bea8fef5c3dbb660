//! What a load cost: CPU of the server's process tree, flushes of the disks.

use std::fs;
use std::time::Instant;

use skein_testkit::process;

use crate::cgroup;

/// A reading to compare a later one with.
pub struct Meter {
    pid: u32,
    began: Instant,
    cpu_seconds: f64,
    flushes: u64,
}

/// What was used since.
#[derive(Clone, Copy, Debug)]
pub struct Used {
    /// Wall clock.
    pub seconds: f64,
    /// CPU of the server's process tree, user and system.
    pub cpu_seconds: f64,
    /// Flushes that all disks of the machine completed: syncs, as far as the kernel did not merge them.
    pub flushes: u64,
}

impl Meter {
    /// Begins to measure the process tree under `pid`.
    pub fn start(pid: u32) -> Meter {
        Meter { pid, began: Instant::now(), cpu_seconds: cpu_seconds(pid), flushes: flushes() }
    }

    /// What was used since the start.
    pub fn used(&self) -> Used {
        Used {
            seconds: self.began.elapsed().as_secs_f64(),
            cpu_seconds: cpu_seconds(self.pid) - self.cpu_seconds,
            flushes: flushes().saturating_sub(self.flushes),
        }
    }
}

/// The kernel forgets clean pages, folders and inodes: what follows reads from the disk.
pub fn forget_pages() {
    rustix::fs::sync();
    if let Err(error) = fs::write("/proc/sys/vm/drop_caches", "3") {
        println!("  the kernel's caches stay ({error}): what follows may be read from memory");
    }
}

/// Of the group that was put around it, else of the tree.
fn cpu_seconds(pid: u32) -> f64 {
    cgroup::cpu_seconds(pid).unwrap_or_else(|| process::cpu_seconds(pid))
}

/// Field 19 of `/proc/diskstats`: flush requests completed (kernel 5.5 and later), loop devices and partitions left out.
fn flushes() -> u64 {
    let stats = fs::read_to_string("/proc/diskstats").unwrap_or_default();
    let fields = stats.lines().map(|line| line.split_ascii_whitespace().collect::<Vec<_>>());
    let disks = fields.filter(|f| f.len() > 18 && fs::exists(format!("/sys/block/{}", f[2])).unwrap_or(false));
    disks.filter(|f| !f[2].starts_with("loop")).filter_map(|f| f[18].parse::<u64>().ok()).sum()
}
