//! A Maildir that Debian's Dovecot wrote, read from the disk: the same UIDs, flags, keywords, dates and texts as over IMAP.

use std::collections::BTreeSet;

use skein_base::Flags;
use skein_migrate::maildir::{self, Layout};
use skein_migrate::{Folder, Message};
use skein_testkit::imap::{Client, Value};
use skein_testkit::server::{Kind, use_dovecot_maildir};
use skein_testkit::{Server, program};

/// 23-Nov-2026 23:34:50 +0000
const DATE: i64 = 1_795_476_890;

/// What both sides know of a message: UID, flags and keywords, text.
type Known = (u32, BTreeSet<String>, Vec<u8>);

fn over_imap(client: &mut Client, mailbox: &str) -> (u32, u32, Vec<Known>) {
    let selected = client.command(&format!("EXAMINE {mailbox}")).expect("EXAMINE").expect_ok();
    let number = |code| selected.code(code).and_then(|value| value.parse().ok()).expect(code);
    let reply = client.command("FETCH 1:* (UID FLAGS INTERNALDATE BODY.PEEK[])").expect("FETCH").expect_ok();
    let fetches = reply.fetches();
    let known = fetches.iter().map(|fetched| {
        let date = fetched.item("INTERNALDATE").and_then(Value::text).expect("a date");
        assert_eq!(date, "23-Nov-2026 23:34:50 +0000");
        (fetched.uid().expect("a UID"), fetched.flags().expect("flags"), fetched.body().expect("a body").to_vec())
    });
    (number("UIDVALIDITY"), number("UIDNEXT"), known.collect())
}

fn from_disk(message: &Message) -> Known {
    let meta = &message.meta;
    assert_eq!(meta.internal_date, DATE);
    let flags = Flags::NAMES.iter().filter(|(flag, _)| meta.flags.contains(*flag)).map(|(_, name)| (*name).to_owned());
    let all = flags.chain(meta.keywords.iter().cloned()).collect();
    (meta.uid.expect("Dovecot gave it a UID"), all, message.read().expect("the file"))
}

fn set_up(client: &mut Client) {
    client.command("CREATE \"B&APw-ro\"").expect("CREATE").expect_ok();
    client.command("CREATE \"B&APw-ro/Alt\"").expect("CREATE").expect_ok();
    client.command("SUBSCRIBE \"B&APw-ro/Alt\"").expect("SUBSCRIBE").expect_ok();
    let flags = ["()", "(\\Seen work)", "(\\Answered \\Flagged \\Draft $Forwarded)", "(\\Deleted $Label1 later work)"];
    for mailbox in ["INBOX", "\"B&APw-ro/Alt\""] {
        for number in 0..8 {
            let mail = format!("Subject: {number}\r\n\r\n{}{mailbox}\r\n.\r\n", "x\r\n".repeat(number));
            let given = format!("{} \"24-Nov-2026 01:34:50 +0200\"", flags[number % flags.len()]);
            let tag = client.send(&format!("APPEND {mailbox} {given} {{{}}}", mail.len())).expect("APPEND");
            client.read_response().expect("a go-ahead");
            client.write(format!("{mail}\r\n").as_bytes()).expect("a write");
            client.finish(&tag).expect("APPEND").expect_ok();
        }
        client.command(&format!("SELECT {mailbox}")).expect("SELECT").expect_ok();
        client.command("STORE 2,4 +FLAGS.SILENT (\\Deleted)").expect("STORE").expect_ok();
        client.command("EXPUNGE").expect("EXPUNGE").expect_ok();
        client.command("STORE 1 +FLAGS.SILENT (\\Seen last)").expect("STORE").expect_ok();
    }
}

#[test]
fn a_maildir_of_dovecots() {
    let Some(_) = program::find("dovecot") else { return };
    use_dovecot_maildir();
    let mut server = Server::start_kind(Kind::Dovecot);
    let mut client = server.login(&Server::user(1));
    set_up(&mut client);
    let inbox = over_imap(&mut client, "INBOX");
    let alt = over_imap(&mut client, "\"B&APw-ro/Alt\"");
    assert!(inbox.2.len() >= 5 && inbox.2.iter().any(|(_, flags, _)| flags.contains("last")), "{inbox:?}");
    drop(client);
    server.stop();
    let root = server.folder().join("data").join(Server::user(1)).join("mail");
    let folders = maildir::folders(&root, Layout::PlusPlus).expect("a Maildir");
    let names: Vec<(&str, bool)> = folders.iter().map(|f| (&*f.name, f.subscribed)).collect();
    assert_eq!(names, [("INBOX", false), ("Büro", false), ("Büro/Alt", true)]);
    let check = |folder: &Folder, (validity, next, known): &(u32, u32, Vec<Known>)| {
        assert_eq!((folder.validity, folder.uid_next), (Some(*validity), Some(*next)), "{}", folder.name);
        let read: Vec<Known> = maildir::messages(folder).expect("messages").iter().map(from_disk).collect();
        assert_eq!(&read, known, "{}", folder.name);
    };
    check(&folders[0], &inbox);
    check(&folders[2], &alt);
}
