//! What the settings say of mailboxes by their names.

use crate::row::choice;
use crate::stars::stars_match;
use skein_base::SpecialUse;

choice! {
    /// Whether users find a mailbox without having made it.
    MailboxAuto {
        /// They do not.
        No = "no",
        /// It is made for them.
        Create = "create",
        /// And subscribed.
        Subscribe = "subscribe",
    }
}

/// What is said of one mailbox, or of those that a pattern means.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct MailboxRule {
    /// Its name with `/` between levels; `*` stands for any text.
    pub name: String,
    /// Whether users find it without having made it.
    pub auto: MailboxAuto,
    /// What it is for.
    pub special_use: SpecialUse,
    /// Messages that were saved longer ago leave it.
    pub autoexpunge_seconds: Option<u64>,
    /// Of more messages the oldest leave it.
    pub autoexpunge_max_mails: Option<u32>,
}

impl MailboxRule {
    /// What is said of this mailbox: by its own name, or else by the pattern with the most letters.
    pub fn of<'a>(rules: &'a [MailboxRule], mailbox: &str) -> Option<&'a MailboxRule> {
        let meant = rules.iter().filter(|rule| stars_match(&rule.name, mailbox));
        meant.max_by_key(|rule| (!rule.is_pattern(), rule.name.len()))
    }

    /// It is about all mailboxes that a pattern means.
    pub fn is_pattern(&self) -> bool {
        self.name.contains('*')
    }

    /// It is found without having been made.
    pub fn is_auto(&self) -> bool {
        self.auto != MailboxAuto::No
    }

    /// Messages leave it by themselves.
    pub fn expires(&self) -> bool {
        self.autoexpunge_seconds.is_some() || self.autoexpunge_max_mails.is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_with_stars() {
        for (pattern, name, expect) in [
            ("Trash", "Trash", true),
            ("Trash", "Trash/a", false),
            ("Trash*", "Trash/a", true),
            ("Trash/*", "Trash", false),
            ("*", "anything", true),
            ("a*b*c", "a/x/b/c", true),
            ("a*b*c", "a/x/c", false),
            ("*/spam", "x/spam", true),
            ("*/spam", "x/spam2", false),
            ("ab*ba", "aba", false),
        ] {
            assert_eq!(stars_match(pattern, name), expect, "{pattern} {name}");
        }
    }

    #[test]
    fn the_nearest_rule_counts() {
        let rule = |name: &str| MailboxRule { name: name.to_owned(), ..MailboxRule::default() };
        let rules = ["*", "Trash/*", "Trash/keep", "Tr*"].map(rule);
        let of = |mailbox: &str| MailboxRule::of(&rules, mailbox).map(|rule| &*rule.name);
        assert_eq!(of("Trash/keep"), Some("Trash/keep"));
        assert_eq!(of("Trash/keep/x"), Some("Trash/*"));
        assert_eq!(of("Trash"), Some("Tr*"));
        assert_eq!(of("INBOX"), Some("*"));
        assert_eq!(MailboxRule::of(&rules[1..], "INBOX"), None);
    }
}
