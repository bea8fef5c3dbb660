//! Reading the log at the start: each shard scans its share of the segments, then every account's records go to the shard
//! where the account lives now. The number of shards may differ from the run before.

use skein_base::ShardId;
use skein_ring::home_shard;
use skein_runtime::RealDisk;
use skein_store::OldSegments;
use skein_store::log::{Manifest, Scan, SegmentEnd, SegmentNumbers, SegmentScan, TailIndex};
use skein_store::log::{is_manifest, is_number_note, parse_segment_name, read_number_note};
use skein_store::log::{recover, scan_segment, segments};
use std::io;
use std::path::Path;
use std::sync::Arc;

/// The exchange between shards: one inbox each.
#[derive(Clone)]
pub(crate) struct Exchange {
    numbers: SegmentNumbers,
    manifest: Arc<Manifest>,
    senders: Vec<flume::Sender<TailIndex>>,
    receivers: Vec<flume::Receiver<TailIndex>>,
}

impl Exchange {
    /// `manifest` says which segments there should be; `numbers` learn which there are.
    pub fn new(shards: usize, numbers: SegmentNumbers, manifest: Manifest) -> Exchange {
        let (senders, receivers) = (0..shards).map(|_| flume::unbounded()).unzip();
        Exchange { numbers, manifest: Arc::new(manifest), senders, receivers }
    }

    /// Scans this shard's share of `dir`, brings those segments to rest, and returns what there is for the accounts that
    /// live here. All shards call it once, at the same time.
    pub async fn replay(&self, shard: ShardId, dir: &Path) -> io::Result<TailIndex> {
        let shards = self.senders.len();
        let mut parts: Vec<TailIndex> = (0..shards).map(|_| TailIndex::default()).collect();
        let mut scan = Scan::default();
        let present = segments(&RealDisk, dir).await?;
        for (i, number) in present.iter().copied().enumerate() {
            if i % shards == usize::from(shard.0) {
                let out = |record: &skein_store::log::Record<'_>| {
                    let home = home_shard(record.account, shards as u16);
                    parts[usize::from(home.0)].add(record);
                };
                let mut found = scan_segment(&RealDisk, dir, number, out).await?;
                self.manifest.hold_against(&mut found);
                scan.segments.push(found);
            }
        }
        if shard.0 == 0 {
            let gone = self.manifest.segments.keys().filter(|number| present.binary_search(number).is_err());
            scan.segments.extend(gone.map(|number| SegmentScan::gone(*number)));
        }
        report(&scan, &self.manifest);
        parts.iter_mut().for_each(|part| part.add_damage(&scan));
        recover(&RealDisk, dir, &scan).await?;
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

/// Numbers for new segments, above all that are there, which there should be, and those there are, held by all shards.
pub(crate) fn segments_of(dir: &Path, shards: usize) -> io::Result<(SegmentNumbers, Manifest, OldSegments)> {
    let (mut found, mut noted, mut manifest) = (Vec::new(), 0, Manifest::default());
    for entry in std::fs::read_dir(dir)? {
        let entry = entry?;
        let Some(name) = entry.file_name().to_str().map(str::to_owned) else { continue };
        if let Some(number) = parse_segment_name(&name) {
            found.push((number, entry.metadata()?.len()));
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
    let highest = found.iter().map(|(number, _)| *number).max().unwrap_or(0);
    if highest < noted {
        tracing::error!(highest, noted, "the newest log segments are gone: what they alone had is lost");
    }
    let numbers = SegmentNumbers::above(highest.max(noted));
    numbers.set_manifest(manifest.clone());
    Ok((numbers, manifest, OldSegments::of(found, shards)))
}
