//! Header blocks: where they end, which fields they hold.
//!
//! ```text
//! Subject : a folded     <- name "Subject", value starts at "a"
//!   line                 <- belongs to the field above
//! no colon here          <- a line without a name: skipped
//!                        <- the empty line ends the block and belongs to it
//! ```

use memchr::{memchr, memrchr};

/// One field of a header block, unparsed.
#[derive(Clone, Copy, Debug)]
pub struct Field<'a> {
    /// Field name without white space before the colon.
    pub name: &'a [u8],
    /// From the first byte after the colon that is neither space nor tab up to the last line end, folding kept.
    pub value: &'a [u8],
    /// The whole field, name to line end.
    pub line: &'a [u8],
    /// Where `value` starts in the block.
    pub value_at: usize,
}

impl Field<'_> {
    /// True when the field has this name, in any case.
    pub fn is(&self, name: &str) -> bool {
        self.name.eq_ignore_ascii_case(name.as_bytes())
    }
}

/// The fields of a header block in order. Lines without a colon are skipped; the block ends at an empty line.
pub fn fields(block: &[u8]) -> Fields<'_> {
    Fields { block, at: 0 }
}

/// Iterator of [`fields`].
#[derive(Clone, Debug)]
pub struct Fields<'a> {
    block: &'a [u8],
    at: usize,
}

impl<'a> Iterator for Fields<'a> {
    type Item = Field<'a>;

    fn next(&mut self) -> Option<Field<'a>> {
        loop {
            let start = self.at;
            let end = field_end(self.block, start)?;
            self.at = end;
            if let Some(field) = split(self.block, start, end) {
                return Some(field);
            }
        }
    }
}

/// One past the line that starts at `at`, its LF included.
pub(crate) fn line_end(text: &[u8], at: usize) -> usize {
    memchr(b'\n', &text[at..]).map_or(text.len(), |i| at + i + 1)
}

/// True for an empty line, with or without its line end.
pub(crate) fn is_blank(line: &[u8]) -> bool {
    matches!(line, b"\r\n" | b"\n" | b"")
}

/// One past the field that starts at `at`, continuation lines included; `None` at the block's end.
pub(crate) fn field_end(block: &[u8], at: usize) -> Option<usize> {
    let mut end = line_end(block, at);
    if is_blank(&block[at..end]) {
        return None;
    }
    while matches!(block.get(end), Some(b' ' | b'\t')) {
        end = line_end(block, end);
    }
    Some(end)
}

pub(crate) fn split(block: &[u8], start: usize, end: usize) -> Option<Field<'_>> {
    let line = &block[start..end];
    let colon = memchr(b':', line)?;
    if memchr(b'\n', &line[..colon]).is_some() {
        return None;
    }
    let name = line[..colon].trim_ascii_end();
    let text = trim_line_end(line);
    let skip = text[colon + 1..].iter().take_while(|b| matches!(b, b' ' | b'\t')).count();
    let value_at = colon + 1 + skip;
    Some(Field { name, value: &text[value_at..], line, value_at: start + value_at })
}

/// Without its last line end, when it has one.
pub(crate) fn trim_line_end(line: &[u8]) -> &[u8] {
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    line.strip_suffix(b"\r").unwrap_or(line)
}

/// Length of the header block that `message` starts with, the empty line included (the whole message when it has none).
pub fn header_len(message: &[u8]) -> usize {
    let mut at = 0;
    while at < message.len() {
        let end = line_end(message, at);
        if is_blank(&message[at..end]) {
            return end;
        }
        at = end;
    }
    at
}

/// Copies the fields of `header` that RFC 3501 §6.4.5 HEADER.FIELDS (or, with `not`, HEADER.FIELDS.NOT) asks for to
/// `out`, in the order of the message, and after them the empty line when `header` has one.
///
/// Lines that are no field have no name, so that they are in every list of what is *not* named.
pub fn filter_header(header: &[u8], names: &[impl AsRef<[u8]>], not: bool, out: &mut Vec<u8>) {
    let mut at = 0;
    while let Some(end) = field_end(header, at) {
        let name = split(header, at, end).map_or(&b""[..], |field| field.name);
        let listed = names.iter().any(|listed| name.eq_ignore_ascii_case(listed.as_ref()));
        if listed != not {
            push_line(&header[at..end], out);
        }
        at = end;
    }
    if at < header.len() {
        out.extend_from_slice(b"\r\n");
    }
}

/// Everything of a header block that stands on lines of its own: fields with their continuation lines, and lines that are no
/// field.
pub(crate) fn logical_lines(block: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut at = 0;
    std::iter::from_fn(move || {
        let (start, end) = (at, field_end(block, at)?);
        at = end;
        Some(&block[start..end])
    })
}

/// A field at the end of a message that lacks its line end gets one: the list that follows must not run into it.
pub(crate) fn push_line(line: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(line);
    if !line.ends_with(b"\n") {
        out.extend_from_slice(b"\r\n");
    }
}

/// Start of the line end before `at`, where a boundary line starts; the line end belongs to the boundary (RFC 2046 §5.1.1).
pub(crate) fn before_line_end(text: &[u8], at: usize) -> usize {
    debug_assert!(at == 0 || memrchr(b'\n', &text[..at]) == Some(at - 1));
    match text[..at] {
        [.., b'\r', b'\n'] => at - 2,
        [.., b'\n'] => at - 1,
        _ => at,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BLOCK: &[u8] =
        b"From: a@b\r\nSubject : one\r\n two\r\nno colon\r\n at all: x\r\nX:\r\nfrom:c@d\r\n\r\nbody: x\r\n";

    #[test]
    fn fields_are_told_apart() {
        let found: Vec<(&[u8], &[u8])> = fields(BLOCK).map(|f| (f.name, f.value)).collect();
        let expect: [(&[u8], &[u8]); 4] =
            [(b"From", b"a@b"), (b"Subject", b"one\r\n two"), (b"X", b""), (b"from", b"c@d")];
        assert_eq!(found, expect);
        assert!(fields(BLOCK).all(|f| BLOCK[f.value_at..].starts_with(f.value)));
        assert_eq!(&BLOCK[header_len(BLOCK)..], b"body: x\r\n");
    }

    #[test]
    fn lists_of_fields_keep_the_order_of_the_message() {
        let check = |names: &[&str], not: bool, expect: &str| {
            let mut out = Vec::new();
            filter_header(BLOCK, names, not, &mut out);
            assert_eq!(String::from_utf8(out).unwrap(), expect);
        };
        check(&["FROM"], false, "From: a@b\r\nfrom:c@d\r\n\r\n");
        check(&["subject", "x"], false, "Subject : one\r\n two\r\nX:\r\n\r\n");
        check(&["from", "x"], true, "Subject : one\r\n two\r\nno colon\r\n at all: x\r\n\r\n");
        check(&["none"], false, "\r\n");
        let mut out = Vec::new();
        filter_header(b"A: b", &["a"], false, &mut out);
        assert_eq!(out, b"A: b\r\n", "a header without an empty line has none in its lists either");
    }

    #[test]
    fn broken_blocks_end_somewhere() {
        for (text, len) in [("", 0), ("a", 1), ("\n", 1), ("\r\nx", 2), ("a: b\n\nc", 6), (" a\r\n\r\n", 6)] {
            assert_eq!(header_len(text.as_bytes()), len, "{text:?}");
        }
    }
}
