//! A disk that keeps only what was synced.
//!
//! ```text
//! inode   current   what reads see
//!         durable   what a crash leaves for certain
//!         pending   writes and cuts since the last sync: at a crash each sector is kept or lost by itself
//! names   current, durable, and pending changes: at a crash each is kept or lost by itself
//! ```

use super::SimRng;
use skein_base::seam::Disk;
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::future::poll_fn;
use std::io;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::task::Poll;
use std::time::Duration;

/// What a disk writes whole or not at all.
const SECTOR_BYTES: usize = 512;
/// Polls that one operation may take.
const POLLS_MAX: u64 = 3;

/// How often the disk fails: once in so many operations, never for 0.
#[derive(Clone, Copy, Default, Debug)]
pub struct Faults {
    /// Reads that fail with EIO.
    pub read_one_in: u32,
    /// Writes that fail with EIO after some of their sectors.
    pub write_one_in: u32,
    /// Syncs that fail with EIO; what they covered reads back well and is lost at the next crash, sector by sector.
    pub sync_one_in: u32,
    /// Writes and creations that fail with ENOSPC.
    pub full_one_in: u32,
    /// Syncs that say they worked and did nothing: hardware that lies. No store survives it; tests use it to see that
    /// they notice.
    pub sync_lies_one_in: u32,
}

/// A disk in memory. Clones share it.
#[derive(Clone)]
pub struct SimDisk(Rc<World>);

struct World {
    rng: SimRng,
    state: RefCell<State>,
}

#[derive(Default)]
struct State {
    faults: Faults,
    /// Bytes of all files together, when the disk is not boundless.
    capacity: Option<usize>,
    inodes: Vec<Inode>,
    names: BTreeMap<PathBuf, usize>,
    names_durable: BTreeMap<PathBuf, usize>,
    names_pending: Vec<NameChange>,
    /// Every file that was ever removed, or got another name, as it read then.
    removed: Vec<(PathBuf, Vec<u8>)>,
    waits: usize,
    dirs: BTreeSet<PathBuf>,
}

#[derive(Default)]
struct Inode {
    current: Vec<u8>,
    durable: Vec<u8>,
    pending: Vec<Change>,
    /// Changes that are no longer pending, so that two syncs at once each cover what came before them.
    settled: usize,
}

#[derive(Clone)]
enum Change {
    Write { at: usize, bytes: Vec<u8> },
    Cut { len: usize },
}

/// A change of one folder: names that go, names that come to mean an inode, as one.
#[derive(Clone)]
struct NameChange {
    dir: PathBuf,
    gone: Option<PathBuf>,
    set: Option<(PathBuf, usize)>,
}

/// An open file of a [`SimDisk`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SimFile(usize);

impl State {
    fn used(&self) -> usize {
        self.names.values().map(|&inode| self.inodes[inode].current.len()).sum()
    }

    /// Bytes of a write that find room.
    fn fitting(&self, file: &SimFile, at: usize, len: usize) -> usize {
        let Some(capacity) = self.capacity else { return len };
        let inside = self.inodes[file.0].current.len().saturating_sub(at).min(len);
        (inside + capacity.saturating_sub(self.used())).min(len)
    }
}

impl Inode {
    fn apply(bytes: &mut Vec<u8>, change: &Change) {
        match change {
            Change::Cut { len } => bytes.resize(*len, 0),
            Change::Write { at, bytes: new } => {
                bytes.resize(bytes.len().max(at + new.len()), 0);
                bytes[*at..at + new.len()].copy_from_slice(new);
            }
        }
    }

    fn change(&mut self, change: Change) {
        Inode::apply(&mut self.current, &change);
        self.pending.push(change);
    }

    /// Changes up to the number `covered` become durable, or when the sync fails with `tear`, some parts of them.
    fn settle(&mut self, covered: usize, tear: Option<&SimRng>) {
        let later = self.pending.split_off(covered.saturating_sub(self.settled).min(self.pending.len()));
        if let Some(rng) = tear {
            self.tear(rng);
        }
        let now = std::mem::replace(&mut self.pending, later);
        self.settled += now.len();
        now.iter().for_each(|change| Inode::apply(&mut self.durable, change));
    }

    /// Some of what is pending reaches the disk, the rest never will.
    fn tear(&mut self, rng: &SimRng) {
        // All, nothing, and everything between have their share of the runs.
        let keep_in_8 = [0, 1, 4, 7, 8][rng.below(5) as usize];
        self.settled += self.pending.len();
        for change in std::mem::take(&mut self.pending) {
            match change {
                Change::Cut { .. } if rng.below(8) < keep_in_8 => Inode::apply(&mut self.durable, &change),
                Change::Cut { .. } => {}
                Change::Write { at, bytes } => {
                    for (at, sector) in sectors(at, &bytes) {
                        if rng.below(8) < keep_in_8 {
                            Inode::apply(&mut self.durable, &Change::Write { at, bytes: sector.to_vec() });
                        }
                    }
                }
            }
        }
    }
}

/// A write cut where the disk's sectors are.
fn sectors(at: usize, bytes: &[u8]) -> impl Iterator<Item = (usize, &[u8])> {
    let mut from = 0;
    std::iter::from_fn(move || {
        let left = bytes.len() - from;
        let len = left.min(SECTOR_BYTES - (at + from) % SECTOR_BYTES);
        let start = from;
        from += len;
        (len > 0).then(|| (at + start, &bytes[start..start + len]))
    })
}

fn apply_name(names: &mut BTreeMap<PathBuf, usize>, change: &NameChange) {
    if let Some(gone) = &change.gone {
        names.remove(gone);
    }
    if let Some((path, inode)) = &change.set {
        names.insert(path.clone(), *inode);
    }
}

fn eio() -> io::Error {
    io::Error::other("simulated EIO")
}

fn missing() -> io::Error {
    io::ErrorKind::NotFound.into()
}

impl SimDisk {
    /// An empty disk without faults.
    pub fn new(rng: &SimRng) -> SimDisk {
        SimDisk(Rc::new(World { rng: rng.clone(), state: RefCell::default() }))
    }

    /// Sets how often it fails from now on.
    pub fn set_faults(&self, faults: Faults) {
        self.0.state.borrow_mut().faults = faults;
    }

    /// From now on all files together hold so many bytes, or as much as they like. What is over already stays.
    pub fn set_capacity(&self, bytes: Option<usize>) {
        self.0.state.borrow_mut().capacity = bytes;
    }

    /// Bytes of all files together.
    pub fn used(&self) -> usize {
        self.0.state.borrow().used()
    }

    /// The power goes: what was not synced is kept or lost, sector by sector and name by name. Kill the tasks first;
    /// files opened before are stale afterwards.
    pub fn crash(&self) {
        let (rng, state) = (&self.0.rng, &mut *self.0.state.borrow_mut());
        for inode in &mut state.inodes {
            inode.tear(rng);
            inode.current.clone_from(&inode.durable);
        }
        let keep_in_8 = [0, 4, 8][rng.below(3) as usize];
        for change in std::mem::take(&mut state.names_pending) {
            if rng.below(8) < keep_in_8 {
                apply_name(&mut state.names_durable, &change);
            }
        }
        state.names = state.names_durable.clone();
    }

    /// A file's bytes as they read now.
    pub fn contents(&self, path: &Path) -> Option<Vec<u8>> {
        let state = self.0.state.borrow();
        state.names.get(path).map(|&inode| state.inodes[inode].current.clone())
    }

    /// The files that were removed or renamed so far, as each read then: what the power did to its bytes later nobody sees.
    pub fn removed(&self) -> Vec<(PathBuf, Vec<u8>)> {
        self.0.state.borrow().removed.clone()
    }

    /// Puts a file there, durably: for tests that damage or invent files.
    pub fn plant(&self, path: &Path, bytes: Vec<u8>) {
        let mut state = self.0.state.borrow_mut();
        let inode = state.inodes.len();
        state.inodes.push(Inode { current: bytes.clone(), durable: bytes, pending: Vec::new(), settled: 0 });
        state.names.insert(path.to_path_buf(), inode);
        state.names_durable.insert(path.to_path_buf(), inode);
        state.dirs.extend(path.parent().map(Path::to_path_buf));
    }

    /// Gives others their turn, some times.
    /// How often somebody let time pass.
    pub fn waits(&self) -> usize {
        self.0.state.borrow().waits
    }

    async fn pause(&self) {
        let mut polls = self.0.rng.below(POLLS_MAX + 1);
        poll_fn(|context| {
            if polls == 0 {
                return Poll::Ready(());
            }
            polls -= 1;
            context.waker().wake_by_ref();
            Poll::Pending
        })
        .await;
    }

    fn fails(&self, one_in: impl Fn(&Faults) -> u32) -> bool {
        self.0.rng.once_in(one_in(&self.0.state.borrow().faults))
    }

    fn room(&self) -> io::Result<()> {
        if self.fails(|f| f.full_one_in) { Err(io::ErrorKind::StorageFull.into()) } else { Ok(()) }
    }

    fn rename_now(&self, gone: Option<&Path>, set: Option<(&Path, usize)>, dir: &Path) {
        let mut state = self.0.state.borrow_mut();
        let set = set.map(|(path, inode)| (path.to_path_buf(), inode));
        let change = NameChange { dir: dir.to_path_buf(), gone: gone.map(Path::to_path_buf), set };
        apply_name(&mut state.names, &change);
        state.names_pending.push(change);
    }

    fn inode(&self, path: &Path) -> io::Result<usize> {
        self.0.state.borrow().names.get(path).copied().ok_or_else(missing)
    }

    fn read(&self, file: &SimFile, at: u64, len: usize) -> Vec<u8> {
        let state = self.0.state.borrow();
        let bytes = &state.inodes[file.0].current;
        let start = usize::try_from(at).map_or(bytes.len(), |at| at.min(bytes.len()));
        bytes[start..start.saturating_add(len).min(bytes.len())].to_vec()
    }
}

impl Disk for SimDisk {
    type File = SimFile;
    type Map = Rc<[u8]>;

    async fn open(&self, path: &Path) -> io::Result<SimFile> {
        self.pause().await;
        self.inode(path).map(SimFile)
    }

    async fn create(&self, path: &Path) -> io::Result<SimFile> {
        self.pause().await;
        self.room()?;
        let dir = path.parent().ok_or_else(missing)?;
        if !self.0.state.borrow().dirs.contains(dir) {
            return Err(missing());
        }
        if self.inode(path).is_ok() {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        let inode = self.0.state.borrow().inodes.len();
        self.0.state.borrow_mut().inodes.push(Inode::default());
        self.rename_now(None, Some((path, inode)), dir);
        Ok(SimFile(inode))
    }

    async fn read_at(&self, file: &SimFile, at: u64, len: usize) -> io::Result<Vec<u8>> {
        self.pause().await;
        if self.fails(|f| f.read_one_in) {
            return Err(eio());
        }
        Ok(self.read(file, at, len))
    }

    fn read_cached(&self, file: &SimFile, at: u64, len: usize) -> Option<Vec<u8>> {
        (self.0.rng.below(4) != 0).then(|| self.read(file, at, len))
    }

    async fn write_at(&self, file: &SimFile, at: u64, bytes: Vec<u8>) -> io::Result<Vec<u8>> {
        self.pause().await;
        self.room()?;
        let fails = self.fails(|f| f.write_one_in);
        let fits = self.0.state.borrow().fitting(file, at as usize, bytes.len());
        let keep = if fails { self.0.rng.below(fits as u64 + 1) as usize } else { fits };
        // In two halves, so that a crash or a reader may come between.
        let half = self.0.rng.below(keep as u64 + 1) as usize;
        for (from, to) in [(0, half), (half, keep)] {
            let change = Change::Write { at: at as usize + from, bytes: bytes[from..to].to_vec() };
            self.0.state.borrow_mut().inodes[file.0].change(change);
            self.pause().await;
        }
        match (fails, fits == bytes.len()) {
            (true, _) => Err(eio()),
            (false, false) => Err(io::ErrorKind::StorageFull.into()),
            (false, true) => Ok(bytes),
        }
    }

    async fn wait(&self, _time: Duration) {
        self.0.state.borrow_mut().waits += 1;
        self.pause().await;
    }

    async fn fdatasync(&self, file: &SimFile) -> io::Result<()> {
        let covered = {
            let inode = &self.0.state.borrow().inodes[file.0];
            inode.settled + inode.pending.len()
        };
        self.pause().await;
        if self.fails(|f| f.sync_lies_one_in) {
            return Ok(());
        }
        let fails = self.fails(|f| f.sync_one_in);
        self.0.state.borrow_mut().inodes[file.0].settle(covered, fails.then_some(&self.0.rng));
        if fails { Err(eio()) } else { Ok(()) }
    }

    async fn len(&self, file: &SimFile) -> io::Result<u64> {
        self.pause().await;
        Ok(self.0.state.borrow().inodes[file.0].current.len() as u64)
    }

    async fn truncate(&self, file: &SimFile, len: u64) -> io::Result<()> {
        self.pause().await;
        self.0.state.borrow_mut().inodes[file.0].change(Change::Cut { len: len as usize });
        Ok(())
    }

    async fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.pause().await;
        let (inode, bytes) = (self.inode(from)?, self.contents(from).ok_or_else(missing)?);
        self.0.state.borrow_mut().removed.push((from.to_path_buf(), bytes));
        let dir = to.parent().ok_or_else(missing)?;
        self.rename_now(Some(from), Some((to, inode)), dir);
        Ok(())
    }

    async fn remove(&self, path: &Path) -> io::Result<()> {
        self.pause().await;
        let bytes = self.contents(path).ok_or_else(missing)?;
        self.0.state.borrow_mut().removed.push((path.to_path_buf(), bytes));
        self.rename_now(Some(path), None, path.parent().ok_or_else(missing)?);
        Ok(())
    }

    async fn create_dir_all(&self, path: &Path) -> io::Result<()> {
        self.pause().await;
        self.0.state.borrow_mut().dirs.extend(path.ancestors().map(Path::to_path_buf));
        Ok(())
    }

    async fn sync_dir(&self, path: &Path) -> io::Result<()> {
        self.pause().await;
        if self.fails(|f| f.sync_one_in) {
            return Err(eio());
        }
        let state = &mut *self.0.state.borrow_mut();
        let (now, later) = std::mem::take(&mut state.names_pending).into_iter().partition(|c| c.dir == path);
        state.names_pending = later;
        let now: Vec<NameChange> = now;
        now.iter().for_each(|change| apply_name(&mut state.names_durable, change));
        Ok(())
    }

    async fn list(&self, path: &Path) -> io::Result<Vec<String>> {
        self.pause().await;
        let state = self.0.state.borrow();
        if !state.dirs.contains(path) {
            return Err(missing());
        }
        let inside = state.names.keys().chain(&state.dirs).filter(|name| name.parent() == Some(path));
        let mut names: Vec<String> = inside.filter_map(|name| Some(name.file_name()?.to_str()?.to_owned())).collect();
        names.sort_unstable();
        Ok(names)
    }

    async fn map(&self, path: &Path) -> io::Result<Rc<[u8]>> {
        self.pause().await;
        let inode = self.inode(path)?;
        if self.fails(|f| f.read_one_in) {
            return Err(eio());
        }
        Ok(self.0.state.borrow().inodes[inode].current.as_slice().into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sim::block_on;

    /// What a file of zeros may hold after ones were written over it and the power went.
    fn after_crash(seed: u64, sync: bool) -> Vec<u8> {
        let disk = SimDisk::new(&SimRng::new(seed));
        let path = Path::new("/d/f");
        disk.plant(path, vec![0; 2048]);
        block_on(async {
            let file = disk.open(path).await.unwrap();
            disk.write_at(&file, 100, vec![1; 1500]).await.unwrap();
            assert_eq!(disk.read_at(&file, 99, 2).await.unwrap(), [0, 1]);
            if sync {
                disk.fdatasync(&file).await.unwrap();
            }
        });
        disk.crash();
        disk.contents(path).unwrap()
    }

    #[test]
    fn what_was_synced_stays_and_the_rest_is_kept_in_parts() {
        let whole = [vec![0; 100], vec![1; 1500], vec![0; 448]].concat();
        let (mut none, mut all, mut torn) = (0, 0, 0);
        for seed in 0..200 {
            assert_eq!(after_crash(seed, true), whole);
            let left = after_crash(seed, false);
            assert_eq!(left.len(), whole.len());
            assert!(left.iter().zip(&whole).all(|(&is, &new)| is == new || is == 0), "each byte is new or old");
            match left.iter().filter(|&&b| b == 1).count() {
                0 => none += 1,
                1500 => all += 1,
                _ => torn += 1,
            }
        }
        assert!(none > 20 && all > 20 && torn > 20, "{none} {all} {torn}");
    }

    /// The power goes at each moment of a durable write.
    #[test]
    fn a_durable_write_stays_when_it_has_returned_and_in_parts_before() {
        let (mut none, mut torn, mut returned) = (0, 0, 0);
        for seed in 0..300 {
            let rng = SimRng::new(seed);
            let (disk, executor) = (SimDisk::new(&rng), crate::sim::SimExecutor::new(&rng));
            let path = Path::new("/d/f");
            disk.plant(path, Vec::new());
            let done = Rc::new(std::cell::Cell::new(false));
            let (writer, says) = (disk.clone(), done.clone());
            executor.spawn(async move {
                let file = writer.open(path).await.unwrap();
                says.set(writer.write_durable(&file, 0, vec![1; 3000]).await.unwrap() == [1; 3000]);
            });
            executor.run_steps(rng.below(20));
            executor.kill_all();
            disk.crash();
            let ones = disk.contents(path).unwrap().iter().filter(|&&byte| byte == 1).count();
            match (done.get(), ones) {
                (true, ones) => {
                    assert_eq!(ones, 3000, "seed {seed}");
                    returned += 1;
                }
                (false, 0) => none += 1,
                (false, ones) => torn += usize::from(ones < 3000),
            }
        }
        assert!(none > 20 && torn > 20 && returned > 20, "{none} {torn} {returned}");
    }

    #[test]
    fn names_are_durable_with_their_folder() {
        let (mut old, mut new) = (0, 0);
        for seed in 0..200 {
            let disk = SimDisk::new(&SimRng::new(seed));
            let [from, to] = ["/d/from", "/d/to"].map(Path::new);
            disk.plant(from, b"new".to_vec());
            disk.plant(to, b"old".to_vec());
            let rename = |disk: &SimDisk, sync| {
                block_on(async {
                    disk.rename(from, to).await.unwrap();
                    if sync {
                        disk.sync_dir(Path::new("/d")).await.unwrap();
                    }
                });
            };
            rename(&disk, false);
            disk.crash();
            if disk.contents(to).unwrap() == b"old" {
                old += 1;
                rename(&disk, true);
                disk.crash();
            } else {
                new += 1;
            }
            assert_eq!(disk.contents(to).unwrap(), b"new");
            assert_eq!(block_on(disk.list(Path::new("/d"))).unwrap(), ["to"]);
        }
        assert!(old > 20 && new > 20, "{old} {new}");
    }

    /// A segment of which nothing was safe is cut to nothing and removed; the power then took back the cut, and a test that replays what
    /// was removed took for told what the log had lost.
    #[test]
    fn what_was_removed_stays_as_it_read_then() {
        for seed in 0..50 {
            let disk = SimDisk::new(&SimRng::new(seed));
            let path = Path::new("/d/f");
            disk.plant(path, vec![7; 10]);
            block_on(async {
                let file = disk.open(path).await.unwrap();
                disk.truncate(&file, 0).await.unwrap();
                disk.remove(path).await.unwrap();
                disk.sync_dir(Path::new("/d")).await.unwrap();
            });
            disk.crash();
            assert_eq!(disk.removed(), [(path.to_path_buf(), Vec::new())], "seed {seed}");
        }
    }

    #[test]
    fn a_failed_sync_leaves_what_reads_well_and_does_not_last() {
        let lost = (0..50).filter(|&seed| {
            let disk = SimDisk::new(&SimRng::new(seed));
            let path = Path::new("/d/f");
            disk.plant(path, Vec::new());
            block_on(async {
                let file = disk.open(path).await.unwrap();
                disk.write_at(&file, 0, vec![7; 10]).await.unwrap();
                disk.set_faults(Faults { sync_one_in: 1, ..Faults::default() });
                assert!(disk.fdatasync(&file).await.is_err());
                disk.set_faults(Faults::default());
                disk.fdatasync(&file).await.unwrap();
                assert_eq!(disk.read_at(&file, 0, 10).await.unwrap(), [7; 10]);
            });
            disk.crash();
            disk.contents(path).unwrap().is_empty()
        });
        assert!(lost.count() > 10, "the second sync had nothing to do");
    }
}
