//! A bounded map that forgets what was used longest ago.

use std::collections::HashMap;
use std::hash::Hash;

/// No neighbour.
const NONE: u32 = u32::MAX;

/// A map of at most `max` entries, with the entries also in a list from newest to oldest use. Every operation is O(1).
pub(crate) struct Lru<K, V> {
    places: HashMap<K, u32>,
    nodes: Vec<Node<K, V>>,
    newest: u32,
    oldest: u32,
    max: usize,
}

struct Node<K, V> {
    key: K,
    value: V,
    newer: u32,
    older: u32,
}

impl<K: Hash + Eq + Copy, V> Lru<K, V> {
    /// `max` of 0 makes a map that keeps nothing.
    pub(crate) fn new(max: usize) -> Lru<K, V> {
        assert!(max < NONE as usize);
        Lru { places: HashMap::new(), nodes: Vec::new(), newest: NONE, oldest: NONE, max }
    }

    /// The value, which becomes the newest.
    pub(crate) fn get(&mut self, key: &K) -> Option<&V> {
        let place = *self.places.get(key)?;
        self.unlink(place);
        self.link_newest(place);
        Some(&self.nodes[place as usize].value)
    }

    /// Puts a value in as the newest, in place of the key's last value or, when full, of the oldest entry.
    pub(crate) fn insert(&mut self, key: K, value: V) {
        if self.max == 0 {
            return;
        }
        let place = match self.places.get(&key) {
            Some(&place) => place,
            None if self.nodes.len() < self.max => return self.push(key, value),
            None => self.oldest,
        };
        self.unlink(place);
        let node = &mut self.nodes[place as usize];
        if node.key != key {
            self.places.remove(&node.key);
            self.places.insert(key, place);
        }
        node.key = key;
        node.value = value;
        self.link_newest(place);
    }

    /// How many entries there are.
    pub(crate) fn len(&self) -> usize {
        self.nodes.len()
    }

    /// Forgets all.
    pub(crate) fn clear(&mut self) {
        *self = Lru::new(self.max);
    }

    fn push(&mut self, key: K, value: V) {
        let place = self.nodes.len() as u32;
        self.nodes.push(Node { key, value, newer: NONE, older: NONE });
        self.places.insert(key, place);
        self.link_newest(place);
    }

    fn unlink(&mut self, place: u32) {
        let Node { newer, older, .. } = self.nodes[place as usize];
        match newer {
            NONE => self.newest = older,
            newer => self.nodes[newer as usize].older = older,
        }
        match older {
            NONE => self.oldest = newer,
            older => self.nodes[older as usize].newer = newer,
        }
    }

    fn link_newest(&mut self, place: u32) {
        let next = std::mem::replace(&mut self.newest, place);
        match next {
            NONE => self.oldest = place,
            next => self.nodes[next as usize].newer = place,
        }
        let node = &mut self.nodes[place as usize];
        (node.newer, node.older) = (NONE, next);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// The model is a list, newest first.
        #[test]
        fn behaves_like_a_list(max in 0usize..6, ops in prop::collection::vec((any::<bool>(), 0u8..9, any::<u16>()), 0..200)) {
            let mut lru = Lru::new(max);
            let mut model: Vec<(u8, u16)> = Vec::new();
            for (write, key, value) in ops {
                let known = model.iter().position(|(k, _)| *k == key).map(|at| model.remove(at));
                if write {
                    lru.insert(key, value);
                    model.insert(0, (key, value));
                    model.truncate(max);
                } else {
                    prop_assert_eq!(lru.get(&key).copied(), known.map(|(_, v)| v));
                    if let Some(entry) = known {
                        model.insert(0, entry);
                    }
                }
            }
            lru.clear();
            prop_assert!((0..9).all(|key| lru.get(&key).is_none()));
        }
    }
}
