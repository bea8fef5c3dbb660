//! What a backup of an account holds.

use crate::BackupError;
use serde::{Deserialize, Serialize};
use std::fs;
use std::io;
use std::path::Path;

/// The format that this version writes; it reads all before.
pub const FORMAT: u32 = 1;

/// A file of the account.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct FileEntry {
    /// Its name in the account's folder.
    pub name: String,
    /// Its name here.
    pub stored: String,
    /// Bytes of it; what stands behind belongs to no backup yet.
    pub bytes: u64,
    /// BLAKE3 of each chunk of 4 MiB, in hex.
    pub chunks: Vec<String>,
}

/// What a backup of an account holds, and of when.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Manifest {
    /// [`FORMAT`].
    pub format: u32,
    /// Whose.
    pub user: String,
    /// The account's identity, in hex.
    pub account: String,
    /// When it was taken, Unix seconds.
    pub taken: i64,
    /// Its files, by name.
    pub files: Vec<FileEntry>,
    /// BLAKE3 of all above, in hex.
    #[serde(default)]
    pub hash: String,
}

impl Manifest {
    fn seal(&self) -> String {
        let plain = Manifest { hash: String::new(), ..self.clone() };
        crate::hash::of(&serde_json::to_vec(&plain).expect("a manifest has string keys"))
    }

    /// The bytes of the file.
    pub fn encode(&self) -> Vec<u8> {
        let sealed = Manifest { hash: self.seal(), ..self.clone() };
        let mut bytes = serde_json::to_vec_pretty(&sealed).expect("a manifest has string keys");
        bytes.push(b'\n');
        bytes
    }

    /// Reads what [`Manifest::encode`] wrote; `None` when there is no such file.
    ///
    /// # Errors
    /// It is damaged, of a newer format, or the system refuses it.
    pub fn read(path: &Path) -> Result<Option<Manifest>, BackupError> {
        let bytes = match fs::read(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            bytes => bytes.map_err(BackupError::at(path))?,
        };
        #[derive(Deserialize)]
        struct Format {
            format: u32,
        }
        let damaged = |error: serde_json::Error| BackupError::damaged(path, error.to_string());
        let Format { format: found } = serde_json::from_slice(&bytes).map_err(damaged)?;
        if found > FORMAT {
            return Err(BackupError::Format { path: path.to_owned(), found });
        }
        let manifest: Manifest = serde_json::from_slice(&bytes).map_err(damaged)?;
        let is_name = |name: &str| !name.is_empty() && !name.starts_with('.') && !name.contains('/');
        if manifest.hash != manifest.seal() {
            return Err(BackupError::damaged(path, "its hash is another one"));
        }
        if !manifest.files.iter().all(|file| is_name(&file.name) && is_name(&file.stored)) {
            return Err(BackupError::damaged(path, "it names files elsewhere"));
        }
        Ok(Some(manifest))
    }

    /// Bytes of all its files.
    pub fn bytes(&self) -> u64 {
        self.files.iter().map(|file| file.bytes).sum()
    }
}
