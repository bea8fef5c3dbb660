//! Packs: many messages of one account in one file, compressed, appended to and never changed.
//!
//! ```text
//! p0000000000000001.pack   [ header 64 ][ entry | entry | ... ]        named by a body's address: number and offset
//! entry                    [ header 80 | frame lengths | keywords | frames of the message | frame of its cache ]
//! ```
//!
//! Small messages are compressed in groups of neighbours (`group`), all of them with a dictionary, if the site has one.
//!
//! An entry tells enough of its message (mailbox, UID, flags, dates, identity) to list it again when every index is lost.
//! Bytes: engine/docs/pack-format.md.

mod append;
mod describe;
mod files;
mod format;
mod group;
#[cfg(test)]
mod group_tests;
mod heal;
mod large;
mod read;
#[cfg(test)]
mod tests;

pub(crate) use append::{Appender, Entry};
pub(crate) use describe::describe;
pub(crate) use files::PackFiles;
pub use format::{ENTRY_HEADER_BYTES, Encoding, EntryHeader, NoPackHeader, PACK_HEADER_BYTES, PackHeader};
pub use format::{PACK_VERSION, PACK_VERSION_DICTIONARY, PACK_VERSION_PLAIN};
pub use format::{pack_name, parse_pack_name};
pub(crate) use group::Group;
pub(crate) use large::{Growing, LargeFrame};
pub(crate) use read::Whose;

/// Bytes of a pack after which the next begins: large enough that an account has few, small enough that compaction rewrites
/// little at a time.
pub const PACK_BYTES_MAX: u64 = 64 * 1024 * 1024;
/// Bytes of a message in one frame, which is what reading a part of it has to decompress at least.
pub const FRAME_BYTES: usize = skein_base::limits::BODY_CHUNK_BYTES;
/// zstd's own default: measured on mail, higher levels gain little and cost much.
pub const ZSTD_LEVEL: i32 = 3;

/// What an entry says of its message beside the bytes, as it was when it was packed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Packed {
    /// Identity, kept by copies.
    pub guid: skein_base::Guid,
    /// The mailbox it was in; a copy may be in others.
    pub mailbox: skein_base::MailboxId,
    /// UIDVALIDITY of that mailbox.
    pub validity: skein_base::UidValidity,
    /// Its UID there.
    pub uid: skein_base::Uid,
    /// System flags.
    pub flags: skein_base::Flags,
    /// Keywords by name.
    pub keywords: Vec<Box<str>>,
    /// INTERNALDATE, Unix seconds.
    pub internal_date: i64,
    /// When it came into that mailbox, Unix seconds.
    pub save_date: i64,
}
