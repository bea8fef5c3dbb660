//! Content-Type, Content-Disposition and their parameters (RFC 2045 §5.1, RFC 2183, RFC 2231 §3).
//!
//! Broken fields are read as Dovecot reads them: what stands before the damage counts, and after a parameter that
//! is none the next semicolon starts a new one.

use crate::token::{Broken, Cursor, is_atext, is_token};
use std::borrow::Cow;

/// One parameter. The name of an RFC 2231 extended value keeps its `*`, and the value its percent signs: IMAP
/// clients decode them.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Param<'a> {
    /// As written.
    pub name: Cow<'a, [u8]>,
    /// Without quotes.
    pub value: Cow<'a, [u8]>,
}

/// A media type and what follows it.
#[derive(Clone, Debug)]
pub struct ContentType<'a> {
    /// As written; empty when the field is broken.
    pub kind: &'a [u8],
    /// As written; empty when the field is broken or names only the type.
    pub subtype: &'a [u8],
    rest: &'a [u8],
}

impl<'a> ContentType<'a> {
    /// Reads a field value. A broken one has neither type nor parameters.
    pub fn parse(value: &'a [u8]) -> ContentType<'a> {
        read_type(value).unwrap_or(ContentType { kind: b"", subtype: b"", rest: b"" })
    }

    /// True when the type is this one, in any case.
    pub fn is(&self, kind: &str) -> bool {
        self.kind.eq_ignore_ascii_case(kind.as_bytes())
    }

    /// True when type and subtype are these, in any case.
    pub fn is_exactly(&self, kind: &str, subtype: &str) -> bool {
        self.is(kind) && self.subtype.eq_ignore_ascii_case(subtype.as_bytes())
    }

    /// The parameters, RFC 2231 continuations joined.
    pub fn params(&self) -> Vec<Param<'a>> {
        params(self.rest)
    }

    /// The first parameter of this name.
    pub fn param(&self, name: &str) -> Option<Cow<'a, [u8]>> {
        let mut all = self.params().into_iter();
        all.find(|p| p.name.eq_ignore_ascii_case(name.as_bytes())).map(|p| p.value)
    }
}

fn read_type(value: &[u8]) -> Result<ContentType<'_>, Broken> {
    let mut cursor = Cursor::new(value);
    cursor.skip()?;
    let kind = cursor.run(is_token);
    if !cursor.skip()? {
        return Ok(ContentType { kind, subtype: b"", rest: b"" });
    }
    if cursor.peek() != Some(b'/') {
        return Err(Broken);
    }
    cursor.at += 1;
    if !cursor.skip()? {
        return Err(Broken);
    }
    let subtype = cursor.run(is_token);
    if cursor.skip()? && cursor.peek() != Some(b';') {
        return Err(Broken);
    }
    if kind.is_empty() || subtype.is_empty() {
        return Err(Broken);
    }
    Ok(ContentType { kind, subtype, rest: &value[cursor.at..] })
}

/// A Content-Disposition.
#[derive(Clone, Debug)]
pub struct Disposition<'a> {
    /// As written; empty when there is none before the parameters.
    pub kind: &'a [u8],
    rest: &'a [u8],
}

impl<'a> Disposition<'a> {
    /// Reads a field value.
    pub fn parse(value: &'a [u8]) -> Disposition<'a> {
        let mut cursor = Cursor::new(value);
        let kind = if cursor.skip().is_ok() { cursor.run(is_token) } else { b"" };
        // What follows up to the first semicolon is passed over by the reader of parameters.
        let rest = if cursor.skip().is_ok() { &value[cursor.at..] } else { b"" };
        Disposition { kind, rest }
    }

    /// The parameters, RFC 2231 continuations joined.
    pub fn params(&self) -> Vec<Param<'a>> {
        params(self.rest)
    }
}

/// The value of a Content-Transfer-Encoding: one token and nothing after it.
pub(crate) fn single_token(value: &[u8]) -> Option<&[u8]> {
    let mut cursor = Cursor::new(value);
    cursor.skip().ok()?;
    let token = cursor.run(is_token);
    let more = cursor.skip().ok()?;
    (!token.is_empty() && !more).then_some(token)
}

/// The tags of a Content-Language, up to the first thing that is none.
pub(crate) fn languages(value: &[u8]) -> Vec<&[u8]> {
    let mut cursor = Cursor::new(value);
    let mut tags = Vec::new();
    while cursor.skip().unwrap_or(false) {
        let tag = cursor.run(is_atext);
        if tag.is_empty() {
            break;
        }
        tags.push(tag);
        if !cursor.skip().unwrap_or(false) || cursor.peek() != Some(b',') {
            break;
        }
        cursor.at += 1;
    }
    tags
}

fn params(rest: &[u8]) -> Vec<Param<'_>> {
    let mut cursor = Cursor::new(rest);
    let (mut plain, mut pieces) = (Vec::new(), Vec::new());
    while !cursor.done() {
        match param(&mut cursor) {
            Ok(None) => break,
            Ok(Some(found)) => match piece(&found) {
                Some((key_len, index, extended)) => pieces.push(Piece { key_len, index, extended, param: found }),
                None => plain.push(found),
            },
            // The byte that made no sense is passed; the next semicolon starts over.
            Err(Broken) => cursor.at += 1,
        }
    }
    join(pieces, &mut plain);
    plain
}

fn param<'a>(cursor: &mut Cursor<'a>) -> Result<Option<Param<'a>>, Broken> {
    if cursor.peek() != Some(b';') {
        return Err(Broken);
    }
    cursor.at += 1;
    if !cursor.skip().unwrap_or(false) {
        return Ok(None);
    }
    let name = cursor.run(is_token);
    cursor.skip()?;
    if cursor.peek() != Some(b'=') {
        return Err(Broken);
    }
    cursor.at += 1;
    let value = if !cursor.skip()? { Cow::Borrowed(&b""[..]) } else { param_value(cursor)? };
    cursor.skip()?;
    Ok(Some(Param { name: Cow::Borrowed(name), value }))
}

fn param_value<'a>(cursor: &mut Cursor<'a>) -> Result<Cow<'a, [u8]>, Broken> {
    match cursor.peek() {
        Some(b'"') => cursor.quoted(),
        // `name==?utf-8?b?..?=`: an encoded word where none may be.
        Some(b'=') => Ok(Cow::Borrowed(cursor.run(|b| !matches!(b, b';' | b' ' | b'\t' | b'\r' | b'\n')))),
        _ => Ok(Cow::Borrowed(cursor.run(is_token))),
    }
}

/// One `name*index*=value`.
struct Piece<'a> {
    key_len: usize,
    index: u32,
    extended: bool,
    param: Param<'a>,
}

impl Piece<'_> {
    fn key(&self) -> &[u8] {
        &self.param.name[..self.key_len]
    }
}

/// Length of the name before its first star, the number behind it, and whether a star ends it.
fn piece(param: &Param<'_>) -> Option<(usize, u32, bool)> {
    let key_len = memchr::memchr(b'*', &param.name)?;
    let tail = &param.name[key_len + 1..];
    let digits = tail.iter().take_while(|b| b.is_ascii_digit()).count();
    let index = std::str::from_utf8(&tail[..digits]).ok()?;
    let index = if digits == 0 { 0 } else { index.parse().ok()? };
    match &tail[digits..] {
        b"" => Some((key_len, index, digits == 0)),
        b"*" => Some((key_len, index, true)),
        _ => None,
    }
}

/// Joins the pieces of each name that are numbered from 0 without a gap; others are listed as they are.
fn join<'a>(mut pieces: Vec<Piece<'a>>, out: &mut Vec<Param<'a>>) {
    pieces.sort_by(|a, b| (a.key(), a.index).cmp(&(b.key(), b.index)));
    for group in pieces.chunk_by(|a, b| a.key() == b.key()) {
        let complete = group.iter().zip(0u32..).all(|(piece, n)| piece.index == n);
        if complete {
            out.push(joined(group));
        } else {
            out.extend(group.iter().map(apart));
        }
    }
}

fn joined<'a>(group: &[Piece<'a>]) -> Param<'a> {
    let mut name = group[0].key().to_vec();
    let mut value = Vec::new();
    if group.iter().any(|piece| piece.extended) {
        name.push(b'*');
        if !group[0].extended {
            // Neither charset nor language were said: that is spelled `''`.
            value.extend_from_slice(b"''");
        }
    }
    group.iter().for_each(|piece| value.extend_from_slice(&piece.param.value));
    Param { name: Cow::Owned(name), value: Cow::Owned(value) }
}

fn apart<'a>(piece: &Piece<'a>) -> Param<'a> {
    let mut name = piece.key().to_vec();
    name.push(b'*');
    name.extend_from_slice(piece.index.to_string().as_bytes());
    if piece.extended {
        name.push(b'*');
    }
    Param { name: Cow::Owned(name), value: piece.param.value.clone() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(value: &str, expect: &str) {
        let found = ContentType::parse(value.as_bytes());
        let mut text = format!("{}/{}", found.kind.escape_ascii(), found.subtype.escape_ascii());
        for p in found.params() {
            text += &format!("|{}={}", String::from_utf8_lossy(&p.name), String::from_utf8_lossy(&p.value));
        }
        assert_eq!(text, expect, "{value:?}");
    }

    /// Answers of a live Dovecot to the same fields.
    #[test]
    fn types_and_parameters() {
        check("text/plain", "text/plain");
        check("(c) text (d) / (e) plain (f) ; a=b", "text/plain|a=b");
        check("text", "text/");
        for broken in ["text/", "/plain", "text/plain charset=x", "text/plain, a=b", "text;a=b", "", "\"text\"/plain"] {
            check(broken, "/");
        }
        check("a/b; charset", "a/b");
        check("a/b; charset=", "a/b|charset=");
        check("a/b; charset=;x=y", "a/b|charset=|x=y");
        check("a/b; name=\"a\r\n b\"", "a/b|name=a b");
        check("a/b; name=a/b.txt; c = \"d\" ; e=f", "a/b|name=a|c=d|e=f");
        check("a/b; name=(com) b", "a/b|name=b");
        check("a/b;;;a=b", "a/b|a=b");
        check("a/b; a=b;; d=e;", "a/b|a=b");
        check("a/b; =b; c=d", "a/b|=b|c=d");
        check("a/b; a;b;d=e", "a/b|d=e");
        check("a/b; a b=c; d=e", "a/b|d=e");
        check("a/b; a=\"b\" c=e; d=e", "a/b|a=b|d=e");
        check("a/b; a=\"unterm; d=e", "a/b");
        check("a/b; a=b (x; d=e", "a/b");
        check("a/b; a=@; d=e", "a/b|a=|d=e");
        check("a/b; name==?x?=y; d=e", "a/b|name==?x?=y|d=e");
    }

    #[test]
    fn continuations_join_when_complete() {
        check("a/b; n*=utf-8''a%20b", "a/b|n*=utf-8''a%20b");
        check("a/b; n*0*=utf-8''a%20; n*1=b; n*2=\"c d\"", "a/b|n*=utf-8''a%20bc d");
        check("a/b; n*0=a; n*1*=b", "a/b|n*=''ab");
        check("a/b; n*1=b; n*0=a", "a/b|n=ab");
        check("a/b; n*0=a; n*2=b", "a/b|n*0=a|n*2=b");
        check("a/b; n*0=a; n*0=b", "a/b|n*0=a|n*0=b");
        check("a/b; z*0=a; m=1; z*1=b; b*0=c; b*1=d", "a/b|m=1|b=cd|z=ab");
        check("a/b; n*x=1; n*0x=2; *=3; *0=4; n**=5", "a/b|n*x=1|n*0x=2|*0*=3|*0=4|n*=5");
        check("a/b; a*0*=1; a*1*=2; a*0=3; A*1=4", "a/b|A*1=4|a*0*=1|a*0=3|a*1*=2");
        check("a/b; n*99999999999=1", "a/b|n*99999999999=1");
    }

    #[test]
    fn single_tokens_and_languages() {
        for (value, token) in
            [("(c) 8BIT", Some("8BIT")), ("a b", None), ("7bit;", None), ("", None), ("a.b", Some("a.b"))]
        {
            assert_eq!(single_token(value.as_bytes()), token.map(str::as_bytes), "{value}");
        }
        for (value, tags) in [("en, de (c), \"x\"", vec!["en", "de"]), (", en", vec![]), ("en-US.x", vec!["en-US"])] {
            let tags: Vec<&[u8]> = tags.iter().map(|t| t.as_bytes()).collect();
            assert_eq!(languages(value.as_bytes()), tags, "{value}");
        }
    }
}
