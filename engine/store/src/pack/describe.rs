//! A pack in words.

use super::format::{ALIGN, GROUP_HEADER_BYTES, GroupHeader, decode_keywords};
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
    // Where the frames of a group are.
    let mut frames = 0..0;
    while at < end {
        if at == frames.start {
            at = frames.end;
            continue;
        }
        if let Some(group) = group(bytes, &pack, at) {
            damage += u64::from(!tell_group(bytes, &group, at, tell));
            frames = at + group.members_end()..at + group.stride();
            at += GROUP_HEADER_BYTES as u64;
            continue;
        }
        if let Some(header) = entry(bytes, &pack, at) {
            damage += u64::from(!tell_entry(bytes, &header, at, tell));
            at = at.saturating_add(header.stride());
            continue;
        }
        let begins = |next: u64| {
            next == frames.start || entry(bytes, &pack, next).is_some() || group(bytes, &pack, next).is_some()
        };
        let next = (at + ALIGN..end).step_by(ALIGN as usize).find(|&next| begins(next));
        let to = next.unwrap_or(end);
        tell(Fact::damage(at, to, "no entry that checks; at the end of a pack it may be one that was cut off"));
        (at, damage) = (to, damage + 1);
    }
    damage
}

fn entry(bytes: &[u8], pack: &PackHeader, at: u64) -> Option<EntryHeader> {
    EntryHeader::decode(bytes.get(usize::try_from(at).ok()?..)?, pack, at)
}

fn group(bytes: &[u8], pack: &PackHeader, at: u64) -> Option<GroupHeader> {
    GroupHeader::decode(bytes.get(usize::try_from(at).ok()?..)?, pack, at)
}

/// Whether the group's frames are what was written.
fn tell_group(bytes: &[u8], group: &GroupHeader, at: u64, tell: Tell<'_>) -> bool {
    let part = |from: u64, to: u64| bytes.get((at + from) as usize..(at + to) as usize).map(crc32c::crc32c);
    let caches_end = group.front() + u64::from(group.cache_frame_bytes);
    let is_sound = part(group.members_end(), group.front()) == Some(group.frame_crc)
        && part(group.front(), caches_end) == Some(group.cache_frame_crc);
    let fact =
        Fact::new("group").number("at", at).number("bytes", group.bytes).number("cache_bytes", group.cache_bytes);
    let fact = match group.dictionary {
        0 => fact,
        id => fact.text("dictionary", format!("{id:08x}")),
    };
    tell(fact.number("stored_bytes", group.stride()));
    if !is_sound {
        let (from, to) = (at + group.members_end(), at + group.stride());
        tell(Fact::damage(
            from,
            to,
            "what the messages of a group are in does not check; one damaged byte is put right when they are read",
        ));
    }
    is_sound
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
        Encoding::Grouped => "in a group",
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
