//! `BINARY[section]` of RFC 3516: what a section is made of when its transfer encodings are taken off.
//!
//! ```text
//! BINARY[2]   a leaf           its body, decoded
//! BINARY[]    what holds parts  as it is, but of each leaf inside the body decoded, and its header saying `binary`
//! ```
//!
//! The RFC speaks of leaves; of the rest Dovecot's reading is taken, so that `BINARY[]` is a message that can be parsed.

use crate::Span;
#[cfg(doc)]
use crate::Transfer;
use crate::header::{FieldNames, filter_header};
use crate::section::{PartTable, Section, What, find, inner, locate};
use crate::structure::Kind;

/// Bytes of the message, in order.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Piece {
    /// As they are.
    AsIs(Span),
    /// A part that has an encoding of its own, which its header tells ([`Transfer::of_header`]).
    Leaf {
        /// The part's header block.
        header: Span,
        /// Its body.
        body: Span,
        /// The header is in the section, before the body: with [`binary_header`] in place of itself when the body is decoded.
        shows_header: bool,
        /// It is a part of a multipart.
        in_multipart: bool,
    },
}

/// What the section of these part numbers is made of; `None` when the message has no such part.
pub fn pieces<T: PartTable + ?Sized>(parts: &T, path: &[u32]) -> Option<Vec<Piece>> {
    let Some(index) = find(parts, path) else {
        let section = Section { path: path.to_vec(), what: What::Whole };
        return locate(parts, &section).map(|span| vec![Piece::AsIs(span)]);
    };
    let place = parts.place(index);
    let start = if path.is_empty() { place.header_start } else { place.body_start };
    let whole = Span { start, end: place.body_end };
    if place.kind == Kind::Leaf {
        return Some(vec![leaf(parts, index, path.is_empty())]);
    }
    let (mut pieces, mut at) = (Vec::new(), whole.start);
    for inside in index + 1..(place.after as usize).min(parts.count()) {
        let place = parts.place(inside);
        // The table of a cache is checked part by part, not for parts that overlap.
        if place.kind != Kind::Leaf || place.header_start < at || place.body_end > whole.end {
            continue;
        }
        push_as_is(Span { start: at, end: place.header_start }, &mut pieces);
        pieces.push(leaf(parts, inside, true));
        at = place.body_end;
    }
    push_as_is(Span { start: at, end: whole.end.max(at) }, &mut pieces);
    Some(pieces)
}

fn push_as_is(span: Span, pieces: &mut Vec<Piece>) {
    if !span.is_empty() {
        pieces.push(Piece::AsIs(span));
    }
}

fn leaf<T: PartTable + ?Sized>(parts: &T, index: usize, shows_header: bool) -> Piece {
    let place = parts.place(index);
    // The message inside a message/rfc822 part is the part after it.
    let in_multipart = index > 0 && inner(parts, index - 1) != Some(index);
    let header = Span { start: place.header_start, end: place.body_start };
    Piece::Leaf { header, body: Span { start: place.body_start, end: place.body_end }, shows_header, in_multipart }
}

/// The header block of a part whose body is decoded: its Content-Transfer-Encoding is `binary`.
pub fn binary_header(header: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(header.len());
    filter_header(header, &FieldNames::of(&["Content-Transfer-Encoding"]), true, &mut out);
    let end = if out.ends_with(b"\r\n\r\n") || out == b"\r\n" { &b"\r\n"[..] } else { b"" };
    out.truncate(out.len() - end.len());
    out.extend_from_slice(b"Content-Transfer-Encoding: binary\r\n");
    out.extend_from_slice(end);
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Transfer, structure};

    const MESSAGE: &str = concat!(
        "MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=x\r\n\r\nbefore\r\n",
        "--x\r\nContent-Transfer-Encoding: base64\r\nA: 1\r\n\r\naGVs\r\nbG8=\r\n",
        "--x\r\nContent-Type: message/rfc822\r\n\r\nSubject: in\r\nContent-Transfer-Encoding: base64\r\n\r\naGVs\r\n",
        "--x\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\na=00=\r\nb \r\n",
        "--x\r\nContent-Transfer-Encoding: x-uuencode\r\n\r\nbegin\r\n--x--\r\nafter\r\n",
    );

    #[derive(Clone, Copy, PartialEq, Eq, Debug)]
    struct UnknownEncoding;

    fn decoded(message: &[u8], path: &[u32]) -> Option<Result<Vec<u8>, UnknownEncoding>> {
        let mut out = Vec::new();
        for piece in pieces(&structure(message)[..], path)? {
            if append(piece, message, &mut out).is_err() {
                return Some(Err(UnknownEncoding));
            }
        }
        Some(Ok(out))
    }

    fn append(piece: Piece, message: &[u8], out: &mut Vec<u8>) -> Result<(), UnknownEncoding> {
        let (header, body, shows_header, in_multipart) = match piece {
            Piece::AsIs(span) => {
                out.extend_from_slice(span.of(message));
                return Ok(());
            }
            Piece::Leaf { header, body, shows_header, in_multipart } => {
                (header.of(message), body, shows_header, in_multipart)
            }
        };
        let transfer = Transfer::of_header(header, in_multipart).ok_or(UnknownEncoding)?;
        match (shows_header, transfer) {
            (false, _) => {}
            (true, Transfer::Identity) => out.extend_from_slice(header),
            (true, _) => out.extend_from_slice(&binary_header(header)),
        }
        transfer.decode(body.of(message), &mut |piece| {
            out.extend_from_slice(piece);
            false
        });
        Ok(())
    }

    fn check(message: &str, path: &[u32], expect: Option<Result<&str, UnknownEncoding>>) {
        let found = decoded(message.as_bytes(), path).map(|found| found.map(|bytes| String::from_utf8(bytes).unwrap()));
        assert_eq!(found, expect.map(|e| e.map(str::to_owned)), "{path:?}");
    }

    #[test]
    fn leaves_are_decoded() {
        check(MESSAGE, &[1], Some(Ok("hello")));
        check(MESSAGE, &[3], Some(Ok("a\0b")));
        check(MESSAGE, &[4], Some(Err(UnknownEncoding)));
        check(MESSAGE, &[5], None);
        check(MESSAGE, &[1, 1], None);
        // Its header says nothing of MIME.
        check(MESSAGE, &[2, 1], Some(Ok("aGVs")));
        check("MIME-Version: 1.0\r\nContent-Transfer-Encoding: base64\r\n\r\naGk=\r\n", &[1], Some(Ok("hi")));
        check("Content-Type: multipart/mixed; boundary=x\r\n\r\nnone", &[1], Some(Ok("")));
    }

    #[test]
    fn what_holds_parts_holds_them_decoded() {
        check(MESSAGE, &[2], Some(Ok("Subject: in\r\nContent-Transfer-Encoding: base64\r\n\r\naGVs")));
        check(MESSAGE, &[], Some(Err(UnknownEncoding)));
        let known = MESSAGE.replace("x-uuencode", "8bit");
        let expect = known
            .replace(
                "Content-Transfer-Encoding: base64\r\nA: 1\r\n\r\naGVs\r\nbG8=",
                "A: 1\r\nContent-Transfer-Encoding: binary\r\n\r\nhello",
            )
            .replace("quoted-printable\r\n\r\na=00=\r\nb ", "binary\r\n\r\na\0b");
        check(&known, &[], Some(Ok(&expect)));
        let plain = "Subject: x\r\n\r\nbody =3D\r\n";
        check(plain, &[], Some(Ok(plain)));
    }

    #[test]
    fn headers_say_binary() {
        let check = |header: &str, expect: &str| assert_eq!(binary_header(header.as_bytes()), expect.as_bytes());
        const BINARY: &str = "Content-Transfer-Encoding: binary\r\n";
        check("\r\n", &format!("{BINARY}\r\n"));
        check("A: b\r\ncontent-transfer-encoding:\r\n base64\r\n\r\n", &format!("A: b\r\n{BINARY}\r\n"));
        check("A: b", &format!("A: b\r\n{BINARY}"));
        check("", BINARY);
    }
}
