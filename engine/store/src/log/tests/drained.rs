//! How a drained segment goes, whatever stops it on the way.

use super::*;
use crate::log::{ReadError, read_manifest};
use std::cell::Cell;

const DRAINED: u64 = 1;

/// A log of some segments that are noted, on a disk that then has no room for a manifest.
fn on_a_full_disk(seed: u64) -> (World, Log<SimDisk>, Vec<LogPos>) {
    let mut world = World::new(seed);
    world.segment_bytes = 400;
    let log = world.log(&SegmentNumbers::above(0));
    let at = (0..6).map(|n| log.append(account(1), RecordKind::Op, &[&[n; 300]]).unwrap().start).collect();
    world.executor.run_until_stalled();
    block_on(log.note_changes());
    world.disk.set_capacity(Some(world.disk.used()));
    (world, log, at)
}

/// What a start finds; afterwards a run that has noted what there is.
fn start(world: &World) -> (Scan, Vec<String>) {
    world.disk.set_capacity(None);
    let mut found = world.scan().0;
    let mut manifest = block_on(read_manifest(&world.disk, Path::new(DIR))).unwrap();
    found.segments.iter_mut().for_each(|found| manifest.hold_against(found));
    manifest.add_gone(&mut found);
    let numbers = SegmentNumbers::above(found.highest());
    found.segments.iter().for_each(|found| manifest.take_stock(found));
    numbers.set_manifest(manifest);
    block_on(world.idle_log(&numbers).note_changes());
    (found, block_on(world.disk.list(Path::new(DIR))).unwrap())
}

/// On a full disk a drained segment was removed before a manifest without it could be written. A process that died between the two
/// made the next start say that somebody had taken the segment's file away.
#[test]
fn no_start_misses_a_segment_that_was_being_removed() {
    let (mut ended, mut with_file) = (0, 0);
    for seed in 0..40 {
        for steps in 0..30 {
            let (world, log, _) = on_a_full_disk(seed);
            let done = Rc::new(Cell::new(false));
            let ends = done.clone();
            world.executor.spawn(async move {
                log.remove_segment(DRAINED).await.unwrap();
                ends.set(true);
            });
            world.executor.run_steps(steps);
            world.executor.kill_all();
            if seed % 2 == 0 {
                world.disk.crash();
            }
            let (found, names) = start(&world);
            let damage: Vec<_> = found.damage().collect();
            assert!(damage.is_empty(), "seed {seed}, {steps} steps: {damage:?}");
            let has_file = found.segments[0].segment == DRAINED;
            assert!(has_file || found.segments.len() == 5, "seed {seed}, {steps} steps: {names:?}");
            assert!(names.iter().all(|name| !name.ends_with(".dry")), "it stays for good: {names:?}");
            ended += u32::from(done.get());
            with_file += u32::from(has_file);
        }
    }
    assert!(ended > 50 && with_file > 50, "{ended} {with_file}");
}

/// A disk without room for anything gets the bytes of what was drained, at once.
#[test]
fn removing_needs_no_room() {
    let (world, log, at) = on_a_full_disk(1);
    let before = world.disk.used();
    block_on(log.remove_segment(DRAINED)).unwrap();
    assert!(world.disk.used() < before - 300, "{} of {before}", world.disk.used());
    assert!(matches!(block_on(log.read(at[0])), Err(ReadError::Missing { segment: DRAINED })));
    assert_eq!(block_on(log.read(at[1])).unwrap().1, [1; 300]);
}

/// A body may move to a pack, and its segment go, while somebody reads it from there: what is cut off under him is no damage.
#[test]
fn a_reader_never_takes_what_is_being_removed_for_damaged() {
    let (mut whole, mut gone) = (0, 0);
    for seed in 0..1000 {
        let (world, log, at) = on_a_full_disk(seed);
        let (reader, result) = (log.clone(), Rc::new(Cell::new(None)));
        let (at, read) = (at[0], result.clone());
        world.executor.spawn(async move { read.set(Some(reader.read(at).await)) });
        world.executor.spawn(async move { log.remove_segment(DRAINED).await.unwrap() });
        world.executor.run_until_stalled();
        match result.take().expect("it was read") {
            Ok((_, payload)) => whole += u32::from(payload == [0; 300]),
            Err(ReadError::Missing { segment: DRAINED }) => gone += 1,
            Err(error) => panic!("seed {seed}: {error}"),
        }
    }
    assert!(whole > 20 && gone > 20 && whole + gone == 1000, "{whole} {gone}");
}
