//! An account's indexes made again, while the server runs.
//!
//! ```text
//! all files sound     ──▶ every snapshot written again, its caches from behind the bodies
//! some are not        ──▶ the account is let go of and opened from what is left (repair), then the same
//! unreadable messages ──▶ their bodies looked for in the log by identity, and moved into packs again
//! ```

use super::open::Look;
use super::{Store, paths};
use crate::account_handle::AccountHandle;
use crate::body::{BodyAddr, BodyWriter};
use crate::error::StoreError;
use crate::log::{RecordKind, scan};
use crate::mailbox::Fixed;
use crate::op::{self, Op};
use skein_base::seam::{Clock, Disk};
use skein_base::{AccountId, Guid, LogPos, MailboxId, Uid};
use std::collections::{BTreeSet, HashMap};
use std::path::Path;
use std::rc::Rc;

/// Messages looked at between two looks at the account.
const BATCH: usize = 256;
/// Accounts that wait to be looked at because something of them could not be read; more are found by the scrubber.
const SICK_MAX: usize = 1024;

/// A message of which something can not be read.
struct Hurt {
    uid: Uid,
    guid: Guid,
    /// Its bytes, when only what was rendered of them is gone.
    message: Option<Vec<u8>>,
}

/// Why an account is let go of: damage is told as such, and what was asked for is not.
#[derive(Clone, Copy)]
enum Why {
    /// Some of its files can not be built on.
    Unsound,
    /// An operator wants its snapshots left aside.
    Asked,
}

/// A mailbox after its rebuild.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Rebuilt {
    /// Its name.
    pub mailbox: String,
    /// Messages in it.
    pub messages: u32,
    /// Of them, those that were hurt and are whole again: found in the log, or without what was rendered of them.
    pub mended: u32,
    /// Those that can not be read any more. They stay listed until they are expunged.
    pub unreadable: BTreeSet<u32>,
}

impl<D: Disk, C: Clock> Store<D, C> {
    /// Makes an account's indexes again. What is sound is kept: flags, UIDs and all else that only snapshots and log know. For the
    /// mailboxes `from_bodies`, what their snapshots say is left aside: flags are those of when each message was packed, and what was
    /// expunged since may be listed again. Sessions go on unless some file was not sound; then they end.
    ///
    /// # Errors
    /// The disk or the log failed, or the account ended.
    pub async fn rebuild(
        &self,
        handle: Rc<AccountHandle>,
        from_bodies: &[MailboxId],
    ) -> Result<Vec<Rebuilt>, StoreError> {
        let folder = paths::account(&self.0.dir, handle.id());
        let mut bad = self.unsound(&handle, &folder).await?;
        handle.has_not_ended()?;
        let why = if bad.is_empty() { Why::Asked } else { Why::Unsound };
        bad.extend(from_bodies.iter().map(|id| Some(*id)));
        let handle = if bad.is_empty() { handle } else { self.open_again(handle, &folder, &bad, why).await? };
        let mailboxes: Vec<(MailboxId, String)> =
            handle.read(|account| account.mailboxes().map(|m| (m.id, m.name.to_owned())).collect());
        let mut rebuilt = Vec::new();
        for (id, name) in &mailboxes {
            self.load(&handle, *id).await?;
            let hurt = self.hurt_in(&handle, *id, &folder).await?;
            let messages = handle.read(|account| account.mailbox(*id).map_or(0, |mailbox| mailbox.rows().count()));
            let mut unreadable = BTreeSet::new();
            let found = self.find_in_log(handle.id(), &hurt).await?;
            let mut to = HashMap::new();
            for Hurt { uid, guid, message } in hurt {
                match (found.get(&guid), message) {
                    (Some(body), _) => drop(to.insert(uid, *body)),
                    (None, Some(message)) => drop(to.insert(uid, self.log_again(&message).await?)),
                    (None, None) => drop(unreadable.insert(uid.0)),
                }
            }
            if !to.is_empty() {
                // No record of the tail need name where they are.
                handle.bodies_anywhere.set(true);
            }
            handle.with_mut(|account| {
                if let Some(mailbox) = account.mailbox_mut(*id) {
                    mailbox.repoint(&to);
                }
                account.refresh_derived(*id);
            });
            let mended = to.len() as u32;
            rebuilt.push(Rebuilt { mailbox: name.clone(), messages, mended, unreadable });
        }
        for (id, _) in &mailboxes {
            // Loaded again, should somebody have unloaded it meanwhile.
            self.load(&handle, *id).await?;
            handle.with_mut(|account| account.mailbox_mut(*id).map(|mailbox| mailbox.let_bodies_move()));
        }
        self.checkpoint_in_turn(&handle).await?;
        self.count(|m| m.accounts_rebuilt += 1);
        for Rebuilt { mailbox, messages, mended, unreadable } in &rebuilt {
            if unreadable.is_empty() {
                tracing::info!(user = %handle.user(), mailbox, messages, mended, "mailbox rebuilt");
            } else {
                tracing::error!(user = %handle.user(), mailbox, messages, mended, ?unreadable, "mailbox rebuilt; UIDs that can not be read are lost");
            }
        }
        Ok(rebuilt)
    }

    /// Which files can not be built on: `None` for the tree.
    async fn unsound(&self, handle: &AccountHandle, folder: &Path) -> Result<BTreeSet<Option<MailboxId>>, StoreError> {
        let mut bad = BTreeSet::new();
        let was_written = handle.read(|account| account.was_written());
        match self.look_at_tree(handle.id(), folder).await? {
            Look::Good(_) => {}
            Look::Missing if !was_written => {}
            Look::Missing | Look::Damaged(_) => drop(bad.insert(None)),
        }
        let ids: Vec<MailboxId> = handle.read(|account| account.mailboxes().map(|m| m.id).collect());
        for id in ids {
            let true_to = handle.read(|account| account.snapshot_of(id));
            let hurt = handle.read(|account| account.mailbox(id).is_some_and(|mailbox| mailbox.verify_base().is_err()));
            let is_bad = match self.look_at_snapshot(handle.id(), id, folder, true_to).await? {
                Look::Good(_) => hurt,
                Look::Missing => true_to != LogPos::default(),
                Look::Damaged(_) => true,
            };
            // A checkpoint may have replaced it while it was looked at.
            if is_bad && handle.read(|account| account.exists(id) && account.snapshot_of(id) == true_to) {
                bad.insert(Some(id));
            }
        }
        Ok(bad)
    }

    async fn open_again(
        &self,
        handle: Rc<AccountHandle>,
        folder: &Path,
        bad: &BTreeSet<Option<MailboxId>>,
        why: Why,
    ) -> Result<Rc<AccountHandle>, StoreError> {
        match why {
            Why::Unsound => self.distrust(&handle, "it is rebuilt").await?,
            Why::Asked => {
                tracing::info!(user = %handle.user(), "an account is opened again, to be rebuilt from its bodies as asked");
                self.open_anew(&handle, "it is rebuilt").await?;
            }
        }
        loop {
            let ended = handle.changed().notified();
            if !handle.checkpoint_runs.get() {
                break;
            }
            ended.await;
        }
        // Opening it would begin it anew.
        handle.has_not_ended()?;
        for id in bad.iter().flatten() {
            self.move_aside(&paths::mailbox(folder, *id)).await;
        }
        let user = handle.user().clone();
        drop(handle);
        self.open(&user).await
    }

    /// The messages of a mailbox of which something can not be read.
    async fn hurt_in(&self, handle: &AccountHandle, id: MailboxId, folder: &Path) -> Result<Vec<Hurt>, StoreError> {
        let (mut next, mut hurt) = (Uid(1), Vec::new());
        loop {
            let batch: Vec<(Uid, Fixed)> = handle.read(|account| {
                let Some(mailbox) = account.mailbox(id) else { return Vec::new() };
                let rows = mailbox.rows().from_rank(mailbox.rows().rank(next)).take(BATCH);
                rows.map(|row| (row.uid, mailbox.fixed(row))).collect()
            });
            let Some((last, _)) = batch.last() else { return Ok(hurt) };
            next = Uid(last.0.saturating_add(1));
            for (uid, fixed) in batch {
                match self.verify_body(handle, folder, &fixed).await {
                    Ok(_) => {}
                    // One that moved meanwhile was read to be moved.
                    Err(error) if error.is_damage() && handle.moved(&fixed.body).is_some() => {}
                    Err(error) if error.is_damage() => {
                        handle.has_not_ended()?;
                        let message = self.find_body(handle, &fixed, 0..u64::MAX).await.ok();
                        hurt.push(Hurt { uid, guid: fixed.guid, message });
                    }
                    Err(error) => return Err(error.into()),
                }
                self.0.disk.breathe().await;
            }
        }
    }

    /// A message into the log, without what was rendered of it: that is made again when somebody asks.
    async fn log_again(&self, message: &[u8]) -> Result<BodyAddr, StoreError> {
        let mut writer = BodyWriter::new(&self.0.log);
        writer.push(message).await?;
        writer.room().await?;
        Ok(writer.finish(b"")?)
    }

    /// Where the log still has the bodies of these messages.
    async fn find_in_log(&self, id: AccountId, hurt: &[Hurt]) -> Result<HashMap<Guid, BodyAddr>, StoreError> {
        let wanted: BTreeSet<Guid> = hurt.iter().map(|hurt| hurt.guid).collect();
        let (mut places, mut found) = (HashMap::new(), HashMap::new());
        if wanted.is_empty() {
            return Ok(found);
        }
        self.0.log.durable(self.0.log.end()).await?;
        scan(&self.0.disk, &self.0.log_dir, 0, |record| {
            if record.kind != RecordKind::Op || record.account != id {
                return;
            }
            for op in op::decode(record.payload).unwrap_or_default() {
                let Op::Append { messages, .. } = op else { continue };
                let here = messages.into_iter().filter(|message| wanted.contains(&message.guid));
                places.extend(here.map(|message| (message.guid, message.body)));
            }
        })
        .await?;
        for (guid, body) in places {
            if self.0.log.read_whole(&body).await.is_ok() {
                found.insert(guid, body);
            }
        }
        Ok(found)
    }

    /// A checkpoint, after the one that runs.
    pub(super) async fn checkpoint_in_turn(&self, handle: &Rc<AccountHandle>) -> Result<(), StoreError> {
        loop {
            let ended = handle.changed().notified();
            if !handle.checkpoint_runs.get() {
                return self.checkpoint(handle).await;
            }
            ended.await;
        }
    }

    /// Something of an account could not be read: it is looked at before long.
    pub(super) fn note_sick(&self, id: AccountId) {
        let mut sick = self.0.sick.borrow_mut();
        if sick.len() < SICK_MAX {
            sick.insert(id);
        }
    }

    /// An account of which something could not be read since this was last asked for it.
    pub fn take_sick(&self) -> Option<AccountId> {
        self.0.sick.borrow_mut().pop_first()
    }
}
