//! A message on its way in: line ends made CRLF, bytes into the log as they come, its cache rendered at the end.
//!
//! A slow sender costs one chunk of memory, however large the message: what is over a chunk is in the log already and is
//! read back, when all is there, for the moment that rendering takes. So many bytes of a shard at once, and no more, are.

use crate::Store;
use crate::metrics;
use skein_base::limits::BODY_CHUNK_BYTES;
use skein_mime::{Cache, Crlf};
use skein_runtime::{RealDisk, spawn_blocking};
use skein_store::StoreError;
use skein_store::body::{BodyAddr, BodyWriter};
use skein_store::log::LogError;

/// Messages above this are rendered off the shard: a megabyte takes about a millisecond.
const RENDER_HERE_BYTES_MAX: u64 = 512 * 1024;

/// A message being received.
pub(crate) struct Ingest {
    writer: BodyWriter<RealDisk>,
    crlf: Crlf,
    /// Line ends made CRLF; reused from chunk to chunk.
    normal: Vec<u8>,
    bytes_max: u64,
}

/// A message that is all there, with its cache; one call from the log.
pub(crate) struct Received {
    writer: BodyWriter<RealDisk>,
    cache: Vec<u8>,
}

impl Ingest {
    pub fn new(store: &Store, bytes_max: u64) -> Ingest {
        Ingest { writer: BodyWriter::new(store.log()), crlf: Crlf::new(), normal: Vec::new(), bytes_max }
    }

    /// Takes the next bytes.
    ///
    /// # Errors
    /// Too big with its line ends made CRLF, or the log refuses.
    pub async fn push(&mut self, bytes: &[u8]) -> Result<(), StoreError> {
        self.normal.clear();
        self.crlf.push(bytes, &mut self.normal);
        let total = self.writer.bytes() + self.normal.len() as u64;
        // Bare line feeds may double a message; the limit speaks of what the sender sent.
        if total > self.bytes_max.saturating_mul(2).min(skein_base::limits::MESSAGE_BYTES_MAX_CEILING) {
            return Err(LogError::TooBig { bytes: total as usize, max: self.bytes_max as usize }.into());
        }
        self.writer.push(&self.normal).await?;
        if self.normal.capacity() > BODY_CHUNK_BYTES {
            self.normal = Vec::new();
        }
        Ok(())
    }

    /// All bytes have come: renders the cache and waits for the log's room.
    ///
    /// # Errors
    /// The log refuses, or what it holds does not read back.
    pub async fn finish(self) -> Result<Received, StoreError> {
        let cache = match self.writer.whole() {
            Some(whole) if whole.len() as u64 <= RENDER_HERE_BYTES_MAX => Cache::build(whole),
            _ => {
                let (whole, _permit) = self.writer.read_back().await?;
                let built = spawn_blocking(move || Cache::build(&whole)).await;
                // A message that no renderer survives is still mail: it is kept without a cache.
                built.unwrap_or_default()
            }
        };
        self.writer.room().await?;
        Ok(Received { writer: self.writer, cache })
    }
}

impl Received {
    /// Puts it into the log. At once, so that the op that names it follows with nothing between.
    ///
    /// # Errors
    /// The log refuses.
    pub fn log(self, _store: &Store) -> Result<BodyAddr, StoreError> {
        let addr = self.writer.finish(&self.cache)?;
        metrics::MESSAGES_TAKEN.add(1);
        metrics::MESSAGES_TAKEN_BYTES.add(u64::from(addr.bytes));
        Ok(addr)
    }
}
