//! The sources of users: loaded at start, read again when a file changes or somebody asks.

use crate::error::ServerError;
use skein_auth::{Notices, SharedAuth};
use skein_base::scram::ScramHash;
use skein_config::{Auth, AuthMechanism};
use skein_proto::sasl::Mechanism;
use skein_runtime::{sleep, spawn_blocking};
use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// What SCRAM tells about strangers is made of it, so it outlives restarts.
const SECRET_FILE: &str = "auth.secret";
/// How often the files' times are looked at.
const LOOK: Duration = Duration::from_secs(2);

/// Loads the sources, before any shard runs. `cache_key` is random, new with each process.
///
/// # Errors
/// A file of users can not be read, or the secret in the data folder neither read nor made.
pub(crate) fn load(settings: &Auth, data: &Path, cache_key: [u8; 32]) -> Result<Arc<SharedAuth>, ServerError> {
    let secret = secret(&data.join(SECRET_FILE))
        .map_err(|error| ServerError::System { what: "reading the secret auth.secret of the data folder", error })?;
    let (auth, notices) = SharedAuth::load(settings, cache_key, secret)?;
    tell(&notices);
    Ok(auth)
}

/// Reads the sources again whenever a file has changed. On one shard, for all.
pub(crate) async fn watch(auth: Arc<SharedAuth>) {
    loop {
        sleep(LOOK).await;
        let looked = auth.clone();
        match spawn_blocking(move || looked.refresh()).await {
            Ok(Ok(None)) => {}
            Ok(Ok(Some(notices))) => {
                tell(&notices);
                tracing::info!("a file of users has changed and was read again");
            }
            Ok(Err(error)) => {
                tracing::error!(%error, "a file of users can not be read again; the users of before stay")
            }
            Err(panicked) => tracing::error!(%panicked, "looking at the files of users"),
        }
    }
}

/// The mechanisms of the settings, each SCRAM with its -PLUS.
pub(crate) fn mechanisms(settings: &Auth) -> Vec<Mechanism> {
    let both = |hash| vec![Mechanism::Scram { hash, plus: true }, Mechanism::Scram { hash, plus: false }];
    let of = |mechanism: &AuthMechanism| match mechanism {
        AuthMechanism::ScramSha256 => both(ScramHash::Sha256),
        AuthMechanism::ScramSha1 => both(ScramHash::Sha1),
        AuthMechanism::External => vec![Mechanism::External],
        AuthMechanism::Plain => vec![Mechanism::Plain],
        AuthMechanism::Login => vec![Mechanism::Login],
    };
    settings.mechanisms.iter().flat_map(of).collect()
}

fn tell(notices: &Notices) {
    for (path, notice) in notices {
        tracing::warn!(path = %path.display(), %notice, "passwd-file");
    }
}

/// The 32 bytes of the file, which is made at the first start.
fn secret(path: &Path) -> io::Result<[u8; 32]> {
    match fs::read(path) {
        Ok(bytes) => {
            bytes.try_into().map_err(|_| io::Error::new(io::ErrorKind::InvalidData, "not 32 bytes long: remove it"))
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => make_secret(path),
        Err(error) => Err(error),
    }
}

/// Written beside and renamed: it is there whole or not at all.
fn make_secret(path: &Path) -> io::Result<[u8; 32]> {
    let secret = crate::boot::random()?;
    let beside = path.with_extension("tmp");
    let mut file = fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&beside)?;
    file.write_all(&secret)?;
    file.sync_all()?;
    fs::rename(&beside, path)?;
    Ok(secret)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn the_secret_stays() {
        let folder = std::env::temp_dir().join(format!("skein-secret-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let path = folder.join(SECRET_FILE);
        let made = secret(&path).unwrap();
        assert_eq!(secret(&path).unwrap(), made);
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        fs::write(&path, "short").unwrap();
        assert!(secret(&path).is_err());
        fs::remove_dir_all(&folder).unwrap();
    }
}
