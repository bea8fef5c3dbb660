//! What the machine asks of the session: one owned value per command, ready to travel to another core.
//!
//! ```text
//! not logged in   Login Sasl
//! logged in       Select Create Delete Rename Subscribe Unsubscribe List Namespace Status Append* Idle Enable Sync
//!                 GetMetadata SetMetadata EnableMetadata MultiSearch Notify Unauthenticate
//! selected        Unselect Close Fetch Store Search ForgetSaved Sort Thread CancelUpdate UidBatches Copy Move Expunge
//! either          Extension
//! any             Logout
//! ```
//!
//! Mailbox names are UTF-8 with `/` between levels; the wire's modified UTF-7 never gets here. INBOX arrives as
//! `INBOX` in whatever case the client wrote it, also as the first level (`INBOX/x`); only LIST's reference and pattern keep the client's case.

use super::{Argument, Code, Comparator, ImapUrl, MailboxFilter, ResultRange, Returns, SeqSet};
use crate::sasl::Question;
use skein_base::{Collation, Flags, ModSeq, Secret, SpecialUse};

/// One question to the session. Each is answered by one [`Reply`](super::Reply); untagged lines go into
/// `Imap::out` before the answer. The line after each variant names the replies that fit besides `No` and `Bad`.
#[derive(Clone, Debug)]
pub enum Request {
    /// LOGIN, AUTHENTICATE PLAIN or LOGIN. Reply: `LoggedIn`.
    Login {
        /// Who the password belongs to (SASL authentication identity).
        user: String,
        /// The password as the client sent it.
        password: Secret,
        /// Whose mail is asked for, when not the user's own (SASL authorization identity).
        authzid: Option<String>,
    },
    /// AUTHENTICATE with a mechanism that sends no password. Reply: `Keys` to [`Question::Keys`], else `LoggedIn`.
    Sasl(Question),
    /// SELECT or EXAMINE. A mailbox selected before is closed without expunging first, even when this one is
    /// refused (RFC 3501 §6.3.1). Reply: `Selected`.
    Select {
        /// The mailbox.
        mailbox: String,
        /// SELECT or EXAMINE.
        mode: Mode,
        /// IMAP4rev2 is enabled, which knows no `\Recent`.
        rev2: bool,
        /// The `(CONDSTORE)` parameter was given (RFC 7162 §3.1.8).
        condstore: bool,
        /// The `(QRESYNC (..))` parameter was given: [`Request::Resync`] follows when the mailbox is open.
        resync: Option<Resync>,
    },
    /// The mailbox that has just been selected is the one that the client knows: the session writes what vanished with
    /// [`response::vanished`](super::response::vanished), and FETCH lines of what changed (RFC 7162 §3.2.5). Reply: `Done`.
    Resync(Resync),
    /// UNSELECT: leave the mailbox, expunge nothing (RFC 3691). Reply: `Done`.
    Unselect,
    /// CLOSE: expunge `\Deleted` silently unless the mailbox is open read-only, then leave it. Reply: `Done`.
    Close,
    /// CREATE. A trailing separator has been taken off (RFC 3501 §6.3.3). Reply: `Done`.
    Create {
        /// The mailbox.
        mailbox: String,
        /// What it is for (RFC 6154 §3).
        uses: SpecialUse,
    },
    /// DELETE. Reply: `Done`.
    Delete {
        /// The mailbox.
        mailbox: String,
    },
    /// RENAME; INBOX as the source moves its messages (RFC 3501 §6.3.5). Reply: `Done`.
    Rename {
        /// The name it has.
        from: String,
        /// The name it gets.
        to: String,
    },
    /// SUBSCRIBE. Reply: `Done`.
    Subscribe {
        /// The mailbox.
        mailbox: String,
    },
    /// UNSUBSCRIBE. Reply: `Done`.
    Unsubscribe {
        /// The mailbox.
        mailbox: String,
    },
    /// LIST or LSUB. The session writes the lines with [`response::list`](super::response::list), and for `STATUS`, `METADATA` and `MYRIGHTS` in
    /// RETURN [`response::status`](super::response::status) and a [`MetadataLine`](super::response::MetadataLine) after each. The question for the separator (`LIST "" ""`) is answered by the
    /// machine and never asked. Reply: `Done`.
    List {
        /// The reference name.
        reference: String,
        /// The patterns with their `*` and `%`; one, but in the extended form.
        patterns: Vec<String>,
        /// LSUB: among the subscribed names.
        lsub: bool,
        /// The extended form's options (RFC 5258); `None` for the plain one.
        extended: Option<ListOptions>,
    },
    /// NAMESPACE (RFC 2342); the line is [`response::namespace`](super::response::namespace). Reply: `Done`.
    Namespace,
    /// STATUS. Reply: `Status`; the machine writes the line.
    Status {
        /// The mailbox.
        mailbox: String,
        /// What is asked. HIGHESTMODSEQ is an enabling command of CONDSTORE.
        items: StatusItems,
    },
    /// GETMETADATA (RFC 5464 §4.2). The session writes [`MetadataLine`](super::response::MetadataLine)s; of an entry that is asked by its
    /// name and is not there, the value is NIL. Reply: `Done`, or `DoneCode(MetadataLongEntries)`.
    GetMetadata {
        /// The mailbox, or when none has this name, a pattern of several as LIST's; `None` for the server.
        mailbox: Option<String>,
        /// Names in lower case, each once; at least one.
        entries: Vec<String>,
        /// Leave out values that are longer.
        max_bytes: Option<u32>,
        /// How far below the names.
        depth: Depth,
    },
    /// SETMETADATA (RFC 5464 §4.3): all of it or nothing. Reply: `Done`.
    SetMetadata {
        /// The mailbox; `None` for the server.
        mailbox: Option<String>,
        /// Names in lower case, with their values; those without are removed. The last of the same name counts.
        changes: Vec<(String, Option<Vec<u8>>)>,
    },
    /// ENABLE METADATA or METADATA-SERVER, for the first time: from now on tell which annotations others have changed, with
    /// [`response::metadata_changed`](super::response::metadata_changed) in [`Request::Sync`] and while idling (RFC 5464 §4.4.2). Reply: `Done`.
    EnableMetadata {
        /// Those of mailboxes too.
        mailboxes: bool,
    },
    /// NOTIFY SET, or NONE without a set (RFC 5465). From now on only what it names is told, and that while [`Imap::may_tell`](super::Imap::may_tell) as well. For
    /// STATUS the session writes [`response::status`](super::response::status) of the mailboxes whose messages are watched. Reply: `Done`.
    Notify(Option<Box<NotifySet>>),
    /// APPEND or REPLACE begins. Reply: `Continue`, or a refusal. A refusal of this or of any further question of the
    /// command ends it: nothing more is asked of it, and what the client still sends of it is dropped by the machine.
    AppendBegin(AppendTo),
    /// A message begins, and one before it is complete; at most
    /// [`APPEND_MESSAGES_MAX`](super::limits::APPEND_MESSAGES_MAX) of one command (RFC 3502). Its parts follow in
    /// order: literals and URLs, one or more. Reply: `Continue`.
    AppendMessage {
        /// Flags and keywords of the new message.
        flags: FlagList,
        /// INTERNALDATE in seconds since 1970, when the client gave one.
        internal_date: Option<i64>,
    },
    /// The next part of the message is what this names (RFC 4469). Reply: `Continue`, or a refusal with `BadUrl`.
    AppendUrl(Box<ImapUrl>),
    /// The next part of the message is on its way. Reply: `Continue` to receive it.
    AppendLiteral {
        /// Bytes; the chunks add up to exactly this. Within APPENDLIMIT, but for several parts together.
        size: u64,
        /// It is a literal8: its bytes are any, and parts of the message may say that they are binary (RFC 3516 §4.4).
        binary: bool,
    },
    /// The next bytes of that part, at most [`APPEND_CHUNK_BYTES`](super::limits::APPEND_CHUNK_BYTES). Reply: `Continue`.
    AppendChunk(Vec<u8>),
    /// The last message is complete and the command is well-formed. All its messages are taken, or none. Reply:
    /// `DoneCode(AppendUid)`; the EXPUNGE line of a message that was replaced comes with the `Sync` that follows.
    AppendEnd,
    /// The rest of the command is wrong: forget all of it. Reply: `Done`; the machine answers the client.
    AppendAbort,
    /// FETCH or UID FETCH. The session writes the lines with [`response`](super::response). UID FETCH has
    /// [`FetchItem::Uid`] among its items, CHANGEDSINCE has [`FetchItem::ModSeq`]. Reply: `Done`.
    Fetch {
        /// Which messages.
        set: SeqSet,
        /// The set names UIDs.
        uid: bool,
        /// What of them.
        items: FetchItems,
        /// Only messages changed after this (RFC 7162 §3.1.4.1).
        changed_since: Option<ModSeq>,
        /// First tell which of the set have vanished since then (RFC 7162 §3.2.6).
        vanished: bool,
        /// Only the messages at these places of the set, before `changed_since` is looked at (RFC 9394 §3.3).
        partial: Option<ResultRange>,
    },
    /// STORE or UID STORE. Reply: `Done` or `DoneCode(Modified)`.
    Store {
        /// Which messages.
        set: SeqSet,
        /// The set names UIDs, and each FETCH line written carries UID.
        uid: bool,
        /// Replace, add or remove.
        mode: StoreMode,
        /// `.SILENT`: no FETCH line for changes of this very command, save MODSEQ where CONDSTORE wants it.
        silent: bool,
        /// The flags.
        flags: FlagList,
        /// Skip messages changed after this (RFC 7162 §3.1.3).
        unchanged_since: Option<ModSeq>,
    },
    /// SEARCH or UID SEARCH. The line is [`response::search`](super::response::search), or with RETURN options
    /// [`response::esearch`](super::response::esearch). Reply: `Done`.
    /// This and other commands on messages work on the highest of them where their number is limited, and are answered with
    /// `DoneCode(MessageLimit)` then (RFC 9738).
    Search {
        /// Answer with UIDs.
        uid: bool,
        /// What to look for. Strings are UTF-8 already.
        key: SearchKey,
        /// A MODSEQ key is among them: the answer carries the highest MODSEQ (RFC 7162 §3.1.5).
        needs_modseq: bool,
        /// RETURN was given (RFC 4731).
        returns: Option<Returns>,
    },
    /// A search that was to be saved can not be done: `$` means nothing from now on (RFC 5182 §2.1). Reply: `No`, of these.
    ForgetSaved {
        /// Why not.
        code: Code,
        /// The same in words.
        text: &'static str,
    },
    /// SORT or UID SORT (RFC 5256). The line is [`response::sort`](super::response::sort). Reply: `Done`.
    Sort {
        /// Answer with UIDs.
        uid: bool,
        /// In which order; at least one.
        by: Vec<SortBy>,
        /// What to look for.
        key: SearchKey,
        /// A MODSEQ key is among them.
        needs_modseq: bool,
        /// RETURN was given (RFC 5267): the line is [`response::esearch`](super::response::esearch).
        returns: Option<Returns>,
    },
    /// ESEARCH (RFC 7377), which answers with UIDs: a line for each mailbox where something is found, with
    /// [`response::esearch`](super::response::esearch). Reply: `Done`.
    MultiSearch {
        /// In which mailboxes; empty for the selected one. `SelectedDelayed` is not among them.
        sources: Vec<MailboxFilter>,
        /// What to look for.
        key: SearchKey,
        /// A MODSEQ key is among them.
        needs_modseq: bool,
        /// What to tell. `save` is asked of the selected mailbox alone.
        returns: Returns,
    },
    /// CANCELUPDATE (RFC 5267 §4.3.5). Reply: `Done`.
    CancelUpdate {
        /// Tags of the commands with UPDATE.
        tags: Vec<String>,
    },
    /// UIDBATCHES (RFC 10022): the session writes [`response::uid_batches`](super::response::uid_batches). Reply: `Done`.
    UidBatches {
        /// The command's tag, which the line names.
        tag: String,
        /// Messages of each batch, no fewer than [`UID_BATCH_MESSAGES_MIN`](super::limits::UID_BATCH_MESSAGES_MIN).
        size: u32,
        /// The first and the last that are asked for, from 1, which has the highest UIDs; `None` for all.
        batches: Option<(u32, u32)>,
    },
    /// THREAD or UID THREAD (RFC 5256). The line is [`response::thread`](super::response::thread). Reply: `Done`.
    Thread {
        /// Answer with UIDs.
        uid: bool,
        /// Which algorithm.
        by: ThreadBy,
        /// By which subjects are the same.
        collation: Collation,
        /// What to look for.
        key: SearchKey,
        /// A MODSEQ key is among them.
        needs_modseq: bool,
    },
    /// COPY or UID COPY. Reply: `DoneCode(CopyUid)`, or `Done` when nothing was copied.
    Copy {
        /// Which messages.
        set: SeqSet,
        /// The set names UIDs.
        uid: bool,
        /// The target.
        mailbox: String,
    },
    /// MOVE or UID MOVE (RFC 6851). Reply as for `Copy`; the EXPUNGE lines come with the `Sync` that follows.
    Move {
        /// Which messages.
        set: SeqSet,
        /// The set names UIDs.
        uid: bool,
        /// The target.
        mailbox: String,
    },
    /// EXPUNGE, or UID EXPUNGE (RFC 4315) with a set of UIDs. Only `\Deleted` messages go. The EXPUNGE lines
    /// come with the `Sync` that follows. Reply: `Done` or `DoneCode(HighestModSeq)`.
    Expunge {
        /// Only among these UIDs.
        uids: Option<SeqSet>,
    },
    /// The command is over but for its tagged line: write what has changed in the selected mailbox, and what else the client asked to be told
    /// of, now.
    /// Reply: `Done`.
    Sync {
        /// EXPUNGE lines are allowed here (RFC 3501 §7.4.1). When not, expunged messages keep their numbers.
        expunges: bool,
        /// CHECK: also bring the mailbox to rest, where that means anything.
        check: bool,
    },
    /// IDLE (RFC 2177). Reply: `Continue`; from then until `IdleEnd` the session may write into `Imap::out`.
    Idle,
    /// The client said DONE. Reply: `Done`.
    IdleEnd,
    /// CONDSTORE has just become enabled while a mailbox is selected, by ENABLE or by a command that implies it
    /// (RFC 7162 §3.1): the session writes `* OK [HIGHESTMODSEQ n]` with
    /// [`response::highest_modseq`](super::response::highest_modseq). From now on every FETCH line with FLAGS
    /// carries MODSEQ; `Imap::condstore` tells. Reply: `Done`.
    Enable,
    /// GENURLAUTH (RFC 4467 §7): the session writes `* GENURLAUTH` with each URL as it lets others read what it names. Reply: `Done`.
    GenUrlAuth {
        /// URLs and mechanisms, as the client wrote them.
        urls: Vec<(String, String)>,
    },
    /// RESETKEY: what was authorized until now is so no more. Reply: `Done` or `DoneCode(UrlMech)`.
    ResetKey {
        /// In this mailbox; in all without one.
        mailbox: Option<String>,
    },
    /// URLFETCH: the session writes `* URLFETCH` for each URL. Reply: `Done`.
    UrlFetch {
        /// URLs, and what is asked of them in the form of RFC 5524.
        urls: Vec<(String, Option<UrlItems>)>,
    },
    /// A command of an extension. Reply: `Done` or `DoneCode`.
    Extension {
        /// Which.
        command: &'static str,
        /// Its arguments, by the general grammar.
        arguments: Vec<Argument>,
    },
    /// UNAUTHENTICATE (RFC 8437): let go of everything; who comes next may be somebody else. Reply: `Done`.
    Unauthenticate,
    /// LOGOUT: let go of everything. Reply: `Done`.
    Logout,
}

/// Where messages are appended.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct AppendTo {
    /// The target.
    pub mailbox: String,
    /// REPLACE: what leaves the selected mailbox for it (RFC 8508).
    pub replaces: Option<Replaced>,
}

/// The message that REPLACE names.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Replaced {
    /// One number, or `*`.
    pub set: SeqSet,
    /// It is a UID.
    pub uid: bool,
}

/// How a mailbox is opened.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Mode {
    /// SELECT.
    ReadWrite,
    /// EXAMINE: nothing changes, `\Recent` stays.
    ReadOnly,
}

/// What a client knows of a mailbox (RFC 7162 §3.2.5). What it says of sequence numbers is not needed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Resync {
    /// UIDVALIDITY.
    pub validity: u32,
    /// HIGHESTMODSEQ.
    pub modseq: ModSeq,
    /// The UIDs it knows; `None` for all.
    pub known: Option<SeqSet>,
}

/// How far below an entry GETMETADATA looks (RFC 5464 §4.2.2).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Depth {
    /// The entry alone.
    Zero,
    /// And the level below.
    One,
    /// And all below.
    Infinity,
}

/// What NOTIFY SET asks for (RFC 5465 §3.1).
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct NotifySet {
    /// STATUS of each mailbox first.
    pub status: bool,
    /// Of the selected mailbox; `None` for nothing.
    pub selected: Option<NotifySelected>,
    /// Of the others; no filter is of the selected mailbox. More than one may mean a mailbox.
    pub groups: Vec<(MailboxFilter, NotifyEvents)>,
}

/// What is told of the selected mailbox: messages that come and go, and more (RFC 5465 §6.1).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct NotifySelected {
    /// SELECTED: what goes is told at once. SELECTED-DELAYED: when a command allows it.
    pub immediate: bool,
    /// Flags that change.
    pub flags: bool,
    /// What is to be told of messages that come.
    pub fetch: Option<FetchItems>,
}

/// Events of NOTIFY as bits (RFC 5465 §5).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default, Debug)]
pub struct NotifyEvents(pub u8);

impl NotifyEvents {
    /// None.
    pub const NONE: NotifyEvents = NotifyEvents(0);
    /// `MessageNew`
    pub const MESSAGE_NEW: NotifyEvents = NotifyEvents(1);
    /// `MessageExpunge`
    pub const MESSAGE_EXPUNGE: NotifyEvents = NotifyEvents(2);
    /// `FlagChange`
    pub const FLAG_CHANGE: NotifyEvents = NotifyEvents(4);
    /// `MailboxName`
    pub const MAILBOX_NAME: NotifyEvents = NotifyEvents(8);
    /// `SubscriptionChange`
    pub const SUBSCRIPTION_CHANGE: NotifyEvents = NotifyEvents(16);
    /// `MailboxMetadataChange`
    pub const MAILBOX_METADATA_CHANGE: NotifyEvents = NotifyEvents(32);
    /// `ServerMetadataChange`
    pub const SERVER_METADATA_CHANGE: NotifyEvents = NotifyEvents(64);
    /// Those of messages.
    pub const OF_MESSAGES: NotifyEvents = NotifyEvents(7);
    /// All others.
    pub const OF_MAILBOXES: NotifyEvents = NotifyEvents(120);

    /// Wire names. There are no annotations of messages, so AnnotationChange is not among them.
    pub const NAMES: [(NotifyEvents, &'static str); 7] = [
        (NotifyEvents::MESSAGE_NEW, "MessageNew"),
        (NotifyEvents::MESSAGE_EXPUNGE, "MessageExpunge"),
        (NotifyEvents::FLAG_CHANGE, "FlagChange"),
        (NotifyEvents::MAILBOX_NAME, "MailboxName"),
        (NotifyEvents::SUBSCRIPTION_CHANGE, "SubscriptionChange"),
        (NotifyEvents::MAILBOX_METADATA_CHANGE, "MailboxMetadataChange"),
        (NotifyEvents::SERVER_METADATA_CHANGE, "ServerMetadataChange"),
    ];

    /// Whether any of `other` is among these.
    pub fn shares(self, other: NotifyEvents) -> bool {
        self.0 & other.0 != 0
    }

    /// Whether all of `other` are among these.
    pub fn contains(self, other: NotifyEvents) -> bool {
        self.0 & other.0 == other.0
    }

    /// Whether there is none.
    pub fn is_none(self) -> bool {
        self.0 == 0
    }
}

impl std::ops::BitOr for NotifyEvents {
    type Output = NotifyEvents;
    fn bitor(self, other: NotifyEvents) -> NotifyEvents {
        NotifyEvents(self.0 | other.0)
    }
}

/// Options of the extended LIST (RFC 5258, RFC 5819, RFC 6154, RFC 9590).
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct ListOptions {
    /// Among the subscribed names.
    pub subscribed: bool,
    /// Among those that are for something.
    pub special_use: bool,
    /// Also names above such ones that no pattern matches.
    pub recursive: bool,
    /// Tell which are subscribed.
    pub tell_subscribed: bool,
    /// Answer these for each.
    pub status: Option<StatusItems>,
    /// It is XLIST, which Gmail's clients say: the plain form, answered under its own name and with `\Inbox`.
    pub xlist: bool,
    /// Answer these annotations for each: names in lower case.
    pub metadata: Vec<String>,
    /// Answer the user's rights for each (RFC 8440).
    pub rights: bool,
}

/// One criterion of SORT.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct SortBy {
    /// What is compared.
    pub key: SortKey,
    /// The greatest first.
    pub reverse: bool,
    /// What texts are compared by.
    pub comparator: Comparator,
}

/// What SORT compares (RFC 5256 §3).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum SortKey {
    /// `ARRIVAL`: internal date and time.
    Arrival,
    /// `CC`: local part of the first address.
    Cc,
    /// `DATE`: when it was sent, or the internal date.
    Date,
    /// `DISPLAYFROM`: what is shown of the first address (RFC 5957).
    DisplayFrom,
    /// `DISPLAYTO`
    DisplayTo,
    /// `FROM`
    From,
    /// `SIZE`
    Size,
    /// `SUBJECT`: the base subject.
    Subject,
    /// `TO`
    To,
}

impl SortKey {
    /// A text is compared.
    pub fn is_text(self) -> bool {
        !matches!(self, SortKey::Arrival | SortKey::Date | SortKey::Size)
    }
}

/// How THREAD makes threads.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum ThreadBy {
    /// `ORDEREDSUBJECT` (RFC 5256 §3)
    OrderedSubject,
    /// `REFERENCES` (RFC 5256 §3)
    References,
    /// `REFS` (draft-ietf-morg-inthread)
    Refs,
}

impl ThreadBy {
    /// Subjects are compared.
    pub fn looks_at_subjects(self) -> bool {
        self != ThreadBy::Refs
    }
}

/// What URLFETCH asks of a URL (RFC 5524 §3).
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct UrlItems {
    /// `BODY`: as it is stored.
    pub body: bool,
    /// `BINARY`: without its transfer encoding.
    pub binary: bool,
    /// `BODYPARTSTRUCTURE`
    pub structure: bool,
}

/// What STORE does with its flags.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum StoreMode {
    /// `FLAGS`
    Replace,
    /// `+FLAGS`
    Add,
    /// `-FLAGS`
    Remove,
}

/// Flags as a client lists them: system flags as bits, keywords by name.
///
/// Names are printable ASCII atoms of 1 to [`KEYWORD_BYTES_MAX`](skein_base::limits::KEYWORD_BYTES_MAX) bytes, each once
/// without regard to case. A `\Recent` is left out: clients copy it from FETCH answers and can not set it.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct FlagList {
    /// The system flags.
    pub system: Flags,
    /// The keywords, as written.
    pub keywords: Vec<String>,
}

/// What FETCH asks of each message, in the client's order and without repetition. Macros are spelled out.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct FetchItems {
    /// At least one.
    pub list: Vec<FetchItem>,
}

impl FetchItems {
    /// True when fetching them sets `\Seen` (in a mailbox open for writing).
    pub fn sets_seen(&self) -> bool {
        self.list.iter().any(|item| match item {
            FetchItem::Section(section) => !section.peek,
            FetchItem::Binary(section) => !section.peek,
            FetchItem::Rfc822 { peek } | FetchItem::Rfc822Text { peek } => !peek,
            _ => false,
        })
    }

    /// True when `item` is asked.
    pub fn has(&self, item: &FetchItem) -> bool {
        self.list.contains(item)
    }
}

/// One data item of FETCH (RFC 3501 §6.4.5).
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum FetchItem {
    /// `FLAGS`
    Flags,
    /// `INTERNALDATE`
    InternalDate,
    /// `RFC822.SIZE`
    Rfc822Size,
    /// `UID`
    Uid,
    /// `ENVELOPE`
    Envelope,
    /// `BODY`, the structure without its extension data
    Body,
    /// `BODYSTRUCTURE`
    BodyStructure,
    /// `MODSEQ` (RFC 7162)
    ModSeq,
    /// `SAVEDATE` (RFC 8514)
    SaveDate,
    /// `EMAILID` (RFC 8474)
    EmailId,
    /// `THREADID` (RFC 8474)
    ThreadId,
    /// `X-GUID`, Dovecot's name for what EMAILID tells
    Guid,
    /// `PREVIEW` (RFC 8970), `SNIPPET` (its draft)
    Preview {
        /// Under which name, and how it is written.
        form: PreviewForm,
        /// Only when it costs nothing.
        lazy: bool,
    },
    /// `RFC822`: the text of `BODY[]` under its old name
    Rfc822 {
        /// `RFC822.PEEK` (RFC 1730 §6.4.5), which Outlook still asks for: `\Seen` is not set.
        peek: bool,
    },
    /// `RFC822.HEADER`: `BODY.PEEK[HEADER]` under its old name
    Rfc822Header,
    /// `RFC822.TEXT`: `BODY[TEXT]` under its old name
    Rfc822Text {
        /// `RFC822.TEXT.PEEK`
        peek: bool,
    },
    /// `BODY[..]` and `BODY.PEEK[..]`
    Section(BodySection),
    /// `BINARY[..]` and `BINARY.PEEK[..]` (RFC 3516)
    Binary(BinarySection),
    /// `BINARY.SIZE[..]`: part numbers from the outside in
    BinarySize(Vec<u32>),
}

/// How a preview is asked for and answered.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum PreviewForm {
    /// `PREVIEW "text"` (RFC 8970)
    Preview,
    /// `PREVIEW (FUZZY "text")`, its draft 02, when the client names the algorithm
    PreviewFuzzy,
    /// `SNIPPET (FUZZY "text")`, its draft 00
    SnippetFuzzy,
}

/// `BINARY[section]<partial>`: a section without its transfer encoding.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct BinarySection {
    /// Part numbers from the outside in; empty for the message itself. None is 0.
    pub path: Vec<u32>,
    /// Only these bytes of what is decoded.
    pub partial: Option<Partial>,
    /// `BINARY.PEEK`: does not set `\Seen`.
    pub peek: bool,
}

/// `BODY[section]<partial>`.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct BodySection {
    /// Part numbers from the outside in; empty for the message itself. None is 0.
    pub path: Vec<u32>,
    /// What of that part.
    pub text: SectionText,
    /// Only these bytes of it.
    pub partial: Option<Partial>,
    /// `BODY.PEEK`: does not set `\Seen`.
    pub peek: bool,
}

/// The end of a section specification.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum SectionText {
    /// Nothing named: the whole part.
    All,
    /// `HEADER`
    Header,
    /// `HEADER.FIELDS (..)`, names as the client wrote them: printable ASCII without colon and space
    HeaderFields(Vec<String>),
    /// `HEADER.FIELDS.NOT (..)`
    HeaderFieldsNot(Vec<String>),
    /// `TEXT`
    Text,
    /// `MIME`; only with a path
    Mime,
}

/// `<origin.bytes>`.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Partial {
    /// First byte, from 0. Past the end the answer is an empty string.
    pub origin: u64,
    /// How many bytes at most, not 0.
    pub bytes: u64,
}

/// Items of STATUS as bits.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default, Debug)]
pub struct StatusItems(pub u32);

impl StatusItems {
    /// `MESSAGES`
    pub const MESSAGES: StatusItems = StatusItems(1);
    /// `RECENT`
    pub const RECENT: StatusItems = StatusItems(2);
    /// `UIDNEXT`
    pub const UIDNEXT: StatusItems = StatusItems(4);
    /// `UIDVALIDITY`
    pub const UIDVALIDITY: StatusItems = StatusItems(8);
    /// `UNSEEN`
    pub const UNSEEN: StatusItems = StatusItems(16);
    /// `HIGHESTMODSEQ` (RFC 7162)
    pub const HIGHESTMODSEQ: StatusItems = StatusItems(32);
    /// `SIZE` (RFC 8438)
    pub const SIZE: StatusItems = StatusItems(64);
    /// `DELETED` (RFC 9051 §6.3.11)
    pub const DELETED: StatusItems = StatusItems(128);
    /// `APPENDLIMIT` (RFC 7889)
    pub const APPENDLIMIT: StatusItems = StatusItems(256);
    /// `MAILBOXID` (RFC 8474)
    pub const MAILBOXID: StatusItems = StatusItems(512);
    /// `X-GUID`, Dovecot's name for what MAILBOXID tells
    pub const GUID: StatusItems = StatusItems(1024);
    /// `DELETED-STORAGE` (RFC 9208 §4.1.4)
    pub const DELETED_STORAGE: StatusItems = StatusItems(2048);

    /// Wire names, in the order in which they are answered.
    pub const NAMES: [(StatusItems, &'static str); 12] = [
        (StatusItems::MESSAGES, "MESSAGES"),
        (StatusItems::RECENT, "RECENT"),
        (StatusItems::UIDNEXT, "UIDNEXT"),
        (StatusItems::UIDVALIDITY, "UIDVALIDITY"),
        (StatusItems::UNSEEN, "UNSEEN"),
        (StatusItems::HIGHESTMODSEQ, "HIGHESTMODSEQ"),
        (StatusItems::SIZE, "SIZE"),
        (StatusItems::DELETED, "DELETED"),
        (StatusItems::APPENDLIMIT, "APPENDLIMIT"),
        (StatusItems::MAILBOXID, "MAILBOXID"),
        (StatusItems::GUID, "X-GUID"),
        (StatusItems::DELETED_STORAGE, "DELETED-STORAGE"),
    ];

    /// True when every item of `other` is asked.
    pub fn contains(self, other: StatusItems) -> bool {
        self.0 & other.0 == other.0
    }
}

impl std::ops::BitOr for StatusItems {
    type Output = StatusItems;
    fn bitor(self, other: StatusItems) -> StatusItems {
        StatusItems(self.0 | other.0)
    }
}

/// A day as its number since 1970-01-01, without a time zone (RFC 3501 §6.4.4 disregards it). May be negative.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Day(pub i32);

/// What SEARCH looks for (RFC 3501 §6.4.4), with the shorthands spelled out: NEW is `And[Recent, Without(SEEN)]`,
/// OLD is `Not(Recent)`, FROM is `Header`. Depth is at most [`COMMAND_DEPTH_MAX`](skein_base::limits::COMMAND_DEPTH_MAX),
/// keys at most [`SEARCH_KEYS_MAX`](skein_base::limits::SEARCH_KEYS_MAX).
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum SearchKey {
    /// `ALL`
    All,
    /// A set of sequence numbers.
    Set(SeqSet),
    /// `UID set`
    Uid(SeqSet),
    /// `UIDAFTER uid`: its UID is higher (RFC 9738 §3.2).
    UidAfter(u32),
    /// `UIDBEFORE uid`: its UID is lower.
    UidBefore(u32),
    /// Has all of these system flags: `SEEN`, `ANSWERED`...
    With(Flags),
    /// Has none of these: `UNSEEN`, `UNANSWERED`...
    Without(Flags),
    /// `RECENT`
    Recent,
    /// `KEYWORD name`; without regard to case. UNKEYWORD is its `Not`.
    Keyword(String),
    /// Internal date before this day.
    Before(Day),
    /// Internal date on this day.
    On(Day),
    /// Internal date on this day or later.
    Since(Day),
    /// Date: header before this day.
    SentBefore(Day),
    /// Date: header on this day.
    SentOn(Day),
    /// Date: header on this day or later.
    SentSince(Day),
    /// Came into the mailbox before this day (RFC 8514).
    SavedBefore(Day),
    /// Came into the mailbox on this day.
    SavedOn(Day),
    /// Came into the mailbox on this day or later.
    SavedSince(Day),
    /// Internal date at least so many seconds ago (RFC 5032).
    Older(u32),
    /// Internal date at most so many seconds ago.
    Younger(u32),
    /// Has this EMAILID (RFC 8474).
    EmailId(String),
    /// Has this THREADID; none has.
    ThreadId(String),
    /// Larger than so many bytes.
    Larger(u64),
    /// Smaller than so many bytes.
    Smaller(u64),
    /// A field of this name holds `value`; an empty value asks only for the field. BCC, CC, FROM, SUBJECT and TO
    /// come as this, with the name in mixed case (`Subject`).
    Header {
        /// Field name.
        name: String,
        /// Text to be found.
        value: String,
    },
    /// Body holds the text.
    Body(String),
    /// Header or body hold the text.
    Text(String),
    /// Mod-sequence is this or higher. The entry name of RFC 7162 §3.1.5 is read and not used: Skein keeps one
    /// mod-sequence for all flags of a message.
    ModSeq(ModSeq),
    /// This, with texts compared by a collation; without it by i;unicode-casemap. Around all that a command looks for (RFC 5255 §4.2).
    Compared(Collation, Box<SearchKey>),
    /// Not this.
    Not(Box<SearchKey>),
    /// One or both.
    Or(Box<SearchKey>, Box<SearchKey>),
    /// All of them.
    And(Vec<SearchKey>),
}

impl SearchKey {
    /// The keys of a text that are to hold at all times and in all mailboxes.
    ///
    /// # Errors
    /// It is no such text; why, for who wrote it.
    pub fn standing(text: &str) -> Result<SearchKey, &'static str> {
        super::parse::standing(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_shows_a_body_sets_seen() {
        let section =
            |peek| FetchItem::Section(BodySection { path: vec![], text: SectionText::All, partial: None, peek });
        let check = |item, want| assert_eq!(FetchItems { list: vec![FetchItem::Flags, item] }.sets_seen(), want);
        check(section(false), true);
        check(section(true), false);
        let binary = |peek| FetchItem::Binary(BinarySection { path: vec![1], partial: None, peek });
        check(binary(false), true);
        check(binary(true), false);
        check(FetchItem::BinarySize(vec![1]), false);
        check(FetchItem::Rfc822 { peek: false }, true);
        check(FetchItem::Rfc822 { peek: true }, false);
        check(FetchItem::Rfc822Text { peek: false }, true);
        check(FetchItem::Rfc822Text { peek: true }, false);
        check(FetchItem::Rfc822Header, false);
        check(FetchItem::Body, false);
    }
}
