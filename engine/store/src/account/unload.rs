//! Mailboxes leave memory when nobody looks at them, and what an account costs while it is open.

use super::{Account, Entry};
use skein_base::MailboxId;

/// Of the maps that hold an entry.
const ENTRY_BYTES: usize = size_of::<Entry>() + 64;
/// Of the first nodes of the maps by identity and by name, which have room for eleven entries each.
const NODES_BYTES: usize = 11 * (size_of::<Entry>() + size_of::<Box<str>>() + 2 * size_of::<MailboxId>()) + 32;

impl Account {
    /// Somebody comes for a mailbox: it stays for a while.
    pub(crate) fn touch(&mut self, id: MailboxId, now_ms: u64) {
        if let Some(entry) = self.entries.get_mut(&id) {
            entry.used_ms = now_ms;
        }
    }

    /// Takes mailboxes out of memory whose snapshot says all they know, that no view is open on, and that nobody has
    /// come for since `before_ms`. How many went.
    pub(crate) fn unload(&mut self, before_ms: u64) -> u64 {
        let mut gone = 0;
        let derived = &self.derived;
        let old = self.entries.iter_mut().filter(|(id, entry)| entry.used_ms <= before_ms && !derived.pins(**id));
        for (_, entry) in old {
            if let Some(mailbox) = entry.mailbox.take_if(|mailbox| mailbox.is_on_disk()) {
                // An older file than this one is not to be trusted when it is read again.
                entry.snapshot = mailbox.pos();
                entry.usage = mailbox.usage_if_known();
                entry.bodies_from = mailbox.bodies_from();
                gone += 1;
            }
        }
        gone
    }

    /// Whether a message that only sessions still see is at an address that `is` it.
    pub(crate) fn keeps(&self, mut is: impl FnMut(&crate::body::BodyAddr) -> bool) -> bool {
        let mut live = self.entries.values().filter_map(|entry| entry.mailbox.as_deref());
        live.any(|mailbox| mailbox.gone_at(&mut is))
            || self.orphans.values().any(|m| m.any_at(&mut is))
            || self.derived.mailboxes().any(|mailbox| mailbox.gone_at(&mut is))
    }

    /// Whether any message in memory, those that only sessions see among them, is at an address that `is` it.
    pub(crate) fn any_at(&self, mut is: impl FnMut(&crate::body::BodyAddr) -> bool) -> bool {
        let live = self.entries.values().filter_map(|entry| entry.mailbox.as_deref());
        live.chain(self.orphans.values()).chain(self.derived.mailboxes()).any(|mailbox| mailbox.any_at(&mut is))
    }

    /// Rows of the mailboxes that a checkpoint would write.
    pub(crate) fn rows_changed(&self) -> u64 {
        self.loaded().filter(|mailbox| mailbox.wants_snapshot()).map(|mailbox| u64::from(mailbox.rows().count())).sum()
    }

    /// An estimate of what the account takes in memory, bytes.
    pub fn memory_bytes(&self) -> usize {
        let entries = self.entries.values().map(|entry| {
            let mailbox = entry.mailbox.as_ref().map_or(0, |mailbox| mailbox.memory_bytes());
            // Its name is kept twice: here and in the map by name.
            ENTRY_BYTES + 2 * entry.name.len() + mailbox + super::metadata::memory_bytes(&entry.metadata)
        });
        let orphans = self.orphans.values().map(|mailbox| mailbox.memory_bytes());
        let subscriptions = self.subscriptions.iter().map(|name| name.len() + 32);
        let beside =
            super::metadata::memory_bytes(&self.metadata) + self.journal.memory_bytes() + self.derived.memory_bytes();
        size_of::<Account>() + NODES_BYTES + beside + entries.chain(orphans).chain(subscriptions).sum::<usize>()
    }
}
