//! Segments read from the start: what is whole, where the tail was torn, what is damaged.
//!
//! A record that does not check is one of two things. If a later write's record stands after it, it was durable once:
//! **damage**, reported, and reading goes on behind it. If nothing stands after it but records of the very same write,
//! that write never finished: a **torn tail**, of which nothing was ever acknowledged, and the log ends before it.

use super::format::{RECORD_HEADER_BYTES, RecordHeader, RecordKind, SEGMENT_HEADER_BYTES, SegmentHeader};
use super::format::{align, parse_segment_name, segment_name};
use skein_base::seam::Disk;
use skein_base::{AccountId, LogPos};
use std::io;
use std::ops::Range;
use std::path::Path;

/// Bytes read at once: large enough for a disk's full bandwidth, small enough to stay in the cache of a core.
const READ_BYTES: usize = 2 * 1024 * 1024;

/// A record found whole.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Record<'a> {
    /// What the payload is. Never [`RecordKind::Seal`].
    pub kind: RecordKind,
    /// Whose change it is; zero for bodies.
    pub account: AccountId,
    /// Its first byte.
    pub start: LogPos,
    /// Where the next record starts.
    pub end: LogPos,
    /// The payload, checked.
    pub payload: &'a [u8],
}

/// How a segment ends.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum SegmentEnd {
    /// With its seal.
    Sealed,
    /// Without a seal, after a whole record: the run that wrote it was cut off.
    Open,
    /// In the middle of a write that was never acknowledged. So many bytes are to be cut.
    Torn {
        /// Bytes after the last whole record.
        bytes: u64,
    },
    /// Before its header was safe, so that it never held a record.
    Unborn,
    /// It has no file, and should have one.
    Gone,
}

/// Bytes that were durable once and are not what was written.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Damage {
    /// The segment.
    pub segment: u64,
    /// The bytes that can not be read.
    pub bytes: Range<u64>,
}

/// What one segment holds.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SegmentScan {
    /// Its number.
    pub segment: u64,
    /// Its header, when that is whole.
    pub header: Option<SegmentHeader>,
    /// Records found whole, the seal not counted.
    pub records: u64,
    /// The byte after the last whole record, before the seal.
    pub end: u64,
    /// Where the write that brought the last whole record began; all before it was synced by the run that wrote it.
    pub last_batch: u64,
    /// How it ends.
    pub ending: SegmentEnd,
    /// What was lost in it; empty on healthy disks.
    pub damage: Vec<Damage>,
}

impl SegmentScan {
    /// One that has no file, and should have one.
    pub fn gone(segment: u64) -> SegmentScan {
        let damage = vec![Damage { segment, bytes: 0..u64::MAX }];
        SegmentScan { segment, header: None, records: 0, end: 0, last_batch: 0, ending: SegmentEnd::Gone, damage }
    }
}

/// What the log's folder holds.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Scan {
    /// The segments, ascending.
    pub segments: Vec<SegmentScan>,
}

impl Scan {
    /// The highest segment number present, 0 when there is none.
    pub fn highest(&self) -> u64 {
        self.segments.last().map_or(0, |s| s.segment)
    }

    /// All damage.
    pub fn damage(&self) -> impl Iterator<Item = &Damage> {
        self.segments.iter().flat_map(|s| &s.damage)
    }
}

/// The numbers of the segments present, ascending; none when there is no such folder.
///
/// # Errors
/// The disk failed.
pub async fn segments<D: Disk>(disk: &D, dir: &Path) -> io::Result<Vec<u64>> {
    let names = match disk.list(dir).await {
        Err(e) if e.kind() == io::ErrorKind::NotFound => Vec::new(),
        other => other?,
    };
    let mut numbers: Vec<u64> = names.iter().filter_map(|name| parse_segment_name(name)).collect();
    numbers.sort_unstable();
    Ok(numbers)
}

/// Reads all segments from number `from` on and hands every whole record to `out`, in log order. Changes nothing;
/// [`crate::log::recover`] does so afterwards.
///
/// # Errors
/// The disk failed. Damage is no error; it is in the result.
pub async fn scan<D: Disk>(disk: &D, dir: &Path, from: u64, mut out: impl FnMut(&Record<'_>)) -> io::Result<Scan> {
    let mut scan = Scan::default();
    for number in segments(disk, dir).await?.into_iter().filter(|&n| n >= from) {
        scan.segments.push(scan_segment(disk, dir, number, &mut out).await?);
    }
    Ok(scan)
}

/// Reads one segment, so that shards can share the work of a start.
///
/// # Errors
/// The disk failed.
pub async fn scan_segment<D: Disk>(
    disk: &D,
    dir: &Path,
    segment: u64,
    mut out: impl FnMut(&Record<'_>),
) -> io::Result<SegmentScan> {
    let file = disk.open(&dir.join(segment_name(segment))).await?;
    let len = disk.len(&file).await?;
    let mut window = Window { disk, file, len, at: 0, bytes: Vec::new(), seed: 0 };
    let header = SegmentHeader::decode(window.get(0, SEGMENT_HEADER_BYTES).await?).filter(|h| h.segment == segment);
    let Some(header) = header else { return headless(&mut window, segment).await };
    window.seed = header.seed();
    let start = SEGMENT_HEADER_BYTES as u64;
    let mut found = SegmentScan {
        segment,
        header: Some(header),
        records: 0,
        end: start,
        last_batch: 0,
        ending: SegmentEnd::Open,
        damage: Vec::new(),
    };
    loop {
        if window.records(&mut found, &mut out).await? {
            found.ending = SegmentEnd::Sealed;
            return Ok(found);
        }
        match window.later_write(found.end).await? {
            Some(next) => {
                found.damage.push(Damage { segment, bytes: found.end..next });
                found.end = next;
            }
            None => {
                let torn = window.non_zero_end(found.end).await?.map(|end| end - found.end);
                found.ending = torn.map_or(SegmentEnd::Open, |bytes| SegmentEnd::Torn { bytes });
                return Ok(found);
            }
        }
    }
}

/// A segment without a readable header. The header is synced before the first record is written, so anything after
/// its place means that the header was whole once.
async fn headless<D: Disk>(window: &mut Window<'_, D>, segment: u64) -> io::Result<SegmentScan> {
    let start = SEGMENT_HEADER_BYTES as u64;
    let held_records = window.non_zero_end(start).await?;
    let damage = held_records.map(|end| Damage { segment, bytes: 0..end });
    let ending = if damage.is_some() { SegmentEnd::Sealed } else { SegmentEnd::Unborn };
    let end = held_records.unwrap_or(0);
    let damage = damage.into_iter().collect();
    Ok(SegmentScan { segment, header: None, records: 0, end, last_batch: 0, ending, damage })
}

/// A part of the segment in memory, that moves forward.
struct Window<'a, D: Disk> {
    disk: &'a D,
    file: D::File,
    len: u64,
    /// Where `bytes` are from.
    at: u64,
    bytes: Vec<u8>,
    seed: u32,
}

impl<D: Disk> Window<'_, D> {
    /// The bytes from `at`, at least `need` unless the segment ends before.
    async fn get(&mut self, at: u64, need: usize) -> io::Result<&[u8]> {
        let have = self.held(at).len();
        if have < need && at + (have as u64) < self.len {
            self.bytes = self.disk.read_at(&self.file, at, need.max(READ_BYTES)).await?;
            self.at = at;
        }
        Ok(self.held(at))
    }

    fn held(&self, at: u64) -> &[u8] {
        let skip = at.checked_sub(self.at).and_then(|skip| usize::try_from(skip).ok());
        skip.and_then(|skip| self.bytes.get(skip..)).unwrap_or(&[])
    }

    /// The record at `at`, when it is whole.
    async fn record(&mut self, at: u64) -> io::Result<Option<(RecordHeader, &[u8])>> {
        let seed = self.seed;
        let Some(header) = RecordHeader::decode(self.get(at, RECORD_HEADER_BYTES).await?, seed, at) else {
            return Ok(None);
        };
        let end = RECORD_HEADER_BYTES + header.len as usize;
        let payload = self.get(at, end).await?.get(RECORD_HEADER_BYTES..end);
        Ok(payload.filter(|p| crc32c::crc32c(p) == header.payload_crc).map(|p| (header, p)))
    }

    /// Hands on whole records from `found.end` until one is not, or until the seal: then true.
    async fn records(&mut self, found: &mut SegmentScan, out: &mut impl FnMut(&Record<'_>)) -> io::Result<bool> {
        let segment = found.segment;
        while let Some((header, payload)) = self.record(found.end).await? {
            if header.kind == RecordKind::Seal {
                return Ok(true);
            }
            let start = LogPos { segment, offset: found.end };
            found.end += header.stride();
            let end = LogPos { segment, offset: found.end };
            out(&Record { kind: header.kind, account: header.account, start, end, payload });
            found.records += 1;
            found.last_batch = u64::from(header.batch);
        }
        Ok(false)
    }

    /// Where reading goes on after the bad place `bad`, when a write later than the bad place's own is found there.
    async fn later_write(&mut self, bad: u64) -> io::Result<Option<u64>> {
        let (mut resume, mut at) = (None, bad);
        while at + RECORD_HEADER_BYTES as u64 <= self.len {
            at = align(at + 1);
            let Some((header, _)) = self.record(at).await? else { continue };
            let first = *resume.get_or_insert(at);
            if u64::from(header.batch) > bad {
                return Ok(Some(first));
            }
            at += header.stride() - 1;
        }
        Ok(None)
    }

    /// The end of the last byte from `at` on that is not zero.
    async fn non_zero_end(&mut self, mut at: u64) -> io::Result<Option<u64>> {
        let mut end = None;
        loop {
            let bytes = self.get(at, 1).await?;
            if bytes.is_empty() {
                return Ok(end);
            }
            end = bytes.iter().rposition(|&b| b != 0).map(|last| at + last as u64 + 1).or(end);
            at += bytes.len() as u64;
        }
    }
}
