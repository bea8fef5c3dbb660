//! Who is whose parent, by message ids (RFC 5256 §3, step 1).

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};

/// No node.
pub(super) const NONE: u32 = u32::MAX;

/// Ids that are named and that no message has, over a whole mailbox; of more no notice is taken. A node and its key have some 60 bytes.
pub(super) const NAMELESS_MAX: usize = 2_000_000;
/// Steps towards the top that are walked for one message to see that it would not be above itself; beyond it is taken to be. A long thread
/// has some hundred messages.
const STEPS_MAX: u32 = 100_000;

/// A message, or an id that is named and that no message has.
#[derive(Clone, Copy, Debug)]
pub(super) struct Node {
    pub parent: u32,
    /// Index of the message.
    pub message: u32,
    children: u32,
}

/// The nodes of a mailbox and their parents; never a loop.
#[derive(Debug)]
pub(super) struct Links {
    pub nodes: Vec<Node>,
    messages: u32,
    nameless_left: usize,
    /// Nodes by two keyed hashes of their ids: ids are long, and senders choose them.
    known: HashMap<u128, u32>,
    keys: [RandomState; 2],
    steps_left: u32,
}

impl Links {
    /// None yet, and room for so many ids that no message has.
    pub(super) fn new(nameless_max: usize) -> Links {
        Links {
            nodes: Vec::new(),
            messages: 0,
            nameless_left: nameless_max,
            known: HashMap::new(),
            keys: [RandomState::new(), RandomState::new()],
            steps_left: 0,
        }
    }

    /// Adds the next message.
    pub(super) fn add(&mut self, id: Option<&[u8]>, references: &[impl AsRef<[u8]>]) {
        self.steps_left = STEPS_MAX;
        let node = self.own_node(id);
        let mut parent = NONE;
        for reference in references {
            let Some(child) = self.named(reference.as_ref()) else { continue };
            // A parent that is known stays.
            if parent != NONE && self.nodes[child as usize].parent == NONE {
                self.link(parent, child);
            }
            parent = child;
        }
        // The message itself knows best who its parent is.
        self.cut(node);
        if parent != NONE {
            self.link(parent, node);
        }
    }

    /// The node of the next message. An id that another message has is not its own.
    fn own_node(&mut self, id: Option<&[u8]>) -> u32 {
        let message = self.messages;
        self.messages += 1;
        let Some(id) = id else { return self.node(message) };
        let (key, next) = (self.key(id), self.nodes.len() as u32);
        let known = *self.known.entry(key).or_insert(next);
        match self.nodes.get_mut(known as usize) {
            Some(node) if node.message == NONE => {
                node.message = message;
                self.nameless_left += 1;
                known
            }
            _ => self.node(message),
        }
    }

    /// The node of an id that is named.
    fn named(&mut self, id: &[u8]) -> Option<u32> {
        let key = self.key(id);
        if let Some(known) = self.known.get(&key) {
            return Some(*known);
        }
        self.nameless_left = self.nameless_left.checked_sub(1)?;
        let node = self.node(NONE);
        self.known.insert(key, node);
        Some(node)
    }

    fn node(&mut self, message: u32) -> u32 {
        self.nodes.push(Node { parent: NONE, message, children: 0 });
        self.nodes.len() as u32 - 1
    }

    fn key(&self, id: &[u8]) -> u128 {
        let [high, low] = self.keys.each_ref().map(|key| u128::from(key.hash_one(id)));
        high << 64 | low
    }

    /// Makes one the parent of another that has none, unless the other is above it.
    fn link(&mut self, parent: u32, child: u32) {
        if !self.is_above(child, parent) {
            self.nodes[child as usize].parent = parent;
            self.nodes[parent as usize].children += 1;
        }
    }

    fn cut(&mut self, node: u32) {
        let parent = std::mem::replace(&mut self.nodes[node as usize].parent, NONE);
        if parent != NONE {
            self.nodes[parent as usize].children -= 1;
        }
    }

    fn is_above(&mut self, node: u32, mut below: u32) -> bool {
        if node == below {
            return true;
        }
        if self.nodes[node as usize].children == 0 {
            return false;
        }
        while below != NONE && below != node {
            let Some(left) = self.steps_left.checked_sub(1) else { return true };
            self.steps_left = left;
            below = self.nodes[below as usize].parent;
        }
        below == node
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(n: u32) -> Vec<u8> {
        format!("{n}@x").into_bytes()
    }

    #[test]
    fn ids_beyond_the_limit_are_passed_over() {
        let mut links = Links::new(2);
        links.add(Some(&id(9)), &[id(1), id(2), id(3), id(1), id(4)]);
        assert_eq!(links.nodes.len(), 3, "the message, and two that are named");
        // One of them gets its message, so another may be named.
        links.add(Some(&id(1)), &[id(3)]);
        assert_eq!(links.nodes.len(), 4);
        links.add(None, &[id(5)]);
        assert_eq!((links.nodes.len(), links.nodes[4].parent), (5, NONE));
    }

    #[test]
    fn the_way_to_the_top_is_walked_so_far() {
        let mut links = Links::new(NAMELESS_MAX);
        let last = STEPS_MAX + 10;
        (1..=last).for_each(|n| links.add(Some(&id(n)), &[id(n - 1)]));
        let top = links.nodes.len();
        links.add(Some(b"reply@y"), &[b"top@y"]);
        let top = top + 1;
        // Neither is above the other; to see that takes too long at the end of the chain, and does not near its start.
        links.add(None, &[id(last), b"top@y".to_vec()]);
        assert_eq!(links.nodes[top].parent, NONE);
        links.add(None, &[id(STEPS_MAX - 10), b"top@y".to_vec()]);
        assert_ne!(links.nodes[top].parent, NONE);
    }
}
