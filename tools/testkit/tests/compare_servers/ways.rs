//! The same, asked in several ways, is answered alike.
//!
//! ```text
//! PARTIAL           a part of the whole (RFC 9394)
//! UIDONLY           the same under UIDs alone (RFC 9586)
//! ESEARCH IN        SEARCH of a mailbox that is not selected (RFC 7377)
//! URLFETCH          FETCH of the section that GENURLAUTH named (RFC 4467)
//! LIST SPECIAL-USE  those that have a use, which GETMETADATA tells as well (RFC 6154)
//! ```

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;

use skein_testkit::imap::{Client, Value, expand_set};
use skein_testkit::random::Random;

use super::watch::{KEYS, ORDERS, login, run_command, text_of};

/// What differs in the state that `user` has now, which nobody changes meanwhile.
pub fn differing(address: SocketAddr, user: &str, random: &mut Random) -> Option<String> {
    let mut client = login(address, user);
    run_command(&mut client, "EXAMINE INBOX");
    let uids = run_command(&mut client, "UID SEARCH ALL").search();
    let checks = [partial(&mut client, &uids, random), uid_only(&mut client, &mut login(address, user))];
    let more = [elsewhere(&mut client, &mut login(address, user), random), uses(&mut client)];
    checks.into_iter().chain(more).flatten().next().or_else(|| by_url(&mut client, user, &uids, random))
}

fn partial(client: &mut Client, uids: &[u32], random: &mut Random) -> Option<String> {
    let (a, b) = (random.between(1, 8), random.between(1, 8));
    let (from, to) = (a.min(b), a.max(b));
    let from_end = random.chance(40);
    let range = if from_end { format!("-{from}:-{to}") } else { format!("{from}:{to}") };
    let part = |all: &[u32]| {
        let count = all.len();
        let (first, end) = match from_end {
            true => (count.saturating_sub(to), count.saturating_sub(from - 1)),
            false => ((from - 1).min(count), to.min(count)),
        };
        all[first..end].to_vec()
    };
    let key = random.word(&KEYS);
    let order = random.word(&ORDERS);
    for (verb, rest) in [("UID SEARCH", key.to_owned()), ("UID SORT", format!("({order}) UTF-8 {key}"))] {
        let all = found(client, &format!("{verb} RETURN (ALL) {rest}"));
        let told = found(client, &format!("{verb} RETURN (PARTIAL {range}) {rest}"));
        if told != part(&all) {
            return Some(format!("PARTIAL {range} of {rest}: {told:?} of {all:?}"));
        }
    }
    let fetched = run_command(client, &format!("UID FETCH 1:* (UID) (PARTIAL {range})")).fetches();
    let told: Vec<u32> = fetched.iter().filter_map(|message| message.uid()).collect();
    (told != part(uids)).then(|| format!("UID FETCH with PARTIAL {range}: {told:?} of {uids:?}"))
}

/// The result of a search, in its order.
fn found(client: &mut Client, search: &str) -> Vec<u32> {
    let reply = run_command(client, search);
    let line = reply.data("ESEARCH").first().map(|line| String::from_utf8_lossy(line).into_owned()).unwrap_or_default();
    let set = line.rsplit(' ').next().unwrap_or_default().trim_end_matches(')');
    let has_some = [" ALL ", " PARTIAL "].iter().any(|name| line.contains(name)) && set != "NIL";
    if has_some { expand_set(set).expect("a set") } else { Vec::new() }
}

fn uid_only(client: &mut Client, other: &mut Client) -> Option<String> {
    let flags = |value: &Value| format!("{value:?}");
    let fetched = run_command(client, "UID FETCH 1:* (FLAGS RFC822.SIZE)").fetches();
    let expected: Vec<(Option<u32>, String, String)> = fetched
        .iter()
        .map(|message| {
            (
                message.uid(),
                flags(message.item("FLAGS").expect("asked")),
                flags(message.item("RFC822.SIZE").expect("asked")),
            )
        })
        .collect();
    run_command(other, "ENABLE UIDONLY");
    run_command(other, "EXAMINE INBOX");
    let reply = run_command(other, "UID FETCH 1:* (FLAGS RFC822.SIZE)");
    let told: Vec<(Option<u32>, String, String)> = reply
        .untagged
        .iter()
        .filter_map(|line| {
            let values = Value::parse_all(&line[2..])?;
            let [uid, verb, Value::List(items)] = &values[..] else { return None };
            let item = |name: &str| {
                let at = items.iter().position(|item| item.text() == Some(name))?;
                Some(flags(&items[at + 1]))
            };
            (verb.text() == Some("UIDFETCH")).then_some(())?;
            Some((uid.number().map(|uid| uid as u32), item("FLAGS")?, item("RFC822.SIZE")?))
        })
        .collect();
    (told != expected).then(|| format!("UIDONLY: {told:?} for {expected:?}"))
}

fn elsewhere(client: &mut Client, other: &mut Client, random: &mut Random) -> Option<String> {
    let key = random.word(&KEYS);
    let expected = found(client, &format!("UID SEARCH RETURN (ALL) {key}"));
    let told = found(other, &format!("ESEARCH IN (mailboxes INBOX) RETURN (ALL) {key}"));
    (told != expected).then(|| format!("ESEARCH IN INBOX {key}: {told:?} for {expected:?}"))
}

fn uses(client: &mut Client) -> Option<String> {
    let all = listed(client, "LIST \"\" * RETURN (SPECIAL-USE)");
    let selected = listed(client, "LIST (SPECIAL-USE) \"\" *");
    let expected: BTreeMap<String, BTreeSet<String>> = all.into_iter().filter(|(_, uses)| !uses.is_empty()).collect();
    if selected != expected {
        return Some(format!("LIST (SPECIAL-USE): {selected:?} for {expected:?}"));
    }
    for (name, uses) in &expected {
        let reply = run_command(client, &format!("GETMETADATA \"{name}\" /private/specialuse"));
        let values = Value::parse_all(reply.data("METADATA")[0]).expect("a value");
        let told = values[1].list().map(|entry| text_of(&entry[1])).unwrap_or_default();
        let told: BTreeSet<String> = told.split(' ').map(str::to_owned).collect();
        if told != *uses {
            return Some(format!("GETMETADATA of {name}: {told:?} for {uses:?}"));
        }
    }
    None
}

/// The uses of each mailbox.
fn listed(client: &mut Client, command: &str) -> BTreeMap<String, BTreeSet<String>> {
    const USES: [&str; 8] =
        ["\\All", "\\Archive", "\\Drafts", "\\Flagged", "\\Important", "\\Junk", "\\Sent", "\\Trash"];
    let reply = run_command(client, command);
    let lines = reply.data("LIST").into_iter().map(|line| Value::parse_all(line).expect("a name"));
    let uses = |attributes: &Value| {
        let attributes = attributes.list().unwrap_or_default().iter().map(text_of);
        attributes.filter(|attribute| USES.contains(&&**attribute)).collect()
    };
    lines.map(|values| (text_of(&values[2]), uses(&values[0]))).collect()
}

fn by_url(client: &mut Client, user: &str, uids: &[u32], random: &mut Random) -> Option<String> {
    const SECTIONS: [&str; 6] = ["", "1", "HEADER", "TEXT", "1.MIME", "2"];
    if uids.is_empty() {
        return None;
    }
    let (uid, section) = (*random.pick(uids), random.word(&SECTIONS));
    let place = if section.is_empty() { String::new() } else { format!("/;section={section}") };
    let url = format!("imap://{user}@localhost/INBOX/;uid={uid}{place};urlauth=user+{user}");
    let reply = run_command(client, &format!("GENURLAUTH \"{url}\" INTERNAL"));
    let signed = text_of(&Value::parse_all(reply.data("GENURLAUTH")[0]).expect("a URL")[0]);
    let reply = run_command(client, &format!("URLFETCH \"{signed}\""));
    let values = Value::parse_all(reply.data("URLFETCH")[0]).expect("data");
    let fetched = run_command(client, &format!("UID FETCH {uid} (BODY.PEEK[{section}])")).fetches();
    let expected = fetched[0].item(&format!("BODY[{section}]")).expect("asked");
    let same = values[1].bytes() == expected.bytes() || is_nothing(&values[1]) && is_nothing(expected);
    (!same).then(|| format!("URLFETCH of {url}: {values:?} for {expected:?}"))
}

/// What is not there is NIL, or empty.
fn is_nothing(value: &Value) -> bool {
    matches!(value, Value::Atom(atom) if atom.eq_ignore_ascii_case(b"NIL")) || value.bytes() == Some(b"")
}
