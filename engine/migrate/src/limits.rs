//! Bounds on what foreign folders may hold.

use skein_base::limits::{KEYWORD_BYTES_MAX, KEYWORDS_PER_MAILBOX_MAX};

/// Bytes of a message; more is no mail.
pub const MESSAGE_BYTES_MAX: u64 = skein_base::limits::MESSAGE_BYTES_MAX_CEILING;
/// Bytes of a list of UIDs, keywords or subscriptions: 10 million messages have some 600 MB of uidlist.
pub const LIST_BYTES_MAX: u64 = 1 << 30;
/// Folders of one tree.
pub const FOLDERS_MAX: usize = 100_000;
/// Depth of folders below each other.
pub const DEPTH_MAX: usize = 64;
/// Bytes of an mbox's line that is looked at for what it means; longer ones are text.
pub const MEANING_BYTES_MAX: usize = 16 << 10;

// Our own line of keywords has to be read whole.
const _: () = assert!(KEYWORDS_PER_MAILBOX_MAX * (KEYWORD_BYTES_MAX + 1) + "X-Keywords:\n".len() <= MEANING_BYTES_MAX);
