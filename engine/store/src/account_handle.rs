//! An open account: its state, and who waits for it to change.

use crate::account::Account;
use skein_base::sync::Notify;
use skein_base::{AccountId, LogPos, MailboxId, UserName};
use std::cell::{Cell, RefCell};
use std::rc::Rc;

use crate::mailbox::ViewId;

/// An open account, shared by the sessions of its user on this shard.
pub struct AccountHandle {
    id: AccountId,
    user: UserName,
    /// Never borrowed across an await.
    state: RefCell<Account>,
    changed: Notify,
    /// The end of the last record of this account: what a reply must wait for.
    last: Cell<LogPos>,
    pub(crate) ops_since_checkpoint: Cell<u64>,
    pub(crate) checkpoint_runs: Cell<bool>,
}

impl AccountHandle {
    pub(crate) fn new(id: AccountId, user: UserName, account: Account) -> Rc<AccountHandle> {
        Rc::new(AccountHandle {
            id,
            user,
            state: RefCell::new(account),
            changed: Notify::new(),
            last: Cell::default(),
            ops_since_checkpoint: Cell::new(0),
            checkpoint_runs: Cell::new(false),
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

    /// Told after each change of the account.
    pub fn changed(&self) -> &Notify {
        &self.changed
    }

    /// A reply that shows the account's present state waits until the log is durable up to here.
    pub fn last(&self) -> LogPos {
        self.last.get()
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

    pub(crate) fn logged(&self, end: LogPos, ops: u64) {
        self.last.set(self.last.get().max(end));
        self.ops_since_checkpoint.set(self.ops_since_checkpoint.get() + ops);
        self.changed.notify_all();
    }
}
