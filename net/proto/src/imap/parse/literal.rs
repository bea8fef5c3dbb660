//! Literal headers at the end of a line: `{310}` and `{310+}` (RFC 3501 §4.3, RFC 7888).

/// What a line announces.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Literal {
    /// How many bytes follow; numbers beyond 64 bits are [`u64::MAX`].
    pub(crate) bytes: u64,
    /// `+`: the client does not wait.
    pub(crate) plus: bool,
}

/// Longest text of a header that is looked at: 20 digits, `{`, `+`, `}`, CR, LF.
pub(crate) const HEADER_BYTES_MAX: usize = 25;

/// The header with which this line ends, line break included, whatever stands before it.
pub(crate) fn header(line: &[u8]) -> Option<Literal> {
    let text = line_text(line).strip_suffix(b"}")?;
    let (text, plus) = match text.strip_suffix(b"+") {
        Some(text) => (text, true),
        None => (text, false),
    };
    let digits = text.iter().rev().take_while(|b| b.is_ascii_digit()).count();
    let (before, digits) = text.split_at(text.len() - digits);
    if before.last() != Some(&b'{') || digits.is_empty() {
        return None;
    }
    let add = |n: u64, d: &u8| n.checked_mul(10)?.checked_add(u64::from(d - b'0'));
    Some(Literal { bytes: digits.iter().try_fold(0, add).unwrap_or(u64::MAX), plus })
}

/// The header of a line whose first byte stands outside of quotes; a header inside of quotes is text.
pub(crate) fn header_outside_quotes(line: &[u8]) -> Option<Literal> {
    header(line).filter(|_| !ends_in_quotes(line))
}

fn ends_in_quotes(line: &[u8]) -> bool {
    let (mut rest, mut quoted) = (line, false);
    while let Some(at) = memchr::memchr2(b'"', b'\\', rest) {
        let skip = match rest[at] {
            b'\\' if quoted => 2,
            b'"' => {
                quoted = !quoted;
                1
            }
            _ => 1,
        };
        rest = rest.get(at + skip..).unwrap_or_default();
    }
    quoted
}

/// A line without its CRLF, or bare LF.
pub(crate) fn line_text(line: &[u8]) -> &[u8] {
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    line.strip_suffix(b"\r").unwrap_or(line)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers() {
        let check = |line: &str, want: Option<(u64, bool)>| {
            assert_eq!(header_outside_quotes(line.as_bytes()).map(|l| (l.bytes, l.plus)), want, "{line}");
        };
        check("a LOGIN {3}\r\n", Some((3, false)));
        check("a LOGIN {3+}\n", Some((3, true)));
        check("a LOGIN \"x\" {0}\r\n", Some((0, false)));
        check("a LOGIN \"x\\\"\" {0}\r\n", Some((0, false)));
        check("{99999999999999999999999}\r\n", Some((u64::MAX, false)));
        for line in [
            "",
            "\r\n",
            "}",
            "{}\r\n",
            "{+}\r\n",
            "3}\r\n",
            "{3}x\r\n",
            "{-3}\r\n",
            "a \"x {3}\r\n",
            "a \"\\\" {3}\r\n",
        ] {
            check(line, None);
        }
    }
}
