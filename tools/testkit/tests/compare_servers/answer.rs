//! Replies without what two servers may rightly tell in other words: texts, the order of data, their own numbers.

use std::collections::{BTreeMap, BTreeSet};

use skein_testkit::imap::{Reply, Value, expand_set};

use super::moment;

/// Response codes that are compared; the others help people (RFC 5530 §3: "response codes are not ... required").
const CODES: [&str; 13] = [
    "APPENDUID",
    "BADCHARSET",
    "BADEVENT",
    "CLOSED",
    "COPYUID",
    "MODIFIED",
    "OVERQUOTA",
    "PERMANENTFLAGS",
    "READ-WRITE",
    "TRYCREATE",
    "UIDNEXT",
    "UNSEEN",
    "URLMECH",
];

/// A reply as it is compared: the tagged line, then what came before it in an order of its own.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Answer {
    pub tagged: String,
    pub lines: Vec<String>,
}

const CLOSED: &str = "closed";

/// What one connection believes: the messages of the selected mailbox, each under a number that stays.
#[derive(Debug, Default)]
pub struct View {
    messages: Vec<u32>,
    next: u32,
    pub selected: bool,
    /// The UIDs of the messages, as far as they were told; VANISHED speaks of them.
    pub uids: Vec<u32>,
    /// The modification sequences that the last answer told, by message.
    pub modseqs: BTreeMap<u32, u64>,
}

impl View {
    pub fn count(&self) -> usize {
        self.messages.len()
    }

    /// After the tagged reply of `command`: what it selected or left.
    pub fn leave(&mut self, command: &str, ok: bool) {
        let verb = command.split([' ', '\r']).next().unwrap_or_default().to_ascii_uppercase();
        match verb.as_str() {
            "SELECT" | "EXAMINE" => self.selected = ok,
            "CLOSE" | "UNSELECT" if ok => self.selected = false,
            _ => return,
        }
        if !self.selected {
            self.messages.clear();
        }
    }

    fn exists(&mut self, count: usize) -> Result<(), String> {
        if count < self.messages.len() {
            return Err(format!("EXISTS fell from {} to {count}", self.messages.len()));
        }
        while self.messages.len() < count {
            self.messages.push(self.next);
            self.next += 1;
        }
        Ok(())
    }

    /// Takes away what VANISHED tells of.
    fn vanished(&mut self, uids: &[u32]) -> Result<Vec<u32>, String> {
        let mut gone = Vec::new();
        for uid in uids {
            let at = self.uids.binary_search(uid).map_err(|_| format!("no message of UID {uid}"))?;
            self.uids.remove(at);
            gone.push(self.messages.remove(at));
        }
        Ok(gone)
    }

    fn of(&self, seq: usize) -> Result<u32, String> {
        seq.checked_sub(1).and_then(|at| self.messages.get(at)).copied().ok_or_else(|| format!("no message {seq}"))
    }
}

#[derive(Default)]
struct Gathered {
    lines: Vec<String>,
    fetched: BTreeMap<u32, BTreeMap<String, String>>,
    expunged: BTreeSet<u32>,
    exists: Option<usize>,
    recent: Option<String>,
    /// What entered and left results that are kept up: by their tag, whether UIDs, the name, and how many were expunged before, since message
    /// numbers are others then.
    moved: BTreeMap<(String, bool, String, usize), BTreeSet<u32>>,
}

impl Answer {
    /// What `reply` says to `command`; it changes what the connection believes.
    pub fn new(command: &str, reply: &Reply, view: &mut View) -> Answer {
        if is_opening(command) {
            view.messages.clear();
            view.uids.clear();
            view.next = 0;
        }
        view.modseqs.clear();
        let mut all = Gathered::default();
        for line in &reply.untagged {
            if let Err(broken) = all.take(line, view) {
                all.lines.push(format!("!! {broken} in {}", shown(line)));
            }
        }
        view.leave(command, reply.is_ok());
        let mut lines = all.lines;
        lines.extend(all.recent.map(|n| format!("RECENT {n}")));
        if !is_opening(command) {
            // A keyword may become known at any time (RFC 3501 §7.2.6), and a number be told again.
            let told_again = ["FLAGS ", "PERMANENTFLAGS ", "RECENT "];
            lines.retain(|line| !told_again.iter().any(|name| line.starts_with(name)));
        }
        lines.extend(all.exists.map(|n| format!("EXISTS {n}")));
        lines.extend(all.expunged.iter().map(|id| format!("EXPUNGE #{id}")));
        lines.extend(all.moved.iter().map(|((_, uid, name, _), set)| format!("ESEARCH {uid} {name} {set:?}")));
        for (id, items) in all.fetched {
            lines.extend(items.into_iter().map(|(name, value)| format!("FETCH #{id} {name} {value}")));
        }
        lines.sort();
        lines.dedup();
        Answer { tagged: tagged(reply), lines }
    }

    /// The server ended the connection.
    pub fn is_closed(&self) -> bool {
        self.tagged == CLOSED
    }

    /// What is said of a connection that ended.
    pub fn closed() -> Answer {
        Answer { tagged: CLOSED.into(), lines: vec![] }
    }

    /// The numbers of a SEARCH.
    pub fn found(&self) -> BTreeSet<u32> {
        let line = self.lines.iter().find_map(|line| line.strip_prefix("SEARCH ")).unwrap_or_default();
        line.split(|c: char| !c.is_ascii_digit()).filter_map(|number| number.parse().ok()).collect()
    }

    /// The lines that `other` lacks, the tagged one first.
    pub fn lacking_in(&self, other: &Answer) -> Vec<String> {
        let tagged = (self.tagged != other.tagged).then(|| format!("tagged {}", self.tagged));
        let lines = self.lines.iter().filter(|line| !other.lines.contains(line)).cloned();
        tagged.into_iter().chain(lines).collect()
    }
}

fn is_opening(command: &str) -> bool {
    let verb = command.split(' ').next().unwrap_or_default();
    verb.eq_ignore_ascii_case("SELECT") || verb.eq_ignore_ascii_case("EXAMINE")
}

fn tagged(reply: &Reply) -> String {
    let code = reply.text.strip_prefix('[').and_then(|t| t.split_once(']')).and_then(|(c, _)| code(c));
    format!("{:?} {}", reply.status, code.unwrap_or_default()).trim_end().to_owned()
}

/// A response code as it is compared.
fn code(code: &str) -> Option<String> {
    let (name, rest) = code.split_once(' ').unwrap_or((code, ""));
    let name = name.to_ascii_uppercase();
    if !CODES.contains(&name.as_str()) {
        return None;
    }
    Some(match name.as_str() {
        "APPENDUID" | "COPYUID" => {
            let sets = rest.split(' ').skip(1).map(|set| format!("{:?}", expand_set(set).unwrap_or_default()));
            format!("{name} {}", sets.collect::<Vec<_>>().join(" "))
        }
        "PERMANENTFLAGS" => format!("{name} {}", flags(rest, false)),
        "MODIFIED" => format!("{name} {:?}", expand_set(rest).unwrap_or_default()),
        // The list of character sets, and that of events, is the server's own.
        "BADCHARSET" | "BADEVENT" => name,
        _ => format!("{name} {rest}"),
    })
}

impl Gathered {
    fn take(&mut self, line: &[u8], view: &mut View) -> Result<(), String> {
        let Some(rest) = line.strip_prefix(b"* ") else { return Err("not untagged".into()) };
        let text = String::from_utf8_lossy(rest);
        let (first, tail) = text.split_once(' ').unwrap_or((&text, ""));
        if let Ok(number) = first.parse::<usize>() {
            return self.numbered(number, tail, &rest[first.len() + 1..], view);
        }
        let name = first.to_ascii_uppercase();
        match name.as_str() {
            // It is told with SELECT, and again when the mailbox's key was reset (RFC 4467 §7, §8).
            "OK" if tail.starts_with("[URLMECH ") => {}
            "OK" => self.lines.extend(tail.strip_prefix('[').and_then(|t| code(t.split_once(']')?.0))),
            "NO" | "BAD" | "BYE" => self.lines.push(name),
            "FLAGS" => self.lines.push(format!("FLAGS {}", flags(tail, false))),
            "SEARCH" => self.lines.push(format!("SEARCH {:?}", numbers(tail))),
            "SORT" | "THREAD" => self.lines.push(format!("{name} {}", tail.trim_end())),
            "ENABLED" => {
                let words: BTreeSet<String> = tail.split(' ').map(str::to_ascii_uppercase).collect();
                self.lines.push(format!("ENABLED {words:?}"));
            }
            "VANISHED" => match tail.strip_prefix("(EARLIER) ") {
                Some(set) => self.lines.push(format!("VANISHED (EARLIER) {:?}", set_of(set)?)),
                None => {
                    let gone = view.vanished(&set_of(tail)?)?;
                    self.left(gone.len());
                    self.expunged.extend(gone);
                }
            },
            "ESEARCH" => match moved(tail)? {
                // A command that takes its time may be heard of piece by piece (RFC 5267 §4.3.2).
                Some((tag, uid, name, set)) => {
                    self.moved.entry((tag, uid, name, self.expunged.len())).or_default().extend(set)
                }
                None => self.lines.push(format!("ESEARCH {}", esearch(tail)?)),
            },
            "GENURLAUTH" | "URLFETCH" => {
                self.lines.extend(urls(&name, rest.get(first.len() + 1..).unwrap_or_default())?)
            }
            "ACL" | "MYRIGHTS" | "LISTRIGHTS" => {
                self.lines.extend(rights(&name, rest.get(first.len() + 1..).unwrap_or_default())?)
            }
            "QUOTA" => self.lines.push(format!("QUOTA {}", quota(rest.get(first.len() + 1..).unwrap_or_default())?)),
            "QUOTAROOT" => {
                self.lines.push(format!("QUOTAROOT {}", names(rest.get(first.len() + 1..).unwrap_or_default())?))
            }
            "METADATA" => self.lines.extend(metadata(&rest[first.len() + 1..])?),
            "LIST" | "LSUB" => self.lines.push(format!("{name} {}", listed(&rest[first.len() + 1..])?)),
            "STATUS" => self.lines.push(format!("STATUS {}", status(&rest[first.len() + 1..])?)),
            _ => self.lines.push(shown(rest)),
        }
        Ok(())
    }

    fn numbered(&mut self, number: usize, tail: &str, bytes: &[u8], view: &mut View) -> Result<(), String> {
        match tail {
            "EXISTS" => {
                self.exists = Some(number);
                view.exists(number)
            }
            "RECENT" => {
                self.recent = Some(number.to_string());
                Ok(())
            }
            "EXPUNGE" => {
                self.expunged.insert(view.of(number)?);
                self.left(1);
                view.messages.remove(number - 1);
                if number <= view.uids.len() {
                    view.uids.remove(number - 1);
                }
                Ok(())
            }
            _ => {
                let id = view.of(number)?;
                self.fetch(id, bytes.strip_prefix(b"FETCH ").ok_or("unknown data")?, view)
            }
        }
    }

    /// Messages that were among those that EXISTS told of. What comes may be told before what goes (RFC 5465 §6.1.2: SELECTED-DELAYED holds
    /// back EXPUNGE alone) or after it.
    fn left(&mut self, count: usize) {
        self.exists = self.exists.map(|exists| exists.saturating_sub(count));
    }

    /// Items of several responses for one message are one: the last word counts.
    fn fetch(&mut self, id: u32, list: &[u8], view: &mut View) -> Result<(), String> {
        let values = Value::parse_all(list).ok_or("bad grammar")?;
        let [Value::List(values)] = &values[..] else { return Err("no list".into()) };
        let items = self.fetched.entry(id).or_default();
        for pair in values.chunks(2) {
            let [name, value] = pair else { return Err("a name without a value".into()) };
            let name = item_name(name.text().ok_or("a name that is none")?);
            let value = match name.as_str() {
                "FLAGS" => flags(&render(value), true),
                "INTERNALDATE" | "SAVEDATE" => moment::normal(&render(value)),
                "MODSEQ" => {
                    let number = value.list().and_then(|list| list.first()?.text()?.parse().ok());
                    view.modseqs.insert(id, number.ok_or("a MODSEQ that is none")?);
                    "(modseq)".into()
                }
                _ => render(value),
            };
            items.insert(name, value);
        }
        Ok(())
    }
}

/// `BODY[HEADER.FIELDS ("to" From)]<0>` in capitals and without quotes.
fn item_name(name: &str) -> String {
    name.to_ascii_uppercase().replace('"', "")
}

/// Flags sorted; with `keywords`, all of them, else those that RFC 3501 names.
fn flags(list: &str, keywords: bool) -> String {
    let words = list.trim_matches(['(', ')']).split(' ').filter(|w| !w.is_empty());
    let kept: BTreeSet<String> =
        words.filter(|w| keywords || w.starts_with('\\')).map(str::to_ascii_lowercase).collect();
    format!("({})", kept.into_iter().collect::<Vec<_>>().join(" "))
}

fn set_of(set: &str) -> Result<Vec<u32>, String> {
    expand_set(set).ok_or_else(|| format!("a bad set {set}"))
}

fn numbers(tail: &str) -> BTreeSet<u64> {
    tail.split(' ').filter_map(|n| n.parse().ok()).collect()
}

/// The results in the order of their names; sets are written out, for there are many ways to write one.
fn esearch(tail: &str) -> Result<String, String> {
    let (_, uid, values) = correlated(tail)?;
    let mut results = BTreeMap::new();
    for pair in values.chunks(2) {
        let [name, value] = pair else { return Err("a result without a value".into()) };
        let (name, text) = (name.text().unwrap_or_default(), value.text().unwrap_or_default());
        let value = match (name, value.list()) {
            ("ALL", _) => format!("{:?}", set_of(text)?),
            ("MODSEQ", _) => "its own".into(),
            ("PARTIAL", Some([range, found])) => {
                let (range, found) = (range.text().unwrap_or_default(), found.text().unwrap_or_default());
                format!("{range} {:?}", if found == "NIL" { vec![] } else { set_of(found)? })
            }
            _ => render(value),
        };
        results.insert(name.to_owned(), value);
    }
    Ok(format!("{}{results:?}", if uid { "UID " } else { "" }))
}

/// Which command an ESEARCH belongs to, whether it tells UIDs, and what.
fn correlated(tail: &str) -> Result<(&str, bool, Vec<Value>), String> {
    let (tag, rest) = match tail.split_once(") ") {
        Some((tag, rest)) if tag.starts_with("(TAG") => (tag, rest),
        _ if tail.starts_with("(TAG") => (tail, ""),
        _ => ("", tail),
    };
    let (uid, rest) = match rest.strip_prefix("UID") {
        Some(rest) => (true, rest.trim_start()),
        None => (false, rest),
    };
    Ok((tag, uid, Value::parse_all(rest.as_bytes()).ok_or("bad grammar")?))
}

/// Tag, whether by UID, ADDTO or REMOVEFROM, and which messages.
type Moved = (String, bool, String, Vec<u32>);

/// What entered or left a result without an order of its own: positions are 0 then (RFC 5267 §4.3.3).
fn moved(tail: &str) -> Result<Option<Moved>, String> {
    let (tag, uid, values) = correlated(tail)?;
    let [name, Value::List(pairs)] = &values[..] else { return Ok(None) };
    let (Some(name @ ("ADDTO" | "REMOVEFROM")), true) =
        (name.text(), pairs.chunks(2).all(|p| p[0].text() == Some("0")))
    else {
        return Ok(None);
    };
    let sets = pairs.chunks(2).map(|pair| set_of(pair.get(1).and_then(Value::text).unwrap_or_default()));
    let set = sets.collect::<Result<Vec<_>, _>>()?.concat();
    Ok(Some((tag.to_owned(), uid, name.to_owned(), set)))
}

/// Attributes sorted, without whether there may be news (RFC 3501 §7.2.2: a server may not know).
fn listed(rest: &[u8]) -> Result<String, String> {
    let values = Value::parse_all(rest).ok_or("bad grammar")?;
    let [Value::List(attributes), separator, name, more @ ..] = &values[..] else { return Err("too short".into()) };
    let words: BTreeSet<String> =
        attributes.iter().map(|a| a.text().unwrap_or_default().to_ascii_lowercase()).collect();
    let words: Vec<String> = words.into_iter().filter(|w| !["\\marked", "\\unmarked"].contains(&w.as_str())).collect();
    let more: Vec<String> = more.iter().map(|item| render(item).replace('"', "")).collect();
    Ok(format!("{} ({}) {} {}", mailbox(name), words.join(" "), render(separator), more.join(" "))
        .trim_end()
        .to_owned())
}

fn status(rest: &[u8]) -> Result<String, String> {
    let values = Value::parse_all(rest).ok_or("bad grammar")?;
    let [name, Value::List(items)] = &values[..] else { return Err("too short".into()) };
    let mut told = BTreeMap::new();
    for pair in items.chunks(2) {
        let [name, value] = pair else { return Err("an item without a value".into()) };
        let name = render(name).to_ascii_uppercase();
        let value = match name.as_str() {
            "UIDVALIDITY" | "HIGHESTMODSEQ" => "its own".into(),
            _ => render(value),
        };
        told.insert(name, value);
    }
    Ok(format!("{} {told:?}", mailbox(name)))
}

/// Each entry of a mailbox, and its value.
fn metadata(rest: &[u8]) -> Result<Vec<String>, String> {
    let values = Value::parse_all(rest).ok_or("bad grammar")?;
    let [name, Value::List(entries)] = &values[..] else { return Err("no values".into()) };
    let entry = |pair: &[Value]| match pair {
        [entry, value] => {
            Ok(format!("METADATA {} {} {}", mailbox(name), render(entry).to_ascii_lowercase(), render(value)))
        }
        _ => Err("an entry without a value".to_owned()),
    };
    entries.chunks(2).map(entry).collect()
}

/// A URL without its token, and with each thing that is told of it; in how many lists that is is nobody's affair.
fn urls(verb: &str, rest: &[u8]) -> Result<Vec<String>, String> {
    let values = Value::parse_all(rest).ok_or("bad grammar")?;
    let Some((url, told)) = values.split_first() else { return Ok(vec![verb.to_owned()]) };
    let url = String::from_utf8_lossy(url.bytes().unwrap_or_default()).into_owned();
    let start = format!("{verb} {}", url.split(":internal:").next().unwrap_or_default());
    if told.is_empty() {
        return Ok(vec![start]);
    }
    let each = |value: &Value| match value.list() {
        Some(items) => items.chunks(2).map(|item| item.iter().map(render).collect::<Vec<_>>().join(" ")).collect(),
        None => vec![render(value)],
    };
    Ok(told.iter().flat_map(each).map(|value| format!("{start} {value}")).collect())
}

/// Who has which rights, each by itself. The owner's own, those of nobody, and the old names of rights (RFC 4314 §2.1.1) are left out.
fn rights(verb: &str, rest: &[u8]) -> Result<Vec<String>, String> {
    let values = Value::parse_all(rest).ok_or("bad grammar")?;
    let [name, values @ ..] = &values[..] else { return Err("too short".into()) };
    let text = |value: &Value| String::from_utf8_lossy(value.bytes().unwrap_or_default()).into_owned();
    let sorted = |values: &[Value]| {
        let all: BTreeSet<char> = values.iter().flat_map(|value| text(value).chars().collect::<Vec<_>>()).collect();
        all.into_iter().filter(|right| !"cd".contains(*right)).collect::<String>()
    };
    let start = format!("{verb} {}", mailbox(name));
    Ok(match (verb, values) {
        ("MYRIGHTS", _) => vec![format!("{start} {}", sorted(values))],
        ("LISTRIGHTS", [who, rights @ ..]) => vec![format!("{start} {} {}", text(who), sorted(rights))],
        _ => {
            let pairs = values.chunks(2).map(|pair| (text(&pair[0]), sorted(&pair[1..])));
            let others = pairs.filter(|(who, rights)| !who.starts_with("test") && !rights.is_empty());
            [start.clone()].into_iter().chain(others.map(|(who, rights)| format!("{start} {who} {rights}"))).collect()
        }
    })
}

/// Usage and limit of each resource.
fn quota(rest: &[u8]) -> Result<String, String> {
    let values = Value::parse_all(rest).ok_or("bad grammar")?;
    let [root, Value::List(resources)] = &values[..] else { return Err("too short".into()) };
    let each: BTreeSet<String> =
        resources.chunks(3).map(|all| all.iter().map(render).collect::<Vec<_>>().join(" ")).collect();
    Ok(format!("{} {each:?}", mailbox(root)))
}

fn names(rest: &[u8]) -> Result<String, String> {
    let values = Value::parse_all(rest).ok_or("bad grammar")?;
    Ok(values.iter().map(mailbox).collect::<Vec<_>>().join(" | "))
}

/// An astring, however it was written; INBOX has no case.
fn mailbox(name: &Value) -> String {
    let name = String::from_utf8_lossy(name.bytes().unwrap_or_default()).into_owned();
    if name.eq_ignore_ascii_case("INBOX") { "INBOX".into() } else { name }
}

/// A value with all strings in one form.
pub fn render(value: &Value) -> String {
    match value {
        Value::Atom(atom) => atom.escape_ascii().to_string(),
        Value::Text(text) => format!("\"{}\"", text.escape_ascii()),
        Value::List(values) => format!("({})", values.iter().map(render).collect::<Vec<_>>().join(" ")),
    }
}

fn shown(line: &[u8]) -> String {
    line[..line.len().min(300)].escape_ascii().to_string()
}
