//! Snapshots: what a mailbox was at one position of the log, as an immutable, checksummed file of columns.
//!
//! ```text
//! SnapshotBuilder ─▶ [ header | cache heap | uid uid uid .. | flags flags .. | modseq .. | .. ] ─▶ Snapshot
//!   push(row)          512 B    ready IMAP     one column after the other, read in place            row(i) find(uid)
//! ```
//!
//! A snapshot is a cache of the log: one that does not check is thrown away and rebuilt, and no user sees an error.
//! Arbitrary bytes never panic here.
//!
//! Never here: IMAP words, the network, what the bytes of a cache entry, a body address or an account mean.
//! Bytes: index/docs/snapshot-format.md.

mod account;
mod build;
mod error;
mod file;
mod format;
mod snapshot;

pub use account::{
    ACCOUNT_VERSION, ACCOUNT_VERSION_MEASURED, ACCOUNT_VERSION_METADATA, ACCOUNT_VERSION_PLAIN, ACCOUNT_VERSION_USES,
    AccountSnapshot, BodiesAre,
};
pub use build::SnapshotBuilder;
pub use error::SnapshotError;
pub use file::{Beside, SnapshotWriter, write_beside};
pub use format::{BODY_ADDR_BYTES, SNAPSHOT_VERSION, SnapshotHead};
pub use snapshot::{Expunged, Row, Run, Snapshot, read_head};
