//! Records read back: segment files held open, the one that is being written among them.

use super::error::is_full;
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
        let file = match self.disk.open(&self.dir.join(segment_name(number))).await {
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Err(ReadError::Missing { segment: number }),
            other => other?,
        };
        let header = self.disk.read_at(&file, 0, SEGMENT_HEADER_BYTES).await?;
        let header = SegmentHeader::decode(&header).filter(|h| h.segment == number);
        let header = header.ok_or(ReadError::Damaged { at: LogPos { segment: number, offset: 0 } })?;
        let segment = Segment { file, seed: header.seed() };
        self.insert(number, segment.clone());
        Ok(segment)
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
        let damaged = || ReadError::Damaged { at };
        let header = RecordHeader::decode(&bytes, segment.seed, at.offset).ok_or_else(damaged)?;
        let end = RECORD_HEADER_BYTES + header.len as usize;
        if bytes.len() < end {
            bytes = self.0.disk.read_at(&segment.file, at.offset, end).await?;
        }
        let payload = payload_of(&header, bytes).ok_or_else(damaged)?;
        Ok((header, payload))
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

    /// Notes durably that a segment is about to be removed: one that is noted and has no file was taken away by somebody.
    /// False when the disk is too full for that, and the segment's end is what makes room.
    ///
    /// # Errors
    /// The disk failed.
    pub async fn note_removal(&self, segment: u64) -> io::Result<bool> {
        match self.note(|segments| _ = segments.remove(&segment)).await {
            Err(error) if is_full(&error) => Ok(false),
            noted => noted.map(|()| true),
        }
    }

    /// Removes a segment whose records nobody needs any more. It is not the one being written, and its removal is noted,
    /// or will be.
    ///
    /// # Errors
    /// The disk failed.
    pub async fn remove_segment(&self, segment: u64, is_noted: bool) -> io::Result<()> {
        self.0.files.forget(segment);
        self.0.sealed.borrow_mut().retain(|sealed| sealed.segment != segment);
        self.0.disk.remove(&self.0.dir.join(segment_name(segment))).await?;
        self.0.disk.sync_dir(&self.0.dir).await?;
        if !is_noted && let Err(error) = self.note(|segments| _ = segments.remove(&segment)).await {
            tracing::warn!(segment, %error, "a log segment that was drained is still in the manifest");
        }
        Ok(())
    }

    /// Waits until the bytes below `end` are in the file, when they are this log's own and still on their way.
    async fn written(&self, end: LogPos) -> Result<(), ReadError> {
        if self.unwritten(end) {
            let written = self.0.written.borrow().wait_until(end);
            written.await?;
        }
        Ok(())
    }

    /// Whether `end` lies in what this log appended and has not written. Other shards' segments never do: their
    /// numbers are below the first of this log, or were written before an account could have moved here.
    fn unwritten(&self, end: LogPos) -> bool {
        end > self.0.written.borrow().get() && self.0.state.borrow().holds(end)
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
