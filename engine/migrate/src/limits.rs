//! Bounds on what foreign folders may hold.

/// Bytes of a message; more is no mail.
pub const MESSAGE_BYTES_MAX: u64 = skein_base::limits::MESSAGE_BYTES_MAX_CEILING;
/// Bytes of a list of UIDs, keywords or subscriptions: 10 million messages have some 600 MB of uidlist.
pub const LIST_BYTES_MAX: u64 = 1 << 30;
/// Folders of one tree.
pub const FOLDERS_MAX: usize = 100_000;
/// Depth of folders below each other.
pub const DEPTH_MAX: usize = 64;
/// Bytes of an mbox's line that is looked at for what it means; longer ones are text.
pub const MEANING_BYTES_MAX: usize = 8192;
