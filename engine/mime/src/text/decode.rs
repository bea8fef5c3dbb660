//! Transfer encodings (RFC 2045 §6), decoded piece by piece and forgiving.

use memchr::memchr;

/// Bytes that are decoded before they are looked into: fits the first-level cache with what comes after.
const PIECE_BYTES: usize = 8 * 1024;

/// A Content-Transfer-Encoding.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Transfer {
    /// 7bit, 8bit, binary, and whatever is not known.
    Identity,
    Base64,
    QuotedPrintable,
}

impl Transfer {
    pub(super) fn of(name: &[u8]) -> Transfer {
        match name {
            _ if name.eq_ignore_ascii_case(b"base64") => Transfer::Base64,
            _ if name.eq_ignore_ascii_case(b"quoted-printable") => Transfer::QuotedPrintable,
            _ => Transfer::Identity,
        }
    }

    /// Hands the decoded bytes of `body` to `push` until it answers true; true when it did.
    pub(super) fn decode(self, body: &[u8], push: &mut dyn FnMut(&[u8]) -> bool) -> bool {
        match self {
            Transfer::Identity => push(body),
            Transfer::Base64 => base64(body, push),
            Transfer::QuotedPrintable => quoted_printable(body, push),
        }
    }
}

/// Value of each base64 digit; 64 for padding, 65 for bytes that mean nothing.
const DIGITS: [u8; 256] = {
    let mut table = [65; 256];
    let alphabet = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut i = 0;
    while i < 64 {
        table[alphabet[i] as usize] = i as u8;
        i += 1;
    }
    table[b'=' as usize] = 64;
    table
};

fn base64(body: &[u8], push: &mut dyn FnMut(&[u8]) -> bool) -> bool {
    let mut out = Vec::with_capacity(PIECE_BYTES + 4);
    let (mut bits, mut count) = (0u32, 0u32);
    for &byte in body {
        match DIGITS[byte as usize] {
            // Padding ends a run; some mailers start another one after it.
            64 => (bits, count) = (0, 0),
            65 => {}
            digit => {
                bits = bits << 6 | u32::from(digit);
                count += 6;
                if count >= 8 {
                    count -= 8;
                    out.push((bits >> count) as u8);
                    bits &= (1 << count) - 1;
                }
            }
        }
        if out.len() >= PIECE_BYTES {
            if push(&out) {
                return true;
            }
            out.clear();
        }
    }
    push(&out)
}

fn quoted_printable(mut body: &[u8], push: &mut dyn FnMut(&[u8]) -> bool) -> bool {
    let mut out = Vec::with_capacity(PIECE_BYTES);
    while let Some(at) = memchr(b'=', body) {
        out.extend_from_slice(&body[..at]);
        body = &body[at + 1..];
        match body {
            [high, low, rest @ ..] if hex(*high).is_some() && hex(*low).is_some() => {
                out.push(hex(*high).unwrap_or(0) << 4 | hex(*low).unwrap_or(0));
                body = rest;
            }
            _ => match soft_break(body) {
                Some(rest) => body = rest,
                None => out.push(b'='),
            },
        }
        if out.len() >= PIECE_BYTES {
            if push(&out) {
                return true;
            }
            out.clear();
        }
    }
    out.extend_from_slice(body);
    push(&out)
}

/// What follows a soft line break; blanks may stand before the line's end.
fn soft_break(text: &[u8]) -> Option<&[u8]> {
    let blanks = text.iter().take_while(|b| matches!(b, b' ' | b'\t')).count();
    match &text[blanks..] {
        [b'\r', b'\n', rest @ ..] | [b'\n', rest @ ..] => Some(rest),
        [] => Some(b""),
        _ => None,
    }
}

fn hex(digit: u8) -> Option<u8> {
    (digit as char).to_digit(16).map(|d| d as u8)
}
