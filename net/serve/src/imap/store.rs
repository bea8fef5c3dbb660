//! STORE, EXPUNGE, COPY and MOVE.

use super::limit::with_limit;
use super::link::Link;
use super::session::Session;
use super::sync::FlagsLine;
use crate::failure::{refuse, refuse_target};
use skein_base::{IdSet, MailboxId, ModSeq, Rights, Uid};
use skein_proto::imap::{Code, FlagList, Reply, SeqSet, StoreMode, response};
use skein_store::account::{Copied, StoreRequest};
use skein_store::mailbox::{Mailbox, ViewId};
use skein_store::op;
use skein_store::{AccountError, StoreError};
use std::io;

/// Messages answered before the output is looked at.
const BATCH: usize = 256;

/// What a STORE command wants.
pub(super) struct Wish {
    pub mode: StoreMode,
    pub silent: bool,
    pub flags: FlagList,
    pub unchanged_since: Option<ModSeq>,
}

impl Session {
    pub(super) async fn store_flags(
        &mut self,
        set: &SeqSet,
        uid: bool,
        wish: Wish,
        link: &mut Link<'_>,
    ) -> io::Result<Reply> {
        let (mailbox, view, uids) = match self.resolve_writable(set, uid) {
            Ok(resolved) => resolved,
            Err(reply) => return Ok(reply),
        };
        let (uids, limited) = self.limited(mailbox, view, uids);
        // What others changed is told first: after our own change it could no longer be told apart.
        self.tell_selected(false, link);
        let silent = wish.silent;
        let allowed = match self.allowed(mailbox, request(&uids, &wish)) {
            Ok(allowed) => allowed,
            Err(error) => return Ok(refuse(&error)),
        };
        let request = allowed[0].clone();
        let before = self.look(mailbox, |m| m.modseq());
        let modified = match self.commit_store(mailbox, allowed) {
            Ok(modified) => modified,
            Err(error) => return Ok(refuse(&error)),
        };
        self.account.with_mut(|account| {
            if let Some(m) = account.mailbox_mut(mailbox) {
                m.own_changes(view, before);
                m.store_on_gone(view, &request);
            }
        });
        self.tell_keywords(link);
        // RFC 7162 §3.1.3: with CONDSTORE even a silent STORE tells the new MODSEQ.
        let condstore = link.condstore();
        if !silent || condstore {
            let told = uids.difference(&modified);
            let line = FlagsLine { uid: uid || link.qresync(), flags: !silent, ..FlagsLine::of(link) };
            self.write_flags(&told, line, link).await?;
        }
        Ok(with_limit(self.stored(mailbox, view, modified, uid), limited, link))
    }

    /// In one record, so that nobody sees a part of it.
    fn commit_store(&self, mailbox: MailboxId, requests: Vec<StoreRequest>) -> Result<IdSet, StoreError> {
        let (mut ops, mut modified) = (Vec::new(), IdSet::new());
        for request in requests {
            let (more, left) =
                self.account.read(|account| account.store_apart(mailbox, request, self.seen_by.as_deref()))?;
            ops.extend(more);
            modified = left;
        }
        self.commit(&ops)?;
        Ok(modified)
    }

    fn stored(&self, mailbox: MailboxId, view: ViewId, modified: IdSet, uid: bool) -> Reply {
        if modified.is_empty() {
            return Reply::Done;
        }
        let seqs = |m: &Mailbox| modified.iter().map(|uid| m.seq_of(view, Uid(uid)).0).collect();
        let told = if uid { modified.clone() } else { self.look(mailbox, seqs) };
        Reply::DoneCode(Code::Modified(told))
    }

    /// FETCH lines with the flags of these messages of the view.
    async fn write_flags(&self, uids: &IdSet, line: FlagsLine, link: &mut Link<'_>) -> io::Result<()> {
        let Some(selected) = &self.selected else { return Ok(()) };
        let (mut from, mut batch) = (Uid(1), Vec::new());
        link.begin_progress(self, Some(self.count(selected.mailbox, selected.view, uids)));
        loop {
            batch.clear();
            self.look(selected.mailbox, |m| {
                m.visible(selected.view, uids, from, BATCH, &mut batch);
                for seen in &batch {
                    line.write(m, selected.view, seen, link.out());
                }
            });
            match batch.last() {
                Some(last) => from = Uid(last.row.uid.0 + 1),
                None => return Ok(()),
            }
            link.drain_if_full(self).await?;
            link.advance(batch.len(), self).await?;
            skein_runtime::session_yield().await;
        }
    }

    pub(super) fn expunge(&self, set: Option<&SeqSet>, link: &mut Link<'_>) -> Reply {
        let Some(selected) = &self.selected else { return Reply::bad("No mailbox is selected") };
        if selected.read_only {
            return read_only();
        }
        let uids = set.map(|set| {
            if set.is_saved() {
                return selected.saved.clone();
            }
            let last = self.look(selected.mailbox, |m| m.last_visible(selected.view));
            set.resolve(last.map_or(0, |uid| uid.0))
        });
        // Only what the session has been told of: a message it does not know can not be meant.
        let known = self.known_uids();
        let (uids, limited) = match uids {
            None => (known, None),
            Some(uids) => {
                let deleted = self.look(selected.mailbox, |m| m.rows().deleted());
                self.limited_to(uids.intersection(&known).intersection(&deleted))
            }
        };
        if let Err(error) = self.needs(selected.mailbox, Rights::EXPUNGE) {
            return refuse(&error);
        }
        let before = self.look(selected.mailbox, |m| m.modseq());
        let expunged = self.expunge_deleted(selected.mailbox, Some(&uids));
        if expunged.is_ok() && set.is_none() {
            self.let_leave(&uids);
        }
        let reply = match expunged {
            // What others changed until now is told before this is (RFC 7162 §3.2.7).
            Ok(()) if link.qresync() => match self.look(selected.mailbox, |m| m.modseq()) {
                modseq if modseq > before => Reply::DoneCode(Code::HighestModSeq(modseq)),
                _ => Reply::Done,
            },
            Ok(()) => Reply::Done,
            Err(error) => return refuse(&error),
        };
        with_limit(reply, limited, link)
    }

    pub(super) fn expunge_deleted(&self, mailbox: MailboxId, uids: Option<&IdSet>) -> Result<(), StoreError> {
        self.commit_with(|account, _| account.expunge(mailbox, uids))
    }

    /// COPY: all of them or none.
    pub(super) async fn copy(&mut self, set: &SeqSet, uid: bool, target: &str) -> Reply {
        let (mailbox, view, uids) = match self.resolve(set, uid) {
            Ok(resolved) => resolved,
            Err(reply) => return reply,
        };
        if let Err(refusal) = self.refuse_over(self.save_limit(), (mailbox, view), &uids) {
            return refusal;
        }
        self.copy_found((mailbox, view, uids), uid, target, false).await
    }

    /// MOVE
    pub(super) async fn move_away(&mut self, set: &SeqSet, uid: bool, target: &str, link: &mut Link<'_>) -> Reply {
        let (mailbox, view, uids) = match self.resolve_writable(set, uid) {
            Ok(resolved) => resolved,
            Err(reply) => return reply,
        };
        if let Err(error) = self.needs(mailbox, Rights::EXPUNGE) {
            return refuse(&error);
        }
        let (uids, limited) = self.limited(mailbox, view, uids);
        match (self.copy_found((mailbox, view, uids), uid, target, true).await, limited) {
            (Reply::DoneCode(code @ Code::CopyUid { .. }), Some(limited)) => {
                // The tagged line has the other one (RFC 9738 §3.1).
                response::some_moved(link.out(), &code);
                Reply::DoneCode(limited)
            }
            (Reply::Done, Some(limited)) => Reply::DoneCode(limited),
            (reply, _) => reply,
        }
    }

    async fn copy_found(
        &mut self,
        (mailbox, view, uids): (MailboxId, ViewId, IdSet),
        uid: bool,
        target: &str,
        moving: bool,
    ) -> Reply {
        let target = match self.find_for(target, Rights::INSERT).await {
            Ok(target) => target,
            Err(error) => return refuse_target(&error),
        };
        if !uid && self.look(mailbox, |m| !m.view(view).zombies().intersection(&uids).is_empty()) {
            return expunge_issued();
        }
        match self.commit_copy(mailbox, &uids, target, moving) {
            Ok((copied, _)) if copied.from.is_empty() => Reply::Done,
            Ok((Copied { from, to }, validity)) => Reply::DoneCode(Code::CopyUid { validity, from, to }),
            Err(error) => refuse_target(&error),
        }
    }

    fn commit_copy(
        &self,
        from: MailboxId,
        uids: &IdSet,
        to: MailboxId,
        moving: bool,
    ) -> Result<(Copied, skein_base::UidValidity), StoreError> {
        let now = self.store.now();
        let known = uids.intersection(&self.known_uids());
        let (copied, ops, validity) = self.account.read(|account| {
            let (copied, ops) = match moving {
                true => account.move_to(from, &known, to, now),
                false => account.copy(from, &known, to, now),
            }?;
            let validity = account.mailbox(to).map(|m| m.validity()).ok_or(AccountError::NoSuchMailbox)?;
            Ok::<_, AccountError>((copied, ops, validity))
        })?;
        self.commit(&ops)?;
        Ok((copied, validity))
    }

    /// Everything the view numbers, as one range.
    fn known_uids(&self) -> IdSet {
        let Some(selected) = &self.selected else { return IdSet::new() };
        let last = self.look(selected.mailbox, |m| m.last_visible(selected.view));
        IdSet::range(1, last.map_or(0, |uid| uid.0))
    }
}

fn request(uids: &IdSet, wish: &Wish) -> StoreRequest {
    StoreRequest {
        uids: uids.clone(),
        mode: match wish.mode {
            StoreMode::Replace => op::StoreMode::Replace,
            StoreMode::Add => op::StoreMode::Add,
            StoreMode::Remove => op::StoreMode::Remove,
        },
        flags: wish.flags.system,
        keywords: wish.flags.keywords.iter().map(|k| k.as_str().into()).collect(),
        unchanged_since: wish.unchanged_since,
    }
}

pub(super) fn read_only() -> Reply {
    Reply::No { code: Some(Code::ReadOnly), text: "The mailbox is open read-only".into() }
}

pub(super) fn expunge_issued() -> Reply {
    Reply::No { code: Some(Code::ExpungeIssued), text: "Some of the messages have been expunged".into() }
}
