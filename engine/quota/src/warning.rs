//! Warnings: what a user holds crosses a line, and somebody is told.

use crate::extension::used;
use crate::limits::{Ceiling, Limits};
use skein_base::UserName;
use skein_config::{QuotaResource, QuotaWarning};
use skein_store::op::Op;
use skein_store::{AccountHandle, Change};
use std::cell::Cell;
use std::rc::Rc;
use std::sync::Arc;

/// A line that was crossed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Crossed {
    /// Whose account it is.
    pub user: UserName,
    /// Which line, and who is to be told.
    pub warning: Arc<QuotaWarning>,
    /// What he holds now, in bytes, messages or mailboxes.
    pub used: u64,
    /// What he may hold.
    pub limit: u64,
}

/// Takes what was crossed and tells of it, elsewhere and later.
pub type Tell = Arc<dyn Fn(Crossed) + Send + Sync>;

/// What an account held when it was last looked at.
pub(crate) struct Seen(Cell<Ceiling>);

impl Seen {
    /// Looks at an account for the first time since it was opened.
    pub(crate) fn before(account: &AccountHandle, limits: &Limits) {
        if account.slot::<Seen>().is_none() {
            account.put_slot(Rc::new(Seen(Cell::new(held(account, limits)))));
        }
    }

    /// The first line that a change has crossed.
    pub(crate) fn after(change: &Change<'_>, limits: &Limits, warnings: &[Arc<QuotaWarning>]) -> Option<Crossed> {
        let seen = change.account.slot::<Seen>().filter(|_| change.ops.iter().any(may_cross))?;
        let now = held(change.account, limits);
        let before = seen.0.replace(now);
        let crossed = |warning: &&Arc<QuotaWarning>| {
            let of = |held: &Ceiling| held.of(warning.resource);
            crosses(warning, (of(&before), of(&now)), of(&limits.all))
        };
        let warning = warnings.iter().find(crossed)?.clone();
        let (used, limit) = (now.of(warning.resource), limits.all.of(warning.resource));
        Some(Crossed { user: change.account.user().clone(), warning, used, limit })
    }
}

/// It can change what is held.
fn may_cross(op: &Op) -> bool {
    matches!(
        op,
        Op::Append { .. }
            | Op::Expunge { .. }
            | Op::CreateMailbox { .. }
            | Op::DeleteMailbox { .. }
            | Op::RenameMailbox { .. }
    )
}

fn held(account: &AccountHandle, limits: &Limits) -> Ceiling {
    account.read(|account| {
        let used = used(account, limits);
        Ceiling { storage: used.bytes, messages: used.messages, mailboxes: account.mailboxes().count() as u64 }
    })
}

fn crosses(warning: &QuotaWarning, (before, now): (u64, u64), limit: u64) -> bool {
    let line = u128::from(limit) * u128::from(warning.percent);
    let (was_there, is_there) = (u128::from(before) * 100 >= line, u128::from(now) * 100 >= line);
    limit > 0 && was_there != is_there && is_there == warning.over
}

impl Ceiling {
    fn of(&self, resource: QuotaResource) -> u64 {
        match resource {
            QuotaResource::Storage => self.storage,
            QuotaResource::Messages => self.messages,
            QuotaResource::Mailboxes => self.mailboxes,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_crossed_once_and_one_way() {
        let over = QuotaWarning::parse("storage=90% /bin/warn").unwrap();
        let under = QuotaWarning::parse("-storage=90% /bin/warn").unwrap();
        for (before, now, limit, goes_over, falls_under) in [
            (89, 90, 100, true, false),
            (0, 500, 100, true, false),
            (90, 91, 100, false, false),
            (90, 89, 100, false, true),
            (89, 88, 100, false, false),
            // Half is not nine tenths.
            (0, 1, 2, false, false),
            (1, 2, 2, true, false),
            (0, u64::MAX, u64::MAX, true, false),
            (0, 500, 0, false, false),
            (500, 0, 0, false, false),
        ] {
            assert_eq!(crosses(&over, (before, now), limit), goes_over, "{before} {now} {limit}");
            assert_eq!(crosses(&under, (before, now), limit), falls_under, "{before} {now} {limit}");
        }
    }
}
