//! One thing wrong with a settings file.

use std::fmt;
use std::ops::Range;

/// One thing wrong with a settings file, where, and what to write instead.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Problem {
    /// Line, from 1.
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
    /// The setting; empty when the text is no TOML.
    pub key: String,
    /// What is wrong and what to write.
    pub text: String,
}

impl Problem {
    /// A problem at a byte range of `file`.
    pub fn at(file: &str, span: Range<usize>, key: &str, text: impl Into<String>) -> Problem {
        let before = &file[..file.floor_char_boundary(span.start)];
        let line_start = before.rfind('\n').map_or(0, |at| at + 1);
        Problem {
            line: before.matches('\n').count() + 1,
            column: before[line_start..].chars().count() + 1,
            key: key.to_owned(),
            text: text.into(),
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}, column {}: ", self.line, self.column)?;
        if !self.key.is_empty() {
            write!(f, "{}: ", self.key)?;
        }
        f.write_str(&self.text)
    }
}

impl std::error::Error for Problem {}

/// The known name nearest to a mistyped one: at most a third of its letters (at least one) differ, or only the section does.
pub(crate) fn nearest<'a>(wrong: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let last = |key: &str| key.rsplit('.').next().unwrap_or_default().to_owned();
    known
        .map(|key| {
            let other_section = if last(key) == last(wrong) { 1 } else { usize::MAX };
            (distance(wrong, key).min(other_section), key)
        })
        .min()
        .filter(|(distance, _)| *distance <= (wrong.len() / 3).max(1))
        .map(|(_, key)| key)
}

/// Letters to insert, delete or replace (Levenshtein), on the first 64 letters of each.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().take(64).collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, ca) in a.chars().take(64).enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, cb) in b.iter().enumerate() {
            let replace = diagonal + usize::from(ca != *cb);
            diagonal = row[j + 1];
            row[j + 1] = replace.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_count_from_one_in_characters() {
        let p = Problem::at("a\nüb = 1", 4..5, "k", "t");
        assert_eq!((p.line, p.column), (2, 2));
        assert_eq!(p.to_string(), "line 2, column 2: k: t");
    }

    #[test]
    fn nearest_names() {
        let known = ["data_dir", "auth.cache_seconds", "tls.cert"];
        for (wrong, expect) in [
            ("datadir", Some("data_dir")),
            ("cache_seconds", Some("auth.cache_seconds")),
            ("tsl.cert", Some("tls.cert")),
            ("colour", None),
            ("", None),
        ] {
            assert_eq!(nearest(wrong, known.into_iter()), expect, "{wrong}");
        }
    }
}
