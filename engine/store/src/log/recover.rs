//! After a scan and before the first append: every segment gets its end.

use super::format::{SEGMENT_HEADER_BYTES, segment_name};
use super::state::seal;
use super::{Scan, SegmentEnd, SegmentHeader, SegmentScan};
use skein_base::seam::Disk;
use std::io;
use std::path::Path;

/// Cuts torn tails, seals what was left open, removes segments that were never born. Afterwards whatever is wrong in
/// these segments is damage, never a torn tail, and what the scan saw is on the disk, not in the page cache alone.
/// Safe to be interrupted and run again. No log may be writing in `dir`.
///
/// # Errors
/// The disk failed; scan again before trusting anything.
pub async fn recover<D: Disk>(disk: &D, dir: &Path, scan: &Scan) -> io::Result<()> {
    let mut changed = false;
    for segment in &scan.segments {
        match (segment.ending, &segment.header) {
            (SegmentEnd::Unborn, _) => disk.remove(&dir.join(segment_name(segment.segment))).await?,
            (SegmentEnd::Open | SegmentEnd::Torn { .. }, Some(header)) => finish(disk, dir, segment, header).await?,
            _ => continue,
        }
        changed = true;
    }
    if changed { disk.sync_dir(dir).await } else { Ok(()) }
}

/// The last write of a run that died is written again. Its sync may have failed, which leaves pages that the kernel
/// calls clean and the disk never saw: they read back well until the power goes.
async fn finish<D: Disk>(disk: &D, dir: &Path, segment: &SegmentScan, header: &SegmentHeader) -> io::Result<()> {
    end_at(disk, dir, header, segment.last_batch, segment.end).await
}

/// Ends a segment at `end`, with the write that began at `last_batch` as its last.
pub(super) async fn end_at<D: Disk>(
    disk: &D,
    dir: &Path,
    header: &SegmentHeader,
    last_batch: u64,
    end: u64,
) -> io::Result<()> {
    let file = disk.open(&dir.join(segment_name(header.segment))).await?;
    disk.truncate(&file, end).await?;
    // The segment's header has a sync of its own, which may be the one that failed.
    let from = if last_batch <= SEGMENT_HEADER_BYTES as u64 { 0 } else { last_batch };
    let bytes = disk.read_at(&file, from, (end - from) as usize).await?;
    disk.write_at(&file, from, bytes).await?;
    // Two syncs: a seal that is safe before the cut is would turn the torn tail into damage.
    disk.fdatasync(&file).await?;
    disk.write_at(&file, end, seal(header, end)).await?;
    disk.fdatasync(&file).await
}
