//! `*` is anything, `?` one character.

/// Whether a text matches. Time is bounded by pattern times text, both bounded by the request and the store.
pub(crate) fn matches(pattern: &str, text: &str) -> bool {
    let text: Vec<char> = text.chars().collect();
    // reach[i]: the pattern read so far matches the first i characters of the text.
    let mut reach = vec![false; text.len() + 1];
    reach[0] = true;
    for p in pattern.chars() {
        if p == '*' {
            for i in 1..=text.len() {
                reach[i] |= reach[i - 1];
            }
            continue;
        }
        for i in (1..=text.len()).rev() {
            reach[i] = reach[i - 1] && (p == '?' || p == text[i - 1]);
        }
        reach[0] = false;
    }
    reach[text.len()]
}

/// The same for mailbox names, of which INBOX has any case (RFC 3501 §5.1).
pub(crate) fn matches_mailbox(pattern: &str, name: &str) -> bool {
    matches(pattern, name) || (name == "INBOX" && matches(&pattern.to_ascii_uppercase(), name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stars_and_marks() {
        for (pattern, text, expect) in [
            ("*", "", true),
            ("*", "a/b", true),
            ("a*c", "abc", true),
            ("a*c", "ab", false),
            ("?", "ä", true),
            ("?", "", false),
            ("test?", "test12", false),
            ("**?**", "x", true),
            ("", "x", false),
        ] {
            assert_eq!(matches(pattern, text), expect, "{pattern} {text}");
        }
        assert!(matches_mailbox("inb*", "INBOX") && !matches_mailbox("work", "Work"));
    }
}
