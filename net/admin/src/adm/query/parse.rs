//! Words of a query into a tree.

use super::Query;
use super::value::{self, When};
use crate::adm::wire::{Code, Problem};
use skein_base::{Flags, Guid};
use skein_proto::imap::{Day, SearchKey, SeqSet};
use skein_serve::{Compare, Criterion};

/// Words of one query: more come from a script gone wrong.
const WORDS_MAX: usize = 10_000;
/// Parentheses within parentheses, and NOTs: each is a call on the stack of a shard.
const DEPTH_MAX: usize = 50;

const DAY_SECONDS: i64 = 86_400;

/// Reads a query. `now` in Unix seconds is what relative times start at.
///
/// # Errors
/// Naming the word that is not understood.
pub(crate) fn parse(words: &[String], now: i64) -> Result<Query, Problem> {
    let split;
    let words = match words {
        // One argument that holds a whole query.
        [line] if line.contains([' ', '(']) => {
            split = value::split(line).map_err(wrong)?;
            &split[..]
        }
        words => words,
    };
    if words.is_empty() {
        return Err(wrong("the query is empty; ALL means every message"));
    }
    if words.len() > WORDS_MAX {
        return Err(wrong(format!("more than {WORDS_MAX} words")));
    }
    let mut parser = Parser { words, at: 0, depth: 0, now };
    let query = parser.all()?;
    match parser.words.get(parser.at) {
        None => Ok(query),
        Some(_) => Err(wrong("a ) without its (")),
    }
}

fn wrong(text: impl std::fmt::Display) -> Problem {
    Problem::new(Code::Usage, format!("query: {text}"))
}

struct Parser<'a> {
    words: &'a [String],
    at: usize,
    depth: usize,
    now: i64,
}

impl Parser<'_> {
    /// Keys side by side, up to the end or a closing parenthesis.
    fn all(&mut self) -> Result<Query, Problem> {
        let mut all: Vec<Query> = Vec::new();
        while let Some(word) = self.words.get(self.at).filter(|word| *word != ")") {
            if !word.eq_ignore_ascii_case("OR") {
                let key = self.key()?;
                all.push(key);
                continue;
            }
            self.at += 1;
            // Between two keys it joins them; in front of two, as in IMAP, likewise.
            let a = match all.pop() {
                Some(before) => before,
                None => self.key()?,
            };
            let b = self.key()?;
            all.push(Query::Or(Box::new(a), Box::new(b)));
        }
        Ok(if all.len() == 1 { all.remove(0) } else { Query::And(all) })
    }

    fn key(&mut self) -> Result<Query, Problem> {
        let word = self.words.get(self.at).ok_or_else(|| wrong("a key is missing at the end"))?.clone();
        self.at += 1;
        let upper = word.to_ascii_uppercase();
        match &*upper {
            "(" => self.deeper(|parser| {
                let inner = parser.all()?;
                if parser.words.get(parser.at).is_none() {
                    return Err(wrong("a ( without its )"));
                }
                parser.at += 1;
                match &inner {
                    Query::And(all) if all.is_empty() => Err(wrong("nothing between ( and )")),
                    _ => Ok(inner),
                }
            }),
            "NOT" => Ok(Query::Not(Box::new(self.deeper(Parser::key)?))),
            "MAILBOX" => Ok(Query::Mailbox(self.value(&upper)?.to_owned())),
            _ => self.message_key(&word, &upper).map(Query::Message),
        }
    }

    fn deeper(&mut self, read: impl FnOnce(&mut Self) -> Result<Query, Problem>) -> Result<Query, Problem> {
        if self.depth == DEPTH_MAX {
            return Err(wrong(format!("deeper than {DEPTH_MAX} levels")));
        }
        self.depth += 1;
        let query = read(self);
        self.depth -= 1;
        query
    }

    fn message_key(&mut self, word: &str, upper: &str) -> Result<Criterion, Problem> {
        let imap = |key| Ok(Criterion::Imap(key));
        if let Some((flags, on)) = flag(upper) {
            return imap(if on { SearchKey::With(flags) } else { SearchKey::Without(flags) });
        }
        match upper {
            "ALL" => imap(SearchKey::All),
            "RECENT" => imap(SearchKey::Recent),
            "OLD" => imap(SearchKey::Not(Box::new(SearchKey::Recent))),
            "NEW" => imap(SearchKey::And(vec![SearchKey::Recent, SearchKey::Without(Flags::SEEN)])),
            "BCC" | "CC" | "FROM" | "SUBJECT" | "TO" => {
                let name = format!("{}{}", &upper[..1], upper[1..].to_ascii_lowercase());
                let value = self.value(upper)?.to_owned();
                imap(SearchKey::Header { name, value })
            }
            "HEADER" => {
                let name = self.value(upper)?.to_owned();
                let value = self.value(upper)?.to_owned();
                imap(SearchKey::Header { name, value })
            }
            "BODY" => imap(SearchKey::Body(self.value(upper)?.to_owned())),
            "TEXT" => imap(SearchKey::Text(self.value(upper)?.to_owned())),
            "KEYWORD" => imap(SearchKey::Keyword(self.value(upper)?.to_owned())),
            "UNKEYWORD" => {
                let name = self.value(upper)?.to_owned();
                imap(SearchKey::Not(Box::new(SearchKey::Keyword(name))))
            }
            "LARGER" => imap(SearchKey::Larger(self.size(upper)?)),
            "SMALLER" => imap(SearchKey::Smaller(self.size(upper)?)),
            "UID" => imap(SearchKey::Uid(self.set(upper)?)),
            "GUID" => {
                let text = self.value(upper)?;
                let guid =
                    value::guid(text).ok_or_else(|| wrong(format!("GUID {text} is not 32 hexadecimal digits")))?;
                Ok(Criterion::Guid(Guid(guid)))
            }
            _ => match value::set(word) {
                Some(set) => imap(SearchKey::Set(set)),
                None => self.date_key(upper),
            },
        }
    }

    fn date_key(&mut self, upper: &str) -> Result<Criterion, Problem> {
        let (column, compare) = date_parts(upper).ok_or_else(|| {
            wrong(format!("{upper} is no key; `skein adm search --help` tells where they are listed"))
        })?;
        let now = self.now;
        let text = self.value(upper)?;
        let when = value::when(text, now).ok_or_else(|| {
            wrong(format!("{upper} {text}: not a date (2026-03-31, 31-Mar-2026), Unix time or age (3d)"))
        })?;
        Ok(dated(column, compare, when))
    }

    fn value(&mut self, key: &str) -> Result<&str, Problem> {
        let value = self.words.get(self.at).ok_or_else(|| wrong(format!("{key} wants a value")))?;
        self.at += 1;
        Ok(value)
    }

    fn size(&mut self, key: &str) -> Result<u64, Problem> {
        let text = self.value(key)?;
        value::size(text).ok_or_else(|| wrong(format!("{key} {text}: not a size such as 20000, 100K or 2M")))
    }

    fn set(&mut self, key: &str) -> Result<SeqSet, Problem> {
        let text = self.value(key)?;
        value::set(text).ok_or_else(|| wrong(format!("{key} {text}: not a set such as 1,5:9,20:*")))
    }
}

/// ANSWERED and the like, and UNANSWERED.
fn flag(upper: &str) -> Option<(Flags, bool)> {
    let of = |name: &str| {
        let known = Flags::NAMES.iter().find(|(_, wire)| wire[1..].eq_ignore_ascii_case(name));
        known.map(|(flags, _)| *flags)
    };
    match of(upper) {
        Some(flags) => Some((flags, true)),
        None => of(upper.strip_prefix("UN")?).map(|flags| (flags, false)),
    }
}

/// Which date of a message.
#[derive(Clone, Copy)]
enum Column {
    Received,
    Saved,
    Sent,
}

#[derive(Clone, Copy)]
enum Side {
    Before,
    On,
    Since,
}

fn date_parts(key: &str) -> Option<(Column, Side)> {
    let (column, rest) = match (key.strip_prefix("SAVED"), key.strip_prefix("SENT")) {
        (Some(rest), _) => (Column::Saved, rest),
        (_, Some(rest)) => (Column::Sent, rest),
        _ => (Column::Received, key),
    };
    let side = match rest {
        "BEFORE" => Side::Before,
        "ON" => Side::On,
        "SINCE" => Side::Since,
        _ => return None,
    };
    Some((column, side))
}

/// Days are UTC's. The Date field of a message counts by its day.
fn dated(column: Column, side: Side, when: When) -> Criterion {
    let day = match when {
        When::Day(day) => day,
        When::Time(seconds) => seconds.div_euclid(DAY_SECONDS),
    };
    let test = |compare, seconds| match column {
        Column::Saved => Criterion::Saved(compare, seconds),
        _ => Criterion::Received(compare, seconds),
    };
    let start = match when {
        When::Day(day) => day * DAY_SECONDS,
        When::Time(seconds) => seconds,
    };
    match (column, side) {
        (Column::Sent, Side::Before) => Criterion::Imap(SearchKey::SentBefore(Day(day as i32))),
        (Column::Sent, Side::On) => Criterion::Imap(SearchKey::SentOn(Day(day as i32))),
        (Column::Sent, Side::Since) => Criterion::Imap(SearchKey::SentSince(Day(day as i32))),
        (_, Side::Before) => test(Compare::Below, start),
        (_, Side::Since) => test(Compare::NotBelow, start),
        (_, Side::On) => Criterion::And(vec![
            test(Compare::NotBelow, day * DAY_SECONDS),
            test(Compare::Below, (day + 1) * DAY_SECONDS),
        ]),
    }
}
