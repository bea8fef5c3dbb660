//! Mailboxes that show what is found in others.

use crate::stars::stars_match;
use skein_base::SpecialUse;
use std::ops::Range;

/// One virtual mailbox of each user.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct VirtualMailbox {
    /// Its name, without what stands before it.
    pub name: String,
    /// What is looked for, as IMAP's SEARCH takes it. None of the settings is without; one that an extension brings is, which says itself what is shown.
    pub query: Option<String>,
    /// Where that stands in the file.
    pub query_span: Range<usize>,
    /// Where it is looked for: names with `*` for any text, behind a `-` where not.
    pub from: Vec<String>,
    /// What it is for.
    pub special_use: SpecialUse,
}

impl VirtualMailbox {
    /// Whether it shows messages of this mailbox.
    pub fn covers(&self, mailbox: &str) -> bool {
        let not = |pattern: &&String| pattern.starts_with('-');
        let is_out = self.from.iter().filter(not).any(|pattern| stars_match(&pattern[1..], mailbox));
        let mut wanted = self.from.iter().filter(|pattern| !not(pattern)).peekable();
        !is_out && (wanted.peek().is_none() || wanted.any(|pattern| stars_match(pattern, mailbox)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mailboxes_in_and_out() {
        for (from, mailbox, expect) in [
            (&[][..], "INBOX", true),
            (&["*", "-Trash*"], "Trash/a", false),
            (&["*", "-Trash*"], "INBOX", true),
            (&["-Junk"], "Junk", false),
            (&["-Junk"], "Junk/a", true),
            (&["INBOX", "Work/*"], "Work/a", true),
            (&["INBOX", "Work/*"], "Sent", false),
            (&["-*", "INBOX"], "INBOX", false),
        ] {
            let from = from.iter().map(|text| (*text).to_owned()).collect();
            let mailbox_of = VirtualMailbox { from, ..VirtualMailbox::default() };
            assert_eq!(mailbox_of.covers(mailbox), expect, "{mailbox_of:?} {mailbox}");
        }
    }
}
