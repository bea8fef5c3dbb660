//! Who is this: passwd-file and static sources, hashes, cache.
//!
//! ```text
//!              begin(user, password, now)                     finish(checked, now)
//! session ──▶ cache hit? ─yes──▶ Accept | Reject                    ▲ remembers
//!               │no                                                 │
//!               └─▶ sources ──▶ cheap hashes: at once      Job::run (blocking pool)
//!                     │                                             ▲
//!                     └────── costly hashes, or a decoy ────────────┘
//! ```
//!
//! One [`Auth`] per shard, on shared [`Sources`]. A user nobody knows costs the same hash as a wrong password does, so that
//! time does not tell who exists.
//!
//! Never here: sockets, waiting, delays (the session waits), the wire form of SASL. Files are read by [`Sources::load`] only.

mod auth;
mod cache;
mod digest;
mod error;
mod hash;
mod lru;
mod passwd_file;
mod sources;

pub use auth::{Auth, Checked, Job, Outcome, Step};
pub use error::{HashError, LoadError, Notice};
pub use hash::Hash;
pub use passwd_file::PasswdFile;
pub use sources::{PassDb, Sources, StaticUsers};
