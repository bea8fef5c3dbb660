//! Sessions: a protocol machine on one side, an account on the other, and the pump between socket and machine.
//!
//! ```text
//!  socket ──▶ pump ──feed──▶ machine ──Ask──▶ session ──▶ account (this shard)
//!  socket ◀── pump ◀──out─── machine ◀─answer─┘
//!               └─ nothing leaves before what it shows is durable
//!
//!  accepted on any shard ── login ──▶ Frozen ──lane──▶ the user's home shard
//! ```
//!
//! ```text
//! host      what the sessions of a shard share; what arrives over its lane
//! imap      the IMAP pump and its session, a file per verb        lmtp   the LMTP pump, fan-out to the recipients' shards
//! pop3      the POP3 pump and its session over the inbox
//! commands  their names and how long they take
//! pump      what all pumps share: TLS, sending, moving to another shard
//! sessions  who is connected, what they do, and how they are made to leave
//! login     who is this, and who has to wait before he is told
//! ingest    a message on its way in                               message   a stored message, read as far as asked
//! provided  mailboxes that the settings give to every user
//! expiry    messages that leave by themselves
//! rawlog    sessions of chosen users, byte by byte, in files
//! operator  one user's account in the hands of whoever runs the server
//! proxy     who the client is, said by a proxy in front
//! ```
//!
//! Never here: wire syntax (net/proto), files (engine/store), TLS (net/transport).

mod commands;
mod expiry;
mod failure;
mod host;
mod imap;
mod ingest;
mod lmtp;
mod login;
mod message;
pub mod metrics;
mod operator;
mod pop3;
mod provided;
mod proxy;
mod pump;
mod rawlog;
mod sessions;

pub use commands::COMMAND_SECONDS;
pub use host::{Doorman, Host, HostSettings, Job, Reload, ToShard};
pub use imap::{Compare, Criterion, NotSet, wrong_query};
pub use operator::{Import, Imported, Opened, Operator, Rendering, Seen, Status, Target};
pub use pop3::{Pop3Delete, Pop3Settings};
pub use proxy::{ProxyError, receive_proxy_header};
pub use sessions::{Doing, Kick, NotASessionId, SessionId, SessionInfo, current_session};

/// The store as sessions use it.
pub type Store = skein_store::Store<skein_runtime::RealDisk, skein_runtime::RealClock>;
