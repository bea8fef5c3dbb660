//! Keywords: letters by dovecot-keywords, lists by courierimapkeywords.

use super::entries;
use super::name::{PASSED, Parts};
use crate::error::MigrateError;
use crate::message::read_list;
use std::collections::HashMap;
use std::path::Path;

/// The keyword that stands for Maildir's P.
pub(super) const FORWARDED: &str = "$Forwarded";

/// What the folder knows of keywords.
#[derive(Default)]
pub(super) struct Keywords {
    /// By letter.
    letters: HashMap<char, String>,
    /// By the base of the file's name.
    lists: HashMap<String, Vec<String>>,
}

impl Keywords {
    pub(super) fn read(folder: &Path) -> Result<Keywords, MigrateError> {
        let mut keywords = Keywords::default();
        if let Some(text) = read_list(&folder.join("dovecot-keywords"))? {
            keywords.take_letters(&String::from_utf8_lossy(&text));
        }
        let courier = folder.join("courierimapkeywords");
        if let Some(text) = read_list(&courier.join(":list"))? {
            keywords.take_lists(&String::from_utf8_lossy(&text));
        }
        // Changes since the list was written: a file for each message, a keyword on each line.
        for (name, path) in entries(&courier)? {
            if !name.starts_with([':', '.'])
                && let Some(text) = read_list(&path)?
            {
                let words = String::from_utf8_lossy(&text).lines().map(str::to_owned).collect();
                keywords.lists.insert(name, words);
            }
        }
        Ok(keywords)
    }

    /// `0 $Label1`, a line each; the number is the letter's.
    pub(super) fn take_letters(&mut self, text: &str) {
        for (index, keyword) in text.lines().filter_map(|line| line.split_once(' ')) {
            if let Some(letter) = index.parse().ok().and_then(|index| ('a'..='z').nth(index)) {
                self.letters.insert(letter, keyword.to_owned());
            }
        }
    }

    /// Keywords, a line each, an empty line, then `base:0 2` for each message.
    pub(super) fn take_lists(&mut self, text: &str) {
        let mut lines = text.lines();
        let words: Vec<&str> = lines.by_ref().take_while(|line| !line.is_empty()).collect();
        for (base, numbers) in lines.filter_map(|line| line.rsplit_once(':')) {
            let given = numbers.split(' ').filter_map(|number| words.get(number.parse::<usize>().ok()?));
            self.lists.insert(base.to_owned(), given.map(|word| (*word).to_owned()).collect());
        }
    }

    /// The keywords of a message.
    pub(super) fn of(&self, parts: &Parts<'_>) -> Vec<String> {
        let by_letter = parts.letters.chars().filter_map(|letter| match letter {
            PASSED => Some(FORWARDED),
            letter => self.letters.get(&letter).map(String::as_str),
        });
        let by_list = self.lists.get(parts.base).into_iter().flatten().map(String::as_str);
        let mut all: Vec<String> = Vec::new();
        for keyword in by_letter.chain(by_list) {
            if !all.iter().any(|known| known.eq_ignore_ascii_case(keyword)) {
                all.push(keyword.to_owned());
            }
        }
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn letters_and_lists() {
        let mut keywords = Keywords::default();
        keywords.take_letters("0 $Label1\n2 work\nx\n26 beyond\n");
        keywords.take_lists("one\n$label1\n\n1.a:0 1 7\n2.b:\n");
        let of = |name| keywords.of(&Parts::of(name));
        assert_eq!(of("1.a:2,PSac"), ["$Forwarded", "$Label1", "work", "one"]);
        assert_eq!(of("2.b:2,ab"), ["$Label1"]);
        assert!(of("3.c").is_empty());
    }
}
