//! What can go wrong with the log.

use skein_base::{Class, LogPos};
use std::fmt;
use std::io;
use std::sync::Arc;

/// Why a record was not, or will not become, durable.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum LogError {
    /// A write or a sync failed. What was not acknowledged before is lost, and nothing is taken until [`Log::heal`]
    /// found the disk well again.
    ///
    /// [`Log::heal`]: crate::log::Log::heal
    Failed {
        /// `"create"`, `"write"` or `"sync"`.
        what: &'static str,
        /// The system's own word.
        error: Arc<str>,
    },
    /// The same, because the disk is full; or the little that is left is kept for changes that make room.
    Full {
        /// `"create"`, `"write"`, `"sync"`, or `"reserve"` when it is about what is left.
        what: &'static str,
        /// The system's own word.
        error: Arc<str>,
    },
    /// It can not go on before the log was read again from the start.
    Poisoned {
        /// What failed.
        what: &'static str,
        /// Why.
        error: Arc<str>,
    },
    /// What an account stands on was found damaged, and it is opened again from what is left; the log is well.
    Distrusted {
        /// What was found.
        why: Arc<str>,
    },
    /// The log was closed; nothing is accepted any more.
    Closed,
    /// A payload over [`crate::log::RECORD_BYTES_MAX`].
    TooBig {
        /// Bytes asked for.
        bytes: usize,
        /// Bytes allowed.
        max: usize,
    },
}

impl LogError {
    /// What kind of failure it is.
    pub fn class(&self) -> Class {
        match self {
            LogError::Full { .. } => Class::Full,
            LogError::Failed { .. } | LogError::Poisoned { .. } | LogError::Distrusted { .. } | LogError::Closed => {
                Class::Unavailable
            }
            LogError::TooBig { .. } => Class::TooBig,
        }
    }

    pub(super) fn failed(what: &'static str, error: &io::Error) -> LogError {
        let text = error.to_string().into();
        match is_full(error) {
            true => LogError::Full { what, error: text },
            false => LogError::Failed { what, error: text },
        }
    }
}

/// No bytes, no inodes, or the quota of the server's user.
pub(super) fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}

impl fmt::Display for LogError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            LogError::Full { what, error } => {
                write!(
                    f,
                    "the disk of the mail store is full ({what}: {error}); writes go on by themselves once there is room"
                )
            }
            LogError::Failed { what, error } => {
                write!(
                    f,
                    "the log refuses since its {what} failed: {error}; it goes on by itself once the disk is well"
                )
            }
            LogError::Poisoned { what, error } => {
                write!(f, "the log refuses since its {what} failed: {error}; restart to replay it")
            }
            LogError::Distrusted { why } => write!(f, "the account is opened again: {why}"),
            LogError::Closed => f.write_str("the log is closed"),
            LogError::TooBig { bytes, max } => write!(f, "a record of {bytes} bytes is over the limit of {max}"),
        }
    }
}

impl std::error::Error for LogError {}

/// Why bytes could not be read back.
#[derive(Debug)]
pub enum ReadError {
    /// The segment's file is gone.
    Missing {
        /// Its number.
        segment: u64,
    },
    /// What is there is not what was written there.
    Damaged {
        /// The record.
        at: LogPos,
    },
    /// A pack's file is gone.
    PackMissing {
        /// Its number.
        pack: u64,
    },
    /// What is there in a pack is not what was written there.
    PackDamaged {
        /// Its number.
        pack: u64,
        /// Start of the entry; 0 for the pack's header.
        offset: u64,
    },
    /// A newer version wrote a pack.
    PackVersion {
        /// Its number.
        pack: u64,
        /// The version.
        version: u32,
    },
    /// The dictionary that something was written with is gone or damaged, with its copy.
    DictionaryMissing {
        /// Its id.
        id: u32,
    },
    /// The address names storage this build does not have.
    Unsupported,
    /// The bytes never reached the disk.
    Log(LogError),
    /// The disk failed.
    Io(io::Error),
}

impl ReadError {
    /// Whether the bytes are gone or changed for good, rather than out of reach for now.
    pub fn is_damage(&self) -> bool {
        self.class() == Class::Damaged
    }

    /// What kind of failure it is.
    pub fn class(&self) -> Class {
        match self {
            ReadError::Missing { .. }
            | ReadError::Damaged { .. }
            | ReadError::PackMissing { .. }
            | ReadError::PackDamaged { .. }
            | ReadError::DictionaryMissing { .. }
            | ReadError::Unsupported => Class::Damaged,
            ReadError::PackVersion { .. } | ReadError::Log(_) | ReadError::Io(_) => Class::Unavailable,
        }
    }
}

impl fmt::Display for ReadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ReadError::Missing { segment } => write!(f, "log segment {segment:016x} is gone"),
            ReadError::Damaged { at } => {
                write!(f, "the record at {} of log segment {:016x} is damaged", at.offset, at.segment)
            }
            ReadError::PackMissing { pack } => write!(f, "pack {pack:x} is gone"),
            ReadError::PackDamaged { pack, offset } => write!(f, "the entry at {offset} of pack {pack:x} is damaged"),
            ReadError::PackVersion { pack, version } => {
                write!(f, "pack {pack:x} is of version {version}, which a newer Skein wrote")
            }
            ReadError::DictionaryMissing { id } => {
                write!(f, "dictionary {id:08x} is gone or damaged, and its copy too: put one back from a backup")
            }
            ReadError::Unsupported => f.write_str("the address names storage this version does not know"),
            ReadError::Log(error) => error.fmt(f),
            ReadError::Io(error) => write!(f, "reading the log: {error}"),
        }
    }
}

impl std::error::Error for ReadError {}

impl From<LogError> for ReadError {
    fn from(error: LogError) -> ReadError {
        ReadError::Log(error)
    }
}

impl From<io::Error> for ReadError {
    fn from(error: io::Error) -> ReadError {
        ReadError::Io(error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_disk_is_told_from_a_broken_one() {
        // ENOSPC stands for bytes and for inodes, EDQUOT for the quota of the server's user.
        for (errno, class) in [(28, Class::Full), (122, Class::Full), (5, Class::Unavailable), (30, Class::Unavailable)]
        {
            let error = LogError::failed("write", &io::Error::from_raw_os_error(errno));
            assert_eq!(error.class(), class, "errno {errno}");
        }
    }
}
