//! APPEND and REPLACE: bytes into the log as they come, one record of ops once all messages are there.
//!
//! ```text
//! AppendBegin ─▶ AppendMessage ─▶ literal, URL, ..  ─▶ AppendMessage ─▶ ..  ─▶ AppendEnd
//!                  open: Ingest ◀── bytes               taken: in memory, or in the log when that is much
//!                                                                            └▶ bodies + ops, all of them or none
//! ```

use super::fetch::{cut, filtered_header, section_of};
use super::session::Session;
use super::spaces::mailbox_of_url;
use super::store::expunge_issued;
use crate::failure::{refuse, refuse_target};
use crate::ingest::{Ingest, Received, Unencodable};
use crate::message::Message;
use skein_base::limits::{BODY_CHUNK_BYTES, KEYWORD_BYTES_MAX, KEYWORDS_PER_MAILBOX_MAX, MESSAGE_BYTES_MAX_CEILING};
use skein_base::{Class, Flags, IdSet, KeywordMask, LogPos, MailboxId, Rights, Uid, UidValidity};
use skein_proto::imap::limits::APPEND_MESSAGES_MAX;
use skein_proto::imap::{AppendTo, Code, FlagList, ImapUrl, Replaced, Reply, Request};
use skein_runtime::RealDisk;
use skein_store::body::{Place, Spilled};
use skein_store::log::RECORD_BYTES_MAX;
use skein_store::mailbox::SEEN_APART;
use skein_store::op::NewMessage;
use skein_store::{AccountError, StoreError};

/// Bytes of messages that one command has in memory while it waits for more; beyond, they wait in the log. What others append meanwhile
/// waits for as much of one command.
const HELD_BYTES_MAX: usize = BODY_CHUNK_BYTES;
/// Bytes of all messages of one command: until its end none of the log behind its first message can be drained, and the
/// largest single message is allowed as much.
const COMMAND_BYTES_MAX: u64 = MESSAGE_BYTES_MAX_CEILING;

/// Bytes of a message's op without its keywords, generously.
const MESSAGE_OP_BYTES: usize = 128;
const _: () = assert!(
    APPEND_MESSAGES_MAX * (MESSAGE_OP_BYTES + KEYWORDS_PER_MAILBOX_MAX * (KEYWORD_BYTES_MAX + 2)) <= RECORD_BYTES_MAX
);

/// An APPEND that is being received.
pub(crate) struct Append {
    mailbox: String,
    replaces: Option<(MailboxId, Uid)>,
    /// Keywords of all its messages; each has its own as bits.
    keywords: Vec<Box<str>>,
    /// The message whose parts come.
    open: Option<Open>,
    /// Those before it.
    taken: Vec<Taken>,
    /// Bytes of them in memory.
    held_bytes: usize,
    /// Bytes of all parts so far.
    bytes: u64,
}

struct Head {
    flags: Flags,
    keywords: KeywordMask,
    internal_date: Option<i64>,
}

struct Open {
    head: Head,
    ingest: Ingest,
    /// Bytes of its parts so far, those announced among them.
    bytes: u64,
    /// The part that comes is a literal8.
    binary: bool,
}

struct Taken {
    head: Head,
    body: Body,
}

enum Body {
    Held(Received),
    Spilled(Spilled<RealDisk>),
}

impl Session {
    /// All questions of an APPEND but the last one. A refusal ends it.
    pub(super) async fn append(&mut self, request: Request) -> Reply {
        let append = match (request, self.append.take()) {
            (Request::AppendBegin(to), _) => self.begin(to).await.map(Box::new),
            (Request::AppendAbort, _) => return Reply::Done,
            (request, Some(mut append)) => self.append_part(&mut append, request).await.map(|()| append),
            (_, None) => Err(Reply::bad("No APPEND is under way")),
        };
        match append {
            Ok(append) => {
                self.append = Some(append);
                Reply::Continue
            }
            Err(refusal) => refusal,
        }
    }

    /// The last one.
    pub(super) async fn append_end(&mut self) -> Reply {
        let Some(mut append) = self.append.take() else { return Reply::bad("No APPEND is under way") };
        if let Err(refusal) = self.end_message(&mut append).await {
            return refusal;
        }
        match self.commit_append(*append).await {
            Ok((validity, uids)) => Reply::DoneCode(Code::AppendUid { validity, uids }),
            Err(error) => refuse_target(&error),
        }
    }

    async fn begin(&self, to: AppendTo) -> Result<Append, Reply> {
        let replaces = to.replaces.map(|replaced| self.replaced(&replaced)).transpose()?;
        self.find_for(&to.mailbox, Rights::INSERT).await.map_err(|error| refuse_target(&error))?;
        self.store.log().takes_messages().map_err(|error| refuse(&error.into()))?;
        Ok(Append {
            mailbox: to.mailbox,
            replaces,
            keywords: Vec::new(),
            open: None,
            taken: Vec::new(),
            held_bytes: 0,
            bytes: 0,
        })
    }

    /// The message that is to leave.
    fn replaced(&self, replaced: &Replaced) -> Result<(MailboxId, Uid), Reply> {
        let (mailbox, view, uids) = self.resolve_writable(&replaced.set, replaced.uid)?;
        self.needs(mailbox, Rights::EXPUNGE | Rights::DELETE).map_err(|error| refuse(&error))?;
        let known = self.look(mailbox, |m| m.last_visible(view)).unwrap_or_default();
        let Some(uid) = uids.first().map(Uid).filter(|uid| *uid <= known) else {
            return Err(Reply::no(Class::Missing, "There is no such message"));
        };
        match self.look(mailbox, |m| m.rows().find(uid).is_some()) {
            true => Ok((mailbox, uid)),
            false if replaced.uid => Err(Reply::no(Class::Missing, "There is no such message")),
            false => Err(expunge_issued()),
        }
    }

    async fn append_part(&self, append: &mut Append, request: Request) -> Result<(), Reply> {
        match request {
            Request::AppendMessage { flags, internal_date } => {
                self.end_message(append).await?;
                self.refuse_appended(append.taken.len() + 1)?;
                let head = Head { flags: flags.system, keywords: append.mask(&flags)?, internal_date };
                let ingest = Ingest::new(&self.store, self.message_bytes_max);
                append.open = Some(Open { head, ingest, bytes: 0, binary: false });
                Ok(())
            }
            Request::AppendUrl(url) => Box::pin(self.append_url(append, &url)).await,
            Request::AppendLiteral { size, binary } => {
                self.announce(append, size)?.binary = binary;
                Ok(())
            }
            Request::AppendChunk(bytes) => {
                let open = append.open()?;
                let pushed = match open.binary {
                    true => open.ingest.push_binary(&bytes).await,
                    false => open.ingest.push(&bytes).await,
                };
                pushed.map_err(|error| refuse(&error))
            }
            _ => Err(Reply::bad("Not a part of an APPEND")),
        }
    }

    /// So many bytes more are to come, if they may.
    fn announce<'a>(&self, append: &'a mut Append, bytes: u64) -> Result<&'a mut Open, Reply> {
        append.bytes = append.bytes.saturating_add(bytes);
        if append.bytes > COMMAND_BYTES_MAX {
            return Err(too_big("The messages of one command are", COMMAND_BYTES_MAX));
        }
        let open = append.open()?;
        open.bytes = open.bytes.saturating_add(bytes);
        match open.bytes > self.message_bytes_max {
            true => Err(too_big("Messages are", self.message_bytes_max)),
            false => Ok(open),
        }
    }

    /// A part that the server has already (RFC 4469 §3).
    async fn append_url(&self, append: &mut Append, url: &ImapUrl) -> Result<(), Reply> {
        let bad = |why: &'static str| Reply::No { code: Some(Code::BadUrl(url.text.clone())), text: why.into() };
        let read = |error: StoreError| match error {
            StoreError::Account(AccountError::NoSuchMailbox) => bad("There is no such mailbox"),
            error => refuse(&error),
        };
        if url.server.is_some() {
            return Err(bad("Only a URL without a server is taken here"));
        }
        let name = mailbox_of_url(self.spaces.as_deref(), url, self.selected_name().as_deref());
        let name = name.ok_or_else(|| bad("The URL names no mailbox"))?;
        let uid = url.uid.map(Uid).ok_or_else(|| bad("The URL names no message"))?;
        let id = self.find_for(&name, Rights::READ).await.map_err(read)?;
        let found = self.look(id, |m| match url.validity {
            Some(validity) if m.validity() != UidValidity(validity) => None,
            _ => m.rows().find(uid).map(|row| (m.fixed(row), m.cache(row))),
        });
        let (fixed, cache) = found.ok_or_else(|| bad("There is no such message"))?;
        let mut message = Message::new(&self.store, &self.account, fixed, cache);
        let (section, partial) = (section_of(&url.section), url.section.partial);
        if let Some(filtered) = filtered_header(&mut message, &section).await.map_err(read)? {
            let part = cut(0..filtered.len() as u64, partial);
            let open = self.announce(append, part.end - part.start)?;
            return open.ingest.push(&filtered[part.start as usize..part.end as usize]).await.map_err(read);
        }
        let span = message.locate(&section).await.map_err(read)?;
        let span = span.ok_or_else(|| bad("The message has no such part"))?;
        let part = cut(u64::from(span.start)..u64::from(span.end), partial);
        let open = self.announce(append, part.end - part.start)?;
        let mut at = part.start;
        while at < part.end {
            let next = message.range(at..part.end.min(at + BODY_CHUNK_BYTES as u64)).await.map_err(read)?;
            if next.is_empty() {
                return Err(bad("The message ends before its part does"));
            }
            open.ingest.push(&next).await.map_err(read)?;
            at += next.len() as u64;
            skein_runtime::session_yield().await;
        }
        Ok(())
    }

    fn selected_name(&self) -> Option<String> {
        let id = self.selected.as_ref()?.mailbox;
        self.account.read(|account| account.mailboxes().find(|m| m.id == id).map(|m| m.name.to_owned()))
    }

    /// The message whose parts came is complete.
    async fn end_message(&self, append: &mut Append) -> Result<(), Reply> {
        let Some(Open { head, ingest, .. }) = append.open.take() else { return Ok(()) };
        if ingest.bytes() == 0 {
            return Err(Reply::No { code: Some(Code::Cannot), text: "A message has at least one byte".into() });
        }
        let ingest = ingest.encoded(&self.store).await.map_err(|unencodable| match unencodable {
            Unencodable::Store(error) => refuse(&error),
            Unencodable::StrayNul => {
                Reply::No { code: Some(Code::UnknownCte), text: "A NUL stands outside of a binary part".into() }
            }
        })?;
        let received = ingest.finish().await.map_err(|error| refuse(&error))?;
        append.held_bytes += received.held_bytes();
        append.taken.push(Taken { head, body: Body::Held(received) });
        if append.held_bytes > HELD_BYTES_MAX {
            self.spill(append).await.map_err(|error| refuse(&error))?;
        }
        Ok(())
    }

    /// Puts what is in memory into the log.
    async fn spill(&self, append: &mut Append) -> Result<(), StoreError> {
        append.held_bytes = 0;
        self.spilled_is_safe(append).await?;
        for Taken { head, body } in std::mem::take(&mut append.taken) {
            let spilled = match body {
                Body::Spilled(spilled) => spilled,
                Body::Held(received) => {
                    self.store.log().room().await?;
                    received.spill()?
                }
            };
            append.taken.push(Taken { head, body: Body::Spilled(spilled) });
        }
        Ok(())
    }

    /// Waits for what this command has put into the log before.
    async fn spilled_is_safe(&self, append: &Append) -> Result<(), StoreError> {
        let spilled = append.taken.iter().rev().find_map(|taken| match &taken.body {
            Body::Spilled(spilled) => Some(spilled.addr()),
            Body::Held(_) => None,
        });
        match spilled.map(|addr| (addr.place, addr.offset)) {
            Some((Place::Log(segment), offset)) => {
                Ok(self.store.log().durable(LogPos { segment, offset: offset + 1 }).await?)
            }
            _ => Ok(()),
        }
    }

    async fn commit_append(&self, append: Append) -> Result<(UidValidity, IdSet), StoreError> {
        self.spilled_is_safe(&append).await?;
        self.store.log().room().await?;
        let id = self.find_for(&append.mailbox, Rights::INSERT).await?;
        // From here on nothing waits: the bodies, their ops and the UIDs told belong together.
        let now = self.store.now();
        let (mut messages, mut spilled) = (Vec::with_capacity(append.taken.len()), Vec::new());
        // Which of them somebody with a \Seen of his own brings as seen.
        let mut seen_apart = Vec::new();
        for Taken { head, body } in append.taken {
            let addr = match body {
                Body::Held(received) => received.log(&self.store)?,
                Body::Spilled(kept) => {
                    let addr = kept.addr();
                    spilled.push(kept);
                    addr
                }
            };
            let mut keywords = head.keywords.indexes().map(|at| append.keywords[at].clone()).collect();
            let mut flags = self.flags_for(id, head.flags, &mut keywords);
            if self.seen_by.is_some() {
                seen_apart.push(flags.contains(Flags::SEEN));
                flags = flags & !Flags::SEEN;
            }
            messages.push(NewMessage {
                flags,
                keywords,
                internal_date: head.internal_date.unwrap_or(now),
                save_date: now,
                size: addr.bytes,
                guid: self.store.guid(&addr),
                body: addr,
            });
        }
        let count = messages.len() as u32;
        let (first, ops) = self.account.read(|account| match (append.replaces, messages.pop()) {
            (Some(replaced), Some(message)) => account.replace(replaced, id, message),
            (_, last) => {
                messages.extend(last);
                account.append(id, messages)
            }
        })?;
        let mut ops = ops;
        if let Some(column) = &self.seen_by {
            let seen = (first.0..).zip(seen_apart).filter(|(_, seen)| *seen).map(|(uid, _)| uid).collect();
            ops.extend(self.account.read(|account| account.values_of_new(id, column, &seen, SEEN_APART)));
        }
        self.commit(&ops)?;
        drop(spilled);
        let validity = self.account.read(|account| account.mailbox(id).map(|m| m.validity()));
        let validity = validity.ok_or(AccountError::NoSuchMailbox)?;
        Ok((validity, IdSet::range(first.0, first.0 + count - 1)))
    }
}

impl Append {
    fn open(&mut self) -> Result<&mut Open, Reply> {
        self.open.as_mut().ok_or_else(|| Reply::bad("No message has begun"))
    }

    /// The keywords of a message as bits. All messages go to one mailbox, which knows no more than fit.
    fn mask(&mut self, flags: &FlagList) -> Result<KeywordMask, Reply> {
        let mut mask = 0;
        for name in &flags.keywords {
            let known = self.keywords.iter().position(|known| known.eq_ignore_ascii_case(name));
            let at = known.unwrap_or(self.keywords.len());
            if at == KEYWORDS_PER_MAILBOX_MAX {
                return Err(refuse(&AccountError::TooManyKeywords { max: KEYWORDS_PER_MAILBOX_MAX }.into()));
            }
            if known.is_none() {
                self.keywords.push(name.as_str().into());
            }
            mask |= KeywordMask::bit(at).0;
        }
        Ok(KeywordMask(mask))
    }
}

fn too_big(what: &str, max: u64) -> Reply {
    Reply::No { code: Some(Code::TooBig), text: format!("{what} at most {max} bytes").into() }
}
