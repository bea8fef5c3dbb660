//! One walk over a message to a flat table of its parts.
//!
//! ```text
//! message ── header ── body ─┬─ line "--boundary"   the innermost open multipart it names starts a new part
//!                            ├─ line "--boundary--" that multipart is over; what follows is its epilogue
//!                            └─ end of the message  everything still open ends here
//! ```
//!
//! Parts stand in the order of their headers, so a part's children follow it and `after` jumps over them.

use crate::Span;
use crate::header::{Field, before_line_end, field_end, line_end, split};
use crate::params::{ContentType, single_token};
use memchr::memmem::Finder;
use skein_base::limits::{MIME_DEPTH_MAX, MIME_PARTS_MAX};

/// Bytes of a boundary that are compared; longer ones are cut, as Dovecot does (RFC 2046 §5.1.1 allows 70).
const BOUNDARY_BYTES_MAX: usize = 80;

/// What a part contains.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Kind {
    /// Content of its own.
    Leaf,
    /// Zero or more parts between boundaries.
    Multipart,
    /// One message (message/rfc822), which is the next part of the table.
    Message,
}

/// One part of a message.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Part {
    /// Index of the part it is in; `None` for the message itself.
    pub parent: Option<u32>,
    /// How deep it is; 0 for the message itself.
    pub depth: u16,
    /// Index of the first part after it that is not inside it.
    pub after: u32,
    /// What it contains.
    pub kind: Kind,
    /// The header block with the empty line that ends it.
    pub header: Span,
    /// The body; its length is the size in octets.
    pub body: Span,
    /// Line ends in the body.
    pub lines: u32,
    /// The values of its MIME fields.
    pub fields: PartFields,
    /// A multipart/digest: parts without a type are messages (RFC 2046 §5.1.5).
    digest: bool,
}

/// Where the values of a part's MIME fields are, folding and all; `None` for a field that is not there.
///
/// The header of a message counts as MIME when it has a MIME-Version or a Content-Type; without either its other
/// Content fields mean nothing.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct PartFields {
    /// Content-Type, the first.
    pub content_type: Option<Span>,
    /// Content-Transfer-Encoding, the first that is one token.
    pub encoding: Option<Span>,
    /// Content-ID, the first.
    pub id: Option<Span>,
    /// Content-Description, the first.
    pub description: Option<Span>,
    /// Content-Disposition, the last.
    pub disposition: Option<Span>,
    /// Content-Language, the first.
    pub language: Option<Span>,
    /// Content-Location, the first.
    pub location: Option<Span>,
    /// Content-MD5, the first.
    pub md5: Option<Span>,
}

impl Part {
    /// The media type as written; `None` when the part has no Content-Type.
    pub fn content_type<'a>(&self, message: &'a [u8]) -> Option<ContentType<'a>> {
        self.fields.content_type.map(|span| ContentType::parse(span.of(message)))
    }

    /// The transfer encoding as written; `7bit` when there is none (RFC 2045 §6.1).
    pub fn encoding<'a>(&self, message: &'a [u8]) -> &'a [u8] {
        self.fields.encoding.and_then(|span| single_token(span.of(message))).unwrap_or(b"7bit")
    }
}

/// The parts of `message`, the message itself first; never empty.
///
/// At most `MIME_PARTS_MAX` parts and `MIME_DEPTH_MAX` levels are told apart: what is beyond belongs to the last part.
/// `message` is below 4 GiB.
pub fn structure(message: &[u8]) -> Vec<Part> {
    assert!(message.len() <= u32::MAX as usize, "messages are bounded by MESSAGE_BYTES_MAX_CEILING");
    let mut parts = uncounted(message);
    count_lines(message, &mut parts);
    parts
}

/// The same without the lines of bodies, which nobody asks for who only looks into them.
pub(crate) fn uncounted(message: &[u8]) -> Vec<Part> {
    let mut walk = Walk { message, parts: Vec::with_capacity(1), open: Vec::new(), bounds: Vec::new() };
    walk.run();
    walk.parts
}

struct Walk<'a> {
    message: &'a [u8],
    parts: Vec<Part>,
    /// Indexes of the parts that have not ended, outermost first.
    open: Vec<usize>,
    /// Boundaries that may come, outermost first.
    bounds: Vec<Bound>,
}

struct Bound {
    part: usize,
    text: Vec<u8>,
}

/// A boundary line.
struct Hit {
    bound: usize,
    line_start: usize,
    line_end: usize,
    closing: bool,
}

impl Walk<'_> {
    fn run(&mut self) {
        let finder = Finder::new(b"\n--");
        let (mut at, mut early) = self.enter(0);
        while let Some(hit) = early.take().or_else(|| self.next_hit(&finder, at)) {
            // The line end before a boundary belongs to it, but not when it already ended a boundary or a header.
            let end = before_line_end(self.message, hit.line_start).max(at);
            let keep = self.parts[self.bounds[hit.bound].part].depth as usize + 1;
            if self.close_beyond(keep, end) {
                self.cut_header(hit.line_start, end);
            }
            at = hit.line_end;
            if hit.closing {
                self.bounds.truncate(hit.bound);
                continue;
            }
            // A part begins after the boundary's line end; where the message ends first, there is none.
            let ended = self.message[..hit.line_end].ends_with(b"\n");
            if !ended || self.parts.len() == MIME_PARTS_MAX {
                break;
            }
            self.bounds.truncate(hit.bound + 1);
            (at, early) = self.enter(at);
        }
        self.close_beyond(0, self.message.len());
    }

    /// Takes from the part that a boundary ended at its header, `end`, the line end that belongs to the boundary (RFC 2046
    /// §5.1.1): it has neither a body nor the empty line before one. A message inside that has not even a header is only a place
    /// behind the header of the part it is in. What is around them keeps its size, as Dovecot has it.
    fn cut_header(&mut self, line_start: usize, end: usize) {
        let mut first = self.parts.len() - 1;
        if self.parts[first].header.end as usize != end {
            return;
        }
        while self.parts[first].header.start as usize == end
            && let Some(outer) = self.parts[first].parent
            && self.parts[outer as usize].header.end as usize == end
        {
            first = outer as usize;
        }
        let cut = before_line_end(self.message, line_start).clamp(self.parts[first].header.start as usize, end);
        for part in &mut self.parts[first..] {
            part.header = Span::new(cut.min(part.header.start as usize), cut);
            part.body = Span::new(cut, cut);
        }
    }

    /// Opens the part whose header starts at `at`, and the messages that start where its header ends. Answers where the
    /// search for boundaries goes on, and the boundary that cut the header short.
    fn enter(&mut self, mut at: usize) -> (usize, Option<Hit>) {
        loop {
            let (end, hit) = self.open_part(at);
            if self.parts[self.parts.len() - 1].kind != Kind::Message {
                return (end, hit);
            }
            at = end;
        }
    }

    fn open_part(&mut self, at: usize) -> (usize, Option<Hit>) {
        let index = self.parts.len();
        let parent = self.open.last().copied();
        self.parts.push(Part {
            parent: parent.map(|p| p as u32),
            depth: self.open.len() as u16,
            after: 0,
            kind: Kind::Leaf,
            header: Span::new(at, at),
            body: Span::default(),
            lines: 0,
            fields: PartFields::default(),
            digest: false,
        });
        self.open.push(index);
        let mime = parent.is_some_and(|p| self.parts[p].kind == Kind::Multipart);
        let (end, hit) = self.read_header(index, at, mime);
        self.parts[index].header.end = end as u32;
        self.parts[index].body = Span::new(end, end);
        self.decide_kind(index, parent);
        (end, hit)
    }

    /// Reads the fields of a header block up to its empty line, a boundary or the end; answers where the body starts.
    fn read_header(&mut self, index: usize, mut at: usize, mut mime: bool) -> (usize, Option<Hit>) {
        let mut fields = PartFields::default();
        let mut hit = None;
        while at < self.message.len() {
            hit = self.hit(at);
            if hit.is_some() {
                break;
            }
            let Some(end) = field_end(self.message, at) else {
                at = line_end(self.message, at);
                break;
            };
            // Only Content-* and MIME-Version matter here.
            if matches!(self.message[at] | 0x20, b'c' | b'm')
                && let Some(field) = split(self.message, at, end)
            {
                mime |= field.is("MIME-Version");
                fields.note(&field);
            }
            at = end;
        }
        if mime || fields.content_type.is_some() {
            self.parts[index].fields = fields;
        }
        (at, hit)
    }

    fn decide_kind(&mut self, index: usize, parent: Option<usize>) {
        let part = &self.parts[index];
        let deepest = part.depth as usize + 1 >= MIME_DEPTH_MAX;
        match part.content_type(self.message) {
            None => {
                let digest = parent.is_some_and(|p| self.parts[p].digest);
                if digest && !deepest && self.parts.len() < MIME_PARTS_MAX {
                    self.parts[index].kind = Kind::Message;
                }
            }
            Some(content) if content.is("multipart") && !content.subtype.is_empty() => {
                self.parts[index].kind = Kind::Multipart;
                self.parts[index].digest = content.is_exactly("multipart", "digest");
                if let Some(mut text) = content.param("boundary").map(|b| b.into_owned()).filter(|_| !deepest) {
                    text.truncate(BOUNDARY_BYTES_MAX);
                    self.bounds.push(Bound { part: index, text });
                }
            }
            Some(content) if content.is_exactly("message", "rfc822") => {
                if !deepest && self.parts.len() < MIME_PARTS_MAX {
                    self.parts[index].kind = Kind::Message;
                }
            }
            Some(_) => {}
        }
    }

    /// The next boundary line at or after the line start `at`.
    fn next_hit(&self, finder: &Finder<'_>, at: usize) -> Option<Hit> {
        if self.bounds.is_empty() {
            return None;
        }
        let from = at.saturating_sub(1);
        finder.find_iter(&self.message[from..]).find_map(|i| self.hit(from + i + 1))
    }

    /// The boundary that the line at `at` is. The longest that fits wins, the inner one among equals, unless an inner
    /// one is the whole line.
    fn hit(&self, at: usize) -> Option<Hit> {
        if self.bounds.is_empty() || !self.message[at..].starts_with(b"--") {
            return None;
        }
        let end = line_end(self.message, at);
        let line = self.message[at + 2..end].trim_ascii_end();
        let mut best: Option<(usize, usize)> = None;
        for (index, bound) in self.bounds.iter().enumerate().rev() {
            let len = bound.text.len();
            if self.message[at + 2..end].starts_with(&bound.text) && best.is_none_or(|(_, longest)| len > longest) {
                best = Some((index, len));
                if matches!(line.get(len..), None | Some(b"" | b"--")) {
                    break;
                }
            }
        }
        let (bound, len) = best?;
        let closing = self.message[at + 2 + len..end].starts_with(b"--");
        Some(Hit { bound, line_start: at, line_end: end, closing })
    }

    /// Ends all but the `keep` outermost open parts at `end`. The table grew only by what is inside them. True when there
    /// were any.
    fn close_beyond(&mut self, keep: usize, end: usize) -> bool {
        let (count, open) = (self.parts.len() as u32, self.open.len());
        for index in self.open.drain(keep..) {
            self.parts[index].after = count;
            self.parts[index].body.end = end as u32;
        }
        open > keep
    }
}

impl PartFields {
    fn note(&mut self, field: &Field<'_>) {
        let span = Span::new(field.value_at, field.value_at + field.value.len());
        let Some(kind) = content_name(field.name) else { return };
        let slot = match kind {
            Content::Type => &mut self.content_type,
            Content::Encoding if single_token(field.value).is_some() => &mut self.encoding,
            Content::Encoding => return,
            Content::Id => &mut self.id,
            Content::Description => &mut self.description,
            Content::Language => &mut self.language,
            Content::Location => &mut self.location,
            Content::Md5 => &mut self.md5,
            Content::Disposition => {
                self.disposition = Some(span);
                return;
            }
        };
        slot.get_or_insert(span);
    }
}

enum Content {
    Type,
    Encoding,
    Id,
    Description,
    Disposition,
    Language,
    Location,
    Md5,
}

fn content_name(name: &[u8]) -> Option<Content> {
    const NAMES: [(&str, Content); 8] = [
        ("type", Content::Type),
        ("transfer-encoding", Content::Encoding),
        ("id", Content::Id),
        ("description", Content::Description),
        ("disposition", Content::Disposition),
        ("language", Content::Language),
        ("location", Content::Location),
        ("md5", Content::Md5),
    ];
    let (prefix, rest) = name.split_at_checked("content-".len())?;
    if !prefix.eq_ignore_ascii_case(b"content-") {
        return None;
    }
    NAMES.into_iter().find(|(known, _)| rest.eq_ignore_ascii_case(known.as_bytes())).map(|(_, kind)| kind)
}

/// Fills `lines` from the innermost parts outwards, so that each byte is looked at once however deep the nesting.
fn count_lines(message: &[u8], parts: &mut [Part]) {
    for index in (0..parts.len()).rev() {
        let body = parts[index].body;
        let (mut lines, mut at, mut child) = (0, body.start, index + 1);
        while child < parts[index].after as usize {
            let inside = &parts[child];
            lines += line_ends(message, at, inside.body.start) + inside.lines;
            at = inside.body.end;
            child = inside.after as usize;
        }
        parts[index].lines = lines + line_ends(message, at, body.end);
    }
}

fn line_ends(message: &[u8], start: u32, end: u32) -> u32 {
    memchr::memchr_iter(b'\n', &message[start as usize..end as usize]).count() as u32
}
