//! A control group around a server: its CPU in microseconds, that of processes that came and went included.
//!
//! The process tree alone shows hundredths of a second, and misses what a process used whose parent ended without waiting for it.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use skein_testkit::process;

/// Looks for processes that were forked while the others were moved.
const LOOKS: usize = 5;

/// Folders of groups begin so; a process in one of another kind is not ours to count.
const PREFIX: &str = "skein-load-";

/// A group; on drop it is removed when it is empty, which it is when its processes ended.
#[derive(Debug)]
pub struct Group(PathBuf);

impl Group {
    /// Puts the tree under `root` into a group of its own, with all that it will fork; `None` where this user or system has none,
    /// and the tree's own times are all there is.
    pub fn around(root: u32) -> Option<Group> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let name = format!("{PREFIX}{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let group = Group(mount(&fs::read_to_string("/proc/self/mounts").ok()?)?.join(name));
        fs::create_dir(&group.0).ok()?;
        group.enclose(root).ok()?;
        Some(group)
    }

    fn enclose(&self, root: u32) -> io::Result<()> {
        let processes = self.0.join("cgroup.procs");
        for _ in 0..LOOKS {
            let inside = fs::read_to_string(&processes)?;
            let inside: Vec<u32> = inside.lines().filter_map(|pid| pid.parse().ok()).collect();
            let outside: Vec<u32> = process::tree(root).into_iter().filter(|pid| !inside.contains(pid)).collect();
            if outside.is_empty() {
                return Ok(());
            }
            for pid in outside {
                match fs::write(&processes, pid.to_string()) {
                    // It ended meanwhile.
                    Err(error) if process::is_alive(pid) => return Err(error),
                    _ => {}
                }
            }
        }
        Err(io::Error::other("the server forks faster than its processes are moved"))
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        _ = fs::remove_dir(&self.0);
    }
}

/// CPU seconds of the group that [`Group::around`] made around `pid`; `None` when there is none.
pub fn cpu_seconds(pid: u32) -> Option<f64> {
    let groups = fs::read_to_string(format!("/proc/{pid}/cgroup")).ok()?;
    let group = groups.lines().find_map(|line| line.strip_prefix("0::/")).filter(|group| group.starts_with(PREFIX))?;
    let folder = mount(&fs::read_to_string("/proc/self/mounts").ok()?)?.join(group);
    usage(&fs::read_to_string(folder.join("cpu.stat")).ok()?)
}

/// Where the unified hierarchy (cgroups(7)) is mounted.
fn mount(mounts: &str) -> Option<PathBuf> {
    let fields = mounts.lines().map(|line| line.split(' ').collect::<Vec<_>>());
    fields.into_iter().find(|f| f.get(2) == Some(&"cgroup2")).map(|f| Path::new(f[1]).to_owned())
}

fn usage(stat: &str) -> Option<f64> {
    let us: f64 = stat.lines().find_map(|line| line.strip_prefix("usage_usec "))?.parse().ok()?;
    Some(us / 1e6)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::{Command, Stdio};

    #[test]
    fn what_the_kernel_says_is_read() {
        let mounts = "tmpfs /sys/fs/cgroup tmpfs rw 0 0\ncgroup /sys/fs/cgroup/cpu cgroup rw 0 0\nx /sys/fs/cgroup/unified cgroup2 rw 0 0\n";
        assert_eq!(mount(mounts), Some("/sys/fs/cgroup/unified".into()));
        assert_eq!(mount("cgroup /sys/fs/cgroup/cpu cgroup rw 0 0\n"), None);
        assert_eq!(usage("usage_usec 1500000\nuser_usec 1000000\n"), Some(1.5));
    }

    /// The shell's child ends, its own child is nobody's, and all of their time is still counted.
    #[test]
    fn time_of_orphans_that_ended_is_counted() {
        let script = "read go; (sh -c 'i=0; while [ $i -lt 200000 ]; do i=$((i+1)); done' & ); read on; read never";
        let mut shell = Command::new("sh").args(["-c", script]).stdin(Stdio::piped()).spawn().expect("a shell");
        let Some(group) = Group::around(shell.id()) else {
            println!("skipped: no control groups for this user");
            shell.kill().and_then(|()| shell.wait()).expect("our own child");
            return;
        };
        let before = cpu_seconds(shell.id()).expect("it is in the group");
        let mut input = shell.stdin.take().expect("piped");
        io::Write::write_all(&mut input, b"go\n").expect("it reads");
        let used = || cpu_seconds(shell.id()).expect("it is in the group") - before;
        let alone = || fs::read_to_string(group.0.join("cgroup.procs")).expect("the group").lines().count() == 1;
        assert!(skein_testkit::wait::until(skein_testkit::wait::PATIENCE, || used() > 0.02 && alone()), "{}", used());
        drop(input);
        shell.wait().expect("our own child");
    }
}
