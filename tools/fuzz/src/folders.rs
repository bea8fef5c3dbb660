//! Mail folders of others, and their lists.

use skein_migrate::maildir::Lists;
use skein_migrate::mbox::{self, Mbox, Quoting};
use skein_migrate::{Message, Meta};
use std::collections::BTreeMap;
use std::path::Path;

/// Lists of UIDs and of POP3's ids: UIDs that there can be, below UIDNEXT, and the same again once Dovecot has written the list anew.
pub fn uidlist(data: &[u8]) {
    let mut lists = Lists::default();
    lists.take_uids(data);
    let known = by_file(&lists);
    let (validity, next) = lists.numbers();
    let uids = known.values().filter_map(|meta| meta.uid);
    uids.for_each(|uid| assert!(uid > 0 && (uid < next || next == u32::MAX), "{uid}, and UIDNEXT is {next}"));

    let mut text = format!("3 V{validity} N{next} Gabc\n");
    for (base, meta) in &known {
        text += &format!("{}", meta.uid.expect("it is listed"));
        // Without a value it is the name of the file, which may hold what no value does.
        match &meta.uidl {
            Some(uidl) if uidl == base => text += " P",
            Some(uidl) => text += &format!(" P{uidl}"),
            None => {}
        }
        text += &meta.guid.as_ref().map_or_else(String::new, |guid| format!(" G{guid}"));
        text += &format!(" :{base}:2,S\n");
    }
    let mut again = Lists::default();
    again.take_uids(text.as_bytes());
    assert_eq!((again.numbers(), by_file(&again)), ((validity, next), known), "{text}");

    lists.take_pop3(data);
    for (base, meta) in by_file(&lists) {
        assert!(meta.uid.is_some() || meta.uidl.is_some(), "{base} is listed for nothing");
    }
}

fn by_file(lists: &Lists) -> BTreeMap<String, Meta> {
    lists.files().into_iter().map(|base| (base.to_owned(), lists.meta(base))).collect()
}

/// Lists of keywords, and names of files on the first line: a message has keywords of the list alone, none of them twice, and the
/// letters of the system none.
pub fn keywords(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let (names, list) = text.split_once('\n').unwrap_or((&text, ""));
    let (mut letters, mut lists) = (Lists::default(), Lists::default());
    letters.take_letters(list.as_bytes());
    lists.take_keywords(list.as_bytes());
    for name in names.split(' ') {
        for given in [letters.meta(name), lists.meta(name)] {
            assert_eq!((given.uid, given.uidl, given.guid), (None, None, None));
            for (at, keyword) in given.keywords.iter().enumerate() {
                assert!(keyword == "$Forwarded" || list.contains(&**keyword), "{keyword:?} is in no list");
                assert!(
                    !given.keywords[..at].iter().any(|known| known.eq_ignore_ascii_case(keyword)),
                    "{keyword:?} twice"
                );
            }
        }
        let system: String = name.chars().filter(|letter| !letter.is_ascii_lowercase() && *letter != 'P').collect();
        assert_eq!(letters.meta(&system).keywords, [""; 0], "{system:?}");
    }
}

/// An mbox: messages one behind the other, all within it, and the same again once they are written by us.
pub fn mbox(data: &[u8]) {
    for quoting in [Quoting::Rd, Quoting::O] {
        let Some(found) = read(data, quoting) else { return };
        let uids: Vec<u32> = found.messages.iter().filter_map(|message| message.meta.uid).collect();
        assert!(uids.is_sorted_by(|a, b| a < b) && !uids.contains(&0), "{uids:?}");
        assert!(found.messages.is_sorted_by(|a, b| a.key < b.key));

        let mut written = Vec::new();
        for (number, message) in found.messages.iter().enumerate() {
            let base = found.base.filter(|_| number == 0);
            mbox::write(&mut written, &message.meta, base, &message.read_in(data)).expect("there is memory");
        }
        let again = read(&written, Quoting::Rd).expect("what was just written");
        assert_eq!(again.base, found.base);
        assert_eq!(all(&again.messages, &written), all(&found.messages, data), "{}", written.escape_ascii());
    }
}

fn read(data: &[u8], quoting: Quoting) -> Option<Mbox> {
    mbox::read_from(data, Path::new("/mbox"), quoting).ok()
}

fn all(messages: &[Message], file: &[u8]) -> Vec<(Meta, String)> {
    messages.iter().map(|m| (m.meta.clone(), m.read_in(file).escape_ascii().to_string())).collect()
}
