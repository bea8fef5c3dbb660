//! Text for SORT (RFC 5256): what is compared of subjects and addresses.

use super::{fold, word};
use crate::render::{Address, addresses, domain_part, local_part};
use skein_base::Collation;
use std::cmp::Ordering;

/// Bytes of one text that are compared at most.
const COMPARED_BYTES_MAX: usize = 1024;

/// Before texts that are not in the charset that they say: the last character there is, which stands for nothing.
const UNDECODED: char = '\u{10ffff}';

/// A text of a header field.
struct Decoded {
    text: String,
    is_whole: bool,
}

impl Decoded {
    fn of(value: &[u8]) -> Decoded {
        match word::decode_whole(value) {
            Ok(text) => Decoded { text, is_whole: true },
            // Each byte as a character of its own, in the same order, and none of them a space.
            Err(bytes) => {
                let character = |byte: u8| match byte.is_ascii() {
                    true => byte.into(),
                    false => char::from_u32(0xe000 + u32::from(byte)).expect("within the private use area"),
                };
                Decoded { text: bytes.into_iter().map(character).collect(), is_whole: false }
            }
        }
    }

    /// What a part of it is compared by. What could not be decoded is compared as it is, and comes after all else (RFC 5255 §4.6).
    fn key(&self, part: &str, by: Collation) -> String {
        match self.is_whole || part.is_empty() {
            true => collated(part, by),
            false => collated(&[UNDECODED.encode_utf8(&mut [0; 4]), part].concat(), Collation::Octet),
        }
    }
}

/// Which of two texts that were made for it here comes first. What could not be decoded comes last also in descending order.
pub fn compare_texts(a: &str, b: &str, descending: bool) -> Ordering {
    let is_reversed = descending && !a.starts_with(UNDECODED) && !b.starts_with(UNDECODED);
    if is_reversed { b.cmp(a) } else { a.cmp(b) }
}

/// What a text is compared by.
fn collated(text: &str, by: Collation) -> String {
    let start = &text[..text.floor_char_boundary(COMPARED_BYTES_MAX)];
    match by {
        Collation::UnicodeCasemap => apart(text),
        Collation::AsciiCasemap => start.to_ascii_uppercase(),
        Collation::Octet => start.to_owned(),
    }
}

/// By i;unicode-casemap (RFC 5051).
fn apart(text: &str) -> String {
    let mut out = String::with_capacity(text.len().min(COMPARED_BYTES_MAX));
    for letter in text.chars() {
        if out.len() >= COMPARED_BYTES_MAX {
            break;
        }
        fold::upper(letter, |upper| out.push(upper));
    }
    out.truncate(out.floor_char_boundary(COMPARED_BYTES_MAX));
    out
}

/// The local part of a field's first address, or the name of its first group, as SORT compares it (RFC 5256 §3), with the marks of
/// ENVELOPE for what is missing; empty when there is no address.
pub fn first_mailbox(value: &[u8], by: Collation) -> String {
    let first = addresses(value).into_iter().next();
    match first {
        Some(Address::Mailbox { mailbox, .. }) => {
            collated(&String::from_utf8_lossy(local_part(mailbox.as_deref())), by)
        }
        Some(Address::GroupStart(text)) => collated(&String::from_utf8_lossy(&text), by),
        _ => String::new(),
    }
}

/// What a field's first address is shown as: the display name decoded, else the address, as SORT's DISPLAYFROM and DISPLAYTO compare it
/// (RFC 5957 §3); empty when there is none.
pub fn first_display(value: &[u8], by: Collation) -> String {
    match addresses(value).into_iter().next() {
        Some(Address::Mailbox { name, mailbox, domain, broken, .. }) => {
            let name = name.map(|name| Decoded::of(&name)).filter(|name| !name.text.is_empty());
            name.map_or_else(
                || {
                    let parts = [local_part(mailbox.as_deref()), domain_part(domain.as_deref(), broken)];
                    collated(&String::from_utf8_lossy(&parts.join(&b'@')), by)
                },
                |name| name.key(&name.text, by),
            )
        }
        Some(Address::GroupStart(name)) => collated(&String::from_utf8_lossy(&name), by),
        _ => String::new(),
    }
}

/// A subject without its trimmings.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct BaseSubject {
    /// What is compared of it.
    pub text: String,
    /// `Re:`, `Fwd:`, `(fwd)` or `[fwd: ]` was taken off: the message is a reply or a forward.
    pub is_reply: bool,
}

/// What is left of a subject without its `Re:`, `Fwd:`, `(fwd)` and `[list]`, as SORT and THREAD compare it (RFC 5256 §2.1).
pub fn base_subject(value: &[u8], by: Collation) -> BaseSubject {
    let decoded = Decoded::of(value);
    let spaced = decoded.text.split([' ', '\t', '\r', '\n']).filter(|word| !word.is_empty());
    let text = spaced.collect::<Vec<_>>().join(" ");
    let (mut rest, mut is_reply) = (&text[..], false);
    loop {
        let trimmed = without_trailers(rest);
        is_reply |= trimmed.len() < rest.trim_end().len();
        rest = trimmed;
        loop {
            let before = rest;
            while let Some(shorter) = after_leader(rest) {
                is_reply |= shorter.len() < rest.trim_start().len();
                rest = shorter;
            }
            if let Some(shorter) = after_blob(rest).filter(|shorter| !without_trailers(shorter).is_empty()) {
                rest = shorter;
            }
            if rest.len() == before.len() {
                break;
            }
        }
        match strip_prefix_ascii(rest, "[fwd:").and_then(|inner| inner.strip_suffix(']')) {
            Some(inner) => (rest, is_reply) = (inner, true),
            None => return BaseSubject { text: decoded.key(rest, by), is_reply },
        }
    }
}

fn strip_prefix_ascii<'t>(text: &'t str, prefix: &str) -> Option<&'t str> {
    let head = text.get(..prefix.len())?;
    head.eq_ignore_ascii_case(prefix).then(|| &text[prefix.len()..])
}

/// Without `subj-trailer`s.
fn without_trailers(mut text: &str) -> &str {
    loop {
        text = text.trim_end();
        let cut = text.len().saturating_sub("(fwd)".len());
        match text.get(cut..) {
            Some(tail) if tail.eq_ignore_ascii_case("(fwd)") => text = &text[..cut],
            _ => return text,
        }
    }
}

/// Behind a `subj-leader`, when there is one.
fn after_leader(text: &str) -> Option<&str> {
    let trimmed = text.trim_start();
    if trimmed.len() < text.len() {
        return Some(trimmed);
    }
    let mut rest = text;
    while let Some(shorter) = after_blob(rest) {
        rest = shorter;
    }
    let rest = ["re", "fwd", "fw"].iter().find_map(|word| strip_prefix_ascii(rest, word))?.trim_start();
    let rest = after_blob(rest).unwrap_or(rest);
    rest.strip_prefix(':')
}

/// Behind a `subj-blob`, when there is one.
fn after_blob(text: &str) -> Option<&str> {
    let inside = text.strip_prefix('[')?;
    let end = inside.find(['[', ']'])?;
    inside[end..].strip_prefix(']').map(str::trim_start)
}

#[cfg(test)]
mod tests {
    use super::*;

    const UNICODE: Collation = Collation::UnicodeCasemap;

    #[test]
    fn subjects_without_their_trimmings() {
        for (subject, base, is_reply) in [
            ("a", "A", false),
            ("Re: a", "A", true),
            (" a", "A", false),
            ("a (fwd) ", "A", true),
            ("RE : [list] fwd[x]: a  b (fwd) (FWD)", "A B", true),
            ("[foo] Fwd: [bar] Re: fw: b (fWd)  (fwd)", "B", true),
            ("b (a)", "B (A)", false),
            ("Re: [FWD: c]", "C", true),
            ("[FWD: c]", "C", true),
            ("[fwd: re: [x] d (fwd)]", "D", true),
            ("[xyz]", "[XYZ]", false),
            ("[a] [b]", "[B]", false),
            ("=?iso-8859-1?q?_?=", "", false),
            ("Re: =?utf-8?q?=C3=BC?=\r\n\t x", "U\u{308} X", true),
            ("=?iso-8859-1?q?RE:_C?=", "C", true),
            ("re", "RE", false),
            ("rest: x", "REST: X", false),
            ("Re: Re:", "", true),
            ("[fwd:]", "", true),
            ("[unclosed re: x", "[UNCLOSED RE: X", false),
            ("stra\u{df}e", "STRA\u{df}E", false),
        ] {
            assert_eq!(
                base_subject(subject.as_bytes(), UNICODE),
                BaseSubject { text: base.to_string(), is_reply },
                "{subject}"
            );
        }
        assert_eq!(base_subject("[".repeat(100_000).as_bytes(), UNICODE).text.len(), COMPARED_BYTES_MAX);
        assert_eq!(base_subject("\u{fdfa}".repeat(100_000).as_bytes(), UNICODE).text.len(), COMPARED_BYTES_MAX - 1);
        assert_eq!(base_subject("re:".repeat(100_000).as_bytes(), UNICODE).text, "");
        assert_eq!(base_subject("[fwd:".repeat(50_000).as_bytes(), UNICODE).text.len(), COMPARED_BYTES_MAX);
    }

    #[test]
    fn first_addresses() {
        for (value, mailbox) in [
            ("\"B\" <anna@example.org>, x@y", "ANNA"),
            ("bob@example.org (Bob)", "BOB"),
            ("Friends: a@b;", "FRIENDS"),
            ("", ""),
            (",", "MISSING_MAILBOX"),
            ("<>, x@y", "MISSING_MAILBOX"),
        ] {
            assert_eq!(first_mailbox(value.as_bytes(), UNICODE), mailbox, "{value}");
        }
    }

    /// RFC 5957 §3
    #[test]
    fn first_displays() {
        for (value, display) in [
            ("foo bar <a@b.c>", "FOO BAR"),
            ("=?iso-8859-1?q?foo_=E9?= <e@f.g>", "FOO E\u{301}"),
            ("\"\" <e@f.g>", "E@F.G"),
            ("b@c.d (Bob)", "BOB"),
            ("b@c.d, Zoe <z@x>", "B@C.D"),
            ("d", "D@MISSING_DOMAIN"),
            ("<>", "MISSING_MAILBOX@MISSING_DOMAIN"),
            ("a: xx@xx.org;", "A"),
            ("", ""),
        ] {
            assert_eq!(first_display(value.as_bytes(), UNICODE), display, "{value}");
        }
    }

    #[test]
    fn texts_are_compared_by_the_collation() {
        for (by, subject, mailbox, display) in [
            (Collation::UnicodeCasemap, "MA\u{308}\u{df}IG", "ANNA", "ZOE\u{308}"),
            (Collation::AsciiCasemap, "M\u{e4}\u{df}IG", "ANNA", "ZO\u{eb}"),
            (Collation::Octet, "M\u{e4}\u{df}ig", "anna", "Zo\u{eb}"),
        ] {
            // What is trimmed off is not compared.
            let base = base_subject("RE: [x] M\u{e4}\u{df}ig (FWD)".as_bytes(), by);
            assert_eq!(base, BaseSubject { text: subject.to_string(), is_reply: true });
            assert_eq!(first_mailbox(b"Zo <anna@example.org>", by), mailbox);
            assert_eq!(first_display(b"=?iso-8859-1?q?Zo=EB?= <anna@example.org>", by), display);
            let long = "\u{e4}".repeat(COMPARED_BYTES_MAX);
            assert!(
                (COMPARED_BYTES_MAX - 1..=COMPARED_BYTES_MAX).contains(&base_subject(long.as_bytes(), by).text.len())
            );
        }
    }

    /// The example of RFC 5255 §4.6, and a charset that nobody knows.
    #[test]
    fn what_can_not_be_decoded_comes_after_all_else() {
        let subjects: [&[u8]; 5] = [
            b"=?utf-8?q?=D0=C0=D0=BD=D0=B4=D1=80=D0=B5=D0=B9?=",
            b"=?utf-8?q?=D1=81=D0=95=D0=A0=D0=93=D0=95=D0=99?=",
            b"=?utf-8?q?=D0=92=D0=B0=D1=81=D0=B8=D0=BB=D0=B8=FF=B9?=",
            b"=?koi8-r?q?=E1=CC=C5=CB=D3=C5=CA?=",
            b"Re: =?x-unknown?b?QUJD?=",
        ];
        let sorted = |by, descending| {
            let key = |at: &usize| base_subject(subjects[*at - 1], by).text;
            let mut order = vec![1, 2, 3, 4, 5];
            order.sort_by(|a, b| compare_texts(&key(a), &key(b), descending));
            order
        };
        for by in Collation::ALL {
            assert_eq!(sorted(by, false), [4, 2, 5, 3, 1], "{by:?}");
            assert_eq!(sorted(by, true), [2, 4, 5, 3, 1], "{by:?}");
        }
        // It is still a subject, and compared with case.
        let [abc, lower] =
            ["Re: =?x-unknown?q?ABC?= (fwd)", "=?x-unknown?q?abc?="].map(|s| base_subject(s.as_bytes(), UNICODE));
        assert_eq!((abc.text.trim_start_matches(UNDECODED), abc.is_reply), ("ABC", true));
        assert_ne!(abc.text, lower.text);
        assert_eq!(base_subject(b"Re: =?x-unknown?q??=", UNICODE).text, "");
        assert!(first_display(b"=?utf-8?q?=FF?= <a@b>", UNICODE).starts_with(UNDECODED));
        let long = format!("=?x-unknown?q?{}?=", "=FF".repeat(10_000));
        assert!(base_subject(long.as_bytes(), UNICODE).text.len() <= COMPARED_BYTES_MAX);
    }
}
