//! What has happened to an account lately, for sessions that tell their clients of it (RFC 5464 §4.4.2, RFC 5465).
//!
//! ```text
//! apply ─▶ push ─▶ [ event | event | .. ]     numbered; only while somebody listens
//!                     ▲ each session knows up to where it has read
//! ```
//!
//! One event costs the same whoever listens, and each session reads it once. Never on disk: a session begins with what is so now.

use super::Account;
use crate::op::Op;
use skein_base::MailboxId;
use std::collections::VecDeque;

/// Events kept for sessions that are behind. A session reads them as soon as its client may be told; one that is so far behind has missed
/// some, and is told that.
const EVENTS_MAX: usize = 1024;

/// Something that clients may be told.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Event {
    /// Messages came into a mailbox.
    New {
        /// Which.
        mailbox: MailboxId,
    },
    /// Messages left a mailbox.
    Expunged {
        /// Which.
        mailbox: MailboxId,
    },
    /// Flags or keywords changed.
    Flags {
        /// Where.
        mailbox: MailboxId,
    },
    /// A mailbox began.
    Created {
        /// Which.
        mailbox: MailboxId,
    },
    /// A mailbox ended.
    Deleted {
        /// What it was called.
        name: Box<str>,
    },
    /// A mailbox took another name.
    Renamed {
        /// Which.
        mailbox: MailboxId,
        /// What it was called.
        from: Box<str>,
    },
    /// A name entered or left the subscriptions.
    Subscription {
        /// Which.
        name: Box<str>,
    },
    /// What a mailbox is for was changed.
    SpecialUse {
        /// Which.
        mailbox: MailboxId,
    },
    /// An annotation was set or removed.
    Metadata {
        /// Of which mailbox; `None` for the account's own.
        mailbox: Option<MailboxId>,
        /// Its name.
        name: Box<str>,
    },
}

/// Some events are not kept any more: the listener was too far behind.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Missed;

#[derive(Default)]
pub(super) struct Journal {
    /// Number of the first event that is kept.
    first: u64,
    events: VecDeque<Event>,
    listeners: u32,
}

impl Journal {
    pub(super) fn push(&mut self, event: impl FnOnce() -> Event) {
        if self.listeners == 0 {
            return;
        }
        if self.events.len() == EVENTS_MAX {
            self.events.pop_front();
            self.first += 1;
        }
        self.events.push_back(event());
    }

    pub(super) fn messages(&mut self, mailbox: MailboxId, op: &Op) {
        match op {
            Op::Append { .. } => self.push(|| Event::New { mailbox }),
            Op::Expunge { .. } => self.push(|| Event::Expunged { mailbox }),
            Op::Store { .. } => self.push(|| Event::Flags { mailbox }),
            _ => {}
        }
    }

    pub(super) fn memory_bytes(&self) -> usize {
        self.events.capacity() * size_of::<Event>()
    }

    fn end(&self) -> u64 {
        self.first + self.events.len() as u64
    }
}

impl Account {
    /// Begins to keep events for one more session: the number of the first that it will be told.
    pub fn listen(&mut self) -> u64 {
        self.journal.listeners += 1;
        self.journal.end()
    }

    /// One session listens no more.
    pub fn stop_listening(&mut self) {
        let journal = &mut self.journal;
        journal.listeners = journal.listeners.saturating_sub(1);
        if journal.listeners == 0 {
            journal.first = journal.end();
            journal.events = VecDeque::new();
        }
    }

    /// The number that the next event will have.
    pub fn events_end(&self) -> u64 {
        self.journal.end()
    }

    /// The events from this number on, with their numbers.
    ///
    /// # Errors
    /// Some of them are not kept any more.
    pub fn events_from(&self, from: u64) -> Result<impl Iterator<Item = (u64, &Event)>, Missed> {
        let skip = from.checked_sub(self.journal.first).ok_or(Missed)?;
        let first = self.journal.first;
        Ok((first..).zip(&self.journal.events).skip(skip.min(self.journal.events.len() as u64) as usize))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn subscribe(account: &mut Account, count: u64) {
        (0..count).for_each(|n| account.journal.push(|| Event::Subscription { name: n.to_string().into() }));
    }

    #[test]
    fn events_are_kept_while_somebody_listens() {
        let mut account = Account::unborn();
        subscribe(&mut account, 3);
        let (one, two) = (account.listen(), account.listen());
        assert_eq!(account.events_from(one).unwrap().count(), 0);
        subscribe(&mut account, 2);
        let seen: Vec<u64> = account.events_from(two).unwrap().map(|(number, _)| number).collect();
        assert_eq!(seen, [two, two + 1]);
        account.stop_listening();
        assert_eq!(account.events_from(one).unwrap().count(), 2);
        account.stop_listening();
        assert_eq!((account.journal.events.capacity(), account.events_end()), (0, one + 2));
    }

    #[test]
    fn who_is_too_far_behind_is_told() {
        let mut account = Account::unborn();
        let from = account.listen();
        subscribe(&mut account, EVENTS_MAX as u64);
        assert_eq!(account.events_from(from).unwrap().count(), EVENTS_MAX);
        subscribe(&mut account, 1);
        assert_eq!(account.events_from(from).err(), Some(Missed));
        assert_eq!(account.events_from(from + 1).unwrap().count(), EVENTS_MAX);
        assert_eq!(account.journal.events.len(), EVENTS_MAX);
    }
}
