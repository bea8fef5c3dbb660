//! What is there: every mailbox of some users, read over IMAP.

use std::collections::BTreeMap;

use super::ledger::{Item, Place};
use crate::imap::{self, Fetched, Value};
use crate::mail;
use crate::server::Server;

/// One mailbox as the server shows it.
#[derive(Clone, Debug, Default)]
pub struct Mailbox {
    /// UIDVALIDITY.
    pub validity: u32,
    /// UIDNEXT.
    pub next: u32,
    /// The messages by UID.
    pub items: BTreeMap<u32, Item>,
}

/// All mailboxes.
pub type State = BTreeMap<Place, Mailbox>;

/// Reads every mailbox of `users` with every body.
///
/// # Errors
/// The first thing that is wrong in itself: a body that is not what its marker says, UIDs that do not ascend, a failed command.
pub fn observe(server: &Server, users: &[String]) -> Result<State, String> {
    let mut state = State::new();
    for user in users {
        let mut client = server.login(user);
        for name in names(&mut client)? {
            let place = Place::new(user, &name);
            let mailbox = read(&mut client, &name).map_err(|e| format!("{place}: {e}"))?;
            state.insert(place, mailbox);
        }
    }
    Ok(state)
}

fn names(client: &mut imap::Client) -> Result<Vec<String>, String> {
    let reply = ok(client, "LIST \"\" *")?;
    let last = |line: &[u8]| Value::parse_all(line)?.pop()?.text().map(str::to_owned);
    reply
        .data("LIST")
        .into_iter()
        .map(|line| last(line).ok_or_else(|| format!("LIST {}", line.escape_ascii())))
        .collect()
}

fn read(client: &mut imap::Client, name: &str) -> Result<Mailbox, String> {
    let selected = ok(client, &format!("EXAMINE {name}"))?;
    let number = |code: &str| selected.code(code).and_then(|n| n.parse().ok()).ok_or_else(|| format!("no {code}"));
    let mut mailbox = Mailbox { validity: number("UIDVALIDITY")?, next: number("UIDNEXT")?, items: BTreeMap::new() };
    if selected.exists() == Some(0) {
        return Ok(mailbox);
    }
    let fetches = ok(client, "UID FETCH 1:* (UID FLAGS RFC822.SIZE BODY.PEEK[])")?.fetches();
    if selected.exists() != u32::try_from(fetches.len()).ok() {
        return Err(format!("EXISTS says {:?}, FETCH gives {}", selected.exists(), fetches.len()));
    }
    for (index, fetched) in fetches.iter().enumerate() {
        let (uid, item) = identify(fetched)?;
        let above = mailbox.items.last_key_value().is_none_or(|(&last, _)| uid > last);
        if !above || fetched.seq as usize != index + 1 || uid >= mailbox.next {
            return Err(format!("UID {uid} as number {} with UIDNEXT {}", fetched.seq, mailbox.next));
        }
        mailbox.items.insert(uid, item);
    }
    Ok(mailbox)
}

/// Checks a message against its own marker. A delivered one has trace headers before it.
fn identify(fetched: &Fetched) -> Result<(u32, Item), String> {
    let uid = fetched.uid().ok_or("a FETCH without UID")?;
    let (Some(flags), Some(body)) = (fetched.flags(), fetched.body()) else {
        return Err(format!("UID {uid}: no flags or no body"));
    };
    if fetched.item("RFC822.SIZE").and_then(Value::number) != Some(body.len() as u64) {
        return Err(format!("UID {uid}: RFC822.SIZE is not the size of BODY[], {}", body.len()));
    }
    let marker = mail::marker_of(body).ok_or_else(|| format!("UID {uid}: no marker in {} bytes", body.len()))?;
    let expected = mail::marked(marker);
    if !body.ends_with(&expected) {
        let tail = &body[body.len().saturating_sub(expected.len())..];
        return Err(format!("UID {uid}: body of {marker}: {}", mail::difference(tail, &expected)));
    }
    Ok((uid, Item { marker: marker.to_owned(), flags }))
}

fn ok(client: &mut imap::Client, command: &str) -> Result<imap::Reply, String> {
    match client.command(command) {
        Ok(reply) if reply.is_ok() => Ok(reply),
        Ok(reply) => Err(format!("{command}: {:?} {}", reply.status, reply.text)),
        Err(e) => Err(format!("{command}: {e}")),
    }
}
