//! Packs give space back: one with too much waste is written again without it, as part of a checkpoint.
//!
//! ```text
//! live bytes of each pack ── waste over a fifth ──▶ victim ── its live entries move as if from the log ──▶ file removed
//! ```
//!
//! Waste is what no row names: expunged messages, and what a crash left of a checkpoint.

use super::Store;
use crate::account_handle::AccountHandle;
use crate::body::{BodyAddr, Place};
use crate::error::StoreError;
#[cfg(test)]
use crate::log::tests::Mutant;
use crate::pack::{PACK_HEADER_BYTES, pack_name, parse_pack_name};
use skein_base::MailboxId;
use skein_base::seam::{Clock, Disk};
use std::collections::{BTreeMap, HashSet};
use std::path::Path;
use std::rc::Rc;

/// Packs together below this are left alone: the space is small, and an account with little mail would be written again and
/// again.
pub const COMPACT_BYTES_MIN: u64 = 1024 * 1024;
/// A pack with more waste than one byte in so many is written again. Space stays below 5/4 of what lives, and each byte that is
/// dropped costs at most four that are written again.
pub const WASTE_ONE_IN: u64 = 5;

/// The packs that a checkpoint empties.
#[derive(Clone, Default, PartialEq, Eq, Debug)]
pub(super) struct Victims(Vec<u64>);

impl Victims {
    pub fn has(&self, pack: u64) -> bool {
        self.0.contains(&pack)
    }

    /// The highest of them, 0 for none.
    pub fn highest(&self) -> u64 {
        self.0.iter().copied().max().unwrap_or(0)
    }
}

/// What a pack holds and how much of it is named.
#[derive(Clone, Copy, Default)]
struct Use {
    file: u64,
    live: u64,
}

impl<D: Disk, C: Clock> Store<D, C> {
    /// Looks for packs that are worth writing again, and has every mailbox with messages in them take part in the checkpoint that
    /// follows. Nothing when no message has left a pack since they were last looked at.
    pub(super) async fn find_victims(&self, handle: &Rc<AccountHandle>, folder: &Path) -> Result<Victims, StoreError> {
        if !handle.packs_shrank.replace(false) {
            return Ok(Victims::default());
        }
        let found = self.look_for_victims(handle, folder).await;
        if !matches!(&found, Ok(Some(victims)) if victims.0.is_empty()) {
            // Whatever comes of this checkpoint, the next one looks again; and what is left alone now may not be when there is more.
            handle.packs_shrank.set(true);
        }
        Ok(found?.unwrap_or_default())
    }

    /// `None` when the packs are left alone.
    async fn look_for_victims(&self, handle: &Rc<AccountHandle>, folder: &Path) -> Result<Option<Victims>, StoreError> {
        let mut packs = BTreeMap::new();
        for number in self.packs_in(folder).await? {
            // One whose header is damaged keeps its messages' addresses; it is repaired or told about, not compacted.
            let Ok(pack) = self.0.packs.pack(handle.id(), folder, number).await else { continue };
            packs.insert(number, Use { file: self.0.disk.len(&pack.file).await?, live: PACK_HEADER_BYTES as u64 });
        }
        if packs.values().map(|pack| pack.file).sum::<u64>() < self.0.compact_bytes_min.get() {
            return Ok(None);
        }
        let ids: Vec<MailboxId> = handle.read(|account| account.mailboxes().map(|m| m.id).collect());
        let (mut seen, mut in_mailboxes) = (HashSet::new(), Vec::new());
        for id in ids {
            self.0.disk.breathe().await;
            self.load(handle, id).await?;
            // No await between: what is in memory now is all that the mailbox names.
            handle.read(|account| {
                let Some(mailbox) = account.mailbox(id) else { return };
                let mut here = HashSet::new();
                for row in mailbox.rows().from_rank(0) {
                    let body = mailbox.fixed(row).body;
                    let Place::Pack(number) = body.place else { continue };
                    here.insert(number);
                    if let Some(pack) = packs.get_mut(&number).filter(|_| seen.insert(body)) {
                        pack.live += u64::from(body.stored);
                    }
                }
                in_mailboxes.push((id, here));
            });
        }
        let looked_at: u64 = packs.values().map(|pack| pack.file).sum();
        let wasted: u64 = packs.values().map(|pack| pack.file.saturating_sub(pack.live)).sum();
        self.count(|m| {
            (m.pack_bytes_looked_at, m.pack_bytes_wasted) =
                (m.pack_bytes_looked_at + looked_at, m.pack_bytes_wasted + wasted)
        });
        let wasteful = |pack: &Use| pack.file.saturating_sub(pack.live) > pack.file / WASTE_ONE_IN;
        let victims = Victims(packs.iter().filter(|(_, pack)| wasteful(pack)).map(|(number, _)| *number).collect());
        handle.with_mut(|account| {
            for (id, here) in in_mailboxes {
                if here.iter().any(|number| victims.has(*number))
                    && let Some(mailbox) = account.mailbox_mut(id)
                {
                    mailbox.let_bodies_move();
                }
            }
        });
        Ok(Some(victims))
    }

    /// Removes emptied packs, unless something still names them: a copy made while the checkpoint ran, or a message that only
    /// sessions see. Then a later checkpoint does.
    pub(super) async fn remove_victims(
        &self,
        handle: &AccountHandle,
        folder: &Path,
        victims: &Victims,
    ) -> Result<(), StoreError> {
        #[cfg(test)]
        if self.0.log.mutant() == Mutant::RemovePackBeforeCheckpoint {
            // They went already.
            return Ok(());
        }
        for &number in &victims.0 {
            // A copy made while the checkpoint ran names a victim; that it was expunged again counts once that is durable.
            if let Some(end) = handle.tail_end()
                && self.0.log.durable(end).await.is_err()
            {
                handle.packs_shrank.set(true);
                return Ok(());
            }
            // What the log lost and has not cut off comes back with a crash, and may name any pack that was there.
            let is_cut = self.0.log.refuses().is_none();
            let settled =
                is_cut && handle.lost().is_none() && handle.tail_end().is_none_or(|end| self.0.log.is_durable(end));
            let named = |body: &BodyAddr| body.place == Place::Pack(number);
            if !settled || handle.read(|account| account.any_at(named)) {
                handle.packs_shrank.set(true);
                continue;
            }
            let path = folder.join(pack_name(number));
            let bytes = match self.0.disk.open(&path).await {
                Ok(file) => self.0.disk.len(&file).await.unwrap_or(0),
                Err(_) => 0,
            };
            self.0.disk.remove(&path).await?;
            self.0.packs.forget(handle.id(), number);
            self.count(|m| {
                (m.packs_removed, m.pack_bytes_removed) = (m.packs_removed + 1, m.pack_bytes_removed + bytes)
            });
        }
        Ok(())
    }

    /// The same without asking: a mistake on purpose.
    #[cfg(test)]
    pub(super) async fn remove_victims_unasked(
        &self,
        handle: &AccountHandle,
        folder: &Path,
        victims: &Victims,
    ) -> Result<(), StoreError> {
        for &number in &victims.0 {
            self.0.packs.forget(handle.id(), number);
            self.0.disk.remove(&folder.join(pack_name(number))).await?;
            self.count(|m| m.packs_removed += 1);
        }
        Ok(())
    }

    pub(super) async fn packs_in(&self, folder: &Path) -> Result<Vec<u64>, StoreError> {
        match self.0.disk.list(folder).await {
            Ok(names) => Ok(names.iter().filter_map(|name| parse_pack_name(name)).collect()),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Vec::new()),
            Err(error) => Err(error.into()),
        }
    }

    /// Sets after how many bytes a pack is full, and below how many an account's packs are left alone.
    pub fn set_pack_sizes(&self, pack_bytes_max: u64, compact_bytes_min: u64) {
        self.0.pack_bytes_max.set(pack_bytes_max);
        self.0.compact_bytes_min.set(compact_bytes_min);
    }
}
