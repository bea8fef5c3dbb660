//! Header blocks: where they end, which fields they hold.
//!
//! ```text
//! Subject : a folded     <- name "Subject", value starts at "a"
//!   line                 <- belongs to the field above
//! no colon here          <- a line without a name: skipped
//!                        <- the empty line ends the block and belongs to it
//! ```

use memchr::{Memchr, memchr, memchr_iter, memrchr};

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
    Fields { lines: Lines::of(block) }
}

/// Iterator of [`fields`].
#[derive(Clone, Debug)]
pub struct Fields<'a> {
    lines: Lines<'a>,
}

impl<'a> Iterator for Fields<'a> {
    type Item = Field<'a>;

    fn next(&mut self) -> Option<Field<'a>> {
        loop {
            let (start, end) = self.lines.next()?;
            if let Some(field) = split(self.lines.block, start, end) {
                return Some(field);
            }
        }
    }
}

/// The fields of one name, in any case: [`fields`] without a look into the others.
pub(crate) fn fields_named<'a>(block: &'a [u8], name: &[u8]) -> impl Iterator<Item = Field<'a>> {
    let named = move |&(start, end): &(usize, usize)| is_named(&block[start..end], name);
    Lines::of(block).filter(named).filter_map(move |(start, end)| split(block, start, end))
}

/// Whether a field with all its lines has this name, in any case, as [`split`] would find it.
fn is_named(line: &[u8], name: &[u8]) -> bool {
    // Most lines are another's by their first letter.
    if line.first().map(u8::to_ascii_lowercase) != name.first().map(u8::to_ascii_lowercase) && !name.is_empty() {
        return false;
    }
    let Some((start, rest)) = line.split_at_checked(name.len()) else { return false };
    let is_blank = |b: &&u8| matches!(b, b' ' | b'\t' | b'\r' | b'\x0c');
    start.eq_ignore_ascii_case(name) && rest.iter().find(|b| !is_blank(b)) == Some(&b':')
}

/// Where the fields of a header block are, and its lines that are none: each with its continuation lines and line ends, up to the
/// empty line or the end.
#[derive(Clone, Debug)]
struct Lines<'a> {
    block: &'a [u8],
    line_ends: Memchr<'a>,
    /// What is before has been told.
    at: usize,
}

impl<'a> Lines<'a> {
    fn of(block: &'a [u8]) -> Lines<'a> {
        Lines { block, line_ends: memchr_iter(b'\n', block), at: 0 }
    }
}

impl Iterator for Lines<'_> {
    type Item = (usize, usize);

    fn next(&mut self) -> Option<(usize, usize)> {
        let start = self.at;
        if is_blank_at(self.block, start) {
            return None;
        }
        loop {
            self.at = self.line_ends.next().map_or(self.block.len(), |at| at + 1);
            if !matches!(self.block.get(self.at), Some(b' ' | b'\t')) {
                return Some((start, self.at));
            }
        }
    }
}

/// Whether an empty line starts there, or nothing any more.
fn is_blank_at(text: &[u8], at: usize) -> bool {
    matches!(text[at..], [] | [b'\n', ..] | [b'\r', b'\n', ..])
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

/// Names of header fields, to be looked up by the lines of many headers.
#[derive(Clone, Debug)]
pub struct FieldNames<'a> {
    names: Vec<&'a [u8]>,
    /// The low bits of their first letters, which both cases share.
    letters: u32,
}

impl<'a> FieldNames<'a> {
    /// Of these.
    pub fn of(names: &'a [impl AsRef<[u8]>]) -> FieldNames<'a> {
        let names: Vec<&[u8]> = names.iter().map(AsRef::as_ref).collect();
        // A line without a name has a first letter too.
        let letter = |name: &&[u8]| name.first().map_or(u32::MAX, |letter| 1 << (letter & 31));
        FieldNames { letters: names.iter().map(letter).fold(0, |all, one| all | one), names }
    }

    /// Whether a field with all its lines has one of them.
    fn has(&self, line: &[u8]) -> bool {
        let may = line.first().is_some_and(|letter| self.letters >> (letter & 31) & 1 == 1);
        may && self.names.iter().any(|name| is_named(line, name))
    }
}

/// Copies the fields of `header` that RFC 3501 §6.4.5 HEADER.FIELDS (or, with `not`, HEADER.FIELDS.NOT) asks for to
/// `out`, in the order of the message, and after them the empty line when `header` has one.
///
/// Lines that are no field have no name, so that they are in every list of what is *not* named.
pub fn filter_header(header: &[u8], names: &FieldNames<'_>, not: bool, out: &mut Vec<u8>) {
    let mut lines = Lines::of(header);
    for (start, end) in &mut lines {
        let line = &header[start..end];
        if names.has(line) != not {
            push_line(line, out);
        }
    }
    if lines.at < header.len() {
        out.extend_from_slice(b"\r\n");
    }
}

/// Everything of a header block that stands on lines of its own: fields with their continuation lines, and lines that are no
/// field.
pub(crate) fn logical_lines(block: &[u8]) -> impl Iterator<Item = &[u8]> {
    Lines::of(block).map(|(start, end)| &block[start..end])
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
            filter_header(BLOCK, &FieldNames::of(names), not, &mut out);
            assert_eq!(String::from_utf8(out).unwrap(), expect);
        };
        check(&["FROM"], false, "From: a@b\r\nfrom:c@d\r\n\r\n");
        check(&["subject", "x"], false, "Subject : one\r\n two\r\nX:\r\n\r\n");
        check(&["from", "x"], true, "Subject : one\r\n two\r\nno colon\r\n at all: x\r\n\r\n");
        check(&["none"], false, "\r\n");
        let mut out = Vec::new();
        filter_header(b"A: b", &FieldNames::of(&["a"]), false, &mut out);
        assert_eq!(out, b"A: b\r\n", "a header without an empty line has none in its lists either");
    }

    /// As [`fields`] would have found them, whatever the bytes are.
    #[test]
    fn fields_of_a_name_are_those_of_all_with_it() {
        let mut found = 0;
        let pieces: [&[u8]; 10] = [b"a", b"A", b"b", b":", b" ", b"\t", b"\r", b"\n", b"\x0c", b"\xe4"];
        for n in 0..10usize.pow(5) {
            let block: Vec<u8> = (0..5).flat_map(|i| pieces[n / 10usize.pow(i) % 10]).copied().collect();
            for name in ["a", "ab"] {
                let all: Vec<&[u8]> = fields(&block).filter(|field| field.is(name)).map(|field| field.line).collect();
                let named: Vec<&[u8]> = fields_named(&block, name.as_bytes()).map(|field| field.line).collect();
                assert_eq!(named, all, "{name} in {:?}", block.escape_ascii().to_string());
                found += all.len();
            }
        }
        assert!(found > 1_000);
    }

    #[test]
    fn broken_blocks_end_somewhere() {
        for (text, len) in [("", 0), ("a", 1), ("\n", 1), ("\r\nx", 2), ("a: b\n\nc", 6), (" a\r\n\r\n", 6)] {
            assert_eq!(header_len(text.as_bytes()), len, "{text:?}");
        }
    }
}
