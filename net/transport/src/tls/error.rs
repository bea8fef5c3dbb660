//! Why there is no TLS, for the operator.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use rustls::pki_types::pem::Error as PemError;

use super::files::TlsFiles;

/// Why there is no TLS.
#[derive(Debug)]
pub enum TlsLoadError {
    /// A file can not be read or written.
    File {
        /// Which.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A file is not PEM or does not hold what it should.
    Pem {
        /// Which.
        path: PathBuf,
        /// What should be in it.
        expected: &'static str,
        /// What is wrong.
        reason: String,
    },
    /// Certificate and key do not fit together, or are of a kind we do not speak.
    Unfit {
        /// Both.
        files: TlsFiles,
        /// Why.
        source: rustls::Error,
    },
    /// The self-signed certificate or the ticket keys could not be made.
    Made(String),
}

impl TlsLoadError {
    pub(super) fn pem(path: &Path, expected: &'static str, error: PemError) -> TlsLoadError {
        let path = path.to_owned();
        match error {
            PemError::Io(source) => TlsLoadError::File { path, source },
            PemError::NoItemsFound => TlsLoadError::Pem { path, expected, reason: "there is none".to_owned() },
            other => TlsLoadError::Pem { path, expected, reason: other.to_string() },
        }
    }
}

impl fmt::Display for TlsLoadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            TlsLoadError::File { path, source } => write!(f, "{}: {source}", path.display()),
            TlsLoadError::Pem { path, expected, reason } => {
                write!(f, "{} should hold a {expected} in PEM: {reason}", path.display())
            }
            TlsLoadError::Unfit { files, source } => write!(
                f,
                "certificate {} and key {} can not be used together: {source}",
                files.certificate.display(),
                files.key.display()
            ),
            TlsLoadError::Made(reason) => write!(f, "a certificate can not be made: {reason}"),
        }
    }
}

impl std::error::Error for TlsLoadError {}
