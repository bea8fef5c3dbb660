//! Address lists (RFC 5322 §3.4) and their IMAP form.
//!
//! ```text
//! "A B" <@r:a@b>        (name route mailbox host)
//! a@b (A B)             the comment is the name
//! G: a@b, c@d;          (NIL NIL "G" NIL) .. (NIL NIL NIL NIL)
//! ```
//!
//! Broken addresses are kept with the marks Dovecot gives them (`MISSING_DOMAIN`, `SYNTAX_ERROR`..), so that clients see
//! that somebody was named. A list ends at the first thing that is neither an address nor a comma.

use super::string;
use crate::token::{Broken, Cursor, is_atext};
use std::borrow::Cow;

/// One entry of an address list.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Address<'a> {
    /// A mailbox; what is not there is `None`.
    Mailbox {
        /// Display name, unquoted but not decoded.
        name: Option<Cow<'a, [u8]>>,
        /// Source route with its at signs.
        route: Option<Vec<u8>>,
        /// Local part.
        mailbox: Option<Cow<'a, [u8]>>,
        /// Domain.
        domain: Option<Cow<'a, [u8]>>,
        /// The angle brackets did not hold what they should.
        broken: bool,
    },
    /// A group of this name starts.
    GroupStart(Cow<'a, [u8]>),
    /// The group ends.
    GroupEnd,
}

/// Reads one field value. Never fails: what can not be understood is marked or left out.
pub fn addresses(value: &[u8]) -> Vec<Address<'_>> {
    let mut list = List { cursor: Cursor::new(value), out: Vec::new() };
    list.read();
    list.out
}

/// Writes the entries without the parentheses around the list.
pub(super) fn write(list: &[Address<'_>], out: &mut Vec<u8>) {
    for address in list {
        write_one(address, out);
    }
}

fn write_one(address: &Address<'_>, out: &mut Vec<u8>) {
    match address {
        Address::GroupEnd => out.extend_from_slice(b"(NIL NIL NIL NIL)"),
        Address::GroupStart(name) => {
            out.extend_from_slice(b"(NIL NIL ");
            string::string(name, out);
            out.extend_from_slice(b" NIL)");
        }
        Address::Mailbox { name, route, mailbox, domain, broken } => {
            out.push(b'(');
            string::or_nil(name.as_deref(), string::for_humans, out);
            out.push(b' ');
            string::or_nil(route.as_deref(), string::string, out);
            out.push(b' ');
            string::string(local_part(mailbox.as_deref()), out);
            out.push(b' ');
            string::string(domain_part(domain.as_deref(), *broken), out);
            out.push(b')');
        }
    }
}

/// The mailbox, or the mark of a missing one.
pub(crate) fn local_part(mailbox: Option<&[u8]>) -> &[u8] {
    mailbox.unwrap_or(b"MISSING_MAILBOX")
}

/// The domain, or the mark of a missing one, of an address that is `broken` or not.
pub(crate) fn domain_part(domain: Option<&[u8]>, broken: bool) -> &[u8] {
    domain.unwrap_or(if broken { b"SYNTAX_ERROR" } else { b"MISSING_DOMAIN" })
}

struct List<'a> {
    cursor: Cursor<'a>,
    out: Vec<Address<'a>>,
}

/// What an address is made of while it is read.
#[derive(Default)]
struct Draft<'a> {
    name: Option<Cow<'a, [u8]>>,
    route: Option<Vec<u8>>,
    mailbox: Option<Cow<'a, [u8]>>,
    domain: Option<Cow<'a, [u8]>>,
    broken: bool,
}

impl<'a> List<'a> {
    fn read(&mut self) {
        let mut more = self.cursor.skip().unwrap_or(false);
        while more {
            if !self.group() {
                self.mailbox();
            }
            if self.cursor.peek() != Some(b',') {
                break;
            }
            self.cursor.at += 1;
            // A comma and something that can not be read still is somebody.
            more = self.cursor.skip().unwrap_or(true);
        }
    }

    /// `phrase ":" [mailboxes] [";"]`; false, and nowhere, when this is no group.
    fn group(&mut self) -> bool {
        let start = self.cursor.at;
        let Ok(name) = self.phrase() else {
            self.cursor.at = start;
            return false;
        };
        if self.cursor.peek() != Some(b':') {
            self.cursor.at = start;
            return false;
        }
        self.cursor.at += 1;
        self.out.push(Address::GroupStart(name));
        self.members();
        self.out.push(Address::GroupEnd);
        if self.cursor.peek() == Some(b';') {
            self.cursor.at += 1;
            let _ = self.cursor.skip();
        } else {
            // A group that does not end takes the rest of the list with it.
            self.cursor.at = self.cursor.text.len();
        }
        true
    }

    fn members(&mut self) {
        if !self.cursor.skip().unwrap_or(false) || self.cursor.peek() == Some(b';') {
            return;
        }
        loop {
            self.mailbox();
            if self.cursor.peek() != Some(b',') {
                return;
            }
            self.cursor.at += 1;
            if !self.cursor.skip().unwrap_or(false) {
                return;
            }
        }
    }

    fn mailbox(&mut self) {
        let start = self.cursor.at;
        let mut draft = Draft::default();
        if !self.name_addr(&mut draft) {
            self.cursor.at = start;
            draft = Draft::default();
            let _ = self.addr_spec(&mut draft, false);
        }
        let Draft { name, route, mailbox, domain, broken } = draft;
        let name = name.filter(|n| !n.is_empty());
        self.out.push(Address::Mailbox { name, route, mailbox, domain, broken });
    }

    /// `[phrase] "<" [route] addr-spec ">"`; false when there is no angle bracket.
    fn name_addr(&mut self, draft: &mut Draft<'a>) -> bool {
        if self.cursor.peek() != Some(b'<') {
            match self.phrase() {
                Ok(name) => draft.name = Some(name),
                Err(Broken) => return false,
            }
            if self.cursor.peek() != Some(b'<') {
                return false;
            }
        }
        self.cursor.at += 1;
        if self.angle(draft).is_err() {
            draft.broken = true;
        }
        true
    }

    fn angle(&mut self, draft: &mut Draft<'a>) -> Result<(), Broken> {
        self.cursor.skip()?;
        if self.cursor.peek() == Some(b'@') {
            let route = self.route();
            draft.route = Some(route.unwrap_or_else(|Broken| b"INVALID_ROUTE".to_vec()));
            self.cursor.skip()?;
        }
        if self.cursor.peek() != Some(b'>') {
            self.addr_spec(draft, true)?;
        }
        if self.cursor.peek() != Some(b'>') {
            draft.domain = None;
            return Err(Broken);
        }
        self.cursor.at += 1;
        self.cursor.skip().map(drop).inspect_err(|_| draft.domain = None)
    }

    /// `"@" domain *("," "@" domain) ":"`
    fn route(&mut self) -> Result<Vec<u8>, Broken> {
        let mut route = Vec::new();
        loop {
            match self.cursor.peek() {
                Some(b'@') => {
                    if !route.is_empty() {
                        route.push(b',');
                    }
                    route.push(b'@');
                    route.extend_from_slice(&self.domain()?);
                }
                Some(b',') => {
                    self.cursor.at += 1;
                    self.cursor.skip()?;
                    if !matches!(self.cursor.peek(), Some(b'@' | b',')) {
                        return Err(Broken);
                    }
                }
                Some(b':') => {
                    self.cursor.at += 1;
                    return Ok(route);
                }
                _ => return Err(Broken),
            }
        }
    }

    fn addr_spec(&mut self, draft: &mut Draft<'a>, angle: bool) -> Result<(), Broken> {
        let quoted = self.cursor.peek() == Some(b'"');
        self.cursor.comment = None;
        let mut text = Cow::Borrowed(&b""[..]);
        let local = self.local_part(&mut text);
        if local.is_ok() {
            draft.mailbox = Some(text.clone()).filter(|t| quoted || !t.is_empty());
        }
        let (mut at_sign, whole) = (false, quoted && local.is_ok());
        let mut result = local;
        if self.cursor.peek() == Some(b'@') && result.is_ok() {
            at_sign = true;
            result = self.domain().map(|domain| draft.domain = Some(domain));
        }
        if angle {
            return result;
        }
        if let Some(comment) = self.cursor.comment.take().filter(|c| !c.is_empty()) {
            draft.name = Some(Cow::Owned(comment));
        } else if !at_sign {
            self.words_after(text, whole, draft);
        }
        result
    }

    /// Words without an address: one alone is a mailbox without its domain, more are a name.
    fn words_after(&mut self, first: Cow<'a, [u8]>, quoted: bool, draft: &mut Draft<'a>) {
        let mut name = first.into_owned();
        let first_len = name.len();
        name.push(b' ');
        let _ = self.words(&mut name);
        if name.len() > first_len + 1 {
            draft.mailbox = None;
            draft.name = Some(Cow::Owned(name));
        } else if quoted {
            name.truncate(first_len);
            draft.mailbox = None;
            draft.name = Some(Cow::Owned(name));
        }
    }

    fn local_part(&mut self, text: &mut Cow<'a, [u8]>) -> Result<(), Broken> {
        if self.cursor.peek() == Some(b'"') {
            *text = self.cursor.quoted()?;
            return self.cursor.skip().map(drop);
        }
        *text = Cow::Borrowed(self.cursor.run(is_atext_or_dot));
        loop {
            // A dot may be the last thing before the at sign (mobile carriers gave out such addresses), or before the end.
            if text.ends_with(b".") && !matches!(self.cursor.peek(), None | Some(b'@')) {
                return Err(Broken);
            }
            self.cursor.skip()?;
            if self.cursor.peek() != Some(b'.') {
                return Ok(());
            }
            text.to_mut().extend_from_slice(self.cursor.run(is_atext_or_dot));
        }
    }

    /// `"@" (dot-atom / domain-literal)`
    fn domain(&mut self) -> Result<Cow<'a, [u8]>, Broken> {
        self.cursor.at += 1;
        if !self.cursor.skip()? {
            return Err(Broken);
        }
        if self.cursor.peek() == Some(b'[') { self.domain_literal() } else { self.dot_atom() }
    }

    fn domain_literal(&mut self) -> Result<Cow<'a, [u8]>, Broken> {
        let start = self.cursor.at;
        while let Some(byte) = self.cursor.peek() {
            self.cursor.at += if byte == b'\\' { 2 } else { 1 };
            if byte == b']' {
                let text = &self.cursor.text[start..self.cursor.at];
                self.cursor.skip()?;
                return Ok(Cow::Borrowed(text));
            }
        }
        self.cursor.at = self.cursor.text.len();
        Err(Broken)
    }

    fn dot_atom(&mut self) -> Result<Cow<'a, [u8]>, Broken> {
        let mut text = Cow::Borrowed(&b""[..]);
        loop {
            let atom = self.cursor.run(is_atext);
            if atom.is_empty() {
                return Err(Broken);
            }
            if text.is_empty() {
                text = Cow::Borrowed(atom);
            } else {
                text.to_mut().extend_from_slice(atom);
            }
            self.cursor.skip()?;
            if self.cursor.peek() != Some(b'.') {
                return Ok(text);
            }
            self.cursor.at += 1;
            text.to_mut().push(b'.');
            self.cursor.skip()?;
        }
    }

    /// Words joined by one space; may be empty, may not start with a dot.
    fn phrase(&mut self) -> Result<Cow<'a, [u8]>, Broken> {
        // One run of plain words up to the bracket needs no copy.
        let rest = &self.cursor.text[self.cursor.at..];
        let plain = rest.iter().take_while(|b| is_atext_or_dot(**b) || **b == b' ').count();
        let words = rest[..plain].trim_ascii_end();
        if matches!(rest.get(plain), Some(b'<')) && is_single_spaced(words) {
            self.cursor.at += plain;
            return Ok(Cow::Borrowed(words));
        }
        let mut text = Vec::new();
        self.words(&mut text)?;
        Ok(Cow::Owned(text))
    }

    fn words(&mut self, out: &mut Vec<u8>) -> Result<(), Broken> {
        if matches!(self.cursor.peek(), None | Some(b'.')) {
            return Err(Broken);
        }
        loop {
            if self.cursor.peek() == Some(b'"') {
                self.cursor.quoted_into(out)?;
            } else {
                out.extend_from_slice(self.cursor.run(is_atext_or_dot));
            }
            if !self.cursor.skip()? || !self.cursor.peek().is_some_and(|b| is_atext_or_dot(b) || b == b'"') {
                return Ok(());
            }
            out.push(b' ');
        }
    }
}

fn is_atext_or_dot(byte: u8) -> bool {
    byte == b'.' || is_atext(byte)
}

fn is_single_spaced(words: &[u8]) -> bool {
    !words.is_empty() && !words.starts_with(b".") && !words.starts_with(b" ") && !words.windows(2).any(|w| w == b"  ")
}
