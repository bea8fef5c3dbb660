//! The bytes of a segment, version 1. The document is engine/docs/log-format.md.

use crate::body::FILE_NUMBER_MAX;
use skein_base::{AccountId, ShardId};

/// Bytes before the first record of a segment.
pub const SEGMENT_HEADER_BYTES: usize = 64;
/// Bytes before a record's payload.
pub const RECORD_HEADER_BYTES: usize = 40;
/// Bytes of one record's payload. Bodies come in chunks far below it; the account layer splits its larger batches.
pub const RECORD_BYTES_MAX: usize = 16 * 1024 * 1024;
/// Version written; older readers refuse a newer one, newer readers read every older one.
pub const LOG_VERSION: u32 = 1;

const MAGIC: &[u8; 8] = b"SKEINLOG";
/// Records start at multiples of this, so that a reader that lost its way has few places to try.
const ALIGN: u64 = 8;

const _: () = assert!(skein_base::limits::BODY_CHUNK_BYTES * 4 <= RECORD_BYTES_MAX);
const _: () =
    assert!((SEGMENT_HEADER_BYTES as u64).is_multiple_of(ALIGN) && (RECORD_HEADER_BYTES as u64).is_multiple_of(ALIGN));

/// What a record's payload is.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[repr(u8)]
pub enum RecordKind {
    /// Changes of one account; the account layer owns the bytes.
    Op = 1,
    /// A whole message and its rendered cache.
    Body = 2,
    /// One chunk of a message too large for one record.
    BodyChunk = 3,
    /// Where the chunks of a large message are, and its rendered cache.
    BodyIndex = 4,
    /// The segment ends here, and all before it was durable when this was written.
    Seal = 5,
}

impl RecordKind {
    fn from_byte(byte: u8) -> Option<RecordKind> {
        Some(match byte {
            1 => RecordKind::Op,
            2 => RecordKind::Body,
            3 => RecordKind::BodyChunk,
            4 => RecordKind::BodyIndex,
            5 => RecordKind::Seal,
            _ => return None,
        })
    }
}

/// The first bytes of a segment's file.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SegmentHeader {
    /// The shard that wrote it.
    pub shard: ShardId,
    /// Its number; also its file name.
    pub segment: u64,
    /// When it began, Unix seconds.
    pub created: i64,
    /// Random bytes of the run that wrote it.
    pub run: [u8; 16],
}

impl SegmentHeader {
    /// The bytes on disk.
    pub fn encode(&self) -> [u8; SEGMENT_HEADER_BYTES] {
        let mut out = [0; SEGMENT_HEADER_BYTES];
        out[0..8].copy_from_slice(MAGIC);
        out[8..12].copy_from_slice(&LOG_VERSION.to_le_bytes());
        out[12..14].copy_from_slice(&self.shard.0.to_le_bytes());
        out[16..24].copy_from_slice(&self.segment.to_le_bytes());
        out[24..32].copy_from_slice(&self.created.to_le_bytes());
        out[32..48].copy_from_slice(&self.run);
        let crc = crc32c::crc32c(&out[..60]);
        out[60..64].copy_from_slice(&crc.to_le_bytes());
        out
    }

    /// Reads what [`SegmentHeader::encode`] wrote; `None` for anything else, a newer version among it.
    pub fn decode(bytes: &[u8]) -> Option<SegmentHeader> {
        let bytes = bytes.get(..SEGMENT_HEADER_BYTES)?;
        let whole = bytes[..8] == *MAGIC
            && u32_at(bytes, 8) == LOG_VERSION
            && u32_at(bytes, 60) == crc32c::crc32c(&bytes[..60]);
        whole.then(|| SegmentHeader {
            shard: ShardId(u16::from_le_bytes([bytes[12], bytes[13]])),
            segment: u64_at(bytes, 16),
            created: u64_at(bytes, 24) as i64,
            run: bytes[32..48].try_into().expect("16 bytes"),
        })
    }

    /// Where every record's checksum begins, so that bytes of another run or another segment never pass as this one's.
    pub fn seed(&self) -> u32 {
        crc32c::crc32c_append(crc32c::crc32c(&self.run), &self.segment.to_le_bytes())
    }
}

/// What stands before a payload.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct RecordHeader {
    /// Bytes of payload.
    pub len: u32,
    /// What the payload is.
    pub kind: RecordKind,
    /// Offset in the segment at which the write that brought this record began. One write is one sync, so a damaged
    /// place before a later write's records was durable once, and one within the last write may never have been.
    pub batch: u32,
    /// CRC32C of the payload.
    pub payload_crc: u32,
    /// Whose change it is; zero for bodies.
    pub account: AccountId,
}

impl RecordHeader {
    /// The bytes on disk at `offset` of the segment with this seed.
    pub fn encode(&self, seed: u32, offset: u64) -> [u8; RECORD_HEADER_BYTES] {
        let mut out = [0; RECORD_HEADER_BYTES];
        out[0..4].copy_from_slice(&self.len.to_le_bytes());
        out[4] = self.kind as u8;
        out[8..12].copy_from_slice(&self.batch.to_le_bytes());
        out[16..20].copy_from_slice(&self.payload_crc.to_le_bytes());
        out[24..40].copy_from_slice(&self.account.0);
        let crc = header_crc(&out, seed, offset);
        out[12..16].copy_from_slice(&crc.to_le_bytes());
        out
    }

    /// Reads a header that was written at `offset` of the segment with this seed.
    pub fn decode(bytes: &[u8], seed: u32, offset: u64) -> Option<RecordHeader> {
        let bytes: &[u8; RECORD_HEADER_BYTES] = bytes.get(..RECORD_HEADER_BYTES)?.try_into().ok()?;
        let kind = RecordKind::from_byte(bytes[4])?;
        let len = u32_at(bytes, 0);
        if len as usize > RECORD_BYTES_MAX || u32_at(bytes, 12) != header_crc(bytes, seed, offset) {
            return None;
        }
        Some(RecordHeader {
            len,
            kind,
            batch: u32_at(bytes, 8),
            payload_crc: u32_at(bytes, 16),
            account: AccountId(bytes[24..40].try_into().expect("16 bytes")),
        })
    }

    /// Bytes from this record's start to the next one's.
    pub fn stride(&self) -> u64 {
        stride(self.len as usize)
    }
}

/// Bytes that a record with a payload of `len` bytes takes in the segment.
pub(super) fn stride(len: usize) -> u64 {
    ((RECORD_HEADER_BYTES + len) as u64).next_multiple_of(ALIGN)
}

/// Appends a record, of which the buffer's end is at `at`.
pub(super) fn put_record(
    out: &mut Vec<u8>,
    at: u64,
    seed: u32,
    batch: u32,
    kind: RecordKind,
    account: AccountId,
    parts: &[&[u8]],
) {
    let len: usize = parts.iter().map(|p| p.len()).sum();
    let payload_crc = parts.iter().fold(0, |crc, part| crc32c::crc32c_append(crc, part));
    let header = RecordHeader { len: len as u32, kind, batch, payload_crc, account };
    let end = out.len() + stride(len) as usize;
    out.reserve(end - out.len());
    out.extend_from_slice(&header.encode(seed, at));
    parts.iter().for_each(|part| out.extend_from_slice(part));
    out.resize(end, 0);
}

/// The file of a segment within the log's folder.
pub(crate) fn segment_name(segment: u64) -> String {
    format!("{segment:016x}.seg")
}

/// Reads what [`segment_name`] wrote.
pub fn parse_segment_name(name: &str) -> Option<u64> {
    parse_numbered(name, ".seg")
}

/// The file of a segment that was drained and is about to be removed. As long as the other name: on a full disk the folder has room
/// for it where that of one before was.
pub(super) fn drained_name(segment: u64) -> String {
    format!("{segment:016x}.dry")
}

/// Reads what [`drained_name`] wrote.
pub fn parse_drained_name(name: &str) -> Option<u64> {
    parse_numbered(name, ".dry")
}

fn parse_numbered(name: &str, ending: &str) -> Option<u64> {
    let digits = name.strip_suffix(ending).filter(|d| d.len() == 16)?;
    let lower = digits.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
    let number = lower.then(|| u64::from_str_radix(digits, 16).ok())?;
    number.filter(|number| *number <= FILE_NUMBER_MAX)
}

/// The next place at or after `offset` where a record may start.
pub(super) fn align(offset: u64) -> u64 {
    offset.next_multiple_of(ALIGN)
}

fn header_crc(header: &[u8; RECORD_HEADER_BYTES], seed: u32, offset: u64) -> u32 {
    let mut bytes = [0; 8 + RECORD_HEADER_BYTES];
    bytes[..8].copy_from_slice(&offset.to_le_bytes());
    bytes[8..].copy_from_slice(header);
    bytes[8 + 12..8 + 16].fill(0);
    crc32c::crc32c_append(seed, &bytes)
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(bytes[at..at + 4].try_into().expect("4 bytes"))
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(bytes[at..at + 8].try_into().expect("8 bytes"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn names_survive() {
        assert_eq!(segment_name(0xab), "00000000000000ab.seg");
        assert_eq!(parse_segment_name("00000000000000ab.seg"), Some(0xab));
        assert_eq!(drained_name(0xab).len(), segment_name(0xab).len());
        assert_eq!(
            (parse_drained_name(&drained_name(0xab)), parse_segment_name(&drained_name(0xab))),
            (Some(0xab), None)
        );
        let of_others = ["ab.seg", "00000000000000AB.seg", "+0000000000000ab.seg", "00000000000000ab.tmp"];
        // The numbers above them would not fit into the address of a body.
        let too_high = ["ffffffffffffffff.seg", "0000ffffffffffff.seg", "0000800000000000.seg"];
        for bad in of_others.iter().chain(&too_high) {
            assert_eq!(parse_segment_name(bad), None, "{bad}");
        }
    }

    proptest! {
        #[test]
        fn headers_survive_and_flips_do_not(segment: u64, created: i64, run: [u8; 16], len in 0u32..1000, batch: u32, crc: u32, account: [u8; 16], at in 0u64..1 << 32, bit in 0usize..8 * RECORD_HEADER_BYTES) {
            let segment = SegmentHeader { shard: ShardId(3), segment, created, run };
            prop_assert_eq!(SegmentHeader::decode(&segment.encode()), Some(segment));
            let seed = segment.seed();
            let record = RecordHeader { len, kind: RecordKind::Op, batch, payload_crc: crc, account: AccountId(account) };
            let mut bytes = record.encode(seed, at);
            prop_assert_eq!(RecordHeader::decode(&bytes, seed, at), Some(record));
            prop_assert_eq!(RecordHeader::decode(&bytes, seed, at + 8), None);
            prop_assert_eq!(RecordHeader::decode(&bytes, seed ^ 1, at), None);
            bytes[bit / 8] ^= 1 << (bit % 8);
            prop_assert_eq!(RecordHeader::decode(&bytes, seed, at), None);
        }
    }
}
