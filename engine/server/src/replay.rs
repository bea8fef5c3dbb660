//! Reading the log at the start: each shard scans its share of the segments, then every account's records go to the shard
//! where the account lives now. The number of shards may differ from the run before.

use skein_base::ShardId;
use skein_ring::home_shard;
use skein_runtime::RealDisk;
use skein_store::OldSegments;
use skein_store::log::{Scan, SegmentNumbers, TailIndex, is_number_note, parse_segment_name, read_number_note};
use skein_store::log::{recover, scan_segment, segments};
use std::io;
use std::path::Path;

/// The exchange between shards: one inbox each.
#[derive(Clone)]
pub(crate) struct Exchange {
    senders: Vec<flume::Sender<TailIndex>>,
    receivers: Vec<flume::Receiver<TailIndex>>,
}

impl Exchange {
    pub fn new(shards: usize) -> Exchange {
        let (senders, receivers) = (0..shards).map(|_| flume::unbounded()).unzip();
        Exchange { senders, receivers }
    }

    /// Scans this shard's share of `dir`, brings those segments to rest, and returns what there is for the accounts that
    /// live here. All shards call it once, at the same time.
    pub async fn replay(&self, shard: ShardId, dir: &Path) -> io::Result<TailIndex> {
        let shards = self.senders.len();
        let mut parts: Vec<TailIndex> = (0..shards).map(|_| TailIndex::default()).collect();
        let mut scan = Scan::default();
        for (i, number) in segments(&RealDisk, dir).await?.into_iter().enumerate() {
            if i % shards == usize::from(shard.0) {
                let out = |record: &skein_store::log::Record<'_>| {
                    let home = home_shard(record.account, shards as u16);
                    parts[usize::from(home.0)].add(record);
                };
                scan.segments.push(scan_segment(&RealDisk, dir, number, out).await?);
            }
        }
        report(&scan);
        parts.iter_mut().for_each(|part| part.add_damage(&scan));
        recover(&RealDisk, dir, &scan).await?;
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

fn report(scan: &Scan) {
    for segment in &scan.segments {
        tracing::info!(segment = segment.segment, records = segment.records, ending = ?segment.ending, "log segment read");
    }
    for damage in scan.damage() {
        tracing::error!(segment = damage.segment, bytes = ?damage.bytes, "log segment damaged: the records in these bytes are lost");
    }
}

/// Numbers for new segments, above all that are there, and those, held by all shards.
pub(crate) fn segments_of(dir: &Path, shards: usize) -> io::Result<(SegmentNumbers, OldSegments)> {
    let (mut found, mut noted) = (Vec::new(), 0);
    for entry in std::fs::read_dir(dir)? {
        let entry = entry?;
        let Some(name) = entry.file_name().to_str().map(str::to_owned) else { continue };
        if let Some(number) = parse_segment_name(&name) {
            found.push((number, entry.metadata()?.len()));
        } else if is_number_note(&name) {
            noted = read_number_note(&std::fs::read(entry.path())?).max(noted);
        }
    }
    let highest = found.iter().map(|(number, _)| *number).max().unwrap_or(0);
    if highest < noted {
        tracing::error!(highest, noted, "the newest log segments are gone: what they alone had is lost");
    }
    Ok((SegmentNumbers::above(highest.max(noted)), OldSegments::of(found, shards)))
}
