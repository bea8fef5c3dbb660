//! Readers of foreign bytes, each as a function from bytes to nothing that panics when a promise is broken.
//!
//! ```text
//! fuzz_targets/x.rs ─▶┐
//!                     ├─▶ x(bytes) ─▶ the reader, twice or backwards, and the promises it makes
//! corpus/x/* ────────▶┘   TARGETS     (testkit's tests/corpus.rs plays every file on every run)
//!
//! imap lmtp pop3 proxy sasl sets   what the network sends, and
//! mutf7                            its mailbox names
//! mime search cache                what mail holds
//! ops log snapshot account dump    what the disk says
//! config passwd                    what the operator writes
//! ```
//!
//! Never here: input that a target may refuse to look at, promises that no crate makes.

mod disk;
mod imap;
mod lmtp;
mod mail;
mod pop3;
mod proxy;
mod script;
mod settings;
mod words;

pub use disk::{account, dump, log, ops, snapshot};
pub use imap::{imap, sets};
pub use lmtp::lmtp;
pub use mail::{cache, mime, search};
pub use pop3::pop3;
pub use proxy::proxy;
pub use settings::{config, passwd};
pub use words::{mutf7, sasl};

/// One entry point.
pub type Target = fn(&[u8]);

/// Every target by the name of its corpus folder and of its fuzz target.
pub const TARGETS: [(&str, Target); 17] = [
    ("account", account),
    ("cache", cache),
    ("config", config),
    ("dump", dump),
    ("imap", imap),
    ("lmtp", lmtp),
    ("log", log),
    ("mime", mime),
    ("mutf7", mutf7),
    ("ops", ops),
    ("passwd", passwd),
    ("pop3", pop3),
    ("proxy", proxy),
    ("sasl", sasl),
    ("search", search),
    ("sets", sets),
    ("snapshot", snapshot),
];
