//! SASL mechanisms, the server's side, as machines on decoded bytes (RFC 4422). Base64 is the protocol's own affair.
//!
//! ```text
//! Exchange::new(mechanism, channel) ── step(client's bytes) ──▶ Challenge(bytes)   send it, step again
//!                                          ▲                └─▶ Ask(Question)      the session knows, or has to look
//!                                          └── keys(ScramAnswer) ◀── for Question::Keys only: a challenge follows
//! ```
//!
//! PLAIN, LOGIN, EXTERNAL, SCRAM-SHA-1, SCRAM-SHA-256 and both with -PLUS. A mechanism takes messages apart and does SCRAM's
//! arithmetic; whether a password is right, who has a certificate and who may act for whom is asked.
//!
//! SCRAM is ours and not a crate's because the keys come from a source that may take its time: the exchange has to stop in the
//! middle, and to move to another core's session with the connection.

mod channel;
mod exchange;
mod external;
mod login;
mod mechanism;
mod plain;
mod scram;
#[cfg(test)]
mod tests;

pub use channel::{Bindings, Channel};
pub use exchange::{Exchange, SaslStep};
pub use login::Login;
pub use mechanism::Mechanism;
pub use plain::Plain;
pub use scram::ScramAnswer;

use skein_base::Secret;
use skein_base::limits::{PASSWORD_BYTES_MAX, USER_NAME_BYTES_MAX};
use skein_base::scram::ScramHash;
use std::fmt;

/// Bytes of one decoded message: two names, a password and their separators. SCRAM's messages are shorter.
pub const MESSAGE_BYTES_MAX: usize = 2 * USER_NAME_BYTES_MAX + PASSWORD_BYTES_MAX + 2;

/// What an exchange wants to know. The last one, all but [`Question::Keys`], ends the exchange: its answer is the outcome.
#[derive(Clone, Debug)]
pub enum Question {
    /// Is this the password?
    Password(Credentials),
    /// What is kept of the user's password for SCRAM? Someone unknown has keys too, that nothing fits.
    Keys {
        /// Who says he knows the password.
        user: String,
        /// Whose mail is asked for, when it is not the user's own.
        authzid: Option<String>,
        /// For which mechanism.
        hash: ScramHash,
    },
    /// SCRAM is over: the proof does or does not fit the keys. May the user in, and act as `authzid`?
    Proof {
        /// Who gave the proof.
        user: String,
        /// Whose mail is asked for, when it is not the user's own.
        authzid: Option<String>,
        /// With which mechanism.
        hash: ScramHash,
        /// False: the password was wrong, or nobody is called so.
        holds: bool,
    },
    /// May the owner of the client certificate in, and act as `authzid`?
    Certificate {
        /// Whose mail is asked for, when it is not the owner's own.
        authzid: Option<String>,
    },
}

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

/// Why a message is none. All of them are `BAD` or `501 5.5.2`, never a wrong password; but see [`SaslError::Binding`].
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
    /// The client does not see the TLS channel that the server sees, or was kept from binding to it: someone may be in
    /// between. This one is a failed authentication.
    Binding,
}

impl fmt::Display for SaslError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SaslError::Malformed => f.write_str("the authentication message is malformed"),
            SaslError::TooLong { max } => write!(f, "a part of the authentication message is longer than {max} bytes"),
            SaslError::NotUtf8 => f.write_str("the user name is not UTF-8"),
            SaslError::Ended => f.write_str("the authentication exchange is over"),
            SaslError::Binding => f.write_str("the channel binding does not fit this connection"),
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
