//! Access control lists: who may do what with a mailbox (RFC 4314).
//!
//! ```text
//! list        entries of a mailbox, and what they come to for somebody
//! extension   asked for the rights of guests; new mailboxes inherit
//! command     SETACL DELETEACL GETACL LISTRIGHTS MYRIGHTS
//! own         what guests have of their own in a mailbox
//! ```
//!
//! A mailbox's list is one of its annotations, so it follows RENAME, goes with DELETE, and is in backups. The owner of an account may always do everything
//! with it.
//!
//! Never here: which mailboxes somebody sees, how another user's mailbox is reached.

mod command;
mod extension;
mod list;
mod own;

pub use command::my_rights_line;
pub use extension::{Acl, list_of};
pub use list::{Identifier, List, ListError};
pub use own::{kept_as, seen_column, take_out, told_as};
