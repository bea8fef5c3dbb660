//! One mailbox in memory: its rows, its keyword names, its expunge history and the views that sessions have of it.
//!
//! ```text
//! apply(op) ──▶ rows ── live messages           views ── what each session believes
//!               tail ── columns not yet in       gone ── expunged, but still in somebody's view
//!               base    a snapshot (base)     expunged ── history: (modseq, UIDs)
//! ```

mod apply;
mod freeze;
mod rows;
mod values;
mod view;
#[cfg(test)]
mod view_tests;
mod weight;

pub use freeze::Frozen;
pub(crate) use freeze::{MODSEQS_PASSED_OVER, UIDS_PASSED_OVER};
pub use rows::{Row, Rows};
pub use values::{Cell as ValueCell, Column};
pub(crate) use view::seen_apart;
pub use view::{Changes, SEEN_APART, UNSEEN_APART, View, ViewId, Visible};

use crate::body::{BodyAddr, NO_SEGMENT};
use skein_base::limits::KEYWORDS_PER_MAILBOX_MAX;
use skein_base::{Guid, IdSet, KeywordMask, LogPos, MailboxId, ModSeq, Uid, UidValidity};
use std::cell::Cell;
use std::collections::{BTreeMap, VecDeque};
use std::ops::Deref;
use std::rc::Rc;

/// Steps of the expunge history that are kept. Older ones are forgotten and [`Mailbox::history_from`] rises: a client
/// that was away for longer resynchronises in full, as RFC 7162 §3.2.5.1 allows.
const EXPUNGE_STEPS_MAX: usize = 4096;

/// A mapped file whose kind the mailbox need not know.
#[derive(Clone)]
pub struct SharedBytes(Rc<dyn AsRef<[u8]>>);

impl SharedBytes {
    /// Shares a map.
    pub fn new<M: Deref<Target = [u8]> + 'static>(map: M) -> SharedBytes {
        struct Held<M>(M);
        impl<M: Deref<Target = [u8]>> AsRef<[u8]> for Held<M> {
            fn as_ref(&self) -> &[u8] {
                &self.0
            }
        }
        SharedBytes(Rc::new(Held(map)))
    }
}

impl Deref for SharedBytes {
    type Target = [u8];
    fn deref(&self) -> &[u8] {
        (*self.0).as_ref()
    }
}

/// The snapshot a mailbox stands on.
pub type Snapshot = skein_index::Snapshot<SharedBytes>;

/// The columns of a message that never change.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Fixed {
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

/// An expunged message that some view still shows.
struct Gone {
    row: Row,
    fixed: Fixed,
    /// The snapshot its rendered cache is in, when it is in one.
    cache: Option<(Rc<Snapshot>, u32)>,
    unique_id: Option<Box<str>>,
    /// What it has in the columns by which some view knows what is seen.
    seen: Vec<(Rc<str>, ValueCell)>,
    views: u32,
}

/// One mailbox. Changed only by [`Mailbox::apply`] and by its views' own progress.
pub struct Mailbox {
    id: MailboxId,
    validity: UidValidity,
    uid_next: Uid,
    modseq: ModSeq,
    /// The first UID that no session has claimed as `\Recent`.
    first_recent: Uid,
    pos: LogPos,
    keywords: Vec<Box<str>>,
    rows: Rows,
    base: Option<Rc<Snapshot>>,
    tail: Vec<Fixed>,
    expunged: VecDeque<(ModSeq, IdSet)>,
    history_from: ModSeq,
    /// Ids that POP3 clients know messages by and that are not in the snapshot below.
    unique_ids: Rc<BTreeMap<Uid, Box<str>>>,
    /// Values that messages have beside their columns, by the names of those who keep them.
    columns: BTreeMap<Box<str>, Rc<Column>>,
    /// Runs of all of them.
    value_runs: usize,
    gone: BTreeMap<u32, Gone>,
    views: Vec<Option<View>>,
    ops_since_snapshot: u64,
    /// The next checkpoint writes it whatever its ops.
    bodies_move: bool,
    /// The oldest segment of the log with a body that the snapshot below names.
    bodies_from: u64,
    /// Sum of the sizes of the live messages, once somebody has asked.
    bytes: Cell<Option<u64>>,
}

/// Where a message's rendered cache is.
#[derive(Clone)]
pub enum CacheAt {
    /// In a row of a mapped snapshot; when it is empty or damaged there, behind the message's bytes.
    Snapshot(Rc<Snapshot>, u32, BodyAddr),
    /// Behind the message's bytes.
    Body(BodyAddr),
}

impl Mailbox {
    /// An empty mailbox.
    pub fn new(id: MailboxId, validity: UidValidity) -> Mailbox {
        Mailbox {
            id,
            validity,
            uid_next: Uid(1),
            modseq: ModSeq(1),
            first_recent: Uid(1),
            pos: LogPos::default(),
            keywords: Vec::new(),
            rows: Rows::default(),
            base: None,
            tail: Vec::new(),
            expunged: VecDeque::new(),
            history_from: ModSeq(1),
            unique_ids: Rc::default(),
            columns: BTreeMap::new(),
            value_runs: 0,
            gone: BTreeMap::new(),
            views: Vec::new(),
            ops_since_snapshot: 0,
            bodies_move: false,
            bodies_from: NO_SEGMENT,
            bytes: Cell::new(None),
        }
    }

    /// Its identity.
    pub fn id(&self) -> MailboxId {
        self.id
    }

    /// UIDVALIDITY.
    pub fn validity(&self) -> UidValidity {
        self.validity
    }

    /// UIDNEXT.
    pub fn uid_next(&self) -> Uid {
        self.uid_next
    }

    /// HIGHESTMODSEQ (RFC 7162 §3.1.2.1).
    pub fn modseq(&self) -> ModSeq {
        self.modseq
    }

    /// The log position up to which the mailbox is true.
    pub fn pos(&self) -> LogPos {
        self.pos
    }

    /// Expunges after this modseq are all in the history.
    pub fn history_from(&self) -> ModSeq {
        self.history_from
    }

    /// The oldest segment of the log with a body that the snapshot it stands on names; [`NO_SEGMENT`] when all are in packs. What came
    /// since is not asked: its records say so themselves.
    pub(crate) fn bodies_from(&self) -> u64 {
        self.bodies_from
    }

    /// The same is known of that snapshot from elsewhere.
    pub(crate) fn names_bodies_from(&mut self, segment: u64) {
        self.bodies_from = segment;
    }

    /// Whether the snapshot below is the one that is true to there.
    pub(crate) fn stands_on(&self, true_to: LogPos) -> bool {
        self.base.as_ref().is_some_and(|base| base.head().true_to == true_to)
    }

    /// Ops applied since the snapshot it stands on.
    pub fn ops_since_snapshot(&self) -> u64 {
        self.ops_since_snapshot
    }

    /// The live messages.
    pub fn rows(&self) -> &Rows {
        &self.rows
    }

    /// Live messages that no session has claimed as `\Recent`.
    pub fn unclaimed(&self) -> u32 {
        self.rows.count() - self.rows.rank(self.first_recent)
    }

    /// Sum of the sizes of the live messages, bytes. The first who asks looks at them all.
    pub fn bytes(&self) -> u64 {
        let count = || self.rows.from_rank(0).map(|row| u64::from(self.fixed_of(row).size)).sum();
        let bytes = self.bytes.get().unwrap_or_else(count);
        self.bytes.set(Some(bytes));
        bytes
    }

    /// What [`Mailbox::bytes`] would count.
    pub(crate) fn bytes_are(&self, bytes: u64) {
        self.bytes.set(Some(bytes));
    }

    /// [`Mailbox::bytes`], if somebody has asked before.
    pub(crate) fn bytes_if_known(&self) -> Option<u64> {
        self.bytes.get()
    }

    /// Keyword names; bit `i` of a mask is the `i`-th.
    pub fn keywords(&self) -> &[Box<str>] {
        &self.keywords
    }

    /// The mask of those of the names that the mailbox knows. Keywords compare without case (RFC 3501 §2.3.2).
    pub fn mask(&self, names: &[Box<str>]) -> KeywordMask {
        let known = names.iter().filter_map(|name| self.keyword(name));
        KeywordMask(known.fold(0, |mask, i| mask | KeywordMask::bit(i).0))
    }

    /// Whether there is room for those of the names that are new to the mailbox.
    pub fn has_room_for<'a>(&self, names: impl Iterator<Item = &'a str>) -> bool {
        let room = KEYWORDS_PER_MAILBOX_MAX - self.keywords.len();
        let mut new: Vec<&str> = Vec::new();
        for name in names {
            if self.keyword(name).is_none() && !new.iter().any(|other| other.eq_ignore_ascii_case(name)) {
                if new.len() == room {
                    return false;
                }
                new.push(name);
            }
        }
        true
    }

    /// Whether the mailbox knows all of the names.
    pub fn knows(&self, names: &[Box<str>]) -> bool {
        names.iter().all(|name| self.keyword(name).is_some())
    }

    /// The fixed columns of a message that some view shows or that lives.
    pub fn fixed(&self, row: Row) -> Fixed {
        match self.gone.get(&row.uid.0) {
            Some(gone) => gone.fixed,
            None => self.fixed_of(row),
        }
    }

    /// The id that POP3 clients know a message by, when it is none that is made of the columns.
    pub fn unique_id(&self, uid: Uid) -> Option<&str> {
        let gone = || self.gone.get(&uid.0).and_then(|gone| gone.unique_id.as_deref());
        let kept = || self.base.as_ref().and_then(|base| base.unique_id(uid));
        self.unique_ids.get(&uid).map(|id| &**id).or_else(kept).or_else(gone)
    }

    /// A column of values, when any message has one there.
    pub fn column(&self, name: &str) -> Option<&Column> {
        self.columns.get(name).map(|column| &**column)
    }

    /// How many columns of values there are, and how many runs in all of them.
    pub(crate) fn values_kept(&self) -> (usize, usize) {
        (self.columns.len(), self.value_runs)
    }

    /// All columns of values, in the order of their names.
    pub fn columns(&self) -> impl Iterator<Item = (&str, &Column)> {
        self.columns.iter().map(|(name, column)| (&**name, &**column))
    }

    /// What a message has in a column of values; 0 when it was given nothing.
    pub fn value(&self, column: &str, uid: Uid) -> u64 {
        self.column(column).and_then(|column| column.get(uid)).map_or(0, |cell| cell.value)
    }

    /// Where the rendered cache of a message is.
    pub fn cache(&self, row: Row) -> CacheAt {
        let (snapshot, at, body) = match self.gone.get(&row.uid.0) {
            Some(gone) => (gone.cache.as_ref().map(|c| &c.0), gone.cache.as_ref().map_or(0, |c| c.1), gone.fixed.body),
            None if row.source < self.base_rows() => (self.base.as_ref(), row.source, self.fixed_of(row).body),
            None => (None, 0, self.fixed_of(row).body),
        };
        match snapshot {
            Some(snapshot) => CacheAt::Snapshot(Rc::clone(snapshot), at, body),
            None => CacheAt::Body(body),
        }
    }

    /// The row of a snapshot that should have the rendered cache of a message. What is not there may still be where [`Mailbox::cache`] says.
    pub fn cached(&self, row: Row) -> Option<(&Snapshot, u32)> {
        match self.gone.get(&row.uid.0) {
            Some(gone) => gone.cache.as_ref().map(|cache| (&*cache.0, cache.1)),
            None => self.base.as_deref().filter(|base| row.source < base.rows()).map(|base| (base, row.source)),
        }
    }

    fn keyword(&self, name: &str) -> Option<usize> {
        self.keywords.iter().position(|k| k.eq_ignore_ascii_case(name))
    }

    fn base_rows(&self) -> u32 {
        self.base.as_ref().map_or(0, |b| b.rows())
    }

    fn fixed_of(&self, row: Row) -> Fixed {
        let base_rows = self.base_rows();
        match &self.base {
            Some(base) if row.source < base_rows => crate::snapshot::fixed(base, row.source),
            _ => self.tail[(row.source - base_rows) as usize],
        }
    }
}
