//! What /proc says of a process and all that descend from it.

use std::collections::HashMap;
use std::fs;

use rustix::process::{Pid, Signal, kill_process};

/// Clock ticks of `/proc/PID/stat` in a second: fixed at 100 in the kernel's interface to user space.
const TICKS_PER_SECOND: f64 = 100.0;

/// The processes of the tree under `root`, `root` first; empty when it is gone.
pub fn tree(root: u32) -> Vec<u32> {
    let mut children: HashMap<u32, Vec<u32>> = HashMap::new();
    for (pid, stat) in all() {
        children.entry(stat.parent).or_default().push(pid);
    }
    let mut found = if is_alive(root) { vec![root] } else { vec![] };
    let mut at = 0;
    while at < found.len() {
        if let Some(more) = children.get(&found[at]) {
            found.extend(more);
        }
        at += 1;
    }
    found
}

/// True while `pid` runs; a zombie does not.
pub fn is_alive(pid: u32) -> bool {
    stat(pid).is_some_and(|s| s.state != b'Z')
}

/// Sends `signal`; a process that is already gone is fine.
pub fn signal(pid: u32, signal: Signal) {
    if let Some(pid) = Pid::from_raw(pid as i32) {
        let _gone_is_fine = kill_process(pid, signal);
    }
}

/// CPU seconds that the tree under `root` used so far, its ended and reaped children included.
pub fn cpu_seconds(root: u32) -> f64 {
    let ticks: u64 = tree(root).into_iter().filter_map(stat).map(|s| s.ticks).sum();
    ticks as f64 / TICKS_PER_SECOND
}

/// Memory of the tree under `root`.
#[derive(Clone, Copy, Debug, Default)]
pub struct Memory {
    /// Proportional set size: shared pages counted once over all that share them. Bytes.
    pub pss_bytes: u64,
    /// Resident set size. Bytes.
    pub rss_bytes: u64,
    /// The part of it that is no file's: what the kernel could not drop. Bytes.
    pub anonymous_bytes: u64,
    /// Processes of the tree.
    pub processes: usize,
}

/// Memory of the tree under `root` now.
pub fn memory(root: u32) -> Memory {
    let mut sum = Memory::default();
    for pid in tree(root) {
        let Ok(rollup) = fs::read_to_string(format!("/proc/{pid}/smaps_rollup")) else { continue };
        sum.pss_bytes += field_kib(&rollup, "Pss:") * 1024;
        sum.rss_bytes += field_kib(&rollup, "Rss:") * 1024;
        sum.anonymous_bytes += field_kib(&rollup, "Anonymous:") * 1024;
        sum.processes += 1;
    }
    sum
}

/// The most that process `pid` ever had resident. Bytes; 0 when it is gone.
pub fn peak_bytes(pid: u32) -> u64 {
    fs::read_to_string(format!("/proc/{pid}/status")).map_or(0, |status| field_kib(&status, "VmHWM:") * 1024)
}

/// Raises this process's limit of open files to what the system allows and returns it.
pub fn raise_open_files() -> u64 {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit { current: limit.maximum, maximum: limit.maximum };
    match setrlimit(Resource::Nofile, raised) {
        Ok(()) => limit.maximum.unwrap_or(u64::MAX),
        Err(_) => limit.current.unwrap_or(u64::MAX),
    }
}

struct Stat {
    state: u8,
    parent: u32,
    ticks: u64,
}

fn all() -> impl Iterator<Item = (u32, Stat)> {
    let names = fs::read_dir("/proc").into_iter().flatten().flatten();
    names.filter_map(|e| e.file_name().to_str()?.parse().ok()).filter_map(|pid| Some((pid, stat(pid)?)))
}

/// Fields after the name, which is in parentheses and may hold anything (proc_pid_stat(5)).
fn stat(pid: u32) -> Option<Stat> {
    let text = fs::read(format!("/proc/{pid}/stat")).ok()?;
    let name_end = text.iter().rposition(|&b| b == b')')?;
    let rest = std::str::from_utf8(text.get(name_end + 2..)?).ok()?;
    let fields: Vec<&str> = rest.split(' ').collect();
    let ticks = fields.get(11..15)?.iter().filter_map(|f| f.parse::<u64>().ok()).sum();
    Some(Stat { state: fields[0].as_bytes()[0], parent: fields[1].parse().ok()?, ticks })
}

fn field_kib(rollup: &str, name: &str) -> u64 {
    let line = rollup.lines().find_map(|l| l.strip_prefix(name));
    line.and_then(|l| l.trim().strip_suffix(" kB")?.parse().ok()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_is_seen() {
        let me = std::process::id();
        assert!(is_alive(me));
        assert_eq!(tree(me)[0], me);
        let memory = memory(me);
        assert!(memory.rss_bytes >= memory.pss_bytes && memory.pss_bytes > 0);
    }

    #[test]
    fn nothing_descends_from_nobody() {
        assert!(tree(u32::MAX >> 1).is_empty());
        assert_eq!(cpu_seconds(u32::MAX >> 1), 0.0);
    }
}
