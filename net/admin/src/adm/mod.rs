//! The operator's hands: `skein adm` over a Unix socket.
//!
//! ```text
//! POST /adm/v1 {"verb": ..} ─▶ socket ─ who is it? ─▶ route ─▶ verbs ──Job──▶ the users' shards
//!                  {"row": ..} lines ◀── bounded channel ◀───────────────────────┘
//!                  "end"
//! ```
//!
//! ```text
//! wire      requests and lines        desk      work on a shard, with a bound and a deadline
//! rows      lines on their way        users     which users, and their accounts      names     of all accounts, unopened
//! query     the search language       mailbox, message, fetch, server, who, auth, log, top   the verbs
//! ```
//!
//! Whoever may connect may do everything: the socket's mode and the peer's credentials are the lock.

mod auth;
mod backup;
mod desk;
mod dictionary;
mod fetch;
mod heal;
mod import;
mod log;
mod mailbox;
mod message;
mod metadata;
mod names;
mod query;
mod route;
mod rows;
mod server;
mod socket;
mod top;
mod users;
mod who;
mod wire;

pub use desk::{Desk, LogEntry, RecentFn, ReloadFn};
pub use fetch::date as utc;
pub use import::{IMPORT_BYTES_MAX, IMPORT_MESSAGES_MAX, IMPORT_PATH, ImportEntry, ImportList};
pub use names::RESERVED;
pub use query::meaning;
pub use route::REQUEST_BYTES_MAX;
pub use socket::{Adm, AdmSocket, start};
pub use wire::{Code, FlagsHow, Hidden, Line, PATH, Problem, Request};
