//! What a session may do with a mailbox (RFC 4314 §4).

use super::session::Session;
use skein_base::{Class, Flags, MailboxId, Rights};
use skein_store::account::StoreRequest;
use skein_store::op::StoreMode;
use skein_store::{AccountError, Actor, Refused, StoreError};

/// Rights any of which changes something: with none of them a mailbox is open for reading only.
pub(super) const CHANGES: Rights =
    Rights(Rights::SEEN.0 | Rights::WRITE.0 | Rights::INSERT.0 | Rights::DELETE.0 | Rights::EXPUNGE.0);

/// The system flags that may change for good.
pub(super) fn changeable(rights: Rights) -> Flags {
    let mut flags = Flags::NONE;
    for (right, some) in [
        (Rights::SEEN, Flags::SEEN),
        (Rights::DELETE, Flags::DELETED),
        (Rights::WRITE, Flags(Flags::ALL.0 & !Flags::SEEN.0 & !Flags::DELETED.0)),
    ] {
        if rights.contains(right) {
            flags = flags | some;
        }
    }
    flags
}

impl Session {
    /// What may be done with a mailbox.
    pub(super) fn rights(&self, mailbox: MailboxId) -> Rights {
        self.account.read(|account| self.extensions.rights(&self.actor, account, mailbox))
    }

    /// Refuses who lacks a right. To who may not even know of the mailbox it is not there (RFC 4314 §6).
    pub(super) fn needs(&self, mailbox: MailboxId, right: Rights) -> Result<(), StoreError> {
        let has = self.rights(mailbox);
        match has.contains(right) {
            true => Ok(()),
            false if has.contains(Rights::LOOKUP) => {
                Err(Refused::new(Class::Denied, "You have no right to do that with this mailbox").into())
            }
            false => Err(AccountError::NoSuchMailbox.into()),
        }
    }

    /// The same of a mailbox by name; one that is not there is somebody else's business.
    pub(super) fn needs_named(&self, name: &str, right: Rights) -> Result<(), StoreError> {
        match self.account.read(|account| account.find(name).map(|named| named.id)) {
            Some(id) => self.needs(id, right),
            None => Ok(()),
        }
    }

    /// A mailbox may be made with this name: below another one by who may do so there, at the top by the owner alone.
    pub(super) fn needs_above(&self, name: &str) -> Result<(), StoreError> {
        let above = |account: &skein_store::account::Account| {
            name.rmatch_indices('/').find_map(|(at, _)| account.find(&name[..at])).map(|named| named.id)
        };
        match (self.account.read(above), &self.actor) {
            (Some(above), _) => self.needs(above, Rights::CREATE),
            (None, Actor::Guest(_)) => Err(Refused::new(Class::Denied, "Only the owner makes mailboxes here").into()),
            (None, _) => Ok(()),
        }
    }

    /// The mailbox of this name, in memory, for who may do so much with it.
    pub(super) async fn find_for(&self, name: &str, right: Rights) -> Result<MailboxId, StoreError> {
        let id = self.find_loaded(name).await?;
        self.needs(id, right).map(|()| id)
    }

    /// What of a change of flags may be made (RFC 4314 §4): of the flags that it names those that somebody has a right to, and where that is none, nothing.
    /// There is at least one request; those that name no flag change nothing.
    pub(super) fn allowed(&self, mailbox: MailboxId, request: StoreRequest) -> Result<Vec<StoreRequest>, StoreError> {
        let rights = self.rights(mailbox);
        if rights.contains(Rights::SEEN | Rights::WRITE | Rights::DELETE) {
            return Ok(vec![request]);
        }
        let may = changeable(rights);
        let keywords = if rights.contains(Rights::WRITE) { request.keywords.clone() } else { Vec::new() };
        let named = |mode, flags| StoreRequest { mode, flags, keywords: keywords.clone(), ..request.clone() };
        let touches = match request.mode {
            // Those that are not named are taken away.
            StoreMode::Replace => may,
            StoreMode::Add | StoreMode::Remove => request.flags & may,
        };
        let names_none = request.flags.is_empty() && request.keywords.is_empty() && request.mode != StoreMode::Replace;
        if touches.is_empty() && keywords.is_empty() && !names_none {
            return Err(Refused::new(Class::Denied, "You have no right to change those flags here").into());
        }
        Ok(match request.mode {
            StoreMode::Add | StoreMode::Remove => vec![named(request.mode, request.flags & may)],
            StoreMode::Replace if rights.contains(Rights::WRITE) => {
                // Keywords can only be replaced together with all system flags, so those that may not change keep their values by
                // being set apart.
                let taken = Flags(may.0 & !request.flags.0);
                vec![
                    named(StoreMode::Add, request.flags & may),
                    StoreRequest { keywords: Vec::new(), ..named(StoreMode::Remove, taken) },
                ]
            }
            StoreMode::Replace => {
                let taken = Flags(may.0 & !request.flags.0);
                vec![named(StoreMode::Add, request.flags & may), named(StoreMode::Remove, taken)]
            }
        })
    }

    /// The flags and keywords that a message may have which somebody puts into a mailbox.
    pub(super) fn flags_for(&self, mailbox: MailboxId, flags: Flags, keywords: &mut Vec<Box<str>>) -> Flags {
        let rights = self.rights(mailbox);
        if !rights.contains(Rights::WRITE) {
            keywords.clear();
        }
        flags & changeable(rights)
    }
}
