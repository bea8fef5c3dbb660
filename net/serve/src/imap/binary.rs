//! BINARY (RFC 3516): sections without their transfer encodings.
//!
//! ```text
//! pieces ─▶ encodings from the headers ─▶ Content ─┬─ measured: bytes, NULs      (what fits a chunk is kept)
//!                                                  └─ written, chunk by chunk    (read again when it does not)
//! ```
//!
//! The length stands before the bytes, and only decoding tells it. So a large part is decoded twice, and never held.

use super::fetch::Failure;
use super::link::Link;
use super::session::Session;
use crate::message::Message;
use skein_base::limits::BODY_CHUNK_BYTES;
use skein_mime::{Decoder, Piece, Transfer, binary_header};
use skein_proto::imap::response::{FetchLine, literal_head};
use skein_proto::imap::{BinarySection, FetchItem, FetchItems, Partial};
use skein_store::StoreError;
use std::io;
use std::ops::Range;

/// Messages up to this are read at once when the headers of their parts are wanted.
const READ_WHOLE_BYTES_MAX: u64 = BODY_CHUNK_BYTES as u64;
/// Headers read between two looks at what else there is to do.
const HEADERS_BATCH: usize = 32;

/// A section's bytes, in order; nothing of them is held.
struct Content {
    segments: Vec<Segment>,
}

enum Segment {
    /// A range of the message.
    AsIs(Range<u64>),
    /// The header in this range, which is to say `binary`.
    Header(Range<u64>),
    /// A range to be decoded.
    Coded(Range<u64>, Transfer),
}

/// Where reading a content stands.
#[derive(Default)]
struct Place {
    segment: usize,
    /// Bytes of the segment that have been read.
    done: u64,
    decoder: Option<Decoder>,
}

/// What a client is told before the bytes.
#[derive(Default)]
struct Measure {
    bytes: u64,
    has_nul: bool,
    has_eight_bit: bool,
    /// All of it, when there was room. The items of one FETCH share a chunk.
    kept: Option<Vec<u8>>,
}

/// What is to be written for one item of a FETCH.
pub(super) struct Measured {
    content: Content,
    measure: Measure,
}

impl Session {
    /// Measures what BINARY items ask for, before the line is begun: an encoding that is not known fails the message as a whole
    /// (RFC 3516 §4.3). For each item in order; `None` for others, and for parts that are not there.
    pub(super) async fn measure_binaries(
        &self,
        items: &FetchItems,
        message: &mut Message<'_>,
    ) -> Result<Vec<Option<Measured>>, Failure> {
        let (mut all, mut room) = (Vec::new(), BODY_CHUNK_BYTES);
        for item in &items.list {
            let (path, partial, size_only) = match item {
                FetchItem::Binary(section) => (&section.path, section.partial, false),
                FetchItem::BinarySize(path) => (path, None, true),
                _ => {
                    all.push(None);
                    continue;
                }
            };
            let Some(content) = Content::of(path, message).await? else {
                all.push(None);
                continue;
            };
            let measure = match content.bytes_as_they_are().filter(|_| size_only) {
                Some(bytes) => Measure { bytes, ..Measure::default() },
                None => content.measure(message, &window(partial), if size_only { 0 } else { room }).await?,
            };
            room -= measure.kept.as_ref().map_or(0, Vec::len);
            all.push(Some(Measured { content, measure }));
        }
        Ok(all)
    }

    pub(super) async fn binary(
        &self,
        section: &BinarySection,
        measured: Option<&mut Measured>,
        message: &mut Message<'_>,
        line: &mut FetchLine,
        link: &mut Link<'_>,
    ) -> Result<(), Failure> {
        let Some(Measured { content, measure }) = measured else {
            line.binary_nil(link.out(), section);
            return Ok(());
        };
        line.binary(link.out(), section, measure.bytes, measure.has_nul);
        if let Some(kept) = measure.kept.take() {
            link.out().extend_from_slice(&kept);
            return Ok(());
        }
        self.write_content(content, &window(section.partial), measure.bytes, message, link).await
    }

    /// Writes so many bytes, which the client has been told of.
    async fn write_content(
        &self,
        content: &Content,
        window: &Range<u64>,
        bytes: u64,
        message: &mut Message<'_>,
        link: &mut Link<'_>,
    ) -> Result<(), Failure> {
        let (mut place, mut at, mut sent, mut chunk) = (Place::default(), 0, 0, Vec::new());
        while sent < bytes {
            chunk.clear();
            // The literal's length is told already: nothing but these bytes may follow, or the connection ends.
            if !content.read(&mut place, message, &mut chunk).await.map_err(super::fetch::broken)? {
                return Err(Failure::Gone(io::ErrorKind::UnexpectedEof.into()));
            }
            let wanted = cut(&chunk, &mut at, window);
            sent += wanted.len() as u64;
            link.out().extend_from_slice(wanted);
            link.drain_if_full(self).await.map_err(Failure::Gone)?;
            skein_runtime::session_yield().await;
        }
        Ok(())
    }
}

/// What the section of these part numbers is without its transfer encoding: the encoding that it has then, and its bytes. `None` when it can not
/// be taken off, or the section is not there.
pub(super) async fn decoded_size(
    path: &[u32],
    message: &mut Message<'_>,
) -> Result<Option<(&'static str, u64)>, Failure> {
    let content = match Content::of(path, message).await {
        Ok(Some(content)) => content,
        Ok(None) | Err(Failure::UnknownEncoding) => return Ok(None),
        Err(failure) => return Err(failure),
    };
    let measure = content.measure(message, &window(None), 0).await?;
    let encoding = match (measure.has_nul, measure.has_eight_bit) {
        (true, _) => "binary",
        (false, true) => "8bit",
        (false, false) => "7bit",
    };
    Ok(Some((encoding, measure.bytes)))
}

/// The section of these part numbers without its transfer encoding, as a `literal` or `literal8`; NIL when that can not be done, or it is
/// not there. A large one is decoded twice, and never held.
pub(super) async fn write_decoded(
    session: &Session,
    path: &[u32],
    partial: Option<Partial>,
    message: &mut Message<'_>,
    link: &mut Link<'_>,
) -> Result<(), Failure> {
    let content = match Content::of(path, message).await {
        Ok(Some(content)) => content,
        Ok(None) | Err(Failure::UnknownEncoding) => {
            link.out().extend_from_slice(b"NIL");
            return Ok(());
        }
        Err(failure) => return Err(failure),
    };
    let window = window(partial);
    let measure = content.measure(message, &window, BODY_CHUNK_BYTES).await?;
    if measure.has_nul {
        link.out().push(b'~');
    }
    literal_head(link.out(), measure.bytes);
    if let Some(kept) = measure.kept {
        link.out().extend_from_slice(&kept);
        return Ok(());
    }
    session.write_content(&content, &window, measure.bytes, message, link).await
}

impl Measured {
    /// For BINARY.SIZE.
    pub(super) fn bytes(&self) -> u64 {
        self.measure.bytes
    }
}

impl Content {
    /// What the section of these part numbers holds; `None` when the message has no such part.
    async fn of(path: &[u32], message: &mut Message<'_>) -> Result<Option<Content>, Failure> {
        let Some(pieces) = message.pieces(path).await? else { return Ok(None) };
        if pieces.len() > 1 && message.bytes() <= READ_WHOLE_BYTES_MAX {
            message.whole().await?;
        }
        let mut segments = Vec::with_capacity(pieces.len());
        for (i, piece) in pieces.into_iter().enumerate() {
            let Piece::Leaf { header, body, shows_header, in_multipart } = piece else {
                let Piece::AsIs(span) = piece else { continue };
                segments.push(Segment::AsIs(range(span)));
                continue;
            };
            let (header, body) = (range(header), range(body));
            let text = message.range(header.clone()).await?;
            let transfer = Transfer::of_header(&text, in_multipart).ok_or(Failure::UnknownEncoding)?;
            match (shows_header, transfer) {
                (false, _) => {}
                (true, Transfer::Identity) => segments.push(Segment::AsIs(header)),
                (true, _) => segments.push(Segment::Header(header)),
            }
            segments.push(match transfer {
                Transfer::Identity => Segment::AsIs(body),
                transfer => Segment::Coded(body, transfer),
            });
            if i % HEADERS_BATCH == HEADERS_BATCH - 1 {
                skein_runtime::session_yield().await;
            }
        }
        Ok(Some(Content { segments }))
    }

    /// Decodes it all; what has no more than `room` bytes is kept.
    async fn measure(
        &self,
        message: &mut Message<'_>,
        window: &Range<u64>,
        room: usize,
    ) -> Result<Measure, StoreError> {
        let mut measure = Measure { kept: Some(Vec::new()), ..Measure::default() };
        let (mut place, mut at, mut chunk) = (Place::default(), 0, Vec::new());
        while at < window.end && self.read(&mut place, message, &mut chunk).await? {
            let wanted = cut(&chunk, &mut at, window);
            measure.bytes += wanted.len() as u64;
            measure.has_nul |= memchr::memchr(0, wanted).is_some();
            measure.has_eight_bit |= !wanted.is_ascii();
            if measure.bytes > room as u64 {
                measure.kept = None;
            }
            if let Some(kept) = &mut measure.kept {
                kept.extend_from_slice(wanted);
            }
            chunk.clear();
            skein_runtime::session_yield().await;
        }
        Ok(measure)
    }

    /// The length, when nothing is decoded.
    fn bytes_as_they_are(&self) -> Option<u64> {
        self.segments.iter().try_fold(0, |sum, segment| match segment {
            Segment::AsIs(range) => Some(sum + range.end - range.start),
            _ => None,
        })
    }

    /// Appends the next bytes, at most a chunk of what is stored; false at the end.
    async fn read(&self, place: &mut Place, message: &mut Message<'_>, out: &mut Vec<u8>) -> Result<bool, StoreError> {
        let Some(segment) = self.segments.get(place.segment) else { return Ok(false) };
        let (range, transfer) = match segment {
            Segment::Header(range) => {
                out.extend_from_slice(&binary_header(&message.range(range.clone()).await?));
                *place = Place { segment: place.segment + 1, ..Place::default() };
                return Ok(true);
            }
            Segment::AsIs(range) => (range, Transfer::Identity),
            Segment::Coded(range, transfer) => (range, *transfer),
        };
        let start = range.start + place.done;
        let decoder = place.decoder.get_or_insert_with(|| Decoder::new(transfer));
        let bytes = message.range(start..range.end.min(start + BODY_CHUNK_BYTES as u64)).await?;
        decoder.push(&bytes, out);
        place.done += bytes.len() as u64;
        // What a damaged store cuts short ends there; the length that was told shows it.
        if bytes.is_empty() || start + bytes.len() as u64 >= range.end {
            decoder.finish(out);
            *place = Place { segment: place.segment + 1, ..Place::default() };
        }
        Ok(true)
    }
}

fn range(span: skein_mime::Span) -> Range<u64> {
    u64::from(span.start)..u64::from(span.end)
}

/// Which decoded bytes are wanted.
fn window(partial: Option<Partial>) -> Range<u64> {
    match partial {
        Some(Partial { origin, bytes }) => origin..origin.saturating_add(bytes),
        None => 0..u64::MAX,
    }
}

/// What of a chunk that starts at `at` is in the window; `at` moves behind the chunk.
fn cut<'a>(chunk: &'a [u8], at: &mut u64, window: &Range<u64>) -> &'a [u8] {
    let inside = |n: u64| n.saturating_sub(*at).min(chunk.len() as u64) as usize;
    let wanted = &chunk[inside(window.start)..inside(window.end)];
    *at += chunk.len() as u64;
    wanted
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_is_cut_from_chunks() {
        let text = b"abcdefghij";
        for start in 0..12 {
            for end in start..14 {
                for size in 1..11 {
                    let (mut at, mut got) = (0, Vec::new());
                    text.chunks(size).for_each(|chunk| got.extend_from_slice(cut(chunk, &mut at, &(start..end))));
                    let expect = &text[(start as usize).min(10)..(end as usize).min(10)];
                    assert_eq!((got, at), (expect.to_vec(), 10));
                }
            }
        }
    }
}
