//! Quota: how much a user may hold, and what happens when it is too much (RFC 9208).
//!
//! ```text
//! limits      from settings and from what a source of users says, for the user and for single mailboxes
//! extension   asked before each change; counts nothing itself, since the account knows what it holds
//! warning     lines that are crossed, for whoever tells of them
//! command     GETQUOTA, GETQUOTAROOT, SETQUOTA
//! ```
//!
//! There is no usage to be recalculated: it is the sum of what the mailboxes hold, and changes with them.
//!
//! Never here: wire syntax, files.

mod command;
mod extension;
mod limits;
mod warning;

pub use extension::Quota;
pub use limits::Limits;
pub use warning::{Crossed, Tell};
