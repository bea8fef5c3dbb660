//! Encoded words of RFC 2047 in header values.

use super::charset::Charset;
use crate::transfer::Transfer;
use encoding_rs::{UTF_8, WINDOWS_1252};
use memchr::{memchr_iter, memchr2, memchr3, memmem};

/// True when `value` is its own text: one line of ASCII without an encoded word.
pub(super) fn is_plain(value: &[u8]) -> bool {
    let rare = memchr3(b'\r', b'\n', b'=', value);
    let is_one_line = || memchr2(b'\r', b'\n', value).is_none() && memmem::find(value, b"=?").is_none();
    value.is_ascii() && (rare.is_none() || is_one_line())
}

/// True when all lines of `block` are their own text but for how they are folded: ASCII without an encoded word.
pub(super) fn is_plain_block(block: &[u8]) -> bool {
    block.is_ascii() && !memchr_iter(b'=', block).any(|at| block.get(at + 1) == Some(&b'?'))
}

/// `value` unfolded and with its encoded words decoded. What can not be decoded stays as it is.
pub(super) fn decode(value: &[u8]) -> String {
    let mut out = String::with_capacity(value.len());
    walk(value, false, |run| {
        decode_run(run, &mut out);
    });
    out
}

/// The same of a text that is all in the charsets that it says; of another the bytes that are left without the encoding of its words
/// (RFC 5255 §4.6).
pub(super) fn decode_whole(value: &[u8]) -> Result<String, Vec<u8>> {
    let (mut out, mut is_whole) = (String::with_capacity(value.len()), true);
    walk(value, true, |run| is_whole &= decode_run(run, &mut out));
    if is_whole {
        return Ok(out);
    }
    let mut bytes = Vec::with_capacity(value.len());
    walk(value, true, |run| match run {
        Run::Raw(raw) => bytes.extend_from_slice(raw),
        Run::Words(_, words) => bytes.extend_from_slice(words),
    });
    Err(bytes)
}

/// A part of a value.
enum Run<'a> {
    /// As it stands there.
    Raw(&'a [u8]),
    /// Neighbouring words without their encoding, in one charset, when it is known.
    Words(Option<Charset>, &'a [u8]),
}

/// False when there are bytes that mean no letter.
fn decode_run(run: Run<'_>, out: &mut String) -> bool {
    match run {
        Run::Raw(text) => {
            push_raw(text, out);
            true
        }
        Run::Words(None, _) => false,
        Run::Words(Some(charset), bytes) => charset.decode(bytes, out),
    }
}

/// Gives the runs of a value. Words in charsets that nobody knows are words where `unknown` says so, else they stay as they are.
fn walk(value: &[u8], unknown: bool, mut emit: impl FnMut(Run<'_>)) {
    let value = unfold(value);
    let mut pending: Option<Words> = None;
    let mut rest = &value[..];
    let shortest_tail = memmem::rfind(&value, b"?=").map_or(usize::MAX, |end| value.len() - end + 2);
    while let Some(at) = memmem::find(rest, b"=?") {
        // Without an end there is no word here nor further on; to look for it again at each start would be quadratic.
        if rest.len() - at < shortest_tail {
            break;
        }
        let word = EncodedWord::parse(&rest[at..]).filter(|(word, _)| unknown || word.charset.is_some());
        let Some((word, len)) = word else {
            flush(&mut pending, &mut emit);
            emit(Run::Raw(&rest[..at + 2]));
            rest = &rest[at + 2..];
            continue;
        };
        // White space between two encoded words is not part of the text (RFC 2047 §6.2).
        if pending.is_none() || !rest[..at].trim_ascii().is_empty() {
            flush(&mut pending, &mut emit);
            emit(Run::Raw(&rest[..at]));
        }
        add(&word, &mut pending, &mut emit);
        rest = &rest[at + len..];
    }
    flush(&mut pending, &mut emit);
    emit(Run::Raw(rest));
}

/// Line ends are taken out; the white space that starts a continuation line becomes one space when it is a tab.
fn unfold(value: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(value.len());
    for (i, line) in value.split(|&b| b == b'\n').enumerate() {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        match line.split_first() {
            Some((b'\t', text)) if i > 0 => {
                out.push(b' ');
                out.extend_from_slice(text);
            }
            _ => out.extend_from_slice(line),
        }
    }
    out
}

/// Bytes of neighbouring words in one charset. They are decoded together: letters are often cut between words.
struct Words {
    charset: Option<Charset>,
    bytes: Vec<u8>,
}

struct EncodedWord<'a> {
    /// `None` when nobody knows it.
    charset: Option<Charset>,
    base64: bool,
    text: &'a [u8],
}

impl EncodedWord<'_> {
    /// The word at the start of `text`, and its length.
    fn parse(text: &[u8]) -> Option<(EncodedWord<'_>, usize)> {
        let mut pieces = text[2..].splitn(3, |&b| b == b'?');
        let (charset, encoding, tail) = (pieces.next()?, pieces.next()?, pieces.next()?);
        // A language may follow the charset (RFC 2231 §5).
        let known = Charset::named(charset.split(|&b| b == b'*').next()?);
        let base64 = match encoding {
            b"b" | b"B" => true,
            b"q" | b"Q" => false,
            _ => return None,
        };
        // Last, because what was read up to an end that was found is not read again.
        let end = memmem::find(tail, b"?=")?;
        let len = 2 + charset.len() + 1 + encoding.len() + 1 + end + 2;
        Some((EncodedWord { charset: known, base64, text: &tail[..end] }, len))
    }

    fn bytes(&self, out: &mut Vec<u8>) {
        let mut push = |piece: &[u8]| {
            out.extend_from_slice(piece);
            false
        };
        if self.base64 {
            Transfer::Base64.decode(self.text, &mut push);
        } else {
            // A blank is part of the text also at its end (RFC 2047 §4.2), where a body would lose it: so it is spelled out.
            let mut text = Vec::with_capacity(self.text.len());
            for &byte in self.text {
                match byte {
                    b'_' | b' ' => text.extend_from_slice(b"=20"),
                    b'\t' => text.extend_from_slice(b"=09"),
                    _ => text.push(byte),
                }
            }
            Transfer::QuotedPrintable.decode(&text, &mut push);
        }
    }
}

fn add(word: &EncodedWord<'_>, pending: &mut Option<Words>, emit: &mut impl FnMut(Run<'_>)) {
    if pending.as_ref().is_none_or(|words| words.charset != word.charset) {
        flush(pending, emit);
    }
    let words = pending.get_or_insert_with(|| Words { charset: word.charset, bytes: Vec::new() });
    word.bytes(&mut words.bytes);
}

fn flush(pending: &mut Option<Words>, emit: &mut impl FnMut(Run<'_>)) {
    if let Some(words) = pending.take() {
        emit(Run::Words(words.charset, &words.bytes));
    }
}

/// 8-bit text without a charset: UTF-8 (RFC 6532) when it is, else what most old mail means.
fn push_raw(text: &[u8], out: &mut String) {
    let charset = if std::str::from_utf8(text).is_ok() { UTF_8 } else { WINDOWS_1252 };
    out.push_str(&charset.decode_without_bom_handling(text).0);
}
