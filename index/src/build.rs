//! Rows in, the bytes of a snapshot out.

use crate::format::{ALIGN, HEADER_BYTES, SectionRow, UNIQUE_ID_BYTES, encode_header, section};
use crate::{Row, Run, SnapshotHead};
use skein_base::{ModSeq, Uid};

/// Makes a snapshot, row by row. Keeps the columns in memory (93 bytes a row); the cache heap, which is most of a
/// snapshot, can be taken out and written as it grows.
pub struct SnapshotBuilder {
    head: SnapshotHead,
    rows: u32,
    last_uid: Uid,
    columns: [Vec<u8>; section::COLUMNS.len()],
    keywords: Vec<u8>,
    names: Vec<u8>,
    expunged: Vec<u8>,
    extra: Vec<u8>,
    /// The table and the text.
    unique_ids: (Vec<u8>, Vec<u8>),
    values: Vec<u8>,
    heap: Vec<u8>,
    /// Bytes of the heap that were taken out.
    heap_taken: u64,
}

/// What is left to write when all rows are in.
pub(crate) struct Ending {
    pub header: [u8; HEADER_BYTES],
    /// The rest of the heap and all other sections.
    pub tail: Vec<u8>,
    pub tail_at: u64,
}

impl SnapshotBuilder {
    /// A mailbox without messages.
    pub fn new(head: SnapshotHead) -> SnapshotBuilder {
        SnapshotBuilder {
            head,
            rows: 0,
            last_uid: Uid(0),
            columns: Default::default(),
            keywords: Vec::new(),
            names: Vec::new(),
            expunged: Vec::new(),
            extra: Vec::new(),
            unique_ids: Default::default(),
            values: Vec::new(),
            heap: Vec::new(),
            heap_taken: 0,
        }
    }

    /// Makes room for so many rows at once.
    pub fn reserve(&mut self, rows: usize) {
        for (column, (_, width)) in self.columns.iter_mut().zip(section::COLUMNS) {
            column.reserve_exact(rows * width);
        }
    }

    /// Adds a message and its rendered cache, which may be empty. UIDs ascend.
    pub fn push(&mut self, row: &Row, cache: &[u8]) {
        assert!(row.uid > self.last_uid, "UIDs ascend");
        self.last_uid = row.uid;
        let mut entry = [0; crate::format::CACHE_ENTRY_BYTES];
        entry[..8].copy_from_slice(&(self.heap_taken + self.heap.len() as u64).to_le_bytes());
        entry[8..12].copy_from_slice(&(cache.len() as u32).to_le_bytes());
        entry[12..].copy_from_slice(&crc32c::crc32c(cache).to_le_bytes());
        self.heap.extend_from_slice(cache);
        let cells: [&[u8]; section::COLUMNS.len()] = [
            &row.uid.0.to_le_bytes(),
            &[row.flags.0],
            &row.modseq.0.to_le_bytes(),
            &row.internal_date.to_le_bytes(),
            &row.save_date.to_le_bytes(),
            &row.size.to_le_bytes(),
            &row.body,
            &entry,
            &row.guid.0,
        ];
        for (column, cell) in self.columns.iter_mut().zip(cells) {
            column.extend_from_slice(cell);
        }
        if row.keywords.0 != 0 || !self.keywords.is_empty() {
            self.keywords.resize(16 * self.rows as usize, 0);
            self.keywords.extend_from_slice(&row.keywords.0.to_le_bytes());
        }
        self.rows += 1;
    }

    /// Adds the next name of the keyword table: the first is bit 0 of the masks.
    pub fn keyword_name(&mut self, name: &str) {
        let len = u16::try_from(name.len()).expect("keyword names are bounded far below 64 KiB");
        self.names.extend_from_slice(&len.to_le_bytes());
        self.names.extend_from_slice(name.as_bytes());
    }

    /// Adds UIDs `first` to `last`, which left at `modseq`, to the expunge history, in ascending order of `modseq`.
    pub fn expunged(&mut self, modseq: ModSeq, first: Uid, last: Uid) {
        self.expunged.extend_from_slice(&modseq.0.to_le_bytes());
        self.expunged.extend_from_slice(&first.0.to_le_bytes());
        self.expunged.extend_from_slice(&last.0.to_le_bytes());
    }

    /// Adds the unique id that POP3 clients know a message by (RFC 1939 §7), where it is none that is made of the columns. UIDs ascend.
    pub fn unique_id(&mut self, uid: Uid, id: &str) {
        let (table, text) = &mut self.unique_ids;
        text.extend_from_slice(id.as_bytes());
        table.extend_from_slice(&uid.0.to_le_bytes());
        let end = u32::try_from(text.len()).expect("each message's is bounded, and so are the messages");
        table.extend_from_slice(&end.to_le_bytes());
    }

    /// Adds a column of values: runs ascend and do not overlap. Names ascend too.
    pub fn values(&mut self, name: &str, runs: &[Run]) {
        let len = u16::try_from(name.len()).expect("names of columns are bounded far below 64 KiB");
        self.values.extend_from_slice(&len.to_le_bytes());
        self.values.extend_from_slice(name.as_bytes());
        self.values.extend_from_slice(&(runs.len() as u32).to_le_bytes());
        for run in runs {
            self.values.extend_from_slice(&run.first.0.to_le_bytes());
            self.values.extend_from_slice(&run.last.0.to_le_bytes());
            self.values.extend_from_slice(&run.value.to_le_bytes());
            self.values.extend_from_slice(&run.modseq.0.to_le_bytes());
        }
    }

    /// Bytes kept beside the columns, whatever they mean to the caller.
    pub fn extra(&mut self, bytes: &[u8]) {
        self.extra = bytes.to_vec();
    }

    /// The whole file.
    pub fn into_bytes(self) -> Vec<u8> {
        assert_eq!(self.heap_taken, 0, "the heap was taken out");
        let ending = self.finish();
        let mut out = ending.header.to_vec();
        out.extend_from_slice(&ending.tail);
        out
    }

    /// Bytes of heap that wait to be taken.
    pub(crate) fn heap_len(&self) -> usize {
        self.heap.len()
    }

    /// Takes the heap's bytes so far, and where they belong; `buffer` gathers the next ones.
    pub(crate) fn take_heap(&mut self, mut buffer: Vec<u8>) -> (u64, Vec<u8>) {
        buffer.clear();
        let at = HEADER_BYTES as u64 + self.heap_taken;
        let bytes = std::mem::replace(&mut self.heap, buffer);
        self.heap_taken += bytes.len() as u64;
        (at, bytes)
    }

    pub(crate) fn finish(mut self) -> Ending {
        let tail_at = HEADER_BYTES as u64 + self.heap_taken;
        let heap_len = self.heap_taken + self.heap.len() as u64;
        let mut sections = vec![SectionRow { id: section::CACHE, crc: 0, at: HEADER_BYTES as u64, len: heap_len }];
        if !self.keywords.is_empty() {
            self.keywords.resize(16 * self.rows as usize, 0);
        }
        let mut tail = self.heap;
        let columns = section::COLUMNS.iter().map(|(id, _)| *id).zip(self.columns);
        let others = [(section::KEYWORDS, self.keywords), (section::KEYWORD_NAMES, self.names)];
        let (table, text) = self.unique_ids;
        let mut unique_ids = Vec::new();
        if !table.is_empty() {
            unique_ids.extend_from_slice(&((table.len() / UNIQUE_ID_BYTES) as u32).to_le_bytes());
            unique_ids.extend_from_slice(&table);
            unique_ids.extend_from_slice(&text);
        }
        let last = [
            (section::EXPUNGED, self.expunged),
            (section::EXTRA, self.extra),
            (section::UNIQUE_IDS, unique_ids),
            (section::VALUES, self.values),
        ];
        for (id, bytes) in columns.chain(others).chain(last) {
            let is_column = section::COLUMNS.iter().any(|(column, _)| *column == id);
            if bytes.is_empty() && !is_column {
                continue;
            }
            let at = (tail_at + tail.len() as u64).next_multiple_of(ALIGN as u64);
            tail.resize((at - tail_at) as usize, 0);
            sections.push(SectionRow { id, crc: crc32c::crc32c(&bytes), at, len: bytes.len() as u64 });
            tail.extend_from_slice(&bytes);
        }
        Ending { header: encode_header(&self.head, self.rows, &sections), tail, tail_at }
    }
}
