//! Base64 of RFC 4648 §4, as strict as SASL wants it (RFC 4422 via RFC 3501 §6.2.2).

/// The bytes meant, or `None` when this is not canonical base64 with its padding.
pub(crate) fn decode(text: &[u8]) -> Option<Vec<u8>> {
    if !text.len().is_multiple_of(4) {
        return None;
    }
    let padding = text.iter().rev().take(2).take_while(|&&b| b == b'=').count();
    let digits = &text[..text.len() - padding];
    let mut bytes = Vec::with_capacity(text.len() / 4 * 3);
    let (mut window, mut bits) = (0u32, 0);
    for &digit in digits {
        window = window << 6 | u32::from(value(digit)?);
        bits += 6;
        if bits >= 8 {
            bits -= 8;
            bytes.push((window >> bits) as u8);
            window &= (1 << bits) - 1;
        }
    }
    // Bits left over must be zero, or two texts would mean the same bytes.
    (window == 0).then_some(bytes)
}

/// The canonical text, with its padding.
pub(crate) fn encode(bytes: &[u8]) -> Vec<u8> {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = Vec::with_capacity(bytes.len().div_ceil(3) * 4);
    for group in bytes.chunks(3) {
        let window = group.iter().fold(0u32, |window, &b| window << 8 | u32::from(b)) << (8 * (3 - group.len()));
        let digit = |i: usize| DIGITS[(window >> (18 - 6 * i)) as usize & 63];
        text.extend((0..=group.len()).map(digit));
        text.resize(text.len() + 3 - group.len(), b'=');
    }
    text
}

fn value(digit: u8) -> Option<u8> {
    Some(match digit {
        b'A'..=b'Z' => digit - b'A',
        b'a'..=b'z' => digit - b'a' + 26,
        b'0'..=b'9' => digit - b'0' + 52,
        b'+' => 62,
        b'/' => 63,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::{decode, encode};

    #[test]
    fn vectors_of_the_rfc_and_their_damaged_forms() {
        let check = |text: &str, want: Option<&[u8]>| assert_eq!(decode(text.as_bytes()).as_deref(), want, "{text}");
        check("", Some(b""));
        check("Zg==", Some(b"f"));
        check("Zm8=", Some(b"fo"));
        check("Zm9v", Some(b"foo"));
        check("Zm9vYmFy", Some(b"foobar"));
        check("AHRpbQB0YW5zdGFhZnRhbnN0YWFm", Some(b"\0tim\0tanstaaftanstaaf"));
        for bytes in [&b""[..], b"f", b"fo", b"foo", b"foobar", b"\0\xff\xfb", b"\xfb\xff"] {
            assert_eq!(decode(&encode(bytes)).as_deref(), Some(bytes));
        }
        assert_eq!(encode(b"\xfb\xff"), b"+/8=");
        for bad in ["Zg", "Zg=", "Zh==", "Zm9=", "Z===", "====", "Zm 9", "Zg==Zg==", "Zm9v\n"] {
            check(bad, None);
        }
    }
}
