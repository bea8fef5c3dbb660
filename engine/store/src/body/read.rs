//! A body on its way back.

use super::write::{Extent, decode_extents};
use super::{BodyAddr, Place};
use crate::log::{Log, ReadError, RecordKind};
use skein_base::LogPos;
use skein_base::seam::Disk;
use std::ops::Range;

/// Bytes read at once on the word of an address: a chunk and its cache are below it.
const EXPECTED_BYTES_MAX: u64 = 2 * skein_base::limits::BODY_CHUNK_BYTES as u64;

fn part(mut bytes: Vec<u8>, range: &Range<u64>) -> Vec<u8> {
    bytes.truncate(range.end as usize);
    bytes.drain(..range.start as usize);
    bytes
}

impl BodyAddr {
    fn record(&self) -> Result<LogPos, ReadError> {
        match self.place {
            Place::Log(segment) => Ok(LogPos { segment, offset: self.offset }),
            Place::Pack(_) | Place::Object(_) => Err(ReadError::Unsupported),
        }
    }

    /// The range cut to the message.
    fn cut(&self, range: Range<u64>) -> Range<u64> {
        let end = range.end.min(u64::from(self.bytes));
        range.start.min(end)..end
    }
}

impl<D: Disk> Log<D> {
    /// Bytes of a message, checked; what lies past its end is left out.
    ///
    /// # Errors
    /// Gone, damaged, or the disk failed.
    pub async fn read_body(&self, addr: &BodyAddr, range: Range<u64>) -> Result<Vec<u8>, ReadError> {
        let (record, range) = (addr.record()?, addr.cut(range));
        // That a message is empty is for its record to say.
        if range.is_empty() && addr.bytes > 0 {
            return Ok(Vec::new());
        }
        if addr.chunked {
            return self.read_chunks(addr, range).await;
        }
        let payload = self.checked(record, RecordKind::Body, addr).await?;
        Ok(part(payload, &range))
    }

    /// The same at once, when all of it is in the page cache; `None` when it might not be, when it does not check, and for messages
    /// in chunks.
    pub fn read_body_cached(&self, addr: &BodyAddr, range: Range<u64>) -> Option<Vec<u8>> {
        let range = addr.cut(range);
        if range.is_empty() && addr.bytes > 0 {
            return Some(Vec::new());
        }
        Some(part(self.payload_cached(addr)?, &range))
    }

    /// A message and its rendered cache, both checked.
    ///
    /// # Errors
    /// Gone, damaged, or the disk failed.
    pub async fn read_whole(&self, addr: &BodyAddr) -> Result<(Vec<u8>, Vec<u8>), ReadError> {
        if addr.chunked {
            return Ok((self.read_body(addr, 0..u64::from(addr.bytes)).await?, self.read_body_cache(addr).await?));
        }
        let mut message = self.checked(addr.record()?, RecordKind::Body, addr).await?;
        let cache = message.split_off(addr.bytes as usize);
        Ok((message, cache))
    }

    /// The rendered cache, checked with its record. For rebuilding snapshots; sessions read the cache there.
    ///
    /// # Errors
    /// Gone, damaged, or the disk failed.
    pub async fn read_body_cache(&self, addr: &BodyAddr) -> Result<Vec<u8>, ReadError> {
        let kind = if addr.chunked { RecordKind::BodyIndex } else { RecordKind::Body };
        let mut payload = self.checked(addr.record()?, kind, addr).await?;
        payload.drain(..payload.len() - addr.cache_bytes as usize);
        Ok(payload)
    }

    /// The same at once, when it is in the page cache; `None` when it might not be, when it does not check, and for messages in
    /// chunks.
    pub fn read_body_cache_cached(&self, addr: &BodyAddr) -> Option<Vec<u8>> {
        let mut payload = self.payload_cached(addr)?;
        payload.drain(..addr.bytes as usize);
        Some(payload)
    }

    fn payload_cached(&self, addr: &BodyAddr) -> Option<Vec<u8>> {
        let record = addr.record().ok().filter(|_| !addr.chunked)?;
        let whole = addr.bytes as usize + addr.cache_bytes as usize;
        let (header, payload) = self.read_cached(record, whole)?;
        (header.kind == RecordKind::Body && payload.len() == whole).then_some(payload)
    }

    /// The payload of a body's record, of the kind and length its address says.
    async fn checked(&self, at: LogPos, kind: RecordKind, addr: &BodyAddr) -> Result<Vec<u8>, ReadError> {
        let whole = u64::from(addr.bytes) + u64::from(addr.cache_bytes);
        let expected = if kind == RecordKind::Body { whole.min(EXPECTED_BYTES_MAX) } else { 0 };
        let (header, payload) = self.read_expecting(at, expected as usize).await?;
        let fits = match kind {
            RecordKind::Body => payload.len() as u64 == whole,
            _ => payload.len() >= addr.cache_bytes as usize,
        };
        if header.kind == kind && fits { Ok(payload) } else { Err(ReadError::Damaged { at }) }
    }

    /// Where the pieces of a message in chunks are, and its rendered cache.
    ///
    /// # Errors
    /// Gone, damaged, or the disk failed.
    pub async fn pieces(&self, addr: &BodyAddr) -> Result<(Vec<Extent>, Vec<u8>), ReadError> {
        Ok((self.extents(addr).await?, self.read_body_cache(addr).await?))
    }

    /// One of the pieces, checked.
    ///
    /// # Errors
    /// Gone, damaged, or the disk failed.
    pub async fn read_piece(&self, piece: Extent) -> Result<Vec<u8>, ReadError> {
        self.read_chunk(piece, 0..u64::from(piece.bytes)).await
    }

    async fn read_chunks(&self, addr: &BodyAddr, range: Range<u64>) -> Result<Vec<u8>, ReadError> {
        let mut out = Vec::with_capacity((range.end - range.start) as usize);
        let mut start = 0;
        for extent in self.extents(addr).await? {
            let end = start + u64::from(extent.bytes);
            let (from, to) = (range.start.max(start), range.end.min(end));
            if from < to {
                out.extend_from_slice(&self.read_chunk(extent, from - start..to - start).await?);
            }
            start = end;
        }
        Ok(out)
    }

    async fn read_chunk(&self, extent: Extent, range: Range<u64>) -> Result<Vec<u8>, ReadError> {
        let expected = u64::from(extent.bytes).min(EXPECTED_BYTES_MAX) as usize;
        let (header, payload) = self.read_expecting(extent.record, expected).await?;
        if header.kind == RecordKind::BodyChunk && header.len == extent.bytes {
            return Ok(part(payload, &range));
        }
        Err(ReadError::Damaged { at: extent.record })
    }

    async fn extents(&self, addr: &BodyAddr) -> Result<Vec<Extent>, ReadError> {
        let at = addr.record()?;
        let payload = self.checked(at, RecordKind::BodyIndex, addr).await?;
        let table = &payload[..payload.len() - addr.cache_bytes as usize];
        decode_extents(table, addr.bytes).ok_or(ReadError::Damaged { at })
    }
}
