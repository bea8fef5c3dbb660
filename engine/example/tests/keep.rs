//! The example as a client sees it.

use skein_testkit::{Server, imap};

fn ask(client: &mut imap::Client, command: &str) -> String {
    let reply = client.command(command).expect(command);
    let lines = reply.untagged.iter().map(|line| String::from_utf8_lossy(line).into_owned() + "\n");
    lines.chain([format!("{:?} {}", reply.status, reply.text)]).collect()
}

#[test]
fn archives_are_kept() {
    skein_testkit::server::use_program(env!("CARGO_BIN_EXE_skein-keep"));
    let server = Server::start();
    let mut client = server.login(&Server::user(1));
    assert!(ask(&mut client, "CAPABILITY").contains(" XKEEP"));
    for mailbox in ["Archive/2026", "Archives"] {
        client.command(&format!("CREATE {mailbox}")).expect("CREATE").expect_ok();
        client.append(mailbox, "\\Deleted", b"Subject: x\r\n\r\n").expect("APPEND").expect_ok();
    }
    assert!(ask(&mut client, "XKEEP Archive/2026").starts_with("* XKEEP Archive/2026 1 0\nOk XKEEP completed."));
    assert!(ask(&mut client, "XKEEP Archives").starts_with("* XKEEP Archives 0 0\n"));
    assert!(ask(&mut client, "XKEEP nowhere").starts_with("No [NONEXISTENT]"));
    assert!(ask(&mut client, "XKEEP").starts_with("Bad "));

    client.command("SELECT Archive/2026").expect("SELECT").expect_ok();
    assert!(ask(&mut client, "EXPUNGE").starts_with("No [NOPERM] Mail in the archive is kept"));
    assert!(ask(&mut client, "MOVE 1 INBOX").starts_with("No [NOPERM]"));
    client.command("COPY 1 INBOX").expect("COPY").expect_ok();
    assert!(ask(&mut client, "DELETE Archive/2026").starts_with("No [NOPERM]"));
    assert!(ask(&mut client, "XKEEP Archive/2026").starts_with("* XKEEP Archive/2026 1 3\n"));
    client.command("SELECT Archives").expect("SELECT").expect_ok();
    assert!(ask(&mut client, "EXPUNGE").starts_with("* 1 EXPUNGE\n"));
}

/// What the extension keeps of each message outlives a crash, and goes along with copies.
#[test]
fn what_is_pinned_stays() {
    skein_testkit::server::use_program(env!("CARGO_BIN_EXE_skein-keep"));
    let mut server = Server::start();
    let mut client = server.login(&Server::user(1));
    assert!(ask(&mut client, "XPIN 1 1").starts_with("Bad "), "no mailbox is selected");
    for _ in 0..3 {
        client.append("INBOX", "\\Deleted", b"Subject: x\r\n\r\n").expect("APPEND").expect_ok();
    }
    client.command("SELECT INBOX").expect("SELECT").expect_ok();
    assert!(ask(&mut client, "XPIN 2 2").starts_with("Bad "));
    assert!(ask(&mut client, "XPIN 2 1").starts_with("Ok "));
    for _ in 0..2 {
        server.kill();
        server.restart();
        client = server.login(&Server::user(1));
        client.command("SELECT INBOX").expect("SELECT").expect_ok();
        assert!(ask(&mut client, "EXPUNGE").starts_with("No [NOPERM] "));
    }
    assert!(ask(&mut client, "UID EXPUNGE 1").starts_with("* 1 EXPUNGE\n"));
    client.command("CREATE b").expect("CREATE").expect_ok();
    assert!(ask(&mut client, "UID COPY 2:3 b").contains("[COPYUID "));
    assert!(ask(&mut client, "XPIN 2 0").starts_with("Ok "));
    assert!(ask(&mut client, "EXPUNGE").starts_with("* 2 EXPUNGE\n* 1 EXPUNGE\n"));
    client.command("SELECT b").expect("SELECT").expect_ok();
    assert!(ask(&mut client, "UID EXPUNGE 1").starts_with("No [NOPERM] "));
    assert!(ask(&mut client, "UID EXPUNGE 2").starts_with("* 2 EXPUNGE\n"));
}

/// A mailbox of the extension's own format is as any other, and follows what the extension keeps.
#[test]
fn what_is_pinned_is_a_mailbox() {
    skein_testkit::server::use_program(env!("CARGO_BIN_EXE_skein-keep"));
    let mut server = Server::start();
    let mut client = server.login(&Server::user(1));
    client.command("CREATE b").expect("CREATE").expect_ok();
    for (mailbox, subject) in [("INBOX", "one"), ("INBOX", "two"), ("b", "three")] {
        client.append(mailbox, "", format!("Subject: {subject}\r\n\r\n").as_bytes()).expect("APPEND").expect_ok();
    }
    assert!(ask(&mut client, "LIST \"\" Virtual/*").starts_with("* LIST (\\HasNoChildren) \"/\" Virtual/Pinned\nOk "));
    assert!(ask(&mut client, "APPEND Virtual/Pinned {1+}\r\nx").starts_with("No [CANNOT] "));
    assert!(ask(&mut client, "STATUS Virtual/Pinned (MESSAGES)").contains("(MESSAGES 0)"));
    let mut watcher = server.login(&Server::user(1));
    assert!(ask(&mut watcher, "SELECT Virtual/Pinned").contains("* 0 EXISTS\n"));

    for (mailbox, uid) in [("INBOX", 2), ("b", 1)] {
        client.command(&format!("SELECT {mailbox}")).expect("SELECT").expect_ok();
        assert!(ask(&mut client, &format!("XPIN {uid} 1")).starts_with("Ok "));
    }
    assert!(ask(&mut watcher, "NOOP").contains("* 2 EXISTS\n"));
    let subjects = ask(&mut watcher, "FETCH 1:* BODY.PEEK[HEADER.FIELDS (SUBJECT)]");
    assert!(subjects.contains("Subject: two\r\n") && subjects.contains("Subject: three\r\n"), "{subjects}");
    assert!(ask(&mut watcher, "STORE 1 +FLAGS (\\Flagged)").starts_with("* 1 FETCH (FLAGS (\\Flagged"));

    // Of b, which is selected. As in a virtual mailbox it stays until EXPUNGE is said, or the mailbox is opened anew.
    assert!(ask(&mut client, "XPIN 1 0").starts_with("Ok "));
    assert!(ask(&mut watcher, "NOOP").starts_with("Ok "));
    assert!(ask(&mut watcher, "EXPUNGE").contains(" EXPUNGE\nOk "));
    server.kill();
    server.restart();
    client = server.login(&Server::user(1));
    assert!(ask(&mut client, "SELECT Virtual/Pinned").contains("* 1 EXISTS\n"));
    assert!(ask(&mut client, "FETCH 1 BODY.PEEK[HEADER.FIELDS (SUBJECT)]").contains("Subject: two\r\n"));
}
