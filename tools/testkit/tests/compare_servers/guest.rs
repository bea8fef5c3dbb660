//! What a guest sees of an owner's mailboxes is what the owner's lists of rights say (RFC 4314), and what he may do is done.
//!
//! ```text
//! owner     the commands of a stream; rights given and taken by chance
//! reader    the owner again: names, GETACL, messages
//! guest     LIST, MYRIGHTS, EXAMINE, FETCH, and one thing that needs a right: as the reader's lists say
//! ```

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;

use skein_testkit::imap::{Client, Reply, Value};
use skein_testkit::random::Random;

use super::pair::Side;
use super::stream::Stream;
use super::watch::{kept_flags, login, run_command, text_of};

/// How often a command gives or takes rights, and after how many the guest looks.
const RIGHTS_PERCENT: usize = 15;
const LOOKS_PERCENT: usize = 25;

/// Rights that have a letter of their own; `c` and `d` stand for several (RFC 4314 §2.1.1).
const RIGHTS: &str = "lrswipkxtea";

/// Some commands of one owner; what the guest is told and the lists do not say.
pub fn run(
    address: SocketAddr,
    owner: &str,
    guest: &str,
    stream: &mut Stream,
    commands: usize,
    random: &mut Random,
) -> Option<String> {
    let mut worker = Side::login(address, owner);
    let mut told = Vec::new();
    let mut opening = stream.opening().into_iter();
    for number in 0..commands {
        let command = match opening.next() {
            Some(command) => command,
            None if random.chance(RIGHTS_PERCENT) => rights(guest, random),
            None => stream.next(worker.selected()),
        };
        told.push(command[..command.len().min(200)].escape_ascii().to_string());
        worker.ask(&command, &format!("w{number}"));
        if !random.chance(LOOKS_PERCENT) {
            continue;
        }
        let mut look = Look { reader: login(address, owner), guest: login(address, guest), owner, name: guest };
        if let Some(wrong) = look.differing(random) {
            return Some(format!("{}\n{wrong}", told.join("\n")));
        }
    }
    None
}

/// Gives somebody rights, or takes them.
fn rights(guest: &str, random: &mut Random) -> Vec<u8> {
    let name = random.word(&["INBOX", "box", "box", "box/sub", "new", "Other"]);
    let who = match random.below(10) {
        0..=5 => guest.to_owned(),
        6..=7 => "anyone".into(),
        8 => format!("-{guest}"),
        _ => "-anyone".into(),
    };
    let some: String = RIGHTS.chars().filter(|_| random.chance(60)).collect();
    let change = random.word(&["", "", "+", "-"]);
    match random.chance(20) {
        true => format!("DELETEACL {name} {who}"),
        false => format!("SETACL {name} {who} {change}l{some}"),
    }
    .into_bytes()
}

struct Look<'a> {
    reader: Client,
    guest: Client,
    owner: &'a str,
    /// The guest's.
    name: &'a str,
}

impl Look<'_> {
    fn differing(&mut self, random: &mut Random) -> Option<String> {
        let listed = run_command(&mut self.reader, "LIST \"\" *");
        // What other owners gave to anyone is his to see, too.
        let own = selectable(&listed).filter(|name| !name.starts_with("shared/"));
        let rights: BTreeMap<String, BTreeSet<char>> = own
            .map(|name| {
                let rights = self.rights(&name);
                (name, rights)
            })
            .collect();
        let prefix = format!("shared/{}/", self.owner);
        let listed = run_command(&mut self.guest, &format!("LIST \"\" {prefix}*"));
        let told: BTreeSet<String> = names(&listed).map(|name| name[prefix.len()..].to_owned()).collect();
        let seen = rights.iter().filter(|(_, rights)| rights.contains(&'l')).map(|(name, _)| name.clone());
        let seen: BTreeSet<String> = seen.collect();
        // Names above one that he sees are told as names alone.
        let is_above = |name: &String| seen.iter().any(|seen| seen.starts_with(&format!("{name}/")));
        let more: Vec<&String> = told.difference(&seen).filter(|name| !is_above(name)).collect();
        if !more.is_empty() || !seen.is_subset(&told) {
            return Some(format!("LIST tells {told:?}, he may look up {seen:?}"));
        }
        for (name, rights) in &rights {
            if let Some(wrong) = self.mailbox(&format!("\"{name}\""), &format!("\"{prefix}{name}\""), rights) {
                return Some(format!("{name}, {rights:?}: {wrong}"));
            }
        }
        let (name, rights) = rights.iter().nth(random.below(rights.len()))?;
        let wrong = self.attempt(&format!("\"{name}\""), &format!("\"{prefix}{name}\""), rights, random);
        wrong.map(|wrong| format!("{name}, {rights:?}: {wrong}"))
    }

    /// What the list of a mailbox gives the guest.
    fn rights(&mut self, name: &str) -> BTreeSet<char> {
        let reply = run_command(&mut self.reader, &format!("GETACL \"{name}\""));
        let values = Value::parse_all(reply.data("ACL")[0]).expect("a list");
        let of = |who: &[String]| -> BTreeSet<char> {
            let entries = values[1..].chunks(2).filter(|entry| who.contains(&text_of(&entry[0])));
            entries.flat_map(|entry| text_of(&entry[1]).chars().collect::<Vec<_>>()).collect()
        };
        let given = of(&[self.name.to_owned(), "anyone".into()]);
        let taken = of(&[format!("-{}", self.name), "-anyone".into()]);
        given.difference(&taken).copied().filter(|right| RIGHTS.contains(*right)).collect()
    }

    fn mailbox(&mut self, own: &str, shared: &str, rights: &BTreeSet<char>) -> Option<String> {
        let has = |right| rights.contains(&right);
        let mine = self.ask(&format!("MYRIGHTS {shared}"));
        if rights.is_empty() {
            return mine.is_ok().then(|| "MYRIGHTS tells of it".into());
        }
        if !has('l') {
            return None;
        }
        let values = Value::parse_all(mine.data("MYRIGHTS").first()?).expect("rights");
        let told: BTreeSet<char> = text_of(&values[1]).chars().filter(|right| RIGHTS.contains(*right)).collect();
        if told != *rights {
            return Some(format!("MYRIGHTS tells {told:?}"));
        }
        for (command, right) in [("STATUS {} (MESSAGES)", 'r'), ("EXAMINE {}", 'r'), ("GETACL {}", 'a')] {
            if self.ask(&command.replace("{}", shared)).is_ok() != has(right) {
                return Some(format!("{command} with or without {right}"));
            }
        }
        if !has('r') {
            return None;
        }
        run_command(&mut self.reader, &format!("EXAMINE {own}"));
        let (ours, his) = (messages(&mut self.reader), messages(&mut self.guest));
        (ours != his).then(|| format!("he reads {his:?}, there is {ours:?}"))
    }

    /// One thing that needs a right, and that the owner sees then.
    fn attempt(&mut self, own: &str, shared: &str, rights: &BTreeSet<char>, random: &mut Random) -> Option<String> {
        if !rights.contains(&'l') || !rights.contains(&'r') {
            return None;
        }
        let right = *random.pick(&['i', 'w', 't', 'k', 'e']);
        let may = rights.contains(&right);
        run_command(&mut self.reader, &format!("EXAMINE {own}"));
        let before = messages(&mut self.reader);
        self.ask(&format!("SELECT {shared}"));
        let done = match right {
            'i' => self.ask(&format!("APPEND {shared} () {{14+}}\r\nSubject: a\r\n\r\n")),
            'w' => self.ask("UID STORE 1:* -FLAGS.SILENT (\\Answered)"),
            't' => self.ask("UID STORE 1:* +FLAGS.SILENT (\\Deleted)"),
            'k' => self.ask(&format!("CREATE {}/his\"", shared.trim_end_matches('"'))),
            _ => self.ask("EXPUNGE"),
        };
        let is_empty = before.is_empty() && matches!(right, 'w' | 't');
        // A name that is there already, and too deep ones.
        let may_fail = right == 'k';
        if done.is_ok() != may && !is_empty && !(may && may_fail) {
            return Some(format!("{right}: {:?} {}", done.status, done.text));
        }
        run_command(&mut self.reader, &format!("EXAMINE {own}"));
        let after = messages(&mut self.reader);
        let has = |message: &(u32, BTreeSet<String>), flag| message.1.contains(flag);
        let as_expected = match right {
            _ if !may => after == before,
            'i' => after.len() == before.len() + 1,
            'w' => !after.iter().any(|message| has(message, "\\answered")),
            't' => after.iter().all(|message| has(message, "\\deleted")),
            'k' => after == before,
            _ => after == before.iter().filter(|message| !has(message, "\\deleted")).cloned().collect::<Vec<_>>(),
        };
        (!as_expected).then(|| format!("{right}: {before:?} became {after:?}"))
    }

    fn ask(&mut self, command: &str) -> Reply {
        self.guest.command(command).expect(command)
    }
}

/// UIDs and flags of the mailbox that is open; what has been seen is everybody's own.
fn messages(client: &mut Client) -> Vec<(u32, BTreeSet<String>)> {
    let fetched = run_command(client, "UID FETCH 1:* (FLAGS)").fetches();
    let flags = |flags: &Value| kept_flags(flags.list().expect("flags"));
    let message = |m: &skein_testkit::imap::Fetched| (m.uid().expect("asked"), flags(m.item("FLAGS").expect("asked")));
    let mut all: Vec<(u32, BTreeSet<String>)> = fetched.iter().map(message).collect();
    all.iter_mut().for_each(|(_, flags)| flags.retain(|flag| flag != "\\seen"));
    all
}

fn names(listed: &Reply) -> impl Iterator<Item = String> {
    listed.data("LIST").into_iter().map(|line| text_of(&Value::parse_all(line).expect("a name")[2]))
}

/// Names of mailboxes, without those that are only names.
fn selectable(listed: &Reply) -> impl Iterator<Item = String> {
    let lines = listed.data("LIST").into_iter().map(|line| Value::parse_all(line).expect("a name"));
    let is_name = |values: &Vec<Value>| {
        let attributes = values[0].list().unwrap_or_default().iter().map(text_of);
        attributes.into_iter().any(|attribute| ["\\Noselect", "\\NonExistent"].contains(&&*attribute))
    };
    lines.filter(move |values| !is_name(values)).map(|values| text_of(&values[2]))
}
