//! What a source of users is, in memory or far away.

use crate::entry::Entry;
use skein_base::scram::ScramHash;
use skein_base::{Secret, UserName};
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

/// The source can not be asked now. Why, is in its own log line.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Unavailable;

/// An answer that may take its time.
pub enum Answer<T> {
    /// At once, from memory.
    Now(Result<T, Unavailable>),
    /// From elsewhere: run on the side runtime, with a deadline that counts as [`Unavailable`].
    Later(Pin<Box<dyn Future<Output = Result<T, Unavailable>> + Send>>),
}

/// Who may log in.
pub trait PassDb: Send + Sync {
    /// What is known of a user, with his stored password; `None` when he is not known here.
    fn look_up(&self, user: &UserName) -> Answer<Option<Entry>>;

    /// For sources that keep passwords to themselves (an LDAP bind, a token's introspection): whether this is the user's
    /// password. `None` when the source gives its hashes away, so that they are checked here.
    fn verify(&self, _user: &UserName, _password: &Secret) -> Option<Answer<Verified>> {
        None
    }

    /// What users here have, for doing the same for one who is not here.
    fn sample(&self) -> Sample {
        Sample::default()
    }
}

/// Who has mail.
pub trait UserDb: Send + Sync {
    /// What is known of a user; `None` when he is not known here.
    fn find(&self, user: &UserName) -> Answer<Option<Entry>>;
}

/// What a source says that checks passwords itself.
#[derive(Clone, Debug)]
pub enum Verified {
    /// It is the password.
    Match(Entry),
    /// It is not.
    Mismatch,
    /// There is no such user.
    Unknown,
}

/// What most users of a source have.
#[derive(Clone, Default, Debug)]
pub struct Sample {
    /// A costly hash. It is checked and its result thrown away when the user is unknown.
    pub hash: Option<Arc<crate::Hash>>,
    /// What SCRAM meets.
    pub scram: Option<ScramSample>,
}

/// What SCRAM meets in most users.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum ScramSample {
    /// Keys of this form.
    Keys {
        /// Of which mechanism.
        hash: ScramHash,
        /// Rounds.
        iterations: u32,
        /// Bytes of the salt.
        salt_bytes: usize,
    },
    /// Passwords, of which keys are made at each login.
    Passwords,
}
