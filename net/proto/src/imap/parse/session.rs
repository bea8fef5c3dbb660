//! LOGIN, AUTHENTICATE, ID, ENABLE, COMPRESS, COMPARATOR, LANGUAGE.

use super::cursor::{Cursor, utf8};
use super::{Command, Enabling, Wrong};
use crate::imap::Request;
use crate::imap::comparator::Order;
use crate::imap::language::Range;
use crate::imap::limits::{COMPARATORS_MAX, ID_FIELDS_MAX, LANGUAGES_MAX};
use skein_base::Secret;
use std::borrow::Cow;

/// `login = "LOGIN" SP userid SP password`
pub(super) fn login(c: &mut Cursor<'_>) -> Result<Command, Wrong> {
    c.space()?;
    let user = user_id(c)?;
    c.space()?;
    let password = Secret::new(c.astring()?.into_owned());
    Ok(Command::Ask(Request::Login { user, password, authzid: None }))
}

/// `userid = astring`, and without quotes also with `*` and `%`: that is how clients send the name of a master user.
fn user_id(c: &mut Cursor<'_>) -> Result<String, Wrong> {
    match c.peek() {
        Some(b'"' | b'{') => c.text(),
        _ => match c.run(|b| b.is_ascii_graphic() && !b"(){\"\\".contains(&b)) {
            b"" => Err(Wrong::Bad("Expected a string")),
            name => utf8(Cow::Borrowed(name)),
        },
    }
}

/// `AUTHENTICATE mechanism [initial-response]` (RFC 4959)
pub(super) fn authenticate(c: &mut Cursor<'_>) -> Result<Command, Wrong> {
    c.space()?;
    let mechanism = utf8(Cow::Borrowed(c.atom("Missing mechanism")?))?.to_ascii_uppercase();
    let initial = match c.eat(b' ') {
        false => None,
        true => match c.run(|b| b.is_ascii_alphanumeric() || b"+/=".contains(&b)) {
            // "=" alone is the empty response (RFC 4959 §3).
            b"=" => Some(Vec::new()),
            b"" => None,
            text => Some(text.to_vec()),
        },
    };
    Ok(Command::Authenticate { mechanism, initial })
}

/// `ID NIL`, `ID ("name" "value" ..)` (RFC 2971 §3.1)
pub(super) fn id(c: &mut Cursor<'_>) -> Result<Command, Wrong> {
    c.space()?;
    if c.peek() != Some(b'(') {
        return match c.nstring()? {
            None => Ok(Command::Plain),
            Some(_) => Err(Wrong::Bad("Expected NIL or a list")),
        };
    }
    if c.rest().starts_with(b"()") {
        c.run(|b| b == b'(' || b == b')');
        return Ok(Command::Plain);
    }
    let mut fields = 0;
    c.list(|c| {
        fields += 1;
        if fields > ID_FIELDS_MAX {
            return Err(Wrong::Bad("Too many fields"));
        }
        c.string()?;
        c.space()?;
        c.nstring().map(drop)
    })?;
    Ok(Command::Plain)
}

/// `COMPRESS algorithm` (RFC 4978 §4)
pub(super) fn compress(c: &mut Cursor<'_>) -> Result<Command, Wrong> {
    c.space()?;
    let algorithm = c.atom("Missing algorithm")?;
    Ok(Command::Compress { deflate: algorithm.eq_ignore_ascii_case(b"DEFLATE") })
}

/// `COMPARATOR *(SP comp-order-quoted)` (RFC 5255 §4.10)
pub(super) fn comparator(c: &mut Cursor<'_>) -> Result<Command, Wrong> {
    let mut orders = Vec::new();
    while c.eat(b' ') && !c.at_end() {
        if orders.len() == COMPARATORS_MAX {
            return Err(Wrong::Bad("Too many comparators"));
        }
        orders.push(Order::read(&c.astring()?)?);
    }
    Ok(Command::Comparator(orders))
}

/// `LANGUAGE *(SP lang-range-quoted)` (RFC 5255 §3.5)
pub(super) fn language(c: &mut Cursor<'_>) -> Result<Command, Wrong> {
    let mut ranges = Vec::new();
    while c.eat(b' ') && !c.at_end() {
        if ranges.len() == LANGUAGES_MAX {
            return Err(Wrong::Bad("Too many languages"));
        }
        ranges.push(Range::read(&c.astring()?)?);
    }
    Ok(Command::Language(ranges))
}

/// `ENABLE 1*(SP capability)` (RFC 5161 §3.1); names that can not be enabled are passed over.
pub(super) fn enable(c: &mut Cursor<'_>) -> Result<Command, Wrong> {
    let mut named = Enabling::default();
    c.space()?;
    loop {
        let name = c.atom("Missing capability")?;
        named.condstore |= name.eq_ignore_ascii_case(b"CONDSTORE");
        named.qresync |= name.eq_ignore_ascii_case(b"QRESYNC");
        named.metadata |= name.eq_ignore_ascii_case(b"METADATA");
        named.metadata_server |= name.eq_ignore_ascii_case(b"METADATA-SERVER");
        named.utf8 |= name.eq_ignore_ascii_case(b"UTF8=ACCEPT");
        named.rev2 |= name.eq_ignore_ascii_case(b"IMAP4rev2");
        named.uid_only |= name.eq_ignore_ascii_case(b"UIDONLY");
        if !c.eat(b' ') || c.at_end() {
            return Ok(Command::Enable(named));
        }
    }
}
