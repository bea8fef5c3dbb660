//! What NOTIFY (RFC 5465) and kept results (RFC 5267) tell a client while another works is what a session reads that begins then.
//!
//! ```text
//! worker    the commands of a stream
//! watcher   INBOX selected, results kept, NOTIFY SET: a model of what it was told, brought up to date by NOOP
//! reader    a new connection after each command: reads all, and has to find the same
//! ```

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;

use skein_testkit::imap::{Client, Reply, Value, expand_set};
use skein_testkit::random::Random;
use skein_testkit::server::PASSWORD;

use super::pair::Side;
use super::stream::Stream;
use super::ways;

/// Results that the watcher keeps.
const RESULTS: usize = 4;

/// How often a command is of what a mailbox is for, and after how many the same is asked in several ways.
const USES_PERCENT: usize = 5;
const WAYS_PERCENT: usize = 25;

pub const KEYS: [&str; 12] = [
    "UNSEEN",
    "FLAGGED NOT DELETED",
    "OR KEYWORD word ANSWERED",
    "SUBJECT apple",
    "BODY echo",
    "LARGER 500",
    "SINCE 1-Jan-2005",
    "SENTSINCE 1-Jan-2005",
    "UID 3:*",
    "NOT (DRAFT SEEN)",
    "OR UNDELETED TEXT cherry",
    "ALL",
];

pub const ORDERS: [&str; 6] =
    ["ARRIVAL", "REVERSE DATE", "SUBJECT SIZE", "REVERSE FROM", "DISPLAYTO", "REVERSE ARRIVAL"];

/// A mailbox for something, or what it is for (RFC 6154), which Dovecot lacks.
fn with_use(random: &mut Random) -> Vec<u8> {
    const USES: [&str; 6] = ["\\Sent", "\\Drafts", "\\Trash", "\\Junk", "\\Archive", "\\Sent \\Drafts"];
    let (name, uses) = (random.word(&["box", "box/sub", "new", "Other"]), random.word(&USES));
    match random.below(3) {
        0 => format!("CREATE {name} (USE ({uses}))"),
        1 => format!("SETMETADATA {name} (/private/specialuse \"{}\")", uses.replace('\\', "\\\\")),
        _ => format!("SETMETADATA {name} (/private/specialuse NIL)"),
    }
    .into_bytes()
}

/// Some commands of one stream, watched; what the watcher believes and a reader does not find.
pub fn run(
    address: SocketAddr,
    user: &str,
    stream: &mut Stream,
    commands: usize,
    random: &mut Random,
) -> Option<String> {
    let mut worker = Side::login(address, user);
    let mut watcher = Watcher::start(address, user, random);
    let mut told = vec![watcher.begun.clone()];
    let mut opening = stream.opening().into_iter();
    for number in 0..commands {
        let next = |stream: &mut Stream| stream.next(worker.selected());
        let command = match opening.next() {
            Some(command) => command,
            None if random.chance(USES_PERCENT) => with_use(random),
            None => next(stream),
        };
        told.push(command[..command.len().min(200)].escape_ascii().to_string());
        let answer = worker.ask(&command, &format!("w{number}"));
        let wrong = match answer.is_closed() {
            true => Some("the connection ended".into()),
            false => watcher.listen().err().or_else(|| watcher.compare(&mut Reader::start(address, user))),
        };
        let wrong = wrong.or_else(|| random.chance(WAYS_PERCENT).then(|| ways::differing(address, user, random))?);
        if let Some(wrong) = wrong {
            return Some(format!("{}\n{wrong}", told.join("\n")));
        }
    }
    None
}

/// What there is. Of INBOX, which is selected, STATUS tells nothing.
#[derive(Default)]
struct Known {
    /// What STATUS tells of each mailbox that may be selected.
    mailboxes: BTreeMap<String, BTreeMap<String, u64>>,
    subscribed: BTreeSet<String>,
    messages: Vec<Message>,
    results: Vec<Vec<u32>>,
}

/// One of the selected mailbox; what was not told yet is `None`.
#[derive(Clone, Default, PartialEq, Debug)]
struct Message {
    uid: Option<u32>,
    flags: Option<BTreeSet<String>>,
}

struct Watcher {
    client: Client,
    known: Known,
    /// Tags and searches of the results that are kept.
    kept: Vec<(String, String)>,
    /// How it began, for who reads what failed.
    begun: String,
}

impl Watcher {
    fn start(address: SocketAddr, user: &str, random: &mut Random) -> Watcher {
        let mut client = login(address, user);
        let enable = random.word(&["", "ENABLE CONDSTORE", "ENABLE QRESYNC", "ENABLE UIDONLY"]);
        if !enable.is_empty() {
            run_command(&mut client, enable);
        }
        run_command(&mut client, "SELECT INBOX");
        let mut kept = Vec::new();
        for _ in 0..RESULTS {
            let key = random.word(&KEYS);
            let (verb, rest) = match random.chance(50) {
                true => ("UID SEARCH", key.to_owned()),
                false => ("UID SORT", format!("({}) UTF-8 {key}", random.word(&ORDERS))),
            };
            let tag = client.send(&format!("{verb} RETURN (UPDATE ALL) {rest}")).expect("a search");
            client.finish(&tag).expect("a search").expect_ok();
            kept.push((tag, format!("{verb} RETURN (ALL) {rest}")));
        }
        let results = vec![Vec::new(); RESULTS];
        let begun = format!("{enable}; {}", kept.iter().map(|(_, search)| &**search).collect::<Vec<_>>().join("; "));
        let known = Known { results, ..Known::default() };
        let mut watcher = Watcher { client, known, kept, begun };
        let notify = "NOTIFY SET STATUS (SELECTED-DELAYED (MessageNew (UID FLAGS) MessageExpunge FlagChange)) \
                      (PERSONAL (MessageNew MessageExpunge FlagChange MailboxName SubscriptionChange))";
        let reply = run_command(&mut watcher.client, notify);
        watcher.take(&reply).expect("a new user");
        watcher
    }

    /// All that was told up to now.
    fn listen(&mut self) -> Result<(), String> {
        let reply = run_command(&mut self.client, "NOOP");
        self.take(&reply)
    }

    fn take(&mut self, reply: &Reply) -> Result<(), String> {
        for line in &reply.untagged {
            let text = String::from_utf8_lossy(line);
            self.take_line(&line[2..]).map_err(|why| format!("{why}: {text}"))?;
        }
        Ok(())
    }

    fn take_line(&mut self, line: &[u8]) -> Result<(), String> {
        let text = String::from_utf8_lossy(line).into_owned();
        let (first, rest) = text.split_once(' ').ok_or("one word")?;
        let values = |rest: &str| Value::parse_all(rest.as_bytes()).ok_or("bad grammar".to_owned());
        if let Ok(number) = first.parse::<usize>() {
            let (verb, rest) = rest.split_once(' ').unwrap_or((rest, ""));
            return self.numbered(number, verb, &values(rest)?);
        }
        match first {
            "VANISHED" => expand_set(rest).ok_or("a bad set")?.into_iter().try_for_each(|uid| {
                let at = self.place(uid).ok_or(format!("no message of UID {uid}"))?;
                self.known.messages.remove(at);
                Ok(())
            }),
            "ESEARCH" => self.changed(rest, &values(rest)?),
            "STATUS" => self.counted(&values(rest)?),
            "LIST" => self.named(&values(rest)?),
            // Keywords and codes that are new.
            "FLAGS" | "OK" => Ok(()),
            _ => Err("unknown".into()),
        }
    }

    fn place(&self, uid: u32) -> Option<usize> {
        self.known.messages.iter().position(|message| message.uid == Some(uid))
    }

    fn numbered(&mut self, number: usize, verb: &str, values: &[Value]) -> Result<(), String> {
        let messages = &mut self.known.messages;
        match verb {
            "EXISTS" if number < messages.len() => Err(format!("there were {}", messages.len())),
            "EXISTS" => {
                messages.resize(number, Message::default());
                Ok(())
            }
            "RECENT" => Ok(()),
            "EXPUNGE" if (1..=messages.len()).contains(&number) => {
                messages.remove(number - 1);
                Ok(())
            }
            "FETCH" => {
                let message = messages.get_mut(number.wrapping_sub(1)).ok_or("no such message")?;
                message.take(values)
            }
            // Of one that is new the number is its only name: it is the first that has no UID.
            "UIDFETCH" => {
                let uid = number as u32;
                let at = self.place(uid).or_else(|| self.known.messages.iter().position(|m| m.uid.is_none()));
                let message = &mut self.known.messages[at.ok_or("no such message")?];
                message.uid = Some(uid);
                message.take(values)
            }
            _ => Err("unknown".into()),
        }
    }

    /// A kept result has more, or less (RFC 5267 §4.3).
    fn changed(&mut self, text: &str, values: &[Value]) -> Result<(), String> {
        let kept = self.kept.iter().position(|(tag, _)| text.starts_with(&format!("(TAG \"{tag}\") UID ")));
        let result = &mut self.known.results[kept.ok_or("not kept")?];
        for pair in values[2..].chunks(2) {
            let [name, Value::List(changes)] = pair else { return Err("no list".into()) };
            let adds = match name.text() {
                Some("ADDTO") => true,
                Some("REMOVEFROM") => false,
                _ => return Err("unknown".into()),
            };
            for change in changes.chunks(2) {
                let [at, set] = change else { return Err("no set".into()) };
                let at = at.number().ok_or("no place")? as usize;
                let uids = set.text().and_then(expand_set).ok_or("a bad set")?;
                apply(result, adds, at, uids)?;
            }
        }
        Ok(())
    }

    fn counted(&mut self, values: &[Value]) -> Result<(), String> {
        let [name, Value::List(items)] = values else { return Err("too short".into()) };
        let known = self.known.mailboxes.entry(text_of(name)).or_default();
        known.extend(counts(items));
        Ok(())
    }

    /// A name is there, or no more, or another (RFC 5465 §5.4), or is subscribed or not (§5.5).
    fn named(&mut self, values: &[Value]) -> Result<(), String> {
        let [Value::List(attributes), _, name, more @ ..] = values else { return Err("too short".into()) };
        let name = text_of(name);
        let has = |attribute: &str| attributes.iter().any(|a| text_of(a).eq_ignore_ascii_case(attribute));
        match has("\\Subscribed") {
            true => self.known.subscribed.insert(name.clone()),
            false => self.known.subscribed.remove(&name),
        };
        if let [Value::List(more)] = more
            && let [tag, Value::List(old)] = &more[..]
        {
            assert_eq!(text_of(tag), "OLDNAME");
            self.renamed(&text_of(&old[0]), &name);
        }
        let known = &mut self.known.mailboxes;
        match has("\\NonExistent") || has("\\Noselect") {
            true => drop(known.remove(&name)),
            // Nothing is in what is new, or it is told.
            false => drop(
                known.entry(name).or_insert_with(|| BTreeMap::from([("MESSAGES".into(), 0), ("UNSEEN".into(), 0)])),
            ),
        }
        Ok(())
    }

    /// "When a mailbox is renamed, its children are renamed too"; "When INBOX is renamed, a new INBOX is assumed to be created".
    fn renamed(&mut self, old: &str, new: &str) {
        if old == "INBOX" {
            return;
        }
        let known = std::mem::take(&mut self.known.mailboxes);
        let other = |name: String| match name.strip_prefix(old) {
            Some(rest) if rest.is_empty() || rest.starts_with('/') => format!("{new}{rest}"),
            _ => name,
        };
        self.known.mailboxes = known.into_iter().map(|(name, counts)| (other(name), counts)).collect();
    }

    /// What a reader finds and was told otherwise.
    fn compare(&self, reader: &mut Reader) -> Option<String> {
        let found = reader.all(&self.kept);
        let (known, read) = (&self.known, &found);
        let names = known.mailboxes.keys().chain(read.mailboxes.keys()).filter(|name| *name != "INBOX");
        for name in names {
            let (Some(told), Some(read)) = (known.mailboxes.get(name), read.mailboxes.get(name)) else {
                return Some(format!(
                    "{name}: told {:?}, read {:?}",
                    known.mailboxes.get(name),
                    read.mailboxes.get(name)
                ));
            };
            // STATUS has not told all of each mailbox yet, and may tell more than is read.
            if let Some((item, value)) =
                told.iter().find(|(item, value)| read.get(*item).is_some_and(|read| read != *value))
            {
                return Some(format!("{item} of {name}: told {value}, read {:?}", read.get(item)));
            }
        }
        if known.subscribed != read.subscribed {
            return Some(format!("subscribed: told {:?}, read {:?}", known.subscribed, read.subscribed));
        }
        if known.messages != read.messages {
            return Some(format!("told {:#?}\nread {:#?}", known.messages, read.messages));
        }
        let mut results = self.kept.iter().zip(known.results.iter().zip(&read.results));
        let (of, (told, read)) = results.find(|(_, (told, read))| told != read)?;
        Some(format!("{}: told {told:?}, read {read:?}", of.1))
    }
}

impl Message {
    fn take(&mut self, values: &[Value]) -> Result<(), String> {
        let [Value::List(items)] = values else { return Err("no list".into()) };
        for pair in items.chunks(2) {
            match (pair[0].text(), &pair[1..]) {
                (Some("UID"), [uid]) => {
                    let uid = uid.number().map(|uid| uid as u32);
                    if self.uid.is_some() && self.uid != uid {
                        return Err(format!("its UID was {:?}", self.uid));
                    }
                    self.uid = uid;
                }
                (Some("FLAGS"), [Value::List(flags)]) => self.flags = Some(kept_flags(flags)),
                (Some("MODSEQ"), [_]) => {}
                _ => return Err("unknown".into()),
            }
        }
        Ok(())
    }
}

/// A session that begins now.
struct Reader(Client);

impl Reader {
    fn start(address: SocketAddr, user: &str) -> Reader {
        Reader(login(address, user))
    }

    fn all(&mut self, kept: &[(String, String)]) -> Known {
        let mut known = Known::default();
        let listed =
            run_command(&mut self.0, "LIST \"\" * RETURN (SUBSCRIBED STATUS (MESSAGES UNSEEN UIDNEXT UIDVALIDITY))");
        for line in listed.data("STATUS") {
            let values = Value::parse_all(line).expect("a status");
            let [name, Value::List(items)] = &values[..] else { panic!("{listed:?}") };
            known.mailboxes.insert(text_of(name), counts(items).collect());
        }
        for line in run_command(&mut self.0, "LIST (SUBSCRIBED) \"\" *").data("LIST") {
            known.subscribed.insert(text_of(&Value::parse_all(line).expect("a name")[2]));
        }
        run_command(&mut self.0, "EXAMINE INBOX");
        for message in run_command(&mut self.0, "UID FETCH 1:* (FLAGS)").fetches() {
            let flags = message.item("FLAGS").and_then(Value::list).map(kept_flags);
            known.messages.push(Message { uid: message.uid(), flags });
        }
        for (_, search) in kept {
            let found = run_command(&mut self.0, search);
            let line = found.data("ESEARCH").first().map(|line| String::from_utf8_lossy(line).into_owned());
            let set = line.and_then(|line| expand_set(line.split_once(" ALL ")?.1));
            known.results.push(set.unwrap_or_default());
        }
        known
    }
}

/// Puts UIDs at a place, from 1, or takes them from there; with 0 there is no order but theirs.
fn apply(result: &mut Vec<u32>, adds: bool, at: usize, uids: Vec<u32>) -> Result<(), String> {
    match (adds, at.checked_sub(1)) {
        (true, None) => {
            result.extend(uids);
            result.sort_unstable();
        }
        (false, None) => result.retain(|uid| !uids.contains(uid)),
        (true, Some(at)) if at <= result.len() => drop(result.splice(at..at, uids)),
        (false, Some(at)) if result.get(at..at + uids.len()) == Some(&uids) => drop(result.drain(at..at + uids.len())),
        _ => return Err(format!("{uids:?} at {at} of {result:?}")),
    }
    Ok(())
}

fn counts(items: &[Value]) -> impl Iterator<Item = (String, u64)> {
    items.chunks(2).filter_map(|pair| Some((text_of(&pair[0]), pair.get(1)?.number()?)))
}

pub fn kept_flags(flags: &[Value]) -> BTreeSet<String> {
    let flags = flags.iter().map(|flag| text_of(flag).to_ascii_lowercase());
    flags.filter(|flag| flag != "\\recent").collect()
}

pub fn text_of(value: &Value) -> String {
    String::from_utf8_lossy(value.bytes().unwrap_or_default()).into_owned()
}

pub fn login(address: SocketAddr, user: &str) -> Client {
    let mut client = Client::connect(address).expect("a connection");
    client.login(user, PASSWORD).expect("LOGIN").expect_ok();
    client
}

pub fn run_command(client: &mut Client, command: &str) -> Reply {
    client.command(command).expect(command).expect_ok()
}

#[test]
fn updates_are_applied() {
    let mut result = vec![2, 4];
    for (adds, at, uids, expect) in [
        (true, 3, vec![9, 8], vec![2, 4, 9, 8]),
        (false, 2, vec![4, 9], vec![2, 8]),
        (true, 0, vec![5], vec![2, 5, 8]),
        (false, 0, vec![2, 8], vec![5]),
    ] {
        apply(&mut result, adds, at, uids).expect("a place");
        assert_eq!(result, expect);
    }
    assert!(apply(&mut result, false, 1, vec![4]).is_err() && apply(&mut result, true, 3, vec![4]).is_err());
}
