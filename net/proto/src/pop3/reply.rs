//! What the machine asks of the session, and what the session answers.

use super::limits::REPLY_TEXT_BYTES_MAX;
use crate::sasl::{Question, ScramAnswer};
use skein_base::{Class, Secret};
use std::borrow::Cow;

/// A question to the session. Message numbers are from 1, and may be of no message.
#[derive(Debug)]
pub enum Request {
    /// PASS, AUTH PLAIN and LOGIN: check the password, lock and number the maildrop. Answer: [`Reply::Totals`].
    Login {
        /// Who the password belongs to.
        user: String,
        /// The password.
        password: Secret,
        /// Whose mail is asked for, when it is not the user's own.
        authzid: Option<String>,
    },
    /// AUTH with a mechanism that sends no password. Answer: [`Reply::Keys`] to [`Question::Keys`], else [`Reply::Totals`].
    Sasl(Question),
    /// STAT: [`Reply::Totals`] of what is not marked deleted.
    Stat,
    /// LIST: [`Reply::Scan`] for one; for all [`Reply::Totals`], then [`super::Pop3::scan`] for each, then
    /// [`super::Pop3::end`].
    List(Option<u32>),
    /// UIDL: [`Reply::UniqueId`] for one; for all [`Reply::Done`], then [`super::Pop3::unique_id`] for each, then
    /// [`super::Pop3::end`].
    Uidl(Option<u32>),
    /// RETR: [`Reply::Message`], then [`super::Pop3::body`] piece by piece, then [`super::Pop3::end`].
    Retr(u32),
    /// TOP: the same until [`super::Pop3::body`] wants no more.
    Top {
        /// The message.
        number: u32,
        /// Lines of its body.
        lines: u32,
    },
    /// LAST: [`Reply::Last`].
    Last,
    /// DELE: mark it deleted. Answer: [`Reply::Done`].
    Dele(u32),
    /// RSET: unmark all. Answer: [`Reply::Totals`].
    Rset,
    /// QUIT: remove what is marked (RFC 1939 §6). Answer, once that is durable: [`Reply::Done`].
    Quit,
}

/// The answer to one [`Request`].
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Reply {
    /// Done; the machine knows the words for each command.
    Done,
    /// What is known of the user for SCRAM.
    Keys(Box<ScramAnswer>),
    /// What the maildrop holds.
    Totals {
        /// Messages not marked deleted.
        messages: u32,
        /// Their sizes, bytes.
        bytes: u64,
    },
    /// The size of the one message that LIST asked for, bytes.
    Scan {
        /// Bytes, line breaks as two.
        bytes: u64,
    },
    /// The highest number among the messages that have been retrieved; 0 for none.
    Last {
        /// Its number.
        number: u32,
    },
    /// The unique id of the one message that UIDL asked for.
    UniqueId {
        /// 1 to 70 characters of 0x21 to 0x7e.
        id: Vec<u8>,
    },
    /// A message follows.
    Message {
        /// Its size, bytes.
        bytes: u64,
    },
    /// `-ERR`: could not be done.
    Refuse {
        /// Response code.
        code: Option<Code>,
        /// One sentence for people, without line breaks.
        text: Cow<'static, str>,
    },
}

impl Reply {
    /// `-ERR` with the response code of this class.
    pub fn refuse(class: Class, text: impl Into<Cow<'static, str>>) -> Reply {
        Reply::Refuse { code: Code::of(class), text: text.into() }
    }
}

/// Response codes (RFC 2449 §8, RFC 3206).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Code {
    /// `IN-USE`: another session has the maildrop.
    InUse,
    /// `AUTH`: the credentials are at fault.
    Auth,
    /// `SYS/TEMP`: the server is at fault, and may be better soon.
    SysTemp,
    /// `SYS/PERM`: the server is at fault until somebody mends it.
    SysPerm,
}

impl Code {
    /// The code that says what kind of failure it was, if there is one.
    pub fn of(class: Class) -> Option<Code> {
        match class {
            Class::InUse => Some(Code::InUse),
            Class::Credentials | Class::Denied => Some(Code::Auth),
            Class::Unavailable | Class::Full | Class::Limit => Some(Code::SysTemp),
            Class::Damaged => Some(Code::SysPerm),
            Class::Invalid | Class::Missing | Class::Exists | Class::TooBig | Class::Quota => None,
        }
    }

    fn word(self) -> &'static str {
        match self {
            Code::InUse => "IN-USE",
            Code::Auth => "AUTH",
            Code::SysTemp => "SYS/TEMP",
            Code::SysPerm => "SYS/PERM",
        }
    }
}

/// `-ERR [CODE] text`. The text may hold what a client sent: what could break the line or is no ASCII is left out.
pub(super) fn refusal(out: &mut Vec<u8>, code: Option<Code>, text: &str) {
    out.extend_from_slice(b"-ERR ");
    if let Some(code) = code {
        out.push(b'[');
        out.extend_from_slice(code.word().as_bytes());
        out.extend_from_slice(b"] ");
    }
    out.extend(text.bytes().filter(|b| (b' '..=b'~').contains(b)).take(REPLY_TEXT_BYTES_MAX));
    out.extend_from_slice(b"\r\n");
}
