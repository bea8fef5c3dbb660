//! Out of memory into a snapshot and back: what the checkpoint takes, and how a mailbox comes to stand on the result.

use super::{Column, Fixed, Mailbox, Row, Rows, Snapshot, ValueCell};
use crate::body::{Bodies, BodyAddr, NO_SEGMENT};
use skein_base::{IdSet, LogPos, MailboxId, ModSeq, Uid, UidValidity};
use skein_index::SnapshotHead;
use std::collections::{BTreeMap, HashMap};
use std::rc::Rc;

/// UIDs that are passed over when it is not known which was given last: more than any mailbox hands out between two
/// checkpoints.
pub(crate) const UIDS_PASSED_OVER: u32 = 1 << 20;
/// The same for modseqs.
pub(crate) const MODSEQS_PASSED_OVER: u64 = 1 << 32;

/// Columns of messages that have left, below which it is not worth the while to forget them.
const UNUSED_MIN: usize = 1024;

/// A mailbox as it was at one log position. Taking it copies no rows: chunks are shared until written.
pub struct Frozen {
    pub(crate) id: MailboxId,
    pub(crate) validity: UidValidity,
    pub(crate) uid_next: Uid,
    pub(crate) modseq: ModSeq,
    pub(crate) first_recent: Uid,
    pub(crate) pos: LogPos,
    pub(crate) keywords: Vec<Box<str>>,
    pub(crate) rows: Rows,
    pub(crate) expunged: Vec<(ModSeq, IdSet)>,
    pub(crate) history_from: ModSeq,
    unique_ids: Rc<BTreeMap<Uid, Box<str>>>,
    columns: BTreeMap<Box<str>, Rc<Column>>,
    base: Option<Rc<Snapshot>>,
    tail: Vec<Fixed>,
    ops: u64,
    bodies_from: u64,
    bodies_move: bool,
}

impl Frozen {
    /// The fixed columns of one of its rows.
    pub(crate) fn fixed(&self, row: Row) -> Fixed {
        match &self.base {
            Some(base) if row.source < base.rows() => crate::snapshot::fixed(base, row.source),
            _ => self.tail[(row.source - self.base_rows()) as usize],
        }
    }

    /// The id that POP3 clients know a message by, when it is none that is made of the columns.
    pub(crate) fn unique_id(&self, uid: Uid) -> Option<&str> {
        let kept = || self.base.as_ref().and_then(|base| base.unique_id(uid));
        self.unique_ids.get(&uid).map(|id| &**id).or_else(kept)
    }

    /// Columns of values, each with as few runs as say it; without those that are empty.
    pub(crate) fn values(&self) -> impl Iterator<Item = (&str, Vec<skein_index::Run>)> {
        let columns = self.columns.iter().map(|(name, column)| {
            let column = column.compacted(&self.rows, self.modseq);
            let runs = column.runs().map(|(first, last, cell)| skein_index::Run {
                first,
                last,
                value: cell.value,
                modseq: cell.modseq,
            });
            (&**name, runs.collect::<Vec<_>>())
        });
        columns.filter(|(_, runs)| !runs.is_empty())
    }

    /// The rendered cache of one of its rows, when the snapshot before had it.
    pub(crate) fn cache(&self, row: Row) -> Option<&[u8]> {
        let base = self.base.as_ref().filter(|base| row.source < base.rows())?;
        base.cache(row.source).ok().filter(|bytes| !bytes.is_empty())
    }

    /// Whether the snapshot below is still what it was.
    pub(crate) fn verify_base(&self) -> Result<(), skein_index::SnapshotError> {
        self.base.as_ref().map_or(Ok(()), |base| base.verify())
    }

    fn base_rows(&self) -> u32 {
        self.base.as_ref().map_or(0, |base| base.rows())
    }
}

impl Mailbox {
    /// Whether a snapshot of it would say anything new.
    pub fn wants_snapshot(&self) -> bool {
        self.base.is_none() || self.ops_since_snapshot > 0 || self.bodies_move
    }

    /// The next checkpoint writes it even if nothing has changed, because bodies of it are to be moved.
    pub(crate) fn let_bodies_move(&mut self) {
        self.bodies_move = true;
    }

    /// Whether the snapshot below is still what it was.
    pub(crate) fn verify_base(&self) -> Result<(), skein_index::SnapshotError> {
        self.base.as_ref().map_or(Ok(()), |base| base.verify())
    }

    /// The segment before which the next checkpoint's snapshot names no body. Messages that have left count until bodies move.
    pub(crate) fn bodies_from_next(&self, bodies: Bodies) -> u64 {
        match bodies {
            _ if !self.wants_snapshot() => self.bodies_from,
            Bodies::Move => NO_SEGMENT,
            Bodies::Stay => {
                let in_tail = self.tail.iter().map(|fixed| fixed.body.oldest_segment()).min();
                self.bodies_from.min(in_tail.unwrap_or(NO_SEGMENT))
            }
        }
    }

    /// The mailbox as it is now.
    pub(crate) fn freeze(&self, bodies: Bodies) -> Frozen {
        Frozen {
            id: self.id,
            validity: self.validity,
            uid_next: self.uid_next,
            modseq: self.modseq,
            first_recent: self.first_recent,
            pos: self.pos,
            keywords: self.keywords.clone(),
            rows: self.rows.clone(),
            expunged: self.expunged.iter().cloned().collect(),
            history_from: self.history_from,
            unique_ids: self.unique_ids.clone(),
            columns: self.columns.clone(),
            base: self.base.clone(),
            tail: self.tail.clone(),
            ops: self.ops_since_snapshot,
            bodies_from: self.bodies_from_next(bodies),
            bodies_move: self.bodies_move,
        }
    }

    /// Stands on the snapshot that was made of `frozen`; what came since stays in the tail.
    pub(crate) fn rebase(&mut self, frozen: &Frozen, snapshot: Rc<Snapshot>) {
        let kept = frozen.tail.len();
        let (old_rows, new_rows) = (self.base_rows(), snapshot.rows());
        let mut at = 0;
        self.rows.relocate(|row| {
            if row.source >= old_rows + kept as u32 {
                return row.source - old_rows - kept as u32 + new_rows;
            }
            while snapshot.uid(at) < row.uid {
                at += 1;
            }
            at
        });
        self.tail.drain(..kept);
        if !frozen.unique_ids.is_empty() {
            Rc::make_mut(&mut self.unique_ids).retain(|uid, id| frozen.unique_ids.get(uid) != Some(id));
        }
        let (rows, now) = (&self.rows, self.modseq);
        self.columns.values_mut().for_each(|column| *column = Rc::new(column.compacted(rows, now)));
        self.columns.retain(|_, column| column.runs().len() > 0);
        self.value_runs = self.columns.values().map(|column| column.runs().len()).sum();
        self.ops_since_snapshot -= frozen.ops;
        // Who asked for it while this one was written waits for the next.
        self.bodies_move &= !frozen.bodies_move;
        self.bodies_from = frozen.bodies_from;
        self.base = Some(snapshot);
    }

    pub(crate) fn restore(&mut self, head: &SnapshotHead, keywords: Vec<Box<str>>) {
        self.uid_next = head.uid_next;
        self.modseq = head.modseq;
        self.first_recent = head.first_recent;
        self.pos = head.true_to;
        self.keywords = keywords;
    }

    /// Ends what was listed again from packs: nothing of its past is known but where it goes on.
    pub(crate) fn salvaged(&mut self, uid_next: Uid, modseq: ModSeq, pos: LogPos) {
        self.uid_next = uid_next;
        self.first_recent = uid_next;
        self.modseq = modseq;
        self.history_from = modseq;
        self.pos = pos;
        // Whoever comes back with an older modseq is told of every message.
        self.rows.restamp(modseq);
    }

    /// Messages whose bodies are elsewhere than their rows say.
    pub(crate) fn repoint(&mut self, to: &HashMap<Uid, BodyAddr>) {
        let moved: Vec<(Uid, Fixed)> = self
            .rows
            .from_rank(0)
            .map(|row| (row.uid, self.fixed_of(row)))
            .filter_map(|(uid, fixed)| Some((uid, Fixed { body: *to.get(&uid)?, ..fixed })))
            .collect();
        let first = self.base_rows() + self.tail.len() as u32;
        self.tail.extend(moved.iter().map(|(_, fixed)| *fixed));
        let places: HashMap<Uid, u32> = moved.iter().map(|(uid, _)| *uid).zip(first..).collect();
        self.rows.relocate(|row| places.get(&row.uid).copied().unwrap_or(row.source));
        self.bodies_move = true;
    }

    /// A message's bytes are there now; for a mailbox without a snapshot.
    pub(crate) fn body_is(&mut self, uid: Uid, body: BodyAddr) {
        if let Some(row) = self.rows.find(uid) {
            self.tail[row.source as usize].body = body;
        }
    }

    /// Forgets the columns of messages that have left, once they are the greater part; for a mailbox without a snapshot.
    pub(crate) fn drop_unused(&mut self) {
        if self.tail.len() < 2 * self.rows.count() as usize + UNUSED_MIN {
            return;
        }
        let tail = std::mem::take(&mut self.tail);
        self.tail.reserve(self.rows.count() as usize);
        let kept = &mut self.tail;
        self.rows.relocate(|row| {
            kept.push(tail[row.source as usize]);
            kept.len() as u32 - 1
        });
    }

    /// After changes were lost up to `pos`: no UID and no modseq that they may have given is given again.
    pub(crate) fn pass_over(&mut self, pos: LogPos) {
        self.uid_next = Uid(self.uid_next.0.saturating_add(UIDS_PASSED_OVER));
        self.modseq = ModSeq(self.modseq.0 + MODSEQS_PASSED_OVER);
        self.pos = self.pos.max(pos);
        self.ops_since_snapshot += 1;
    }

    /// Says that it is true to a place of this log, whatever log it was true to before.
    pub(crate) fn moved_to(&mut self, pos: LogPos) {
        self.pos = pos;
    }

    pub(crate) fn restore_row(&mut self, row: Row) {
        self.bytes.set(None);
        self.rows.push(row);
    }

    pub(crate) fn restore_history(&mut self, from: ModSeq, steps: Vec<(ModSeq, IdSet)>) {
        self.history_from = from;
        self.expunged = steps.into();
    }

    pub(crate) fn restore_values(&mut self, name: &str, runs: impl Iterator<Item = skein_index::Run>) {
        let mut column = Column::default();
        for run in runs.filter(|run| run.value != 0) {
            column.restore((run.first, run.last), ValueCell { value: run.value, modseq: run.modseq });
        }
        self.value_runs += column.runs().len();
        self.columns.insert(name.into(), Rc::new(column));
    }

    pub(crate) fn stand_on(&mut self, snapshot: Rc<Snapshot>) {
        self.base = Some(snapshot);
    }
}
