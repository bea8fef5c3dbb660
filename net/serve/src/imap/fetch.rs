//! FETCH: columns straight from the rows, everything else message by message.

use super::binary::Measured;
use super::link::Link;
use super::ready::ReadyItems;
use super::session::Session;
use super::sync::begin_line;
use crate::failure::can_do_without;
use crate::message::{Message, Rendered};
use skein_base::limits::{BODY_CHUNK_BYTES, OUTPUT_BYTES_WATERMARK};
use skein_base::{Flags, IdSet, MailboxId, ModSeq, Rights, Uid};
use skein_mime::{FieldNames, Section, What, filter_header};
use skein_proto::imap::response::FetchLine;
use skein_proto::imap::{BodySection, Code, FetchItem, FetchItems, Partial, Reply, SectionText};
use skein_store::account::StoreRequest;
use skein_store::mailbox::{CacheAt, Fixed, Mailbox, ViewId, Visible};
use skein_store::op::StoreMode;
use skein_store::{AccountError, StoreError};
use std::io;

/// Messages taken at a time when only columns are asked: one look at the output per so many.
const COLUMNS_BATCH: usize = 512;
/// And when rendered caches are: each is some cache lines, or a page fault.
const CACHED_BATCH: usize = 64;
/// Messages taken at a time when their contents are asked: what is marked seen is at most this far ahead of the client.
const CONTENT_BATCH: usize = 32;

/// A message to be answered, with all that is needed once the account is let go of.
struct Wanted {
    seen: Visible,
    fixed: Fixed,
    recent: bool,
    cache: CacheAt,
    /// `\Seen` was set by this very FETCH, so its flags are told.
    flags_changed: bool,
}

impl Wanted {
    fn of(m: &Mailbox, view: ViewId, seen: Visible) -> Wanted {
        Wanted {
            seen,
            fixed: m.fixed(seen.row),
            recent: m.view(view).is_recent(seen.row.uid),
            cache: m.cache(seen.row),
            flags_changed: false,
        }
    }
}

/// Why a message was not answered.
pub(super) enum Failure {
    Store(StoreError),
    /// A transfer encoding is to be taken off that is not known.
    UnknownEncoding,
    Gone(io::Error),
}

/// Messages that were not answered.
#[derive(Default)]
struct Failed {
    unread: usize,
    unknown_encoding: usize,
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Failure {
        Failure::Store(error)
    }
}

impl Session {
    pub(super) async fn fetch(
        &mut self,
        (mailbox, view, uids): (MailboxId, ViewId, IdSet),
        items: &FetchItems,
        changed_since: Option<ModSeq>,
        link: &mut Link<'_>,
    ) -> io::Result<Reply> {
        let marks_seen = items.sets_seen() && self.selected.as_ref().is_some_and(|s| !s.read_only);
        let upto = self.look(mailbox, |m| m.modseq());
        let reply = self.fetch_found((mailbox, view), &uids, items, changed_since, marks_seen, link).await?;
        if reply == Reply::Done && tells_all(items, link) {
            let since = changed_since.unwrap_or_default();
            let note = |m: &mut Mailbox| m.answered(view, uids, since, upto);
            self.account.with_mut(|account| account.mailbox_mut(mailbox).map(note));
        }
        Ok(reply)
    }

    /// What `items` asks of these messages; they become seen only with `marks_seen`.
    pub(super) async fn fetch_found(
        &mut self,
        (mailbox, view): (MailboxId, ViewId),
        uids: &IdSet,
        items: &FetchItems,
        changed_since: Option<ModSeq>,
        marks_seen: bool,
        link: &mut Link<'_>,
    ) -> io::Result<Reply> {
        link.begin_progress(self, Some(self.count(mailbox, view, uids)));
        if !marks_seen && let Some(ready) = ReadyItems::of(items, link.uid_only()) {
            return self.fetch_ready((mailbox, view), uids, (items, ready), changed_since, link).await;
        }
        let (mut from, mut failed) = (Uid(1), Failed::default());
        loop {
            self.tell_keywords(link);
            let mut batch = self.take(mailbox, view, uids, from);
            let Some(last) = batch.last() else { break };
            from = Uid(last.seen.row.uid.0 + 1);
            let looked_at = batch.len();
            batch.retain(|wanted| changed_since.is_none_or(|since| wanted.seen.row.modseq > since));
            link.advance(looked_at - batch.len(), self).await?;
            if marks_seen && let Err(error) = self.mark_seen(mailbox, view, &mut batch, link) {
                return Ok(crate::failure::refuse(&error));
            }
            for wanted in &batch {
                self.answer_or_note(mailbox, wanted, items, &mut failed, link).await?;
            }
            skein_runtime::session_yield().await;
        }
        Ok(fetched(&failed))
    }

    /// The same of items that are ready for most messages.
    async fn fetch_ready(
        &mut self,
        (mailbox, view): (MailboxId, ViewId),
        uids: &IdSet,
        (items, mut ready): (&FetchItems, ReadyItems<'_>),
        changed_since: Option<ModSeq>,
        link: &mut Link<'_>,
    ) -> io::Result<Reply> {
        let (mut from, mut failed) = (Uid(1), Failed::default());
        let at_a_time = if ready.needs_caches() { CACHED_BATCH } else { COLUMNS_BATCH };
        let mut batch = Vec::with_capacity(at_a_time);
        loop {
            batch.clear();
            self.tell_keywords(link);
            let (looked_at, open) = self.look(mailbox, |m| {
                m.visible(view, uids, from, at_a_time, &mut batch);
                let out = link.out();
                let is_asked = |seen: &Visible| changed_since.is_none_or(|since| seen.row.modseq > since);
                let done = ready.write((&self.store, m), view, &batch, is_asked, out);
                if done > 0 && out.len() >= OUTPUT_BYTES_WATERMARK {
                    return (done, Vec::new());
                }
                // Where one cache is not at hand those behind it rarely are: they are in the log.
                let open = batch[done..].iter().filter(|seen| is_asked(seen)).map(|seen| Wanted::of(m, view, *seen));
                (batch.len(), open.collect::<Vec<_>>())
            });
            let Some(last) = looked_at.checked_sub(1) else { return Ok(fetched(&failed)) };
            from = Uid(batch[last].row.uid.0 + 1);
            link.drain_if_full(self).await?;
            link.advance(looked_at - open.len(), self).await?;
            for wanted in &open {
                self.answer_or_note(mailbox, wanted, items, &mut failed, link).await?;
            }
            skein_runtime::session_yield().await;
        }
    }

    fn take(&self, mailbox: MailboxId, view: ViewId, uids: &IdSet, from: Uid) -> Vec<Wanted> {
        self.look(mailbox, |m| {
            let mut batch = Vec::with_capacity(CONTENT_BATCH);
            m.visible(view, uids, from, CONTENT_BATCH, &mut batch);
            batch.into_iter().map(|seen| Wanted::of(m, view, seen)).collect()
        })
    }

    /// It is not one that was deleted and that only sessions still see.
    pub(super) fn may_change(&self, mailbox: MailboxId) -> bool {
        self.account.read(|account| account.exists(mailbox) || account.is_derived(mailbox))
    }

    /// Sets `\Seen` where it is missing (RFC 3501 §6.4.5), and tells the new flags with the message.
    fn mark_seen(
        &mut self,
        mailbox: MailboxId,
        view: ViewId,
        batch: &mut [Wanted],
        link: &mut Link<'_>,
    ) -> Result<(), StoreError> {
        let unseen = |wanted: &&mut Wanted| !wanted.seen.gone && !wanted.seen.row.flags.contains(Flags::SEEN);
        let uids: IdSet = batch.iter_mut().filter(unseen).map(|wanted| wanted.seen.row.uid.0).collect();
        let may = || self.rights(mailbox).contains(Rights::SEEN);
        if uids.is_empty() || !self.may_change(mailbox) || !may() {
            return Ok(());
        }
        self.tell_selected(false, link);
        let (mode, flags) = (StoreMode::Add, Flags::SEEN);
        let request = StoreRequest { uids, mode, flags, keywords: Vec::new(), unchanged_since: None };
        let before = self.look(mailbox, |m| m.modseq());
        let seen_by = self.seen_by.clone();
        let stored = self.account.read(|account| account.store_apart(mailbox, request, seen_by.as_deref()));
        // Who reads where there is no room for what one more has seen reads all the same.
        let (ops, _) = match stored {
            Err(AccountError::TooManyValues) => return Ok(()),
            stored => stored?,
        };
        match self.commit(&ops) {
            Err(error) if can_do_without(&error, &self.account) => return Ok(()),
            committed => committed?,
        };
        self.account.with_mut(|account| account.mailbox_mut(mailbox).map(|m| m.own_changes(view, before)));
        self.look(mailbox, |m| {
            for wanted in batch.iter_mut().filter(unseen) {
                if let Some(row) = m.rows().find(wanted.seen.row.uid) {
                    wanted.seen.row = m.row_apart(seen_by.as_deref(), row);
                    wanted.flags_changed = true;
                }
            }
        });
        Ok(())
    }

    /// Answers one message, or notes why it is not answered.
    async fn answer_or_note(
        &self,
        mailbox: MailboxId,
        wanted: &Wanted,
        items: &FetchItems,
        failed: &mut Failed,
        link: &mut Link<'_>,
    ) -> io::Result<()> {
        let (start, drains) = (link.out().len(), link.drains());
        match self.answer(mailbox, wanted, items, link).await {
            Ok(()) => {}
            Err(Failure::Gone(error)) => return Err(error),
            // Found before the line was begun.
            Err(Failure::UnknownEncoding) => {
                self.tell_seen(mailbox, wanted, items, link);
                failed.unknown_encoding += 1;
            }
            // Part of the line is with the client already: there is no way back.
            Err(Failure::Store(error)) if link.drains() != drains => return Err(io::Error::other(error)),
            Err(Failure::Store(error)) => {
                crate::failure::log(&error);
                link.out().truncate(start);
                self.tell_seen(mailbox, wanted, items, link);
                failed.unread += 1;
            }
        }
        link.drain_if_full(self).await?;
        link.advance(1, self).await
    }

    async fn answer(
        &self,
        mailbox: MailboxId,
        wanted: &Wanted,
        items: &FetchItems,
        link: &mut Link<'_>,
    ) -> Result<(), Failure> {
        let mut message = Message::new(&self.store, &self.account, wanted.fixed, wanted.cache.clone());
        let mut measured = match items.list.iter().any(is_binary) {
            true => self.measure_binaries(items, &mut message).await?,
            false => Vec::new(),
        };
        let mut line = begin_line(link.uid_only(), &wanted.seen, link.out());
        for (i, item) in items.list.iter().enumerate() {
            let measured = measured.get_mut(i).and_then(Option::as_mut);
            self.answer_item(mailbox, wanted, (item, measured), &mut message, &mut line, link).await?;
        }
        if wanted.flags_changed {
            self.write_seen(mailbox, wanted, items, &mut line, link);
        }
        line.end(link.out());
        Ok(())
    }

    /// What this FETCH has changed, but for what it asked for: the flags, and what RFC 7162 §3.2.4 has told with them.
    fn write_seen(
        &self,
        mailbox: MailboxId,
        wanted: &Wanted,
        items: &FetchItems,
        line: &mut FetchLine,
        link: &mut Link<'_>,
    ) {
        if !items.has(&FetchItem::Flags) {
            self.write_flags_item(mailbox, wanted, line, link.out());
        }
        if link.condstore() && !items.has(&FetchItem::ModSeq) {
            line.modseq(link.out(), wanted.seen.row.modseq);
        }
        if link.qresync() && !link.uid_only() && !items.has(&FetchItem::Uid) {
            line.uid(link.out(), wanted.seen.row.uid);
        }
    }

    /// The message is not answered, but this FETCH has set its `\Seen`: that is told all the same (RFC 3501 §7.4.2).
    fn tell_seen(&self, mailbox: MailboxId, wanted: &Wanted, items: &FetchItems, link: &mut Link<'_>) {
        if !wanted.flags_changed {
            return;
        }
        let mut line = begin_line(link.uid_only(), &wanted.seen, link.out());
        if items.has(&FetchItem::Uid) || link.qresync() && !link.uid_only() {
            line.uid(link.out(), wanted.seen.row.uid);
        }
        self.write_flags_item(mailbox, wanted, &mut line, link.out());
        if link.condstore() || items.has(&FetchItem::ModSeq) {
            line.modseq(link.out(), wanted.seen.row.modseq);
        }
        line.end(link.out());
    }

    async fn answer_item(
        &self,
        mailbox: MailboxId,
        wanted: &Wanted,
        (item, measured): (&FetchItem, Option<&mut Measured>),
        message: &mut Message<'_>,
        line: &mut FetchLine,
        link: &mut Link<'_>,
    ) -> Result<(), Failure> {
        let (row, out) = (wanted.seen.row, link.out());
        match item {
            FetchItem::Flags => self.write_flags_item(mailbox, wanted, line, out),
            FetchItem::InternalDate => line.internal_date(out, wanted.fixed.internal_date),
            FetchItem::Rfc822Size => line.size(out, u64::from(wanted.fixed.size)),
            FetchItem::Uid => line.uid(out, row.uid),
            FetchItem::ModSeq => line.modseq(out, row.modseq),
            FetchItem::SaveDate => line.save_date(out, wanted.fixed.save_date),
            FetchItem::EmailId => line.email_id(out, wanted.fixed.guid),
            FetchItem::ThreadId => line.thread_id(out),
            FetchItem::Guid => line.guid(out, wanted.fixed.guid),
            FetchItem::Preview { form, lazy } => line.preview(out, *form, message.preview(*lazy).await?.as_deref()),
            FetchItem::BinarySize(path) => line.binary_size(out, path, measured.map_or(0, |m| m.bytes())),
            FetchItem::Binary(section) => self.binary(section, measured, message, line, link).await?,
            FetchItem::Envelope => render(message, Rendered::Envelope, "ENVELOPE", line, out).await?,
            FetchItem::Body => render(message, Rendered::Body, "BODY", line, out).await?,
            FetchItem::BodyStructure => render(message, Rendered::BodyStructure, "BODYSTRUCTURE", line, out).await?,
            FetchItem::Rfc822 { .. } => self.section(message, item, &whole(What::Whole), None, line, link).await?,
            FetchItem::Rfc822Header => self.section(message, item, &whole(What::Header), None, line, link).await?,
            FetchItem::Rfc822Text { .. } => self.section(message, item, &whole(What::Text), None, line, link).await?,
            FetchItem::Section(asked) => {
                self.section(message, item, &section_of(asked), asked.partial, line, link).await?;
            }
        }
        Ok(())
    }

    fn write_flags_item(&self, mailbox: MailboxId, wanted: &Wanted, line: &mut FetchLine, out: &mut Vec<u8>) {
        let row = wanted.seen.row;
        self.look(mailbox, |m| line.flags(out, row.flags, row.keywords, m.keywords(), wanted.recent));
    }

    /// A section as a literal. What does not fit a chunk is read and sent chunk by chunk.
    async fn section(
        &self,
        message: &mut Message<'_>,
        item: &FetchItem,
        section: &Section,
        partial: Option<Partial>,
        line: &mut FetchLine,
        link: &mut Link<'_>,
    ) -> Result<(), Failure> {
        if let Some(filtered) = filtered_header(message, section).await? {
            let cut = cut(0..filtered.len() as u64, partial);
            line.body(link.out(), item, cut.end - cut.start);
            link.out().extend_from_slice(&filtered[cut.start as usize..cut.end as usize]);
            return Ok(());
        }
        let Some(span) = message.locate(section).await? else {
            match item {
                FetchItem::Section(asked) => line.section_nil(link.out(), asked),
                _ => line.body(link.out(), item, 0),
            }
            return Ok(());
        };
        let range = cut(u64::from(span.start)..u64::from(span.end), partial);
        let bytes = range.end - range.start;
        let mut at = range.start;
        let mut next = message.range(at..range.end.min(at + BODY_CHUNK_BYTES as u64)).await?;
        line.body(link.out(), item, bytes);
        loop {
            link.out().extend_from_slice(&next);
            at += next.len() as u64;
            if at >= range.end {
                return Ok(());
            }
            link.drain_if_full(self).await.map_err(Failure::Gone)?;
            // The literal's length is told already: nothing but these bytes may follow, or the connection ends.
            next = message.range(at..range.end.min(at + BODY_CHUNK_BYTES as u64)).await.map_err(broken)?;
            if next.is_empty() {
                return Err(Failure::Gone(io::ErrorKind::UnexpectedEof.into()));
            }
        }
    }
}

/// An answer says all that the session is told when another changes a message.
fn tells_all(items: &FetchItems, link: &Link<'_>) -> bool {
    let modseq = !link.condstore() || items.has(&FetchItem::ModSeq);
    let uid = !link.qresync() || link.uid_only() || items.has(&FetchItem::Uid);
    items.has(&FetchItem::Flags) && modseq && uid
}

pub(super) fn broken(error: StoreError) -> Failure {
    crate::failure::log(&error);
    Failure::Gone(io::Error::other("a message could not be read to its end"))
}

fn fetched(failed: &Failed) -> Reply {
    let (code, text) = match failed {
        Failed { unread: 0, unknown_encoding: 0 } => return Reply::Done,
        Failed { unread: 0, .. } => (Code::UnknownCte, "The transfer encoding is not known".to_string()),
        Failed { unread, .. } => {
            (Code::ServerBug, format!("{unread} messages can not be read; the operator has been told"))
        }
    };
    Reply::No { code: Some(code), text: text.into() }
}

fn is_binary(item: &FetchItem) -> bool {
    matches!(item, FetchItem::Binary(_) | FetchItem::BinarySize(_))
}

async fn render(
    message: &mut Message<'_>,
    what: Rendered,
    name: &str,
    line: &mut FetchLine,
    out: &mut Vec<u8>,
) -> Result<(), StoreError> {
    line.ready(out, name, b"");
    message.render(what, out).await
}

/// HEADER.FIELDS and its negation, which are picked from a header rather than cut from the message.
pub(super) async fn filtered_header(
    message: &mut Message<'_>,
    section: &Section,
) -> Result<Option<Vec<u8>>, StoreError> {
    let (names, not) = match &section.what {
        What::HeaderFields(names) => (names, false),
        What::HeaderFieldsNot(names) => (names, true),
        _ => return Ok(None),
    };
    let mut out = Vec::new();
    if section.path.is_empty() && !not && message.cached_fields(names, &mut out).await.is_some() {
        return Ok(Some(out));
    }
    let Some(span) = message.locate(section).await? else { return Ok(None) };
    let header = message.range(u64::from(span.start)..u64::from(span.end)).await?;
    filter_header(&header, &FieldNames::of(names), not, &mut out);
    Ok(Some(out))
}

/// The part of a range that `<origin.bytes>` names.
pub(super) fn cut(range: std::ops::Range<u64>, partial: Option<Partial>) -> std::ops::Range<u64> {
    let Some(partial) = partial else { return range };
    let start = range.start.saturating_add(partial.origin).min(range.end);
    start..start.saturating_add(partial.bytes).min(range.end)
}

fn whole(what: What) -> Section {
    Section { path: Vec::new(), what }
}

pub(super) fn section_of(asked: &BodySection) -> Section {
    let what = match &asked.text {
        SectionText::All => What::Whole,
        SectionText::Header => What::Header,
        SectionText::HeaderFields(names) => What::HeaderFields(names.clone()),
        SectionText::HeaderFieldsNot(names) => What::HeaderFieldsNot(names.clone()),
        SectionText::Text => What::Text,
        SectionText::Mime => What::Mime,
    };
    Section { path: asked.path.clone(), what }
}
