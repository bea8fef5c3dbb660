//! A body on its way back.

use super::write::{Extent, decode_extents};
use super::{BodyAddr, Place};
use crate::log::{Log, ReadError, RecordKind};
use skein_base::LogPos;
use skein_base::seam::Disk;
use std::ops::Range;

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
    /// Bytes of a message; what lies past its end is left out. A range that is the whole of a record is checked
    /// against its checksum, a part is not.
    ///
    /// # Errors
    /// Gone, damaged, or the disk failed.
    pub async fn read_body(&self, addr: &BodyAddr, range: Range<u64>) -> Result<Vec<u8>, ReadError> {
        let (record, range) = (addr.record()?, addr.cut(range));
        if range.is_empty() {
            return Ok(Vec::new());
        }
        if addr.chunked {
            return self.read_chunks(addr, range).await;
        }
        if range != (0..u64::from(addr.bytes)) {
            return self.read_part(record, range).await;
        }
        let mut payload = self.checked(record, RecordKind::Body, addr).await?;
        payload.truncate(addr.bytes as usize);
        Ok(payload)
    }

    /// The same at once and unchecked, when all of it is in the page cache; `None` when it might not be, and for
    /// messages in chunks.
    pub fn read_body_cached(&self, addr: &BodyAddr, range: Range<u64>) -> Option<Vec<u8>> {
        let (record, range) = (addr.record().ok()?, addr.cut(range));
        if range.is_empty() {
            return Some(Vec::new());
        }
        if addr.chunked {
            return None;
        }
        self.read_part_cached(record, range)
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

    /// The same at once and unchecked, when it is in the page cache; `None` when it might not be, and for messages in
    /// chunks.
    pub fn read_body_cache_cached(&self, addr: &BodyAddr) -> Option<Vec<u8>> {
        let record = addr.record().ok().filter(|_| !addr.chunked)?;
        let start = u64::from(addr.bytes);
        self.read_part_cached(record, start..start + u64::from(addr.cache_bytes))
    }

    /// The payload of a body's record, of the kind and length its address says.
    async fn checked(&self, at: LogPos, kind: RecordKind, addr: &BodyAddr) -> Result<Vec<u8>, ReadError> {
        let (header, payload) = self.read(at).await?;
        let whole = u64::from(addr.bytes) + u64::from(addr.cache_bytes);
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
        if range != (0..u64::from(extent.bytes)) {
            return self.read_part(extent.record, range).await;
        }
        let (header, payload) = self.read(extent.record).await?;
        if header.kind == RecordKind::BodyChunk && header.len == extent.bytes {
            return Ok(payload);
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
