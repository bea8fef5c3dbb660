//! A message on its way out of a pack.

use super::files::{Pack, PackFiles};
use super::format::{
    self, ALIGN, ENTRY_HEADER_BYTES, Encoding, EntryHeader, GroupHeader, Member, PACK_HEADER_BYTES, u32_at,
};
use super::{FRAME_BYTES, LargeFrame, Packed};
use crate::body::{BodyAddr, Place, STORED_BYTES_MAX};
use crate::dictionary::Dictionary;
use crate::log::ReadError;
use skein_base::seam::Disk;
use skein_base::{AccountId, Guid};
use std::cell::RefCell;
use std::ops::Range;
use std::path::Path;
use zstd::bulk::Decompressor;

/// Decompressors that a thread keeps.
const DECOMPRESSORS_MAX: usize = 4;

/// Bytes read at once when an entry's length is not yet known: most messages fit compressed.
const FIRST_READ_BYTES: usize = 16 * 1024;

/// The pack's number, where in it, and whose entry must be there: a pack that somebody took away and that was begun again can hold
/// another message of the same size in the same place.
pub(crate) type Whose<'a> = (u64, &'a BodyAddr, &'a Guid);

/// An entry with as much of its payload as one read brought.
pub(super) struct Opened<F> {
    pub pack: Pack<F>,
    pub offset: u64,
    pub header: EntryHeader,
    /// From the payload's first byte on.
    payload: Vec<u8>,
}

/// An entry whose frames come one after the other.
pub(crate) struct OpenEntry<F> {
    entry: Opened<F>,
    frames: std::vec::IntoIter<Frame>,
}

impl<F> OpenEntry<F> {
    /// Whether what came is what was written: told by the payload's CRC32C.
    ///
    /// # Errors
    /// It is not.
    pub fn check(&self, payload_crc: u32) -> Result<(), ReadError> {
        if payload_crc == self.entry.header.payload_crc { Ok(()) } else { Err(self.entry.damaged()) }
    }

    /// CRC32C of what stands before the first frame, to go on from.
    pub fn front_crc(&self) -> u32 {
        let Opened { header, payload, .. } = &self.entry;
        let front = header.table_bytes() + header.keyword_bytes as usize;
        crc32c::crc32c(payload.get(..front).unwrap_or_default())
    }

    /// How its frames are written.
    pub fn encoding(&self) -> Encoding {
        self.entry.header.encoding
    }

    /// What it says of its message.
    ///
    /// # Errors
    /// Its keywords can not be read.
    pub fn packed(&self) -> Result<Packed, ReadError> {
        self.entry.packed()
    }
}

/// Which frame, and where its bytes are in the payload.
struct Frame {
    at: u64,
    len: usize,
    /// What it is decompressed.
    bytes: usize,
}

impl<D: Disk> PackFiles<D> {
    /// Bytes of a message; what lies past its end is left out. Every frame touched is checked; an entry stored as it is has one check
    /// for all and is read whole, which is why only small ones are.
    ///
    /// # Errors
    /// Gone, damaged, or the disk failed.
    pub async fn read_body(
        &self,
        account: AccountId,
        folder: &Path,
        (number, addr, guid): Whose<'_>,
        range: Range<u64>,
    ) -> Result<Vec<u8>, ReadError> {
        let end = range.end.min(u64::from(addr.bytes));
        let range = range.start.min(end)..end;
        // That a message is empty is for its entry to say.
        if range.is_empty() && addr.bytes > 0 {
            return Ok(Vec::new());
        }
        let mut entry = self.entry(account, folder, (number, addr, guid)).await?;
        if entry.header.encoding == Encoding::Grouped {
            let member = self.member(account, &entry).await?;
            return Ok(member.message()?[range.start as usize..range.end as usize].to_vec());
        }
        if range == (0..u64::from(addr.bytes)) || entry.header.encoding == Encoding::Stored {
            self.fill(&mut entry).await?;
        }
        if range.is_empty() {
            return Ok(Vec::new());
        }
        let table = entry.table()?;
        let mut out = Vec::with_capacity((range.end - range.start) as usize);
        let (first, last) = (range.start / FRAME_BYTES as u64, (range.end - 1) / FRAME_BYTES as u64);
        for index in first..=last {
            let start = index * FRAME_BYTES as u64;
            let bytes = self.frame(&entry, &table[index as usize]).await?;
            let (from, to) = (range.start.max(start) - start, range.end.min(start + bytes.len() as u64) - start);
            out.extend_from_slice(bytes.get(from as usize..to as usize).ok_or(entry.damaged())?);
            if index < last {
                self.disk().breathe().await;
            }
        }
        Ok(out)
    }

    /// The same at once, when the message is in a group that is in memory.
    pub fn read_kept(&self, account: AccountId, whose: Whose<'_>, range: &Range<u64>) -> Option<Vec<u8>> {
        let kept = self.kept(account, whose)?;
        let message = kept.message().ok()?;
        let end = range.end.min(message.len() as u64);
        Some(message[range.start.min(end) as usize..end as usize].to_vec())
    }

    /// The rendered cache of a message.
    ///
    /// # Errors
    /// Gone, damaged, or the disk failed.
    pub async fn read_cache(
        &self,
        account: AccountId,
        folder: &Path,
        (number, addr, guid): Whose<'_>,
    ) -> Result<Vec<u8>, ReadError> {
        let mut entry = self.entry(account, folder, (number, addr, guid)).await?;
        match entry.header.encoding {
            Encoding::Grouped => {
                let member = self.member(account, &entry).await?;
                return self.cache_in_group(&entry, &member).await;
            }
            Encoding::Stored => self.fill(&mut entry).await?,
            Encoding::Zstd | Encoding::ZstdWith(_) => {}
        }
        let table = entry.table()?;
        self.frame(&entry, table.last().expect("the cache's own")).await
    }

    /// A whole entry as it lies there, checked: its header with the keywords, and its payload. Of a member of a group that is not the message,
    /// but that can be read.
    ///
    /// # Errors
    /// Gone, damaged, or the disk failed.
    pub async fn read_entry(
        &self,
        account: AccountId,
        folder: &Path,
        (number, addr, guid): Whose<'_>,
    ) -> Result<(EntryHeader, Vec<u8>), ReadError> {
        let mut entry = self.entry(account, folder, (number, addr, guid)).await?;
        self.fill(&mut entry).await?;
        if entry.header.encoding == Encoding::Grouped {
            self.member(account, &entry).await?.message()?;
        }
        entry.header.packed = entry.packed()?;
        Ok((entry.header, entry.payload))
    }

    /// Whether an entry is what was written, as it lies there; bytes read of it.
    ///
    /// # Errors
    /// It is not, or the disk failed.
    pub async fn verify(
        &self,
        account: AccountId,
        folder: &Path,
        (number, addr, guid): Whose<'_>,
    ) -> Result<u64, ReadError> {
        let mut open = self.open_entry(account, folder, (number, addr, guid)).await?;
        match open.encoding() {
            Encoding::Grouped => {
                self.fill(&mut open.entry).await?;
                self.verify_group(account, &open.entry).await?;
                return Ok(u64::from(addr.stored));
            }
            Encoding::ZstdWith(id) => drop(self.dictionaries().get(id).await?),
            Encoding::Stored | Encoding::Zstd => {}
        }
        let mut crc = open.front_crc();
        while let Some(frame) = self.next_frame(&mut open).await? {
            crc = crc32c::crc32c_append(crc, frame.bytes());
        }
        open.check(crc)?;
        Ok(u64::from(addr.stored))
    }

    /// A whole entry to be read a frame at a time: for one too large to be held.
    ///
    /// # Errors
    /// Gone, damaged, or the disk failed.
    pub async fn open_entry(
        &self,
        account: AccountId,
        folder: &Path,
        (number, addr, guid): Whose<'_>,
    ) -> Result<OpenEntry<D::File>, ReadError> {
        let entry = self.entry(account, folder, (number, addr, guid)).await?;
        let frames = entry.table()?.into_iter();
        Ok(OpenEntry { entry, frames })
    }

    /// Its next frame as it lies there, unchecked; after the last one, which is the cache's, `None`.
    ///
    /// # Errors
    /// The disk failed.
    pub async fn next_frame(&self, open: &mut OpenEntry<D::File>) -> Result<Option<LargeFrame>, ReadError> {
        let Some(Frame { at, len, .. }) = open.frames.next() else { return Ok(None) };
        let bytes = self.bytes(&open.entry.pack, open.entry.payload_at() + at, len).await?;
        if bytes.len() != len {
            return Err(open.entry.damaged());
        }
        Ok(Some(LargeFrame { encoding: open.entry.header.encoding, bytes }))
    }

    /// The entries of a pack that check, wherever they stand: what is damaged between is passed over.
    ///
    /// # Errors
    /// The disk failed.
    pub async fn entries(
        &self,
        account: AccountId,
        folder: &Path,
        number: u64,
    ) -> Result<Vec<(BodyAddr, Packed)>, ReadError> {
        let pack = match self.pack(account, folder, number).await {
            Err(error) if error.is_damage() => return Ok(Vec::new()),
            pack => pack?,
        };
        let (mut out, mut at) = (Vec::new(), PACK_HEADER_BYTES as u64);
        // Where the frames of a group are.
        let mut frames = 0..0;
        let len = self.disk().len(&pack.file).await?;
        while at < len {
            if at == frames.start {
                at = frames.end;
                continue;
            }
            let front = self.bytes(&pack, at, ENTRY_HEADER_BYTES).await?;
            let Some(header) = EntryHeader::decode(&front, &pack.header, at) else {
                at += match GroupHeader::decode(&front, &pack.header, at) {
                    Some(group) => {
                        frames = at + group.members_end()..at + group.stride();
                        format::GROUP_HEADER_BYTES as u64
                    }
                    None => ALIGN,
                };
                continue;
            };
            let addr = address(&header, number, at);
            match self.read_entry(account, folder, (number, &addr, &header.packed.guid)).await {
                Ok((whole, payload)) => out.push((stored_in_all(addr, &whole, &payload), whole.packed)),
                Err(error) if error.is_damage() => {}
                Err(error) => return Err(error),
            }
            at += header.stride();
            self.disk().breathe().await;
        }
        Ok(out)
    }

    async fn entry(
        &self,
        account: AccountId,
        folder: &Path,
        (number, addr, guid): Whose<'_>,
    ) -> Result<Opened<D::File>, ReadError> {
        let pack = self.pack(account, folder, number).await?;
        let mut payload = self.bytes(&pack, addr.offset, FIRST_READ_BYTES).await?;
        let damaged = ReadError::PackDamaged { pack: number, offset: addr.offset };
        let Some(header) = EntryHeader::decode(&payload, &pack.header, addr.offset) else { return Err(damaged) };
        if (header.bytes, header.cache_bytes, header.packed.guid) != (addr.bytes, addr.cache_bytes, *guid) {
            return Err(damaged);
        }
        payload.drain(..ENTRY_HEADER_BYTES);
        payload.truncate(header.payload_bytes as usize);
        let mut entry = Opened { pack, offset: addr.offset, header, payload };
        let front = entry.header.table_bytes() + entry.header.keyword_bytes as usize;
        if entry.payload.len() < front {
            let at = entry.payload_at();
            entry.payload = self.bytes(&entry.pack, at, front).await?;
        }
        if entry.payload.len() == entry.header.payload_bytes as usize {
            entry.check()?;
        }
        Ok(entry)
    }

    /// Reads all of the payload and checks it.
    async fn fill(&self, entry: &mut Opened<D::File>) -> Result<(), ReadError> {
        let len = entry.header.payload_bytes as usize;
        if entry.payload.len() < len {
            entry.payload = self.bytes(&entry.pack, entry.payload_at(), len).await?;
            entry.check()?;
        }
        Ok(())
    }

    async fn frame(&self, entry: &Opened<D::File>, frame: &Frame) -> Result<Vec<u8>, ReadError> {
        let start = frame.at as usize;
        let held = entry.payload.get(start..start + frame.len);
        let read;
        let stored = match held {
            Some(held) => held,
            None => {
                read = self.bytes(&entry.pack, entry.payload_at() + frame.at, frame.len).await?;
                &read
            }
        };
        let bytes = match entry.header.encoding {
            Encoding::Grouped => return Err(entry.damaged()),
            Encoding::Stored => stored.to_vec(),
            Encoding::Zstd | Encoding::ZstdWith(_) if frame.bytes == 0 => Vec::new(),
            Encoding::Zstd => decompress(stored, frame.bytes, None).ok_or(entry.damaged())?,
            Encoding::ZstdWith(id) => {
                let dictionary = self.dictionaries().get(id).await?;
                decompress(stored, frame.bytes, Some(&dictionary)).ok_or(entry.damaged())?
            }
        };
        if bytes.len() == frame.bytes { Ok(bytes) } else { Err(entry.damaged()) }
    }

    pub(super) async fn bytes(&self, pack: &Pack<D::File>, at: u64, len: usize) -> Result<Vec<u8>, ReadError> {
        match self.disk().read_cached(&pack.file, at, len) {
            Some(bytes) => Ok(bytes),
            None => Ok(self.disk().read_at(&pack.file, at, len).await?),
        }
    }
}

/// The address of an entry at `offset`, if it is no member of a group.
fn address(header: &EntryHeader, number: u64, offset: u64) -> BodyAddr {
    let &EntryHeader { bytes, cache_bytes, .. } = header;
    let stored = header.stride().min(STORED_BYTES_MAX) as u32;
    BodyAddr { place: Place::Pack(number), offset, bytes, cache_bytes, stored, chunked: false }
}

/// With what counts as a member's beside its entry.
fn stored_in_all(addr: BodyAddr, header: &EntryHeader, payload: &[u8]) -> BodyAddr {
    match Member::decode(payload).filter(|_| header.encoding == Encoding::Grouped) {
        Some(member) => BodyAddr { stored: member.stored, ..addr },
        None => addr,
    }
}

/// One frame, which checks itself; `None` when it is not what was written.
pub(super) fn decompress(stored: &[u8], bytes: usize, dictionary: Option<&Dictionary>) -> Option<Vec<u8>> {
    thread_local! {
        /// By dictionary, 0 for none.
        static DECOMPRESSORS: RefCell<Vec<(u32, Decompressor<'static>)>> = const { RefCell::new(Vec::new()) };
    }
    let id = dictionary.map_or(0, Dictionary::id);
    DECOMPRESSORS.with_borrow_mut(|kept| {
        let at = match kept.iter().position(|(of, _)| *of == id) {
            Some(at) => at,
            None => {
                if kept.len() >= DECOMPRESSORS_MAX {
                    kept.remove(0);
                }
                kept.push((id, Decompressor::with_dictionary(dictionary.map_or(&[], Dictionary::bytes)).ok()?));
                kept.len() - 1
            }
        };
        kept[at].1.decompress(stored, bytes).ok()
    })
}

impl<F> Opened<F> {
    fn payload_at(&self) -> u64 {
        self.offset + ENTRY_HEADER_BYTES as u64
    }

    pub fn damaged(&self) -> ReadError {
        ReadError::PackDamaged { pack: self.pack.header.number, offset: self.offset }
    }

    fn check(&self) -> Result<(), ReadError> {
        let whole = self.payload.len() == self.header.payload_bytes as usize;
        let good = whole && crc32c::crc32c(&self.payload) == self.header.payload_crc;
        if good { Ok(()) } else { Err(self.damaged()) }
    }

    /// Where a member's bytes are in its group.
    pub fn place(&self) -> Result<Member, ReadError> {
        Member::decode(&self.payload).ok_or(self.damaged())
    }

    pub fn addr(&self) -> BodyAddr {
        address(&self.header, self.pack.header.number, self.offset)
    }

    /// What the header and the keywords after the frame lengths say of the message.
    fn packed(&self) -> Result<Packed, ReadError> {
        let keywords = self.header.table_bytes()..self.header.table_bytes() + self.header.keyword_bytes as usize;
        let keywords = self.payload.get(keywords).and_then(format::decode_keywords).ok_or(self.damaged())?;
        Ok(Packed { keywords, ..self.header.packed.clone() })
    }

    /// The frames of the message, and last that of the cache.
    fn table(&self) -> Result<Vec<Frame>, ReadError> {
        let header = &self.header;
        if header.encoding == Encoding::Grouped {
            return Ok(Vec::new());
        }
        let table = self.payload.get(..header.table_bytes()).ok_or(self.damaged())?;
        let mut at = header.table_bytes() as u64 + u64::from(header.keyword_bytes);
        let mut left = header.bytes as usize;
        let mut frames = Vec::with_capacity(header.frames() + 1);
        for index in 0..=header.frames() {
            let len = u32_at(table, 4 * index) as usize;
            let is_cache = index == header.frames();
            let bytes = if is_cache { header.cache_bytes as usize } else { left.min(FRAME_BYTES) };
            left -= if is_cache { 0 } else { bytes };
            frames.push(Frame { at, len, bytes });
            at += len as u64;
        }
        if at == u64::from(header.payload_bytes) { Ok(frames) } else { Err(self.damaged()) }
    }
}
