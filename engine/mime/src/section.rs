//! `BODY[section]` of RFC 3501 §6.4.5, as byte ranges.
//!
//! ```text
//! message ──▶ multipart/mixed          HEADER, TEXT: the message's own
//!              1 text/plain            1, 1.MIME
//!              2 message/rfc822        2, 2.MIME, and 2.HEADER, 2.TEXT of the message inside
//!                  └▶ multipart/..     2.1, 2.2: its parts
//! ```

use crate::structure::Kind;
use crate::{Part, Span};

/// A section of a message: which part, and what of it.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Section {
    /// Part numbers from 1, outermost first; empty for the message itself.
    pub path: Vec<u32>,
    /// What of that part.
    pub what: What,
}

/// What of a part is wanted.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum What {
    /// `BODY[]`: the whole message. `BODY[1]`: the part's body, encoded as it is.
    Whole,
    /// `HEADER`: the header block of the message, or of the message inside a message/rfc822 part.
    Header,
    /// `HEADER.FIELDS (..)`: these fields of that block.
    HeaderFields(Vec<String>),
    /// `HEADER.FIELDS.NOT (..)`: all other fields of that block.
    HeaderFieldsNot(Vec<String>),
    /// `TEXT`: the body of the message, or of the message inside a message/rfc822 part.
    Text,
    /// `MIME`: the part's own header block; only with a path.
    Mime,
}

/// What a section needs to know of one part.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Place {
    /// First byte of the part's header block.
    pub header_start: u32,
    /// First byte of its body, one past its header block.
    pub body_start: u32,
    /// One past its body.
    pub body_end: u32,
    /// Index of the first part after this one that is not inside it.
    pub after: u32,
    /// What it contains.
    pub kind: Kind,
}

/// A table of parts, from the message itself or from its cache.
pub trait PartTable {
    /// How many parts; at least one.
    fn count(&self) -> usize;
    /// Where part `index` is. `index` is below [`PartTable::count`].
    fn place(&self, index: usize) -> Place;
}

impl PartTable for [Part] {
    fn count(&self) -> usize {
        self.len()
    }

    fn place(&self, index: usize) -> Place {
        let part = &self[index];
        Place {
            header_start: part.header.start,
            body_start: part.body.start,
            body_end: part.body.end,
            after: part.after,
            kind: part.kind,
        }
    }
}

/// The bytes of the message that a section is made of; `None` when the message has no such part.
///
/// For the two lists of fields it is the header block, to be passed through [`crate::filter_header`].
pub fn locate<T: PartTable + ?Sized>(parts: &T, section: &Section) -> Option<Span> {
    let Some(index) = find(parts, &section.path) else { return part_of_nothing(parts, section) };
    let place = parts.place(index);
    if section.path.is_empty() {
        return match section.what {
            What::Whole => Some(Span { start: place.header_start, end: place.body_end }),
            What::Mime => None,
            _ => Some(of_message(place, &section.what)),
        };
    }
    match section.what {
        What::Whole => Some(Span { start: place.body_start, end: place.body_end }),
        What::Mime => Some(Span { start: place.header_start, end: place.body_start }),
        _ => inner(parts, index).map(|root| of_message(parts.place(root), &section.what)),
    }
}

/// BODYSTRUCTURE shows one empty part in a multipart that has none, since the grammar wants one: so it can be fetched.
fn part_of_nothing<T: PartTable + ?Sized>(parts: &T, section: &Section) -> Option<Span> {
    let (1, path) = section.path.split_last()? else { return None };
    let mut holder = find(parts, path)?;
    if !path.is_empty() && parts.place(holder).kind == Kind::Message {
        holder = inner(parts, holder)?;
    }
    let place = parts.place(holder);
    let childless = place.kind == Kind::Multipart && place.after as usize == holder + 1;
    let empty = Span { start: place.body_start, end: place.body_start };
    (childless && matches!(section.what, What::Whole | What::Mime)).then_some(empty)
}

fn of_message(place: Place, what: &What) -> Span {
    match what {
        What::Text => Span { start: place.body_start, end: place.body_end },
        _ => Span { start: place.header_start, end: place.body_start },
    }
}

/// The part a path leads to.
pub(crate) fn find<T: PartTable + ?Sized>(parts: &T, path: &[u32]) -> Option<usize> {
    if parts.count() == 0 {
        return None;
    }
    let mut at = 0;
    for (level, &number) in path.iter().enumerate() {
        // Below the top, only a multipart or the message inside a message/rfc822 part has numbered parts.
        let holder = match parts.place(at).kind {
            Kind::Multipart => at,
            Kind::Message if level > 0 => inner(parts, at)?,
            _ if level == 0 => at,
            _ => return None,
        };
        at = numbered(parts, holder, number)?;
    }
    Some(at)
}

/// Part `number` of a multipart; a message that is none has one part: itself.
fn numbered<T: PartTable + ?Sized>(parts: &T, holder: usize, number: u32) -> Option<usize> {
    let place = parts.place(holder);
    if place.kind != Kind::Multipart {
        return (number == 1).then_some(holder);
    }
    let mut child = holder + 1;
    for n in 1.. {
        if child >= place.after as usize || child >= parts.count() {
            return None;
        }
        if n == number {
            return Some(child);
        }
        child = (parts.place(child).after as usize).max(child + 1);
    }
    None
}

/// The message inside a message/rfc822 part.
pub(crate) fn inner<T: PartTable + ?Sized>(parts: &T, index: usize) -> Option<usize> {
    let place = parts.place(index);
    let child = index + 1;
    (place.kind == Kind::Message && child < place.after as usize && child < parts.count()).then_some(child)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::structure;

    const MESSAGE: &str = concat!(
        "Content-Type: multipart/mixed; boundary=x\r\n\r\n",
        "--x\r\nA: 1\r\n\r\none\r\n",
        "--x\r\nContent-Type: message/rfc822\r\n\r\nSubject: in\r\nContent-Type: multipart/mixed; boundary=y\r\n\r\n",
        "--y\r\n\r\nfirst\r\n--y\r\nB: 2\r\n\r\nsecond\r\n--y--\r\n",
        "--x\r\nContent-Type: message/rfc822\r\n\r\nSubject: plain\r\n\r\nbody\r\n--x--\r\n",
    );

    fn check(message: &str, path: &[u32], what: What, expect: Option<&str>) {
        let parts = structure(message.as_bytes());
        let span = locate(&parts[..], &Section { path: path.to_vec(), what });
        let found = span.map(|s| std::str::from_utf8(s.of(message.as_bytes())).unwrap());
        assert_eq!(found, expect, "{path:?}");
    }

    #[test]
    fn paths_lead_where_the_rfc_says() {
        use What::*;
        let check = |path: &[u32], what, expect| check(MESSAGE, path, what, expect);
        check(&[], Whole, Some(MESSAGE));
        check(&[], Header, Some("Content-Type: multipart/mixed; boundary=x\r\n\r\n"));
        check(&[], Mime, None);
        check(&[1], Whole, Some("one"));
        check(&[1], Mime, Some("A: 1\r\n\r\n"));
        check(&[1], Header, None);
        check(&[1, 1], Whole, None);
        check(&[2, 1], Whole, Some("first"));
        check(&[2, 2], Mime, Some("B: 2\r\n\r\n"));
        check(&[2, 3], Whole, None);
        check(&[2], Mime, Some("Content-Type: message/rfc822\r\n\r\n"));
        check(&[2], Header, Some("Subject: in\r\nContent-Type: multipart/mixed; boundary=y\r\n\r\n"));
        check(&[3], HeaderFields(vec!["x".into()]), Some("Subject: plain\r\n\r\n"));
        check(&[3], Text, Some("body"));
        check(&[3], Whole, Some("Subject: plain\r\n\r\nbody"));
        check(&[3, 1], Whole, Some("body"));
        check(&[3, 1], Mime, Some("Subject: plain\r\n\r\n"));
        check(&[3, 2], Whole, None);
        check(&[4], Whole, None);
        check(&[0], Whole, None);
    }

    #[test]
    fn a_multipart_without_parts_has_an_empty_one() {
        let message = "Content-Type: multipart/mixed; boundary=x\r\n\r\nno boundary";
        check(message, &[1], What::Whole, Some(""));
        check(message, &[1], What::Mime, Some(""));
        check(message, &[1], What::Header, None);
        check(message, &[2], What::Whole, None);
        let inside =
            format!("Content-Type: multipart/mixed; boundary=y\r\n\r\n--y\r\n{}", message.replace("no boundary", ""));
        check(&inside, &[1, 1], What::Whole, Some(""));
        check(&inside, &[1, 1, 1], What::Whole, None);
    }

    /// RFC 2046 §5.1.1: `encapsulation := delimiter transport-padding CRLF body-part`.
    #[test]
    fn a_boundary_without_a_line_end_begins_no_part() {
        let header = "Content-Type: multipart/mixed; boundary=b\r\n\r\n";
        for last in ["--b", "--b \t", "--bz", "--bz--", "--b--"] {
            let message = format!("{header}--b\r\n\r\nx\r\n{last}");
            check(&message, &[1], What::Whole, Some("x"));
            check(&message, &[2], What::Whole, None);
            check(&format!("{header}--b\r\n{last}"), &[2], What::Whole, None);
            check(&format!("{header}--b\r\nA: b\r\n{last}"), &[1], What::Mime, Some("A: b"));
            check(&format!("{header}{last}"), &[2], What::Whole, None);
        }
        check(&format!("{header}--b\r\n\r\nx\r\n--b\r\n"), &[2], What::Whole, Some(""));
        check(&format!("{header}--b\n\nx\n--b\n"), &[2], What::Whole, Some(""));
    }

    #[test]
    fn a_message_of_one_part_has_part_one() {
        use What::*;
        let check = |path: &[u32], what, expect| check("A: b\r\n\r\nbody", path, what, expect);
        check(&[], Text, Some("body"));
        check(&[1], Whole, Some("body"));
        check(&[1], Mime, Some("A: b\r\n\r\n"));
        check(&[1], Text, None);
        check(&[2], Whole, None);
    }

    /// The empty line after a part's header is the boundary's own line end when there is no body (RFC 2046 §5.1.1).
    #[test]
    fn a_part_of_nothing_but_a_header_has_no_empty_line() {
        let message = concat!(
            "Content-Type: multipart/mixed; boundary=x\r\n\r\n",
            "--x\r\nA: 1\r\n\r\n--x\r\nB: 2\r\n--x\r\n\r\n--x\r\n",
            "Content-Type: message/rfc822\r\n\r\nSubject: in\r\n\r\n--x--\r\n",
        );
        check(message, &[], What::Header, Some("Content-Type: multipart/mixed; boundary=x\r\n\r\n"));
        check(message, &[1], What::Mime, Some("A: 1\r\n"));
        check(message, &[1], What::Whole, Some(""));
        check(message, &[2], What::Mime, Some("B: 2"));
        check(message, &[3], What::Mime, Some(""));
        check(message, &[4], What::Mime, Some("Content-Type: message/rfc822\r\n\r\n"));
        check(message, &[4], What::Header, Some("Subject: in\r\n"));
        check(message, &[4], What::Whole, Some("Subject: in\r\n\r\n"));
    }

    /// Nor has one around a message that has not even a header.
    #[test]
    fn a_part_around_an_empty_message_has_no_empty_line() {
        let message = concat!(
            "Content-Type: multipart/digest; boundary=x\r\n\r\n",
            "--x\r\nan epilogue\r\n--x\r\n--x\r\n\r\n--x\r\n",
            "Content-Type: message/rfc822\r\n\r\n--x--\r\n",
        );
        check(message, &[1], What::Mime, Some("an epilogue"));
        check(message, &[1], What::Whole, Some(""));
        check(message, &[1], What::Header, Some(""));
        check(message, &[2], What::Mime, Some(""));
        check(message, &[3], What::Mime, Some(""));
        check(message, &[4], What::Mime, Some("Content-Type: message/rfc822\r\n"));
        check(message, &[4], What::Header, Some(""));
    }
}
