//! Bounds of the POP3 machine. Those shared with the other crates are in [`skein_base::limits`].

use crate::sasl::MESSAGE_BYTES_MAX;

/// Bytes of a command line after login, its line break counted (RFC 2449 §4).
pub const COMMAND_LINE_BYTES_MAX: usize = 255;
/// Bytes of a line before login: what a mechanism may say, in base64 and behind AUTH's own words. RFC 5034 §4 sets SASL above
/// the bound of commands, and names and passwords are longer than RFC 2449 thought.
pub const LOGIN_LINE_BYTES_MAX: usize = MESSAGE_BYTES_MAX.div_ceil(3) * 4 + COMMAND_LINE_BYTES_MAX;
/// Wrong commands in a row before login after which the connection closes (Dovecot: 3).
pub const BAD_COMMANDS_PREAUTH_MAX: u8 = 3;
/// Wrong commands in a row after login after which the connection closes (Dovecot: 20).
pub const BAD_COMMANDS_MAX: u8 = 20;
/// Bytes of a text from the session; RFC 2449 §4 bounds the first line of a response to 512.
pub const REPLY_TEXT_BYTES_MAX: usize = 400;
