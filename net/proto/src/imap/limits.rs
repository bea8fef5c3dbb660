//! Bounds of the IMAP machine. Those shared with the other crates are in [`skein_base::limits`].

use skein_base::limits::{BODY_CHUNK_BYTES, COMMAND_LINE_PREAUTH_BYTES_MAX, LITERAL_BYTES_MAX};

/// Bytes of one [`AppendChunk`](super::Request::AppendChunk): large enough to hide the cost of a question, small
/// enough that a thousand slow uploads do not matter.
pub const APPEND_CHUNK_BYTES: usize = 64 * 1024;

/// Messages of one APPEND (RFC 3502): all of them become one record of the log.
pub const APPEND_MESSAGES_MAX: usize = 1000;
/// Bytes of a literal with which a client need not wait where `LITERAL-` is offered (RFC 7888 §5).
pub const LITERAL_MINUS_BYTES_MAX: u64 = 4096;

/// Fields of a client's ID (RFC 2971 §3.3).
pub const ID_FIELDS_MAX: usize = 30;
/// Arguments of one COMPARATOR: each is held against every collation.
pub const COMPARATORS_MAX: usize = 32;
/// Arguments of one LANGUAGE: nobody reads more languages.
pub const LANGUAGES_MAX: usize = 32;
/// Items of one FETCH: each is looked up in the list before it is added, and answered for every message.
pub const FETCH_ITEMS_MAX: usize = 256;
/// Names in one `subtree` or `mailboxes`; with their spaces they are far from filling a command line.
pub const FILTER_MAILBOXES_MAX: usize = 1024;
/// Names in one HEADER.FIELDS.
pub const FETCH_FIELDS_MAX: usize = 1024;
/// Wrong commands in a row before login after which the connection closes (Dovecot: 3).
pub const BAD_COMMANDS_PREAUTH_MAX: u8 = 3;
/// Wrong commands in a row after login after which the connection closes (Dovecot: 20).
pub const BAD_COMMANDS_MAX: u8 = 20;
/// Bytes of all literals of one command before login: a user name and a password.
pub const LITERALS_PREAUTH_BYTES_MAX: usize = 4 * 1024;
/// Bytes of one unwanted non-synchronising literal that are read and dropped (RFC 7888 §4). Beyond, closing the
/// connection is cheaper for both sides. An unwanted message is dropped up to twice the message size limit.
pub const LITERAL_DROPPED_BYTES_MAX: u64 = 16 * 1024 * 1024;
/// Seconds without a complete login after which the connection closes.
pub const LOGIN_SECONDS_MAX: u64 = 60;
/// Seconds of silence after login after which the connection closes (RFC 3501 §5.4 asks for 30 minutes at least).
pub const IDLE_SECONDS_MAX: u64 = 30 * 60;

const _: () = assert!(LITERALS_PREAUTH_BYTES_MAX <= LITERAL_BYTES_MAX);
const _: () = assert!(APPEND_CHUNK_BYTES <= BODY_CHUNK_BYTES);
const _: () = assert!(COMMAND_LINE_PREAUTH_BYTES_MAX < APPEND_CHUNK_BYTES);
/// Names of annotations in one GETMETADATA, SETMETADATA or LIST: each is answered with all below it, for every mailbox listed.
pub const METADATA_NAMES_MAX: usize = 128;
/// Sources of one ESEARCH, each of which is held against every mailbox.
pub const SEARCH_SOURCES_MAX: usize = 32;
/// Groups of events in one NOTIFY: each is held against every event.
pub const NOTIFY_GROUPS_MAX: usize = 32;
/// Names in the filters of one NOTIFY, for the same reason (Dovecot: 100 in each).
pub const NOTIFY_MAILBOXES_MAX: usize = 256;
/// Messages of a batch of UIDBATCHES at least: smaller ones would bring message numbers back (RFC 10022 §3.1.3).
pub const UID_BATCH_MESSAGES_MIN: u32 = 500;
/// Messages of all batches that UIDBATCHES names at most (RFC 10022 §3.1.5).
pub const UID_BATCHES_MESSAGES_MAX: u64 = 100_000;
/// Patterns of one LIST (RFC 5258 §3).
pub const LIST_PATTERNS_MAX: usize = 32;
/// URLs of one GENURLAUTH or URLFETCH: each may cost a look at another user's mailbox.
pub const URLS_MAX: usize = 128;
/// Bytes of an IMAP URL: the longest mailbox name, all of it percent-encoded, and a section with many fields.
pub const URL_BYTES_MAX: usize = 8 * 1024;
