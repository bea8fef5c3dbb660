//! Bounds of the LMTP machine. Those shared with other crates are in [`skein_base::limits`].

use skein_base::limits::{BODY_CHUNK_BYTES, LMTP_LINE_BYTES_MAX};

/// Bytes of an address: 64 + @ + 255 of RFC 5321 §4.5.3.1. Longer local parts are taken when the whole is no longer: senders
/// with tags in them are.
pub const ADDRESS_BYTES_MAX: usize = 320;
/// Bytes of a client's name in LHLO; a domain has at most 255.
pub const CLIENT_NAME_BYTES_MAX: usize = 255;
/// Commands that make no sense, after which whoever sends them is no mail transfer agent.
pub const BAD_COMMANDS_MAX: u32 = 20;
/// Bytes of a reply's text from the session; RFC 5321 §4.5.3.1.5 bounds a reply line to 512.
pub const REPLY_TEXT_BYTES_MAX: usize = 400;
/// Input taken into a chunk at once. A bare LF becomes two bytes, so this may double.
pub(crate) const CHUNK_STEP_BYTES: usize = BODY_CHUNK_BYTES / 4;
/// A chunk of this size is handed over: one more step fits into [`BODY_CHUNK_BYTES`] even if it doubles.
pub(crate) const CHUNK_READY_BYTES: usize = BODY_CHUNK_BYTES / 2;

const _: () = assert!(CHUNK_READY_BYTES + 2 * CHUNK_STEP_BYTES <= BODY_CHUNK_BYTES);
const _: () = assert!(ADDRESS_BYTES_MAX + CLIENT_NAME_BYTES_MAX < LMTP_LINE_BYTES_MAX);
