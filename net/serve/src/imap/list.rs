//! LIST and LSUB: which names match, and what is said of each.

use skein_proto::imap::response::{self, ListAttributes};
use skein_store::account::Account;
use std::collections::BTreeMap;

/// What LIST says of one name.
#[derive(Clone, Copy, Default)]
struct Listed {
    /// It is a mailbox (or, for LSUB, subscribed itself).
    real: bool,
    /// Names below it exist.
    children: bool,
}

/// Writes the lines for LIST or LSUB.
///
/// The interpretation is reference and pattern joined (RFC 3501 §6.3.8). Names that only hold others are listed with
/// `\Noselect`. LSUB shows a parent of a subscribed name when `%` stops at it (RFC 3501 §6.3.9).
pub(crate) fn write(account: &Account, reference: &str, pattern: &str, lsub: bool, out: &mut Vec<u8>) {
    let text = format!("{reference}{pattern}");
    let wanted = Pattern::new(&text);
    for (name, listed) in names(account, lsub) {
        if !wanted.matches(&name) || (lsub && !listed.real && !wanted.stops_at_level()) {
            continue;
        }
        let attributes = match (listed.real, listed.children) {
            (true, true) => ListAttributes::HAS_CHILDREN,
            (true, false) => ListAttributes::HAS_NO_CHILDREN,
            (false, _) => ListAttributes::NO_SELECT | ListAttributes::HAS_CHILDREN,
        };
        response::list(out, lsub, attributes, &name);
    }
}

/// All names with their parents, INBOX first as clients expect.
fn names(account: &Account, lsub: bool) -> Vec<(String, Listed)> {
    let mut all: BTreeMap<String, Listed> = BTreeMap::new();
    let mut add = |name: &str| {
        for (at, _) in name.match_indices('/') {
            all.entry(name[..at].to_owned()).or_default().children = true;
        }
        all.entry(name.to_owned()).or_default().real = true;
    };
    if lsub {
        account.subscriptions().for_each(&mut add);
    } else {
        account.mailboxes().for_each(|m| add(m.name));
    }
    let mut names: Vec<(String, Listed)> = all.into_iter().collect();
    if lsub {
        // \HasChildren speaks of mailboxes, not of subscriptions.
        for (name, listed) in &mut names {
            listed.children = account.has_children(name);
        }
    }
    names.sort_by_key(|(name, _)| name != "INBOX");
    names
}

/// A LIST pattern: `*` is anything, `%` anything within a level.
struct Pattern<'a> {
    text: std::borrow::Cow<'a, str>,
}

impl<'a> Pattern<'a> {
    fn new(text: &'a str) -> Pattern<'a> {
        // INBOX is one name in any case; a pattern whose first level spells it means it.
        let first = text.split('/').next().unwrap_or("");
        if first.eq_ignore_ascii_case("INBOX") && first != "INBOX" {
            return Pattern { text: format!("INBOX{}", &text[5..]).into() };
        }
        Pattern { text: text.into() }
    }

    fn stops_at_level(&self) -> bool {
        self.text.ends_with('%')
    }

    fn matches(&self, name: &str) -> bool {
        wildcard(self.text.as_bytes(), name.as_bytes())
            || (name == "INBOX" && wildcard(self.text.to_ascii_uppercase().as_bytes(), b"INBOX"))
    }
}

/// Linear-space match; time is bounded by pattern times name, both bounded by the parser.
fn wildcard(pattern: &[u8], name: &[u8]) -> bool {
    // reach[i]: the pattern read so far matches the first i bytes of the name.
    let mut reach = vec![false; name.len() + 1];
    reach[0] = true;
    for &p in pattern {
        match p {
            b'*' | b'%' => {
                for i in 1..=name.len() {
                    reach[i] |= reach[i - 1] && (p == b'*' || name[i - 1] != b'/');
                }
            }
            _ => {
                for i in (1..=name.len()).rev() {
                    reach[i] = reach[i - 1] && name[i - 1] == p;
                }
                reach[0] = false;
            }
        }
    }
    reach[name.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wildcards_know_levels() {
        for (pattern, name, expect) in [
            ("*", "a/b", true),
            ("%", "a", true),
            ("%", "a/b", false),
            ("a/%", "a/b", true),
            ("a/%", "a/b/c", false),
            ("a*c", "a/b/c", true),
            ("%/%", "a/b", true),
            ("inbox", "INBOX", true),
            ("in%", "INBOX", true),
            ("iNbOx/x", "INBOX/x", true),
            ("", "a", false),
            ("a", "ab", false),
            ("***%%%*", "anything/at/all", true),
        ] {
            assert_eq!(Pattern::new(pattern).matches(name), expect, "{pattern} {name}");
        }
    }
}
