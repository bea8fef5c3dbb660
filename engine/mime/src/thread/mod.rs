//! THREAD: which message answers which (RFC 5256 §3, draft-ietf-morg-inthread).
//!
//! ```text
//! header ─▶ ids ─▶ links      who names whom as parent; a node per message and per id that nobody has
//!                   │
//!                   ▼
//!                 forest      nodes of nobody taken out, one subject in one thread, siblings by date
//!                   │
//!                   ▼
//!            [1 child][2 children][..]      the answer, parents before children
//! ```
//!
//! Senders decide what is in these fields: nothing here recurses, each message costs a bounded number of steps.

mod forest;
mod ids;
mod links;
#[cfg(test)]
mod tests;

use crate::header::fields;
use crate::text::base_subject;
use forest::Forest;
use links::Links;
use skein_base::Collation;
use std::collections::HashMap;

/// Message ids of one References field that are looked at, the last ones: as many as fit a thread of years.
const REFERENCES_MAX: usize = 1000;

/// How messages become threads.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ThreadBy {
    /// `ORDEREDSUBJECT`: one subject is one thread, the first of it above all others.
    OrderedSubject,
    /// `REFERENCES`: by what they refer to; threads of one subject are joined.
    References,
    /// `REFS`: by what they refer to alone; the thread of the newest message comes last.
    Refs,
}

/// A place in a thread. A list of them has parents before children and siblings in order.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ThreadNode {
    /// The message's number; `None` above messages whose parent is not there, which happens at the top alone.
    pub number: Option<u32>,
    /// How many children follow, each with its own.
    pub children: u32,
}

/// A message, as far as threads need it once its links are known.
#[derive(Clone, Copy, Debug)]
struct Message {
    number: u32,
    sent: i64,
    /// Messages with the same base subject have the same here; 0 is the empty one.
    subject: u32,
    is_reply: bool,
}

/// Messages on their way into threads.
#[derive(Debug)]
pub struct Threads {
    by: ThreadBy,
    collation: Collation,
    messages: Vec<Message>,
    subjects: HashMap<String, u32>,
    links: Links,
}

impl Threads {
    /// No messages yet. Subjects are the same by a collation.
    pub fn new(by: ThreadBy, collation: Collation) -> Threads {
        Threads {
            by,
            collation,
            messages: Vec::new(),
            subjects: HashMap::from([(String::new(), 0)]),
            links: Links::new(links::NAMELESS_MAX),
        }
    }

    /// Adds a message: its number, when it was sent in seconds since 1970, and a header block with Subject, Message-ID, In-Reply-To and
    /// References. Messages come in the order of the mailbox.
    pub fn push(&mut self, number: u32, sent: i64, header: &[u8]) {
        let value = |name: &str| fields(header).find(|field| field.is(name)).map(|field| field.value);
        let (mut subject, mut is_reply) = (0, false);
        if self.by != ThreadBy::Refs {
            let base = base_subject(value("Subject").unwrap_or_default(), self.collation);
            let next = self.subjects.len() as u32;
            (subject, is_reply) = (*self.subjects.entry(base.text).or_insert(next), base.is_reply);
        }
        self.messages.push(Message { number, sent, subject, is_reply });
        if self.by != ThreadBy::OrderedSubject {
            let mut references: Vec<_> = value("References").into_iter().flat_map(ids::ids).collect();
            if references.is_empty() {
                references.extend(value("In-Reply-To").and_then(|value| ids::ids(value).next()));
            }
            let near = references.len().saturating_sub(REFERENCES_MAX);
            let id = value("Message-ID").and_then(|value| ids::ids(value).next());
            self.links.add(id.as_deref(), &references[near..]);
        }
    }

    /// The threads, in order.
    pub fn finish(self) -> Vec<ThreadNode> {
        match self.by {
            ThreadBy::OrderedSubject => Forest::of_subjects(&self.messages).nodes(),
            ThreadBy::Refs => Forest::of_links(&self.messages, self.links).nodes_newest_last(),
            ThreadBy::References => {
                let mut forest = Forest::of_links(&self.messages, self.links);
                forest.join_subjects(self.subjects.len());
                forest.nodes()
            }
        }
    }
}
