//! Writers of responses: bytes into the caller's buffer, nothing allocated, nothing decided.
//!
//! ```text
//! text      number string astring nstring literal_head mailbox flags internal_date
//! fetch     FetchLine: * 12 FETCH (UID 7 FLAGS (\Seen) BODY[] {3}..)
//! metadata  MetadataLine: * METADATA INBOX (/private/comment "..")
//! mailbox   exists recent expunge list status search namespace
//! status    ok untagged, code: [UIDNEXT 4]
//! ```

mod fetch;
mod mailbox;
mod metadata;
mod status;
mod text;

pub use fetch::FetchLine;
pub use mailbox::{
    ListAttributes, Listing, Permanent, SEPARATOR, esearch, exists, expunge, flags_in_use, list, namespace, recent,
    search, selected, sort, status, thread, vanished,
};
pub use metadata::{MetadataLine, metadata_changed};
pub(crate) use status::condition;
pub use status::{code, highest_modseq, ok};
pub(crate) use text::is_astring_char;
pub use text::{astring, flags, internal_date, literal_head, mailbox, nstring, number, string};
