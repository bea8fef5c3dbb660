//! Mailbox names on the wire: modified UTF-7 (RFC 3501 §5.1.3).
//!
//! ```text
//! Entw&APw-rfe  ⇄  Entwürfe        &-  ⇄  &
//! ```
//!
//! Decoding is strict: each name has exactly one wire form, so two different wire names are never one mailbox.

use std::fmt;

const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+,";

/// Why a wire name is no modified UTF-7.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Mutf7Error {
    /// A byte that must be encoded stands for itself.
    RawByte(u8),
    /// `&` without its closing `-`, or with something other than base64 between.
    BrokenShift,
    /// Printable US-ASCII was encoded, a shift ends and the next begins, or spare bits are set.
    NotCanonical,
    /// The encoded part is no UTF-16.
    BadUtf16,
}

impl fmt::Display for Mutf7Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Mutf7Error::RawByte(byte) => write!(f, "byte {byte:#04x} must be encoded"),
            Mutf7Error::BrokenShift => f.write_str("\"&\" without matching \"-\""),
            Mutf7Error::NotCanonical => f.write_str("encoded in another form than the canonical one"),
            Mutf7Error::BadUtf16 => f.write_str("encoded text is not UTF-16"),
        }
    }
}

impl std::error::Error for Mutf7Error {}

/// The name in UTF-8.
pub fn decode(wire: &[u8]) -> Result<String, Mutf7Error> {
    let mut name = String::with_capacity(wire.len());
    let mut rest = wire;
    let mut after_shift = false;
    while let Some((&first, tail)) = rest.split_first() {
        match first {
            b'&' => {
                let end = memchr::memchr(b'-', tail).ok_or(Mutf7Error::BrokenShift)?;
                match end {
                    0 => name.push('&'),
                    _ if after_shift => return Err(Mutf7Error::NotCanonical),
                    _ => decode_shift(&tail[..end], &mut name)?,
                }
                after_shift = end > 0;
                rest = &tail[end + 1..];
            }
            0x20..=0x7e => {
                name.push(first as char);
                after_shift = false;
                rest = tail;
            }
            _ => return Err(Mutf7Error::RawByte(first)),
        }
    }
    Ok(name)
}

fn decode_shift(digits: &[u8], name: &mut String) -> Result<(), Mutf7Error> {
    let (mut window, mut bits) = (0u32, 0u32);
    let mut units = Vec::with_capacity(digits.len() * 6 / 16);
    for &digit in digits {
        window = window << 6 | value(digit).ok_or(Mutf7Error::BrokenShift)?;
        bits += 6;
        if bits >= 16 {
            bits -= 16;
            units.push((window >> bits) as u16);
            window &= (1 << bits) - 1;
        }
    }
    if bits >= 6 || window != 0 || units.is_empty() {
        return Err(Mutf7Error::NotCanonical);
    }
    for decoded in char::decode_utf16(units) {
        match decoded.map_err(|_| Mutf7Error::BadUtf16)? {
            ' '..='~' => return Err(Mutf7Error::NotCanonical),
            c => name.push(c),
        }
    }
    Ok(())
}

fn value(digit: u8) -> Option<u32> {
    Some(u32::from(match digit {
        b'A'..=b'Z' => digit - b'A',
        b'a'..=b'z' => digit - b'a' + 26,
        b'0'..=b'9' => digit - b'0' + 52,
        b'+' => 62,
        b',' => 63,
        _ => return None,
    }))
}

/// Writes the wire form of a name.
pub fn encode(name: &str, out: &mut Vec<u8>) {
    let mut shift = Shift::default();
    for c in name.chars() {
        match c {
            ' '..='~' => {
                shift.close(out);
                out.push(c as u8);
                if c == '&' {
                    out.push(b'-');
                }
            }
            _ => c.encode_utf16(&mut [0; 2]).iter().for_each(|&unit| shift.push(unit, out)),
        }
    }
    shift.close(out);
}

/// An open `&..-` while encoding.
#[derive(Default)]
struct Shift {
    open: bool,
    window: u32,
    bits: u32,
}

impl Shift {
    fn push(&mut self, unit: u16, out: &mut Vec<u8>) {
        if !self.open {
            out.push(b'&');
            self.open = true;
        }
        self.window = self.window << 16 | u32::from(unit);
        self.bits += 16;
        while self.bits >= 6 {
            self.bits -= 6;
            out.push(DIGITS[(self.window >> self.bits & 63) as usize]);
        }
        self.window &= (1 << self.bits) - 1;
    }

    fn close(&mut self, out: &mut Vec<u8>) {
        if !self.open {
            return;
        }
        if self.bits > 0 {
            out.push(DIGITS[(self.window << (6 - self.bits) & 63) as usize]);
        }
        out.push(b'-');
        *self = Shift::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn encoded(name: &str) -> String {
        let mut out = Vec::new();
        encode(name, &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn names_of_the_rfc_and_others_go_both_ways() {
        for (wire, name) in [
            ("INBOX", "INBOX"),
            ("~peter/mail/&U,BTFw-/&ZeVnLIqe-", "~peter/mail/台北/日本語"),
            ("Entw&APw-rfe", "Entwürfe"),
            ("&-", "&"),
            ("a&-b", "a&b"),
            ("&2D3eAA-", "😀"),
            ("&APw-&-&APw-", "ü&ü"),
            ("&AAE-", "\u{1}"),
        ] {
            assert_eq!(decode(wire.as_bytes()).as_deref(), Ok(name));
            assert_eq!(encoded(name), wire);
        }
    }

    #[test]
    fn other_forms_are_refused() {
        for (wire, why) in [
            ("ü", Mutf7Error::RawByte(0xc3)),
            ("a\tb", Mutf7Error::RawByte(9)),
            ("&", Mutf7Error::BrokenShift),
            ("&APw", Mutf7Error::BrokenShift),
            ("&A/w-", Mutf7Error::BrokenShift),
            ("&AGE-", Mutf7Error::NotCanonical),
            ("&APw-&APw-", Mutf7Error::NotCanonical),
            ("&APx-", Mutf7Error::NotCanonical),
            ("&APwA-", Mutf7Error::NotCanonical),
            ("&A-", Mutf7Error::NotCanonical),
            ("&2D0-", Mutf7Error::BadUtf16),
        ] {
            assert_eq!(decode(wire.as_bytes()), Err(why), "{wire}");
        }
    }

    proptest! {
        #[test]
        fn every_name_survives(name in any::<String>()) {
            prop_assert_eq!(decode(encoded(&name).as_bytes()), Ok(name));
        }

        #[test]
        fn what_decodes_has_one_form(wire in "[&a-zA-Z,+/0-9-]{0,12}") {
            if let Ok(name) = decode(wire.as_bytes()) {
                prop_assert_eq!(encoded(&name), wire);
            }
        }
    }
}
