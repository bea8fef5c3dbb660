//! The comparison: everything acknowledged is there, nothing else is, and no UID means two messages.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::ledger::{Flight, Item, Ledger, Place};
use super::observe::{Mailbox, State};

/// What every UID ever meant, over all rounds.
#[derive(Clone, Debug, Default)]
pub struct History(HashMap<(Place, u32), String>);

impl History {
    /// Begins with what is there.
    pub fn new(state: &State) -> History {
        let mut history = History::default();
        state.iter().for_each(|(place, mailbox)| history.learn(place, mailbox, &mut Vec::new()));
        history
    }

    fn learn(&mut self, place: &Place, mailbox: &Mailbox, wrong: &mut Vec<String>) {
        for (&uid, item) in &mailbox.items {
            self.meet(place, uid, &item.marker, wrong);
        }
    }

    fn meet(&mut self, place: &Place, uid: u32, marker: &str, wrong: &mut Vec<String>) {
        let known = self.0.entry((place.clone(), uid)).or_insert_with(|| marker.to_owned());
        if known != marker {
            wrong.push(format!("{place}: UID {uid} was {known} and now is {marker}"));
        }
    }
}

/// Compares `after` with what the ledgers say, given the state `before` the round. Returns what is wrong.
pub fn check(history: &mut History, before: &State, ledgers: &[Ledger], after: &State) -> Vec<String> {
    let mut wrong: Vec<String> = ledgers.iter().flat_map(|l| l.wrong.iter().cloned()).collect();
    check_uids(history, before, ledgers, after, &mut wrong);
    let mut left = Left::new(after);
    let mut moved = Vec::new();
    for ledger in ledgers {
        check_items(ledger, &mut left, &mut moved, &mut wrong);
    }
    for (place, item) in moved {
        if !left.take_like(&place, &item) {
            wrong.push(format!("{place}: {} was being moved and is in neither place", item.marker));
        }
    }
    for (place, marker) in ledgers.iter().flat_map(|l| &l.delivered) {
        let item = Item { marker: marker.clone(), flags: BTreeSet::new() };
        if !left.take_like(place, &item) {
            wrong.push(format!("{place}: delivered {marker} is lost"));
        }
    }
    ledgers.iter().filter_map(|l| l.flight.as_ref()).for_each(|flight| left.take_maybe(flight));
    wrong.extend(left.all().map(|(place, uid, item)| format!("{place}: UID {uid} {item:?} is invented")));
    wrong
}

fn check_uids(history: &mut History, before: &State, ledgers: &[Ledger], after: &State, wrong: &mut Vec<String>) {
    for (place, uid, marker) in ledgers.iter().flat_map(|l| &l.assigned) {
        history.meet(place, *uid, marker, wrong);
        if after.get(place).is_some_and(|m| m.next <= *uid) {
            wrong.push(format!("{place}: UIDNEXT does not pass UID {uid}, which was given to {marker}"));
        }
    }
    for (place, mailbox) in after {
        history.learn(place, mailbox, wrong);
    }
    for (place, old) in before {
        match after.get(place) {
            None => wrong.push(format!("{place}: the mailbox is lost")),
            Some(new) if new.validity != old.validity => {
                wrong.push(format!("{place}: UIDVALIDITY {} became {}", old.validity, new.validity));
            }
            Some(new) if new.next < old.next => {
                wrong.push(format!("{place}: UIDNEXT {} became {}", old.next, new.next))
            }
            Some(_) => {}
        }
    }
}

fn check_items(ledger: &Ledger, left: &mut Left, moved: &mut Vec<(Place, Item)>, wrong: &mut Vec<String>) {
    for (place, items) in &ledger.items {
        for (&uid, item) in items {
            match left.take(place, uid) {
                Some(found) if found == *item || may_become(ledger, place, uid, &found) => {}
                Some(found) => wrong.push(format!("{place}: UID {uid} should be {item:?}, is {found:?}")),
                None => match destination(ledger, place, uid) {
                    Some(Some(to)) => moved.push((to.clone(), item.clone())),
                    Some(None) => {}
                    None => wrong.push(format!("{place}: UID {uid} {} is lost", item.marker)),
                },
            }
        }
    }
}

/// True when the change in flight explains that `uid` is as `found`.
fn may_become(ledger: &Ledger, place: &Place, uid: u32, found: &Item) -> bool {
    matches!(&ledger.flight, Some(Flight::Store { at, after }) if at == place && after.get(&uid) == Some(found))
}

/// Where the change in flight may have brought `uid`: `None` for nowhere, it has to stay; `Some(None)` for out of the world.
fn destination<'a>(ledger: &'a Ledger, place: &Place, uid: u32) -> Option<Option<&'a Place>> {
    match ledger.flight.as_ref()? {
        Flight::Expunge { at, uids } if at == place && uids.contains(&uid) => Some(None),
        Flight::Move { from, uids, to } if from == place && uids.contains(&uid) => Some(Some(to)),
        _ => None,
    }
}

/// The messages not yet accounted for.
struct Left {
    by_uid: BTreeMap<Place, BTreeMap<u32, Item>>,
    by_marker: HashMap<(Place, String), Vec<u32>>,
}

impl Left {
    fn new(state: &State) -> Left {
        let by_uid: BTreeMap<_, _> = state.iter().map(|(place, m)| (place.clone(), m.items.clone())).collect();
        let mut by_marker: HashMap<_, Vec<u32>> = HashMap::new();
        for (place, items) in &by_uid {
            for (&uid, item) in items {
                by_marker.entry((place.clone(), item.marker.clone())).or_default().push(uid);
            }
        }
        Left { by_uid, by_marker }
    }

    fn take(&mut self, place: &Place, uid: u32) -> Option<Item> {
        self.by_uid.get_mut(place)?.remove(&uid)
    }

    /// Takes one message equal to `item`, whatever its UID.
    fn take_like(&mut self, place: &Place, item: &Item) -> bool {
        let Some(uids) = self.by_marker.get(&(place.clone(), item.marker.clone())) else { return false };
        let Some(items) = self.by_uid.get_mut(place) else { return false };
        let uid = uids.iter().copied().find(|uid| items.get(uid) == Some(item));
        uid.and_then(|uid| items.remove(&uid)).is_some()
    }

    /// Takes what `flight` may have made.
    fn take_maybe(&mut self, flight: &Flight) {
        let either = |_: bool| ();
        match flight {
            Flight::Append { to, item } => either(self.take_like(to, item)),
            Flight::Deliver { to, marker } => {
                let item = Item { marker: marker.clone(), flags: BTreeSet::new() };
                to.iter().for_each(|place| either(self.take_like(place, &item)));
            }
            Flight::Copy { items, to } => items.iter().for_each(|item| either(self.take_like(to, item))),
            Flight::Store { .. } | Flight::Expunge { .. } | Flight::Move { .. } => {}
        }
    }

    fn all(&self) -> impl Iterator<Item = (&Place, &u32, &Item)> {
        self.by_uid.iter().flat_map(|(place, items)| items.iter().map(move |(uid, item)| (place, uid, item)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn item(marker: &str, flags: &[&str]) -> Item {
        Item { marker: marker.into(), flags: flags.iter().map(|f| (*f).to_owned()).collect() }
    }

    fn place(mailbox: &str) -> Place {
        Place::new("u", mailbox)
    }

    /// A mailbox's name, UIDNEXT and messages.
    type Row<'a> = (&'a str, u32, &'a [(u32, Item)]);

    fn state(boxes: &[Row<'_>]) -> State {
        let mailbox =
            |next, items: &[(u32, Item)]| Mailbox { validity: 1, next, items: items.iter().cloned().collect() };
        boxes.iter().map(|(name, next, items)| (place(name), mailbox(*next, items))).collect()
    }

    fn ledger(items: &[(&str, u32, Item)], flight: Option<Flight>) -> Ledger {
        let mut ledger = Ledger { flight, ..Ledger::default() };
        items.iter().for_each(|(name, uid, item)| ledger.book(&place(name), *uid, item.clone()));
        ledger
    }

    /// `expect` is a part of the one complaint; empty for none.
    #[track_caller]
    fn verdict(ledger: Ledger, after: State, expect: &str) {
        let before = state(&[("a", 1, &[]), ("b", 1, &[])]);
        let wrong = check(&mut History::new(&before), &before, &[ledger], &after);
        match expect {
            "" => assert!(wrong.is_empty(), "{wrong:?}"),
            part => assert!(wrong.len() == 1 && wrong[0].contains(part), "{part}: {wrong:?}"),
        }
    }

    #[test]
    fn losses_and_inventions_are_seen() {
        let one = || item("w1-1", &["\\Seen"]);
        let both = |a: &[(u32, Item)], b: &[(u32, Item)]| state(&[("a", 9, a), ("b", 9, b)]);
        verdict(ledger(&[("a", 1, one())], None), both(&[(1, one())], &[]), "");
        verdict(ledger(&[("a", 1, one())], None), both(&[], &[]), "is lost");
        verdict(ledger(&[("a", 1, one())], None), both(&[(1, item("w1-1", &[]))], &[]), "should be");
        verdict(ledger(&[], None), both(&[(1, one())], &[]), "invented");
        verdict(ledger(&[("a", 9, one())], None), both(&[(9, one())], &[]), "UIDNEXT");
        verdict(ledger(&[], None), state(&[("a", 1, &[])]), "mailbox is lost");
    }

    #[test]
    fn what_was_in_flight_may_be_either() {
        let one = || item("w1-1", &[]);
        let both = |a: &[(u32, Item)], b: &[(u32, Item)]| state(&[("a", 9, a), ("b", 9, b)]);
        let append = || Some(Flight::Append { to: place("a"), item: one() });
        verdict(ledger(&[], append()), both(&[], &[]), "");
        verdict(ledger(&[], append()), both(&[(1, one())], &[]), "");
        verdict(ledger(&[], append()), both(&[(1, one()), (2, one())], &[]), "invented");
        let moving = || Some(Flight::Move { from: place("a"), uids: [1].into(), to: place("b") });
        verdict(ledger(&[("a", 1, one())], moving()), both(&[(1, one())], &[]), "");
        verdict(ledger(&[("a", 1, one())], moving()), both(&[], &[(1, one())]), "");
        verdict(ledger(&[("a", 1, one())], moving()), both(&[], &[]), "neither");
        verdict(ledger(&[("a", 1, one())], moving()), both(&[(1, one())], &[(1, one())]), "invented");
        let store = || Some(Flight::Store { at: place("a"), after: [(1, item("w1-1", &["x"]))].into() });
        verdict(ledger(&[("a", 1, one())], store()), both(&[(1, item("w1-1", &["x"]))], &[]), "");
        verdict(ledger(&[("a", 1, one())], store()), both(&[(1, item("w1-1", &["y"]))], &[]), "should be");
    }

    #[test]
    fn a_uid_means_one_message_for_ever() {
        let before = state(&[("a", 9, &[(4, item("w1-1", &[]))])]);
        let mut history = History::new(&before);
        let gone = state(&[("a", 9, &[])]);
        let back = state(&[("a", 9, &[(4, item("w1-2", &[]))])]);
        assert!(check(&mut history, &before, &[], &gone).is_empty());
        let wrong = check(&mut history, &gone, &[ledger(&[("a", 4, item("w1-2", &[]))], None)], &back);
        assert!(wrong.iter().any(|w| w.contains("was w1-1 and now is w1-2")), "{wrong:?}");
    }
}
