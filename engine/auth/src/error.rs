//! What may be wrong with sources.

use std::fmt;
use std::io;
use std::path::PathBuf;

/// Why a password field of a file is of no use.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum HashError {
    /// Neither `{SCHEME}` nor one of the `$` forms of crypt(3).
    NoScheme,
    /// A scheme that is not known here.
    UnknownScheme(String),
    /// Not of the scheme's form.
    Malformed {
        /// The scheme.
        scheme: &'static str,
    },
    /// Takes more time or memory than a login may.
    TooCostly {
        /// The scheme.
        scheme: &'static str,
        /// What may be at most.
        max: &'static str,
    },
}

impl fmt::Display for HashError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            HashError::NoScheme => {
                f.write_str("the password has no scheme: write {PLAIN}, {ARGON2ID}, {BLF-CRYPT}, ... before it")
            }
            HashError::UnknownScheme(name) => write!(f, "the password scheme {{{name}}} is not known"),
            HashError::Malformed { scheme } => write!(f, "the hash is not of the form of {scheme}"),
            HashError::TooCostly { scheme, max } => write!(f, "the {scheme} hash costs too much: at most {max}"),
        }
    }
}

impl std::error::Error for HashError {}

/// A line of a passwd-file that is of less use than it looks; the rest of the file counts.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Notice {
    /// Line, from 1.
    pub line: usize,
    /// What is wrong and what follows from it. Never holds the password field.
    pub text: String,
}

impl fmt::Display for Notice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: {}", self.line, self.text)
    }
}

/// Why a source could not be loaded.
#[derive(Debug)]
pub enum LoadError {
    /// The file can not be read.
    Read {
        /// Which.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// The file is larger than `max` bytes.
    TooBig {
        /// Which.
        path: PathBuf,
        /// The bound.
        max: u64,
    },
}

impl fmt::Display for LoadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            LoadError::Read { path, error } => write!(f, "{}: {error}", path.display()),
            LoadError::TooBig { path, max } => write!(f, "{}: larger than {max} bytes", path.display()),
        }
    }
}

impl std::error::Error for LoadError {}
