//! An open account: its state, and who waits for it to change.

use crate::account::{Account, AccountError};
use crate::body::BodyAddr;
use crate::error::StoreError;
use crate::log::{Appended, LogError, TailRecord};
use crate::op::{self, Op};
use skein_base::sync::Notify;
use skein_base::{AccountId, LogPos, MailboxId, UserName};
use std::any::Any;
use std::borrow::Cow;
use std::cell::{Cell, OnceCell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;

use crate::mailbox::ViewId;

/// Why an account in memory is to be let go of.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Lost {
    /// The log lost changes that it shows.
    Log(LogError),
    /// It was ended, and its mail removed.
    Ended,
}

impl Lost {
    /// For the log, of each session that ends by it.
    pub fn why(&self) -> Cow<'static, str> {
        match self {
            // That it was damaged, or that somebody restores it: the log of the shard lost nothing.
            Lost::Log(error @ LogError::Distrusted { .. }) => error.to_string().into(),
            Lost::Log(_) => "the log lost changes".into(),
            Lost::Ended => "the account was removed".into(),
        }
    }
}

impl From<Lost> for StoreError {
    fn from(lost: Lost) -> StoreError {
        match lost {
            Lost::Log(error) => error.into(),
            Lost::Ended => AccountError::NoSuchAccount.into(),
        }
    }
}

/// An open account, shared by the sessions of its user on this shard.
pub struct AccountHandle {
    id: AccountId,
    user: UserName,
    /// Never borrowed across an await.
    state: RefCell<Account>,
    changed: Notify,
    /// The end of the last record of this account: what a reply must wait for.
    last: Cell<LogPos>,
    /// Its records that no checkpoint of this run covers, in log order: what opening it again may replay.
    tail: RefCell<Vec<TailRecord>>,
    /// When somebody was last seen using it, in milliseconds of the store's clock.
    pub(crate) used_ms: Cell<u64>,
    /// What it took in memory when that was last looked at; 0 when that is out of date.
    pub(crate) memory_bytes: Cell<usize>,
    pub(crate) changes_since_checkpoint: Cell<u64>,
    pub(crate) checkpoint_runs: Cell<bool>,
    /// Why its memory is not to be trusted.
    lost: RefCell<Option<Lost>>,
    /// Who waits for that; most accounts never have one.
    lost_signal: OnceCell<Notify>,
    /// Its snapshots may name bodies in the log that none of its records name.
    pub(crate) bodies_anywhere: Cell<bool>,
    /// Messages have left, so that a pack may hold waste.
    pub(crate) packs_shrank: Cell<bool>,
    /// What extensions keep with it, one of each type.
    slots: RefCell<Vec<Rc<dyn Any>>>,
    /// Where bodies went lately: for those who read an address a moment ago and come with it now.
    moved: RefCell<[HashMap<BodyAddr, BodyAddr>; 2]>,
}

impl AccountHandle {
    /// `tail` is what there is of it in the log, also what its files know already.
    pub(crate) fn new(id: AccountId, user: UserName, account: Account, tail: Vec<TailRecord>) -> Rc<AccountHandle> {
        Rc::new(AccountHandle {
            id,
            user,
            state: RefCell::new(account),
            changed: Notify::new(),
            last: Cell::default(),
            tail: RefCell::new(tail),
            used_ms: Cell::new(0),
            memory_bytes: Cell::new(0),
            changes_since_checkpoint: Cell::new(0),
            checkpoint_runs: Cell::new(false),
            lost: RefCell::new(None),
            lost_signal: OnceCell::new(),
            bodies_anywhere: Cell::new(false),
            packs_shrank: Cell::new(false),
            slots: RefCell::default(),
            moved: RefCell::default(),
        })
    }

    /// Its identity.
    pub fn id(&self) -> AccountId {
        self.id
    }

    /// Whose it is.
    pub fn user(&self) -> &UserName {
        &self.user
    }

    /// Looks at the state. Not across an await.
    pub fn read<T>(&self, look: impl FnOnce(&Account) -> T) -> T {
        look(&self.state.borrow())
    }

    /// Moves views. What is logged changes through [`crate::Store::commit`] only.
    pub fn with_mut<T>(&self, change: impl FnOnce(&mut Account) -> T) -> T {
        change(&mut self.state.borrow_mut())
    }

    /// What an extension keeps with the open account, by its type.
    pub fn slot<T: 'static>(&self) -> Option<Rc<T>> {
        self.slots.borrow().iter().find_map(|slot| slot.clone().downcast().ok())
    }

    /// Keeps it, in the place of another of its type, until the account closes.
    pub fn put_slot<T: 'static>(&self, value: Rc<T>) {
        let mut slots = self.slots.borrow_mut();
        slots.retain(|slot| !slot.is::<T>());
        slots.push(value);
    }

    /// Told after each change of the account.
    pub fn changed(&self) -> &Notify {
        &self.changed
    }

    /// A reply that shows the account's present state waits until the log is durable up to here.
    pub fn last(&self) -> LogPos {
        self.last.get()
    }

    /// Why the account must be let go of and opened again.
    pub fn lost(&self) -> Option<Lost> {
        self.lost.borrow().clone()
    }

    /// Whether it is still somebody's: what its files say is nothing to go by once it has ended.
    pub(crate) fn has_not_ended(&self) -> Result<(), AccountError> {
        match *self.lost.borrow() {
            Some(Lost::Ended) => Err(AccountError::NoSuchAccount),
            Some(Lost::Log(_)) | None => Ok(()),
        }
    }

    /// Resolves when [`AccountHandle::lost`] has a reason.
    pub async fn until_lost(&self) -> Lost {
        loop {
            let signal = self.lost_signal.get_or_init(Notify::new).notified();
            if let Some(lost) = self.lost() {
                return lost;
            }
            signal.await;
        }
    }

    /// Ends a view, and with it a deleted mailbox that only this view kept.
    pub fn close_view(&self, mailbox: MailboxId, view: ViewId) {
        self.with_mut(|account| {
            if let Some(mailbox) = account.mailbox_mut(mailbox) {
                mailbox.close_view(view);
            }
            account.drop_orphan(mailbox);
        });
    }

    pub(crate) fn wait_no_further_than(&self, last: LogPos) {
        self.last.set(last);
    }

    pub(crate) fn logged(&self, at: Appended, bytes: usize, ops: &[Op]) {
        self.last.set(self.last.get().max(at.end));
        let oldest = op::oldest_segment(ops).min(at.start.segment);
        let record = TailRecord { start: at.start, end: at.end, bytes: bytes as u32, oldest, ends: op::is_end(ops) };
        self.tail.borrow_mut().push(record);
        self.look_for_waste(ops);
        self.changes_since_checkpoint.set(self.changes_since_checkpoint.get() + op::changes(ops));
        self.memory_bytes.set(0);
        self.changed.notify_all();
    }

    /// Notes where bodies went. The moves of this checkpoint and of the one before are remembered.
    pub(crate) fn note_moved(&self, moved: HashMap<BodyAddr, BodyAddr>) {
        if !moved.is_empty() {
            let kept = &mut *self.moved.borrow_mut();
            kept.swap(0, 1);
            kept[0] = moved;
        }
    }

    /// Where the body went that was at this address.
    pub(crate) fn moved(&self, from: &BodyAddr) -> Option<BodyAddr> {
        let kept = self.moved.borrow();
        kept.iter().find_map(|moved| moved.get(from)).copied()
    }

    /// A checkpoint true to `pos` stands: what it covers need never be replayed.
    pub(crate) fn covered(&self, pos: LogPos) {
        let mut tail = self.tail.borrow_mut();
        let covered = tail.partition_point(|record| record.end <= pos);
        tail.drain(..covered);
        // A burst of changes must not stay in memory for as long as the account is open.
        if tail.capacity() > 4 * tail.len().max(16) {
            tail.shrink_to_fit();
        }
    }

    /// The end of its last record that no checkpoint covers.
    pub(crate) fn tail_end(&self) -> Option<LogPos> {
        self.tail.borrow().last().map(|record| record.end)
    }

    /// From now on nothing is taken through this.
    pub(crate) fn lose(&self, lost: Lost) {
        *self.lost.borrow_mut() = Some(lost);
        self.changed.notify_all();
        if let Some(signal) = self.lost_signal.get() {
            signal.notify_all();
        }
    }

    pub(crate) fn look_for_waste(&self, ops: &[Op]) {
        if ops.iter().any(|op| matches!(op, Op::Expunge { .. } | Op::DeleteMailbox { .. })) {
            self.packs_shrank.set(true);
        }
    }

    /// Whether one of its records, a snapshot of it, or a message that some session still sees needs a segment up to `segment`.
    pub(crate) fn needs(&self, segment: u64) -> bool {
        self.bodies_anywhere.get()
            || self.tail.borrow().iter().any(|record| record.oldest <= segment)
            || self.bodies_from() <= segment
            || self.state.borrow().keeps(|body| body.oldest_segment() <= segment)
    }

    /// The oldest segment of the log with a body that its snapshots name.
    pub(crate) fn bodies_from(&self) -> u64 {
        self.state.borrow().bodies_from()
    }

    /// Its records that no checkpoint covers.
    pub(crate) fn tail_records(&self) -> Vec<TailRecord> {
        self.tail.borrow().clone()
    }

    /// Its records, for the index that keeps them once it is closed.
    pub(crate) fn take_tail(&self) -> Vec<TailRecord> {
        let mut tail = self.tail.take();
        tail.shrink_to_fit();
        tail
    }

    /// Looks at what it takes in memory.
    pub(crate) fn weigh(&self) {
        let tail = self.tail.borrow().capacity() * size_of::<TailRecord>();
        let state = self.state.borrow().memory_bytes();
        self.memory_bytes.set(size_of::<AccountHandle>() + self.user.as_str().len() + tail + state);
    }
}
