//! What needles are looked for in of a field, made once: for who searches the same fields of many messages again and again.

use super::fold::fold;
use super::{Needle, word};
use crate::header::fields_named;
use memchr::memmem;
use skein_base::Collation;

/// Ends each text; no UTF-8 has this byte, so nothing is found across it.
const FIELD_END: u8 = 0xff;

/// Appends the texts of the fields of a name, decoded and folded by a collation: a needle by it that is not empty is in
/// one of them exactly when [`Needle::matches_header_block`] says so. `None`, and `out` as it was, where something is not in the charset
/// that it says.
pub fn field_texts(header: &[u8], name: &str, by: Collation, out: &mut Vec<u8>) -> Option<()> {
    let start = out.len();
    let of_addresses = super::holds_addresses(name);
    for field in fields_named(header, name.as_bytes()) {
        let plainly = if of_addresses { super::plain_addresses(field.value) } else { Vec::new() };
        for value in std::iter::once(field.value).chain(plainly.iter().map(|address| &address[..])) {
            let Some(text) = text_of(value, by) else {
                out.truncate(start);
                return None;
            };
            out.extend_from_slice(text.as_bytes());
            out.push(FIELD_END);
        }
    }
    Some(())
}

fn text_of(value: &[u8], by: Collation) -> Option<String> {
    let mut text = match std::str::from_utf8(value) {
        Ok(text) if word::is_plain(value) => text.to_owned(),
        _ => word::decode_whole(value).ok()?,
    };
    fold(&mut text, by);
    Some(text)
}

impl Needle {
    /// By what it is looked for.
    pub fn collation(&self) -> Collation {
        self.finder.collation()
    }

    /// Whether it is the empty string.
    pub fn is_empty(&self) -> bool {
        self.finder.is_empty()
    }

    /// Where it is in texts that [`field_texts`] made by its collation.
    pub fn find_in_texts<'t>(&'t self, texts: &'t [u8]) -> memmem::FindIter<'t, 't> {
        self.finder.find_all(texts)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn value() -> impl Strategy<Value = Vec<u8>> {
        let piece = prop_oneof![
            4 => "[a-cA-C ]{0,4}".prop_map(String::into_bytes),
            1 => Just(b"=?utf-8?q?=C3=A4b?=".to_vec()),
            1 => Just(b"=?iso-8859-1?b?5GI=?=".to_vec()),
            1 => Just(b"=?x-nobody?q?ab?=".to_vec()),
            1 => Just(b"\r\n a".to_vec()),
            1 => Just("ä".as_bytes().to_vec()),
            1 => Just(vec![0xe4]),
            1 => Just(b"(a) <a @b>".to_vec()),
            1 => Just(b"\"a b\" <a@b>,".to_vec()),
            1 => Just(b"<a@b>".to_vec()),
            1 => Just("\u{130}".as_bytes().to_vec()),
        ];
        proptest::collection::vec(piece, 0..6).prop_map(|pieces| pieces.concat())
    }

    proptest! {
        /// Whatever fields and needles.
        #[test]
        fn what_is_in_the_texts_is_in_the_fields(
            fields in proptest::collection::vec((prop_oneof![Just("From"), Just("from "), Just("Subject")], value()), 0..4),
            needle in prop_oneof!["[abAB ]{1,3}", "ä|Ä|äb|a@b|\"a|=\\?|i", "[a-cä]{1,2}@?"],
            octet in any::<bool>(),
        ) {
            let mut header = Vec::new();
            for (name, value) in &fields {
                header.extend_from_slice(&[name.as_bytes(), b":", value, b"\r\n"].concat());
            }
            let by = if octet { Collation::Octet } else { Collation::default() };
            let needle = Needle::by(by, &needle);
            for name in ["from", "Subject", "X"] {
                let mut texts = b"before".to_vec();
                match field_texts(&header, name, by, &mut texts) {
                    Some(()) => {
                        let found = needle.find_in_texts(&texts[6..]).next().is_some();
                        prop_assert_eq!(found, needle.matches_header_block(&header, Some(name)), "{}", String::from_utf8_lossy(&header));
                    }
                    None => prop_assert_eq!(&texts, b"before"),
                }
            }
        }
    }

    /// It is worth something: most fields have one text.
    #[test]
    fn usual_fields_have_texts() {
        let header = b"From: A B <a.b@example.org>\r\nSubject: =?utf-8?q?Gr=C3=BC=C3=9Fe?=\r\n an alle\r\nTo: \"a\" <a@b>\r\n\r\n";
        let texts = |name| {
            let mut texts = Vec::new();
            field_texts(header, name, Collation::default(), &mut texts).map(|()| texts)
        };
        let found = |name, text: &str| Needle::new(text).find_in_texts(&texts(name).unwrap()).count();
        assert_eq!(
            (found("From", "a.B@EXAMPLE"), found("from", "c"), found("Subject", "grüße an"), found("Cc", "a")),
            (1, 0, 1, 0)
        );
        assert_eq!(texts("Cc"), Some(Vec::new()));
    }
}
