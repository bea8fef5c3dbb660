//! A session that listens to its account, since its client asked to be told what others do (RFC 5464 §4.4.2, RFC 5465).
//!
//! ```text
//! the account's events ──▶ from `next` on, without what this session did
//! ```

use super::session::Session;
use skein_base::{IdSet, MailboxId};
use skein_store::account::Account;
use skein_store::op::Op;
use skein_store::{AccountHandle, StoreError};
use std::collections::VecDeque;
use std::ops::Range;
use std::rc::Rc;

/// The entry that says what a mailbox is for (RFC 6154 §4).
pub(super) const SPECIAL_USE: &str = "/private/specialuse";

/// A listener.
pub(crate) struct Watch {
    account: Rc<AccountHandle>,
    /// Number of the first event that it has not looked at.
    next: u64,
    /// Numbers of those events from there on that are its own doing.
    own: VecDeque<Range<u64>>,
    /// Messages that it brought into the selected mailbox, and that its view has not shown yet.
    own_uids: IdSet,
    /// ENABLE METADATA or METADATA-SERVER was said: `Some(true)` for annotations of mailboxes too.
    metadata: Option<bool>,
}

/// What there is to look at.
pub(super) enum Batch {
    /// Events from a number on, but these.
    Events { from: u64, own: VecDeque<Range<u64>> },
    /// More than are kept.
    Missed,
}

impl Watch {
    fn new(account: &Rc<AccountHandle>) -> Watch {
        let next = account.with_mut(Account::listen);
        let account = account.clone();
        Watch { account, next, own: VecDeque::new(), own_uids: IdSet::new(), metadata: None }
    }

    fn is_behind(&self) -> bool {
        self.account.read(Account::events_end) > self.next
    }

    /// What has happened since the last time, when anything has.
    pub(super) fn batch(&mut self) -> Option<Batch> {
        if !self.is_behind() {
            return None;
        }
        let (from, own) = (self.next, std::mem::take(&mut self.own));
        self.next = self.account.read(Account::events_end);
        match self.account.read(|account| account.events_from(from).is_ok()) {
            true => Some(Batch::Events { from, own }),
            false => Some(Batch::Missed),
        }
    }

    /// Whether ENABLE asked for annotations, of mailboxes or of the server.
    pub(super) fn tells_metadata(&self, of_mailbox: bool) -> bool {
        self.metadata.is_some_and(|mailboxes| mailboxes || !of_mailbox)
    }

    pub(super) fn take_own_uids(&mut self) -> IdSet {
        std::mem::take(&mut self.own_uids)
    }

    /// Events with these numbers are the session's own.
    fn note_own(&mut self, events: Range<u64>) {
        match self.own.back_mut() {
            _ if events.is_empty() => {}
            Some(last) if last.end == events.start => last.end = events.end,
            _ => self.own.push_back(events),
        }
    }

    fn note_own_messages(&mut self, selected: MailboxId, ops: &[Op]) {
        for op in ops {
            if let Op::Append { mailbox, first_uid, messages } = op
                && *mailbox == selected
            {
                let last = first_uid.0.saturating_add(messages.len() as u32 - 1);
                self.own_uids = self.own_uids.union(&IdSet::range(first_uid.0, last));
            }
        }
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.account.with_mut(Account::stop_listening);
    }
}

impl Session {
    /// From now on the client is told of annotations that others change.
    pub(super) fn watch_metadata(&mut self, mailboxes: bool) {
        let metadata = &mut self.start_watching().metadata;
        *metadata = Some(mailboxes || *metadata == Some(true));
    }

    pub(super) fn start_watching(&mut self) -> &mut Watch {
        self.watch.get_mut().get_or_insert_with(|| Box::new(Watch::new(&self.account)))
    }

    pub(super) fn stop_watching(&mut self) {
        *self.watch.get_mut() = None;
    }

    /// Whether others have done something that the client may have to be told of.
    pub(super) fn has_events(&self) -> bool {
        self.watch.borrow().as_ref().is_some_and(|watch| watch.is_behind())
    }

    /// Logs and applies what has been validated, when the gate lets it pass; what it makes happen is no news to this session.
    pub(crate) fn commit(&self, ops: &[Op]) -> Result<(), StoreError> {
        let from = self.account.read(Account::events_end);
        let committed = self.store.commit_for(&self.actor, &self.account, ops);
        if let Some(watch) = &mut *self.watch.borrow_mut() {
            watch.note_own(from..self.account.read(Account::events_end));
            if let Some(selected) = &self.selected {
                watch.note_own_messages(selected.mailbox, ops);
            }
        }
        committed.map(drop)
    }
}
