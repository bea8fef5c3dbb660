//! What is looked for, with names and sets resolved against the mailbox: a test that a message passes or not.

use super::sent::{Sent, Walk};
use super::texts::Told;
use skein_base::{Collation, Flags, Guid, IdSet, KeywordMask, ModSeq, Uid};
use skein_mime::{CacheRef, Needle, SentDate, is_cached_field};
use skein_proto::imap::{Day, SearchKey, SeqSet};
use skein_store::mailbox::{Fixed, Mailbox, ViewId, Visible};
use std::cell::RefCell;

const DAY_SECONDS: i64 = 86_400;

/// A search key with names and sets resolved against the mailbox.
pub(in crate::imap) enum Test {
    Always(bool),
    Uids(IdSet),
    /// A set with `*`, of a result that is kept up, and its UIDs while the last message is the one that it is.
    UidsToLast(SeqSet, IdSet),
    With(Flags),
    Without(Flags),
    Recent,
    Keyword(Box<str>, KeywordMask),
    InternalDay(Compare, i64),
    SavedDay(Compare, i64),
    SentDay(Compare, i64),
    Size(Compare, u64),
    ModSeq(ModSeq),
    /// OLDER and YOUNGER (RFC 5032): seconds, and what time it is.
    Within(Within, u32, i64),
    Received(Compare, i64),
    Saved(Compare, i64),
    Guid(Guid),
    Header {
        name: String,
        needle: Needle,
        /// While a search looks.
        told: RefCell<Option<Told>>,
    },
    Text {
        needle: Needle,
        headers: bool,
    },
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

/// On which side of an age; at the very second both hold (RFC 5032 §3).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(in crate::imap) enum Within {
    Older,
    Younger,
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

impl Within {
    fn holds(self, internal_date: i64, seconds: u32, now: i64) -> bool {
        let bound = now - i64::from(seconds);
        match self {
            Within::Older => internal_date <= bound,
            Within::Younger => internal_date >= bound,
        }
    }

    /// The first moment at which it is not as before: that of getting older, or of being young no more.
    fn turns(self, internal_date: i64, seconds: u32) -> i64 {
        internal_date + i64::from(seconds) + i64::from(self == Within::Younger)
    }
}

/// How far into a message a test must look.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Depth {
    Columns,
    CachedFields,
    Header,
    Whole,
}

#[derive(Clone, Copy)]
pub(super) struct Columns {
    uid: Uid,
    flags: Flags,
    keywords: KeywordMask,
    modseq: ModSeq,
    recent: bool,
    internal_date: i64,
    save_date: i64,
    guid: Guid,
    size: u32,
    /// When it was sent, where that is known already.
    pub sent: Option<Sent>,
}

/// What was read of a message.
pub(super) struct Content<'a> {
    pub sent: Sent,
    pub header: &'a [u8],
    pub whole: &'a [u8],
}

/// What a test is resolved with beside the mailbox.
pub(super) struct Known<'a> {
    /// Unix seconds.
    pub now: i64,
    /// UIDs that `$` means.
    pub saved: &'a IdSet,
    /// `*` among UIDs is the last message whichever that will be: the test is for a result that is kept up.
    pub grows: bool,
    /// How texts are compared.
    pub collation: Collation,
}

impl Columns {
    /// Of a message in a view. What never changes of it is zero where nobody reads it: then `fixed` is `None`.
    pub fn of(m: &Mailbox, view: ViewId, seen: &Visible, fixed: Option<&Fixed>) -> Columns {
        Columns {
            uid: seen.row.uid,
            flags: seen.row.flags,
            keywords: seen.row.keywords,
            modseq: seen.row.modseq,
            recent: m.view(view).is_recent(seen.row.uid),
            internal_date: fixed.map_or(0, |fixed| fixed.internal_date),
            save_date: fixed.map_or(0, |fixed| fixed.save_date),
            guid: fixed.map_or(Guid([0; 16]), |fixed| fixed.guid),
            size: fixed.map_or(0, |fixed| fixed.size),
            sent: None,
        }
    }
}

impl Test {
    pub fn depth(&self) -> Depth {
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

    /// Whether it asks for what never changes of a message.
    pub fn reads_fixed(&self) -> bool {
        match self {
            Test::InternalDay(..) | Test::SavedDay(..) | Test::Size(..) | Test::Within(..) => true,
            Test::Received(..) | Test::Saved(..) | Test::Guid(_) => true,
            Test::Not(test) => test.reads_fixed(),
            Test::Or(a, b) => a.reads_fixed() || b.reads_fixed(),
            Test::And(tests) => tests.iter().any(Test::reads_fixed),
            Test::Always(_) | Test::Uids(_) | Test::UidsToLast(..) => false,
            Test::With(_) | Test::Without(_) | Test::Recent => false,
            Test::Keyword(..) | Test::SentDay(..) | Test::ModSeq(_) | Test::Header { .. } | Test::Text { .. } => false,
        }
    }

    /// Whether it asks when messages were sent.
    pub fn reads_sent(&self) -> bool {
        match self {
            Test::SentDay(..) => true,
            Test::Not(test) => test.reads_sent(),
            Test::Or(a, b) => a.reads_sent() || b.reads_sent(),
            Test::And(tests) => tests.iter().any(Test::reads_sent),
            _ => false,
        }
    }

    /// The fields that it looks into, for what, and what is known of them.
    pub fn fields<'t>(&'t self, each: &mut impl FnMut(&'t str, &'t Needle, &'t RefCell<Option<Told>>)) {
        match self {
            Test::Header { name, needle, told } => each(name, needle, told),
            Test::Not(test) => test.fields(each),
            Test::Or(a, b) => {
                a.fields(each);
                b.fields(each);
            }
            Test::And(tests) => tests.iter().for_each(|test| test.fields(each)),
            _ => {}
        }
    }

    /// The only messages that can pass, where the test itself names them.
    pub fn scope(&self) -> Option<IdSet> {
        match self {
            Test::Uids(uids) | Test::UidsToLast(_, uids) => Some(uids.clone()),
            Test::And(tests) => tests.iter().filter_map(Test::scope).reduce(|a, b| a.intersection(&b)),
            _ => None,
        }
    }

    /// Looks names up again that the mailbox may have learnt meanwhile, takes the time, and which UID is the last. Of these UIDs the answer may
    /// be another now though nothing of them has changed.
    pub fn refresh(&mut self, m: &Mailbox, last: u32, now: i64) -> IdSet {
        match self {
            Test::Keyword(name, mask) => *mask = m.mask(std::slice::from_ref(name)),
            Test::Within(_, _, time) => *time = now,
            Test::UidsToLast(set, uids) => {
                let before = std::mem::replace(uids, set.resolve(last));
                return before.difference(uids).union(&uids.difference(&before));
            }
            Test::Not(test) => return test.refresh(m, last, now),
            Test::Or(a, b) => return a.refresh(m, last, now).union(&b.refresh(m, last, now)),
            Test::And(tests) => {
                let turned = tests.iter_mut().map(|test| test.refresh(m, last, now));
                return turned.fold(IdSet::new(), |all, turned| all.union(&turned));
            }
            _ => {}
        }
        IdSet::new()
    }

    /// It may answer otherwise though nothing has changed but the time.
    pub fn depends_on_time(&self) -> bool {
        self.turns_after(i64::MIN, 0).is_some()
    }

    /// The first moment after `time` (Unix seconds) at which the answer for a message of this internal date may be another, though nothing has
    /// changed but the time.
    pub fn turns_after(&self, time: i64, internal_date: i64) -> Option<i64> {
        match self {
            Test::Within(within, seconds, _) => {
                Some(within.turns(internal_date, *seconds)).filter(|moment| *moment > time)
            }
            Test::Not(test) => test.turns_after(time, internal_date),
            Test::Or(a, b) => {
                a.turns_after(time, internal_date).into_iter().chain(b.turns_after(time, internal_date)).min()
            }
            Test::And(tests) => tests.iter().filter_map(|test| test.turns_after(time, internal_date)).min(),
            _ => None,
        }
    }

    /// What the test comes down to when it asks for system flags alone: those that a message must have, and those that it must not.
    pub fn flags_alone(&self) -> Option<(Flags, Flags)> {
        match self {
            Test::Always(true) => Some((Flags::NONE, Flags::NONE)),
            Test::With(flags) => Some((*flags, Flags::NONE)),
            Test::Without(flags) => Some((Flags::NONE, *flags)),
            Test::And(tests) => tests.iter().try_fold((Flags::NONE, Flags::NONE), |(with, without), test| {
                let (more, none) = test.flags_alone()?;
                Some((with | more, without | none))
            }),
            _ => None,
        }
    }

    /// The answer, when the columns are enough for one.
    pub fn by_columns(&self, c: &Columns) -> Option<bool> {
        Some(match self {
            Test::Always(answer) => *answer,
            Test::Uids(uids) | Test::UidsToLast(_, uids) => uids.contains(c.uid.0),
            Test::With(flags) => c.flags.contains(*flags),
            Test::Without(flags) => (c.flags & *flags).is_empty(),
            Test::Recent => c.recent,
            Test::Keyword(_, mask) => c.keywords.0 & mask.0 != 0,
            Test::InternalDay(compare, day) => compare.holds(c.internal_date.div_euclid(DAY_SECONDS), *day),
            Test::SavedDay(compare, day) => compare.holds(c.save_date.div_euclid(DAY_SECONDS), *day),
            Test::Size(compare, bytes) => compare.holds(u64::from(c.size), *bytes),
            Test::ModSeq(least) => c.modseq >= *least,
            Test::Within(within, seconds, now) => within.holds(c.internal_date, *seconds, *now),
            Test::Received(compare, time) => compare.holds(c.internal_date, *time),
            Test::Saved(compare, time) => compare.holds(c.save_date, *time),
            Test::Guid(guid) => c.guid == *guid,
            Test::SentDay(compare, day) => c.sent?.is_some_and(|sent| compare.holds(sent, *day)),
            Test::Header { told, .. } => told.borrow().as_ref()?.answer(c.uid)?,
            Test::Text { .. } => return None,
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

    /// The answer by a message's rendered cache, for a test that looks no further ([`Depth::CachedFields`]); `None` when the cache does not have the lines.
    pub fn by_cache(&self, c: &Columns, cache: &CacheRef<'_>, walk: Option<&mut Walk>) -> Option<bool> {
        let header = cache.header_lines().ok()?;
        let sent = cache.sent_date().map(SentDate::day);
        if let Some(walk) = walk.filter(|_| c.sent.is_none()) {
            walk.note(c.uid, sent);
        }
        Some(self.holds(c, &Content { sent, header, whole: b"" }))
    }

    pub fn holds(&self, c: &Columns, content: &Content<'_>) -> bool {
        if let Some(decided) = self.by_columns(c) {
            return decided;
        }
        match self {
            Test::SentDay(compare, day) => content.sent.is_some_and(|sent| compare.holds(sent, *day)),
            Test::Header { name, needle, told } => {
                let told = told.borrow();
                let by_texts = told.as_ref().and_then(|told| told.read(c.uid, content.header, name, needle));
                by_texts.unwrap_or_else(|| needle.matches_header_block(content.header, Some(name)))
            }
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

pub(in crate::imap) fn sent_of(message: &[u8]) -> Option<SentDate> {
    let header = &message[..skein_mime::header_len(message)];
    skein_mime::fields(header).find(|field| field.is("Date")).and_then(|field| skein_mime::parse_date(field.value))
}

pub(super) fn resolve_criterion(criterion: Criterion, of: (&Mailbox, ViewId), known: &Known<'_>) -> Test {
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

/// The test of a key in a mailbox as a view shows it.
pub(super) fn resolve(key: SearchKey, (m, view): (&Mailbox, ViewId), known: &Known<'_>) -> Test {
    let day = |day: Day| i64::from(day.0);
    let inner = |key: Box<SearchKey>| Box::new(resolve(*key, (m, view), known));
    let needle = |text: &str| Needle::by(known.collation, text);
    match key {
        SearchKey::All => Test::Always(true),
        SearchKey::Set(set) | SearchKey::Uid(set) if set.is_saved() => Test::Uids(known.saved.clone()),
        SearchKey::Set(set) => {
            // A number that no message has is looked for in vain, as with Dovecot: the client may have asked before it was told.
            let exists = m.exists(view);
            let seqs = set.resolve(exists).intersection(&IdSet::range(1, exists));
            Test::Uids(m.uids_of(view, &seqs))
        }
        SearchKey::Uid(set) => {
            let uids = set.resolve(m.last_visible(view).map_or(0, |uid| uid.0));
            if known.grows && set.has_star() { Test::UidsToLast(set, uids) } else { Test::Uids(uids) }
        }
        SearchKey::UidAfter(uid) => {
            Test::Uids(uid.checked_add(1).map_or_else(IdSet::new, |uid| IdSet::range(uid, u32::MAX)))
        }
        SearchKey::UidBefore(uid) => Test::Uids(IdSet::range(1, uid - 1)),
        SearchKey::With(flags) => Test::With(flags),
        SearchKey::Without(flags) => Test::Without(flags),
        SearchKey::Recent => Test::Recent,
        SearchKey::Keyword(name) => {
            let name = name.into_boxed_str();
            let mask = m.mask(std::slice::from_ref(&name));
            Test::Keyword(name, mask)
        }
        SearchKey::Before(d) => Test::InternalDay(Compare::Below, day(d)),
        SearchKey::On(d) => Test::InternalDay(Compare::Same, day(d)),
        SearchKey::Since(d) => Test::InternalDay(Compare::NotBelow, day(d)),
        SearchKey::SentBefore(d) => Test::SentDay(Compare::Below, day(d)),
        SearchKey::SentOn(d) => Test::SentDay(Compare::Same, day(d)),
        SearchKey::SentSince(d) => Test::SentDay(Compare::NotBelow, day(d)),
        SearchKey::SavedBefore(d) => Test::SavedDay(Compare::Below, day(d)),
        SearchKey::SavedOn(d) => Test::SavedDay(Compare::Same, day(d)),
        SearchKey::SavedSince(d) => Test::SavedDay(Compare::NotBelow, day(d)),
        SearchKey::Older(seconds) => Test::Within(Within::Older, seconds, known.now),
        SearchKey::Younger(seconds) => Test::Within(Within::Younger, seconds, known.now),
        SearchKey::EmailId(id) => guid_of(&id).map_or(Test::Always(false), Test::Guid),
        SearchKey::ThreadId(_) => Test::Always(false),
        SearchKey::Larger(bytes) => Test::Size(Compare::Above, bytes),
        SearchKey::Smaller(bytes) => Test::Size(Compare::Below, bytes),
        SearchKey::Header { name, value } => Test::Header { name, needle: needle(&value), told: RefCell::default() },
        SearchKey::Body(text) => Test::Text { needle: needle(&text), headers: false },
        SearchKey::Text(text) => Test::Text { needle: needle(&text), headers: true },
        SearchKey::Compared(collation, key) => resolve(*key, (m, view), &Known { collation, ..*known }),
        SearchKey::ModSeq(least) => Test::ModSeq(least),
        SearchKey::Not(key) => Test::Not(inner(key)),
        SearchKey::Or(a, b) => Test::Or(inner(a), inner(b)),
        SearchKey::And(keys) => Test::And(keys.into_iter().map(|key| resolve(key, (m, view), known)).collect()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn columns(internal_date: i64, flags: Flags) -> Columns {
        let (keywords, modseq, guid) = (KeywordMask(0), ModSeq(1), Guid([1; 16]));
        let (recent, save_date, size) = (false, 0, 1);
        Columns { uid: Uid(1), flags, keywords, modseq, recent, internal_date, save_date, guid, size, sent: None }
    }

    #[test]
    fn flags_alone_say_what_the_columns_do() {
        let (seen, flagged) = (Flags::SEEN, Flags::FLAGGED);
        let both = Test::And(vec![Test::With(flagged), Test::Always(true), Test::Without(seen)]);
        assert_eq!(both.flags_alone(), Some((flagged, seen)));
        assert_eq!(Test::Without(seen | flagged).flags_alone(), Some((Flags::NONE, seen | flagged)));
        // Each is one flag or more that is not there, which is another thing than none of them.
        assert_eq!(Test::Not(Box::new(Test::With(seen | flagged))).flags_alone(), None);
        assert_eq!(Test::And(vec![Test::With(seen), Test::Recent]).flags_alone(), None);
        assert_eq!(Test::Always(false).flags_alone(), None);
        // Nothing has a flag and has it not.
        assert_eq!(Test::And(vec![Test::With(seen), Test::Without(seen)]).flags_alone(), Some((seen, seen)));
    }

    /// Second after second: between one moment and the next nothing turns, whatever the keys are put together to.
    #[test]
    fn answers_turn_at_the_moments_that_are_told() {
        let within = |within, seconds| Test::Within(within, seconds, 0);
        let (older, younger) = (Within::Older, Within::Younger);
        let mailbox = Mailbox::new(skein_base::MailboxId(1), skein_base::UidValidity(1));
        let tests = [
            within(older, 10),
            within(younger, 10),
            within(older, 0),
            Test::Not(Box::new(within(younger, 3))),
            Test::And(vec![within(older, 4), within(younger, 9), Test::Without(Flags::SEEN)]),
            Test::Or(Box::new(within(younger, 2)), Box::new(within(older, 12))),
        ];
        let mut turned = 0;
        for mut test in tests {
            for date in [100, 107] {
                let of_message = columns(date, Flags::NONE);
                test.refresh(&mailbox, 1, 90);
                let mut before = test.by_columns(&of_message);
                let mut next = test.turns_after(90, date);
                for now in 91..130 {
                    test.refresh(&mailbox, 1, now);
                    let answer = test.by_columns(&of_message);
                    assert!(answer == before || next == Some(now), "{date} at {now}, {next:?}");
                    turned += u32::from(answer != before);
                    if next == Some(now) {
                        next = test.turns_after(now, date);
                    }
                    assert!(next.is_none_or(|next| next > now));
                    before = answer;
                }
                assert_eq!(next, None, "everything has turned that will");
            }
        }
        assert_eq!(turned, 16);
        assert_eq!(Test::With(Flags::SEEN).turns_after(0, 100), None);
    }
}
