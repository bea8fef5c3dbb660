//! How accounts go back to disk: a snapshot of each mailbox that changed, then the tree.
//!
//! Each file is replaced by rename and says up to where it is true, so a crash anywhere between leaves files that the
//! log's tail completes.

use super::{Store, paths};
use crate::account::{self, Account};
use crate::account_handle::AccountHandle;
use crate::error::StoreError;
use crate::mailbox::{Frozen, SharedBytes, Snapshot};
use crate::snapshot;
use skein_base::seam::{Clock, Disk};
use skein_base::{LogPos, MailboxId, Uid};
use skein_index::{AccountSnapshot, SnapshotWriter, replace_file};
use std::path::Path;
use std::rc::Rc;

/// Ops of an account after which a checkpoint pays: replaying them takes some ten milliseconds.
pub const CHECKPOINT_OPS: u64 = 4096;

/// Rows written between two breaths: about a microsecond each.
const ROWS_PER_BREATH: usize = 64;

/// An account as it was at one log position.
struct FrozenAccount {
    pos: LogPos,
    tree: Vec<u8>,
    mailboxes: Vec<Frozen>,
    ids: Vec<MailboxId>,
}

impl<D: Disk, C: Clock> Store<D, C> {
    /// Whether enough has happened to an account for a checkpoint to pay.
    pub fn wants_checkpoint(&self, handle: &AccountHandle) -> bool {
        handle.ops_since_checkpoint.get() >= self.0.checkpoint_ops.get() && !handle.checkpoint_runs.get()
    }

    /// The accounts in memory that have changed since their last checkpoint.
    pub fn changed_accounts(&self) -> Vec<Rc<AccountHandle>> {
        let accounts = self.0.accounts.borrow();
        let open = accounts.values().filter_map(|slot| match slot {
            super::Slot::Open(handle) => Some(handle),
            super::Slot::Opening(_) | super::Slot::Lost(_) => None,
        });
        open.filter(|handle| handle.ops_since_checkpoint.get() > 0).cloned().collect()
    }

    /// Writes out what has changed. Sessions go on meanwhile; what they change stays in the log's tail.
    ///
    /// # Errors
    /// The disk or the log failed; the files before are still good.
    pub async fn checkpoint(&self, handle: &AccountHandle) -> Result<(), StoreError> {
        if handle.lost().is_some() || handle.checkpoint_runs.replace(true) {
            return Ok(());
        }
        let ops = handle.ops_since_checkpoint.get();
        let done = self.write_out(handle).await;
        handle.checkpoint_runs.set(false);
        if handle.lost().is_some() {
            handle.changed().notify_all();
        }
        if done.is_ok() {
            handle.ops_since_checkpoint.set(handle.ops_since_checkpoint.get() - ops);
        }
        done
    }

    async fn write_out(&self, handle: &AccountHandle) -> Result<(), StoreError> {
        let frozen = handle.read(freeze);
        // A snapshot must never know what the log may lose.
        self.0.log.durable(frozen.pos).await?;
        let folder = paths::account(&self.0.dir, handle.id());
        self.0.disk.create_dir_all(&folder).await?;
        for mailbox in &frozen.mailboxes {
            let written = self.write_mailbox(handle, mailbox, &folder).await?;
            handle.with_mut(|account| {
                if let Some(live) = account.mailbox_mut(mailbox.id) {
                    live.rebase(mailbox, written);
                }
            });
        }
        let tree = AccountSnapshot { account: handle.id(), true_to: frozen.pos, payload: frozen.tree };
        replace_file(&self.0.disk, &paths::tree(&folder), tree.encode()).await?;
        self.remove_deleted(&folder, &frozen.ids).await?;
        handle.covered(frozen.pos);
        self.count(|m| m.snapshots_written += 1 + frozen.mailboxes.len() as u64);
        Ok(())
    }

    async fn write_mailbox(
        &self,
        handle: &AccountHandle,
        frozen: &Frozen,
        folder: &Path,
    ) -> Result<Rc<Snapshot>, StoreError> {
        let path = paths::mailbox(folder, frozen.id);
        let mut writer = SnapshotWriter::create(&self.0.disk, &path, snapshot::head(handle.id(), frozen)).await?;
        writer.reserve(frozen.rows.count() as usize);
        frozen.keywords.iter().for_each(|name| writer.keyword_name(name));
        for (modseq, uids) in &frozen.expunged {
            uids.ranges().for_each(|r| writer.expunged(*modseq, Uid(*r.start()), Uid(*r.end())));
        }
        writer.extra(&frozen.history_from.0.to_le_bytes());
        for (i, row) in frozen.rows.from_rank(0).enumerate() {
            if i % ROWS_PER_BREATH == 0 {
                self.0.disk.breathe().await;
            }
            let fixed = frozen.fixed(row);
            match frozen.cache(row) {
                Some(cache) => writer.push(&snapshot::row(row, fixed), cache).await?,
                None => {
                    // Without a cache the message is rendered again when it is asked for.
                    let cache = self.read_cache(&fixed.body).await.unwrap_or_else(|error| {
                        tracing::warn!(account = %handle.id().hex(), uid = row.uid.0, %error, "no rendered cache");
                        Vec::new()
                    });
                    writer.push(&snapshot::row(row, fixed), &cache).await?;
                }
            }
        }
        writer.finish().await?;
        let map = SharedBytes::new(self.0.disk.map(&path).await?);
        Snapshot::open(map).map(Rc::new).map_err(|error| std::io::Error::other(error.to_string()).into())
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

fn freeze(account: &Account) -> FrozenAccount {
    let mut ids: Vec<MailboxId> = account.mailboxes().map(|m| m.id).collect();
    ids.sort_unstable();
    FrozenAccount {
        pos: account.pos(),
        tree: account::encode_account(account),
        mailboxes: account.loaded().filter(|m| m.wants_snapshot()).map(|m| m.freeze()).collect(),
        ids,
    }
}
