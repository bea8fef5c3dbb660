//! Text for SEARCH (RFC 3501 §6.4.4): is a string in a header, in a body, in a message? And for SORT and PREVIEW.
//!
//! ```text
//! body ─▶ base64 / quoted-printable ─▶ charset ─▶ fold ─▶ find    (window keeps the end of each piece)
//!   └──── ASCII needle, charset that extends ASCII ─────▶ find
//! ```
//!
//! Letters are compared by a collation: i;unicode-casemap (RFC 5051) where nothing else is said, without case, and taken apart into letter and
//! marks. Matches are found across line folding, encoded words, soft line breaks and pieces of base64.

mod charset;
mod fields;
mod find;
mod fold;
mod html;
mod preview;
mod sort;
mod word;

pub use fields::field_texts;
pub use preview::{PREVIEW_CHARS_MAX, preview};
pub use sort::{BaseSubject, base_subject, compare_texts, first_display, first_mailbox};

use crate::header::{fields_named, logical_lines};
use crate::render::{Address, addresses};
use crate::structure::{Kind, Part, uncounted};
use crate::transfer::Transfer;
use charset::Charset;
use find::{Finder, Search};
use memchr::memmem;
use skein_base::Collation;

/// Fields that hold addresses: FROM and its like also find the address behind its comments.
const ADDRESS_FIELDS: [&str; 6] = ["From", "To", "Cc", "Bcc", "Sender", "Reply-To"];

/// A string to search for, folded once.
#[derive(Clone, Debug)]
pub struct Needle {
    finder: Finder,
    /// As it was given.
    text: Box<str>,
}

impl Needle {
    /// Of a search string as the client sent it, in UTF-8. The empty string is in everything.
    pub fn new(text: &str) -> Needle {
        Needle::by(Collation::default(), text)
    }

    /// One that is looked for by a collation.
    pub fn by(collation: Collation, text: &str) -> Needle {
        Needle { finder: Finder::new(text, collation), text: text.into() }
    }

    /// True when it is in a field's value, unfolded and decoded.
    pub fn matches_header_value(&self, value: &[u8]) -> bool {
        if self.finder.is_ascii() && word::is_plain(value) {
            return self.finder.is_in_ascii(value);
        }
        let (mut text, undecoded) = match word::decode_whole(value) {
            Ok(text) => (text, None),
            Err(bytes) => (word::decode(value), Some(bytes)),
        };
        self.finder.fold(&mut text);
        // What is not in its charset is looked into as it is (RFC 5255 §4.6), and in so far as it can be decoded.
        self.finder.is_in_folded(text.as_bytes())
            || undecoded.is_some_and(|bytes| memmem::find(&bytes, self.text.as_bytes()).is_some())
    }

    /// True when it is in a field of this name (`HEADER name string`), or in any line of the block, names included.
    ///
    /// The empty string asks whether there is such a field at all.
    pub fn matches_header_block(&self, header: &[u8], name: Option<&str>) -> bool {
        match name {
            Some(name) => {
                let of_addresses = holds_addresses(name);
                let found = |value: &[u8]| {
                    let plainly = || plain_addresses(value).iter().any(|address| self.matches_header_value(address));
                    self.matches_header_value(value) || of_addresses && plainly()
                };
                fields_named(header, name.as_bytes()).any(|field| found(field.value))
            }
            None => logical_lines(header).any(|line| self.matches_header_value(line.trim_ascii_end())),
        }
    }

    /// True when it is in the text of the message: `BODY`, or `TEXT` with `include_headers`.
    ///
    /// Text are the text and message parts, decoded, and the headers of messages inside; attachments are not.
    pub fn matches_message(&self, message: &[u8], include_headers: bool) -> bool {
        if self.finder.is_empty() {
            return true;
        }
        let parts = uncounted(message);
        parts.iter().any(|part| {
            let inside = part.parent.is_some_and(|p| parts[p as usize].kind == Kind::Message);
            let header = include_headers || inside;
            header && self.matches_lines(part.header.of(message)) || self.matches_body(message, part)
        })
    }

    /// As [`Needle::matches_header_block`] without a name, of a header with nothing behind it.
    fn matches_lines(&self, header: &[u8]) -> bool {
        match self.finder.is_one_word() && word::is_plain_block(header) {
            // Unfolding takes line ends out and leaves the blanks behind them: no word comes together that was none.
            true => self.finder.is_in_ascii(header),
            false => self.matches_header_block(header, None),
        }
    }

    fn matches_body(&self, message: &[u8], part: &Part) -> bool {
        let content = part.content_type(message);
        let searched = content.as_ref().is_none_or(|c| c.is("text") || c.is("message"));
        if part.kind != Kind::Leaf || !searched {
            return false;
        }
        let label = content.and_then(|c| c.param("charset"));
        let charset = Charset::of(label.as_deref());
        let body = part.body.of(message);
        let mut search = Search::new(&self.finder, charset);
        match Transfer::of(part.encoding(message)).unwrap_or(Transfer::Identity) {
            Transfer::Identity => search.push(body) || search.finish(),
            encoded => encoded.decode(body, &mut |piece| search.push(piece)) || search.finish(),
        }
    }
}

fn holds_addresses(name: &str) -> bool {
    ADDRESS_FIELDS.iter().any(|field| field.eq_ignore_ascii_case(name))
}

/// The addresses of a value, `local@domain` without comments and spaces, where they may be written in another way in it.
fn plain_addresses(value: &[u8]) -> Vec<Vec<u8>> {
    // Only comments, quotes and folding set the plain form apart.
    let before_at = |at: usize| at > 0 && value[at - 1] == b' ';
    if memchr::memchr3(b'(', b'\n', b'"', value).is_none() && !memchr::memchr_iter(b'@', value).any(before_at) {
        return Vec::new();
    }
    let plainly = |address: Address<'_>| match address {
        Address::Mailbox { mailbox: Some(mailbox), domain: Some(domain), .. } => {
            Some([&mailbox[..], b"@", &domain[..]].concat())
        }
        _ => None,
    };
    addresses(value).into_iter().filter_map(plainly).collect()
}

#[cfg(test)]
mod tests;
