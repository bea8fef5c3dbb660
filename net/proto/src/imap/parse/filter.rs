//! Which mailboxes are meant (RFC 5465 §6, RFC 7377 §2.2).

use super::Wrong;
use super::cursor::Cursor;
use crate::imap::limits::FILTER_MAILBOXES_MAX;
use crate::imap::response::SEPARATOR;

/// `filter-mailboxes`: a way to name many mailboxes at once.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum MailboxFilter {
    /// `selected`: the one that is selected.
    Selected,
    /// `selected-delayed`: the same; what is expunged is told when a command allows it.
    SelectedDelayed,
    /// `inboxes`: where mail may be delivered, which is every mailbox of the user's own.
    Inboxes,
    /// `personal`: all of the user's own.
    Personal,
    /// `subscribed`: those that are subscribed to, whenever that is.
    Subscribed,
    /// `subtree`: these and all below them. The empty name is above all.
    Subtree(Vec<String>),
    /// `subtree-one`: these and those one level below them.
    SubtreeOne(Vec<String>),
    /// `mailboxes`: these.
    Mailboxes(Vec<String>),
}

impl MailboxFilter {
    /// How many names it has.
    pub(crate) fn names(&self) -> usize {
        match self {
            MailboxFilter::Subtree(names) | MailboxFilter::SubtreeOne(names) | MailboxFilter::Mailboxes(names) => {
                names.len()
            }
            _ => 0,
        }
    }

    /// True when it means this mailbox of the user's own, which may be one that is subscribed to. Which mailbox is selected is not known here:
    /// `selected` and `selected-delayed` mean no name.
    pub fn covers(&self, mailbox: &str, is_subscribed: bool) -> bool {
        match self {
            MailboxFilter::Selected | MailboxFilter::SelectedDelayed => false,
            MailboxFilter::Inboxes | MailboxFilter::Personal => true,
            MailboxFilter::Subscribed => is_subscribed,
            MailboxFilter::Subtree(tops) => tops.iter().any(|top| below(top, mailbox).is_some()),
            MailboxFilter::SubtreeOne(tops) => {
                tops.iter().any(|top| below(top, mailbox).is_some_and(|rest| !rest.contains(SEPARATOR)))
            }
            MailboxFilter::Mailboxes(names) => names.iter().any(|name| name == mailbox),
        }
    }
}

/// What follows in a name behind `top` and its separator; nothing for `top` itself.
fn below<'n>(top: &str, name: &'n str) -> Option<&'n str> {
    if top.is_empty() {
        return Some(name);
    }
    match name.strip_prefix(top)? {
        "" => Some(""),
        rest => rest.strip_prefix(SEPARATOR),
    }
}

/// `filter-mailboxes`
pub(super) fn mailbox_filter(c: &mut Cursor<'_>) -> Result<MailboxFilter, Wrong> {
    Ok(match c.keyword().as_str() {
        "SELECTED" => MailboxFilter::Selected,
        "SELECTED-DELAYED" => MailboxFilter::SelectedDelayed,
        "INBOXES" => MailboxFilter::Inboxes,
        "PERSONAL" => MailboxFilter::Personal,
        "SUBSCRIBED" => MailboxFilter::Subscribed,
        "SUBTREE" => MailboxFilter::Subtree(one_or_more(c, true)?),
        "SUBTREE-ONE" => MailboxFilter::SubtreeOne(one_or_more(c, true)?),
        "MAILBOXES" => MailboxFilter::Mailboxes(one_or_more(c, false)?),
        _ => return Err(Wrong::Bad("Unknown mailbox filter")),
    })
}

/// `SP one-or-more-mailbox`: one name, or several in parentheses.
fn one_or_more(c: &mut Cursor<'_>, may_be_empty: bool) -> Result<Vec<String>, Wrong> {
    c.space()?;
    if c.peek() != Some(b'(') {
        return Ok(vec![name(c, may_be_empty)?]);
    }
    let mut names = Vec::new();
    c.list(|c| {
        if names.len() == FILTER_MAILBOXES_MAX {
            return Err(Wrong::Bad("Too many mailboxes"));
        }
        names.push(name(c, may_be_empty)?);
        Ok(())
    })?;
    Ok(names)
}

/// A name that no mailbox can have means none.
fn name(c: &mut Cursor<'_>, may_be_empty: bool) -> Result<String, Wrong> {
    if may_be_empty && c.rest().starts_with(b"\"\"") {
        return c.name_or_empty();
    }
    c.mailbox().or_else(Wrong::into_nobody)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<MailboxFilter, Wrong> {
        let mut cursor = Cursor::new(text.as_bytes(), crate::imap::parse::Enabling::default());
        let filter = mailbox_filter(&mut cursor)?;
        cursor.end()?;
        Ok(filter)
    }

    #[test]
    fn filters_are_read() {
        let names = |names: &[&str]| names.iter().map(|name| name.to_string()).collect::<Vec<_>>();
        for (text, want) in [
            ("selected", MailboxFilter::Selected),
            ("Selected-Delayed", MailboxFilter::SelectedDelayed),
            ("INBOXES", MailboxFilter::Inboxes),
            ("personal", MailboxFilter::Personal),
            ("subscribed", MailboxFilter::Subscribed),
            ("subtree Lists", MailboxFilter::Subtree(names(&["Lists"]))),
            ("subtree \"\"", MailboxFilter::Subtree(names(&[""]))),
            ("subtree-one (inbox \"a b\" x&AOQ-)", MailboxFilter::SubtreeOne(names(&["INBOX", "a b", "x\u{e4}"]))),
            ("mailboxes (a/b \"x*\" a&b)", MailboxFilter::Mailboxes(names(&["a/b", "x*", "\0"]))),
        ] {
            assert_eq!(parse(text), Ok(want), "{text}");
        }
        for text in
            ["", "others", "\"selected\"", "subtree", "mailboxes ()", "mailboxes", "personal x", "mailboxes (a b"]
        {
            assert!(matches!(parse(text), Err(Wrong::Bad(_))), "{text}");
        }
    }

    #[test]
    fn so_many_names_and_no_more() {
        let many = |count| format!("mailboxes ({})", vec!["a"; count].join(" "));
        assert!(parse(&many(FILTER_MAILBOXES_MAX)).is_ok());
        assert_eq!(parse(&many(FILTER_MAILBOXES_MAX + 1)), Err(Wrong::Bad("Too many mailboxes")));
    }

    #[test]
    fn filters_cover_what_they_name() {
        let covered = |text: &str| {
            let filter = parse(text).unwrap();
            let all = [("INBOX", true), ("a", false), ("a/b", true), ("a/b/c", false), ("ab", false)];
            let covered: Vec<&str> =
                all.iter().filter(|(name, sub)| filter.covers(name, *sub)).map(|(n, _)| *n).collect();
            covered.join(" ")
        };
        for (text, want) in [
            ("selected", ""),
            ("personal", "INBOX a a/b a/b/c ab"),
            ("inboxes", "INBOX a a/b a/b/c ab"),
            ("subscribed", "INBOX a/b"),
            ("subtree a", "a a/b a/b/c"),
            ("subtree (a/b ab)", "a/b a/b/c ab"),
            ("subtree \"\"", "INBOX a a/b a/b/c ab"),
            ("subtree-one a", "a a/b"),
            ("subtree-one \"\"", "INBOX a ab"),
            ("mailboxes (inbox a/b x)", "INBOX a/b"),
        ] {
            assert_eq!(covered(text), want, "{text}");
        }
    }
}
