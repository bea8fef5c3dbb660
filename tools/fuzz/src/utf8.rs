//! Text in UTF-8, as clients that have enabled it send it and as mail holds it.

use crate::script::check_lines;
use skein_mime::{Needle, PREVIEW_CHARS_MAX, preview, structure};
use skein_proto::imap::response::{self, Names};
use skein_proto::imap::{Imap, ImapConfig, Reply, Request, Step};
use std::sync::Arc;

/// Names of mailboxes are taken as they are or refused whole (RFC 6855 §3), and both wire forms of one name it; what is searched for is found in a
/// header field that has it (RFC 6532); a preview is whole letters, and so many at most (RFC 8970 §3.1).
pub fn utf8(data: &[u8]) {
    if let Some(name) = read_name(true, &literal(data)) {
        let text = std::str::from_utf8(data).expect("a name that is no UTF-8");
        assert!(name == text || name.eq_ignore_ascii_case(text) && name.starts_with("INBOX"), "{name:?} of {text:?}");
        for names in [Names::UTF8, Names::UTF7] {
            let mut wire = Vec::new();
            response::mailbox(&mut wire, &name, names);
            assert_eq!(read_name(names.utf8, &wire).as_ref(), Some(&name), "{}", wire.escape_ascii());
        }
    }
    if let Ok(text) = std::str::from_utf8(data)
        && !text.contains("=?")
        && !text.contains(['\r', '\n'])
    {
        assert!(Needle::new(text).matches_header_value(data), "not found in itself: {text:?}");
    }
    let message = [b"Content-Type: text/plain; charset=utf-8\r\n\r\n", data].concat();
    let preview = preview(&message, &structure(&message));
    assert!(preview.chars().count() <= PREVIEW_CHARS_MAX, "{preview:?}");
}

fn literal(bytes: &[u8]) -> Vec<u8> {
    [format!("{{{}+}}\r\n", bytes.len()).as_bytes(), bytes].concat()
}

/// The name that SUBSCRIBE is given in this form; `None` when it is refused.
fn read_name(utf8: bool, wire: &[u8]) -> Option<String> {
    let mut imap = Imap::new(Arc::new(ImapConfig::default()), true);
    imap.feed(b"a LOGIN u p\r\n");
    assert!(matches!(imap.next(), Step::Ask(_)));
    imap.answer(Reply::LoggedIn { user: "u".to_string() });
    assert!(matches!(imap.next(), Step::More));
    if utf8 {
        imap.feed(b"b ENABLE UTF8=ACCEPT\r\n");
        assert!(matches!(imap.next(), Step::More));
    }
    let mut rest = &[b"c SUBSCRIBE ", wire, b"\r\n"].concat()[..];
    loop {
        rest = &rest[imap.feed(rest)..];
        match imap.next() {
            Step::Ask(Request::Subscribe { mailbox }) => return Some(mailbox),
            Step::More if !rest.is_empty() => {}
            Step::More | Step::Close(_) => break,
            step => panic!("{step:?} of a name that is refused"),
        }
    }
    check_lines(imap.out());
    None
}
