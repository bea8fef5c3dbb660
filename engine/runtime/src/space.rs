//! How much room is left on a disk.

use crate::task::spawn_blocking;
use std::io;
use std::path::Path;

/// Room on a file system for a user without privileges.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct FreeSpace {
    /// Bytes.
    pub bytes: u64,
    /// Files; `None` where the file system makes as many as are asked for.
    pub files: Option<u64>,
}

/// The room on the file system that holds `path`.
///
/// # Errors
/// The system's own.
pub async fn free_space(path: &Path) -> io::Result<FreeSpace> {
    let path = path.to_owned();
    let asked = spawn_blocking(move || Ok(rustix::fs::statvfs(path)?)).await;
    let is = asked.unwrap_or_else(|panicked| Err(io::Error::other(panicked)))?;
    Ok(FreeSpace { bytes: is.f_bavail.saturating_mul(is.f_frsize), files: (is.f_files > 0).then_some(is.f_favail) })
}
