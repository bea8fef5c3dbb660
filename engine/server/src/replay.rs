//! Reading the log at the start: each shard scans its share of the segments, then every account's records go to the shard
//! where the account lives now. The number of shards may differ from the run before.

use skein_base::ShardId;
use skein_base::seam::Disk;
use skein_ring::home_shard;
use skein_store::OldSegments;
use skein_store::log::{Manifest, Scan, SegmentEnd, SegmentNumbers, SegmentScan, TailIndex};
use skein_store::log::{is_manifest, is_number_note, parse_drained_name, parse_segment_name, read_number_note};
use skein_store::log::{recover, scan_segment};
use std::io;
use std::path::Path;
use std::sync::Arc;

/// What there is of the log before any shard looks at it.
pub(crate) struct Stock {
    /// The segments with a file, ascending.
    pub present: Vec<u64>,
    /// Numbers for new segments, above all that are there, which there should be, and those there were.
    pub numbers: SegmentNumbers,
    /// Which segments there should be.
    pub manifest: Manifest,
    /// Those with a file, held by all shards.
    pub old_segments: OldSegments,
}

/// The exchange between shards: one inbox each.
#[derive(Clone)]
pub(crate) struct Exchange {
    /// Listed once for all: a shard that is done with its share removes what was never born, and whoever listed the folder after
    /// that would count on from another segment.
    present: Arc<[u64]>,
    numbers: SegmentNumbers,
    manifest: Arc<Manifest>,
    senders: Vec<flume::Sender<TailIndex>>,
    receivers: Vec<flume::Receiver<TailIndex>>,
}

impl Exchange {
    /// The stock's numbers learn what the segments are.
    pub fn new(shards: usize, stock: &Stock) -> Exchange {
        let (senders, receivers) = (0..shards).map(|_| flume::unbounded()).unzip();
        let (present, manifest) = (stock.present.as_slice().into(), Arc::new(stock.manifest.clone()));
        Exchange { present, numbers: stock.numbers.clone(), manifest, senders, receivers }
    }

    /// Scans this shard's share of `dir`, brings those segments to rest, and returns what there is for the accounts that
    /// live here. All shards call it once, at the same time.
    pub async fn replay<D: Disk>(&self, disk: &D, shard: ShardId, dir: &Path) -> io::Result<TailIndex> {
        let shards = self.senders.len();
        let mut parts: Vec<TailIndex> = (0..shards).map(|_| TailIndex::default()).collect();
        let mut scan = Scan::default();
        for (i, number) in self.present.iter().copied().enumerate() {
            if i % shards == usize::from(shard.0) {
                let out = |record: &skein_store::log::Record<'_>| {
                    let home = home_shard(record.account, shards as u16);
                    parts[usize::from(home.0)].add(record);
                };
                let mut found = scan_segment(disk, dir, number, out).await?;
                self.manifest.hold_against(&mut found);
                scan.segments.push(found);
            }
        }
        if shard.0 == 0 {
            let gone = self.manifest.segments.keys().filter(|number| self.present.binary_search(number).is_err());
            scan.segments.extend(gone.map(|number| SegmentScan::gone(*number)));
        }
        report(&scan, &self.manifest);
        parts.iter_mut().for_each(|part| part.add_damage(&scan));
        recover(disk, dir, &scan).await?;
        scan.segments.iter().for_each(|found| self.numbers.take_stock(found));
        for (sender, part) in self.senders.iter().zip(parts) {
            // A receiver that is gone belongs to a shard that failed; the start fails with its reason.
            let _ = sender.send(part);
        }
        let mut tail = TailIndex::default();
        for _ in 0..shards {
            let part = self.receivers[usize::from(shard.0)].recv_async().await;
            tail.merge(part.map_err(|_| io::Error::other("another shard failed to read its part of the log"))?);
        }
        tail.sort();
        Ok(tail)
    }
}

fn report(scan: &Scan, manifest: &Manifest) {
    for segment in &scan.segments {
        match segment.ending {
            SegmentEnd::Gone if manifest.was_gone(segment.segment) => {
                tracing::info!(segment = segment.segment, "log segment that was gone at an earlier start");
                continue;
            }
            SegmentEnd::Gone => {
                tracing::error!(
                    segment = segment.segment,
                    "log segment gone: somebody took its file away, and what it alone had is lost"
                );
                continue;
            }
            _ => {}
        }
        tracing::info!(segment = segment.segment, records = segment.records, ending = ?segment.ending, "log segment read");
    }
    for damage in scan.damage().filter(|damage| damage.bytes.end != u64::MAX) {
        tracing::error!(segment = damage.segment, bytes = ?damage.bytes, "log segment damaged: the records in these bytes are lost");
    }
}

/// Looks at what is in the log's folder, for so many shards.
pub(crate) fn stock_of(dir: &Path, shards: usize) -> io::Result<Stock> {
    let (mut found, mut noted, mut manifest, mut drained) = (Vec::new(), 0, Manifest::default(), Vec::new());
    for entry in std::fs::read_dir(dir)? {
        let entry = entry?;
        let Some(name) = entry.file_name().to_str().map(str::to_owned) else { continue };
        if let Some(number) = parse_segment_name(&name) {
            found.push((number, entry.metadata()?.len()));
        } else if let Some(number) = parse_drained_name(&name) {
            drained.push(number);
        } else if is_number_note(&name) {
            noted = read_number_note(&std::fs::read(entry.path())?).max(noted);
        } else if is_manifest(&name) {
            match Manifest::decode(&std::fs::read(entry.path())?) {
                Some(read) => manifest = manifest.newest(read),
                None => {
                    tracing::error!(name, "a manifest of the log is damaged: a segment that is gone may not be missed")
                }
            }
        }
    }
    manifest.take_out(drained);
    let mut present: Vec<u64> = found.iter().map(|(number, _)| *number).collect();
    present.sort_unstable();
    let highest = present.last().copied().unwrap_or(0);
    if highest < noted {
        tracing::error!(highest, noted, "the newest log segments are gone: what they alone had is lost");
    }
    let numbers = SegmentNumbers::above(highest.max(noted));
    numbers.set_manifest(manifest.clone());
    Ok(Stock { present, numbers, manifest, old_segments: OldSegments::of(found, shards) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use skein_base::{AccountId, LogPos};
    use skein_store::log::{Log, LogOptions, RecordKind, segments};
    use skein_store::sim::{SimDisk, SimExecutor, SimRng, block_on};
    use std::cell::RefCell;
    use std::rc::Rc;

    const DIR: &str = "/log";
    const UNBORN: &str = "/log/0000000000000001.seg";
    const SHARDS: u16 = 2;
    /// The first segment was never born, the others have a record each.
    const SEGMENTS: u8 = 5;

    /// One run of a log: a record of account `n`, in a segment of that number.
    fn write(disk: &SimDisk, executor: &SimExecutor, n: u8) {
        let options = LogOptions::new(ShardId(0), [n; 16], Rc::new(|| 0));
        let log = Log::open(disk.clone(), Path::new(DIR), SegmentNumbers::above(u64::from(n) - 1), options);
        let runs = log.clone();
        executor.spawn(async move { runs.run().await });
        let end = log.append(AccountId([n; 16]), RecordKind::Op, &[b"change"]).unwrap().end;
        executor.run_until_stalled();
        assert!(log.is_durable(end));
        executor.kill_all();
    }

    /// A server was killed while one shard began a segment and the other wrote to the next. At the start the first shard removed the
    /// unborn one before the second had listed the folder, which then took the segment behind for another one's: nobody read it, and
    /// what it had was lost.
    #[test]
    fn each_segment_is_read_once_when_a_shard_is_done_before_the_other_begins() {
        let rng = SimRng::new(1);
        let (disk, executor) = (SimDisk::new(&rng), SimExecutor::new(&rng));
        disk.plant(Path::new(UNBORN), Vec::new());
        (2..=SEGMENTS).for_each(|n| write(&disk, &executor, n));
        let present = block_on(segments(&disk, Path::new(DIR))).unwrap();
        assert_eq!(present, (1..=u64::from(SEGMENTS)).collect::<Vec<_>>());
        let stock = Stock {
            old_segments: OldSegments::of(present.iter().map(|number| (*number, 0)), usize::from(SHARDS)),
            present,
            numbers: SegmentNumbers::above(u64::from(SEGMENTS)),
            manifest: Manifest::default(),
        };
        let exchange = Exchange::new(usize::from(SHARDS), &stock);
        let tails = Rc::new(RefCell::new(Vec::new()));
        for shard in 0..SHARDS {
            let (exchange, on, found) = (exchange.clone(), disk.clone(), tails.clone());
            executor.spawn(async move {
                let tail = exchange.replay(&on, ShardId(shard), Path::new(DIR)).await.unwrap();
                found.borrow_mut().push(tail);
            });
            executor.run_until_stalled();
            assert_eq!(disk.contents(Path::new(UNBORN)), None, "the first shard has removed it");
        }
        let tails = tails.take();
        assert_eq!(tails.len(), usize::from(SHARDS));
        for n in 2..=SEGMENTS {
            let records = tails.iter().map(|tail| tail.of(AccountId([n; 16]), LogPos::default()).len()).sum::<usize>();
            assert_eq!(records, 1, "of segment {n}");
        }
    }

    /// A process that died while a drained segment was removed leaves it under another name: that one is not missed.
    #[test]
    fn a_segment_that_was_drained_is_not_missed() {
        let rng = SimRng::new(2);
        let (disk, executor) = (SimDisk::new(&rng), SimExecutor::new(&rng));
        disk.plant(Path::new(UNBORN), Vec::new());
        (2..=3).for_each(|n| write(&disk, &executor, n));
        let options = LogOptions::new(ShardId(0), [9; 16], Rc::new(|| 0));
        let numbers = SegmentNumbers::above(3);
        let found = block_on(skein_store::log::scan(&disk, Path::new(DIR), 2, |_| ())).unwrap();
        found.segments.iter().for_each(|found| numbers.take_stock(found));
        block_on(Log::open(disk.clone(), Path::new(DIR), numbers, options).note_changes());
        let folder = std::env::temp_dir().join(format!("skein-stock-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        for name in ["manifest-0000", "0000000000000003.seg"] {
            std::fs::write(folder.join(name), disk.contents(&Path::new(DIR).join(name)).unwrap()).unwrap();
        }
        let missed = |stock: Stock| stock.manifest.segments.into_keys().collect::<Vec<_>>();
        assert_eq!(missed(stock_of(&folder, 1).unwrap()), [2, 3]);
        std::fs::write(folder.join("0000000000000002.dry"), b"").unwrap();
        assert_eq!(missed(stock_of(&folder, 1).unwrap()), [3]);
        std::fs::remove_dir_all(&folder).unwrap();
    }
}
