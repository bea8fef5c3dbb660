//! Why a folder can not be read or written.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

/// Why not, and where.
#[derive(Debug)]
pub enum MigrateError {
    /// The system refuses.
    Io {
        /// What was to be read or written.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// Larger than the limit.
    TooBig {
        /// What is.
        path: PathBuf,
        /// The limit, in bytes or in folders.
        max: u64,
    },
    /// A file does not hold what its name promises.
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong, and how to go on.
        what: &'static str,
    },
}

impl MigrateError {
    pub(crate) fn io(path: &Path) -> impl FnOnce(io::Error) -> MigrateError {
        let path = path.to_owned();
        move |error| MigrateError::Io { path, error }
    }
}

impl fmt::Display for MigrateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            MigrateError::Io { path, error } => write!(f, "{}: {error}", path.display()),
            MigrateError::TooBig { path, max } => write!(f, "{}: larger than {max}", path.display()),
            MigrateError::Damaged { path, what } => write!(f, "{}: {what}", path.display()),
        }
    }
}

impl std::error::Error for MigrateError {}
