//! What `skein adm` and the server say to each other: one request in, lines of JSON out.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::fmt;
use std::net::IpAddr;

/// Where requests are posted.
pub const PATH: &str = "/adm/v1";

/// What is asked. `users` is a user's name, a pattern with `*` and `?`, or `*` for all.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the fields are the command line's words, and the variants tell of them")]
#[serde(tag = "verb", rename_all = "kebab-case", rename_all_fields = "kebab-case")]
pub enum Request {
    /// Numbers of the running server.
    Stats,
    /// End as by SIGTERM.
    Stop,
    /// Read settings, users and certificates again.
    Reload,
    /// The last warnings and errors: at most `last`, not older than `since`.
    LogErrors { since: Option<String>, errors_only: bool, last: usize },
    /// What happens, in frames of this many milliseconds; without an end when `frames` is 0.
    Top { every_ms: u64, frames: u64 },
    /// Sessions, of a user by name or pattern.
    Who { users: String },
    /// End sessions: one by its id, or all of a user.
    Kick { whom: String },
    /// Accounts that have mail here.
    UserList { users: String },
    /// What is known of them.
    UserInfo { users: String },
    /// Files of users have changed: what was remembered of this user counts no more. When he is `gone`, his sessions end.
    UserChanged { user: String, gone: bool },
    /// Remove all mail of a user, for good.
    UserEnd { user: String },
    /// Try a login without one; `from` is where the client is, none for this machine's Unix sockets.
    AuthTest { user: String, authzid: Option<String>, password: Hidden, from: Option<IpAddr> },
    /// Hold all that is kept of accounts against its checksums.
    Check { users: String },
    /// Make the indexes of accounts again; those of some mailboxes from their bodies alone.
    Rebuild { users: String, from_bodies: Vec<String> },
    /// Make a dictionary of what mail has in common, and keep it if it pays.
    DictionaryTrain { keep: bool },
    /// The dictionaries there are.
    DictionaryList,
    /// Their files, in base64.
    DictionaryRead,
    /// Keep one of a backup, in base64.
    DictionaryKeep { file: String },
    /// Write out all of a user's account and give its files second names, for a backup to copy.
    Pin { user: String },
    /// Take the second names away.
    Unpin { user: String, pin: String },
    /// Where the files of an account are to stand that is to be restored.
    RestoreFolder { user: String },
    /// Restore an account from there.
    Restore { user: String, replace: bool },
    /// Mailboxes by name.
    MailboxList { users: String, patterns: Vec<String>, subscribed: bool },
    /// Their numbers.
    MailboxStatus { users: String, patterns: Vec<String> },
    /// Make mailboxes.
    MailboxCreate { users: String, names: Vec<String>, subscribe: bool },
    /// Remove mailboxes with their messages.
    MailboxDelete { users: String, names: Vec<String>, unsubscribe: bool },
    /// Another name for a mailbox and all below it.
    MailboxRename { users: String, from: String, to: String },
    /// Names into or out of the subscriptions.
    MailboxSubscribe { users: String, names: Vec<String>, on: bool },
    /// Annotations of a mailbox, or with an empty name of the account itself: one by its name, or all that begin with `prefix`.
    MailboxMetadata { users: String, mailbox: String, entry: Option<String>, prefix: String },
    /// Sets an annotation, or removes it.
    MailboxAnnotate { users: String, mailbox: String, entry: String, value: Option<String> },
    /// Mailbox and UID of messages.
    Search { users: String, query: Vec<String> },
    /// Fields of messages.
    Fetch { users: String, fields: Vec<String>, query: Vec<String> },
    /// Remove messages.
    Expunge { users: String, query: Vec<String> },
    /// Remove messages that a mailbox has twice.
    Deduplicate { users: String, query: Vec<String> },
    /// Change flags and keywords.
    Flags { users: String, how: FlagsHow, flags: Vec<String>, query: Vec<String> },
    /// Copy or move messages to a mailbox of the same user.
    Copy { users: String, to: String, moving: bool, query: Vec<String> },
}

/// A password on its way.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hidden(pub String);

impl fmt::Debug for Hidden {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Hidden")
    }
}

/// What is done with the flags that are named.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FlagsHow {
    /// They are set beside those that are.
    Add,
    /// They are taken away.
    Remove,
    /// They are set, all others taken away.
    Replace,
}

/// One line of an answer. The last one is [`Line::End`]: without it the answer is not whole.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Line {
    /// One thing found or done.
    Row(Map<String, Value>),
    /// Something that could not be done; more may follow.
    Problem(Problem),
    /// All is said.
    End,
}

/// What could not be done.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Problem {
    /// What kind of failure.
    pub code: Code,
    /// One sentence.
    pub text: String,
}

/// Kinds of failure; also the exit codes of `skein adm`, those of sysexits.h.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Code {
    /// The command makes no sense.
    Usage,
    /// What is stored, or was given, is not right.
    Data,
    /// No such user.
    NoUser,
    /// No such mailbox.
    NoMailbox,
    /// No server.
    Unavailable,
    /// The server failed.
    Software,
    /// Not now.
    TryAgain,
    /// Not allowed.
    Denied,
}

impl Code {
    /// The exit code.
    pub fn exit(self) -> u8 {
        match self {
            Code::Usage => 64,
            Code::Data => 65,
            Code::NoUser => 67,
            Code::NoMailbox => 68,
            Code::Unavailable => 69,
            Code::Software => 70,
            Code::TryAgain => 75,
            Code::Denied => 77,
        }
    }
}

impl Problem {
    /// With its sentence.
    pub fn new(code: Code, text: impl Into<String>) -> Problem {
        Problem { code, text: text.into() }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}
