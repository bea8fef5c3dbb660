//! Mail: any bytes at all.

// The checker of the IMAP grammar stands beside the tests of skein-mime; here it checks what fuzzing finds.
#[path = "../../../engine/mime/tests/common/mod.rs"]
#[allow(dead_code, missing_docs, reason = "a test's module: its finders of sample mail have no use here")]
mod grammar;

use crate::script::Script;
use grammar::{check_body, check_envelope, parse};
use skein_base::Collation;
use skein_base::line_ends::Crlf;
use skein_mime::*;

/// A message: its table of parts is in order, what is rendered is IMAP, its cache says what the message says.
pub fn mime(message: &[u8]) {
    let parts = structure(message);
    check_table(message, &parts);
    let mut out = Vec::new();
    envelope(parts[0].header.of(message), &mut out);
    check_envelope(&parse(&out));
    out.clear();
    body(message, &parts, &mut out);
    check_body(&parse(&out), false);
    out.clear();
    bodystructure(message, &parts, &mut out);
    check_body(&parse(&out), true);
    check_cache(message, &parts);
    check_sections(message, &parts);
    check_header(message);
}

fn check_table(message: &[u8], parts: &[Part]) {
    let end = message.len() as u32;
    assert_eq!((parts[0].header.start, parts[0].body.end), (0, end));
    for (index, part) in parts.iter().enumerate() {
        assert_eq!(part.header.end, part.body.start);
        assert!(part.header.start <= part.body.start && part.body.start <= part.body.end && part.body.end <= end);
        let lines = part.body.of(message).iter().filter(|&&b| b == b'\n').count();
        assert_eq!(part.lines as usize, lines);
        assert!(part.after as usize > index && part.after as usize <= parts.len());
        if let Some(parent) = part.parent {
            let parent = &parts[parent as usize];
            assert!(parent.body.start <= part.header.start && part.body.end <= parent.body.end);
            assert!(part.after <= parent.after && part.depth == parent.depth + 1);
        }
    }
}

fn check_cache(message: &[u8], parts: &[Part]) {
    let blob = Cache::build(message);
    assert!(blob.len() <= CACHE_BYTES_MAX);
    let cache = CacheRef::new(&blob).expect("what was just built");
    assert_eq!(cache.message_bytes() as usize, message.len());
    if cache.is_too_big() {
        return;
    }
    for section in sections() {
        assert_eq!(cache.section(&section), Ok(locate(parts, &section)), "{section:?}");
    }
    let (mut cached, mut read) = (Vec::new(), Vec::new());
    cache.header_fields(&CACHED_FIELDS, &mut cached).expect("listed fields");
    filter_header(parts[0].header.of(message), &FieldNames::of(&CACHED_FIELDS), false, &mut read);
    assert_eq!(cached, read);
}

fn sections() -> impl Iterator<Item = Section> {
    let paths = [&[][..], &[1], &[2], &[1, 1], &[2, 1, 2], &[u32::MAX, 3]];
    let what = [What::Whole, What::Header, What::Text, What::Mime];
    paths.into_iter().flat_map(move |path| what.clone().map(|what| Section { path: path.to_vec(), what }))
}

/// Each line of a header is on one side of a filter; lines in pieces are the lines as a whole.
fn check_header(message: &[u8]) {
    let header = &message[..header_len(message)];
    let names: Vec<&[u8]> = fields(header).map(|field| field.name).step_by(2).take(20).collect();
    let (mut with, mut without) = (Vec::new(), Vec::new());
    filter_header(header, &FieldNames::of(&names), false, &mut with);
    filter_header(header, &FieldNames::of(&names), true, &mut without);
    // A last line without its end is given one; an empty line that is a bare LF comes out as CRLF.
    assert!(with.len().max(without.len()) <= header.len() + 2);
    assert!(with.len() + without.len() >= header.len(), "a line is in neither");
    for field in fields(header) {
        parse_date(field.value);
        let mut shown = Vec::new();
        for address in addresses(field.value).iter().take(50) {
            shown.extend_from_slice(format!("{address:?}").as_bytes());
        }
    }
    check_line_ends(message);
    check_transfer(message);
}

/// Bytes in pieces decode to what they are as a whole, and to no more than they are.
fn check_transfer(message: &[u8]) {
    for transfer in [Transfer::Base64, Transfer::QuotedPrintable] {
        let (mut whole, mut pieces) = (Vec::new(), Vec::new());
        let (mut at_once, mut by_threes) = (Decoder::new(transfer), Decoder::new(transfer));
        at_once.push(message, &mut whole);
        at_once.finish(&mut whole);
        message.chunks(3).for_each(|piece| by_threes.push(piece, &mut pieces));
        by_threes.finish(&mut pieces);
        assert_eq!(whole, pieces);
        assert!(whole.len() <= message.len());
    }
}

/// What a section holds without its encodings lies in the message, in order; a preview has a limit.
fn check_sections(message: &[u8], parts: &[Part]) {
    for section in sections() {
        let mut at = 0;
        for piece in pieces(parts, &section.path).unwrap_or_default() {
            let (start, end) = match piece {
                Piece::AsIs(span) => (span.start, span.end),
                Piece::Leaf { header, body, .. } => (header.start, body.end),
            };
            assert!(at <= start && start <= end && end as usize <= message.len(), "{section:?}: {piece:?}");
            at = end;
        }
    }
    assert!(preview(message, parts).chars().count() <= PREVIEW_CHARS_MAX);
}

fn check_line_ends(message: &[u8]) {
    let (mut whole, mut pieces, mut crlf) = (Vec::new(), Vec::new(), Crlf::new());
    Crlf::new().push(message, &mut whole);
    message.chunks(3).for_each(|piece| crlf.push(piece, &mut pieces));
    assert_eq!(whole, pieces);
    let mut again = Vec::new();
    Crlf::new().push(&whole, &mut again);
    assert_eq!(whole, again, "what is normal stays as it is");
}

/// A search string in the first line, a message behind it: what is in the body is in the text, the empty string is in all, and what is found
/// as it is is found without case, and that also with letters taken apart.
pub fn search(data: &[u8]) {
    let end = data.iter().position(|&b| b == b'\n').unwrap_or(data.len());
    let (text, message) = (String::from_utf8_lossy(&data[..end]), data.get(end + 1..).unwrap_or_default());
    let needle = Needle::new(&text);
    let header = &message[..header_len(message)];
    let in_body = needle.matches_message(message, false);
    assert!(!in_body || needle.matches_message(message, true), "in the body and not in the text");
    for field in fields(header) {
        let name = String::from_utf8_lossy(field.name);
        if needle.matches_header_value(field.value) && field.is(&name) {
            assert!(needle.matches_header_block(header, Some(&name)), "in a field {name:?} and not in its block");
        }
    }
    needle.matches_header_block(header, None);
    let [unicode, ascii, octet] = Collation::ALL.map(|by| Needle::by(by, &text).matches_message(message, true));
    assert!(unicode >= ascii && ascii >= octet, "{unicode} {ascii} {octet}");
    assert!(Needle::new("").matches_message(message, true));
}

/// The cache of a message with some bytes changed, or any bytes: either refused, or read to its end without a fault. Its checksums are
/// made true again, or nothing behind them would be tried.
///
/// The first line are changes, three bytes each: where (two), and what to add. Without changes what follows is the blob itself.
pub fn cache(data: &[u8]) {
    let (mut script, rest) = Script::of(data);
    let changes = data.len().saturating_sub(rest.len() + 1) / 3;
    let mut blob = if changes == 0 { rest.to_vec() } else { Cache::build(rest) };
    for _ in 0..changes {
        let at = usize::from(script.next()) + 128 * usize::from(script.next() & 0x3f);
        let len = blob.len();
        blob[at % len] = blob[at % len].wrapping_add(script.next());
    }
    let _ = Cache::seal(&mut blob);
    let Ok(cache) = CacheRef::new(&blob) else { return };
    let texts = [cache.envelope(), cache.body(), cache.bodystructure(), cache.header_lines()];
    let too_big = |text: &Result<&[u8], NotCached>| *text == Err(NotCached::TooBig);
    assert!(texts.iter().all(|text| too_big(text) == cache.is_too_big()));
    assert!(cache.header_bytes() <= cache.message_bytes());
    if let Some(date) = cache.sent_date() {
        date.day();
    }
    for section in sections() {
        if let Ok(Some(span)) = cache.section(&section) {
            assert!(span.start <= span.end && span.end <= cache.message_bytes(), "{section:?}: {span:?}");
        }
    }
    let mut out = Vec::new();
    cache.header_fields(&["Subject", "from"], &mut out);
}
