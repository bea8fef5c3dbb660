//! MIME, as an IMAP server needs it: pure functions over the bytes of a message.
//!
//! ```text
//! delivery ─▶ structure ─▶ render ─▶ cache                   once, when the message arrives
//! FETCH    ─▶ cache (ENVELOPE, BODYSTRUCTURE, PREVIEW, fields)   copied as they are
//!          ─▶ section (a range of the body to read), binary (ranges, and how to decode them)
//! literal8 ─▶ unbinary                                   parts that say they are binary, encoded
//! SEARCH   ─▶ text (decode, fold, find), date (Date: of the header)
//! THREAD   ─▶ thread (who answers whom)
//! ```
//!
//! Input is mail: any bytes may come, none may panic. Never here: I/O, clocks, IMAP commands.
//! The bytes of the cache: engine/docs/cache-format.md.

mod binary;
mod cache;
mod date;
mod header;
mod params;
mod render;
mod section;
mod span;
mod structure;
mod text;
mod thread;
mod token;
mod transfer;
mod unbinary;

pub use binary::{Piece, binary_header, pieces};
pub use cache::{
    CACHE_BYTES_MAX, CACHED_FIELDS, Cache, CacheError, CacheRef, CachedParts, CachedText, NotCached, is_cached_field,
    unique_id,
};
pub use date::{SentDate, parse_date};
pub use header::{Field, FieldNames, Fields, fields, filter_header, header_len};
pub use params::{ContentType, Disposition, Param};
pub use render::{Address, addresses, body, bodystructure, envelope, part_structure};
pub use section::{PartTable, Place, Section, What, locate};
pub use span::Span;
pub use structure::{Kind, Part, PartFields, structure};
pub use text::{
    BaseSubject, Needle, PREVIEW_CHARS_MAX, base_subject, compare_texts, field_texts, first_display, first_mailbox,
    preview,
};
pub use thread::{ThreadBy, ThreadNode, Threads};
pub use transfer::{Decoder, Transfer};
pub use unbinary::{StrayNul, without_binary};
