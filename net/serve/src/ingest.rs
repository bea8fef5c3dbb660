//! A message on its way in: line ends made CRLF, bytes into the log as they come, its cache rendered at the end.
//!
//! A slow sender costs one chunk of memory, however large the message: what is over a chunk is in the log already and is
//! read back, when all is there, for the moment that rendering takes. So many bytes of a shard at once, and no more, are.

use crate::Store;
use crate::metrics;
use skein_base::limits::BODY_CHUNK_BYTES;
use skein_base::line_ends::Crlf;
use skein_mime::{Cache, StrayNul, without_binary};
use skein_runtime::{RealDisk, spawn_blocking};
use skein_store::StoreError;
use skein_store::body::{BodyAddr, BodyWriter, Spilled};
use skein_store::log::LogError;

/// Messages above this are rendered off the shard: a megabyte takes about a millisecond.
const RENDER_HERE_BYTES_MAX: u64 = 512 * 1024;

/// A message being received.
pub(crate) struct Ingest {
    writer: BodyWriter<RealDisk>,
    crlf: Crlf,
    bytes_max: u64,
    /// Some of it came as it is, and may be binary.
    binary: bool,
}

/// Why a message that may be binary is not taken.
pub(crate) enum Unencodable {
    Store(StoreError),
    StrayNul,
}

impl<E: Into<StoreError>> From<E> for Unencodable {
    fn from(error: E) -> Unencodable {
        Unencodable::Store(error.into())
    }
}

/// A message that is all there, with its cache; one call from the log.
pub(crate) struct Received {
    writer: BodyWriter<RealDisk>,
    cache: Vec<u8>,
}

impl Ingest {
    pub fn new(store: &Store, bytes_max: u64) -> Ingest {
        let writer = BodyWriter::new(store.log());
        Ingest { writer, crlf: Crlf::new(), bytes_max, binary: false }
    }

    /// Bytes taken so far.
    pub fn bytes(&self) -> u64 {
        self.writer.bytes()
    }

    /// Takes the next bytes.
    ///
    /// # Errors
    /// Too big with its line ends made CRLF, or the log refuses.
    pub async fn push(&mut self, bytes: &[u8]) -> Result<(), StoreError> {
        let mut spare = Vec::new();
        let normal = self.crlf.normal(bytes, &mut spare);
        self.push_crlf(normal).await
    }

    /// Takes the next bytes, of which somebody has made CRLF of every line end already: no second look.
    ///
    /// # Errors
    /// As [`Ingest::push`].
    pub async fn push_crlf(&mut self, bytes: &[u8]) -> Result<(), StoreError> {
        self.fits(bytes.len())?;
        Ok(self.writer.push(bytes).await?)
    }

    /// Takes the next bytes as they are: those of a literal8. [`Ingest::encoded`] comes before the end then.
    ///
    /// # Errors
    /// As [`Ingest::push`].
    pub async fn push_binary(&mut self, bytes: &[u8]) -> Result<(), StoreError> {
        self.binary = true;
        self.fits(bytes.len())?;
        Ok(self.writer.push(bytes).await?)
    }

    /// Bare line feeds may double a message, and base64 adds a third; the limit speaks of what the sender sent.
    fn fits(&self, more: usize) -> Result<(), StoreError> {
        let total = self.writer.bytes() + more as u64;
        match total > self.bytes_max.saturating_mul(2).min(skein_base::limits::MESSAGE_BYTES_MAX_CEILING) {
            true => Err(LogError::TooBig { bytes: total as usize, max: self.bytes_max as usize }.into()),
            false => Ok(()),
        }
    }

    /// The message with its binary parts encoded, when it may have any.
    ///
    /// # Errors
    /// It has a NUL elsewhere, or the log refuses.
    pub async fn encoded(self, store: &Store) -> Result<Ingest, Unencodable> {
        if !self.binary {
            return Ok(self);
        }
        let (whole, _permit) = self.writer.read_back().await?;
        let encode = move || without_binary(&whole).map(std::borrow::Cow::into_owned);
        let encoded = match self.writer.bytes() <= RENDER_HERE_BYTES_MAX {
            true => encode(),
            // One that no reader survives is kept out.
            false => spawn_blocking(encode).await.unwrap_or(Err(StrayNul)),
        };
        let encoded = encoded.map_err(|StrayNul| Unencodable::StrayNul)?;
        let mut ingest = Ingest::new(store, self.bytes_max);
        for piece in encoded.chunks(BODY_CHUNK_BYTES) {
            ingest.push(piece).await?;
        }
        Ok(ingest)
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
        count(addr);
        Ok(addr)
    }

    /// Bytes of memory that it takes.
    pub fn held_bytes(&self) -> usize {
        self.writer.held_bytes() + self.cache.capacity()
    }

    /// Puts it into the log, where it is kept until the op that names it follows.
    ///
    /// # Errors
    /// The log refuses.
    pub fn spill(self) -> Result<Spilled<RealDisk>, StoreError> {
        let spilled = self.writer.spill(&self.cache)?;
        count(spilled.addr());
        Ok(spilled)
    }
}

fn count(addr: BodyAddr) {
    metrics::MESSAGES_TAKEN.add(1);
    metrics::MESSAGES_TAKEN_BYTES.add(u64::from(addr.bytes));
}
