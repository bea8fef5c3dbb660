//! Records read back: segment files held open, the one that is being written among them.

use super::format::{RECORD_HEADER_BYTES, RecordHeader, SEGMENT_HEADER_BYTES, SegmentHeader, segment_name};
use super::{Log, ReadError, SEGMENT_FILES_OPEN_MAX};
use skein_base::LogPos;
use skein_base::seam::Disk;
use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::io;
use std::path::PathBuf;

/// Bytes read at once when a record's length is not yet known: most ops fit, and a larger record costs one more read.
const FIRST_READ_BYTES: usize = 4096;

/// Open segment files, the least recently used of which is closed for the next.
pub(super) struct Files<D: Disk> {
    disk: D,
    dir: PathBuf,
    open: RefCell<HashMap<u64, Entry<D::File>>>,
    uses: Cell<u64>,
}

struct Entry<F> {
    segment: Segment<F>,
    used: Cell<u64>,
}

/// A segment to read from.
#[derive(Clone)]
pub(super) struct Segment<F> {
    pub file: F,
    pub seed: u32,
}

impl<D: Disk> Files<D> {
    pub fn new(disk: D, dir: PathBuf) -> Files<D> {
        Files { disk, dir, open: RefCell::default(), uses: Cell::new(0) }
    }

    pub fn add(&self, header: &SegmentHeader, file: D::File) {
        self.insert(header.segment, Segment { file, seed: header.seed() });
    }

    pub fn cached(&self, segment: u64) -> Option<Segment<D::File>> {
        let open = self.open.borrow();
        let entry = open.get(&segment)?;
        entry.used.set(self.next_use());
        Some(entry.segment.clone())
    }

    pub async fn segment(&self, number: u64) -> Result<Segment<D::File>, ReadError> {
        if let Some(segment) = self.cached(number) {
            return Ok(segment);
        }
        let file = self.open(number).await?;
        let header = self.disk.read_at(&file, 0, SEGMENT_HEADER_BYTES).await?;
        let Some(header) = SegmentHeader::decode(&header).filter(|h| h.segment == number) else {
            return Err(self.no_record(LogPos { segment: number, offset: 0 }).await);
        };
        let segment = Segment { file, seed: header.seed() };
        self.insert(number, segment.clone());
        Ok(segment)
    }

    async fn open(&self, number: u64) -> Result<D::File, ReadError> {
        match self.disk.open(&self.dir.join(segment_name(number))).await {
            Err(e) if e.kind() == io::ErrorKind::NotFound => Err(ReadError::Missing { segment: number }),
            other => Ok(other?),
        }
    }

    /// What it means that there is no record at a place: a segment that was drained may have been cut under a reader who has its
    /// file open, and then it has lost its name before.
    async fn no_record(&self, at: LogPos) -> ReadError {
        self.forget(at.segment);
        self.open(at.segment).await.err().unwrap_or(ReadError::Damaged { at })
    }

    /// Closes a segment's file, before it is removed.
    pub fn forget(&self, segment: u64) {
        self.open.borrow_mut().remove(&segment);
    }

    fn insert(&self, number: u64, segment: Segment<D::File>) {
        let mut open = self.open.borrow_mut();
        if open.len() >= SEGMENT_FILES_OPEN_MAX {
            let oldest = open.iter().min_by_key(|(_, entry)| entry.used.get()).map(|(number, _)| *number);
            oldest.map(|number| open.remove(&number));
        }
        open.insert(number, Entry { segment, used: Cell::new(self.next_use()) });
    }

    fn next_use(&self) -> u64 {
        self.uses.replace(self.uses.get() + 1)
    }
}

impl<D: Disk> Log<D> {
    /// A record's header and payload, checked. `at` is where the record starts; the segment may be another shard's
    /// of an earlier start. Waits for the write when the record is still in memory.
    ///
    /// # Errors
    /// Gone, damaged, or the disk failed.
    pub async fn read(&self, at: LogPos) -> Result<(RecordHeader, Vec<u8>), ReadError> {
        self.read_expecting(at, FIRST_READ_BYTES - RECORD_HEADER_BYTES).await
    }

    /// The same, in one read when the payload has no more bytes than are expected.
    ///
    /// # Errors
    /// Gone, damaged, or the disk failed.
    pub(crate) async fn read_expecting(
        &self,
        at: LogPos,
        payload_bytes: usize,
    ) -> Result<(RecordHeader, Vec<u8>), ReadError> {
        self.written(LogPos { offset: at.offset + 1, ..at }).await?;
        let segment = self.0.files.segment(at.segment).await?;
        let first = RECORD_HEADER_BYTES + payload_bytes;
        let mut bytes = self.0.disk.read_at(&segment.file, at.offset, first).await?;
        let Some(header) = RecordHeader::decode(&bytes, segment.seed, at.offset) else {
            return Err(self.0.files.no_record(at).await);
        };
        let end = RECORD_HEADER_BYTES + header.len as usize;
        if bytes.len() < end {
            bytes = self.0.disk.read_at(&segment.file, at.offset, end).await?;
        }
        match payload_of(&header, bytes) {
            Some(payload) => Ok((header, payload)),
            None => Err(self.0.files.no_record(at).await),
        }
    }

    /// The payload of a record that has so many bytes of it, at once, when the file is open and the page cache holds all of it;
    /// `None` also for one that does not check.
    pub(crate) fn read_cached(&self, at: LogPos, payload_bytes: usize) -> Option<(RecordHeader, Vec<u8>)> {
        let len = RECORD_HEADER_BYTES + payload_bytes;
        if self.unwritten(LogPos { offset: at.offset + len as u64, ..at }) {
            return None;
        }
        let segment = self.0.files.cached(at.segment)?;
        let bytes = self.0.disk.read_cached(&segment.file, at.offset, len)?;
        let header = RecordHeader::decode(&bytes, segment.seed, at.offset)?;
        let payload = payload_of(&header, bytes)?;
        Some((header, payload))
    }

    /// Waits until the bytes below `end` are in the file, when they are this log's own and still on their way.
    async fn written(&self, end: LogPos) -> Result<(), ReadError> {
        if self.unwritten(end) {
            let durable = self.0.durable.borrow().wait_until(end);
            durable.await?;
        }
        Ok(())
    }

    /// Whether `end` lies in what this log appended and has not written. Other shards' segments never do: their
    /// numbers are below the first of this log, or were written before an account could have moved here.
    fn unwritten(&self, end: LogPos) -> bool {
        end > self.0.durable.borrow().get() && self.0.state.borrow().holds(end)
    }
}

/// What follows a record's header, checked.
fn payload_of(header: &RecordHeader, mut bytes: Vec<u8>) -> Option<Vec<u8>> {
    let end = RECORD_HEADER_BYTES + header.len as usize;
    let payload = bytes.get(RECORD_HEADER_BYTES..end)?;
    if crc32c::crc32c(payload) != header.payload_crc {
        return None;
    }
    bytes.truncate(end);
    bytes.drain(..RECORD_HEADER_BYTES);
    Some(bytes)
}
