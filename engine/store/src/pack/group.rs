//! Small messages that follow each other, in one frame: they have much in common, and a frame of its own costs each more than its text.
//!
//! ```text
//! group   [ header 48 | member | member | ... | frame of the messages | frame of their caches ]
//! member  [ entry header 80 | place in the group 32 | keywords ]        named by a body's address, as any entry
//! ```
//!
//! What is read of a group is kept: the next message is most often its neighbour.

use super::append::{Appender, compress};
use super::files::{Pack, PackFiles};
use super::format::{ALIGN, ENTRY_HEADER_BYTES, Encoding, EntryHeader, GROUP_HEADER_BYTES, GroupHeader, Member};
use super::heal::heal;
use super::read::{Opened, Whose, decompress};
use super::{Packed, format};
use crate::body::{BodyAddr, STORED_BYTES_MAX};
use crate::dictionary::Dictionary;
use crate::log::ReadError;
use skein_base::seam::Disk;
use skein_base::{AccountId, Guid};
use std::cell::OnceCell;
use std::io;
use std::rc::Rc;

/// Bytes of a group's messages at most, and of their caches: what one message costs to read alone, and what one damaged place can
/// cost. Of twice as much, mail of 4 KB would take 7 % less.
pub(crate) const GROUP_BYTES_MAX: usize = 64 * 1024;
/// A message above this has an entry and frames of its own: it would gain little.
pub(crate) const GROUPED_BYTES_MAX: usize = 16 * 1024;
/// Groups kept in memory for those who read on in them, of all accounts of a shard.
const GROUPS_KEPT_MAX: usize = 4;

/// Messages that are compressed together, with their caches.
pub(crate) struct Group {
    header: GroupHeader,
    members: Vec<(EntryHeader, Member)>,
    frames: [Vec<u8>; 2],
}

impl Group {
    /// Compresses at least two messages that [`Group::takes`]; `None` when there is no memory for it.
    pub fn new(mails: &[(Packed, Vec<u8>, Vec<u8>)], dictionary: Option<&Dictionary>) -> Option<Group> {
        let mut members = Vec::with_capacity(mails.len());
        let (mut messages, mut caches, mut member_bytes) = (Vec::new(), Vec::new(), 0);
        for (packed, message, cache) in mails {
            let keyword_bytes = format::encode_keywords(&packed.keywords).len() as u32;
            let header = EntryHeader {
                payload_bytes: format::MEMBER_BYTES as u32 + keyword_bytes,
                encoding: Encoding::Grouped,
                bytes: message.len() as u32,
                cache_bytes: cache.len() as u32,
                keyword_bytes,
                payload_crc: 0,
                packed: packed.clone(),
            };
            let member = Member {
                back: GROUP_HEADER_BYTES as u32 + member_bytes,
                front: 0,
                at: messages.len() as u32,
                crc: crc32c::crc32c(message),
                cache_at: caches.len() as u32,
                cache_crc: crc32c::crc32c(cache),
                stored: 0,
            };
            member_bytes += header.stride() as u32;
            members.push((header, member));
            messages.extend_from_slice(message);
            caches.extend_from_slice(cache);
        }
        let (frame, cache_frame) = (compress(&messages, dictionary)?, compress(&caches, dictionary)?);
        let header = GroupHeader {
            member_bytes,
            frame_bytes: frame.len() as u32,
            bytes: messages.len() as u32,
            frame_crc: crc32c::crc32c(&frame),
            cache_frame_bytes: cache_frame.len() as u32,
            cache_bytes: caches.len() as u32,
            cache_frame_crc: crc32c::crc32c(&cache_frame),
            dictionary: dictionary.map_or(0, Dictionary::id),
        };
        share_out(&header, &mut members);
        Some(Group { header, members, frames: [frame, cache_frame] })
    }

    /// Whether a message and a cache of so many bytes have a place among others that are so large together.
    pub fn takes((bytes, cache_bytes): (usize, usize), (others, of_caches): (usize, usize)) -> bool {
        let small = bytes.max(cache_bytes) <= GROUPED_BYTES_MAX;
        small && others + bytes <= GROUP_BYTES_MAX && of_caches + cache_bytes <= GROUP_BYTES_MAX
    }
}

/// Each member counts for its entry and for as much of the rest as its bytes are of all; together they count for the whole.
fn share_out(header: &GroupHeader, members: &mut [(EntryHeader, Member)]) {
    let units = (header.stride() - u64::from(header.member_bytes)) / ALIGN;
    let weight = |entry: &EntryHeader| u64::from(entry.bytes) + u64::from(entry.cache_bytes) + 1;
    let all: u64 = members.iter().map(|(entry, _)| weight(entry)).sum();
    let mut before = 0;
    for (entry, member) in members {
        let upto = before + weight(entry);
        let share = upto * units / all - before * units / all;
        member.front = header.front() as u32;
        member.stored = (entry.stride() + share * ALIGN).min(STORED_BYTES_MAX) as u32;
        before = upto;
    }
}

impl<D: Disk> Appender<'_, D> {
    /// Appends a group; its members' addresses from now on, as [`Appender::push`] gives one.
    ///
    /// # Errors
    /// The disk failed.
    pub async fn push_group(&mut self, group: Group) -> io::Result<Vec<BodyAddr>> {
        let mut addrs = Vec::with_capacity(group.members.len());
        let mut open = self.room(Encoding::Grouped.version()).await?;
        let (start, pack) = (open.end(), open.pack.header);
        open.bytes.extend_from_slice(&group.header.encode(&pack, start));
        for (mut header, member) in group.members {
            let offset = open.end();
            let payload = [&member.encode()[..], &format::encode_keywords(&header.packed.keywords)].concat();
            header.payload_crc = crc32c::crc32c(&payload);
            open.bytes.extend_from_slice(&header.encode(&pack, offset));
            open.bytes.extend_from_slice(&payload);
            open.pad();
            addrs.push(BodyAddr { stored: member.stored, ..self.address(&header, pack.number, offset) });
        }
        group.frames.iter().for_each(|frame| open.bytes.extend_from_slice(frame));
        open.pad();
        debug_assert_eq!(open.end(), start + group.header.stride());
        self.put_back(open).await?;
        Ok(addrs)
    }
}

/// A group whose messages are decompressed.
pub(super) struct Kept<F> {
    account: AccountId,
    pack: Pack<F>,
    /// Where it begins.
    start: u64,
    header: GroupHeader,
    /// By offset.
    members: Vec<KeptMember>,
    messages: Vec<u8>,
    /// Once somebody asked for one.
    caches: OnceCell<Vec<u8>>,
}

struct KeptMember {
    offset: u64,
    guid: Guid,
    bytes: u32,
    cache_bytes: u32,
    place: Member,
}

impl<F> Kept<F> {
    /// The member that is meant, if it is one of this group.
    fn member(&self, account: AccountId, (number, addr, guid): Whose<'_>) -> Option<&KeptMember> {
        if (self.account, self.pack.header.number) != (account, number) {
            return None;
        }
        let found = self.members.binary_search_by_key(&addr.offset, |member| member.offset).ok()?;
        let member = &self.members[found];
        ((member.bytes, member.cache_bytes, &member.guid) == (addr.bytes, addr.cache_bytes, guid)).then_some(member)
    }

    fn damaged(&self, offset: u64) -> ReadError {
        ReadError::PackDamaged { pack: self.pack.header.number, offset }
    }
}

/// One member of a group in memory.
pub(super) struct InGroup<F> {
    group: Rc<Kept<F>>,
    offset: u64,
    bytes: u32,
    cache_bytes: u32,
    place: Member,
}

impl<F> InGroup<F> {
    fn of(group: &Rc<Kept<F>>, member: &KeptMember) -> InGroup<F> {
        let &KeptMember { offset, bytes, cache_bytes, place, .. } = member;
        InGroup { group: group.clone(), offset, bytes, cache_bytes, place }
    }

    /// Its message, which is what was written: the frame checked itself, and the place in it was checked with the entry.
    ///
    /// # Errors
    /// It is not in the group.
    pub fn message(&self) -> Result<&[u8], ReadError> {
        let at = self.place.at as usize;
        self.group.messages.get(at..at + self.bytes as usize).ok_or(self.group.damaged(self.offset))
    }
}

impl<D: Disk> PackFiles<D> {
    /// A member of a group that is in memory.
    pub(super) fn kept(&self, account: AccountId, whose: Whose<'_>) -> Option<InGroup<D::File>> {
        let groups = self.groups.borrow();
        groups.iter().rev().find_map(|group| Some(InGroup::of(group, group.member(account, whose)?)))
    }

    /// The member of a group that an entry is, the group read.
    ///
    /// # Errors
    /// Damaged, or the disk failed.
    pub(super) async fn member(
        &self,
        account: AccountId,
        entry: &Opened<D::File>,
    ) -> Result<InGroup<D::File>, ReadError> {
        let (number, header) = (entry.pack.header.number, &entry.header);
        let addr = entry.addr();
        let whose = (number, &addr, &header.packed.guid);
        if let Some(kept) = self.kept(account, whose) {
            return Ok(kept);
        }
        let (start, bytes) = self.group_bytes(entry).await?;
        let group = self.open_group(account, entry, start, bytes).await?;
        let member = group.member(account, whose).map(|member| InGroup::of(&group, member)).ok_or(entry.damaged())?;
        let mut groups = self.groups.borrow_mut();
        if groups.len() >= GROUPS_KEPT_MAX {
            groups.remove(0);
        }
        groups.push(group);
        Ok(member)
    }

    /// The group's start, and its bytes up to the end of the messages' frame.
    async fn group_bytes(&self, entry: &Opened<D::File>) -> Result<(u64, Vec<u8>), ReadError> {
        let place = entry.place()?;
        let start = entry.offset.checked_sub(u64::from(place.back)).ok_or(entry.damaged())?;
        let bytes = self.bytes(&entry.pack, start, place.front as usize).await?;
        if bytes.len() == place.front as usize { Ok((start, bytes)) } else { Err(entry.damaged()) }
    }

    async fn open_group(
        &self,
        account: AccountId,
        entry: &Opened<D::File>,
        start: u64,
        mut bytes: Vec<u8>,
    ) -> Result<Rc<Kept<D::File>>, ReadError> {
        let pack = entry.pack.clone();
        let header = GroupHeader::decode(&bytes, &pack.header, start)
            .or_else(|| GroupHeader::decode_healed(&bytes, &pack.header, start));
        let header = header.filter(|header| header.front() == bytes.len() as u64).ok_or(entry.damaged())?;
        let frame = &mut bytes[header.members_end() as usize..];
        let messages = self.open_frame(entry, &header, frame, (header.frame_crc, header.bytes)).await?;
        let members = members(&bytes, &pack, start, &header);
        let caches = OnceCell::new();
        Ok(Rc::new(Kept { account, pack, start, header, members, messages, caches }))
    }

    /// Decompresses a frame of a group; a byte that is not what was written is put right.
    async fn open_frame(
        &self,
        entry: &Opened<D::File>,
        header: &GroupHeader,
        frame: &mut [u8],
        (crc, bytes): (u32, u32),
    ) -> Result<Vec<u8>, ReadError> {
        let found = crc32c::crc32c(frame);
        if found != crc {
            if !heal(frame, found, crc) {
                return Err(entry.damaged());
            }
            let (pack, offset) = (entry.pack.header.number, entry.offset);
            tracing::warn!(pack, offset, "a byte of a group of messages was damaged and is put right in memory");
        }
        if bytes == 0 {
            return Ok(Vec::new());
        }
        let dictionary = match header.dictionary {
            0 => None,
            id => Some(self.dictionaries().get(id).await?),
        };
        let opened = decompress(frame, bytes as usize, dictionary.as_deref());
        opened.filter(|opened| opened.len() == bytes as usize).ok_or(entry.damaged())
    }

    /// The rendered cache of a member.
    ///
    /// # Errors
    /// Damaged, or the disk failed.
    pub(super) async fn cache_in_group(
        &self,
        entry: &Opened<D::File>,
        member: &InGroup<D::File>,
    ) -> Result<Vec<u8>, ReadError> {
        let Kept { header, start, caches, pack, .. } = &*member.group;
        if caches.get().is_none() {
            let len = header.cache_frame_bytes as usize;
            let mut frame = self.bytes(pack, start + header.front(), len).await?;
            let of = (header.cache_frame_crc, header.cache_bytes);
            let opened = self.open_frame(entry, header, &mut frame, of).await?;
            // Another may have been quicker.
            let _ = caches.set(opened);
        }
        let at = member.place.cache_at as usize;
        let cache = caches.get().and_then(|caches| caches.get(at..at + member.cache_bytes as usize));
        cache.map(<[u8]>::to_vec).ok_or(entry.damaged())
    }

    /// Whether a member's group is what was written, as it lies there.
    ///
    /// # Errors
    /// It is not, or the disk failed.
    pub(super) async fn verify_group(&self, account: AccountId, entry: &Opened<D::File>) -> Result<(), ReadError> {
        let sound = self.is_sound(entry).await;
        if !matches!(sound, Ok(true)) {
            // What is in memory may be better than what is there.
            self.forget_groups(account);
        }
        if sound? { Ok(()) } else { Err(entry.damaged()) }
    }

    async fn is_sound(&self, entry: &Opened<D::File>) -> Result<bool, ReadError> {
        let (start, bytes) = self.group_bytes(entry).await?;
        let Some(header) = GroupHeader::decode(&bytes, &entry.pack.header, start) else { return Ok(false) };
        if header.dictionary != 0 {
            self.dictionaries().get(header.dictionary).await?;
        }
        let caches = self.bytes(&entry.pack, start + header.front(), header.cache_frame_bytes as usize).await?;
        let front = bytes.get(header.members_end() as usize..header.front() as usize);
        Ok(front.map(crc32c::crc32c) == Some(header.frame_crc) && crc32c::crc32c(&caches) == header.cache_frame_crc)
    }

    /// Lets go of the account's groups in memory.
    pub(super) fn forget_groups(&self, account: AccountId) {
        self.groups.borrow_mut().retain(|group| group.account != account);
    }
}

/// The members of a group that check.
fn members<F>(bytes: &[u8], pack: &Pack<F>, start: u64, header: &GroupHeader) -> Vec<KeptMember> {
    let (mut members, mut at) = (Vec::new(), GROUP_HEADER_BYTES);
    let end = header.members_end() as usize;
    while at < end {
        let offset = start + at as u64;
        let Some(entry) = EntryHeader::decode(&bytes[at..end], &pack.header, offset) else {
            at += ALIGN as usize;
            continue;
        };
        let payload = bytes[at..end].get(ENTRY_HEADER_BYTES..ENTRY_HEADER_BYTES + entry.payload_bytes as usize);
        let payload = payload.filter(|payload| crc32c::crc32c(payload) == entry.payload_crc);
        if let Some(place) = payload.and_then(Member::decode) {
            let EntryHeader { bytes, cache_bytes, .. } = entry;
            members.push(KeptMember { offset, guid: entry.packed.guid, bytes, cache_bytes, place });
        }
        at += entry.stride() as usize;
    }
    members
}
