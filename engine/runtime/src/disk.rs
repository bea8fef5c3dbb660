//! The Disk seam on io_uring, the page cache and the blocking pool.
//!
//! ```text
//! hot read           preadv2(RWF_NOWAIT)         1 µs, on the shard
//! cold read, write   io_uring                    8-20 µs, the kernel's threads wait
//! fdatasync          io_uring
//! rename, mkdir, list, truncate, map    blocking pool: the kernel knows no waiting-free way
//! ```

use std::fs;
use std::io::{self, IoSliceMut, Read};
use std::ops::Deref;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use glommio::GlommioError;
use glommio::io::{BufferedFile, OpenOptions};
use memmap2::{Advice, Mmap};
use rustix::fs::{CWD, RenameFlags, renameat_with};
use rustix::io::{ReadWriteFlags, preadv2};
use skein_base::limits::BODY_CHUNK_BYTES;
use skein_base::seam::Disk;

use crate::task::spawn_blocking;

/// Nobody but the server reads mail.
const FILE_MODE: u32 = 0o600;
const FOLDER_MODE: u32 = 0o700;
/// Bytes handed to the ring in one piece: the copy made for it stays in the second-level cache.
const WRITE_PIECE_BYTES: usize = BODY_CHUNK_BYTES;

/// The machine's file system. Only on a shard.
#[derive(Clone, Copy, Debug, Default)]
pub struct RealDisk;

/// An open file; closed when the last clone is dropped.
#[derive(Clone, Debug)]
pub struct DiskFile {
    file: Rc<BufferedFile>,
    /// Each write is a sync of what it wrote.
    is_dsync: bool,
}

/// Bytes up to which a file is read instead of mapped: a map costs a kernel structure, of which a process has 65530
/// (vm.max_map_count), and an interrupt of every core when it goes. Most mailboxes are smaller, and there are very many.
const READ_BYTES_MAX: u64 = 64 * 1024;

/// A whole file in memory. Unlike files, maps may be sent to other threads.
#[derive(Clone, Debug)]
pub struct DiskMap(Bytes);

#[derive(Clone, Debug)]
enum Bytes {
    Read(Arc<[u8]>),
    Mapped(Arc<Mmap>),
}

impl Deref for DiskMap {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match &self.0 {
            Bytes::Read(bytes) => bytes,
            Bytes::Mapped(map) => map,
        }
    }
}

impl Disk for RealDisk {
    type File = DiskFile;
    type Map = DiskMap;

    async fn open(&self, path: &Path) -> io::Result<DiskFile> {
        open(path, OpenOptions::new().read(true).write(true)).await
    }

    async fn create(&self, path: &Path) -> io::Result<DiskFile> {
        open(path, OpenOptions::new().read(true).write(true).create_new(true).mode(FILE_MODE)).await
    }

    async fn create_durable(&self, path: &Path) -> io::Result<DiskFile> {
        let is_dsync = syncs_off_the_core(parent_of(path))?;
        let flags = if is_dsync { libc::O_DSYNC } else { 0 };
        let mut options = OpenOptions::new();
        options.read(true).write(true).create_new(true).mode(FILE_MODE).custom_flags(flags);
        Ok(DiskFile { is_dsync, ..open(path, &options).await? })
    }

    async fn read_at(&self, file: &DiskFile, at: u64, len: usize) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::with_capacity(len);
        while bytes.len() < len {
            let read = file.file.read_at(at + bytes.len() as u64, len - bytes.len()).await.map_err(keep_errno)?;
            if read.is_empty() {
                break;
            }
            bytes.extend_from_slice(&read);
        }
        Ok(bytes)
    }

    fn read_cached(&self, file: &DiskFile, at: u64, len: usize) -> Option<Vec<u8>> {
        let mut bytes = vec![0; len];
        let read = preadv2(file.fd(), &mut [IoSliceMut::new(&mut bytes)], at, ReadWriteFlags::NOWAIT).ok()?;
        let complete = read == len || at + read as u64 >= file.len_now().ok()?;
        bytes.truncate(read);
        complete.then_some(bytes)
    }

    async fn write_at(&self, file: &DiskFile, at: u64, bytes: Vec<u8>) -> io::Result<Vec<u8>> {
        write_in_pieces(file, at, bytes, WRITE_PIECE_BYTES).await
    }

    async fn write_durable(&self, file: &DiskFile, at: u64, bytes: Vec<u8>) -> io::Result<Vec<u8>> {
        if file.is_dsync {
            // In pieces, each would be a sync.
            return write_in_pieces(file, at, bytes, usize::MAX).await;
        }
        let bytes = self.write_at(file, at, bytes).await?;
        self.fdatasync(file).await?;
        Ok(bytes)
    }

    async fn fdatasync(&self, file: &DiskFile) -> io::Result<()> {
        file.file.fdatasync().await.map_err(keep_errno)
    }

    async fn len(&self, file: &DiskFile) -> io::Result<u64> {
        file.len_now()
    }

    async fn truncate(&self, file: &DiskFile, len: u64) -> io::Result<()> {
        let descriptor = file.fd().try_clone_to_owned()?;
        blocking(move || Ok(rustix::fs::ftruncate(descriptor, len)?)).await
    }

    async fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let (from, to) = (from.to_owned(), to.to_owned());
        blocking(move || fs::rename(from, to)).await
    }

    async fn remove(&self, path: &Path) -> io::Result<()> {
        let path = path.to_owned();
        blocking(move || fs::remove_file(path)).await
    }

    async fn link(&self, from: &Path, to: &Path) -> io::Result<()> {
        let (from, to) = (from.to_owned(), to.to_owned());
        blocking(move || fs::hard_link(from, to)).await
    }

    async fn exchange(&self, one: &Path, other: &Path) -> io::Result<()> {
        let (one, other) = (one.to_owned(), other.to_owned());
        blocking(move || Ok(renameat_with(CWD, one, CWD, other, RenameFlags::EXCHANGE)?)).await
    }

    async fn remove_dir_all(&self, path: &Path) -> io::Result<()> {
        let path = path.to_owned();
        blocking(move || match fs::remove_dir_all(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            removed => removed,
        })
        .await
    }

    async fn create_dir_all(&self, path: &Path) -> io::Result<()> {
        let path = path.to_owned();
        blocking(move || make_folders(&path)).await
    }

    async fn sync_dir(&self, path: &Path) -> io::Result<()> {
        let path = path.to_owned();
        blocking(move || sync_folder(&path)).await
    }

    async fn offload<T: Send + 'static>(&self, job: impl FnOnce() -> T + Send + 'static) -> io::Result<T> {
        blocking(move || Ok(job())).await
    }

    async fn list(&self, path: &Path) -> io::Result<Vec<String>> {
        let path = path.to_owned();
        blocking(move || list(&path)).await
    }

    async fn breathe(&self) {
        crate::task::bulk_yield().await;
    }

    async fn wait(&self, time: Duration) {
        crate::timer::sleep(time).await;
    }

    fn maps_hurt(&self) -> u64 {
        crate::map_guard::pages_lost()
    }

    async fn map(&self, path: &Path) -> io::Result<DiskMap> {
        let path = path.to_owned();
        blocking(move || map(&path)).await
    }

    async fn map_all(&self, paths: Vec<PathBuf>) -> Vec<io::Result<DiskMap>> {
        let count = paths.len();
        // Of a small file the way to the pool and back is most of what it costs.
        let mapped = blocking(move || Ok(paths.iter().map(|path| map(path)).collect())).await;
        mapped.unwrap_or_else(|error| (0..count).map(|_| Err(io::Error::other(error.to_string()))).collect())
    }
}

impl DiskFile {
    fn fd(&self) -> BorrowedFd<'_> {
        let raw = self.file.as_raw_fd();
        #[expect(unsafe_code, reason = "the file only hands out a bare number")]
        // SAFETY: the descriptor stays open as long as the BufferedFile, which `self` keeps alive for the borrow.
        unsafe {
            BorrowedFd::borrow_raw(raw)
        }
    }

    /// `fstat` of an open file never waits for the disk.
    fn len_now(&self) -> io::Result<u64> {
        let stat = rustix::fs::fstat(self.fd())?;
        Ok(u64::try_from(stat.st_size).unwrap_or(0))
    }
}

async fn open(path: &Path, options: &OpenOptions) -> io::Result<DiskFile> {
    let file = options.buffered_open(path).await.map_err(keep_errno)?;
    Ok(DiskFile { file: Rc::new(file), is_dsync: false })
}

/// Whether the ring has its worker thread make a write to an `O_DSYNC` file in this folder. Where buffered writes need no
/// thread that may wait (`FOP_BUFFER_WASYNC`: XFS, Btrfs) the ring makes them at once, and their sync with them: the core
/// would stand still for as long as the disk takes. A request of its own for the sync never does.
fn syncs_off_the_core(folder: &Path) -> io::Result<bool> {
    Ok(rustix::fs::statfs(folder)?.f_type == libc::EXT4_SUPER_MAGIC)
}

async fn write_in_pieces(file: &DiskFile, at: u64, bytes: Vec<u8>, piece_bytes: usize) -> io::Result<Vec<u8>> {
    let mut written = 0;
    while written < bytes.len() {
        // The ring keeps what it writes from, so that it may outlive this future; it gets a copy and the caller
        // keeps the original for what a short write left over.
        let piece = bytes[written..].chunks(piece_bytes).next().expect("not empty").to_vec();
        match file.file.write_at(piece, at + written as u64).await.map_err(keep_errno)? {
            0 => return Err(io::ErrorKind::WriteZero.into()),
            count => written += count,
        }
    }
    Ok(bytes)
}

/// glommio's own conversion turns the errno into text; the store must tell ENOSPC from EIO.
fn keep_errno(error: GlommioError<()>) -> io::Error {
    match error {
        GlommioError::EnhancedIoError { source, .. } => source,
        other => other.into(),
    }
}

async fn blocking<T: Send + 'static>(job: impl FnOnce() -> io::Result<T> + Send + 'static) -> io::Result<T> {
    spawn_blocking(job).await.unwrap_or_else(|panicked| Err(io::Error::other(panicked)))
}

/// Each new folder's own parent is synced, from the top down, so that a crash leaves no gap in the path. So is the one above that: who made
/// the parent may be another shard, which has not come to its sync, or a process that died before it.
fn make_folders(path: &Path) -> io::Result<()> {
    use std::os::unix::fs::DirBuilderExt;
    if path.is_dir() {
        return Ok(());
    }
    let parent = parent_of(path);
    match parent.is_dir() {
        true => sync_folder(parent_of(parent))?,
        false => make_folders(parent)?,
    }
    match fs::DirBuilder::new().mode(FOLDER_MODE).create(path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists && path.is_dir() => Ok(()),
        made => made.and_then(|()| sync_folder(parent)),
    }
}

fn parent_of(path: &Path) -> &Path {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

fn sync_folder(path: &Path) -> io::Result<()> {
    fs::File::open(path)?.sync_all()
}

fn list(path: &Path) -> io::Result<Vec<String>> {
    let names = fs::read_dir(path)?.map(|entry| Ok(entry?.file_name().into_string().ok()));
    // A name that is not UTF-8 is not one of ours.
    let mut names: Vec<String> = names.filter_map(io::Result::transpose).collect::<io::Result<_>>()?;
    names.sort_unstable();
    Ok(names)
}

pub(crate) fn map(path: &Path) -> io::Result<DiskMap> {
    let file = fs::File::open(path)?;
    if file.metadata()?.len() <= READ_BYTES_MAX {
        return read(file);
    }
    #[expect(unsafe_code, reason = "mapping is the point of this function")]
    // SAFETY: the bytes stay as they are because mapped files are only ever replaced by rename (the contract of
    // `Disk::map`, kept by the store, whose data folder `DataLock` keeps other processes of ours out of). Should somebody else cut
    // the file all the same, `map_guard` turns what is gone into zeros.
    let map = match unsafe { Mmap::map(&file) } {
        // As many maps as the kernel gives; memory may still be there.
        Err(error) if error.kind() == io::ErrorKind::OutOfMemory => return read(file),
        map => map?,
    };
    if map.advise(Advice::PopulateRead).is_err() {
        touch(&map);
    }
    Ok(DiskMap(Bytes::Mapped(Arc::new(map))))
}

fn read(mut file: fs::File) -> io::Result<DiskMap> {
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes)?;
    Ok(DiskMap(Bytes::Read(bytes.into())))
}

/// What MADV_POPULATE_READ does, for file systems that do not know it.
fn touch(bytes: &[u8]) {
    bytes.iter().step_by(4096).for_each(|byte| {
        std::hint::black_box(*byte);
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shards::{ShardsConfig, start};
    use crate::side::Side;

    /// Bytes that this thread itself has made dirty in the page cache.
    fn dirtied_here() -> u64 {
        let io = fs::read_to_string("/proc/thread-self/io").unwrap();
        io.lines().find_map(|line| line.strip_prefix("write_bytes: ")).unwrap().parse().unwrap()
    }

    /// A kernel that makes writes to ext4 without a worker thread would make their syncs so too.
    #[test]
    fn a_write_that_is_a_sync_is_not_made_on_the_shard() {
        let folder = std::env::temp_dir().join(format!("skein-dsync-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let path = folder.clone();
        let side = Side::start().unwrap();
        let shards = start(ShardsConfig::for_tests(1), &side, move |_| {
            let path = path.clone();
            async move {
                let file = RealDisk.create_durable(&path.join("log")).await.unwrap();
                let before = dirtied_here();
                // One alone may need the worker thread for other reasons.
                for number in 0..64 {
                    RealDisk.write_durable(&file, number << 12, vec![7; 1 << 12]).await.unwrap();
                }
                let after = dirtied_here();
                fs::write(path.join("here"), vec![7; 1 << 20]).unwrap();
                (file.is_dsync, after - before, dirtied_here() - after)
            }
        });
        let (is_dsync, durable, plain) = shards.unwrap().join().remove(0).unwrap();
        fs::remove_dir_all(&folder).unwrap();
        assert!(!is_dsync || (durable == 0 && plain >= 1 << 20), "{durable} {plain}");
    }

    /// More than the kernel's default gives a process: as many as there are small mailboxes open.
    #[test]
    fn seventy_thousand_maps_of_small_files_and_some_of_a_large_one() {
        let path = std::env::temp_dir().join(format!("skein-maps-{}", std::process::id()));
        fs::write(&path, vec![7; 300]).unwrap();
        let small: Vec<DiskMap> = (0..70_000).map(|_| map(&path).unwrap()).collect();
        assert!(small.iter().all(|map| map.len() == 300 && map[299] == 7));
        fs::write(&path, vec![8; 1 << 20]).unwrap();
        let large: Vec<DiskMap> = (0..100).map(|_| map(&path).unwrap()).collect();
        assert!(large.iter().all(|map| map.len() == 1 << 20 && map[(1 << 20) - 1] == 8));
        assert!(matches!((&small[0].0, &large[0].0), (Bytes::Read(_), Bytes::Mapped(_))));
        fs::remove_file(&path).unwrap();
    }
}
