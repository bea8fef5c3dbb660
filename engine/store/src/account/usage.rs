//! How much an account holds, and how much a change would add.

use super::Account;
use crate::mailbox::Mailbox;
use crate::op::Op;
use skein_base::{MailboxId, UidValidity};

/// Messages and their bytes (RFC822.SIZE).
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Usage {
    /// Messages.
    pub messages: u64,
    /// Sum of their sizes.
    pub bytes: u64,
}

impl std::ops::Add for Usage {
    type Output = Usage;
    fn add(self, more: Usage) -> Usage {
        Usage { messages: self.messages + more.messages, bytes: self.bytes + more.bytes }
    }
}

impl std::iter::Sum for Usage {
    fn sum<I: Iterator<Item = Usage>>(all: I) -> Usage {
        all.fold(Usage::default(), std::ops::Add::add)
    }
}

impl Mailbox {
    /// What it holds, if that has been counted: [`Mailbox::bytes`] counts it.
    pub fn usage_if_known(&self) -> Option<Usage> {
        Some(Usage { messages: u64::from(self.rows().count()), bytes: self.bytes_if_known()? })
    }
}

impl Account {
    /// What one mailbox holds; `None` while that is not known, which measuring cures.
    pub fn usage_of(&self, id: MailboxId) -> Option<Usage> {
        let entry = self.entries.get(&id)?;
        entry.mailbox.as_deref().map_or(entry.usage, |mailbox| mailbox.usage_if_known())
    }

    /// Mailboxes of which it is known what they hold, and that.
    pub(super) fn measured(&self) -> impl Iterator<Item = (MailboxId, Usage)> {
        self.entries.keys().filter_map(|id| Some((*id, self.usage_of(*id)?)))
    }

    /// A mailbox that begins. Where it is known what the others hold, it is of this one too.
    pub(super) fn empty_mailbox(&self, id: MailboxId, validity: UidValidity) -> Mailbox {
        let mailbox = Mailbox::new(id, validity);
        if self.measured().next().is_some() {
            mailbox.bytes_are(0);
        }
        mailbox
    }

    /// Mailboxes of which it is not known what they hold.
    pub fn unmeasured(&self) -> impl Iterator<Item = MailboxId> {
        self.entries.keys().copied().filter(|id| self.usage_of(*id).is_none())
    }

    /// What ops would take out of a mailbox.
    pub fn leaving(&self, op: &Op) -> Usage {
        let Op::Expunge { mailbox, uids } = op else { return Usage::default() };
        let Some(mailbox) = self.mailbox(*mailbox) else { return Usage::default() };
        let size = |row| Usage { messages: 1, bytes: u64::from(mailbox.fixed(row).size) };
        mailbox.rows().among(uids).map(size).sum()
    }

    /// What ops would bring into a mailbox.
    pub fn arriving(op: &Op) -> Usage {
        let Op::Append { messages, .. } = op else { return Usage::default() };
        messages.iter().map(|message| Usage { messages: 1, bytes: u64::from(message.size) }).sum()
    }
}
