//! Charsets: those that encoding_rs knows, and UTF-7 (RFC 2152), which browsers gave up and old mail still has.

use encoding_rs::{CoderResult, Encoding, UTF_8};
use memchr::memrchr;

/// What the bytes of a text mean.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Charset {
    Known(&'static Encoding),
    Utf7,
}

impl Charset {
    /// The one of this name; `None` when nobody knows it.
    pub(super) fn named(label: &[u8]) -> Option<Charset> {
        let names: [&[u8]; 2] = [b"utf-7", b"unicode-1-1-utf-7"];
        match names.iter().any(|name| label.trim_ascii().eq_ignore_ascii_case(name)) {
            true => Some(Charset::Utf7),
            false => Encoding::for_label(label).map(Charset::Known),
        }
    }

    /// Of a charset parameter. US-ASCII, none, and what is not known are read as UTF-8, which they most often are.
    pub(super) fn of(label: Option<&[u8]>) -> Charset {
        let label = label.unwrap_or_default();
        let ascii = label.eq_ignore_ascii_case(b"us-ascii") || label.eq_ignore_ascii_case(b"ascii");
        Charset::named(label).filter(|_| !ascii).unwrap_or(Charset::Known(UTF_8))
    }

    /// ASCII bytes always mean themselves: no second byte of a letter, no shift.
    pub(super) fn extends_ascii(self) -> bool {
        match self {
            Charset::Known(encoding) => {
                encoding == UTF_8 || encoding.is_single_byte() && encoding.is_ascii_compatible()
            }
            Charset::Utf7 => false,
        }
    }

    /// Makes UTF-8 of it, piece by piece. A byte order mark is a letter like any other.
    pub(super) fn decoder(self) -> Decoder {
        match self {
            Charset::Known(encoding) => Decoder::Known(encoding.new_decoder_without_bom_handling()),
            Charset::Utf7 => Decoder::Utf7(Utf7::default()),
        }
    }

    /// The same without the byte order mark that a text may begin with.
    pub(super) fn decoder_after_mark(self) -> Decoder {
        match self {
            Charset::Known(encoding) => Decoder::Known(encoding.new_decoder_with_bom_removal()),
            Charset::Utf7 => self.decoder(),
        }
    }

    /// Appends a whole text. False when there are bytes that mean no letter.
    pub(super) fn decode(self, bytes: &[u8], out: &mut String) -> bool {
        let mut decoder = self.decoder();
        decoder.push_all(bytes, true, out)
    }
}

/// A text in one charset that arrives in pieces.
pub(super) enum Decoder {
    Known(encoding_rs::Decoder),
    Utf7(Utf7),
}

impl Decoder {
    /// Appends as much of a piece as there is room for in `out`, at least a letter; what it has read. `None` when that is all of it. In UTF-7 that is
    /// all, and whatever of a line was held.
    pub(super) fn push(&mut self, piece: &[u8], last: bool, out: &mut String) -> Option<usize> {
        match self {
            Decoder::Known(decoder) => {
                let (result, read, _) = decoder.decode_to_string(piece, out, last);
                (result != CoderResult::InputEmpty).then_some(read)
            }
            Decoder::Utf7(decoder) => {
                decoder.push(piece, last, out);
                None
            }
        }
    }

    /// Appends a whole piece. False when there are bytes in it that mean no letter.
    pub(super) fn push_all(&mut self, piece: &[u8], last: bool, out: &mut String) -> bool {
        match self {
            Decoder::Known(decoder) => {
                out.reserve(decoder.max_utf8_buffer_length(piece.len()).unwrap_or(piece.len() * LETTER_BYTES_MAX));
                let (_, _, has_errors) = decoder.decode_to_string(piece, out, last);
                !has_errors
            }
            Decoder::Utf7(decoder) => decoder.push(piece, last, out),
        }
    }
}

/// Bytes of UTF-8 that a byte may become.
const LETTER_BYTES_MAX: usize = 8;
/// Bytes of a line of UTF-7 that are held; a longer line is cut.
const LINE_BYTES_MAX: usize = 64 * 1024;

/// UTF-7 line by line: no letter goes on behind the end of one, as a line end is none of what letters are made of.
#[derive(Default)]
pub(super) struct Utf7 {
    line: Vec<u8>,
}

impl Utf7 {
    /// False when there are bytes that mean no letter.
    fn push(&mut self, piece: &[u8], last: bool, out: &mut String) -> bool {
        let mut is_whole = true;
        for piece in piece.chunks(LINE_BYTES_MAX) {
            let (ends, begins) = piece.split_at(memrchr(b'\n', piece).map_or(0, |end| end + 1));
            self.line.extend_from_slice(ends);
            if !ends.is_empty() || self.line.len() + begins.len() > LINE_BYTES_MAX {
                is_whole &= self.end_line(out);
            }
            self.line.extend_from_slice(begins);
        }
        if last {
            is_whole &= self.end_line(out);
        }
        is_whole
    }

    fn end_line(&mut self, out: &mut String) -> bool {
        let (text, has_errors) =
            utf7().map_or_else(Default::default, |utf7| utf7.decode_without_bom_handling(&self.line));
        out.push_str(&text);
        self.line.clear();
        !has_errors
    }
}

fn utf7() -> Option<charset::Charset> {
    charset::Charset::for_label(b"utf-7")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The first four are RFC 2152's.
    #[test]
    fn utf7_is_read_in_any_cut() {
        for (bytes, text, is_whole) in [
            (&b"Hi Mom -+Jjo--!"[..], "Hi Mom -\u{263a}-!", true),
            (b"A+ImIDkQ.", "A\u{2262}\u{391}.", true),
            (b"+ZeVnLIqe-", "\u{65e5}\u{672c}\u{8a9e}", true),
            (b"Item 3 is +AKM-1.", "Item 3 is \u{a3}1.", true),
            (b"1 +- 1", "1 + 1", true),
            (b"+2D3cTQ-", "\u{1f44d}", true),
            (b"f+APw-r\r\n+APw\r\nx", "f\u{fc}r\r\n\u{fc}\r\nx", true),
            (b"caf\xe9", "caf\u{fffd}", false),
            (b"", "", true),
        ] {
            for cut in 0..=bytes.len() {
                let (mut out, mut decoder) = (String::new(), Charset::Utf7.decoder());
                let first = decoder.push_all(&bytes[..cut], false, &mut out);
                let second = decoder.push_all(&bytes[cut..], true, &mut out);
                assert_eq!((&*out, first && second), (text, is_whole), "{} at {cut}", bytes.escape_ascii());
            }
        }
    }

    #[test]
    fn long_lines_of_utf7_are_held_in_part() {
        let (mut out, mut decoder) = (String::new(), Utf7::default());
        let piece = [b"+APw-".repeat(LINE_BYTES_MAX / 10), b"\n".to_vec(), b"a".repeat(3 * LINE_BYTES_MAX)].concat();
        for piece in piece.chunks(1000).chain([&piece[..]]) {
            decoder.push(piece, false, &mut out);
            assert!(decoder.line.len() <= LINE_BYTES_MAX);
        }
        decoder.push(b"", true, &mut out);
        let letters = out.chars().filter(|letter| *letter == '\u{fc}').count();
        assert_eq!((letters, out.matches('a').count()), (2 * (LINE_BYTES_MAX / 10), 6 * LINE_BYTES_MAX));
    }
}
