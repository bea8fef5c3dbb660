//! Certificates and keys as files.

use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rustls::crypto::ring;
use rustls::pki_types::pem::{Error as PemError, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;

use super::error::TlsLoadError;

/// Where a certificate and its key are, as PEM.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsFiles {
    /// The server's certificate, then those that lead from it to a known authority.
    pub certificate: PathBuf,
    /// Its private key: PKCS#8, PKCS#1 or SEC1.
    pub key: PathBuf,
}

impl TlsFiles {
    /// The certificate the server makes for itself in `folder` at its first start, valid for `names`; the same one
    /// later. The key is readable for the server's user only.
    ///
    /// # Errors
    /// When the folder can not be written or a name can not be in a certificate.
    pub fn self_signed(folder: &Path, names: &[String]) -> Result<TlsFiles, TlsLoadError> {
        let files = TlsFiles { certificate: folder.join("self-signed.pem"), key: folder.join("self-signed.key") };
        if files.certificate.exists() && files.key.exists() {
            return Ok(files);
        }
        let made = rcgen::generate_simple_self_signed(names).map_err(|error| TlsLoadError::Made(error.to_string()))?;
        let folder_made = fs::DirBuilder::new().recursive(true).mode(0o700).create(folder);
        folder_made.map_err(|source| unreadable(folder, source))?;
        write_durably(&files.key, &made.signing_key.serialize_pem(), 0o600).map_err(|e| unreadable(&files.key, e))?;
        write_durably(&files.certificate, &made.cert.pem(), 0o644).map_err(|e| unreadable(&files.certificate, e))?;
        Ok(files)
    }

    pub(super) fn read(&self) -> Result<CertifiedKey, TlsLoadError> {
        let chain = CertificateDer::pem_file_iter(&self.certificate).and_then(Iterator::collect::<Result<Vec<_>, _>>);
        let chain = chain.map_err(|error| TlsLoadError::pem(&self.certificate, "certificate", error))?;
        if chain.is_empty() {
            return Err(TlsLoadError::pem(&self.certificate, "certificate", PemError::NoItemsFound));
        }
        let key = PrivateKeyDer::from_pem_file(&self.key);
        let key = key.map_err(|error| TlsLoadError::pem(&self.key, "private key", error))?;
        CertifiedKey::from_der(chain, key, &ring::default_provider())
            .map_err(|source| TlsLoadError::Unfit { files: self.clone(), source })
    }
}

/// A file is there whole or not at all, even after a power cut: what exists is taken for good at the next start.
fn write_durably(path: &Path, text: &str, mode: u32) -> io::Result<()> {
    let beside = path.with_extension("tmp");
    // A start that was interrupted may have left one, with whatever mode.
    match fs::remove_file(&beside) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(mode).open(&beside)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    fs::rename(&beside, path)?;
    fs::File::open(path.parent().unwrap_or(Path::new("/")))?.sync_all()
}

fn unreadable(path: &Path, source: io::Error) -> TlsLoadError {
    TlsLoadError::File { path: path.to_owned(), source }
}
