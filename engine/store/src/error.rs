//! Why the store refuses, with the class that the protocols go by.

use crate::account::AccountError;
use crate::gate::Refused;
use crate::log::{LogError, ReadError};
use skein_base::{AccountId, Class, MailboxId};
use std::{fmt, io};

/// Why the store refuses.
#[derive(Debug)]
pub enum StoreError {
    /// The account's rules.
    Account(AccountError),
    /// The gate.
    Refused(Refused),
    /// The log.
    Log(LogError),
    /// Reading back.
    Read(ReadError),
    /// A snapshot could not be written or read for a reason of the disk's.
    Disk(io::Error),
    /// An op in the log does not read as one.
    Damaged {
        /// Whose.
        account: AccountId,
        /// Which mailbox, when it is one's.
        mailbox: Option<MailboxId>,
    },
}

impl StoreError {
    /// Its class.
    pub fn class(&self) -> Class {
        match self {
            StoreError::Account(error) => error.class(),
            StoreError::Refused(refused) => refused.class,
            StoreError::Log(error) => error.class(),
            StoreError::Read(error) => error.class(),
            StoreError::Disk(_) => Class::Unavailable,
            StoreError::Damaged { .. } => Class::Damaged,
        }
    }

    /// Whether what is stored is gone or changed, rather than out of reach for now.
    pub fn is_damage(&self) -> bool {
        self.class() == Class::Damaged
    }

    /// One sentence for the client. What only the operator should know stays in the log.
    pub fn client_text(&self) -> String {
        match self {
            StoreError::Account(error) => error.to_string(),
            StoreError::Refused(refused) => refused.to_string(),
            StoreError::Log(LogError::TooBig { .. }) => "Too many messages for one command; use a smaller set".into(),
            StoreError::Log(LogError::Full { .. }) => "The disk of the mail store is full".into(),
            StoreError::Log(_) => "Mail can not be changed at the moment, please try again later".into(),
            StoreError::Read(_) | StoreError::Damaged { .. } => {
                "The message can not be read; the operator has been told".into()
            }
            StoreError::Disk(_) => "The mail store is not available at the moment, please try again later".into(),
        }
    }
}

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            StoreError::Account(error) => error.fmt(f),
            StoreError::Refused(refused) => refused.fmt(f),
            StoreError::Log(error) => error.fmt(f),
            StoreError::Read(error) => error.fmt(f),
            StoreError::Disk(error) => write!(f, "disk: {error}"),
            StoreError::Damaged { account, mailbox } => {
                write!(f, "a logged change of account {account:?}, mailbox {mailbox:?}, does not read")
            }
        }
    }
}

impl std::error::Error for StoreError {}

macro_rules! from {
    ($($error:ty => $variant:ident),*) => {$(
        impl From<$error> for StoreError {
            fn from(error: $error) -> StoreError {
                StoreError::$variant(error)
            }
        }
    )*};
}
from!(AccountError => Account, Refused => Refused, LogError => Log, ReadError => Read, io::Error => Disk);
