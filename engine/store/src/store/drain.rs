//! Draining the log: what a segment still has for anybody goes into packs and snapshots, then the segment goes.
//!
//! ```text
//! sealed segment ── accounts that need it ──▶ checkpoint them, some at a time ──▶ nobody needs it ──▶ file removed
//! ```
//!
//! An account needs a segment while one of its records there is in no checkpoint, a later record or a snapshot names a body there, or a
//! session still sees an expunged message whose body is there. Expunged mail is never drained: a checkpoint takes what lives.

use super::open::Look;
use super::{Slot, Store, paths};
use crate::account::AccountError;
use crate::body::Bodies;
use crate::error::StoreError;
#[cfg(test)]
use crate::log::tests::Mutant;
use crate::log::{Sealed, segments};
use skein_base::AccountId;
use skein_base::seam::{Clock, Disk};
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

/// Accounts whose checkpoints share their syncs; what they have frozen stays in memory meanwhile.
const ACCOUNTS_AT_ONCE: usize = 64;

/// When a segment at rest is drained.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct DrainLimits {
    /// Bytes of log that a shard keeps: mail that is expunged soon after it came is never written twice.
    pub keep_bytes: u64,
    /// Seconds after which a segment is drained however little there is.
    pub keep_seconds: i64,
}

/// Segments of earlier runs, which may hold something for accounts of every shard. Clones share one table, across threads.
#[derive(Clone, Default, Debug)]
pub struct OldSegments(Arc<Mutex<BTreeMap<u64, Old>>>);

#[derive(Clone, Copy, Debug)]
struct Old {
    bytes: u64,
    /// Shards that have not let go of it.
    held_by: usize,
}

impl OldSegments {
    /// Those in the log's folder `dir`, before any shard writes there; each of `shards` shards holds all of them.
    ///
    /// # Errors
    /// The disk failed.
    pub async fn find<D: Disk>(disk: &D, dir: &Path, shards: usize) -> io::Result<OldSegments> {
        let mut found = Vec::new();
        for number in segments(disk, dir).await? {
            let file = disk.open(&dir.join(crate::log::segment_name(number))).await?;
            found.push((number, disk.len(&file).await?));
        }
        Ok(OldSegments::of(found, shards))
    }

    /// The same from their numbers and bytes.
    pub fn of(segments: impl IntoIterator<Item = (u64, u64)>, shards: usize) -> OldSegments {
        let held = |(number, bytes)| (number, Old { bytes, held_by: shards });
        OldSegments(Arc::new(Mutex::new(segments.into_iter().map(held).collect())))
    }

    fn numbers(&self) -> BTreeSet<u64> {
        self.lock().keys().copied().collect()
    }

    fn bytes(&self, segment: u64) -> u64 {
        self.lock().get(&segment).map_or(0, |old| old.bytes)
    }

    /// One shard lets go; true for the last one.
    fn let_go(&self, segment: u64) -> bool {
        let mut table = self.lock();
        let Some(old) = table.get_mut(&segment) else { return false };
        old.held_by -= 1;
        let last = old.held_by == 0;
        if last {
            table.remove(&segment);
        }
        last
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<u64, Old>> {
        // Nothing in here can be left halfway.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What one shard still holds of the old segments.
#[derive(Default)]
pub(super) struct Held {
    table: OldSegments,
    segments: BTreeSet<u64>,
}

impl<D: Disk, C: Clock> Store<D, C> {
    /// Takes part in draining the segments of earlier runs. Each shard calls it once.
    pub fn adopt(&self, old: OldSegments) {
        *self.0.old_segments.borrow_mut() = Held { segments: old.numbers(), table: old };
    }

    /// Bytes of log that this shard waits to drain: its own, and a share of what earlier runs left.
    pub fn log_bytes(&self) -> u64 {
        self.at_rest().iter().map(|sealed| sealed.bytes).sum::<u64>() + self.0.log.open_segment().map_or(0, |o| o.bytes)
    }

    /// Makes messages wait while there is more than `bytes_max` of log that a drain can give back, or lets them go on; true
    /// while they wait. What can not be given back before another record comes does not count: after a start, that record
    /// may well be one of the messages that would wait.
    pub fn hold_back_over(&self, bytes_max: u64) -> bool {
        let drainable = self.at_rest().into_iter().filter(|sealed| self.0.log.is_outlived(sealed.segment));
        let over = drainable.map(|sealed| sealed.bytes).sum::<u64>() > bytes_max;
        self.0.log.hold_back(over);
        over
    }

    /// Drains whatever is due. Runs in the background class; a call while another runs does nothing.
    ///
    /// # Errors
    /// The disk or the log failed; nothing is lost, and the next call tries again.
    pub async fn drain(&self, limits: &DrainLimits) -> Result<(), StoreError> {
        if self.0.drains.replace(true) {
            return Ok(());
        }
        let done = self.drain_due(limits).await;
        self.0.drains.set(false);
        done
    }

    async fn drain_due(&self, limits: &DrainLimits) -> Result<(), StoreError> {
        self.0.log.note_changes().await;
        let now = self.now();
        let is_old = |sealed: &Sealed| now.saturating_sub(sealed.created) > limits.keep_seconds;
        if self.0.log.open_segment().is_some_and(|open| is_old(&open)) {
            self.0.log.seal_open();
        }
        let mut left = self.log_bytes();
        for sealed in self.at_rest() {
            if left <= limits.keep_bytes && !is_old(&sealed) {
                return Ok(());
            }
            if self.drain_segment(sealed.segment).await? {
                left -= sealed.bytes;
            }
        }
        Ok(())
    }

    /// Checkpoints whoever needs a segment, and removes it when nobody does any more; then true. The segment is at rest.
    ///
    /// # Errors
    /// The disk or the log failed; nothing is lost.
    async fn drain_segment(&self, segment: u64) -> Result<bool, StoreError> {
        let needing = self.needing(segment);
        for accounts in needing.chunks(ACCOUNTS_AT_ONCE) {
            let mut batch = Vec::with_capacity(accounts.len());
            for id in accounts {
                match self.stage_known(*id).await {
                    Ok(staged) => batch.extend(staged),
                    // One account that is hurt must not stop the others.
                    Err(error) if error.is_damage() => {
                        tracing::error!(account = %id.hex(), %error, "an account can not be drained");
                    }
                    Err(error) => return Err(error),
                }
                self.0.disk.breathe().await;
            }
            if !batch.is_empty() {
                self.settle(batch).await?;
            }
        }
        self.remove_if_free(segment).await
    }

    async fn stage_known(&self, id: AccountId) -> Result<Option<super::checkpoint::Staged<D>>, StoreError> {
        match self.open_known(id).await {
            Ok(handle) => self.stage(&handle, Bodies::Move).await,
            // It has ended, and opening it saw to the rest.
            Err(StoreError::Account(AccountError::NoSuchAccount)) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Accounts that need a segment up to this one.
    fn needing(&self, segment: u64) -> Vec<AccountId> {
        #[cfg(test)]
        if self.0.log.mutant() == Mutant::RemoveSegmentBeforeCheckpoint {
            return Vec::new();
        }
        let mut out: Vec<AccountId> = self.0.tail.borrow().needing(segment).collect();
        for (id, slot) in self.0.accounts.borrow().iter() {
            if let Slot::Open(handle) = slot
                && handle.needs(segment)
            {
                out.push(*id);
            }
        }
        out.sort_unstable();
        out.dedup();
        out
    }

    async fn remove_if_free(&self, segment: u64) -> Result<bool, StoreError> {
        let log = &self.0.log;
        if !self.is_free(segment) {
            return Ok(false);
        }
        let bytes = self.at_rest().iter().find(|sealed| sealed.segment == segment).map_or(0, |sealed| sealed.bytes);
        let is_last = {
            let held = &mut *self.0.old_segments.borrow_mut();
            !held.segments.remove(&segment) || held.table.let_go(segment)
        };
        if is_last {
            log.remove_segment(segment).await?;
            self.count(|m| {
                m.segments_removed += 1;
                m.segment_bytes_removed += bytes;
            });
            tracing::info!(segment, bytes, "log segment drained");
        }
        Ok(true)
    }

    /// Whether the log had damage when it was read, so that nobody knows who needs its segments until all trees have been asked.
    pub fn bodies_are_unknown(&self) -> bool {
        self.at_rest().first().is_some_and(|oldest| oldest.segment <= self.0.unlearned_to.get())
    }

    /// Asks the trees of these accounts, all of this shard, which segments have bodies that their snapshots name. Else the records say
    /// that; what named a body may be in a place that can not be read.
    ///
    /// # Errors
    /// The disk failed; the segments in question stay.
    pub async fn learn_bodies(&self, accounts: &[AccountId]) -> Result<(), StoreError> {
        for &id in accounts {
            self.0.disk.breathe().await;
            if matches!(self.0.accounts.borrow().get(&id), Some(Slot::Open(_))) {
                continue;
            }
            let from = match self.look_at_tree(id, &paths::account(&self.0.dir, id)).await? {
                Look::Good((tree, _)) => tree.bodies_from(),
                // All that there is of it is in the log.
                Look::Missing => continue,
                Look::Damaged(_) => 0,
            };
            let is_open = matches!(self.0.accounts.borrow().get(&id), Some(Slot::Open(_)));
            if !is_open {
                self.0.tail.borrow_mut().names_bodies_from(id, from);
            }
        }
        self.0.unlearned_to.set(0);
        Ok(())
    }

    fn is_free(&self, segment: u64) -> bool {
        if segment <= self.0.unlearned_to.get() {
            return false;
        }
        let pinned = self.0.log.pinned().is_some_and(|pinned| pinned <= segment);
        // What the log lost and has not cut off comes back with a crash, and may name a body in any segment.
        let is_cut = self.0.log.refuses().is_none();
        !pinned && is_cut && self.0.log.is_outlived(segment) && self.needing(segment).is_empty()
    }

    /// The segments that take no more records and that this shard holds, oldest first.
    pub(super) fn at_rest(&self) -> Vec<Sealed> {
        let held = self.0.old_segments.borrow();
        let old = held.segments.iter().map(|&segment| Sealed { segment, created: 0, bytes: held.table.bytes(segment) });
        old.chain(self.0.log.sealed()).collect()
    }
}
