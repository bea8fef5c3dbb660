//! A folder of backups: each account's files with their hashes, grown by what is new.
//!
//! ```text
//! DIR/skein-backup                        that it is one, its format; the lock of whoever works on it
//! DIR/ab/ab12…/manifest.json              written last: user, time, files with bytes and hashes
//! DIR/ab/ab12…/p0000000000000001.pack     packs: only ever appended to, and so copied
//! DIR/ab/ab12…/m1.idx-0123456789abcdef    snapshots and tree, under their hash: new ones stand beside those that the manifest names
//! ```
//!
//! A backup that breaks off leaves the manifest before, and every byte that it names. Format: engine/docs/backup-format.md.

mod error;
mod folder;
mod hash;
mod manifest;
mod take;
mod verify;

pub use error::BackupError;
pub use folder::Folder;
pub use manifest::{FORMAT, FileEntry, Manifest};
pub use take::{Source, Taken};
pub use verify::Verified;

/// Told while bytes go by, so many at a time.
pub type Progress<'a> = &'a mut dyn FnMut(u64);

#[cfg(test)]
mod tests;
