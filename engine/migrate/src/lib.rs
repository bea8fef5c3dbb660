//! The mail folders of others, as they lie on disk: read for an import, written for an export.
//!
//! ```text
//!  Maildir (Dovecot's and Courier's files)  ─┐                                ┌─▶ Maildir, as Dovecot 2.3 has it
//!  mbox (mboxrd, mboxo)                     ─┼─▶ Folder, Message ─▶ account ──┴─▶ mbox (mboxrd)
//!  .eml files                               ─┘    UID flags keywords date UIDL        Tally on both sides: count, size, hash
//! ```
//!
//! Reading lists a folder first (what is known of each message, in the order in which it is to be appended) and reads bodies one
//! by one. A [`Resume`] file remembers how far an import came. Calls block: they belong on a thread of their own.
//!
//! Never here: accounts, sockets, shards.

mod eml;
mod error;
pub mod limits;
pub mod maildir;
pub mod mbox;
mod message;
mod resume;
mod tally;

pub use eml::{eml_folders, eml_messages};
pub use error::MigrateError;
pub use message::{Folder, Key, Message, Meta};
pub use resume::Resume;
pub use tally::Tally;
