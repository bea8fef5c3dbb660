//! SEARCH: what the columns decide is decided there; what is left is looked up in header or text, message by message.

use super::link::Link;
use super::session::Session;
use crate::message::Message;
use skein_base::{Flags, Guid, IdSet, KeywordMask, MailboxId, ModSeq, Uid};
use skein_mime::{Needle, SentDate, is_cached_field};
use skein_proto::imap::response;
use skein_proto::imap::{Day, Reply, Returns, SearchKey};
use skein_store::mailbox::{CacheAt, Fixed, Mailbox, ViewId, Visible};
use std::io;

/// Messages decided by their columns at a time.
const BATCH: usize = 512;
/// Messages looked into before others get the shard: some hundred microseconds of decoding.
const LOOKED_INTO_BATCH: usize = 8;
const DAY_SECONDS: i64 = 86_400;

/// A search key with names and sets resolved against the mailbox.
enum Test {
    Always(bool),
    Uids(IdSet),
    With(Flags),
    Without(Flags),
    Recent,
    Keyword(KeywordMask),
    InternalDay(Compare, i64),
    SavedDay(Compare, i64),
    SentDay(Compare, i64),
    Size(Compare, u64),
    ModSeq(ModSeq),
    Received(Compare, i64),
    Saved(Compare, i64),
    Guid(Guid),
    Header { name: String, needle: Needle },
    Text { needle: Needle, headers: bool },
    Not(Box<Test>),
    Or(Box<Test>, Box<Test>),
    And(Vec<Test>),
}

/// How a value is held against a bound.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Compare {
    /// `<`
    Below,
    /// `=`
    Same,
    /// `>=`
    NotBelow,
    /// `>`
    Above,
}

/// What an operator looks for: all that IMAP's SEARCH knows, and what only the columns tell.
#[derive(Clone, Debug)]
pub enum Criterion {
    /// A key of IMAP's.
    Imap(SearchKey),
    /// Internal date, Unix seconds.
    Received(Compare, i64),
    /// When it came into its mailbox, Unix seconds.
    Saved(Compare, i64),
    /// Has this identity.
    Guid(Guid),
    /// Not this.
    Not(Box<Criterion>),
    /// One or both.
    Or(Box<Criterion>, Box<Criterion>),
    /// All of them.
    And(Vec<Criterion>),
}

impl Compare {
    fn holds<T: Ord>(self, value: T, bound: T) -> bool {
        match self {
            Compare::Below => value < bound,
            Compare::Same => value == bound,
            Compare::NotBelow => value >= bound,
            Compare::Above => value > bound,
        }
    }
}

/// How far into a message a test must look.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Depth {
    Columns,
    CachedFields,
    Header,
    Whole,
}

/// A message that its columns did not decide.
struct Open {
    seen: Visible,
    columns: Columns,
    cache: CacheAt,
    fixed: Fixed,
}

#[derive(Clone, Copy)]
struct Columns {
    uid: Uid,
    flags: Flags,
    keywords: KeywordMask,
    modseq: ModSeq,
    recent: bool,
    internal_date: i64,
    save_date: i64,
    guid: Guid,
    size: u32,
}

/// What was read of a message.
struct Content<'a> {
    sent: Option<SentDate>,
    header: &'a [u8],
    whole: &'a [u8],
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
        let known = Known { now: self.store.now(), saved: &selected.saved };
        let test = self.look(mailbox, |m| resolve(key, (m, view), &known));
        let mut found = Found { uid, numbers: IdSet::new(), highest: None };
        let failed = self.find(mailbox, view, &test, &mut found).await;
        match returns {
            None => {
                let highest = found.highest.filter(|_| needs_modseq && !found.numbers.is_empty());
                response::search(link.out(), &found.numbers, highest);
            }
            Some(returns) => self.tell(&returns, found, needs_modseq, failed > 0, link.out()),
        }
        if failed > 0 {
            let text = format!("{failed} messages can not be read; the operator has been told");
            return Ok(Reply::No { code: Some(skein_proto::imap::Code::ServerBug), text: text.into() });
        }
        Ok(Reply::Done)
    }

    /// Tells what RETURN asks for, and remembers it for `$` (RFC 4731, RFC 5182).
    fn tell(&mut self, returns: &Returns, found: Found, needs_modseq: bool, failed: bool, out: &mut Vec<u8>) {
        let Some(selected) = &mut self.selected else { return };
        let (mailbox, view) = (selected.mailbox, selected.view);
        // MIN and MAX by themselves mean these messages alone (RFC 4731 §3.2, RFC 5182 §2.1).
        let only_ends = (returns.min || returns.max) && !returns.all && !returns.count;
        let first = found.numbers.first().filter(|_| returns.min);
        let last = found.numbers.last().filter(|_| returns.max);
        let ends: IdSet = first.into_iter().chain(last.filter(|last| first != Some(*last))).collect();
        let meant = if only_ends { &ends } else { &found.numbers };
        let (uids, highest) = self.account.read(|account| {
            let m = account.mailbox(mailbox).expect("loaded before it is looked at");
            let uids = if found.uid { meant.clone() } else { m.uids_of(view, meant) };
            let modseq = |uid: u32| m.rows().find(Uid(uid)).map(|row| row.modseq);
            let highest = if only_ends { uids.iter().filter_map(modseq).max() } else { found.highest };
            (uids, highest)
        });
        if returns.min || returns.max || returns.all || returns.count {
            response::esearch(out, returns, found.uid, &found.numbers, highest.filter(|_| needs_modseq));
        }
        if returns.save {
            // After a NO nothing is saved (RFC 5182 §2.1).
            selected.saved = if failed { IdSet::new() } else { uids };
        }
    }

    /// Adds what passes the test; how many messages could not be read.
    async fn find(&self, mailbox: MailboxId, view: ViewId, test: &Test, found: &mut Found) -> u32 {
        let (mut from, mut failed) = (Uid(1), 0);
        loop {
            let mut open = Vec::new();
            let Some(last) = self.search_columns(mailbox, view, test, from, found, &mut open) else { return failed };
            from = Uid(last.0 + 1);
            skein_runtime::session_yield().await;
            for (i, message) in open.iter().enumerate() {
                match self.look_into(message, test).await {
                    Ok(true) => found.add(&message.seen),
                    Ok(false) => {}
                    Err(error) => {
                        crate::failure::log(&error);
                        failed += 1;
                    }
                }
                if i % LOOKED_INTO_BATCH == LOOKED_INTO_BATCH - 1 {
                    skein_runtime::session_yield().await;
                }
            }
        }
    }

    /// UIDs of what a key finds in the open mailbox, how many messages could not be read, and the highest modseq found.
    pub(super) async fn found(&self, key: SearchKey) -> (IdSet, u32, Option<ModSeq>) {
        let Some(selected) = &self.selected else { return (IdSet::new(), 0, None) };
        let (mailbox, view) = (selected.mailbox, selected.view);
        let known = Known { now: self.store.now(), saved: &selected.saved };
        let test = self.look(mailbox, |m| resolve(key, (m, view), &known));
        let mut found = Found { uid: true, numbers: IdSet::new(), highest: None };
        let failed = self.find(mailbox, view, &test, &mut found).await;
        (found.numbers, failed, found.highest)
    }

    /// UIDs in the open mailbox that an operator looks for, and how many messages could not be read.
    pub(crate) async fn find_uids(&self, criterion: Criterion) -> Result<(IdSet, u32), Reply> {
        let Some(selected) = &self.selected else { return Err(Reply::bad("No mailbox is selected")) };
        let (mailbox, view) = (selected.mailbox, selected.view);
        let known = Known { now: self.store.now(), saved: &selected.saved };
        let test = self.look(mailbox, |m| resolve_criterion(criterion, (m, view), &known));
        let mut found = Found { uid: true, numbers: IdSet::new(), highest: None };
        let failed = self.find(mailbox, view, &test, &mut found).await;
        Ok((found.numbers, failed))
    }

    /// Decides a batch by its columns; the undecided go to `open`. Gives the last UID it saw.
    fn search_columns(
        &self,
        mailbox: MailboxId,
        view: ViewId,
        test: &Test,
        from: Uid,
        found: &mut Found,
        open: &mut Vec<Open>,
    ) -> Option<Uid> {
        self.look(mailbox, |m| {
            let mut batch = Vec::with_capacity(BATCH);
            m.visible(view, &IdSet::range(1, u32::MAX), from, BATCH, &mut batch);
            for seen in &batch {
                let fixed = m.fixed(seen.row);
                let columns = Columns::of(m, view, seen, &fixed);
                match test.by_columns(&columns) {
                    Some(true) => found.add(seen),
                    Some(false) => {}
                    None => open.push(Open { seen: *seen, columns, cache: m.cache(seen.row), fixed }),
                }
            }
            batch.last().map(|seen| seen.row.uid)
        })
    }

    async fn look_into(&self, open: &Open, test: &Test) -> Result<bool, skein_store::StoreError> {
        let mut message = Message::new(&self.store, &self.account, open.fixed, open.cache.clone());
        let depth = test.depth();
        let sent = match message.cache().await {
            Some(cache) => cache.sent_date(),
            None => sent_of(message.whole().await?),
        };
        if depth == Depth::Whole {
            let whole = message.whole().await?;
            let header = &whole[..skein_mime::header_len(whole)];
            return Ok(test.holds(&open.columns, &Content { sent, header, whole }));
        }
        let header = message.header(depth <= Depth::CachedFields).await?;
        Ok(test.holds(&open.columns, &Content { sent, header: &header, whole: b"" }))
    }
}

/// What a test is resolved with beside the mailbox.
struct Known<'a> {
    /// Unix seconds.
    now: i64,
    /// UIDs that `$` means.
    saved: &'a IdSet,
}

struct Found {
    uid: bool,
    numbers: IdSet,
    highest: Option<ModSeq>,
}

impl Found {
    fn add(&mut self, seen: &Visible) {
        // Batches are decided in two passes, so a number may come after a higher one.
        let number = if self.uid { seen.row.uid.0 } else { seen.seq.0 };
        if self.numbers.last().is_none_or(|last| last < number) {
            self.numbers.push(number);
        } else {
            self.numbers.insert(number);
        }
        self.highest = self.highest.max(Some(seen.row.modseq));
    }
}

impl Columns {
    fn of(m: &Mailbox, view: ViewId, seen: &Visible, fixed: &Fixed) -> Columns {
        Columns {
            uid: seen.row.uid,
            flags: seen.row.flags,
            keywords: seen.row.keywords,
            modseq: seen.row.modseq,
            recent: m.view(view).is_recent(seen.row.uid),
            internal_date: fixed.internal_date,
            save_date: fixed.save_date,
            guid: fixed.guid,
            size: fixed.size,
        }
    }
}

impl Test {
    fn depth(&self) -> Depth {
        match self {
            Test::SentDay(..) => Depth::CachedFields,
            Test::Header { name, .. } if is_cached_field(name.as_bytes()) => Depth::CachedFields,
            Test::Header { .. } => Depth::Header,
            Test::Text { .. } => Depth::Whole,
            Test::Not(test) => test.depth(),
            Test::Or(a, b) => a.depth().max(b.depth()),
            Test::And(tests) => tests.iter().map(Test::depth).max().unwrap_or(Depth::Columns),
            _ => Depth::Columns,
        }
    }

    /// The answer, when the columns are enough for one.
    fn by_columns(&self, c: &Columns) -> Option<bool> {
        Some(match self {
            Test::Always(answer) => *answer,
            Test::Uids(uids) => uids.contains(c.uid.0),
            Test::With(flags) => c.flags.contains(*flags),
            Test::Without(flags) => (c.flags & *flags).is_empty(),
            Test::Recent => c.recent,
            Test::Keyword(mask) => c.keywords.0 & mask.0 != 0,
            Test::InternalDay(compare, day) => compare.holds(c.internal_date.div_euclid(DAY_SECONDS), *day),
            Test::SavedDay(compare, day) => compare.holds(c.save_date.div_euclid(DAY_SECONDS), *day),
            Test::Size(compare, bytes) => compare.holds(u64::from(c.size), *bytes),
            Test::ModSeq(least) => c.modseq >= *least,
            Test::Received(compare, time) => compare.holds(c.internal_date, *time),
            Test::Saved(compare, time) => compare.holds(c.save_date, *time),
            Test::Guid(guid) => c.guid == *guid,
            Test::SentDay(..) | Test::Header { .. } | Test::Text { .. } => return None,
            Test::Not(test) => !test.by_columns(c)?,
            Test::Or(a, b) => match (a.by_columns(c), b.by_columns(c)) {
                (Some(true), _) | (_, Some(true)) => true,
                (Some(false), Some(false)) => false,
                _ => return None,
            },
            Test::And(tests) => {
                let mut decided = true;
                for test in tests {
                    match test.by_columns(c) {
                        Some(false) => return Some(false),
                        Some(true) => {}
                        None => decided = false,
                    }
                }
                if !decided {
                    return None;
                }
                true
            }
        })
    }

    fn holds(&self, c: &Columns, content: &Content<'_>) -> bool {
        if let Some(decided) = self.by_columns(c) {
            return decided;
        }
        match self {
            Test::SentDay(compare, day) => content.sent.is_some_and(|sent| compare.holds(sent.day(), *day)),
            Test::Header { name, needle } => needle.matches_header_block(content.header, Some(name)),
            Test::Text { needle, headers } => needle.matches_message(content.whole, *headers),
            Test::Not(test) => !test.holds(c, content),
            Test::Or(a, b) => a.holds(c, content) || b.holds(c, content),
            Test::And(tests) => tests.iter().all(|test| test.holds(c, content)),
            _ => unreachable!("the columns decide these"),
        }
    }
}

/// The identity in an EMAILID, as [`response::FetchLine::email_id`] writes it.
fn guid_of(id: &str) -> Option<Guid> {
    let id = skein_base::AccountId::from_hex(id.strip_prefix('M')?)?;
    Some(Guid(id.0))
}

pub(super) fn sent_of(message: &[u8]) -> Option<SentDate> {
    let header = &message[..skein_mime::header_len(message)];
    skein_mime::fields(header).find(|field| field.is("Date")).and_then(|field| skein_mime::parse_date(field.value))
}

fn resolve_criterion(criterion: Criterion, of: (&Mailbox, ViewId), known: &Known<'_>) -> Test {
    let inner = |criterion: Box<Criterion>| Box::new(resolve_criterion(*criterion, of, known));
    match criterion {
        Criterion::Imap(key) => resolve(key, of, known),
        Criterion::Received(compare, time) => Test::Received(compare, time),
        Criterion::Saved(compare, time) => Test::Saved(compare, time),
        Criterion::Guid(guid) => Test::Guid(guid),
        Criterion::Not(criterion) => Test::Not(inner(criterion)),
        Criterion::Or(a, b) => Test::Or(inner(a), inner(b)),
        Criterion::And(all) => Test::And(all.into_iter().map(|one| resolve_criterion(one, of, known)).collect()),
    }
}

fn resolve(key: SearchKey, (m, view): (&Mailbox, ViewId), known: &Known<'_>) -> Test {
    let day = |day: Day| i64::from(day.0);
    let inner = |key: Box<SearchKey>| Box::new(resolve(*key, (m, view), known));
    match key {
        SearchKey::All => Test::Always(true),
        SearchKey::Set(set) | SearchKey::Uid(set) if set.is_saved() => Test::Uids(known.saved.clone()),
        SearchKey::Set(set) => {
            // A number that no message has is looked for in vain, as with Dovecot: the client may have asked before it was told.
            let exists = m.exists(view);
            let seqs = set.resolve(exists).intersection(&IdSet::range(1, exists));
            Test::Uids(m.uids_of(view, &seqs))
        }
        SearchKey::Uid(set) => Test::Uids(set.resolve(m.last_visible(view).map_or(0, |uid| uid.0))),
        SearchKey::With(flags) => Test::With(flags),
        SearchKey::Without(flags) => Test::Without(flags),
        SearchKey::Recent => Test::Recent,
        SearchKey::Keyword(name) => Test::Keyword(m.mask(&[name.into()])),
        SearchKey::Before(d) => Test::InternalDay(Compare::Below, day(d)),
        SearchKey::On(d) => Test::InternalDay(Compare::Same, day(d)),
        SearchKey::Since(d) => Test::InternalDay(Compare::NotBelow, day(d)),
        SearchKey::SentBefore(d) => Test::SentDay(Compare::Below, day(d)),
        SearchKey::SentOn(d) => Test::SentDay(Compare::Same, day(d)),
        SearchKey::SentSince(d) => Test::SentDay(Compare::NotBelow, day(d)),
        SearchKey::SavedBefore(d) => Test::SavedDay(Compare::Below, day(d)),
        SearchKey::SavedOn(d) => Test::SavedDay(Compare::Same, day(d)),
        SearchKey::SavedSince(d) => Test::SavedDay(Compare::NotBelow, day(d)),
        // At the very second both hold (RFC 5032 §3).
        SearchKey::Older(seconds) => Test::Received(Compare::Below, known.now - i64::from(seconds) + 1),
        SearchKey::Younger(seconds) => Test::Received(Compare::NotBelow, known.now - i64::from(seconds)),
        SearchKey::EmailId(id) => guid_of(&id).map_or(Test::Always(false), Test::Guid),
        SearchKey::ThreadId(_) => Test::Always(false),
        SearchKey::Larger(bytes) => Test::Size(Compare::Above, bytes),
        SearchKey::Smaller(bytes) => Test::Size(Compare::Below, bytes),
        SearchKey::Header { name, value } => Test::Header { name, needle: Needle::new(&value) },
        SearchKey::Body(text) => Test::Text { needle: Needle::new(&text), headers: false },
        SearchKey::Text(text) => Test::Text { needle: Needle::new(&text), headers: true },
        SearchKey::ModSeq(least) => Test::ModSeq(least),
        SearchKey::Not(key) => Test::Not(inner(key)),
        SearchKey::Or(a, b) => Test::Or(inner(a), inner(b)),
        SearchKey::And(keys) => Test::And(keys.into_iter().map(|key| resolve(key, (m, view), known)).collect()),
    }
}
