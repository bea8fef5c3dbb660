//! Messages that leave by themselves: those of some age, and those above a number.

use super::{Account, AccountError};
use skein_base::{IdSet, MailboxId, Uid};

impl Account {
    /// Of the next `rows_max` messages from a UID on, those that were saved at this time or before, and the UID to go on from; `None` at the end.
    ///
    /// # Errors
    /// There is no such mailbox, or it is not in memory.
    pub fn saved_until(
        &self,
        id: MailboxId,
        until: i64,
        from: Uid,
        rows_max: usize,
    ) -> Result<(IdSet, Option<Uid>), AccountError> {
        let mailbox = self.target(id)?;
        let rank = mailbox.rows().rank(from);
        let rows = mailbox.rows().from_rank(rank).take(rows_max);
        let old = rows.filter(|row| mailbox.fixed(*row).save_date <= until).map(|row| row.uid.0).collect();
        let next = u32::try_from(rows_max).ok().and_then(|rows| mailbox.rows().at(rank.checked_add(rows)?));
        Ok((old, next.map(|row| row.uid)))
    }

    /// The oldest of those messages that a mailbox has above `keep`, at most `rows_max`.
    ///
    /// # Errors
    /// There is no such mailbox, or it is not in memory.
    pub fn oldest_above(&self, id: MailboxId, keep: u32, rows_max: usize) -> Result<IdSet, AccountError> {
        let rows = self.target(id)?.rows();
        let above = rows.count().saturating_sub(keep) as usize;
        Ok(rows.from_rank(0).take(above.min(rows_max)).map(|row| row.uid.0).collect())
    }
}
