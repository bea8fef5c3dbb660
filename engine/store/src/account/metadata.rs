//! Annotations of mailboxes and of the account itself (RFC 5464): values by name.
//!
//! ```text
//! /private/comment  /shared/vendor/..     in lower case; clients see and set them
//! private/ben/comment                     ben's /private/comment of a mailbox that is not his
//! anything else                           the server's own; no client learns of it
//! ```

use super::{Account, AccountError, Entry, Event};
use crate::op::Op;
use skein_base::limits::{
    METADATA_ACCOUNT_BYTES_MAX, METADATA_ENTRIES_MAX, METADATA_GUEST_BYTES_MAX, METADATA_GUESTS_BYTES_MAX,
    METADATA_NAME_BYTES_MAX, METADATA_VALUE_BYTES_MAX,
};
use skein_base::{MailboxId, SpecialUse};
use std::collections::{BTreeMap, BTreeSet};

/// Values by name.
pub type Metadata = BTreeMap<Box<str>, Box<[u8]>>;

/// A name, and its value from now on; `None` when it goes.
pub type MetadataChange = (Box<str>, Option<Box<[u8]>>);

impl Account {
    /// Annotations of a mailbox, or of the account itself; `None` when there is no such mailbox.
    pub fn metadata(&self, of: Option<MailboxId>) -> Option<&Metadata> {
        match of {
            Some(id) => self.entries.get(&id).map(|entry| &entry.metadata),
            None => Some(&self.metadata),
        }
    }

    /// All annotations: those of the account, then each mailbox's.
    pub fn annotations(&self) -> impl Iterator<Item = (Option<MailboxId>, &str, &[u8])> {
        let own = self.metadata.iter().map(|(name, value)| (None, &**name, &**value));
        let mailboxes = self
            .entries
            .iter()
            .flat_map(|(id, entry)| entry.metadata.iter().map(|(name, value)| (Some(*id), &**name, &**value)));
        own.chain(mailboxes)
    }

    /// Sets annotations, and removes those without a value; all of them or none. Bounds hold only what grows; the server's own are not
    /// counted, so that a client can not take their room, nor a guest the owner's.
    pub fn set_metadata(&self, of: Option<MailboxId>, changes: &[MetadataChange]) -> Result<Vec<Op>, AccountError> {
        let now = self.metadata(of).ok_or(AccountError::NoSuchMailbox)?;
        let mut after: BTreeMap<&str, Option<&[u8]>> = BTreeMap::new();
        for (name, value) in changes {
            if name.is_empty() || name.len() > METADATA_NAME_BYTES_MAX {
                return Err(AccountError::BadMetadataName { max: METADATA_NAME_BYTES_MAX });
            }
            if value.as_ref().is_some_and(|value| value.len() > METADATA_VALUE_BYTES_MAX) {
                return Err(AccountError::MetadataTooBig { max: METADATA_VALUE_BYTES_MAX });
            }
            after.insert(name, value.as_deref());
        }
        after.retain(|name, value| now.get(*name).map(|old| &**old) != *value);
        let all_whose: BTreeSet<&str> = after.keys().filter_map(|name| whose(name)).collect();
        for &whose in &all_whose {
            let is_counted = |name: &&str| self::whose(name) == Some(whose);
            let before = now.keys().map(|name| &**name).filter(is_counted);
            let names: BTreeSet<&str> = before.clone().chain(after.keys().copied().filter(is_counted)).collect();
            let left = names.iter().filter(|name| after.get(*name).is_none_or(Option::is_some)).count();
            if left > METADATA_ENTRIES_MAX && left > before.count() {
                return Err(AccountError::TooManyMetadata);
            }
        }
        let grown_over = |is_counted: &dyn Fn(&str) -> bool, max: usize| {
            let changed = after.iter().filter(|(name, _)| is_counted(name));
            let added: usize = changed.clone().filter_map(|(name, value)| value.map(|v| name.len() + v.len())).sum();
            let removed: usize = changed.filter_map(|(name, _)| now.get(*name).map(|old| name.len() + old.len())).sum();
            added > removed && self.metadata_bytes(is_counted) - removed + added > max
        };
        let is_guests = |name: &str| whose(name).is_some_and(|whose| !whose.is_empty());
        let takes_too_much = |guest: &&str| grown_over(&|name| whose(name) == Some(*guest), METADATA_GUEST_BYTES_MAX);
        if grown_over(&|_| true, METADATA_ACCOUNT_BYTES_MAX)
            || grown_over(&is_guests, METADATA_GUESTS_BYTES_MAX)
            || all_whose.iter().filter(|whose| !whose.is_empty()).any(takes_too_much)
        {
            return Err(AccountError::TooManyMetadata);
        }
        let op = |(name, value): (&str, Option<&[u8]>)| Op::SetMetadata {
            mailbox: of,
            name: name.into(),
            value: value.map(Into::into),
        };
        Ok(after.into_iter().map(op).collect())
    }

    /// Says what a mailbox is for. Another one that was for the same is no more (RFC 6154 §5.4).
    pub fn set_special_use(&self, mailbox: MailboxId, uses: SpecialUse) -> Result<Vec<Op>, AccountError> {
        let entry = self.entries.get(&mailbox).ok_or(AccountError::NoSuchMailbox)?;
        let loses = |(id, entry): (&MailboxId, &Entry)| {
            let uses = SpecialUse(entry.special_use.0 & !uses.0);
            let is_other = *id != mailbox && uses != entry.special_use;
            is_other.then_some(Op::SetSpecialUse { mailbox: *id, uses })
        };
        let gains = (entry.special_use != uses).then_some(Op::SetSpecialUse { mailbox, uses });
        Ok(self.entries.iter().filter_map(loses).chain(gains).collect())
    }

    /// Bytes of annotations, names and values.
    fn metadata_bytes(&self, is_counted: impl Fn(&str) -> bool) -> usize {
        let counted = self.annotations().filter(|(_, name, _)| is_counted(name));
        counted.map(|(_, name, value)| name.len() + value.len()).sum()
    }

    /// The annotations of one mailbox for another one that has none; nothing when there is no room for that.
    pub(super) fn annotations_copied(&self, from: MailboxId, to: MailboxId) -> Vec<Op> {
        let Some(entry) = self.entries.get(&from) else { return Vec::new() };
        let bytes: usize = entry.metadata.iter().map(|(name, value)| name.len() + value.len()).sum();
        match self.metadata_bytes(|_| true) + bytes <= METADATA_ACCOUNT_BYTES_MAX {
            true => entry.annotations_for(to).collect(),
            false => Vec::new(),
        }
    }

    pub(super) fn annotate(&mut self, of: Option<MailboxId>, name: &str, value: Option<&[u8]>) {
        let metadata = match of {
            Some(id) => self.entries.get_mut(&id).map(|entry| &mut entry.metadata),
            None => Some(&mut self.metadata),
        };
        let Some(metadata) = metadata else { return };
        match value {
            Some(value) => drop(metadata.insert(name.into(), value.into())),
            None => drop(metadata.remove(name)),
        }
        self.journal.push(|| Event::Metadata { mailbox: of, name: name.into() });
    }
}

impl Entry {
    /// Ops that give its annotations to a mailbox.
    pub(super) fn annotations_for(&self, mailbox: MailboxId) -> impl Iterator<Item = Op> {
        self.metadata.iter().map(move |(name, value)| Op::SetMetadata {
            mailbox: Some(mailbox),
            name: name.clone(),
            value: Some(value.clone()),
        })
    }
}

/// Whose an annotation is: empty for the owner's clients, or a guest's name; `None` for the server's own.
fn whose(name: &str) -> Option<&str> {
    match name.strip_prefix("private/") {
        Some(guests) => guests.split_once('/').map(|(guest, _)| guest),
        None => name.starts_with('/').then_some(""),
    }
}

/// An estimate of what annotations take in memory.
pub(super) fn memory_bytes(metadata: &Metadata) -> usize {
    metadata.iter().map(|(name, value)| name.len() + value.len() + 64).sum()
}
