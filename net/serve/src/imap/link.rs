//! The way to the client while a request is open: the machine's output buffer and the socket behind it.

use super::guest::Piece;
use super::session::Session;
use skein_base::limits::OUTPUT_BYTES_WATERMARK;
use skein_proto::imap::response::Names;
use skein_proto::imap::{Code, Imap};
use skein_transport::Conn;
use std::io;

/// What lies between a session and its client, lent for one request.
pub(crate) struct Link<'a> {
    way: Way<'a>,
    drains: u64,
}

enum Way<'a> {
    /// Machine and socket.
    Client { machine: &'a mut Imap, conn: &'a mut Conn },
    /// The client's own session on another shard.
    Lane(&'a mut Lane),
}

/// The way from a guest to the session that asks for its client.
pub(super) struct Lane {
    pub out: Vec<u8>,
    /// What the client has enabled.
    pub condstore: bool,
    pub qresync: bool,
    pub names: Names,
    pub to: flume::Sender<Piece>,
}

impl<'a> Link<'a> {
    pub fn new(machine: &'a mut Imap, conn: &'a mut Conn) -> Link<'a> {
        Link { way: Way::Client { machine, conn }, drains: 0 }
    }

    /// From a guest.
    pub(super) fn over(lane: &'a mut Lane) -> Link<'a> {
        Link { way: Way::Lane(lane), drains: 0 }
    }

    /// Where untagged lines go.
    pub fn out(&mut self) -> &mut Vec<u8> {
        match &mut self.way {
            Way::Client { machine, .. } => machine.out(),
            Way::Lane(lane) => &mut lane.out,
        }
    }

    /// CONDSTORE is enabled.
    pub fn condstore(&self) -> bool {
        match &self.way {
            Way::Client { machine, .. } => machine.condstore(),
            Way::Lane(lane) => lane.condstore,
        }
    }

    /// QRESYNC is enabled.
    pub fn qresync(&self) -> bool {
        match &self.way {
            Way::Client { machine, .. } => machine.qresync(),
            Way::Lane(lane) => lane.qresync,
        }
    }

    /// How mailbox names are written.
    pub fn names(&self) -> Names {
        match &self.way {
            Way::Client { machine, .. } => machine.names(),
            Way::Lane(lane) => lane.names,
        }
    }

    /// How often bytes have left; what left can not be taken back.
    pub fn drains(&self) -> u64 {
        self.drains
    }

    /// Sends what there is when there is much.
    ///
    /// # Errors
    /// The client is gone, or what was to be sent shows what the log could not keep.
    pub async fn drain_if_full(&mut self, session: &Session) -> io::Result<()> {
        if self.out().len() < OUTPUT_BYTES_WATERMARK {
            return Ok(());
        }
        self.drains += 1;
        match &mut self.way {
            Way::Client { machine, conn } => flush(machine, conn, Some(session)).await,
            Way::Lane(lane) => lane.send(session).await,
        }
    }
}

impl Lane {
    /// Passes on what there is, once it is durable.
    async fn send(&mut self, session: &Session) -> io::Result<()> {
        if let Err(error) = session.store.durable(&session.account).await {
            crate::failure::log(&error);
            return Err(io::ErrorKind::Other.into());
        }
        let lines = std::mem::take(&mut self.out);
        self.to.send_async(Piece::Lines(lines)).await.map_err(|_| io::ErrorKind::BrokenPipe.into())
    }
}

/// Sends the machine's output, once what it shows is durable.
///
/// # Errors
/// The client is gone, or the log failed: then the output is dropped unsent.
pub(crate) async fn flush(machine: &mut Imap, conn: &mut Conn, session: Option<&Session>) -> io::Result<()> {
    if machine.out().is_empty() {
        return Ok(());
    }
    if let Some(session) = session
        && let Err(error) = session.store.durable(&session.account).await
    {
        crate::failure::log(&error);
        machine.break_off(&Code::Unavailable, &error.client_text());
    }
    crate::pump::send(machine.out(), conn).await
}
