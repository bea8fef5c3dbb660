//! GETMETADATA and SETMETADATA (RFC 5464 §5).

use super::cursor::{Cursor, utf8};
use super::{Command, Wrong};
use crate::imap::limits::METADATA_NAMES_MAX;
use crate::imap::{Depth, Request};
use skein_base::metadata_name;

/// `GETMETADATA [(options)] mailbox entries`. The examples of the RFC have the options behind the mailbox: both are taken.
pub(super) fn get(c: &mut Cursor<'_>) -> Result<Command, Wrong> {
    let (mut max_bytes, mut depth) = (None, Depth::Zero);
    c.space()?;
    if c.peek() == Some(b'(') {
        options(c, &mut max_bytes, &mut depth)?;
        c.space()?;
    }
    let mailbox = c.mailbox_or_server()?;
    c.space()?;
    if c.peek() == Some(b'(') && is_options(c.rest()) {
        options(c, &mut max_bytes, &mut depth)?;
        c.space()?;
    }
    let entries = entries(c)?;
    Ok(Command::Ask(Request::GetMetadata { mailbox, entries, max_bytes, depth }))
}

/// No name of an entry begins with a letter.
fn is_options(list: &[u8]) -> bool {
    list.get(1).is_some_and(u8::is_ascii_alphabetic)
}

fn options(c: &mut Cursor<'_>, max_bytes: &mut Option<u32>, depth: &mut Depth) -> Result<(), Wrong> {
    c.list(|c| {
        match c.keyword().as_str() {
            "MAXSIZE" => {
                c.space()?;
                *max_bytes = Some(c.number()?);
            }
            "DEPTH" => {
                c.space()?;
                *depth = match c.keyword().as_str() {
                    "0" => Depth::Zero,
                    "1" => Depth::One,
                    "INFINITY" => Depth::Infinity,
                    _ => return Err(Wrong::Bad("DEPTH is 0, 1 or infinity")),
                };
            }
            _ => return Err(Wrong::Bad("Unknown GETMETADATA option")),
        }
        Ok(())
    })
}

/// One name, or several in parentheses; each once.
pub(super) fn entries(c: &mut Cursor<'_>) -> Result<Vec<String>, Wrong> {
    if c.peek() != Some(b'(') {
        return Ok(vec![entry(c)?]);
    }
    let mut names = Vec::new();
    c.list(|c| {
        let name = entry(c)?;
        if names.len() == METADATA_NAMES_MAX {
            return Err(Wrong::Bad("Too many entries"));
        }
        if !names.contains(&name) {
            names.push(name);
        }
        Ok(())
    })?;
    Ok(names)
}

fn entry(c: &mut Cursor<'_>) -> Result<String, Wrong> {
    metadata_name(&utf8(c.astring()?)?).map_err(Wrong::Bad)
}

/// `SETMETADATA mailbox (entry value ..)`
pub(super) fn set(c: &mut Cursor<'_>) -> Result<Command, Wrong> {
    c.space()?;
    let mailbox = c.mailbox_or_server()?;
    c.space()?;
    let mut changes = Vec::new();
    c.list(|c| {
        if changes.len() == METADATA_NAMES_MAX {
            return Err(Wrong::Bad("Too many entries"));
        }
        let name = entry(c)?;
        if name.matches('/').count() < 2 {
            return Err(Wrong::Bad("That is the top of all entries, and has no value"));
        }
        c.space()?;
        let value = c.nstring8()?.map(|value| value.into_owned());
        changes.push((name, value));
        Ok(())
    })?;
    Ok(Command::Ask(Request::SetMetadata { mailbox, changes }))
}
