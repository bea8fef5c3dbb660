//! What the kernel knows of this process, read when somebody asks. The names are those that Prometheus' own libraries use.

use skein_runtime::metrics::{self, Kind};
use std::fs;

/// Where the kernel tells of this process.
const STAT: &str = "/proc/self/stat";

pub(crate) fn collect() {
    let help = "The server's version.";
    metrics::collect("skein_build", help, Kind::Info, |samples| {
        samples.put(&[("version", env!("CARGO_PKG_VERSION"))], 1.0);
    });
    let help = "Memory of the process that is in RAM, maps of snapshots among it.";
    read("process_resident_memory_bytes", help, Kind::Gauge, |stat| stat.resident_bytes);
    let help = "Memory of the process by its address space.";
    read("process_virtual_memory_bytes", help, Kind::Gauge, |stat| stat.virtual_bytes);
    let help = "Time of all cores that the process has used.";
    read("process_cpu_seconds", help, Kind::Counter, |stat| stat.cpu_seconds);
    read("process_threads", "Threads of the process.", Kind::Gauge, |stat| stat.threads);
    let started = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).map_or(0.0, |at| at.as_secs_f64());
    let help = "When the server began, in seconds since 1970.";
    metrics::collect("process_start_time_seconds", help, Kind::Gauge, move |samples| samples.put(&[], started));
    metrics::collect("process_open_fds", "Open descriptors.", Kind::Gauge, |samples| {
        if let Ok(folder) = fs::read_dir("/proc/self/fd") {
            samples.put(&[], folder.count() as f64);
        }
    });
    metrics::collect("process_max_fds", "Descriptors the process may have open.", Kind::Gauge, |samples| {
        let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile);
        samples.put(&[], limit.current.map_or(f64::INFINITY, |max| max as f64));
    });
}

fn read(name: &'static str, help: &'static str, kind: Kind, part: fn(&Stat) -> f64) {
    metrics::collect(name, help, kind, move |samples| {
        if let Some(stat) = fs::read_to_string(STAT).ok().as_deref().and_then(parse) {
            samples.put(&[], part(&stat));
        }
    });
}

#[derive(PartialEq, Debug)]
struct Stat {
    cpu_seconds: f64,
    threads: f64,
    virtual_bytes: f64,
    resident_bytes: f64,
}

/// The fields of proc_pid_stat(5) behind the name, which may itself hold spaces and brackets.
fn parse(text: &str) -> Option<Stat> {
    let fields: Vec<&str> = text.rsplit_once(')')?.1.split_ascii_whitespace().collect();
    let number = |place: usize| fields.get(place - 3)?.parse::<f64>().ok();
    Some(Stat {
        cpu_seconds: (number(14)? + number(15)?) / rustix::param::clock_ticks_per_second() as f64,
        threads: number(20)?,
        virtual_bytes: number(23)?,
        resident_bytes: number(24)? * rustix::param::page_size() as f64,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernels_line_is_read_whatever_the_name() {
        let (ticks, page) = (rustix::param::clock_ticks_per_second(), rustix::param::page_size());
        let line = format!("7 (a) b) S 1 7 7 0 -1 4194304 1 0 0 0 {} {} 0 0 20 0 3 0 99 8192 5 1 1", 2 * ticks, ticks);
        let expect = Stat { cpu_seconds: 3.0, threads: 3.0, virtual_bytes: 8192.0, resident_bytes: 5.0 * page as f64 };
        assert_eq!(parse(&line), Some(expect));
        assert!(parse(&fs::read_to_string(STAT).unwrap()).is_some_and(|stat| stat.resident_bytes > 0.0));
        assert_eq!((parse("nothing"), parse("7 (a) S 1")), (None, None));
    }
}
