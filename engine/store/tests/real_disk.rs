//! The log on the machine's own disk and executor, and the simulated disk held to what the real one promises.

use skein_base::{AccountId, ShardId};
use skein_runtime::{Class, RealDisk, ShardsConfig, Side, contract, spawn, start};
use skein_store::body::BodyWriter;
use skein_store::log::{Log, LogMetrics, LogOptions, RecordKind, SegmentEnd, SegmentNumbers, TailIndex, recover, scan};
use skein_store::sim::{SimDisk, SimRng, block_on};
use std::future::Future;
use std::path::{Path, PathBuf};
use std::rc::Rc;

const WRITERS: u8 = 64;
const RECORDS: usize = 50;

/// Runs `main` on one shard, with an empty folder that is gone afterwards.
fn on_a_shard<F: Future<Output = ()> + 'static>(name: &str, main: impl Fn(PathBuf) -> F + Send + Sync + 'static) {
    let folder = std::env::temp_dir().join(format!("skein-{name}-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let (side, there) = (Side::start().unwrap(), folder.clone());
    let shards = start(ShardsConfig::for_tests(1), &side, move |_| main(there.clone()));
    let mut ended = shards.unwrap_or_else(|error| panic!("{error}")).join();
    side.stop();
    std::fs::remove_dir_all(&folder).unwrap();
    ended.remove(0).unwrap();
}

fn open(folder: &Path, highest: u64) -> Log<RealDisk> {
    let mut options = LogOptions::new(ShardId(0), [highest as u8; 16], Rc::new(|| 0));
    options.segment_bytes = 256 * 1024;
    Log::open(RealDisk, folder, SegmentNumbers::above(highest), options)
}

/// Many writers wait for every record of theirs; then the log closes, or is left as it stands.
async fn fill(log: &Log<RealDisk>, close: bool) -> LogMetrics {
    let runs = log.clone();
    let running = spawn(Class::Delivery, "log", async move { runs.run().await });
    let mut writers = Vec::new();
    for writer in 0..WRITERS {
        let log = log.clone();
        writers.push(spawn(Class::Session, "writer", async move {
            for n in 0..RECORDS {
                log.room().await.unwrap();
                let at = log.append(AccountId([writer; 16]), RecordKind::Op, &[&[n as u8; 300]]).unwrap();
                log.durable(at.end).await.unwrap();
                assert_eq!(log.read(at.start).await.unwrap().1, [n as u8; 300]);
            }
        }));
    }
    for writer in writers {
        writer.await.unwrap();
    }
    if close {
        log.close().await.unwrap();
        running.await.unwrap();
    } else {
        running.cancel();
        let _ = running.await;
    }
    log.metrics()
}

#[test]
fn many_writers_share_few_syncs_and_the_next_start_finds_all() {
    on_a_shard("log", |folder| async move {
        let records = u64::from(WRITERS) * RECORDS as u64;
        let mut highest = 0;
        for (start, close) in [(1, true), (2, false), (3, true)] {
            let metrics = fill(&open(&folder, highest), close).await;
            assert_eq!(metrics.records, records);
            assert!(metrics.syncs * 4 < records, "{metrics:?}");
            let mut tail = TailIndex::default();
            let found = scan(&RealDisk, &folder, 0, |record| tail.add(record)).await.unwrap();
            assert_eq!((found.damage().count(), tail.accounts().count()), (0, usize::from(WRITERS)));
            assert_eq!(found.segments.iter().map(|s| s.records).sum::<u64>(), start * records);
            let open = found.segments.iter().filter(|s| s.ending == SegmentEnd::Open).count();
            assert_eq!(open, usize::from(!close));
            recover(&RealDisk, &folder, &found).await.unwrap();
            let again = scan(&RealDisk, &folder, 0, |_| ()).await.unwrap();
            assert!(again.segments.iter().all(|s| s.ending == SegmentEnd::Sealed));
            highest = again.highest();
        }
    });
}

#[test]
fn a_large_body_comes_back_from_cache_and_disk() {
    on_a_shard("body", |folder| async move {
        let log = open(&folder, 0);
        let runs = log.clone();
        let running = spawn(Class::Delivery, "log", async move { runs.run().await });
        let message: Vec<u8> = (0..3_000_000u32).map(|i| (i % 253) as u8).collect();
        let (mut large, mut small) = (BodyWriter::new(&log), BodyWriter::new(&log));
        for part in message.chunks(65_536) {
            large.push(part).await.unwrap();
        }
        small.push(b"small").await.unwrap();
        let (large, small) = (large.finish(b"cache").unwrap(), small.finish(b"").unwrap());
        log.durable(log.end()).await.unwrap();
        assert_eq!(log.read_body(&large, 0..u64::MAX).await.unwrap(), message);
        assert_eq!(log.read_body(&large, 262_100..262_200).await.unwrap(), message[262_100..262_200]);
        assert_eq!(log.read_body_cache(&large).await.unwrap(), b"cache");
        assert_eq!(log.read_body(&small, 0..9).await.unwrap(), b"small");
        if let Some(bytes) = log.read_body_cached(&small, 1..9) {
            assert_eq!(bytes, b"mall");
        }
        log.close().await.unwrap();
        running.await.unwrap();
    });
}

#[test]
fn the_simulated_disk_keeps_the_contract_of_the_real_one() {
    for seed in 0..20 {
        block_on(contract::check_disk(&SimDisk::new(&SimRng::new(seed)), Path::new("/root")));
    }
}
