//! SASL mechanisms, the server's side, as machines on decoded bytes (RFC 4422). Base64 is the protocol's own affair.
//!
//! ```text
//! Exchange::new(mechanism) ── step(client's bytes) ──▶ Challenge(bytes)  send it, step again
//!                                                  └─▶ Done(Credentials) ask who this is
//! ```
//!
//! A mechanism only takes a message apart; whether the password is right is asked elsewhere.

mod exchange;
mod login;
mod plain;

pub use exchange::{Exchange, Mechanism, SaslStep};
pub use login::Login;
pub use plain::Plain;

use skein_base::Secret;
use skein_base::limits::{PASSWORD_BYTES_MAX, USER_NAME_BYTES_MAX};
use std::fmt;

/// Bytes of one decoded message: two names, a password and their separators.
pub const MESSAGE_BYTES_MAX: usize = 2 * USER_NAME_BYTES_MAX + PASSWORD_BYTES_MAX + 2;

/// What a client claims.
#[derive(Clone, Debug)]
pub struct Credentials {
    /// Whose mail is asked for, when it is not the user's own (RFC 4422 §3.4.1).
    pub authzid: Option<String>,
    /// Who the password belongs to.
    pub user: String,
    /// The password, any bytes but NUL.
    pub password: Secret,
}

/// Why a message is none. All of them are `BAD` or `501 5.5.2`, never a wrong password.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum SaslError {
    /// Not of the mechanism's form: a part is missing or empty, or holds a NUL.
    Malformed,
    /// A part is longer than `max` bytes.
    TooLong {
        /// The bound.
        max: usize,
    },
    /// A name is no UTF-8.
    NotUtf8,
    /// The exchange is over already, or the client went on without a message.
    Ended,
}

impl fmt::Display for SaslError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SaslError::Malformed => f.write_str("the authentication message is malformed"),
            SaslError::TooLong { max } => write!(f, "a part of the authentication message is longer than {max} bytes"),
            SaslError::NotUtf8 => f.write_str("the user name is not UTF-8"),
            SaslError::Ended => f.write_str("the authentication exchange is over"),
        }
    }
}

impl std::error::Error for SaslError {}

/// A user name off the wire: 1 to [`USER_NAME_BYTES_MAX`] bytes of UTF-8 without NUL.
fn name(bytes: &[u8]) -> Result<String, SaslError> {
    let text = std::str::from_utf8(part(bytes, USER_NAME_BYTES_MAX)?);
    text.map(str::to_owned).map_err(|_| SaslError::NotUtf8)
}

/// A password off the wire. RFC 4616 asks for UTF-8; clients that send what their keyboard made are let through, as LOGIN
/// lets them.
fn password(bytes: &[u8]) -> Result<Secret, SaslError> {
    part(bytes, PASSWORD_BYTES_MAX).map(Secret::from)
}

fn part(bytes: &[u8], max: usize) -> Result<&[u8], SaslError> {
    match bytes {
        [] => Err(SaslError::Malformed),
        long if long.len() > max => Err(SaslError::TooLong { max }),
        nul if memchr::memchr(0, nul).is_some() => Err(SaslError::Malformed),
        good => Ok(good),
    }
}
