//! The folder as a whole.

use crate::{BackupError, FORMAT, Manifest};
use rustix::fs::{FlockOperation, flock};
use skein_base::AccountId;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// The file that says that a folder is one of backups.
const MARK: &str = "skein-backup";
const MANIFEST: &str = "manifest.json";

/// A folder of backups, in the hands of one program at a time.
#[derive(Debug)]
pub struct Folder {
    root: PathBuf,
    _lock: File,
}

impl Folder {
    /// Opens it; begins one where there is nothing yet.
    ///
    /// # Errors
    /// It holds other things, another program works on it, or the system refuses.
    pub fn create(root: &Path) -> Result<Folder, BackupError> {
        make_folder(root)?;
        let mark = root.join(MARK);
        let is_empty = fs::read_dir(root).map_err(BackupError::at(root))?.next().is_none();
        if is_empty {
            write_new(&mark, format!("{{\"format\":{FORMAT}}}\n").as_bytes())?;
            sync_folder(root)?;
        }
        Folder::open(root)
    }

    /// Opens one that is there.
    ///
    /// # Errors
    /// It is none, is of a newer format, another program works on it, or the system refuses.
    pub fn open(root: &Path) -> Result<Folder, BackupError> {
        let mark = root.join(MARK);
        let opened = OpenOptions::new().read(true).open(&mark);
        let mut lock = match opened {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Err(BackupError::NotABackup { path: root.to_owned() });
            }
            opened => opened.map_err(BackupError::at(&mark))?,
        };
        let mut text = String::new();
        lock.read_to_string(&mut text).map_err(BackupError::at(&mark))?;
        let value: serde_json::Value =
            serde_json::from_str(&text).map_err(|error| BackupError::damaged(&mark, error.to_string()))?;
        let found = value["format"].as_u64().and_then(|format| u32::try_from(format).ok());
        match found {
            None => return Err(BackupError::damaged(&mark, "it says no format")),
            Some(found) if found > FORMAT => return Err(BackupError::Format { path: mark, found }),
            Some(_) => {}
        }
        flock(&lock, FlockOperation::NonBlockingLockExclusive)
            .map_err(|_| BackupError::Locked { path: root.to_owned() })?;
        Ok(Folder { root: root.to_owned(), _lock: lock })
    }

    /// Where an account's files are.
    pub fn of(&self, id: AccountId) -> PathBuf {
        let hex = id.hex();
        self.root.join(&hex[..2]).join(hex)
    }

    pub(crate) fn manifest_path(&self, id: AccountId) -> PathBuf {
        self.of(id).join(MANIFEST)
    }

    /// What there is of an account.
    ///
    /// # Errors
    /// Nothing, or its manifest is damaged, or the system refuses.
    pub fn manifest(&self, id: AccountId) -> Result<Manifest, BackupError> {
        let path = self.manifest_path(id);
        let manifest = Manifest::read(&path)?.ok_or(BackupError::NoBackup { path: path.clone() })?;
        if manifest.account != id.hex() {
            return Err(BackupError::damaged(&path, "it is another account's"));
        }
        Ok(manifest)
    }

    /// The accounts that have a backup, sorted.
    ///
    /// # Errors
    /// The system refuses to list the folders.
    pub fn accounts(&self) -> Result<Vec<AccountId>, BackupError> {
        let mut all = Vec::new();
        for above in names(&self.root)?.iter().filter(|name| name.len() == 2) {
            let accounts = names(&self.root.join(above))?;
            let accounts = accounts.iter().filter_map(|name| AccountId::from_hex(name));
            all.extend(accounts.filter(|id| self.manifest_path(*id).exists()));
        }
        all.sort_unstable();
        Ok(all)
    }

    /// Removes the backup of an account.
    ///
    /// # Errors
    /// The system refuses.
    pub fn remove(&self, id: AccountId) -> Result<(), BackupError> {
        // Without a manifest it is none: whatever a crash leaves is no half backup.
        let manifest = self.manifest_path(id);
        fs::remove_file(&manifest).map_err(BackupError::at(&manifest))?;
        let folder = self.of(id);
        sync_folder(&folder)?;
        fs::remove_dir_all(&folder).map_err(BackupError::at(&folder))
    }
}

/// Names in a folder; none when it is no folder.
pub(crate) fn names(folder: &Path) -> Result<Vec<String>, BackupError> {
    match fs::read_dir(folder) {
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => Ok(Vec::new()),
        entries => {
            let entries = entries.map_err(BackupError::at(folder))?;
            let names = entries.map(|entry| Ok(entry.map_err(BackupError::at(folder))?.file_name().into_string().ok()));
            names.filter_map(Result::transpose).collect()
        }
    }
}

/// Mail is nobody else's to read.
pub(crate) fn make_folder(path: &Path) -> Result<(), BackupError> {
    fs::DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(BackupError::at(path))
}

/// A file that was not there, durable but for its name.
pub(crate) fn write_new(path: &Path, bytes: &[u8]) -> Result<(), BackupError> {
    let file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path);
    let mut file = file.map_err(BackupError::at(path))?;
    file.write_all(bytes).and_then(|()| file.sync_data()).map_err(BackupError::at(path))
}

pub(crate) fn sync_folder(path: &Path) -> Result<(), BackupError> {
    File::open(path).and_then(|folder| folder.sync_all()).map_err(BackupError::at(path))
}
