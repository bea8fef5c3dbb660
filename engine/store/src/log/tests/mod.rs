//! What the log promises, against a disk that keeps only what was synced.

mod bodies;
mod crash;
mod damage;
mod drained;
mod format;
mod heal;
mod lifecycle;

use super::{Log, LogOptions, Record, RecordKind, Scan, SegmentNumbers, recover, scan};
use crate::sim::{SimDisk, SimExecutor, SimRng, block_on};
use skein_base::seam::Disk;
use skein_base::{AccountId, LogPos, ShardId};
use std::path::Path;
use std::rc::Rc;

/// Mistakes on purpose, so that the harness is known to notice them.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub(crate) enum Mutant {
    /// The log as it is.
    #[default]
    None,
    /// Says durable before the sync.
    AckBeforeSync,
    /// Goes on after a failure without cutting off what was lost.
    HealWithoutCut,
    /// Tells nobody that records were lost.
    LoseInSilence,
    /// Puts snapshots in place before the packs that they name are synced.
    NamePacksBeforeSync,
    /// Removes a segment before the accounts that need it are checkpointed.
    RemoveSegmentBeforeCheckpoint,
    /// Removes an emptied pack before the snapshots that name the new places are durable.
    RemovePackBeforeCheckpoint,
    /// Leaves bodies in the log and tells nobody.
    ForgetBodiesInLog,
    /// Removes an account's files before its end is durable.
    RemoveBeforeEnd,
    /// Says in the tree that an account has ended before its files are removed.
    EndBeforeRemoval,
}

const DIR: &str = "/data/log";

/// One seed's world: a disk, an executor, and what the next log of it is called.
struct World {
    rng: SimRng,
    disk: SimDisk,
    executor: SimExecutor,
    mutant: Mutant,
    segment_bytes: u64,
}

/// A record as a test keeps it.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Kept {
    kind: RecordKind,
    account: AccountId,
    start: LogPos,
    end: LogPos,
    payload: Vec<u8>,
}

impl World {
    fn new(seed: u64) -> World {
        let rng = SimRng::new(seed);
        let (disk, executor) = (SimDisk::new(&rng), SimExecutor::new(&rng));
        block_on(disk.create_dir_all(Path::new(DIR))).unwrap();
        World { rng, disk, executor, mutant: Mutant::None, segment_bytes: 4096 }
    }

    /// A log whose writer runs.
    fn log(&self, numbers: &SegmentNumbers) -> Log<SimDisk> {
        let log = self.idle_log(numbers);
        let writer = log.clone();
        self.executor.spawn(async move { writer.run().await });
        log
    }

    /// A log that writes nothing.
    fn idle_log(&self, numbers: &SegmentNumbers) -> Log<SimDisk> {
        let run = self.rng.bytes(16).try_into().unwrap();
        let mut options = LogOptions::new(ShardId(0), run, Rc::new(|| 1_767_225_600));
        options.segment_bytes = self.segment_bytes;
        options.probe_bytes = 4096;
        options.mutant = self.mutant;
        Log::open(self.disk.clone(), Path::new(DIR), numbers.clone(), options)
    }

    fn scan(&self) -> (Scan, Vec<Kept>) {
        let mut all = Vec::new();
        let found = block_on(scan(&self.disk, Path::new(DIR), 0, |r| all.push(keep(r)))).unwrap();
        (found, all)
    }

    fn recover(&self, scan: &Scan) -> std::io::Result<()> {
        block_on(recover(&self.disk, Path::new(DIR), scan))
    }
}

fn keep(record: &Record<'_>) -> Kept {
    let payload = record.payload.to_vec();
    Kept { kind: record.kind, account: record.account, start: record.start, end: record.end, payload }
}

fn account(n: u64) -> AccountId {
    AccountId([n as u8 + 1; 16])
}
