//! Words of the house: what every floor above means by a UID, a set, a flag, a limit.
//!
//! ```text
//! ids     AccountId MailboxId Uid Seq ModSeq UidValidity Guid ShardId LogPos
//! name    UserName: checked once, then trusted
//! set     IdSet: sorted, disjoint ranges of u32; the currency of every batch
//! flags   Flags (system) and KeywordMask (per mailbox)
//! collation  Collation: how texts are compared
//! error   Class: what kind of failure, one table per protocol turns it into a reply
//! uidl    UidlFormat: how POP3's unique ids are made
//! rights  Rights: what somebody may do with a mailbox
//! special_use  SpecialUse: what a mailbox is for
//! metadata  names of annotations, in their one spelling
//! secret  Secret: a password, zeroed when dropped, never printed
//! scram   ScramKeys: what a server keeps for SCRAM, and the proofs made with it
//! line_ends  Crlf: mail's lines end with CRLF
//! limits  every bound of the house, once, with its reason
//! seam    Disk and Clock as traits, so that the store runs in a simulator
//! sync    Notify Watermark Semaphore oneshot: waiting within one shard, on any executor
//! ```
//!
//! Never here: I/O, clocks, wire syntax.

mod collation;
mod error;
mod flags;
mod ids;
pub mod limits;
pub mod line_ends;
mod metadata;
mod name;
mod rights;
pub mod scram;
pub mod seam;
mod secret;
mod set;
mod special_use;
pub mod sync;
mod uidl;

pub use collation::Collation;
pub use error::Class;
pub use flags::{Flags, KeywordMask};
pub use ids::{AccountId, Guid, LogPos, MailboxId, ModSeq, Seq, ShardId, Uid, UidValidity};
pub use metadata::metadata_name;
pub use name::{UserName, UserNameError};
pub use rights::Rights;
pub use secret::Secret;
pub use set::{IdSet, SetTooBig};
pub use special_use::SpecialUse;
pub use uidl::{UNIQUE_ID_BYTES_MAX, UidlFormat, UidlFormatError, is_unique_id};
