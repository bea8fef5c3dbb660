//! IMAP strings (RFC 3501 §4.3): quoted when that is possible, else a literal.

/// `NIL`.
pub(crate) fn nil(out: &mut Vec<u8>) {
    out.extend_from_slice(b"NIL");
}

/// What `write` makes of a value, `NIL` when there is none.
pub(crate) fn or_nil(value: Option<&[u8]>, write: fn(&[u8], &mut Vec<u8>), out: &mut Vec<u8>) {
    match value {
        Some(value) => write(value, out),
        None => nil(out),
    }
}

/// A decimal number.
pub(crate) fn number(mut n: usize, out: &mut Vec<u8>) {
    let mut digits = [0; 20];
    let mut at = digits.len();
    loop {
        at -= 1;
        digits[at] = b'0' + (n % 10) as u8;
        n /= 10;
        if n == 0 {
            break;
        }
    }
    out.extend_from_slice(&digits[at..]);
}

/// Characters that a quoted string may have to escape before a literal is the better choice (Dovecot's bound).
const ESCAPES_MAX: usize = 4;

/// A string as it is: quoted, or a literal when it has 8-bit bytes, line ends or much to escape. NUL, which IMAP can not carry, becomes U+FFFD.
pub(crate) fn string(text: &[u8], out: &mut Vec<u8>) {
    if is_quotable(text) {
        return quoted(text, out);
    }
    if memchr::memchr(0, text).is_some() {
        return string(&without_nul(text), out);
    }
    let escapes = memchr::memchr2_iter(b'"', b'\\', text);
    if escapes.count() > ESCAPES_MAX || text.iter().any(|&b| b >= 0x80 || b == b'\r' || b == b'\n') {
        return literal(text, out);
    }
    out.push(b'"');
    let mut done = 0;
    for at in memchr::memchr2_iter(b'"', b'\\', text) {
        out.extend_from_slice(&text[done..at]);
        out.push(b'\\');
        done = at;
    }
    out.extend_from_slice(&text[done..]);
    out.push(b'"');
}

/// A header value: as [`string`], with the line ends of folding taken out.
pub(crate) fn unfolded(value: &[u8], out: &mut Vec<u8>) {
    if is_quotable(value) {
        return quoted(value, out);
    }
    if memchr::memchr2(b'\r', b'\n', value).is_none() {
        return string(value, out);
    }
    let mut text = Vec::with_capacity(value.len());
    for (i, &byte) in value.iter().enumerate() {
        match byte {
            b'\n' => {}
            // A lone CR is no line end, and no byte that belongs in a quoted string either.
            b'\r' => text.extend((value.get(i + 1) != Some(&b'\n')).then_some(b' ')),
            _ => text.push(byte),
        }
    }
    string(&text, out);
}

/// Text for people (subjects, display names): white space is squeezed to single spaces. Whatever is not sent exactly as it
/// stands in plain ASCII becomes a literal.
pub(crate) fn for_humans(value: &[u8], out: &mut Vec<u8>) {
    if is_plain(value) {
        return quoted(value, out);
    }
    let mut text = Vec::with_capacity(value.len());
    for word in value.split(|b| matches!(b, b' ' | b'\t' | b'\r' | b'\n')).filter(|word| !word.is_empty()) {
        if !text.is_empty() {
            text.push(b' ');
        }
        text.extend_from_slice(word);
    }
    if text.is_empty() {
        return out.extend_from_slice(b"\"\"");
    }
    if memchr::memchr(0, &text).is_some() {
        text = without_nul(&text);
    }
    literal(&text, out);
}

fn is_plain(value: &[u8]) -> bool {
    let single_spaced = |value: &[u8]| !value.windows(2).any(|w| w == b"  ");
    is_quotable(value)
        && memchr::memchr(b'\t', value).is_none()
        && !value.starts_with(b" ")
        && !value.ends_with(b" ")
        && single_spaced(value)
}

/// Whether it can stand in quotes as it is. Without a branch for each byte, as nearly everything can.
fn is_quotable(text: &[u8]) -> bool {
    let is_in_the_way = |&b: &u8| (b >= 0x80) | (b == 0) | (b == b'\r') | (b == b'\n') | (b == b'"') | (b == b'\\');
    text.iter().fold(0, |any, byte| any | u8::from(is_in_the_way(byte))) == 0
}

fn quoted(text: &[u8], out: &mut Vec<u8>) {
    out.reserve(text.len() + 2);
    out.push(b'"');
    out.extend_from_slice(text);
    out.push(b'"');
}

fn literal(text: &[u8], out: &mut Vec<u8>) {
    out.push(b'{');
    number(text.len(), out);
    out.extend_from_slice(b"}\r\n");
    out.extend_from_slice(text);
}

fn without_nul(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len() + 2);
    for (i, piece) in text.split(|&b| b == 0).enumerate() {
        if i > 0 {
            out.extend_from_slice("\u{fffd}".as_bytes());
        }
        out.extend_from_slice(piece);
    }
    out
}
