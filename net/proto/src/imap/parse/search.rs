//! SEARCH (RFC 3501 §6.4.4) with MODSEQ (RFC 7162 §3.1.5), `$` (RFC 5182), OLDER and YOUNGER (RFC 5032), SAVED..
//! (RFC 8514), EMAILID and THREADID (RFC 8474), UIDAFTER and UIDBEFORE (RFC 9738). SORT, THREAD (RFC 5256) and ESEARCH (RFC 7377)
//! look for the same.

use super::cursor::{Cursor, utf8};
use super::fetch::field_name;
use super::filter::{MailboxFilter, mailbox_filter};
use super::message::set;
use super::returns::maybe_returns;
use super::{Command, Enabling, UID_REQUIRED, Wrong};
use crate::imap::limits::SEARCH_SOURCES_MAX;
use crate::imap::verb::Verb;
use crate::imap::{Code, Comparator, Day, Request, Returns, SearchKey, SortBy, SortKey, ThreadBy, date};
use skein_base::limits::SEARCH_KEYS_MAX;
use skein_base::{Collation, Flags, ModSeq};

/// `SEARCH [RETURN (option ..)] [CHARSET name] key ..`
pub(super) fn search(c: &mut Cursor<'_>, verb: Verb) -> Result<Command, Wrong> {
    c.space()?;
    let returns = maybe_returns(c)?;
    let saves = returns.as_ref().is_some_and(|returns| returns.save);
    let request =
        program(c).map(|(key, needs_modseq)| Request::Search { uid: verb.is_uid(), key, needs_modseq, returns });
    asked(c, saves, request)
}

/// What is refused with NO, but not with BAD, leaves nothing saved (RFC 5182 §2.1).
fn asked(c: &mut Cursor<'_>, saves: bool, request: Result<Request, Wrong>) -> Result<Command, Wrong> {
    match request {
        Err(Wrong::No(code, text)) if saves => {
            c.skip_rest();
            Ok(Command::Ask(Request::ForgetSaved { code, text }))
        }
        request => request.map(Command::Ask),
    }
}

/// `ESEARCH [IN (filter ..)] [RETURN (option ..)] [CHARSET name] key ..` (RFC 7377 §4)
pub(super) fn multi_search(c: &mut Cursor<'_>) -> Result<Command, Wrong> {
    c.space()?;
    let sources = sources(c)?;
    let returns = maybe_returns(c)?.unwrap_or(Returns { all: true, ..Returns::default() });
    if returns.save && sources.iter().any(|source| *source != MailboxFilter::Selected) {
        return Err(Wrong::Bad("SAVE goes with the selected mailbox alone"));
    }
    let (saves, program) = (returns.save, program(c));
    let request = program.map(|(key, needs_modseq)| Request::MultiSearch { sources, key, needs_modseq, returns });
    asked(c, saves, request)
}

/// `IN (filter ..)` when it is there.
fn sources(c: &mut Cursor<'_>) -> Result<Vec<MailboxFilter>, Wrong> {
    let mut sources = Vec::new();
    if !c.rest().get(..3).is_some_and(|word| word.eq_ignore_ascii_case(b"IN ")) {
        return Ok(sources);
    }
    c.keyword();
    c.space()?;
    c.list(|c| match mailbox_filter(c)? {
        MailboxFilter::SelectedDelayed => Err(Wrong::Bad("selected-delayed is for NOTIFY")),
        filter if sources.contains(&filter) => Ok(()),
        _ if sources.len() == SEARCH_SOURCES_MAX => Err(Wrong::Bad("Too many sources")),
        filter => {
            sources.push(filter);
            Ok(())
        }
    })?;
    c.space()?;
    Ok(sources)
}

/// `[CHARSET name] key ..`
fn program(c: &mut Cursor<'_>) -> Result<(SearchKey, bool), Wrong> {
    if c.rest().get(..8).is_some_and(|word| word.eq_ignore_ascii_case(b"CHARSET ")) {
        if c.enabled.utf8 && !c.enabled.rev2 {
            return Err(Wrong::Bad("With UTF8=ACCEPT text is in UTF-8, and no CHARSET is said"));
        }
        c.keyword();
        c.space()?;
        charset(c)?;
        c.space()?;
    }
    search_keys(c)
}

/// What is looked for at all times: keys as SEARCH takes them, but those that mean another thing to each session, or after each change.
pub(crate) fn standing(text: &str) -> Result<SearchKey, &'static str> {
    // Two such bytes would begin another line of a command.
    if text.chars().any(char::is_control) {
        return Err("Control characters are no search keys");
    }
    let enabled = Enabling { utf8: true, uid_only: true, ..Enabling::default() };
    let mut c = Cursor::new(text.as_bytes(), enabled);
    let read = search_keys(&mut c).and_then(|(key, _)| c.end().map(|()| key));
    match read {
        Ok(key) if is_standing(&key) => Ok(key),
        Ok(_) => Err("UID, MODSEQ, RECENT, NEW and OLD say nothing of a message in all mailboxes"),
        Err(Wrong::BadCode(..)) => Err("Message numbers say nothing of a message in all mailboxes"),
        Err(Wrong::Bad(text) | Wrong::No(_, text)) => Err(text),
    }
}

fn is_standing(key: &SearchKey) -> bool {
    match key {
        SearchKey::Set(_) | SearchKey::Uid(_) | SearchKey::UidAfter(_) | SearchKey::UidBefore(_) => false,
        SearchKey::ModSeq(_) | SearchKey::Recent => false,
        SearchKey::Not(key) => is_standing(key),
        SearchKey::Or(a, b) => is_standing(a) && is_standing(b),
        SearchKey::And(keys) => keys.iter().all(is_standing),
        _ => true,
    }
}

/// The keys up to the end, and whether MODSEQ is among them.
fn search_keys(c: &mut Cursor<'_>) -> Result<(SearchKey, bool), Wrong> {
    let mut reader = Reader { keys: 0, needs_modseq: false };
    let mut keys = vec![reader.key(c)?];
    while c.peek() == Some(b' ') && c.rest() != b" " {
        c.space()?;
        keys.push(reader.key(c)?);
    }
    Ok((compared(c.enabled.comparator.collation, all_of(keys)), reader.needs_modseq))
}

/// `SORT [RETURN (option ..)] (criterion ..) charset key ..` (RFC 5256 §3, RFC 5267 §3)
pub(super) fn sort(c: &mut Cursor<'_>, verb: Verb) -> Result<Command, Wrong> {
    c.space()?;
    let returns = maybe_returns(c)?;
    let (mut by, mut reverse) = (Vec::new(), false);
    c.list(|c| {
        let key = match c.keyword().as_str() {
            "REVERSE" if !reverse => {
                reverse = true;
                return Ok(());
            }
            "ARRIVAL" => SortKey::Arrival,
            "CC" => SortKey::Cc,
            "DATE" => SortKey::Date,
            "DISPLAYFROM" => SortKey::DisplayFrom,
            "DISPLAYTO" => SortKey::DisplayTo,
            "FROM" => SortKey::From,
            "SIZE" => SortKey::Size,
            "SUBJECT" => SortKey::Subject,
            "TO" => SortKey::To,
            _ => return Err(Wrong::Bad("Unknown sort criterion")),
        };
        // What was compared already decides nothing more.
        if !by.iter().any(|before: &SortBy| before.key == key) {
            let comparator = if key.is_text() { c.enabled.comparator } else { Comparator::default() };
            by.push(SortBy { key, reverse, comparator });
        }
        reverse = false;
        Ok(())
    })?;
    if reverse {
        return Err(Wrong::Bad("REVERSE needs a sort criterion"));
    }
    c.space()?;
    let saves = returns.as_ref().is_some_and(|returns| returns.save);
    let program = charset(c).and_then(|()| c.space()).and_then(|()| search_keys(c));
    let request =
        program.map(|(key, needs_modseq)| Request::Sort { uid: verb.is_uid(), by, key, needs_modseq, returns });
    asked(c, saves, request)
}

/// `THREAD algorithm charset key ..` (RFC 5256 §3)
pub(super) fn thread(c: &mut Cursor<'_>, verb: Verb) -> Result<Command, Wrong> {
    c.space()?;
    let by = match c.keyword().as_str() {
        "ORDEREDSUBJECT" => ThreadBy::OrderedSubject,
        "REFERENCES" => ThreadBy::References,
        "REFS" => ThreadBy::Refs,
        _ => return Err(Wrong::Bad("Unknown threading algorithm")),
    };
    c.space()?;
    charset(c)?;
    c.space()?;
    let (key, needs_modseq) = search_keys(c)?;
    let collation = if by.looks_at_subjects() { c.enabled.comparator.collation } else { Collation::default() };
    Ok(Command::Ask(Request::Thread { uid: verb.is_uid(), by, collation, key, needs_modseq }))
}

fn charset(c: &mut Cursor<'_>) -> Result<(), Wrong> {
    let name = c.astring()?;
    let known = [&b"US-ASCII"[..], b"UTF-8", b"ASCII", b"UTF8"];
    match known.iter().any(|k| name.eq_ignore_ascii_case(k)) {
        true => Ok(()),
        false => Err(Wrong::No(Code::BadCharset, "Search text must be in US-ASCII or UTF-8")),
    }
}

fn compared(collation: Collation, key: SearchKey) -> SearchKey {
    if collation == Collation::default() { key } else { SearchKey::Compared(collation, Box::new(key)) }
}

fn all_of(mut keys: Vec<SearchKey>) -> SearchKey {
    match keys.len() {
        1 => keys.remove(0),
        _ => SearchKey::And(keys),
    }
}

struct Reader {
    keys: usize,
    needs_modseq: bool,
}

impl Reader {
    fn key(&mut self, c: &mut Cursor<'_>) -> Result<SearchKey, Wrong> {
        self.keys += 1;
        if self.keys > SEARCH_KEYS_MAX {
            return Err(Wrong::Bad("Too many search keys"));
        }
        match c.peek() {
            Some(b'(') => {
                let mut keys = Vec::new();
                c.list(|c| {
                    keys.push(self.key(c)?);
                    Ok(())
                })?;
                Ok(all_of(keys))
            }
            Some(b'0'..=b'9' | b'*') if c.enabled.uid_only => Err(UID_REQUIRED),
            Some(b'0'..=b'9' | b'*' | b'$') => Ok(SearchKey::Set(set(c)?)),
            _ => self.named(c),
        }
    }

    fn named(&mut self, c: &mut Cursor<'_>) -> Result<SearchKey, Wrong> {
        let word = c.keyword();
        if let Some(key) = bare(word.as_str()) {
            return Ok(key);
        }
        match word.as_str() {
            "" => return Err(Wrong::Bad("Expected a search key")),
            name if !takes_argument(name) => return Err(Wrong::Bad("Unknown search key")),
            _ => c.space()?,
        }
        match word.as_str() {
            "NOT" => Ok(not(self.inner(c)?)),
            "OR" => {
                let left = self.inner(c)?;
                c.space()?;
                Ok(SearchKey::Or(Box::new(left), Box::new(self.inner(c)?)))
            }
            "MODSEQ" => {
                self.needs_modseq = true;
                modseq(c)
            }
            name => with_argument(c, name),
        }
    }

    fn inner(&mut self, c: &mut Cursor<'_>) -> Result<SearchKey, Wrong> {
        c.deeper(|c| self.key(c))
    }
}

fn not(key: SearchKey) -> SearchKey {
    SearchKey::Not(Box::new(key))
}

fn bare(word: &str) -> Option<SearchKey> {
    use SearchKey::{All, And, Recent, With, Without};
    Some(match word {
        "ALL" => All,
        "ANSWERED" => With(Flags::ANSWERED),
        "DELETED" => With(Flags::DELETED),
        "DRAFT" => With(Flags::DRAFT),
        "FLAGGED" => With(Flags::FLAGGED),
        "SEEN" => With(Flags::SEEN),
        "UNANSWERED" => Without(Flags::ANSWERED),
        "UNDELETED" => Without(Flags::DELETED),
        "UNDRAFT" => Without(Flags::DRAFT),
        "UNFLAGGED" => Without(Flags::FLAGGED),
        "UNSEEN" => Without(Flags::SEEN),
        "RECENT" => Recent,
        "OLD" => not(Recent),
        "NEW" => And(vec![Recent, Without(Flags::SEEN)]),
        // Every mailbox keeps save dates (RFC 8514 §4.3).
        "SAVEDATESUPPORTED" => All,
        _ => return None,
    })
}

const WITH_ARGUMENT: &[&str] = &[
    "BCC",
    "BEFORE",
    "BODY",
    "CC",
    "EMAILID",
    "FROM",
    "HEADER",
    "KEYWORD",
    "LARGER",
    "MODSEQ",
    "NOT",
    "OLDER",
    "ON",
    "OR",
    "SAVEDBEFORE",
    "SAVEDON",
    "SAVEDSINCE",
    "SENTBEFORE",
    "SENTON",
    "SENTSINCE",
    "SINCE",
    "SMALLER",
    "SUBJECT",
    "TEXT",
    "THREADID",
    "TO",
    "UID",
    "UIDAFTER",
    "UIDBEFORE",
    "X-GUID",
    "YOUNGER",
];

fn takes_argument(name: &str) -> bool {
    WITH_ARGUMENT.binary_search(&name).is_ok() || name == "UNKEYWORD"
}

fn with_argument(c: &mut Cursor<'_>, name: &str) -> Result<SearchKey, Wrong> {
    Ok(match name {
        "BCC" => header("Bcc", c)?,
        "CC" => header("Cc", c)?,
        "FROM" => header("From", c)?,
        "SUBJECT" => header("Subject", c)?,
        "TO" => header("To", c)?,
        "HEADER" => {
            let name = field_name(c)?;
            c.space()?;
            SearchKey::Header { name, value: c.text()? }
        }
        "BODY" => SearchKey::Body(c.text()?),
        "TEXT" => SearchKey::Text(c.text()?),
        "KEYWORD" => SearchKey::Keyword(keyword(c)?),
        "UNKEYWORD" => not(SearchKey::Keyword(keyword(c)?)),
        "BEFORE" => SearchKey::Before(day(c)?),
        "ON" => SearchKey::On(day(c)?),
        "SINCE" => SearchKey::Since(day(c)?),
        "SENTBEFORE" => SearchKey::SentBefore(day(c)?),
        "SENTON" => SearchKey::SentOn(day(c)?),
        "SENTSINCE" => SearchKey::SentSince(day(c)?),
        "SAVEDBEFORE" => SearchKey::SavedBefore(day(c)?),
        "SAVEDON" => SearchKey::SavedOn(day(c)?),
        "SAVEDSINCE" => SearchKey::SavedSince(day(c)?),
        "OLDER" => SearchKey::Older(interval(c)?),
        "YOUNGER" => SearchKey::Younger(interval(c)?),
        "EMAILID" => SearchKey::EmailId(object_id(c)?),
        "THREADID" => SearchKey::ThreadId(object_id(c)?),
        "X-GUID" => SearchKey::EmailId(format!("M{}", c.text()?)),
        "LARGER" => SearchKey::Larger(c.number64()?),
        "SMALLER" => SearchKey::Smaller(c.number64()?),
        "UID" => SearchKey::Uid(set(c)?),
        "UIDAFTER" => SearchKey::UidAfter(unique_id(c)?),
        "UIDBEFORE" => SearchKey::UidBefore(unique_id(c)?),
        _ => return Err(Wrong::Bad("Unknown search key")),
    })
}

fn header(name: &str, c: &mut Cursor<'_>) -> Result<SearchKey, Wrong> {
    Ok(SearchKey::Header { name: name.to_string(), value: c.text()? })
}

fn keyword(c: &mut Cursor<'_>) -> Result<String, Wrong> {
    utf8(c.atom("Expected a keyword")?.into())
}

/// `uniqueid`, not 0
fn unique_id(c: &mut Cursor<'_>) -> Result<u32, Wrong> {
    match c.number()? {
        0 => Err(Wrong::Bad("UIDs start at 1")),
        uid => Ok(uid),
    }
}

/// Seconds, not 0 (RFC 5032 §3)
fn interval(c: &mut Cursor<'_>) -> Result<u32, Wrong> {
    match c.number()? {
        0 => Err(Wrong::Bad("The interval is at least one second")),
        seconds => Ok(seconds),
    }
}

/// 1 to 255 letters, digits, `_` and `-` (RFC 8474 §7)
fn object_id(c: &mut Cursor<'_>) -> Result<String, Wrong> {
    let id = utf8(c.astring()?)?;
    let fits =
        (1..=255).contains(&id.len()) && id.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-'));
    if fits { Ok(id) } else { Err(Wrong::Bad("Invalid object id")) }
}

/// `date`, quoted or not
fn day(c: &mut Cursor<'_>) -> Result<Day, Wrong> {
    date::read_date(&c.astring()?).ok_or(Wrong::Bad("Invalid date"))
}

/// `MODSEQ [entry-name SP entry-type] n`
fn modseq(c: &mut Cursor<'_>) -> Result<SearchKey, Wrong> {
    if c.peek() == Some(b'"') {
        c.string()?;
        c.space()?;
        match c.keyword().as_str() {
            "ALL" | "PRIV" | "SHARED" => c.space()?,
            _ => return Err(Wrong::Bad("Expected all, priv or shared")),
        }
    }
    Ok(SearchKey::ModSeq(ModSeq(c.number64()?)))
}
