//! One shard's store: its open accounts, its log, and how accounts come from disk and go back.
//!
//! ```text
//! open(user) ── accounts/ab/ab12…/tree ── m1.idx m2.idx ── ops of the log's tail ──▶ AccountHandle
//! commit(account, ops) ──▶ log.append ──▶ apply ──▶ changed        durable(account) ──▶ the reply may leave
//! checkpoint(account) ──▶ p1.pack m1.idx m2.idx tree        drain() ──▶ the same for all who need a segment; then it goes
//! close_idle() ──▶ nothing in memory but where the account's ops are in the log            users() ──▶ whose they are, unopened
//! ```

mod check;
mod checkpoint;
mod compact;
mod drain;
mod end;
mod failure;
mod kept;
mod kept_derived;
mod lifecycle;
mod open;
mod pack_bodies;
mod paths;
mod rebuild;
mod repair;
mod restore;
#[cfg(test)]
mod tests;
mod users;

pub use check::{CheckError, Checked, Finding, Inspector, Stopped};
pub use checkpoint::CHECKPOINT_OPS;
pub use compact::{COMPACT_BYTES_MIN, WASTE_ONE_IN};
pub use drain::{DrainLimits, OldSegments};
pub use lifecycle::OpenLimits;
pub use rebuild::Rebuilt;
pub use restore::{PINNED, Pinned, RestoreError, Restored};

use self::kept::KeptCaches;
use self::kept_derived::KeptDerived;
use crate::account_handle::AccountHandle;
use crate::body::{BodyAddr, Place};
use crate::dictionary::{Dictionary, DictionaryError};
use crate::error::StoreError;
use crate::gate::{Actor, Change, Gate};
use crate::log::{Log, ReadError, RecordKind, TailIndex};
use crate::mailbox::Fixed;
use crate::op::{self, Op};
use crate::pack::{PACK_BYTES_MAX, PackFiles};
use skein_base::seam::{Clock, Disk};
use skein_base::sync::Notify;
use skein_base::{AccountId, Guid, LogPos};
use std::cell::{Cell, RefCell};
use std::collections::{BTreeSet, HashMap};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::rc::Rc;

/// What the store counts. Plain numbers; they only rise, but for those that say otherwise.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct StoreMetrics {
    /// Accounts in memory. Rises and falls.
    pub accounts_open: u64,
    /// Ops replayed from the log when accounts were opened.
    pub ops_replayed: u64,
    /// Ops committed.
    pub ops: u64,
    /// Messages that came into mailboxes, copies among them.
    pub messages_added: u64,
    /// Messages expunged, those of deleted mailboxes left out.
    pub messages_expunged: u64,
    /// Reads of messages, by where they were found.
    pub body_reads: Reads,
    /// Reads of what was rendered of messages that no map holds.
    pub cache_reads: Reads,
    /// Reads of what was rendered that memory had.
    pub caches_from_memory: u64,
    /// What of it memory has, bytes; an estimate. Rises and falls.
    pub caches_kept_bytes: u64,
    /// Snapshots written.
    pub snapshots_written: u64,
    /// Accounts closed because nobody used them.
    pub accounts_closed: u64,
    /// Accounts ended, with all their mail.
    pub accounts_ended: u64,
    /// Accounts let go of because the log lost changes of theirs, or files of theirs are damaged.
    pub accounts_lost: u64,
    /// Mailboxes that left memory while their account stayed open.
    pub mailboxes_unloaded: u64,
    /// What the open accounts take in memory, bytes; an estimate of the last look. Rises and falls.
    pub memory_bytes: u64,
    /// Accounts that are closed and have changes in the log that no snapshot has. Rises and falls.
    pub accounts_in_tail: u64,
    /// Snapshots found damaged or missing and made again from the log.
    pub snapshots_rebuilt: u64,
    /// Records of accounts in the log that could not be read when they were to be replayed.
    pub records_lost: u64,
    /// Mailboxes and trees made again from what packs and snapshots tell.
    pub salvaged: u64,
    /// Accounts whose indexes were made again while the server ran.
    pub accounts_rebuilt: u64,
    /// Bytes of snapshots written.
    pub snapshot_bytes: u64,
    /// Syncs of files and folders that checkpoints asked for.
    pub checkpoint_syncs: u64,
    /// Messages written into packs, those of compacted packs among them.
    pub pack_messages: u64,
    /// Bytes of them and their caches before compression.
    pub pack_bytes_taken: u64,
    /// Bytes of packs written.
    pub pack_bytes: u64,
    /// Packs removed after their live messages were written again.
    pub packs_removed: u64,
    /// Bytes of them.
    pub pack_bytes_removed: u64,
    /// Bytes of packs that were looked through for waste.
    pub pack_bytes_looked_at: u64,
    /// The part of them that no message names.
    pub pack_bytes_wasted: u64,
    /// Messages that could not be read when they were to be packed.
    pub bodies_lost: u64,
    /// Log segments that nobody needed any more.
    pub segments_removed: u64,
    /// Bytes of them.
    pub segment_bytes_removed: u64,
}

/// Where what was read came from.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Reads {
    /// The log, in the page cache: nothing waited.
    pub log_cached: u64,
    /// The log, by the disk.
    pub log_disk: u64,
    /// A pack.
    pub pack: u64,
}

/// Bytes of a message that is read with its rendered cache while nobody else gets the shard: some ten microseconds.
const READ_AT_ONCE_BYTES_MAX: u32 = 64 << 10;

/// One shard's store. Clones share it.
pub struct Store<D: Disk, C: Clock>(Rc<Shared<D, C>>);

struct Shared<D: Disk, C: Clock> {
    disk: D,
    clock: C,
    /// The data folder's `accounts`.
    dir: PathBuf,
    log_dir: PathBuf,
    log: Log<D>,
    tail: RefCell<TailIndex>,
    accounts: RefCell<HashMap<AccountId, Slot>>,
    packs: PackFiles<D>,
    caches: RefCell<KeptCaches>,
    derived: RefCell<KeptDerived>,
    gate: RefCell<Option<Rc<dyn Gate>>>,
    old_segments: RefCell<drain::Held>,
    drains: Cell<bool>,
    /// Records up to this segment could not all be read, so that the trees must say who needs it: see [`Store::learn_bodies`]. 0 when nobody
    /// need be asked.
    unlearned_to: Cell<u64>,
    metrics: Cell<StoreMetrics>,
    checkpoint_ops: Cell<u64>,
    pack_bytes_max: Cell<u64>,
    compact_bytes_min: Cell<u64>,
    /// Pages of maps that were lost when this was last looked at.
    maps_hurt: Cell<u64>,
    /// Counts pins.
    pins: Cell<u64>,
    /// Accounts of which something could not be read.
    sick: RefCell<BTreeSet<AccountId>>,
}

enum Slot {
    Opening(Notify),
    Open(Rc<AccountHandle>),
    /// Not to be used any more; a checkpoint of it may still run.
    Lost(Rc<AccountHandle>),
}

impl Slot {
    fn open(&self) -> Option<&Rc<AccountHandle>> {
        match self {
            Slot::Open(handle) => Some(handle),
            Slot::Opening(_) | Slot::Lost(_) => None,
        }
    }
}

impl<D: Disk, C: Clock> Clone for Store<D, C> {
    fn clone(&self) -> Self {
        Store(self.0.clone())
    }
}

impl<D: Disk, C: Clock> Store<D, C> {
    /// A store on the data folder `root`, with this shard's log and what a scan found of the accounts that live here.
    pub fn new(disk: D, clock: C, root: &Path, log: Log<D>, tail: TailIndex) -> Store<D, C> {
        let unlearned_to = tail.damaged_to().segment;
        let store = Store(Rc::new(Shared {
            packs: PackFiles::new(disk.clone(), root.join("dictionaries"), log.shard()),
            caches: RefCell::default(),
            derived: RefCell::default(),
            disk,
            clock,
            dir: root.join("accounts"),
            log_dir: root.join("log"),
            log,
            tail: RefCell::new(tail),
            accounts: RefCell::default(),
            gate: RefCell::default(),
            metrics: Cell::default(),
            old_segments: RefCell::default(),
            drains: Cell::new(false),
            unlearned_to: Cell::new(unlearned_to),
            checkpoint_ops: Cell::new(CHECKPOINT_OPS),
            pack_bytes_max: Cell::new(PACK_BYTES_MAX),
            compact_bytes_min: Cell::new(COMPACT_BYTES_MIN),
            maps_hurt: Cell::new(0),
            pins: Cell::new(0),
            sick: RefCell::default(),
        }));
        store.watch_log();
        store
    }

    /// Changes of an account after which a checkpoint pays; [`CHECKPOINT_OPS`] at first.
    pub fn set_checkpoint_ops(&self, ops: u64) {
        self.0.checkpoint_ops.set(ops);
    }

    /// This shard's log.
    pub fn log(&self) -> &Log<D> {
        &self.0.log
    }

    /// The time, as ops carry it.
    pub fn now(&self) -> i64 {
        self.0.clock.unix_seconds()
    }

    /// The counters.
    pub fn metrics(&self) -> StoreMetrics {
        let open = self.0.accounts.borrow().len() as u64;
        let accounts_in_tail = self.0.tail.borrow().len() as u64;
        let caches_kept_bytes = self.0.caches.borrow().bytes() as u64;
        StoreMetrics { accounts_open: open, accounts_in_tail, caches_kept_bytes, ..self.0.metrics.get() }
    }

    /// Who is asked about changes from now on.
    pub fn set_gate(&self, gate: Rc<dyn Gate>) {
        *self.0.gate.borrow_mut() = Some(gate);
    }

    /// [`Store::commit`] of what somebody wants, when the gate lets it pass.
    ///
    /// # Errors
    /// The gate refuses, or as [`Store::commit`].
    pub fn commit_for(&self, actor: &Actor, account: &AccountHandle, ops: &[Op]) -> Result<LogPos, StoreError> {
        let gate = self.0.gate.borrow().clone();
        let (Some(gate), false) = (gate, ops.is_empty()) else { return self.commit(account, ops) };
        let change = Change { actor, account, ops };
        gate.before(&change)?;
        let pos = self.commit(account, ops)?;
        gate.after(&change);
        Ok(pos)
    }

    /// Logs ops that the account has validated and applies them, whatever the gate would say. No await lies between validation and this.
    ///
    /// # Errors
    /// The log refuses, or lost the account or a body that the ops name; then nothing changed.
    pub fn commit(&self, account: &AccountHandle, ops: &[Op]) -> Result<LogPos, StoreError> {
        if ops.is_empty() {
            return Ok(account.last());
        }
        self.0.may_log(account, ops)?;
        let payload = op::encode(ops);
        let appended = self.0.log.append(account.id(), RecordKind::Op, &[&payload])?;
        account.with_mut(|state| state.apply(ops, appended.end));
        account.logged(appended, payload.len(), ops);
        self.count_ops(ops);
        Ok(appended.end)
    }

    /// The same for a change that no reply waits for, because losing it does no harm.
    ///
    /// # Errors
    /// As [`Store::commit`].
    pub fn commit_unwaited(&self, account: &AccountHandle, ops: &[Op]) -> Result<(), StoreError> {
        let last = account.last();
        self.commit(account, ops)?;
        account.wait_no_further_than(last);
        Ok(())
    }

    /// Waits until all that the account shows is durable: no reply leaves before.
    ///
    /// # Errors
    /// The log failed; what was shown since the last success may be lost, and must not be told.
    pub async fn durable(&self, account: &AccountHandle) -> Result<(), StoreError> {
        if let Some(error) = account.lost() {
            return Err(error.into());
        }
        let last = account.last();
        if self.0.log.is_durable(last) {
            return Ok(());
        }
        Ok(self.0.log.durable(last).await?)
    }

    /// Bytes of a message of an account. An address that was true a moment ago still is, wherever the body went since; another
    /// message's bytes are never taken for it.
    ///
    /// # Errors
    /// Gone, damaged, or the disk failed; or the account was let go of, which [`AccountHandle::lost`] says too.
    pub async fn read_body(
        &self,
        account: &AccountHandle,
        message: &Fixed,
        range: Range<u64>,
    ) -> Result<Vec<u8>, StoreError> {
        self.find_body(account, message, range).await.map_err(|error| self.unread(account, error))
    }

    /// The same for who looks for damage, and asks for no other look.
    pub(crate) async fn find_body(
        &self,
        account: &AccountHandle,
        message: &Fixed,
        range: Range<u64>,
    ) -> Result<Vec<u8>, ReadError> {
        let mut at = message.body;
        loop {
            match self.read_body_at(account, (&at, &message.guid), range.clone()).await {
                Err(ReadError::Missing { .. } | ReadError::PackMissing { .. }) if account.moved(&at).is_some() => {
                    at = account.moved(&at).expect("just looked");
                }
                read => return read,
            }
        }
    }

    /// What not being able to read something of an account comes to. Damage is looked at before long; where the account was let go of
    /// meanwhile there is none: its files may have gone with it, or be others.
    fn unread(&self, account: &AccountHandle, error: ReadError) -> StoreError {
        if !error.is_damage() {
            return error.into();
        }
        if let Some(lost) = account.lost() {
            return lost.into();
        }
        self.note_sick(account.id());
        error.into()
    }

    async fn read_body_at(
        &self,
        account: &AccountHandle,
        (body, guid): (&BodyAddr, &Guid),
        range: Range<u64>,
    ) -> Result<Vec<u8>, ReadError> {
        if let Place::Pack(number) = body.place {
            self.count(|m| m.body_reads.pack += 1);
            if let Some(bytes) = self.0.packs.read_kept(account.id(), (number, body, guid), &range) {
                return Ok(bytes);
            }
            let folder = paths::account(&self.0.dir, account.id());
            return self.0.packs.read_body(account.id(), &folder, (number, body, guid), range).await;
        }
        match self.0.log.read_body_cached(body, range.clone()) {
            Some(bytes) => {
                self.count(|m| m.body_reads.log_cached += 1);
                Ok(bytes)
            }
            None => {
                self.count(|m| m.body_reads.log_disk += 1);
                self.0.log.read_body(body, range).await
            }
        }
    }

    /// The rendered cache behind a message's bytes.
    ///
    /// # Errors
    /// As [`Store::read_body`].
    pub async fn read_cache(&self, account: &AccountHandle, message: &Fixed) -> Result<Rc<[u8]>, StoreError> {
        if let Some(cache) = self.cache_at_hand(message) {
            return Ok(cache);
        }
        let mut at = message.body;
        loop {
            match self.read_cache_at(account, (&at, &message.guid)).await {
                Err(ReadError::Missing { .. } | ReadError::PackMissing { .. }) if account.moved(&at).is_some() => {
                    at = account.moved(&at).expect("just looked");
                }
                read => return read.map_err(|error| self.unread(account, error)),
            }
        }
    }

    async fn read_cache_at(
        &self,
        account: &AccountHandle,
        (body, guid): (&BodyAddr, &Guid),
    ) -> Result<Rc<[u8]>, ReadError> {
        if let Place::Pack(number) = body.place {
            let folder = paths::account(&self.0.dir, account.id());
            self.count(|m| m.cache_reads.pack += 1);
            return Ok(self.0.packs.read_cache(account.id(), &folder, (number, body, guid)).await?.into());
        }
        self.count(|m| m.cache_reads.log_disk += 1);
        Ok(self.keep_cache(body, self.0.log.read_body_cache(body).await?))
    }

    /// The rendered cache of a message that is in the log, at once: when memory has it, or else the page cache and it is not large.
    /// `None` says nothing of what [`Store::read_cache`] would find.
    pub fn cache_at_hand(&self, message: &Fixed) -> Option<Rc<[u8]>> {
        let body = &message.body;
        let Place::Log(segment) = body.place else { return None };
        if body.cache_bytes == 0 {
            return None;
        }
        let kept = self.0.caches.borrow_mut().get(LogPos { segment, offset: body.offset });
        if kept.is_some() {
            self.count(|m| m.caches_from_memory += 1);
            return kept;
        }
        if body.bytes > READ_AT_ONCE_BYTES_MAX {
            return None;
        }
        let read = self.0.log.read_body_cache_cached(body)?;
        self.count(|m| m.cache_reads.log_cached += 1);
        Some(self.keep_cache(body, read))
    }

    fn keep_cache(&self, body: &BodyAddr, read: Vec<u8>) -> Rc<[u8]> {
        let cache: Rc<[u8]> = read.into();
        if let Place::Log(segment) = body.place {
            self.0.caches.borrow_mut().keep(LogPos { segment, offset: body.offset }, &cache);
        }
        cache
    }

    /// Keeps a dictionary, durably: what this shard packs from now on is written with it. Others hear of it by
    /// [`Store::dictionaries`].
    ///
    /// # Errors
    /// It is not kept.
    pub async fn keep_dictionary(&self, dictionary: Dictionary) -> Result<(), DictionaryError> {
        self.0.packs.dictionaries().keep(dictionary).await
    }

    /// The data folder's dictionaries as they are there now; the newest is the one to write with.
    ///
    /// # Errors
    /// The disk failed.
    pub async fn dictionaries(&self) -> Result<Vec<Dictionary>, StoreError> {
        let all = self.0.packs.dictionaries().all().await?;
        Ok(all.iter().map(|dictionary| (**dictionary).clone()).collect())
    }

    /// An identity for a new message: its address in this data folder and the log's own random run make it unique.
    pub fn guid(&self, body: &BodyAddr) -> Guid {
        let mut hash = blake3::Hasher::new();
        hash.update(&self.0.log.run_id());
        hash.update(&body.encode());
        let mut guid = [0; 16];
        guid.copy_from_slice(&hash.finalize().as_bytes()[..16]);
        Guid(guid)
    }

    fn count_ops(&self, ops: &[Op]) {
        self.count(|m| {
            m.ops += ops.len() as u64;
            for op in ops {
                match op {
                    Op::Append { messages, .. } => m.messages_added += messages.len() as u64,
                    Op::Expunge { uids, .. } => m.messages_expunged += uids.count(),
                    _ => {}
                }
            }
        });
    }

    fn count(&self, change: impl FnOnce(&mut StoreMetrics)) {
        let mut metrics = self.0.metrics.get();
        change(&mut metrics);
        self.0.metrics.set(metrics);
    }
}
