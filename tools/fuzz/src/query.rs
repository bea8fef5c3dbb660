//! What an operator searches for.

use skein_admin::adm::{Code, meaning};

/// What ages start at: 2026-03-31.
const NOW: i64 = 1_775_000_000;

/// A query, a word on each line behind the mailbox it is asked in: refused with words, or the same when it comes as one line; its
/// opposite finds nothing where it finds everything, and the other way round.
pub fn query(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let mut lines = text.split('\n');
    let mailbox = lines.next().unwrap_or_default();
    let words: Vec<String> = lines.map(str::to_owned).collect();
    let meant = meaning_in(mailbox, &words);
    if words.len() > 1 {
        let line = words.iter().map(|word| format!("\"{}\"", word.replace('\\', "\\\\").replace('"', "\\\"")));
        assert_eq!(meaning_in(mailbox, &[line.collect::<Vec<_>>().join(" ")]), meant, "in one line");
    }
    let (Ok(meant), true) = (meant, words.len() > 1) else { return };
    let not = ["NOT", "("].into_iter().chain(words.iter().map(String::as_str)).chain([")"]);
    match (meant.as_deref(), meaning_in(mailbox, &not.map(str::to_owned).collect::<Vec<_>>())) {
        (_, Err(problem)) => assert!(problem.contains("deeper") || problem.contains("more than"), "{problem}"),
        (None, Ok(not)) => assert_eq!(not.as_deref(), Some("Imap(All)")),
        (Some(all), Ok(None)) => assert_eq!(all, "Imap(All)"),
        (Some(_), Ok(Some(not))) => assert!(not.starts_with("Not("), "{not}"),
    }
}

fn meaning_in(mailbox: &str, words: &[String]) -> Result<Option<String>, String> {
    match meaning(words, NOW, mailbox) {
        Ok(found) => Ok(found.map(|criterion| format!("{criterion:?}"))),
        Err(problem) => {
            assert!(problem.code == Code::Usage && problem.text.len() > "query: ".len(), "{problem}");
            Err(problem.text)
        }
    }
}
