//! Messages of another server, with their UIDs where these are free.

use super::Operator;
use crate::ingest::Ingest;
use skein_base::{Flags, Guid, MailboxId, Uid, UidValidity};
use skein_store::op::NewMessage;
use skein_store::{AccountError, StoreError};
use std::collections::HashMap;

/// The mailbox that messages are for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Target {
    /// Its name; it is made when there is none.
    pub mailbox: String,
    /// UIDVALIDITY of the source. It is taken over by a mailbox that is new or was never used, and only then UIDs are.
    pub validity: Option<UidValidity>,
    /// UIDNEXT of the source, to go on from.
    pub uid_next: Option<Uid>,
    /// Put into the subscriptions.
    pub subscribed: bool,
}

/// A message of the source.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Import {
    /// Its UID there.
    pub uid: Option<Uid>,
    /// System flags.
    pub flags: Flags,
    /// Keywords.
    pub keywords: Vec<Box<str>>,
    /// INTERNALDATE, Unix seconds.
    pub internal_date: i64,
    /// The unique id that POP3 clients know it by, when it is none that this server would make.
    pub unique_id: Option<Box<str>>,
    /// Its identity here: the same each time that it is sent, so that it is taken once.
    pub guid: Guid,
    /// Its bytes.
    pub message: Vec<u8>,
}

/// What became of it. Durable.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Imported {
    /// It has this UID, the one it had.
    Kept(Uid),
    /// It has a new UID.
    Given(Uid),
    /// It was taken before, under this UID.
    Already(Uid),
}

impl Operator {
    /// Appends messages of the source, in the order of their UIDs. Durable when it returns. Those that the account refuses say why.
    ///
    /// # Errors
    /// The mailbox can not be made, or the disk or the log failed; what is durable by then is found again when it is sent again.
    pub async fn import(
        &self,
        target: &Target,
        messages: Vec<Import>,
    ) -> Result<Vec<Result<Imported, StoreError>>, StoreError> {
        let id = self.target(target).await?;
        let mut known = self.session.look(id, |mailbox| {
            let rows = mailbox.rows().from_rank(0);
            rows.map(|row| (mailbox.fixed(row).guid, row.uid)).collect::<HashMap<Guid, Uid>>()
        });
        let keeps = target.validity.is_some_and(|validity| self.session.look(id, |m| m.validity() == validity));
        let mut out = Vec::with_capacity(messages.len());
        for message in messages {
            if let Some(uid) = known.get(&message.guid) {
                // An import before may not have known it.
                if let Some(unique_id) = &message.unique_id {
                    let uid = *uid;
                    self.session.commit_with(|account, _| account.set_unique_id(id, uid, unique_id))?;
                }
                out.push(Ok(Imported::Already(*uid)));
                continue;
            }
            let guid = message.guid;
            let imported = self.append(id, keeps, message).await;
            if let Err(error) = &imported
                && matches!(error, StoreError::Log(_) | StoreError::Disk(_) | StoreError::Read(_))
            {
                self.settled().await?;
                return imported.map(|_| out);
            }
            if let Ok(Imported::Kept(uid) | Imported::Given(uid) | Imported::Already(uid)) = imported {
                known.insert(guid, uid);
            }
            out.push(imported);
        }
        if let Some(uid_next) = target.uid_next.filter(|_| keeps) {
            self.session.commit_with(|account, _| account.raise_uid_next(id, uid_next))?;
        }
        self.settled().await?;
        Ok(out)
    }

    async fn append(&self, id: MailboxId, keeps: bool, import: Import) -> Result<Imported, StoreError> {
        let (store, now) = (&self.session.store, self.session.store.now());
        let mut ingest = Ingest::new(store, self.session.message_bytes_max);
        ingest.push(&import.message).await?;
        drop(import.message);
        let received = ingest.finish().await?;
        self.session.store.load(&self.session.account, id).await?;
        // From here on nothing waits: the body, its op and the UID told belong together.
        let body = received.log(store)?;
        let message = NewMessage {
            flags: import.flags,
            keywords: import.keywords,
            internal_date: import.internal_date,
            save_date: now,
            size: body.bytes,
            guid: import.guid,
            body,
        };
        let wish = import.uid.filter(|_| keeps);
        let (uid, ops) =
            self.session.account.read(|account| account.import(id, (wish, import.unique_id.as_deref()), message))?;
        store.commit_for(&self.session.actor, &self.session.account, &ops)?;
        Ok(if wish == Some(uid) { Imported::Kept(uid) } else { Imported::Given(uid) })
    }

    /// The mailbox, made or made anew where that is called for.
    async fn target(&self, target: &Target) -> Result<MailboxId, StoreError> {
        let name = &target.mailbox;
        if let Err(StoreError::Account(AccountError::NoSuchMailbox)) = self.session.find_loaded(name).await {
            self.session.commit_with(|account, now| account.create_as(name, target.validity, now))?;
            if target.subscribed {
                self.session.commit_with(|account, _| account.subscribe(name, true))?;
            }
        }
        let id = self.session.find_loaded(name).await?;
        if let Some(validity) = target.validity {
            self.session.commit_with(|account, _| account.begin_anew(id, validity))?;
            return self.session.find_loaded(name).await;
        }
        Ok(id)
    }
}
