//! Views: what one session believes a mailbox contains, and how it catches up.
//!
//! A view is a few numbers, whatever the size of the mailbox: messages below `uid_next` that live, plus those expunged
//! since (`zombies`), make the session's sequence numbers. It renumbers only in [`Mailbox::sync`], which the protocol
//! calls when the RFC allows.

use super::{Column, Mailbox, Row, ValueCell};
use crate::op::StoreMode;
use skein_base::{Flags, IdSet, ModSeq, Seq, Uid};
use std::rc::Rc;

/// In a column by which a view knows what is seen: it is.
pub const SEEN_APART: u64 = 1;
/// It is not any more.
pub const UNSEEN_APART: u64 = 2;

/// One session's view within its mailbox.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct ViewId(u32);

/// What one session believes.
#[derive(Clone, Debug)]
pub struct View {
    /// Messages from this UID on are not known to the session yet.
    uid_next: Uid,
    /// Flag changes up to here have been told.
    told: ModSeq,
    /// Modseqs of this session's own changes after `told`, which it need not be told.
    own: Vec<ModSeq>,
    /// Changes after `told` of which an answer to the session's own question has told it.
    answered: Answered,
    /// Expunged in the mailbox, still numbered in the view.
    zombies: IdSet,
    /// `\Recent` in this session.
    recent: IdSet,
    /// Nothing is recent to it.
    hides_recent: bool,
    read_only: bool,
    /// The column of values that says what is `\Seen` in it, instead of the mailbox's own flag.
    seen_by: Option<Rc<str>>,
}

/// How messages are after these changes is known to who asked.
#[derive(Clone, Default, Debug)]
struct Answered {
    uids: IdSet,
    since: ModSeq,
    upto: ModSeq,
}

impl View {
    /// The column of values that says what is `\Seen` in it, when the mailbox's own flag does not.
    pub fn seen_by(&self) -> Option<&Rc<str>> {
        self.seen_by.as_ref()
    }

    /// Opened with EXAMINE.
    pub fn read_only(&self) -> bool {
        self.read_only
    }

    /// True when the message is `\Recent` here.
    pub fn is_recent(&self, uid: Uid) -> bool {
        self.recent.contains(uid.0)
    }

    /// Messages expunged in the mailbox that this view still numbers.
    pub fn zombies(&self) -> &IdSet {
        &self.zombies
    }

    pub(super) fn knows(&self, uid: Uid) -> bool {
        uid < self.uid_next
    }

    pub(super) fn lose(&mut self, uids: &IdSet) {
        if self.uid_next.0 > 1 {
            let known = uids.intersection(&IdSet::range(1, self.uid_next.0 - 1));
            self.zombies = self.zombies.union(&known);
        }
    }
}

/// A message as a view numbers it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Visible {
    /// Its number.
    pub seq: Seq,
    /// Its row; that of the moment of expunge when it is gone.
    pub row: Row,
    /// Expunged, but the session has not been told.
    pub gone: bool,
}

/// What a session is told when its view catches up, in this order.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Changes {
    /// Numbers to be told as EXPUNGE, descending, so that each is right when it is told.
    pub expunged: Vec<Seq>,
    /// The UIDs of the same messages.
    pub vanished: IdSet,
    /// The new count, when messages arrived.
    pub exists: Option<u32>,
    /// No message from this UID on was known before, when messages arrived.
    pub first_new: Option<Uid>,
    /// The new count of `\Recent`, when messages arrived or recent ones left.
    pub recent: Option<u32>,
    /// Messages known before whose flags changed.
    pub flags: IdSet,
}

impl Changes {
    /// True when there is nothing to tell.
    pub fn is_empty(&self) -> bool {
        self.expunged.is_empty() && self.exists.is_none() && self.flags.is_empty()
    }
}

impl Mailbox {
    /// Which of these UIDs a view does not show and that left after a modseq. Where the history does not reach back so far, those that
    /// are not there: a client may be told of more than it knows (RFC 7162 §3.2.5.1).
    pub fn vanished_since(&self, view: ViewId, since: ModSeq, of: &IdSet) -> IdSet {
        // None above was ever given.
        let given = self.uid_next.0.wrapping_sub(1);
        if given == 0 {
            return IdSet::new();
        }
        let of = of.intersection(&IdSet::range(1, given));
        if since < self.history_from {
            let there: IdSet = self.rows.from_rank(0).map(|row| row.uid.0).collect();
            return of.difference(&there).difference(self.view(view).zombies());
        }
        let steps = self.expunged.iter().rev().take_while(|(modseq, _)| *modseq > since);
        let ranges = steps.flat_map(|(_, uids)| uids.ranges().map(|ids| (*ids.start(), *ids.end())));
        let mut ranges: Vec<(u32, u32)> = ranges.collect();
        ranges.sort_unstable();
        let mut gone = IdSet::new();
        ranges.into_iter().for_each(|(first, last)| gone.push_range(first, last));
        gone.intersection(&of).difference(self.view(view).zombies())
    }

    /// A new view of everything there is now. The unclaimed messages are `\Recent` in it; when it is not read-only the
    /// caller logs a `ClaimRecent` below the present UIDNEXT, so that they are recent in no other.
    pub fn open_view(&mut self, read_only: bool) -> ViewId {
        let mut recent = IdSet::new();
        if self.first_recent < self.uid_next {
            recent.push_range(self.first_recent.0, self.uid_next.0 - 1);
        }
        let view = View {
            uid_next: self.uid_next,
            told: self.modseq,
            own: Vec::new(),
            answered: Answered::default(),
            zombies: IdSet::new(),
            recent,
            hides_recent: false,
            read_only,
            seen_by: None,
        };
        let free = self.views.iter().position(Option::is_none);
        let at = free.unwrap_or_else(|| {
            self.views.push(None);
            self.views.len() - 1
        });
        self.views[at] = Some(view);
        ViewId(at as u32)
    }

    /// Nothing is `\Recent` in this view from now on (RFC 9051 has none).
    pub fn hide_recent(&mut self, id: ViewId) {
        if let Some(view) = self.views.get_mut(id.0 as usize).and_then(Option::as_mut) {
            view.recent = IdSet::new();
            view.hides_recent = true;
        }
    }

    /// From now on this column says what is `\Seen` in this view. Nothing of it has been told yet.
    pub fn see_apart(&mut self, id: ViewId, column: Rc<str>) {
        self.view_mut(id).seen_by = Some(column);
    }

    /// A message as who looks with this column sees it.
    pub fn row_apart(&self, seen_by: Option<&str>, row: Row) -> Row {
        let Some(name) = seen_by else { return row };
        self.with_cell(row, self.cell_apart(name, self.column(name), row.uid))
    }

    fn cell_apart(&self, name: &str, column: Option<&Column>, uid: Uid) -> Option<ValueCell> {
        let gone = || self.gone.get(&uid.0)?.seen.iter().find(|(by, _)| **by == *name).map(|(_, cell)| *cell);
        if self.gone.is_empty() {
            return column?.get(uid);
        }
        gone().or_else(|| column?.get(uid))
    }

    fn with_cell(&self, row: Row, cell: Option<ValueCell>) -> Row {
        let seen = if cell.is_some_and(|cell| cell.value == SEEN_APART) { Flags::SEEN } else { Flags::NONE };
        let modseq = cell.map_or(row.modseq, |cell| cell.modseq.max(row.modseq));
        Row { flags: row.flags & !Flags::SEEN | seen, modseq, ..row }
    }

    /// Messages without `\Seen`, for who looks with this column.
    pub fn unseen_apart(&self, seen_by: Option<&str>) -> u32 {
        match seen_by {
            None => self.rows.unseen(),
            Some(name) => {
                let seen = self.column(name).map(|column| column.with(|value| value == SEEN_APART)).unwrap_or_default();
                let seen = seen.ranges().map(|r| self.rank_after(*r.end()) - self.rows.rank(Uid(*r.start())));
                self.rows.count() - seen.sum::<u32>()
            }
        }
    }

    /// Rank (from 0) of the first message without `\Seen`, for who looks with this column.
    pub fn first_unseen_apart(&self, seen_by: Option<&str>) -> Option<u32> {
        let Some(name) = seen_by else { return self.rows.first_unseen() };
        let seen = self.column(name).map(|column| column.with(|value| value == SEEN_APART)).unwrap_or_default();
        let mut rank = 0;
        for range in seen.ranges() {
            if self.rows.rank(Uid(*range.start())) > rank {
                break;
            }
            rank = self.rank_after(*range.end());
        }
        (rank < self.rows.count()).then_some(rank)
    }

    /// Messages that changed after `since`, for who looks with this column; ascending.
    pub fn changed_apart(&self, seen_by: Option<&str>, since: ModSeq) -> IdSet {
        let changed: IdSet = self.rows.changed_since(since).map(|row| row.uid.0).collect();
        let Some(column) = seen_by.and_then(|name| self.column(name)) else { return changed };
        changed.union(&column.changed_since(since))
    }

    /// Ends a view; what only it still showed is let go.
    pub fn close_view(&mut self, id: ViewId) {
        let view = self.views.get_mut(id.0 as usize).and_then(Option::take).expect("a view is closed once");
        self.let_go(&view.zombies);
        while self.views.last().is_some_and(Option::is_none) {
            self.views.pop();
        }
    }

    /// Open views.
    pub fn view_count(&self) -> usize {
        self.views.iter().flatten().count()
    }

    /// An open view.
    pub fn view(&self, id: ViewId) -> &View {
        self.views.get(id.0 as usize).and_then(Option::as_ref).expect("the view is open")
    }

    fn view_mut(&mut self, id: ViewId) -> &mut View {
        self.views.get_mut(id.0 as usize).and_then(Option::as_mut).expect("the view is open")
    }

    /// Messages in the view.
    pub fn exists(&self, id: ViewId) -> u32 {
        let view = self.view(id);
        self.rows.rank(view.uid_next) + view.zombies.count() as u32
    }

    /// `\Recent` messages in the view.
    pub fn recent(&self, id: ViewId) -> u32 {
        let view = self.view(id);
        let live: u32 = view.recent.ranges().map(|r| self.rank_after(*r.end()) - self.rows.rank(Uid(*r.start()))).sum();
        live + view.recent.intersection(&view.zombies).count() as u32
    }

    /// The highest UID in the view.
    pub fn last_visible(&self, id: ViewId) -> Option<Uid> {
        self.uid_of(id, Seq(self.exists(id)))
    }

    /// The number the view gives to this UID, or would give to the next one above it.
    pub fn seq_of(&self, id: ViewId, uid: Uid) -> Seq {
        let view = self.view(id);
        let uid = uid.min(view.uid_next);
        Seq(self.rows.rank(uid) + view.zombies.count_below(uid.0) as u32 + 1)
    }

    /// The UID behind a number of the view.
    pub fn uid_of(&self, id: ViewId, seq: Seq) -> Option<Uid> {
        let view = self.view(id);
        if seq.0 == 0 || seq.0 > self.exists(id) {
            return None;
        }
        if view.zombies.is_empty() {
            return self.rows.at(seq.0 - 1).map(|row| row.uid);
        }
        // The lowest UID with `seq` messages at or below it.
        let (mut low, mut high) = (1, view.uid_next.0 - 1);
        while low < high {
            let middle = low + (high - low) / 2;
            let upto = self.rank_after(middle) + view.zombies.count_below(middle + 1) as u32;
            if upto >= seq.0 { high = middle } else { low = middle + 1 }
        }
        Some(Uid(low))
    }

    /// Numbers of the view as ranges of UIDs. Numbers past the end are left out.
    pub fn uids_of(&self, id: ViewId, seqs: &IdSet) -> IdSet {
        let exists = self.exists(id);
        let mut uids = IdSet::new();
        for range in seqs.ranges() {
            let (first, last) = (Seq((*range.start()).max(1)), Seq((*range.end()).min(exists)));
            if let (Some(first), Some(last)) = (self.uid_of(id, first), self.uid_of(id, last))
                && first <= last
            {
                uids.push_range(first.0, last.0);
            }
        }
        uids
    }

    /// Up to `max` messages of the view with a UID in the set and not below `from`, ascending, appended to `out`.
    pub fn visible(&self, id: ViewId, uids: &IdSet, from: Uid, max: usize, out: &mut Vec<Visible>) {
        let view = self.view(id);
        if from >= view.uid_next || max == 0 {
            return;
        }
        let wanted = uids.intersection(&IdSet::range(from.0, view.uid_next.0 - 1));
        let end = out.len() + max;
        let apart = view.seen_by.as_deref().map(|name| (name, self.column(name)));
        for range in wanted.ranges() {
            let (first, last) = (*range.start(), *range.end());
            let mut seq = self.seq_of(id, Uid(first)).0;
            // Nearly always: all there are live, and what the mailbox says of them holds in the view.
            if apart.is_none() && view.zombies.is_empty() {
                let left = end - out.len();
                self.rows.each_from(self.rows.rank(Uid(first)), Uid(last), left, |row| {
                    out.push(Visible { seq: Seq(seq), row, gone: false });
                    seq += 1;
                });
                if out.len() >= end {
                    return;
                }
                continue;
            }
            let mut live = self.rows.from_rank(self.rows.rank(Uid(first))).take_while(|r| r.uid.0 <= last).peekable();
            let zombies = view.zombies.intersection(&IdSet::range(first, last));
            let mut gone = zombies.iter().map(|uid| self.gone[&uid].row).peekable();
            while out.len() < end {
                let take_gone = match (live.peek(), gone.peek()) {
                    (Some(a), Some(b)) => b.uid < a.uid,
                    (None, Some(_)) => true,
                    (Some(_), None) => false,
                    (None, None) => break,
                };
                let row = if take_gone { gone.next() } else { live.next() };
                let row = row.expect("peeked");
                let row = match apart {
                    Some((name, column)) => self.with_cell(row, self.cell_apart(name, column, row.uid)),
                    None => row,
                };
                out.push(Visible { seq: Seq(seq), row, gone: take_gone });
                seq += 1;
            }
            if out.len() >= end {
                return;
            }
        }
    }

    /// Notes that the changes after a modseq were this session's own, and that it has been told of them.
    pub fn own_changes(&mut self, id: ViewId, since: ModSeq) {
        let modseq = self.modseq;
        self.view_mut(id).own.extend((since.0 + 1..=modseq.0).map(ModSeq));
    }

    /// Notes that the session has asked how these messages are, and was told of all that changed after `since`, up to `upto` at least.
    pub fn answered(&mut self, id: ViewId, uids: IdSet, since: ModSeq, upto: ModSeq) {
        let view = self.view_mut(id);
        if view.told < upto {
            view.answered = Answered { uids, since, upto };
        }
    }

    /// Whether [`Mailbox::sync`] would tell anything.
    pub fn is_behind(&self, id: ViewId) -> bool {
        self.has_news(id, true)
    }

    /// Whether [`Mailbox::sync`] would tell anything, with or without `expunges`.
    pub fn has_news(&self, id: ViewId, expunges: bool) -> bool {
        let view = self.view(id);
        expunges && !view.zombies.is_empty() || view.uid_next < self.uid_next || view.told < self.modseq
    }

    /// Catches the view up and says what to tell. Without `expunges` nothing is renumbered: expunged messages stay, and
    /// so nothing new is told of as arrived either way but at the end, where it harms no number.
    ///
    /// New messages become `\Recent` here; unless the view is read-only the caller logs a `ClaimRecent`.
    pub fn sync(&mut self, id: ViewId, expunges: bool) -> Changes {
        let mut changes = self.sync_known(id, expunges);
        let view = self.view(id);
        let (known, uid_next, first_recent) = (view.uid_next, self.uid_next, self.first_recent);
        if known < uid_next {
            let view = self.view_mut(id);
            view.uid_next = uid_next;
            let first = known.max(first_recent);
            if first < uid_next && !view.hides_recent {
                view.recent.push_range(first.0, uid_next.0 - 1);
            }
            if self.rows.rank(uid_next) > self.rows.rank(known) {
                changes.exists = Some(self.exists(id));
                changes.first_new = Some(known);
                changes.recent = (!self.view(id).hides_recent).then(|| self.recent(id));
            }
        }
        changes
    }

    /// The same without what arrived: it stays unknown to the view, as does what becomes of it, until [`Mailbox::sync`].
    pub fn sync_known(&mut self, id: ViewId, expunges: bool) -> Changes {
        let mut changes = Changes::default();
        if !self.is_behind(id) {
            return changes;
        }
        if expunges && !self.view(id).zombies.is_empty() {
            let zombies = std::mem::take(&mut self.view_mut(id).zombies);
            changes.expunged = self.numbers_of(id, &zombies);
            let view = self.view_mut(id);
            let lost_recent = !view.recent.intersection(&zombies).is_empty();
            view.recent = view.recent.difference(&zombies);
            self.let_go(&zombies);
            changes.vanished = zombies;
            changes.recent = lost_recent.then(|| self.recent(id));
        }
        let view = self.view(id);
        let (known, told) = (view.uid_next, view.told);
        if told < self.modseq {
            let is_answered = |modseq: ModSeq| view.answered.since < modseq && modseq <= view.answered.upto;
            let is_known =
                |r: &Row| view.own.contains(&r.modseq) || is_answered(r.modseq) && view.answered.uids.contains(r.uid.0);
            let others = self.rows.changed_since(told).filter(|r| r.uid < known && !is_known(r));
            changes.flags = others.map(|r| r.uid.0).collect();
            if let Some(column) =
                view.seen_by.as_deref().and_then(|name| self.column(name)).filter(|c| c.modseq() > told)
            {
                let (mut seen, mut answered) = (IdSet::new(), IdSet::new());
                let others = column.runs().filter(|(.., cell)| cell.modseq > told && !view.own.contains(&cell.modseq));
                for (first, last, cell) in others.filter(|(first, ..)| *first < known) {
                    let runs = if is_answered(cell.modseq) { &mut answered } else { &mut seen };
                    runs.push_range(first.0, last.0.min(known.0 - 1));
                }
                changes.flags = changes.flags.union(&seen).union(&answered.difference(&view.answered.uids));
            }
        }
        let modseq = self.modseq;
        let view = self.view_mut(id);
        view.told = modseq;
        view.own.clear();
        view.answered = Answered::default();
        changes
    }

    /// Numbers of messages that have just left the view's zombies, descending.
    fn numbers_of(&self, id: ViewId, left: &IdSet) -> Vec<Seq> {
        let mut above = left.count() as u32;
        let mut out = Vec::with_capacity(above as usize);
        for uid in left.iter().rev() {
            above -= 1;
            out.push(Seq(self.rows.rank(Uid(uid).min(self.view(id).uid_next)) + above + 1));
        }
        out
    }

    fn rank_after(&self, uid: u32) -> u32 {
        uid.checked_add(1).map_or(self.rows.count(), |next| self.rows.rank(Uid(next)))
    }

    fn let_go(&mut self, uids: &IdSet) {
        for uid in uids.iter() {
            let gone = self.gone.get_mut(&uid).expect("a view's zombies are kept");
            gone.views -= 1;
            if gone.views == 0 {
                self.gone.remove(&uid);
            }
        }
    }
}

/// What STORE makes of `\Seen` in a column by which a view knows what is seen; `None` when it leaves it alone.
pub(crate) fn seen_apart(mode: StoreMode, flags: Flags) -> Option<u64> {
    match (mode, flags.contains(Flags::SEEN)) {
        (StoreMode::Add | StoreMode::Replace, true) => Some(SEEN_APART),
        (StoreMode::Remove, true) | (StoreMode::Replace, false) => Some(UNSEEN_APART),
        (StoreMode::Add | StoreMode::Remove, false) => None,
    }
}
