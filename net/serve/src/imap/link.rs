//! The way to the client while a request is open: the machine's output buffer and the socket behind it.

use super::guest::Piece;
use super::progress::Progress;
use super::session::Session;
use skein_base::limits::OUTPUT_BYTES_WATERMARK;
use skein_proto::imap::response::{self, Names};
use skein_proto::imap::{Code, Imap};
use skein_transport::Conn;
use std::io;

/// What lies between a session and its client, lent for one request.
pub(crate) struct Link<'a> {
    way: Way<'a>,
    drains: u64,
    /// How far the request is.
    pub(super) progress: Progress,
}

enum Way<'a> {
    /// Machine and socket.
    Client { machine: &'a mut Imap, conn: &'a mut Conn },
    /// The client's own session on another shard.
    Lane(&'a mut Lane),
}

/// The client as a guest must know it.
#[derive(Clone)]
pub(super) struct Asking {
    /// The tag of its command.
    pub tag: Vec<u8>,
    /// What it has enabled.
    pub condstore: bool,
    pub qresync: bool,
    pub uid_only: bool,
    pub names: Names,
}

/// The way from a guest to the session that asks for its client.
pub(super) struct Lane {
    pub out: Vec<u8>,
    pub client: Asking,
    pub to: flume::Sender<Piece>,
}

impl<'a> Link<'a> {
    pub fn new(machine: &'a mut Imap, conn: &'a mut Conn) -> Link<'a> {
        Link { way: Way::Client { machine, conn }, drains: 0, progress: Progress::default() }
    }

    /// From a guest.
    pub(super) fn over(lane: &'a mut Lane) -> Link<'a> {
        Link { way: Way::Lane(lane), drains: 0, progress: Progress::default() }
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
            Way::Lane(lane) => lane.client.condstore,
        }
    }

    /// QRESYNC is enabled.
    pub fn qresync(&self) -> bool {
        match &self.way {
            Way::Client { machine, .. } => machine.qresync(),
            Way::Lane(lane) => lane.client.qresync,
        }
    }

    /// UIDONLY is enabled.
    pub fn uid_only(&self) -> bool {
        match &self.way {
            Way::Client { machine, .. } => machine.uid_only(),
            Way::Lane(lane) => lane.client.uid_only,
        }
    }

    /// How mailbox names are written.
    pub fn names(&self) -> Names {
        match &self.way {
            Way::Client { machine, .. } => machine.names(),
            Way::Lane(lane) => lane.client.names,
        }
    }

    /// The client, for a guest who does something for it.
    pub(super) fn asking(&self) -> Asking {
        match &self.way {
            Way::Client { machine, .. } => Asking {
                tag: machine.tag().to_vec(),
                condstore: machine.condstore(),
                qresync: machine.qresync(),
                uid_only: machine.uid_only(),
                names: machine.names(),
            },
            Way::Lane(lane) => lane.client.clone(),
        }
    }

    /// `* OK [INPROGRESS ..]`
    pub(super) fn write_progress(&mut self, done: u32, goal: Option<u32>) {
        let tag = self.asking().tag;
        response::in_progress(self.out(), &tag, done, goal);
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
            Way::Lane(lane) => lane.send(session, Piece::Lines).await,
        }
    }

    /// Sends what there is at once.
    ///
    /// # Errors
    /// As of [`Link::drain_if_full`].
    pub async fn push(&mut self, session: &Session) -> io::Result<()> {
        self.drains += 1;
        match &mut self.way {
            Way::Client { machine, conn } => flush(machine, conn, Some(session)).await,
            Way::Lane(lane) => lane.send(session, Piece::Pushed).await,
        }
    }
}

impl Lane {
    /// Passes on what there is, once it is durable.
    async fn send(&mut self, session: &Session, piece: fn(Vec<u8>) -> Piece) -> io::Result<()> {
        if let Err(error) = session.store.durable(&session.account).await {
            crate::failure::log(&error);
            return Err(io::ErrorKind::Other.into());
        }
        let lines = std::mem::take(&mut self.out);
        self.to.send_async(piece(lines)).await.map_err(|_| io::ErrorKind::BrokenPipe.into())
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
