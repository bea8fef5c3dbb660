//! One logged change, and its bytes. A log record holds one or more ops of one account, applied together or not at all.
//!
//! Everything an op needs is in it: a copied message carries its columns, so that a mailbox replays without looking at
//! any other. Bytes: engine/docs/ops-format.md.

use crate::body::BodyAddr;
use skein_base::{Flags, Guid, IdSet, MailboxId, SpecialUse, Uid, UidValidity, UserName, is_unique_id};

/// What a message brings into a mailbox, but its UID.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct NewMessage {
    /// System flags.
    pub flags: Flags,
    /// Keyword names; interned by the mailbox when applied.
    pub keywords: Vec<Box<str>>,
    /// INTERNALDATE, Unix seconds.
    pub internal_date: i64,
    /// When it came into this mailbox, Unix seconds.
    pub save_date: i64,
    /// RFC822.SIZE, bytes.
    pub size: u32,
    /// Identity, kept by copies.
    pub guid: Guid,
    /// Where the bytes are.
    pub body: BodyAddr,
}

/// How STORE treats the flags it is given (RFC 3501 §6.4.6).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum StoreMode {
    /// `FLAGS`
    Replace,
    /// `+FLAGS`
    Add,
    /// `-FLAGS`
    Remove,
}

/// Messages that get the same value.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ValueRun {
    /// Lowest UID.
    pub first: Uid,
    /// Highest UID.
    pub last: Uid,
    /// What they get; 0 is what those have that were given nothing.
    pub value: u64,
}

/// One change of one account.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Op {
    /// The account begins; INBOX is made with it.
    CreateAccount {
        /// Who owns it.
        user: UserName,
        /// UIDVALIDITY of INBOX.
        validity: UidValidity,
    },
    /// The account ends, and everything in it. Alone in its record; what came before is nobody's.
    EndAccount {
        /// The highest UIDVALIDITY given: an account that begins anew goes on above it.
        validity_last: u32,
    },
    /// A mailbox begins.
    CreateMailbox {
        /// Its identity for good.
        mailbox: MailboxId,
        /// Full name, UTF-8, `/` between levels.
        name: Box<str>,
        /// Its UIDVALIDITY.
        validity: UidValidity,
    },
    /// A mailbox ends, and its messages with it.
    DeleteMailbox {
        /// Which.
        mailbox: MailboxId,
    },
    /// A mailbox takes another name; its children are renamed by ops of their own in the same record.
    RenameMailbox {
        /// Which.
        mailbox: MailboxId,
        /// The new full name.
        name: Box<str>,
    },
    /// A name enters or leaves the subscriptions, whether or not such a mailbox exists (RFC 3501 §6.3.6).
    Subscribe {
        /// Full name.
        name: Box<str>,
        /// In, or out.
        on: bool,
    },
    /// Messages arrive with UIDs ascending from `first_uid`.
    Append {
        /// Where.
        mailbox: MailboxId,
        /// UID of the first.
        first_uid: Uid,
        /// The messages in UID order; never empty.
        messages: Vec<NewMessage>,
    },
    /// Flags and keywords change.
    Store {
        /// Where.
        mailbox: MailboxId,
        /// Which messages.
        uids: IdSet,
        /// How.
        mode: StoreMode,
        /// System flags named.
        flags: Flags,
        /// Keywords named.
        keywords: Vec<Box<str>>,
    },
    /// Messages leave.
    Expunge {
        /// Where.
        mailbox: MailboxId,
        /// Which.
        uids: IdSet,
    },
    /// A session has taken the `\Recent` messages below this UID (RFC 3501 §2.3.2).
    ClaimRecent {
        /// Where.
        mailbox: MailboxId,
        /// The first UID that is still recent to the next session.
        below: Uid,
    },
    /// What a mailbox is for (RFC 6154).
    SetSpecialUse {
        /// Which.
        mailbox: MailboxId,
        /// All its uses from now on.
        uses: SpecialUse,
    },
    /// An annotation is set or removed (RFC 5464).
    SetMetadata {
        /// Of which mailbox; `None` for the account's own.
        mailbox: Option<MailboxId>,
        /// Its name.
        name: Box<str>,
        /// Its value from now on; `None` when it goes.
        value: Option<Box<[u8]>>,
    },
    /// Messages get values in a column of their own kind.
    SetValues {
        /// Where.
        mailbox: MailboxId,
        /// The column's name.
        column: Box<str>,
        /// Which messages have what from now on; ascending, none overlapping the one before.
        runs: Vec<ValueRun>,
    },
    /// POP3 clients know a message by an id that is not made of its columns: it came with it from another server
    /// (RFC 1939 §7).
    SetUniqueId {
        /// Where.
        mailbox: MailboxId,
        /// Which message.
        uid: Uid,
        /// 1 to [`skein_base::UNIQUE_ID_BYTES_MAX`] printable ASCII characters but the space.
        id: Box<str>,
    },
}

/// Bytes that are no ops.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct BadOp {
    /// Where in the payload reading stopped.
    pub offset: usize,
}

impl Op {
    /// The mailbox whose messages it changes, when it changes messages.
    pub fn messages_of(&self) -> Option<MailboxId> {
        match self {
            Op::Append { mailbox, .. }
            | Op::Store { mailbox, .. }
            | Op::Expunge { mailbox, .. }
            | Op::ClaimRecent { mailbox, .. }
            | Op::SetValues { mailbox, .. }
            | Op::SetUniqueId { mailbox, .. } => Some(*mailbox),
            _ => None,
        }
    }
}

const CREATE_ACCOUNT: u8 = 1;
const CREATE_MAILBOX: u8 = 2;
const DELETE_MAILBOX: u8 = 3;
const RENAME_MAILBOX: u8 = 4;
const SUBSCRIBE: u8 = 5;
const APPEND: u8 = 6;
const STORE: u8 = 7;
const EXPUNGE: u8 = 8;
const CLAIM_RECENT: u8 = 9;
const END_ACCOUNT: u8 = 10;
const SET_UNIQUE_ID: u8 = 11;
const SET_SPECIAL_USE: u8 = 12;
const SET_METADATA: u8 = 13;
const SET_VALUES: u8 = 14;

/// The oldest segment that a body named by these ops reaches back to; 0 for a body in chunks, which may begin anywhere, and
/// `u64::MAX` when they name none in the log.
pub fn oldest_segment(ops: &[Op]) -> u64 {
    let messages = ops.iter().flat_map(|op| match op {
        Op::Append { messages, .. } => &messages[..],
        _ => &[],
    });
    messages.map(|message| message.body.oldest_segment()).min().unwrap_or(u64::MAX)
}

/// What a checkpoint is due for: an op that brings messages counts as often as it brings some, as each of them is read from the
/// log, and cached nowhere, until a snapshot has it.
pub fn changes(ops: &[Op]) -> u64 {
    let of = |op: &Op| match op {
        Op::Append { messages, .. } => messages.len() as u64,
        _ => 1,
    };
    ops.iter().map(of).sum()
}

/// Whether these ops end their account.
pub fn is_end(ops: &[Op]) -> bool {
    ops.iter().any(|op| matches!(op, Op::EndAccount { .. }))
}

/// The payload of a record that holds these ops.
pub fn encode(ops: &[Op]) -> Vec<u8> {
    let mut out = Writer(Vec::with_capacity(128 * ops.len()));
    for op in ops {
        out.op(op);
    }
    out.0
}

/// The ops of a record's payload.
pub fn decode(payload: &[u8]) -> Result<Vec<Op>, BadOp> {
    let mut input = Reader { bytes: payload, at: 0 };
    let mut ops = Vec::new();
    while input.at < payload.len() {
        let start = input.at;
        ops.push(input.op().ok_or(BadOp { offset: start })?);
    }
    Ok(ops)
}

/// Little-endian fields into a buffer.
pub(crate) struct Writer(pub Vec<u8>);

impl Writer {
    pub fn u8(&mut self, n: u8) {
        self.0.push(n);
    }
    pub fn u16(&mut self, n: u16) {
        self.0.extend_from_slice(&n.to_le_bytes());
    }
    pub fn u32(&mut self, n: u32) {
        self.0.extend_from_slice(&n.to_le_bytes());
    }
    pub fn u64(&mut self, n: u64) {
        self.0.extend_from_slice(&n.to_le_bytes());
    }
    pub fn text(&mut self, text: &str) {
        self.u16(u16::try_from(text.len()).expect("names are bounded far below 64 KiB"));
        self.0.extend_from_slice(text.as_bytes());
    }
    /// Bytes of any length.
    pub fn bytes(&mut self, bytes: &[u8]) {
        self.u32(u32::try_from(bytes.len()).expect("values are bounded far below 4 GiB"));
        self.0.extend_from_slice(bytes);
    }
    pub fn set(&mut self, set: &IdSet) {
        self.u32(set.ranges().len() as u32);
        for range in set.ranges() {
            self.u32(*range.start());
            self.u32(*range.end());
        }
    }
    /// Whose annotation it is: no mailbox has the number 0.
    pub fn metadata_of(&mut self, mailbox: Option<MailboxId>) {
        self.u32(mailbox.map_or(0, |id| id.0));
    }
    pub fn texts(&mut self, texts: &[Box<str>]) {
        self.u8(u8::try_from(texts.len()).expect("keywords are bounded by 128"));
        texts.iter().for_each(|t| self.text(t));
    }

    fn op(&mut self, op: &Op) {
        match op {
            Op::CreateAccount { user, validity } => {
                self.u8(CREATE_ACCOUNT);
                self.text(user.as_str());
                self.u32(validity.0);
            }
            Op::EndAccount { validity_last } => {
                self.u8(END_ACCOUNT);
                self.u32(*validity_last);
            }
            Op::CreateMailbox { mailbox, name, validity } => {
                self.u8(CREATE_MAILBOX);
                self.u32(mailbox.0);
                self.text(name);
                self.u32(validity.0);
            }
            Op::DeleteMailbox { mailbox } => {
                self.u8(DELETE_MAILBOX);
                self.u32(mailbox.0);
            }
            Op::RenameMailbox { mailbox, name } => {
                self.u8(RENAME_MAILBOX);
                self.u32(mailbox.0);
                self.text(name);
            }
            Op::Subscribe { name, on } => {
                self.u8(SUBSCRIBE);
                self.text(name);
                self.u8(u8::from(*on));
            }
            Op::Append { mailbox, first_uid, messages } => {
                self.u8(APPEND);
                self.u32(mailbox.0);
                self.u32(first_uid.0);
                self.u32(messages.len() as u32);
                messages.iter().for_each(|m| self.message(m));
            }
            Op::Store { mailbox, uids, mode, flags, keywords } => {
                self.u8(STORE);
                self.u32(mailbox.0);
                self.set(uids);
                self.u8(match mode {
                    StoreMode::Replace => 0,
                    StoreMode::Add => 1,
                    StoreMode::Remove => 2,
                });
                self.u8(flags.0);
                self.texts(keywords);
            }
            Op::Expunge { mailbox, uids } => {
                self.u8(EXPUNGE);
                self.u32(mailbox.0);
                self.set(uids);
            }
            Op::ClaimRecent { mailbox, below } => {
                self.u8(CLAIM_RECENT);
                self.u32(mailbox.0);
                self.u32(below.0);
            }
            Op::SetSpecialUse { mailbox, uses } => {
                self.u8(SET_SPECIAL_USE);
                self.u32(mailbox.0);
                self.u8(uses.0);
            }
            Op::SetMetadata { mailbox, name, value } => {
                self.u8(SET_METADATA);
                self.metadata_of(*mailbox);
                self.text(name);
                self.u8(u8::from(value.is_some()));
                if let Some(value) = value {
                    self.bytes(value);
                }
            }
            Op::SetValues { mailbox, column, runs } => {
                self.u8(SET_VALUES);
                self.u32(mailbox.0);
                self.text(column);
                self.u32(runs.len() as u32);
                for run in runs {
                    self.u32(run.first.0);
                    self.u32(run.last.0);
                    self.u64(run.value);
                }
            }
            Op::SetUniqueId { mailbox, uid, id } => {
                self.u8(SET_UNIQUE_ID);
                self.u32(mailbox.0);
                self.u32(uid.0);
                self.text(id);
            }
        }
    }

    fn message(&mut self, m: &NewMessage) {
        self.u8(m.flags.0);
        self.texts(&m.keywords);
        self.u64(m.internal_date as u64);
        self.u64(m.save_date as u64);
        self.u32(m.size);
        self.0.extend_from_slice(&m.guid.0);
        self.0.extend_from_slice(&m.body.encode());
    }
}

/// Little-endian fields out of a buffer; `None` past its end or on a value that no writer wrote.
pub(crate) struct Reader<'a> {
    pub bytes: &'a [u8],
    pub at: usize,
}

impl Reader<'_> {
    pub fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let end = self.at.checked_add(N)?;
        let field = self.bytes.get(self.at..end)?.try_into().ok()?;
        self.at = end;
        Some(field)
    }
    pub fn u8(&mut self) -> Option<u8> {
        self.take::<1>().map(|b| b[0])
    }
    pub fn u16(&mut self) -> Option<u16> {
        self.take().map(u16::from_le_bytes)
    }
    pub fn u32(&mut self) -> Option<u32> {
        self.take().map(u32::from_le_bytes)
    }
    pub fn u64(&mut self) -> Option<u64> {
        self.take().map(u64::from_le_bytes)
    }
    pub fn text(&mut self) -> Option<Box<str>> {
        let len = usize::from(self.u16()?);
        let end = self.at.checked_add(len)?;
        let text = std::str::from_utf8(self.bytes.get(self.at..end)?).ok()?;
        self.at = end;
        Some(text.into())
    }
    pub fn bytes(&mut self) -> Option<Box<[u8]>> {
        let len = self.u32()? as usize;
        let end = self.at.checked_add(len)?;
        let bytes = self.bytes.get(self.at..end)?.into();
        self.at = end;
        Some(bytes)
    }
    pub fn mailbox(&mut self) -> Option<MailboxId> {
        MailboxId::stored(self.u32()?)
    }
    pub fn metadata_of(&mut self) -> Option<Option<MailboxId>> {
        Some(Some(self.mailbox()?).filter(|id| id.0 > 0))
    }
    pub fn texts(&mut self) -> Option<Vec<Box<str>>> {
        let count = self.u8()?;
        (0..count).map(|_| self.text()).collect()
    }
    pub fn set(&mut self) -> Option<IdSet> {
        let (count, mut set) = (self.u32()?, IdSet::new());
        let mut above = 0u32;
        for _ in 0..count {
            let (first, last) = (self.u32()?, self.u32()?);
            if first < above || first > last {
                return None;
            }
            set.push_range(first, last);
            above = last;
        }
        Some(set)
    }

    fn value_runs(&mut self) -> Option<Vec<ValueRun>> {
        let (count, mut runs, mut above) = (self.u32()?, Vec::new(), 0);
        for _ in 0..count {
            let run = ValueRun { first: Uid(self.u32()?), last: Uid(self.u32()?), value: self.u64()? };
            if run.first.0 <= above || run.first > run.last {
                return None;
            }
            above = run.last.0;
            runs.push(run);
        }
        Some(runs)
    }

    fn op(&mut self) -> Option<Op> {
        let mailbox = Self::mailbox;
        Some(match self.u8()? {
            CREATE_ACCOUNT => {
                Op::CreateAccount { user: UserName::new(&self.text()?).ok()?, validity: UidValidity(self.u32()?) }
            }
            END_ACCOUNT => Op::EndAccount { validity_last: self.u32()? },
            CREATE_MAILBOX => {
                Op::CreateMailbox { mailbox: mailbox(self)?, name: self.text()?, validity: UidValidity(self.u32()?) }
            }
            DELETE_MAILBOX => Op::DeleteMailbox { mailbox: mailbox(self)? },
            RENAME_MAILBOX => Op::RenameMailbox { mailbox: mailbox(self)?, name: self.text()? },
            SUBSCRIBE => Op::Subscribe { name: self.text()?, on: self.u8()? != 0 },
            APPEND => {
                let (mailbox, first_uid, count) = (mailbox(self)?, Uid(self.u32()?), self.u32()?);
                first_uid.0.checked_add(count).filter(|_| first_uid.0 > 0)?;
                let messages = (0..count).map(|_| self.message()).collect::<Option<Vec<_>>>()?;
                Op::Append { mailbox, first_uid, messages }
            }
            STORE => Op::Store {
                mailbox: mailbox(self)?,
                uids: self.set()?,
                mode: match self.u8()? {
                    0 => StoreMode::Replace,
                    1 => StoreMode::Add,
                    2 => StoreMode::Remove,
                    _ => return None,
                },
                flags: Flags(self.u8()? & Flags::ALL.0),
                keywords: self.texts()?,
            },
            EXPUNGE => Op::Expunge { mailbox: mailbox(self)?, uids: self.set()? },
            CLAIM_RECENT => Op::ClaimRecent { mailbox: mailbox(self)?, below: Uid(self.u32()?) },
            SET_SPECIAL_USE => {
                Op::SetSpecialUse { mailbox: mailbox(self)?, uses: SpecialUse(self.u8()? & SpecialUse::ALL.0) }
            }
            SET_METADATA => Op::SetMetadata {
                mailbox: self.metadata_of()?,
                name: self.text()?,
                value: match self.u8()? {
                    0 => None,
                    1 => Some(self.bytes()?),
                    _ => return None,
                },
            },
            SET_VALUES => Op::SetValues { mailbox: mailbox(self)?, column: self.text()?, runs: self.value_runs()? },
            SET_UNIQUE_ID => Op::SetUniqueId {
                mailbox: mailbox(self)?,
                uid: Uid(self.u32()?),
                id: self.text().filter(|id| is_unique_id(id))?,
            },
            _ => return None,
        })
    }

    fn message(&mut self) -> Option<NewMessage> {
        Some(NewMessage {
            flags: Flags(self.u8()? & Flags::ALL.0),
            keywords: self.texts()?,
            internal_date: self.u64()? as i64,
            save_date: self.u64()? as i64,
            size: self.u32()?,
            guid: Guid(self.take()?),
            body: BodyAddr::decode(&self.take()?)?,
        })
    }
}
