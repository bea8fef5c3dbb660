//! What SORT, THREAD and SEARCH have made of a mailbox, kept for the next of them.
//!
//! What messages are sorted and threaded by never changes: a message is under its UID for good what it was. So an order that was found once
//! holds for whatever is left of its messages, and only what has come since is to be read.

use super::search::{FieldTexts, SentDays};
use super::session::Session;
use skein_base::{Collation, IdSet, MailboxId, Uid, UidValidity};
use skein_mime::ThreadNode;
use skein_proto::imap::{SortBy, ThreadBy};
use skein_store::AccountHandle;
use skein_store::mailbox::ViewId;
use std::cell::RefCell;
use std::collections::HashMap;
use std::hash::{Hash, Hasher};
use std::rc::{Rc, Weak};

/// Fewer messages are looked into anew.
const MESSAGES_MIN: usize = 256;
/// Messages in all that a shard keeps of each kind: 4 bytes each in orders, 12 in threads, 8 in days.
const MESSAGES_MAX: usize = 1 << 21;
/// Bytes in all that a shard keeps of header fields.
const TEXTS_BYTES_MAX: usize = 64 << 20;
/// Messages whose places are found at a time.
const BATCH: usize = 4096;

/// A mailbox as long as its UIDs hold.
type Whose = (Opened, MailboxId, UidValidity);

/// An account as it was opened. Opened again, after the log has lost records or a backup was restored, the same UIDs may be of other messages.
/// Nothing else ever has its place in memory while this is held.
#[derive(Clone)]
pub(super) struct Opened(Weak<AccountHandle>);

impl PartialEq for Opened {
    fn eq(&self, other: &Opened) -> bool {
        Weak::ptr_eq(&self.0, &other.0)
    }
}

impl Eq for Opened {}

impl Hash for Opened {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.as_ptr().hash(state);
    }
}

/// Threads, by UID, of exactly these messages.
pub(super) struct Threaded {
    pub uids: IdSet,
    pub nodes: Vec<ThreadNode>,
}

/// Whose order, by which criteria.
type Ordered = (Whose, Vec<SortBy>);

/// How threads are made, and by what subjects are the same.
pub(super) type Linked = (ThreadBy, Collation);

/// Whose header fields, of which name, folded how.
type Texts = (Whose, String, Collation);

/// All that a shard keeps.
pub(crate) struct Kept {
    orders: RefCell<Lru<Ordered, Vec<u32>>>,
    threads: RefCell<Lru<(Whose, Linked), Threaded>>,
    sent: RefCell<Lru<Whose, SentDays>>,
    texts: RefCell<Lru<Texts, FieldTexts>>,
}

impl Default for Kept {
    fn default() -> Self {
        Kept {
            orders: RefCell::new(Lru::up_to(MESSAGES_MAX)),
            threads: RefCell::new(Lru::up_to(MESSAGES_MAX)),
            sent: RefCell::new(Lru::up_to(MESSAGES_MAX)),
            texts: RefCell::new(Lru::up_to(TEXTS_BYTES_MAX)),
        }
    }
}

impl Kept {
    /// UIDs in the order of these criteria; some may be gone, and others have come.
    pub(super) fn order(&self, of: Whose, by: &[SortBy]) -> Option<Rc<Vec<u32>>> {
        self.orders.borrow_mut().get(&(of, by.to_vec()))
    }

    pub(super) fn keep_order(&self, of: Whose, by: &[SortBy], order: &[u32]) {
        if order.len() >= MESSAGES_MIN {
            self.orders.borrow_mut().insert((of, by.to_vec()), order.to_vec(), order.len());
        }
    }

    pub(super) fn threads(&self, of: Whose, by: Linked, uids: &IdSet) -> Option<Rc<Threaded>> {
        self.threads.borrow_mut().get(&(of, by)).filter(|threaded| threaded.uids == *uids)
    }

    pub(super) fn keep_threads(&self, of: Whose, by: Linked, threaded: Threaded) -> Rc<Threaded> {
        let (messages, threaded) = (threaded.nodes.len(), Rc::new(threaded));
        if messages >= MESSAGES_MIN {
            self.threads.borrow_mut().insert_shared((of, by), threaded.clone(), messages);
        }
        threaded
    }

    /// When messages were sent, of those that a search has looked at.
    pub(super) fn sent(&self, of: &Whose) -> Option<Rc<SentDays>> {
        self.sent.borrow_mut().get(of)
    }

    pub(super) fn keep_sent(&self, of: Whose, days: SentDays) {
        if days.len() >= MESSAGES_MIN {
            let messages = days.len();
            self.sent.borrow_mut().insert(of, days, messages);
        }
    }

    /// The texts of a header field, of those messages that a search has looked into.
    pub(super) fn texts(&self, of: &Whose, name: &str, by: Collation) -> Option<Rc<FieldTexts>> {
        self.texts.borrow_mut().get(&(of.clone(), name.to_ascii_lowercase(), by))
    }

    pub(super) fn keep_texts(&self, of: Whose, name: &str, by: Collation, texts: FieldTexts) {
        if texts.len() >= MESSAGES_MIN {
            let bytes = texts.bytes();
            self.texts.borrow_mut().insert((of, name.to_ascii_lowercase(), by), texts, bytes);
        }
    }
}

/// Values by key, up to a weight in all; those go first that nobody has asked for the longest.
struct Lru<K, V> {
    all: HashMap<K, One<V>>,
    weight: usize,
    weight_max: usize,
    clock: u64,
}

struct One<V> {
    value: Rc<V>,
    weight: usize,
    asked: u64,
}

impl<K: Hash + Eq + Clone, V> Lru<K, V> {
    fn up_to(weight_max: usize) -> Lru<K, V> {
        Lru { all: HashMap::new(), weight: 0, weight_max, clock: 0 }
    }

    fn get(&mut self, key: &K) -> Option<Rc<V>> {
        self.clock += 1;
        let one = self.all.get_mut(key)?;
        one.asked = self.clock;
        Some(one.value.clone())
    }

    fn insert(&mut self, key: K, value: V, weight: usize) {
        self.insert_shared(key, Rc::new(value), weight);
    }

    fn insert_shared(&mut self, key: K, value: Rc<V>, weight: usize) {
        self.clock += 1;
        let before = self.all.insert(key, One { value, weight, asked: self.clock });
        self.weight = self.weight + weight - before.map_or(0, |one| one.weight);
        while self.weight > self.weight_max {
            // There are few: each has hundreds of messages at least.
            let Some(oldest) = self.all.iter().min_by_key(|(_, one)| one.asked).map(|(key, _)| key.clone()) else {
                return;
            };
            self.weight -= self.all.remove(&oldest).map_or(0, |one| one.weight);
        }
    }
}

/// Messages of a view, ascending: each a UID and a message number.
pub(super) struct Places {
    all: Vec<(u32, u32)>,
    /// Where in `all` a UID is and one more, from the first one on; nothing when the UIDs are too far apart for that.
    dense: Vec<u32>,
}

impl Places {
    fn new(all: Vec<(u32, u32)>) -> Places {
        let mut dense = Vec::new();
        if let (Some((first, _)), Some((last, _))) = (all.first(), all.last()) {
            let span = (last - first) as usize;
            if span / 16 <= all.len() {
                dense.resize(span + 1, 0);
                all.iter().zip(1..).for_each(|((uid, _), at)| dense[(uid - first) as usize] = at);
            }
        }
        Places { all, dense }
    }

    pub fn len(&self) -> usize {
        self.all.len()
    }

    /// Where in the list of them a message is.
    pub fn find(&self, uid: u32) -> Option<usize> {
        if self.dense.is_empty() {
            return self.all.binary_search_by_key(&uid, |(uid, _)| *uid).ok();
        }
        let at = *self.dense.get(uid.checked_sub(self.all[0].0)? as usize)?;
        (at as usize).checked_sub(1)
    }

    /// The UIDs or the message number of those that are of them.
    pub fn number(&self, uid: u32, by_uid: bool) -> Option<u32> {
        self.find(uid).map(|at| if by_uid { uid } else { self.all[at].1 })
    }

    /// Those that no list has.
    pub fn without(&self, lists: &[u32]) -> Vec<u32> {
        let mut has = vec![false; self.all.len()];
        lists.iter().filter_map(|uid| self.find(*uid)).for_each(|at| has[at] = true);
        self.all.iter().zip(has).filter(|(_, has)| !has).map(|((uid, _), _)| *uid).collect()
    }
}

impl Session {
    /// What is kept is kept of this.
    pub(super) fn whose(&self, mailbox: MailboxId) -> Whose {
        (Opened(Rc::downgrade(&self.account)), mailbox, self.look(mailbox, |m| m.validity()))
    }

    /// Where the messages of a set are in the view.
    pub(super) async fn places_of(&self, (mailbox, view): (MailboxId, ViewId), uids: &IdSet) -> Places {
        let (mut all, mut from, mut batch) = (Vec::new(), Uid(1), Vec::with_capacity(BATCH));
        loop {
            batch.clear();
            self.look(mailbox, |m| m.visible(view, uids, from, BATCH, &mut batch));
            let Some(last) = batch.last() else { return Places::new(all) };
            from = Uid(last.row.uid.0 + 1);
            all.extend(batch.iter().map(|seen| (seen.row.uid.0, seen.seq.0)));
            skein_runtime::session_yield().await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    proptest! {
        #[test]
        fn places_are_those_of_a_map(
            uids in proptest::collection::btree_set(prop_oneof![1u32..200, 1u32..5000, any::<u32>()], 0..60),
            asked in proptest::collection::vec(prop_oneof![0u32..200, any::<u32>()], 0..60),
        ) {
            let all: Vec<(u32, u32)> = uids.iter().copied().zip(1..).collect();
            let map: BTreeMap<u32, u32> = all.iter().copied().collect();
            let places = Places::new(all);
            prop_assert_eq!(places.len(), uids.len());
            for uid in asked.iter().chain(&uids) {
                prop_assert_eq!(places.number(*uid, false), map.get(uid).copied());
                prop_assert_eq!(places.number(*uid, true), map.get(uid).map(|_| *uid));
            }
            let without: Vec<u32> = uids.iter().copied().filter(|uid| !asked.contains(uid)).collect();
            prop_assert_eq!(places.without(&asked), without);
        }
    }

    #[test]
    fn what_nobody_asks_for_goes_when_there_is_too_much() {
        let mut lru = Lru::up_to(MESSAGES_MAX);
        for key in 0..4 {
            lru.insert(key, key, MESSAGES_MAX / 4);
        }
        assert!(lru.get(&0).is_some());
        lru.insert(4, 4, MESSAGES_MAX / 4);
        assert_eq!((lru.get(&1), lru.weight), (None, MESSAGES_MAX));
        // Made anew it counts once.
        lru.insert(0, 5, 1);
        assert_eq!((lru.get(&0).as_deref(), lru.weight), (Some(&5), MESSAGES_MAX / 4 * 3 + 1));
        // What is too much alone is not kept, and nothing beside it.
        lru.insert(9, 9, MESSAGES_MAX + 1);
        assert_eq!((lru.all.len(), lru.weight), (0, 0));
    }
}
