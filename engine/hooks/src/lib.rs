//! Extension points: how a further crate takes part in what sessions do, without a change to any other.
//!
//! ```text
//!  login, RCPT ──▶ user_known            SELECT ──▶ opening          a change ──▶ before ──▶ log, apply ──▶ after
//!  GETQUOTA, STATUS, RCPT ──▶ quota      LIST ──▶ listing            any verb ──▶ rights
//!  its own commands ──▶ run              CAPABILITY ──▶ capabilities      mailboxes of its own ──▶ shows
//! ```
//!
//! ```text
//! extension   the trait, all of whose verbs have a default
//! extensions  those of one shard, in order; they are the store's gate
//! slot        what an extension keeps with an open account
//! ```
//!
//! An extension is made once for each shard and lives on it, so it needs no locks. What it knows of a user goes into a slot
//! of the open account and goes with it. engine/docs/extensions.md has a worked example.
//!
//! Never here: what any one extension does.

mod extension;
mod extensions;

pub use extension::{Call, Extension, Outcome, Quota, Resource, Root, Running, name_of};
pub use extensions::{Extensions, Maker};

/// The store as extensions use it.
pub type Store = skein_store::Store<skein_runtime::RealDisk, skein_runtime::RealClock>;
