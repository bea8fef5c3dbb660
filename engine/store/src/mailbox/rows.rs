//! The live messages of one mailbox, in UID order: what changes (flags, keywords, modseq) and where the rest is.
//!
//! ```text
//! chunks   [ ≤1024 rows ][ ≤1024 rows ][ .. ]     each column its own vector, shared until written (Rc)
//! starts   [ 0, 1024, 2011, .. ]                  rank of each chunk's first row, repaired after an expunge
//! ```
//!
//! 17 bytes a message in memory; UID to rank and back in O(log n); scans skip chunks by their summaries.

use skein_base::{Flags, IdSet, KeywordMask, ModSeq, Uid};
use std::ops::Range;
use std::rc::Rc;

/// Rows of a chunk: two pages of UIDs, so that a copy on write and an expunge each move little.
const CHUNK_ROWS_MAX: usize = 1024;
/// Rows whose modseqs are compared before any of them is looked at.
const BLOCK_ROWS: usize = 64;

/// What a mailbox keeps in memory of one message.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Row {
    /// The message.
    pub uid: Uid,
    /// System flags.
    pub flags: Flags,
    /// Keywords, by the mailbox's table.
    pub keywords: KeywordMask,
    /// When it last changed.
    pub modseq: ModSeq,
    /// Where its fixed columns are: a row of the snapshot, or of the tail.
    pub(crate) source: u32,
}

/// Up to [`CHUNK_ROWS_MAX`] rows by column, with what a scan needs to pass the chunk by.
#[derive(Clone, Default)]
struct Chunk {
    uids: Vec<u32>,
    flags: Vec<u8>,
    modseqs: Vec<u64>,
    sources: Vec<u32>,
    /// Empty while no row of the chunk has a keyword.
    keywords: Vec<u128>,
    modseq_max: u64,
    unseen: u32,
    deleted: u32,
}

impl Chunk {
    fn row(&self, i: usize) -> Row {
        Row {
            uid: Uid(self.uids[i]),
            flags: Flags(self.flags[i]),
            keywords: self.keywords(i),
            modseq: ModSeq(self.modseqs[i]),
            source: self.sources[i],
        }
    }

    fn keywords(&self, i: usize) -> KeywordMask {
        KeywordMask(self.keywords.get(i).copied().unwrap_or(0))
    }

    /// The same of many, column by column.
    fn each(&self, rows: Range<usize>, out: &mut impl FnMut(Row)) {
        let fixed = self.uids[rows.clone()].iter().zip(&self.sources[rows.clone()]);
        let changing = self.flags[rows.clone()].iter().zip(&self.modseqs[rows.clone()]);
        let keywords = self.keywords.get(rows).unwrap_or_default();
        for (i, ((&uid, &source), (&flags, &modseq))) in fixed.zip(changing).enumerate() {
            let keywords = KeywordMask(keywords.get(i).copied().unwrap_or(0));
            out(Row { uid: Uid(uid), flags: Flags(flags), keywords, modseq: ModSeq(modseq), source });
        }
    }

    fn push(&mut self, row: Row) {
        self.uids.push(row.uid.0);
        self.flags.push(row.flags.0);
        self.modseqs.push(row.modseq.0);
        self.sources.push(row.source);
        if row.keywords.0 != 0 || !self.keywords.is_empty() {
            self.keywords.resize(self.uids.len() - 1, 0);
            self.keywords.push(row.keywords.0);
        }
        self.modseq_max = self.modseq_max.max(row.modseq.0);
        self.count(row.flags, 1);
    }

    fn count(&mut self, flags: Flags, by: i32) {
        if !flags.contains(Flags::SEEN) {
            self.unseen = self.unseen.wrapping_add_signed(by);
        }
        if flags.contains(Flags::DELETED) {
            self.deleted = self.deleted.wrapping_add_signed(by);
        }
    }

    fn set(&mut self, i: usize, flags: Flags, keywords: KeywordMask, modseq: ModSeq) {
        self.count(Flags(self.flags[i]), -1);
        self.count(flags, 1);
        self.flags[i] = flags.0;
        self.modseqs[i] = modseq.0;
        self.modseq_max = self.modseq_max.max(modseq.0);
        if keywords.0 != 0 || !self.keywords.is_empty() {
            self.keywords.resize(self.uids.len(), 0);
            self.keywords[i] = keywords.0;
        }
    }

    /// Each of a thousand sessions that are told of one new message looks through the last chunk: by blocks, as nearly all
    /// have nothing.
    fn changed_since(&self, since: ModSeq) -> impl Iterator<Item = Row> + '_ {
        let blocks = (0..).step_by(BLOCK_ROWS).zip(self.modseqs.chunks(BLOCK_ROWS));
        let touched = blocks.filter(move |(_, modseqs)| modseqs.iter().any(|modseq| *modseq > since.0));
        let rows = touched.flat_map(|(first, modseqs)| first..first + modseqs.len());
        rows.filter(move |i| self.modseqs[*i] > since.0).map(|i| self.row(i))
    }

    /// Takes out the rows whose UID is in `gone`; hands each to `out`.
    fn remove(&mut self, gone: &IdSet, out: &mut impl FnMut(Row)) {
        let mut kept = 0;
        for i in 0..self.uids.len() {
            let row = self.row(i);
            if gone.contains(row.uid.0) {
                self.count(row.flags, -1);
                out(row);
                continue;
            }
            self.uids[kept] = self.uids[i];
            self.flags[kept] = self.flags[i];
            self.modseqs[kept] = self.modseqs[i];
            self.sources[kept] = self.sources[i];
            if !self.keywords.is_empty() {
                self.keywords[kept] = self.keywords[i];
            }
            kept += 1;
        }
        self.uids.truncate(kept);
        self.flags.truncate(kept);
        self.modseqs.truncate(kept);
        self.sources.truncate(kept);
        self.keywords.truncate(kept);
    }
}

/// The live messages of one mailbox.
#[derive(Clone, Default)]
pub struct Rows {
    chunks: Vec<Rc<Chunk>>,
    starts: Vec<u32>,
    count: u32,
}

impl Rows {
    /// Live messages.
    pub fn count(&self) -> u32 {
        self.count
    }

    /// Highest live UID.
    pub fn last_uid(&self) -> Option<Uid> {
        self.chunks.last().and_then(|c| c.uids.last()).map(|&u| Uid(u))
    }

    /// Messages without `\Seen`.
    pub fn unseen(&self) -> u32 {
        self.chunks.iter().map(|c| c.unseen).sum()
    }

    /// Rank (from 0) of the first message without `\Seen`.
    pub fn first_unseen(&self) -> Option<u32> {
        let at = self.chunks.iter().position(|c| c.unseen > 0)?;
        let i = self.chunks[at].flags.iter().position(|&f| !Flags(f).contains(Flags::SEEN))?;
        Some(self.starts[at] + i as u32)
    }

    /// UIDs of the messages with `\Deleted`.
    pub fn deleted(&self) -> IdSet {
        let marked = self.chunks.iter().filter(|c| c.deleted > 0);
        marked
            .flat_map(|c| c.uids.iter().zip(&c.flags).filter(|(_, f)| Flags(**f).contains(Flags::DELETED)))
            .map(|(&uid, _)| uid)
            .collect()
    }

    /// Adds a message; its UID is above all others.
    pub(crate) fn push(&mut self, row: Row) {
        assert!(self.last_uid() < Some(row.uid), "UIDs ascend");
        if self.chunks.last().is_none_or(|c| c.uids.len() >= CHUNK_ROWS_MAX) {
            self.chunks.push(Rc::default());
            self.starts.push(self.count);
        }
        let last = self.chunks.last_mut().expect("just made");
        Rc::make_mut(last).push(row);
        self.count += 1;
    }

    /// How many live messages have a UID below this one.
    pub fn rank(&self, uid: Uid) -> u32 {
        let Some(at) = self.chunk_of(uid) else { return 0 };
        self.starts[at] + self.chunks[at].uids.partition_point(|&u| u < uid.0) as u32
    }

    /// The message at this rank.
    pub fn at(&self, rank: u32) -> Option<Row> {
        if rank >= self.count {
            return None;
        }
        let at = self.starts.partition_point(|&s| s <= rank) - 1;
        Some(self.chunks[at].row((rank - self.starts[at]) as usize))
    }

    /// The message with this UID.
    pub fn find(&self, uid: Uid) -> Option<Row> {
        let chunk = &self.chunks[self.chunk_of(uid)?];
        chunk.uids.binary_search(&uid.0).ok().map(|i| chunk.row(i))
    }

    /// Live messages whose UID is in the set, ascending.
    pub fn among<'a>(&'a self, uids: &'a IdSet) -> impl Iterator<Item = Row> + 'a {
        uids.ranges().flat_map(move |r| {
            let from = self.rank(Uid(*r.start()));
            self.from_rank(from).take_while(move |row| row.uid.0 <= *r.end())
        })
    }

    /// Live messages from a rank on.
    pub fn from_rank(&self, rank: u32) -> impl Iterator<Item = Row> + '_ {
        let at = self.starts.partition_point(|&s| s <= rank).saturating_sub(1);
        let first = rank - self.starts.get(at).copied().unwrap_or(0);
        let chunks = self.chunks[at.min(self.chunks.len())..].iter();
        // Where it begins is gone to at once: whoever takes a few messages at a time comes here for each few.
        let begins = std::iter::once(first as usize).chain(std::iter::repeat(0));
        chunks.zip(begins).flat_map(|(c, from)| (from..c.uids.len()).map(|i| c.row(i)))
    }

    /// Up to `max` live messages from a rank on with a UID up to `last`, each handed to `out`: [`Rows::from_rank`] for who takes many.
    pub(super) fn each_from(&self, rank: u32, last: Uid, max: usize, mut out: impl FnMut(Row)) {
        let at = self.starts.partition_point(|&s| s <= rank).saturating_sub(1);
        let mut first = (rank - self.starts.get(at).copied().unwrap_or(0)) as usize;
        let mut left = max;
        for chunk in &self.chunks[at.min(self.chunks.len())..] {
            let begins = first.min(chunk.uids.len());
            let most = chunk.uids.len().min(begins.saturating_add(left));
            let ends = begins + chunk.uids[begins..most].partition_point(|uid| *uid <= last.0);
            chunk.each(begins..ends, &mut out);
            left -= ends - begins;
            if ends < chunk.uids.len() {
                return;
            }
            first = 0;
        }
    }

    /// Live messages that changed after `since`, ascending by UID; untouched chunks cost one comparison.
    pub fn changed_since(&self, since: ModSeq) -> impl Iterator<Item = Row> + '_ {
        let touched = self.chunks.iter().filter(move |c| c.modseq_max > since.0);
        touched.flat_map(move |c| c.changed_since(since))
    }

    /// Lets `change` give each message of the set new flags and keywords; those it leaves as they were keep their
    /// modseq. Returns how many changed.
    pub(crate) fn update(
        &mut self,
        uids: &IdSet,
        modseq: ModSeq,
        change: impl Fn(Flags, KeywordMask) -> (Flags, KeywordMask),
    ) -> u32 {
        let mut changed = 0;
        for range in uids.ranges() {
            let (first, last) = (*range.start(), *range.end());
            let from = self.chunk_of(Uid(first)).unwrap_or(0);
            for chunk in self.chunks[from..].iter_mut() {
                if chunk.uids.first().is_none_or(|&u| u > last) {
                    break;
                }
                let start = chunk.uids.partition_point(|&u| u < first);
                let end = chunk.uids.partition_point(|&u| u <= last);
                let changes = |chunk: &Chunk, i: usize| {
                    let old = (Flags(chunk.flags[i]), chunk.keywords(i));
                    Some(change(old.0, old.1)).filter(|new| *new != old)
                };
                // Nobody's copy is made for nothing.
                let Some(start) = (start..end).find(|i| changes(chunk, *i).is_some()) else { continue };
                let chunk = Rc::make_mut(chunk);
                for i in start..end {
                    if let Some((flags, keywords)) = changes(chunk, i) {
                        chunk.set(i, flags, keywords, modseq);
                        changed += 1;
                    }
                }
            }
        }
        changed
    }

    /// Takes messages out; each goes to `out`, ascending.
    pub(crate) fn remove(&mut self, uids: &IdSet, mut out: impl FnMut(Row)) {
        let (Some(first), Some(last)) = (uids.first(), uids.last()) else { return };
        let from = self.chunk_of(Uid(first)).unwrap_or(0);
        for chunk in self.chunks[from..].iter_mut() {
            if chunk.uids.first().is_none_or(|&u| u > last) {
                break;
            }
            let span = (chunk.uids[0], chunk.uids[chunk.uids.len() - 1]);
            if !uids.intersection(&IdSet::range(span.0, span.1)).is_empty() {
                Rc::make_mut(chunk).remove(uids, &mut out);
            }
        }
        self.chunks.retain(|c| !c.uids.is_empty());
        self.restart();
    }

    /// Gives all rows a modseq, whatever they had.
    pub(crate) fn restamp(&mut self, modseq: ModSeq) {
        for chunk in &mut self.chunks {
            let chunk = Rc::make_mut(chunk);
            chunk.modseqs.fill(modseq.0);
            chunk.modseq_max = modseq.0;
        }
    }

    /// Points every row, in ascending order, at the new place of its fixed columns.
    pub(crate) fn relocate(&mut self, mut place: impl FnMut(Row) -> u32) {
        for chunk in &mut self.chunks {
            let chunk = Rc::make_mut(chunk);
            for i in 0..chunk.uids.len() {
                chunk.sources[i] = place(chunk.row(i));
            }
        }
    }

    fn restart(&mut self) {
        self.starts.clear();
        self.count = 0;
        for chunk in &self.chunks {
            self.starts.push(self.count);
            self.count += chunk.uids.len() as u32;
        }
    }

    /// What they take in memory, bytes.
    pub(super) fn memory_bytes(&self) -> usize {
        let columns = |c: &Rc<Chunk>| 17 * c.uids.capacity() + 16 * c.keywords.capacity() + size_of::<Chunk>();
        self.chunks.iter().map(columns).sum()
    }

    /// The last chunk that starts at or below the UID; the first chunk when none does.
    fn chunk_of(&self, uid: Uid) -> Option<usize> {
        if self.chunks.is_empty() {
            return None;
        }
        Some(self.chunks.partition_point(|c| c.uids[0] <= uid.0).saturating_sub(1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    fn row(uid: u32, flags: u8, modseq: u64) -> Row {
        Row { uid: Uid(uid), flags: Flags(flags), keywords: KeywordMask(0), modseq: ModSeq(modseq), source: uid }
    }

    #[derive(Clone, Debug)]
    enum Step {
        Push { gap: u32, flags: u8, many: u32 },
        Remove { first: u32, len: u32 },
        Flag { first: u32, len: u32, flags: u8 },
    }

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        let step = prop_oneof![
            (1u32..4, 0u8..32, 1u32..900).prop_map(|(gap, flags, many)| Step::Push { gap, flags, many }),
            (1u32..4000, 0u32..700).prop_map(|(first, len)| Step::Remove { first, len }),
            (1u32..4000, 0u32..700, 0u8..32).prop_map(|(first, len, flags)| Step::Flag { first, len, flags }),
        ];
        prop::collection::vec(step, 1..14)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn behaves_like_a_btreemap(steps in steps()) {
            let (mut rows, mut model) = (Rows::default(), BTreeMap::<u32, Row>::new());
            let (mut modseq, mut uid) = (1, 0);
            for step in steps {
                modseq += 1;
                match step {
                    Step::Push { gap, flags, many } => for _ in 0..many {
                        uid += gap;
                        rows.push(row(uid, flags, modseq));
                        model.insert(uid, row(uid, flags, modseq));
                    },
                    Step::Remove { first, len } => {
                        let mut out = Vec::new();
                        rows.remove(&IdSet::range(first, first + len), |r| out.push(r));
                        let gone: Vec<Row> = model.range(first..=first + len).map(|e| *e.1).collect();
                        gone.iter().for_each(|r| { model.remove(&r.uid.0); });
                        prop_assert_eq!(out, gone);
                    }
                    Step::Flag { first, len, flags } => {
                        let keywords = KeywordMask(u128::from(flags & 1) << 77);
                        let n = rows.update(&IdSet::range(first, first + len), ModSeq(modseq), |_, _| (Flags(flags), keywords));
                        let mut changed = 0;
                        for r in model.range_mut(first..=first + len).map(|e| e.1) {
                            if (r.flags, r.keywords) != (Flags(flags), keywords) {
                                *r = Row { flags: Flags(flags), keywords, modseq: ModSeq(modseq), ..*r };
                                changed += 1;
                            }
                        }
                        prop_assert_eq!(n, changed);
                    }
                }
            }
            let all: Vec<Row> = model.values().copied().collect();
            prop_assert_eq!(rows.from_rank(0).collect::<Vec<_>>(), all.clone());
            prop_assert_eq!(rows.count() as usize, all.len());
            prop_assert_eq!(rows.unseen() as usize, all.iter().filter(|r| !r.flags.contains(Flags::SEEN)).count());
            prop_assert_eq!(rows.first_unseen().map(|r| r as usize), all.iter().position(|r| !r.flags.contains(Flags::SEEN)));
            prop_assert_eq!(rows.deleted().iter().collect::<Vec<_>>(), all.iter().filter(|r| r.flags.contains(Flags::DELETED)).map(|r| r.uid.0).collect::<Vec<_>>());
            for probe in [0, 1, 2, 500, 1023, 1024, 1025, 3000, u32::MAX] {
                prop_assert_eq!(rows.rank(Uid(probe)) as usize, model.range(..probe).count());
                prop_assert_eq!(rows.find(Uid(probe)), model.get(&probe).copied());
                prop_assert_eq!(rows.at(probe), all.get(probe as usize).copied());
                prop_assert!(rows.from_rank(probe).eq(all.iter().copied().skip(probe as usize)));
                for (last, max) in [(u32::MAX, usize::MAX), (1500, usize::MAX), (u32::MAX, 1024), (2000, 300), (0, 9), (9, 0)] {
                    let mut some = Vec::new();
                    rows.each_from(probe, Uid(last), max, |row| some.push(row));
                    let expect = all.iter().skip(probe as usize).take_while(|row| row.uid.0 <= last).take(max);
                    prop_assert!(some.iter().eq(expect));
                }
            }
            let since = ModSeq(modseq / 2);
            prop_assert!(rows.changed_since(since).eq(all.iter().copied().filter(|r| r.modseq > since)));
            let some = IdSet::from_ranges([(5, 50), (900, 1100), (2000, 2000)]).unwrap();
            prop_assert!(rows.among(&some).eq(all.iter().copied().filter(|r| some.contains(r.uid.0))));
        }
    }
}
