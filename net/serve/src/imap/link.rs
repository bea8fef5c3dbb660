//! The way to the client while a request is open: the machine's output buffer and the socket behind it.

use super::session::Session;
use skein_base::limits::OUTPUT_BYTES_WATERMARK;
use skein_proto::imap::{Code, Imap};
use skein_transport::Conn;
use std::io;

/// Machine and socket, lent to a session for one request.
pub(crate) struct Link<'a> {
    machine: &'a mut Imap,
    conn: &'a mut Conn,
    drains: u64,
}

impl<'a> Link<'a> {
    pub fn new(machine: &'a mut Imap, conn: &'a mut Conn) -> Link<'a> {
        Link { machine, conn, drains: 0 }
    }

    /// Where untagged lines go.
    pub fn out(&mut self) -> &mut Vec<u8> {
        self.machine.out()
    }

    /// CONDSTORE is enabled.
    pub fn condstore(&self) -> bool {
        self.machine.condstore()
    }

    /// QRESYNC is enabled.
    pub fn qresync(&self) -> bool {
        self.machine.qresync()
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
        if self.machine.out().len() < OUTPUT_BYTES_WATERMARK {
            return Ok(());
        }
        self.drains += 1;
        flush(self.machine, self.conn, Some(session)).await
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
