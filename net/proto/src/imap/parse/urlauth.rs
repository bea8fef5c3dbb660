//! GENURLAUTH, RESETKEY, URLFETCH (RFC 4467 §7, RFC 5524).

use super::cursor::{Cursor, utf8};
use super::{Command, Wrong};
use crate::imap::limits::URLS_MAX;
use crate::imap::{Code, Request, UrlItems};

/// `GENURLAUTH 1*(SP url-rump SP mechanism)`
pub(super) fn generate(c: &mut Cursor<'_>) -> Result<Command, Wrong> {
    let mut urls = Vec::new();
    while c.eat(b' ') && !c.at_end() {
        let url = text(c)?;
        c.space()?;
        let mechanism = utf8(c.atom("Missing mechanism")?.into())?;
        urls.push((url, mechanism));
        bounded(urls.len())?;
    }
    some(Request::GenUrlAuth { urls: urls.clone() }, urls.len())
}

/// `RESETKEY [SP mailbox *(SP mechanism)]`. A key is made for each mechanism that is named (RFC 4467 §7), and there is one that can be: what
/// another one named was to take back would not be taken back by a reset of INTERNAL's.
pub(super) fn reset(c: &mut Cursor<'_>) -> Result<Command, Wrong> {
    let mailbox = if c.eat(b' ') && !c.at_end() { Some(c.mailbox()?) } else { None };
    while mailbox.is_some() && c.eat(b' ') && !c.at_end() {
        if !c.atom("Missing mechanism")?.eq_ignore_ascii_case(b"INTERNAL") {
            return Err(Wrong::No(Code::Cannot, "The only mechanism is INTERNAL"));
        }
    }
    Ok(Command::Ask(Request::ResetKey { mailbox }))
}

/// `URLFETCH 1*(SP (url-full / "(" url-full 1*(SP item) ")"))`
pub(super) fn fetch(c: &mut Cursor<'_>) -> Result<Command, Wrong> {
    let mut urls = Vec::new();
    while c.eat(b' ') && !c.at_end() {
        if c.eat(b'(') {
            let (url, mut items) = (text(c)?, UrlItems::default());
            while c.eat(b' ') {
                match c.keyword().as_str() {
                    "BODY" => items.body = true,
                    "BINARY" => items.binary = true,
                    "BODYPARTSTRUCTURE" => items.structure = true,
                    _ => return Err(Wrong::Bad("Unknown URLFETCH item")),
                }
            }
            c.need(b')', "Expected a space or a closing parenthesis")?;
            if items == UrlItems::default() {
                return Err(Wrong::Bad("Missing URLFETCH item"));
            }
            urls.push((url, Some(items)));
        } else {
            urls.push((text(c)?, None));
        }
        bounded(urls.len())?;
    }
    let count = urls.len();
    some(Request::UrlFetch { urls }, count)
}

fn text(c: &mut Cursor<'_>) -> Result<String, Wrong> {
    utf8(c.astring()?)
}

fn bounded(urls: usize) -> Result<(), Wrong> {
    if urls > URLS_MAX { Err(Wrong::Bad("Too many URLs")) } else { Ok(()) }
}

fn some(request: Request, urls: usize) -> Result<Command, Wrong> {
    if urls == 0 { Err(Wrong::Bad("Missing URL")) } else { Ok(Command::Ask(request)) }
}
