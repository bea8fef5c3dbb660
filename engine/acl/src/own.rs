//! What guests have of their own in somebody's mailbox. It goes with their last right.
//!
//! ```text
//! column of values    seen/ben               what ben has seen
//! annotation          private/ben/comment    his /private/comment (RFC 5464 §3.2)
//! ```

use skein_base::{IdSet, MailboxId, UserName};
use skein_store::AccountError;
use skein_store::account::{Account, MetadataChange};
use skein_store::op::Op;
use std::borrow::Cow;
use std::rc::Rc;

/// What the names of columns begin with that say what somebody has seen.
const SEEN: &str = "seen/";
/// What clients' names of private annotations begin with.
const PRIVATE: &str = "/private";

/// The column of values that says what somebody has seen in mailboxes of others.
pub fn seen_column(user: &UserName) -> Rc<str> {
    format!("{SEEN}{user}").into()
}

/// The name under which a client's annotation is kept when he is a guest.
pub fn kept_as<'n>(user: &UserName, name: &'n str) -> Cow<'n, str> {
    match name.strip_prefix(PRIVATE).filter(|rest| rest.is_empty() || rest.starts_with('/')) {
        Some(rest) => format!("{}/{user}{rest}", &PRIVATE[1..]).into(),
        None => name.into(),
    }
}

/// The other way; `None` for what is none of a guest's business.
pub fn told_as<'n>(user: &UserName, kept: &'n str) -> Option<Cow<'n, str>> {
    if kept.starts_with('/') {
        let is_private = matches!(kept.strip_prefix(PRIVATE), Some(rest) if rest.is_empty() || rest.starts_with('/'));
        return (!is_private).then_some(kept.into());
    }
    let (whose, rest) = whose_annotation(kept)?;
    (whose == user.as_str()).then(|| format!("{PRIVATE}{rest}").into())
}

/// The guest whose annotation this is, and its name behind `/private`.
fn whose_annotation(kept: &str) -> Option<(&str, &str)> {
    let rest = kept.strip_prefix(&PRIVATE[1..])?.strip_prefix('/')?;
    rest.find('/').map(|at| rest.split_at(at))
}

/// Ops that take from a mailbox what those have of their own in it who do not stay.
///
/// # Errors
/// The mailbox is not there, or not in memory.
pub fn take_out(
    account: &Account,
    mailbox: MailboxId,
    stays: impl Fn(&UserName) -> bool,
) -> Result<Vec<Op>, AccountError> {
    let leaves = |user: &str| UserName::new(user).is_ok_and(|user| !stays(&user));
    let loaded = account.mailbox(mailbox).ok_or(AccountError::NotLoaded)?;
    let columns = loaded.columns().map(|(name, _)| name).filter(|name| name.strip_prefix(SEEN).is_some_and(leaves));
    let kept = account.metadata(Some(mailbox)).into_iter().flat_map(|metadata| metadata.keys());
    let annotations = kept.filter(|name| whose_annotation(name).is_some_and(|(user, _)| leaves(user)));
    let removed: Vec<MetadataChange> = annotations.map(|name| (name.clone(), None)).collect();
    let mut ops = account.set_metadata(Some(mailbox), &removed)?;
    for column in columns {
        ops.extend(account.set_values(mailbox, column, &IdSet::range(1, u32::MAX), 0)?);
    }
    Ok(ops)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn private_annotations_are_kept_apart() {
        let (ben, anna) = (UserName::new("ben").unwrap(), UserName::new("anna").unwrap());
        for (name, kept) in [
            ("/private/comment", "private/ben/comment"),
            ("/private/filters/a", "private/ben/filters/a"),
            ("/private", "private/ben"),
            ("/shared/comment", "/shared/comment"),
            ("/privateer", "/privateer"),
        ] {
            assert_eq!(kept_as(&ben, name), kept);
            if name != "/private" {
                assert_eq!(told_as(&ben, kept).as_deref(), Some(name));
            }
        }
        // Neither the owner's, nor another guest's, nor the server's.
        for kept in ["/private/comment", "/private", "acl", "private", "private/ben"] {
            assert_eq!(told_as(&ben, kept), None, "{kept}");
        }
        assert_eq!(told_as(&anna, "private/ben/comment"), None);
    }
}
