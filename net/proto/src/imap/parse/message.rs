//! Sets, flags, and the commands that act on messages: COPY, MOVE, STORE, UID EXPUNGE, UIDBATCHES.

use super::cursor::{Cursor, is_atom_char};
use super::{Command, Wrong};
use crate::imap::limits::{UID_BATCH_MESSAGES_MIN, UID_BATCHES_MESSAGES_MAX};
use crate::imap::verb::Verb;
use crate::imap::{Code, FlagList, Request, SeqSet, StoreMode};
use skein_base::limits::{KEYWORD_BYTES_MAX, KEYWORDS_PER_MAILBOX_MAX};
use skein_base::{Flags, ModSeq};

/// `sequence-set`, `$` among them (RFC 5182 §2.1)
pub(super) fn set(c: &mut Cursor<'_>) -> Result<SeqSet, Wrong> {
    if c.eat(b'$') {
        return Ok(SeqSet::saved());
    }
    let mut set = SeqSet::default();
    loop {
        let first = set_number(c)?;
        let last = if c.eat(b':') { set_number(c)? } else { first };
        set.push(first, last).map_err(|_| Wrong::Bad("Too many ranges in the message set"))?;
        if !c.eat(b',') {
            return Ok(set);
        }
    }
}

pub(super) fn set_number(c: &mut Cursor<'_>) -> Result<u32, Wrong> {
    if c.eat(b'*') {
        return Ok(0);
    }
    match c.number() {
        Ok(0) | Err(_) => Err(Wrong::Bad("Invalid message set")),
        number => number,
    }
}

/// `UIDBATCHES size [first:last]` (RFC 10022 §4)
pub(super) fn uid_batches(c: &mut Cursor<'_>) -> Result<Command, Wrong> {
    c.space()?;
    let size = nonzero(c)?;
    let mut batches = None;
    if c.peek() == Some(b' ') && c.rest() != b" " {
        c.space()?;
        let first = nonzero(c)?;
        c.need(b':', "Expected a range of batches")?;
        batches = Some((first, nonzero(c)?));
    }
    match batches {
        Some((first, last)) if first > last => Err(Wrong::BadCode(Code::ClientBug, "Invalid batch range")),
        _ if size < UID_BATCH_MESSAGES_MIN => Err(Wrong::No(Code::TooFew, "Minimum batch size is 500")),
        Some((first, last)) if u64::from(last - first + 1) * u64::from(size) > UID_BATCHES_MESSAGES_MAX => {
            Err(Wrong::No(Code::TooMany, "Too many messages"))
        }
        _ => Ok(Command::Ask(Request::UidBatches { tag: String::new(), size, batches })),
    }
}

fn nonzero(c: &mut Cursor<'_>) -> Result<u32, Wrong> {
    match c.number()? {
        0 => Err(Wrong::Bad("Expected a number above 0")),
        n => Ok(n),
    }
}

/// `UID EXPUNGE set` (RFC 4315 §2.1)
pub(super) fn uid_expunge(c: &mut Cursor<'_>) -> Result<Command, Wrong> {
    c.space()?;
    Ok(Command::Ask(Request::Expunge { uids: Some(set(c)?) }))
}

/// `COPY set mailbox`, MOVE
pub(super) fn copy(c: &mut Cursor<'_>, verb: Verb) -> Result<Command, Wrong> {
    c.space()?;
    let set = set(c)?;
    c.space()?;
    let (mailbox, uid) = (c.mailbox()?, verb.is_uid());
    Ok(Command::Ask(match verb {
        Verb::Move | Verb::UidMove => Request::Move { set, uid, mailbox },
        _ => Request::Copy { set, uid, mailbox },
    }))
}

/// `STORE set [(UNCHANGEDSINCE n)] [+-]FLAGS[.SILENT] flags` (RFC 3501 §6.4.6, RFC 7162 §3.1.3)
pub(super) fn store(c: &mut Cursor<'_>, verb: Verb) -> Result<Command, Wrong> {
    c.space()?;
    let set = set(c)?;
    c.space()?;
    let mut unchanged_since = None;
    if c.peek() == Some(b'(') {
        c.list(|c| match c.keyword().as_str() {
            "UNCHANGEDSINCE" => {
                c.space()?;
                unchanged_since = Some(ModSeq(c.number64()?));
                Ok(())
            }
            _ => Err(Wrong::Bad("Unknown STORE modifier")),
        })?;
        c.space()?;
    }
    let mode = match (c.eat(b'+'), c.eat(b'-')) {
        (false, false) => StoreMode::Replace,
        (true, false) => StoreMode::Add,
        (false, true) => StoreMode::Remove,
        (true, true) => return Err(Wrong::Bad("Expected FLAGS, +FLAGS or -FLAGS")),
    };
    let silent = match c.keyword().as_str() {
        "FLAGS" => false,
        "FLAGS.SILENT" => true,
        _ => return Err(Wrong::Bad("Expected FLAGS, +FLAGS or -FLAGS")),
    };
    c.space()?;
    let flags = if c.peek() == Some(b'(') { flag_list(c)? } else { bare_flags(c)? };
    Ok(Command::Ask(Request::Store { set, uid: verb.is_uid(), mode, silent, flags, unchanged_since }))
}

/// `flag-list`: `(\Seen $Label1)`, also empty
pub(super) fn flag_list(c: &mut Cursor<'_>) -> Result<FlagList, Wrong> {
    let mut flags = FlagList::default();
    if c.rest().starts_with(b"()") {
        c.eat(b'(');
        c.eat(b')');
        return Ok(flags);
    }
    c.list(|c| flag(c, &mut flags))?;
    Ok(flags)
}

/// `flag *(SP flag)`, STORE's other form
fn bare_flags(c: &mut Cursor<'_>) -> Result<FlagList, Wrong> {
    let mut flags = FlagList::default();
    loop {
        flag(c, &mut flags)?;
        if !c.eat(b' ') || c.at_end() {
            return Ok(flags);
        }
    }
}

fn flag(c: &mut Cursor<'_>, flags: &mut FlagList) -> Result<(), Wrong> {
    let system = c.eat(b'\\');
    let name = c.run(is_atom_char);
    if system {
        return system_flag(name, flags);
    }
    match name.len() {
        0 => return Err(Wrong::Bad("Expected a flag")),
        1..=KEYWORD_BYTES_MAX => {}
        _ => return Err(Wrong::No(Code::Limit, "Keyword is too long")),
    }
    let name = std::str::from_utf8(name).expect("atoms are ASCII");
    if flags.keywords.iter().any(|known| known.eq_ignore_ascii_case(name)) {
        return Ok(());
    }
    if flags.keywords.len() == KEYWORDS_PER_MAILBOX_MAX {
        return Err(Wrong::No(Code::Limit, "Too many keywords"));
    }
    flags.keywords.push(name.to_string());
    Ok(())
}

fn system_flag(name: &[u8], flags: &mut FlagList) -> Result<(), Wrong> {
    let known = Flags::NAMES.iter().find(|(_, wire)| name.eq_ignore_ascii_case(&wire.as_bytes()[1..]));
    match known {
        Some((flag, _)) => flags.system = flags.system | *flag,
        None if name.eq_ignore_ascii_case(b"Recent") => {}
        None => return Err(Wrong::Bad("Unknown system flag")),
    }
    Ok(())
}
