//! BODY and BODYSTRUCTURE.

use super::envelope::envelope;
use super::string::{nil, number, or_nil, string, unfolded};
use crate::params::{Disposition, Param, languages};
use crate::structure::{Kind, Part};

/// Writes BODY: the structure without extension data.
pub fn body(message: &[u8], parts: &[Part], out: &mut Vec<u8>) {
    Body { message, parts, extended: false, decoded: None }.part(0, out);
}

/// Writes BODYSTRUCTURE: the structure with extension data.
pub fn bodystructure(message: &[u8], parts: &[Part], out: &mut Vec<u8>) {
    Body { message, parts, extended: true, decoded: None }.part(0, out);
}

/// Writes the part of BODYSTRUCTURE that a path leads to; false when there is none. A leaf that is shown without its transfer encoding has
/// another one then, and other octets; its lines are not counted (RFC 5524 §3.2, as Dovecot).
pub fn part_structure(
    message: &[u8],
    parts: &[Part],
    path: &[u32],
    decoded: Option<(&str, u64)>,
    out: &mut Vec<u8>,
) -> bool {
    let index = crate::section::find(parts, path);
    if let Some(index) = index {
        let leaf = decoded.filter(|_| parts[index].kind == Kind::Leaf).map(|decoded| (index, decoded));
        Body { message, parts, extended: true, decoded: leaf }.part(index, out);
    }
    index.is_some()
}

/// What a multipart without parts shows, since the grammar wants one at least.
const NO_PARTS: &[u8] = br#"("text" "plain" ("charset" "us-ascii") NIL NIL "7bit" 0 0"#;

struct Body<'a> {
    message: &'a [u8],
    parts: &'a [Part],
    extended: bool,
    /// A part that is shown with another encoding and size.
    decoded: Option<(usize, (&'a str, u64))>,
}

impl Body<'_> {
    /// Recursion is bounded by `MIME_DEPTH_MAX`.
    fn part(&self, index: usize, out: &mut Vec<u8>) {
        out.push(b'(');
        match self.parts[index].kind {
            Kind::Multipart => self.multipart(index, out),
            _ => self.single(index, out),
        }
        out.push(b')');
    }

    fn multipart(&self, index: usize, out: &mut Vec<u8>) {
        let part = &self.parts[index];
        let mut child = index + 1;
        if child == part.after as usize {
            out.extend_from_slice(NO_PARTS);
            out.extend_from_slice(if self.extended { b" NIL NIL NIL NIL)" } else { b")" });
        }
        while child < part.after as usize {
            self.part(child, out);
            child = self.parts[child].after as usize;
        }
        out.push(b' ');
        let content = part.content_type(self.message).expect("a multipart has a Content-Type");
        string(content.subtype, out);
        if self.extended {
            out.push(b' ');
            params(&content.params(), out);
            out.push(b' ');
            self.extension(part, out);
        }
    }

    fn single(&self, index: usize, out: &mut Vec<u8>) {
        let part = &self.parts[index];
        let text = self.media_type(part, out);
        out.push(b' ');
        let of = |span: Option<crate::Span>| span.map(|s| s.of(self.message));
        optional(of(part.fields.id), out);
        optional(of(part.fields.description), out);
        let decoded = self.decoded.filter(|(at, _)| *at == index).map(|(_, decoded)| decoded);
        match decoded {
            Some((encoding, bytes)) => out.extend_from_slice(format!("\"{encoding}\" {bytes}").as_bytes()),
            None => {
                string(part.encoding(self.message), out);
                out.push(b' ');
                number(part.body.len(), out);
            }
        }
        if part.kind == Kind::Message {
            self.message(index, out);
        }
        if text || part.kind == Kind::Message {
            out.push(b' ');
            number(if decoded.is_some() { 0 } else { part.lines as usize }, out);
        }
        if self.extended {
            out.push(b' ');
            optional(of(part.fields.md5), out);
            self.extension(part, out);
        }
    }

    /// Type, subtype and parameters; true for text.
    fn media_type(&self, part: &Part, out: &mut Vec<u8>) -> bool {
        let Some(content) = part.content_type(self.message) else {
            if part.kind == Kind::Message {
                out.extend_from_slice(br#""message" "rfc822" NIL"#);
                return false;
            }
            out.extend_from_slice(br#""text" "plain" ("charset" "us-ascii")"#);
            return true;
        };
        // A composite type whose parts are not told apart must not look like one: the grammar wants them listed.
        let whole = content.is("multipart") || content.is_exactly("message", "rfc822") && part.kind != Kind::Message;
        if whole {
            out.extend_from_slice(br#""application" "octet-stream" NIL"#);
            return false;
        }
        let text = content.is("text");
        if part.kind == Kind::Message {
            out.extend_from_slice(br#""message" "rfc822" "#);
        } else {
            string(content.kind, out);
            out.push(b' ');
            string(content.subtype, out);
            out.push(b' ');
        }
        let mut all = content.params();
        if text && !all.iter().any(|p| p.name.eq_ignore_ascii_case(b"charset")) {
            // The default of RFC 2045 §5.2, spelled out.
            all.push(Param { name: b"charset"[..].into(), value: b"us-ascii"[..].into() });
        }
        params(&all, out);
        text
    }

    fn message(&self, index: usize, out: &mut Vec<u8>) {
        out.push(b' ');
        envelope(self.parts[index + 1].header.of(self.message), out);
        out.push(b' ');
        self.part(index + 1, out);
    }

    /// Disposition, language and location.
    fn extension(&self, part: &Part, out: &mut Vec<u8>) {
        match part.fields.disposition.map(|s| Disposition::parse(s.of(self.message))) {
            None => nil(out),
            Some(disposition) => {
                out.push(b'(');
                string(disposition.kind, out);
                out.push(b' ');
                params(&disposition.params(), out);
                out.push(b')');
            }
        }
        out.push(b' ');
        language(part.fields.language.map(|s| languages(s.of(self.message))).unwrap_or_default(), out);
        out.push(b' ');
        match part.fields.location {
            None => nil(out),
            Some(location) => unfolded(location.of(self.message), out),
        }
    }
}

fn params(all: &[Param<'_>], out: &mut Vec<u8>) {
    if all.is_empty() {
        return nil(out);
    }
    for (i, param) in all.iter().enumerate() {
        out.push(if i == 0 { b'(' } else { b' ' });
        string(&param.name, out);
        out.push(b' ');
        string(&param.value, out);
    }
    out.push(b')');
}

fn language(tags: Vec<&[u8]>, out: &mut Vec<u8>) {
    if tags.is_empty() {
        return nil(out);
    }
    for (i, tag) in tags.into_iter().enumerate() {
        out.push(if i == 0 { b'(' } else { b' ' });
        string(tag, out);
    }
    out.push(b')');
}

/// An optional string and the space after it.
fn optional(value: Option<&[u8]>, out: &mut Vec<u8>) {
    or_nil(value, unfolded, out);
    out.push(b' ');
}
