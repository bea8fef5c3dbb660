//! What is exported is imported as it was: Maildir and mbox; and the files of Dovecot and Courier as they lie on disk.

use proptest::prelude::*;
use skein_base::Flags;
use skein_migrate::maildir::{self, Layout, MaildirWriter};
use skein_migrate::{Folder, Key, Message, Meta, Resume, Tally, eml_folders, eml_messages, mbox};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

/// A directory of the test's own, removed at its end.
struct Place(PathBuf);

impl Place {
    fn new() -> Place {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let name = format!("skein-migrate-{}-{}", std::process::id(), NUMBER.fetch_add(1, Ordering::Relaxed));
        let path = std::env::temp_dir().join(name);
        fs::create_dir_all(&path).unwrap();
        Place(path)
    }

    fn file(&self, name: &str, text: &str) {
        let path = self.0.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// A message to be written: what it is, and its text.
type Given = (u32, u8, Vec<String>, i64, Option<String>, Vec<u8>);

fn meta((uid, flags, keywords, internal_date, uidl, _): &Given) -> Meta {
    let (uid, keywords, uidl) = (Some(*uid), keywords.clone(), uidl.clone());
    Meta { uid, flags: Flags(*flags), keywords, internal_date: *internal_date, uidl, guid: None }
}

fn seen(message: &Message) -> Given {
    let Meta { uid, flags, mut keywords, internal_date, uidl, .. } = message.meta.clone();
    keywords.sort();
    (uid.unwrap(), flags.0, keywords, internal_date, uidl, message.read().unwrap())
}

fn tally<'m>(bodies: impl Iterator<Item = &'m [u8]>) -> Tally {
    let mut tally = Tally::default();
    bodies.for_each(|body| tally.add(body));
    tally
}

fn messages() -> impl Strategy<Value = Vec<Given>> {
    let keyword = prop::sample::subsequence(vec!["$Forwarded", "$Label1", "later", "work"], 0..4);
    let keywords = keyword.prop_map(|words| words.into_iter().map(str::to_owned).collect());
    let line = prop_oneof![
        Just("From me\r\n"),
        Just(">From me\r\n"),
        Just("\r\n"),
        Just("Status: RO\r\n"),
        Just("X-UID: 7\r\n"),
        Just("X-Skein: bytes=1\r\n"),
        Just("a\r\r\n"),
        Just("> \u{e9}\r\n"),
        Just("no end"),
        Just("\r"),
    ];
    let body = prop::collection::vec(line, 0..8).prop_map(|lines| lines.concat().into_bytes());
    let uidl = prop::option::of("[a-z0-9.]{1,12}");
    let one = (1u32..1000, 0u8..32, keywords, 0i64..4_000_000_000, uidl, body);
    prop::collection::btree_map(1u32..1_000_000, one, 0..6).prop_map(|all| {
        let with_uid =
            |(uid, (_, flags, keywords, date, uidl, body)): (u32, _)| (uid, flags, keywords, date, uidl, body);
        all.into_iter().map(with_uid).collect()
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn maildir_reads_back(inbox in messages(), sub in messages()) {
        let place = Place::new();
        let root = place.0.join("mail");
        let mut writer = MaildirWriter::create(&root).unwrap();
        for (name, given) in [("INBOX", &inbox), ("B\u{fc}ro/Alt & Neu", &sub)] {
            writer.folder(name, 17, 2_000_000, name != "INBOX").unwrap();
            for one in given {
                prop_assert!(writer.message(&meta(one), &one.5).unwrap());
            }
        }
        writer.finish().unwrap();
        let folders = maildir::folders(&root, Layout::PlusPlus).unwrap();
        prop_assert_eq!(folders.len(), 2);
        for (folder, (name, given)) in folders.iter().zip([("INBOX", &inbox), ("B\u{fc}ro/Alt & Neu", &sub)]) {
            prop_assert_eq!((&*folder.name, folder.validity, folder.uid_next), (name, Some(17), Some(2_000_000)));
            prop_assert_eq!(folder.subscribed, name != "INBOX");
            let got: Vec<Given> = maildir::messages(folder).unwrap().iter().map(seen).collect();
            prop_assert_eq!(&got, given);
            prop_assert_eq!(tally(got.iter().rev().map(|one| &one.5[..])), tally(given.iter().map(|one| &one.5[..])));
        }
    }

    #[test]
    fn mbox_reads_back(given in messages()) {
        let place = Place::new();
        let mut out = Vec::new();
        for (index, one) in given.iter().enumerate() {
            mbox::write(&mut out, &meta(one), (index == 0).then_some((17, 2_000_000)), &one.5).unwrap();
        }
        let path = place.0.join("mbox");
        fs::write(&path, out).unwrap();
        let (folder, messages) = mbox::folder(&path, "x", mbox::Quoting::Rd).unwrap();
        let validity = (!given.is_empty()).then_some(17);
        prop_assert_eq!((folder.validity, folder.uid_next), (validity, validity.map(|_| 2_000_001)));
        prop_assert_eq!(messages.iter().map(seen).collect::<Vec<_>>(), given);
    }

    #[test]
    fn no_mbox_panics(text in "(From a|>From |X-Skein: bytes=9|Status: R|X-UID: 3|X-IMAP: 1 2|\r?\n|[a-z: >]{0,5}){0,30}") {
        let place = Place::new();
        place.file("mbox", &text);
        if let Ok(found) = mbox::read(&place.0.join("mbox"), mbox::Quoting::O) {
            for message in &found.messages {
                message.read().unwrap();
            }
        }
    }
}

#[test]
fn a_maildir_of_couriers() {
    let place = Place::new();
    place.file("cur/1.a:2,RS", "a\n");
    place.file("new/2.b", "b\r\n");
    place.file("courierimapuiddb", "1 55 9\n3 1.a\n");
    place.file("courierimapkeywords/:list", "$Label1\nwork\n\n1.a:0 1\n2.b:1\n");
    place.file("courierimapkeywords/2.b", "later\n");
    place.file("courierimapsubscribed", "INBOX\nINBOX.Sent\n");
    fs::create_dir_all(place.0.join(".Sent/cur")).unwrap();
    let folders = maildir::folders(&place.0, Layout::PlusPlus).unwrap();
    let names: Vec<_> = folders.iter().map(|f| (&*f.name, f.validity, f.subscribed)).collect();
    assert_eq!(names, [("INBOX", Some(55), true), ("Sent", None, true)]);
    let messages = maildir::messages(&folders[0]).unwrap();
    assert_eq!((messages[0].meta.uid, messages[0].meta.flags), (Some(3), Flags(Flags::ANSWERED.0 | Flags::SEEN.0)));
    assert_eq!(
        (&messages[0].meta.keywords[..], &*messages[0].read().unwrap()),
        (&["$Label1".into(), "work".into()][..], &b"a\r\n"[..])
    );
    assert_eq!((messages[1].meta.uid, &messages[1].meta.keywords[..]), (None, &["later".into()][..]));
}

#[test]
fn layout_fs() {
    let place = Place::new();
    for path in ["cur", "B&APw-ro/cur", "B&APw-ro/alt/cur", "none/deep/new"] {
        fs::create_dir_all(place.0.join(path)).unwrap();
    }
    place.file("subscriptions", "V\t2\n\nB&APw-ro\talt\n");
    let folders = maildir::folders(&place.0, Layout::Fs).unwrap();
    let names: Vec<_> = folders.iter().map(|f| (&*f.name, f.subscribed)).collect();
    assert_eq!(names, [("INBOX", false), ("B\u{fc}ro", false), ("B\u{fc}ro/alt", true)]);
}

#[test]
fn an_mbox_of_others() {
    let place = Place::new();
    let text = "From a Thu Jan  1 00:00:10 1970\nX-IMAP: 5 9\nStatus: RO\nX-Status: F\nX-Keywords: work\nX-UID: 4\n\n>From b\n\n\
                From c Thu Jan  1 00:00:20 1970\nX-UID: 4\nSubject: x\n\nFrom here\n\nend";
    place.file("mbox", text);
    let (folder, messages) = mbox::folder(&place.0.join("mbox"), "x", mbox::Quoting::O).unwrap();
    assert_eq!((folder.validity, folder.uid_next), (Some(5), Some(10)));
    // The line that begins with From in the text of the second follows an empty one: mboxo can not tell it from a message.
    let dates: Vec<_> = messages.iter().map(|m| (m.meta.internal_date, m.meta.uid)).collect();
    assert_eq!(dates, [(10, Some(4)), (20, None), (0, None)]);
    let first = "X-IMAP: 5 9\r\nStatus: RO\r\nX-Status: F\r\nX-Keywords: work\r\nX-UID: 4\r\n\r\nFrom b\r\n";
    assert_eq!(String::from_utf8(messages[0].read().unwrap()).unwrap(), first);
    assert_eq!(
        (messages[0].meta.flags.0, &messages[0].meta.keywords[..]),
        (Flags::SEEN.0 | Flags::FLAGGED.0, &["work".into()][..])
    );
}

/// An import that was broken off goes on behind the last message that was safe, whatever came or went meanwhile.
#[test]
fn what_was_done_is_not_done_again() {
    let place = Place::new();
    for name in ["a.eml", "b.eml", "c.eml"] {
        place.file(&format!("in/{name}"), name);
    }
    let list = |place: &Place| -> (Folder, Vec<Message>) {
        let folder = eml_folders(&place.0.join("in"), "In").unwrap().remove(0);
        let messages = eml_messages(&folder).unwrap();
        (folder, messages)
    };
    let state: &Path = &place.0.join("state");
    let (folder, messages) = list(&place);
    let mut resume = Resume::open(state).unwrap();
    assert_eq!(resume.remaining(&folder.name, &messages).len(), 3);
    resume.advance(&folder.name, &messages[1].key);
    resume.save().unwrap();
    fs::remove_file(place.0.join("in/b.eml")).unwrap();
    place.file("in/d.eml", "d");
    let (folder, messages) = list(&place);
    let resume = Resume::open(state).unwrap();
    let left: Vec<&Key> = resume.remaining(&folder.name, &messages).iter().map(|m| &m.key).collect();
    assert_eq!(left.iter().map(|key| &*key.name).collect::<Vec<_>>(), ["c.eml", "d.eml"]);
    assert_eq!(resume.remaining("other", &messages).len(), 3);
    fs::write(state, "x").unwrap();
    assert!(Resume::open(state).unwrap_err().to_string().contains("remove it"));
}
