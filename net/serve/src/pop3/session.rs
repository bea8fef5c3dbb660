//! A logged-in session: a numbered view of the inbox, and what is asked of it.

use super::maildrop::Maildrop;
use super::{Pop3Delete, Pop3Settings};
use crate::Store;
use crate::failure::{can_do_without, log};
use crate::host::MaildropLock;
use crate::message::Message;
use skein_base::limits::OUTPUT_BYTES_WATERMARK;
use skein_base::{Class, Flags, IdSet, LogPos, MailboxId, Uid, is_unique_id};
use skein_proto::pop3::{Pop3, Reply, Request};
use skein_store::account::StoreRequest;
use skein_store::mailbox::{Fixed, Mailbox, Row, ViewId};
use skein_store::op::StoreMode;
use skein_store::{AccountError, AccountHandle, Actor, StoreError};
use skein_transport::Conn;
use std::cell::Cell;
use std::io;
use std::rc::Rc;
use std::sync::Arc;

/// Messages looked at between two looks at the output and the other sessions.
pub(super) const BATCH: usize = 512;
/// Retrieved messages that wait to be marked seen: with a client that never pauses, one change of the log for so many.
const SEEN_MAX: u64 = 256;

/// How long a message that another session expunged is still to be had here. As long as it is, the log keeps its place, and
/// all that was written behind it.
pub(super) const GONE_SECONDS_MAX: u64 = 10;

/// One user's session on the user's own shard.
pub(super) struct Session {
    pub store: Store,
    pub account: Rc<AccountHandle>,
    pub view: ViewId,
    pub maildrop: Maildrop,
    pub settings: Arc<Pop3Settings>,
    /// What the client has been shown must be durable up to here: all that was in the inbox at login.
    shown: Cell<LogPos>,
    /// The highest number of a retrieved message, 0 for none; and what it was at login (RFC 1460).
    last: u32,
    last_at_login: u32,
    /// Retrieved, and not yet marked seen.
    seen: IdSet,
    /// Since when the view shows what another session expunged, Unix seconds.
    gone_since: Option<i64>,
    _lock: Option<MaildropLock>,
}

impl Session {
    /// Opens the inbox and numbers it, from the columns alone.
    ///
    /// # Errors
    /// The store's.
    pub async fn open(
        store: &Store,
        account: Rc<AccountHandle>,
        settings: Arc<Pop3Settings>,
        lock: Option<MaildropLock>,
    ) -> Result<Session, StoreError> {
        store.load(&account, MailboxId::INBOX).await?;
        let read_only = settings.no_flag_updates;
        let view = account.with_mut(|account| {
            let inbox = account.mailbox_mut(MailboxId::INBOX)?;
            Some(inbox.open_view(read_only))
        });
        let view = view.ok_or(AccountError::NotLoaded)?;
        let shown = Cell::new(account.last());
        let (maildrop, seen) = (Maildrop::default(), IdSet::new());
        let mut session = Session {
            store: store.clone(),
            account,
            view,
            maildrop,
            settings,
            shown,
            last: 0,
            last_at_login: 0,
            seen,
            gone_since: None,
            _lock: lock,
        };
        if !read_only {
            session.claim_recent()?;
        }
        session.number().await;
        Ok(session)
    }

    /// Does what is asked and answers.
    ///
    /// # Errors
    /// The connection is gone, or can not go on in the middle of a message.
    pub async fn execute(&mut self, request: Request, link: &mut Link<'_>) -> io::Result<()> {
        let reply = match request {
            Request::Stat => self.totals(),
            Request::Rset => {
                self.maildrop.unmark_all();
                self.last = self.last_at_login;
                self.totals()
            }
            Request::List(Some(number)) => match self.find(number) {
                Ok((_, fixed)) => Reply::Scan { bytes: fixed.size.into() },
                Err(refusal) => refusal,
            },
            Request::Last => Reply::Last { number: self.last },
            Request::Uidl(Some(number)) => match self.find(number) {
                Ok((uid, _)) => Reply::UniqueId { id: self.unique_id(uid).await },
                Err(refusal) => refusal,
            },
            Request::List(None) => return self.list_all(link).await,
            Request::Uidl(None) => return self.uidl_all(link).await,
            Request::Retr(number) => return Box::pin(self.retrieve(number, None, link)).await,
            Request::Top { number, lines } => return Box::pin(self.retrieve(number, Some(lines), link)).await,
            Request::Dele(number) => self.delete(number),
            Request::Quit => self.update().await,
            Request::Login { .. } | Request::Sasl(_) => Reply::refuse(Class::Invalid, "You are logged in already"),
        };
        link.machine.answer(reply);
        Ok(())
    }

    /// What is not marked deleted.
    pub fn totals(&self) -> Reply {
        Reply::Totals { messages: self.maildrop.left(), bytes: self.maildrop.left_bytes() }
    }

    /// Notes that a message was retrieved.
    pub fn retrieved(&mut self, number: u32, uid: Uid) {
        self.last = self.last.max(number);
        if !self.settings.no_flag_updates {
            self.seen.insert(uid.0);
            if self.seen.count() >= SEEN_MAX {
                self.settle();
            }
        }
    }

    /// Marks seen what was retrieved. No reply waits for it.
    pub fn settle(&mut self) {
        if self.seen.is_empty() {
            return;
        }
        let (uids, mode, flags) = (std::mem::take(&mut self.seen), StoreMode::Add, Flags::SEEN);
        let request = StoreRequest { uids, mode, flags, keywords: Vec::new(), unchanged_since: None };
        let ops = self.account.read(|account| account.store(MailboxId::INBOX, request));
        let committed = ops
            .map_err(StoreError::from)
            .and_then(|(ops, _)| self.store.commit_for(&Actor::Owner, &self.account, &ops));
        if let Err(error) = committed
            && !can_do_without(&error, &self.account)
        {
            log(&error);
        }
    }

    /// Lets go of what another session expunged a while ago.
    pub fn let_go(&mut self) {
        let gone = self.look(|inbox| !inbox.view(self.view).zombies().is_empty());
        let now = self.store.now();
        match self.gone_since {
            _ if !gone => self.gone_since = None,
            None => self.gone_since = Some(now),
            Some(since) if now.saturating_sub(since).unsigned_abs() < GONE_SECONDS_MAX => {}
            Some(_) => {
                self.gone_since = None;
                self.lose_gone();
            }
        }
    }

    fn lose_gone(&mut self) {
        self.account.with_mut(|account| {
            let inbox = account.mailbox_mut(MailboxId::INBOX).expect("the view keeps it");
            for uid in inbox.view(self.view).zombies().iter().map(Uid) {
                if let Some(number) = self.maildrop.number_of(uid) {
                    self.maildrop.lose(number, fixed(inbox, self.view, uid).size);
                }
            }
            // Numbers are the maildrop's own: the view's may change.
            inbox.sync(self.view, true);
        });
    }

    /// Writes the account out in the background when enough has changed.
    pub fn checkpoint_if_due(&self) {
        crate::host::checkpoint_if_due(&self.store, &self.account);
    }

    /// A message that has a number and is not marked deleted.
    pub fn find(&self, number: u32) -> Result<(Uid, Fixed), Reply> {
        match self.maildrop.uid_of(number) {
            Some(_) if self.maildrop.is_lost(number) => Err(removed(number)),
            Some(uid) if !self.maildrop.is_marked(number) => Ok((uid, self.look(|inbox| fixed(inbox, self.view, uid)))),
            Some(_) => Err(Reply::refuse(Class::Missing, format!("Message {number} is deleted"))),
            None => Err(Reply::refuse(Class::Missing, format!("There is no message {number}"))),
        }
    }

    /// Looks at the inbox, which the session's view keeps in memory.
    pub fn look<T>(&self, look: impl FnOnce(&Mailbox) -> T) -> T {
        self.account.read(|account| look(account.mailbox(MailboxId::INBOX).expect("the view keeps it")))
    }

    /// Waits until what the client has been shown is durable.
    async fn durable(&self) -> Result<(), StoreError> {
        let shown = self.shown.get();
        if shown != LogPos::default() && !self.store.log().is_durable(shown) {
            self.store.log().durable(shown).await?;
        }
        self.shown.set(LogPos::default());
        Ok(())
    }

    fn claim_recent(&self) -> Result<(), StoreError> {
        let ops = self.account.read(|account| account.claim_recent(MailboxId::INBOX));
        match self.store.commit_unwaited(&self.account, &ops) {
            Err(error) if !can_do_without(&error, &self.account) => Err(error),
            _ => Ok(()),
        }
    }

    /// Gives every message its number. What is hidden from POP3 gets none.
    async fn number(&mut self) {
        let hidden: Vec<Box<str>> = match &self.settings.delete {
            Pop3Delete::Expunge => Vec::new(),
            Pop3Delete::Flag(keyword) => vec![keyword.clone()],
        };
        let hidden = self.look(|inbox| inbox.mask(&hidden));
        let (mut from, mut batch, mut last) = (Uid(1), Vec::with_capacity(BATCH), 0);
        loop {
            batch.clear();
            self.account.read(|account| {
                let inbox = account.mailbox(MailboxId::INBOX).expect("the view keeps it");
                inbox.visible(self.view, &IdSet::range(1, u32::MAX), from, BATCH, &mut batch);
                for seen in batch.iter().filter(|seen| seen.row.keywords.0 & hidden.0 == 0) {
                    self.maildrop.push(seen.row.uid, inbox.fixed(seen.row).size);
                    if seen.row.flags.contains(Flags::SEEN) {
                        last = self.maildrop.left();
                    }
                }
            });
            match batch.last().and_then(|last| last.row.uid.next()) {
                Some(next) => from = next,
                None => break,
            }
            skein_runtime::session_yield().await;
        }
        (self.last, self.last_at_login) = (last, last);
    }

    /// The id of a message of the view: one it came with, with the setting that of its X-UIDL field, else one that is made.
    pub async fn unique_id(&self, uid: Uid) -> Vec<u8> {
        if let Some(known) = self.look(|inbox| inbox.unique_id(uid).map(|id| id.as_bytes().to_vec())) {
            return known;
        }
        let (row, validity) = self.look(|inbox| (row(inbox, self.view, uid), inbox.validity()));
        let (fixed, cache) = self.look(|inbox| (inbox.fixed(row), inbox.cache(row)));
        if self.settings.reuse_xuidl {
            // A message that can not be read has the id that it would have without the field.
            let found = Message::new(&self.store, &self.account, fixed, cache).unique_id().await.unwrap_or_default();
            if let Some(id) = found.filter(|id| std::str::from_utf8(id).is_ok_and(is_unique_id)) {
                return id;
            }
        }
        let mut id = Vec::new();
        self.settings.uidl.write(uid, validity, fixed.guid, &mut id);
        id
    }

    fn delete(&mut self, number: u32) -> Reply {
        match self.find(number) {
            Ok((_, fixed)) => {
                self.maildrop.mark(number, fixed.size);
                Reply::Done
            }
            Err(refusal) => refusal,
        }
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        self.settle();
        self.account.close_view(MailboxId::INBOX, self.view);
    }
}

/// The refusal for what another session expunged.
pub(super) fn removed(number: u32) -> Reply {
    Reply::refuse(Class::Missing, format!("Message {number} was removed by another session"))
}

/// The refusal for what the store could not do; the operator's business goes to the log.
pub(super) fn refuse(error: &StoreError) -> Reply {
    log(error);
    Reply::refuse(error.class(), error.client_text())
}

/// The fixed columns of a message of the view, also when it was expunged since.
pub(super) fn fixed(inbox: &Mailbox, view: ViewId, uid: Uid) -> Fixed {
    inbox.fixed(row(inbox, view, uid))
}

fn row(inbox: &Mailbox, view: ViewId, uid: Uid) -> Row {
    if let Some(row) = inbox.rows().find(uid) {
        return row;
    }
    let mut found = Vec::new();
    inbox.visible(view, &IdSet::one(uid.0), uid, 1, &mut found);
    found.first().expect("a view keeps what it numbers").row
}

/// Machine and socket, lent to a session for one request.
pub(super) struct Link<'a> {
    pub machine: &'a mut Pop3,
    conn: &'a mut Conn,
}

impl<'a> Link<'a> {
    pub fn new(machine: &'a mut Pop3, conn: &'a mut Conn) -> Link<'a> {
        Link { machine, conn }
    }

    /// Sends what there is when there is much.
    ///
    /// # Errors
    /// As [`Link::flush`].
    pub async fn drain_if_full(&mut self, session: &Session) -> io::Result<()> {
        if self.machine.out().len() < OUTPUT_BYTES_WATERMARK {
            return Ok(());
        }
        self.flush(Some(session)).await
    }

    /// Sends the machine's output, once what it shows is durable.
    ///
    /// # Errors
    /// The client is gone, or the log failed: then the output is dropped unsent.
    pub async fn flush(&mut self, session: Option<&Session>) -> io::Result<()> {
        if self.machine.out().is_empty() {
            return Ok(());
        }
        if let Some(session) = session
            && let Err(error) = session.durable().await
        {
            log(&error);
            self.machine.out().clear();
            return Err(io::Error::other(error));
        }
        crate::pump::send(self.machine.out(), self.conn).await
    }
}
