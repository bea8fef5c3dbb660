//! Messages that came as literal8 (RFC 3516 §4.4): parts that say they are binary become parts that any client reads.
//!
//! ```text
//! Content-Transfer-Encoding: binary ─▶ base64           what is no text in lines
//!                                   ─▶ 7bit, 8bit       what is: its bytes stay
//! multipart/.., message/rfc822      ─▶ 8bit             nothing in them is binary any more (RFC 2045 §6.4)
//! ```

use crate::{Kind, Part, Span, structure};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use std::borrow::Cow;

/// Bytes that a line of base64 holds: 76 characters (RFC 2045 §6.8).
const BASE64_LINE_BYTES: usize = 57;
/// Octets of a line of 7bit or 8bit text without its line end (RFC 2045 §2.7).
const TEXT_LINE_BYTES_MAX: usize = 998;

/// A NUL stands outside of the parts that say that they are binary: nothing can be done with it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct StrayNul;

/// The message without binary parts; itself when it has none.
///
/// # Errors
/// A NUL stands where no part says that it is binary.
pub fn without_binary(message: &[u8]) -> Result<Cow<'_, [u8]>, StrayNul> {
    let edits = edits(message, &structure(message));
    let mut out = Vec::new();
    let mut at = 0;
    for Edit { span, becomes } in &edits {
        clean(&message[at..span.range().start], &mut out)?;
        match becomes {
            Becomes::Label(label) => out.extend_from_slice(label.as_bytes()),
            Becomes::Base64 => base64_lines(span.of(message), span.range().end == message.len(), &mut out),
        }
        at = span.range().end;
    }
    if edits.is_empty() {
        return if memchr::memchr(0, message).is_some() { Err(StrayNul) } else { Ok(Cow::Borrowed(message)) };
    }
    clean(&message[at..], &mut out)?;
    Ok(Cow::Owned(out))
}

/// What becomes of a stretch of the message.
struct Edit {
    span: Span,
    becomes: Becomes,
}

enum Becomes {
    Label(&'static str),
    Base64,
}

/// In the order of the message: parts are in the order of their headers, and the bodies of leaves hold no others.
fn edits(message: &[u8], parts: &[Part]) -> Vec<Edit> {
    let mut edits = Vec::new();
    for part in parts {
        let Some(span) = part.fields.encoding.filter(|_| part.encoding(message).eq_ignore_ascii_case(b"binary")) else {
            continue;
        };
        let body = part.body.of(message);
        let text = part.kind != Kind::Leaf || is_text(body);
        let label = match part.kind {
            Kind::Leaf if !text => "base64",
            Kind::Leaf if body.is_ascii() => "7bit",
            _ => "8bit",
        };
        edits.push(Edit { span, becomes: Becomes::Label(label) });
        if !text {
            edits.push(Edit { span: part.body, becomes: Becomes::Base64 });
        }
    }
    edits
}

/// Lines with CRLF, none of them too long, and no NUL (RFC 2045 §2.8).
fn is_text(body: &[u8]) -> bool {
    memchr::memchr(0, body).is_none()
        && body.split_inclusive(|&b| b == b'\n').all(|line| {
            let text = if line.ends_with(b"\n") { line.strip_suffix(b"\r\n") } else { Some(line) };
            text.is_some_and(|text| text.len() <= TEXT_LINE_BYTES_MAX && memchr::memchr(b'\r', text).is_none())
        })
}

fn clean(text: &[u8], out: &mut Vec<u8>) -> Result<(), StrayNul> {
    if memchr::memchr(0, text).is_some() {
        return Err(StrayNul);
    }
    out.extend_from_slice(text);
    Ok(())
}

/// The line end after a part belongs to the boundary; one at the end of the message is its own.
fn base64_lines(bytes: &[u8], at_end: bool, out: &mut Vec<u8>) {
    for (i, line) in bytes.chunks(BASE64_LINE_BYTES).enumerate() {
        if i > 0 {
            out.extend_from_slice(b"\r\n");
        }
        out.extend_from_slice(STANDARD.encode(line).as_bytes());
    }
    if at_end {
        out.extend_from_slice(b"\r\n");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn check(message: &[u8], expect: Result<&[u8], StrayNul>) {
        let got = without_binary(message);
        let shown = got.map(|bytes| bytes.escape_ascii().to_string());
        assert_eq!(shown, expect.map(|bytes| bytes.escape_ascii().to_string()), "{}", message.escape_ascii());
    }

    #[test]
    fn a_binary_message_becomes_base64() {
        check(
            b"MIME-Version: 1.0\r\nContent-Transfer-Encoding: binary\r\n\r\na\0b\n",
            Ok(b"MIME-Version: 1.0\r\nContent-Transfer-Encoding: base64\r\n\r\nYQBiCg==\r\n"),
        );
        let long =
            [&b"Content-Type: x/y\r\nContent-Transfer-Encoding:\r\n BINARY (really)\r\n\r\n"[..], &[0; 60]].concat();
        let lines = format!("{}\r\nAAAA\r\n", "A".repeat(76));
        check(&long, Ok(format!("Content-Type: x/y\r\nContent-Transfer-Encoding:base64\r\n\r\n{lines}").as_bytes()));
    }

    #[test]
    fn text_keeps_its_bytes() {
        for (body, label) in [("", "7bit"), ("a\r\nb\r\n", "7bit"), ("ü\r\nno end", "8bit")] {
            let message =
                |label| format!("Content-Type: text/plain\r\nContent-Transfer-Encoding: {label}\r\n\r\n{body}");
            check(message("binary").as_bytes(), Ok(message(label).as_bytes()));
        }
        let line = |bytes: usize| is_text(&[&vec![b'x'; bytes][..], b"\r\n"].concat());
        assert!(line(TEXT_LINE_BYTES_MAX) && !line(TEXT_LINE_BYTES_MAX + 1));
        for body in [&b"a\n"[..], b"a\rb", b"a\r", b"\0", b"a\r\r\n"] {
            assert!(!is_text(body), "{}", body.escape_ascii());
        }
    }

    #[test]
    fn parts_one_by_one() {
        check(
            b"Content-Type: multipart/mixed; boundary=x\r\nContent-Transfer-Encoding: binary\r\n\r\npreamble\r\n\
              --x\r\n\r\ntext\r\n--x\r\nContent-Type: image/x\r\nContent-Transfer-Encoding: binary\r\n\r\n\0\xff\r\n\
              --x\r\nContent-Type: message/rfc822\r\nContent-Transfer-Encoding: binary\r\n\r\n\
              Content-Type: a/b\r\nContent-Transfer-Encoding: binary\r\n\r\n\0\r\n--x--\r\n",
            Ok(b"Content-Type: multipart/mixed; boundary=x\r\nContent-Transfer-Encoding: 8bit\r\n\r\npreamble\r\n\
              --x\r\n\r\ntext\r\n--x\r\nContent-Type: image/x\r\nContent-Transfer-Encoding: base64\r\n\r\nAP8=\r\n\
              --x\r\nContent-Type: message/rfc822\r\nContent-Transfer-Encoding: 8bit\r\n\r\n\
              Content-Type: a/b\r\nContent-Transfer-Encoding: base64\r\n\r\nAA==\r\n--x--\r\n"),
        );
    }

    #[test]
    fn a_nul_elsewhere_is_refused() {
        check(b"Subject: x\r\n\r\nplain", Ok(b"Subject: x\r\n\r\nplain"));
        check(b"Subject: x\r\n\r\n\0", Err(StrayNul));
        check(b"Subject: \0\r\nContent-Type: x/y\r\nContent-Transfer-Encoding: binary\r\n\r\n\0", Err(StrayNul));
        check(b"Content-Type: x/y\r\nContent-Transfer-Encoding: 8bit\r\n\r\n\0", Err(StrayNul));
        let preamble: &[u8] =
            b"Content-Type: multipart/mixed; boundary=x\r\nContent-Transfer-Encoding: binary\r\n\r\n\0\r\n--x--\r\n";
        check(preamble, Err(StrayNul));
    }

    proptest! {
        #[test]
        fn what_comes_out_has_no_nul_and_means_the_same(body: Vec<u8>, inside: bool) {
            prop_assume!(memchr::memmem::find(&body, b"--x").is_none());
            let (before, after): (&[u8], &[u8]) = match inside {
                true => (b"Content-Type: multipart/mixed; boundary=x\r\n\r\n--x\r\n", b"\r\n--x--\r\n"),
                false => (b"", b""),
            };
            let head = b"Content-Type: a/b\r\nContent-Transfer-Encoding: binary\r\n\r\n";
            let message = [before, head, &body, after].concat();
            let out = without_binary(&message).unwrap();
            prop_assert!(memchr::memchr(0, &out).is_none());
            prop_assert!(matches!(without_binary(&out), Ok(Cow::Borrowed(_))), "once is enough");
            let parts = structure(&out);
            let leaf = parts.last().unwrap();
            let text: Vec<u8> = leaf.body.of(&out).to_vec();
            let decoded = match leaf.encoding(&out) {
                b"base64" => {
                    let digits: Vec<u8> = text.into_iter().filter(|b| !b.is_ascii_whitespace()).collect();
                    STANDARD.decode(digits).unwrap()
                }
                _ => text,
            };
            prop_assert_eq!(decoded, body);
        }

        #[test]
        fn any_message_is_taken_or_refused(message: Vec<u8>) {
            prop_assert_eq!(without_binary(&message).is_err(), message.contains(&0));
        }
    }
}
