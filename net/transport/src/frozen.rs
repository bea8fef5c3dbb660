//! A connection between two shards.

use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::Duration;

use rustls::ServerConnection;

use crate::address::AddressSlot;
use crate::conn::Conn;
use crate::deflate::Deflate;
use crate::endpoint::{Door, Endpoint, ForwardedTls};
use crate::limit::ConnectionSlot;

/// A connection that no shard drives: descriptor, TLS and compression state, and unread input. `Send`, so that a lane may carry it.
/// Dropped, the connection is closed.
pub struct Frozen {
    pub(crate) descriptor: OwnedFd,
    pub(crate) tls: Option<Box<ServerConnection>>,
    pub(crate) deflate: Option<Box<Deflate>>,
    pub(crate) input: Vec<u8>,
    pub(crate) bytes_in: u64,
    pub(crate) bytes_out: u64,
    pub(crate) ended: bool,
    pub(crate) door: Arc<Door>,
    pub(crate) peer: Endpoint,
    pub(crate) local: Endpoint,
    pub(crate) forwarded_tls: Option<Box<ForwardedTls>>,
    pub(crate) write_timeout: Duration,
    pub(crate) slot: Option<ConnectionSlot>,
    pub(crate) address_slot: Option<AddressSlot>,
}

impl Frozen {
    /// Makes it a connection of this thread's shard. Unread input is the first thing it reads.
    ///
    /// # Panics
    /// Outside of a shard.
    pub fn thaw(self) -> Conn {
        Conn::thaw(self)
    }

    /// The client.
    pub fn peer(&self) -> Endpoint {
        self.peer
    }
}
