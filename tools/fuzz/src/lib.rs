//! Readers of foreign bytes, each as a function from bytes to nothing that panics when a promise is broken.
//!
//! ```text
//! fuzz_targets/x.rs ─▶┐
//!                     ├─▶ x(bytes) ─▶ the reader, twice or backwards, and the promises it makes
//! corpus/x/* ────────▶┘   TARGETS     (testkit's tests/corpus.rs plays every file on every run)
//!
//! imap lmtp pop3 proxy sasl sets   what the network sends, and
//! mutf7 utf8                       its mailbox names
//! mime search cache                what mail holds
//! ops log snapshot account dump    what the disk says
//! config passwd query              what the operator writes
//! mbox uidlist keywords            what other servers leave behind
//! ```
//!
//! Never here: input that a target may refuse to look at, promises that no crate makes.

mod disk;
mod folders;
mod imap;
mod lmtp;
mod mail;
mod pop3;
mod proxy;
mod query;
mod script;
mod settings;
mod utf8;
mod words;

pub use disk::{account, dump, log, ops, snapshot};
pub use folders::{keywords, mbox, uidlist};
pub use imap::{imap, sets};
pub use lmtp::lmtp;
pub use mail::{cache, mime, search};
pub use pop3::pop3;
pub use proxy::proxy;
pub use query::query;
pub use settings::{config, passwd};
pub use utf8::utf8;
pub use words::{mutf7, sasl};

/// One entry point.
pub type Target = fn(&[u8]);

/// Every target by the name of its corpus folder and of its fuzz target.
pub const TARGETS: [(&str, Target); 22] = [
    ("account", account),
    ("cache", cache),
    ("config", config),
    ("dump", dump),
    ("imap", imap),
    ("keywords", keywords),
    ("lmtp", lmtp),
    ("log", log),
    ("mbox", mbox),
    ("mime", mime),
    ("mutf7", mutf7),
    ("ops", ops),
    ("passwd", passwd),
    ("pop3", pop3),
    ("proxy", proxy),
    ("query", query),
    ("sasl", sasl),
    ("search", search),
    ("sets", sets),
    ("snapshot", snapshot),
    ("uidlist", uidlist),
    ("utf8", utf8),
];
