//! Results that are kept up (RFC 5267 §4.3): what comes to them and what goes is told with the news that it comes of.
//!
//! Only messages that have changed since the last time are looked at again, and those that time alone has made older, or less young, than what
//! is looked for. What is expunged is told before the EXPUNGE, whose
//! numbers are then still right.

use super::returns::set_of;
use super::{Found, Known, Test, resolve};
use crate::imap::link::Link;
use crate::imap::session::Session;
use skein_base::{Collation, IdSet, MailboxId, ModSeq, Uid};
use skein_proto::imap::response::{self, Correlator, Moved};
use skein_proto::imap::{FetchItems, Reply, Results, Returns, SearchKey, SortBy};
use skein_store::mailbox::{Mailbox, ViewId};
use std::io;

/// Results that one session keeps up; RFC 5267 §4.3.1 asks for one at least, Dovecot has 10.
const CONTEXTS_MAX: usize = 8;
/// Ranges of a result that is kept up: 256 KiB.
const CONTEXT_RANGES_MAX: usize = 32_768;
/// Messages of a sorted one, with four bytes each.
const CONTEXT_SORTED_MAX: usize = 100_000;

/// What a context needs from before the search, so that nothing that happens meanwhile is missed.
pub(in crate::imap) struct Draft {
    test: Test,
    checked: ModSeq,
    newest: u32,
    as_of: i64,
    turns: Option<i64>,
}

/// One result that is kept up.
pub(crate) struct Context {
    tag: String,
    uid: bool,
    test: Test,
    members: Members,
    /// Changes up to here are in it.
    checked: ModSeq,
    /// The highest UID it knows of.
    newest: u32,
    /// The time that it was looked for at, Unix seconds.
    as_of: i64,
    /// When time alone next makes something another, at the earliest.
    turns: Option<i64>,
    /// What is told of messages that arrive.
    fetch: Option<FetchItems>,
}

/// UIDs of the messages in a result.
#[derive(Debug)]
struct Members {
    set: IdSet,
    /// The same in their order, where it is another than that of the mailbox.
    sorted: Option<(Vec<SortBy>, Vec<u32>)>,
}

impl Session {
    /// What is needed to keep a result up, when that is asked for.
    pub(in crate::imap) fn draft(&self, key: &SearchKey, returns: Option<&Returns>) -> Result<Option<Draft>, Reply> {
        let (Some(selected), Some(returns)) = (&self.selected, returns.filter(|returns| returns.update.is_some()))
        else {
            return Ok(None);
        };
        if selected.contexts.iter().any(|context| context.tag == returns.tag) {
            return Err(Reply::bad("The tag is in use for UPDATE"));
        }
        let as_of = self.store.now();
        let known = Known { now: as_of, saved: &selected.saved, grows: true, collation: Collation::default() };
        let test = self.look(selected.mailbox, |m| resolve(key.clone(), (m, selected.view), &known));
        // When that is, is found out at the first look.
        let turns = test.depends_on_time().then_some(as_of);
        Ok(Some(self.look(selected.mailbox, |m| Draft {
            test,
            as_of,
            turns,
            checked: checked(m, selected.view),
            newest: m.last_visible(selected.view).map_or(0, |uid| uid.0),
        })))
    }

    /// Keeps a result up from now on; says so when it can not be.
    pub(in crate::imap) fn keep(
        &mut self,
        draft: Draft,
        returns: Returns,
        uid: bool,
        results: &Results,
        by: Option<Vec<SortBy>>,
        out: &mut Vec<u8>,
    ) {
        let Some(selected) = &self.selected else { return };
        if selected.contexts.len() == CONTEXTS_MAX {
            return response::no_update(out, &returns.tag, "Too many contexts");
        }
        let members = self.look(selected.mailbox, |m| {
            let uid_of = |n: &u32| m.uid_of(selected.view, skein_base::Seq(*n)).map(|uid| uid.0);
            match results {
                Results::Mailbox(set) if uid => Members { set: set.clone(), sorted: None },
                Results::Mailbox(set) => Members { set: m.uids_of(selected.view, set), sorted: None },
                Results::Sorted(list) => {
                    let uids = if uid { list.clone() } else { list.iter().filter_map(uid_of).collect() };
                    Members { set: set_of(&Results::Sorted(uids.clone())), sorted: by.map(|by| (by, uids)) }
                }
            }
        });
        if !members.fits() {
            return response::no_update(out, &returns.tag, "The result is too large");
        }
        let Draft { test, checked, newest, as_of, turns } = draft;
        let fetch = returns.update.and_then(|update| update.fetch);
        let context = Context { tag: returns.tag, uid, test, members, checked, newest, as_of, turns, fetch };
        if let Some(selected) = &mut self.selected {
            selected.contexts.push(context);
        }
    }

    /// CANCELUPDATE
    pub(in crate::imap) fn cancel_update(&mut self, tags: &[String]) -> Reply {
        let Some(selected) = &mut self.selected else { return Reply::bad("No mailbox is selected") };
        let is_kept = |tag: &String| selected.contexts.iter().any(|context| context.tag == *tag);
        if !tags.iter().all(is_kept) {
            return Reply::bad("No result is kept up for this tag");
        }
        selected.contexts.retain(|context| !tags.contains(&context.tag));
        Reply::Done
    }

    /// Takes what is expunged out of the results, while it still has numbers.
    pub(in crate::imap) fn tell_lost(&mut self, out: &mut Vec<u8>) {
        let Some(selected) = &mut self.selected else { return };
        let (mailbox, view, contexts) = (selected.mailbox, selected.view, &mut selected.contexts);
        if contexts.is_empty() {
            return;
        }
        self.account.read(|account| {
            let m = account.mailbox(mailbox).expect("loaded before it is looked at");
            let gone = m.view(view).zombies();
            for context in contexts.iter_mut().filter(|_| !gone.is_empty()) {
                let removed = context.members.remove(gone);
                context.tell(m, view, removed, Vec::new(), out);
            }
        });
    }

    /// Tells what has come to the results and what is no longer in them. Everything else that is new has been told.
    pub(in crate::imap) async fn tell_contexts(&mut self, link: &mut Link<'_>) -> io::Result<()> {
        let Some(selected) = &mut self.selected else { return Ok(()) };
        let (mailbox, view) = (selected.mailbox, selected.view);
        let mut contexts = std::mem::take(&mut selected.contexts);
        let mut told = Ok(());
        for context in &mut contexts {
            told = self.catch_up(mailbox, view, context, link).await;
            if told.is_err() {
                break;
            }
        }
        contexts.retain(|context| {
            let fits = context.members.fits();
            if !fits {
                response::no_update(link.out(), &context.tag, "The result has become too large");
            }
            fits
        });
        if let Some(selected) = &mut self.selected {
            selected.contexts = contexts;
        }
        told
    }

    async fn catch_up(
        &mut self,
        mailbox: MailboxId,
        view: ViewId,
        context: &mut Context,
        link: &mut Link<'_>,
    ) -> io::Result<()> {
        let (changed, known, last) = self.look(mailbox, |m| {
            let last = m.last_visible(view).map_or(0, |uid| uid.0);
            let since = std::mem::replace(&mut context.checked, checked(m, view));
            let (changed, known) = (m.changed_apart(self.seen_by.as_deref(), since), IdSet::range(0, last));
            (changed.intersection(&known), known, last)
        });
        let now = self.store.now();
        let changed = match context.turns.filter(|turns| *turns <= now) {
            Some(_) => {
                let (aged, turns) = self.aged((mailbox, view), &context.test, &known, context.as_of..now).await;
                context.turns = turns;
                changed.union(&aged)
            }
            None => {
                let (_, turns) = self.aged((mailbox, view), &context.test, &changed, now..now).await;
                context.turns = context.turns.into_iter().chain(turns).min();
                changed
            }
        };
        context.as_of = now;
        let turned = self.look(mailbox, |m| context.test.refresh(m, last, now));
        let changed = changed.union(&turned.intersection(&known));
        if changed.is_empty() {
            return Ok(());
        }
        let mut found = Found::none(true);
        self.find((mailbox, view), &context.test, &changed, &mut found, None).await?;
        let removed = context.members.remove(&changed.difference(&found.numbers));
        let new = found.numbers.difference(&context.members.set);
        let arrived = new.intersection(&IdSet::range(context.newest + 1, u32::MAX));
        context.newest = context.newest.max(changed.last().unwrap_or(0));
        let added = self.add(mailbox, view, &mut context.members, new).await;
        if let Some(items) = context.fetch.as_ref().filter(|_| !arrived.is_empty()) {
            self.fetch_found((mailbox, view), &arrived, items, None, false, link).await?;
        }
        self.look(mailbox, |m| context.tell(m, view, removed, added, link.out()));
        link.drain_if_full(self).await
    }

    /// Time alone may have changed a result that is kept up.
    pub(in crate::imap) fn is_context_due(&self) -> bool {
        self.contexts_turn().is_some_and(|turns| turns <= self.store.now())
    }

    /// When time alone next changes one, at the earliest.
    pub(in crate::imap) fn contexts_turn(&self) -> Option<i64> {
        self.selected.as_ref()?.contexts.iter().filter_map(|context| context.turns).min()
    }

    /// Puts messages into a result, each at its place.
    async fn add(&self, mailbox: MailboxId, view: ViewId, members: &mut Members, new: IdSet) -> Vec<Moved> {
        let mut added = Vec::new();
        let Some((by, order)) = &mut members.sorted else {
            members.set = members.set.union(&new);
            if !new.is_empty() {
                added.push((0, Results::Mailbox(new)));
            }
            return added;
        };
        for uid in new.iter() {
            match self.place((mailbox, view), by, order, uid).await {
                Ok(at) => {
                    order.insert(at, uid);
                    members.set.insert(uid);
                    push_moved(&mut added, at as u32 + 1, uid);
                }
                Err(error) => crate::failure::log(&error),
            }
            skein_runtime::session_yield().await;
        }
        added
    }
}

/// Changes up to here are told to a view: it knows all the messages that they are of.
fn checked(m: &Mailbox, view: ViewId) -> ModSeq {
    let next = m.last_visible(view).map_or(1, |uid| uid.0 + 1);
    let unknown = m.rows().from_rank(m.rows().rank(Uid(next))).map(|row| row.modseq).min();
    unknown.map_or(m.modseq(), |least| ModSeq(least.0 - 1))
}

/// Adds a message that goes where the one before it ends to the same run.
fn push_moved(moved: &mut Vec<Moved>, place: u32, uid: u32) {
    match moved.last_mut() {
        Some((first, Results::Sorted(run))) if *first + run.len() as u32 == place => run.push(uid),
        _ => moved.push((place, Results::Sorted(vec![uid]))),
    }
}

impl Context {
    fn tell(&self, m: &Mailbox, view: ViewId, removed: Vec<Moved>, added: Vec<Moved>, out: &mut Vec<u8>) {
        let in_numbers = |moved: Vec<Moved>| -> Vec<Moved> {
            let number = |uid: u32| m.seq_of(view, Uid(uid)).0;
            let results = |results: Results| match results {
                results if self.uid => results,
                Results::Mailbox(uids) => Results::Mailbox(uids.iter().map(number).collect()),
                Results::Sorted(uids) => Results::Sorted(uids.into_iter().map(number).collect()),
            };
            moved.into_iter().map(|(place, uids)| (place, results(uids))).collect()
        };
        let of = Correlator { tag: &self.tag, mailbox: None };
        response::context_moved(out, of, self.uid, &in_numbers(removed), &in_numbers(added));
    }
}

impl Members {
    /// They can be kept.
    fn fits(&self) -> bool {
        let sorted = self.sorted.as_ref().map_or(0, |(_, order)| order.len());
        self.set.ranges().len() <= CONTEXT_RANGES_MAX && sorted <= CONTEXT_SORTED_MAX
    }

    /// Takes messages out and says which were in, each place as it is when those before have gone.
    fn remove(&mut self, uids: &IdSet) -> Vec<Moved> {
        let gone = self.set.intersection(uids);
        let mut removed = Vec::new();
        if gone.is_empty() {
            return removed;
        }
        self.set = self.set.difference(&gone);
        let Some((_, order)) = &mut self.sorted else {
            removed.push((0, Results::Mailbox(gone)));
            return removed;
        };
        let mut place = 1;
        order.retain(|&uid| {
            let stays = !gone.contains(uid);
            match removed.last_mut() {
                _ if stays => place += 1,
                Some((first, Results::Sorted(run))) if *first == place => run.push(uid),
                _ => removed.push((place, Results::Sorted(vec![uid]))),
            }
            stays
        });
        removed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn members(sorted: Option<Vec<u32>>, set: impl IntoIterator<Item = u32>) -> Members {
        Members { set: set.into_iter().collect(), sorted: sorted.map(|order| (Vec::new(), order)) }
    }

    /// A client that does what it is told has the same list.
    fn play(list: &mut Vec<u32>, removed: &[Moved], added: &[Moved]) {
        for (place, results) in removed {
            let Results::Sorted(run) = results else { panic!("{results:?}") };
            let from = *place as usize - 1;
            assert!(list.drain(from..from + run.len()).eq(run.iter().copied()));
        }
        for (place, results) in added {
            let Results::Sorted(run) = results else { panic!("{results:?}") };
            let at = *place as usize - 1;
            list.splice(at..at, run.iter().copied());
        }
    }

    #[test]
    fn what_is_removed_is_told_with_its_place() {
        let order = vec![5, 3, 9, 1, 7, 8, 2];
        for gone in [&[5][..], &[2], &[3, 9], &[5, 7, 9], &[1, 2, 3, 5, 7, 8, 9], &[4, 6]] {
            let mut members = members(Some(order.clone()), [1, 2, 3, 5, 7, 8, 9]);
            let removed = members.remove(&gone.iter().copied().collect());
            let mut list = order.clone();
            play(&mut list, &removed, &[]);
            let left: Vec<u32> = order.iter().copied().filter(|uid| !gone.contains(uid)).collect();
            assert_eq!((&list, &members.sorted.as_ref().unwrap().1), (&left, &left));
            assert_eq!(members.set.count() as usize, left.len());
        }
        let mut runs = members(Some(order.clone()), [1, 2, 3, 5, 7, 8, 9]);
        let removed = runs.remove(&[1, 3, 5, 8].into_iter().collect());
        let sorted = |place, run: &[u32]| (place, Results::Sorted(run.to_vec()));
        assert_eq!(removed, [sorted(1, &[5, 3]), sorted(2, &[1]), sorted(3, &[8])]);
        let mut plain = members(None, [1, 2, 3, 9]);
        assert_eq!(plain.remove(&IdSet::range(2, 8)), [(0, Results::Mailbox(IdSet::range(2, 3)))]);
        assert_eq!(plain.remove(&IdSet::range(2, 8)), []);
    }

    #[test]
    fn what_is_added_side_by_side_is_one_run() {
        let (mut added, mut list) = (Vec::new(), vec![10, 20]);
        for (place, uid) in [(2, 11), (3, 12), (1, 5), (2, 6), (7, 30)] {
            push_moved(&mut added, place, uid);
        }
        assert_eq!(added.len(), 3);
        play(&mut list, &[], &added);
        assert_eq!(list, [5, 6, 10, 11, 12, 20, 30]);
    }

    #[test]
    fn large_results_do_not_fit() {
        let apart = |count: usize| (0..count as u32).map(|n| 2 * n + 1);
        assert!(members(None, apart(CONTEXT_RANGES_MAX)).fits());
        assert!(!members(None, apart(CONTEXT_RANGES_MAX + 1)).fits());
        let sorted = |count: u32| members(Some((1..=count).rev().collect()), 1..=count).fits();
        assert!(sorted(CONTEXT_SORTED_MAX as u32) && !sorted(CONTEXT_SORTED_MAX as u32 + 1));
    }
}
