//! Why a server does not start; each text names the way out.

use crate::confine::ConfineError;
use crate::takeover::TakeoverError;
use skein_base::ShardId;
use skein_runtime::{CheckError, DataLockError, StartError};
use skein_transport::{BindError, TlsLoadError};
use std::{fmt, io};

/// Why a server does not start, or did not end well.
#[derive(Debug)]
pub enum ServerError {
    /// The machine lacks something.
    Check(CheckError),
    /// The data folder is not ours.
    Data(DataLockError),
    /// No certificate.
    Tls(TlsLoadError),
    /// No users.
    Users(skein_auth::LoadError),
    /// An address is not ours.
    Bind(BindError),
    /// The place of a running server can not be taken.
    Takeover(TakeoverError),
    /// A shard could not be started.
    Start(StartError),
    /// A shard could not read the log, or ended early.
    Shard {
        /// Which.
        shard: ShardId,
        /// Why.
        why: String,
    },
    /// Nobody can say who the address of a warning is, for the reason given.
    Authorities(String),
    /// It can not give up what it should.
    Confine(ConfineError),
    /// The system refuses something basic.
    System {
        /// What was tried.
        what: &'static str,
        /// Why not.
        error: io::Error,
    },
}

impl fmt::Display for ServerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ServerError::Check(error) => error.fmt(f),
            ServerError::Data(error) => error.fmt(f),
            ServerError::Tls(error) => error.fmt(f),
            ServerError::Users(error) => error.fmt(f),
            ServerError::Bind(error) => error.fmt(f),
            ServerError::Takeover(error) => error.fmt(f),
            ServerError::Start(error) => error.fmt(f),
            ServerError::Shard { shard, why } => write!(f, "shard {shard}: {why}"),
            ServerError::Authorities(why) => f.write_str(why),
            ServerError::Confine(error) => error.fmt(f),
            ServerError::System { what, error } => write!(f, "{what}: {error}"),
        }
    }
}

impl std::error::Error for ServerError {}

macro_rules! from {
    ($($error:ty => $variant:ident),*) => {$(
        impl From<$error> for ServerError {
            fn from(error: $error) -> ServerError {
                ServerError::$variant(error)
            }
        }
    )*};
}
from!(CheckError => Check, DataLockError => Data, TlsLoadError => Tls, skein_auth::LoadError => Users,
      BindError => Bind, TakeoverError => Takeover, StartError => Start, ConfineError => Confine);
