//! The promise: after a crash at any point, every acknowledged record is there, in order, with at most a prefix of
//! those that were not, and nothing that nobody wrote.
//!
//! One seed is one life of a log: writers append, the power goes (or the process alone dies), the log is read and
//! recovered, and it begins again.

use super::*;
use crate::sim::Faults;
use std::cell::RefCell;

const WRITERS: u64 = 4;
const LIVES: u64 = 3;

/// What the writers of one life know.
#[derive(Default)]
struct Ledger {
    /// Every record, in the order of appending.
    appended: Vec<Kept>,
    /// How many of them, from the first on, were acknowledged: a record is only safe with all before it.
    acked: usize,
}

/// What a life of the log may do to break the promise.
#[derive(Clone, Copy)]
struct Perils {
    faults: Faults,
    mutant: Mutant,
}

const HEALTHY: Perils = Perils {
    faults: Faults { read_one_in: 0, write_one_in: 0, sync_one_in: 0, full_one_in: 0, sync_lies_one_in: 0 },
    mutant: Mutant::None,
};

/// Seeds for a test: `SKEIN_SEEDS` when set, else what takes a few seconds.
fn seeds() -> u64 {
    let default = if cfg!(debug_assertions) { 3_000 } else { 20_000 };
    std::env::var("SKEIN_SEEDS").ok().and_then(|n| n.parse().ok()).unwrap_or(default)
}

/// Runs one seed; `Err` tells how the promise was broken.
fn run(seed: u64, perils: Perils) -> Result<(), String> {
    let mut world = World::new(seed);
    world.mutant = perils.mutant;
    // From a few records a segment to all records in one.
    world.segment_bytes = [600, 2000, 1 << 20][world.rng.below(3) as usize];
    let mut safe: Vec<Kept> = Vec::new();
    let mut highest = 0;
    for _ in 0..LIVES {
        let ledger = live(&world, highest, perils.faults);
        let (scan, found) = die(&world);
        if let Some(damage) = scan.damage().next() {
            return Err(format!("a crash was taken for damage: {damage:?}"));
        }
        check(&safe, &ledger, &found)?;
        highest = scan.highest().max(highest);
        revive(&world, scan, perils.faults);
        safe = found;
    }
    let (scan, found) = world.scan();
    if found != safe || scan.damage().next().is_some() {
        let (is, was) = (found.len(), safe.len());
        return Err(format!("{was} records before recovery, {is} after it, {:?}", scan.segments));
    }
    Ok(())
}

/// Writers append and wait until chance says that it ends.
fn live(world: &World, highest: u64, faults: Faults) -> Ledger {
    world.disk.set_faults(faults);
    let log = world.log(&SegmentNumbers::above(highest));
    let ledger = Rc::new(RefCell::new(Ledger::default()));
    for writer in 0..WRITERS {
        let (log, ledger, rng) = (log.clone(), ledger.clone(), world.rng.clone());
        world.executor.spawn(async move { write(writer, log, ledger, rng).await });
    }
    world.executor.run_steps(world.rng.below(240));
    world.executor.kill_all();
    drop(log);
    ledger.take()
}

async fn write(writer: u64, log: Log<SimDisk>, ledger: Rc<RefCell<Ledger>>, rng: SimRng) {
    for _ in 0..12 {
        let len = if rng.once_in(6) { rng.below(1500) } else { rng.below(60) };
        let (payload, kind) = (rng.bytes(len as usize), RecordKind::Op);
        let Ok(at) = log.append(account(writer), kind, &[&payload]) else { return };
        let kept = Kept { kind, account: account(writer), start: at.start, end: at.end, payload };
        let nth = {
            let appended = &mut ledger.borrow_mut().appended;
            appended.push(kept);
            appended.len()
        };
        if log.durable(at.end).await.is_err() {
            return;
        }
        let acked = &mut ledger.borrow_mut().acked;
        *acked = nth.max(*acked);
    }
}

/// The power goes, or the process alone: then what was written but never synced still reads well.
fn die(world: &World) -> (Scan, Vec<Kept>) {
    world.disk.set_faults(Faults::default());
    if !world.rng.once_in(4) {
        world.disk.crash();
    }
    world.scan()
}

/// Recovery, cut off and begun again at times, and then the power goes once more: what was read must stay.
fn revive(world: &World, mut scan: Scan, faults: Faults) {
    while world.rng.once_in(3) {
        let (disk, cut) = (world.disk.clone(), scan.clone());
        world.disk.set_faults(Faults { sync_lies_one_in: 0, ..faults });
        world.executor.spawn(async move { drop(recover(&disk, Path::new(DIR), &cut).await) });
        world.executor.run_steps(world.rng.below(30));
        world.executor.kill_all();
        world.disk.set_faults(Faults::default());
        scan = world.scan().0;
    }
    world.recover(&scan).unwrap();
    world.disk.crash();
}

fn check(safe: &[Kept], ledger: &Ledger, found: &[Kept]) -> Result<(), String> {
    let Some(new) = found.strip_prefix(safe) else {
        return Err("records of an earlier life are gone".into());
    };
    if !ledger.appended.starts_with(new) {
        return Err("what was found is no prefix of what was written".into());
    }
    if new.len() < ledger.acked {
        return Err(format!("{} records were acknowledged, {} are there", ledger.acked, new.len()));
    }
    Ok(())
}

fn broken(seeds: u64, perils: Perils) -> u64 {
    (0..seeds).filter(|&seed| run(seed, perils).is_err()).count() as u64
}

fn must_hold(seeds: u64, perils: Perils) {
    for seed in 0..seeds {
        run(seed, perils).unwrap_or_else(|why| panic!("seed {seed}: {why}"));
    }
}

#[test]
fn no_crash_loses_what_was_acknowledged() {
    must_hold(seeds(), HEALTHY);
}

#[test]
fn nor_does_a_disk_that_fails() {
    let faults = Faults { write_one_in: 30, sync_one_in: 20, full_one_in: 60, ..Faults::default() };
    must_hold(seeds(), Perils { faults, ..HEALTHY });
}

/// The harness is worth nothing if a log that lies passes it.
#[test]
fn a_log_that_acknowledges_before_the_sync_is_caught() {
    let caught = broken(300, Perils { mutant: Mutant::AckBeforeSync, ..HEALTHY });
    assert!(caught > 30, "only {caught} of 300");
}

#[test]
fn a_disk_whose_sync_lies_is_caught() {
    let faults = Faults { sync_lies_one_in: 2, ..Faults::default() };
    let caught = broken(300, Perils { faults, ..HEALTHY });
    assert!(caught > 30, "only {caught} of 300");
}
