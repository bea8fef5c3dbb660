//! What the process gives up before it serves, so that a hole in it is worth little.
//!
//! ```text
//! start     umask, no core files                                 at once
//! user      root ─▶ safety.user: groups, ids, capabilities       once ports are bound and keys are read
//! files     Landlock: the data folder; what is read, read-only   before any thread that serves exists
//! calls     seccomp: system calls never needed are refused       last
//! ```
//!
//! Threads inherit it all, so it is done on the main thread while it is the only one.

mod calls;
mod files;
mod user;

use skein_config::Config;
use std::path::PathBuf;
use std::{fmt, io};

pub(crate) use user::{Becoming, drop_capabilities};

/// What is in force, for the log.
#[derive(Debug)]
pub(crate) struct Confined {
    pub landlock: bool,
    pub seccomp: bool,
}

/// Files are for this user alone, and mail never lands in a core file.
pub(crate) fn begin(config: &Config) -> Result<(), ConfineError> {
    use rustix::process::{DumpableBehavior, Resource, Rlimit, set_dumpable_behavior, setrlimit};
    rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o077));
    if config.safety.core_dumps {
        return Ok(());
    }
    let none = Rlimit { current: Some(0), maximum: Some(0) };
    setrlimit(Resource::Core, none).map_err(|error| ConfineError::kernel("forbidding core files", error))?;
    set_dumpable_behavior(DumpableBehavior::NotDumpable)
        .map_err(|error| ConfineError::kernel("forbidding core files", error))
}

/// Gives up what serving does not need. Only threads started later are confined.
pub(crate) fn finish(config: &Config) -> Result<Confined, ConfineError> {
    rustix::thread::set_no_new_privs(true).map_err(|error| ConfineError::kernel("forbidding new privileges", error))?;
    if !rustix::process::geteuid().is_root() {
        user::drop_capabilities()?;
    }
    // The demo works in any folder anybody starts it in.
    let landlock = config.safety.landlock && !config.demo && files::restrict(config)?;
    let seccomp = config.safety.seccomp && calls::refuse()?;
    Ok(Confined { landlock, seccomp })
}

/// Why the process can not be confined as the settings ask.
#[derive(Debug)]
pub enum ConfineError {
    /// This machine has no such user.
    NoUser(String),
    /// This machine has no such group.
    NoGroup(String),
    /// Only root can become somebody else.
    NotRoot {
        /// Who should be become.
        user: String,
    },
    /// A part of the data folder can not be given to the user.
    Owner {
        /// Which.
        path: PathBuf,
        /// What the system said.
        error: io::Error,
    },
    /// The kernel refuses.
    Kernel {
        /// What was tried.
        what: &'static str,
        /// What it said.
        error: io::Error,
    },
}

impl ConfineError {
    fn kernel(what: &'static str, error: impl Into<io::Error>) -> ConfineError {
        ConfineError::Kernel { what, error: error.into() }
    }
}

impl fmt::Display for ConfineError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ConfineError::NoUser(user) => {
                write!(f, "safety.user: this machine has no user {user}: make it (`useradd --system {user}`)")
            }
            ConfineError::NoGroup(group) => {
                write!(f, "safety.group: this machine has no group {group}: make it (`groupadd --system {group}`)")
            }
            ConfineError::NotRoot { user } => write!(
                f,
                "safety.user is {user}, and only root can become somebody else: start as root or as {user}, or leave it empty"
            ),
            ConfineError::Owner { path, error } => {
                write!(f, "{} can not be given to safety.user: {error}", path.display())
            }
            ConfineError::Kernel { what, error } => write!(f, "{what}: {error}"),
        }
    }
}

impl std::error::Error for ConfineError {}

#[cfg(test)]
mod tests;
