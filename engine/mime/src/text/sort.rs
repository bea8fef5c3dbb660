//! Text for SORT (RFC 5256): what is compared of subjects and addresses.

use super::word;
use crate::render::{Address, addresses};

/// Bytes of one text that are compared at most.
const COMPARED_BYTES_MAX: usize = 1024;

/// A field's value unfolded, decoded and in upper case: i;unicode-casemap (RFC 5051) without its decomposition.
fn collated(text: &str) -> String {
    let mut out = String::with_capacity(text.len().min(COMPARED_BYTES_MAX));
    for letter in text.chars().flat_map(char::to_uppercase) {
        if out.len() + letter.len_utf8() > COMPARED_BYTES_MAX {
            break;
        }
        out.push(letter);
    }
    out
}

/// The local part of a field's first address, or the name of its first group, as SORT compares it (RFC 5256 §3); empty when there
/// is none.
pub fn first_mailbox(value: &[u8]) -> String {
    let first = addresses(value).into_iter().next();
    match first {
        Some(Address::Mailbox { mailbox: Some(text), .. } | Address::GroupStart(text)) => {
            collated(&String::from_utf8_lossy(&text))
        }
        _ => String::new(),
    }
}

/// What is left of a subject without its `Re:`, `Fwd:`, `(fwd)` and `[list]`, as SORT compares it (RFC 5256 §2.1).
pub fn base_subject(value: &[u8]) -> String {
    let decoded = word::decode(value);
    let spaced = decoded.split([' ', '\t', '\r', '\n']).filter(|word| !word.is_empty());
    let text = spaced.collect::<Vec<_>>().join(" ");
    let mut rest = &text[..];
    loop {
        rest = without_trailers(rest);
        loop {
            let before = rest;
            while let Some(shorter) = after_leader(rest) {
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
            Some(inner) => rest = inner,
            None => return collated(rest),
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

    #[test]
    fn subjects_without_their_trimmings() {
        for (subject, base) in [
            ("a", "A"),
            ("Re: a", "A"),
            ("RE : [list] fwd[x]: a  b (fwd) (FWD)", "A B"),
            ("[foo] Fwd: [bar] Re: fw: b (fWd)  (fwd)", "B"),
            ("b (a)", "B (A)"),
            ("Re: [FWD: c]", "C"),
            ("[fwd: re: [x] d (fwd)]", "D"),
            ("[xyz]", "[XYZ]"),
            ("[a] [b]", "[B]"),
            ("=?iso-8859-1?q?_?=", ""),
            ("Re: =?utf-8?q?=C3=BC?=\r\n\t x", "\u{dc} X"),
            ("=?iso-8859-1?q?RE:_C?=", "C"),
            ("re", "RE"),
            ("rest: x", "REST: X"),
            ("Re: Re:", ""),
            ("[fwd:]", ""),
            ("[unclosed re: x", "[UNCLOSED RE: X"),
            ("stra\u{df}e", "STRASSE"),
        ] {
            assert_eq!(base_subject(subject.as_bytes()), base, "{subject}");
        }
        assert_eq!(base_subject("[".repeat(100_000).as_bytes()).len(), COMPARED_BYTES_MAX);
        assert_eq!(base_subject("re:".repeat(100_000).as_bytes()), "");
        assert_eq!(base_subject("[fwd:".repeat(50_000).as_bytes()).len(), COMPARED_BYTES_MAX);
    }

    #[test]
    fn first_addresses() {
        for (value, mailbox) in [
            ("\"B\" <anna@example.org>, x@y", "ANNA"),
            ("bob@example.org (Bob)", "BOB"),
            ("Friends: a@b;", "FRIENDS"),
            ("", ""),
            (",", ""),
        ] {
            assert_eq!(first_mailbox(value.as_bytes()), mailbox, "{value}");
        }
    }
}
