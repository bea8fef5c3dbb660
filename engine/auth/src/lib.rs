//! Who is this: sources of users, stored passwords, a cache, and what slows guessing down.
//!
//! ```text
//!            names: user, user*master, authzid
//! session ──▶ Auth ──▶ cache? ─yes──────────────────────────────────▶ Ok(Accepted) | Err(Refusal)
//!              │         │no                                             ▲  allow_nets, nologin
//!              │         └─▶ walk: each source by its rules ─────────────┤
//!              │               ├─ from memory, or Later ─▶ Offload::wait (side runtime, deadline)
//!              │               └─ costly hash, or a decoy ─▶ Offload::compute (blocking pool)
//!              └─▶ keys(SCRAM): the stored ones, made of a password, or steady ones that nothing fits
//! ```
//!
//! [`Auth::trial`] goes the same way for an operator, past the cache, and tells every step.
//!
//! One [`Auth`] per shard, on one [`SharedAuth`]. A user nobody knows costs the same hash as a wrong password does, and has SCRAM
//! keys too, so that neither time nor salt tells who exists. [`Penalties`] is shared by all shards: how long who has guessed waits.
//!
//! Never here: sockets, waiting, the wire form of SASL. Files are read by [`SharedAuth`]'s load, reload and refresh only.

mod auth;
mod cache;
mod entry;
mod error;
mod hash;
mod lru;
mod offload;
mod passwd_edit;
mod passwd_file;
mod penalty;
mod shared;
mod source;
mod sources;
mod trial;
mod walk;

pub use auth::{Accepted, Auth, CacheLooks, Identity, Outcome, Refusal};
pub use entry::{Entry, Fields, Home};
pub use error::{HashError, LoadError, Notice};
pub use hash::{Hash, MAKE_SCHEMES, MakeError, make};
pub use offload::Offload;
pub use passwd_edit::{Edit, EditError, edit_file, edited, has_user};
pub use passwd_file::PasswdFile;
pub use penalty::{Attempt, Penalties};
pub use shared::{SharedAuth, State};
pub use source::{Answer, PassDb, Sample, ScramSample, Unavailable, UserDb, Verified};
pub use sources::{Answers, Notices, Ranked, Sources, StaticUsers};
pub use trial::Step;
pub use walk::Heard;
