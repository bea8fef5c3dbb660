//! The disk fails under the log, and is well again.

use super::*;
use crate::body::BodyWriter;
use crate::log::{LogError, SegmentEnd};
use crate::sim::Faults;
use skein_base::Class;
use skein_base::limits::BODY_CHUNK_BYTES;
use std::cell::Cell;

fn op(log: &Log<SimDisk>, payload: &[u8]) -> Result<LogPos, LogError> {
    log.append(account(0), RecordKind::Op, &[payload]).map(|at| at.end)
}

/// Heals, with the executor at work.
fn heal(world: &World, log: &Log<SimDisk>) -> Result<(), LogError> {
    let (log, healed) = (log.clone(), Rc::new(Cell::new(None)));
    let out = healed.clone();
    world.executor.spawn(async move { out.set(Some(log.heal().await)) });
    world.executor.run_until_stalled();
    healed.take().unwrap()
}

#[test]
fn what_was_not_safe_is_lost_and_the_log_goes_on() {
    for (faults, what, class) in [
        (Faults { sync_one_in: 1, ..Faults::default() }, "write", Class::Unavailable),
        (Faults { write_one_in: 1, ..Faults::default() }, "write", Class::Unavailable),
        (Faults { full_one_in: 1, ..Faults::default() }, "write", Class::Full),
    ] {
        let world = World::new(7);
        let log = world.log(&SegmentNumbers::above(0));
        let calls = Rc::new(Cell::new(0));
        let seen = calls.clone();
        log.on_failure(move || seen.set(seen.get() + 1));
        let first = op(&log, b"safe").unwrap();
        world.executor.run_until_stalled();
        world.disk.set_faults(faults);
        let (second, third) = (op(&log, b"lost").unwrap(), op(&log, b"lost too").unwrap());
        world.executor.run_until_stalled();
        assert_eq!(calls.get(), 1);
        assert_eq!(block_on(log.durable(first)), Ok(()));
        let error = block_on(log.durable(third)).unwrap_err();
        assert_eq!(error.class(), class);
        assert!(error.to_string().contains(what), "{error}");
        assert_eq!(op(&log, b"later"), Err(error.clone()));
        assert_eq!(block_on(log.room()), Err(error.clone()));
        assert!(heal(&world, &log).is_err(), "the disk still fails");
        world.disk.set_faults(Faults::default());
        assert_eq!(op(&log, b"later"), Err(error.clone()), "nobody has healed it yet");

        assert_eq!(heal(&world, &log), Ok(()));
        assert_eq!(log.refuses(), None);
        let fourth = op(&log, b"next").unwrap();
        world.executor.run_until_stalled();
        assert_eq!(block_on(log.durable(fourth)), Ok(()));
        assert!(log.is_durable(first) && !log.is_durable(second) && !log.is_durable(third));
        assert_eq!(block_on(log.durable(second)), Err(error), "for good");
        assert_eq!((log.failures(), log.metrics().healed), (1, 1));
        world.executor.kill_all();
        world.disk.crash();
        let (scan, found) = world.scan();
        let payloads: Vec<_> = found.iter().map(|kept| &kept.payload[..]).collect();
        assert_eq!(payloads, [b"safe", b"next"]);
        assert_eq!(scan.segments[0].ending, SegmentEnd::Sealed);
        assert_eq!(scan.damage().count(), 0);
    }
}

/// A segment that could not even be made leaves nothing behind.
#[test]
fn a_disk_without_room_for_a_segment_heals() {
    let world = World::new(8);
    world.disk.set_capacity(Some(0));
    let log = world.log(&SegmentNumbers::above(4));
    let lost = op(&log, b"lost").unwrap();
    world.executor.run_until_stalled();
    let error = block_on(log.durable(lost)).unwrap_err();
    assert_eq!((error.class(), world.disk.used()), (Class::Full, 0));
    world.disk.set_capacity(Some(4095));
    assert_eq!(heal(&world, &log).unwrap_err().class(), Class::Full, "too little room to go on with");
    world.disk.set_capacity(None);
    heal(&world, &log).unwrap();
    let end = op(&log, b"kept").unwrap();
    world.executor.run_until_stalled();
    assert!(log.is_durable(end) && !log.is_durable(lost));
    assert_eq!(world.scan().0.segments.iter().map(|s| s.segment).collect::<Vec<_>>(), [6]);
}

#[test]
fn closing_while_it_refuses_says_so() {
    let world = World::new(9);
    let log = world.log(&SegmentNumbers::above(0));
    world.disk.set_capacity(Some(0));
    op(&log, b"lost").unwrap();
    world.executor.run_until_stalled();
    let (closing, closed) = (log.clone(), Rc::new(Cell::new(None)));
    let out = closed.clone();
    world.executor.spawn(async move { out.set(Some(closing.close().await)) });
    world.executor.run_until_stalled();
    assert!(matches!(closed.take(), Some(Err(LogError::Full { .. }))));
    assert_eq!(world.executor.alive(), 0);
}

/// The first chunks of a message were lost; its last ones come when the log is well again.
#[test]
fn a_message_that_lost_a_chunk_is_refused() {
    let mut world = World::new(10);
    world.segment_bytes = 16 << 20;
    let log = world.log(&SegmentNumbers::above(0));
    let mut writer = BodyWriter::new(&log);
    block_on(writer.push(&vec![b'x'; BODY_CHUNK_BYTES + 1])).unwrap();
    world.disk.set_faults(Faults { sync_one_in: 1, ..Faults::default() });
    world.executor.run_until_stalled();
    world.disk.set_faults(Faults::default());
    heal(&world, &log).unwrap();
    assert!(matches!(writer.finish(b"").unwrap_err(), LogError::Failed { .. }));
    // One that had all of it in memory lost nothing.
    let mut writer = BodyWriter::new(&log);
    block_on(writer.push(b"short")).unwrap();
    assert!(writer.finish(b"").is_ok());
}

/// What is left of the disk is kept for changes that make room.
#[test]
fn the_reserve_is_not_for_messages() {
    let world = World::new(11);
    let log = world.log(&SegmentNumbers::above(0));
    log.keep_reserve(Some("12 MB are free"));
    assert_eq!(log.takes_messages().unwrap_err().class(), Class::Full);
    assert!(matches!(BodyWriter::new(&log).finish(b""), Err(LogError::Full { what: "reserve", .. })));
    assert!(op(&log, b"a flag").is_ok());
    log.keep_reserve(None);
    assert!(log.takes_messages().is_ok() && BodyWriter::new(&log).finish(b"").is_ok());
}

/// A disk that fails again and again is not trusted for ever.
#[test]
fn it_gives_up_after_so_many_failures() {
    let world = World::new(12);
    let log = world.log(&SegmentNumbers::above(0));
    world.disk.set_capacity(Some(0));
    for n in 0..=crate::log::FAILURES_MAX {
        world.disk.set_capacity(None);
        assert_eq!(heal(&world, &log), Ok(()), "failure {n}");
        world.disk.set_capacity(Some(0));
        op(&log, b"lost").unwrap();
        world.executor.run_until_stalled();
    }
    world.disk.set_capacity(None);
    assert!(matches!(heal(&world, &log), Err(LogError::Poisoned { .. })));
    assert_eq!(log.failures(), crate::log::FAILURES_MAX);
}
