//! What the session answers, and the response codes that go with it.

use skein_base::{Class, Flags, IdSet, ModSeq, Uid, UidValidity};
use std::borrow::Cow;

/// The answer to one [`Request`](super::Request).
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Reply {
    /// Done; the machine knows the words for each command.
    Done,
    /// Done, and this is to be known.
    DoneCode(Code),
    /// Go on: send the literal, send the next chunk, idle.
    Continue,
    /// The user is who he says.
    LoggedIn {
        /// The name under which the session runs on.
        user: String,
    },
    /// The same, and his own mailboxes are on another server (RFC 2221 §4).
    Referred {
        /// Where, as [`server_url`](super::server_url) has it.
        url: String,
        /// What he is to read of it, when there is something special.
        text: Option<String>,
    },
    /// What is known of the user for SCRAM.
    Keys(Box<crate::sasl::ScramAnswer>),
    /// A mailbox is open; the machine writes the untagged lines.
    Selected(Box<SelectedInfo>),
    /// The answer to STATUS; the machine writes the line.
    Status(StatusInfo),
    /// `NO`: could not be done.
    No {
        /// Response code.
        code: Option<Code>,
        /// One sentence for people, without line breaks.
        text: Cow<'static, str>,
    },
    /// `BAD`: should not have been asked, as with a sequence number beyond the mailbox's end.
    Bad {
        /// One sentence for people, without line breaks.
        text: Cow<'static, str>,
    },
    /// The session can not go on: the machine writes BYE and closes.
    Bye {
        /// One sentence for people, without line breaks.
        text: Cow<'static, str>,
    },
}

impl Reply {
    /// `NO` with the response code of this class.
    pub fn no(class: Class, text: impl Into<Cow<'static, str>>) -> Reply {
        Reply::No { code: Code::of(class), text: text.into() }
    }

    /// `BAD` with this text.
    pub fn bad(text: impl Into<Cow<'static, str>>) -> Reply {
        Reply::Bad { text: text.into() }
    }
}

/// Response codes: RFC 3501 §7.1, RFC 5530, and those of the extensions.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Code {
    /// `ALERT`: clients must show the text.
    Alert,
    /// `APPENDUID validity uids` (RFC 4315)
    AppendUid {
        /// Of the target.
        validity: UidValidity,
        /// Of the new messages, in their order.
        uids: IdSet,
    },
    /// `BADURL "url"` (RFC 4469 §4)
    BadUrl(String),
    /// `COPYUID validity from to` (RFC 4315). Both sets have the same count and are in the order of copying.
    CopyUid {
        /// Of the target.
        validity: UidValidity,
        /// UIDs in the source.
        from: IdSet,
        /// UIDs in the target.
        to: IdSet,
    },
    /// `MODIFIED set` (RFC 7162 §3.1.3): failed UNCHANGEDSINCE; UIDs for UID STORE, else sequence numbers.
    Modified(IdSet),
    /// `HIGHESTMODSEQ n` (RFC 7162)
    HighestModSeq(ModSeq),
    /// `NOMODSEQ` (RFC 7162)
    NoModSeq,
    /// `MESSAGELIMIT n [uid]` (RFC 9738 §3.1)
    MessageLimit {
        /// One command works on at most so many messages.
        limit: u32,
        /// The lowest that it has worked on, or would have.
        lowest: Option<Uid>,
    },
    /// `MAILBOXID (F..)` (RFC 8474)
    MailboxId(u64),
    /// `METADATA LONGENTRIES n` (RFC 5464 §4.2.1): the longest value that was left out has so many bytes.
    MetadataLongEntries(u64),
    /// `METADATA MAXSIZE n`: values have at most so many bytes.
    MetadataMaxSize(u64),
    /// `METADATA TOOMANY`: there are as many annotations as there may be.
    MetadataTooMany,
    /// `METADATA NOPRIVATE`: this mailbox has no private annotations.
    MetadataNoPrivate,
    /// `NOTIFICATIONOVERFLOW` (RFC 5465 §5.8): more is asked, or has happened, than can be told.
    NotificationOverflow,
    /// `BADEVENT (MessageNew ..)` (RFC 5465 §3.1): only these events are told.
    BadEvent,
    /// `URLMECH INTERNAL` (RFC 4467 §6)
    UrlMech,
    /// `USEATTR` (RFC 6154 §3): a use that no mailbox can have, or another one has.
    UseAttr,
    /// `UIDREQUIRED` (RFC 9586 §3): message numbers are not used any more.
    UidRequired,
    /// `NOUPDATE "tag"` (RFC 5267 §4.3.1): what the command with this tag finds is not kept up.
    NoUpdate(String),
    /// `TOOFEW` (RFC 10022 §3.1.3): batches have more messages.
    TooFew,
    /// `TOOMANY` (RFC 10022 §3.1.5): fewer messages at a time.
    TooMany,
    /// `NOTSAVED` (RFC 5182 §2.1): nothing is saved for `$`.
    NotSaved,
    /// `TRYCREATE`: the target is missing and could be created.
    TryCreate,
    /// `READ-ONLY`
    ReadOnly,
    /// `READ-WRITE`
    ReadWrite,
    /// `BADCHARSET (US-ASCII UTF-8)`
    BadCharset,
    /// `BADCOMPARATOR` (RFC 5255 §4.9): there is none such.
    BadComparator,
    /// `COMPRESSIONACTIVE` (RFC 4978 §3)
    CompressionActive,
    /// `CLOSED` (RFC 7162 §3.2.11)
    Closed,
    /// `UNAVAILABLE`
    Unavailable,
    /// `REFERRAL url` (RFC 2221 §4): log in there.
    Referral(String),
    /// `AUTHENTICATIONFAILED`
    AuthenticationFailed,
    /// `AUTHORIZATIONFAILED`
    AuthorizationFailed,
    /// `EXPIRED`
    Expired,
    /// `PRIVACYREQUIRED`
    PrivacyRequired,
    /// `CONTACTADMIN`
    ContactAdmin,
    /// `NOPERM`
    NoPerm,
    /// `INUSE`
    InUse,
    /// `EXPUNGEISSUED`
    ExpungeIssued,
    /// `CORRUPTION`
    Corruption,
    /// `SERVERBUG`
    ServerBug,
    /// `CLIENTBUG`
    ClientBug,
    /// `CANNOT`
    Cannot,
    /// `LIMIT`
    Limit,
    /// `TOOBIG` (RFC 7888 §4, RFC 4469)
    TooBig,
    /// `UNKNOWN-CTE` (RFC 3516 §4.4): a part is encoded in a way that can not be undone, or not done.
    UnknownCte,
    /// `OVERQUOTA`
    OverQuota,
    /// `ALREADYEXISTS`
    AlreadyExists,
    /// `NONEXISTENT`
    NonExistent,
}

impl Code {
    /// The one table from classes to response codes. Damage has none: RFC 5530's CORRUPTION asks the user to
    /// call for help, and the log has told the operator already.
    pub fn of(class: Class) -> Option<Code> {
        Some(match class {
            Class::Invalid => Code::Cannot,
            Class::Missing => Code::NonExistent,
            Class::Exists => Code::AlreadyExists,
            Class::InUse => Code::InUse,
            Class::Denied => Code::NoPerm,
            Class::Credentials => Code::AuthenticationFailed,
            Class::Limit => Code::Limit,
            Class::TooBig => Code::TooBig,
            Class::Quota => Code::OverQuota,
            Class::Unavailable | Class::Full => Code::Unavailable,
            Class::Damaged => return None,
        })
    }
}

/// What SELECT and EXAMINE tell (RFC 3501 §6.3.1).
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct SelectedInfo {
    /// The mailbox's keywords, for FLAGS and PERMANENTFLAGS. System flags are all listed always.
    pub keywords: Vec<String>,
    /// System flags that this user may change for good; all, in a mailbox of his own.
    pub permanent: Flags,
    /// New keywords may be created: `\*` in PERMANENTFLAGS.
    pub new_keywords: bool,
    /// Messages.
    pub exists: u32,
    /// Messages with `\Recent` in this session.
    pub recent: u32,
    /// Sequence number of the first message without `\Seen`.
    pub first_unseen: Option<u32>,
    /// UIDVALIDITY.
    pub uid_validity: u32,
    /// UIDNEXT.
    pub uid_next: u32,
    /// HIGHESTMODSEQ, 1 or more.
    pub highest_modseq: u64,
    /// Opened for reading only: asked so, or no right to write.
    pub read_only: bool,
    /// Identity of the mailbox, whatever its name; 0 when it has none to tell.
    pub mailbox_id: u64,
    /// URLs of its messages can be authorized: URLMECH (RFC 4467 §8).
    pub url_mech: bool,
}

/// What STATUS tells. The machine writes those that were asked; fill the others with 0 where they cost something.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct StatusInfo {
    /// Messages.
    pub messages: u32,
    /// Messages with `\Recent` for whoever selects next.
    pub recent: u32,
    /// UIDNEXT.
    pub uid_next: u32,
    /// UIDVALIDITY.
    pub uid_validity: u32,
    /// Messages without `\Seen`.
    pub unseen: u32,
    /// HIGHESTMODSEQ, 1 or more.
    pub highest_modseq: u64,
    /// Bytes of all messages.
    pub size: u64,
    /// Messages with `\Deleted`.
    pub deleted: u32,
    /// Bytes of the messages with `\Deleted`.
    pub deleted_bytes: u64,
    /// Bytes of the largest message that APPEND takes.
    pub append_limit: u64,
    /// Identity of the mailbox, whatever its name.
    pub mailbox_id: u64,
}
