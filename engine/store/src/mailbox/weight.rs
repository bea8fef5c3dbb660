//! What a mailbox costs in memory, and whether it may leave it.

use super::{Fixed, Gone, Mailbox};
use crate::body::BodyAddr;

/// A step of the expunge history with a range or two.
const STEP_BYTES: usize = 64;
/// A unique id as most servers make them, and its place in the map.
const UNIQUE_ID_BYTES: usize = 64;

impl Mailbox {
    /// An estimate, in bytes: rows, tail, history, and the mapped snapshot, which the page cache holds in its place.
    pub fn memory_bytes(&self) -> usize {
        size_of::<Mailbox>()
            + self.rows.memory_bytes()
            + self.tail.capacity() * size_of::<Fixed>()
            + self.gone.len() * size_of::<Gone>()
            + self.expunged.len() * STEP_BYTES
            + self.unique_ids.len() * UNIQUE_ID_BYTES
            + self.columns.values().map(|column| column.memory_bytes()).sum::<usize>()
            + self.keywords.iter().map(|name| name.len() + size_of::<Box<str>>()).sum::<usize>()
            + self.base.as_ref().map_or(0, |base| base.file_bytes())
    }

    /// Whether the body of an expunged message that some view shows is at such an address.
    pub(crate) fn gone_at(&self, is: impl FnMut(&BodyAddr) -> bool) -> bool {
        self.gone.values().map(|gone| &gone.fixed.body).any(is)
    }

    /// The same of all its messages: those that live too.
    pub(crate) fn any_at(&self, mut is: impl FnMut(&BodyAddr) -> bool) -> bool {
        self.gone_at(&mut is) || self.rows.from_rank(0).any(|row| is(&self.fixed_of(row).body))
    }

    /// Whether its snapshot says all that it knows, and no session looks at it.
    pub(crate) fn is_on_disk(&self) -> bool {
        let same = |head: &skein_index::SnapshotHead| head.true_to == self.pos;
        !self.wants_snapshot() && self.view_count() == 0 && self.base.as_ref().is_some_and(|base| same(base.head()))
    }
}
