//! Opening, rotating, poisoning, closing.

use super::*;
use crate::log::{LogError, ReadError, SegmentEnd, TailIndex};
use std::cell::Cell;

#[test]
fn one_sync_carries_all_that_gathered() {
    let world = World::new(1);
    let log = world.idle_log(&SegmentNumbers::above(0));
    let ends: Vec<LogPos> =
        (0..50).map(|n| log.append(account(n), RecordKind::Op, &[b"part ", b"two"]).unwrap().end).collect();
    assert!(!log.is_durable(ends[0]) && log.pending_bytes() == 50 * 48);
    let writer = log.clone();
    world.executor.spawn(async move { writer.run().await });
    world.executor.run_until_stalled();
    assert!(log.is_durable(ends[49]) && log.end() == ends[49] && log.pending_bytes() == 0);
    let metrics = log.metrics();
    // The segment's header has a sync of its own.
    assert_eq!((metrics.records, metrics.batches, metrics.syncs, metrics.segments), (50, 1, 2, 1));
}

/// Who has the log to himself is told at once.
#[test]
fn a_write_waits_for_others_where_there_were_many() {
    let world = World::new(14);
    let log = world.log(&SegmentNumbers::above(0));
    for (records, waits) in [(1, 0), (7, 0), (8, 1), (1, 1), (50, 2)] {
        for n in 0..records {
            log.append(account(n), RecordKind::Op, &[b"one of"]).unwrap();
        }
        world.executor.run_until_stalled();
        assert!(log.is_durable(log.end()));
        assert_eq!(world.disk.waits(), waits, "after {records}");
    }
    for n in 0..50 {
        log.append(account(n), RecordKind::Op, &[b"the last"]).unwrap();
    }
    let closing = log.clone();
    world.executor.spawn(async move { closing.close().await.unwrap() });
    world.executor.run_until_stalled();
    assert_eq!(world.disk.waits(), 2, "nobody comes any more");
}

/// An account that was loaded and not changed is true to a position of an earlier run. A reply about it must not
/// wait for the first record of this one.
#[test]
fn what_was_there_before_the_start_is_durable() {
    let world = World::new(13);
    let log = world.log(&SegmentNumbers::above(6));
    assert!(log.is_durable(LogPos { segment: 6, offset: 9000 }) && !log.is_durable(LogPos { segment: 7, offset: 0 }));
    assert_eq!(block_on(log.durable(LogPos { segment: 6, offset: 9000 })), Ok(()));
    assert_eq!(block_on(log.durable(log.end())), Ok(()));
}

#[test]
fn an_idle_log_touches_no_file_and_closes() {
    let world = World::new(2);
    let log = world.log(&SegmentNumbers::above(0));
    world.executor.run_until_stalled();
    let closing = log.clone();
    world.executor.spawn(async move { closing.close().await.unwrap() });
    world.executor.run_until_stalled();
    assert_eq!(world.executor.alive(), 0);
    assert_eq!(world.scan().0.segments.len(), 0);
}

#[test]
fn closing_makes_all_durable_and_seals() {
    let world = World::new(3);
    let log = world.log(&SegmentNumbers::above(6));
    let at = log.append(account(0), RecordKind::Op, &[b"last words"]).unwrap();
    let closing = log.clone();
    world.executor.spawn(async move { closing.close().await.unwrap() });
    world.executor.run_until_stalled();
    assert!(log.is_durable(at.end) && world.executor.alive() == 0);
    assert_eq!(log.append(account(0), RecordKind::Op, &[]), Err(LogError::Closed));
    assert_eq!(block_on(log.room()), Err(LogError::Closed));
    world.disk.crash();
    let (scan, found) = world.scan();
    assert_eq!((scan.highest(), found.len()), (7, 1));
    assert_eq!(scan.segments[0].ending, SegmentEnd::Sealed);
}

#[test]
fn segments_follow_each_other_and_each_is_sealed() {
    let world = World::new(4);
    let numbers = SegmentNumbers::above(9);
    let log = world.log(&numbers);
    let appended: Vec<_> =
        (0..40).map(|n| log.append(account(n % 3), RecordKind::Op, &[&[n as u8; 500]]).unwrap()).collect();
    assert!(appended.is_sorted_by(|a, b| a.end <= b.start), "positions ascend");
    world.executor.run_until_stalled();
    assert!(log.is_durable(appended[39].end));
    let (scan, found) = world.scan();
    assert_eq!(scan.segments.len(), 6);
    assert_eq!(numbers.highest(), scan.highest());
    let (last, full) = scan.segments.split_last().unwrap();
    assert!(full.iter().all(|s| s.ending == SegmentEnd::Sealed && s.end + 40 <= 4096));
    assert_eq!(last.ending, SegmentEnd::Open);
    assert!(found.iter().map(|k| (k.start, k.end)).eq(appended.iter().map(|a| (a.start, a.end))));
}

#[test]
fn a_record_larger_than_a_segment_has_one_to_itself() {
    let world = World::new(5);
    let log = world.log(&SegmentNumbers::above(0));
    for len in [10, 100_000, 10] {
        log.append(account(0), RecordKind::Op, &[&vec![7; len]]).unwrap();
    }
    world.executor.run_until_stalled();
    let (scan, found) = world.scan();
    assert_eq!(scan.segments.iter().map(|s| s.records).collect::<Vec<_>>(), [1, 1, 1]);
    assert_eq!(found[1].payload.len(), 100_000);
}

#[test]
fn too_big_is_refused_before_anything_is_taken() {
    let world = World::new(6);
    let log = world.idle_log(&SegmentNumbers::above(0));
    let max = crate::log::RECORD_BYTES_MAX;
    let error = log.append(account(0), RecordKind::Op, &[&vec![0; max], b"x"]).unwrap_err();
    assert_eq!(error, LogError::TooBig { bytes: max + 1, max });
    assert_eq!(log.pending_bytes(), 0);
}

#[test]
fn a_writer_that_is_dropped_poisons() {
    let world = World::new(8);
    let log = world.log(&SegmentNumbers::above(0));
    world.executor.run_until_stalled();
    let at = log.append(account(0), RecordKind::Op, &[b"x"]).unwrap();
    world.executor.kill_all();
    assert!(matches!(block_on(log.durable(at.end)), Err(LogError::Poisoned { what: "writer", .. })));
}

#[test]
fn room_lets_writers_through_in_order_and_bounds_what_waits() {
    let mut world = World::new(9);
    world.segment_bytes = 1 << 20;
    let log = world.idle_log(&SegmentNumbers::above(0));
    let limit = crate::log::PENDING_BYTES_MAX;
    let (most, passed) = (Rc::new(Cell::new(0)), Rc::new(Cell::new(0)));
    for n in 0..60 {
        let (log, most, passed) = (log.clone(), most.clone(), passed.clone());
        world.executor.spawn(async move {
            log.room().await.unwrap();
            log.append(account(n), RecordKind::Body, &[&vec![n as u8; 1 << 20]]).unwrap();
            most.set(most.get().max(log.pending_bytes()));
            passed.set(passed.get() + 1);
        });
    }
    world.executor.run_until_stalled();
    assert!(passed.get() < 20 && log.pending_bytes() > limit);
    let writer = log.clone();
    world.executor.spawn(async move { writer.run().await });
    world.executor.run_until_stalled();
    assert_eq!(passed.get(), 60);
    assert!(most.get() <= limit + (1 << 20) + 4096, "{}", most.get());
}

#[test]
fn records_are_read_back_by_position_even_before_they_are_written() {
    let world = World::new(10);
    let log = world.log(&SegmentNumbers::above(0));
    let payloads: Vec<Vec<u8>> = (0..30).map(|n| vec![n; usize::from(n) * 300]).collect();
    let done = Rc::new(Cell::new(0));
    for payload in payloads {
        let at = log.append(account(1), RecordKind::Op, &[&payload]).unwrap();
        let (log, done) = (log.clone(), done.clone());
        world.executor.spawn(async move {
            let (header, read) = log.read(at.start).await.unwrap();
            assert_eq!((header.kind, header.account), (RecordKind::Op, account(1)));
            assert_eq!(read, payload);
            done.set(done.get() + 1);
        });
    }
    world.executor.run_until_stalled();
    assert_eq!(done.get(), 30);
}

#[test]
fn a_read_elsewhere_says_what_is_wrong() {
    let world = World::new(11);
    let log = world.log(&SegmentNumbers::above(0));
    let at = log.append(account(1), RecordKind::Op, &[b"payload"]).unwrap();
    world.executor.run_until_stalled();
    let read = |pos| block_on(log.read(pos));
    assert!(matches!(read(LogPos { segment: 77, offset: 64 }), Err(ReadError::Missing { segment: 77 })));
    let beside = LogPos { offset: at.start.offset + 8, ..at.start };
    assert!(matches!(read(beside), Err(ReadError::Damaged { at }) if at == beside));
    let past = LogPos { offset: 1 << 40, ..at.start };
    assert!(matches!(read(past), Err(ReadError::Damaged { .. })));
}

#[test]
fn more_segments_are_read_than_files_are_held_open() {
    let mut world = World::new(14);
    world.segment_bytes = 200;
    let log = world.log(&SegmentNumbers::above(0));
    let at: Vec<_> = (0..200).map(|n| log.append(account(1), RecordKind::Op, &[&[n; 64]]).unwrap().start).collect();
    world.executor.run_until_stalled();
    assert_eq!((at[0].segment, at[199].segment), (1, 200));
    for round in 0..2 {
        for (n, &at) in at.iter().enumerate() {
            assert_eq!(block_on(log.read(at)).unwrap().1, [n as u8; 64], "round {round}");
        }
    }
    block_on(log.remove_segment(200 - 5)).unwrap();
    world.executor.kill_all();
    world.disk.crash();
    assert!(matches!(block_on(log.read(at[194])), Err(ReadError::Missing { segment: 195 })));
    assert_eq!(world.scan().0.segments.len(), 199);
}

#[test]
fn the_tail_is_found_by_account() {
    let world = World::new(12);
    let log = world.log(&SegmentNumbers::above(0));
    let at: Vec<_> = (0..9).map(|n| log.append(account(n % 3), RecordKind::Op, &[&[1; 400]]).unwrap()).collect();
    log.append(AccountId([0; 16]), RecordKind::Body, &[b"no op"]).unwrap();
    world.executor.run_until_stalled();
    let mut tail = TailIndex::default();
    block_on(scan(&world.disk, Path::new(DIR), 0, |record| tail.add(record))).unwrap();
    assert_eq!(tail.accounts().count(), 3);
    let of_one: Vec<_> = tail.take(account(1), LogPos::default()).iter().map(|r| (r.start, r.end, r.bytes)).collect();
    assert_eq!(of_one, [1, 4, 7].map(|n| (at[n].start, at[n].end, 400)));
    let later: Vec<_> = tail.take(account(2), at[5].start).iter().map(|r| r.start).collect();
    assert_eq!(later, [at[5].start, at[8].start]);
    assert!(tail.take(account(2), LogPos::default()).is_empty());
}
