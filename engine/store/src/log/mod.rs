//! The shard log: every change of every account on this core, in order, on disk.
//!
//! ```text
//! append ─▶ [ gathering ] ─▶ [ being written ] ─▶ one durable write for all ─▶ durable(pos) ─▶ answer
//!            memory            memory               0000000000000001.seg [header|record|record|..|seal]
//!                                                   0000000000000002.seg [header|record|..
//! ```
//!
//! [`Log::append`] gives a record its place at once; [`Log::durable`] waits until that place is safe. While one batch
//! is on its way to the disk the next gathers, so the cost of a sync is shared by all who came meanwhile.
//!
//! Never here: what an op means, IMAP words, object keys, sockets, clocks. Bytes: engine/docs/log-format.md.

mod describe;
mod drained;
mod error;
mod files;
mod format;
mod heal;
mod manifest;
mod numbers;
mod recover;
mod scan;
mod state;
mod tail;
#[cfg(test)]
pub(crate) mod tests;
mod writer;

pub(crate) use describe::{describe, describe_manifest, describe_number_note};
pub use error::{LogError, ReadError};
pub(crate) use format::segment_name;
pub use format::{
    LOG_VERSION, RECORD_BYTES_MAX, RECORD_HEADER_BYTES, RecordHeader, RecordKind, SEGMENT_HEADER_BYTES, SegmentHeader,
};
pub use format::{parse_drained_name, parse_segment_name};
pub use heal::{FAILURES_MAX, PROBE_BYTES};
pub use manifest::{Manifest, is_manifest, read_manifest};
pub use numbers::{SegmentNumbers, highest_noted, is_number_note, read_number_note};
pub use recover::recover;
pub use scan::{Damage, Record, Scan, SegmentEnd, SegmentScan, scan, scan_segment, segments};
pub use tail::{TailIndex, TailRecord};

use files::Files;
use skein_base::seam::Disk;
use skein_base::sync::{Notify, Permit, Semaphore, Watermark};
use skein_base::{AccountId, LogPos, ShardId};
use state::State;
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::rc::Rc;

/// Bytes of a segment after which the next begins: large enough that a shard makes one every few seconds at most,
/// small enough that draining gives space back in steps that nobody notices.
pub const SEGMENT_BYTES_DEFAULT: u64 = 256 * 1024 * 1024;
/// Largest a segment may be set to: offsets of batches are kept in 32 bits, and a batch may overshoot.
pub const SEGMENT_BYTES_MAX: u64 = 2 * 1024 * 1024 * 1024;
/// Bytes that may wait for the disk before [`Log::room`] holds messages back: about 2 ms of a SATA SSD's bandwidth, as much again as a
/// sync takes. Whatever comes next, a flag's change too, waits for all that is before it in the log.
pub const PENDING_BYTES_MAX: usize = 1024 * 1024;
/// Segment files a shard holds open for reading.
pub const SEGMENT_FILES_OPEN_MAX: usize = 128;
/// Bytes of messages that a shard has in memory whole at once; a larger message is there alone.
pub const WHOLE_BYTES_MAX: u64 = 64 * 1024 * 1024;

/// How a shard's log is set up.
#[derive(Clone)]
pub struct LogOptions {
    /// The shard, for the segments' headers.
    pub shard: ShardId,
    /// Bytes after which the next segment begins; at most [`SEGMENT_BYTES_MAX`].
    pub segment_bytes: u64,
    /// Bytes waiting for the disk above which [`Log::room`] waits.
    pub pending_bytes_max: usize,
    /// Bytes that must find room before the log goes on after a failure of the disk.
    pub probe_bytes: usize,
    /// 16 random bytes of this run, so that bytes of an earlier run never pass as this one's.
    pub run: [u8; 16],
    /// Unix seconds, for the segments' headers; asked once per segment.
    pub now: Rc<dyn Fn() -> i64>,
    /// Does it wrong on purpose, to see that the tests notice.
    #[cfg(test)]
    pub(crate) mutant: tests::Mutant,
}

impl LogOptions {
    /// The defaults.
    pub fn new(shard: ShardId, run: [u8; 16], now: Rc<dyn Fn() -> i64>) -> LogOptions {
        LogOptions {
            shard,
            segment_bytes: SEGMENT_BYTES_DEFAULT,
            pending_bytes_max: PENDING_BYTES_MAX,
            probe_bytes: PROBE_BYTES,
            run,
            now,
            #[cfg(test)]
            mutant: tests::Mutant::None,
        }
    }
}

/// Where a record came to lie.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Appended {
    /// Its first byte.
    pub start: LogPos,
    /// The byte after it: durable once [`Log::durable`] of this resolves.
    pub end: LogPos,
}

/// What the log tells whoever watches how long its disk takes. It reads no clock itself.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum LogStep {
    /// A batch of so many bytes is written.
    Batch {
        /// Records and their headers.
        bytes: u64,
    },
    /// A write that is a sync begins; one at a time.
    Sync,
    /// It has succeeded.
    Synced,
}

/// Who is told of each step.
type OnStep = Rc<dyn Fn(LogStep)>;

/// What the log did so far. Plain numbers; they only rise.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct LogMetrics {
    /// Records appended.
    pub records: u64,
    /// Bytes written, headers and padding among them.
    pub bytes: u64,
    /// Batches written.
    pub batches: u64,
    /// Syncs of segment files: a write of one is one.
    pub syncs: u64,
    /// Segments begun.
    pub segments: u64,
    /// Failures of the disk after which it went on.
    pub healed: u64,
}

/// One shard's log. Clones share it.
pub struct Log<D: Disk>(Rc<Shared<D>>);

struct Shared<D: Disk> {
    disk: D,
    dir: PathBuf,
    options: LogOptions,
    numbers: SegmentNumbers,
    state: RefCell<State>,
    /// Everything below is in the files, and safe.
    durable: RefCell<Watermark<LogPos, LogError>>,
    /// Where the last write that is durable began, in its segment.
    last_batch: Cell<u64>,
    /// What was lost so far.
    lost: RefCell<Vec<heal::Lost>>,
    failure: RefCell<Option<heal::Failure>>,
    healing: Cell<bool>,
    on_failure: RefCell<Option<Rc<dyn Fn()>>>,
    /// Why messages are refused, when they are.
    reserve: RefCell<Option<LogError>>,
    /// Records came, or the log is to close.
    work: Notify,
    /// Pending bytes went down.
    drained: Notify,
    /// Whoever waits for room waits in order, and only the first one is woken.
    turns: Semaphore,
    /// Bytes of messages that are in memory whole, to be rendered.
    whole: Semaphore,
    /// Who writes the manifest.
    noting: Semaphore,
    /// It could not be written the last time.
    manifest_fails: Cell<bool>,
    /// False until the writer has ended.
    stopped: Watermark<bool, LogError>,
    files: Files<D>,
    /// Segments of this run that are at rest, oldest first.
    sealed: RefCell<Vec<Sealed>>,
    /// There is more log than there may be.
    held_back: Cell<bool>,
    /// Segments with chunks of bodies that no op names yet, and how many.
    pins: RefCell<BTreeMap<u64, u32>>,
    metrics: Cell<LogMetrics>,
    on_step: RefCell<Option<OnStep>>,
}

/// A segment at rest.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Sealed {
    /// Its number.
    pub segment: u64,
    /// When it began, Unix seconds.
    pub created: i64,
    /// Bytes of it.
    pub bytes: u64,
}

/// Keeps a segment for as long as it lives.
pub(crate) struct SegmentPin<D: Disk> {
    log: Log<D>,
    segment: u64,
}

impl<D: Disk> Drop for SegmentPin<D> {
    fn drop(&mut self) {
        let mut pins = self.log.0.pins.borrow_mut();
        let count = pins.get_mut(&self.segment).expect("pinned");
        *count -= 1;
        if *count == 0 {
            pins.remove(&self.segment);
        }
    }
}

impl<D: Disk> Clone for Log<D> {
    fn clone(&self) -> Self {
        Log(self.0.clone())
    }
}

impl<D: Disk> Log<D> {
    /// A log that will write new segments into `dir`, the data folder's `log`, which exists. Touches no file before the first
    /// record is written; [`Log::run`] must be spawned for anything to become durable.
    pub fn open(disk: D, dir: &Path, numbers: SegmentNumbers, options: LogOptions) -> Log<D> {
        assert!(options.segment_bytes <= SEGMENT_BYTES_MAX, "segments are bounded by the width of batch offsets");
        // What earlier runs left was made safe by recovery; this log's first segment has a higher number than all of it.
        let start = LogPos { segment: numbers.highest(), offset: u64::MAX };
        Log(Rc::new(Shared {
            files: Files::new(disk.clone(), dir.to_path_buf()),
            disk,
            dir: dir.to_path_buf(),
            options,
            numbers,
            state: RefCell::default(),
            durable: RefCell::new(Watermark::new(start)),
            last_batch: Cell::new(0),
            lost: RefCell::default(),
            failure: RefCell::default(),
            healing: Cell::new(false),
            on_failure: RefCell::default(),
            reserve: RefCell::default(),
            work: Notify::new(),
            drained: Notify::new(),
            turns: Semaphore::new(1),
            whole: Semaphore::new(WHOLE_BYTES_MAX),
            noting: Semaphore::new(1),
            manifest_fails: Cell::new(false),
            stopped: Watermark::new(false),
            sealed: RefCell::default(),
            held_back: Cell::new(false),
            pins: RefCell::default(),
            metrics: Cell::default(),
            on_step: RefCell::default(),
        }))
    }

    /// Waits until a message of so many bytes may be in memory whole.
    pub(crate) async fn whole_turn(&self, bytes: u64) -> Permit {
        self.0.whole.acquire(bytes).await
    }

    /// Gives a record its place after all others and hands it to the writer. `parts` are joined. Never waits;
    /// appended is not durable: no reply may leave before [`Log::durable`] of its end.
    ///
    /// # Errors
    /// Too big, failed, full or closed; then nothing was appended.
    pub fn append(&self, account: AccountId, kind: RecordKind, parts: &[&[u8]]) -> Result<Appended, LogError> {
        let bytes: usize = parts.iter().map(|p| p.len()).sum();
        if bytes > RECORD_BYTES_MAX {
            return Err(LogError::TooBig { bytes, max: RECORD_BYTES_MAX });
        }
        if let Some(refusal) = self.refuses() {
            return Err(refusal);
        }
        if kind != RecordKind::Op {
            self.takes_messages()?;
        }
        let mut state = self.0.state.borrow_mut();
        if state.closing {
            return Err(LogError::Closed);
        }
        state.make_room(bytes, self.0.options.segment_bytes, || self.next_header());
        let appended = state.put(kind, account, parts);
        drop(state);
        self.count(|m| m.records += 1);
        self.0.work.notify_all();
        Ok(appended)
    }

    /// Resolves once everything before `pos` is safe on the disk.
    ///
    /// # Errors
    /// The disk failed first, and the record is lost; or the log ended, and whether the record survives is unknown until
    /// the log is read again.
    pub async fn durable(&self, pos: LogPos) -> Result<(), LogError> {
        if let Some(error) = self.lost(pos) {
            return Err(error);
        }
        let reached = self.0.durable.borrow().wait_until(pos);
        reached.await
    }

    /// Everything before this is safe.
    pub fn durable_pos(&self) -> LogPos {
        self.0.durable.borrow().get()
    }

    /// Whether everything before `pos` is safe.
    pub fn is_durable(&self, pos: LogPos) -> bool {
        self.durable_pos() >= pos && self.lost(pos).is_none()
    }

    /// The end of the last record appended; `durable(log.end())` waits for all that was appended so far.
    pub fn end(&self) -> LogPos {
        self.0.state.borrow().end().unwrap_or(self.durable_pos())
    }

    /// Waits, first come first served, while more than [`LogOptions::pending_bytes_max`] wait for the disk. Append at
    /// once after it: the budget is looked at, not taken.
    ///
    /// # Errors
    /// It refuses, or was closed.
    pub async fn room(&self) -> Result<(), LogError> {
        if self.has_room()? {
            return Ok(());
        }
        let _turn = self.0.turns.acquire(1).await;
        while !self.has_room()? {
            self.0.drained.notified().await;
        }
        Ok(())
    }

    /// Bytes appended and not yet safe.
    pub fn pending_bytes(&self) -> usize {
        self.0.state.borrow().pending_bytes
    }

    /// Takes no more records, makes those it has durable, seals the segment and ends [`Log::run`].
    ///
    /// # Errors
    /// The disk failed: some records are lost.
    pub async fn close(&self) -> Result<(), LogError> {
        self.0.state.borrow_mut().closing = true;
        self.0.work.notify_all();
        self.0.drained.notify_all();
        self.0.stopped.wait_until(true).await
    }

    /// Segments of this run that are sealed and still there, oldest first.
    pub fn sealed(&self) -> Vec<Sealed> {
        self.0.sealed.borrow().clone()
    }

    /// Whose log it is.
    pub fn shard(&self) -> ShardId {
        self.0.options.shard
    }

    /// When the segment that takes records began, and its bytes; `None` when there is none.
    pub fn open_segment(&self) -> Option<Sealed> {
        self.0.state.borrow().open_segment()
    }

    /// Ends the segment that takes records, so that it can be drained; the next record begins another.
    pub fn seal_open(&self) {
        if self.0.state.borrow_mut().retire() {
            self.0.work.notify_all();
        }
    }

    /// The lowest segment that a body still to be named has chunks in.
    pub(crate) fn pinned(&self) -> Option<u64> {
        self.0.pins.borrow().keys().next().copied()
    }

    pub(crate) fn pin(&self, segment: u64) -> SegmentPin<D> {
        *self.0.pins.borrow_mut().entry(segment).or_default() += 1;
        SegmentPin { log: self.clone(), segment }
    }

    /// Makes [`Log::room`] wait, or lets it go on: the log takes more than it may until some of it is drained.
    pub fn hold_back(&self, hold: bool) {
        if self.0.held_back.replace(hold) && !hold {
            self.0.drained.notify_all();
        }
    }

    /// The highest segment number of before this run.
    pub(crate) fn numbers_before(&self) -> u64 {
        self.0.numbers.before()
    }

    /// Whether a segment may go for good: its number is not the one that keeps later ones from being given again.
    pub(crate) fn is_outlived(&self, segment: u64) -> bool {
        self.0.numbers.is_outlived(segment)
    }

    /// What it, and the store on it, does wrong on purpose.
    #[cfg(test)]
    pub(crate) fn mutant(&self) -> tests::Mutant {
        self.0.options.mutant
    }

    /// The random bytes of this run.
    pub fn run_id(&self) -> [u8; 16] {
        self.0.options.run
    }

    /// The counters.
    pub fn metrics(&self) -> LogMetrics {
        self.0.metrics.get()
    }

    /// Has every step of the writer told to `watch`, in place of an earlier one.
    pub fn on_step(&self, watch: impl Fn(LogStep) + 'static) {
        *self.0.on_step.borrow_mut() = Some(Rc::new(watch));
    }

    fn tell(&self, step: LogStep) {
        if let Some(watch) = &*self.0.on_step.borrow() {
            watch(step);
        }
    }

    fn has_room(&self) -> Result<bool, LogError> {
        if let Some(refusal) = self.refuses() {
            return Err(refusal);
        }
        let state = self.0.state.borrow();
        if state.closing {
            return Err(LogError::Closed);
        }
        Ok(state.pending_bytes <= self.0.options.pending_bytes_max && !self.0.held_back.get())
    }

    fn next_header(&self) -> SegmentHeader {
        let options = &self.0.options;
        SegmentHeader {
            shard: options.shard,
            segment: self.0.numbers.take(),
            created: (options.now)(),
            run: options.run,
        }
    }

    fn count(&self, change: impl FnOnce(&mut LogMetrics)) {
        let mut metrics = self.0.metrics.get();
        change(&mut metrics);
        self.0.metrics.set(metrics);
    }
}
