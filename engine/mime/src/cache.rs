//! The rendered cache: what FETCH and SEARCH ask of most messages, made once when the message arrives.
//!
//! ```text
//! [fixed header 48][part table 20 each][ENVELOPE][BODY][BODYSTRUCTURE][lines of common header fields][PREVIEW]
//! ```
//!
//! It is read where it lies, without a copy. Bytes, versions and checks: engine/docs/cache-format.md. The checksum is the
//! container's: this blob is always part of a larger record.

use crate::header::{FieldNames, fields, filter_header};
use crate::section::{PartTable, Place, Section, locate};
use crate::structure::{Kind, structure};
use crate::text::{PREVIEW_CHARS_MAX, preview};
use crate::{SentDate, Span, body, bodystructure, envelope, parse_date};
use skein_base::limits::MIME_PARTS_MAX;

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

const MAGIC: [u8; 4] = *b"SKMC";
const VERSION: u16 = 2;
/// It has neither PREVIEW nor X-UIDL, and is otherwise the same.
const VERSION_BEFORE: u16 = 1;
const HEADER_BYTES: usize = 48;
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
        let kept = [&CACHED_FIELDS[..], &[UNIQUE_ID_FIELD]].concat();
        filter_header(header, &FieldNames::of(&kept), false, out);
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
    for (slot, length) in out[28..48].chunks_exact_mut(4).zip(lengths.texts) {
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
    /// The lengths in the header do not add up to the blob's.
    Lengths,
    /// This part lies outside the message or the table.
    Part {
        /// Its index.
        index: usize,
    },
}

impl std::fmt::Display for CacheError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            CacheError::Short { bytes } => write!(f, "{bytes} bytes are no cache record; rebuild it"),
            CacheError::NotACache => write!(f, "not a cache record; rebuild it"),
            CacheError::Version { found } => {
                write!(f, "cache record of version {found}, this build reads {VERSION}; rebuild it")
            }
            CacheError::Lengths => write!(f, "the lengths of the cache record do not add up; rebuild it"),
            CacheError::Part { index } => write!(f, "part {index} of the cache record is out of bounds; rebuild it"),
        }
    }
}

impl std::error::Error for CacheError {}

/// The blob has only its fixed header: render from the message.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct TooBig;

/// A checked blob, read where it lies.
#[derive(Clone, Copy, Debug)]
pub struct CacheRef<'a> {
    head: &'a [u8],
    parts: &'a [u8],
    envelope: &'a [u8],
    body: &'a [u8],
    bodystructure: &'a [u8],
    lines: &'a [u8],
    /// `None` in a blob of version 1.
    preview: Option<&'a [u8]>,
}

impl<'a> CacheRef<'a> {
    /// Checks every length and offset; nothing read later can be out of bounds. O(parts).
    pub fn new(blob: &'a [u8]) -> Result<CacheRef<'a>, CacheError> {
        let (head, rest) = blob.split_at_checked(HEADER_BYTES).ok_or(CacheError::Short { bytes: blob.len() })?;
        if head[..4] != MAGIC {
            return Err(CacheError::NotACache);
        }
        let found = u16::from_le_bytes([head[4], head[5]]);
        if !matches!(found, VERSION | VERSION_BEFORE) {
            return Err(CacheError::Version { found });
        }
        let preview = (found == VERSION).then_some(&b""[..]);
        let mut cache =
            CacheRef { head, parts: b"", envelope: b"", body: b"", bodystructure: b"", lines: b"", preview };
        cache.cut(rest).ok_or(CacheError::Lengths)?;
        cache.check_parts()?;
        Ok(cache)
    }

    fn cut(&mut self, rest: &'a [u8]) -> Option<()> {
        let length = |i: usize| word(self.head, 28 + 4 * i) as usize;
        let count = length(4);
        if count > MIME_PARTS_MAX || (count == 0) != self.is_too_big() || self.header_bytes() > self.message_bytes() {
            return None;
        }
        let (envelope, body, bodystructure, lines) = (length(0), length(1), length(2), length(3));
        let (parts, rest) = rest.split_at_checked(count * PART_BYTES)?;
        let (envelope, rest) = rest.split_at_checked(envelope)?;
        let (body, rest) = rest.split_at_checked(body)?;
        let (bodystructure, rest) = rest.split_at_checked(bodystructure)?;
        let (lines, preview) = rest.split_at_checked(lines)?;
        (self.parts, self.envelope, self.body, self.bodystructure, self.lines) =
            (parts, envelope, body, bodystructure, lines);
        self.preview = self.preview.map(|_| preview);
        let expect = self.preview.map_or(0, |_| u16::from_le_bytes([self.head[26], self.head[27]]));
        (preview.len() == usize::from(expect)).then_some(())
    }

    fn check_parts(&self) -> Result<(), CacheError> {
        for index in 0..self.count() {
            let place = self.place(index);
            let ordered = place.header_start <= place.body_start && place.body_start <= place.body_end;
            let inside = place.body_end <= self.message_bytes() && place.after as usize <= self.count();
            let known = self.parts[index * PART_BYTES + 16] <= 2;
            if !(ordered && inside && known && place.after as usize > index) {
                return Err(CacheError::Part { index });
            }
        }
        Ok(())
    }

    /// True when the message's structure is over [`CACHE_BYTES_MAX`] and must be rendered from the message. Sizes and the
    /// date are known even then.
    pub fn is_too_big(&self) -> bool {
        self.flags() & TOO_BIG != 0
    }

    fn flags(&self) -> u16 {
        u16::from_le_bytes([self.head[6], self.head[7]])
    }

    fn unless_too_big(&self, bytes: &'a [u8]) -> Result<&'a [u8], TooBig> {
        if self.is_too_big() { Err(TooBig) } else { Ok(bytes) }
    }

    /// ENVELOPE as it goes to the client.
    pub fn envelope(&self) -> Result<&'a [u8], TooBig> {
        self.unless_too_big(self.envelope)
    }

    /// BODY as it goes to the client.
    pub fn body(&self) -> Result<&'a [u8], TooBig> {
        self.unless_too_big(self.body)
    }

    /// BODYSTRUCTURE as it goes to the client.
    pub fn bodystructure(&self) -> Result<&'a [u8], TooBig> {
        self.unless_too_big(self.bodystructure)
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
    pub fn header_lines(&self) -> Result<&'a [u8], TooBig> {
        self.unless_too_big(self.lines)
    }

    /// Appends the answer to `BODY[HEADER.FIELDS (names)]` to `out`; `None`, with nothing appended, when a name is not
    /// among [`CACHED_FIELDS`] or the blob is too big, so that the header must be read.
    pub fn header_fields(&self, names: &[impl AsRef<[u8]>], out: &mut Vec<u8>) -> Option<()> {
        let lines = self.header_lines().ok()?;
        if !names.iter().all(|name| is_cached_field(name.as_ref())) {
            return None;
        }
        filter_header(lines, &FieldNames::of(names), false, out);
        Some(())
    }

    /// The X-UIDL field, when there is one; `None` when the blob can not tell, because it is too big or of the version before.
    pub fn unique_id(&self) -> Option<Option<&'a [u8]>> {
        self.preview()?;
        Some(unique_id(self.lines))
    }

    /// PREVIEW; `None` when the blob has none, because it is too big or of the version before.
    pub fn preview(&self) -> Option<&'a [u8]> {
        self.preview.filter(|_| !self.is_too_big())
    }

    /// The bytes of the message that a section is made of, as [`locate`] finds them.
    pub fn section(&self, section: &Section) -> Result<Option<Span>, TooBig> {
        if self.is_too_big() { Err(TooBig) } else { Ok(locate(self, section)) }
    }
}

impl PartTable for CacheRef<'_> {
    fn count(&self) -> usize {
        self.parts.len() / PART_BYTES
    }

    fn place(&self, index: usize) -> Place {
        let record = &self.parts[index * PART_BYTES..][..PART_BYTES];
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

    /// A blob of version 1 is one of version 2 without its last text.
    #[test]
    fn blobs_of_the_version_before_are_read() {
        let mut blob = Cache::build(MESSAGE);
        let new = CacheRef::new(&blob).unwrap();
        assert_eq!((new.preview(), new.unique_id()), (Some(&b"one"[..]), Some(None)));
        blob[4] = 1;
        assert_eq!(CacheRef::new(&blob).unwrap_err(), CacheError::Lengths);
        blob[26..28].fill(0);
        blob.truncate(blob.len() - 3);
        let old = CacheRef::new(&blob).unwrap();
        assert_eq!((old.preview(), old.unique_id(), old.header_lines().is_ok()), (None, None, true));
        let with_id = Cache::build(b"X-UIDL:  a1\r\nSubject: x\r\n\r\n");
        assert_eq!(CacheRef::new(&with_id).unwrap().unique_id(), Some(Some(&b"a1"[..])));
        blob[4] = 3;
        assert_eq!(CacheRef::new(&blob).unwrap_err(), CacheError::Version { found: 3 });
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
        assert_eq!((cache.envelope(), cache.header_lines(), cache.preview()), (Err(TooBig), Err(TooBig), None));
        assert_eq!(cache.section(&Section { path: vec![1], what: What::Whole }), Err(TooBig));
        assert_eq!(cache.header_fields(&["Subject"], &mut Vec::new()), None);
        assert_eq!(cache.header_bytes() as usize + 4, message.len());
        assert!(cache.sent_date().is_some());
    }

    #[test]
    fn every_cut_and_every_flipped_byte_is_survived() {
        let blob = Cache::build(MESSAGE);
        for len in 0..blob.len() {
            assert!(CacheRef::new(&blob[..len]).is_err());
        }
        for at in 0..blob.len() {
            let mut bad = blob.clone();
            bad[at] ^= 0xff;
            if let Ok(cache) = CacheRef::new(&bad) {
                let _ = cache.section(&Section { path: vec![2, 1], what: What::Text });
                let _ = (cache.sent_date(), cache.header_fields(&["From"], &mut Vec::new()));
            }
        }
    }
}
