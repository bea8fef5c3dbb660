//! Values that messages have beside their columns: one column for whoever keeps something of each message, as runs of UIDs.
//!
//! ```text
//! "keep/refused"   1..=40 ─▶ 2 (since 17)   41..=41 ─▶ 1 (since 30)        of all others the value is 0
//! ```
//!
//! A run may reach over UIDs that are not there any more: none is given twice, so nobody asks for them. What is left without a message goes
//! when the mailbox is written out.

use super::Rows;
use skein_base::{IdSet, ModSeq, Uid};
use std::collections::BTreeMap;

/// Changes of a mailbox after which neighbours of the same value are one run, whenever each of them got it: who comes back with an older
/// modseq is told of more than has changed, and 24 bytes a message are saved.
const APART_MODSEQS: u64 = 4096;

/// A value, and since when.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Cell {
    /// Never 0: that is what all have that were given none.
    pub value: u64,
    /// The change that gave it.
    pub modseq: ModSeq,
}

/// One column. Clones of a mailbox share it until it changes.
#[derive(Clone, Default, Debug)]
pub struct Column {
    /// Last UID and cell, by first UID; none overlap.
    runs: BTreeMap<u32, (u32, Cell)>,
    /// No cell is younger.
    modseq: ModSeq,
}

impl Column {
    /// What a message has.
    pub fn get(&self, uid: Uid) -> Option<Cell> {
        let (_, (last, cell)) = self.runs.range(..=uid.0).next_back()?;
        (uid.0 <= *last).then_some(*cell)
    }

    /// Runs, ascending: first UID, last UID, what they have.
    pub fn runs(&self) -> impl ExactSizeIterator<Item = (Uid, Uid, Cell)> + '_ {
        self.runs.iter().map(|(first, (last, cell))| (Uid(*first), Uid(*last), *cell))
    }

    /// Those that overlap with a range.
    pub(crate) fn among(&self, first: u32, last: u32) -> impl Iterator<Item = (u32, u32, Cell)> + '_ {
        let before = self.runs.range(..first).next_back().filter(|(_, (end, _))| *end >= first);
        before.into_iter().chain(self.runs.range(first..=last)).map(|(first, (last, cell))| (*first, *last, *cell))
    }

    /// No message changed later.
    pub fn modseq(&self) -> ModSeq {
        self.modseq
    }

    /// UIDs whose value changed after `since`. Some of them may have no message any more.
    pub fn changed_since(&self, since: ModSeq) -> IdSet {
        let mut changed = IdSet::new();
        if self.modseq > since {
            let runs = self.runs().filter(|(_, _, cell)| cell.modseq > since);
            runs.for_each(|(first, last, _)| changed.push_range(first.0, last.0));
        }
        changed
    }

    /// UIDs that have a value with such a property. Some of them may have no message any more.
    pub fn with(&self, is: impl Fn(u64) -> bool) -> IdSet {
        let mut with = IdSet::new();
        self.runs().filter(|(_, _, cell)| is(cell.value)).for_each(|(first, last, _)| with.push_range(first.0, last.0));
        with
    }

    /// Gives a range a value. Those that have it keep their cell; a stretch without a message stays as it is.
    pub(super) fn set(&mut self, (first, last): (u32, u32), value: u64, modseq: ModSeq, rows: &Rows) {
        if first > last {
            return;
        }
        let old: Vec<(u32, u32, Cell)> = self.among(first, last).collect();
        let mut next = Some(first);
        let mut fresh: Vec<(u32, u32)> = Vec::new();
        let mut stretch = |from: u32, to: u32| match fresh.last_mut() {
            Some((_, end)) if end.checked_add(1) == Some(from) => *end = to,
            _ => fresh.push((from, to)),
        };
        for (from, to, cell) in &old {
            let at = next.expect("runs ascend");
            if at < *from {
                stretch(at, from - 1);
            }
            if cell.value != value {
                stretch((*from).max(first), (*to).min(last));
            }
            next = to.checked_add(1);
        }
        if let Some(at) = next.filter(|at| *at <= last) {
            stretch(at, last);
        }
        for (from, to) in fresh {
            if has_messages(rows, from, to) {
                self.put((from, to), value, modseq);
            }
        }
    }

    /// Replaces all that a range has.
    fn put(&mut self, (first, last): (u32, u32), value: u64, modseq: ModSeq) {
        let old: Vec<(u32, u32, Cell)> = self.among(first, last).collect();
        for (from, to, cell) in old {
            self.runs.remove(&from);
            if from < first {
                self.runs.insert(from, (first - 1, cell));
            }
            if to > last {
                self.runs.insert(last + 1, (to, cell));
            }
        }
        if value != 0 {
            self.runs.insert(first, (last, Cell { value, modseq }));
        }
        self.modseq = self.modseq.max(modseq);
    }

    pub(super) fn restore(&mut self, (first, last): (Uid, Uid), cell: Cell) {
        self.runs.insert(first.0, (last.0, cell));
        self.modseq = self.modseq.max(cell.modseq);
    }

    /// The same with as few runs as say it: without those of messages that left, neighbours of the same value joined when they have it since
    /// the same change, or for long.
    pub(super) fn compacted(&self, rows: &Rows, now: ModSeq) -> Column {
        let is_old = |modseq: ModSeq| modseq.0.saturating_add(APART_MODSEQS) < now.0;
        let mut column = Column { runs: BTreeMap::new(), modseq: self.modseq };
        let mut open: Option<(u32, u32, Cell)> = None;
        for (first, last, cell) in self.runs().filter(|(first, last, _)| has_messages(rows, first.0, last.0)) {
            open = match open {
                Some((from, to, before))
                    if before.value == cell.value
                        && (before.modseq == cell.modseq || is_old(before.modseq) && is_old(cell.modseq))
                        && !has_messages(rows, to + 1, first.0 - 1) =>
                {
                    Some((from, last.0, Cell { modseq: before.modseq.max(cell.modseq), ..cell }))
                }
                closed => {
                    if let Some((from, to, before)) = closed {
                        column.runs.insert(from, (to, before));
                    }
                    Some((first.0, last.0, cell))
                }
            };
        }
        if let Some((from, to, before)) = open {
            column.runs.insert(from, (to, before));
        }
        column
    }

    /// An estimate, in bytes.
    pub(super) fn memory_bytes(&self) -> usize {
        // A node of the map has room for eleven runs, and there are a name and a place among the others.
        480 + self.runs.len() * 2 * size_of::<(u32, (u32, Cell))>()
    }
}

fn has_messages(rows: &Rows, first: u32, last: u32) -> bool {
    first <= last && rows.at(rows.rank(Uid(first))).is_some_and(|row| row.uid.0 <= last)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mailbox::Row;
    use proptest::prelude::*;
    use skein_base::{Flags, KeywordMask};

    fn rows(uids: impl Iterator<Item = u32>) -> Rows {
        let mut rows = Rows::default();
        for uid in uids {
            let (flags, keywords) = (Flags::NONE, KeywordMask(0));
            rows.push(Row { uid: Uid(uid), flags, keywords, modseq: ModSeq(1), source: uid });
        }
        rows
    }

    #[derive(Clone, Debug)]
    enum Step {
        Set { first: u32, more: u32, value: u64 },
        Expunge { first: u32, more: u32 },
        WriteOut,
    }

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        let step = prop_oneof![
            5 => (1u32..60, 0u32..20, 0u64..3).prop_map(|(first, more, value)| Step::Set { first, more, value }),
            2 => (1u32..60, 0u32..5).prop_map(|(first, more)| Step::Expunge { first, more }),
            1 => Just(Step::WriteOut),
        ];
        prop::collection::vec(step, 1..30)
    }

    proptest! {
        #[test]
        fn behaves_like_a_btreemap(steps in steps(), apart in prop_oneof![Just(1u64), Just(1000)]) {
            let mut rows = rows((1..=60).filter(|uid| uid % 7 != 0));
            let (mut column, mut modseq) = (Column::default(), 1);
            let mut model = BTreeMap::<u32, Cell>::new();
            for step in steps {
                modseq += apart;
                match step {
                    Step::Set { first, more, value } => {
                        column.set((first, first + more), value, ModSeq(modseq), &rows);
                        for row in rows.among(&IdSet::range(first, first + more)) {
                            let had = model.get(&row.uid.0).map_or(0, |cell| cell.value);
                            if value == 0 {
                                model.remove(&row.uid.0);
                            } else if had != value {
                                model.insert(row.uid.0, Cell { value, modseq: ModSeq(modseq) });
                            }
                        }
                    }
                    Step::Expunge { first, more } => {
                        rows.remove(&IdSet::range(first, first + more), |_| ());
                        model.retain(|uid, _| !(first..=first + more).contains(uid));
                    }
                    Step::WriteOut => {
                        column = column.compacted(&rows, ModSeq(modseq));
                        let cells: Vec<Option<&Cell>> = rows.from_rank(0).map(|row| model.get(&row.uid.0)).collect();
                        let fewest = cells.chunk_by(|a, b| a == b).filter(|run| run[0].is_some()).count();
                        prop_assert!(column.runs().len() <= fewest);
                        for row in rows.from_rank(0) {
                            // Of changes of long ago the modseq may rise, but not above what others have of long ago.
                            let (kept, was) = (column.get(row.uid), model.get(&row.uid.0).copied());
                            prop_assert_eq!(kept.map(|cell| cell.value), was.map(|cell| cell.value));
                            if let (Some(kept), Some(was)) = (kept, was) && kept.modseq != was.modseq {
                                prop_assert!(kept.modseq > was.modseq && kept.modseq.0 + APART_MODSEQS < modseq);
                                model.insert(row.uid.0, kept);
                            }
                        }
                    }
                }
                for row in rows.from_rank(0) {
                    prop_assert_eq!(column.get(row.uid), model.get(&row.uid.0).copied());
                }
                let since = ModSeq(modseq.saturating_sub(2 * apart));
                let live: IdSet = rows.from_rank(0).map(|row| row.uid.0).collect();
                let changed = |is: &dyn Fn(&Cell) -> bool| model.iter().filter(|(_, cell)| is(cell)).map(|(uid, _)| *uid).collect::<IdSet>();
                prop_assert_eq!(column.changed_since(since).intersection(&live), changed(&|cell| cell.modseq > since));
                prop_assert_eq!(column.with(|value| value == 2).intersection(&live), changed(&|cell| cell.value == 2));
            }
        }
    }

    /// Somebody reads a mailbox one message after the other: after a while that is one run, not one for each.
    #[test]
    fn what_changed_long_ago_takes_no_room() {
        let rows = rows(1..=10_000);
        let mut column = Column::default();
        (1..=10_000).for_each(|uid| column.set((uid, uid), 1, ModSeq(10 + u64::from(uid)), &rows));
        assert_eq!(column.runs().len(), 10_000);
        let later = column.compacted(&rows, ModSeq(10_010));
        assert_eq!(later.runs().len() as u64, 1 + APART_MODSEQS + 1);
        let (first, last, cell) = later.runs().next().unwrap();
        assert_eq!((first, last.0, cell.value, cell.modseq.0), (Uid(1), 5903, 1, 5913));
        assert_eq!(column.compacted(&rows, ModSeq(20_000)).runs().len(), 1);
    }
}
