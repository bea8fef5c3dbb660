//! A snapshot read in place.

use crate::format::{
    CACHE_ENTRY_BYTES, EXPUNGED_BYTES, RUN_BYTES, SectionRow, UNIQUE_ID_BYTES, array_at, decode_header, section,
    u32_at, u64_at,
};
use crate::{BODY_ADDR_BYTES, SnapshotError, SnapshotHead};
use skein_base::{Flags, Guid, KeywordMask, ModSeq, Uid};
use std::ops::{Deref, Range};

/// What a snapshot says of one message, but its rendered cache.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Row {
    /// The message.
    pub uid: Uid,
    /// System flags.
    pub flags: Flags,
    /// Keywords, by [`Snapshot::keyword_names`].
    pub keywords: KeywordMask,
    /// When it last changed.
    pub modseq: ModSeq,
    /// INTERNALDATE, Unix seconds.
    pub internal_date: i64,
    /// When it came into this mailbox, Unix seconds.
    pub save_date: i64,
    /// RFC822.SIZE, bytes.
    pub size: u32,
    /// Where the message's bytes are, encoded by the store.
    pub body: [u8; BODY_ADDR_BYTES],
    /// Identity.
    pub guid: Guid,
}

/// Messages that left together: one row of the expunge history.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Expunged {
    /// When.
    pub modseq: ModSeq,
    /// Lowest UID.
    pub first: Uid,
    /// Highest UID.
    pub last: Uid,
}

/// Messages that have the same value in a column.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Run {
    /// Lowest UID.
    pub first: Uid,
    /// Highest UID.
    pub last: Uid,
    /// What they have.
    pub value: u64,
    /// Since when.
    pub modseq: ModSeq,
}

/// A mailbox as it was at [`SnapshotHead::true_to`]. Everything but the cache entries was checked when it was opened;
/// those are checked one by one.
#[derive(Clone, Debug)]
pub struct Snapshot<M> {
    map: M,
    head: SnapshotHead,
    rows: u32,
    columns: Columns,
    names: Vec<Box<str>>,
}

/// Where the sections are in the map.
#[derive(Clone, Debug, Default)]
struct Columns {
    uid: Range<usize>,
    flags: Range<usize>,
    /// Empty while every mask is zero.
    keywords: Range<usize>,
    modseq: Range<usize>,
    internal_date: Range<usize>,
    save_date: Range<usize>,
    size: Range<usize>,
    body: Range<usize>,
    cache_entry: Range<usize>,
    guid: Range<usize>,
    expunged: Range<usize>,
    extra: Range<usize>,
    /// The table of unique ids, and their text.
    unique_ids: Range<usize>,
    unique_id_text: Range<usize>,
    values: Range<usize>,
    heap: Range<usize>,
}

impl<M: Deref<Target = [u8]>> Snapshot<M> {
    /// Checks a file's bytes and takes them.
    ///
    /// # Errors
    /// Whatever is wrong with them; the map is dropped.
    pub fn open(map: M) -> Result<Snapshot<M>, SnapshotError> {
        let (head, rows, sections) = decode_header(&map)?;
        let part = |id| find(&map, &sections, id);
        let column = |id| column(&map, &sections, id, rows);
        let need = |id| column(id)?.ok_or(SnapshotError::Section { id });
        let bad = |id| SnapshotError::Section { id };
        let unique_ids = part(section::UNIQUE_IDS)?.unwrap_or_default();
        let (unique_ids, unique_id_text) = split_unique_ids(&map, unique_ids).ok_or(bad(section::UNIQUE_IDS))?;
        let columns = Columns {
            uid: need(section::UID)?,
            flags: need(section::FLAGS)?,
            keywords: column(section::KEYWORDS)?.unwrap_or_default(),
            modseq: need(section::MODSEQ)?,
            internal_date: need(section::INTERNAL_DATE)?,
            save_date: need(section::SAVE_DATE)?,
            size: need(section::SIZE)?,
            body: need(section::BODY)?,
            cache_entry: need(section::CACHE_ENTRY)?,
            guid: need(section::GUID)?,
            expunged: part(section::EXPUNGED)?.unwrap_or_default(),
            extra: part(section::EXTRA)?.unwrap_or_default(),
            unique_ids,
            unique_id_text,
            values: part(section::VALUES)?.unwrap_or_default(),
            heap: part(section::CACHE)?.unwrap_or_default(),
        };
        let names = part(section::KEYWORD_NAMES)?.unwrap_or_default();
        let names = decode_names(&map[names]).ok_or(bad(section::KEYWORD_NAMES))?;
        let snapshot = Snapshot { map, head, rows, columns, names };
        if !snapshot.uids().map(|uid| uid.0).is_sorted_by(|a, b| a < b) || snapshot.uids().next() == Some(Uid(0)) {
            return Err(bad(section::UID));
        }
        if snapshot.rows.checked_sub(1).map_or(Uid(0), |row| snapshot.uid(row)) >= snapshot.head.uid_next {
            return Err(SnapshotError::Header);
        }
        if !snapshot.columns.expunged.len().is_multiple_of(EXPUNGED_BYTES) {
            return Err(bad(section::EXPUNGED));
        }
        if !are_whole(Values(&snapshot.map[snapshot.columns.values.clone()])) {
            return Err(bad(section::VALUES));
        }
        Ok(snapshot)
    }

    /// Checks again what was checked when it was opened: a map shows what becomes of its file.
    ///
    /// # Errors
    /// What is wrong with it now.
    pub fn verify(&self) -> Result<(), SnapshotError> {
        Snapshot::open(&self.map[..]).map(drop)
    }

    /// What it says of the whole mailbox.
    pub fn head(&self) -> &SnapshotHead {
        &self.head
    }

    /// Messages.
    pub fn rows(&self) -> u32 {
        self.rows
    }

    /// Bytes of the whole file.
    pub fn file_bytes(&self) -> usize {
        self.map.len()
    }

    /// One message. `row` is below [`Snapshot::rows`].
    pub fn row(&self, row: u32) -> Row {
        Row {
            uid: self.uid(row),
            flags: self.flags(row),
            keywords: self.keywords(row),
            modseq: self.modseq(row),
            internal_date: self.internal_date(row),
            save_date: self.save_date(row),
            size: self.size(row),
            body: self.body(row),
            guid: self.guid(row),
        }
    }

    /// The row of a UID.
    pub fn find(&self, uid: Uid) -> Option<u32> {
        let row = self.lower_bound(uid);
        (row < self.rows && self.uid(row) == uid).then_some(row)
    }

    /// The first row whose UID is not below `uid`.
    pub fn lower_bound(&self, uid: Uid) -> u32 {
        let (mut low, mut high) = (0, self.rows);
        while low < high {
            let middle = low + (high - low) / 2;
            if self.uid(middle) < uid { low = middle + 1 } else { high = middle }
        }
        low
    }

    /// UID of a row.
    pub fn uid(&self, row: u32) -> Uid {
        Uid(u32::from_le_bytes(self.cell(&self.columns.uid, row)))
    }

    /// All UIDs, ascending.
    pub fn uids(&self) -> impl ExactSizeIterator<Item = Uid> + '_ {
        self.cells(&self.columns.uid).map(|cell| Uid(u32::from_le_bytes(cell)))
    }

    /// System flags of a row.
    pub fn flags(&self, row: u32) -> Flags {
        let [flags] = self.cell(&self.columns.flags, row);
        Flags(flags & Flags::ALL.0)
    }

    /// All rows' system flags.
    pub fn all_flags(&self) -> impl ExactSizeIterator<Item = Flags> + '_ {
        self.cells(&self.columns.flags).map(|[flags]| Flags(flags & Flags::ALL.0))
    }

    /// Keywords of a row.
    pub fn keywords(&self, row: u32) -> KeywordMask {
        assert!(row < self.rows);
        if self.columns.keywords.is_empty() {
            return KeywordMask::default();
        }
        KeywordMask(u128::from_le_bytes(self.cell(&self.columns.keywords, row)))
    }

    /// Whether any row has a keyword.
    pub fn has_keywords(&self) -> bool {
        !self.columns.keywords.is_empty()
    }

    /// When a row last changed.
    pub fn modseq(&self, row: u32) -> ModSeq {
        ModSeq(u64::from_le_bytes(self.cell(&self.columns.modseq, row)))
    }

    /// When all rows last changed.
    pub fn all_modseqs(&self) -> impl ExactSizeIterator<Item = ModSeq> + '_ {
        self.cells(&self.columns.modseq).map(|cell| ModSeq(u64::from_le_bytes(cell)))
    }

    /// INTERNALDATE of a row, Unix seconds.
    pub fn internal_date(&self, row: u32) -> i64 {
        i64::from_le_bytes(self.cell(&self.columns.internal_date, row))
    }

    /// When a row came into this mailbox, Unix seconds.
    pub fn save_date(&self, row: u32) -> i64 {
        i64::from_le_bytes(self.cell(&self.columns.save_date, row))
    }

    /// RFC822.SIZE of a row, bytes.
    pub fn size(&self, row: u32) -> u32 {
        u32::from_le_bytes(self.cell(&self.columns.size, row))
    }

    /// Where a row's bytes are.
    pub fn body(&self, row: u32) -> [u8; BODY_ADDR_BYTES] {
        self.cell(&self.columns.body, row)
    }

    /// Identity of a row.
    pub fn guid(&self, row: u32) -> Guid {
        Guid(self.cell(&self.columns.guid, row))
    }

    /// The rendered cache of a row; empty when there is none.
    ///
    /// # Errors
    /// [`SnapshotError::Cache`] when it does not check: render it again.
    pub fn cache(&self, row: u32) -> Result<&[u8], SnapshotError> {
        let (bytes, crc) = self.cache_entry(row);
        bytes.filter(|bytes| bytes.is_empty() || crc32c::crc32c(bytes) == crc).ok_or(SnapshotError::Cache { row })
    }

    /// The rendered cache of a row as it lies there: for one that [`Snapshot::cache`] has just found good, or that checks itself. Empty
    /// when there is none.
    pub fn cache_as_it_is(&self, row: u32) -> &[u8] {
        self.cache_entry(row).0.unwrap_or_default()
    }

    /// The bytes, when they are inside of the file, and what they must come to.
    fn cache_entry(&self, row: u32) -> (Option<&[u8]>, u32) {
        let entry: [u8; CACHE_ENTRY_BYTES] = self.cell(&self.columns.cache_entry, row);
        let (at, len, crc) = (u64_at(&entry, 0), u32_at(&entry, 8), u32_at(&entry, 12));
        if len == 0 {
            return (Some(&[]), crc);
        }
        let heap = &self.map[self.columns.heap.clone()];
        (usize::try_from(at).ok().and_then(|at| heap.get(at..)?.get(..len as usize)), crc)
    }

    /// The keyword table; bit `i` of a mask is its `i`-th name.
    pub fn keyword_names(&self) -> &[Box<str>] {
        &self.names
    }

    /// The expunge history, as it was written: ascending by modseq.
    pub fn expunged(&self) -> impl ExactSizeIterator<Item = Expunged> + '_ {
        self.cells::<EXPUNGED_BYTES>(&self.columns.expunged).map(|cell| Expunged {
            modseq: ModSeq(u64_at(&cell, 0)),
            first: Uid(u32_at(&cell, 8)),
            last: Uid(u32_at(&cell, 12)),
        })
    }

    /// The unique id that was kept for a message, when one was.
    pub fn unique_id(&self, uid: Uid) -> Option<&str> {
        let table = &self.map[self.columns.unique_ids.clone()];
        let at = |i: usize| (u32_at(table, i * UNIQUE_ID_BYTES), u32_at(table, i * UNIQUE_ID_BYTES + 4) as usize);
        let (mut low, mut high) = (0, table.len() / UNIQUE_ID_BYTES);
        while low < high {
            let middle = low + (high - low) / 2;
            if at(middle).0 < uid.0 { low = middle + 1 } else { high = middle }
        }
        if low == table.len() / UNIQUE_ID_BYTES || at(low).0 != uid.0 {
            return None;
        }
        let start = if low == 0 { 0 } else { at(low - 1).1 };
        let text = self.map[self.columns.unique_id_text.clone()].get(start..at(low).1)?;
        std::str::from_utf8(text).ok()
    }

    /// The columns of values, in the order of their names.
    pub fn values(&self) -> impl Iterator<Item = (&str, impl ExactSizeIterator<Item = Run> + '_)> {
        let columns = Values(&self.map[self.columns.values.clone()]);
        columns.map_while(|column| column.map(|(name, runs)| (name, runs.chunks_exact(RUN_BYTES).map(run))))
    }

    /// The bytes kept beside the columns; empty when there were none.
    pub fn extra(&self) -> &[u8] {
        &self.map[self.columns.extra.clone()]
    }

    fn cell<const N: usize>(&self, column: &Range<usize>, row: u32) -> [u8; N] {
        assert!(row < self.rows, "row {row} of {}", self.rows);
        array_at(&self.map, column.start + N * row as usize)
    }

    fn cells<const N: usize>(&self, column: &Range<usize>) -> impl ExactSizeIterator<Item = [u8; N]> + '_ {
        self.map[column.clone()].chunks_exact(N).map(|cell| cell.try_into().expect("N bytes"))
    }
}

/// Columns of values, one after the other: name, and bytes of runs. `None` for what is none, and nothing behind it.
struct Values<'a>(&'a [u8]);

impl<'a> Iterator for Values<'a> {
    type Item = Option<(&'a str, &'a [u8])>;

    fn next(&mut self) -> Option<Self::Item> {
        (!self.0.is_empty()).then(|| {
            let column = self.column();
            if column.is_none() {
                self.0 = &[];
            }
            column
        })
    }
}

impl<'a> Values<'a> {
    fn column(&mut self) -> Option<(&'a str, &'a [u8])> {
        let (len, rest) = self.0.split_first_chunk()?;
        let (name, rest) = rest.split_at_checked(usize::from(u16::from_le_bytes(*len)))?;
        let (count, rest) = rest.split_first_chunk()?;
        let bytes = usize::try_from(u32::from_le_bytes(*count)).ok()?.checked_mul(RUN_BYTES)?;
        let (runs, rest) = rest.split_at_checked(bytes)?;
        self.0 = rest;
        Some((std::str::from_utf8(name).ok()?, runs))
    }
}

fn are_whole(columns: Values<'_>) -> bool {
    let mut before = None;
    for column in columns {
        let Some((name, runs)) = column else { return false };
        let runs = || runs.chunks_exact(RUN_BYTES).map(run);
        let follow = runs().zip(runs().skip(1)).all(|(one, next)| one.last < next.first);
        if !follow || runs().any(|run| run.first > run.last || run.first.0 == 0) {
            return false;
        }
        // Two of one name would be one column to whoever reads them.
        if before.replace(name).is_some_and(|before| before >= name) {
            return false;
        }
    }
    true
}

fn run(bytes: &[u8]) -> Run {
    Run {
        first: Uid(u32_at(bytes, 0)),
        last: Uid(u32_at(bytes, 4)),
        value: u64_at(bytes, 8),
        modseq: ModSeq(u64_at(bytes, 16)),
    }
}

/// What the header of a damaged file still says.
///
/// # Errors
/// It does not check either.
pub fn read_head(bytes: &[u8]) -> Result<SnapshotHead, SnapshotError> {
    decode_header(bytes).map(|(head, _, _)| head)
}

/// A section's place, when there is one, checked unless it is the cache heap.
fn find(map: &[u8], sections: &[SectionRow], id: u32) -> Result<Option<Range<usize>>, SnapshotError> {
    let Some(row) = sections.iter().find(|s| s.id == id) else { return Ok(None) };
    let range = row.range(map.len()).ok_or(SnapshotError::Section { id })?;
    if id != section::CACHE && crc32c::crc32c(&map[range.clone()]) != row.crc {
        return Err(SnapshotError::Section { id });
    }
    Ok(Some(range))
}

/// The same for a column, which has a cell for each row.
fn column(map: &[u8], sections: &[SectionRow], id: u32, rows: u32) -> Result<Option<Range<usize>>, SnapshotError> {
    let width = section::COLUMNS.iter().find(|(column, _)| *column == id).map_or(16, |(_, width)| *width);
    match find(map, sections, id)? {
        Some(range) if range.len() as u64 != u64::from(rows) * width as u64 => Err(SnapshotError::Section { id }),
        other => Ok(other),
    }
}

/// Where the table of unique ids and their text are; `None` when they do not belong together.
fn split_unique_ids(map: &[u8], section: Range<usize>) -> Option<(Range<usize>, Range<usize>)> {
    if section.is_empty() {
        return Some((0..0, 0..0));
    }
    let bytes = &map[section.clone()];
    let count = u32::from_le_bytes(*bytes.first_chunk()?) as usize;
    let text_at = count.checked_mul(UNIQUE_ID_BYTES)?.checked_add(4)?;
    let (table, text) = (bytes.get(4..text_at)?, &bytes[text_at..]);
    let rows = || table.chunks_exact(UNIQUE_ID_BYTES).map(|row| (u32_at(row, 0), u32_at(row, 4) as usize));
    let ascends = rows().is_sorted_by(|a, b| a.0 < b.0 && a.1 <= b.1);
    let is_whole = ascends && rows().next_back()?.1 == text.len();
    let start = section.start;
    is_whole.then_some((start + 4..start + text_at, start + text_at..section.end))
}

fn decode_names(mut bytes: &[u8]) -> Option<Vec<Box<str>>> {
    let mut names = Vec::new();
    while let Some((len, rest)) = bytes.split_first_chunk() {
        let len = usize::from(u16::from_le_bytes(*len));
        names.push(std::str::from_utf8(rest.get(..len)?).ok()?.into());
        bytes = &rest[len..];
    }
    let bounded = names.len() <= skein_base::limits::KEYWORDS_PER_MAILBOX_MAX;
    (bytes.is_empty() && bounded).then_some(names)
}
