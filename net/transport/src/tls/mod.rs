//! Certificates and what is offered with them.
//!
//! ```text
//! files   from PEM; the self-signed default      names   which one a client is shown      error   why there is none
//! config  what a connection begins with, as its client asks for it
//! clients   those of clients, and whom they name      binding   what ties a login to its channel
//! ```

mod binding;
mod clients;
mod config;
mod error;
mod files;
mod names;

use std::path::PathBuf;
use std::sync::{Arc, PoisonError, RwLock};

use rustls::ServerConnection;
use rustls::crypto::ring::Ticketer;
use rustls::server::{NoClientAuth, ProducesTickets};

pub use binding::ChannelBindings;
pub use clients::ClientNames;
pub use config::TlsConfig;
pub use error::TlsLoadError;
pub use files::TlsFiles;
use names::ByName;
pub(crate) use names::Certificate;

/// The oldest version that is spoken.
#[derive(Clone, Copy, Default, Debug, PartialEq, Eq)]
pub enum TlsVersion {
    /// TLS 1.2 and 1.3.
    #[default]
    Tls12,
    /// TLS 1.3 alone.
    Tls13,
}

/// What TLS is made of. Ciphers are those that rustls finds good, in the order of [`TlsConfig`].
#[derive(Clone, Debug)]
pub struct TlsSettings {
    /// The certificate for clients that ask for no name, or for one that no certificate has.
    pub default: TlsFiles,
    /// Certificates for the names in them, the first that fits.
    pub more: Vec<TlsFiles>,
    /// The oldest version that is spoken.
    pub version_min: TlsVersion,
    /// Authorities in PEM that vouch for client certificates; without, clients are not asked for one.
    pub client_ca: Option<PathBuf>,
}

impl From<TlsFiles> for TlsSettings {
    /// One certificate for everybody, and every version.
    fn from(default: TlsFiles) -> TlsSettings {
        TlsSettings { default, more: Vec::new(), version_min: TlsVersion::default(), client_ca: None }
    }
}

/// The TLS settings in force; replaced as a whole by [`Tls::install`] while connections keep what they started with.
pub struct Tls {
    ticketer: Arc<dyn ProducesTickets>,
    current: RwLock<Arc<TlsConfig>>,
}

/// TLS read from its files and not in force yet.
pub struct FreshTls(Arc<TlsConfig>);

impl Tls {
    /// Reads certificates and keys.
    ///
    /// # Errors
    /// Naming the file and what is wrong with it.
    pub fn load(settings: &TlsSettings) -> Result<Tls, TlsLoadError> {
        let ticketer = Ticketer::new().map_err(|error| TlsLoadError::Made(error.to_string()))?;
        let current = RwLock::new(read(settings, &ticketer)?);
        Ok(Tls { ticketer, current })
    }

    /// What a new connection uses.
    pub fn config(&self) -> Arc<TlsConfig> {
        self.current.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Reads certificates and keys to replace those in force.
    ///
    /// # Errors
    /// As [`Tls::load`].
    pub fn prepare(&self, settings: &TlsSettings) -> Result<FreshTls, TlsLoadError> {
        read(settings, &self.ticketer).map(FreshTls)
    }

    /// Puts what was read in force. Sessions of before can still be resumed, except where clients show certificates.
    pub fn install(&self, fresh: FreshTls) {
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = fresh.0;
    }
}

fn read(settings: &TlsSettings, ticketer: &Arc<dyn ProducesTickets>) -> Result<Arc<TlsConfig>, TlsLoadError> {
    let all = std::iter::once(&settings.default).chain(&settings.more);
    let certificates = all.map(TlsFiles::read).collect::<Result<Vec<_>, _>>()?;
    let clients = settings.client_ca.as_deref().map(clients::verifier).transpose()?;
    // Whom a client certificate names is in its tickets too: they must not outlive an authority that is taken away.
    let ticketer = match &clients {
        Some(_) => Ticketer::new().map_err(|error| TlsLoadError::Made(error.to_string()))?,
        None => ticketer.clone(),
    };
    let clients = clients.unwrap_or_else(|| Arc::new(NoClientAuth));
    Ok(Arc::new(TlsConfig::new(ByName::new(certificates), &ticketer, &clients, settings.version_min)))
}

// Connections move between threads together with their TLS state.
const _: fn() = || {
    fn travels<T: Send>() {}
    travels::<ServerConnection>();
    travels::<crate::Frozen>();
};

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
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
        let tls = Tls::load(&files.clone().into()).unwrap();
        let before = tls.config();
        tls.install(tls.prepare(&files.clone().into()).unwrap());
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
            let error = Tls::load(&files.into()).err().unwrap().to_string();
            assert!(error.contains(text), "{error}");
        }
        fs::write(&files.key, "damaged").unwrap();
        assert!(tls.prepare(&files.clone().into()).is_err());
        fs::remove_dir_all(&folder).unwrap();
    }
}
