//! Catching a session's view up, and turning the client's sets into the mailbox's.

use super::link::Link;
use super::rights::changeable;
use super::select::takes_keywords;
use super::session::Session;
use super::store::read_only;
use skein_base::{IdSet, MailboxId, ModSeq, Uid};
use skein_proto::imap::response::{self, FetchLine, Permanent, may_change_keywords};
use skein_proto::imap::{Reply, ResultRange, Resync, SeqSet};
use skein_store::mailbox::{Mailbox, ViewId, Visible};
use std::io;

/// Messages looked at before the output is.
const BATCH: usize = 256;

impl Session {
    /// Tells what has changed in the selected mailbox since the last time (RFC 3501 §5.2), of which NOTIFY may leave out what it does not name. What is told becomes durable
    /// before it leaves, like everything in the link's buffer.
    pub(super) fn tell_selected(&mut self, expunges: bool, link: &mut Link<'_>) {
        let told = self.told();
        self.tell_permanent(link);
        self.tell_keywords(link);
        self.tell_key_reset(link.out());
        self.tell_lost(link.out());
        let Some(selected) = &self.selected else { return };
        let (id, view) = (selected.mailbox, selected.view);
        let expunges = expunges || told.immediate;
        // What nobody told the client of has no number yet that EXPUNGE or ESEARCH could name (RFC 5465 §5: NONE is a snapshot).
        let changes = self.account.with_mut(|account| {
            account
                .mailbox_mut(id)
                .map(|m| if told.messages { m.sync(view, expunges) } else { m.sync_known(view, expunges) })
        });
        let Some(mut changes) = changes else { return };
        self.hold_flags(told.flags, &mut changes.flags);
        let Some(selected) = self.selected.as_ref().filter(|_| !changes.is_empty()) else { return };
        if changes.exists.is_some()
            && !selected.read_only
            && let Err(error) = self.claim_recent(id)
        {
            // The log refuses: the pump will find out before anything leaves, and end the session.
            crate::failure::log(&error);
        }
        let (qresync, uid_only) = (link.qresync(), link.uid_only());
        let line = FlagsLine { uid: qresync || told.uids, ..FlagsLine::of(link) };
        let out = link.out();
        match qresync || uid_only {
            true if changes.vanished.is_empty() => {}
            true => response::vanished(out, false, &changes.vanished),
            false => changes.expunged.iter().for_each(|seq| response::expunge(out, *seq)),
        }
        if let Some(exists) = changes.exists {
            response::exists(out, exists);
        }
        if let Some(recent) = changes.recent.filter(|_| told.messages) {
            response::recent(out, recent);
        }
        self.look(id, |mailbox| {
            let mut seen = Vec::new();
            mailbox.visible(view, &changes.flags, Uid(1), usize::MAX / 2, &mut seen);
            seen.iter().for_each(|seen| line.write(mailbox, view, seen, out));
        });
        if let Some(first) = changes.first_new {
            self.note_fresh(IdSet::range(first.0, u32::MAX - 1));
        }
    }

    /// Keeps back what NOTIFY does not name, and adds what was kept back before once it does (RFC 5465 §3.1: NOTIFY SET returns what has
    /// accumulated).
    fn hold_flags(&mut self, are_told: bool, flags: &mut IdSet) {
        let Some(selected) = &mut self.selected else { return };
        if are_told && selected.untold.is_empty() {
            return;
        }
        let all = std::mem::take(&mut selected.untold).union(flags);
        match are_told {
            true => *flags = all,
            false => (selected.untold, *flags) = (all, IdSet::new()),
        }
    }

    /// Tells what vanished and changed since a client has seen the mailbox (RFC 7162 §3.2.5.2).
    pub(super) async fn resync(&self, resync: &Resync, link: &mut Link<'_>) -> io::Result<Reply> {
        let Some(selected) = &self.selected else { return Ok(Reply::Done) };
        let (id, view) = (selected.mailbox, selected.view);
        let known = resync.known.as_ref().map_or_else(|| IdSet::range(1, u32::MAX), |set| set.resolve(0));
        self.tell_vanished(resync.modseq, &known, link);
        let (mut from, mut seen) = (Uid(1), Vec::new());
        let line = FlagsLine { uid: true, modseq: true, ..FlagsLine::of(link) };
        loop {
            seen.clear();
            self.look(id, |mailbox| {
                mailbox.visible(view, &known, from, BATCH, &mut seen);
                let changed = seen.iter().filter(|seen| seen.row.modseq > resync.modseq);
                changed.for_each(|seen| line.write(mailbox, view, seen, link.out()));
            });
            match seen.last() {
                Some(last) => from = Uid(last.row.uid.0 + 1),
                None => return Ok(Reply::Done),
            }
            link.drain_if_full(self).await?;
            skein_runtime::session_yield().await;
        }
    }

    /// Which of these UIDs have vanished since then; of a time that the history does not reach back to, which are not there.
    pub(super) fn tell_vanished(&self, since: ModSeq, of: &IdSet, link: &mut Link<'_>) {
        let Some(selected) = &self.selected else { return };
        let vanished = self.look(selected.mailbox, |m| m.vanished_since(selected.view, since, of));
        if !vanished.is_empty() {
            response::vanished(link.out(), true, &vanished);
        }
    }

    /// Tells of keywords that are new in the mailbox, before any FETCH line uses one (RFC 3501 §7.2.6).
    pub(super) fn tell_keywords(&mut self, link: &mut Link<'_>) {
        let Some(selected) = &self.selected else { return };
        if self.look(selected.mailbox, |m| m.keywords().len()) > selected.keywords_told {
            self.tell_flags(link);
        }
    }

    /// Tells which flags may be changed, when somebody else has made that others (RFC 4314 §5.1.1).
    fn tell_permanent(&mut self, link: &mut Link<'_>) {
        let Some(selected) = self.selected.as_ref().filter(|selected| !selected.read_only) else { return };
        if !self.may_change(selected.mailbox) {
            return;
        }
        let permanent = changeable(self.rights(selected.mailbox));
        if permanent == selected.permanent {
            return;
        }
        if let Some(selected) = &mut self.selected {
            selected.permanent = permanent;
        }
        self.tell_flags(link);
    }

    fn tell_flags(&mut self, link: &mut Link<'_>) {
        let Some(selected) = &self.selected else { return };
        let (flags, read_only) = (selected.permanent, selected.read_only);
        let known = self.look(selected.mailbox, |m| {
            let permanent = Permanent { flags, new_keywords: may_change_keywords(flags) && takes_keywords(m) };
            response::flags_in_use(link.out(), m.keywords(), (!read_only).then_some(permanent));
            m.keywords().len()
        });
        if let Some(selected) = &mut self.selected {
            selected.keywords_told = known;
        }
    }

    /// The messages a set means, as UIDs; numbers beyond the end are the client's error.
    pub(super) fn resolve(&self, set: &SeqSet, uid: bool) -> Result<(MailboxId, ViewId, IdSet), Reply> {
        let Some(selected) = &self.selected else { return Err(Reply::bad("No mailbox is selected")) };
        let (id, view) = (selected.mailbox, selected.view);
        if set.is_saved() {
            return Ok((id, view, selected.saved.clone()));
        }
        let uids = self.look(id, |mailbox| {
            if uid {
                return Some(set.resolve(mailbox.last_visible(view).map_or(0, |last| last.0)));
            }
            let exists = mailbox.exists(view);
            // As `*` is in an empty mailbox (RFC 3501 §9, seq-number).
            if exists == 0 && set.has_star() {
                return None;
            }
            let seqs = set.resolve(exists);
            (seqs.last().unwrap_or(0) <= exists).then(|| mailbox.uids_of(view, &seqs))
        });
        match uids {
            Some(uids) => Ok((id, view, uids)),
            None => Err(Reply::bad("The set names messages that do not exist")),
        }
    }

    /// Those at these places among the messages of the view that a set of UIDs means (RFC 9394 §3.3).
    pub(super) fn places(&self, mailbox: MailboxId, view: ViewId, uids: &IdSet, range: ResultRange) -> IdSet {
        self.look(mailbox, |m| {
            let seqs = seqs_of(m, view, uids);
            let places = range.places(seqs.count() as usize);
            m.uids_of(view, &seqs.places(places.start as u64..places.end as u64))
        })
    }

    /// How many messages of the view a set of UIDs means.
    pub(super) fn count(&self, mailbox: MailboxId, view: ViewId, uids: &IdSet) -> u32 {
        self.look(mailbox, |m| seqs_of(m, view, uids).count() as u32)
    }

    pub(super) fn resolve_writable(&self, set: &SeqSet, uid: bool) -> Result<(MailboxId, ViewId, IdSet), Reply> {
        if self.selected.as_ref().is_some_and(|s| s.read_only) {
            return Err(read_only());
        }
        self.resolve(set, uid)
    }
}

/// The numbers that a view gives to the messages of a set of UIDs.
pub(super) fn seqs_of(m: &Mailbox, view: ViewId, uids: &IdSet) -> IdSet {
    let mut seqs = IdSet::new();
    for uids in uids.ranges() {
        let (first, next) = (m.seq_of(view, Uid(*uids.start())).0, uids.end().saturating_add(1));
        let next = m.seq_of(view, Uid(next)).0;
        if first < next {
            seqs.push_range(first, next - 1);
        }
    }
    seqs
}

/// A line that tells of a message's flags: `* n FETCH (UID .. FLAGS .. MODSEQ ..)`.
#[derive(Clone, Copy)]
pub(super) struct FlagsLine {
    pub uid: bool,
    pub flags: bool,
    pub modseq: bool,
    pub uid_only: bool,
}

impl FlagsLine {
    /// As this client is told of flags, but for the UID.
    pub fn of(link: &Link<'_>) -> FlagsLine {
        FlagsLine { uid: false, flags: true, modseq: link.condstore(), uid_only: link.uid_only() }
    }

    /// Writes it.
    pub fn write(self, mailbox: &Mailbox, view: ViewId, seen: &Visible, out: &mut Vec<u8>) {
        let mut line = begin_line(self.uid_only, seen, out);
        if self.uid && !self.uid_only {
            line.uid(out, seen.row.uid);
        }
        if self.flags {
            let recent = mailbox.view(view).is_recent(seen.row.uid);
            line.flags(out, seen.row.flags, seen.row.keywords, mailbox.keywords(), recent);
        }
        if self.modseq {
            line.modseq(out, seen.row.modseq);
        }
        line.end(out);
    }
}

/// The beginning of a line about a message, with its number, or with its UID where that alone is used.
pub(super) fn begin_line(uid_only: bool, seen: &Visible, out: &mut Vec<u8>) -> FetchLine {
    match uid_only {
        true => FetchLine::begin_uid(out, seen.row.uid),
        false => FetchLine::begin(out, seen.seq),
    }
}
