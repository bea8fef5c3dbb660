//! A pack in words.

use super::format::{ALIGN, decode_keywords};
use super::{ENTRY_HEADER_BYTES, Encoding, EntryHeader, PACK_HEADER_BYTES, PackHeader};
use crate::describe::{Fact, Tell, flags, hex};

/// The header, a fact for each entry, each damaged place. How many places are damaged.
pub(crate) fn describe(bytes: &[u8], tell: Tell<'_>) -> u64 {
    let Ok(pack) = PackHeader::decode(bytes) else {
        tell(Fact::damage(
            0,
            bytes.len().min(PACK_HEADER_BYTES) as u64,
            "the header does not check, or is of a newer version",
        ));
        return 1;
    };
    let fact = Fact::new("pack").text("account", pack.account.hex()).number("pack", pack.number);
    tell(fact.time("created", pack.created).number("version", pack.version));
    let (mut at, mut damage, end) = (PACK_HEADER_BYTES as u64, 0, bytes.len() as u64);
    while at < end {
        if let Some(header) = entry(bytes, &pack, at) {
            damage += u64::from(!tell_entry(bytes, &header, at, tell));
            at = at.saturating_add(header.stride());
            continue;
        }
        let next = (at + ALIGN..end).step_by(ALIGN as usize).find(|&next| entry(bytes, &pack, next).is_some());
        let to = next.unwrap_or(end);
        tell(Fact::damage(at, to, "no entry that checks; at the end of a pack it may be one that was cut off"));
        (at, damage) = (to, damage + 1);
    }
    damage
}

fn entry(bytes: &[u8], pack: &PackHeader, at: u64) -> Option<EntryHeader> {
    EntryHeader::decode(bytes.get(usize::try_from(at).ok()?..)?, pack, at)
}

/// Whether the entry is what was written.
fn tell_entry(bytes: &[u8], header: &EntryHeader, at: u64, tell: Tell<'_>) -> bool {
    let start = at as usize + ENTRY_HEADER_BYTES;
    let payload = bytes.get(start..start + header.payload_bytes as usize);
    let payload = payload.filter(|payload| crc32c::crc32c(payload) == header.payload_crc);
    let keywords = payload.and_then(|payload| {
        let from = header.table_bytes();
        decode_keywords(payload.get(from..from + header.keyword_bytes as usize)?)
    });
    let packed = &header.packed;
    let fact = Fact::new("entry").number("at", at).number("mailbox", packed.mailbox.0);
    let fact = fact.number("uidvalidity", packed.validity.0).number("uid", packed.uid.0);
    let fact =
        fact.text("flags", flags(packed.flags)).text("keywords", keywords.as_deref().unwrap_or_default().join(" "));
    let fact = fact.time("received", packed.internal_date).time("saved", packed.save_date);
    let fact =
        fact.text("guid", hex(packed.guid)).number("bytes", header.bytes).number("cache_bytes", header.cache_bytes);
    let encoding = match header.encoding {
        Encoding::Stored => "stored",
        Encoding::Zstd => "zstd",
        Encoding::ZstdWith(_) => "zstd with a dictionary",
    };
    let fact = match header.encoding {
        Encoding::ZstdWith(id) => fact.text("dictionary", format!("{id:08x}")),
        _ => fact,
    };
    tell(fact.text("encoding", encoding).number("stored_bytes", header.payload_bytes));
    if keywords.is_none() {
        tell(Fact::damage(at, at + header.stride(), format!("the payload of UID {} does not check", packed.uid)));
    }
    keywords.is_some()
}
