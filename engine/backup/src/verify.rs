//! Whether a backup is what was written, and its way back.

use crate::folder::{make_folder, sync_folder};
use crate::{BackupError, Folder, Progress, hash};
use skein_base::AccountId;
use std::fs;
use std::path::Path;

/// What was looked at.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Verified {
    /// Files.
    pub files: u64,
    /// Bytes of them.
    pub bytes: u64,
}

impl Folder {
    /// Reads all of an account's backup and compares the hashes.
    ///
    /// # Errors
    /// There is none, it is damaged, or the system refuses.
    pub fn verify(&self, id: AccountId, progress: Progress<'_>) -> Result<Verified, BackupError> {
        let manifest = self.manifest(id)?;
        for file in &manifest.files {
            hash::check(&self.of(id).join(&file.stored), file.bytes, &file.chunks, progress)?;
        }
        Ok(Verified { files: manifest.files.len() as u64, bytes: manifest.bytes() })
    }

    /// Copies an account's files to where a server restores them from, each checked: packs under their names, all else with `.in`
    /// behind it. Whatever was there goes.
    ///
    /// # Errors
    /// There is no backup, it is damaged, or the system refuses.
    pub fn copy_out(&self, id: AccountId, to: &Path, progress: Progress<'_>) -> Result<Verified, BackupError> {
        let manifest = self.manifest(id)?;
        if to.exists() {
            fs::remove_dir_all(to).map_err(BackupError::at(to))?;
        }
        make_folder(to)?;
        for file in &manifest.files {
            let name = if file.name.ends_with(".pack") { file.name.clone() } else { format!("{}.in", file.name) };
            let (from, to) = (self.of(id).join(&file.stored), to.join(name));
            // The copy is what is checked, so that nothing comes between.
            fs::copy(&from, &to).map_err(BackupError::at(&from))?;
            let copy = fs::OpenOptions::new().write(true).open(&to).map_err(BackupError::at(&to))?;
            let cut = copy.set_len(file.bytes).and_then(|()| copy.sync_all());
            cut.map_err(BackupError::at(&to))?;
            hash::check(&to, file.bytes, &file.chunks, progress).map_err(|error| match error {
                BackupError::Damaged { why, .. } => BackupError::damaged(&from, why),
                other => other,
            })?;
        }
        sync_folder(to)?;
        Ok(Verified { files: manifest.files.len() as u64, bytes: manifest.bytes() })
    }
}
