//! A body on its way into the log.

use super::{BodyAddr, Place};
use crate::log::{Log, LogError, ReadError, RecordKind, SegmentPin};
use skein_base::limits::BODY_CHUNK_BYTES;
use skein_base::seam::Disk;
use skein_base::sync::Permit;
use skein_base::{AccountId, LogPos};

/// Bodies belong to no account: the messages of several may share one.
const NOBODY: AccountId = AccountId([0; 16]);

/// Takes a message in pieces of any size and puts it into the log. Holds at most one chunk in memory. Dropped before
/// [`BodyWriter::finish`], what it wrote is dead weight in the log and goes with the segment.
pub struct BodyWriter<D: Disk> {
    log: Log<D>,
    /// What came since the last full chunk.
    chunk: Vec<u8>,
    extents: Vec<Extent>,
    /// Its first chunk's segment stays until an op can name it.
    pin: Option<SegmentPin<D>>,
    bytes: u64,
    /// Failures of the log before this; one later may have lost a chunk.
    failures: usize,
}

/// A message that is in the log, and that no op names yet. The log keeps it for as long as this lives.
pub struct Spilled<D: Disk> {
    addr: BodyAddr,
    _pin: SegmentPin<D>,
}

impl<D: Disk> Spilled<D> {
    /// Where it is.
    pub fn addr(&self) -> BodyAddr {
        self.addr
    }
}

/// Where one chunk is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Extent {
    /// Start of the record.
    pub record: LogPos,
    /// Bytes of its payload.
    pub bytes: u32,
}

/// Bytes of one row of the table of extents.
pub(super) const EXTENT_BYTES: usize = 24;

impl<D: Disk> BodyWriter<D> {
    /// A message of no bytes yet.
    pub fn new(log: &Log<D>) -> BodyWriter<D> {
        let failures = log.failures();
        BodyWriter { log: log.clone(), chunk: Vec::new(), extents: Vec::new(), pin: None, bytes: 0, failures }
    }

    /// Takes more bytes. Waits for the log's room whenever a chunk is full.
    ///
    /// # Errors
    /// Too big for 32 bits of size, or the log refuses.
    pub async fn push(&mut self, mut bytes: &[u8]) -> Result<(), LogError> {
        self.bytes += bytes.len() as u64;
        if self.bytes > u64::from(u32::MAX) {
            return Err(LogError::TooBig { bytes: self.bytes as usize, max: u32::MAX as usize });
        }
        while self.chunk.len() + bytes.len() > BODY_CHUNK_BYTES {
            let (now, later) = bytes.split_at(BODY_CHUNK_BYTES - self.chunk.len());
            self.chunk.extend_from_slice(now);
            bytes = later;
            self.turn().await?;
            self.flush()?;
        }
        self.chunk.extend_from_slice(bytes);
        Ok(())
    }

    /// Waits for the log's room, and for its own last chunk to be safe: what others of the shard append meanwhile has one chunk of this message
    /// before it, not as many as there is room for.
    async fn turn(&self) -> Result<(), LogError> {
        if let Some(last) = self.extents.last() {
            self.log.durable(LogPos { offset: last.record.offset + 1, ..last.record }).await?;
        }
        self.log.room().await
    }

    /// Bytes taken so far.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// The whole message, as long as it is within one chunk.
    pub fn whole(&self) -> Option<&[u8]> {
        self.extents.is_empty().then_some(&self.chunk[..])
    }

    /// The whole message again, from memory and from the chunks that are in the log already. Waits while others of the shard hold
    /// [`WHOLE_BYTES_MAX`](crate::log::WHOLE_BYTES_MAX); the permit is kept as long as the bytes are.
    ///
    /// # Errors
    /// A chunk does not read back.
    pub async fn read_back(&self) -> Result<(Vec<u8>, Permit), ReadError> {
        let permit = self.log.whole_turn(self.bytes).await;
        let mut whole = Vec::with_capacity(self.bytes as usize);
        for extent in &self.extents {
            whole.extend_from_slice(&self.log.read(extent.record).await?.1);
        }
        whole.extend_from_slice(&self.chunk);
        Ok((whole, permit))
    }

    /// Waits for the log's room, as is polite before [`BodyWriter::finish`].
    ///
    /// # Errors
    /// The log refuses.
    pub async fn room(&self) -> Result<(), LogError> {
        self.log.room().await
    }

    /// Appends what is left together with the rendered cache. At once, so that the op that names the address can
    /// follow without an await between; wait for [`Log::room`] before. Durable with anything appended later.
    ///
    /// # Errors
    /// The cache is too big, or the log refuses.
    pub fn finish(mut self, cache: &[u8]) -> Result<BodyAddr, LogError> {
        self.all_is_kept()?;
        let chunked = !self.extents.is_empty();
        let record = if chunked {
            self.flush()?;
            self.log.append(NOBODY, RecordKind::BodyIndex, &[&encode_extents(&self.extents), cache])?
        } else {
            self.log.append(NOBODY, RecordKind::Body, &[&self.chunk, cache])?
        };
        Ok(BodyAddr {
            place: Place::Log(record.start.segment),
            offset: record.start.offset,
            bytes: self.bytes as u32,
            cache_bytes: cache.len() as u32,
            stored: 0,
            chunked,
        })
    }

    /// Bytes of memory that it holds.
    pub fn held_bytes(&self) -> usize {
        self.chunk.capacity()
    }

    /// The same as [`BodyWriter::finish`] for a message whose op comes later. That a failure of the log has not lost it
    /// meanwhile is looked at when the op is committed.
    ///
    /// # Errors
    /// The cache is too big, or the log refuses.
    pub fn spill(mut self, cache: &[u8]) -> Result<Spilled<D>, LogError> {
        let (log, first) = (self.log.clone(), self.pin.take());
        let addr = self.finish(cache)?;
        let pin = match (first, addr.place) {
            (Some(pin), _) => pin,
            (None, Place::Log(segment)) => log.pin(segment),
            (None, place) => unreachable!("{place:?} is not the log"),
        };
        Ok(Spilled { addr, _pin: pin })
    }

    /// Whether the chunks in the log are, or may still become, safe.
    fn all_is_kept(&self) -> Result<(), LogError> {
        if self.failures == self.log.failures() {
            return Ok(());
        }
        let ends = self.extents.iter().map(|e| LogPos { offset: e.record.offset + 1, ..e.record });
        ends.filter_map(|end| self.log.lost(end)).next().map_or(Ok(()), Err)
    }

    fn flush(&mut self) -> Result<(), LogError> {
        self.all_is_kept()?;
        let at = self.log.append(NOBODY, RecordKind::BodyChunk, &[&self.chunk])?;
        self.pin.get_or_insert_with(|| self.log.pin(at.start.segment));
        self.extents.push(Extent { record: at.start, bytes: self.chunk.len() as u32 });
        self.chunk.clear();
        Ok(())
    }
}

fn encode_extents(extents: &[Extent]) -> Vec<u8> {
    let mut out = Vec::with_capacity(EXTENT_BYTES * extents.len());
    for extent in extents {
        out.extend_from_slice(&extent.record.segment.to_le_bytes());
        out.extend_from_slice(&extent.record.offset.to_le_bytes());
        out.extend_from_slice(&u64::from(extent.bytes).to_le_bytes());
    }
    out
}

/// Reads what [`encode_extents`] wrote for a message of `total` bytes.
pub(super) fn decode_extents(table: &[u8], total: u32) -> Option<Vec<Extent>> {
    let word = |row: &[u8], at: usize| u64::from_le_bytes(row[at..at + 8].try_into().expect("8 bytes"));
    let extents = table.chunks(EXTENT_BYTES).map(|row| {
        let bytes = (row.len() == EXTENT_BYTES).then(|| u32::try_from(word(row, 16)).ok())??;
        Some(Extent { record: LogPos { segment: word(row, 0), offset: word(row, 8) }, bytes })
    });
    let extents = extents.collect::<Option<Vec<_>>>()?;
    let sum: u64 = extents.iter().map(|e| u64::from(e.bytes)).sum();
    (sum == u64::from(total)).then_some(extents)
}
