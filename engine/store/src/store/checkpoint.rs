//! How accounts go back to disk: bodies into packs, a snapshot of each mailbox that changed, then the tree.
//!
//! ```text
//! stage    freeze ─ bodies out of the log into packs, when a drain wants it ─ m1.idx.tmp m2.idx.tmp tree.tmp
//! settle   sync files ─ m*.idx in place ─ sync names ─ mailboxes stand on them ─ tree in place ─ sync names
//!          for many accounts at once, whose syncs wait together
//! ```
//!
//! Each file is replaced by rename and says up to where it is true, so a crash anywhere between leaves files that the
//! log's tail completes. A checkpoint that many changes made due leaves bodies in the log: mail that goes soon is never compressed, and what
//! stays is so together with more of its kind. Snapshots and tree then say which segment is the oldest that they need. Once a checkpoint of a
//! drain stands, what is in snapshots is in packs, and the account needs no segment before it.

use super::compact::Victims;
use super::pack_bodies::Moved;
use super::{READ_AT_ONCE_BYTES_MAX, Store, paths};
use crate::account::{self, Account};
use crate::account_handle::AccountHandle;
use crate::body::{Bodies, BodyAddr, Place};
use crate::error::StoreError;
#[cfg(test)]
use crate::log::tests::Mutant;
use crate::mailbox::{Fixed, Frozen, SharedBytes, Snapshot};
use crate::snapshot;
use skein_base::seam::{Clock, Disk};
use skein_base::{LogPos, MailboxId, Uid};
use skein_index::{AccountSnapshot, Beside, SnapshotWriter, write_beside};
use std::collections::HashMap;
use std::future::Future;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::rc::Rc;
use std::task::Poll;

/// Changes of an account after which a checkpoint pays: replaying them takes some ten milliseconds.
pub const CHECKPOINT_OPS: u64 = 4096;

/// A mailbox is written when at least one in so many of its rows has changed, so that what a checkpoint writes stays in
/// proportion to what happened.
const ROWS_PER_CHANGE: u64 = 8;
/// Rows written between two breaths: about a microsecond each.
const ROWS_PER_BREATH: usize = 64;

/// A sync that waits for the disk.
type Sync<'a> = Pin<Box<dyn Future<Output = std::io::Result<()>> + 'a>>;

/// An account as it was at one log position.
struct FrozenAccount {
    pos: LogPos,
    tree: Vec<u8>,
    tree_version: u32,
    mailboxes: Vec<Frozen>,
    /// What those are called.
    names: Vec<Box<str>>,
    ids: Vec<MailboxId>,
}

/// A checkpoint whose files are written and not yet in place.
pub(super) struct Staged<D: Disk> {
    claim: Claim,
    /// Changes that it covers.
    changes: u64,
    /// All bodies that were in the log have moved with it.
    bodies_anywhere: bool,
    frozen: FrozenAccount,
    folder: PathBuf,
    /// One for each frozen mailbox.
    snapshots: Vec<Beside<D>>,
    tree: Beside<D>,
    moved: Moved<D>,
    victims: Victims,
}

/// One checkpoint at a time works on an account.
pub(super) struct Claim(pub Rc<AccountHandle>);

impl Claim {
    pub(super) fn of(handle: &Rc<AccountHandle>) -> Option<Claim> {
        let free = handle.lost().is_none() && !handle.checkpoint_runs.replace(true);
        free.then(|| Claim(handle.clone()))
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        self.0.checkpoint_runs.set(false);
        // Whoever wants to open a lost account again waits for this, and whoever wants the next checkpoint.
        self.0.changed().notify_all();
    }
}

impl<D: Disk, C: Clock> Store<D, C> {
    /// Whether enough has happened to an account for a checkpoint to pay.
    pub fn wants_checkpoint(&self, handle: &AccountHandle) -> bool {
        let changes = handle.changes_since_checkpoint.get();
        changes >= self.0.checkpoint_ops.get()
            && !handle.checkpoint_runs.get()
            && changes >= handle.read(|account| account.rows_changed()) / ROWS_PER_CHANGE
    }

    /// The accounts in memory that have changed since their last checkpoint.
    pub fn changed_accounts(&self) -> Vec<Rc<AccountHandle>> {
        let accounts = self.0.accounts.borrow();
        let open = accounts.values().filter_map(super::Slot::open);
        open.filter(|handle| handle.changes_since_checkpoint.get() > 0).cloned().collect()
    }

    /// Writes out what has changed, and all that is in the log. Sessions go on meanwhile; what they change stays in the log's tail.
    ///
    /// # Errors
    /// The disk or the log failed; the files before are still good.
    pub async fn checkpoint(&self, handle: &Rc<AccountHandle>) -> Result<(), StoreError> {
        self.checkpoint_with(handle, Bodies::Move).await
    }

    /// Writes out what has changed; bodies in the log stay there or move.
    ///
    /// # Errors
    /// As of [`Store::checkpoint`].
    pub async fn checkpoint_with(&self, handle: &Rc<AccountHandle>, bodies: Bodies) -> Result<(), StoreError> {
        match self.stage(handle, bodies).await? {
            Some(staged) => self.settle(vec![staged]).await,
            None => Ok(()),
        }
    }

    /// Checkpoints, with bodies where they are, for as long as one is due: what comes while one is written may be as much again, and nothing may come after it.
    ///
    /// # Errors
    /// As of [`Store::checkpoint`].
    pub async fn checkpoint_due(&self, handle: &Rc<AccountHandle>) -> Result<(), StoreError> {
        while self.wants_checkpoint(handle) {
            let Some(staged) = self.stage(handle, Bodies::Stay).await? else { return Ok(()) };
            self.settle(vec![staged]).await?;
        }
        Ok(())
    }

    /// The first half: everything is written, nothing is in place. `None` while another checkpoint of the account runs.
    pub(super) async fn stage(
        &self,
        handle: &Rc<AccountHandle>,
        bodies: Bodies,
    ) -> Result<Option<Staged<D>>, StoreError> {
        let Some(claim) = Claim::of(handle) else { return Ok(None) };
        let folder = paths::account(&self.0.dir, handle.id());
        let victims = self.find_victims(handle, &folder).await?;
        // Where nobody knows which segments are needed, they are all needed until everything has moved.
        let bodies = if handle.bodies_anywhere.get() { Bodies::Move } else { bodies };
        if bodies == Bodies::Move {
            let ids: Vec<MailboxId> = handle.read(|account| account.with_bodies_in_log().collect());
            self.let_bodies_move(handle, &ids).await?;
        }
        let changes = handle.changes_since_checkpoint.get();
        let bodies_anywhere = handle.bodies_anywhere.get() && bodies == Bodies::Move;
        if handle.lost().is_some() {
            // Ended meanwhile: a tree that knows of that would say that the files have gone.
            return Ok(None);
        }
        let told = bodies;
        #[cfg(test)]
        let told = if self.0.log.mutant() == Mutant::ForgetBodiesInLog { Bodies::Move } else { told };
        let frozen = handle.read(|account| freeze(account, told));
        if let Some(why) = self.hurt_base(&frozen).await {
            self.distrust(handle, &why).await?;
            return Ok(None);
        }
        // A snapshot must never know what the log may lose.
        self.0.log.durable(frozen.pos).await?;
        self.0.disk.create_dir_all(&folder).await?;
        let moved = self.pack_bodies(handle, &folder, (&frozen.mailboxes, bodies), &victims).await?;
        let mut snapshots = Vec::with_capacity(frozen.mailboxes.len());
        for (mailbox, name) in frozen.mailboxes.iter().zip(&frozen.names) {
            snapshots.push(self.write_mailbox(handle, (mailbox, name), &folder, &moved.to).await?);
        }
        let tree = AccountSnapshot {
            account: handle.id(),
            true_to: frozen.pos,
            version: frozen.tree_version,
            payload: frozen.tree.clone(),
        };
        let tree = write_beside(&self.0.disk, &paths::tree(&folder), tree.encode()).await?;
        let written = snapshots.iter().map(|file| file.bytes).sum::<u64>() + tree.bytes;
        self.count(|m| m.snapshot_bytes += written);
        Ok(Some(Staged { claim, changes, bodies_anywhere, frozen, folder, snapshots, tree, moved, victims }))
    }

    /// What is wrong with a snapshot that a new one is to be made of: damage must not be copied under a checksum that is right.
    async fn hurt_base(&self, frozen: &FrozenAccount) -> Option<String> {
        for (mailbox, name) in frozen.mailboxes.iter().zip(&frozen.names) {
            if let Err(error) = mailbox.verify_base() {
                return Some(format!("{error}, {name}"));
            }
            self.0.disk.breathe().await;
        }
        None
    }

    /// The second half, for many accounts in the time that one takes: their syncs wait for the disk together.
    pub(super) async fn settle(&self, batch: Vec<Staged<D>>) -> Result<(), StoreError> {
        #[cfg(test)]
        if self.0.log.mutant() == Mutant::RemovePackBeforeCheckpoint {
            for staged in &batch {
                self.remove_victims_unasked(&staged.claim.0, &staged.folder, &staged.victims).await?;
            }
        }
        self.sync_files(&batch).await?;
        for file in batch.iter().flat_map(|staged| &staged.snapshots) {
            file.put_in_place().await?;
        }
        // A tree that stands on snapshots which a crash may take back would be ahead of them.
        self.sync_names(&batch).await?;
        for staged in &batch {
            self.stand_on(staged).await?;
        }
        for staged in &batch {
            staged.tree.put_in_place().await?;
        }
        self.sync_names(&batch).await?;
        for staged in batch {
            let handle = staged.claim.0.clone();
            handle.covered(staged.frozen.pos);
            if staged.bodies_anywhere {
                handle.bodies_anywhere.set(false);
            }
            handle.changes_since_checkpoint.set(handle.changes_since_checkpoint.get().saturating_sub(staged.changes));
            self.count(|m| m.snapshots_written += 1 + staged.frozen.mailboxes.len() as u64);
            self.remove_deleted(&staged.folder, &staged.frozen.ids).await?;
            self.remove_victims(&handle, &staged.folder, &staged.victims).await?;
        }
        Ok(())
    }

    async fn sync_files(&self, batch: &[Staged<D>]) -> Result<(), StoreError> {
        let packs = batch.iter().flat_map(|staged| &staged.moved.packs);
        #[cfg(test)]
        let packs = packs.filter(|_| self.0.log.mutant() != Mutant::NamePacksBeforeSync);
        let packs = packs.map(|file| Box::pin(self.0.disk.fdatasync(file)) as Sync<'_>);
        let files = batch.iter().flat_map(|staged| staged.snapshots.iter().chain([&staged.tree]));
        let files = files.map(|file| Box::pin(file.sync()) as Sync<'_>);
        // The names of packs, before a snapshot that names one may be found. A pack is not always as old as it looks: the
        // checkpoint that began it may have failed.
        let packed = batch.iter().filter(|staged| !staged.moved.packs.is_empty());
        let folders = packed.map(|staged| Box::pin(self.0.disk.sync_dir(&staged.folder)) as Sync<'_>);
        Ok(self.all(packs.chain(files).chain(folders).collect()).await?)
    }

    async fn sync_names(&self, batch: &[Staged<D>]) -> Result<(), StoreError> {
        let folders = batch.iter().map(|staged| Box::pin(self.0.disk.sync_dir(&staged.folder)) as Sync<'_>);
        Ok(self.all(folders.collect()).await?)
    }

    /// Waits for all of them at once, to the end even if one fails.
    async fn all(&self, syncs: Vec<Sync<'_>>) -> std::io::Result<()> {
        self.count(|m| m.checkpoint_syncs += syncs.len() as u64);
        let (mut left, mut first_error) = (syncs, Ok(()));
        std::future::poll_fn(move |context| {
            left.retain_mut(|sync| match sync.as_mut().poll(context) {
                Poll::Pending => true,
                Poll::Ready(done) => {
                    if first_error.is_ok() {
                        first_error = done;
                    }
                    false
                }
            });
            if left.is_empty() { Poll::Ready(std::mem::replace(&mut first_error, Ok(()))) } else { Poll::Pending }
        })
        .await
    }

    /// The live mailboxes stand on the new snapshots from here on, and read bodies from where those say.
    async fn stand_on(&self, staged: &Staged<D>) -> Result<(), StoreError> {
        for (frozen, file) in staged.frozen.mailboxes.iter().zip(&staged.snapshots) {
            let map = SharedBytes::new(self.0.disk.map(file.path()).await?);
            let snapshot = Snapshot::open(map).map_err(|error| std::io::Error::other(error.to_string()))?;
            staged.claim.0.with_mut(|account| {
                if let Some(live) = account.mailbox_mut(frozen.id) {
                    live.rebase(frozen, Rc::new(snapshot));
                    account.refresh_derived(frozen.id);
                }
                account.written_to(frozen.id, frozen.pos);
            });
        }
        staged.claim.0.note_moved(staged.moved.to.clone());
        Ok(())
    }

    pub(super) async fn write_mailbox(
        &self,
        handle: &AccountHandle,
        (frozen, name): (&Frozen, &str),
        folder: &Path,
        moved: &HashMap<BodyAddr, BodyAddr>,
    ) -> Result<Beside<D>, StoreError> {
        let path = paths::mailbox(folder, frozen.id);
        let mut writer = SnapshotWriter::create(&self.0.disk, &path, snapshot::head(handle.id(), frozen)).await?;
        writer.reserve(frozen.rows.count() as usize);
        frozen.keywords.iter().for_each(|name| writer.keyword_name(name));
        for (modseq, uids) in &frozen.expunged {
            uids.ranges().for_each(|r| writer.expunged(*modseq, Uid(*r.start()), Uid(*r.end())));
        }
        writer.extra(&snapshot::extra(frozen.history_from, name));
        for (name, runs) in frozen.values() {
            self.0.disk.breathe().await;
            writer.values(name, &runs);
        }
        for (i, row) in frozen.rows.from_rank(0).enumerate() {
            if i % ROWS_PER_BREATH == 0 {
                self.0.disk.breathe().await;
            }
            if let Some(id) = frozen.unique_id(row.uid) {
                writer.unique_id(row.uid, id);
            }
            let mut fixed = frozen.fixed(row);
            let old = fixed;
            fixed.body = moved.get(&old.body).copied().unwrap_or(old.body);
            match frozen.cache(row) {
                Some(cache) => writer.push(&snapshot::row(row, fixed), cache).await?,
                None => {
                    // Without a cache the message is rendered again when it is asked for.
                    let cache = self.cache_to_write(handle, &old).await.unwrap_or_else(|error| {
                        tracing::warn!(user = %handle.user(), uid = row.uid.0, %error, "no rendered cache");
                        Rc::default()
                    });
                    writer.push(&snapshot::row(row, fixed), &cache).await?;
                }
            }
        }
        Ok(writer.finish().await?)
    }

    /// The rendered cache of a message that came since the last checkpoint, without keeping it for others.
    async fn cache_to_write(&self, handle: &AccountHandle, message: &Fixed) -> Result<Rc<[u8]>, StoreError> {
        let at_once = message.body.bytes <= READ_AT_ONCE_BYTES_MAX && matches!(message.body.place, Place::Log(_));
        match at_once.then(|| self.0.log.read_body_cache_cached(&message.body)).flatten() {
            Some(cache) => Ok(cache.into()),
            None => self.read_cache(handle, message).await,
        }
    }

    /// Snapshots of mailboxes that are no more.
    async fn remove_deleted(&self, folder: &Path, ids: &[MailboxId]) -> Result<(), StoreError> {
        for name in self.0.disk.list(folder).await? {
            if paths::mailbox_of(&name).is_some_and(|id| ids.binary_search(&id).is_err()) {
                self.0.disk.remove(&folder.join(name)).await?;
            }
        }
        Ok(())
    }
}

fn freeze(account: &Account, bodies: Bodies) -> FrozenAccount {
    let mut ids: Vec<MailboxId> = account.mailboxes().map(|m| m.id).collect();
    ids.sort_unstable();
    let changed = || account.loaded().filter(|m| m.wants_snapshot());
    FrozenAccount {
        pos: account.pos(),
        tree: account::encode_account(account, bodies),
        tree_version: account::tree_version(account, bodies),
        mailboxes: changed().map(|m| m.freeze(bodies)).collect(),
        names: changed().map(|m| account.name_of(m.id()).into()).collect(),
        ids,
    }
}
