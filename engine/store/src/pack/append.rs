//! Messages on their way into an account's newest pack.

use super::files::{Pack, PackFiles};
use super::format::{self, ALIGN, ENTRY_HEADER_BYTES, Encoding, EntryHeader, PACK_HEADER_BYTES, PackHeader};
use super::format::{PACK_VERSION_PLAIN, pack_name, parse_pack_name};
use super::{FRAME_BYTES, Packed, ZSTD_LEVEL};
use crate::body::{BodyAddr, Place, STORED_BYTES_MAX};
use crate::dictionary::Dictionary;
use skein_base::AccountId;
use skein_base::seam::Disk;
use std::cell::RefCell;
use std::io;
use std::path::{Path, PathBuf};
use zstd::bulk::Compressor;
use zstd::zstd_safe::CParameter;

/// Bytes gathered before they are written.
const WRITE_BYTES: usize = 1024 * 1024;

/// Messages and caches above this are zstd frames even when those are no smaller: a frame has a check of its own, so that a part of
/// it can be read and trusted.
const STORED_WHOLE_BYTES_MAX: usize = 16 * 1024;

/// Appends to one account's packs. What it wrote is durable after a sync of the packs and of their folder, and named by nothing
/// before; dropped, it leaves bytes that nobody names and that compaction drops.
pub(crate) struct Appender<'a, D: Disk> {
    packs: &'a PackFiles<D>,
    account: AccountId,
    folder: PathBuf,
    pack_bytes_max: u64,
    now: i64,
    open: Option<Open<D::File>>,
    /// Only packs above this number are written to.
    above: u64,
    /// The version of packs that are begun.
    version: u32,
    /// The packs written to.
    touched: Vec<D::File>,
    /// Bytes written, and those of messages and caches that they hold.
    pub written: u64,
    pub taken: u64,
}

pub(super) struct Open<F> {
    pub pack: Pack<F>,
    /// Where the bytes that gather belong.
    base: u64,
    pub bytes: Vec<u8>,
}

impl<F> Open<F> {
    /// Where the next byte belongs.
    pub fn end(&self) -> u64 {
        self.base + self.bytes.len() as u64
    }

    /// Up to where the next entry may begin.
    pub fn pad(&mut self) {
        self.bytes.resize(self.bytes.len().next_multiple_of(ALIGN as usize), 0);
    }
}

/// A message and its cache, compressed.
pub(crate) struct Entry {
    header: EntryHeader,
    payload: Vec<u8>,
}

impl Entry {
    /// Compresses; costs about 6 ms for a megabyte of mail. A message of one frame is written with the dictionary.
    pub fn new(packed: Packed, message: &[u8], cache: &[u8], dictionary: Option<&Dictionary>) -> Entry {
        let dictionary = dictionary.filter(|_| message.len() <= FRAME_BYTES);
        let keywords = format::encode_keywords(&packed.keywords);
        let pieces = || message.chunks(FRAME_BYTES).chain(std::iter::once(cache));
        let frames: Option<Vec<Vec<u8>>> = pieces().map(|piece| compress(piece, dictionary)).collect();
        let raw = message.len() + cache.len();
        let pays = |frames: &Vec<Vec<u8>>| frames.iter().map(Vec::len).sum::<usize>() < raw;
        let (encoding, frames) = match frames.filter(|frames| pays(frames) || raw > STORED_WHOLE_BYTES_MAX) {
            Some(frames) => (dictionary.map_or(Encoding::Zstd, |one| Encoding::ZstdWith(one.id())), frames),
            None => (Encoding::Stored, pieces().map(<[u8]>::to_vec).collect()),
        };
        let mut payload: Vec<u8> = frames.iter().flat_map(|frame| (frame.len() as u32).to_le_bytes()).collect();
        payload.extend_from_slice(&keywords);
        frames.iter().for_each(|frame| payload.extend_from_slice(frame));
        let header = EntryHeader {
            payload_bytes: payload.len() as u32,
            encoding,
            bytes: message.len() as u32,
            cache_bytes: cache.len() as u32,
            keyword_bytes: keywords.len() as u32,
            payload_crc: crc32c::crc32c(&payload),
            packed,
        };
        Entry { header, payload }
    }

    /// One that was read from another pack.
    pub fn again(header: EntryHeader, payload: Vec<u8>) -> Entry {
        Entry { header, payload }
    }
}

/// An empty piece takes nothing.
pub(super) fn compress(piece: &[u8], dictionary: Option<&Dictionary>) -> Option<Vec<u8>> {
    thread_local! {
        /// Their tables take a megabyte each, so each thread keeps one without a dictionary and one with the last.
        static COMPRESSORS: RefCell<[Option<(u32, Compressor<'static>)>; 2]> = const { RefCell::new([None, None]) };
    }
    if piece.is_empty() {
        return Some(Vec::new());
    }
    let id = dictionary.map_or(0, Dictionary::id);
    COMPRESSORS.with_borrow_mut(|compressors| {
        let kept = &mut compressors[usize::from(dictionary.is_some())];
        if kept.as_ref().is_none_or(|(of, _)| *of != id) {
            *kept = Some((id, compressor(dictionary.map_or(&[], Dictionary::bytes))?));
        }
        kept.as_mut()?.1.compress(piece).ok()
    })
}

fn compressor(dictionary: &[u8]) -> Option<Compressor<'static>> {
    let mut compressor = Compressor::with_dictionary(ZSTD_LEVEL, dictionary).ok()?;
    compressor.set_parameter(CParameter::ChecksumFlag(true)).ok()?;
    // The entry's header names the dictionary: zstd's own number would be in each frame once more.
    compressor.set_parameter(CParameter::DictIdFlag(false)).ok()?;
    Some(compressor)
}

impl<'a, D: Disk> Appender<'a, D> {
    /// Nothing is touched before the first message. `folder` is the account's and exists by then.
    pub fn new(packs: &'a PackFiles<D>, account: AccountId, folder: &Path, pack_bytes_max: u64, now: i64) -> Self {
        let folder = folder.to_path_buf();
        Appender {
            packs,
            account,
            folder,
            pack_bytes_max,
            now,
            open: None,
            above: 0,
            version: PACK_VERSION_PLAIN,
            touched: Vec::new(),
            written: 0,
            taken: 0,
        }
    }

    /// Keeps out of packs up to this number, which are to go. A number is never given twice: the first one above is begun
    /// even if it comes to hold nothing.
    pub fn not_into(&mut self, number: u64) {
        self.above = number;
    }

    /// Appends one message; its address from now on, to be told to nobody before the sync.
    ///
    /// # Errors
    /// The disk failed.
    pub async fn push(&mut self, entry: Entry) -> io::Result<BodyAddr> {
        let Entry { header, payload } = entry;
        let mut open = self.room(header.encoding.version()).await?;
        let offset = open.end();
        open.bytes.extend_from_slice(&header.encode(&open.pack.header, offset));
        open.bytes.extend_from_slice(&payload);
        open.pad();
        let addr = self.address(&header, open.pack.header.number, offset);
        self.put_back(open).await?;
        Ok(addr)
    }

    /// Writes what gathered once it is enough.
    pub(super) async fn put_back(&mut self, open: Open<D::File>) -> io::Result<()> {
        self.open = Some(if open.bytes.len() >= WRITE_BYTES { self.write(open).await? } else { open });
        Ok(())
    }

    /// The pack that the next message goes into, of such a version at least.
    pub(super) async fn room(&mut self, version: u32) -> io::Result<Open<D::File>> {
        self.version = self.version.max(version);
        let has_room = |open: &Open<D::File>| open.end() < self.pack_bytes_max;
        match self.open.take() {
            Some(open) if has_room(&open) && open.pack.header.version >= version => Ok(open),
            Some(full) => {
                let next = full.pack.header.number + 1;
                self.write(full).await?;
                let next = self.begin(next).await?;
                Ok(self.opened(next))
            }
            None => self.start().await,
        }
    }

    pub(super) fn address(&mut self, header: &EntryHeader, number: u64, offset: u64) -> BodyAddr {
        let &EntryHeader { bytes, cache_bytes, .. } = header;
        self.taken += u64::from(bytes) + u64::from(cache_bytes);
        let stored = header.stride().min(STORED_BYTES_MAX) as u32;
        BodyAddr { place: Place::Pack(number), offset, bytes, cache_bytes, stored, chunked: false }
    }

    /// Writes all that gathered; where the next message begins.
    pub(super) async fn flushed(&mut self, version: u32) -> io::Result<u64> {
        let open = self.room(version).await?;
        let open = self.write(open).await?;
        let base = open.base;
        self.open = Some(open);
        Ok(base)
    }

    /// Writes past what gathered, which is nothing since [`Appender::flushed`].
    pub(super) async fn write_at(&mut self, at: u64, bytes: Vec<u8>) -> io::Result<()> {
        let open = self.open.as_ref().expect("flushed before");
        self.written += bytes.len() as u64;
        self.packs.disk().write_at(&open.pack.file, at, bytes).await?;
        Ok(())
    }

    pub(super) fn pack_header(&self) -> &PackHeader {
        &self.open.as_ref().expect("flushed before").pack.header
    }

    /// Takes the message that was written at `offset` past what gathered for appended.
    pub(super) fn advance(&mut self, header: &EntryHeader, offset: u64) -> BodyAddr {
        let open = self.open.as_mut().expect("flushed before");
        open.base = offset + header.stride();
        let number = open.pack.header.number;
        self.address(header, number, offset)
    }

    /// Hands the last bytes to the system. The files that are to be synced, and with them their folder, before anything names
    /// what was appended.
    ///
    /// # Errors
    /// The disk failed.
    pub async fn finish(&mut self) -> io::Result<Vec<D::File>> {
        let open = match self.open.take() {
            None if self.above > 0 => Some(self.start().await?),
            open => open,
        };
        if let Some(open) = open {
            self.write(open).await?;
        }
        Ok(std::mem::take(&mut self.touched))
    }

    async fn write(&mut self, mut open: Open<D::File>) -> io::Result<Open<D::File>> {
        let len = open.bytes.len() as u64;
        if len == 0 {
            return Ok(open);
        }
        let mut bytes = self.packs.disk().write_at(&open.pack.file, open.base, open.bytes).await?;
        bytes.clear();
        self.written += len;
        open.base += len;
        Ok(Open { bytes, ..open })
    }

    async fn start(&mut self) -> io::Result<Open<D::File>> {
        let open = self.find().await?;
        Ok(self.opened(open))
    }

    fn opened(&mut self, open: Open<D::File>) -> Open<D::File> {
        self.touched.push(open.pack.file.clone());
        open
    }

    /// The newest pack, or the first. What a crash left at its end stays there, named by nothing.
    async fn find(&self) -> io::Result<Open<D::File>> {
        let names = self.packs.disk().list(&self.folder).await?;
        let Some(newest) = names.iter().filter_map(|name| parse_pack_name(name)).max() else {
            return self.begin(self.above + 1).await;
        };
        if newest <= self.above {
            return self.begin(self.above + 1).await;
        }
        let Ok(pack) = self.packs.pack(self.account, &self.folder, newest).await else {
            // Its header is damaged: whatever it holds, nothing more goes into it.
            return self.begin(newest + 1).await;
        };
        let len = self.packs.disk().len(&pack.file).await?.next_multiple_of(ALIGN);
        // An older reader has to refuse what it does not know by the header.
        if len >= self.pack_bytes_max || pack.header.version < self.version {
            return self.begin(newest + 1).await;
        }
        // After a sync that failed the header may read well and be on no disk: with these bytes it is written again, and is
        // as durable as the entries that come.
        let header = pack.header.encode().to_vec();
        self.packs.disk().write_at(&pack.file, 0, header).await?;
        Ok(Open { pack, base: len.max(PACK_HEADER_BYTES as u64), bytes: Vec::new() })
    }

    async fn begin(&self, number: u64) -> io::Result<Open<D::File>> {
        let header = PackHeader { account: self.account, number, created: self.now, version: self.version };
        let file = self.packs.disk().create(&self.folder.join(pack_name(number))).await?;
        let pack = Pack { file, header };
        self.packs.insert(self.account, pack.clone());
        Ok(Open { pack, base: 0, bytes: header.encode().to_vec() })
    }
}

const _: () = assert!(ENTRY_HEADER_BYTES.is_multiple_of(ALIGN as usize));
