//! The bytes of a pack, versions 1 to 3. The document is engine/docs/pack-format.md.

use super::heal::heal;
use super::{FRAME_BYTES, Packed};
use crate::body::FILE_NUMBER_MAX;
use skein_base::{AccountId, Flags, Guid, MailboxId, Uid, UidValidity};

/// Version of packs whose entries name no dictionary.
pub const PACK_VERSION_PLAIN: u32 = 1;
/// Version of packs whose entries may.
pub const PACK_VERSION_DICTIONARY: u32 = 2;
/// Version of packs with groups of messages; an older reader refuses a newer one.
pub const PACK_VERSION: u32 = 3;
/// Bytes before the first entry.
pub const PACK_HEADER_BYTES: usize = 64;
/// Bytes of an entry before its payload.
pub const ENTRY_HEADER_BYTES: usize = 80;
/// Entries start at multiples of this.
pub(super) const ALIGN: u64 = 8;

/// Bytes of a group before its members.
pub(super) const GROUP_HEADER_BYTES: usize = 48;
/// Bytes of a member's payload before its keywords.
pub(super) const MEMBER_BYTES: usize = 32;

const MAGIC: &[u8; 8] = b"SKEINPAK";
const ENTRY_MAGIC: [u8; 4] = *b"SKPE";
const GROUP_MAGIC: [u8; 4] = *b"SKPG";

/// The name of a pack's file.
pub fn pack_name(number: u64) -> String {
    format!("p{number:016x}.pack")
}

/// The number of the pack whose file has this name.
pub fn parse_pack_name(name: &str) -> Option<u64> {
    let hex = name.strip_prefix('p')?.strip_suffix(".pack")?;
    let number = u64::from_str_radix(hex, 16).ok()?;
    (number <= FILE_NUMBER_MAX && pack_name(number) == name).then_some(number)
}

/// What the first bytes of a pack say.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct PackHeader {
    /// Whose messages.
    pub account: AccountId,
    /// The number in the name.
    pub number: u64,
    /// When it began, Unix seconds.
    pub created: i64,
    /// [`PACK_VERSION_PLAIN`] to [`PACK_VERSION`].
    pub version: u32,
}

/// Why bytes are no header of a pack.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum NoPackHeader {
    /// Not what was written.
    Damaged,
    /// A newer version's.
    Version(u32),
}

impl PackHeader {
    /// The bytes on disk.
    pub fn encode(&self) -> [u8; PACK_HEADER_BYTES] {
        let mut out = [0; PACK_HEADER_BYTES];
        let mut put = |at: usize, bytes: &[u8]| out[at..at + bytes.len()].copy_from_slice(bytes);
        put(0, MAGIC);
        put(8, &self.version.to_le_bytes());
        put(16, &self.account.0);
        put(32, &self.number.to_le_bytes());
        put(40, &self.created.to_le_bytes());
        let crc = crc32c::crc32c(&out[..60]);
        out[60..].copy_from_slice(&crc.to_le_bytes());
        out
    }

    /// Reads what [`PackHeader::encode`] wrote.
    ///
    /// # Errors
    /// It is not that.
    pub fn decode(bytes: &[u8]) -> Result<PackHeader, NoPackHeader> {
        let bytes = bytes.get(..PACK_HEADER_BYTES).ok_or(NoPackHeader::Damaged)?;
        if bytes[..8] != *MAGIC || u32_at(bytes, 60) != crc32c::crc32c(&bytes[..60]) {
            return Err(NoPackHeader::Damaged);
        }
        let version = u32_at(bytes, 8);
        if !(PACK_VERSION_PLAIN..=PACK_VERSION).contains(&version) || u32_at(bytes, 48) != 0 {
            return Err(NoPackHeader::Version(version));
        }
        Ok(PackHeader {
            account: AccountId(array_at(bytes, 16)),
            number: u64_at(bytes, 32),
            created: i64::from_le_bytes(array_at(bytes, 40)),
            version,
        })
    }
}

/// How an entry's frames are written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Encoding {
    /// As they are: zstd would not make them smaller.
    Stored,
    /// Each frame a zstd frame with its own checksum.
    Zstd,
    /// The same, written with the dictionary of this id.
    ZstdWith(u32),
    /// No frames: the message and its cache are in those of the group that the entry is a member of.
    Grouped,
}

impl Encoding {
    /// The version of a pack that such an entry can be in, at least.
    pub(super) fn version(self) -> u32 {
        match self {
            Encoding::Stored | Encoding::Zstd => PACK_VERSION_PLAIN,
            Encoding::ZstdWith(_) => PACK_VERSION_DICTIONARY,
            Encoding::Grouped => PACK_VERSION,
        }
    }
}

/// What stands before an entry's payload.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct EntryHeader {
    /// Bytes of payload.
    pub payload_bytes: u32,
    /// How the frames are written.
    pub encoding: Encoding,
    /// Bytes of the message.
    pub bytes: u32,
    /// Bytes of its rendered cache.
    pub cache_bytes: u32,
    /// Bytes of the keywords, which follow the frame lengths.
    pub keyword_bytes: u32,
    /// CRC32C of the payload.
    pub payload_crc: u32,
    /// Everything else; the keywords are in the payload.
    pub packed: Packed,
}

impl EntryHeader {
    /// The bytes on disk of the entry at `offset` of a pack.
    pub fn encode(&self, pack: &PackHeader, offset: u64) -> [u8; ENTRY_HEADER_BYTES] {
        let mut out = [0; ENTRY_HEADER_BYTES];
        let mut put = |at: usize, bytes: &[u8]| out[at..at + bytes.len()].copy_from_slice(bytes);
        let packed = &self.packed;
        put(0, &ENTRY_MAGIC);
        put(4, &self.payload_bytes.to_le_bytes());
        put(
            8,
            &[match self.encoding {
                Encoding::Stored => 0,
                Encoding::Zstd => 1,
                Encoding::ZstdWith(_) => 2,
                Encoding::Grouped => 3,
            }],
        );
        if let Encoding::ZstdWith(dictionary) = self.encoding {
            put(72, &dictionary.to_le_bytes());
        }
        put(9, &[packed.flags.0]);
        put(12, &self.bytes.to_le_bytes());
        put(16, &self.cache_bytes.to_le_bytes());
        put(20, &self.keyword_bytes.to_le_bytes());
        put(24, &packed.guid.0);
        put(40, &packed.mailbox.0.to_le_bytes());
        put(44, &packed.validity.0.to_le_bytes());
        put(48, &packed.uid.0.to_le_bytes());
        put(52, &self.payload_crc.to_le_bytes());
        put(56, &packed.internal_date.to_le_bytes());
        put(64, &packed.save_date.to_le_bytes());
        let crc = seed(pack, offset);
        let crc = crc32c::crc32c_append(crc, &out[..76]);
        out[76..].copy_from_slice(&crc.to_le_bytes());
        out
    }

    /// Reads what [`EntryHeader::encode`] wrote there, the keywords left out; `None` for anything else.
    pub fn decode(bytes: &[u8], pack: &PackHeader, offset: u64) -> Option<EntryHeader> {
        let bytes = bytes.get(..ENTRY_HEADER_BYTES)?;
        let crc = crc32c::crc32c_append(seed(pack, offset), &bytes[..76]);
        if bytes[..4] != ENTRY_MAGIC || u32_at(bytes, 76) != crc {
            return None;
        }
        let encoding = match bytes[8] {
            0 => Encoding::Stored,
            1 => Encoding::Zstd,
            2 if pack.version >= PACK_VERSION_DICTIONARY && u32_at(bytes, 72) != 0 => {
                Encoding::ZstdWith(u32_at(bytes, 72))
            }
            3 if pack.version >= PACK_VERSION => Encoding::Grouped,
            _ => return None,
        };
        let header = EntryHeader {
            payload_bytes: u32_at(bytes, 4),
            encoding,
            bytes: u32_at(bytes, 12),
            cache_bytes: u32_at(bytes, 16),
            keyword_bytes: u32_at(bytes, 20),
            payload_crc: u32_at(bytes, 52),
            packed: Packed {
                guid: Guid(array_at(bytes, 24)),
                mailbox: MailboxId::stored(u32_at(bytes, 40))?,
                validity: UidValidity(u32_at(bytes, 44)),
                uid: Uid(u32_at(bytes, 48)),
                flags: Flags(bytes[9] & Flags::ALL.0),
                keywords: Vec::new(),
                internal_date: i64::from_le_bytes(array_at(bytes, 56)),
                save_date: i64::from_le_bytes(array_at(bytes, 64)),
            },
        };
        let front = header.table_bytes() as u64 + u64::from(header.keyword_bytes);
        (front <= u64::from(header.payload_bytes)).then_some(header)
    }

    /// Frames of the message; one more holds the cache.
    pub(super) fn frames(&self) -> usize {
        frames_of(self.bytes)
    }

    /// Bytes of the frame lengths at the payload's front, or of the place in the group.
    pub(super) fn table_bytes(&self) -> usize {
        match self.encoding {
            Encoding::Grouped => MEMBER_BYTES,
            _ => 4 * (self.frames() + 1),
        }
    }

    /// Bytes from this entry's start to the next one's.
    pub fn stride(&self) -> u64 {
        (ENTRY_HEADER_BYTES as u64 + u64::from(self.payload_bytes)).next_multiple_of(ALIGN)
    }
}

/// What stands before a group's members.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct GroupHeader {
    /// Bytes of the members, each padded.
    pub member_bytes: u32,
    /// Bytes of the frame that holds the messages, one after the other, and what they are decompressed.
    pub frame_bytes: u32,
    pub bytes: u32,
    /// CRC32C of that frame.
    pub frame_crc: u32,
    /// The same of the frame that holds their caches.
    pub cache_frame_bytes: u32,
    pub cache_bytes: u32,
    pub cache_frame_crc: u32,
    /// The dictionary's id, 0 for none.
    pub dictionary: u32,
}

impl GroupHeader {
    /// The bytes on disk of the group at `offset` of a pack.
    pub fn encode(&self, pack: &PackHeader, offset: u64) -> [u8; GROUP_HEADER_BYTES] {
        let mut out = [0; GROUP_HEADER_BYTES];
        out[..4].copy_from_slice(&GROUP_MAGIC);
        let fields = [
            self.member_bytes,
            self.frame_bytes,
            self.bytes,
            self.frame_crc,
            self.cache_frame_bytes,
            self.cache_bytes,
            self.cache_frame_crc,
            self.dictionary,
        ];
        for (i, field) in fields.iter().enumerate() {
            out[4 + 4 * i..8 + 4 * i].copy_from_slice(&field.to_le_bytes());
        }
        let crc = crc32c::crc32c_append(seed(pack, offset), &out[..44]);
        out[44..].copy_from_slice(&crc.to_le_bytes());
        out
    }

    /// Reads what [`GroupHeader::encode`] wrote there; `None` for anything else.
    pub fn decode(bytes: &[u8], pack: &PackHeader, offset: u64) -> Option<GroupHeader> {
        let bytes: &[u8; GROUP_HEADER_BYTES] = bytes.first_chunk()?;
        let crc = crc32c::crc32c_append(seed(pack, offset), &bytes[..44]);
        (crc == u32_at(bytes, 44)).then(|| GroupHeader::of(bytes)).flatten()
    }

    /// The same where a group is known to be: one byte of it may be damaged.
    pub fn decode_healed(bytes: &[u8], pack: &PackHeader, offset: u64) -> Option<GroupHeader> {
        let mut bytes: [u8; GROUP_HEADER_BYTES] = *bytes.first_chunk()?;
        let (front, written) = bytes.split_at_mut(44);
        let (found, written) = (crc32c::crc32c_append(seed(pack, offset), front), u32_at(written, 0));
        let is_in_crc = (0..4).any(|byte| (found ^ written) & !(0xff << (8 * byte)) == 0);
        (is_in_crc || heal(front, found, written)).then(|| GroupHeader::of(&bytes)).flatten()
    }

    fn of(bytes: &[u8; GROUP_HEADER_BYTES]) -> Option<GroupHeader> {
        (bytes[..4] == GROUP_MAGIC && u32_at(bytes, 36) == 0 && u32_at(bytes, 40) == 0).then(|| GroupHeader {
            member_bytes: u32_at(bytes, 4),
            frame_bytes: u32_at(bytes, 8),
            bytes: u32_at(bytes, 12),
            frame_crc: u32_at(bytes, 16),
            cache_frame_bytes: u32_at(bytes, 20),
            cache_bytes: u32_at(bytes, 24),
            cache_frame_crc: u32_at(bytes, 28),
            dictionary: u32_at(bytes, 32),
        })
    }

    /// Where the members end, from the group's start.
    pub fn members_end(&self) -> u64 {
        GROUP_HEADER_BYTES as u64 + u64::from(self.member_bytes)
    }

    /// Where the frame of the messages ends, and that of the caches begins.
    pub fn front(&self) -> u64 {
        self.members_end() + u64::from(self.frame_bytes)
    }

    /// Bytes from the group's start to what follows it.
    pub fn stride(&self) -> u64 {
        (self.front() + u64::from(self.cache_frame_bytes)).next_multiple_of(ALIGN)
    }
}

/// Where in its group a member's bytes are: the front of its payload.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Member {
    /// Bytes from the group's start to this entry.
    pub back: u32,
    /// Bytes of the group up to the end of the messages' frame: to be read at once.
    pub front: u32,
    /// Where the message begins among the messages, and its CRC32C.
    pub at: u32,
    pub crc: u32,
    /// The same of its cache among the caches.
    pub cache_at: u32,
    pub cache_crc: u32,
    /// Bytes of the pack that count as this message's: the entry, and its share of the group.
    pub stored: u32,
}

impl Member {
    pub fn encode(&self) -> [u8; MEMBER_BYTES] {
        let fields = [self.back, self.front, self.at, self.crc, self.cache_at, self.cache_crc, self.stored, 0];
        let mut out = [0; MEMBER_BYTES];
        for (i, field) in fields.iter().enumerate() {
            out[4 * i..4 * i + 4].copy_from_slice(&field.to_le_bytes());
        }
        out
    }

    /// Of a payload whose CRC is right.
    pub fn decode(payload: &[u8]) -> Option<Member> {
        let payload: &[u8; MEMBER_BYTES] = payload.first_chunk()?;
        let field = |i: usize| u32_at(payload, 4 * i);
        (field(7) == 0).then(|| Member {
            back: field(0),
            front: field(1),
            at: field(2),
            crc: field(3),
            cache_at: field(4),
            cache_crc: field(5),
            stored: field(6),
        })
    }
}

/// Frames of a message of so many bytes.
pub(super) fn frames_of(bytes: u32) -> usize {
    (bytes as usize).div_ceil(FRAME_BYTES)
}

/// Binds an entry to its account, its pack and its place there: bytes copied to elsewhere do not check.
fn seed(pack: &PackHeader, offset: u64) -> u32 {
    let crc = crc32c::crc32c(&pack.account.0);
    let crc = crc32c::crc32c_append(crc, &pack.number.to_le_bytes());
    crc32c::crc32c_append(crc, &offset.to_le_bytes())
}

pub(super) fn encode_keywords(keywords: &[Box<str>]) -> Vec<u8> {
    let mut out = Vec::new();
    for keyword in keywords {
        let len = u16::try_from(keyword.len()).expect("keywords are bounded far below 64 KiB");
        out.extend_from_slice(&len.to_le_bytes());
        out.extend_from_slice(keyword.as_bytes());
    }
    out
}

pub(super) fn decode_keywords(mut bytes: &[u8]) -> Option<Vec<Box<str>>> {
    let mut out = Vec::new();
    while let Some((len, rest)) = bytes.split_first_chunk() {
        let len = usize::from(u16::from_le_bytes(*len));
        out.push(std::str::from_utf8(rest.get(..len)?).ok()?.into());
        bytes = &rest[len..];
    }
    bytes.is_empty().then_some(out)
}

fn array_at<const N: usize>(bytes: &[u8], at: usize) -> [u8; N] {
    bytes[at..at + N].try_into().expect("N bytes")
}

pub(super) fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(array_at(bytes, at))
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(array_at(bytes, at))
}
