//! COPY and MOVE between mailboxes of different users: the messages are read where they are, and appended where they go.
//!
//! ```text
//! source (here, or a guest) ── head, bytes, head, bytes ──▶ AppendMessage, AppendChunk .. ──▶ target (here, or a guest)
//! ```
//! All of them arrive in one record, or none; a MOVE takes them out of the source after that, so that a failure leaves them in both.

use super::guest::{Ask, Piece};
use super::link::Link;
use super::session::Session;
use super::visit::missing;
use crate::Store;
use crate::failure::refuse;
use crate::message::Message;
use skein_base::{Class, IdSet, KeywordMask, MailboxId, Rights, Uid, UserName};
use skein_proto::imap::limits::{APPEND_CHUNK_BYTES, APPEND_MESSAGES_MAX};
use skein_proto::imap::{AppendTo, Code, FlagList, Reply, Request, SeqSet};
use skein_store::mailbox::{CacheAt, Fixed};
use skein_store::{AccountHandle, StoreError};
use std::io;
use std::rc::Rc;

/// What a COPY or MOVE wants.
pub(super) struct Wish {
    pub set: SeqSet,
    pub uid: bool,
    pub moving: bool,
}

/// A message on its way.
pub(super) struct Head {
    pub uid: Uid,
    pub flags: FlagList,
    pub internal_date: i64,
    pub bytes: u64,
}

/// A message of a mailbox here that is to go elsewhere.
pub(super) struct Exported {
    pub head: Head,
    fixed: Fixed,
    cache: CacheAt,
}

/// Where messages come from.
enum Source {
    Here { mailbox: MailboxId, messages: std::vec::IntoIter<Exported>, reading: Option<Box<(Exported, u64)>> },
    At(UserName, flume::Receiver<Piece>),
}

enum Next {
    Head(Head),
    Bytes(Vec<u8>),
    End,
}

impl Session {
    /// The messages of a set, in the order of their UIDs, for who may read them, and with `moving` take them away.
    pub(super) fn exports(&self, wish: &Wish) -> Result<(MailboxId, Vec<Exported>), Reply> {
        let (mailbox, view, uids) = match wish.moving {
            true => self.resolve_writable(&wish.set, wish.uid)?,
            false => self.resolve(&wish.set, wish.uid)?,
        };
        let right = if wish.moving { Rights::READ | Rights::EXPUNGE } else { Rights::READ };
        self.needs(mailbox, right).map_err(|error| refuse(&error))?;
        let last = self.look(mailbox, |m| m.last_visible(view)).map_or(0, |uid| uid.0);
        let uids = uids.intersection(&IdSet::range(1, last));
        // Not even a MOVE is done in part here, where it goes message by message.
        self.refuse_over(if wish.moving { self.message_limit } else { self.save_limit() }, (mailbox, view), &uids)?;
        if uids.count() > APPEND_MESSAGES_MAX as u64 {
            let text = format!("At most {APPEND_MESSAGES_MAX} messages at a time go to another user's mailbox");
            return Err(Reply::no(Class::Limit, text));
        }
        let export = |m: &skein_store::mailbox::Mailbox| {
            let names = |mask: KeywordMask| mask.indexes().map(|at| m.keywords()[at].to_string()).collect();
            let rows = m.rows().among(&uids);
            rows.map(|row| {
                let fixed = m.fixed(row);
                let row = m.row_apart(self.seen_by.as_deref(), row);
                let flags = FlagList { system: row.flags, keywords: names(row.keywords) };
                let bytes = u64::from(fixed.size);
                let head = Head { uid: row.uid, flags, internal_date: fixed.internal_date, bytes };
                Exported { head, fixed, cache: m.cache(row) }
            })
            .collect()
        };
        Ok((mailbox, self.look(mailbox, export)))
    }

    /// Copies or moves them; `target` is the mailbox's name where it is, of `to` or, without one, of the session's own user.
    pub(super) async fn copy_across(
        &mut self,
        wish: Wish,
        (from, to): (Option<UserName>, Option<UserName>),
        target: String,
        link: &mut Link<'_>,
    ) -> io::Result<Reply> {
        let mut source = match self.source(&wish, from).await {
            Ok(source) => source,
            Err(refusal) => return Ok(refusal),
        };
        let begin = Request::AppendBegin(AppendTo { mailbox: target, replaces: None });
        match self.put(&to, begin, link).await? {
            Reply::Continue => {}
            refusal => return Ok(refusal),
        }
        let mut copied = IdSet::new();
        link.begin_progress(self, None);
        loop {
            let next = match source.next(&self.store.clone(), &self.account.clone()).await {
                Ok(next) => next,
                Err(refusal) => {
                    self.put(&to, Request::AppendAbort, link).await?;
                    return Ok(refusal);
                }
            };
            let begins = matches!(next, Next::Head(_));
            let parts = match next {
                Next::End => break,
                Next::Bytes(bytes) => vec![Request::AppendChunk(bytes)],
                Next::Head(Head { uid, flags, internal_date, bytes }) => {
                    copied.push_range(uid.0, uid.0);
                    let internal_date = Some(internal_date);
                    vec![
                        Request::AppendMessage { flags, internal_date },
                        Request::AppendLiteral { size: bytes, binary: false },
                    ]
                }
            };
            for part in parts {
                match self.put(&to, part, link).await? {
                    Reply::Continue => {}
                    // It has ended the append; what is still on its way from the source is dropped with the channel.
                    refusal => return Ok(refusal),
                }
            }
            link.advance(usize::from(begins), self).await?;
            skein_runtime::session_yield().await;
        }
        if copied.is_empty() {
            self.put(&to, Request::AppendAbort, link).await?;
            return Ok(Reply::Done);
        }
        let (validity, uids) = match self.put(&to, Request::AppendEnd, link).await? {
            Reply::DoneCode(Code::AppendUid { validity, uids }) => (validity, uids),
            refusal => return Ok(refusal),
        };
        if wish.moving
            && let Some(refusal) = self.take_out(source, &copied).await
        {
            return Ok(refusal);
        }
        Ok(Reply::DoneCode(Code::CopyUid { validity, from: copied, to: uids }))
    }

    async fn source(&mut self, wish: &Wish, from: Option<UserName>) -> Result<Source, Reply> {
        match from {
            None => {
                let (mailbox, messages) = self.exports(wish)?;
                Ok(Source::Here { mailbox, messages: messages.into_iter(), reading: None })
            }
            Some(owner) => {
                let Wish { set, uid, moving } = wish;
                let ask = Ask::Messages(Wish { set: set.clone(), uid: *uid, moving: *moving });
                let pieces = self.question(&owner, ask).await.ok_or_else(missing)?;
                Ok(Source::At(owner, pieces))
            }
        }
    }

    /// A question of the append at the target.
    async fn put(&mut self, to: &Option<UserName>, request: Request, link: &mut Link<'_>) -> io::Result<Reply> {
        match (to, request) {
            (Some(owner), request) => self.ask(owner, request, link).await,
            (None, Request::AppendEnd) => Ok(self.append_end().await),
            (None, request) => Ok(self.append(request).await),
        }
    }

    /// They are at the target: they leave the source. A refusal, when they could not.
    async fn take_out(&mut self, source: Source, uids: &IdSet) -> Option<Reply> {
        let reply = match source {
            Source::Here { mailbox, .. } => self.remove(mailbox, uids),
            Source::At(owner, _) => match self.question(&owner, Ask::Remove(uids.clone())).await {
                Some(pieces) => match pieces.recv_async().await {
                    Ok(Piece::Reply(reply)) => reply,
                    _ => missing(),
                },
                None => missing(),
            },
        };
        (reply != Reply::Done).then_some(reply)
    }

    /// Takes messages out of the selected mailbox, whatever their flags.
    pub(super) fn remove(&self, mailbox: MailboxId, uids: &IdSet) -> Reply {
        let removed = self
            .needs(mailbox, Rights::EXPUNGE)
            .and_then(|()| self.commit_with(|account, _| account.remove(mailbox, uids)));
        removed.map_or_else(|error| refuse(&error), |()| Reply::Done)
    }
}

impl Exported {
    /// The bytes from `at` on, some at a time; none at the end.
    pub(super) async fn read(
        &self,
        store: &Store,
        account: &Rc<AccountHandle>,
        at: u64,
    ) -> Result<Vec<u8>, StoreError> {
        let end = self.head.bytes.min(at + APPEND_CHUNK_BYTES as u64);
        if at >= end {
            return Ok(Vec::new());
        }
        Message::new(store, account, self.fixed, self.cache.clone()).range(at..end).await
    }
}

impl Source {
    async fn next(&mut self, store: &Store, account: &Rc<AccountHandle>) -> Result<Next, Reply> {
        match self {
            Source::Here { messages, reading, .. } => {
                if let Some((message, at)) = reading.as_deref_mut() {
                    let bytes = message.read(store, account, *at).await.map_err(|error| refuse(&error))?;
                    *at += bytes.len() as u64;
                    if !bytes.is_empty() {
                        return Ok(Next::Bytes(bytes));
                    }
                }
                let Some(message) = messages.next() else { return Ok(Next::End) };
                let Head { uid, ref flags, internal_date, bytes } = message.head;
                let head = Head { uid, flags: flags.clone(), internal_date, bytes };
                *reading = Some(Box::new((message, 0)));
                Ok(Next::Head(head))
            }
            Source::At(_, pieces) => match pieces.recv_async().await {
                Ok(Piece::Head(head)) => Ok(Next::Head(head)),
                Ok(Piece::Bytes(bytes)) => Ok(Next::Bytes(bytes)),
                Ok(Piece::Reply(Reply::Done)) => Ok(Next::End),
                Ok(Piece::Reply(refusal)) => Err(refusal),
                Ok(Piece::Lines(_) | Piece::Pushed(_) | Piece::Names(_)) | Err(_) => Err(missing()),
            },
        }
    }
}
