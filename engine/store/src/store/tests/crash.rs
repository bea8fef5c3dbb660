//! The promise: whenever the power goes, every account is what it was after some commit at or behind the last one that
//! anybody was told of, and all accounts of the shard agree on which.
//!
//! One seed is several lives of a store: clients on a few accounts, checkpoints beside them, an end at any moment. Each
//! life has as many shards as chance says.

use super::Seed;
use super::client::Life;
use super::world::{Perils, SHARDS_MAX, SimStore, USERS, World};
use crate::log::tests::Mutant;
use crate::sim::Faults;
use std::cell::Cell;
use std::rc::Rc;

const LIVES: u64 = 3;
const CLIENTS: u64 = 5;

/// Seeds for a test: `SKEIN_SEEDS` when set, else what takes a few seconds.
pub fn seeds(default: u64) -> u64 {
    let default = if cfg!(debug_assertions) { default } else { default * 10 };
    std::env::var("SKEIN_SEEDS").ok().and_then(|n| n.parse().ok()).unwrap_or(default)
}

/// So many of them: from 0 on, or from `SKEIN_SEED_FIRST`, to try others.
pub fn row(seeds: u64) -> std::ops::Range<u64> {
    let first = std::env::var("SKEIN_SEED_FIRST").ok().and_then(|n| n.parse().ok()).unwrap_or(0);
    first..first + seeds
}

/// How a seed went.
#[derive(Default)]
struct Went {
    commits: u64,
    snapshots: u64,
    closed: u64,
    unloaded: u64,
    healed: u64,
    lost: u64,
    drained: u64,
    compacted: u64,
    ended: u64,
}

impl Went {
    fn add(&mut self, store: &SimStore) {
        let metrics = store.metrics();
        self.snapshots += metrics.snapshots_written;
        self.closed += metrics.accounts_closed;
        self.unloaded += metrics.mailboxes_unloaded;
        self.lost += metrics.accounts_lost;
        self.healed += store.log().metrics().healed;
        self.drained += metrics.segments_removed;
        self.compacted += metrics.packs_removed;
        self.ended += metrics.accounts_ended;
    }
}

/// Runs one seed; `Err` tells how the promise was broken. On a thread of its own: a compressor that has worked before makes other
/// bytes of the same ones, and a seed has to be the same run whichever came before it.
fn run(seed: u64, perils: Perils) -> Result<Went, String> {
    let run = std::thread::scope(|threads| threads.spawn(|| run_here(seed, perils)).join());
    run.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

fn run_here(seed: u64, perils: Perils) -> Result<Went, String> {
    let (world, _seed) = (World::new(seed), Seed(seed));
    let mut went = Went::default();
    world.mutant.set(perils.mutant);
    for _ in 0..LIVES {
        let (scan, tail) = world.scan();
        let stores = world.stores(1 + world.rng.below(SHARDS_MAX as u64) as usize, &scan, tail);
        live(&world, &stores, perils);
        went.commits += world.ledger.borrow().commits;
        stores.iter().for_each(|store| went.add(store));
        if !perils.drains && went.drained > 0 {
            return Err("a segment went though nobody asked".into());
        }
        if stores.iter().any(|store| store.metrics().bodies_lost > 0) {
            return Err("a body could not be read when it was to be packed".into());
        }
        if let Some(id) = stores.iter().find_map(|store| store.take_sick()) {
            return Err(format!("account {} was taken for damaged", id.hex()));
        }
        drop(stores);
        if !world.rng.once_in(4) {
            world.disk.crash();
        }
        world.recover(perils);
        let hurt = world.check()?;
        if hurt > 0 {
            return Err(format!(
                "the crash left {hurt} snapshots in place that are not whole, or older than their tree"
            ));
        }
    }
    Ok(went)
}

/// Clients come and work until chance says that it ends, or in peace until all is done and the log is closed.
pub fn live(world: &World, stores: &[SimStore], perils: Perils) {
    world.disk.set_faults(perils.faults);
    if faulty(&perils) && world.rng.once_in(3) {
        world.disk.set_capacity(Some(world.disk.used() + world.rng.below(20_000) as usize));
    }
    for store in stores {
        let writer = store.log().clone();
        world.executor.spawn(async move { writer.run().await });
    }
    for _ in 0..CLIENTS {
        let who = world.rng.below(USERS as u64) as usize;
        let home = world.ledger.borrow().accounts[who].home;
        let life = Life::new(world, &stores[home], faulty(&perils), &perils);
        world.executor.spawn(life.client(who, world.rng.below(16)));
    }
    if world.rng.once_in(6) {
        world.executor.run_until_stalled();
        stores.iter().enumerate().for_each(|(home, store)| close(world, home, store));
    } else {
        for _ in 0..world.rng.below(12) {
            world.executor.run_steps(world.rng.below(100));
            world.clock.advance_ms(world.rng.below(1500));
        }
    }
    world.executor.kill_all();
    for (home, store) in stores.iter().enumerate() {
        world.ledger.borrow_mut().end_life(home, store.log());
    }
    world.disk.set_capacity(None);
    world.disk.set_faults(Faults::default());
}

/// Ends the log in order; what it says is safe counts as told.
fn close(world: &World, home: usize, store: &SimStore) {
    let (log, closed) = (store.log().clone(), Rc::new(Cell::new(false)));
    let done = closed.clone();
    world.executor.spawn(async move { done.set(log.close().await.is_ok()) });
    world.executor.run_until_stalled();
    if closed.get() {
        let ledger = &mut *world.ledger.borrow_mut();
        ledger.settle(home, store.log());
        let here = (0..USERS).filter(|&who| ledger.accounts[who].home == home).collect::<Vec<_>>();
        here.into_iter().for_each(|who| ledger.tell(who, ledger.accounts[who].steps.len() - 1));
    }
}

fn faulty(perils: &Perils) -> bool {
    let f = &perils.faults;
    f.read_one_in + f.write_one_in + f.sync_one_in + f.full_one_in > 0
}

/// The one seed of `SKEIN_SEED`, to look at it; else so many.
fn must_hold(seeds: u64, perils: Perils) {
    if let Some(seed) = std::env::var("SKEIN_SEED").ok().and_then(|n| n.parse().ok()) {
        run(seed, perils).unwrap_or_else(|why| panic!("seed {seed}: {why}"));
        return;
    }
    let mut all = Went::default();
    for seed in row(seeds) {
        let went = run(seed, perils).unwrap_or_else(|why| panic!("seed {seed}: {why}"));
        all.commits += went.commits;
        all.snapshots += went.snapshots;
        all.closed += went.closed;
        all.unloaded += went.unloaded;
        all.healed += went.healed;
        all.lost += went.lost;
        all.drained += went.drained;
        all.compacted += went.compacted;
        all.ended += went.ended;
    }
    let Went { commits, snapshots, closed, unloaded, healed, lost, drained, compacted, ended } = &all;
    println!("{seeds} seeds, {commits} commits, {snapshots} snapshots, {closed} closed, {unloaded} unloaded");
    println!("{lost} accounts lost changes, {healed} times the log went on after its disk had failed");
    println!("{drained} segments drained, {compacted} packs compacted, {ended} accounts ended");
    assert!(!perils.ends || *ended > seeds / 4, "next to no account ended");
    assert!(!faulty(&perils) || *healed > seeds / 10 && *lost > seeds / 10, "the disk hardly failed");
    // Accounts that end leave little to compact, and so do checkpoints after which bodies are still in the log. A disk that fails stops drains.
    let compactions = seeds / if perils.ends { 100 } else { 40 };
    assert!(!perils.drains || *drained > seeds / 5 && *compacted > compactions, "next to nothing was drained");
    assert!(all.commits > 20 * seeds && all.snapshots > seeds, "the clients did next to nothing");
    // Nor is there much to unload in them: once in thirty seeds.
    let unloads = seeds / if perils.ends { 100 } else { 50 };
    assert!(all.closed > seeds / 4 && all.unloaded > unloads, "next to nothing left memory");
}

#[test]
fn no_crash_loses_what_was_told() {
    must_hold(seeds(1000), Perils { drains: true, ..Perils::default() });
}

#[test]
fn accounts_end_whole_or_not_at_all_and_begin_anew() {
    must_hold(seeds(600), Perils { drains: true, ends: true, ..Perils::default() });
    must_hold(seeds(400), Perils { faults: FAILING, drains: true, ends: true, ..Perils::default() });
}

#[test]
fn files_removed_before_the_end_is_durable_are_missed() {
    must_catch(Perils { mutant: Mutant::RemoveBeforeEnd, drains: true, ends: true, ..Perils::default() });
}

#[test]
fn an_end_told_before_the_files_are_gone_for_good_is_caught() {
    must_catch(Perils { mutant: Mutant::EndBeforeRemoval, drains: true, ends: true, ..Perils::default() });
}

const FAILING: Faults =
    Faults { read_one_in: 60, write_one_in: 150, sync_one_in: 150, full_one_in: 300, sync_lies_one_in: 0 };

#[test]
fn nor_does_a_disk_that_fails() {
    must_hold(seeds(1000), Perils { faults: FAILING, drains: true, ..Perils::default() });
}

/// Runs that a mistake on purpose breaks; some by a panic of a client.
/// Of mistakes that need several things at once: twice among some thousand seeds.
fn must_catch(perils: Perils) {
    let caught = (0..6000).filter(|&seed| is_broken(seed, perils)).take(2).count();
    assert_eq!(caught, 2, "among 6000 seeds");
}

fn caught(seeds: u64, mutant: Mutant) -> usize {
    caught_with(seeds, Perils { faults: FAILING, mutant, ..Perils::default() })
}

/// The same for a mistake of drains, on a disk without faults: the power alone shows it.
fn caught_draining(seeds: u64, mutant: Mutant) -> usize {
    caught_with(seeds, Perils { mutant, drains: true, ..Perils::default() })
}

fn caught_with(seeds: u64, perils: Perils) -> usize {
    (0..seeds).filter(|&seed| is_broken(seed, perils)).count()
}

fn is_broken(seed: u64, perils: Perils) -> bool {
    std::panic::catch_unwind(|| run(seed, perils).is_err()).unwrap_or(true)
}

#[test]
fn a_log_that_heals_without_cutting_off_what_it_lost_is_caught() {
    let caught = caught(200, Mutant::HealWithoutCut);
    assert!(caught > 5, "only {caught} of 200");
}

#[test]
fn accounts_that_live_on_with_lost_changes_are_caught() {
    let caught = caught(200, Mutant::LoseInSilence);
    assert!(caught > 5, "only {caught} of 200");
}

#[test]
fn packs_named_before_their_sync_are_caught() {
    let caught = caught_draining(200, Mutant::NamePacksBeforeSync);
    assert!(caught > 5, "only {caught} of 200");
}

#[test]
fn a_segment_removed_before_its_checkpoints_is_caught() {
    let caught = caught_draining(200, Mutant::RemoveSegmentBeforeCheckpoint);
    assert!(caught > 5, "only {caught} of 200");
}

#[test]
fn bodies_left_in_the_log_and_forgotten_are_caught() {
    must_catch(Perils { mutant: Mutant::ForgetBodiesInLog, drains: true, ..Perils::default() });
}

#[test]
fn a_pack_removed_before_its_checkpoint_is_caught() {
    must_catch(Perils { mutant: Mutant::RemovePackBeforeCheckpoint, drains: true, ..Perils::default() });
}

/// The harness is worth nothing if replies before the sync pass it.
#[test]
fn replies_before_the_sync_are_caught() {
    let perils = Perils { told_too_early: true, ..Perils::default() };
    let caught = (0..60).filter(|&seed| run(seed, perils).is_err()).count();
    assert!(caught > 10, "only {caught} of 60");
}
