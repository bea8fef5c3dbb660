//! Files that are not what was written.

use super::*;
use crate::log::{Damage, SegmentEnd};
use proptest::prelude::*;

/// One segment of three batches, left open, and its records with the batch each came in.
fn segment() -> (World, Vec<Kept>, Vec<usize>, Vec<u8>) {
    let mut world = World::new(30);
    world.segment_bytes = 1 << 20;
    let log = world.log(&SegmentNumbers::above(0));
    let mut batches = Vec::new();
    for batch in 0..3 {
        for n in 0..4 {
            log.append(account(n), RecordKind::Op, &[&vec![batch * 4 + n as u8; 90 * n as usize]]).unwrap();
            batches.push(usize::from(batch));
        }
        world.executor.run_until_stalled();
    }
    world.executor.kill_all();
    let bytes = world.disk.contents(&path(1)).unwrap();
    let (scan, records) = world.scan();
    assert_eq!((records.len(), scan.segments[0].ending), (12, SegmentEnd::Open));
    (world, records, batches, bytes)
}

fn path(segment: u64) -> std::path::PathBuf {
    Path::new(DIR).join(format!("{segment:016x}.seg"))
}

fn scan_of(bytes: Vec<u8>) -> (Scan, Vec<Kept>) {
    let world = World::new(31);
    world.disk.plant(&path(1), bytes);
    world.scan()
}

fn is_subsequence(found: &[Kept], of: &[Kept]) -> bool {
    let mut all = of.iter();
    found.iter().all(|record| all.any(|other| other == record))
}

#[test]
fn zeros_after_the_end_are_an_end() {
    let (_, records, _, mut bytes) = segment();
    let end = bytes.len() as u64;
    bytes.resize(bytes.len() + 5_000_000, 0);
    let (scan, found) = scan_of(bytes);
    assert_eq!(found, records);
    assert_eq!((scan.segments[0].end, scan.segments[0].ending), (end, SegmentEnd::Open));
}

#[test]
fn old_bytes_after_the_end_are_never_taken_for_new_ones() {
    let (_, records, _, bytes) = segment();
    // A file that was another segment once: its records stand where records of this one would.
    let other = World::new(32);
    let log = other.log(&SegmentNumbers::above(0));
    for _ in 0..12 {
        log.append(account(1), RecordKind::Op, &[&[9; 300]]).unwrap();
    }
    other.executor.run_until_stalled();
    let old = other.disk.contents(&path(1)).unwrap();
    for tail in [&old[64..], &bytes[64..]] {
        let (scan, found) = scan_of([&bytes[..], tail].concat());
        assert_eq!(found, records);
        assert!(matches!(scan.segments[0].ending, SegmentEnd::Torn { .. }));
        assert_eq!(scan.damage().count(), 0);
    }
}

#[test]
fn a_bad_record_before_a_later_write_is_damage_and_reading_goes_on() {
    let (_, records, _, bytes) = segment();
    for header in [true, false] {
        let bad = &records[2];
        let mut bytes = bytes.clone();
        bytes[bad.start.offset as usize + if header { 1 } else { 50 }] ^= 0x40;
        let (scan, found) = scan_of(bytes);
        assert_eq!(found, [&records[..2], &records[3..]].concat());
        let lost = bad.start.offset..bad.end.offset;
        assert_eq!(scan.damage().collect::<Vec<_>>(), [&Damage { segment: 1, bytes: lost }]);
    }
}

#[test]
fn a_bad_record_of_the_last_write_is_a_torn_tail() {
    let (_, records, _, mut bytes) = segment();
    let bad = &records[9];
    bytes[bad.start.offset as usize + 50] ^= 1;
    // The last record ends with 2 bytes of padding, which are zero and do not count.
    let torn = bytes.len() as u64 - 2 - bad.start.offset;
    let (scan, found) = scan_of(bytes);
    assert_eq!(found, records[..9], "records after it in the same write go too");
    assert_eq!(scan.segments[0].ending, SegmentEnd::Torn { bytes: torn });
    assert_eq!(scan.damage().count(), 0);
}

#[test]
fn once_sealed_even_the_last_write_can_only_be_damaged() {
    let (world, records, _, _) = segment();
    let (scan, _) = world.scan();
    world.recover(&scan).unwrap();
    let mut bytes = world.disk.contents(&path(1)).unwrap();
    bytes[records[11].start.offset as usize + 50] ^= 1;
    let (scan, found) = scan_of(bytes);
    assert_eq!(found, records[..11]);
    assert_eq!((scan.damage().count(), scan.segments[0].ending), (1, SegmentEnd::Sealed));
}

#[test]
fn a_header_that_went_bad_is_damage_and_one_that_never_was_is_nothing() {
    let (_, _, _, mut bytes) = segment();
    bytes[20] ^= 1;
    let (scan, found) = scan_of(bytes.clone());
    assert!(found.is_empty() && scan.damage().count() == 1);
    for unborn in [vec![], bytes[..64].to_vec(), bytes[..10].to_vec(), vec![0; 9000]] {
        let (scan, found) = scan_of(unborn);
        assert!(found.is_empty() && scan.damage().count() == 0);
        assert_eq!(scan.segments[0].ending, SegmentEnd::Unborn);
    }
}

#[test]
fn a_segment_under_another_name_is_not_that_segment() {
    let (world, _, _, bytes) = segment();
    world.disk.plant(&path(9), bytes);
    let (scan, found) = world.scan();
    assert_eq!((found.len(), scan.highest(), scan.damage().count()), (12, 9, 1));
}

#[test]
fn records_across_the_reader_s_window_are_whole() {
    let mut world = World::new(33);
    world.segment_bytes = 1 << 30;
    let log = world.log(&SegmentNumbers::above(0));
    // Larger than one read, across its end, and many small ones.
    for len in [3_000_000, 1_500_000, 700_000, 10, 0, 1_999_000, 33] {
        log.append(account(1), RecordKind::Body, &[&vec![5; len]]).unwrap();
    }
    world.executor.run_until_stalled();
    let (_, found) = world.scan();
    assert_eq!(
        found.iter().map(|k| k.payload.len()).collect::<Vec<_>>(),
        [3_000_000, 1_500_000, 700_000, 10, 0, 1_999_000, 33]
    );
}

proptest! {
    /// Whatever happens to a file, a scan ends, yields nothing that was not written, and does not hide that something
    /// durable is gone.
    #[test]
    fn no_damage_invents_a_record_or_goes_unseen(from: prop::sample::Index, noise in prop::collection::vec(any::<u8>(), 1..700), cut in prop::option::of(any::<prop::sample::Index>())) {
        let (_, records, batches, mut bytes) = segment();
        let from = from.index(bytes.len());
        let end = (from + noise.len()).min(bytes.len());
        bytes[from..end].copy_from_slice(&noise[..end - from]);
        if let Some(cut) = cut {
            bytes.truncate(cut.index(bytes.len() + 1));
        }
        let (scan, found) = scan_of(bytes);
        prop_assert!(is_subsequence(&found, &records));
        let last_found = found.last().and_then(|last| records.iter().position(|r| r == last));
        if let Some(last) = last_found {
            let lost = records[..last].iter().zip(&batches).any(|(r, &batch)| batch < batches[last] && !found.contains(r));
            prop_assert!(!lost || scan.damage().count() > 0);
        }
    }

    #[test]
    fn any_bytes_behind_a_good_header_are_survived(noise in prop::collection::vec(any::<u8>(), 0..3000)) {
        let (_, _, _, bytes) = segment();
        let (_, found) = scan_of([&bytes[..64], &noise].concat());
        prop_assert!(found.is_empty());
    }
}
