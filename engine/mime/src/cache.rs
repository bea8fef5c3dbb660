//! The rendered cache: what FETCH and SEARCH ask of most messages, made once when the message arrives.
//!
//! ```text
//! [fixed header 76][part table 20 each][ENVELOPE][BODY][BODYSTRUCTURE][lines of common header fields][PREVIEW]
//! ```
//!
//! It is read where it lies, without a copy. Each text has a checksum of its own, so that who wants one reads no other.
//! Bytes, versions and checks: engine/docs/cache-format.md.

use crate::header::{FieldNames, fields, filter_header};
use crate::section::{PartTable, Place, Section, locate};
use crate::structure::{Kind, structure};
use crate::text::{PREVIEW_CHARS_MAX, preview};
use crate::{SentDate, Span, body, bodystructure, envelope, parse_date};
use skein_base::limits::MIME_PARTS_MAX;
use std::sync::LazyLock;

/// Bytes of a blob. Ordinary ones have one to three KiB; a message whose structure needs more is rendered when asked for,
/// so that one sender can not fill the cache file.
pub const CACHE_BYTES_MAX: usize = 256 * 1024;

/// The header fields whose lines are kept: those that the usual clients fetch for a list of messages, and what SEARCH and
/// SORT look at. A change of this list is a change of format.
pub const CACHED_FIELDS: [&str; 32] = [
    "From",
    "To",
    "Cc",
    "Bcc",
    "Subject",
    "Date",
    "Message-ID",
    "In-Reply-To",
    "References",
    "Reply-To",
    "Sender",
    "Content-Type",
    "Content-Transfer-Encoding",
    "MIME-Version",
    "List-Id",
    "List-Post",
    "List-Unsubscribe",
    "X-Priority",
    "Priority",
    "Importance",
    "X-Spam-Flag",
    "X-Spam-Status",
    "Delivered-To",
    "Newsgroups",
    "Auto-Submitted",
    "Precedence",
    "Disposition-Notification-To",
    "Return-Path",
    "Content-Disposition",
    "Content-Language",
    "User-Agent",
    "X-Mailer",
];

/// Another one whose lines are kept, from version 2 on: POP3's id of a message that came from another server.
const UNIQUE_ID_FIELD: &str = "X-UIDL";

static KEPT_NAMES: LazyLock<Vec<&str>> = LazyLock::new(|| [&CACHED_FIELDS[..], &[UNIQUE_ID_FIELD]].concat());
static KEPT: LazyLock<FieldNames<'static>> = LazyLock::new(|| FieldNames::of(&KEPT_NAMES));

const MAGIC: [u8; 4] = *b"SKMC";
const VERSION: u16 = 3;
/// It has no checksums, and is otherwise the same.
const VERSION_UNCHECKED: u16 = 2;
/// It has neither PREVIEW nor X-UIDL besides.
const VERSION_FIRST: u16 = 1;
const HEADER_BYTES: usize = 76;
const HEADER_BYTES_UNCHECKED: usize = 48;
/// Checksums of the part table and the texts, in their order; then that of the header before it.
const CRCS_AT: usize = HEADER_BYTES_UNCHECKED;
const HEADER_CRC_AT: usize = 72;
const PART_BYTES: usize = 20;
const TOO_BIG: u16 = 1;
const HAS_DATE: u16 = 2;

// The table of a message at the limit of parts stays below the limit of a blob.
const _: () = assert!(HEADER_BYTES + PART_BYTES * MIME_PARTS_MAX < CACHE_BYTES_MAX);
// The length of a preview has 16 bits, a letter at most four bytes.
const _: () = assert!(PREVIEW_CHARS_MAX * 4 <= u16::MAX as usize);

/// Makes the cache of a message.
pub struct Cache;

impl Cache {
    /// The blob of `message`.
    pub fn build(message: &[u8]) -> Vec<u8> {
        let mut out = Vec::with_capacity(2048);
        Cache::build_into(message, &mut out);
        out
    }

    /// Appends the blob of `message` to `out`: at most [`CACHE_BYTES_MAX`] bytes.
    pub fn build_into(message: &[u8], out: &mut Vec<u8>) {
        let start = out.len();
        let parts = structure(message);
        let header = parts[0].header.of(message);
        out.resize(start + HEADER_BYTES, 0);
        for index in 0..parts.len() {
            push_place(parts.place(index), out);
        }
        let mut ends = [out.len(); 5];
        envelope(header, out);
        ends[1] = out.len();
        body(message, &parts, out);
        ends[2] = out.len();
        bodystructure(message, &parts, out);
        ends[3] = out.len();
        filter_header(header, &KEPT, false, out);
        ends[4] = out.len();
        out.extend_from_slice(preview(message, &parts).as_bytes());
        let preview_bytes = (out.len() - ends[4]) as u16;

        let too_big = out.len() - start > CACHE_BYTES_MAX;
        let lengths = if too_big {
            out.truncate(start + HEADER_BYTES);
            Lengths::default()
        } else {
            let length = |i: usize| (ends[i + 1] - ends[i]) as u32;
            Lengths { texts: [length(0), length(1), length(2), length(3), parts.len() as u32], preview: preview_bytes }
        };
        let date = sent_date(header);
        write_header(&mut out[start..start + HEADER_BYTES], message.len(), header.len(), date, lengths, too_big);
        Cache::seal(&mut out[start..]).expect("its lengths were just written");
    }

    /// Makes the checksums of a blob true again, after a tester changed it.
    ///
    /// # Errors
    /// A blob that [`CacheRef::new`] would refuse even then, or one of a version that has none.
    pub fn seal(blob: &mut [u8]) -> Result<(), CacheError> {
        let (head, rest) = head_of(blob)?;
        if head.len() != HEADER_BYTES {
            return Err(CacheError::Version { found: version_of(head) });
        }
        let cache = CacheRef { head, rest };
        cache.check_lengths()?;
        let crcs = TEXTS.map(|text| crc32c::crc32c(cache.unread(text)));
        for (slot, crc) in blob[CRCS_AT..HEADER_CRC_AT].chunks_exact_mut(4).zip(crcs) {
            slot.copy_from_slice(&crc.to_le_bytes());
        }
        let crc = crc32c::crc32c(&blob[..HEADER_CRC_AT]);
        blob[HEADER_CRC_AT..HEADER_BYTES].copy_from_slice(&crc.to_le_bytes());
        Ok(())
    }
}

/// What stands in the header: lengths of the texts and the count of parts, all 0 when the blob is too big.
#[derive(Default)]
struct Lengths {
    texts: [u32; 5],
    preview: u16,
}

/// True when the lines of this header field are in every blob.
pub fn is_cached_field(name: &[u8]) -> bool {
    CACHED_FIELDS.iter().any(|known| name.eq_ignore_ascii_case(known.as_bytes()))
}

/// The id in a header's first X-UIDL field: what other servers' mbox files and copies of mail from them call a message.
pub fn unique_id(header: &[u8]) -> Option<&[u8]> {
    fields(header).find(|field| field.is(UNIQUE_ID_FIELD)).map(|field| field.value.trim_ascii())
}

/// The first Date field, as Dovecot takes it.
fn sent_date(header: &[u8]) -> Option<SentDate> {
    fields(header).find(|field| field.is("Date")).and_then(|field| parse_date(field.value))
}

fn push_place(place: Place, out: &mut Vec<u8>) {
    for number in [place.header_start, place.body_start, place.body_end, place.after] {
        out.extend_from_slice(&number.to_le_bytes());
    }
    let kind = match place.kind {
        Kind::Leaf => 0,
        Kind::Multipart => 1,
        Kind::Message => 2,
    };
    out.extend_from_slice(&[kind, 0, 0, 0]);
}

fn write_header(
    out: &mut [u8],
    message_bytes: usize,
    header_bytes: usize,
    date: Option<SentDate>,
    lengths: Lengths,
    too_big: bool,
) {
    let flags = if too_big { TOO_BIG } else { 0 } | if date.is_some() { HAS_DATE } else { 0 };
    let date = date.unwrap_or(SentDate { seconds: 0, zone_minutes: 0 });
    out[0..4].copy_from_slice(&MAGIC);
    out[4..6].copy_from_slice(&VERSION.to_le_bytes());
    out[6..8].copy_from_slice(&flags.to_le_bytes());
    out[8..12].copy_from_slice(&(message_bytes as u32).to_le_bytes());
    out[12..16].copy_from_slice(&(header_bytes as u32).to_le_bytes());
    out[16..24].copy_from_slice(&date.seconds.to_le_bytes());
    out[24..26].copy_from_slice(&date.zone_minutes.to_le_bytes());
    out[26..28].copy_from_slice(&lengths.preview.to_le_bytes());
    for (slot, length) in out[28..CRCS_AT].chunks_exact_mut(4).zip(lengths.texts) {
        slot.copy_from_slice(&length.to_le_bytes());
    }
}

/// Why a blob can not be used. The next step is always the same: build it anew from the message.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum CacheError {
    /// Fewer bytes than the fixed header.
    Short {
        /// How many there are.
        bytes: usize,
    },
    /// Not a blob of this kind.
    NotACache,
    /// Written by another version.
    Version {
        /// The version found.
        found: u16,
    },
    /// The header is not what was written.
    Header,
    /// The lengths in the header do not add up to the blob's.
    Lengths,
}

impl std::fmt::Display for CacheError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            CacheError::Short { bytes } => write!(f, "{bytes} bytes are no cache record; rebuild it"),
            CacheError::NotACache => write!(f, "not a cache record; rebuild it"),
            CacheError::Version { found } => {
                write!(f, "cache record of version {found}, this build reads {VERSION}; rebuild it")
            }
            CacheError::Header => write!(f, "the header of the cache record does not check; rebuild it"),
            CacheError::Lengths => write!(f, "the lengths of the cache record do not add up; rebuild it"),
        }
    }
}

impl std::error::Error for CacheError {}

/// Why a blob does not have what was asked for: render it from the message.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum NotCached {
    /// The blob has only its fixed header.
    TooBig,
    /// What was written has changed.
    Damaged,
}

/// What has a checksum, in the order of the blob.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum CachedText {
    /// The table of parts.
    Parts,
    /// ENVELOPE as it goes to the client.
    Envelope,
    /// BODY as it goes to the client.
    Body,
    /// BODYSTRUCTURE as it goes to the client.
    BodyStructure,
    /// The lines of all cached header fields in the order of the message, and the empty line when the message has one.
    Lines,
    /// PREVIEW in UTF-8.
    Preview,
}

const TEXTS: [CachedText; 6] = [
    CachedText::Parts,
    CachedText::Envelope,
    CachedText::Body,
    CachedText::BodyStructure,
    CachedText::Lines,
    CachedText::Preview,
];

/// A blob, read where it lies. Its header is checked; each text is when it is read.
#[derive(Clone, Copy, Debug)]
pub struct CacheRef<'a> {
    head: &'a [u8],
    rest: &'a [u8],
}

impl<'a> CacheRef<'a> {
    /// Checks the header, and that its lengths are the blob's; no text is looked at.
    ///
    /// # Errors
    /// What makes the blob of no use.
    pub fn new(blob: &'a [u8]) -> Result<CacheRef<'a>, CacheError> {
        let (head, rest) = head_of(blob)?;
        let cache = CacheRef { head, rest };
        if cache.checks_itself() && word(head, HEADER_CRC_AT) != crc32c::crc32c(&head[..HEADER_CRC_AT]) {
            return Err(CacheError::Header);
        }
        cache.check_lengths()?;
        Ok(cache)
    }

    /// True when a text that was changed is found out when it is read. A blob of the versions before is only as good as what its
    /// container says of it.
    pub fn checks_itself(&self) -> bool {
        self.head.len() == HEADER_BYTES
    }

    fn check_lengths(&self) -> Result<(), CacheError> {
        let bytes: u64 = TEXTS.iter().map(|&text| self.length(text)).sum();
        let too_big = (self.length(CachedText::Parts) == 0) == self.is_too_big();
        let inside = bytes == self.rest.len() as u64 && self.header_bytes() <= self.message_bytes();
        let parts = word(self.head, 44) as usize <= MIME_PARTS_MAX;
        if too_big && inside && parts { Ok(()) } else { Err(CacheError::Lengths) }
    }

    fn length(&self, text: CachedText) -> u64 {
        match text {
            CachedText::Parts => u64::from(word(self.head, 44)) * PART_BYTES as u64,
            CachedText::Preview if version_of(self.head) == VERSION_FIRST => 0,
            CachedText::Preview => u64::from(u16::from_le_bytes([self.head[26], self.head[27]])),
            text => u64::from(word(self.head, 24 + 4 * text as usize)),
        }
    }

    /// A text as it lies there: to have it brought from memory before it is read.
    pub fn unread(&self, text: CachedText) -> &'a [u8] {
        // The lengths are known to be the blob's.
        let start: u64 = TEXTS[..text as usize].iter().map(|&before| self.length(before)).sum();
        &self.rest[start as usize..][..self.length(text) as usize]
    }

    /// A text, checked.
    ///
    /// # Errors
    /// Why the blob does not have it.
    pub fn text(&self, text: CachedText) -> Result<&'a [u8], NotCached> {
        if self.is_too_big() {
            return Err(NotCached::TooBig);
        }
        let bytes = self.unread(text);
        let sound = !self.checks_itself() || word(self.head, CRCS_AT + 4 * text as usize) == crc32c::crc32c(bytes);
        if sound { Ok(bytes) } else { Err(NotCached::Damaged) }
    }

    /// True when the message's structure is over [`CACHE_BYTES_MAX`] and must be rendered from the message. Sizes and the
    /// date are known even then.
    pub fn is_too_big(&self) -> bool {
        self.flags() & TOO_BIG != 0
    }

    fn flags(&self) -> u16 {
        u16::from_le_bytes([self.head[6], self.head[7]])
    }

    /// ENVELOPE as it goes to the client.
    pub fn envelope(&self) -> Result<&'a [u8], NotCached> {
        self.text(CachedText::Envelope)
    }

    /// BODY as it goes to the client.
    pub fn body(&self) -> Result<&'a [u8], NotCached> {
        self.text(CachedText::Body)
    }

    /// BODYSTRUCTURE as it goes to the client.
    pub fn bodystructure(&self) -> Result<&'a [u8], NotCached> {
        self.text(CachedText::BodyStructure)
    }

    /// Length of the message in octets.
    pub fn message_bytes(&self) -> u32 {
        word(self.head, 8)
    }

    /// Length of the message's header block, its empty line included.
    pub fn header_bytes(&self) -> u32 {
        word(self.head, 12)
    }

    /// The first Date field; `None` when it is missing or no date.
    pub fn sent_date(&self) -> Option<SentDate> {
        let seconds = i64::from_le_bytes(self.head[16..24].try_into().expect("eight bytes"));
        let zone_minutes = i16::from_le_bytes([self.head[24], self.head[25]]);
        (self.flags() & HAS_DATE != 0).then_some(SentDate { seconds, zone_minutes })
    }

    /// The lines of all cached header fields in the order of the message, and the empty line when the message has one:
    /// what SEARCH looks into, after [`is_cached_field`] said that it may.
    pub fn header_lines(&self) -> Result<&'a [u8], NotCached> {
        self.text(CachedText::Lines)
    }

    /// Appends the answer to `BODY[HEADER.FIELDS (names)]` to `out`; `None`, with nothing appended, when a name is not
    /// among [`CACHED_FIELDS`] or the blob does not have the lines, so that the header must be read.
    pub fn header_fields(&self, names: &[impl AsRef<[u8]>], out: &mut Vec<u8>) -> Option<()> {
        let lines = self.header_lines().ok()?;
        if !names.iter().all(|name| is_cached_field(name.as_ref())) {
            return None;
        }
        filter_header(lines, &FieldNames::of(names), false, out);
        Some(())
    }

    /// The X-UIDL field, when there is one; `None` when the blob can not tell.
    pub fn unique_id(&self) -> Option<Option<&'a [u8]>> {
        let lines = self.header_lines().ok().filter(|_| version_of(self.head) != VERSION_FIRST)?;
        Some(unique_id(lines))
    }

    /// PREVIEW; `None` when the blob has none, because it is too big, damaged or of the first version.
    pub fn preview(&self) -> Option<&'a [u8]> {
        self.text(CachedText::Preview).ok().filter(|_| version_of(self.head) != VERSION_FIRST)
    }

    /// Where the message's parts are. Checks every offset, so that nothing read by them is out of the message. O(parts).
    pub fn parts(&self) -> Result<CachedParts<'a>, NotCached> {
        let parts = CachedParts(self.text(CachedText::Parts)?);
        if parts.are_inside(self.message_bytes()) { Ok(parts) } else { Err(NotCached::Damaged) }
    }

    /// The bytes of the message that a section is made of, as [`locate`] finds them.
    pub fn section(&self, section: &Section) -> Result<Option<Span>, NotCached> {
        Ok(locate(&self.parts()?, section))
    }
}

/// The part table of a blob.
#[derive(Clone, Copy, Debug)]
pub struct CachedParts<'a>(&'a [u8]);

impl CachedParts<'_> {
    fn are_inside(&self, message_bytes: u32) -> bool {
        (0..self.count()).all(|index| {
            let place = self.place(index);
            let ordered = place.header_start <= place.body_start && place.body_start <= place.body_end;
            let inside = place.body_end <= message_bytes && place.after as usize <= self.count();
            let known = self.0[index * PART_BYTES + 16] <= 2;
            ordered && inside && known && place.after as usize > index
        })
    }
}

impl PartTable for CachedParts<'_> {
    fn count(&self) -> usize {
        self.0.len() / PART_BYTES
    }

    fn place(&self, index: usize) -> Place {
        let record = &self.0[index * PART_BYTES..][..PART_BYTES];
        let kind = match record[16] {
            0 => Kind::Leaf,
            1 => Kind::Multipart,
            _ => Kind::Message,
        };
        Place {
            header_start: word(record, 0),
            body_start: word(record, 4),
            body_end: word(record, 8),
            after: word(record, 12),
            kind,
        }
    }
}

/// The fixed header and what follows it.
fn head_of(blob: &[u8]) -> Result<(&[u8], &[u8]), CacheError> {
    let short = CacheError::Short { bytes: blob.len() };
    if blob.len() < HEADER_BYTES_UNCHECKED {
        return Err(short);
    }
    if !blob.starts_with(&MAGIC) {
        return Err(CacheError::NotACache);
    }
    let bytes = match version_of(blob) {
        VERSION => HEADER_BYTES,
        VERSION_UNCHECKED | VERSION_FIRST => HEADER_BYTES_UNCHECKED,
        found => return Err(CacheError::Version { found }),
    };
    blob.split_at_checked(bytes).ok_or(short)
}

fn version_of(head: &[u8]) -> u16 {
    u16::from_le_bytes([head[4], head[5]])
}

fn word(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(bytes[at..at + 4].try_into().expect("four bytes"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::What;

    const MESSAGE: &[u8] =
        b"From: a@b\r\nX-Other: x\r\nDate: Fri, 21 Nov 1997 09:55:06 -0600\r\nSubject: hi\r\n there\r\n\
        Content-Type: multipart/mixed; boundary=x\r\n\r\n--x\r\n\r\none\r\n--x\r\n\r\ntwo\r\n--x--\r\n";

    #[test]
    fn what_was_rendered_is_read() {
        let blob = Cache::build(MESSAGE);
        let cache = CacheRef::new(&blob).unwrap();
        let parts = structure(MESSAGE);
        let (mut e, mut b, mut s) = (Vec::new(), Vec::new(), Vec::new());
        envelope(parts[0].header.of(MESSAGE), &mut e);
        body(MESSAGE, &parts, &mut b);
        bodystructure(MESSAGE, &parts, &mut s);
        assert_eq!((cache.envelope(), cache.body(), cache.bodystructure()), (Ok(&e[..]), Ok(&b[..]), Ok(&s[..])));
        assert_eq!(cache.sent_date().map(|d| (d.seconds, d.zone_minutes)), Some((880_127_706, -360)));
        assert_eq!(cache.header_bytes(), parts[0].header.end);
        assert_eq!(cache.message_bytes() as usize, MESSAGE.len());
        let second = Section { path: vec![2], what: What::Whole };
        assert_eq!(cache.section(&second), Ok(locate(&parts[..], &second)));
        assert_eq!(cache.section(&second).unwrap().unwrap().of(MESSAGE), b"two");
    }

    #[test]
    fn only_listed_fields_are_answered() {
        let blob = Cache::build(MESSAGE);
        let cache = CacheRef::new(&blob).unwrap();
        let mut out = Vec::new();
        assert_eq!(cache.header_fields(&["SUBJECT", "from", "Cc"], &mut out), Some(()));
        assert_eq!(out, b"From: a@b\r\nSubject: hi\r\n there\r\n\r\n");
        assert_eq!(cache.header_fields(&["Subject", "X-Other"], &mut out), None);
    }

    /// What version 2 made of a message.
    fn unchecked(message: &[u8]) -> Vec<u8> {
        let mut blob = Cache::build(message);
        blob.drain(CRCS_AT..HEADER_BYTES);
        blob[4] = VERSION_UNCHECKED as u8;
        blob
    }

    #[test]
    fn blobs_of_the_versions_before_are_read() {
        let new = Cache::build(MESSAGE);
        let new = CacheRef::new(&new).unwrap();
        assert_eq!((new.preview(), new.unique_id(), new.checks_itself()), (Some(&b"one"[..]), Some(None), true));
        let mut blob = unchecked(MESSAGE);
        let old = CacheRef::new(&blob).unwrap();
        assert_eq!((old.preview(), old.unique_id(), old.checks_itself()), (new.preview(), new.unique_id(), false));
        assert_eq!((old.envelope(), old.body()), (new.envelope(), new.body()));
        assert_eq!((old.bodystructure(), old.header_lines()), (new.bodystructure(), new.header_lines()));
        let second = Section { path: vec![2], what: What::Whole };
        assert_eq!(old.section(&second), new.section(&second));
        blob[4] = 1;
        assert_eq!(CacheRef::new(&blob).unwrap_err(), CacheError::Lengths);
        blob[26..28].fill(0);
        blob.truncate(blob.len() - 3);
        let old = CacheRef::new(&blob).unwrap();
        assert_eq!((old.preview(), old.unique_id(), old.header_lines().is_ok()), (None, None, true));
        let with_id = Cache::build(b"X-UIDL:  a1\r\nSubject: x\r\n\r\n");
        assert_eq!(CacheRef::new(&with_id).unwrap().unique_id(), Some(Some(&b"a1"[..])));
        blob[4] = 4;
        assert_eq!(CacheRef::new(&blob).unwrap_err(), CacheError::Version { found: 4 });
    }

    /// A message may be made to have more structure than content.
    #[test]
    fn a_blob_over_the_limit_says_so() {
        let mut message = b"Date: 1 Jan 1970\r\nSubject: ".to_vec();
        message.resize(CACHE_BYTES_MAX + 100, b'x');
        message.extend_from_slice(b"\r\n\r\nbody");
        let mut blob = b"before".to_vec();
        Cache::build_into(&message, &mut blob);
        let cache = CacheRef::new(&blob[6..]).unwrap();
        assert!(cache.is_too_big());
        assert_eq!(
            (cache.envelope(), cache.header_lines(), cache.preview()),
            (Err(NotCached::TooBig), Err(NotCached::TooBig), None)
        );
        assert_eq!(cache.section(&Section { path: vec![1], what: What::Whole }), Err(NotCached::TooBig));
        assert_eq!(cache.header_fields(&["Subject"], &mut Vec::new()), None);
        assert_eq!(cache.header_bytes() as usize + 4, message.len());
        assert!(cache.sent_date().is_some());
    }

    /// What one asks of a blob, each with the bytes of it that the answer may be made of.
    fn answers(cache: &CacheRef<'_>) -> Vec<Option<Vec<u8>>> {
        let second = Section { path: vec![2], what: What::Whole };
        let section = cache.section(&second).map(|span| span.map(|span| vec![span.start as u8, span.end as u8]));
        let texts = [cache.envelope(), cache.body(), cache.bodystructure(), cache.header_lines()];
        let texts = texts.map(|text| text.ok().map(<[u8]>::to_vec));
        let preview = cache.preview().map(<[u8]>::to_vec);
        texts.into_iter().chain([preview, section.ok().flatten()]).collect()
    }

    #[test]
    fn a_changed_byte_is_found_by_who_reads_it_and_by_nobody_else() {
        let blob = Cache::build(MESSAGE);
        let good = answers(&CacheRef::new(&blob).unwrap());
        for at in 0..blob.len() {
            let mut bad = blob.clone();
            bad[at] ^= 0x10;
            let Ok(cache) = CacheRef::new(&bad) else {
                assert!(at < HEADER_BYTES, "byte {at}");
                continue;
            };
            let found = answers(&cache);
            let lost = found.iter().zip(&good).filter(|(found, good)| found != good).collect::<Vec<_>>();
            assert!(at >= HEADER_BYTES && lost.len() == 1 && lost[0].0.is_none(), "byte {at}: {lost:?}");
        }
    }

    #[test]
    fn every_cut_and_every_flipped_byte_is_survived() {
        for (whole, seal) in [(Cache::build(MESSAGE), true), (unchecked(MESSAGE), false)] {
            for len in 0..whole.len() {
                assert!(CacheRef::new(&whole[..len]).is_err());
            }
            for at in 0..whole.len() {
                let mut bad = whole.clone();
                bad[at] ^= 0xff;
                if seal && Cache::seal(&mut bad).is_err() {
                    continue;
                }
                if let Ok(cache) = CacheRef::new(&bad) {
                    answers(&cache);
                    let _ = (cache.sent_date(), cache.header_fields(&["From"], &mut Vec::new()));
                }
            }
        }
    }
}
