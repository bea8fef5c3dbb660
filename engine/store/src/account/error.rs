//! Why an account refuses.

use skein_base::Class;
use std::fmt;

/// Why an account refuses an operation.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum AccountError {
    /// There is no such account.
    NoSuchAccount,
    /// There is mail, and what said whose it is can not be read: it is known again when its user comes, or is named.
    Nameless,
    /// No mailbox has this name.
    NoSuchMailbox,
    /// The message is not in its mailbox any more.
    NoSuchMessage,
    /// A mailbox has this name already.
    MailboxExists,
    /// INBOX can neither be deleted nor take another name.
    InboxStays,
    /// The name has children but no messages of its own; there is nothing to delete, and the children stay.
    HasChildren,
    /// The name is empty, has an empty level, or holds a control character.
    BadName {
        /// What is wrong, for the client.
        why: &'static str,
    },
    /// The name is longer than `max` bytes.
    NameTooLong {
        /// The bound.
        max: usize,
    },
    /// The name has more than `max` levels.
    NameTooDeep {
        /// The bound.
        max: usize,
    },
    /// Another mailbox is for that already.
    SpecialUseTaken,
    /// An annotation's value is longer than `max` bytes.
    MetadataTooBig {
        /// The bound.
        max: usize,
    },
    /// The mailbox, or the account, has as many annotations as it may, or they are as large as they may be.
    TooManyMetadata,
    /// An annotation's name is empty or longer than `max` bytes.
    BadMetadataName {
        /// The bound.
        max: usize,
    },
    /// A column's name is empty, longer than `max` bytes, or holds a control character.
    BadColumnName {
        /// The bound.
        max: usize,
    },
    /// The messages of the mailbox have as many columns or runs of values as they may.
    TooManyValues,
    /// A mailbox can not move below itself.
    IntoItself,
    /// The account has `max` mailboxes.
    TooManyMailboxes {
        /// The bound.
        max: usize,
    },
    /// The account has given out the last number of a mailbox.
    OutOfMailboxIds,
    /// The mailbox would know more than `max` keywords.
    TooManyKeywords {
        /// The bound.
        max: usize,
    },
    /// The mailbox has given out its last UID.
    OutOfUids,
    /// The mailbox is not in memory; the caller loads it first.
    NotLoaded,
}

impl AccountError {
    /// Its class.
    pub fn class(&self) -> Class {
        match self {
            AccountError::NoSuchAccount | AccountError::NoSuchMailbox | AccountError::NoSuchMessage => Class::Missing,
            AccountError::MailboxExists | AccountError::SpecialUseTaken => Class::Exists,
            AccountError::InboxStays
            | AccountError::HasChildren
            | AccountError::BadName { .. }
            | AccountError::NameTooLong { .. }
            | AccountError::NameTooDeep { .. }
            | AccountError::BadMetadataName { .. }
            | AccountError::BadColumnName { .. }
            | AccountError::IntoItself => Class::Invalid,
            AccountError::MetadataTooBig { .. } => Class::TooBig,
            AccountError::TooManyMetadata
            | AccountError::TooManyValues
            | AccountError::TooManyMailboxes { .. }
            | AccountError::OutOfMailboxIds
            | AccountError::TooManyKeywords { .. }
            | AccountError::OutOfUids => Class::Limit,
            AccountError::NotLoaded => Class::Unavailable,
            AccountError::Nameless => Class::Damaged,
        }
    }
}

impl fmt::Display for AccountError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            AccountError::NoSuchAccount => f.write_str("No such account"),
            AccountError::Nameless => f.write_str(
                "the tree of this account can not be read, and nothing else says whose it is; its user's next login, or `skein adm rebuild` with \
                 his name, makes it again",
            ),
            AccountError::NoSuchMailbox => f.write_str("No such mailbox"),
            AccountError::NoSuchMessage => f.write_str("The message is gone"),
            AccountError::MailboxExists => f.write_str("A mailbox of that name exists already"),
            AccountError::InboxStays => f.write_str("INBOX can not be deleted"),
            AccountError::HasChildren => f.write_str("That name only holds other mailboxes; delete those first"),
            AccountError::BadName { why } => write!(f, "Bad mailbox name: {why}"),
            AccountError::NameTooLong { max } => write!(f, "Mailbox names are at most {max} bytes long"),
            AccountError::NameTooDeep { max } => write!(f, "Mailbox names have at most {max} levels"),
            AccountError::IntoItself => f.write_str("A mailbox can not be moved below itself"),
            AccountError::MetadataTooBig { max } => write!(f, "Values of annotations are at most {max} bytes long"),
            AccountError::TooManyMetadata => f.write_str("There are as many annotations as there may be"),
            AccountError::BadMetadataName { max } => write!(f, "Names of annotations have 1 to {max} bytes"),
            AccountError::BadColumnName { max } => {
                write!(f, "Names of columns have 1 to {max} bytes without control characters")
            }
            AccountError::TooManyValues => f.write_str("The messages of this mailbox have as many values as they may"),
            AccountError::SpecialUseTaken => f.write_str("Another mailbox has this use already"),
            AccountError::TooManyMailboxes { max } => write!(f, "An account has at most {max} mailboxes"),
            AccountError::OutOfMailboxIds => f.write_str("The account has no numbers left for mailboxes"),
            AccountError::TooManyKeywords { max } => write!(f, "A mailbox knows at most {max} keywords"),
            AccountError::OutOfUids => f.write_str("The mailbox has no UIDs left"),
            AccountError::NotLoaded => f.write_str("The mailbox is not open yet"),
        }
    }
}

impl std::error::Error for AccountError {}
