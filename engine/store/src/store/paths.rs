//! Where an account's files are: `accounts/ab/ab12…/tree` and `m<mailbox>.idx` beside it.

use skein_base::{AccountId, MailboxId};
use std::path::{Path, PathBuf};

/// The folder of an account. 256 folders above keep each of them small.
pub fn account(dir: &Path, id: AccountId) -> PathBuf {
    let hex = id.hex();
    dir.join(&hex[..2]).join(hex)
}

/// The tree's snapshot.
pub fn tree(folder: &Path) -> PathBuf {
    folder.join("tree")
}

/// A mailbox's snapshot.
pub fn mailbox(folder: &Path, id: MailboxId) -> PathBuf {
    folder.join(format!("m{}.idx", id.0))
}

/// The mailbox whose snapshot has this file name.
pub fn mailbox_of(name: &str) -> Option<MailboxId> {
    name.strip_prefix('m')?.strip_suffix(".idx")?.parse().ok().map(MailboxId)
}
