//! Mailboxes that hold no messages of their own: each shows messages of others as one list.
//!
//! ```text
//! Append, Store, SetValues ──▶ the source ──▶ behind: who knows what is looked for looks again ──▶ Found ──▶ in, or leaving
//! Store, Expunge of a message that is shown ──▶ the same here, by its UID here, at once
//! STORE, EXPUNGE, COPY here ──▶ ops of the sources
//! ```
//!
//! Nothing of it is logged. They leave memory with the account, and the store keeps them beside it while there is room: nothing happens to an account that
//! nobody has open, so they are true when it is opened again. Else it derives them anew, with another UIDVALIDITY. Each is a [`Mailbox`] like any other, so
//! views, numbers, modseqs and history are as ever; a message's row is always as its source's.

use super::messages::{message, names};
use super::{Account, AccountError, Copied, StoreRequest};
use crate::mailbox::Mailbox;
use crate::op::{NewMessage, Op, StoreMode};
use skein_base::limits::KEYWORDS_PER_MAILBOX_MAX;
use skein_base::{IdSet, MailboxId, ModSeq, Uid, UidValidity};
use std::collections::{BTreeMap, BTreeSet};

/// Messages that one shows: about 30 MB with their places.
pub const DERIVED_MESSAGES_MAX: usize = 200_000;

/// More messages are found than one may show.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct TooMany;

/// What a look at one source has found.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Found {
    /// Which.
    pub source: MailboxId,
    /// Its modseq when the look began.
    pub modseq: ModSeq,
    /// Messages that were looked at.
    pub among: IdSet,
    /// Those of them that were only because time has gone by.
    pub aged: IdSet,
    /// Those of them that belong here.
    pub found: IdSet,
}

/// All of an account, by identities that no mailbox of the tree ever has.
#[derive(Default)]
pub(crate) struct AllDerived {
    all: BTreeMap<MailboxId, Derived>,
    given: u32,
}

struct Derived {
    /// What it is found by.
    key: Box<str>,
    mailbox: Mailbox,
    /// Where each message is.
    places: BTreeMap<Uid, (MailboxId, Uid)>,
    /// The same the other way round.
    uids: BTreeMap<MailboxId, BTreeMap<Uid, Uid>>,
    /// Shown still, and looked for no more.
    leaving: IdSet,
    /// Sources that have been looked at, and up to where.
    looked: BTreeMap<MailboxId, ModSeq>,
    /// Mailboxes that something has happened in since.
    behind: BTreeSet<MailboxId>,
    /// Mailboxes have come, gone or taken other names since.
    tree_changed: bool,
    /// No message was looked at before this time, Unix seconds, that is not due for it.
    as_of: i64,
    /// When time alone next changes what belongs here, at the earliest.
    turns: Option<i64>,
    /// It was out of memory with its account: bodies may have moved meanwhile.
    has_been_away: bool,
}

impl Derived {
    fn new(key: &str, id: MailboxId, validity: UidValidity) -> Derived {
        Derived {
            key: key.into(),
            mailbox: Mailbox::new(id, validity),
            places: BTreeMap::new(),
            uids: BTreeMap::new(),
            leaving: IdSet::new(),
            looked: BTreeMap::new(),
            behind: BTreeSet::new(),
            tree_changed: true,
            as_of: i64::MAX,
            turns: None,
            has_been_away: false,
        }
    }

    /// What messages of a source are called here, as far as they are shown.
    fn here(&self, source: MailboxId, uids: &IdSet) -> IdSet {
        let Some(known) = self.uids.get(&source) else { return IdSet::new() };
        let ranges = uids.ranges().flat_map(|range| known.range(Uid(*range.start())..=Uid(*range.end())));
        let mut here: Vec<u32> = ranges.map(|(_, uid)| uid.0).collect();
        here.sort_unstable();
        here.into_iter().collect()
    }

    /// Where live messages are, by source.
    fn there(&self, uids: &IdSet) -> BTreeMap<MailboxId, IdSet> {
        let mut there: BTreeMap<MailboxId, Vec<u32>> = BTreeMap::new();
        for range in uids.ranges() {
            for (source, uid) in self.places.range(Uid(*range.start())..=Uid(*range.end())).map(|(_, place)| *place) {
                there.entry(source).or_default().push(uid.0);
            }
        }
        let sorted = |mut uids: Vec<u32>| {
            uids.sort_unstable();
            uids.into_iter().collect()
        };
        there.into_iter().map(|(source, uids)| (source, sorted(uids))).collect()
    }

    /// What happens to a source's messages happens to those that are shown.
    fn mirror(&mut self, source: MailboxId, op: &Op) {
        let id = self.mailbox.id();
        match op {
            // Values are an extension's, which may go by them.
            Op::Append { .. } | Op::SetValues { .. } => drop(self.behind.insert(source)),
            Op::Store { uids, mode, flags, keywords, .. } => {
                self.behind.insert(source);
                let uids = self.here(source, uids);
                if !uids.is_empty() {
                    let (mode, flags, keywords) = (*mode, *flags, keywords.clone());
                    self.mailbox.apply_part(&Op::Store { mailbox: id, uids, mode, flags, keywords });
                }
            }
            Op::Expunge { uids, .. } => {
                let uids = self.here(source, uids);
                self.take_out(&uids);
            }
            _ => {}
        }
    }

    fn take_out(&mut self, uids: &IdSet) {
        if uids.is_empty() {
            return;
        }
        for uid in uids.iter() {
            if let Some((source, there)) = self.places.remove(&Uid(uid))
                && let Some(known) = self.uids.get_mut(&source)
            {
                known.remove(&there);
            }
        }
        self.leaving = self.leaving.difference(uids);
        self.mailbox.apply_part(&Op::Expunge { mailbox: self.mailbox.id(), uids: uids.clone() });
    }

    /// What is of this source, all of it.
    fn all_of(&self, source: MailboxId) -> IdSet {
        self.here(source, &IdSet::range(1, u32::MAX))
    }

    fn forget(&mut self, source: MailboxId) {
        self.take_out(&self.all_of(source));
        self.uids.remove(&source);
        self.looked.remove(&source);
        self.behind.remove(&source);
    }

    fn bring_in(&mut self, new: Vec<(MailboxId, Uid, NewMessage)>) {
        if new.is_empty() {
            return;
        }
        let (id, first_uid) = (self.mailbox.id(), self.mailbox.uid_next());
        let mut messages = Vec::with_capacity(new.len());
        for ((source, there, message), uid) in new.into_iter().zip(first_uid.0..) {
            self.places.insert(Uid(uid), (source, there));
            self.uids.entry(source).or_default().insert(there, Uid(uid));
            messages.push(message);
        }
        self.mailbox.apply_part(&Op::Append { mailbox: id, first_uid, messages });
        // A session has seen them in the source, or will: here nothing is recent.
        self.mailbox.apply_part(&Op::ClaimRecent { mailbox: id, below: self.mailbox.uid_next() });
        self.mailbox.drop_unused();
    }
}

impl AllDerived {
    pub(super) fn mailbox(&self, id: MailboxId) -> Option<&Mailbox> {
        self.all.get(&id).map(|derived| &derived.mailbox)
    }

    pub(super) fn mailbox_mut(&mut self, id: MailboxId) -> Option<&mut Mailbox> {
        self.all.get_mut(&id).map(|derived| &mut derived.mailbox)
    }

    pub(super) fn mailboxes(&self) -> impl Iterator<Item = &Mailbox> {
        self.all.values().map(|derived| &derived.mailbox)
    }

    /// Whether a session looks at messages of this mailbox here.
    pub(super) fn pins(&self, source: MailboxId) -> bool {
        self.all.values().any(|derived| derived.uids.contains_key(&source) && derived.mailbox.view_count() > 0)
    }

    pub(super) fn mirror(&mut self, source: MailboxId, op: &Op) {
        self.all.values_mut().for_each(|derived| derived.mirror(source, op));
    }

    pub(super) fn note_tree(&mut self) {
        self.all.values_mut().for_each(|derived| derived.tree_changed = true);
    }

    pub(super) fn forget(&mut self, source: MailboxId) {
        self.all.values_mut().for_each(|derived| derived.forget(source));
    }

    pub(crate) fn memory_bytes(&self) -> usize {
        let place = size_of::<(Uid, (MailboxId, Uid))>() + size_of::<(Uid, Uid)>();
        self.all.values().map(|derived| derived.mailbox.memory_bytes() + derived.places.len() * 2 * place).sum()
    }
}

impl Account {
    /// The derived mailbox of this key, when there is one.
    pub fn derived(&self, key: &str) -> Option<MailboxId> {
        self.derived.all.iter().find(|(_, derived)| &*derived.key == key).map(|(id, _)| *id)
    }

    /// It shows messages of others.
    pub fn is_derived(&self, id: MailboxId) -> bool {
        self.derived.all.contains_key(&id)
    }

    /// Begins one, with a UIDVALIDITY that no other of this account ever had under its name.
    pub fn derive(&mut self, key: &str, validity: UidValidity) -> MailboxId {
        let id = MailboxId(u32::MAX - self.derived.given);
        self.derived.given += 1;
        self.derived.all.insert(id, Derived::new(key, id, validity));
        id
    }

    /// Lets go of those that nobody looks at and that are not wanted any more.
    pub fn retain_derived(&mut self, is_wanted: impl Fn(&str) -> bool) {
        self.derived.all.retain(|_, derived| derived.mailbox.view_count() > 0 || is_wanted(&derived.key));
    }

    /// Whether something has happened that may change what it shows.
    pub fn is_derived_behind(&self, id: MailboxId) -> bool {
        self.derived.all.get(&id).is_some_and(|derived| derived.tree_changed || !derived.behind.is_empty())
    }

    /// Its messages are of these mailboxes from now on: which of them are to be looked at, and what has changed in them since when. What is of others
    /// is leaving.
    pub fn derive_from(&mut self, id: MailboxId, sources: &BTreeSet<MailboxId>) -> Vec<(MailboxId, ModSeq)> {
        let Some(derived) = self.derived.all.get_mut(&id) else { return Vec::new() };
        derived.tree_changed = false;
        derived.behind.retain(|source| sources.contains(source));
        let others: Vec<MailboxId> = derived.looked.keys().filter(|id| !sources.contains(id)).copied().collect();
        for other in others {
            derived.looked.remove(&other);
            derived.leaving = derived.leaving.union(&derived.all_of(other));
        }
        let due = sources.iter().filter(|id| derived.behind.contains(id) || !derived.looked.contains_key(id));
        due.map(|id| (*id, derived.looked.get(id).copied().unwrap_or(ModSeq(0)))).collect()
    }

    /// The mailboxes that its messages are of.
    pub fn derived_sources(&self, id: MailboxId) -> Vec<MailboxId> {
        self.derived.all.get(&id).map_or_else(Vec::new, |derived| derived.uids.keys().copied().collect())
    }

    /// When time alone next changes what belongs to it, at the earliest; Unix seconds.
    pub fn derived_turns(&self, id: MailboxId) -> Option<i64> {
        self.derived.all.get(&id)?.turns
    }

    /// Time has gone by up to `now`: since when, if that alone may have changed what belongs to it. Then every source is due, and whoever looks notes the
    /// time ([`Account::note_time`]).
    pub fn pass_time(&mut self, id: MailboxId, now: i64) -> Option<i64> {
        let derived = self.derived.all.get_mut(&id)?;
        derived.turns.take_if(|turns| *turns <= now)?;
        derived.behind.extend(derived.looked.keys());
        Some(std::mem::replace(&mut derived.as_of, now))
    }

    /// What was looked at is as at this time, and until `turns` time alone changes nothing of it. Others may have looked meanwhile.
    pub fn note_time(&mut self, id: MailboxId, now: i64, turns: Option<i64>) {
        if let Some(derived) = self.derived.all.get_mut(&id) {
            derived.as_of = derived.as_of.min(now);
            derived.turns = derived.turns.into_iter().chain(turns).min();
        }
    }

    /// Takes what was found: what belongs to it comes in, by age, and what belongs to it no more is leaving. What time alone has taken out of it
    /// leaves at once.
    ///
    /// # Errors
    /// There is no room for all of it: then nothing comes in, and everything is to be looked at again, though not before something happens or
    /// somebody asks.
    pub fn take_found(&mut self, id: MailboxId, all: &[Found]) -> Result<(), TooMany> {
        let Some(mut derived) = self.derived.all.remove(&id) else { return Ok(()) };
        let (mut new, mut stays, mut goes) = (Vec::new(), Vec::new(), Vec::new());
        for Found { source, modseq, among, aged, found } in all {
            // It has gone, or been unloaded: whatever happened in it is still to be looked at.
            let Some(mailbox) = self.mailbox(*source) else { continue };
            // What has changed since is another look's to decide.
            for row in mailbox.rows().among(among).filter(|row| row.modseq <= *modseq) {
                let known = derived.uids.get(source).and_then(|known| known.get(&row.uid)).copied();
                match (known, found.contains(row.uid.0)) {
                    (Some(uid), true) => stays.push(uid.0),
                    (Some(uid), false) if aged.contains(row.uid.0) && !derived.leaving.contains(uid.0) => {
                        goes.push(uid.0)
                    }
                    (Some(uid), false) => derived.leaving.insert(uid.0),
                    (None, true) => {
                        let message = message(mailbox, row, mailbox.fixed(row).save_date);
                        new.push((*source, row.uid, message));
                    }
                    (None, false) => {}
                }
            }
            let looked = derived.looked.entry(*source).or_insert(*modseq);
            *looked = (*looked).max(*modseq);
            if mailbox.modseq() == *modseq {
                derived.behind.remove(source);
            }
        }
        stays.sort_unstable();
        derived.leaving = derived.leaving.difference(&stays.into_iter().collect());
        goes.sort_unstable();
        derived.take_out(&goes.into_iter().collect());
        new.sort_by_key(|(source, uid, message)| (message.internal_date, *source, *uid));
        let fits = derived.places.len() + new.len() <= DERIVED_MESSAGES_MAX
            && u32::MAX - derived.mailbox.uid_next().0 > new.len() as u32;
        match fits {
            true => derived.bring_in(new),
            false => {
                derived.looked.clear();
                derived.behind.clear();
            }
        }
        self.derived.all.insert(id, derived);
        if fits { Ok(()) } else { Err(TooMany) }
    }

    /// What is leaving leaves, as far as it is of the set.
    pub fn let_leave(&mut self, id: MailboxId, uids: &IdSet) {
        if let Some(derived) = self.derived.all.get_mut(&id) {
            derived.take_out(&derived.leaving.intersection(uids));
        }
    }

    /// The bodies of a source's messages are elsewhere now.
    pub(crate) fn refresh_derived(&mut self, source: MailboxId) {
        let mut all = std::mem::take(&mut self.derived.all);
        all.values_mut().for_each(|derived| self.refresh(derived, source));
        self.derived.all = all;
    }

    /// After all of its sources were loaded: where bodies are is looked up, if it was out of memory since that was last known.
    pub fn refresh_bodies(&mut self, id: MailboxId) {
        let Some(mut derived) = self.derived.all.remove(&id) else { return };
        if std::mem::take(&mut derived.has_been_away) {
            let sources: Vec<MailboxId> = derived.uids.keys().copied().collect();
            sources.into_iter().for_each(|source| self.refresh(&mut derived, source));
        }
        self.derived.all.insert(id, derived);
    }

    fn refresh(&self, derived: &mut Derived, source: MailboxId) {
        let Some(mailbox) = self.mailbox(source) else { return };
        for (there, here) in derived.uids.get(&source).into_iter().flatten() {
            if let Some(row) = mailbox.rows().find(*there) {
                derived.mailbox.body_is(*here, mailbox.fixed(row).body);
            }
        }
    }

    /// Takes out all that there are, as the account leaves memory.
    pub(crate) fn take_derived(&mut self) -> Option<AllDerived> {
        let mut all = std::mem::take(&mut self.derived);
        all.all.values_mut().for_each(|derived| derived.has_been_away = true);
        (!all.all.is_empty()).then_some(all)
    }

    /// Puts back what was taken out. Nothing has happened to the account since, but that bodies may have moved.
    pub(crate) fn put_derived(&mut self, all: AllDerived) {
        self.derived = all;
    }

    /// A source is not what it was: what is shown of it goes, and it is looked through again.
    pub(crate) fn distrust_derived(&mut self, source: MailboxId) {
        self.derived.forget(source);
    }

    /// [`Account::store`] where this is a derived mailbox.
    pub(super) fn store_derived(
        &self,
        id: MailboxId,
        request: &StoreRequest,
    ) -> Option<Result<(Vec<Op>, IdSet), AccountError>> {
        let derived = self.derived.all.get(&id)?;
        // What is stored there is to be seen here.
        let names = request.keywords.iter().map(|name| &**name);
        if request.mode != StoreMode::Remove && !derived.mailbox.has_room_for(names) {
            return Some(Err(AccountError::TooManyKeywords { max: KEYWORDS_PER_MAILBOX_MAX }));
        }
        let rows = || derived.mailbox.rows().among(&request.uids);
        let modified: IdSet = match request.unchanged_since {
            Some(since) => rows().filter(|row| row.modseq > since).map(|row| row.uid.0).collect(),
            None => IdSet::new(),
        };
        let of_source = |(source, uids): (MailboxId, IdSet)| {
            self.store(source, StoreRequest { uids, unchanged_since: None, ..request.clone() }).map(|(ops, _)| ops)
        };
        let ops = derived.there(&request.uids.difference(&modified)).into_iter().map(of_source);
        let ops: Result<Vec<Vec<Op>>, AccountError> = ops.collect();
        Some(ops.map(|ops| (ops.concat(), modified)))
    }

    /// [`Account::expunge`] and [`Account::remove`] where this is a derived mailbox.
    pub(super) fn remove_derived(
        &self,
        id: MailboxId,
        uids: impl FnOnce(&Mailbox) -> IdSet,
    ) -> Option<Result<Vec<Op>, AccountError>> {
        let derived = self.derived.all.get(&id)?;
        let there = derived.there(&uids(&derived.mailbox)).into_iter();
        let ops: Result<Vec<Vec<Op>>, _> = there.map(|(source, uids)| self.remove(source, &uids)).collect();
        Some(ops.map(|ops| ops.concat()))
    }

    /// [`Account::copy`] where the source is a derived mailbox.
    pub(super) fn copy_derived(
        &self,
        from: MailboxId,
        uids: &IdSet,
        to: MailboxId,
        now: i64,
    ) -> Option<Result<(Copied, Vec<Op>), AccountError>> {
        let derived = self.derived.all.get(&from)?;
        Some(self.copies(derived, uids, to, now))
    }

    fn copies(
        &self,
        derived: &Derived,
        uids: &IdSet,
        to: MailboxId,
        now: i64,
    ) -> Result<(Copied, Vec<Op>), AccountError> {
        let target = self.target(to)?;
        let (mut from, mut messages) = (IdSet::new(), Vec::new());
        let mut used: BTreeMap<MailboxId, u128> = BTreeMap::new();
        for row in derived.mailbox.rows().among(uids) {
            let Some((source, there)) = derived.places.get(&row.uid) else { continue };
            let mailbox = self.mailbox(*source).ok_or(AccountError::NotLoaded)?;
            let Some(there) = mailbox.rows().find(*there) else { continue };
            *used.entry(*source).or_default() |= there.keywords.0;
            from.push(row.uid.0);
            messages.push(message(mailbox, there, now));
        }
        if messages.is_empty() {
            return Ok((Copied::default(), Vec::new()));
        }
        let mut keywords = Vec::new();
        for (source, mask) in used {
            let mailbox = self.mailbox(source).ok_or(AccountError::NotLoaded)?;
            keywords.extend(names(mailbox, skein_base::KeywordMask(mask)));
        }
        if !target.has_room_for(keywords.iter().map(|name| &**name)) {
            return Err(AccountError::TooManyKeywords { max: KEYWORDS_PER_MAILBOX_MAX });
        }
        let first_uid = super::messages::uids_for(target, messages.len())?;
        let to_uids = IdSet::range(first_uid.0, first_uid.0 + messages.len() as u32 - 1);
        Ok((Copied { from, to: to_uids }, vec![Op::Append { mailbox: to, first_uid, messages }]))
    }
}
