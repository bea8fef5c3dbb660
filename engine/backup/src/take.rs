//! A backup of one account: what is new is copied, then the manifest says so, then what it no longer names goes.

use crate::folder::{make_folder, names, sync_folder, write_new};
use crate::hash::{self, CHUNK_BYTES};
use crate::{BackupError, FORMAT, FileEntry, Folder, Manifest, Progress};
use skein_base::AccountId;
use std::fs::{self, File, OpenOptions};
use std::io::{Seek, SeekFrom, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// A file of the account, which stays as it is for these bytes.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Source {
    /// Its name in the account's folder.
    pub name: String,
    /// Where to read it.
    pub path: PathBuf,
    /// Bytes that belong to this backup.
    pub bytes: u64,
}

/// What a backup came to.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Taken {
    /// Files that it holds.
    pub files: u64,
    /// Bytes of them.
    pub bytes: u64,
    /// Of those, the bytes that were copied now.
    pub copied: u64,
}

impl Folder {
    /// Takes the files of an account. `taken` in Unix seconds. The backup before stays true until this one is whole and durable.
    ///
    /// # Errors
    /// A file is shorter than it is said to be, what is here is damaged, or the system refuses.
    pub fn take(
        &self,
        id: AccountId,
        (user, taken): (&str, i64),
        sources: &[Source],
        progress: Progress<'_>,
    ) -> Result<Taken, BackupError> {
        let folder = self.of(id);
        make_folder(&folder)?;
        // A damaged one is no help: then everything is copied.
        let before = self.manifest(id).map(|manifest| manifest.files).unwrap_or_default();
        let (mut files, mut copied) = (Vec::with_capacity(sources.len()), 0);
        for source in sources {
            let known = before.iter().find(|file| file.name == source.name);
            let (file, bytes) = match source.name.ends_with(".pack") {
                true => grow(&folder, source, known, progress)?,
                false => replace(&folder, source, known, progress)?,
            };
            files.push(file);
            copied += bytes;
        }
        sync_folder(&folder)?;
        let manifest =
            Manifest { format: FORMAT, user: user.to_owned(), account: id.hex(), taken, files, hash: String::new() };
        self.put(id, &manifest)?;
        for name in names(&folder)? {
            if name != "manifest.json" && !manifest.files.iter().any(|file| file.stored == name) {
                let path = folder.join(name);
                fs::remove_file(&path).map_err(BackupError::at(&path))?;
            }
        }
        Ok(Taken { files: manifest.files.len() as u64, bytes: manifest.bytes(), copied })
    }

    fn put(&self, id: AccountId, manifest: &Manifest) -> Result<(), BackupError> {
        let path = self.manifest_path(id);
        let beside = path.with_extension("new");
        write_new(&beside, &manifest.encode())?;
        fs::rename(&beside, &path).map_err(BackupError::at(&path))?;
        sync_folder(&self.of(id))?;
        // The folder's own name, and that of the one above, may be new.
        let above = self.of(id);
        above.parent().map_or(Ok(()), |above| {
            sync_folder(above)?;
            above.parent().map_or(Ok(()), sync_folder)
        })
    }
}

/// A pack: its chunks that are whole here already stay, as its bytes never change.
fn grow(
    folder: &Path,
    source: &Source,
    known: Option<&FileEntry>,
    progress: Progress<'_>,
) -> Result<(FileEntry, u64), BackupError> {
    let path = folder.join(&source.name);
    let here = fs::metadata(&path).map_or(0, |meta| meta.len());
    let known = known.filter(|known| known.bytes <= here && known.bytes <= source.bytes);
    let mut chunks: Vec<String> = known.map(|known| known.chunks.clone()).unwrap_or_default();
    let had = known.map_or(0, |known| known.bytes);
    let from = had / CHUNK_BYTES * CHUNK_BYTES;
    chunks.truncate((from / CHUNK_BYTES) as usize);
    if known.is_some_and(|known| known.bytes == source.bytes) {
        progress(source.bytes);
        return Ok((known.expect("just looked").clone(), 0));
    }
    let options = OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(&path);
    let mut to = options.map_err(BackupError::at(&path))?;
    to.seek(SeekFrom::Start(had)).map_err(BackupError::at(&path))?;
    progress(from);
    // The chunk that was not full is read again for its hash; only what is behind it is new.
    copy(source, (from, had), &mut to, &path, &mut chunks, progress)?;
    let file = FileEntry { bytes: source.bytes, chunks, ..entry(&source.name, &source.name) };
    Ok((file, source.bytes - had))
}

/// A file that was replaced as a whole: beside the one before, under the name of its hash.
fn replace(
    folder: &Path,
    source: &Source,
    known: Option<&FileEntry>,
    progress: Progress<'_>,
) -> Result<(FileEntry, u64), BackupError> {
    let beside = folder.join(format!("{}.new", source.name));
    let options = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&beside);
    let mut to = options.map_err(BackupError::at(&beside))?;
    let mut chunks = Vec::new();
    copy(source, (0, 0), &mut to, &beside, &mut chunks, progress)?;
    let stored = format!("{}-{}", source.name, &hash::of(chunks.concat().as_bytes())[..16]);
    let file = FileEntry { chunks, bytes: source.bytes, ..entry(&source.name, &stored) };
    let path = folder.join(&stored);
    // What has this name has these bytes, unless it was hurt: then these mend it.
    fs::rename(&beside, &path).map_err(BackupError::at(&path))?;
    let copied = if known == Some(&file) { 0 } else { file.bytes };
    Ok((file, copied))
}

fn entry(name: &str, stored: &str) -> FileEntry {
    FileEntry { name: name.to_owned(), stored: stored.to_owned(), bytes: 0, chunks: Vec::new() }
}

/// Reads from `from` to the source's end for the chunks' hashes, and writes what is at or behind `had`, durably.
fn copy(
    source: &Source,
    (from, had): (u64, u64),
    to: &mut File,
    path: &Path,
    chunks: &mut Vec<String>,
    progress: Progress<'_>,
) -> Result<(), BackupError> {
    let mut file = File::open(&source.path).map_err(BackupError::at(&source.path))?;
    file.seek(SeekFrom::Start(from)).map_err(BackupError::at(&source.path))?;
    let (mut left, mut skip, mut buffer) = (source.bytes - from, (had - from) as usize, Vec::new());
    while hash::next(&mut file, &source.path, left, &mut buffer)? {
        chunks.push(hash::of(&buffer));
        to.write_all(&buffer[skip.min(buffer.len())..]).map_err(BackupError::at(path))?;
        skip = skip.saturating_sub(buffer.len());
        left -= buffer.len() as u64;
        progress(buffer.len() as u64);
    }
    to.sync_data().map_err(BackupError::at(path))
}
