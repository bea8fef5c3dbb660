//! What one worker knows: the changes that were acknowledged, and the one that was not yet answered.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

/// A mailbox of a user.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Place {
    /// The account.
    pub user: String,
    /// The mailbox in it.
    pub mailbox: String,
}

impl Place {
    /// `mailbox` of `user`.
    pub fn new(user: &str, mailbox: &str) -> Place {
        Place { user: user.to_owned(), mailbox: mailbox.to_owned() }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.user, self.mailbox)
    }
}

/// One message in one mailbox.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Item {
    /// Which message; its content follows from this.
    pub marker: String,
    /// Its flags without `\Recent`.
    pub flags: BTreeSet<String>,
}

impl Item {
    /// The name of the worker that owns the message: the marker up to the first `-`.
    pub fn owner(&self) -> &str {
        self.marker.split('-').next().unwrap_or_default()
    }
}

/// A change that was sent and not answered.
#[derive(Clone, Debug)]
pub enum Flight {
    /// A new message.
    Append {
        /// Where to.
        to: Place,
        /// The message.
        item: Item,
    },
    /// A delivery; places that were answered are no longer in it.
    Deliver {
        /// The inboxes still unanswered.
        to: Vec<Place>,
        /// The message.
        marker: String,
    },
    /// New flags.
    Store {
        /// The mailbox.
        at: Place,
        /// The messages as they are when it happened.
        after: BTreeMap<u32, Item>,
    },
    /// A removal.
    Expunge {
        /// The mailbox.
        at: Place,
        /// The messages.
        uids: BTreeSet<u32>,
    },
    /// Copies.
    Copy {
        /// The messages.
        items: Vec<Item>,
        /// Where to.
        to: Place,
    },
    /// A move: each message is in the one place or in the other.
    Move {
        /// The mailbox they leave.
        from: Place,
        /// The messages.
        uids: BTreeSet<u32>,
        /// Where to.
        to: Place,
    },
}

/// The worker's books.
#[derive(Clone, Debug, Default)]
pub struct Ledger {
    /// The messages it owns, by place and UID.
    pub items: BTreeMap<Place, BTreeMap<u32, Item>>,
    /// Delivered messages: LMTP tells no UID.
    pub delivered: Vec<(Place, String)>,
    /// Every UID the server named for a new message in this round.
    pub assigned: Vec<(Place, u32, String)>,
    /// What was not answered.
    pub flight: Option<Flight>,
    /// Acknowledged changes.
    pub acked: u64,
    /// What was wrong already while the server ran.
    pub wrong: Vec<String>,
}

impl Ledger {
    /// The messages at `place`.
    pub fn at(&mut self, place: &Place) -> &mut BTreeMap<u32, Item> {
        self.items.entry(place.clone()).or_default()
    }

    /// Books a new message under the UID that the server named.
    pub fn book(&mut self, place: &Place, uid: u32, item: Item) {
        self.assigned.push((place.clone(), uid, item.marker.clone()));
        if let Some(old) = self.at(place).insert(uid, item) {
            self.wrong.push(format!("{place}: UID {uid} given again while {} had it", old.marker));
        }
    }
}
