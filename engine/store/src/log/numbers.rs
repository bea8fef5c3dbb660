//! Segment numbers, one ascending row for all shards.
//!
//! ```text
//! high-0000   [ highest number of the shard 8 | CRC32C 4 ]      one file a shard, written before a segment's first record
//! ```
//!
//! The newest segment may be lost or deleted. Its number must not come again: positions and addresses name it.

use super::{Log, Manifest, SegmentScan};
use skein_base::ShardId;
use skein_base::seam::Disk;
use std::io;
use std::path::Path;

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Gives out segment numbers. Clones share one row, across threads: the segments of one account ascend even when it
/// lived on another shard before the last start.
#[derive(Clone, Debug)]
pub struct SegmentNumbers(Arc<Numbers>);

#[derive(Debug)]
struct Numbers {
    next: AtomicU64,
    /// The highest number of before this run.
    before: u64,
    /// The highest segment of this run that has a durable record.
    durable: AtomicU64,
    /// The segments of all shards.
    manifest: Mutex<Manifest>,
    manifest_due: AtomicBool,
}

impl SegmentNumbers {
    /// The next number given is above `highest`. That has to cover every segment present **and** every position a
    /// snapshot names: a drained segment may be gone while a snapshot still says "true up to there".
    pub fn above(highest: u64) -> SegmentNumbers {
        let next = AtomicU64::new(highest + 1);
        SegmentNumbers(Arc::new(Numbers {
            next,
            before: highest,
            durable: AtomicU64::new(0),
            manifest: Mutex::default(),
            manifest_due: AtomicBool::new(true),
        }))
    }

    /// A number never given before.
    pub fn take(&self) -> u64 {
        self.0.next.fetch_add(1, Ordering::Relaxed)
    }

    /// The highest number given so far, or the one it started above.
    pub fn highest(&self) -> u64 {
        self.0.next.load(Ordering::Relaxed) - 1
    }

    /// The number it started above.
    pub(crate) fn before(&self) -> u64 {
        self.0.before
    }

    pub(super) fn manifest(&self) -> MutexGuard<'_, Manifest> {
        // Nothing in it can be left halfway.
        self.0.manifest.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A segment has a durable record.
    pub(super) fn note_begun(&self, segment: u64) {
        self.manifest().segments.entry(segment).or_insert(0);
        self.set_manifest_due();
    }

    /// A segment is sealed.
    pub(super) fn note_end(&self, segment: u64, end: u64) {
        self.manifest().segments.insert(segment, end);
        self.set_manifest_due();
    }

    /// Whether the manifest says more than its files; asked once.
    pub(super) fn is_manifest_due(&self) -> bool {
        self.0.manifest_due.swap(false, Ordering::AcqRel)
    }

    pub(super) fn set_manifest_due(&self) {
        self.0.manifest_due.store(true, Ordering::Release);
    }

    /// Takes stock of what a start has found in a segment and brought to rest.
    pub fn take_stock(&self, found: &SegmentScan) {
        self.manifest().take_stock(found);
    }

    /// Notes that a segment has a durable record.
    pub(super) fn note_durable(&self, segment: u64) {
        self.0.durable.fetch_max(segment, Ordering::Release);
    }

    /// Whether a segment may be removed without its number ever being given again: one above it will be found by the next
    /// start.
    pub(super) fn is_outlived(&self, segment: u64) -> bool {
        self.0.durable.load(Ordering::Acquire) > segment
    }
}

/// Bytes of what a file of numbers says.
const NOTE_BYTES: usize = 12;

fn note_name(shard: ShardId) -> String {
    format!("high-{:04x}", shard.0)
}

/// Whether a file of the log's folder holds the highest number of a shard.
pub fn is_number_note(name: &str) -> bool {
    name.len() == 9 && name.starts_with("high-")
}

/// The number that such a file holds; 0 when it was never whole, or is no more.
pub fn read_number_note(bytes: &[u8]) -> u64 {
    let Some((number, crc)) = bytes.get(..NOTE_BYTES).and_then(|bytes| bytes.split_first_chunk::<8>()) else {
        return 0;
    };
    if crc32c::crc32c(number).to_le_bytes() == crc { u64::from_le_bytes(*number) } else { 0 }
}

/// The highest number that was ever noted in the log's folder.
///
/// # Errors
/// The disk failed.
pub async fn highest_noted<D: Disk>(disk: &D, dir: &Path) -> io::Result<u64> {
    let mut highest = 0;
    for name in disk.list(dir).await?.iter().filter(|name| is_number_note(name)) {
        let file = disk.open(&dir.join(name)).await?;
        highest = highest.max(read_number_note(&disk.read_at(&file, 0, NOTE_BYTES).await?));
    }
    Ok(highest)
}

impl<D: Disk> Log<D> {
    /// Notes durably that a number is taken.
    pub(super) async fn note_number(&self, number: u64) -> io::Result<()> {
        let path = self.0.dir.join(note_name(self.0.options.shard));
        let (file, is_new) = match self.0.disk.open(&path).await {
            Err(error) if error.kind() == io::ErrorKind::NotFound => (self.0.disk.create(&path).await?, true),
            file => (file?, false),
        };
        let mut bytes = number.to_le_bytes().to_vec();
        bytes.extend_from_slice(&crc32c::crc32c(&bytes).to_le_bytes());
        self.0.disk.write_at(&file, 0, bytes).await?;
        self.0.disk.fdatasync(&file).await?;
        if is_new { self.0.disk.sync_dir(&self.0.dir).await } else { Ok(()) }
    }
}
