//! Where a message's bytes are, how they get there, and how they come back.
//!
//! ```text
//! up to one chunk   Body      [ message | rendered cache ]
//! larger            BodyChunk [ bytes ] ...   then   BodyIndex [ extents | rendered cache ]
//! ```
//!
//! A body and its cache are one record, and the op that names them follows in the same log, so one sync makes the
//! message and its metadata durable together.

mod read;
mod write;

pub use write::{BodyWriter, Spilled};

/// In the place of a segment's number where there is none: above all that are.
pub const NO_SEGMENT: u64 = u64::MAX;

/// Bytes of an encoded [`BodyAddr`].
pub const BODY_ADDR_BYTES: usize = 24;

/// What a checkpoint does with the bodies that are in the log.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Bodies {
    /// They stay there, and snapshots name them there.
    Stay,
    /// They go into packs.
    Move,
}

/// Which kind of storage holds a body.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Place {
    /// A segment of a shard's log, by number.
    Log(u64),
    /// A pack of the account that the message is in, by number.
    Pack(u64),
    /// A message object, by number. Reserved: reading one says [`crate::log::ReadError::Unsupported`].
    Object(u64),
}

/// Numbers of places use 48 bits: a segment every millisecond for 8900 years.
const NUMBER_BITS: u32 = 48;
const CHUNKED: u64 = 1 << NUMBER_BITS;
/// The highest number by which a file's name makes it a segment or a pack: half of what fits, so that those above it fit as well.
pub(crate) const FILE_NUMBER_MAX: u64 = (1 << (NUMBER_BITS - 1)) - 1;
/// Of the offset in a pack, which is a multiple of 8; the bits above hold the bytes stored, likewise.
const PACK_OFFSET_BITS: u32 = 36;
/// Bytes that an entry of a pack may take: what the rest of the bits can say.
pub const STORED_BYTES_MAX: u64 = ((1 << (64 - PACK_OFFSET_BITS)) - 1) * 8;
const _: () = assert!(STORED_BYTES_MAX > skein_base::limits::MESSAGE_BYTES_MAX_CEILING + (1 << 20));

/// Where the bytes of one message and its rendered cache are. Messages that share a body share the address.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct BodyAddr {
    /// The file or object.
    pub place: Place,
    /// Start of the record in it.
    pub offset: u64,
    /// Bytes of the message.
    pub bytes: u32,
    /// Bytes of the rendered cache.
    pub cache_bytes: u32,
    /// Bytes that its entry takes in a pack; 0 elsewhere.
    pub stored: u32,
    /// Whether the record is the table of chunks rather than the bytes themselves.
    pub chunked: bool,
}

impl BodyAddr {
    /// The oldest segment of the log that holds some of it: 0 for a body in chunks, which may begin anywhere, and
    /// [`NO_SEGMENT`] when it is not in the log.
    pub fn oldest_segment(&self) -> u64 {
        match self.place {
            Place::Log(_) if self.chunked => 0,
            Place::Log(segment) => segment,
            Place::Pack(_) | Place::Object(_) => NO_SEGMENT,
        }
    }

    /// The bytes on disk: place (kind in the top byte, flags in the next, 48 bits of number), offset (in a pack: 36 bits of
    /// offset and 28 of bytes stored, both in units of 8), bytes, cache bytes; little-endian.
    pub fn encode(&self) -> [u8; BODY_ADDR_BYTES] {
        let (kind, number) = match self.place {
            Place::Log(n) => (0u64, n),
            Place::Pack(n) => (1, n),
            Place::Object(n) => (2, n),
        };
        assert!(number < 1 << NUMBER_BITS, "numbers of places fit 48 bits");
        let place = kind << 56 | u64::from(self.chunked) << NUMBER_BITS | number;
        let mut out = [0; BODY_ADDR_BYTES];
        out[0..8].copy_from_slice(&place.to_le_bytes());
        let offset = match self.place {
            Place::Pack(_) => {
                assert!(self.offset >> (PACK_OFFSET_BITS + 3) == 0, "packs are bounded far below 512 GiB");
                (self.offset / 8) | (u64::from(self.stored / 8) << PACK_OFFSET_BITS)
            }
            _ => self.offset,
        };
        out[8..16].copy_from_slice(&offset.to_le_bytes());
        out[16..20].copy_from_slice(&self.bytes.to_le_bytes());
        out[20..24].copy_from_slice(&self.cache_bytes.to_le_bytes());
        out
    }

    /// Reads what [`BodyAddr::encode`] wrote; `None` for a place or a flag that no writer of this version wrote.
    pub fn decode(bytes: &[u8; BODY_ADDR_BYTES]) -> Option<BodyAddr> {
        let [place, offset, lens] =
            [0, 8, 16].map(|at| u64::from_le_bytes(bytes[at..at + 8].try_into().expect("8 bytes")));
        let number = place & (CHUNKED - 1);
        let kind: fn(u64) -> Place = match place >> 56 {
            0 => Place::Log,
            1 => Place::Pack,
            2 => Place::Object,
            _ => return None,
        };
        let flags = (place >> NUMBER_BITS) & 0xff;
        let place = kind(number);
        let (offset, stored) = match place {
            Place::Pack(_) => ((offset & ((1 << PACK_OFFSET_BITS) - 1)) * 8, (offset >> PACK_OFFSET_BITS) as u32 * 8),
            _ => (offset, 0),
        };
        (flags <= 1).then_some(BodyAddr {
            place,
            offset,
            bytes: lens as u32,
            cache_bytes: (lens >> 32) as u32,
            stored,
            chunked: flags == 1,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn addresses_survive(kind in 0u8..3, number in 0u64..1 << 48, offset: u64, bytes: u32, cache_bytes: u32, chunked: bool) {
            let place = [Place::Log, Place::Pack, Place::Object][usize::from(kind)](number);
            let (offset, stored) = match kind {
                1 => ((offset >> 25) & !7, (bytes / 2) & !7),
                _ => (offset, 0),
            };
            let addr = BodyAddr { place, offset, bytes, cache_bytes, stored, chunked };
            prop_assert_eq!(BodyAddr::decode(&addr.encode()), Some(addr));
        }

        #[test]
        fn any_bytes_are_an_address_or_none(bytes: [u8; 24]) {
            if let Some(addr) = BodyAddr::decode(&bytes) {
                prop_assert_eq!(addr.encode(), bytes);
            }
        }
    }
}
