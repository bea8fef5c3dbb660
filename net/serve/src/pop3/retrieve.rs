//! RETR and TOP: a message in pieces, no faster than the client takes them.

use super::session::{Link, Session, fixed, refuse, removed};
use crate::failure;
use crate::metrics;
use skein_base::Uid;
use skein_base::limits::BODY_CHUNK_BYTES;
use skein_proto::pop3::Reply;
use skein_store::StoreError;
use std::io;
use std::ops::Range;

/// Bytes read at once for TOP, which mostly wants a header and a few lines.
const TOP_PIECE_BYTES: u64 = 16 * 1024;

impl Session {
    /// Answers with a message, or with its header and `lines` of its text.
    pub(super) async fn retrieve(&mut self, number: u32, lines: Option<u32>, link: &mut Link<'_>) -> io::Result<()> {
        let (uid, columns) = match self.find(number) {
            Ok(found) => found,
            Err(refusal) => {
                link.machine.answer(refusal);
                return Ok(());
            }
        };
        let bytes = u64::from(columns.body.bytes);
        let piece_bytes = if lines.is_some() { TOP_PIECE_BYTES } else { BODY_CHUNK_BYTES as u64 };
        let mut piece = match self.read(uid, 0..bytes.min(piece_bytes)).await {
            Ok(piece) => piece,
            Err(_) if !self.look(|inbox| inbox.rows().find(uid).is_some()) => {
                link.machine.answer(removed(number));
                return Ok(());
            }
            Err(error) => {
                link.machine.answer(refuse(&error));
                return Ok(());
            }
        };
        link.machine.answer(Reply::Message { bytes: columns.size.into() });
        let mut at = 0;
        loop {
            at += piece.len() as u64;
            if !link.machine.body(&piece) || at >= bytes {
                break;
            }
            link.drain_if_full(self).await?;
            // The message is half with the client: it gets the rest, or no end that it could take for the message's.
            piece = self.read(uid, at..bytes.min(at + piece_bytes)).await.map_err(broken)?;
            if piece.is_empty() {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
        link.machine.end();
        if lines.is_none() {
            metrics::POP3_RETRIEVED.add(1);
            self.retrieved(number, uid);
        }
        link.drain_if_full(self).await
    }

    /// Bytes of a message, from where they are now: a slow client may take longer than mail stays in one place.
    async fn read(&self, uid: Uid, range: Range<u64>) -> Result<Vec<u8>, StoreError> {
        let message = self.look(|inbox| fixed(inbox, self.view, uid));
        self.store.read_body(&self.account, &message, range).await
    }
}

fn broken(error: StoreError) -> io::Error {
    failure::log(&error);
    io::Error::other("a message could not be read to its end")
}
