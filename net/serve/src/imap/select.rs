//! SELECT, EXAMINE, STATUS, and leaving a mailbox.

use super::rights::{CHANGES, changeable};
use super::session::{Selected, Session, mailbox_id};
use crate::failure::{can_do_without, refuse};
use skein_base::{Flags, IdSet, MailboxId, Rights, Seq};
use skein_proto::imap::{Mode, Reply, SelectedInfo, StatusInfo, StatusItems};
use skein_store::mailbox::{Mailbox, ViewId};
use skein_store::{AccountError, Actor, StoreError};

impl Session {
    /// Opens a mailbox and a view of it; a view open before ends first, whatever comes (RFC 3501 §6.3.1).
    pub(super) async fn select(&mut self, name: &str, mode: Mode, rev2: bool) -> Reply {
        self.unselect();
        match self.open_view(name, mode).await {
            Ok(info) => {
                if let Some(selected) = self.selected.as_ref().filter(|_| rev2) {
                    let (id, view) = (selected.mailbox, selected.view);
                    self.account.with_mut(|account| account.mailbox_mut(id).map(|m| m.hide_recent(view)));
                }
                Reply::Selected(Box::new(info))
            }
            Err(error) => refuse(&error),
        }
    }

    /// Ends the view.
    pub(crate) fn unselect(&mut self) {
        if let Some(selected) = self.selected.take() {
            self.account.close_view(selected.mailbox, selected.view);
            self.fresh = IdSet::new();
            if let Some(watch) = self.watch.get_mut() {
                watch.take_own_uids();
            }
        }
    }

    /// CLOSE: expunges without a word, then leaves.
    pub(super) fn close(&mut self) -> Reply {
        let Some(selected) = &self.selected else { return Reply::Done };
        let mailbox = selected.mailbox;
        let expunged = match selected.read_only {
            true => Ok(()),
            false if self.needs(mailbox, Rights::EXPUNGE).is_err() => Ok(()),
            false => self.expunge_deleted(mailbox, None),
        };
        self.unselect();
        match expunged {
            Ok(()) | Err(StoreError::Account(AccountError::NoSuchMailbox)) => Reply::Done,
            Err(error) => refuse(&error),
        }
    }

    pub(super) async fn status(&self, name: &str, items: StatusItems) -> Reply {
        if let Some(definition) = self.virtual_named(name) {
            let found = Box::pin(self.virtual_status(&definition, items)).await;
            return self.told_status(found);
        }
        let found = self
            .find_for(name, Rights::READ)
            .await
            .map(|id| self.look(id, |m| status_of(m, items, self.seen_by.as_deref())));
        self.told_status(found)
    }

    fn told_status(&self, found: Result<StatusInfo, StoreError>) -> Reply {
        match found {
            Ok(info) => Reply::Status(StatusInfo { append_limit: self.message_bytes_max, ..info }),
            Err(error) => refuse(&error),
        }
    }

    /// The mailbox of this name, in memory.
    pub(crate) async fn find_loaded(&self, name: &str) -> Result<MailboxId, StoreError> {
        let find = || self.account.read(|account| account.find(name).map(|m| m.id));
        let id = match find() {
            // It was deleted since the login, or the settings are new.
            None if self.actor == Actor::Owner && self.host.provide_named(&self.account, name)? => find(),
            found => found,
        };
        let id = id.ok_or(AccountError::NoSuchMailbox)?;
        self.store.load(&self.account, id).await?;
        // It may have been deleted while it was loaded.
        match self.account.read(|account| account.exists(id)) {
            true => Ok(id),
            false => Err(AccountError::NoSuchMailbox.into()),
        }
    }

    /// Looks at a mailbox that is in memory.
    pub(crate) fn look<T>(&self, id: MailboxId, look: impl FnOnce(&Mailbox) -> T) -> T {
        self.account.read(|account| look(account.mailbox(id).expect("loaded before it is looked at")))
    }

    pub(crate) async fn open_view(&mut self, name: &str, mode: Mode) -> Result<SelectedInfo, StoreError> {
        if let Some(definition) = self.virtual_named(name) {
            return Box::pin(self.open_virtual(definition, mode)).await;
        }
        let mailbox = self.find_for(name, Rights::READ).await?;
        self.extensions.opening(&self.actor, &self.account, mailbox)?;
        let rights = self.rights(mailbox);
        let read_only = mode == Mode::ReadOnly || !rights.shares(CHANGES);
        let view = self.account.with_mut(|account| account.mailbox_mut(mailbox).map(|m| m.open_view(read_only)));
        let view = view.ok_or(AccountError::NoSuchMailbox)?;
        if let Some(column) = self.seen_by.clone() {
            self.account.with_mut(|account| account.mailbox_mut(mailbox).map(|m| m.see_apart(view, column)));
        }
        let keywords_told = self.look(mailbox, |m| m.keywords().len());
        let url_key = self.url_key_of(mailbox).flatten();
        self.selected = Some(Selected {
            mailbox,
            view,
            read_only,
            keywords_told,
            permanent: changeable(rights),
            url_key,
            untold: IdSet::new(),
            saved: IdSet::new(),
            contexts: Vec::new(),
            batched: None,
            shown: None,
        });
        if !read_only
            && let Err(error) = self.claim_recent(mailbox)
            && !can_do_without(&error, &self.account)
        {
            return Err(error);
        }
        let url_mech = self.url_key_of(mailbox).is_some();
        Ok(SelectedInfo { url_mech, ..self.look(mailbox, |m| describe(m, view, (read_only, rights))) })
    }

    /// What is unclaimed becomes `\Recent` in this session alone. The reply does not wait for it: lost, the same
    /// messages are recent once more, which RFC 3501 §2.3.2 prefers.
    pub(super) fn claim_recent(&self, mailbox: MailboxId) -> Result<(), StoreError> {
        let ops = self.account.read(|account| account.claim_recent(mailbox));
        self.store.commit_unwaited(&self.account, &ops)
    }
}

/// Whether a mailbox takes new keywords.
pub(super) fn takes_keywords(mailbox: &Mailbox) -> bool {
    mailbox.keywords().len() < skein_base::limits::KEYWORDS_PER_MAILBOX_MAX
}

pub(super) fn describe(mailbox: &Mailbox, view: ViewId, (read_only, rights): (bool, Rights)) -> SelectedInfo {
    SelectedInfo {
        keywords: mailbox.keywords().iter().map(|k| k.to_string()).collect(),
        permanent: if read_only { Flags::NONE } else { changeable(rights) },
        new_keywords: !read_only && rights.contains(Rights::WRITE) && takes_keywords(mailbox),
        exists: mailbox.exists(view),
        recent: mailbox.recent(view),
        first_unseen: mailbox
            .first_unseen_apart(mailbox.view(view).seen_by().map(|by| &**by))
            .map(|rank| Seq(rank + 1).0),
        uid_validity: mailbox.validity().0,
        uid_next: mailbox.uid_next().0,
        highest_modseq: mailbox.modseq().0,
        read_only,
        mailbox_id: mailbox_id(mailbox.id(), mailbox.validity()),
        url_mech: false,
    }
}

/// What is asked; what costs a look at every message only then.
pub(super) fn status_of(mailbox: &Mailbox, items: StatusItems, seen_by: Option<&str>) -> StatusInfo {
    let deleted = || mailbox.rows().from_rank(0).filter(|row| row.flags.contains(Flags::DELETED));
    StatusInfo {
        messages: mailbox.rows().count(),
        recent: mailbox.unclaimed(),
        uid_next: mailbox.uid_next().0,
        uid_validity: mailbox.validity().0,
        unseen: mailbox.unseen_apart(seen_by),
        highest_modseq: mailbox.modseq().0,
        size: if items.contains(StatusItems::SIZE) { mailbox.bytes() } else { 0 },
        deleted: if items.contains(StatusItems::DELETED) { deleted().count() as u32 } else { 0 },
        deleted_bytes: match items.contains(StatusItems::DELETED_STORAGE) {
            true => deleted().map(|row| u64::from(mailbox.fixed(row).size)).sum(),
            false => 0,
        },
        // The session's to know.
        append_limit: 0,
        mailbox_id: mailbox_id(mailbox.id(), mailbox.validity()),
    }
}
