//! Which segments there are, so that one that somebody took away, or cut, does not look like one that was drained or never
//! written.
//!
//! ```text
//! manifest-0000   [ SKEINMAN 8 | edition 8 | count 4 | zero 4 | number 8, end 8 | ... | CRC32C 4 ]
//! ```
//!
//! Each shard writes all shards' segments into a file of its own, and the highest edition counts. A segment is noted within a
//! moment of its first durable record, with its end once it is sealed, and taken out before its file is
//! removed (`log/drained.rs`).

use super::format::{SEGMENT_HEADER_BYTES, parse_drained_name};
use super::scan::{Damage, Scan, SegmentEnd, SegmentScan};
use super::{Log, SegmentNumbers};
use skein_base::ShardId;
use skein_base::seam::Disk;
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::Path;

const MAGIC: &[u8; 8] = b"SKEINMAN";
const HEADER_BYTES: usize = 24;
const ENTRY_BYTES: usize = 16;
/// Segments of one manifest; where there are more, none is written.
const SEGMENTS_MAX: usize = 1 << 20;
/// Segments that are remembered as gone, the newest.
const GONE_MAX: usize = 64;
/// The end of a segment that was gone at an earlier start.
const GONE: u64 = u64::MAX;

/// The segments that there should be.
#[derive(Clone, Default, PartialEq, Eq, Debug)]
pub struct Manifest {
    /// The highest of all files' counts.
    pub edition: u64,
    /// By number: where the sealed ones end, 0 for others.
    pub segments: BTreeMap<u64, u64>,
    /// Drained ones whose files are still there. In no file: their names say it.
    drained: BTreeSet<u64>,
}

impl Manifest {
    /// What a file says; `None` when it was never whole, or is no more.
    pub fn decode(bytes: &[u8]) -> Option<Manifest> {
        let (said, crc) = bytes.split_last_chunk::<4>()?;
        if said.len() < HEADER_BYTES || !said.starts_with(MAGIC) || crc32c::crc32c(said).to_le_bytes() != *crc {
            return None;
        }
        let number = |at: usize| u64::from_le_bytes(said[at..at + 8].try_into().expect("eight bytes"));
        let count = u32::from_le_bytes(said[16..20].try_into().expect("four bytes")) as usize;
        if count > SEGMENTS_MAX || said.len() != HEADER_BYTES + count * ENTRY_BYTES {
            return None;
        }
        let entry = |i: usize| (number(HEADER_BYTES + i * ENTRY_BYTES), number(HEADER_BYTES + i * ENTRY_BYTES + 8));
        Some(Manifest { edition: number(8), segments: (0..count).map(entry).collect(), ..Manifest::default() })
    }

    fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(HEADER_BYTES + self.segments.len() * ENTRY_BYTES + 4);
        out.extend_from_slice(MAGIC);
        out.extend_from_slice(&self.edition.to_le_bytes());
        out.extend_from_slice(&(self.segments.len() as u32).to_le_bytes());
        out.extend_from_slice(&[0; 4]);
        for (number, end) in &self.segments {
            out.extend_from_slice(&number.to_le_bytes());
            out.extend_from_slice(&end.to_le_bytes());
        }
        out.extend_from_slice(&crc32c::crc32c(&out).to_le_bytes());
        out
    }

    /// The later of two.
    pub fn newest(self, other: Manifest) -> Manifest {
        if other.edition > self.edition { other } else { self }
    }

    /// Takes out the segments that were drained, and whose files were about to be removed.
    pub fn take_out(&mut self, drained: impl IntoIterator<Item = u64>) {
        self.drained.extend(drained);
        self.segments.retain(|segment, _| !self.drained.contains(segment));
    }

    /// Whether a segment was gone at an earlier start.
    pub fn was_gone(&self, segment: u64) -> bool {
        self.segments.get(&segment) == Some(&GONE)
    }

    /// Holds what was read of a segment against what was noted of it.
    pub fn hold_against(&self, found: &mut SegmentScan) {
        let Some(noted) = self.segments.get(&found.segment).filter(|end| **end != GONE) else { return };
        // It had a durable record once.
        let least = (*noted).max(SEGMENT_HEADER_BYTES as u64);
        let (segment, is_cut) = (found.segment, *noted > found.end);
        if is_cut || (found.ending == SegmentEnd::Unborn && found.damage.is_empty()) {
            found.damage.push(Damage { segment, bytes: found.end..least });
        }
    }

    /// The segments that are noted and of which `scan` of the whole folder has no file.
    pub fn add_gone(&self, scan: &mut Scan) {
        let present: std::collections::BTreeSet<u64> = scan.segments.iter().map(|found| found.segment).collect();
        let gone = self.segments.keys().filter(|number| !present.contains(number));
        scan.segments.extend(gone.map(|number| SegmentScan::gone(*number)));
        scan.segments.sort_by_key(|found| found.segment);
    }

    /// What a start has found and brought to rest.
    pub fn take_stock(&mut self, found: &SegmentScan) {
        match found.ending {
            SegmentEnd::Gone => self.segments.insert(found.segment, GONE),
            SegmentEnd::Unborn => self.segments.remove(&found.segment),
            _ => self.segments.insert(found.segment, found.end),
        };
        let gone: Vec<u64> = self.segments.iter().filter(|(_, end)| **end == GONE).map(|(number, _)| *number).collect();
        for number in gone.iter().rev().skip(GONE_MAX) {
            self.segments.remove(number);
        }
    }
}

fn manifest_name(shard: ShardId) -> String {
    format!("manifest-{:04x}", shard.0)
}

/// Whether a file of the log's folder says which segments there are.
pub fn is_manifest(name: &str) -> bool {
    name.len() == 13 && name.starts_with("manifest-")
}

/// The newest of all manifests in the log's folder; empty when there is none.
///
/// # Errors
/// The disk failed.
pub async fn read_manifest<D: Disk>(disk: &D, dir: &Path) -> io::Result<Manifest> {
    let mut newest = Manifest::default();
    let names = disk.list(dir).await?;
    for name in names.iter().filter(|name| is_manifest(name)) {
        let file = disk.open(&dir.join(name)).await?;
        let len = disk.len(&file).await?.min((HEADER_BYTES + SEGMENTS_MAX * ENTRY_BYTES + 4) as u64);
        if let Some(manifest) = Manifest::decode(&disk.read_at(&file, 0, len as usize).await?) {
            newest = newest.newest(manifest);
        }
    }
    newest.take_out(names.iter().filter_map(|name| parse_drained_name(name)));
    Ok(newest)
}

impl SegmentNumbers {
    /// Goes on from what a start has found.
    pub fn set_manifest(&self, manifest: Manifest) {
        *self.manifest() = manifest;
    }

    /// A segment was drained, and its file has lost its name.
    pub(super) fn note_drained(&self, segment: u64) {
        self.manifest().drained.insert(segment);
    }

    /// The file of a drained segment is gone.
    pub(super) fn note_removed(&self, segment: u64) {
        self.manifest().drained.remove(&segment);
    }
}

impl<D: Disk> Log<D> {
    /// Notes segments that have begun, were sealed or drained since the last time; the files of the drained ones are removed then.
    /// In the background: the log does not wait for it, and a segment that begins has a moment in which its file would not be missed.
    pub async fn note_changes(&self) {
        let drained = self.0.numbers.manifest().drained.clone();
        let is_due = self.0.numbers.is_manifest_due();
        let noted = match drained.is_empty() {
            true if !is_due => return,
            true => self.note(|_| ()).await,
            false => self.remove_drained(&drained).await,
        };
        // It is tried again and again: told once.
        let failed = self.0.manifest_fails.replace(noted.is_err());
        match noted {
            Err(error) if !failed => tracing::warn!(%error, "the manifest of the log is not written for now"),
            Ok(()) if failed => tracing::info!("the manifest of the log is written again"),
            _ => {}
        }
    }

    /// Notes durably which segments there are now, after `change`.
    pub(super) async fn note(&self, change: impl FnOnce(&mut BTreeMap<u64, u64>)) -> io::Result<()> {
        // One after the other: a file never goes back to an earlier edition.
        let _turn = self.0.noting.acquire(1).await;
        let bytes = {
            let mut manifest = self.0.numbers.manifest();
            change(&mut manifest.segments);
            manifest.edition += 1;
            if manifest.segments.len() > SEGMENTS_MAX {
                return Err(io::Error::other("too many log segments for a manifest"));
            }
            manifest.encode()
        };
        let written = self.write_manifest(bytes).await;
        if written.is_err() {
            self.0.numbers.set_manifest_due();
        }
        written
    }

    async fn write_manifest(&self, bytes: Vec<u8>) -> io::Result<()> {
        let path = self.0.dir.join(manifest_name(self.0.options.shard));
        let new = path.with_extension("tmp");
        let file = match self.0.disk.create(&new).await {
            // Left by a failure or a crash.
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                self.0.disk.remove(&new).await?;
                self.0.disk.create(&new).await?
            }
            file => file?,
        };
        self.0.disk.write_at(&file, 0, bytes).await?;
        self.0.disk.fdatasync(&file).await?;
        self.0.disk.rename(&new, &path).await?;
        self.0.disk.sync_dir(&self.0.dir).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_reads_back_and_a_flip_does_not() {
        let segments = [(3, 0), (4, 900), (7, GONE)].into_iter().collect();
        let manifest = Manifest { edition: 9, segments, ..Manifest::default() };
        let bytes = manifest.encode();
        assert_eq!(Manifest::decode(&bytes), Some(manifest.clone()));
        for at in 0..bytes.len() {
            let mut hurt = bytes.clone();
            hurt[at] ^= 1;
            assert_eq!(Manifest::decode(&hurt), None, "byte {at}");
            assert_eq!(Manifest::decode(&bytes[..at]), None, "{at} bytes");
        }
        assert_eq!(manifest.clone().newest(Manifest::default()), manifest);
        assert!(is_manifest("manifest-0a00") && !is_manifest("manifest-0000.tmp") && !is_manifest("high-0000"));
    }

    #[test]
    fn those_that_are_remembered_as_gone_are_bounded() {
        let mut manifest = Manifest::default();
        (1..=200).for_each(|number| manifest.take_stock(&SegmentScan::gone(number)));
        assert_eq!(manifest.segments.len(), GONE_MAX);
        assert!(manifest.was_gone(200) && !manifest.was_gone(200 - GONE_MAX as u64));
    }
}
