//! Files of ours with other bytes in them than we wrote.

use crate::script::Script;
use skein_base::seam::Disk;
use skein_base::{AccountId, Flags, Guid, LogPos, MailboxId, ShardId, Uid, UidValidity};
use skein_index::{AccountSnapshot, Snapshot};
use skein_store::account::{decode_account, encode_account};
use skein_store::body::Bodies;
use skein_store::describe::{Fact, Word, describe};
use skein_store::log::{
    Record, RecordHeader, RecordKind, SEGMENT_HEADER_BYTES, SegmentEnd, SegmentHeader, recover, scan,
};
use skein_store::op;
use skein_store::pack::{Encoding, EntryHeader, PackHeader, Packed};
use skein_store::sim::{SimDisk, SimRng, block_on};
use std::path::Path;

/// A record's payload: refused, or the ops that are written and read again.
pub fn ops(data: &[u8]) {
    let Ok(ops) = op::decode(data) else { return };
    let bytes = op::encode(&ops);
    // A user's name is written as it is compared, in small letters and composed, and that may be longer than what other hands wrote: by half
    // for small letters, to three times for Unicode's normal form C.
    assert!(bytes.len() <= 5 * data.len(), "far longer than what was read");
    assert_eq!(op::decode(&bytes).as_ref(), Ok(&ops));
}

/// A mailbox's file: refused, or all of it can be read. Its checksums are made right first: foreign hands can do that too.
pub fn snapshot(data: &[u8]) {
    read_snapshot(data);
    let mut mended = data.to_vec();
    mend_snapshot(&mut mended);
    read_snapshot(&mended);
}

fn read_snapshot(bytes: &[u8]) {
    let Ok(snapshot) = Snapshot::open(bytes) else { return };
    assert_eq!(snapshot.uids().len(), snapshot.rows() as usize);
    for row in 0..snapshot.rows() {
        let found = snapshot.row(row);
        assert_eq!(snapshot.find(found.uid), Some(row));
        assert_eq!((snapshot.flags(row), snapshot.keywords(row)), (found.flags, found.keywords));
        let _ = snapshot.cache(row);
    }
    for uid in [0, 1, u32::MAX] {
        assert!(snapshot.lower_bound(Uid(uid)) <= snapshot.rows());
    }
    let left = snapshot.expunged().map(|gone| gone.last.0.wrapping_sub(gone.first.0)).fold(0, u32::wrapping_add);
    let names = snapshot.keyword_names().iter().map(|name| name.len()).sum::<usize>();
    std::hint::black_box((left, names, snapshot.extra(), snapshot.has_keywords(), snapshot.head()));
}

/// Sets the CRCs that index/docs/snapshot-format.md asks for.
fn mend_snapshot(bytes: &mut [u8]) {
    if bytes.len() < 512 {
        return;
    }
    for row in 0..word(bytes, 72).min(16) as usize {
        let at = 96 + 24 * row;
        let start = u64::from_le_bytes(bytes[at + 8..at + 16].try_into().expect("8 bytes"));
        let len = u64::from_le_bytes(bytes[at + 16..at + 24].try_into().expect("8 bytes"));
        let end = start.checked_add(len).and_then(|end| usize::try_from(end).ok());
        let Some(section) = end.and_then(|end| bytes.get(start as usize..end)) else { continue };
        let crc = crc32c::crc32c(section);
        bytes[at + 4..at + 8].copy_from_slice(&crc.to_le_bytes());
    }
    seal(bytes, 508);
}

/// An account's file, its checksums made right, and the tree in it: refused, or written and read again.
pub fn account(data: &[u8]) {
    let _ = AccountSnapshot::decode(data);
    let mut mended = data.to_vec();
    if mended.len() >= 64 {
        let (bytes, crc) = (mended.len() as u64 - 64, crc32c::crc32c(&mended[64..]));
        mended[48..56].copy_from_slice(&bytes.to_le_bytes());
        mended[12..16].copy_from_slice(&crc.to_le_bytes());
        seal(&mut mended, 60);
    }
    let Ok((file, _)) = AccountSnapshot::decode(&mended) else { return };
    assert_eq!(AccountSnapshot::decode(&file.encode()).map(|(file, _)| file).as_ref(), Ok(&file));
    let Ok(account) = decode_account(&file.payload, file.true_to) else { return };
    let payload = encode_account(&account, Bodies::Stay);
    let again = decode_account(&payload, file.true_to).expect("what was just written");
    assert_eq!(encode_account(&again, Bodies::Stay), payload);
    assert_eq!(again.user(), account.user());
}

fn word(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(bytes[at..at + 4].try_into().expect("4 bytes"))
}

/// Writes the CRC of all before `at` there.
fn seal(bytes: &mut [u8], at: usize) {
    let crc = crc32c::crc32c(&bytes[..at]);
    bytes[at..at + 4].copy_from_slice(&crc.to_le_bytes());
}

/// Any file, in words: it ends, facts lie within the file, and whole files have no damage. Checksums are made right by the other
/// targets; here the bytes are tried as they are, and behind the beginning of each kind of file.
pub fn dump(data: &[u8]) {
    tell(data);
    let (mut script, rest) = Script::of(data);
    let header = SegmentHeader { shard: ShardId(0), segment: 1, created: 1, run: [7; 16] };
    let pack =
        PackHeader { account: AccountId([3; 16]), number: 1, created: 1, version: skein_store::pack::PACK_VERSION };
    tell(&[&header.encode()[..], rest].concat());
    tell(&[&pack.encode()[..], rest].concat());
    tell(&segment(Script::of(data).0, rest));
    tell(&entries(&mut script, &pack, rest));
    let mut mended = data.to_vec();
    mend_snapshot(&mut mended);
    tell(&mended);
}

fn tell(bytes: &[u8]) {
    let (mut facts, mut damaged) = (0, 0);
    _ = describe("high-0000", bytes, &mut |_| {});
    let described = describe("any", bytes, &mut |fact: Fact| {
        facts += 1;
        if fact.what == "damage" {
            damaged += 1;
            let [("from", Word::Number(from)), ("to", Word::Number(to)), ..] = fact.says[..] else {
                panic!("{fact:?}")
            };
            assert!(from <= to, "{fact:?}");
        }
    });
    match described {
        Err(_) => assert_eq!(facts, 0),
        Ok(places) => assert!(facts > 0 && damaged <= places),
    }
}

/// A pack of entries whose headers check, and whose payloads do or do not.
fn entries(script: &mut Script, pack: &PackHeader, mut rest: &[u8]) -> Vec<u8> {
    let mut out = pack.encode().to_vec();
    while !rest.is_empty() {
        let (how, len) = (script.next(), usize::from(script.next()).min(rest.len()).max(1));
        let (payload, left) = rest.split_at(len);
        rest = left;
        let header = EntryHeader {
            payload_bytes: len as u32 + u32::from(how & 1),
            encoding: match how & 3 {
                0 => Encoding::Stored,
                1 => Encoding::Grouped,
                2 => Encoding::Zstd,
                _ => Encoding::ZstdWith(7),
            },
            bytes: u32::from(how >> 6),
            cache_bytes: u32::from(how & 7),
            keyword_bytes: u32::from(how >> 4),
            payload_crc: crc32c::crc32c(payload) ^ u32::from(how & 8),
            packed: Packed {
                guid: Guid([how; 16]),
                mailbox: MailboxId(1),
                validity: UidValidity(1),
                uid: Uid(u32::from(how)),
                flags: Flags(how) & Flags::ALL,
                keywords: Vec::new(),
                internal_date: 0,
                save_date: 0,
            },
        };
        let at = out.len() as u64;
        out.extend_from_slice(&header.encode(pack, at));
        out.extend_from_slice(payload);
        out.resize(out.len().next_multiple_of(8), 0);
    }
    out
}

const LOG: &str = "/log";

/// A segment: scanning ends and yields records in order; after recovery it is sealed and holds the very same.
///
/// The first line says how the segment is made of the rest: `=`, the bytes as they are; otherwise good and bad records, whose
/// kinds, lengths and faults are read from it.
pub fn log(data: &[u8]) {
    let (mut script, rest) = Script::of(data);
    let bytes = if script.next() == b'=' { rest.to_vec() } else { segment(script, rest) };
    let disk = SimDisk::new(&SimRng::new(1));
    block_on(disk.create_dir_all(Path::new(LOG))).expect("a folder");
    disk.plant(&Path::new(LOG).join("0000000000000001.seg"), bytes);
    let (before, records) = read_log(&disk);
    block_on(recover(&disk, Path::new(LOG), &before)).expect("no faults");
    let (after, again) = read_log(&disk);
    assert_eq!(records, again, "recovery changes what is read");
    assert!(after.segments.iter().all(|segment| segment.ending == SegmentEnd::Sealed));
    assert_eq!(before.damage().collect::<Vec<_>>(), after.damage().collect::<Vec<_>>());
}

type Kept = (LogPos, LogPos, RecordKind, Vec<u8>);

fn read_log(disk: &SimDisk) -> (skein_store::log::Scan, Vec<Kept>) {
    let mut all: Vec<Kept> = Vec::new();
    let keep = |record: &Record| {
        assert!(record.start < record.end && all.last().is_none_or(|last| last.1 <= record.start));
        all.push((record.start, record.end, record.kind, record.payload.to_vec()));
    };
    let scan = block_on(scan(disk, Path::new(LOG), 0, keep)).expect("no faults");
    (scan, all)
}

/// A header, and a record for every turn of the script, until the bytes are used up.
fn segment(mut script: Script, mut rest: &[u8]) -> Vec<u8> {
    let header = SegmentHeader { shard: ShardId(0), segment: 1, created: 1, run: [7; 16] };
    let mut out = header.encode().to_vec();
    let mut batch = SEGMENT_HEADER_BYTES as u32;
    while !rest.is_empty() {
        let (how, len) = (script.next(), usize::from(script.next()).min(rest.len()).max(1));
        let (payload, left) = rest.split_at(len);
        rest = left;
        if how & 8 != 0 {
            batch = out.len() as u32;
        }
        put_record(&mut out, header.seed(), batch, how, payload);
    }
    out
}

fn put_record(out: &mut Vec<u8>, seed: u32, batch: u32, how: u8, payload: &[u8]) {
    let kinds = [RecordKind::Op, RecordKind::Body, RecordKind::BodyChunk, RecordKind::BodyIndex, RecordKind::Seal];
    let kind = kinds[usize::from(how & 7) % kinds.len()];
    let wrong = u32::from(how & 0x30 == 0x30);
    let payload_crc = crc32c::crc32c(payload) ^ wrong;
    let header = RecordHeader { len: payload.len() as u32, kind, batch, payload_crc, account: AccountId([3; 16]) };
    let mut bytes = header.encode(seed, out.len() as u64);
    bytes[13] ^= how & 0x80;
    out.extend_from_slice(&bytes);
    out.extend_from_slice(payload);
    out.resize(out.len().next_multiple_of(8), 0);
}
