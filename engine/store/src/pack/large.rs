//! A message too large to be held at once, into a pack a frame at a time.

use super::Packed;
use super::append::{Appender, compress};
use super::format::{self, ALIGN, ENTRY_HEADER_BYTES, Encoding, EntryHeader};
use crate::body::BodyAddr;
use skein_base::seam::Disk;
use std::io;

/// An entry that is being written, its header last: half of it reads as nothing. Dropped, its bytes are written over.
pub(crate) struct Growing {
    packed: Packed,
    bytes: u32,
    cache_bytes: u32,
    /// Where its header will be in the pack.
    offset: u64,
    lengths: Vec<u8>,
    keywords: Vec<u8>,
    encoding: Encoding,
    /// Bytes of the frames so far, and their CRC32C.
    frame_bytes: u64,
    crc: u32,
}

/// One piece of a message, or its cache, as it lies in a pack.
pub(crate) struct LargeFrame {
    pub(super) encoding: Encoding,
    pub(super) bytes: Vec<u8>,
}

impl LargeFrame {
    /// Compresses, which takes some milliseconds. Whether that pays or not, the frame has its own check.
    ///
    /// # Errors
    /// No memory for it.
    pub fn new(piece: &[u8]) -> io::Result<LargeFrame> {
        let bytes = compress(piece, None).ok_or(io::ErrorKind::OutOfMemory)?;
        Ok(LargeFrame { encoding: Encoding::Zstd, bytes })
    }

    /// As it lies there.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }
}

impl Growing {
    /// Bytes of the frame lengths and the keywords, which stand between the header and the frames.
    fn front_bytes(&self) -> u64 {
        4 * (format::frames_of(self.bytes) as u64 + 1) + self.keywords.len() as u64
    }

    fn end(&self) -> u64 {
        self.offset + ENTRY_HEADER_BYTES as u64 + self.front_bytes() + self.frame_bytes
    }

    /// CRC32C of what the header counts as payload.
    pub fn payload_crc(&self) -> u32 {
        let front = crc32c::crc32c_append(crc32c::crc32c(&self.lengths), &self.keywords);
        crc32c::crc32c_combine(front, self.crc, self.frame_bytes as usize)
    }

    /// The header, and what follows it up to the first frame.
    fn head(self) -> (EntryHeader, Vec<u8>) {
        let (payload_crc, front) = (self.payload_crc(), [&self.lengths[..], &self.keywords].concat());
        let header = EntryHeader {
            payload_bytes: front.len() as u32 + self.frame_bytes as u32,
            encoding: self.encoding,
            bytes: self.bytes,
            cache_bytes: self.cache_bytes,
            keyword_bytes: self.keywords.len() as u32,
            payload_crc,
            packed: self.packed,
        };
        (header, front)
    }
}

impl<D: Disk> Appender<'_, D> {
    /// Begins a message of `bytes` with a cache of `cache_bytes`, in frames of such an encoding. Nothing else is appended before it is closed or dropped.
    ///
    /// # Errors
    /// The disk failed.
    pub async fn grow(
        &mut self,
        packed: Packed,
        bytes: u32,
        cache_bytes: u32,
        encoding: Encoding,
    ) -> io::Result<Growing> {
        let offset = self.flushed(encoding.version()).await?;
        let keywords = format::encode_keywords(&packed.keywords);
        let (lengths, frame_bytes, crc) = (Vec::new(), 0, 0);
        Ok(Growing { packed, bytes, cache_bytes, offset, lengths, keywords, encoding, frame_bytes, crc })
    }

    /// Writes the next piece of it.
    ///
    /// # Errors
    /// The disk failed.
    pub async fn extend(&mut self, growing: &mut Growing, frame: LargeFrame) -> io::Result<()> {
        debug_assert_eq!(growing.encoding, frame.encoding);
        growing.lengths.extend_from_slice(&(frame.bytes.len() as u32).to_le_bytes());
        growing.crc = crc32c::crc32c_append(growing.crc, &frame.bytes);
        let (at, len) = (growing.end(), frame.bytes.len() as u64);
        self.write_at(at, frame.bytes).await?;
        growing.frame_bytes += len;
        Ok(())
    }

    /// Writes its header; the message's address from now on, as [`Appender::push`] gives one.
    ///
    /// # Errors
    /// The disk failed.
    pub async fn close(&mut self, growing: Growing) -> io::Result<BodyAddr> {
        let (offset, end) = (growing.offset, growing.end());
        debug_assert_eq!(growing.lengths.len(), 4 * (format::frames_of(growing.bytes) + 1), "a frame for each piece");
        let (header, front) = growing.head();
        let padding = end.next_multiple_of(ALIGN) - end;
        if padding > 0 {
            self.write_at(end, vec![0; padding as usize]).await?;
        }
        let head = [&header.encode(self.pack_header(), offset)[..], &front].concat();
        self.write_at(offset, head).await?;
        Ok(self.advance(&header, offset))
    }
}
