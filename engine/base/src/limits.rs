//! Every bound of the house, once, with its reason.

/// Bytes of a user name: an address of RFC 5321 §4.5.3.1 (64 + @ + 255) cut to what a path of RFC 5321 may hold (254).
pub const USER_NAME_BYTES_MAX: usize = 254;
/// Bytes of a password: longer than any a person or token generator makes, and a bound on what a hash is fed.
pub const PASSWORD_BYTES_MAX: usize = 1024;
/// Keywords a mailbox may know: the width of [`crate::KeywordMask`]; Cyrus has the same bound.
pub const KEYWORDS_PER_MAILBOX_MAX: usize = 128;
/// Bytes of one keyword name. Dovecot allows 50; some clients use longer UUID-like labels.
pub const KEYWORD_BYTES_MAX: usize = 100;
/// Bytes of a whole mailbox name in UTF-8.
pub const MAILBOX_NAME_BYTES_MAX: usize = 1024;
/// Levels of a mailbox name.
pub const MAILBOX_DEPTH_MAX: usize = 32;
/// Mailboxes of one account, so that LIST stays bounded.
pub const MAILBOXES_PER_ACCOUNT_MAX: usize = 10_000;
/// The highest identity of a stored mailbox; those of virtual mailboxes are above. One new mailbox a second takes 68 years.
pub const MAILBOX_ID_MAX: u32 = 1 << 31;
/// Ranges that a client's sequence set may hold after parsing; a 64 KiB command line can not carry many more.
pub const SET_RANGES_MAX: usize = 32_768;
/// Bytes of a command line without its literals (Dovecot: `imap_max_line_length`).
pub const COMMAND_LINE_BYTES_MAX: usize = 64 * 1024;
/// Bytes of a command line before login: an ID of RFC 2971 §3.3 has up to 30 fields of 30 and values of 1024 bytes.
pub const COMMAND_LINE_PREAUTH_BYTES_MAX: usize = 36 * 1024;
/// Bytes of one non-APPEND literal (mailbox names, search strings).
pub const LITERAL_BYTES_MAX: usize = 64 * 1024;
/// Bytes of all literals of one command but APPEND's.
pub const COMMAND_LITERALS_BYTES_MAX: usize = 256 * 1024;
/// Nesting of parentheses and of SEARCH's NOT and OR.
pub const COMMAND_DEPTH_MAX: usize = 64;
/// Bytes of one annotation's value: what the largest literal brings (RFC 5464 §4.1 asks for at least 1024).
pub const METADATA_VALUE_BYTES_MAX: usize = LITERAL_BYTES_MAX;
/// Bytes of an annotation's name: a vendor's path of several levels; they are listed with their values.
pub const METADATA_NAME_BYTES_MAX: usize = 512;
/// Annotations of one mailbox, and of the account itself (RFC 5464 §4.1 asks for at least 10).
pub const METADATA_ENTRIES_MAX: usize = 100;
/// Bytes of all annotations of an account, names and values: they are in memory while it is open, and each checkpoint writes them.
pub const METADATA_ACCOUNT_BYTES_MAX: usize = 1024 * 1024;
/// Those of them that guests keep for themselves in its mailboxes, all together: the rest is its user's.
pub const METADATA_GUESTS_BYTES_MAX: usize = METADATA_ACCOUNT_BYTES_MAX / 4;
/// Those that one guest keeps, so that none takes what is for all: one of the largest, or many small ones.
pub const METADATA_GUEST_BYTES_MAX: usize = METADATA_VALUE_BYTES_MAX + 2 * METADATA_NAME_BYTES_MAX;
/// Columns of values that the messages of a mailbox have: the readers of a public mailbox, each with a `\Seen` of his own. One takes about half
/// a kilobyte of memory while the mailbox is in it, 8 MiB for all, and some 60 bytes in the snapshot.
pub const COLUMNS_PER_MAILBOX_MAX: usize = 16_384;
/// Bytes of a column's name: an extension's, a `/`, and what may be a user's name.
pub const COLUMN_NAME_BYTES_MAX: usize = USER_NAME_BYTES_MAX + 66;
/// Runs of all columns of a mailbox. They are in memory with it, 24 bytes each in its snapshot: 24 MiB.
pub const VALUE_RUNS_PER_MAILBOX_MAX: usize = 1 << 20;
/// Runs of values that come along with a copy, 16 bytes each, names of columns among them: what is above stays behind, so that the record stays
/// far below its bound.
pub const VALUE_RUNS_COPIED_MAX: usize = 1 << 17;
/// Keys in one SEARCH.
pub const SEARCH_KEYS_MAX: usize = 4096;
/// Bytes of one message, by default. Settings may lower or raise it.
pub const MESSAGE_BYTES_MAX_DEFAULT: u64 = 100 * 1024 * 1024;
/// Largest value the message size setting may take: a message is rendered and compressed in one piece.
pub const MESSAGE_BYTES_MAX_CEILING: u64 = 1 << 30;
/// MIME parts of one message that are told apart; the rest belong to the last (Dovecot: 10 000).
pub const MIME_PARTS_MAX: usize = 10_000;
/// Depth of nested MIME parts (Dovecot: 100).
pub const MIME_DEPTH_MAX: usize = 100;
/// Bytes of one message's header block that are looked into.
pub const HEADER_BLOCK_BYTES_MAX: usize = 1024 * 1024;
/// Recipients of one LMTP transaction; RFC 5321 §4.5.3.1.8 asks for at least 100.
pub const LMTP_RECIPIENTS_MAX: usize = 1000;
/// Bytes of one LMTP command line; RFC 5321 §4.5.3.1.4 asks for 512, ESMTP parameters add to it.
pub const LMTP_LINE_BYTES_MAX: usize = 4096;
/// Bytes of one text chunk travelling from a socket to the log: bounds what a body costs in memory.
pub const BODY_CHUNK_BYTES: usize = 256 * 1024;
/// Bytes a session may hold unsent; above it the session stops producing until the client reads.
pub const OUTPUT_BYTES_WATERMARK: usize = 64 * 1024;

const _: () = assert!(COMMAND_LINE_PREAUTH_BYTES_MAX <= COMMAND_LINE_BYTES_MAX);
const _: () = assert!(LITERAL_BYTES_MAX <= COMMAND_LITERALS_BYTES_MAX);
const _: () = assert!(METADATA_VALUE_BYTES_MAX <= COMMAND_LITERALS_BYTES_MAX);
const _: () = assert!(METADATA_VALUE_BYTES_MAX + METADATA_NAME_BYTES_MAX <= METADATA_GUESTS_BYTES_MAX);
const _: () = assert!(COMMAND_LITERALS_BYTES_MAX <= METADATA_ACCOUNT_BYTES_MAX);
const _: () = assert!(MESSAGE_BYTES_MAX_DEFAULT <= MESSAGE_BYTES_MAX_CEILING);
const _: () = assert!(KEYWORDS_PER_MAILBOX_MAX == u128::BITS as usize);
