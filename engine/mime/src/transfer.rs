//! Transfer encodings (RFC 2045 §6), decoded piece by piece and forgiving.
//!
//! ```text
//! "aGVs" "bG8="  ─▶ Decoder ─▶ "hel" "lo"      the same bytes wherever the input is cut
//!                   held: what the next piece decides
//! ```

use crate::header::fields;
use crate::params::single_token;
use memchr::memchr2;

/// Bytes that are decoded before they are looked into: fits the first-level cache with what comes after.
const PIECE_BYTES: usize = 8 * 1024;

/// Blanks before a line's end that quoted-printable takes away (RFC 2045 §6.7 rule 3). Lines of that encoding have 76
/// characters; a longer run is kept, so that what is held from piece to piece is bounded.
const BLANKS_MAX: usize = 1000;

/// A Content-Transfer-Encoding.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Transfer {
    /// `7bit`, `8bit`, `binary`
    Identity,
    /// `base64`
    Base64,
    /// `quoted-printable`
    QuotedPrintable,
}

impl Transfer {
    /// By its name; `None` for one that is not known.
    pub fn of(name: &[u8]) -> Option<Transfer> {
        const NAMES: [(&[u8], Transfer); 5] = [
            (b"7bit", Transfer::Identity),
            (b"8bit", Transfer::Identity),
            (b"binary", Transfer::Identity),
            (b"base64", Transfer::Base64),
            (b"quoted-printable", Transfer::QuotedPrintable),
        ];
        NAMES.into_iter().find(|(known, _)| name.eq_ignore_ascii_case(known)).map(|(_, transfer)| transfer)
    }

    /// That of a part with this header block; `None` for one that is not known. `in_multipart`: the block is a part's of a
    /// multipart; that of a message speaks of MIME only when it has a MIME-Version or a Content-Type.
    pub fn of_header(header: &[u8], in_multipart: bool) -> Option<Transfer> {
        let (mut is_mime, mut unknown, mut found) = (in_multipart, false, None);
        for field in fields(header) {
            is_mime |= field.is("MIME-Version") || field.is("Content-Type");
            if field.is("Content-Transfer-Encoding") && found.is_none() {
                // Parameters are not allowed; some write them.
                let value = field.value.split(|&b| b == b';').next().unwrap_or_default();
                found = single_token(value);
                // Nothing said is nothing done (RFC 2045 §6.1), and what BODYSTRUCTURE says of it.
                unknown |= found.is_none() && !value.trim_ascii().is_empty();
            }
        }
        match found {
            _ if !is_mime => Some(Transfer::Identity),
            Some(name) => Transfer::of(name),
            None if unknown => None,
            None => Some(Transfer::Identity),
        }
    }

    /// Hands the decoded bytes of `body` to `push` until it answers true; true when it did.
    pub(crate) fn decode(self, body: &[u8], push: &mut dyn FnMut(&[u8]) -> bool) -> bool {
        if self == Transfer::Identity {
            return push(body);
        }
        let (mut decoder, mut out) = (Decoder::new(self), Vec::with_capacity(PIECE_BYTES + BLANKS_MAX));
        for piece in body.chunks(PIECE_BYTES) {
            out.clear();
            decoder.push(piece, &mut out);
            if push(&out) {
                return true;
            }
        }
        out.clear();
        decoder.finish(&mut out);
        push(&out)
    }
}

/// Decodes one body that arrives in pieces. What it keeps between them is below 2 KiB.
#[derive(Clone, Debug)]
pub struct Decoder {
    transfer: Transfer,
    /// Base64: bits that make no byte yet.
    bits: u32,
    count: u32,
    /// Quoted-printable: the start of an escape, or blanks that a line's end would take away.
    held: Vec<u8>,
    /// Quoted-printable: blanks have been let out, so that those that follow are part of a longer run.
    run_is_out: bool,
}

impl Decoder {
    /// At the start of a body.
    pub fn new(transfer: Transfer) -> Decoder {
        Decoder { transfer, bits: 0, count: 0, held: Vec::new(), run_is_out: false }
    }

    /// Appends what the next piece decodes to.
    pub fn push(&mut self, piece: &[u8], out: &mut Vec<u8>) {
        match self.transfer {
            Transfer::Identity => out.extend_from_slice(piece),
            Transfer::Base64 => self.base64(piece, out),
            Transfer::QuotedPrintable if self.held.is_empty() => self.quoted_printable(piece, out),
            Transfer::QuotedPrintable => {
                let mut joined = std::mem::take(&mut self.held);
                joined.extend_from_slice(piece);
                self.quoted_printable(&joined, out);
            }
        }
    }

    /// The body is over: appends what was kept.
    pub fn finish(&mut self, out: &mut Vec<u8>) {
        let held = std::mem::take(&mut self.held);
        // Blanks at the end are those of the last line, whose line end a boundary took. An escape of nothing but blanks is a soft
        // line break whose line end is missing.
        let text = held.strip_prefix(b"=").unwrap_or(&held);
        if blanks_at_end(text) < text.len() {
            out.extend_from_slice(&held);
        }
    }

    fn base64(&mut self, piece: &[u8], out: &mut Vec<u8>) {
        let (mut bits, mut count) = (self.bits, self.count);
        out.reserve(piece.len() / 4 * 3 + 3);
        for &byte in piece {
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
        }
        (self.bits, self.count) = (bits, count);
    }

    fn quoted_printable(&mut self, mut text: &[u8], out: &mut Vec<u8>) {
        // Below this nothing is taken back: it was let out before, or stood for itself.
        let mut floor = out.len();
        while let Some(at) = memchr2(b'=', b'\n', text) {
            out.extend_from_slice(&text[..at]);
            if text[at] == b'\n' {
                self.end_line(floor, out);
                text = &text[at + 1..];
                floor = out.len();
                continue;
            }
            match escape(&text[at + 1..]) {
                Escape::Byte(byte, rest) => {
                    out.push(byte);
                    text = rest;
                }
                Escape::SoftBreak(rest) => text = rest,
                Escape::None => {
                    out.push(b'=');
                    text = &text[at + 1..];
                }
                Escape::Cut => {
                    self.held.extend_from_slice(&text[at..]);
                    return;
                }
            }
            self.run_is_out = false;
            floor = out.len();
        }
        out.extend_from_slice(text);
        self.hold_blanks(floor, out);
    }

    /// Takes the blanks at the end of a line away, and ends it.
    fn end_line(&mut self, floor: usize, out: &mut Vec<u8>) {
        let line_end: &[u8] = if out.len() > floor && out.ends_with(b"\r") { b"\r\n" } else { b"\n" };
        out.truncate(out.len() + 1 - line_end.len());
        let blanks = blanks_at_end(&out[floor..]);
        let longer = self.run_is_out && floor + blanks == out.len();
        if blanks <= BLANKS_MAX && !longer {
            out.truncate(out.len() - blanks);
        }
        out.extend_from_slice(line_end);
        self.run_is_out = false;
    }

    /// The piece is over in the middle of a line: its last blanks wait for what follows.
    fn hold_blanks(&mut self, floor: usize, out: &mut Vec<u8>) {
        let cr = usize::from(out.len() > floor && out.ends_with(b"\r"));
        let blanks = blanks_at_end(&out[floor..out.len() - cr]);
        let goes_on = floor + blanks + cr == out.len();
        if blanks > BLANKS_MAX || goes_on && self.run_is_out {
            self.run_is_out = true;
            self.held.extend_from_slice(&out[out.len() - cr..]);
            out.truncate(out.len() - cr);
            return;
        }
        self.run_is_out = false;
        self.held.extend_from_slice(&out[out.len() - blanks - cr..]);
        out.truncate(out.len() - blanks - cr);
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

/// What an `=` starts.
enum Escape<'a> {
    Byte(u8, &'a [u8]),
    SoftBreak(&'a [u8]),
    /// Nothing: it stands for itself.
    None,
    /// The rest decides.
    Cut,
}

/// What follows an `=`; blanks may stand before the end of a line that is broken softly.
fn escape(text: &[u8]) -> Escape<'_> {
    match text {
        [high, low, rest @ ..] if hex(*high).is_some() && hex(*low).is_some() => {
            return Escape::Byte(hex(*high).unwrap_or(0) << 4 | hex(*low).unwrap_or(0), rest);
        }
        [high] if hex(*high).is_some() => return Escape::Cut,
        _ => {}
    }
    let blanks = text.iter().take(BLANKS_MAX + 1).take_while(|b| matches!(b, b' ' | b'\t')).count();
    match &text[blanks..] {
        _ if blanks > BLANKS_MAX => Escape::None,
        [b'\r', b'\n', rest @ ..] | [b'\n', rest @ ..] => Escape::SoftBreak(rest),
        [] | [b'\r'] => Escape::Cut,
        _ => Escape::None,
    }
}

fn blanks_at_end(text: &[u8]) -> usize {
    text.iter().rev().take_while(|b| matches!(b, b' ' | b'\t')).count()
}

fn hex(digit: u8) -> Option<u8> {
    (digit as char).to_digit(16).map(|d| d as u8)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn decoded(transfer: Transfer, pieces: &[&[u8]]) -> Vec<u8> {
        let (mut decoder, mut out) = (Decoder::new(transfer), Vec::new());
        pieces.iter().for_each(|piece| decoder.push(piece, &mut out));
        decoder.finish(&mut out);
        out
    }

    #[test]
    fn quoted_printable_as_it_is_written() {
        for (text, expect) in [
            ("a=3Db", "a=b"),
            ("soft =\r\nbreak", "soft break"),
            ("soft= \t\r\nbreak", "softbreak"),
            ("blanks \t \r\nat ends\t\n", "blanks\r\nat ends\n"),
            ("kept=20\r\nkept=20 \r\n", "kept \r\nkept \r\n"),
            ("no =escape =4", "no =escape =4"),
            ("at the end= ", "at the end"),
            ("at the end \t", "at the end"),
            ("at the end=20", "at the end "),
            (" \t", ""),
            ("at the end =4", "at the end =4"),
            ("a \rb", "a \rb"),
            ("=\r=\r\n", "=\r"),
            ("=00", "\0"),
        ] {
            assert_eq!(decoded(Transfer::QuotedPrintable, &[text.as_bytes()]), expect.as_bytes(), "{text:?}");
        }
    }

    #[test]
    fn base64_as_it_is_written() {
        for (text, expect) in
            [("aGVs\r\n bG8g  \r\n", "hello "), ("YQ==Yg==", "ab"), ("YQ", "a"), ("!Y?Q", "a"), ("", "")]
        {
            assert_eq!(decoded(Transfer::Base64, &[text.as_bytes()]), expect.as_bytes(), "{text:?}");
        }
    }

    /// A line of nothing but blanks must not make the decoder keep it all.
    #[test]
    fn long_runs_of_blanks_are_let_through() {
        for blanks in [BLANKS_MAX, BLANKS_MAX + 1] {
            let (text, blank) = (" ".repeat(blanks), [&b" "[..]].repeat(blanks));
            let expect = if blanks > BLANKS_MAX { text.clone() + "\r\n" } else { "\r\n".to_string() };
            assert_eq!(decoded(Transfer::QuotedPrintable, &[text.as_bytes(), b"\r\n"]), expect.as_bytes());
            assert_eq!(decoded(Transfer::QuotedPrintable, &[&blank[..], &[b"\r", b"\n"]].concat()), expect.as_bytes());
            let soft = [b"=", text.as_bytes(), b"\r\nx"].concat();
            let expect = if blanks > BLANKS_MAX { format!("={text}\r\nx") } else { "x".to_string() };
            assert_eq!(decoded(Transfer::QuotedPrintable, &[&soft]), expect.as_bytes());
        }
        let mut decoder = Decoder::new(Transfer::QuotedPrintable);
        (0..100).for_each(|_| decoder.push(&[b' '; 300], &mut Vec::new()));
        assert!(decoder.held.len() <= BLANKS_MAX + 2);
    }

    #[test]
    fn an_encoding_is_found_in_its_header() {
        for (header, in_multipart, expect) in [
            ("Content-Transfer-Encoding: BASE64\r\n\r\n", true, Some(Transfer::Base64)),
            ("Content-Transfer-Encoding: base64\r\n\r\n", false, Some(Transfer::Identity)),
            ("MIME-Version: 1.0\r\nContent-Transfer-Encoding: (c) base64 (d)\r\n\r\n", false, Some(Transfer::Base64)),
            ("Content-Transfer-Encoding: 8bit; x=y\r\n", true, Some(Transfer::Identity)),
            ("Content-Transfer-Encoding: x-uuencode\r\n", true, None),
            ("Content-Transfer-Encoding: base64 binary\r\n", true, None),
            ("Content-Transfer-Encoding: (none)\r\n", true, None),
            ("Content-Transfer-Encoding:\r\n", true, Some(Transfer::Identity)),
            ("Content-Transfer-Encoding: binary\r\nContent-Transfer-Encoding: x\r\n", true, Some(Transfer::Identity)),
            ("Subject: x\r\n\r\n", true, Some(Transfer::Identity)),
        ] {
            assert_eq!(Transfer::of_header(header.as_bytes(), in_multipart), expect, "{header:?}");
        }
    }

    proptest! {
        #[test]
        fn pieces_decode_as_the_whole(
            words in proptest::collection::vec(proptest::sample::select(vec![
                "=", " ", "\t", "\r", "\n", "\r\n", "a", "F", "=20", "=\r\n", "YWJj", "é", "                ",
            ]), 0..60),
            cuts in proptest::collection::vec(0usize..80, 0..6),
        ) {
            let text = words.concat().into_bytes();
            for transfer in [Transfer::Identity, Transfer::Base64, Transfer::QuotedPrintable] {
                let whole = decoded(transfer, &[&text]);
                let bytes: Vec<&[u8]> = text.chunks(1).collect();
                prop_assert_eq!(&decoded(transfer, &bytes), &whole);
                let mut at: Vec<usize> = cuts.iter().map(|cut| cut % (text.len() + 1)).collect();
                at.sort_unstable();
                at.push(text.len());
                let mut from = 0;
                let pieces: Vec<&[u8]> = at.iter().map(|&to| { let piece = &text[from..to]; from = to; piece }).collect();
                prop_assert_eq!(&decoded(transfer, &pieces), &whole);
            }
        }
    }
}
