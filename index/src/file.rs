//! Snapshots into files: written beside, synced, and put in place by rename, so that a reader
//! sees the old one or the new one, whole.

use crate::{Row, Run, SnapshotBuilder, SnapshotHead};
use skein_base::seam::Disk;
use skein_base::{ModSeq, Uid};
use std::io;
use std::path::{Path, PathBuf};

/// Bytes of cache heap gathered before they are written. Few enough that an allocator has them at hand: a megabyte was fresh from the kernel for
/// every checkpoint, which zeroed it, and was a tenth of what a rush of APPENDs cost.
const HEAP_WRITE_BYTES: usize = 64 * 1024;

/// Writes a snapshot row by row, holding little more than its columns in memory. Only one writer at a time may work
/// on a path. Dropped before [`SnapshotWriter::finish`], it leaves a temporary file that the next writer replaces.
pub struct SnapshotWriter<D: Disk> {
    temporary: Temporary<D>,
    builder: SnapshotBuilder,
    buffer: Vec<u8>,
}

impl<D: Disk> SnapshotWriter<D> {
    /// Begins a snapshot that will replace `path`.
    ///
    /// # Errors
    /// The disk failed.
    pub async fn create(disk: &D, path: &Path, head: SnapshotHead) -> io::Result<SnapshotWriter<D>> {
        let temporary = Temporary::create(disk, path).await?;
        Ok(SnapshotWriter { temporary, builder: SnapshotBuilder::new(head), buffer: Vec::new() })
    }

    /// Adds a message and its rendered cache, as [`SnapshotBuilder::push`] does.
    ///
    /// # Errors
    /// The disk failed.
    pub async fn push(&mut self, row: &Row, cache: &[u8]) -> io::Result<()> {
        self.builder.push(row, cache);
        if self.builder.heap_len() >= HEAP_WRITE_BYTES {
            let (at, bytes) = self.builder.take_heap(std::mem::take(&mut self.buffer));
            self.buffer = self.temporary.write(at, bytes).await?;
        }
        Ok(())
    }

    /// Makes room for so many rows at once.
    pub fn reserve(&mut self, rows: usize) {
        self.builder.reserve(rows);
    }

    /// As [`SnapshotBuilder::keyword_name`].
    pub fn keyword_name(&mut self, name: &str) {
        self.builder.keyword_name(name);
    }

    /// As [`SnapshotBuilder::expunged`].
    pub fn expunged(&mut self, modseq: ModSeq, first: Uid, last: Uid) {
        self.builder.expunged(modseq, first, last);
    }

    /// As [`SnapshotBuilder::unique_id`].
    pub fn unique_id(&mut self, uid: Uid, id: &str) {
        self.builder.unique_id(uid, id);
    }

    /// As [`SnapshotBuilder::values`].
    pub fn values(&mut self, name: &str, runs: &[Run]) {
        self.builder.values(name, runs);
    }

    /// As [`SnapshotBuilder::extra`].
    pub fn extra(&mut self, bytes: &[u8]) {
        self.builder.extra(bytes);
    }

    /// Writes the rest and leaves the file beside the old one, not yet durable.
    ///
    /// # Errors
    /// The disk failed; the old snapshot is still there.
    pub async fn finish(self) -> io::Result<Beside<D>> {
        let ending = self.builder.finish();
        let bytes = ending.tail_at + ending.tail.len() as u64;
        self.temporary.write(ending.tail_at, ending.tail).await?;
        self.temporary.write(0, ending.header.to_vec()).await?;
        Ok(self.temporary.leave(bytes))
    }
}

/// Writes these bytes beside the file that they will replace.
///
/// # Errors
/// The disk failed; the old file is still there.
pub async fn write_beside<D: Disk>(disk: &D, path: &Path, bytes: Vec<u8>) -> io::Result<Beside<D>> {
    let temporary = Temporary::create(disk, path).await?;
    let len = bytes.len() as u64;
    temporary.write(0, bytes).await?;
    Ok(temporary.leave(len))
}

/// A file that is written and not yet in its place: [`Beside::sync`], then [`Beside::put_in_place`]; the name is durable after a
/// sync of its folder.
#[must_use = "a file that is left beside is of no use"]
pub struct Beside<D: Disk> {
    temporary: Temporary<D>,
    /// Bytes of the file.
    pub bytes: u64,
}

impl<D: Disk> Beside<D> {
    /// Where it belongs.
    pub fn path(&self) -> &Path {
        &self.temporary.path
    }

    /// Makes its bytes durable.
    ///
    /// # Errors
    /// The disk failed; the file must not be put in place.
    pub async fn sync(&self) -> io::Result<()> {
        self.temporary.disk.fdatasync(&self.temporary.file).await
    }

    /// Takes the place of the old one.
    ///
    /// # Errors
    /// The disk failed; the old file is still there.
    pub async fn put_in_place(&self) -> io::Result<()> {
        self.temporary.disk.rename(&self.temporary.temporary, &self.temporary.path).await
    }
}

/// A file that will take another's place.
struct Temporary<D: Disk> {
    disk: D,
    file: D::File,
    temporary: PathBuf,
    path: PathBuf,
}

impl<D: Disk> Temporary<D> {
    async fn create(disk: &D, path: &Path) -> io::Result<Temporary<D>> {
        let mut temporary = path.as_os_str().to_owned();
        temporary.push(".tmp");
        let temporary = PathBuf::from(temporary);
        let file = match disk.create(&temporary).await {
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {
                disk.remove(&temporary).await?;
                disk.create(&temporary).await?
            }
            other => other?,
        };
        Ok(Temporary { disk: disk.clone(), file, temporary, path: path.to_path_buf() })
    }

    async fn write(&self, at: u64, bytes: Vec<u8>) -> io::Result<Vec<u8>> {
        self.disk.write_at(&self.file, at, bytes).await
    }

    fn leave(self, bytes: u64) -> Beside<D> {
        Beside { temporary: self, bytes }
    }
}
