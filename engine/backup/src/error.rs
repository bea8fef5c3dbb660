//! Why a backup is not taken, or not trusted.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

/// Why a backup is not taken, or not trusted.
#[derive(Debug)]
pub enum BackupError {
    /// The system refuses a file.
    Io {
        /// Which.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// The folder holds other things.
    NotABackup {
        /// Which.
        path: PathBuf,
    },
    /// Another program works on it.
    Locked {
        /// The folder.
        path: PathBuf,
    },
    /// A newer version wrote it.
    Format {
        /// The file.
        path: PathBuf,
        /// What it says.
        found: u32,
    },
    /// There is none of this account.
    NoBackup {
        /// Where it would be.
        path: PathBuf,
    },
    /// What is there is not what was written there.
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        why: String,
    },
    /// A file of the account is shorter than was said, or than before.
    Shrank {
        /// Which.
        path: PathBuf,
    },
}

impl BackupError {
    pub(crate) fn at(path: &Path) -> impl FnOnce(io::Error) -> BackupError + '_ {
        move |error| BackupError::Io { path: path.to_owned(), error }
    }

    pub(crate) fn damaged(path: &Path, why: impl Into<String>) -> BackupError {
        BackupError::Damaged { path: path.to_owned(), why: why.into() }
    }
}

impl fmt::Display for BackupError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            BackupError::Io { path, error } => write!(f, "{}: {error}", path.display()),
            BackupError::NotABackup { path } => {
                write!(f, "{} is no folder of backups: name one, or for a first backup an empty one", path.display())
            }
            BackupError::Locked { path } => write!(f, "another backup works on {}", path.display()),
            BackupError::Format { path, found } => write!(
                f,
                "{} has format {found}, this version reads up to {}: use a newer one",
                path.display(),
                crate::FORMAT
            ),
            BackupError::NoBackup { path } => write!(f, "no backup of this account: {} is not there", path.display()),
            BackupError::Damaged { path, why } => write!(f, "{} is damaged: {why}", path.display()),
            BackupError::Shrank { path } => write!(f, "{} is shorter than it was", path.display()),
        }
    }
}

impl std::error::Error for BackupError {}
