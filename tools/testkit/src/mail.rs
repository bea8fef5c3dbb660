//! Messages that prove their own identity, and line endings.

use crate::random::Random;

/// The message that belongs to `marker`: the same bytes for the same marker, so that a reader needs no copy to compare with.
///
/// The marker stands in the `X-Marker` header. Lines end in CRLF; sizes vary from some hundred bytes to tens of thousands.
pub fn marked(marker: &str) -> Vec<u8> {
    let mut random = Random::new(hash(marker.as_bytes()));
    let bytes = match random.below(20) {
        0 => random.between(20_000, 60_000),
        1..=4 => random.between(4_000, 12_000),
        _ => random.between(100, 2_000),
    };
    sized(marker, bytes)
}

/// Like [`marked`], with a text of about `bytes`.
pub fn sized(marker: &str, bytes: usize) -> Vec<u8> {
    let mut random = Random::new(hash(marker.as_bytes()) ^ 1);
    let mut mail = format!(
        "From: Sender <sender{}@example.org>\r\nTo: reader@example.com\r\nSubject: message {marker}\r\n\
         Date: Mon, 23 Nov 2026 12:00:00 +0000\r\nMessage-ID: <{marker}@example.org>\r\nX-Marker: {marker}\r\n\
         MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n",
        random.below(1000)
    )
    .into_bytes();
    let end = mail.len() + bytes;
    while mail.len() < end {
        push_line(&mut mail, &mut random);
    }
    mail
}

/// The marker of a message made by [`marked`], wherever the header stands.
pub fn marker_of(mail: &[u8]) -> Option<&str> {
    let header = header_of(mail);
    let line = header.split(|&b| b == b'\n').find_map(|l| l.strip_prefix(b"X-Marker: "))?;
    std::str::from_utf8(line).ok().map(str::trim_end)
}

/// `mail` with every LF that has no CR before it turned into CRLF; nothing else is touched.
pub fn to_crlf(mail: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(mail.len() + mail.len() / 32);
    let mut before = 0;
    for &byte in mail {
        if byte == b'\n' && before != b'\r' {
            out.push(b'\r');
        }
        out.push(byte);
        before = byte;
    }
    out
}

/// Where `a` and `b` first differ, with what stands there: for the reader of a failed comparison.
pub fn difference(a: &[u8], b: &[u8]) -> String {
    let at = a.iter().zip(b).position(|(x, y)| x != y).unwrap_or(a.len().min(b.len()));
    let near = |s: &[u8]| s[at.saturating_sub(20).min(s.len())..(at + 40).min(s.len())].escape_ascii().to_string();
    format!("{} and {} bytes, differ at {at}: {:?} / {:?}", a.len(), b.len(), near(a), near(b))
}

fn header_of(mail: &[u8]) -> &[u8] {
    let end = mail.windows(4).position(|w| w == b"\r\n\r\n").unwrap_or(mail.len());
    &mail[..end]
}

/// Words from the letters of English text; a line in thirty starts with a dot, which SMTP must stuff.
fn push_line(mail: &mut Vec<u8>, random: &mut Random) {
    const LETTERS: &[u8] = b"eeeeetttaaoooiinnsshhrrdlucmfwypvbgkqjxz";
    if random.below(30) == 0 {
        mail.push(b'.');
    }
    for _ in 0..random.between(1, 12) {
        for _ in 0..random.between(2, 10) {
            mail.push(*random.pick(LETTERS));
        }
        mail.push(b' ');
    }
    mail.extend_from_slice(b"\r\n");
}

/// FNV-1a: stable over runs and builds, which the standard hasher does not promise.
fn hash(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xCBF2_9CE4_8422_2325, |h, &b| (h ^ u64::from(b)).wrapping_mul(0x100_0000_01B3))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_marker_is_a_message() {
        let mail = marked("c1-7");
        assert_eq!(mail, marked("c1-7"));
        assert_ne!(mail, marked("c1-8"));
        assert_eq!(marker_of(&mail), Some("c1-7"));
        assert_eq!(to_crlf(&mail), mail);
    }

    #[test]
    fn line_endings() {
        assert_eq!(to_crlf(b"a\nb\r\nc\rd\n\n"), b"a\r\nb\r\nc\rd\r\n\r\n");
        assert_eq!(to_crlf(b""), b"");
    }
}
