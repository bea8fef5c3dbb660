//! How ops change a mailbox. Deterministic: the same ops at the same positions make the same mailbox, live or replayed.

use super::view::seen_apart;
use super::{EXPUNGE_STEPS_MAX, Fixed, Gone, Mailbox, Row, ValueCell, ViewId};
use crate::account::StoreRequest;
use crate::op::{NewMessage, Op, StoreMode, ValueRun};
use skein_base::limits::KEYWORDS_PER_MAILBOX_MAX;
use skein_base::{Flags, IdSet, KeywordMask, LogPos, Uid};
use std::rc::Rc;

impl Mailbox {
    /// Applies an op on this mailbox's messages that is logged at `pos`. One that the mailbox has seen changes nothing.
    pub fn apply(&mut self, op: &Op, pos: LogPos) {
        if pos <= self.pos {
            return;
        }
        self.apply_part(op);
        self.pos = pos;
    }

    /// Applies one op of a record that has several for this mailbox; [`Mailbox::reached`] ends the record.
    pub(crate) fn apply_part(&mut self, op: &Op) {
        match op {
            Op::Append { first_uid, messages, .. } => self.append(*first_uid, messages),
            Op::Store { uids, mode, flags, keywords, .. } => self.store(uids, *mode, *flags, keywords),
            Op::Expunge { uids, .. } => self.expunge(uids),
            Op::ClaimRecent { below, .. } => self.first_recent = self.first_recent.max(*below),
            Op::SetUniqueId { uid, id, .. } => self.set_unique_id(*uid, id),
            Op::SetValues { column, runs, .. } => self.set_values(column, runs),
            _ => unreachable!("an op of the account, not of a mailbox's messages"),
        }
        self.ops_since_snapshot += 1;
    }

    pub(crate) fn reached(&mut self, pos: LogPos) {
        self.pos = self.pos.max(pos);
    }

    fn append(&mut self, first_uid: Uid, messages: &[NewMessage]) {
        self.modseq = self.modseq.next();
        self.uid_next = self.uid_next.max(first_uid);
        let base_rows = self.base_rows();
        for message in messages {
            // Only a record that no server of ours wrote has more than UIDs are left.
            let Some(next) = self.uid_next.next() else { return };
            let keywords = self.intern(&message.keywords);
            let source = base_rows + self.tail.len() as u32;
            let row = Row { uid: self.uid_next, flags: message.flags, keywords, modseq: self.modseq, source };
            self.tail.push(Fixed {
                internal_date: message.internal_date,
                save_date: message.save_date,
                size: message.size,
                guid: message.guid,
                body: message.body,
            });
            self.rows.push(row);
            self.bytes.set(self.bytes.get().map(|bytes| bytes + u64::from(message.size)));
            self.uid_next = next;
        }
    }

    fn store(&mut self, uids: &IdSet, mode: StoreMode, flags: Flags, keywords: &[Box<str>]) {
        self.modseq = self.modseq.next();
        let mask = match mode {
            StoreMode::Remove if !self.has_room_for(keywords.iter().map(|name| &**name)) => self.mask(keywords),
            _ => self.intern(keywords),
        };
        self.rows.update(uids, self.modseq, |old, had| changed(mode, (old, had), (flags, mask)));
    }

    fn set_unique_id(&mut self, uid: Uid, id: &str) {
        if self.rows.find(uid).is_some() {
            Rc::make_mut(&mut self.unique_ids).insert(uid, id.into());
        }
    }

    /// Messages that are not there yet get nothing.
    fn set_values(&mut self, name: &str, runs: &[ValueRun]) {
        self.modseq = self.modseq.next();
        let given = self.uid_next.0.wrapping_sub(1);
        let column = Rc::make_mut(self.columns.entry(name.into()).or_default());
        let before = column.runs().len();
        for run in runs {
            column.set((run.first.0, run.last.0.min(given)), run.value, self.modseq, &self.rows);
        }
        let after = column.runs().len();
        self.value_runs = self.value_runs - before + after;
        if after == 0 {
            self.columns.remove(name);
        }
    }

    /// Lets a session change the flags of messages that are expunged but that it still sees. Nothing of it is kept; the
    /// session is answered as if they lived (RFC 2180 §4.2), since it can not know better yet.
    pub fn store_on_gone(&mut self, view: ViewId, request: &StoreRequest) {
        let mask = self.mask(&request.keywords);
        let apart = self.view(view).seen_by().cloned();
        let modseq = self.modseq;
        for uid in self.view(view).zombies().intersection(&request.uids).iter() {
            let Some(gone) = self.gone.get_mut(&uid) else { continue };
            let old = (gone.row.flags, gone.row.keywords);
            let new = changed(request.mode, old, (request.flags, mask));
            (gone.row.flags, gone.row.keywords) = new;
            let Some(apart) = &apart else { continue };
            // What the others see stays theirs.
            gone.row.flags = new.0 & !Flags::SEEN | old.0 & Flags::SEEN;
            if let Some(seen) = seen_apart(request.mode, request.flags) {
                gone.seen.retain(|(name, _)| name != apart);
                gone.seen.push((apart.clone(), ValueCell { value: seen, modseq }));
            }
        }
    }

    fn expunge(&mut self, uids: &IdSet) {
        let mut rows = Vec::new();
        self.rows.remove(uids, |row| rows.push(row));
        if rows.is_empty() {
            return;
        }
        self.modseq = self.modseq.next();
        let left: IdSet = rows.iter().map(|row| row.uid.0).collect();
        for row in rows {
            let size = u64::from(self.fixed_of(row).size);
            self.bytes.set(self.bytes.get().map(|bytes| bytes - size));
            self.keep_for_views(row);
            if self.unique_ids.contains_key(&row.uid) {
                Rc::make_mut(&mut self.unique_ids).remove(&row.uid);
            }
        }
        for view in self.views.iter_mut().flatten() {
            view.lose(&left);
        }
        self.expunged.push_back((self.modseq, left));
        if self.expunged.len() > EXPUNGE_STEPS_MAX {
            self.history_from = self.expunged.pop_front().expect("not empty").0;
        }
    }

    fn keep_for_views(&mut self, row: Row) {
        let views = self.views.iter().flatten().filter(|v| v.knows(row.uid)).count() as u32;
        if views == 0 {
            return;
        }
        let mut seen: Vec<(Rc<str>, ValueCell)> = Vec::new();
        for by in self.views.iter().flatten().filter_map(|view| view.seen_by()) {
            let cell = self.column(by).and_then(|column| column.get(row.uid));
            if let Some(cell) = cell.filter(|_| seen.iter().all(|(name, _)| name != by)) {
                seen.push((by.clone(), cell));
            }
        }
        let fixed = self.fixed_of(row);
        let cache = match &self.base {
            Some(base) if row.source < self.base_rows() => Some((Rc::clone(base), row.source)),
            _ => None,
        };
        let unique_id = self.unique_id(row.uid).map(Into::into);
        self.gone.insert(row.uid.0, Gone { row, fixed, cache, unique_id, seen, views });
    }

    /// The mask of the names; those the mailbox does not know are added. Names past the bound are left out, which
    /// `validate` has refused before.
    fn intern(&mut self, names: &[Box<str>]) -> KeywordMask {
        let mut mask = 0;
        for name in names {
            let index = match self.keyword(name) {
                Some(index) => index,
                None if self.keywords.len() < KEYWORDS_PER_MAILBOX_MAX => {
                    self.keywords.push(name.clone());
                    self.keywords.len() - 1
                }
                None => continue,
            };
            mask |= KeywordMask::bit(index).0;
        }
        KeywordMask(mask)
    }
}

/// What flags and keywords become.
fn changed(mode: StoreMode, old: (Flags, KeywordMask), named: (Flags, KeywordMask)) -> (Flags, KeywordMask) {
    match mode {
        StoreMode::Replace => named,
        StoreMode::Add => (old.0 | named.0, KeywordMask(old.1.0 | named.1.0)),
        StoreMode::Remove => (old.0 & !named.0, KeywordMask(old.1.0 & !named.1.0)),
    }
}
