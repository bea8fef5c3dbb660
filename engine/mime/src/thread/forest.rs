//! Threads from links: steps 2 to 6 of RFC 5256 §3.
//!
//! There are no lists of children to be kept in order while threads move: each node knows what is above it, and the order of all messages by
//! date, made once, is the order of siblings as well.

use super::links::{Links, NONE};
use super::{Message, ThreadNode};

/// Messages by index, then the places of messages that are not there.
pub(super) struct Forest<'a> {
    messages: &'a [Message],
    /// What is above each; `NONE` at the top.
    above: Vec<u32>,
    /// The messages by date, then by number.
    order: Vec<u32>,
}

impl<'a> Forest<'a> {
    fn new(messages: &'a [Message], above: Vec<u32>) -> Forest<'a> {
        let mut order: Vec<u32> = (0..messages.len() as u32).collect();
        order.sort_unstable_by_key(|&i| {
            let message = &messages[i as usize];
            (message.sent, message.number)
        });
        Forest { messages, above, order }
    }

    /// All of one subject below the first of it.
    pub(super) fn of_subjects(messages: &'a [Message]) -> Forest<'a> {
        let mut forest = Forest::new(messages, vec![NONE; messages.len()]);
        let mut first = vec![NONE; messages.len() + 1];
        for &message in &forest.order {
            let subject = messages[message as usize].subject as usize;
            match first[subject] {
                NONE => first[subject] = message,
                first => forest.above[message as usize] = first,
            }
        }
        forest
    }

    /// Below what they refer to. Of what is not there only the top of a thread stays, and only above two or more (step 3).
    pub(super) fn of_links(messages: &'a [Message], links: Links) -> Forest<'a> {
        let nodes = links.nodes;
        let anchors = anchors(&nodes.iter().map(|node| (node.message, node.parent)).collect::<Vec<_>>());
        let mut place: Vec<u32> = nodes.iter().map(|node| node.message).collect();
        let mut above = vec![NONE; messages.len()];
        for node in nodes.iter().filter(|node| node.message != NONE && node.parent != NONE) {
            let anchor = anchors[node.parent as usize] as usize;
            if place[anchor] == NONE {
                place[anchor] = above.len() as u32;
                above.push(NONE);
            }
            above[node.message as usize] = place[anchor];
        }
        let mut forest = Forest::new(messages, above);
        let children = forest.children();
        for above in &mut forest.above[..messages.len()] {
            let only_child = children.get(*above as usize).is_some_and(|(_, count)| *count == 1);
            if only_child && *above as usize >= messages.len() {
                *above = NONE;
            }
        }
        forest
    }

    /// One thread for each subject but the empty one (step 5).
    pub(super) fn join_subjects(&mut self, subjects: usize) {
        let tops: Vec<(u32, &Message)> = self.tops();
        let mut table = vec![NONE; subjects];
        for &(top, first) in tops.iter().filter(|(_, first)| first.subject != 0) {
            let known = &mut table[first.subject as usize];
            let stronger = |known: u32| {
                let known = self.messages.get(known as usize);
                known.is_some_and(|known| self.is_nobody(top) || known.is_reply && !first.is_reply)
            };
            if *known == NONE || stronger(*known) {
                *known = top;
            }
        }
        let mut merged = vec![NONE; self.above.len()];
        for (top, first) in tops.iter().filter(|(_, first)| first.subject != 0) {
            let known = &mut table[first.subject as usize];
            let is_reply = |top: u32| self.messages.get(top as usize).is_some_and(|message| message.is_reply);
            if known == top {
                continue;
            }
            match (self.is_nobody(*known), self.is_nobody(*top)) {
                (true, true) => merged[*top as usize] = *known,
                (true, false) => self.above[*top as usize] = *known,
                (false, _) if is_reply(*top) && !is_reply(*known) => self.above[*top as usize] = *known,
                (false, _) => {
                    let nobody = self.above.len() as u32;
                    self.above.push(NONE);
                    self.above[*top as usize] = nobody;
                    self.above[*known as usize] = nobody;
                    *known = nobody;
                }
            }
        }
        for above in &mut self.above {
            let into = merged.get(*above as usize).copied().unwrap_or(NONE);
            if into != NONE {
                *above = into;
            }
        }
    }

    /// By date of the first message of each thread.
    pub(super) fn nodes(&self) -> Vec<ThreadNode> {
        self.written(self.tops().into_iter().map(|(top, _)| top).collect())
    }

    /// By date of the last message of each thread.
    pub(super) fn nodes_newest_last(&self) -> Vec<ThreadNode> {
        let up: Vec<(u32, u32)> = self.above.iter().map(|&above| (NONE, above)).collect();
        let top_of = anchors(&up);
        let mut newest = vec![i64::MIN; self.above.len()];
        for &message in &self.order {
            newest[top_of[message as usize] as usize] = self.messages[message as usize].sent;
        }
        let mut tops = self.tops();
        tops.sort_by_key(|(top, first)| (newest[*top as usize], first.number));
        self.written(tops.into_iter().map(|(top, _)| top).collect())
    }

    fn is_nobody(&self, node: u32) -> bool {
        node as usize >= self.messages.len()
    }

    /// The first child of each in order, and how many it has.
    fn children(&self) -> Vec<(u32, u32)> {
        let mut children = vec![(NONE, 0); self.above.len()];
        for &message in &self.order {
            if let Some((first, count)) = children.get_mut(self.above[message as usize] as usize) {
                if *count == 0 {
                    *first = message;
                }
                *count += 1;
            }
        }
        children
    }

    /// The tops of threads in order, each with the message that stands for it: itself, or its first child.
    fn tops(&self) -> Vec<(u32, &'a Message)> {
        let children = self.children();
        let top = |&message: &u32| match self.above[message as usize] {
            NONE => Some((message, &self.messages[message as usize])),
            above if self.is_nobody(above) && children[above as usize].0 == message => {
                Some((above, &self.messages[message as usize]))
            }
            _ => None,
        };
        self.order.iter().filter_map(top).collect()
    }

    /// Parents before children, siblings in order.
    fn written(&self, tops: Vec<u32>) -> Vec<ThreadNode> {
        let counts = self.children();
        // Where the children of each start among all children.
        let mut next: Vec<u32> = Vec::with_capacity(counts.len());
        let mut total = 0;
        for (_, count) in &counts {
            next.push(total);
            total += count;
        }
        let mut all = vec![NONE; total as usize];
        for &message in &self.order {
            if let Some(next) = next.get_mut(self.above[message as usize] as usize) {
                all[*next as usize] = message;
                *next += 1;
            }
        }
        let mut out = Vec::with_capacity(self.above.len());
        let mut stack: Vec<u32> = tops.into_iter().rev().collect();
        while let Some(node) = stack.pop() {
            let (count, end) = (counts[node as usize].1, next[node as usize] as usize);
            let number = self.messages.get(node as usize).map(|message| message.number);
            out.push(ThreadNode { number, children: count });
            stack.extend(all[end - count as usize..end].iter().rev());
        }
        out
    }
}

/// For each node of (message, parent) the nearest at or above it that has a message, or else its top.
fn anchors(nodes: &[(u32, u32)]) -> Vec<u32> {
    let (mut anchors, mut path) = (vec![NONE; nodes.len()], Vec::new());
    for start in 0..nodes.len() {
        let mut at = start;
        while anchors[at] == NONE && nodes[at].0 == NONE && nodes[at].1 != NONE {
            path.push(at);
            at = nodes[at].1 as usize;
        }
        let anchor = if anchors[at] == NONE { at as u32 } else { anchors[at] };
        anchors[at] = anchor;
        path.drain(..).for_each(|passed| anchors[passed] = anchor);
    }
    anchors
}
