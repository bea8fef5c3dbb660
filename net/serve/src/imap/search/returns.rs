//! RETURN: what is told of what is found, and what `$` means from then on.

use crate::imap::session::Session;
use skein_base::{IdSet, MailboxId, ModSeq, Uid};
use skein_proto::imap::response::{self, Correlator};
use skein_proto::imap::{Results, Returns};
use skein_store::mailbox::ViewId;

impl Session {
    /// Tells what RETURN asks for, and remembers it for `$` (RFC 4731, RFC 5182). The highest modseq is given when it is to be told.
    pub(in crate::imap) fn tell(
        &mut self,
        returns: &Returns,
        uid: bool,
        results: &Results,
        highest: Option<ModSeq>,
        failed: u32,
        out: &mut Vec<u8>,
    ) {
        let Some(selected) = &self.selected else { return };
        let (uids, highest) = self.meant((selected.mailbox, selected.view), returns, uid, results, highest);
        if returns.is_told() {
            response::esearch(out, Correlator { tag: &returns.tag, mailbox: None }, returns, uid, results, highest);
        }
        self.remember(returns, uids, failed);
    }

    /// After a NO nothing is saved (RFC 5182 §2.1).
    pub(in crate::imap) fn remember(&mut self, returns: &Returns, uids: IdSet, failed: u32) {
        if let Some(selected) = self.selected.as_mut().filter(|_| returns.save) {
            selected.saved = if failed > 0 { IdSet::new() } else { uids };
        }
    }

    /// UIDs of the messages that the client is told of by their numbers, or of all, and the highest modseq among them.
    pub(super) fn meant(
        &self,
        (mailbox, view): (MailboxId, ViewId),
        returns: &Returns,
        uid: bool,
        results: &Results,
        highest: Option<ModSeq>,
    ) -> (IdSet, Option<ModSeq>) {
        let some = some_of(returns, results);
        self.look(mailbox, |m| {
            let in_uids = |numbers: IdSet| if uid { numbers } else { m.uids_of(view, &numbers) };
            match some {
                None => (if returns.save { in_uids(set_of(results)) } else { IdSet::new() }, highest),
                Some(some) => {
                    let uids = in_uids(some);
                    let modseq =
                        |uid: u32| m.rows().find(Uid(uid)).map(|row| m.row_apart(self.seen_by.as_deref(), row).modseq);
                    let highest = highest.and_then(|_| uids.iter().filter_map(modseq).max());
                    (uids, highest)
                }
            }
        })
    }
}

/// Ends and part of a result, when these alone are meant (RFC 4731 §3.2, RFC 5182 §2.1, RFC 9394 §3.2).
fn some_of(returns: &Returns, results: &Results) -> Option<IdSet> {
    let has_some = returns.min || returns.max || returns.partial.is_some();
    if returns.all || returns.count || !has_some {
        return None;
    }
    let mut some = returns.partial.map_or_else(IdSet::new, |range| set_of(&results.part(range)));
    let ends = [results.first().filter(|_| returns.min), results.last().filter(|_| returns.max)];
    ends.into_iter().flatten().for_each(|end| some.insert(end));
    Some(some)
}

/// Whatever the order.
pub(super) fn set_of(results: &Results) -> IdSet {
    match results {
        Results::Mailbox(set) => set.clone(),
        Results::Sorted(list) => {
            let mut list = list.clone();
            list.sort_unstable();
            list.into_iter().collect()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use skein_proto::imap::ResultRange;

    /// The tables of RFC 5182 §2.4 and RFC 9394 §3.2.
    #[test]
    fn what_is_remembered() {
        let results = Results::Sorted(vec![7, 2, 9, 4]);
        let check = |min, max, count, range: Option<(u32, u32)>, want: Option<&str>| {
            let partial = range.map(|(a, b)| ResultRange::new(a, b, false));
            let returns = Returns { min, max, count, partial, save: true, ..Returns::default() };
            assert_eq!(some_of(&returns, &results).map(|set| set.to_string()).as_deref(), want, "{returns:?}");
        };
        check(false, false, false, None, None);
        check(true, false, false, None, Some("7"));
        check(true, true, false, None, Some("4,7"));
        check(true, true, true, None, None);
        check(false, false, false, Some((2, 3)), Some("2,9"));
        check(true, false, false, Some((2, 3)), Some("2,7,9"));
        check(true, true, false, Some((9, 10)), Some("4,7"));
        check(false, true, true, Some((2, 3)), None);
        assert_eq!(set_of(&results).to_string(), "2,4,7,9");
    }
}
