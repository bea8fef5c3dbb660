//! How ops change an account. Deterministic, never waits, never fails; live and replayed alike.

use super::{Account, Entry, Event};
use crate::op::Op;
use skein_base::{LogPos, MailboxId};

impl Account {
    /// Applies the ops of the record that ends at `pos`.
    ///
    /// The tree and each mailbox know up to where they are true, so a record that some of them have seen changes only
    /// the others. Ops on a mailbox that has since been deleted change nothing.
    pub fn apply(&mut self, ops: &[Op], pos: LogPos) {
        let tree_is_behind = pos > self.pos;
        let mut touched = Vec::new();
        for op in ops {
            match op.messages_of() {
                Some(id) => {
                    if let Some(mailbox) = self.entries.get_mut(&id).and_then(|e| e.mailbox.as_mut())
                        && pos > mailbox.pos()
                    {
                        mailbox.apply_part(op);
                        self.journal.messages(id, op);
                        self.derived.mirror(id, op);
                        touched.push(id);
                    }
                }
                None if tree_is_behind => self.apply_to_tree(op),
                None => {}
            }
        }
        // After the whole record: the ops of one rename may give a name that the next one frees.
        if self.names.len() != self.entries.len() {
            self.name_all();
        }
        for id in touched {
            if let Some(mailbox) = self.mailbox_mut(id) {
                mailbox.reached(pos);
            }
        }
        self.pos = self.pos.max(pos);
    }

    fn apply_to_tree(&mut self, op: &Op) {
        self.dirty = true;
        if matches!(op, Op::CreateMailbox { .. } | Op::RenameMailbox { .. }) {
            self.derived.note_tree();
        }
        match op {
            Op::CreateAccount { user, validity } => {
                self.user = Some(user.clone());
                self.add(MailboxId::INBOX, "INBOX", *validity);
            }
            Op::EndAccount { validity_last } => self.end(*validity_last),
            Op::CreateMailbox { mailbox, name, validity } => self.add(*mailbox, name, *validity),
            Op::DeleteMailbox { mailbox } => self.take_out(*mailbox),
            Op::RenameMailbox { mailbox, name } => self.give_name(*mailbox, name),
            Op::SetSpecialUse { mailbox, uses } => {
                if let Some(entry) = self.entries.get_mut(mailbox) {
                    entry.special_use = *uses;
                    self.journal.push(|| Event::SpecialUse { mailbox: *mailbox });
                }
            }
            Op::SetMetadata { mailbox, name, value } => self.annotate(*mailbox, name, value.as_deref()),
            Op::Subscribe { name, on } => {
                let changed = match on {
                    true => self.subscriptions.insert(name.clone()),
                    false => self.subscriptions.remove(name),
                };
                if changed {
                    self.journal.push(|| Event::Subscription { name: name.clone() });
                }
            }
            Op::Append { .. }
            | Op::Store { .. }
            | Op::Expunge { .. }
            | Op::ClaimRecent { .. }
            | Op::SetValues { .. }
            | Op::SetUniqueId { .. } => {
                unreachable!("an op of a mailbox's messages")
            }
        }
    }

    /// Nothing stays but the number that a new beginning has to go above.
    fn end(&mut self, validity_last: u32) {
        self.entries.keys().copied().collect::<Vec<_>>().into_iter().for_each(|id| self.take_out(id));
        self.user = None;
        self.names.clear();
        self.subscriptions.clear();
        self.metadata.clear();
        self.expected.clear();
        self.mailbox_last = 0;
        self.validity_last = validity_last;
    }

    fn add(&mut self, id: MailboxId, name: &str, validity: skein_base::UidValidity) {
        self.mailbox_last = self.mailbox_last.max(id.0);
        self.validity_last = self.validity_last.max(validity.0);
        if self.entries.contains_key(&id) {
            // Ops between were lost, or it was recovered under another name.
            return self.give_name(id, name);
        }
        self.names.insert(name.into(), id);
        let mailbox = self.expected.remove(&id).unwrap_or_else(|| self.empty_mailbox(id, validity));
        let mailbox = Some(Box::new(mailbox));
        self.entries.insert(id, Entry { mailbox, ..Entry::new(name.into(), validity, LogPos::default()) });
        self.journal.push(|| Event::Created { mailbox: id });
    }

    fn take_out(&mut self, id: MailboxId) {
        let Some(entry) = self.entries.remove(&id) else { return };
        self.derived.forget(id);
        self.journal.push(|| Event::Deleted { name: entry.name.clone() });
        if self.names.get(&entry.name) == Some(&id) {
            self.names.remove(&entry.name);
        }
        if let Some(mailbox) = entry.mailbox.filter(|m| m.view_count() > 0) {
            self.orphans.insert(id, *mailbox);
        }
    }

    pub(super) fn give_name(&mut self, id: MailboxId, name: &str) {
        let Some(entry) = self.entries.get_mut(&id) else { return };
        // A whole branch is renamed by several ops: a name is only taken out while it is still this mailbox's.
        if self.names.get(&entry.name) == Some(&id) {
            self.names.remove(&entry.name);
        }
        let from = std::mem::replace(&mut entry.name, name.into());
        self.names.insert(name.into(), id);
        self.journal.push(|| Event::Renamed { mailbox: id, from });
    }

    /// Gives mailboxes whose name went to another one, because ops between were lost, a name to be found by.
    fn name_all(&mut self) {
        let hidden = |(id, entry): (&MailboxId, &Entry)| (self.names.get(&entry.name) != Some(id)).then_some(*id);
        let hidden: Vec<MailboxId> = self.entries.iter().filter_map(hidden).collect();
        for id in hidden {
            // INBOX has one name only: whoever took it gives it back.
            let lost = self.names.get("INBOX").copied().filter(|_| id == MailboxId::INBOX).unwrap_or(id);
            if id == MailboxId::INBOX {
                self.give_name(id, "INBOX");
            }
            let name = self.free_name(lost);
            tracing::error!(%name, "a mailbox's name is another's, since changes were lost: it has this one now");
            self.give_name(lost, &name);
        }
    }
}
