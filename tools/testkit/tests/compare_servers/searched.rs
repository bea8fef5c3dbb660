//! Searches that are answered differently, key by key.
//!
//! ```text
//! UID SORT (DATE) UTF-8 OR BODY "x" NOT 8:*     Skein finds a set, Dovecot another
//!   each key alone, at both                     may they differ in that?  (KEYS)
//!   UID SORT (DATE) UTF-8 OR UID 1,4 NOT UID 7  with what Skein found for each key, at Dovecot: as Skein said at first,
//!   .. NOT UID 4                                or the same at both, without messages that may stand anywhere (ORDERS)
//! ```
//!
//! So a key that is read differently hides nothing of what it is joined with.

use std::collections::BTreeSet;

use super::answer::Answer;
use super::known;
use super::pair::{Both, Session};

type Uids = BTreeSet<u32>;

/// What is known of the mailbox that is searched, and what each found for a key.
struct Found<'a> {
    key: &'a str,
    ours: Uids,
    theirs: Uids,
    uids: &'a [u32],
}

/// The names of a row's keys, the row, and whether it allows what was found.
type Key = (&'static [&'static str], &'static str, fn(&mut Session, &Found) -> bool);

const KEYS: [Key; 4] = [
    (&["SENTBEFORE", "SENTON", "SENTSINCE"], "no sent date", no_sent_date),
    (&["BODY", "TEXT"], "text that is searched", searched_text),
    (&["FROM", "TO", "CC", "BCC"], "addresses that are searched", searched_addresses),
    (&["", "UID"], "`*` below a number", star_below_number),
];

/// Keys with so many arguments; others have none.
const ARGUMENTS: [(&[&str], usize); 2] = [
    (&["HEADER"], 2),
    (
        &[
            "BCC",
            "BEFORE",
            "BODY",
            "CC",
            "FROM",
            "KEYWORD",
            "LARGER",
            "OLDER",
            "ON",
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
            "TO",
            "UID",
            "UNKEYWORD",
            "YOUNGER",
        ],
        1,
    ),
];

/// The rows of messages that may stand anywhere when they are sorted by date, or threaded.
const ORDERS: [&str; 2] = ["no sent date", "ids behind a broken one"];

/// The rows of keys that find the same at both alone, and not with another.
const SETS: &str = "sets that are joined";
const UNSEEN: &str = "OR of what is unseen";

/// The row of messages that stand in another order when others are sorted with them.
const NEIGHBOURS: &str = "order among others";

/// Names of all rows.
pub fn names() -> impl Iterator<Item = &'static str> {
    KEYS.iter().map(|(_, name, _)| *name).chain(ORDERS).chain([SETS, UNSEEN, NEIGHBOURS])
}

/// What differs in a search and is not allowed; `None` when `command` is no search, or one that either refused.
pub fn unexplained(session: &mut Session, command: &[u8], both: &Both) -> Option<Vec<String>> {
    let command = str::from_utf8(command).ok()?;
    let (start, keys) = Start::of(command)?;
    if both.skein.tagged != "Ok" || both.dovecot.tagged != "Ok" {
        return None;
    }
    let uids = session.uids();
    let mut alike = start.text.to_owned();
    for piece in pieces(keys) {
        let name = piece.split(' ').next().unwrap_or_default();
        let row = KEYS.iter().find(|(names, ..)| names.contains(&name) || is_set(name) && names.contains(&""));
        // What Dovecot finds alone and loses when it is joined with others (SETS, UNSEEN), it finds as UIDs.
        let is_seen = ["SEEN", "UNSEEN", "NEW"].iter().any(|known| name.eq_ignore_ascii_case(known));
        if row.is_none() && !is_seen {
            alike += piece;
            continue;
        }
        let told = session.ask(format!("UID SEARCH CHARSET UTF-8 {}", piece.trim_end()).as_bytes());
        let (ours, theirs) = (told.skein.found(), told.dovecot.found());
        if ours == theirs {
            match is_seen || name == "UID" || is_set(name) {
                true => alike += &uid_key(&ours),
                false => alike += piece.trim_end(),
            }
            alike += &piece[piece.trim_end().len()..];
            continue;
        }
        let found = Found { key: piece.trim_end(), ours, theirs, uids: &uids };
        if !row.is_some_and(|(_, _, allows)| allows(session, &found)) {
            return Some(vec![format!("{}: - {:?} + {:?}", found.key, found.ours, found.theirs)]);
        }
        alike += &uid_key(&found.ours);
        alike += &piece[piece.trim_end().len()..];
    }
    let dovecot = session.ask_dovecot(alike.as_bytes());
    let both = Both { skein: both.skein.clone(), dovecot, count: both.count };
    let differing = known::unexplained(command.as_bytes(), &both);
    if differing.is_empty() || agrees_pair_by_pair(session, &start, &both) {
        return Some(Vec::new());
    }
    if !start.is_ordered_by_header {
        return Some(differing);
    }
    let odd = session.with_odd_header();
    let both = session.ask(format!("{alike} NOT {}", uid_key(&odd)).as_bytes());
    Some(known::unexplained(command.as_bytes(), &both))
}

/// Both sort the same messages, and of any two neighbours in our order Dovecot tells the same when it is asked for these alone.
fn agrees_pair_by_pair(session: &mut Session, start: &Start, both: &Both) -> bool {
    let (Some(ours), Some(theirs)) = (sorted(&both.skein), sorted(&both.dovecot)) else { return false };
    let set = |numbers: &[u32]| numbers.iter().copied().collect::<Uids>();
    let uid = if start.text.starts_with("UID ") { "UID " } else { "" };
    start.text.contains("SORT ")
        && set(&ours) == set(&theirs)
        && ours.windows(2).all(|pair| {
            let told = session.ask_dovecot(format!("{}{uid}{},{}", start.text, pair[0], pair[1]).as_bytes());
            sorted(&told).is_some_and(|told| told == pair)
        })
}

/// All that was sorted, in its order.
fn sorted(answer: &Answer) -> Option<Vec<u32>> {
    let line = answer
        .lines
        .iter()
        .find_map(|line| line.strip_prefix("SORT ").or_else(|| line.split_once("\"ALL\": \"[")?.1.split(']').next()))?;
    line.split([' ', ',']).filter(|word| !word.is_empty()).map(|word| word.parse().ok()).collect()
}

/// What stands before the keys.
struct Start<'a> {
    text: &'a str,
    /// By dates, and of threads by message ids.
    is_ordered_by_header: bool,
}

impl Start<'_> {
    fn of(command: &str) -> Option<(Start<'_>, &str)> {
        let mut at = command.strip_prefix("UID ").map_or(0, |_| 4);
        let verb = command[at..].split(' ').next()?;
        at += verb.len() + 1;
        let mut rest = command.get(at..)?;
        let skip = |rest: &mut &str, past: &str| {
            let end = rest.find(past).map(|found| found + past.len());
            end.inspect(|&end| *rest = &rest[end..])
        };
        if rest.starts_with("RETURN (") {
            skip(&mut rest, ") ")?;
        }
        match verb {
            "SEARCH" if rest.starts_with("CHARSET ") => {
                skip(&mut rest, "CHARSET ").and_then(|_| skip(&mut rest, " "))?
            }
            "SEARCH" => 0,
            "SORT" => skip(&mut rest, ") ").and_then(|_| skip(&mut rest, " "))?,
            "THREAD" => skip(&mut rest, " ").and_then(|_| skip(&mut rest, " "))?,
            _ => return None,
        };
        let text = &command[..command.len() - rest.len()];
        let is_ordered_by_header = verb == "THREAD" || text.contains("(DATE") || text.contains(" DATE");
        Some((Start { text, is_ordered_by_header }, rest))
    }
}

/// The keys, each with its arguments and the blanks and parentheses around it that belong to none.
fn pieces(keys: &str) -> Vec<&str> {
    let (mut pieces, mut rest) = (Vec::new(), keys);
    while !rest.is_empty() {
        let word = rest.find([' ', '(', ')']).unwrap_or(rest.len());
        let mut end = word;
        if word == 0 {
            end = 1;
        } else {
            let arguments = ARGUMENTS.iter().find(|(names, _)| names.contains(&&rest[..word])).map_or(0, |(_, n)| *n);
            for _ in 0..arguments {
                end += 1;
                end += argument(rest.get(end..).unwrap_or_default());
            }
        }
        pieces.push(&rest[..end]);
        rest = &rest[end..];
    }
    pieces
}

/// Length of the string that `text` begins with.
fn argument(text: &str) -> usize {
    if let Some(quoted) = text.strip_prefix('"') {
        return quoted.find('"').map_or(text.len(), |end| end + 2);
    }
    let literal = text.strip_prefix('{').and_then(|text| text.split_once("+}\r\n"));
    if let Some((bytes, _)) = literal.and_then(|(bytes, rest)| Some((bytes.parse::<usize>().ok()?, rest))) {
        return text.find('\n').map_or(0, |end| end + 1) + bytes;
    }
    text.find([' ', ')']).unwrap_or(text.len())
}

fn is_set(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_digit() || c == '*')
}

fn uid_key(uids: &Uids) -> String {
    match uids.is_empty() {
        true => "NOT ALL".into(),
        false => format!("UID {}", uids.iter().map(u32::to_string).collect::<Vec<_>>().join(",")),
    }
}

/// `8:*` is the last message where there are fewer; Dovecot finds none.
fn star_below_number(_: &mut Session, found: &Found) -> bool {
    let last = found.uids.last().copied();
    found.key.contains(":*") | found.key.contains("*:")
        && found.theirs.iter().chain(&last).copied().collect::<Uids>() == found.ours
}

/// Whether an id of these fields is broken off before another begins.
pub fn has_broken_ids(header: &str) -> bool {
    header.split('>').any(|id| id.matches('<').count() > 1)
}

/// Messages whose date is missing or broken.
fn no_sent_date(session: &mut Session, found: &Found) -> bool {
    let odd = session.without_date();
    found.ours.symmetric_difference(&found.theirs).all(|uid| odd.contains(uid))
}

/// Dovecot does not look at headers of messages inside, nor at parts of an encoding that it does not know, nor does it decode words in
/// headers of parts. What only Skein finds is there, or is encoded.
fn searched_text(session: &mut Session, found: &Found) -> bool {
    only_ours_have(session, found, "BODY.PEEK[]")
}

/// Dovecot looks at what it understood of a broken list of addresses, and puts these in place of what is missing or broken.
fn searched_addresses(session: &mut Session, found: &Found) -> bool {
    const NOBODY: [&str; 2] = ["missing_mailbox@missing_domain", "@.syntax-error."];
    let name = found.key.split(' ').next().unwrap_or_default();
    let ours = match NOBODY.iter().any(|nobody| nobody.contains(&needle(found.key))) {
        true => found.ours.union(&found.theirs).copied().collect(),
        false => found.ours.clone(),
    };
    let found = Found { ours, theirs: found.theirs.clone(), ..*found };
    only_ours_have(session, &found, &format!("BODY.PEEK[HEADER.FIELDS ({name})]"))
}

/// Skein finds more, and all of that has the text in `item`, or encoded words or parts.
fn only_ours_have(session: &mut Session, found: &Found, item: &str) -> bool {
    let needle = needle(found.key);
    let mut has = |uid: &u32| {
        let source = plain(&session.source(*uid, item));
        source.contains(&needle) || ["=?", "base64", "quoted-printable"].iter().any(|mark| source.contains(mark))
    };
    found.theirs.is_subset(&found.ours) && found.ours.difference(&found.theirs).all(&mut has)
}

/// The text that a key looks for.
fn needle(key: &str) -> String {
    let argument = key.split_once(' ').map_or("", |(_, argument)| argument);
    let argument = argument.split_once("+}\r\n").map_or(argument, |(_, literal)| literal);
    plain(argument.trim_matches('"'))
}

/// Without folding and capitals.
fn plain(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ").to_lowercase()
}

#[test]
fn what_was_sorted_is_read_in_its_order() {
    let read = |line: &str| sorted(&Answer { tagged: "Ok".into(), lines: vec![line.into()] });
    assert_eq!(read("SORT 6 5 2"), Some(vec![6, 5, 2]));
    assert_eq!(read(r#"ESEARCH UID {"ALL": "[6, 5, 2]", "COUNT": "3"}"#), Some(vec![6, 5, 2]));
    assert_eq!(read(r#"ESEARCH UID {"COUNT": "3"}"#), None);
}

#[test]
fn keys_are_told_apart() {
    let command = "UID SORT RETURN (ALL) (REVERSE CC) UTF-8 OR 8:* (NOT BODY {2+}\r\na) TO \"x y\") HEADER a \"\"";
    let (start, keys) = Start::of(command).expect("a search");
    assert_eq!(start.text, "UID SORT RETURN (ALL) (REVERSE CC) UTF-8 ");
    let words: Vec<&str> = pieces(keys).into_iter().filter(|piece| *piece != " ").collect();
    assert_eq!(words, ["OR", "8:*", "(", "NOT", "BODY {2+}\r\na)", "TO \"x y\"", ")", "HEADER a \"\""]);
    let starts = ["SEARCH CHARSET UTF-8 ALL", "SEARCH RETURN () ALL", "THREAD REFS UTF-8 ALL", "SEARCH ALL"];
    assert!(starts.iter().all(|command| Start::of(command).is_some_and(|(_, keys)| keys == "ALL")));
    assert!(Start::of("FETCH 1 FLAGS").is_none());
    assert!(has_broken_ids("References: <a@b><c@<d@e>\r\n") && !has_broken_ids("References: <a@b> c@ <d@e> <f@"));
}
