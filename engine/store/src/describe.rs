//! Our files in words, for people: what is in them, and where one is not what was written.
//!
//! ```text
//! bytes ─ magic ─▶ log::describe | pack::describe | snapshot | tree ─▶ Fact, Fact, Fact ..
//! ```
//!
//! Arbitrary bytes never panic here.

use crate::account::decode_account;
use crate::body::{BodyAddr, NO_SEGMENT, Place};
use crate::dictionary::{Dictionary, NoDictionary};
use crate::{log, pack, snapshot};
use skein_base::{Flags, Guid, IdSet, LogPos, MailboxId, SpecialUse};
use skein_index::{AccountSnapshot, BodiesAre, Snapshot, SnapshotError, SnapshotHead};

/// One thing in a file.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Fact {
    /// What it is: `record`, `message`, `damage`.
    pub what: &'static str,
    /// What there is to say of it, in order.
    pub says: Vec<(&'static str, Word)>,
}

/// A value of a fact.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Word {
    /// A number.
    Number(u64),
    /// Unix seconds.
    Time(i64),
    /// Text; it may hold what others wrote, control characters too.
    Text(String),
}

/// Where facts go.
pub type Tell<'a> = &'a mut dyn FnMut(Fact);

/// Why bytes are not described: they are no file of the store's.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct NotOurs;

/// What the file of this name holds. How many damaged places there are; each is a fact of its own.
///
/// # Errors
/// It begins as no file of ours does.
pub fn describe(name: &str, bytes: &[u8], tell: Tell<'_>) -> Result<u64, NotOurs> {
    if log::is_number_note(name) {
        return Ok(log::describe_number_note(bytes, tell));
    }
    if let Some(segment) = log::parse_drained_name(name).filter(|_| bytes.is_empty()) {
        tell(Fact::new("drained").number("segment", segment));
        return Ok(0);
    }
    Ok(match bytes.get(..8).unwrap_or_default() {
        b"SKEINMAN" => log::describe_manifest(bytes, tell),
        b"SKEINLOG" => log::describe(bytes, tell),
        b"SKEINPAK" => pack::describe(bytes, tell),
        b"SKEINDIC" => dictionary(bytes, tell),
        b"SKEINIDX" => mailbox(bytes, tell),
        b"SKEINACC" => tree(bytes, tell),
        _ => return Err(NotOurs),
    })
}

impl Fact {
    pub(crate) fn new(what: &'static str) -> Fact {
        Fact { what, says: Vec::new() }
    }

    pub(crate) fn number(mut self, name: &'static str, number: impl Into<u64>) -> Fact {
        self.says.push((name, Word::Number(number.into())));
        self
    }

    pub(crate) fn time(mut self, name: &'static str, seconds: i64) -> Fact {
        self.says.push((name, Word::Time(seconds)));
        self
    }

    pub(crate) fn text(mut self, name: &'static str, text: impl Into<String>) -> Fact {
        self.says.push((name, Word::Text(text.into())));
        self
    }

    /// A place that is not what was written.
    pub(crate) fn damage(from: u64, to: u64, why: impl Into<String>) -> Fact {
        Fact::new("damage").number("from", from).number("to", to).text("why", why)
    }
}

/// A dictionary: what it is, not the words in it.
fn dictionary(bytes: &[u8], tell: Tell<'_>) -> u64 {
    match Dictionary::decode(bytes) {
        Ok(dictionary) => {
            let fact = Fact::new("dictionary").text("id", format!("{:08x}", dictionary.id()));
            tell(fact.time("began", dictionary.began()).number("bytes", dictionary.bytes().len() as u64));
            0
        }
        Err(error) => {
            let why = match error {
                NoDictionary::Damaged => "it does not check".to_owned(),
                NoDictionary::Version(version) => format!("a newer version, {version}, wrote it"),
            };
            tell(Fact::damage(0, bytes.len() as u64, why));
            1
        }
    }
}

/// A mailbox's snapshot: its head, a fact for each message, the expunge history.
fn mailbox(bytes: &[u8], tell: Tell<'_>) -> u64 {
    let end = bytes.len() as u64;
    let snapshot = match Snapshot::open(bytes) {
        Ok(snapshot) => snapshot,
        Err(error) => {
            // Its head has a checksum of its own.
            if let Ok(head) = skein_index::read_head(bytes) {
                tell(head_of(&head));
            }
            tell(Fact::damage(0, end, error.to_string()));
            return 1;
        }
    };
    let (history_from, name) = snapshot::beside(snapshot.extra());
    let head = head_of(snapshot.head()).text("name", name.unwrap_or_default());
    let head = head.number("messages", snapshot.rows()).text("keywords", snapshot.keyword_names().join(" "));
    tell(head.number("history_from", history_from.map_or(0, |modseq| modseq.0)));
    let mut damage = u64::from(history_from.is_none() || name.is_none());
    if damage > 0 {
        tell(Fact::damage(0, end, "what stands beside the columns is no history and name"));
    }
    for at in 0..snapshot.rows() {
        let row = snapshot.row(at);
        let keywords = row.keywords.indexes().filter_map(|i| snapshot.keyword_names().get(i).map(|name| &**name));
        let keywords: Vec<&str> = keywords.collect();
        let fact = Fact::new("message").number("uid", row.uid.0).text("flags", flags(row.flags));
        let fact = fact.text("keywords", keywords.join(" ")).number("modseq", row.modseq.0);
        let fact = fact.time("received", row.internal_date).time("saved", row.save_date).number("size", row.size);
        let fact = fact.text("guid", hex(row.guid));
        let fact = match snapshot.unique_id(row.uid) {
            Some(id) => fact.text("uidl", id),
            None => fact,
        };
        let addr = BodyAddr::decode(&row.body);
        let fact = fact.text("body", addr.map_or("no address".to_owned(), |addr| place(&addr)));
        let cache = snapshot.cache(at);
        tell(match &cache {
            Ok(cache) => fact.number("cache_bytes", cache.len() as u64),
            Err(_) => fact.text("cache_bytes", "damaged"),
        });
        damage += u64::from(addr.is_none()) + u64::from(matches!(cache, Err(SnapshotError::Cache { .. })));
    }
    for (name, runs) in snapshot.values() {
        for run in runs {
            let fact = Fact::new("value").text("column", name).number("first", run.first.0).number("last", run.last.0);
            tell(fact.number("value", run.value).number("modseq", run.modseq.0));
        }
    }
    for gone in snapshot.expunged() {
        let fact = Fact::new("expunged").number("modseq", gone.modseq.0);
        tell(fact.number("first", gone.first.0).number("last", gone.last.0));
    }
    damage
}

fn head_of(head: &SnapshotHead) -> Fact {
    let fact = Fact::new("mailbox").text("account", head.account.hex()).number("mailbox", head.mailbox.0);
    let fact = fact.text("true_to", pos(head.true_to)).number("uidvalidity", head.uid_validity.0);
    let fact = fact.number("uidnext", head.uid_next.0).number("highestmodseq", head.modseq.0);
    fact.number("first_recent", head.first_recent.0)
}

/// An account's tree.
fn tree(bytes: &[u8], tell: Tell<'_>) -> u64 {
    let end = bytes.len() as u64;
    let (tree, bodies) = match AccountSnapshot::decode(bytes) {
        Ok(tree) => tree,
        Err(error) => {
            tell(Fact::damage(0, end, error.to_string()));
            return 1;
        }
    };
    let fact = Fact::new("tree").text("account", tree.account.hex()).text("true_to", pos(tree.true_to));
    let fact = fact.text(
        "bodies",
        match bodies {
            BodiesAre::Drained => "in packs, but for what mailboxes say",
            BodiesAre::Anywhere => "in packs or log",
        },
    );
    let account = match decode_account(&tree.payload, tree.true_to) {
        Ok(account) => account,
        Err(error) => {
            tell(fact);
            tell(Fact::damage(64 + error.offset as u64, end, "what is in it is no tree"));
            return 1;
        }
    };
    tell(match account.user() {
        Some(user) => fact.text("user", user.as_str()),
        None => fact.text("user", "none: the account has ended"),
    });
    for mailbox in account.mailboxes() {
        let fact = Fact::new("mailbox").number("mailbox", mailbox.id.0).text("name", mailbox.name);
        let fact = fact.number("uidvalidity", mailbox.validity.0);
        let fact = match mailbox.special_use.is_none() {
            true => fact,
            false => fact.text("special_use", special_uses(mailbox.special_use)),
        };
        let fact = fact.text("snapshot_true_to", pos(account.snapshot_of(mailbox.id)));
        tell(match account.bodies_from_of(mailbox.id) {
            NO_SEGMENT => fact,
            segment => fact.number("bodies_from_segment", segment),
        });
    }
    account.subscriptions().for_each(|name| tell(Fact::new("subscription").text("name", name)));
    for (mailbox, name, value) in account.annotations() {
        tell(annotation(Fact::new("annotation"), mailbox, name).number("bytes", value.len() as u64));
    }
    0
}

/// A position in the log.
pub(crate) fn pos(pos: LogPos) -> String {
    format!("segment {} offset {}", pos.segment, pos.offset)
}

pub(crate) fn flags(flags: Flags) -> String {
    let set = Flags::NAMES.iter().filter(|(flag, _)| flags.contains(*flag)).map(|(_, name)| *name);
    set.collect::<Vec<_>>().join(" ")
}

/// Whose annotation, and its name; values are the user's own words.
pub(crate) fn annotation(fact: Fact, mailbox: Option<MailboxId>, name: &str) -> Fact {
    let fact = match mailbox {
        Some(id) => fact.number("mailbox", id.0),
        None => fact,
    };
    fact.text("name", name)
}

pub(crate) fn special_uses(uses: SpecialUse) -> String {
    let set = SpecialUse::NAMES.iter().filter(|(one, _)| uses.shares(*one)).map(|(_, name)| *name);
    set.collect::<Vec<_>>().join(" ")
}

pub(crate) fn hex(Guid(guid): Guid) -> String {
    guid.iter().map(|b| format!("{b:02x}")).collect()
}

pub(crate) fn set(set: &IdSet) -> String {
    let range = |(first, last): (u32, u32)| match first == last {
        true => first.to_string(),
        false => format!("{first}:{last}"),
    };
    set.ranges().map(|ids| range((*ids.start(), *ids.end()))).collect::<Vec<_>>().join(",")
}

pub(crate) fn place(addr: &BodyAddr) -> String {
    let BodyAddr { place, offset, bytes, cache_bytes, chunked, .. } = addr;
    let (kind, number) = match place {
        Place::Log(segment) => ("segment", segment),
        Place::Pack(pack) => ("pack", pack),
        Place::Object(object) => ("object", object),
    };
    let chunks = if *chunked { ", in chunks" } else { "" };
    format!("{kind} {number} offset {offset}: {bytes} bytes{chunks}, cache {cache_bytes}")
}
