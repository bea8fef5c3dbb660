//! Folding of letters: so that `Ä` finds `ä`.

/// Folds `text` in place: lower case of upper case, where each is one letter (i;unicode-casemap of RFC 5051 without its
/// decomposition). The way over upper case makes one of `σ` and `ς`.
pub(super) fn fold(text: &mut String) {
    if text.is_ascii() {
        return text.make_ascii_lowercase();
    }
    *text = text.chars().map(fold_char).collect();
}

fn fold_char(letter: char) -> char {
    if letter.is_ascii() {
        return letter.to_ascii_lowercase();
    }
    let upper = one(letter.to_uppercase()).unwrap_or(letter);
    one(upper.to_lowercase()).unwrap_or(upper)
}

fn one(mut letters: impl Iterator<Item = char>) -> Option<char> {
    letters.next().filter(|_| letters.next().is_none())
}
