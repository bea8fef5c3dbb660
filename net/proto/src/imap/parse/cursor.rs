//! A place in one complete command, and the small words of RFC 3501 §9.
//!
//! ```text
//! a1 LOGIN {3+}CRLF tim "secret"CRLF      one run of bytes, literals where they came
//!          ▲ at
//! ```

use super::{Enabling, Wrong};
use crate::imap::response::{Names, is_astring_char};
use crate::imap::{mutf7, response::SEPARATOR};
use skein_base::limits::{COMMAND_DEPTH_MAX, MAILBOX_NAME_BYTES_MAX};
use std::borrow::Cow;

/// Reads forward only; every byte is looked at once.
pub(crate) struct Cursor<'a> {
    bytes: &'a [u8],
    at: usize,
    depth: usize,
    /// What the client has enabled.
    pub(super) enabled: Enabling,
}

impl<'a> Cursor<'a> {
    /// At the start of a command without its last line break.
    pub(crate) fn new(bytes: &'a [u8], enabled: Enabling) -> Cursor<'a> {
        Cursor { bytes, at: 0, depth: 0, enabled }
    }

    pub(crate) fn rest(&self) -> &'a [u8] {
        &self.bytes[self.at..]
    }

    pub(crate) fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    /// Nobody asks for what is left.
    pub(crate) fn skip_rest(&mut self) {
        self.at = self.bytes.len();
    }

    pub(crate) fn at_end(&self) -> bool {
        self.at == self.bytes.len()
    }

    /// Takes the byte when it is next.
    pub(crate) fn eat(&mut self, byte: u8) -> bool {
        let found = self.peek() == Some(byte);
        self.at += usize::from(found);
        found
    }

    /// Takes the byte or complains.
    pub(crate) fn need(&mut self, byte: u8, complaint: &'static str) -> Result<(), Wrong> {
        if self.eat(byte) { Ok(()) } else { Err(Wrong::Bad(complaint)) }
    }

    pub(crate) fn space(&mut self) -> Result<(), Wrong> {
        self.need(b' ', "Missing argument")
    }

    /// The command ends here. A trailing space is let through: several clients send it.
    pub(crate) fn end(&mut self) -> Result<(), Wrong> {
        while self.eat(b' ') {}
        if self.at_end() { Ok(()) } else { Err(Wrong::Bad("Unexpected argument")) }
    }

    /// The longest run of bytes that `fits`.
    pub(crate) fn run(&mut self, fits: impl Fn(u8) -> bool) -> &'a [u8] {
        let rest = self.rest();
        let length = rest.iter().position(|&b| !fits(b)).unwrap_or(rest.len());
        self.at += length;
        &rest[..length]
    }

    /// `atom`
    pub(crate) fn atom(&mut self, complaint: &'static str) -> Result<&'a [u8], Wrong> {
        match self.run(is_atom_char) {
            b"" => Err(Wrong::Bad(complaint)),
            atom => Ok(atom),
        }
    }

    /// The next word of letters, digits, dots and hyphens in capitals, when it is one of at most 24 bytes.
    pub(crate) fn keyword(&mut self) -> Keyword {
        let word = self.run(|b| b.is_ascii_alphanumeric() || b == b'.' || b == b'-');
        Keyword::of(word)
    }

    /// `number` of 32 bits.
    pub(crate) fn number(&mut self) -> Result<u32, Wrong> {
        let n = self.number64()?;
        u32::try_from(n).map_err(|_| Wrong::Bad("Number is too large"))
    }

    /// `number` of 63 bits, as mod-sequences have.
    pub(crate) fn number64(&mut self) -> Result<u64, Wrong> {
        let digits = self.run(|b| b.is_ascii_digit());
        if digits.is_empty() {
            return Err(Wrong::Bad("Expected a number"));
        }
        let value = digits.iter().try_fold(0u64, |n, d| n.checked_mul(10)?.checked_add(u64::from(d - b'0')));
        value.filter(|&n| n <= i64::MAX as u64).ok_or(Wrong::Bad("Number is too large"))
    }

    /// `astring`: atom-like, quoted or literal.
    pub(crate) fn astring(&mut self) -> Result<Cow<'a, [u8]>, Wrong> {
        match self.peek() {
            Some(b'"' | b'{') => self.string(),
            _ => match self.run(is_astring_char) {
                b"" => Err(Wrong::Bad("Expected a string")),
                word => Ok(Cow::Borrowed(word)),
            },
        }
    }

    /// `string`: quoted or literal.
    pub(crate) fn string(&mut self) -> Result<Cow<'a, [u8]>, Wrong> {
        match self.peek() {
            Some(b'"') => self.quoted(),
            Some(b'{') => self.literal().map(Cow::Borrowed),
            _ => Err(Wrong::Bad("Expected a string")),
        }
    }

    /// `nstring`
    pub(crate) fn nstring(&mut self) -> Result<Option<Cow<'a, [u8]>>, Wrong> {
        if self.rest().get(..3).is_some_and(|nil| nil.eq_ignore_ascii_case(b"NIL")) {
            self.at += 3;
            return Ok(None);
        }
        self.string().map(Some)
    }

    /// `nstring / literal8`: bytes of any kind (RFC 5464 §5, RFC 3516 §7).
    pub(crate) fn nstring8(&mut self) -> Result<Option<Cow<'a, [u8]>>, Wrong> {
        if self.eat(b'~') {
            return self.literal8().map(|bytes| Some(Cow::Borrowed(bytes)));
        }
        self.nstring()
    }

    fn quoted(&mut self) -> Result<Cow<'a, [u8]>, Wrong> {
        self.at += 1;
        let start = self.at;
        let mut owned: Option<Vec<u8>> = None;
        let mut copied = start;
        loop {
            let found = memchr::memchr2(b'"', b'\\', self.rest()).ok_or(Wrong::Bad("Missing closing quote"))?;
            self.at += found;
            if self.bytes[self.at] == b'"' {
                break;
            }
            if !matches!(self.bytes.get(self.at + 1), Some(b'"' | b'\\')) {
                return Err(Wrong::Bad("Only a quote or a backslash may follow a backslash"));
            }
            let text = owned.get_or_insert_default();
            text.extend_from_slice(&self.bytes[copied..self.at]);
            copied = self.at + 1;
            self.at += 2;
        }
        let tail = &self.bytes[copied..self.at];
        self.at += 1;
        if memchr::memchr2(b'\r', b'\n', &self.bytes[start..self.at]).is_some() {
            return Err(Wrong::Bad("Line break in a quoted string"));
        }
        Ok(match owned {
            None => Cow::Borrowed(tail),
            Some(mut text) => {
                text.extend_from_slice(tail);
                Cow::Owned(text)
            }
        })
    }

    fn literal(&mut self) -> Result<&'a [u8], Wrong> {
        let text = self.literal8()?;
        if memchr::memchr(0, text).is_some() {
            return Err(Wrong::Bad("NUL in a literal"));
        }
        Ok(text)
    }

    /// `{5}` line break and five bytes; whoever gathered the command has counted them.
    fn literal8(&mut self) -> Result<&'a [u8], Wrong> {
        let header = memchr::memchr(b'\n', self.rest()).ok_or(Wrong::Bad("Misplaced {"))?;
        let line = &self.rest()[..=header];
        let literal = super::literal::header(line).filter(|_| line.iter().filter(|&&b| b == b'{').count() == 1);
        let bytes = literal.and_then(|l| usize::try_from(l.bytes).ok()).ok_or(Wrong::Bad("Misplaced {"))?;
        let start = self.at + header + 1;
        let text = self.bytes.get(start..).and_then(|rest| rest.get(..bytes)).ok_or(Wrong::Bad("Misplaced {"))?;
        self.at = start + bytes;
        Ok(text)
    }

    /// An `astring` that must be UTF-8.
    pub(crate) fn text(&mut self) -> Result<String, Wrong> {
        utf8(self.astring()?)
    }

    /// `mailbox` in UTF-8; INBOX in capitals.
    pub(crate) fn mailbox(&mut self) -> Result<String, Wrong> {
        named_mailbox(&self.astring()?, self.enabled.names())
    }

    /// `mailbox`, or the empty string for the server (RFC 5464 §4.1).
    pub(crate) fn mailbox_or_server(&mut self) -> Result<Option<String>, Wrong> {
        let mut name = self.name_or_empty()?;
        fold_inbox(&mut name);
        Ok(Some(name).filter(|name| !name.is_empty()))
    }

    /// A name that may be empty, as the reference of LIST.
    pub(crate) fn name_or_empty(&mut self) -> Result<String, Wrong> {
        mailbox_name(&self.astring()?, self.enabled.names())
    }

    /// `list-mailbox`: a pattern, in UTF-8.
    pub(crate) fn pattern(&mut self) -> Result<String, Wrong> {
        let wire = match self.peek() {
            Some(b'"' | b'{') => self.string()?,
            _ => match self.run(|b| is_astring_char(b) || b == b'%' || b == b'*') {
                b"" => return Err(Wrong::Bad("Expected a pattern")),
                word => Cow::Borrowed(word),
            },
        };
        mailbox_name(&wire, self.enabled.names())
    }

    /// `(a b c)` with `item` reading each; not empty. Nesting is counted.
    pub(crate) fn list(&mut self, mut item: impl FnMut(&mut Self) -> Result<(), Wrong>) -> Result<(), Wrong> {
        self.need(b'(', "Expected a list in parentheses")?;
        self.deeper(|cursor| {
            loop {
                item(cursor)?;
                if cursor.eat(b')') {
                    return Ok(());
                }
                cursor.need(b' ', "Expected a space or a closing parenthesis")?;
            }
        })
    }

    /// Runs `inner` one level further down, within [`COMMAND_DEPTH_MAX`].
    pub(crate) fn deeper<T>(&mut self, inner: impl FnOnce(&mut Self) -> Result<T, Wrong>) -> Result<T, Wrong> {
        if self.depth == COMMAND_DEPTH_MAX {
            return Err(Wrong::Bad("Too many levels of nesting"));
        }
        self.depth += 1;
        let result = inner(self);
        self.depth -= 1;
        result
    }
}

/// ATOM-CHAR of RFC 3501 §9.
pub(crate) fn is_atom_char(byte: u8) -> bool {
    is_astring_char(byte) && byte != b']'
}

pub(crate) fn utf8(text: Cow<'_, [u8]>) -> Result<String, Wrong> {
    String::from_utf8(text.into_owned()).map_err(|_| Wrong::Bad("Text is not valid UTF-8"))
}

/// `mailbox` in UTF-8; INBOX in capitals.
pub(crate) fn named_mailbox(wire: &[u8], names: Names) -> Result<String, Wrong> {
    let mut name = mailbox_name(wire, names)?;
    if name.is_empty() {
        return Err(Wrong::No(crate::imap::Code::Cannot, "Mailbox name is empty"));
    }
    fold_inbox(&mut name);
    Ok(name)
}

/// The UTF-8 form of a wire name or pattern.
fn mailbox_name(wire: &[u8], names: Names) -> Result<String, Wrong> {
    use crate::imap::Code::{Cannot, Limit};
    let name = match names.utf8 {
        false => mutf7::decode(wire).map_err(|_| Wrong::No(Cannot, "Mailbox name is not valid modified UTF-7"))?,
        true => std::str::from_utf8(wire).map_err(|_| Wrong::Bad("Mailbox name is not valid UTF-8"))?.to_owned(),
    };
    let name = names.turned(&name).into_owned();
    if name.len() > MAILBOX_NAME_BYTES_MAX {
        return Err(Wrong::No(Limit, "Mailbox name is too long"));
    }
    if name.chars().any(char::is_control) {
        return Err(Wrong::No(Cannot, "Mailbox name has control characters"));
    }
    Ok(name)
}

/// The first level of a name, when it is INBOX in any case, becomes `INBOX` (RFC 3501 §5.1).
pub(crate) fn fold_inbox(name: &mut String) {
    let inbox = name.get(..5).is_some_and(|first| first.eq_ignore_ascii_case("INBOX"));
    if inbox && name[5..].chars().next().is_none_or(|c| c == SEPARATOR) {
        name.replace_range(..5, "INBOX");
    }
}

/// A short word in capitals, on the stack, to be matched against.
pub(crate) struct Keyword {
    bytes: [u8; 24],
    length: usize,
}

impl Keyword {
    fn of(word: &[u8]) -> Keyword {
        let mut bytes = [0; 24];
        // A longer word is no keyword; the empty one is none either.
        let length = if word.len() <= bytes.len() { word.len() } else { 0 };
        bytes[..length].copy_from_slice(&word[..length]);
        bytes.make_ascii_uppercase();
        Keyword { bytes, length }
    }

    pub(crate) fn as_str(&self) -> &str {
        std::str::from_utf8(&self.bytes[..self.length]).expect("ASCII")
    }
}
