//! One account as a state machine: `validate` makes ops, the log keeps them, `apply` makes them true.
//!
//! ```text
//! create("Work", ..) ──▶ Result<Vec<Op>, AccountError>     reads, changes nothing
//! apply(&ops, pos)                                         changes, never fails, never waits
//! ```

mod apply;
mod derived;
mod error;
mod expiry;
mod journal;
mod messages;
mod metadata;
mod persist;
mod tree;
mod unload;
mod usage;
mod values;

pub(crate) use derived::AllDerived;
pub use derived::{DERIVED_MESSAGES_MAX, Found, TooMany};
pub use error::AccountError;
pub use journal::{Event, Missed};
pub use messages::{Copied, StoreRequest};
pub use metadata::{Metadata, MetadataChange};
pub(crate) use persist::version as tree_version;
pub use persist::{AccountDamage, decode as decode_account, decode_user, encode as encode_account};
pub use tree::create_account;
pub use usage::Usage;

use crate::body::NO_SEGMENT;
use crate::mailbox::Mailbox;
use skein_base::limits::MAILBOX_ID_MAX;
use skein_base::{LogPos, MailboxId, SpecialUse, UidValidity, UserName};
use std::collections::{BTreeMap, BTreeSet};

/// Identities, and UIDVALIDITYs, that are passed over when the tree that knew the last ones is lost: more than anybody makes and deletes
/// between two checkpoints.
const MAILBOXES_PASSED_OVER: u32 = 1 << 20;

/// A mailbox of the tree.
struct Entry {
    name: Box<str>,
    validity: UidValidity,
    special_use: SpecialUse,
    metadata: Metadata,
    /// How far the mailbox's snapshot was true when the tree was written; an older one is not to be trusted.
    snapshot: LogPos,
    /// `None` until somebody looks into it. Boxed: a node of the map has room for eleven entries.
    mailbox: Option<Box<Mailbox>>,
    /// When somebody last came for it, in milliseconds of the store's clock.
    used_ms: u64,
    /// What it held when it was last in memory.
    usage: Option<Usage>,
    /// The oldest segment of the log with a body that its snapshot names; [`NO_SEGMENT`] when all are in packs.
    bodies_from: u64,
}

impl Entry {
    /// One that nobody has said anything of.
    fn new(name: Box<str>, validity: UidValidity, snapshot: LogPos) -> Entry {
        let (special_use, metadata) = (SpecialUse::NONE, Metadata::new());
        Entry {
            name,
            validity,
            special_use,
            metadata,
            snapshot,
            mailbox: None,
            used_ms: 0,
            usage: None,
            bodies_from: NO_SEGMENT,
        }
    }

    /// As its snapshot is, whether it is in memory or not.
    fn bodies_from(&self) -> u64 {
        self.mailbox.as_ref().map_or(self.bodies_from, |mailbox| mailbox.bodies_from())
    }
}

/// A mailbox whose snapshot was found without a tree.
pub(crate) struct Salvaged {
    pub id: MailboxId,
    pub validity: UidValidity,
    /// How far the snapshot is true.
    pub true_to: LogPos,
    pub name: Box<str>,
    /// The oldest segment of the log with a body that it names.
    pub bodies_from: u64,
}

/// What the tree says of a mailbox.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Named<'a> {
    /// Its identity.
    pub id: MailboxId,
    /// Its full name.
    pub name: &'a str,
    /// Its UIDVALIDITY.
    pub validity: UidValidity,
    /// What it is for, when that was said.
    pub special_use: SpecialUse,
}

/// All of one user's state.
pub struct Account {
    user: Option<UserName>,
    /// The log position up to which the tree is true.
    pos: LogPos,
    entries: BTreeMap<MailboxId, Entry>,
    /// INBOX under its one spelling; the rest as created.
    names: BTreeMap<Box<str>, MailboxId>,
    subscriptions: BTreeSet<Box<str>>,
    /// Annotations of the account itself.
    metadata: Metadata,
    mailbox_last: u32,
    validity_last: u32,
    /// Deleted mailboxes that sessions still have open.
    orphans: BTreeMap<MailboxId, Mailbox>,
    /// While replaying: mailboxes read from disk that the tail is still to make.
    expected: BTreeMap<MailboxId, Mailbox>,
    dirty: bool,
    /// What has happened lately, while somebody listens.
    journal: journal::Journal,
    /// Mailboxes that show messages of the others.
    derived: derived::AllDerived,
}

impl Account {
    /// Nobody's account: what there is before the first op.
    pub fn unborn() -> Account {
        Account {
            user: None,
            pos: LogPos::default(),
            entries: BTreeMap::new(),
            names: BTreeMap::new(),
            subscriptions: BTreeSet::new(),
            metadata: Metadata::new(),
            mailbox_last: 0,
            validity_last: 0,
            orphans: BTreeMap::new(),
            expected: BTreeMap::new(),
            dirty: false,
            journal: journal::Journal::default(),
            derived: derived::AllDerived::default(),
        }
    }

    /// Whose it is; `None` before its first op.
    pub fn user(&self) -> Option<&UserName> {
        self.user.as_ref()
    }

    /// The log position up to which the tree is true.
    pub fn pos(&self) -> LogPos {
        self.pos
    }

    /// Whether the tree has changed since it was last written out.
    pub fn is_dirty(&self) -> bool {
        self.dirty
    }

    /// Whether a tree of it was ever written: then some mailbox's snapshot is known to be true to somewhere.
    pub(crate) fn was_written(&self) -> bool {
        self.entries.values().any(|entry| entry.snapshot != LogPos::default())
    }

    /// Notes that the tree has been written out as it is now.
    pub fn written(&mut self) {
        self.dirty = false;
    }

    /// The mailboxes in the order of their names.
    pub fn mailboxes(&self) -> impl Iterator<Item = Named<'_>> {
        self.names.values().filter_map(|id| self.named(*id))
    }

    /// The mailbox of this name. INBOX is found in any case (RFC 3501 §5.1).
    pub fn find(&self, name: &str) -> Option<Named<'_>> {
        self.names.get(&*tree::canonical(name)).and_then(|id| self.named(*id))
    }

    /// The subscribed names, sorted.
    pub fn subscriptions(&self) -> impl Iterator<Item = &str> {
        self.subscriptions.iter().map(|name| &**name)
    }

    /// True when this name is subscribed.
    pub fn is_subscribed(&self, name: &str) -> bool {
        self.subscriptions.contains(name)
    }

    /// A mailbox that is in memory, derived ones and deleted ones with open views included.
    pub fn mailbox(&self, id: MailboxId) -> Option<&Mailbox> {
        let beside = || self.orphans.get(&id).or_else(|| self.derived.mailbox(id));
        self.entries.get(&id).and_then(|e| e.mailbox.as_deref()).or_else(beside)
    }

    /// The same, to move its views. Its messages change through ops only.
    pub fn mailbox_mut(&mut self, id: MailboxId) -> Option<&mut Mailbox> {
        match self.entries.get_mut(&id).and_then(|e| e.mailbox.as_deref_mut()) {
            Some(mailbox) => Some(mailbox),
            None => self.orphans.get_mut(&id).or_else(|| self.derived.mailbox_mut(id)),
        }
    }

    /// The mailboxes that are in memory and in the tree.
    pub fn loaded(&self) -> impl Iterator<Item = &Mailbox> {
        self.entries.values().filter_map(|e| e.mailbox.as_deref())
    }

    /// True when the mailbox is in the tree.
    pub fn exists(&self, id: MailboxId) -> bool {
        self.entries.contains_key(&id)
    }

    /// The log position behind which a snapshot of this mailbox can not be.
    pub(crate) fn snapshot_of(&self, id: MailboxId) -> LogPos {
        self.entries.get(&id).map_or(LogPos::default(), |entry| entry.snapshot)
    }

    /// A mailbox's snapshot stands that is true to `pos`.
    pub(crate) fn written_to(&mut self, id: MailboxId, pos: LogPos) {
        if let Some(entry) = self.entries.get_mut(&id) {
            entry.snapshot = pos;
        }
    }

    /// The oldest segment of the log with a body that some mailbox's snapshot names; [`NO_SEGMENT`] when all are in packs.
    pub(crate) fn bodies_from(&self) -> u64 {
        self.entries.values().map(Entry::bodies_from).min().unwrap_or(NO_SEGMENT)
    }

    /// The same of one mailbox.
    pub(crate) fn bodies_from_of(&self, id: MailboxId) -> u64 {
        self.entries.get(&id).map_or(NO_SEGMENT, Entry::bodies_from)
    }

    /// The mailboxes whose snapshots name bodies in the log.
    pub(crate) fn with_bodies_in_log(&self) -> impl Iterator<Item = MailboxId> {
        self.entries.iter().filter(|(_, entry)| entry.bodies_from() != NO_SEGMENT).map(|(id, _)| *id)
    }

    /// The full name of a mailbox of the tree; empty for any other.
    pub fn name_of(&self, id: MailboxId) -> &str {
        self.entries.get(&id).map_or("", |entry| &entry.name)
    }

    /// A tree of mailboxes whose snapshots were found without it. Whose it is is not known.
    pub(crate) fn salvaged(found: Vec<Salvaged>) -> Account {
        let mut account = Account::unborn();
        for Salvaged { id, validity, true_to, name, bodies_from } in found {
            account.mailbox_last = account.mailbox_last.max(id.0);
            account.validity_last = account.validity_last.max(validity.0);
            // Another may have had the name when its snapshot was written.
            let name = if account.names.contains_key(&name) { account.free_name(id).into() } else { name };
            account.names.insert(name.clone(), id);
            account.entries.insert(id, Entry { bodies_from, ..Entry::new(name, validity, true_to) });
        }
        // Its own name is INBOX's, even if another one's snapshot says so too and comes first.
        if account.entries.get(&MailboxId::INBOX).is_some_and(|inbox| &*inbox.name != "INBOX") {
            let other = account.names["INBOX"];
            account.give_name(MailboxId::INBOX, "INBOX");
            let name = account.free_name(other);
            account.give_name(other, &name);
        }
        account
    }

    /// A name that no mailbox has, for one that lost its own.
    fn free_name(&self, id: MailboxId) -> String {
        let name = format!("Recovered-{}", id.0);
        let more = (2..).map(|n| format!("{name}-{n}"));
        std::iter::once(name.clone())
            .chain(more)
            .find(|name| !self.names.contains_key(&**name))
            .expect("there are more names than mailboxes")
    }

    /// A mailbox that is there though nothing left says how it came: under its name, or another one when that is empty or taken. The name
    /// that it has then.
    pub(crate) fn recover(&mut self, id: MailboxId, name: &str, validity: Option<UidValidity>, now: i64) -> &str {
        let is_free = |name: &str| !name.is_empty() && self.names.get(name).is_none_or(|other| *other == id);
        let beside = format!("{name}-recovered-{}", id.0);
        let name: Box<str> = match name {
            _ if id == MailboxId::INBOX => "INBOX".into(),
            free if is_free(free) => free.into(),
            taken if !taken.is_empty() && is_free(&beside) => beside.into(),
            _ => self.free_name(id).into(),
        };
        let validity = validity.unwrap_or_else(|| UidValidity(tree::validity_from(now, self.validity_last)));
        self.mailbox_last = self.mailbox_last.max(id.0);
        self.validity_last = self.validity_last.max(validity.0);
        self.entries.entry(id).or_insert_with(|| Entry::new(name.clone(), validity, LogPos::default()));
        self.give_name(id, &name);
        self.name_of(id)
    }

    /// Identities and UIDVALIDITYs go on above all that a tree which is lost may have given: mailboxes that were deleted since are known to
    /// nobody else.
    pub(crate) fn pass_over_mailboxes(&mut self, now: i64) {
        self.mailbox_last = self.mailbox_last.saturating_add(MAILBOXES_PASSED_OVER).min(MAILBOX_ID_MAX);
        self.validity_last = tree::validity_from(now, self.validity_last).saturating_add(MAILBOXES_PASSED_OVER);
    }

    /// Gives a salvaged tree its user, and an INBOX if it has none.
    pub(crate) fn begin_salvaged(&mut self, user: &UserName, now: i64) {
        self.pass_over_mailboxes(now);
        self.user = Some(user.clone());
        if self.names.contains_key("INBOX") {
            return;
        }
        let validity = UidValidity(tree::validity_from(now, self.validity_last));
        self.validity_last = self.validity_last.max(validity.0);
        self.mailbox_last = self.mailbox_last.max(MailboxId::INBOX.0);
        self.names.insert("INBOX".into(), MailboxId::INBOX);
        self.entries.insert(MailboxId::INBOX, Entry::new("INBOX".into(), validity, LogPos::default()));
    }

    /// Puts a mailbox that was read from disk in its place; one that is there already stays.
    pub fn put(&mut self, mut mailbox: Mailbox) {
        if let Some(entry) = self.entries.get_mut(&mailbox.id())
            && entry.mailbox.is_none()
        {
            if let Some(usage) = entry.usage.filter(|_| entry.snapshot == mailbox.pos()) {
                mailbox.bytes_are(usage.bytes);
            }
            if mailbox.stands_on(entry.snapshot) {
                // The snapshot that the tree stands on. What a checkpoint left in the log it could not read, and nobody will.
                mailbox.names_bodies_from(entry.bodies_from);
            }
            entry.mailbox = Some(Box::new(mailbox));
        }
    }

    /// Before a replay: puts a mailbox in its place, or keeps it until the tail makes its place.
    pub(crate) fn expect(&mut self, mailbox: Mailbox) {
        match self.entries.contains_key(&mailbox.id()) {
            true => self.put(mailbox),
            false => drop(self.expected.insert(mailbox.id(), mailbox)),
        }
    }

    /// After a replay: what the tail did not make was deleted in it.
    pub(crate) fn forget_expected(&mut self) {
        self.expected.clear();
    }

    /// Lets go of a deleted mailbox once no view is open on it.
    pub fn drop_orphan(&mut self, id: MailboxId) {
        if self.orphans.get(&id).is_some_and(|m| m.view_count() == 0) {
            self.orphans.remove(&id);
        }
    }

    /// What the tree says of a mailbox.
    pub fn named(&self, id: MailboxId) -> Option<Named<'_>> {
        let entry = self.entries.get(&id)?;
        Some(Named { id, name: &entry.name, validity: entry.validity, special_use: entry.special_use })
    }
}
