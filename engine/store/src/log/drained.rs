//! How a drained segment goes: no start misses it, and a disk without room for a manifest gets its bytes back.
//!
//! ```text
//! N.seg ── renamed, safe ──▶ N.dry ── a manifest without it, safe ──▶ removed
//!                              └── no room for a manifest: cut to nothing, and once more
//! ```
//!
//! A start takes what a `.dry` says out of its manifest, and goes on from there.

use super::Log;
use super::error::is_full;
use super::format::{drained_name, segment_name};
use skein_base::seam::Disk;
use std::collections::{BTreeMap, BTreeSet};
use std::io;

impl<D: Disk> Log<D> {
    /// Removes a segment whose records nobody needs any more. It is not the one being written. What the disk does not let be done at
    /// once, [`Log::note_changes`] does later.
    ///
    /// # Errors
    /// The disk failed; it is still there.
    pub async fn remove_segment(&self, segment: u64) -> io::Result<()> {
        let name = |name: String| self.0.dir.join(name);
        self.0.disk.rename(&name(segment_name(segment)), &name(drained_name(segment))).await?;
        self.0.files.forget(segment);
        self.0.sealed.borrow_mut().retain(|sealed| sealed.segment != segment);
        self.0.numbers.note_drained(segment);
        self.note_changes().await;
        Ok(())
    }

    /// Removes the files of drained segments, of any shard and of earlier runs, after a manifest that does not know them.
    pub(super) async fn remove_drained(&self, drained: &BTreeSet<u64>) -> io::Result<()> {
        // Before they are cut or forgotten: were an old name to come back, it would be damage.
        self.0.disk.sync_dir(&self.0.dir).await?;
        let forget = |manifest: &mut BTreeMap<u64, u64>| {
            manifest.retain(|segment, _| !drained.contains(segment));
        };
        match self.note(forget).await {
            Err(error) if is_full(&error) => {
                self.empty(drained).await?;
                self.note(forget).await?;
            }
            noted => noted?,
        }
        for segment in drained {
            match self.0.disk.remove(&self.0.dir.join(drained_name(*segment))).await {
                // Another shard was here.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                removed => removed?,
            }
            self.0.numbers.note_removed(*segment);
        }
        Ok(())
    }

    async fn empty(&self, drained: &BTreeSet<u64>) -> io::Result<()> {
        for segment in drained {
            match self.0.disk.open(&self.0.dir.join(drained_name(*segment))).await {
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                file => self.0.disk.truncate(&file?, 0).await?,
            }
        }
        Ok(())
    }
}
