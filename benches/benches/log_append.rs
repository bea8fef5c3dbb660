//! What does the shard log cost without its disk: records appended, committed in one batch, and read again after a start?
//!
//! The disk is the simulator's, in memory: no syscall, no sync. What is left is the log's own work and a copy.

use std::path::Path;
use std::rc::Rc;

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use skein_base::seam::Disk;
use skein_base::{AccountId, ShardId};
use skein_benches::size;
use skein_store::log::{Log, LogOptions, RecordKind, SegmentNumbers, scan};
use skein_store::sim::{SimDisk, SimExecutor, SimRng, block_on};

const DIR: &str = "/data/log";

fn logs(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("log_append");
    let records = size(4, 1000);
    for (kind, bytes) in [("ops of 64 bytes", 64), ("messages of 10 KB", 10_240)] {
        let payload = vec![b'x'; bytes];
        group.throughput(Throughput::Elements(records as u64));
        group.bench_function(format!("append and commit {kind}"), |bencher| {
            bencher.iter_batched(World::new, |world| world.commit(records, &payload), BatchSize::LargeInput);
        });
        let world = World::new().commit(records, &payload);
        group.bench_function(format!("replay {kind}"), |bencher| {
            bencher.iter(|| {
                let mut found = 0;
                block_on(scan(&world.disk, Path::new(DIR), 0, |_| found += 1)).expect("the disk works");
                assert_eq!(found, records);
            });
        });
    }
    group.finish();
}

struct World {
    disk: SimDisk,
    executor: SimExecutor,
    log: Log<SimDisk>,
}

impl World {
    fn new() -> World {
        let rng = SimRng::new(1);
        let (disk, executor) = (SimDisk::new(&rng), SimExecutor::new(&rng));
        block_on(disk.create_dir_all(Path::new(DIR))).expect("the disk works");
        let options = LogOptions::new(ShardId(0), [7; 16], Rc::new(|| 1_767_225_600));
        let log = Log::open(disk.clone(), Path::new(DIR), SegmentNumbers::above(0), options);
        let writer = log.clone();
        executor.spawn(async move { writer.run().await });
        World { disk, executor, log }
    }

    /// All that is appended before the writer runs is one batch.
    fn commit(self, records: usize, payload: &[u8]) -> World {
        for _ in 0..records {
            self.log.append(AccountId([1; 16]), RecordKind::Op, &[payload]).expect("the log takes it");
        }
        self.executor.run_until_stalled();
        assert!(self.log.is_durable(self.log.end()));
        self
    }
}

criterion_group!(benches, logs);
criterion_main!(benches);
