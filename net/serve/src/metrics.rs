//! What sessions count.

use skein_runtime::metrics::{Counter, Gauge};

/// Logins that succeeded.
pub static LOGINS: Counter = Counter::new("skein_logins", "Logins that succeeded.");
/// Logins that were refused.
pub static LOGINS_REFUSED: Counter = Counter::new("skein_logins_refused", "Logins that were refused.");
/// Logins that had to wait because the address or the name had failed before.
pub static LOGINS_HELD_BACK: Counter =
    Counter::new("skein_logins_held_back", "Logins that waited because of failures before.");
/// Connections closed because their address had too many.
pub static ADDRESSES_REFUSED: Counter =
    Counter::new("skein_addresses_refused", "Connections closed because their address had too many.");
/// Connections handed to another shard after login.
pub static MOVES: Counter = Counter::new("skein_connections_moved", "Connections moved to their user's shard.");
/// IMAP commands that reached the session.
pub static IMAP_REQUESTS: Counter = Counter::new("skein_imap_requests", "Requests of IMAP clients to their accounts.");
/// POP3 commands that reached the session.
pub static POP3_REQUESTS: Counter = Counter::new("skein_pop3_requests", "Requests of POP3 clients to their maildrops.");
/// Messages that POP3 clients retrieved.
pub static POP3_RETRIEVED: Counter = Counter::new("skein_pop3_retrieved", "Messages retrieved by POP3 clients.");
/// Messages that POP3 clients deleted.
pub static POP3_DELETED: Counter = Counter::new("skein_pop3_deleted", "Messages deleted by POP3 clients.");
/// Messages delivered, one per recipient.
pub static DELIVERIES: Counter = Counter::new("skein_deliveries", "Messages delivered, one per recipient.");
/// Deliveries refused or failed, one per recipient.
pub static DELIVERIES_REFUSED: Counter =
    Counter::new("skein_deliveries_refused", "Deliveries refused, one per recipient.");
/// Open IMAP connections.
pub static IMAP_CONNECTIONS: Gauge = Gauge::new("skein_imap_connections", "Open IMAP connections.");
/// Open POP3 connections.
pub static POP3_CONNECTIONS: Gauge = Gauge::new("skein_pop3_connections", "Open POP3 connections.");
/// Open LMTP connections.
pub static LMTP_CONNECTIONS: Gauge = Gauge::new("skein_lmtp_connections", "Open LMTP connections.");

/// Makes them known to the rendering.
pub fn register() {
    for counter in [
        &LOGINS,
        &LOGINS_REFUSED,
        &LOGINS_HELD_BACK,
        &ADDRESSES_REFUSED,
        &MOVES,
        &IMAP_REQUESTS,
        &POP3_REQUESTS,
        &POP3_RETRIEVED,
        &POP3_DELETED,
        &DELIVERIES,
        &DELIVERIES_REFUSED,
    ] {
        counter.register();
    }
    IMAP_CONNECTIONS.register();
    POP3_CONNECTIONS.register();
    LMTP_CONNECTIONS.register();
    crate::proxy::register();
}

/// Counts a gauge up for as long as it lives.
pub(crate) struct Held(&'static Gauge);

impl Held {
    pub fn new(gauge: &'static Gauge) -> Held {
        gauge.add(1);
        Held(gauge)
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.0.add(-1);
    }
}
