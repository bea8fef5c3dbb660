//! Commands that name mailboxes.

use super::cursor::Cursor;
use super::{Command, Wrong};
use crate::imap::response::SEPARATOR;
use crate::imap::verb::Verb;
use crate::imap::{Mode, Request, StatusItems};

/// `SELECT mailbox [(CONDSTORE)]` (RFC 3501 §6.3.1, RFC 4466 §2.2, RFC 7162 §3.1.8)
pub(super) fn select(c: &mut Cursor<'_>, verb: Verb) -> Result<Command, Wrong> {
    c.space()?;
    // A name that can not be is the session's to refuse: NO also means that none is selected now (RFC 3501 §6.3.1).
    let mailbox = c.mailbox().or_else(Wrong::into_nobody)?;
    let mut condstore = false;
    if c.rest().starts_with(b" (") {
        c.space()?;
        c.list(|c| match c.keyword().as_str() {
            "CONDSTORE" => {
                condstore = true;
                Ok(())
            }
            _ => Err(Wrong::Bad("Unknown SELECT parameter")),
        })?;
    }
    let mode = if verb == Verb::Examine { Mode::ReadOnly } else { Mode::ReadWrite };
    Ok(Command::Ask(Request::Select { mailbox, mode, condstore }))
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
            Request::Create { mailbox }
        }
        Verb::Delete => Request::Delete { mailbox },
        Verb::Subscribe => Request::Subscribe { mailbox },
        _ => Request::Unsubscribe { mailbox },
    }))
}

/// `RENAME from to`
pub(super) fn rename(c: &mut Cursor<'_>) -> Result<Command, Wrong> {
    c.space()?;
    let from = c.mailbox()?;
    c.space()?;
    let to = c.mailbox()?;
    Ok(Command::Ask(Request::Rename { from, to }))
}

/// `LIST reference pattern`, LSUB
pub(super) fn list(c: &mut Cursor<'_>, verb: Verb) -> Result<Command, Wrong> {
    c.space()?;
    let reference = c.name_or_empty().or_else(Wrong::into_nobody)?;
    c.space()?;
    let pattern = c.pattern().or_else(Wrong::into_nobody)?;
    if pattern.is_empty() {
        return Ok(Command::Separator);
    }
    Ok(Command::Ask(Request::List { reference, pattern, lsub: verb == Verb::Lsub }))
}

/// `STATUS mailbox (item ..)`
pub(super) fn status(c: &mut Cursor<'_>) -> Result<Command, Wrong> {
    c.space()?;
    let mailbox = c.mailbox()?;
    c.space()?;
    let mut items = StatusItems::default();
    c.list(|c| {
        let word = c.keyword();
        let known = StatusItems::NAMES.iter().find(|(_, name)| *name == word.as_str());
        items.0 |= known.ok_or(Wrong::Bad("Unknown STATUS item"))?.0.0;
        Ok(())
    })?;
    Ok(Command::Ask(Request::Status { mailbox, items }))
}
