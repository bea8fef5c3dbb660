//! Finding a folded string in text that arrives in pieces.

use super::charset::{Charset, Decoder};
use super::fold::fold;
use memchr::{memchr, memchr2, memmem};
use skein_base::Collation;

/// Bytes of decoded text that are folded and searched at a time.
const TEXT_BYTES: usize = 8 * 1024;

/// Bytes of a needle that is looked for by its rarest byte. That way is quadratic in the worst case; longer needles take the
/// linear one.
const ASCII_BYTES_MAX: usize = 128;

/// A search string, folded, with what makes the search fast.
#[derive(Clone, Debug)]
pub(super) struct Finder {
    by: Collation,
    folded: memmem::Finder<'static>,
    ascii: bool,
    /// ASCII without a blank: it is within one line wherever lines are folded.
    one_word: bool,
    /// Where the rarest byte of an ASCII needle is: the one to look for.
    rare_at: usize,
}

impl Finder {
    pub(super) fn new(text: &str, by: Collation) -> Finder {
        let mut folded = text.to_owned();
        fold(&mut folded, by);
        let ascii = folded.is_ascii() && folded.len() <= ASCII_BYTES_MAX;
        let one_word = ascii && folded.bytes().all(|byte| byte.is_ascii_graphic());
        let rare_at = (0..folded.len()).min_by_key(|&i| commonness(folded.as_bytes()[i])).unwrap_or(0);
        Finder { by, folded: memmem::Finder::new(folded.as_bytes()).into_owned(), ascii, one_word, rare_at }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.folded.needle().is_empty()
    }

    pub(super) fn collation(&self) -> Collation {
        self.by
    }

    pub(super) fn find_all<'t>(&'t self, texts: &'t [u8]) -> memmem::FindIter<'t, 't> {
        self.folded.find_iter(texts)
    }

    pub(super) fn is_ascii(&self) -> bool {
        self.ascii
    }

    pub(super) fn is_one_word(&self) -> bool {
        self.one_word
    }

    fn len(&self) -> usize {
        self.folded.needle().len()
    }

    /// Makes of a text, or a piece of one, what [`Finder::is_in_folded`] looks into.
    pub(super) fn fold(&self, text: &mut String) {
        fold(text, self.by);
    }

    /// What is different in case alone is the same.
    fn ignores_case(&self) -> bool {
        self.by != Collation::Octet
    }

    pub(super) fn is_in_folded(&self, text: &[u8]) -> bool {
        self.folded.find(text).is_some()
    }

    /// Finds an ASCII needle in bytes that are not folded: looks for its rarest byte, then compares around it.
    pub(super) fn is_in_ascii(&self, text: &[u8]) -> bool {
        let needle = self.folded.needle();
        if needle.is_empty() {
            return true;
        }
        let Some(last) = text.len().checked_sub(needle.len()) else { return false };
        let rare = needle[self.rare_at];
        let upper = if self.ignores_case() { rare.to_ascii_uppercase() } else { rare };
        let mut at = 0;
        while at <= last {
            let window = &text[at + self.rare_at..=last + self.rare_at];
            let found = if rare == upper { memchr(rare, window) } else { memchr2(rare, upper, window) };
            let Some(skip) = found else { return false };
            at += skip;
            let there = &text[at..at + needle.len()];
            if there == needle || self.ignores_case() && there.eq_ignore_ascii_case(needle) {
                return true;
            }
            at += 1;
        }
        false
    }
}

/// How common a byte is in mail, roughly: letters by their order in English text, digits and signs in between.
fn commonness(byte: u8) -> usize {
    const ORDER: &[u8] = b"qzjxkvbywgpfmucldrhsnioate ";
    match ORDER.iter().position(|&b| b == byte) {
        Some(place) => 20 + place * 4,
        None if byte.is_ascii_digit() => 50,
        None if matches!(byte, b'=' | b'-' | b'.' | b',' | b'<' | b'>' | b'"' | b'/') => 60,
        None => 0,
    }
}

/// One search through one text.
pub(super) struct Search<'n> {
    finder: &'n Finder,
    charset: Charset,
    /// `None` as long as bytes can be searched as they are.
    decoder: Option<Decoder>,
    /// The end of what was searched, too short for a match, and what came after.
    window: Vec<u8>,
}

impl<'n> Search<'n> {
    pub(super) fn new(finder: &'n Finder, charset: Charset) -> Search<'n> {
        let raw = finder.is_ascii() && charset.extends_ascii();
        let decoder = (!raw).then(|| charset.decoder());
        Search { finder, charset, decoder, window: Vec::new() }
    }

    /// Searches the next piece; true when the string is found.
    pub(super) fn push(&mut self, piece: &[u8]) -> bool {
        if self.decoder.is_none() {
            if piece.is_ascii() {
                return self.push_raw(piece);
            }
            if self.finder.is_in_ascii(piece) {
                return true;
            }
            // A letter beyond ASCII may hold one of ASCII, as `é` does: from here on bytes are decoded.
            if self.finder.ignores_case() {
                self.window.make_ascii_lowercase();
            }
            self.decoder = Some(self.charset.decoder());
        }
        self.push_decoded(piece, false)
    }

    /// The text is over: true when its last letters, completed, make a match.
    pub(super) fn finish(&mut self) -> bool {
        self.decoder.is_some() && self.push_decoded(b"", true)
    }

    fn push_raw(&mut self, piece: &[u8]) -> bool {
        let keep = self.finder.len().saturating_sub(1);
        // Matches that start in the window need at most `keep` bytes of the piece; the rest is searched without a copy.
        let seam = piece.len().min(keep);
        self.window.extend_from_slice(&piece[..seam]);
        if self.finder.is_in_ascii(&self.window) || self.finder.is_in_ascii(piece) {
            return true;
        }
        if piece.len() >= keep {
            self.window.clear();
            self.window.extend_from_slice(&piece[piece.len() - keep..]);
        } else {
            self.trim_window();
        }
        false
    }

    fn push_decoded(&mut self, mut piece: &[u8], last: bool) -> bool {
        let mut text = String::with_capacity(TEXT_BYTES);
        loop {
            let Some(decoder) = &mut self.decoder else { return false };
            let read = decoder.push(piece, last, &mut text);
            self.finder.fold(&mut text);
            self.window.extend_from_slice(text.as_bytes());
            if self.finder.is_in_folded(&self.window) {
                return true;
            }
            self.trim_window();
            text.clear();
            text.reserve(TEXT_BYTES);
            match read {
                Some(read) => piece = &piece[read..],
                None => return false,
            }
        }
    }

    fn trim_window(&mut self) {
        let keep = self.finder.len().saturating_sub(1);
        let drop = self.window.len().saturating_sub(keep);
        self.window.drain(..drop);
    }
}
