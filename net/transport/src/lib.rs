//! Sockets: listeners, connections plain or TLS, and connections in transit from one shard to another.
//!
//! ```text
//! main      bind(addr, shards) ──▶ BoundSocket per shard      "port taken" is said before anything starts
//! shard     listen ─▶ Listener::run ─▶ Conn ─▶ session        one accept task, ended by Stopper
//!                                       │ start_tls           rustls driven by hand, no buffer while idle
//!                                       ▼
//!                       freeze ─▶ Frozen (Send) ──lane──▶ thaw ─▶ Conn on the user's home shard
//! ```
//!
//! ```text
//! listen    binding, accepting, the limit on connections       limit   how many there may be
//! conn      reading, writing, STARTTLS, closing                frozen  moving to another shard
//! deflate   between session and TLS, when both agreed on it
//! endpoint  who is at either end, what a listener is like   unix   Unix sockets
//! tls       certificates: files, self-signed default, reload; those of clients; channel bindings
//! handover  messages with descriptors, between processes
//! address   how many connections one address has
//! ```
//!
//! Never here: protocol words, accounts. An idle plain connection costs its task and about 300 bytes: input is
//! received into a buffer the shard's connections share.

mod address;
mod conn;
mod deflate;
mod endpoint;
mod frozen;
pub mod handover;
mod limit;
mod listen;
pub mod tls;
mod unix;

pub use address::{AddressLimit, AddressSlot};
pub use conn::{Conn, StartTlsError, Tap, TlsInfo};
pub use endpoint::{Door, DoorTls, Endpoint, ForwardedTls};
pub use frozen::Frozen;
pub use limit::{ConnectionLimit, ConnectionSlot};
pub use listen::{BACKLOG, BindError, BoundSocket, Listener, Liveness, Place, Stopper, bind, register_metrics};
pub use tls::{
    ChannelBindings, ClientNames, FreshTls, Tls, TlsConfig, TlsFiles, TlsLoadError, TlsSettings, TlsVersion,
};
pub use unix::{UnixAccess, bind_unix, give_access, listen_unix};
