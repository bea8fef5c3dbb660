//! What gathers in memory: the records of the next batch, at the places they will have.

use super::format::{self, RecordKind, SEGMENT_HEADER_BYTES, SegmentHeader, put_record, stride};
use super::{Appended, Sealed};
use skein_base::{AccountId, LogPos};
use std::collections::VecDeque;

/// Buffers above this are given back to the system after use, so that one burst does not stay for good.
const SPARE_BYTES_MAX: usize = 4 * 1024 * 1024;

/// Bytes for one segment, written and synced as one.
pub(super) struct Piece {
    pub header: SegmentHeader,
    /// Where in the segment the bytes belong.
    pub base: u64,
    pub bytes: Vec<u8>,
    /// How many there are in it.
    pub records: u32,
    /// The segment ends with this piece.
    pub last: bool,
}

impl Piece {
    pub fn end(&self) -> LogPos {
        LogPos { segment: self.header.segment, offset: self.base + self.bytes.len() as u64 }
    }
}

/// A segment that takes records.
struct Open {
    header: SegmentHeader,
    seed: u32,
    /// Where the batch that gathers begins; everything before it was handed to the writer.
    base: u64,
    bytes: Vec<u8>,
    records: u32,
}

impl Open {
    fn end(&self) -> u64 {
        self.base + self.bytes.len() as u64
    }

    fn take(&mut self, spare: Vec<u8>, last: bool) -> Piece {
        let base = self.base;
        let bytes = std::mem::replace(&mut self.bytes, spare);
        self.base += bytes.len() as u64;
        Piece { header: self.header, base, bytes, records: std::mem::take(&mut self.records), last }
    }
}

/// The log's memory.
#[derive(Default)]
pub(super) struct State {
    open: Option<Open>,
    /// What is left of earlier segments, oldest first.
    full: VecDeque<Piece>,
    /// A buffer that came back from the disk.
    spare: Vec<u8>,
    /// The end of the piece that the writer took last.
    writing: Option<LogPos>,
    /// Bytes not yet safe, those on their way among them.
    pub pending_bytes: usize,
    pub closing: bool,
}

impl State {
    /// The end of the last record.
    pub fn end(&self) -> Option<LogPos> {
        self.open.as_ref().map(|o| LogPos { segment: o.header.segment, offset: o.end() })
    }

    /// Whether the byte before `end` is among those that gather or are on their way to the disk.
    pub fn holds(&self, end: LogPos) -> bool {
        let ends = self.full.iter().map(Piece::end).chain(self.writing).chain(self.end());
        ends.into_iter().any(|piece| piece.segment == end.segment && end.offset <= piece.offset)
    }

    /// Makes sure that an open segment has room for a payload; `next` describes a new segment.
    pub fn make_room(&mut self, payload: usize, segment_bytes: u64, next: impl FnOnce() -> SegmentHeader) {
        if let Some(open) = &mut self.open {
            let empty = open.end() == SEGMENT_HEADER_BYTES as u64;
            if empty || open.end() + stride(payload) + stride(0) <= segment_bytes {
                return;
            }
            let piece = open.take(Vec::new(), true);
            self.full.push_back(piece);
        }
        let header = next();
        let bytes = std::mem::take(&mut self.spare);
        self.open = Some(Open { header, seed: header.seed(), base: SEGMENT_HEADER_BYTES as u64, bytes, records: 0 });
    }

    /// When the open segment began, and its bytes.
    pub fn open_segment(&self) -> Option<Sealed> {
        let open = self.open.as_ref()?;
        Some(Sealed { segment: open.header.segment, created: open.header.created, bytes: open.end() })
    }

    /// Ends the open segment when it has records.
    pub fn retire(&mut self) -> bool {
        let Some(mut open) = self.open.take_if(|open| open.end() > SEGMENT_HEADER_BYTES as u64) else { return false };
        self.full.push_back(open.take(Vec::new(), true));
        true
    }

    /// Appends a record to the open segment.
    pub fn put(&mut self, kind: RecordKind, account: AccountId, parts: &[&[u8]]) -> Appended {
        let open = self.open.as_mut().expect("make_room opened one");
        let (start, before) = (open.end(), open.bytes.len());
        let batch = u32::try_from(open.base).expect("segments are bounded far below 4 GiB");
        put_record(&mut open.bytes, start, open.seed, batch, kind, account, parts);
        open.records += 1;
        self.pending_bytes += open.bytes.len() - before;
        let segment = open.header.segment;
        Appended { start: LogPos { segment, offset: start }, end: LogPos { segment, offset: open.end() } }
    }

    /// The next piece for the writer: first what is left of full segments, then all that gathered.
    pub fn take(&mut self) -> Option<Piece> {
        let piece = match self.full.pop_front() {
            Some(piece) => piece,
            None => {
                let open = self.open.as_mut().filter(|o| !o.bytes.is_empty())?;
                open.take(std::mem::take(&mut self.spare), false)
            }
        };
        self.writing = Some(piece.end());
        Some(piece)
    }

    /// Forgets everything that gathered or is on its way; the end of its last record.
    pub fn lose(&mut self) -> Option<LogPos> {
        let ends = self.full.iter().map(Piece::end).chain(self.writing).chain(self.end());
        let last = ends.max();
        *self = State { closing: self.closing, ..State::default() };
        last
    }

    /// The open segment's last piece, when all of it was taken and the log closes.
    pub fn take_last(&mut self) -> Option<Piece> {
        self.open.take().map(|mut open| open.take(Vec::new(), true))
    }

    /// A buffer comes back after its bytes were written.
    pub fn give_back(&mut self, mut bytes: Vec<u8>) {
        self.pending_bytes -= bytes.len();
        if bytes.capacity() <= SPARE_BYTES_MAX && bytes.capacity() > self.spare.capacity() {
            bytes.clear();
            self.spare = bytes;
        }
    }
}

/// The record that ends a segment, at `at`.
pub(super) fn seal(header: &SegmentHeader, at: u64) -> Vec<u8> {
    let mut out = Vec::with_capacity(format::RECORD_HEADER_BYTES);
    let batch = u32::try_from(at).expect("segments are bounded far below 4 GiB");
    put_record(&mut out, at, header.seed(), batch, RecordKind::Seal, AccountId([0; 16]), &[]);
    out
}
