//! What guests have of their own in somebody's mailbox. It goes with their last right.
//!
//! ```text
//! column of values    seen/ben      what ben has seen
//! ```

use skein_base::{IdSet, MailboxId, UserName};
use skein_store::AccountError;
use skein_store::account::Account;
use skein_store::op::Op;
use std::rc::Rc;

/// What the names of columns begin with that say what somebody has seen.
const SEEN: &str = "seen/";

/// The column of values that says what somebody has seen in mailboxes of others.
pub fn seen_column(user: &UserName) -> Rc<str> {
    format!("{SEEN}{user}").into()
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
    let mut ops = Vec::new();
    for column in columns {
        ops.extend(account.set_values(mailbox, column, &IdSet::range(1, u32::MAX), 0)?);
    }
    Ok(ops)
}
