//! What the pumps of all protocols share: TLS, sending, and the way to the user's shard.

use crate::host::{Host, ToShard};
use crate::metrics;
use crate::sessions::{Seat, SessionId, SessionInfo};
use skein_auth::Accepted;
use skein_base::limits::OUTPUT_BYTES_WATERMARK;
use skein_runtime::{Deadline, LaneError};
use skein_transport::{Conn, Frozen};
use std::io;
use std::time::Duration;

/// Bytes read at once from a mail client: a line or two of pipelined commands, a quarter of an APPEND chunk.
pub(crate) const READ_BYTES: usize = 16 * 1024;
/// What clients read when the server stops.
pub(crate) const STOPPING: &str = "The server is stopping, please come back in a moment";
/// What a client reads whose session an operator ends.
pub(crate) const KICKED: &str = "Your session was ended by the administrator";
/// Time for a TLS handshake.
const HANDSHAKE_SECONDS_MAX: u64 = 30;
/// Capacity an output buffer may keep from one use to the next.
const KEPT_BYTES_MAX: usize = 2 * OUTPUT_BYTES_WATERMARK;

/// A connection on its way to its user's shard, with the login still to be answered.
pub struct Moved<M> {
    frozen: Frozen,
    machine: M,
    accepted: Accepted,
    info: SessionInfo,
}

impl<M> Moved<M> {
    /// The connection, now this shard's, its machine, who has logged in, and its place among the sessions.
    pub(crate) fn arrive(self, host: &Host) -> (Conn, M, Accepted, Seat) {
        (self.frozen.thaw(), self.machine, self.accepted, host.seats().take(self.info))
    }

    pub(crate) fn session(&self) -> SessionId {
        self.info.id
    }
}

/// Sends a connection to its user's shard. `unread` is what was read and not consumed; `wrap` says which protocol it speaks.
pub(crate) fn hand_over<M>(
    host: &Host,
    conn: Conn,
    unread: Vec<u8>,
    machine: M,
    accepted: Accepted,
    seat: Seat,
    wrap: fn(Box<Moved<M>>) -> ToShard,
) {
    let home = host.home_of(&accepted.user);
    metrics::MOVES.add(1);
    let moved = Box::new(Moved { frozen: conn.freeze(unread), machine, accepted, info: seat.leave() });
    // Dropped, the connection is closed: a shard that can not take one more is better off without it.
    if let Err(LaneError::Full(_) | LaneError::Gone(_)) = host.lanes().send(home, wrap(moved)) {
        tracing::warn!(shard = home.0, "a login was dropped: its user's shard does not keep up");
    }
}

/// Speaks TLS from here on; false when that was not agreed. `unread` is what was read and not consumed.
pub(crate) async fn start_tls(conn: &mut Conn, unread: usize) -> bool {
    let Some(tls) = conn.door().certificates().cloned() else { return false };
    let deadline = Deadline::after(Duration::from_secs(HANDSHAKE_SECONDS_MAX));
    match conn.start_tls(&tls.config(), unread, deadline).await {
        Ok(()) => {
            metrics::handshake_ended(conn.tls_info().map(|tls| tls.version).or(Some("unknown")));
            true
        }
        Err(error) => {
            metrics::handshake_ended(None);
            tracing::debug!(peer = %conn.peer(), %error, "TLS was not agreed");
            false
        }
    }
}

/// Sends all of `out`, which is empty afterwards and keeps no more capacity than a session should.
///
/// # Errors
/// The client is gone.
pub(crate) async fn send(out: &mut Vec<u8>, conn: &mut Conn) -> io::Result<()> {
    let mut bytes = std::mem::take(out);
    let sent = conn.write_all(&bytes).await;
    if bytes.capacity() <= KEPT_BYTES_MAX {
        bytes.clear();
        *out = bytes;
    }
    sent
}
