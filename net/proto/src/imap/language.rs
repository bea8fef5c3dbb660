//! Languages of texts for people, as LANGUAGE names them (RFC 5255 §3).
//!
//! All texts are English, in ASCII, and so fit both of them: `EN`, and `i-default`, which is for whoever has not chosen. What a client chooses
//! therefore changes nothing but the answer, and is kept nowhere.

use super::parse::Wrong;

/// All of them.
pub(crate) const LANGUAGES: [&str; 2] = ["EN", DEFAULT];

/// What everybody begins with, and what is preferred here.
const DEFAULT: &str = "i-default";

/// Characters of a part of a range (RFC 4647 §2.1).
const SUBTAG_CHARS_MAX: usize = 8;

/// `language-range`: what a client can read.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Range(String);

impl Range {
    /// `(1*8ALPHA *("-" 1*8alphanum)) / "*"`
    pub(crate) fn read(word: &[u8]) -> Result<Range, Wrong> {
        const WRONG: Wrong = Wrong::Bad("Invalid language range");
        let word = std::str::from_utf8(word).map_err(|_| WRONG)?;
        let fits = |(at, subtag): (usize, &str)| {
            let fits = |byte: u8| byte.is_ascii_alphabetic() || at > 0 && byte.is_ascii_digit();
            (1..=SUBTAG_CHARS_MAX).contains(&subtag.len()) && subtag.bytes().all(fits)
        };
        if word != "*" && !word.split('-').enumerate().all(fits) {
            return Err(WRONG);
        }
        Ok(Range(word.to_string()))
    }

    /// The language that it means: without what comes last in the range until one is left that is known (RFC 4647 §3.4).
    fn lookup(&self) -> Option<&'static str> {
        if self.0.eq_ignore_ascii_case("default") {
            return Some(DEFAULT);
        }
        let known = |range: &str| LANGUAGES.into_iter().find(|tag| tag.eq_ignore_ascii_case(range));
        std::iter::successors(Some(&*self.0), |range| Some(range.rsplit_once('-')?.0)).find_map(known)
    }
}

/// The language that a list of ranges chooses: that of the first which means one. `*` is passed over, and where it comes last means the default
/// (RFC 4647 §3.4).
pub(crate) fn choose(ranges: &[Range]) -> Option<&'static str> {
    let any = ranges.last().is_some_and(|range| range.0 == "*");
    ranges.iter().find_map(Range::lookup).or(any.then_some(DEFAULT))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_mean_what_they_begin_with() {
        for (ranges, language) in [
            (&["EN"][..], Some("EN")),
            (&["en-GB-oed"], Some("EN")),
            (&["fr-CA", "en-CA"], Some("EN")),
            (&["I-Default"], Some("i-default")),
            (&["i-default-x-a", "en"], Some("i-default")),
            (&["Default"], Some("i-default")),
            (&["de", "default", "en"], Some("i-default")),
            (&["*"], Some("i-default")),
            (&["*", "en"], Some("EN")),
            (&["de", "*"], Some("i-default")),
            (&["*", "de"], None),
            (&["MUL"], None),
            (&["eng"], None),
            (&["e"], None),
            (&["i"], None),
            (&["i-defaults"], None),
            (&["default-de"], None),
            (&["x-en"], None),
        ] {
            let read = ranges.iter().map(|range| Range::read(range.as_bytes()).unwrap()).collect::<Vec<_>>();
            assert_eq!(choose(&read), language, "{ranges:?}");
        }
    }

    #[test]
    fn what_is_no_range() {
        for right in ["*", "a", "abcdefgh-12345678", "de-1996", "x-1"] {
            assert!(Range::read(right.as_bytes()).is_ok(), "{right}");
        }
        for wrong in ["", "-", "en-", "-en", "en--GB", "abcdefghi", "de-123456789", "1", "en_GB", "en *", "*-CH", "dé"]
        {
            assert_eq!(Range::read(wrong.as_bytes()), Err(Wrong::Bad("Invalid language range")), "{wrong}");
        }
    }
}
