//! Writers of responses: bytes into the caller's buffer, nothing allocated, nothing decided.
//!
//! ```text
//! text      number string astring nstring literal_head mailbox flags internal_date
//! fetch     FetchLine: * 12 FETCH (UID 7 FLAGS (\Seen) BODY[] {3}..)
//! metadata  MetadataLine: * METADATA INBOX (/private/comment "..")
//! mailbox   exists recent expunge list status namespace
//! search    search sort thread esearch context_moved comparator
//! status    ok untagged language, code: [UIDNEXT 4]
//! ```

mod fetch;
mod mailbox;
mod metadata;
mod search;
mod status;
mod text;

pub use fetch::FetchLine;
pub use mailbox::{
    ListAttributes, Listing, Namespaces, Permanent, SEPARATOR, exists, expunge, flags_in_use, list,
    may_change_keywords, namespace, recent, selected, status, url_mech, vanished,
};
pub use metadata::{MetadataLine, metadata_changed};
pub(crate) use search::comparator;
pub use search::{Correlator, Moved, context_moved, esearch, search, sort, thread, uid_batches};
pub use status::{code, highest_modseq, in_progress, message_limit, no_update, notification_overflow, ok, some_moved};
pub(crate) use status::{condition, language};
pub(crate) use text::is_astring_char;
pub use text::{Names, astring, flags, internal_date, literal_head, mailbox, nstring, number, string};
