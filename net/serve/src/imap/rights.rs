//! What a session may do with a mailbox (RFC 4314 §4), and who hears that something is shared with him.

use super::session::Session;
use super::visit::SHARED_BY;
use crate::host::{Job, ToShard};
use skein_acl::{Identifier, list_of};
use skein_base::{Class, Flags, MailboxId, Rights, UserName};
use skein_store::account::StoreRequest;
use skein_store::op::StoreMode;
use skein_store::{AccountError, Actor, Refused, StoreError};
use std::collections::BTreeSet;
use std::rc::Rc;

/// Rights any of which changes something: with none of them a mailbox is open for reading only.
pub(super) const CHANGES: Rights =
    Rights(Rights::SEEN.0 | Rights::WRITE.0 | Rights::INSERT.0 | Rights::DELETE.0 | Rights::EXPUNGE.0);
/// The annotation of an account that says who has heard that something of it is shared with him, a name on each line.
const SHARED_TO: &str = "shared-to";

/// The column of values that says what somebody has seen in mailboxes of others.
pub(super) fn seen_column(user: &UserName) -> Rc<str> {
    format!("seen/{user}").into()
}

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

    /// What of a change of flags may be made (RFC 4314 §4): with some of the rights that part is, with none nothing. There is at least
    /// one request; those that name no flag change nothing.
    pub(super) fn allowed(&self, mailbox: MailboxId, request: StoreRequest) -> Result<Vec<StoreRequest>, StoreError> {
        let rights = self.rights(mailbox);
        if rights.contains(Rights::SEEN | Rights::WRITE | Rights::DELETE) {
            return Ok(vec![request]);
        }
        let may = changeable(rights);
        let keywords = if rights.contains(Rights::WRITE) { request.keywords.clone() } else { Vec::new() };
        let named = |mode, flags| StoreRequest { mode, flags, keywords: keywords.clone(), ..request.clone() };
        if may == Flags::NONE {
            return self.needs(mailbox, Rights::WRITE).map(|()| vec![request]);
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

    /// Lets those know with whom something of this account is shared, and those with whom nothing is any more. What fails now is done with the
    /// next change of a list.
    pub(super) async fn tell_grantees(&self) {
        let owner = self.account.user().clone();
        let (wanted, told) = self.account.read(|account| {
            let lists = account.mailboxes().map(|named| list_of(account, named.id)).collect::<Vec<_>>();
            let users = lists.iter().flat_map(|list| list.grantees()).filter_map(|who| match who {
                Identifier::User(user) if *user != owner => Some(user.clone()),
                _ => None,
            });
            let told = account.metadata(None).and_then(|own| own.get(SHARED_TO)).map(|names| names.to_vec());
            (users.collect::<BTreeSet<UserName>>(), told.unwrap_or_default())
        });
        let told: BTreeSet<UserName> =
            String::from_utf8_lossy(&told).lines().filter_map(|name| UserName::new(name).ok()).collect();
        let mut now = told.clone();
        for user in wanted.symmetric_difference(&told) {
            let is_shared = wanted.contains(user);
            if self.tell_shared(user, is_shared).await {
                match is_shared {
                    true => now.insert(user.clone()),
                    false => now.remove(user),
                };
            }
        }
        let names: String = now.iter().map(|user| format!("{user}\n")).collect();
        let value = (!names.is_empty()).then(|| names.into_bytes().into());
        let noted = self.account.read(|account| account.set_metadata(None, &[(SHARED_TO.into(), value)]));
        let noted = noted.map_err(StoreError::from).and_then(|ops| self.store.commit(&self.account, &ops).map(drop));
        if let Err(error) = noted {
            crate::failure::log(&error);
        }
    }

    /// Notes in a user's account whether something of this one is shared with him; true when that is kept, or he is not there.
    async fn tell_shared(&self, user: &UserName, is_shared: bool) -> bool {
        match self.host.account_of(user).await {
            Ok(Some(_)) => {}
            Ok(None) => return !is_shared,
            Err(_) => return false,
        }
        let note = format!("{SHARED_BY}{}", self.account.user());
        let (user, home) = (user.clone(), self.host.home_of(user));
        let (done, heard) = flume::bounded(1);
        let job: Job = Box::new(move |host| {
            Box::pin(async move {
                let noted = async {
                    let account = host.store().open(&user).await?;
                    let value: Option<Box<[u8]>> = is_shared.then(|| Box::from(&b""[..]));
                    let ops = account.read(|account| account.set_metadata(None, &[(note.as_str().into(), value)]))?;
                    host.store().commit(&account, &ops)?;
                    host.store().durable(&account).await
                };
                let noted: Result<(), StoreError> = noted.await;
                let _nobody_waits_any_more = done.send(noted.map_err(|error| crate::failure::log(&error)).is_ok());
            })
        });
        match home == self.host.id() {
            true => job(self.host.clone()).await,
            false if self.host.lanes().send(home, ToShard::Run(job)).is_err() => return false,
            false => {}
        }
        heard.recv_async().await.unwrap_or(false)
    }
}
