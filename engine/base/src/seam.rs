//! The seams: what the log, accounts and merges ask of the world, so that they run unchanged on io_uring and in a
//! seeded simulator. Static dispatch, no `Send`: each shard has its own.

use std::future::Future;
use std::io;
use std::ops::Deref;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Files, as the store needs them. Mutations are run by owner tasks to their end; a dropped future of this trait may
/// or may not have happened.
pub trait Disk: Clone + 'static {
    /// An open file; clones share it.
    type File: Clone + 'static;
    /// A whole file mapped read-only. Mapped files are never truncated or rewritten, only replaced by rename.
    type Map: Deref<Target = [u8]> + Clone + 'static;

    /// Opens an existing file for reading and writing.
    fn open(&self, path: &Path) -> impl Future<Output = io::Result<Self::File>>;
    /// Creates a new file; `AlreadyExists` when there is one.
    fn create(&self, path: &Path) -> impl Future<Output = io::Result<Self::File>>;
    /// The same for a file that [`Disk::write_durable`] alone writes, which can then be less work. What it promises is the
    /// same for every file.
    fn create_durable(&self, path: &Path) -> impl Future<Output = io::Result<Self::File>> {
        self.create(path)
    }
    /// Bytes from `at`; fewer than `len` only at the end of the file.
    fn read_at(&self, file: &Self::File, at: u64, len: usize) -> impl Future<Output = io::Result<Vec<u8>>>;
    /// The same, at once and without waiting, when the page cache holds all of it; `None` when it might not.
    fn read_cached(&self, file: &Self::File, at: u64, len: usize) -> Option<Vec<u8>>;
    /// Writes all of `bytes` at `at` and gives the buffer back for reuse. Not durable before [`Disk::fdatasync`].
    fn write_at(&self, file: &Self::File, at: u64, bytes: Vec<u8>) -> impl Future<Output = io::Result<Vec<u8>>>;
    /// Writes all of `bytes` at `at` and gives the buffer back when they are durable, with the length that reading them needs.
    /// Of other writes it promises nothing. A failure is one of a write or of a sync, and any part of the bytes may last.
    fn write_durable(&self, file: &Self::File, at: u64, bytes: Vec<u8>) -> impl Future<Output = io::Result<Vec<u8>>> {
        async move {
            let bytes = self.write_at(file, at, bytes).await?;
            self.fdatasync(file).await?;
            Ok(bytes)
        }
    }
    /// Makes everything written to the file durable.
    fn fdatasync(&self, file: &Self::File) -> impl Future<Output = io::Result<()>>;
    /// Length in bytes.
    fn len(&self, file: &Self::File) -> impl Future<Output = io::Result<u64>>;
    /// Cuts a file. Only the log does so, to drop a torn tail before it writes on; never a mapped file.
    fn truncate(&self, file: &Self::File, len: u64) -> impl Future<Output = io::Result<()>>;
    /// Replaces `to` atomically. Durable after [`Disk::sync_dir`].
    fn rename(&self, from: &Path, to: &Path) -> impl Future<Output = io::Result<()>>;
    /// Removes a file.
    fn remove(&self, path: &Path) -> impl Future<Output = io::Result<()>>;
    /// Another name for a file, in a folder that is there.
    fn link(&self, _from: &Path, _to: &Path) -> impl Future<Output = io::Result<()>> {
        std::future::ready(Err(io::ErrorKind::Unsupported.into()))
    }
    /// Makes two names of one folder mean each other's file or folder, in one step.
    fn exchange(&self, _one: &Path, _other: &Path) -> impl Future<Output = io::Result<()>> {
        std::future::ready(Err(io::ErrorKind::Unsupported.into()))
    }
    /// Removes a folder with all that is in it; one that is not there is fine.
    fn remove_dir_all(&self, _path: &Path) -> impl Future<Output = io::Result<()>> {
        std::future::ready(Err(io::ErrorKind::Unsupported.into()))
    }
    /// Makes a folder and its parents, durably.
    fn create_dir_all(&self, path: &Path) -> impl Future<Output = io::Result<()>>;
    /// Makes creations, renames and removals in a folder durable.
    fn sync_dir(&self, path: &Path) -> impl Future<Output = io::Result<()>>;
    /// Runs a computation of more than a moment where it does not hold up others.
    fn offload<T: Send + 'static>(
        &self,
        job: impl FnOnce() -> T + Send + 'static,
    ) -> impl Future<Output = io::Result<T>> {
        std::future::ready(Ok(job()))
    }
    /// Names in a folder, sorted; `NotFound` when there is no such folder.
    fn list(&self, path: &Path) -> impl Future<Output = io::Result<Vec<String>>>;
    /// Lets others have the core for a moment; long loops over what is in memory call it every hundred microseconds.
    fn breathe(&self) -> impl Future<Output = ()> {
        std::future::ready(())
    }
    /// Lets time pass while others have the core. Where time is not the machine's it returns at once.
    fn wait(&self, _time: Duration) -> impl Future<Output = ()> {
        std::future::ready(())
    }
    /// How often what is mapped was found to be no more: after it rises, maps show zeros where bytes were.
    fn maps_hurt(&self) -> u64 {
        0
    }
    /// Maps a file with its pages already present.
    fn map(&self, path: &Path) -> impl Future<Output = io::Result<Self::Map>>;
    /// The same of many small files, in their order, for less than one after the other costs.
    fn map_all(&self, paths: Vec<PathBuf>) -> impl Future<Output = Vec<io::Result<Self::Map>>> {
        async move {
            let mut maps = Vec::with_capacity(paths.len());
            for path in paths {
                maps.push(self.map(&path).await);
            }
            maps
        }
    }
}

/// Time, as the floors that keep none of their own are handed it.
pub trait Clock: Clone + 'static {
    /// Seconds since 1970-01-01T00:00:00Z.
    fn unix_seconds(&self) -> i64;
    /// Milliseconds from an arbitrary start, never going back.
    fn monotonic_ms(&self) -> u64;
}
