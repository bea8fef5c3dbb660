//! What the machine must allow, looked at before anything starts, with messages that name the fix.

use std::fmt;
use std::io;
use std::os::fd::OwnedFd;

use rustix::io::Errno;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::shards::ShardsConfig;

/// glommio refuses to start with less locked memory than this, whatever the user.
const MEMLOCK_FLOOR_BYTES: u64 = 512 << 10;
/// A ring of depth 128, measured on Linux 6.18; deeper rings grow in proportion.
const RING_BYTES_PER_128: u64 = 50 << 10;
/// Descriptors beside connections: rings, log segments, snapshots being opened, the side runtime.
const NOFILE_RESERVE: u64 = 512;
/// Where glommio looks for the machine's cores; it panics when there is nothing.
const CORES_FILE: &str = "/sys/devices/system/cpu/online";
/// CAP_IPC_LOCK of linux/capability.h.
const CAP_IPC_LOCK: u32 = 14;

/// Why the server can not run here.
#[derive(Debug)]
pub enum CheckError {
    /// `/proc/sys/kernel/io_uring_disabled` forbids io_uring.
    IoUringDisabled {
        /// The setting's value.
        setting: u8,
    },
    /// A seccomp filter, as container runtimes have by default, forbids io_uring.
    IoUringForbidden,
    /// The kernel has no io_uring.
    IoUringMissing(io::Error),
    /// Too little memory may be locked.
    Memlock {
        /// The hard limit in bytes.
        limit: u64,
        /// Bytes needed.
        need: u64,
        /// For this many shards.
        shards: usize,
    },
    /// A limit could not be raised to its own maximum.
    Limit(io::Error),
    /// The list of the machine's cores can not be read, so shards can not be pinned.
    Cores(io::Error),
}

impl fmt::Display for CheckError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            CheckError::IoUringDisabled { setting } => write!(
                f,
                "io_uring is switched off (kernel.io_uring_disabled = {setting}): run `sysctl kernel.io_uring_disabled=0`, \
                 and put that line into /etc/sysctl.d/ to keep it"
            ),
            CheckError::IoUringForbidden => f.write_str(
                "io_uring is forbidden to this process, most likely by a container's seccomp profile: allow io_uring_setup, \
                 io_uring_enter and io_uring_register there (docker: --security-opt seccomp=PROFILE)",
            ),
            CheckError::IoUringMissing(error) => {
                write!(f, "this kernel gives no io_uring ({error}): Linux 5.14 or newer with CONFIG_IO_URING is needed")
            }
            CheckError::Memlock { limit, need, shards } => write!(
                f,
                "{limit} bytes may be locked in memory, {need} are needed for {shards} shards: set LimitMEMLOCK=infinity \
                 in the systemd unit (shell: `ulimit -l unlimited`, docker: --ulimit memlock=-1), or use fewer shards"
            ),
            CheckError::Limit(error) => write!(f, "a resource limit can not be read or raised: {error}"),
            CheckError::Cores(error) => write!(
                f,
                "{CORES_FILE} can not be read ({error}), and shards are pinned to the cores it lists: mount sysfs there \
                 (`mount -t sysfs sys /sys`)"
            ),
        }
    }
}

impl std::error::Error for CheckError {}

/// Whether io_uring works here: makes a small ring and drops it.
///
/// # Errors
/// The reason why not, with the fix.
pub fn check_io_uring() -> Result<(), CheckError> {
    let setting = std::fs::read_to_string("/proc/sys/kernel/io_uring_disabled").unwrap_or_default();
    match (probe_ring(), setting.trim().parse::<u8>()) {
        (Ok(_ring), _) => Ok(()),
        (Err(_), Ok(setting)) if setting > 0 => Err(CheckError::IoUringDisabled { setting }),
        (Err(Errno::PERM | Errno::ACCESS), _) => Err(CheckError::IoUringForbidden),
        // A ring that memory is short for is memlock's business, and said better there.
        (Err(Errno::NOMEM), _) => Ok(()),
        (Err(errno), _) => Err(CheckError::IoUringMissing(errno.into())),
    }
}

/// Whether the machine tells its cores, as a bare chroot does not.
///
/// # Errors
/// It does not.
pub fn check_cores() -> Result<(), CheckError> {
    std::fs::read(CORES_FILE).map(drop).map_err(CheckError::Cores)
}

#[expect(unsafe_code, reason = "a raw system call without pointers into our memory but the parameters")]
fn probe_ring() -> Result<OwnedFd, Errno> {
    let mut parameters = rustix::io_uring::io_uring_params::default();
    // SAFETY: the kernel reads and writes only `parameters`, which is zeroed, of its own type and alive during the call;
    // with no flags set no field of it is a pointer.
    unsafe { rustix::io_uring::io_uring_setup(2, &mut parameters) }
}

/// Whether the process keeps the right to lock any memory while the shards run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Privileges {
    /// It stays who it is.
    Kept,
    /// It starts as root and becomes somebody else.
    GivenUp,
}

/// Raises the soft limit of locked memory to the hard one, and the hard one where root is about to be given up and may do
/// so, and checks that the shards fit.
///
/// # Errors
/// When they do not fit.
pub fn raise_memlock(config: &ShardsConfig, privileges: Privileges) -> Result<(), CheckError> {
    if privileges == Privileges::GivenUp {
        // A root without CAP_SYS_RESOURCE may not; then the limit is what it is.
        _ = setrlimit(Resource::Memlock, Rlimit { current: None, maximum: None });
    }
    let limit = raise(Resource::Memlock)?;
    let need = memlock_need(config, privileges == Privileges::Kept && may_lock_any());
    if limit < need {
        return Err(CheckError::Memlock { limit, need, shards: config.shard_count() });
    }
    Ok(())
}

/// Rings and their buffers, three times as the kernel counts the pages of registered buffers generously.
fn memlock_need(config: &ShardsConfig, unlimited: bool) -> u64 {
    if unlimited {
        return MEMLOCK_FLOOR_BYTES;
    }
    let ring = RING_BYTES_PER_128 * (config.ring_depth as u64).div_ceil(128);
    let shard = 3 * config.io_memory_bytes as u64 + ring;
    (shard * config.shard_count() as u64).max(MEMLOCK_FLOOR_BYTES)
}

fn may_lock_any() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("CapEff:"));
    let capabilities = line.and_then(|hex| u64::from_str_radix(hex.trim(), 16).ok()).unwrap_or(0);
    capabilities >> CAP_IPC_LOCK & 1 == 1
}

/// The descriptors this process may open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Nofile {
    /// After raising.
    pub limit: u64,
    /// How many connections fit beside the rest.
    pub connections_max: u64,
}

/// Raises the soft limit of open files to the hard one; warns in the log when the configured connections do not fit.
///
/// # Errors
/// When the limit can not be read.
pub fn raise_nofile(connections_wanted: u64) -> Result<Nofile, CheckError> {
    let limit = raise(Resource::Nofile)?;
    let nofile = Nofile { limit, connections_max: limit.saturating_sub(NOFILE_RESERVE) };
    if nofile.connections_max < connections_wanted {
        tracing::warn!(
            limit,
            connections_max = nofile.connections_max,
            connections_wanted,
            "fewer connections fit than configured: set LimitNOFILE=1048576 in the systemd unit (shell: `ulimit -n 1048576`)"
        );
    }
    Ok(nofile)
}

/// Soft to hard; the limit that holds now, `u64::MAX` for none.
fn raise(resource: Resource) -> Result<u64, CheckError> {
    let Rlimit { current, maximum } = getrlimit(resource);
    if current != maximum {
        setrlimit(resource, Rlimit { current: maximum, maximum }).map_err(|errno| CheckError::Limit(errno.into()))?;
    }
    Ok(maximum.unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_machine_passes_or_says_why() {
        check_io_uring().unwrap_or_else(|error| panic!("{error}"));
        check_cores().unwrap_or_else(|error| panic!("{error}"));
        raise_memlock(&ShardsConfig::for_tests(1), Privileges::Kept).unwrap_or_else(|error| panic!("{error}"));
        let files = raise_nofile(10).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(files.connections_max, files.limit.saturating_sub(NOFILE_RESERVE));
    }

    #[test]
    fn locked_memory_grows_with_the_shards() {
        let config = ShardsConfig { count: 16, ..ShardsConfig::default() };
        assert_eq!(memlock_need(&config, false), 16 * (3 * 1024 * 1024 + 200 * 1024));
        assert_eq!(memlock_need(&config, true), MEMLOCK_FLOOR_BYTES);
        assert_eq!(memlock_need(&ShardsConfig::for_tests(1), false), MEMLOCK_FLOOR_BYTES);
    }

    #[test]
    fn messages_name_the_fix() {
        let cases = [
            (CheckError::IoUringDisabled { setting: 2 }, "sysctl kernel.io_uring_disabled=0"),
            (CheckError::IoUringForbidden, "seccomp"),
            (CheckError::Memlock { limit: 1, need: 2, shards: 3 }, "LimitMEMLOCK=infinity"),
            (CheckError::Cores(io::ErrorKind::NotFound.into()), "mount -t sysfs"),
        ];
        for (error, fix) in cases {
            assert!(error.to_string().contains(fix), "{error}");
        }
    }
}
