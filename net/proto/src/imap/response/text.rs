//! The small pieces: numbers, strings, names, flags, dates.

pub use crate::number::number;

use super::SEPARATOR;
use crate::imap::{date, mutf7};
use skein_base::{Flags, KeywordMask};
use std::borrow::Cow;

/// Longest string written between quotes; longer ones are literals, which clients read without looking at each byte.
const QUOTED_BYTES_MAX: usize = 1024;

/// `{bytes}` and CRLF; the caller writes that many bytes next.
pub fn literal_head(out: &mut Vec<u8>, bytes: u64) {
    out.push(b'{');
    number(out, bytes);
    out.extend_from_slice(b"}\r\n");
}

/// A quoted string, or a literal where quotes can not hold it (RFC 3501 §4.3).
pub fn string(out: &mut Vec<u8>, text: &[u8]) {
    let plain =
        text.len() <= QUOTED_BYTES_MAX && text.iter().all(|&b| matches!(b, 0x01..=0x7f) && b != b'\r' && b != b'\n');
    if !plain {
        literal_head(out, text.len() as u64);
        out.extend_from_slice(text);
        return;
    }
    out.push(b'"');
    let mut rest = text;
    while let Some(at) = memchr::memchr2(b'"', b'\\', rest) {
        out.extend_from_slice(&rest[..at]);
        out.extend_from_slice(&[b'\\', rest[at]]);
        rest = &rest[at + 1..];
    }
    out.extend_from_slice(rest);
    out.push(b'"');
}

/// An atom where that is possible, else a string. `NIL` is quoted: some clients take the atom for nothing.
pub fn astring(out: &mut Vec<u8>, text: &[u8]) {
    let atom = !text.is_empty() && text.iter().all(|&b| is_astring_char(b)) && !text.eq_ignore_ascii_case(b"NIL");
    if atom { out.extend_from_slice(text) } else { string(out, text) }
}

/// ASTRING-CHAR of RFC 3501 §9.
pub(crate) fn is_astring_char(byte: u8) -> bool {
    matches!(byte, 0x21..=0x7e) && !matches!(byte, b'(' | b')' | b'{' | b'%' | b'*' | b'"' | b'\\')
}

/// A string, or NIL for none.
pub fn nstring(out: &mut Vec<u8>, text: Option<&[u8]>) {
    match text {
        Some(text) => string(out, text),
        None => out.extend_from_slice(b"NIL"),
    }
}

/// How mailbox names are written on the wire.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default, Debug)]
pub struct Names {
    /// As they are: the client has enabled UTF8=ACCEPT (RFC 6855 §3) or IMAP4rev2 (RFC 9051 §5.1). Otherwise in modified UTF-7 (RFC 3501
    /// §5.1.3).
    pub utf8: bool,
    /// The client sees `.` between levels. A `.` within a level is `/` to it, so that each name has one form here and there.
    pub dots: bool,
}

impl Names {
    /// In modified UTF-7, with `/` between levels.
    pub const UTF7: Names = Names { utf8: false, dots: false };
    /// As they are.
    pub const UTF8: Names = Names { utf8: true, dots: false };

    /// What the client sees between levels.
    pub fn separator(self) -> char {
        if self.dots { '.' } else { SEPARATOR }
    }

    /// A name's bytes as the client would send them, without quotes.
    pub fn wire(self, name: &str) -> Vec<u8> {
        let mut out = Vec::with_capacity(name.len());
        match self.utf8 {
            true => out.extend_from_slice(self.turned(name).as_bytes()),
            false => mutf7::encode(&self.turned(name), &mut out),
        }
        out
    }

    /// The client's form of a name, or the name of the client's form: it is the same way there and back.
    pub fn turned(self, name: &str) -> Cow<'_, str> {
        if !self.dots || !name.contains(['.', '/']) {
            return Cow::Borrowed(name);
        }
        let turned = |c| match c {
            '.' => '/',
            '/' => '.',
            other => other,
        };
        Cow::Owned(name.chars().map(turned).collect())
    }
}

/// A mailbox name, as an astring. `NIL` is quoted: some clients take the atom for nothing.
pub fn mailbox(out: &mut Vec<u8>, name: &str, names: Names) {
    let turned = &*names.turned(name);
    // An ampersand of a name is escaped in modified UTF-7.
    let is_atom = |b: u8| is_astring_char(b) && (names.utf8 || b != b'&');
    match !turned.is_empty() && turned.bytes().all(is_atom) && !turned.eq_ignore_ascii_case("NIL") {
        true => out.extend_from_slice(turned.as_bytes()),
        false => mailbox_string(out, name, names),
    }
}

/// A mailbox name, or the beginning of one, where only a string may stand.
pub fn mailbox_string(out: &mut Vec<u8>, name: &str, names: Names) {
    let name = &*names.turned(name);
    // Names hold no control characters, and modified UTF-7 is printable ASCII, so quotes always hold them.
    out.push(b'"');
    let start = out.len();
    match names.utf8 {
        true => out.extend_from_slice(name.as_bytes()),
        false => mutf7::encode(name, out),
    }
    quote_from(out, start);
    out.push(b'"');
}

/// Puts a backslash before each quote and backslash written since `start`.
fn quote_from(out: &mut Vec<u8>, start: usize) {
    let mut at = start;
    while let Some(found) = memchr::memchr2(b'"', b'\\', &out[at..]) {
        out.insert(at + found, b'\\');
        at += found + 2;
    }
}

/// `(\Seen $Label1 \Recent)`: system flags, then keywords by the mailbox's table, then `\Recent`.
/// Bits beyond the table are left out.
pub fn flags<S: AsRef<str>>(out: &mut Vec<u8>, flags: Flags, keywords: KeywordMask, names: &[S], recent: bool) {
    out.push(b'(');
    let start = out.len();
    for (flag, name) in Flags::NAMES {
        if flags.contains(flag) {
            word(out, start, name);
        }
    }
    for index in keywords.indexes() {
        if let Some(name) = names.get(index) {
            word(out, start, name.as_ref());
        }
    }
    if recent {
        word(out, start, "\\Recent");
    }
    out.push(b')');
}

/// Writes a word, after a space when it is not the first since `start`.
pub(super) fn word(out: &mut Vec<u8>, start: usize, text: &str) {
    if out.len() > start {
        out.push(b' ');
    }
    out.extend_from_slice(text.as_bytes());
}

/// `"17-Jul-1996 02:44:25 +0000"` with its quotes, from seconds since 1970.
pub fn internal_date(out: &mut Vec<u8>, unix_seconds: i64) {
    out.push(b'"');
    date::write_date_time(out, unix_seconds);
    out.push(b'"');
}

/// Two hexadecimal digits.
pub(crate) fn hex(out: &mut Vec<u8>, byte: u8) {
    let digits = b"0123456789abcdef";
    out.extend_from_slice(&[digits[usize::from(byte >> 4)], digits[usize::from(byte & 15)]]);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(write: impl FnOnce(&mut Vec<u8>)) -> String {
        let mut out = Vec::new();
        write(&mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn numbers() {
        for n in [0, 9, 10, 4_294_967_295, u64::MAX] {
            assert_eq!(written(|out| number(out, n)), n.to_string());
        }
    }

    #[test]
    fn strings_take_the_shortest_form_that_holds_them() {
        for (text, as_string, as_astring) in [
            ("", "\"\"", "\"\""),
            ("INBOX", "\"INBOX\"", "INBOX"),
            ("nil", "\"nil\"", "\"nil\""),
            ("a]b", "\"a]b\"", "a]b"),
            ("a b", "\"a b\"", "\"a b\""),
            ("\\\"x\"", "\"\\\\\\\"x\\\"\"", "\"\\\\\\\"x\\\"\""),
            ("ü", "{2}\r\nü", "{2}\r\nü"),
            ("a\r\nb", "{4}\r\na\r\nb", "{4}\r\na\r\nb"),
        ] {
            assert_eq!(written(|out| string(out, text.as_bytes())), as_string);
            assert_eq!(written(|out| astring(out, text.as_bytes())), as_astring);
        }
        assert_eq!(written(|out| nstring(out, None)), "NIL");
        assert!(written(|out| string(out, &[b'x'; QUOTED_BYTES_MAX + 1])).starts_with("{1025}\r\n"));
    }

    #[test]
    fn mailbox_names() {
        for (name, wire) in [
            ("INBOX", "INBOX"),
            ("Sent Mail", "\"Sent Mail\""),
            ("Entwürfe", "\"Entw&APw-rfe\""),
            ("R&D", "\"R&-D\""),
            ("a\"\\b", "\"a\\\"\\\\b\""),
            ("", "\"\""),
            ("NIL", "\"NIL\""),
        ] {
            assert_eq!(written(|out| mailbox(out, name, Names::UTF7)), wire);
        }
        for (name, wire) in [
            ("INBOX", "INBOX"),
            ("Entwürfe", "\"Entwürfe\""),
            ("R&D", "R&D"),
            ("a\"\\b", "\"a\\\"\\\\b\""),
            ("", "\"\""),
            ("nil", "\"nil\""),
        ] {
            assert_eq!(written(|out| mailbox(out, name, Names::UTF8)), wire);
        }
        let dots = Names { dots: true, ..Names::UTF7 };
        for (name, wire) in [("INBOX", "INBOX"), ("a/b", "a.b"), ("v1.2/Entwürfe", "\"v1/2.Entw&APw-rfe\"")] {
            assert_eq!(written(|out| mailbox(out, name, dots)), wire);
            assert_eq!(dots.turned(&dots.turned(name)), name);
        }
    }

    #[test]
    fn flags_and_keywords() {
        let names = ["$Label1", "work"];
        let check = |f, k, r, want: &str| assert_eq!(written(|out| flags(out, f, KeywordMask(k), &names, r)), want);
        check(Flags::NONE, 0, false, "()");
        check(Flags::NONE, 0, true, "(\\Recent)");
        check(Flags::SEEN | Flags::ANSWERED, 0b110, true, "(\\Answered \\Seen work \\Recent)");
    }
}
