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
