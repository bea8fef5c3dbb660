//! Certificates and what is offered with them.

use std::fmt;
use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};

use rustls::crypto::ring::{self, Ticketer};
use rustls::pki_types::pem::{Error as PemError, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ProducesTickets, ResolvesServerCert};
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::version::{TLS12, TLS13};
use rustls::{ServerConfig, ServerConnection};

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

    fn read(&self) -> Result<CertifiedKey, TlsLoadError> {
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

/// The TLS settings in force; replaced as a whole by [`Tls::reload`] while connections keep what they started with.
pub struct Tls {
    files: TlsFiles,
    ticketer: Arc<dyn ProducesTickets>,
    current: RwLock<Arc<ServerConfig>>,
}

impl Tls {
    /// Reads certificate and key.
    ///
    /// # Errors
    /// Naming the file and what is wrong with it.
    pub fn load(files: TlsFiles) -> Result<Tls, TlsLoadError> {
        let ticketer = Ticketer::new().map_err(|error| TlsLoadError::Made(error.to_string()))?;
        let current = RwLock::new(single(&files, &ticketer)?);
        Ok(Tls { files, ticketer, current })
    }

    /// What a new connection uses.
    pub fn config(&self) -> Arc<ServerConfig> {
        self.current.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Reads the files again. Sessions of before can still be resumed.
    ///
    /// # Errors
    /// As [`Tls::load`]; then the old settings stay in force.
    pub fn reload(&self) -> Result<(), TlsLoadError> {
        let fresh = single(&self.files, &self.ticketer)?;
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = fresh;
        Ok(())
    }
}

fn single(files: &TlsFiles, ticketer: &Arc<dyn ProducesTickets>) -> Result<Arc<ServerConfig>, TlsLoadError> {
    Ok(server_config(Arc::new(SingleCertAndKey::from(files.read()?)), ticketer.clone()))
}

/// TLS 1.2 and 1.3 with session tickets; `certificates` chooses by the name the client asks for.
pub fn server_config(
    certificates: Arc<dyn ResolvesServerCert>,
    ticketer: Arc<dyn ProducesTickets>,
) -> Arc<ServerConfig> {
    let builder = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()));
    let builder = builder.with_protocol_versions(&[&TLS13, &TLS12]).expect("ring speaks both versions");
    let mut config = builder.with_no_client_auth().with_cert_resolver(certificates);
    config.ticketer = ticketer;
    // One is enough for clients that hold one connection; each costs a record in the handshake.
    config.send_tls13_tickets = 1;
    Arc::new(config)
}

// Connections move between threads together with their TLS state.
const _: fn() = || {
    fn travels<T: Send>() {}
    travels::<ServerConnection>();
    travels::<crate::Frozen>();
};

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
    fn pem(path: &Path, expected: &'static str, error: PemError) -> TlsLoadError {
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

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn the_default_is_made_once_and_its_key_is_private() {
        let folder = std::env::temp_dir().join(format!("skein-tls-{}", std::process::id()));
        let names = ["localhost".to_owned()];
        let files = TlsFiles::self_signed(&folder, &names).unwrap();
        let (first, mode) = (fs::read(&files.key).unwrap(), fs::metadata(&files.key).unwrap().permissions().mode());
        assert_eq!(mode & 0o777, 0o600);
        TlsFiles::self_signed(&folder, &names).unwrap();
        assert_eq!(fs::read(&files.key).unwrap(), first);
        let tls = Tls::load(files.clone()).unwrap();
        let before = tls.config();
        tls.reload().unwrap();
        assert!(!Arc::ptr_eq(&before, &tls.config()));

        let other = TlsFiles::self_signed(&folder.join("other"), &names).unwrap();
        let missing = folder.join("missing");
        let cases = [
            (TlsFiles { key: other.key, ..files.clone() }, "can not be used together"),
            (TlsFiles { key: missing.clone(), ..files.clone() }, "missing: No such file"),
            (
                TlsFiles { key: files.certificate.clone(), ..files.clone() },
                "should hold a private key in PEM: there is none",
            ),
            (
                TlsFiles { certificate: files.key.clone(), ..files.clone() },
                "should hold a certificate in PEM: there is none",
            ),
        ];
        for (files, text) in cases {
            let error = Tls::load(files).err().unwrap().to_string();
            assert!(error.contains(text), "{error}");
        }
        fs::write(&files.key, "damaged").unwrap();
        assert!(tls.reload().is_err());
        fs::remove_dir_all(&folder).unwrap();
    }
}
