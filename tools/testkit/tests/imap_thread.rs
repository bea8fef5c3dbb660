//! THREAD against the running server: from the log, and after a drain.

use skein_testkit::Server;
use skein_testkit::imap::Client;

fn thread(client: &mut Client, command: &str) -> String {
    let reply = client.command(command).expect("THREAD").expect_ok();
    let lines: Vec<&Vec<u8>> = reply.untagged.iter().filter(|line| line.starts_with(b"* THREAD")).collect();
    assert_eq!(lines.len(), 1, "{reply:?}");
    String::from_utf8_lossy(&lines[0]["* THREAD".len()..]).trim().to_string()
}

fn mail(id: &str, subject: &str, answers: &str, minute: u32) -> String {
    let id = if id.is_empty() { String::new() } else { format!("Message-ID: <{id}@x>\r\n") };
    format!("Subject: {subject}\r\n{id}{answers}Date: Mon, 2 Nov 2026 10:{minute:02}:00 +0000\r\n\r\ntext\r\n")
}

#[test]
fn messages_come_as_threads() {
    let mut server = Server::start();
    let mut client = server.login(&Server::user(1));
    let mails = [
        mail("gone", "to be expunged", "", 0),
        mail("1", "question", "", 5),
        mail("2", "Re: question", "In-Reply-To: <1@x>\r\n", 9),
        mail("3", "RE: question", "References: <1@x>\r\n", 7),
        mail("4", "other", "References: <1@x> <2@x>\r\n", 8),
        mail("", "Question", "", 1),
        mail("5", "lists", "References: <lost@x>\r\n", 2),
        mail("6", "lists too", "References: <lost@x>\r\n", 3),
        mail("7", "\u{fc}ber", "", 20),
        mail("8", "Re: =?iso-8859-1?q?=DCBER?=", "", 30),
    ];
    for mail in &mails {
        client.append("INBOX", "", mail.as_bytes()).expect("APPEND").expect_ok();
    }
    client.command("SELECT INBOX").expect("SELECT").expect_ok();
    client.command("STORE 1 +FLAGS.SILENT (\\Deleted)").expect("STORE").expect_ok();
    client.command("EXPUNGE").expect("EXPUNGE").expect_ok();
    for round in 0..2 {
        let mut check = |command: &str, expect: &str| {
            assert_eq!(thread(&mut client, command), expect, "{command}, round {round}");
        };
        check("THREAD REFERENCES UTF-8 ALL", "((5)(1 (3)(2 4)))((6)(7))(8 9)");
        check("UID THREAD REFERENCES UTF-8 ALL", "((6)(2 (4)(3 5)))((7)(8))(9 10)");
        check("THREAD REFS UTF-8 ALL", "(5)((6)(7))(1 (3)(2 4))(8)(9)");
        check("THREAD ORDEREDSUBJECT UTF-8 ALL", "(5 (1)(3)(2))(6)(7)(4)(8 9)");
        check("THREAD REFERENCES UTF-8 2:4", "((3)(2 4))");
        check("UID THREAD REFS UTF-8 SUBJECT \"\u{dc}\"", "(9)(10)");
        check("THREAD REFS UTF-8 ANSWERED", "");
        drop(client);
        server.stop();
        server.restart();
        client = server.login(&Server::user(1));
        client.command("SELECT INBOX").expect("SELECT").expect_ok();
    }
}

/// A mailbox of so many messages that its threads are kept.
#[test]
fn threads_that_are_known_are_told_as_they_are_now() {
    let server = Server::start();
    let mut client = server.login(&Server::user(1));
    let mut append = |uids: std::ops::RangeInclusive<u32>| {
        // Threads of three.
        let mail = |uid: u32| match uid % 3 {
            1 => format!("Message-ID: <{uid}@x>\r\nSubject: {uid}\r\n\r\n"),
            _ => format!("Message-ID: <{uid}@x>\r\nReferences: <{}@x>\r\nSubject: {uid}\r\n\r\n", uid - 1),
        };
        let literals = uids.map(mail).map(|mail| format!(" {{{}+}}\r\n{mail}", mail.len()));
        client.write(format!("a APPEND INBOX{}\r\n", literals.collect::<String>()).as_bytes()).expect("APPEND");
        client.finish("a").expect("APPEND").expect_ok();
    };
    append(1..=300);
    let mut reader = server.login(&Server::user(1));
    reader.command("SELECT INBOX").expect("SELECT").expect_ok();
    let threes = |from: u32, to: u32| (from..to).step_by(3).map(|n| format!("({n} {} {})", n + 1, n + 2)).collect();
    let check = |reader: &mut Client, by_uid: String, by_number: String| {
        for round in 0..2 {
            assert_eq!(thread(reader, "UID THREAD REFS UTF-8 ALL"), by_uid, "round {round}");
            assert_eq!(thread(reader, "THREAD REFS UTF-8 ALL"), by_number, "round {round}");
        }
    };
    check(&mut reader, threes(1, 300), threes(1, 300));
    append(301..=303);
    reader.command("NOOP").expect("NOOP").expect_ok();
    check(&mut reader, threes(1, 303), threes(1, 303));
    // Numbers move, UIDs stay.
    reader.command("UID STORE 1:3 +FLAGS.SILENT (\\Deleted)").expect("STORE").expect_ok();
    reader.command("EXPUNGE").expect("EXPUNGE").expect_ok();
    check(&mut reader, threes(4, 303), threes(1, 300));
    assert_eq!(thread(&mut reader, "UID THREAD REFS UTF-8 UID 5:7"), "(5 6)(7)");
}
