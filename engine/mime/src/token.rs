//! Tokens of structured header fields (RFC 5322 §3.2, RFC 2045 §5.1), read as broken mail needs it.

use memchr::memchr2;
use std::borrow::Cow;

/// The text ended inside a comment, a quoted string or a domain literal, or the wanted token is not there.
pub(crate) struct Broken;

/// Reads one field value from left to right.
pub(crate) struct Cursor<'a> {
    pub(crate) text: &'a [u8],
    pub(crate) at: usize,
    /// Text of the last comment passed, without its outer parentheses.
    pub(crate) comment: Option<Vec<u8>>,
}

impl<'a> Cursor<'a> {
    pub(crate) fn new(text: &'a [u8]) -> Cursor<'a> {
        Cursor { text, at: 0, comment: None }
    }

    pub(crate) fn peek(&self) -> Option<u8> {
        self.text.get(self.at).copied()
    }

    pub(crate) fn done(&self) -> bool {
        self.at >= self.text.len()
    }

    /// Passes white space and comments; true when something is left.
    pub(crate) fn skip(&mut self) -> Result<bool, Broken> {
        while let Some(byte) = self.peek() {
            match byte {
                b' ' | b'\t' | b'\r' | b'\n' => self.at += 1,
                b'(' => self.skip_comment()?,
                _ => return Ok(true),
            }
        }
        Ok(false)
    }

    fn skip_comment(&mut self) -> Result<(), Broken> {
        let (mut depth, mut text) = (0usize, Vec::new());
        self.comment = None;
        while let Some(byte) = self.peek() {
            self.at += 1;
            match byte {
                b'(' if depth == 0 => depth = 1,
                b')' if depth == 1 => {
                    self.comment = Some(text);
                    return Ok(());
                }
                b'\\' => {
                    text.extend(self.peek());
                    self.at += 1;
                }
                b'\n' => {}
                b'\r' => text.extend(self.lone_cr()),
                _ => {
                    depth = depth + usize::from(byte == b'(') - usize::from(byte == b')');
                    text.push(byte);
                }
            }
        }
        self.at = self.text.len();
        Err(Broken)
    }

    /// What a CR just passed stands for: nothing when a line end follows, else a space.
    fn lone_cr(&self) -> Option<u8> {
        (self.peek() != Some(b'\n')).then_some(b' ')
    }

    /// The longest run of bytes that `is` accepts; may be empty.
    pub(crate) fn run(&mut self, is: fn(u8) -> bool) -> &'a [u8] {
        let start = self.at;
        let len = self.text[start..].iter().take_while(|b| is(**b)).count();
        self.at += len;
        &self.text[start..self.at]
    }

    /// A quoted string, unquoted; stands behind its closing quote afterwards. Line ends of folding are dropped.
    pub(crate) fn quoted(&mut self) -> Result<Cow<'a, [u8]>, Broken> {
        debug_assert_eq!(self.peek(), Some(b'"'));
        self.at += 1;
        let rest = &self.text[self.at..];
        if let Some(len) = memchr2(b'"', b'\\', rest)
            && rest[len] == b'"'
            && memchr2(b'\r', b'\n', &rest[..len]).is_none()
        {
            self.at += len + 1;
            return Ok(Cow::Borrowed(&rest[..len]));
        }
        let mut out = Vec::new();
        self.rest_of_quoted(&mut out).map(|()| Cow::Owned(out))
    }

    /// As [`Cursor::quoted`], after what is in `out`. Of a string that does not end, `out` gets what is before its last line end or
    /// backslash, as Dovecot has it.
    pub(crate) fn quoted_into(&mut self, out: &mut Vec<u8>) -> Result<(), Broken> {
        debug_assert_eq!(self.peek(), Some(b'"'));
        self.at += 1;
        self.rest_of_quoted(out)
    }

    fn rest_of_quoted(&mut self, out: &mut Vec<u8>) -> Result<(), Broken> {
        let mut kept = out.len();
        while let Some(byte) = self.peek() {
            self.at += 1;
            match byte {
                b'"' => return Ok(()),
                b'\\' => {
                    kept = out.len();
                    out.extend(self.peek());
                    self.at += 1;
                }
                b'\n' => kept = out.len(),
                b'\r' => out.extend(self.lone_cr()),
                _ => out.push(byte),
            }
        }
        out.truncate(kept);
        self.at = self.text.len();
        Err(Broken)
    }
}

/// `atext` of RFC 5322 §3.2.3, and everything above ASCII.
pub(crate) fn is_atext(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte >= 0x80 || b"!#$%&'*+-/=?^_`{|}~".contains(&byte)
}

/// `token` of RFC 2045 §5.1, and everything above ASCII.
pub(crate) fn is_token(byte: u8) -> bool {
    byte > b' ' && byte != 0x7f && !b"()<>@,;:\\\"/[]?=".contains(&byte)
}
