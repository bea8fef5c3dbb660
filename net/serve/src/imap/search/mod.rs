//! SEARCH: what the columns decide is decided there; what is left is looked up in header or text, message by message.
//!
//! ```text
//! criteria   what a message must be        returns   what is told of those found, what `$` means
//! contexts   results that are kept up      multi     ESEARCH: many mailboxes
//! standing   what virtual mailboxes show         sent       when messages were sent, as far as that was read
//! texts      of header fields, likewise
//! ```

mod contexts;
mod criteria;
mod multi;
mod returns;
mod sent;
mod standing;
mod texts;

use super::caches::{ABREAST, caches_at_hand};
use super::limit::with_limit;
use super::link::Link;
use super::session::Session;
use crate::message::Message;
pub(crate) use contexts::Context;
pub(super) use criteria::sent_of;
use criteria::{Columns, Content, Depth, Known, Test, resolve, resolve_criterion};
pub use criteria::{Compare, Criterion};
pub(super) use sent::SentDays;
use sent::Walk;
use skein_base::{Collation, IdSet, MailboxId, ModSeq, Uid};
use skein_mime::{CachedText, SentDate};
use skein_proto::imap::{Code, Reply, Results, Returns, SearchKey, response};
use skein_store::mailbox::{CacheAt, Fixed, Row, ViewId, Visible};
use std::io;
use std::ops::Range;
pub(super) use texts::FieldTexts;
use texts::Told;

/// Messages decided by their columns at a time.
const BATCH: usize = 512;
/// Messages decided by their rendered caches at a time: each is some cache lines, or a page fault.
const CACHED_BATCH: usize = 64;
/// Messages looked into before others get the shard: some hundred microseconds of decoding.
const LOOKED_INTO_BATCH: usize = 8;

/// A message that its columns did not decide.
struct Open {
    seen: Visible,
    columns: Columns,
    cache: CacheAt,
    fixed: Fixed,
}

/// What a search finds.
pub(super) struct Found {
    uid: bool,
    /// UIDs or message numbers.
    pub numbers: IdSet,
    pub highest: Option<ModSeq>,
    /// How many messages could not be read.
    pub failed: u32,
    /// How many are found.
    count: usize,
    /// What is found is not done with yet.
    goes_on: bool,
}

impl Session {
    pub(super) async fn search(
        &mut self,
        uid: bool,
        key: SearchKey,
        needs_modseq: bool,
        returns: Option<Returns>,
        link: &mut Link<'_>,
    ) -> io::Result<Reply> {
        let Some(selected) = &self.selected else { return Ok(Reply::bad("No mailbox is selected")) };
        let (mailbox, view) = (selected.mailbox, selected.view);
        let draft = match self.draft(&key, returns.as_ref()) {
            Ok(draft) => draft,
            Err(reply) => return Ok(reply),
        };
        let test = self.test(mailbox, view, key);
        let (among, limited) = self.limited(mailbox, view, test.scope().unwrap_or_else(all));
        let mut found = Found::none(uid);
        link.begin_progress(self, Some(self.count(mailbox, view, &among)));
        self.find((mailbox, view), &test, &among, &mut found, Some(link)).await?;
        let Found { numbers, highest, failed, .. } = found;
        let highest = highest.filter(|_| needs_modseq);
        match returns {
            None => response::search(link.out(), &numbers, highest),
            Some(returns) => {
                let results = Results::Mailbox(numbers);
                self.tell(&returns, uid, &results, highest, failed, link.out());
                match draft {
                    None => {}
                    // What is below would never come to it.
                    Some(_) if limited.is_some() => {
                        response::no_update(link.out(), &returns.tag, "Not all messages were searched");
                    }
                    Some(draft) => self.keep(draft, returns, uid, &results, None, link.out()),
                }
            }
        }
        Ok(with_limit(searched(failed), limited, link))
    }

    /// What a key looks for in a mailbox that the session looks into.
    fn test(&self, mailbox: MailboxId, view: ViewId, key: SearchKey) -> Test {
        let nothing = IdSet::new();
        let saved = self.selected.as_ref().filter(|s| s.view == view && s.mailbox == mailbox).map(|s| &s.saved);
        let known = Known {
            now: self.store.now(),
            saved: saved.unwrap_or(&nothing),
            grows: false,
            collation: Collation::default(),
        };
        self.look(mailbox, |m| resolve(key, (m, view), &known))
    }

    /// Adds what passes the test among these UIDs. Only who is told how far it is can be gone.
    async fn find(
        &self,
        (mailbox, view): (MailboxId, ViewId),
        test: &Test,
        among: &IdSet,
        found: &mut Found,
        told: Option<&mut Link<'_>>,
    ) -> io::Result<()> {
        let mut sent = test.reads_sent().then(|| Walk::through(self.host.kept().sent(&self.whose(mailbox))));
        let kept = self.host.kept();
        test.fields(&mut |name, needle, of_search| {
            let known = || kept.texts(&self.whose(mailbox), name, needle.collation());
            *of_search.borrow_mut() = (!needle.is_empty()).then(|| Told::by(known(), needle));
        });
        let done = self.find_by((mailbox, view), test, among, found, sent.as_mut(), told).await;
        test.fields(&mut |name, needle, of_search| {
            if let Some(learnt) = of_search.take().and_then(Told::learnt) {
                kept.keep_texts(self.whose(mailbox), name, needle.collation(), learnt);
            }
        });
        if let Some(learnt) = sent.and_then(Walk::learnt) {
            self.host.kept().keep_sent(self.whose(mailbox), learnt);
        }
        done
    }

    async fn find_by(
        &self,
        (mailbox, view): (MailboxId, ViewId),
        test: &Test,
        among: &IdSet,
        found: &mut Found,
        mut sent: Option<&mut Walk>,
        mut told: Option<&mut Link<'_>>,
    ) -> io::Result<()> {
        let mut from = Uid(1);
        loop {
            let (mut open, before) = (Vec::new(), found.count);
            let among = (among, from);
            let Some((last, looked_at)) =
                self.search_columns((mailbox, view), test, among, found, sent.as_deref_mut(), &mut open)
            else {
                return Ok(());
            };
            from = Uid(last.0 + 1);
            if let Some(link) = &mut told {
                link.advance(found.done_of(looked_at - open.len(), before), self).await?;
            }
            skein_runtime::session_yield().await;
            for (i, message) in open.iter().enumerate() {
                let before = found.count;
                let looked = self.look_into(message, test, sent.as_deref_mut()).await;
                match looked {
                    Ok(true) => found.add(&message.seen),
                    Ok(false) => {}
                    Err(error) => {
                        crate::failure::log(&error);
                        found.failed += 1;
                    }
                }
                if let Some(link) = &mut told {
                    link.advance(found.done_of(1, before), self).await?;
                }
                if i % LOOKED_INTO_BATCH == LOOKED_INTO_BATCH - 1 {
                    skein_runtime::session_yield().await;
                }
            }
        }
    }

    /// What a key finds in the open mailbox, as UIDs, for a command that goes on with all of it: how far that is goes on as well. A refusal
    /// when there is too much to search.
    pub(super) async fn found(&self, key: SearchKey, link: &mut Link<'_>) -> io::Result<Result<Found, Reply>> {
        let Some(selected) = &self.selected else { return Ok(Err(Reply::bad("No mailbox is selected"))) };
        let open = (selected.mailbox, selected.view);
        let test = self.test(selected.mailbox, selected.view, key);
        let among = test.scope().unwrap_or_else(all);
        if let Err(refusal) = self.refuse_over(self.message_limit, open, &among) {
            return Ok(Err(refusal));
        }
        let mut found = Found { goes_on: true, ..Found::none(true) };
        link.begin_progress(self, Some(self.count(selected.mailbox, selected.view, &among)));
        self.find(open, &test, &among, &mut found, Some(link)).await?;
        Ok(Ok(found))
    }

    /// UIDs in the open mailbox that an operator looks for, and how many messages could not be read.
    pub(crate) async fn find_uids(&self, criterion: Criterion) -> Result<(IdSet, u32), Reply> {
        let Some(selected) = &self.selected else { return Err(Reply::bad("No mailbox is selected")) };
        let (mailbox, view) = (selected.mailbox, selected.view);
        let known =
            Known { now: self.store.now(), saved: &selected.saved, grows: false, collation: Collation::default() };
        let test = self.look(mailbox, |m| resolve_criterion(criterion, (m, view), &known));
        let mut found = Found::none(true);
        let _nobody_is_told = self.find((mailbox, view), &test, &all(), &mut found, None).await;
        Ok((found.numbers, found.failed))
    }

    /// Messages of a set for which a test may answer otherwise at the end of a time than at its beginning, only because time goes by, and when it next
    /// will for any of them.
    async fn aged(
        &self,
        (mailbox, view): (MailboxId, ViewId),
        test: &Test,
        among: &IdSet,
        time: Range<i64>,
    ) -> (IdSet, Option<i64>) {
        let (mut aged, mut turns, mut from) = (IdSet::new(), None::<i64>, Uid(1));
        if !test.depends_on_time() {
            return (aged, turns);
        }
        loop {
            let mut batch = Vec::with_capacity(BATCH);
            self.look(mailbox, |m| {
                m.visible(view, among, from, BATCH, &mut batch);
                for seen in &batch {
                    let date = m.fixed(seen.row).internal_date;
                    if test.turns_after(time.start, date).is_some_and(|moment| moment <= time.end) {
                        aged.push(seen.row.uid.0);
                    }
                    turns = turns.into_iter().chain(test.turns_after(time.end, date)).min();
                }
            });
            let Some(last) = batch.last() else { return (aged, turns) };
            from = Uid(last.row.uid.0 + 1);
            skein_runtime::session_yield().await;
        }
    }

    /// Decides a batch by its columns; the undecided go to `open`. Gives the last UID it saw, and how many it has seen.
    fn search_columns(
        &self,
        (mailbox, view): (MailboxId, ViewId),
        test: &Test,
        (among, from): (&IdSet, Uid),
        found: &mut Found,
        mut sent: Option<&mut Walk>,
        open: &mut Vec<Open>,
    ) -> Option<(Uid, usize)> {
        let (reads_fixed, depth, flags) = (test.reads_fixed(), test.depth(), test.flags_alone());
        let at_a_time = if depth == Depth::Columns { BATCH } else { CACHED_BATCH };
        self.look(mailbox, |m| {
            let mut batch = Vec::with_capacity(at_a_time);
            m.visible(view, among, from, at_a_time, &mut batch);
            // Most searches of most clients.
            if let Some((with, without)) = flags {
                let passes = |row: &Row| row.flags.contains(with) && (row.flags & without).is_empty();
                batch.iter().filter(|seen| passes(&seen.row)).for_each(|seen| found.add(seen));
                return batch.last().map(|seen| (seen.row.uid, batch.len()));
            }
            // Those of one run of messages, once a message of it is not decided by its columns.
            let (mut caches, mut of_run) = (Vec::new(), None);
            for (i, seen) in batch.iter().enumerate() {
                let fixed = reads_fixed.then(|| m.fixed(seen.row));
                let mut columns = Columns::of(m, view, seen, fixed.as_ref());
                columns.sent = sent.as_mut().and_then(|walk| walk.day(seen.row.uid));
                let by_cache = || {
                    if depth != Depth::CachedFields {
                        return None;
                    }
                    let run = i / ABREAST;
                    if of_run.replace(run) != Some(run) {
                        let abreast = batch.chunks(ABREAST).nth(run)?;
                        caches_at_hand(&self.store, m, abreast, &[CachedText::Lines], &mut caches);
                    }
                    let cache = caches.get(i % ABREAST)?.as_ref()?.cache()?;
                    test.by_cache(&columns, &cache, sent.as_deref_mut())
                };
                match test.by_columns(&columns).or_else(by_cache) {
                    Some(true) => found.add(seen),
                    Some(false) => {}
                    None => {
                        let fixed = fixed.unwrap_or_else(|| m.fixed(seen.row));
                        open.push(Open { seen: *seen, columns, cache: m.cache(seen.row), fixed });
                    }
                }
            }
            batch.last().map(|seen| (seen.row.uid, batch.len()))
        })
    }

    async fn look_into(
        &self,
        open: &Open,
        test: &Test,
        walk: Option<&mut Walk>,
    ) -> Result<bool, skein_store::StoreError> {
        let mut message = Message::new(&self.store, &self.account, open.fixed, open.cache.clone());
        let depth = test.depth();
        let mut sent = None;
        if let Some(walk) = walk.filter(|_| open.columns.sent.is_none()) {
            let date = match message.cache().await {
                Some(cache) => cache.sent_date(),
                None => sent_of(message.whole().await?),
            };
            sent = date.map(SentDate::day);
            walk.note(open.seen.row.uid, sent);
        }
        if depth == Depth::Whole {
            let whole = message.whole().await?;
            let header = &whole[..skein_mime::header_len(whole)];
            return Ok(test.holds(&open.columns, &Content { sent, header, whole }));
        }
        let header = message.header(depth <= Depth::CachedFields).await?;
        Ok(test.holds(&open.columns, &Content { sent, header: &header, whole: b"" }))
    }
}

/// Every message there can be.
fn all() -> IdSet {
    IdSet::range(1, u32::MAX)
}

/// The outcome of a search that could not read so many messages.
pub(super) fn searched(failed: u32) -> Reply {
    match failed {
        0 => Reply::Done,
        _ => Reply::No {
            code: Some(Code::ServerBug),
            text: format!("{failed} messages can not be read; the operator has been told").into(),
        },
    }
}

impl Found {
    fn none(uid: bool) -> Found {
        Found { uid, numbers: IdSet::new(), highest: None, failed: 0, count: 0, goes_on: false }
    }

    fn add(&mut self, seen: &Visible) {
        // Batches are decided in two passes, so a number may come after a higher one.
        let number = if self.uid { seen.row.uid.0 } else { seen.seq.0 };
        if self.numbers.last().is_none_or(|last| last < number) {
            self.numbers.push(number);
        } else {
            self.numbers.insert(number);
        }
        self.highest = self.highest.max(Some(seen.row.modseq));
        self.count += 1;
    }

    /// With how many of so many messages the command is done, when so many were found before them.
    fn done_of(&self, looked_at: usize, before: usize) -> usize {
        if self.goes_on { looked_at.saturating_sub(self.count - before) } else { looked_at }
    }
}
