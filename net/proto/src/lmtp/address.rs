//! Mail addresses of RFC 5321 §4.1.2, with the UTF-8 of RFC 6531 §3.3.

use super::limits::ADDRESS_BYTES_MAX;
use std::fmt;

/// A mailbox: quotes and escapes of the local part taken off, case kept, source route dropped.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Address {
    /// Before the `@`, as it is meant: `"a b"@x` has the local part `a b`. Never empty but by an explicit `""`.
    pub local: String,
    /// After the `@`; an address literal keeps its brackets. `None` for a bare name such as `<postmaster>`.
    pub domain: Option<String>,
}

/// Why a path is none.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum AddressError {
    /// Not of the form `<local@domain>`.
    Syntax,
    /// Longer than [`ADDRESS_BYTES_MAX`].
    TooLong,
}

impl Address {
    /// Reads `local@domain` or `local`, without angle brackets.
    pub fn parse(text: &[u8]) -> Result<Address, AddressError> {
        if text.len() > ADDRESS_BYTES_MAX {
            return Err(AddressError::TooLong);
        }
        // Signs that print nothing could make two addresses look alike, or a line of a log look like two.
        if std::str::from_utf8(text).ok().is_none_or(|text| text.chars().any(|c| c.is_control() || is_line_end(c))) {
            return Err(AddressError::Syntax);
        }
        let (local, rest) = if text.first() == Some(&b'"') { quoted_local(text) } else { dotted_local(text) }?;
        let domain = match rest {
            [] => None,
            [b'@', domain @ ..] if is_domain(domain) => Some(utf8(domain)),
            _ => return Err(AddressError::Syntax),
        };
        Ok(Address { local, domain })
    }

    /// Reads a path, `<...>` with or without a source route, off the front of `text`. Gives the address, `None` for `<>`, and
    /// what follows.
    pub(crate) fn parse_path(text: &[u8]) -> Result<(Option<Address>, &[u8]), AddressError> {
        let text = text.strip_prefix(b"<").ok_or(AddressError::Syntax)?;
        let end = end_of_path(text).ok_or(AddressError::Syntax)?;
        let (path, rest) = (&text[..end], &text[end + 1..]);
        if path.is_empty() {
            return Ok((None, rest));
        }
        Ok((Some(Address::parse(without_route(path)?)?), rest))
    }

    /// True when a client without SMTPUTF8 may say it.
    pub fn is_ascii(&self) -> bool {
        self.local.is_ascii() && self.domain.as_ref().is_none_or(|domain| domain.is_ascii())
    }

    /// The local part cut at the first of the `delimiters` that is not its first character: `anna+lists` is `anna` and
    /// `lists`.
    pub fn split_detail(&self, delimiters: &str) -> (&str, Option<&str>) {
        let delimiter = self.local.char_indices().find(|(at, c)| *at > 0 && delimiters.contains(*c));
        match delimiter {
            Some((at, c)) => (&self.local[..at], Some(&self.local[at + c.len_utf8()..])),
            None => (&self.local, None),
        }
    }

    /// Writes the address, quoted where it must be.
    pub fn write_to(&self, out: &mut Vec<u8>) {
        let plain = !self.local.is_empty() && self.local.split('.').all(|atom| is_atom(atom.as_bytes()));
        if plain {
            out.extend_from_slice(self.local.as_bytes());
        } else {
            out.push(b'"');
            for byte in self.local.bytes() {
                if matches!(byte, b'"' | b'\\') {
                    out.push(b'\\');
                }
                out.push(byte);
            }
            out.push(b'"');
        }
        if let Some(domain) = &self.domain {
            out.push(b'@');
            out.extend_from_slice(domain.as_bytes());
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut out = Vec::with_capacity(self.local.len() + 32);
        self.write_to(&mut out);
        f.write_str(&String::from_utf8_lossy(&out))
    }
}

/// Text that is known to be UTF-8, cut at ASCII.
fn utf8(text: &[u8]) -> String {
    String::from_utf8_lossy(text).into_owned()
}

/// Unicode's own line and paragraph ends, which are no control characters.
fn is_line_end(c: char) -> bool {
    matches!(c, '\u{2028}' | '\u{2029}')
}

/// Where the `>` is that a quoted string does not hold.
fn end_of_path(text: &[u8]) -> Option<usize> {
    let (mut quoted, mut at) = (false, 0);
    while at < text.len() {
        match text[at] {
            b'\\' if quoted => at += 1,
            b'"' => quoted = !quoted,
            b'>' if !quoted => return Some(at),
            _ => {}
        }
        at += 1;
    }
    None
}

/// Drops `@a,@b:`, which RFC 5321 appendix C tells servers to ignore.
fn without_route(path: &[u8]) -> Result<&[u8], AddressError> {
    if path.first() != Some(&b'@') {
        return Ok(path);
    }
    let colon = memchr::memchr(b':', path).ok_or(AddressError::Syntax)?;
    let hops = path[..colon].split(|&b| b == b',').all(|hop| hop.strip_prefix(b"@").is_some_and(is_domain));
    if hops { Ok(&path[colon + 1..]) } else { Err(AddressError::Syntax) }
}

/// `atom.atom`, and what follows it. Dots at the ends or side by side are taken too: some carriers give such addresses.
fn dotted_local(text: &[u8]) -> Result<(String, &[u8]), AddressError> {
    let end = text.iter().position(|&b| !is_atext(b) && b != b'.').unwrap_or(text.len());
    if end == 0 { Err(AddressError::Syntax) } else { Ok((utf8(&text[..end]), &text[end..])) }
}

/// `"text"`, unescaped, and what follows it.
fn quoted_local(text: &[u8]) -> Result<(String, &[u8]), AddressError> {
    let mut local = Vec::new();
    let mut bytes = text.iter().enumerate().skip(1);
    while let Some((at, &byte)) = bytes.next() {
        let meant = match byte {
            b'"' => return Ok((utf8(&local), &text[at + 1..])),
            b'\\' => bytes.next().map(|(_, &escaped)| escaped).ok_or(AddressError::Syntax)?,
            other => other,
        };
        if meant.is_ascii_control() {
            return Err(AddressError::Syntax);
        }
        local.push(meant);
    }
    Err(AddressError::Syntax)
}

/// Labels of letters, digits, `-` and the `_` that real names hold, or of UTF-8; or `[literal]`.
fn is_domain(text: &[u8]) -> bool {
    if let Some(literal) = text.strip_prefix(b"[").and_then(|rest| rest.strip_suffix(b"]")) {
        return !literal.is_empty()
            && literal.iter().all(|b| b.is_ascii_graphic() && !matches!(b, b'[' | b']' | b'\\'));
    }
    let label = |label: &[u8]| {
        !label.is_empty() && label.iter().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | 0x80..))
    };
    text.len() <= 255 && text.split(|&b| b == b'.').all(label)
}

fn is_atom(text: &[u8]) -> bool {
    !text.is_empty() && text.iter().all(|&b| is_atext(b))
}

fn is_atext(b: u8) -> bool {
    b.is_ascii_alphanumeric() || b >= 0x80 || b"!#$%&'*+-/=?^_`{|}~".contains(&b)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn check(path: &str, expect: Result<Option<(&str, Option<&str>)>, AddressError>) {
        let got = Address::parse_path(path.as_bytes());
        let got = got.as_ref().map(|(a, _)| a.as_ref().map(|a| (&*a.local, a.domain.as_deref()))).map_err(|e| *e);
        assert_eq!(got, expect, "{path}");
    }

    #[test]
    fn paths() {
        check("<>", Ok(None));
        check("<a@b>", Ok(Some(("a", Some("b")))));
        check("<Anna.B+x@Example.ORG> SIZE=1", Ok(Some(("Anna.B+x", Some("Example.ORG")))));
        check("<postmaster>", Ok(Some(("postmaster", None))));
        check("<test1>", Ok(Some(("test1", None))));
        check("<@a,@b.c:user@x>", Ok(Some(("user", Some("x")))));
        check("<\"a b\"@x>", Ok(Some(("a b", Some("x")))));
        check("<\"a\\\"\\\\>@\"@x>", Ok(Some(("a\"\\>@", Some("x")))));
        check("<\"\"@x>", Ok(Some(("", Some("x")))));
        check("<a@[127.0.0.1]>", Ok(Some(("a", Some("[127.0.0.1]")))));
        check("<a@[IPv6:::1]>", Ok(Some(("a", Some("[IPv6:::1]")))));
        check("<.a..b.@x_y>", Ok(Some((".a..b.", Some("x_y")))));
        check("<jürgen@bücher.example>", Ok(Some(("jürgen", Some("bücher.example")))));
        check("<\"jürgen \\\"用户\"@例え.テスト>", Ok(Some(("jürgen \"用户", Some("例え.テスト")))));
    }

    #[test]
    fn no_paths() {
        for path in [
            "",
            "<",
            "a@b",
            "<a@b",
            "<@>",
            "<@x>",
            "<@x:>",
            "<a@>",
            "<a@b@c>",
            "<a b@c>",
            "<a@b c>",
            "<a@b..c>",
            "<a@.>",
            "<\"a@b>",
            "<\"a\"b@c>",
            "<@a b:c@d>",
            "<@,@a:c@d>",
            "<a@[]>",
            "<a@[[]>",
            "<(x)a@b>",
            "< a@b>",
            "<\"\\\u{1}\"@b>",
            "<a@b\\>",
        ] {
            check(path, Err(AddressError::Syntax));
        }
        for hidden in ["\u{85}", "\u{2028}", "\u{2029}"] {
            check(&format!("<a{hidden}b@x>"), Err(AddressError::Syntax));
        }
        assert_eq!(Address::parse(b"\xff@x"), Err(AddressError::Syntax));
        check(&format!("<{}@x>", "a".repeat(319)), Err(AddressError::TooLong));
        assert!(Address::parse_path(format!("<{}@x>", "a".repeat(318)).as_bytes()).is_ok());
    }

    #[test]
    fn details() {
        for (local, delimiters, expect) in [
            ("anna+lists", "+", ("anna", Some("lists"))),
            ("anna+a+b", "+", ("anna", Some("a+b"))),
            ("anna-x+y", "+-", ("anna", Some("x+y"))),
            ("anna+", "+", ("anna", Some(""))),
            ("+anna", "+", ("+anna", None)),
            ("anna+x", "", ("anna+x", None)),
        ] {
            let address = Address { local: local.into(), domain: None };
            assert_eq!(address.split_detail(delimiters), expect, "{local}");
        }
    }

    proptest! {
        #[test]
        fn what_is_written_reads_back(local in "[ -~üñ用户]{0,40}", domain in prop::option::of("[a-z]{1,9}(\\.[a-z]{1,9}){0,3}")) {
            let address = Address { local, domain };
            prop_assert_eq!(Address::parse(address.to_string().as_bytes()), Ok(address));
        }

        #[test]
        fn nothing_panics(bytes in prop::collection::vec(prop::sample::select(b"<>@\"\\a.:,[] \x80".to_vec()), 0..30)) {
            let _ = Address::parse_path(&bytes);
        }
    }
}
