//! Commands that name mailboxes.

use super::cursor::Cursor;
use super::message::set;
use super::{Command, UID_REQUIRED, Wrong};
use crate::imap::limits::LIST_PATTERNS_MAX;
use crate::imap::response::SEPARATOR;
use crate::imap::verb::Verb;
use crate::imap::{Code, ListOptions, Mode, Request, Resync, StatusItems};
use skein_base::{ModSeq, SpecialUse};

/// `SELECT mailbox [(CONDSTORE)]` (RFC 3501 §6.3.1, RFC 4466 §2.2, RFC 7162 §3.1.8)
pub(super) fn select(c: &mut Cursor<'_>, verb: Verb) -> Result<Command, Wrong> {
    c.space()?;
    // A name that can not be is the session's to refuse: NO also means that none is selected now (RFC 3501 §6.3.1).
    let mailbox = c.mailbox().or_else(Wrong::into_nobody)?;
    let (mut condstore, mut resync) = (false, None);
    if c.rest().starts_with(b" (") {
        c.space()?;
        c.list(|c| match c.keyword().as_str() {
            "CONDSTORE" => {
                condstore = true;
                Ok(())
            }
            "QRESYNC" => {
                c.space()?;
                resync = Some(qresync(c)?);
                Ok(())
            }
            _ => Err(Wrong::Bad("Unknown SELECT parameter")),
        })?;
    }
    let mode = if verb == Verb::Examine { Mode::ReadOnly } else { Mode::ReadWrite };
    Ok(Command::Ask(Request::Select { mailbox, mode, rev2: false, condstore, resync }))
}

/// `(uidvalidity mod-sequence [known-uids] [(known-sequence-set known-uid-set)])` (RFC 7162 §3.2.5)
fn qresync(c: &mut Cursor<'_>) -> Result<Resync, Wrong> {
    let wrong = Wrong::Bad("Expected (UIDVALIDITY mod-sequence UIDs)");
    c.need(b'(', "Expected a list in parentheses")?;
    let validity = c.number()?;
    c.space()?;
    let modseq = ModSeq(c.number64()?);
    let (mut known, mut matched) = (None, false);
    while !c.eat(b')') {
        c.space()?;
        if c.eat(b'(') {
            if c.enabled.uid_only {
                return Err(UID_REQUIRED);
            }
            let (_, ()) = (set(c)?, c.space()?);
            set(c)?;
            c.need(b')', "Expected a closing parenthesis")?;
            matched = true;
            continue;
        }
        if known.is_some() || matched {
            return Err(wrong);
        }
        let uids = set(c)?;
        if uids.has_star() || uids.is_saved() {
            return Err(Wrong::Bad("Known UIDs are numbers"));
        }
        known = Some(uids);
    }
    if validity == 0 || modseq.0 == 0 { Err(wrong) } else { Ok(Resync { validity, modseq, known }) }
}

/// CREATE, DELETE, SUBSCRIBE, UNSUBSCRIBE
pub(super) fn one_name(c: &mut Cursor<'_>, verb: Verb) -> Result<Command, Wrong> {
    c.space()?;
    let mut mailbox = c.mailbox()?;
    Ok(Command::Ask(match verb {
        Verb::Create => {
            // "I will create children" (RFC 3501 §6.3.3): every mailbox here may have some.
            if mailbox.len() > 1 && mailbox.ends_with(SEPARATOR) {
                mailbox.pop();
            }
            let uses = if c.rest().starts_with(b" (") { special_use(c)? } else { SpecialUse::NONE };
            Request::Create { mailbox, uses }
        }
        Verb::Delete => Request::Delete { mailbox },
        Verb::Subscribe => Request::Subscribe { mailbox },
        _ => Request::Unsubscribe { mailbox },
    }))
}

/// ` (USE (\\Drafts ..))` (RFC 6154 §3)
fn special_use(c: &mut Cursor<'_>) -> Result<SpecialUse, Wrong> {
    let mut uses = SpecialUse::NONE;
    c.space()?;
    c.list(|c| {
        if c.keyword().as_str() != "USE" {
            return Err(Wrong::Bad("Unknown CREATE parameter"));
        }
        c.space()?;
        perhaps(c, |c| {
            c.need(b'\\', "Expected a special-use attribute")?;
            let name = c.atom("Expected a special-use attribute")?;
            let known = |(_, known): &&(SpecialUse, &str)| known.as_bytes()[1..].eq_ignore_ascii_case(name);
            let found = SpecialUse::NAMES.iter().find(known);
            uses = uses | found.ok_or(Wrong::No(Code::UseAttr, "No mailbox can have this special use"))?.0;
            Ok(())
        })
    })?;
    Ok(uses)
}

/// `RENAME from to`
pub(super) fn rename(c: &mut Cursor<'_>) -> Result<Command, Wrong> {
    c.space()?;
    let from = c.mailbox()?;
    c.space()?;
    let to = c.mailbox()?;
    Ok(Command::Ask(Request::Rename { from, to }))
}

/// `LIST reference pattern`, LSUB, XLIST; `LIST (option ..) reference (pattern ..) RETURN (option ..)` (RFC 5258 §3)
pub(super) fn list(c: &mut Cursor<'_>, verb: Verb) -> Result<Command, Wrong> {
    c.space()?;
    let (mut options, mut is_extended) = (ListOptions::default(), false);
    if verb == Verb::List && c.peek() == Some(b'(') {
        is_extended = true;
        selection(c, &mut options)?;
        c.space()?;
    }
    let reference = c.name_or_empty().or_else(Wrong::into_nobody)?;
    c.space()?;
    let mut patterns = Vec::new();
    if verb == Verb::List && c.peek() == Some(b'(') {
        is_extended = true;
        c.list(|c| {
            if patterns.len() == LIST_PATTERNS_MAX {
                return Err(Wrong::Bad("Too many patterns"));
            }
            patterns.push(c.pattern().or_else(Wrong::into_nobody)?);
            Ok(())
        })?;
    } else {
        patterns.push(c.pattern().or_else(Wrong::into_nobody)?);
    }
    if verb == Verb::List && c.rest().get(..8).is_some_and(|word| word.eq_ignore_ascii_case(b" RETURN ")) {
        is_extended = true;
        c.space()?;
        c.keyword();
        c.space()?;
        list_returns(c, &mut options)?;
    }
    if !is_extended && patterns[0].is_empty() {
        return Ok(Command::Separator);
    }
    options.xlist = verb == Verb::Xlist;
    let extended = (is_extended || options.xlist).then_some(options);
    Ok(Command::Ask(Request::List { reference, patterns, lsub: verb == Verb::Lsub, extended }))
}

/// What may be in parentheses, or nothing.
fn perhaps(c: &mut Cursor<'_>, item: impl FnMut(&mut Cursor<'_>) -> Result<(), Wrong>) -> Result<(), Wrong> {
    if c.rest().starts_with(b"()") {
        c.eat(b'(');
        c.eat(b')');
        return Ok(());
    }
    c.list(item)
}

fn selection(c: &mut Cursor<'_>, options: &mut ListOptions) -> Result<(), Wrong> {
    perhaps(c, |c| {
        match c.keyword().as_str() {
            "SUBSCRIBED" => (options.subscribed, options.tell_subscribed) = (true, true),
            "SPECIAL-USE" => options.special_use = true,
            "RECURSIVEMATCH" => options.recursive = true,
            // There are none elsewhere: all are listed anyway.
            "REMOTE" => {}
            _ => return Err(Wrong::Bad("Unknown LIST selection option")),
        }
        Ok(())
    })?;
    match options.recursive && !options.subscribed && !options.special_use {
        true => Err(Wrong::Bad("RECURSIVEMATCH needs SUBSCRIBED or SPECIAL-USE")),
        false => Ok(()),
    }
}

fn list_returns(c: &mut Cursor<'_>, options: &mut ListOptions) -> Result<(), Wrong> {
    perhaps(c, |c| {
        match c.keyword().as_str() {
            "SUBSCRIBED" => options.tell_subscribed = true,
            // Always told.
            "CHILDREN" | "SPECIAL-USE" => {}
            "STATUS" => {
                c.space()?;
                options.status = Some(status_items(c)?);
            }
            "METADATA" => {
                c.space()?;
                options.metadata = super::metadata::entries(c)?;
            }
            "MYRIGHTS" => options.rights = true,
            _ => return Err(Wrong::Bad("Unknown LIST RETURN option")),
        }
        Ok(())
    })
}

/// `STATUS mailbox (item ..)`
pub(super) fn status(c: &mut Cursor<'_>) -> Result<Command, Wrong> {
    c.space()?;
    let mailbox = c.mailbox()?;
    c.space()?;
    let items = status_items(c)?;
    Ok(Command::Ask(Request::Status { mailbox, items }))
}

fn status_items(c: &mut Cursor<'_>) -> Result<StatusItems, Wrong> {
    let mut items = StatusItems::default();
    c.list(|c| {
        let word = c.keyword();
        let known = StatusItems::NAMES.iter().find(|(_, name)| *name == word.as_str());
        items.0 |= known.ok_or(Wrong::Bad("Unknown STATUS item"))?.0.0;
        Ok(())
    })?;
    Ok(items)
}
