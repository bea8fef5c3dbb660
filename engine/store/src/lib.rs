//! Accounts, mailboxes, views and the shard log: what is durable, and what it means.
//!
//! ```text
//!  session ──validate──▶ Vec<Op> ──commit──▶ Log ──▶ one sync for all ──▶ durable ──▶ the reply leaves
//!                                   └─apply─▶ Account ─▶ Mailbox ─▶ View      (the same apply replays the log)
//!                                                └──checkpoint──▶ snapshots (index)
//! ```
//!
//! ```text
//! op        one change, and its bytes           account   the tree; validate and apply
//! log       the shard's log, scan, recovery     mailbox   rows, views, expunge history
//! pack      messages that were drained
//! body      messages in the log                 store     open, commit, checkpoint
//! gate      who is asked before a change
//! sim       a disk that crashes, on purpose
//! ```
//!
//! Never here: IMAP words, MIME, sockets. Bytes: engine/docs.

pub mod account;
mod account_handle;
pub mod body;
pub mod describe;
pub mod dictionary;
mod error;
pub mod gate;
pub mod log;
pub mod mailbox;
pub mod op;
pub mod pack;
pub mod sim;
mod snapshot;
mod store;

pub use account::{AccountError, Usage};
pub use account_handle::{AccountHandle, Lost};
pub use error::StoreError;
pub use gate::{Actor, Change, Gate, Guest, Refused};
pub use store::{
    CHECKPOINT_OPS, COMPACT_BYTES_MIN, CheckError, Checked, DrainLimits, Finding, Inspector, OldSegments, OpenLimits,
    PINNED, Pinned, Reads, Rebuilt, RestoreError, Restored, Stopped, Store, StoreMetrics, WASTE_ONE_IN,
};
