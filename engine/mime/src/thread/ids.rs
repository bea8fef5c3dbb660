//! Message ids (RFC 5322 §3.6.4) in fields that hold much else.

use std::borrow::Cow;

/// The ids in a field's value, without their brackets. Quotes are taken off, as they are no part of an id (RFC 5256 §3).
pub(super) fn ids(value: &[u8]) -> impl Iterator<Item = Cow<'_, [u8]>> {
    let mut rest = value;
    std::iter::from_fn(move || {
        loop {
            let start = memchr::memchr(b'<', rest)?;
            let inside = &rest[start + 1..];
            let end = memchr::memchr2(b'<', b'>', inside)?;
            // A bracket that opens anew is looked at again.
            rest = &inside[end..];
            if rest.starts_with(b">")
                && let Some(id) = id(&inside[..end])
            {
                return Some(id);
            }
        }
    })
}

/// `left@right`; white space from folding is let through.
fn id(text: &[u8]) -> Option<Cow<'_, [u8]>> {
    let plain = |b: &u8| !matches!(b, b'"' | b'\\' | b' ' | b'\t' | b'\r' | b'\n');
    let id = match text.iter().all(plain) {
        true => Cow::Borrowed(text),
        false => Cow::Owned(text.iter().copied().filter(plain).collect()),
    };
    let at = memchr::memrchr(b'@', &id)?;
    (at > 0 && at + 1 < id.len()).then_some(id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_found_among_other_text() {
        for (value, want) in [
            ("<a@b>", &["a@b"][..]),
            ("<a@b> <c@b>\r\n\t<d@b>", &["a@b", "c@b", "d@b"]),
            ("<a@b><c@b>", &["a@b", "c@b"]),
            ("Your message of \"Mon <today>\" <x@y> (thanks)", &["x@y"]),
            ("<\"01KF8JCEOCBS0045PS\"@xxx.yyy.com>", &["01KF8JCEOCBS0045PS@xxx.yyy.com"]),
            ("<a <b@c>", &["b@c"]),
            ("<long@\r\n example>", &["long@example"]),
            ("<a>, <@b>, <a@>, <>, <", &[]),
            ("a@b", &[]),
            ("", &[]),
        ] {
            let found: Vec<String> =
                ids(value.as_bytes()).map(|id| String::from_utf8(id.into_owned()).unwrap()).collect();
            assert_eq!(found, want, "{value}");
        }
        assert_eq!(ids("<".repeat(100_000).as_bytes()).count(), 0);
    }
}
