//! The search language: that of `doveadm search`. Words in, a tree out; for each mailbox what IMAP's evaluator is to look for.
//!
//! ```text
//! mailbox 'Lists/*' ( from alice OR subject hello ) savedbefore 2w not flagged larger 1M
//! ```
//!
//! Keys stand side by side and all must hold; OR joins its two neighbours or, as in IMAP, the two keys after it.

pub(crate) mod glob;
mod parse;
#[cfg(test)]
mod tests;
mod value;

pub(crate) use value::since;

pub(crate) use parse::parse;

use super::wire::Problem;
use skein_proto::imap::SearchKey;
use skein_serve::Criterion;

/// What the words of a search look for in a mailbox of this name; `None`: nothing in it can be meant. `now` in Unix seconds is what
/// relative times start at.
///
/// # Errors
/// Naming the word that is not understood.
pub fn meaning(words: &[String], now: i64, mailbox: &str) -> Result<Option<Criterion>, Problem> {
    parse(words, now).map(|query| query.in_mailbox(mailbox))
}

/// A query, understood.
#[derive(Clone, Debug)]
pub(crate) enum Query {
    /// Of the message.
    Message(Criterion),
    /// Of its mailbox's name.
    Mailbox(String),
    Not(Box<Query>),
    Or(Box<Query>, Box<Query>),
    And(Vec<Query>),
}

/// What a query is for one mailbox.
enum InMailbox {
    Always(bool),
    Messages(Criterion),
}

impl Query {
    /// What to look for in this mailbox; `None`: nothing in it can be meant.
    pub fn in_mailbox(&self, name: &str) -> Option<Criterion> {
        match self.reduce(name) {
            InMailbox::Always(true) => Some(Criterion::Imap(SearchKey::All)),
            InMailbox::Always(false) => None,
            InMailbox::Messages(criterion) => Some(criterion),
        }
    }

    /// Whether a mailbox is named at all: what removes mail asks for it, so that nobody empties an account by a short line.
    pub fn names_mailbox(&self) -> bool {
        match self {
            Query::Message(_) => false,
            Query::Mailbox(_) => true,
            Query::Not(query) => query.names_mailbox(),
            Query::Or(a, b) => a.names_mailbox() && b.names_mailbox(),
            Query::And(all) => all.iter().any(Query::names_mailbox),
        }
    }

    fn reduce(&self, name: &str) -> InMailbox {
        use InMailbox::{Always, Messages};
        match self {
            Query::Message(criterion) => Messages(criterion.clone()),
            Query::Mailbox(pattern) => Always(glob::matches_mailbox(pattern, name)),
            Query::Not(query) => match query.reduce(name) {
                Always(answer) => Always(!answer),
                Messages(criterion) => Messages(Criterion::Not(Box::new(criterion))),
            },
            Query::Or(a, b) => match (a.reduce(name), b.reduce(name)) {
                (Always(true), _) | (_, Always(true)) => Always(true),
                (Always(false), other) | (other, Always(false)) => other,
                (Messages(a), Messages(b)) => Messages(Criterion::Or(Box::new(a), Box::new(b))),
            },
            Query::And(all) => {
                let mut left = Vec::new();
                for query in all {
                    match query.reduce(name) {
                        Always(true) => {}
                        Always(false) => return Always(false),
                        Messages(criterion) => left.push(criterion),
                    }
                }
                if left.is_empty() { Always(true) } else { Messages(Criterion::And(left)) }
            }
        }
    }
}
