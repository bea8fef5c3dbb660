//! Folding of letters. By i;unicode-casemap (RFC 5051) `Ä` finds `ä`, `A` and an A with two dots behind it.

use skein_base::Collation;
use unicode_normalization::char::decompose_compatible;

/// Folds `text` in place. Each letter by itself, so that a text may be folded in pieces.
pub(super) fn fold(text: &mut String, by: Collation) {
    match by {
        Collation::Octet => {}
        Collation::AsciiCasemap => text.make_ascii_lowercase(),
        Collation::UnicodeCasemap if text.is_ascii() => text.make_ascii_lowercase(),
        Collation::UnicodeCasemap => fold_letters(text),
    }
}

fn fold_letters(text: &mut String) {
    let mut out = String::with_capacity(text.len() + text.len() / 4);
    for letter in text.chars() {
        match letter.is_ascii() {
            true => out.push(letter.to_ascii_lowercase()),
            // The way over upper case makes one of `σ` and `ς`.
            false => upper(letter, |upper| out.push(one(upper.to_lowercase()).unwrap_or(upper))),
        }
    }
    *text = out;
}

/// What a letter is compared as: taken apart, each piece in upper case where that is one letter.
///
/// RFC 5051 §2 has it the other way about; taken apart first, a ligature is its letters in any case. Pieces stay in the order that they
/// come in.
pub(super) fn upper(letter: char, mut emit: impl FnMut(char)) {
    decompose_compatible(letter, |piece| emit(one(piece.to_uppercase()).unwrap_or(piece)));
}

fn one(mut letters: impl Iterator<Item = char>) -> Option<char> {
    letters.next().filter(|_| letters.next().is_none())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn letters_that_differ_in_case_alone_fold_alike() {
        for (text, folded) in [
            ("Hello", "hello"),
            ("\u{c4}", "a\u{308}"),
            ("a\u{308}", "a\u{308}"),
            ("stra\u{df}e", "stra\u{df}e"),
            ("\u{fb01}n", "fin"),
            ("\u{1c4}\u{1c5}\u{1c6}", "dz\u{30c}dz\u{30c}dz\u{30c}"),
            ("\u{3a3}\u{3c3}\u{3c2}", "\u{3c3}\u{3c3}\u{3c3}"),
            ("\u{1fb3}\u{1fbc}", "\u{3b1}\u{3b9}\u{3b1}\u{3b9}"),
            ("\u{212a}", "k"),
        ] {
            let mut text = text.to_string();
            fold(&mut text, Collation::UnicodeCasemap);
            assert_eq!(text, folded);
        }
    }

    #[test]
    fn ascii_letters_alone_or_none_fold() {
        for (by, folded) in [(Collation::AsciiCasemap, "he\u{c4}\u{fb01}"), (Collation::Octet, "He\u{c4}\u{fb01}")] {
            let mut text = "He\u{c4}\u{fb01}".to_string();
            fold(&mut text, by);
            assert_eq!(text, folded);
        }
    }
}
