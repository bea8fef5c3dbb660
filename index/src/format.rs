//! The bytes of a snapshot, version 1. The document is index/docs/snapshot-format.md.

use crate::SnapshotError;
use skein_base::{AccountId, LogPos, MailboxId, ModSeq, Uid, UidValidity};
use std::ops::Range;

/// Version written; older readers refuse a newer one, newer readers read every older one or rebuild.
pub const SNAPSHOT_VERSION: u32 = 1;
/// Bytes of an encoded body address, which mean nothing here.
pub const BODY_ADDR_BYTES: usize = 24;

/// Bytes before the first section: the fields and a table with room for sections to come.
pub(crate) const HEADER_BYTES: usize = 512;
/// Rows of the table of sections.
pub(crate) const SECTIONS_MAX: usize = 16;
/// Sections start at multiples of a cache line.
pub(crate) const ALIGN: usize = 64;
/// Bytes of one row of the expunge history.
pub(crate) const EXPUNGED_BYTES: usize = 16;
/// Bytes of one row of the table of unique ids.
pub(crate) const UNIQUE_ID_BYTES: usize = 8;
/// Bytes of one run of a column of values.
pub(crate) const RUN_BYTES: usize = 24;
/// Bytes of one row of the table of cache entries.
pub(crate) const CACHE_ENTRY_BYTES: usize = 16;

const MAGIC: &[u8; 8] = b"SKEINIDX";
const TABLE_AT: usize = 96;
const TABLE_ROW_BYTES: usize = 24;
const CRC_AT: usize = HEADER_BYTES - 4;
const _: () = assert!(TABLE_AT + SECTIONS_MAX * TABLE_ROW_BYTES <= CRC_AT);

/// What the sections are. Numbers are for good; readers pass by those they do not know.
pub(crate) mod section {
    /// u32 each, ascending.
    pub const UID: u32 = 1;
    /// u8 each.
    pub const FLAGS: u32 = 2;
    /// u128 each; absent while every mask is zero.
    pub const KEYWORDS: u32 = 3;
    /// u64 each.
    pub const MODSEQ: u32 = 4;
    /// i64 each, Unix seconds.
    pub const INTERNAL_DATE: u32 = 5;
    /// i64 each, Unix seconds.
    pub const SAVE_DATE: u32 = 6;
    /// u32 each.
    pub const SIZE: u32 = 7;
    /// 24 bytes each.
    pub const BODY: u32 = 8;
    /// Offset u64, length u32, CRC32C u32 each.
    pub const CACHE_ENTRY: u32 = 9;
    /// 16 bytes each.
    pub const GUID: u32 = 10;
    /// Length u16 and UTF-8 each, in the order of the mask's bits.
    pub const KEYWORD_NAMES: u32 = 11;
    /// Modseq u64, first UID u32, last UID u32 each.
    pub const EXPUNGED: u32 = 12;
    /// Whatever the writer likes.
    pub const EXTRA: u32 = 13;
    /// The cache entries' bytes; checked one by one when read.
    pub const CACHE: u32 = 14;
    /// Count u32; UID u32 and end in the text u32 each, ascending; the text. Absent when no message has one.
    pub const UNIQUE_IDS: u32 = 15;
    /// For each column of values: bytes of its name u16, the name, count of runs u32, and each run: first UID u32, last UID u32, value u64,
    /// modseq u64, ascending. Absent when there is no column.
    pub const VALUES: u32 = 16;
    /// The columns that each row has a cell in: section and bytes of a cell.
    pub const COLUMNS: [(u32, usize); 9] = [
        (UID, 4),
        (FLAGS, 1),
        (MODSEQ, 8),
        (INTERNAL_DATE, 8),
        (SAVE_DATE, 8),
        (SIZE, 4),
        (BODY, super::BODY_ADDR_BYTES),
        (CACHE_ENTRY, super::CACHE_ENTRY_BYTES),
        (GUID, 16),
    ];
}

/// What a snapshot says of the whole mailbox.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SnapshotHead {
    /// Whose mailbox.
    pub account: AccountId,
    /// Which mailbox.
    pub mailbox: MailboxId,
    /// Every record before this position is in the snapshot, and none after it.
    pub true_to: LogPos,
    /// UIDVALIDITY.
    pub uid_validity: UidValidity,
    /// UIDNEXT; 0 when the UIDs are used up.
    pub uid_next: Uid,
    /// HIGHESTMODSEQ.
    pub modseq: ModSeq,
    /// The first UID that is still `\Recent` to the next session.
    pub first_recent: Uid,
}

/// One row of the table of sections.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct SectionRow {
    pub id: u32,
    /// CRC32C of the bytes; 0 and unused for the cache heap.
    pub crc: u32,
    pub at: u64,
    pub len: u64,
}

/// The header's bytes.
pub(crate) fn encode_header(head: &SnapshotHead, rows: u32, sections: &[SectionRow]) -> [u8; HEADER_BYTES] {
    assert!(sections.len() <= SECTIONS_MAX);
    let mut out = [0; HEADER_BYTES];
    let mut put = |at: usize, bytes: &[u8]| out[at..at + bytes.len()].copy_from_slice(bytes);
    put(0, MAGIC);
    put(8, &SNAPSHOT_VERSION.to_le_bytes());
    put(12, &rows.to_le_bytes());
    put(16, &head.account.0);
    put(32, &head.true_to.segment.to_le_bytes());
    put(40, &head.true_to.offset.to_le_bytes());
    put(48, &head.modseq.0.to_le_bytes());
    put(56, &head.mailbox.0.to_le_bytes());
    put(60, &head.uid_validity.0.to_le_bytes());
    put(64, &head.uid_next.0.to_le_bytes());
    put(68, &head.first_recent.0.to_le_bytes());
    put(72, &(sections.len() as u32).to_le_bytes());
    for (i, section) in sections.iter().enumerate() {
        let at = TABLE_AT + i * TABLE_ROW_BYTES;
        put(at, &section.id.to_le_bytes());
        put(at + 4, &section.crc.to_le_bytes());
        put(at + 8, &section.at.to_le_bytes());
        put(at + 16, &section.len.to_le_bytes());
    }
    let crc = crc32c::crc32c(&out[..CRC_AT]);
    out[CRC_AT..].copy_from_slice(&crc.to_le_bytes());
    out
}

/// Reads what [`encode_header`] wrote: the head, the number of rows, the sections.
pub(crate) fn decode_header(bytes: &[u8]) -> Result<(SnapshotHead, u32, Vec<SectionRow>), SnapshotError> {
    if bytes.len() < HEADER_BYTES || bytes[..8] != *MAGIC {
        return Err(SnapshotError::NotASnapshot);
    }
    let version = u32_at(bytes, 8);
    if u32_at(bytes, CRC_AT) != crc32c::crc32c(&bytes[..CRC_AT]) {
        return Err(SnapshotError::Header);
    }
    if version != SNAPSHOT_VERSION {
        return Err(SnapshotError::Version { found: version });
    }
    let head = SnapshotHead {
        account: AccountId(array_at(bytes, 16)),
        true_to: LogPos { segment: u64_at(bytes, 32), offset: u64_at(bytes, 40) },
        modseq: ModSeq(u64_at(bytes, 48)),
        mailbox: MailboxId::stored(u32_at(bytes, 56)).ok_or(SnapshotError::Header)?,
        uid_validity: UidValidity(u32_at(bytes, 60)),
        uid_next: Uid(u32_at(bytes, 64)),
        first_recent: Uid(u32_at(bytes, 68)),
    };
    let count = u32_at(bytes, 72) as usize;
    if count > SECTIONS_MAX || head.modseq > ModSeq::MAX {
        return Err(SnapshotError::Header);
    }
    let sections = (0..count).map(|i| {
        let at = TABLE_AT + i * TABLE_ROW_BYTES;
        SectionRow {
            id: u32_at(bytes, at),
            crc: u32_at(bytes, at + 4),
            at: u64_at(bytes, at + 8),
            len: u64_at(bytes, at + 16),
        }
    });
    Ok((head, u32_at(bytes, 12), sections.collect()))
}

impl SectionRow {
    /// Where its bytes are in a file of `len` bytes.
    pub fn range(&self, len: usize) -> Option<Range<usize>> {
        let start = usize::try_from(self.at).ok()?;
        let end = start.checked_add(usize::try_from(self.len).ok()?)?;
        (start >= HEADER_BYTES && end <= len).then_some(start..end)
    }
}

pub(crate) fn array_at<const N: usize>(bytes: &[u8], at: usize) -> [u8; N] {
    bytes[at..at + N].try_into().expect("N bytes")
}

pub(crate) fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(array_at(bytes, at))
}

pub(crate) fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(array_at(bytes, at))
}
