//! Line ends of mail on its way in: a lone LF becomes CRLF, everything else stays.
//!
//! ```text
//! most mail         [ nothing to change ............................. ]   looked at in blocks, copied whole
//! what is changed   LF without CR            \n  ▶ \r\n
//!                   a stuffed dot (LMTP)     \r\n.  ▶ \r\n                for the machine that takes dots out
//! ```
//!
//! IMAP shows CRLF lines (RFC 3501 §2.2 with RFC 5322 §2.1), so mail is stored with them. A lone CR is data and a
//! NUL is kept: what was delivered is what is fetched.

use memchr::memchr_iter;

/// Bytes that are looked at together. The compiler makes a few vector instructions of it, without a branch for each line.
const BLOCK_BYTES: usize = 64;

/// Turns lone LF into CRLF over a message that arrives in pieces.
///
/// The only state is whether the last byte was a CR, so that a CRLF cut between two pieces stays one line end.
#[derive(Clone, Copy, Default, Debug)]
pub struct Crlf {
    after_cr: bool,
}

impl Crlf {
    /// At the start of a message.
    pub fn new() -> Crlf {
        Crlf::default()
    }

    /// Appends `chunk` to `out` with every lone LF as CRLF: at most twice as much. Any cut of the message gives the same bytes.
    pub fn push(&mut self, mut chunk: &[u8], out: &mut Vec<u8>) {
        out.reserve(chunk.len());
        while let Some((plain, rest)) = self.until_lone_lf(chunk) {
            out.extend_from_slice(plain);
            out.extend_from_slice(b"\r\n");
            chunk = rest;
        }
        out.extend_from_slice(chunk);
    }

    /// As [`Crlf::push`] for who only reads: the chunk itself when there is nothing to change, which is nearly always, else `spare` with
    /// what became of it.
    pub fn normal<'a>(&mut self, chunk: &'a [u8], spare: &'a mut Vec<u8>) -> &'a [u8] {
        let Some((plain, rest)) = self.until_lone_lf(chunk) else { return chunk };
        spare.clear();
        spare.reserve(chunk.len() + 1);
        spare.extend_from_slice(plain);
        spare.extend_from_slice(b"\r\n");
        self.push(rest, spare);
        spare
    }

    /// What stands before the first lone LF and what comes behind it. Without one, the chunk is over.
    fn until_lone_lf<'a>(&mut self, chunk: &'a [u8]) -> Option<(&'a [u8], &'a [u8])> {
        let before = if self.after_cr { b'\r' } else { 0 };
        let (plain, rest) = chunk.split_at(unchanged(before, chunk, false));
        match rest.split_first() {
            Some((_lf, rest)) => {
                self.after_cr = false;
                Some((plain, rest))
            }
            None => {
                self.after_cr = plain.last().map_or(self.after_cr, |last| *last == b'\r');
                None
            }
        }
    }
}

/// Length of the beginning of `text`, with `before` in front of it, that has no LF without a CR; with `dots` no dot at the start of a
/// line either.
pub fn unchanged(before: u8, text: &[u8], dots: bool) -> usize {
    let Some(&first) = text.first() else { return 0 };
    if is_changed(before, first, dots) {
        return 0;
    }
    let mut at = 1;
    while let Some(block) = text.get(at..at + BLOCK_BYTES) {
        let previous = &text[at - 1..][..BLOCK_BYTES];
        let changed =
            previous.iter().zip(block).fold(0, |any, (&before, &byte)| any | u8::from(is_changed(before, byte, dots)));
        if changed != 0 {
            break;
        }
        at += BLOCK_BYTES;
    }
    // Here or in the last bytes: by their lines.
    for lf in memchr_iter(b'\n', &text[at - 1..]).map(|found| at - 1 + found) {
        if lf >= at && text[lf - 1] != b'\r' {
            return lf;
        }
        if dots && text.get(lf + 1) == Some(&b'.') {
            return lf + 1;
        }
    }
    text.len()
}

/// Without a branch, so that many are looked at together.
fn is_changed(before: u8, byte: u8, dots: bool) -> bool {
    (byte == b'\n') & (before != b'\r') | dots & (byte == b'.') & (before == b'\n')
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn check(input: &[u8], expect: &[u8]) {
        for cut in 0..=input.len() {
            for second in cut..=input.len() {
                let (mut crlf, mut out) = (Crlf::new(), Vec::new());
                let (mut reader, mut spare, mut read) = (Crlf::new(), b"of the piece before".to_vec(), Vec::new());
                for piece in [&input[..cut], &input[cut..second], &input[second..]] {
                    crlf.push(piece, &mut out);
                    read.extend_from_slice(reader.normal(piece, &mut spare));
                }
                assert_eq!(out, expect, "cut at {cut} and {second}");
                assert_eq!(read, expect, "cut at {cut} and {second}");
            }
        }
    }

    #[test]
    fn lone_lf_becomes_crlf_at_every_cut() {
        check(b"", b"");
        check(b"a\nb\r\nc\n", b"a\r\nb\r\nc\r\n");
        check(b"\n\n\r\n\r\n", b"\r\n\r\n\r\n\r\n");
        check(b"a\rb\r\r\n\0\n", b"a\rb\r\r\n\0\r\n");
        check(b"\r", b"\r");
        check(b"no end", b"no end");
    }

    #[test]
    fn what_is_normal_is_not_copied() {
        let (message, mut spare) = (b"a\r\nb\r\n".repeat(100), Vec::new());
        assert_eq!(Crlf::new().normal(&message, &mut spare).as_ptr(), message.as_ptr());
        assert_eq!(spare.capacity(), 0);
    }

    /// Byte by byte.
    fn model(before: u8, text: &[u8], dots: bool) -> usize {
        let before = std::iter::once(before).chain(text.iter().copied());
        before.zip(text).position(|(before, &byte)| is_changed(before, byte, dots)).unwrap_or(text.len())
    }

    #[test]
    fn a_change_is_found_at_any_place_of_any_block() {
        for len in 0..3 * BLOCK_BYTES {
            for at in 0..len {
                let mut text = vec![b'x'; len];
                text[at] = b'\n';
                assert_eq!(unchanged(0, &text, true), at);
                if at > 0 {
                    text[at - 1] = b'\r';
                    assert_eq!(unchanged(0, &text, true), len);
                    text[at] = b'.';
                    text[at - 1] = b'\n';
                    assert_eq!(unchanged(b'\r', &text, true), if at > 1 { at - 1 } else { at });
                    assert_eq!(unchanged(b'\r', &text, false), if at > 1 { at - 1 } else { len });
                }
            }
        }
    }

    proptest! {
        #[test]
        fn unchanged_like_the_model(
            before in prop::sample::select(b"\r\n\0".to_vec()),
            lines in prop::collection::vec((0_usize..90, prop::sample::select(vec!["\r\n", "\r\n", "\r\n", "\r\n.", "\n", "\r", "."])), 0..9),
            dots in any::<bool>(),
        ) {
            let text: String = lines.iter().map(|(len, end)| "x".repeat(*len) + end).collect();
            prop_assert_eq!(unchanged(before, text.as_bytes(), dots), model(before, text.as_bytes(), dots));
        }
    }
}
