//! One process per data folder.

use std::fmt;
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;

/// Holds the folder until dropped or until the process ends, however it ends: the kernel lets go of `flock`.
#[derive(Debug)]
pub struct DataLock {
    _file: File,
}

impl DataLock {
    /// Makes the folder when it is missing (mode 0700), and locks `<folder>/lock`, which holds our process id.
    ///
    /// # Errors
    /// When another process has it, or the folder can not be used.
    pub fn take(folder: &Path) -> Result<DataLock, DataLockError> {
        let unusable = |source| DataLockError::Unusable { folder: folder.to_owned(), source };
        make_folder(folder).map_err(unusable)?;
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false).mode(0o600);
        let mut file = options.open(folder.join("lock")).map_err(unusable)?;
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => write_pid(&mut file).map_err(unusable)?,
            Err(Errno::WOULDBLOCK) => {
                return Err(DataLockError::InUse { folder: folder.to_owned(), pid: read_pid(&mut file) });
            }
            Err(errno) => return Err(unusable(errno.into())),
        }
        Ok(DataLock { _file: file })
    }
}

fn make_folder(folder: &Path) -> io::Result<()> {
    use std::os::unix::fs::DirBuilderExt;
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)
}

fn write_pid(file: &mut File) -> io::Result<()> {
    file.set_len(0)?;
    writeln!(file, "{}", std::process::id())
}

fn read_pid(file: &mut File) -> Option<u32> {
    let mut text = String::new();
    file.take(32).read_to_string(&mut text).ok()?;
    text.trim().parse().ok()
}

/// Why the data folder is not ours.
#[derive(Debug)]
pub enum DataLockError {
    /// Another process holds it.
    InUse {
        /// The folder.
        folder: PathBuf,
        /// Who holds it, when its file says so.
        pid: Option<u32>,
    },
    /// It can not be made, read or written.
    Unusable {
        /// The folder.
        folder: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

impl fmt::Display for DataLockError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            DataLockError::InUse { folder, pid } => {
                let folder = folder.display();
                match pid {
                    Some(pid) => write!(f, "the data folder {folder} is in use by process {pid}")?,
                    None => write!(f, "the data folder {folder} is in use by another process")?,
                }
                f.write_str(": take its place with --takeover, stop it first, or give this one a folder of its own")
            }
            DataLockError::Unusable { folder, source } => {
                write!(f, "the data folder {} can not be used: {source}", folder.display())
            }
        }
    }
}

impl std::error::Error for DataLockError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_second_is_told_who_the_first_is() {
        let folder = std::env::temp_dir().join(format!("skein-data-lock-{}", std::process::id()));
        let first = DataLock::take(&folder).unwrap();
        let error = DataLock::take(&folder).unwrap_err();
        assert!(matches!(error, DataLockError::InUse { pid: Some(pid), .. } if pid == std::process::id()), "{error}");
        drop(first);
        DataLock::take(&folder).unwrap();
        std::fs::remove_dir_all(&folder).unwrap();
    }
}
