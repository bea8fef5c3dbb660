//! What others do to the account, beside what is selected, for a session whose client asked to be told (RFC 5464 §4.4.2).
//!
//! ```text
//! the account's events ──▶ from `next` on, without what this session did ──▶ lines for the client
//! ```

use super::link::Link;
use super::session::Session;
use skein_base::MailboxId;
use skein_proto::imap::response;
use skein_store::account::{Account, Event, Missed};
use skein_store::op::Op;
use skein_store::{AccountHandle, StoreError};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::ops::Range;
use std::rc::Rc;

/// The entry that says what a mailbox is for (RFC 6154 §4).
pub(super) const SPECIAL_USE: &str = "/private/specialuse";

/// A session that listens to its account.
pub(crate) struct Watch {
    account: Rc<AccountHandle>,
    /// Number of the first event that it has not looked at.
    next: u64,
    /// Numbers of those events from there on that are its own doing.
    own: VecDeque<Range<u64>>,
    /// Annotations of mailboxes are told.
    mailbox_metadata: bool,
    /// Annotations of the account are told.
    server_metadata: bool,
}

/// Names of annotations by whose they are.
type Changed = BTreeMap<Option<MailboxId>, BTreeSet<String>>;

impl Watch {
    fn new(account: &Rc<AccountHandle>) -> Watch {
        let next = account.with_mut(Account::listen);
        let account = account.clone();
        Watch { account, next, own: VecDeque::new(), mailbox_metadata: false, server_metadata: false }
    }

    /// Whether something has happened since it last looked.
    fn is_behind(&self) -> bool {
        self.account.read(Account::events_end) > self.next
    }

    /// Events with these numbers are the session's own.
    fn note_own(&mut self, events: Range<u64>) {
        match self.own.back_mut() {
            _ if events.is_empty() => {}
            Some(last) if last.end == events.start => last.end = events.end,
            _ => self.own.push_back(events),
        }
    }

    /// What others have changed since it last looked.
    fn changed(&mut self) -> Changed {
        let (from, own) = (self.next, std::mem::take(&mut self.own));
        self.next = self.account.read(Account::events_end);
        let is_told = |of: Option<MailboxId>| if of.is_some() { self.mailbox_metadata } else { self.server_metadata };
        self.account.read(|account| {
            let mut changed = Changed::new();
            let mut add = |of: Option<MailboxId>, name: &str| {
                if name.starts_with('/') && is_told(of) {
                    changed.entry(of).or_default().insert(name.to_owned());
                }
            };
            match account.events_from(from) {
                Ok(events) => {
                    let by_others = events.filter(|(number, _)| !own.iter().any(|range| range.contains(number)));
                    by_others.for_each(|(_, event)| match event {
                        Event::Metadata { mailbox, name } => add(*mailbox, name),
                        Event::SpecialUse { mailbox } => add(Some(*mailbox), SPECIAL_USE),
                        _ => {}
                    });
                }
                // Which have changed is not known any more: all may have.
                Err(Missed) => account.annotations().for_each(|(of, name, _)| add(of, name)),
            }
            changed
        })
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
        let watch = self.watch.get_mut().get_or_insert_with(|| Box::new(Watch::new(&self.account)));
        watch.mailbox_metadata |= mailboxes;
        watch.server_metadata = true;
    }

    /// Whether others have done something that the client may have to be told of.
    pub(super) fn has_events(&self) -> bool {
        self.watch.borrow().as_ref().is_some_and(|watch| watch.is_behind())
    }

    /// Tells what others have done to the account.
    pub(super) fn tell_events(&self, link: &mut Link<'_>) {
        let changed = match &mut *self.watch.borrow_mut() {
            Some(watch) if watch.is_behind() => watch.changed(),
            _ => return,
        };
        for (of, names) in &changed {
            self.account.read(|account| match of {
                // It may be gone by now.
                Some(id) if !account.exists(*id) => {}
                Some(id) => response::metadata_changed(link.out(), Some(account.name_of(*id)), names),
                None => response::metadata_changed(link.out(), None, names),
            });
        }
    }

    /// Logs and applies what has been validated, when the gate lets it pass; what it makes happen is no news to this session.
    pub(crate) fn commit(&self, ops: &[Op]) -> Result<(), StoreError> {
        let from = self.account.read(Account::events_end);
        let committed = self.store.commit_for(&self.actor, &self.account, ops);
        if let Some(watch) = &mut *self.watch.borrow_mut() {
            watch.note_own(from..self.account.read(Account::events_end));
        }
        committed.map(drop)
    }
}
