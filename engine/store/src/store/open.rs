//! How accounts come from disk: the tree, the snapshots that the log's tail speaks of, and the tail itself.

use super::repair::Damaged;
use super::{Slot, Store, paths};
use crate::account::{self, Account, AccountError};
use crate::account_handle::AccountHandle;
use crate::error::StoreError;
use crate::log::{Record, RecordKind, TailRecord, scan};
use crate::mailbox::{Mailbox, SharedBytes, Snapshot};
use crate::op::{self, Op};
use crate::snapshot;
use skein_base::seam::{Clock, Disk};
use skein_base::sync::Notify;
use skein_base::{AccountId, LogPos, MailboxId, UidValidity, UserName};
use skein_index::{AccountSnapshot, BodiesAre};
use std::collections::BTreeSet;
use std::io;
use std::path::Path;
use std::rc::Rc;

/// A record of the tail, read and understood.
pub(super) struct Logged {
    pub end: LogPos,
    pub ops: Vec<Op>,
}

impl<D: Disk, C: Clock> Store<D, C> {
    /// Makes known what each mailbox of an account holds. Costs a look into those that have not been in memory yet.
    ///
    /// # Errors
    /// As [`Store::load`].
    pub async fn measure(&self, account: &Rc<AccountHandle>) -> Result<(), StoreError> {
        let unmeasured: Vec<MailboxId> = account.read(|state| state.unmeasured().collect());
        for id in unmeasured {
            self.load(account, id).await?;
            account.read(|state| state.mailbox(id).map(|mailbox| mailbox.bytes()));
        }
        Ok(())
    }

    /// The account of a user, begun if it is new. Whoever comes while it is being opened waits for the same one.
    ///
    /// # Errors
    /// The disk or the log failed.
    pub async fn open(&self, user: &UserName) -> Result<Rc<AccountHandle>, StoreError> {
        self.open_as(AccountId::of(user), Some(user)).await
    }

    /// An account that is there, by its identity.
    ///
    /// # Errors
    /// No such account, or the disk or the log failed.
    pub async fn open_known(&self, id: AccountId) -> Result<Rc<AccountHandle>, StoreError> {
        self.open_as(id, None).await
    }

    async fn open_as(&self, id: AccountId, user: Option<&UserName>) -> Result<Rc<AccountHandle>, StoreError> {
        loop {
            let waiting = match self.0.accounts.borrow().get(&id) {
                Some(Slot::Open(handle)) => {
                    handle.used_ms.set(self.0.clock.monotonic_ms());
                    return Ok(handle.clone());
                }
                Some(Slot::Opening(done)) => Some(done.notified()),
                Some(Slot::Lost(handle)) if Self::is_still_writing(handle) => Some(handle.changed().notified()),
                Some(Slot::Lost(_)) | None => None,
            };
            match waiting {
                Some(done) => done.await,
                None => break,
            }
        }
        let done = Notify::new();
        self.0.accounts.borrow_mut().insert(id, Slot::Opening(done.clone()));
        let opened = self.bring_up(id, user).await;
        // Its own first checkpoint found damage in what it stands on. It has been let go of, and its slot says so.
        if let Some(lost) = opened.as_ref().ok().and_then(|handle| handle.lost()) {
            done.notify_all();
            return Err(lost.into());
        }
        match &opened {
            Ok(handle) => {
                // Not before: until then a drain sees by them what the account needs, and so does who tries again after a failure.
                self.0.tail.borrow_mut().forget(id);
                if let Some(derived) = self.0.derived.borrow_mut().take(id) {
                    handle.with_mut(|account| account.put_derived(derived));
                }
                drop(self.0.accounts.borrow_mut().insert(id, Slot::Open(handle.clone())));
            }
            Err(_) => drop(self.0.accounts.borrow_mut().remove(&id)),
        }
        done.notify_all();
        opened
    }

    /// Brings a mailbox into memory, from its snapshot or, without a good one, from the log.
    ///
    /// # Errors
    /// No such mailbox, or the disk failed.
    pub async fn load(&self, handle: &AccountHandle, id: MailboxId) -> Result<(), StoreError> {
        handle.with_mut(|account| account.touch(id, self.0.clock.monotonic_ms()));
        let folder = paths::account(&self.0.dir, handle.id());
        loop {
            let known = handle.read(|account| match account.mailbox(id) {
                Some(_) => None,
                None => account.mailboxes().find(|m| m.id == id).map(|m| (m.validity, account.snapshot_of(id))),
            });
            let Some((validity, true_to)) = known else { return Ok(()) };
            let mailbox = match self.read_snapshot(handle.id(), (id, validity), &folder, true_to).await? {
                Look::Good(snapshot) => Mailbox::from_snapshot(snapshot),
                Look::Missing | Look::Damaged(_) => {
                    handle.bodies_anywhere.set(true);
                    match self.log_is_whole().await? {
                        true => self.replay_mailbox(handle.id(), (id, validity), LogPos::END).await?,
                        false => {
                            handle.with_mut(|account| account.distrust_derived(id));
                            let damaged = handle.read(|account| Damaged::of(account, id, validity));
                            self.salvage_mailbox(handle.id(), damaged, &folder).await?
                        }
                    }
                }
            };
            // Somebody else may have loaded, changed and unloaded it meanwhile: then this is the past.
            if handle.read(|account| account.snapshot_of(id)) == true_to {
                handle.with_mut(|account| account.put(mailbox));
                return Ok(());
            }
        }
    }

    /// An account made of its files and its records. Those stay in the index, unless it has ended, which then is safe.
    pub(super) async fn bring_up(
        &self,
        id: AccountId,
        user: Option<&UserName>,
    ) -> Result<Rc<AccountHandle>, StoreError> {
        let folder = paths::account(&self.0.dir, id);
        let unfinished = self.unfinished_end(id, &folder).await?;
        let tree = match unfinished {
            Some(end) => Tree { state: self.finish_end(id, &folder, end).await?, ..Tree::of(None) },
            None => self.read_tree(id, &folder).await?,
        };
        let Tree { mut state, mut bodies, mut salvaged, missing } = tree;
        // Also those that the tree covers: it may have its name by a rename that was never synced, as the process died or the sync
        // failed, and the tree before comes back with the next crash. A checkpoint lets go of them.
        let all = self.0.tail.borrow().of(id, LogPos::default());
        let records = &all[all.partition_point(|record| record.start < state.pos())..];
        let (tail, lost_to) = self.read_tail(id, records).await?;
        let ops: Vec<&Op> = tail.iter().flat_map(|record| &record.ops).collect();
        // Without a birth in the log the account has had a tree, which somebody took away.
        let unborn = !ops.iter().any(|op| matches!(op, Op::CreateAccount { .. }));
        if missing
            && unborn
            && let Some(found) = self.salvage_tree(id, &folder).await?
        {
            (state, salvaged) = (found, true);
        }
        // Or its birth is among what can not be read.
        salvaged |= state.user().is_none() && unborn && !records.is_empty();
        let lost_inbox = salvaged && !state.exists(MailboxId::INBOX);
        if salvaged {
            let user = user.ok_or(AccountError::NoSuchAccount)?;
            // No op says so: until a checkpoint stands, the next start salvages again.
            state.begin_salvaged(user, self.now());
        }
        if lost_inbox {
            let validity = state.find("INBOX").expect("just begun").validity;
            let replayed = self.brought_by(ops.iter().copied()).await?;
            // How far its snapshot was true only the tree knew: the tail brings what it has, the rest of the log is looked through.
            let log_to = records.first().map_or(self.0.log.end(), |record| record.start);
            let damaged = Damaged { replayed, log_to, ..Damaged::of(&state, MailboxId::INBOX, validity) };
            state.put(self.salvage_mailbox(id, damaged, &folder).await?);
            bodies = BodiesAre::Anywhere;
        }
        salvaged |= self.place_strangers(id, &mut state, &ops, &folder).await?;
        for (mailbox, validity) in spoken_of(&state, &tail) {
            if lost_inbox && mailbox == MailboxId::INBOX {
                continue;
            }
            let in_tree = state.exists(mailbox);
            let true_to = state.snapshot_of(mailbox);
            let loaded = match self.read_snapshot(id, (mailbox, validity), &folder, true_to).await? {
                Look::Good(snapshot) => Mailbox::from_snapshot(snapshot),
                Look::Missing if !in_tree => Mailbox::new(mailbox, validity),
                Look::Missing | Look::Damaged(_) => {
                    bodies = BodiesAre::Anywhere;
                    match self.log_is_whole().await? {
                        true => self.replay_mailbox(id, (mailbox, validity), LogPos::END).await?,
                        false => {
                            let damaged = Damaged::of(&state, mailbox, validity);
                            self.salvage_mailbox(id, damaged, &folder).await?
                        }
                    }
                }
            };
            state.expect(loaded);
        }
        let replayed: u64 = tail.iter().map(|record| record.ops.len() as u64).sum();
        for record in &tail {
            state.apply(&record.ops, record.end);
        }
        state.forget_expected();
        if missing && !self.log_is_whole().await? {
            let adopted = self.adopt_snapshots(id, &mut state, &ops, &folder).await?;
            if !salvaged && (adopted || self.tree_has_stood(id, &state, &tail, &folder).await?) {
                tracing::error!(
                    account = %id.hex(),
                    "the tree is gone: what only it knew of mailboxes, subscriptions and annotations is lost"
                );
                self.count(|m| m.salvaged += 1);
                state.pass_over_mailboxes(self.now());
                salvaged = true;
            }
        }
        self.count(|m| m.ops_replayed += replayed);
        let Some(user) = user.cloned().or_else(|| state.user().cloned()) else {
            let is_by_tree_alone = unfinished.is_none() && records.len() < all.len();
            if is_by_tree_alone {
                self.0.disk.sync_dir(&folder).await?;
            }
            self.0.tail.borrow_mut().forget(id);
            return Err(AccountError::NoSuchAccount.into());
        };
        let handle = AccountHandle::new(id, user.clone(), state, all);
        tail.iter().for_each(|record| handle.look_for_waste(&record.ops));
        handle.used_ms.set(self.0.clock.monotonic_ms());
        handle.changes_since_checkpoint.set(tail.iter().map(|record| op::changes(&record.ops)).sum());
        let is_new = handle.read(|account| account.user().is_none());
        let passed_over = !is_new && self.pass_over(&handle, lost_to).await?;
        if salvaged || passed_over {
            self.0.derived.borrow_mut().forget(id);
        }
        if (salvaged || passed_over)
            && let Err(error) = self.checkpoint(&handle).await
        {
            tracing::warn!(%user, %error, "what was salvaged is not written yet");
        }
        if bodies == BodiesAre::Anywhere {
            handle.bodies_anywhere.set(true);
            self.let_all_bodies_move(&handle).await?;
        }
        if is_new {
            // Last: nothing may fail behind it, as nobody would know of its record.
            let begin = handle.read(|account| account.begin(&user, self.now()));
            self.commit(&handle, &begin)?;
        }
        Ok(handle)
    }

    /// The records that can be read, and the end of the last one that can not be, which is told.
    async fn read_tail(&self, id: AccountId, records: &[TailRecord]) -> Result<(Vec<Logged>, LogPos), StoreError> {
        let (mut tail, mut lost_to) = (Vec::with_capacity(records.len()), self.0.tail.borrow().damaged_to());
        for record in records {
            match self.read_record(id, record).await {
                Ok(logged) => tail.push(logged),
                Err(error) if error.is_damage() => {
                    let TailRecord { start, end, bytes, .. } = *record;
                    tracing::error!(account = %id.hex(), ?start, bytes, %error, "changes of an account are lost");
                    self.count(|m| m.records_lost += 1);
                    lost_to = lost_to.max(end);
                }
                Err(error) => return Err(error),
            }
        }
        Ok((tail, lost_to))
    }

    /// Where changes may have been lost up to a place in the log, UIDs and modseqs go on above all that they may have given.
    async fn pass_over(&self, handle: &AccountHandle, lost_to: LogPos) -> Result<bool, StoreError> {
        let behind = |account: &Account| {
            account.mailboxes().map(|m| m.id).filter(|id| account.snapshot_of(*id) < lost_to).collect::<Vec<_>>()
        };
        let behind = if lost_to == LogPos::default() { Vec::new() } else { handle.read(behind) };
        for &id in &behind {
            self.load(handle, id).await?;
            handle.with_mut(|account| account.mailbox_mut(id).map(|mailbox| mailbox.pass_over(lost_to)));
        }
        Ok(!behind.is_empty())
    }

    /// Snapshots of before packs may name bodies in segments that nothing else names: the next checkpoint moves them all.
    async fn let_all_bodies_move(&self, handle: &Rc<AccountHandle>) -> Result<(), StoreError> {
        let ids: Vec<MailboxId> = handle.read(|account| account.mailboxes().map(|m| m.id).collect());
        self.let_bodies_move(handle, &ids).await
    }

    /// The next checkpoint writes these mailboxes even if nothing has changed.
    pub(super) async fn let_bodies_move(
        &self,
        handle: &Rc<AccountHandle>,
        ids: &[MailboxId],
    ) -> Result<(), StoreError> {
        for &id in ids {
            self.load(handle, id).await?;
            handle.with_mut(|account| {
                if let Some(mailbox) = account.mailbox_mut(id) {
                    mailbox.let_bodies_move();
                }
            });
        }
        Ok(())
    }

    /// The tree as last written, or nobody's: then the whole log is its tail.
    async fn read_tree(&self, id: AccountId, folder: &Path) -> Result<Tree, StoreError> {
        match self.look_at_tree(id, folder).await? {
            Look::Good((state, bodies)) => return Ok(Tree { state, bodies, salvaged: false, missing: false }),
            Look::Missing => return Ok(Tree { missing: true, ..Tree::of(None) }),
            Look::Damaged(why) => {
                tracing::warn!(account = %id.hex(), why, "the tree is damaged; it is made again from what is left");
            }
        }
        self.count(|m| m.snapshots_rebuilt += 1);
        Ok(Tree::of(if self.log_is_whole().await? { None } else { self.salvage_tree(id, folder).await? }))
    }

    pub(super) async fn look_at_tree(
        &self,
        id: AccountId,
        folder: &Path,
    ) -> Result<Look<(Account, BodiesAre)>, StoreError> {
        let map = match self.0.disk.map(&paths::tree(folder)).await {
            Ok(map) => map,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Look::Missing),
            Err(error) => return Err(error.into()),
        };
        Ok(match AccountSnapshot::decode(&map) {
            Err(error) => Look::Damaged(error.to_string()),
            Ok((snapshot, _)) if snapshot.account != id => Look::Damaged("it is another account's".into()),
            Ok((snapshot, bodies)) => match account::decode_account(&snapshot.payload, snapshot.true_to) {
                Ok(state) => Look::Good((state, bodies)),
                Err(damage) => Look::Damaged(format!("it does not read from byte {} of its payload on", damage.offset)),
            },
        })
    }

    /// A mailbox's snapshot, good when it is whole, this mailbox's, and true at least to where the tree says.
    async fn read_snapshot(
        &self,
        id: AccountId,
        (mailbox, validity): (MailboxId, UidValidity),
        folder: &Path,
        true_to: LogPos,
    ) -> Result<Look<Rc<Snapshot>>, StoreError> {
        let look = match self.look_at_snapshot(id, mailbox, folder, true_to).await? {
            Look::Good(found) if found.head().uid_validity != validity => {
                Look::Damaged("it is of another UIDVALIDITY".into())
            }
            look => look,
        };
        if let Look::Damaged(why) = &look {
            tracing::warn!(account = %id.hex(), mailbox = mailbox.0, why, "a snapshot is damaged; it is made again from what is left");
            self.count(|m| m.snapshots_rebuilt += 1);
        }
        Ok(look)
    }

    pub(super) async fn look_at_snapshot(
        &self,
        id: AccountId,
        mailbox: MailboxId,
        folder: &Path,
        true_to: LogPos,
    ) -> Result<Look<Rc<Snapshot>>, StoreError> {
        let map = match self.0.disk.map(&paths::mailbox(folder, mailbox)).await {
            Ok(map) => map,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Look::Missing),
            Err(error) => return Err(error.into()),
        };
        let why = match Snapshot::open(SharedBytes::new(map)) {
            Err(error) => error.to_string(),
            Ok(found) if (found.head().account, found.head().mailbox) != (id, mailbox) => {
                "it is another mailbox's".into()
            }
            Ok(found) if found.head().true_to < true_to => "it is older than the tree".into(),
            Ok(found) if !snapshot::is_sound(&found) => "it holds what no mailbox does".into(),
            Ok(found) => return Ok(Look::Good(Rc::new(found))),
        };
        Ok(Look::Damaged(why))
    }

    /// A mailbox from nothing but the log up to a place, all of it that is there.
    pub(super) async fn replay_mailbox(
        &self,
        id: AccountId,
        (mailbox, validity): (MailboxId, UidValidity),
        to: LogPos,
    ) -> Result<Mailbox, StoreError> {
        // What was appended a moment ago is in no file yet.
        self.0.log.durable(self.0.log.end()).await?;
        let mut rebuilt = Mailbox::new(mailbox, validity);
        let replay = |record: &Record<'_>| {
            // What the log lost may still stand in a segment that was not cut yet.
            let is_kept = self.0.log.lost(record.end).is_none();
            if record.kind == RecordKind::Op && record.account == id && record.end <= to && is_kept {
                let ops = op::decode(record.payload).unwrap_or_default();
                if op::is_end(&ops) {
                    rebuilt = Mailbox::new(mailbox, validity);
                }
                ops.iter().filter(|op| op.messages_of() == Some(mailbox)).for_each(|op| rebuilt.apply_part(op));
                rebuilt.reached(record.end);
            }
        };
        scan(&self.0.disk, &self.0.log_dir, 0, replay).await?;
        Ok(rebuilt)
    }

    async fn read_record(&self, id: AccountId, record: &TailRecord) -> Result<Logged, StoreError> {
        Ok(Logged { end: record.end, ops: self.read_ops(id, record).await? })
    }

    pub(super) async fn read_ops(&self, id: AccountId, record: &TailRecord) -> Result<Vec<Op>, StoreError> {
        let (header, payload) = self.0.log.read(record.start).await?;
        let ops = op::decode(&payload).ok().filter(|_| header.account == id);
        ops.ok_or(StoreError::Damaged { account: id, mailbox: None })
    }
}

/// An account without its mailboxes' messages.
struct Tree {
    state: Account,
    bodies: BodiesAre,
    /// It was made of the snapshots beside it.
    salvaged: bool,
    /// There was no file.
    missing: bool,
}

impl Tree {
    fn of(salvaged: Option<Account>) -> Tree {
        let is_salvaged = salvaged.is_some();
        let state = salvaged.unwrap_or_else(Account::unborn);
        Tree { state, bodies: BodiesAre::Drained, salvaged: is_salvaged, missing: false }
    }
}

/// What a look at a file found.
pub(super) enum Look<T> {
    Good(T),
    Missing,
    /// Why it is not taken.
    Damaged(String),
}

/// The mailboxes that the tail changes or makes, with their UIDVALIDITY.
fn spoken_of(state: &Account, tail: &[Logged]) -> Vec<(MailboxId, UidValidity)> {
    let mut known: Vec<(MailboxId, UidValidity)> = state.mailboxes().map(|m| (m.id, m.validity)).collect();
    let mut touched = BTreeSet::new();
    for op in tail.iter().flat_map(|record| &record.ops) {
        match op {
            Op::CreateAccount { validity, .. } => known.push((MailboxId::INBOX, *validity)),
            Op::CreateMailbox { mailbox, validity, .. } => known.push((*mailbox, *validity)),
            _ => {}
        }
        touched.extend(op.messages_of());
    }
    known.retain(|(id, _)| touched.contains(id));
    known
}
