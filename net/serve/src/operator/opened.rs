//! One mailbox, open for an operator: found, looked at, changed.

use super::Operator;
use crate::imap::Criterion;
use crate::message::{Message, Rendered};
use skein_base::{Flags, IdSet, MailboxId, Uid};
use skein_proto::imap::Mode;
use skein_store::account::{Copied, StoreRequest};
use skein_store::mailbox::{CacheAt, Fixed};
use skein_store::{AccountError, StoreError};

/// A mailbox with a view that does not change while one looks. It makes nothing seen or claimed.
pub struct Opened {
    operator: Operator,
    mailbox: MailboxId,
}

/// What the columns say of a message.
#[derive(Clone)]
pub struct Seen {
    /// Its UID.
    pub uid: u32,
    /// Its number.
    pub seq: u32,
    /// System flags.
    pub flags: Flags,
    /// Keywords.
    pub keywords: Vec<String>,
    /// MODSEQ.
    pub modseq: u64,
    /// The id that POP3 clients know it by, when it is none that this server makes.
    pub unique_id: Option<Box<str>>,
    /// The columns that never change.
    pub fixed: Fixed,
    cache: CacheAt,
}

/// What IMAP clients are shown of a message's structure.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Rendering {
    /// ENVELOPE
    Envelope,
    /// BODY
    Body,
    /// BODYSTRUCTURE
    BodyStructure,
}

impl Operator {
    /// Opens a mailbox.
    ///
    /// # Errors
    /// No such mailbox, or the disk failed.
    pub async fn select(mut self, mailbox: &str) -> Result<Opened, StoreError> {
        self.session.unselect();
        self.session.open_view(mailbox, Mode::ReadOnly).await?;
        let selected = self.session.selected.as_ref().expect("just opened");
        let mailbox = selected.mailbox;
        Ok(Opened { operator: self, mailbox })
    }
}

impl Opened {
    /// Ends the view.
    pub fn close(mut self) -> Operator {
        self.operator.session.unselect();
        self.operator
    }

    /// UIDs of what is looked for, and how many messages could not be read.
    ///
    /// # Errors
    /// In words: what is looked for makes no sense in this mailbox.
    pub async fn find(&self, criterion: Criterion) -> Result<(IdSet, u32), String> {
        let found = self.operator.session.find_uids(criterion).await;
        found.map_err(|reply| format!("{reply:?}"))
    }

    /// At most `max` of the messages, by UID from `from` on.
    pub fn look(&self, uids: &IdSet, from: u32, max: usize) -> Vec<Seen> {
        let session = &self.operator.session;
        let view = session.selected.as_ref().expect("open for as long as this lives").view;
        session.look(self.mailbox, |m| {
            let mut batch = Vec::with_capacity(max);
            m.visible(view, uids, Uid(from), max, &mut batch);
            let names = m.keywords();
            let seen = batch.iter().map(|seen| Seen {
                uid: seen.row.uid.0,
                seq: seen.seq.0,
                flags: seen.row.flags,
                keywords: seen.row.keywords.indexes().map(|i| names[i].to_string()).collect(),
                modseq: seen.row.modseq.0,
                unique_id: m.unique_id(seen.row.uid).map(Into::into),
                fixed: m.fixed(seen.row),
                cache: m.cache(seen.row),
            });
            seen.collect()
        })
    }

    /// The header block.
    ///
    /// # Errors
    /// It can not be read.
    pub async fn header(&self, seen: &Seen) -> Result<Vec<u8>, StoreError> {
        Ok(self.message(seen).header(false).await?.into_owned())
    }

    /// All bytes.
    ///
    /// # Errors
    /// They can not be read.
    pub async fn whole(&self, seen: &Seen) -> Result<Vec<u8>, StoreError> {
        self.message(seen).whole().await.map(<[u8]>::to_vec)
    }

    /// Its structure as IMAP clients are shown it.
    ///
    /// # Errors
    /// It can not be read.
    pub async fn rendered(&self, seen: &Seen, what: Rendering) -> Result<Vec<u8>, StoreError> {
        let (mut out, what) = (
            Vec::new(),
            match what {
                Rendering::Envelope => Rendered::Envelope,
                Rendering::Body => Rendered::Body,
                Rendering::BodyStructure => Rendered::BodyStructure,
            },
        );
        self.message(seen).render(what, &mut out).await?;
        Ok(out)
    }

    fn message(&self, seen: &Seen) -> Message<'_> {
        let session = &self.operator.session;
        Message::new(&session.store, &session.account, seen.fixed, seen.cache.clone())
    }

    /// Changes flags.
    ///
    /// # Errors
    /// Too many keywords, the mailbox is gone, or the log refuses.
    pub async fn store(&self, request: StoreRequest) -> Result<(), StoreError> {
        let mailbox = self.mailbox;
        self.operator.change(|account, _| Ok(account.store(mailbox, request)?.0)).await
    }

    /// Removes messages, whatever their flags.
    ///
    /// # Errors
    /// The mailbox is gone, or the log refuses.
    pub async fn expunge(&self, uids: &IdSet) -> Result<(), StoreError> {
        let mailbox = self.mailbox;
        self.operator.change(|account, _| account.remove(mailbox, uids)).await
    }

    /// Copies or moves messages to another mailbox of the user.
    ///
    /// # Errors
    /// No such mailbox, it is full, or the log refuses.
    pub async fn copy(&self, uids: &IdSet, to: &str, moving: bool) -> Result<Copied, StoreError> {
        let session = &self.operator.session;
        let (from, to, now) = (self.mailbox, session.find_loaded(to).await?, session.store.now());
        let (copied, ops) = session.account.read(|account| match moving {
            true if from == to => Err(AccountError::IntoItself),
            true => account.move_to(from, uids, to, now),
            false => account.copy(from, uids, to, now),
        })?;
        session.commit(&ops)?;
        self.operator.settled().await?;
        Ok(copied)
    }
}
