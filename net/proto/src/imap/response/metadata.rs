//! `* METADATA` lines (RFC 5464 §4.4).

use super::{Names, text};

/// `* METADATA INBOX (/private/comment "My own" /shared/comment NIL)`, written entry by entry; without an entry nothing is written.
pub struct MetadataLine<'a> {
    /// Empty for the server.
    mailbox: &'a str,
    names: Names,
    is_begun: bool,
}

impl<'a> MetadataLine<'a> {
    /// Of a mailbox, or of the server.
    pub fn new(mailbox: Option<&'a str>, names: Names) -> MetadataLine<'a> {
        MetadataLine { mailbox: mailbox.unwrap_or_default(), names, is_begun: false }
    }

    /// One entry. A value that only a `literal8` can hold (RFC 3516) is written as that.
    pub fn entry(&mut self, out: &mut Vec<u8>, name: &str, value: Option<&[u8]>) {
        if self.is_begun {
            out.push(b' ');
        } else {
            out.extend_from_slice(b"* METADATA ");
            text::mailbox(out, self.mailbox, self.names);
            out.extend_from_slice(b" (");
            self.is_begun = true;
        }
        text::astring(out, name.as_bytes());
        out.push(b' ');
        if value.is_some_and(|value| memchr::memchr(0, value).is_some()) {
            out.push(b'~');
        }
        text::nstring(out, value);
    }

    /// The end of the line, when there is one.
    pub fn end(self, out: &mut Vec<u8>) {
        if self.is_begun {
            out.extend_from_slice(b")\r\n");
        }
    }
}

/// `* METADATA INBOX /shared/comment /private/comment`: these have changed (RFC 5464 §4.4.2). There is at least one.
pub fn metadata_changed<S: AsRef<str>>(
    out: &mut Vec<u8>,
    mailbox: Option<&str>,
    entries: impl IntoIterator<Item = S>,
    names: Names,
) {
    out.extend_from_slice(b"* METADATA ");
    text::mailbox(out, mailbox.unwrap_or_default(), names);
    for name in entries {
        out.push(b' ');
        text::astring(out, name.as_ref().as_bytes());
    }
    out.extend_from_slice(b"\r\n");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines() {
        let mut out = Vec::new();
        let mut line = MetadataLine::new(Some("R&D"), Names::UTF7);
        line.entry(&mut out, "/private/comment", Some(b"two\r\nlines"));
        line.entry(&mut out, "/private/a b", None);
        line.entry(&mut out, "/shared/x", Some(b"\0"));
        line.entry(&mut out, "/shared/y", Some(b""));
        line.end(&mut out);
        MetadataLine::new(None, Names::UTF7).end(&mut out);
        metadata_changed(&mut out, None, ["/shared/comment", "/private/comment"], Names::UTF7);
        let expect = "* METADATA \"R&-D\" (/private/comment {10}\r\ntwo\r\nlines \"/private/a b\" NIL /shared/x ~{1}\r\n\0 /shared/y \"\")\r\n\
                      * METADATA \"\" /shared/comment /private/comment\r\n";
        assert_eq!(String::from_utf8(out).unwrap(), expect);
    }
}
