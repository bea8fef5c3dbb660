//! A mailbox into its snapshot, and back.

use crate::body::{BodyAddr, NO_SEGMENT, Place};
use crate::mailbox::{Fixed, Frozen, Mailbox, Row, Snapshot};
use skein_base::{IdSet, ModSeq};
use skein_index::SnapshotHead;
use std::rc::Rc;

/// The fixed columns of a snapshot's row. An address that was one when the snapshot was opened, and is none now that its file was
/// hurt, is that of a pack that never is.
pub(crate) fn fixed(snapshot: &Snapshot, row: u32) -> Fixed {
    let nowhere = BodyAddr { place: Place::Pack(0), offset: 0, bytes: 0, cache_bytes: 0, stored: 0, chunked: false };
    let body = BodyAddr::decode(&snapshot.body(row)).filter(is_somewhere).unwrap_or(nowhere);
    Fixed {
        internal_date: snapshot.internal_date(row),
        save_date: snapshot.save_date(row),
        size: snapshot.size(row),
        guid: snapshot.guid(row),
        body,
    }
}

/// Whether every body address in a snapshot is one.
pub(crate) fn is_sound(snapshot: &Snapshot) -> bool {
    snapshot.extra().len() >= HISTORY_BYTES
        && name(snapshot).is_some()
        && (0..snapshot.rows()).all(|row| BodyAddr::decode(&snapshot.body(row)).is_some_and(|body| is_somewhere(&body)))
        && has_named_keywords(snapshot)
}

/// A bit of a mask without a name is no keyword: whoever writes the message's flags asks for its name.
fn has_named_keywords(snapshot: &Snapshot) -> bool {
    let named = u32::try_from(snapshot.keyword_names().len()).unwrap_or(u32::MAX);
    let unnamed = u128::MAX.checked_shl(named).unwrap_or(0);
    !snapshot.has_keywords() || (0..snapshot.rows()).all(|row| snapshot.keywords(row).0 & unnamed == 0)
}

/// Segments and packs are numbered from 1: zeros name nothing.
fn is_somewhere(body: &BodyAddr) -> bool {
    !matches!(body.place, Place::Log(0) | Place::Pack(0))
}

/// The oldest segment of the log with a body that a snapshot names; [`NO_SEGMENT`] when all are in packs.
pub(crate) fn bodies_from(snapshot: &Snapshot) -> u64 {
    let bodies = (0..snapshot.rows()).filter_map(|row| BodyAddr::decode(&snapshot.body(row)));
    bodies.map(|body| body.oldest_segment()).min().unwrap_or(NO_SEGMENT)
}

/// Bytes of the expunge history's beginning in a snapshot's extra section; the mailbox's name follows.
const HISTORY_BYTES: usize = 8;

/// Both, as far as they are there.
pub(crate) fn beside(extra: &[u8]) -> (Option<ModSeq>, Option<&str>) {
    let Some((from, name)) = extra.split_first_chunk::<HISTORY_BYTES>() else { return (None, None) };
    (Some(ModSeq(u64::from_le_bytes(*from))), std::str::from_utf8(name).ok())
}

/// What stands beside a snapshot's columns.
pub(crate) fn extra(history_from: ModSeq, name: &str) -> Vec<u8> {
    let mut out = history_from.0.to_le_bytes().to_vec();
    out.extend_from_slice(name.as_bytes());
    out
}

/// The mailbox's name when its snapshot was written: for when the tree is lost. Empty in older files.
pub(crate) fn name(snapshot: &Snapshot) -> Option<&str> {
    std::str::from_utf8(snapshot.extra().get(HISTORY_BYTES..)?).ok()
}

/// The row that a snapshot keeps of a message.
pub(crate) fn row(row: Row, fixed: Fixed) -> skein_index::Row {
    skein_index::Row {
        uid: row.uid,
        flags: row.flags,
        keywords: row.keywords,
        modseq: row.modseq,
        internal_date: fixed.internal_date,
        save_date: fixed.save_date,
        size: fixed.size,
        body: fixed.body.encode(),
        guid: fixed.guid,
    }
}

/// The head of a frozen mailbox's snapshot.
pub(crate) fn head(account: skein_base::AccountId, frozen: &Frozen) -> SnapshotHead {
    SnapshotHead {
        account,
        mailbox: frozen.id,
        true_to: frozen.pos,
        uid_validity: frozen.validity,
        uid_next: frozen.uid_next,
        modseq: frozen.modseq,
        first_recent: frozen.first_recent,
    }
}

impl Mailbox {
    /// The mailbox that a sound snapshot shows.
    pub(crate) fn from_snapshot(snapshot: Rc<Snapshot>) -> Mailbox {
        let head = *snapshot.head();
        let mut mailbox = Mailbox::new(head.mailbox, head.uid_validity);
        mailbox.restore(&head, snapshot.keyword_names().to_vec());
        for at in 0..snapshot.rows() {
            mailbox.restore_row(Row {
                uid: snapshot.uid(at),
                flags: snapshot.flags(at),
                keywords: snapshot.keywords(at),
                modseq: snapshot.modseq(at),
                source: at,
            });
        }
        let history_from =
            snapshot.extra().first_chunk().map_or(head.modseq, |bytes| ModSeq(u64::from_le_bytes(*bytes)));
        let mut steps: Vec<(ModSeq, IdSet)> = Vec::new();
        for step in snapshot.expunged() {
            if steps.last().is_none_or(|last| last.0 != step.modseq) {
                steps.push((step.modseq, IdSet::new()));
            }
            let set = &mut steps.last_mut().expect("just pushed").1;
            set.insert_range(step.first.0.min(step.last.0), step.last.0);
        }
        mailbox.restore_history(history_from, steps);
        snapshot.values().for_each(|(name, runs)| mailbox.restore_values(name, runs));
        mailbox.names_bodies_from(bodies_from(&snapshot));
        mailbox.stand_on(snapshot);
        mailbox
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mailbox::SharedBytes;
    use skein_base::{AccountId, Flags, Guid, KeywordMask, LogPos, MailboxId, Uid, UidValidity};
    use skein_index::SnapshotBuilder;

    fn snapshot(names: &[&str], keywords: u128) -> Snapshot {
        let head = SnapshotHead {
            account: AccountId([1; 16]),
            mailbox: MailboxId::INBOX,
            true_to: LogPos::default(),
            uid_validity: UidValidity(1),
            uid_next: Uid(2),
            modseq: ModSeq(1),
            first_recent: Uid(1),
        };
        let body = BodyAddr { place: Place::Pack(1), offset: 0, bytes: 8, cache_bytes: 0, stored: 8, chunked: false };
        let row = skein_index::Row {
            uid: Uid(1),
            flags: Flags::NONE,
            keywords: KeywordMask(keywords),
            modseq: ModSeq(1),
            internal_date: 0,
            save_date: 0,
            size: 8,
            body: body.encode(),
            guid: Guid([0; 16]),
        };
        let mut builder = SnapshotBuilder::new(head);
        names.iter().for_each(|name| builder.keyword_name(name));
        builder.extra(&extra(ModSeq(1), "INBOX"));
        builder.push(&row, b"");
        Snapshot::open(SharedBytes::new(builder.into_bytes())).unwrap()
    }

    /// A snapshot with a keyword that it has no name for, but with right checksums, was taken for sound: out of a backup that somebody
    /// changed it would have been restored, and each FETCH of the message's flags would have ended in a panic.
    #[test]
    fn a_keyword_without_a_name_is_found_out() {
        assert!(is_sound(&snapshot(&[], 0)) && is_sound(&snapshot(&["a", "b"], 0b11)));
        assert!(!is_sound(&snapshot(&[], 1)) && !is_sound(&snapshot(&["a", "b"], 0b100)));
        assert!(!is_sound(&snapshot(&["a"], 1 << 127)));
        let all: Vec<String> = (0..128).map(|n| format!("k{n}")).collect();
        assert!(is_sound(&snapshot(&all.iter().map(String::as_str).collect::<Vec<_>>(), u128::MAX)));
    }
}
