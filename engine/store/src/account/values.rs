//! Values that messages have beside their columns: who keeps something of each message names a column, `extension/column`.

use super::{Account, AccountError};
use crate::mailbox::{Mailbox, Row};
use crate::op::{Op, ValueRun};
use skein_base::limits::{
    COLUMN_NAME_BYTES_MAX, COLUMNS_PER_MAILBOX_MAX, VALUE_RUNS_COPIED_MAX, VALUE_RUNS_PER_MAILBOX_MAX,
};
use skein_base::{IdSet, MailboxId, Uid};

impl Account {
    /// Messages get a value in a column, which begins with its first one; 0 takes it away. Nothing when all of them have it already.
    pub fn set_values(&self, id: MailboxId, column: &str, uids: &IdSet, value: u64) -> Result<Vec<Op>, AccountError> {
        let mailbox = self.target(id)?;
        if column.is_empty() || column.len() > COLUMN_NAME_BYTES_MAX || column.contains(char::is_control) {
            return Err(AccountError::BadColumnName { max: COLUMN_NAME_BYTES_MAX });
        }
        let changes = |row: Row| mailbox.value(column, row.uid) != value;
        if !mailbox.rows().among(uids).any(changes) {
            return Ok(Vec::new());
        }
        let runs: Vec<ValueRun> = uids
            .ranges()
            .map(|range| ValueRun { first: Uid((*range.start()).max(1)), last: Uid(*range.end()), value })
            .filter(|run| run.last.0 > 0)
            .collect();
        // Giving a value back always works; a run that is cut in two counts once more than before.
        let has_room =
            has_column(mailbox, column) && mailbox.values_kept().1 + 2 * runs.len() <= VALUE_RUNS_PER_MAILBOX_MAX;
        match value == 0 || has_room {
            true => Ok(vec![Op::SetValues { mailbox: id, column: column.into(), runs }]),
            false => Err(AccountError::TooManyValues),
        }
    }

    /// The same for messages that come in the same record; nothing when there is no room.
    pub fn values_of_new(&self, id: MailboxId, column: &str, uids: &IdSet, value: u64) -> Vec<Op> {
        let runs = uids.ranges().map(|range| ValueRun { first: Uid(*range.start()), last: Uid(*range.end()), value });
        let runs: Vec<ValueRun> = runs.collect();
        let has_room = |mailbox: &Mailbox| {
            has_column(mailbox, column) && mailbox.values_kept().1 + runs.len() <= VALUE_RUNS_PER_MAILBOX_MAX
        };
        match !runs.is_empty() && self.target(id).is_ok_and(has_room) {
            true => vec![Op::SetValues { mailbox: id, column: column.into(), runs }],
            false => Vec::new(),
        }
    }
}

/// Values of messages, in UID order, for their copies that have UIDs from `first` on. Those that there is no room for stay behind.
pub(super) fn copied(
    source: &Mailbox,
    rows: &[Row],
    (to, target): (MailboxId, Option<&Mailbox>),
    first: Uid,
) -> Vec<Op> {
    let (Some(from), Some(last)) = (rows.first(), rows.last()) else { return Vec::new() };
    let (had, had_runs) = target.map_or((0, 0), |target| target.values_kept());
    let mut room = VALUE_RUNS_COPIED_MAX.min(VALUE_RUNS_PER_MAILBOX_MAX.saturating_sub(had_runs));
    let mut ops = Vec::new();
    let mut new = 0;
    for (name, column) in source.columns() {
        let mut runs: Vec<ValueRun> = Vec::new();
        for (start, end, cell) in column.among(from.uid.0, last.uid.0) {
            let at = |uid: u32| first.0 + rows.partition_point(|row| row.uid.0 < uid) as u32;
            let (start, next) = (at(start), end.checked_add(1).map_or(first.0 + rows.len() as u32, at));
            if start == next {
                continue;
            }
            match runs.last_mut() {
                Some(run) if run.last.0 + 1 == start && run.value == cell.value => run.last = Uid(next - 1),
                _ => runs.push(ValueRun { first: Uid(start), last: Uid(next - 1), value: cell.value }),
            }
        }
        let begins = target.is_none_or(|target| target.column(name).is_none());
        let columns = had + new + usize::from(begins);
        let takes = runs.len() + name.len().div_ceil(size_of::<ValueRun>());
        if runs.is_empty() || takes > room || columns > COLUMNS_PER_MAILBOX_MAX {
            continue;
        }
        new += usize::from(begins);
        room -= takes;
        ops.push(Op::SetValues { mailbox: to, column: name.into(), runs });
    }
    ops
}

/// There is such a column, or room for one.
fn has_column(mailbox: &Mailbox, name: &str) -> bool {
    mailbox.column(name).is_some() || mailbox.values_kept().0 < COLUMNS_PER_MAILBOX_MAX
}
