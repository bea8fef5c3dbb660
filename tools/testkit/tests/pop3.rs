//! POP3's promises: deletion at QUIT only, one session at a time, numbers that stay, sizes that are true.

use std::collections::HashSet;
use std::fs;
use std::io::ErrorKind;

use skein_testkit::server::{Kind, PASSWORD, set};
use skein_testkit::wait::{self, PATIENCE};
use skein_testkit::{Server, mail, pop3, process};

/// Delivers `count` marked messages to test user `number`.
fn deliver(server: &Server, number: usize, count: usize) -> Vec<Vec<u8>> {
    let mails: Vec<Vec<u8>> = (0..count).map(|i| mail::marked(&format!("user{number}-{i}"))).collect();
    let mut client = server.login(&Server::user(number));
    for mail in &mails {
        client.append_at_once("INBOX", "", mail).expect("APPEND").expect_ok();
    }
    mails
}

fn lines(untagged: &[Vec<u8>]) -> String {
    String::from_utf8_lossy(&untagged.join(&b'\n')).into_owned()
}

fn stat(server: &Server, number: usize) -> String {
    let mut client = server.pop3_login(&Server::user(number));
    let status = client.command("STAT").expect("STAT").expect_ok().0;
    client.command("QUIT").expect("QUIT").expect_ok();
    status
}

#[test]
fn a_session_reads_deletes_and_quits() {
    let server = Server::start();
    let user = Server::user(1);
    let mails = deliver(&server, 1, 30);
    let mut client = server.pop3_login(&user);
    let bytes: usize = mails.iter().map(Vec::len).sum();
    assert_eq!(client.command("STAT").expect("STAT").0, format!("+OK 30 {bytes}"));
    let sizes = client.listing("LIST").expect("LIST");
    assert_eq!(sizes.len(), 30);
    for (i, mail) in mails.iter().enumerate() {
        assert_eq!(sizes[i], format!("{} {}", i + 1, mail.len()), "LIST tells the octets that RETR sends");
        assert_eq!(&client.retrieve(&format!("RETR {}", i + 1)).expect("RETR"), mail);
    }
    let top = client.retrieve("TOP 1 0").expect("TOP");
    assert!(mails[0].starts_with(&top) && top.ends_with(b"\r\n\r\n"), "{}", top.escape_ascii());
    for number in [1, 3, 30] {
        client.command(&format!("DELE {number}")).expect("DELE").expect_ok();
    }
    for gone in ["RETR 3", "LIST 3", "UIDL 3", "DELE 3", "TOP 3 0", "RETR 0", "RETR 31"] {
        assert!(!client.command(gone).expect("an answer").is_ok(), "{gone}");
    }
    let uidl = client.listing("UIDL").expect("UIDL");
    assert_eq!(uidl.len(), 27);
    assert!(uidl[0].starts_with("2 ") && client.listing("LIST").expect("LIST").len() == 27);
    client.command("QUIT").expect("QUIT").expect_ok();

    let mut client = server.pop3_login(&user);
    let after: Vec<String> = client.listing("UIDL").expect("UIDL");
    let ids =
        |lines: &[String]| lines.iter().map(|l| l.split_once(' ').expect("two words").1.to_owned()).collect::<Vec<_>>();
    assert_eq!(ids(&after), ids(&uidl), "ids outlive sessions, numbers do not");
    assert_eq!(client.retrieve("RETR 1").expect("RETR"), mails[1]);
    client.command("QUIT").expect("QUIT").expect_ok();
    let reply = server.login(&user).command("STATUS INBOX (MESSAGES UNSEEN)").expect("STATUS").expect_ok();
    assert!(lines(&reply.untagged).contains("MESSAGES 27 UNSEEN 0"), "RETR marks seen: {}", lines(&reply.untagged));
}

#[test]
fn a_connection_that_breaks_deletes_nothing() {
    let server = Server::start();
    deliver(&server, 1, 3);
    for number in 1..=3 {
        let mut client = server.pop3_login(&Server::user(1));
        client.command(&format!("DELE {number}")).expect("DELE").expect_ok();
        client.drop_connection();
        assert!(wait::until(PATIENCE, || {
            let mut client = server.pop3();
            client.login(&Server::user(1), PASSWORD).expect("an answer").is_ok()
        }));
    }
    let mut client = server.pop3_login(&Server::user(1));
    client.command("DELE 2").expect("DELE").expect_ok();
    client.command("RSET").expect("RSET").expect_ok();
    client.command("QUIT").expect("QUIT").expect_ok();
    assert!(stat(&server, 1).starts_with("+OK 3 "));
}

#[test]
fn one_session_at_a_time() {
    let server = Server::start();
    deliver(&server, 1, 1);
    let mut first = server.pop3_login(&Server::user(1));
    for _ in 0..3 {
        let refused = server.pop3().login(&Server::user(1), PASSWORD).expect("an answer");
        assert!(refused.0.starts_with("-ERR [IN-USE]"), "{}", refused.0);
    }
    server.pop3_login(&Server::user(2)).command("QUIT").expect("QUIT").expect_ok();
    // A refused session may try again, and IMAP is let in beside.
    server.login(&Server::user(1)).command("SELECT INBOX").expect("SELECT").expect_ok();
    let mut second = server.pop3();
    assert!(!second.login(&Server::user(1), PASSWORD).expect("an answer").is_ok());
    first.command("QUIT").expect("QUIT").expect_ok();
    if server.kind() == Kind::Skein {
        second.login(&Server::user(1), PASSWORD).expect("an answer").expect_ok();
    }
}

#[test]
fn the_lock_can_be_turned_off() {
    let server = Server::start_changed(|settings, _| settings + "[pop3]\nlock = false\n");
    deliver(&server, 1, 2);
    let mut first = server.pop3_login(&Server::user(1));
    let mut second = server.pop3_login(&Server::user(1));
    for client in [&mut first, &mut second] {
        client.command("DELE 1").expect("DELE").expect_ok();
    }
    first.command("QUIT").expect("QUIT").expect_ok();
    assert!(second.retrieve("RETR 2").is_ok());
    second.command("QUIT").expect("QUIT").expect_ok();
    assert!(stat(&server, 1).starts_with("+OK 1 "), "the same message is deleted once");
}

/// What IMAP expunges beside an open session keeps its number and its text there, and is gone in the next.
#[test]
fn imap_expunges_beside_an_open_session() {
    let server = Server::start();
    if server.kind() != Kind::Skein {
        return;
    }
    let mails = deliver(&server, 1, 5);
    let mut pop3 = server.pop3_login(&Server::user(1));
    let mut imap = server.login(&Server::user(1));
    imap.command("SELECT INBOX").expect("SELECT").expect_ok();
    imap.command("STORE 2,4 +FLAGS.SILENT (\\Deleted)").expect("STORE").expect_ok();
    imap.command("EXPUNGE").expect("EXPUNGE").expect_ok();
    imap.append_at_once("INBOX", "", &mail::marked("late")).expect("APPEND").expect_ok();
    assert_eq!(pop3.listing("LIST").expect("LIST").len(), 5, "numbers are given once");
    for (i, mail) in mails.iter().enumerate() {
        assert_eq!(&pop3.retrieve(&format!("RETR {}", i + 1)).expect("RETR"), mail);
    }
    for number in [1, 2] {
        pop3.command(&format!("DELE {number}")).expect("DELE").expect_ok();
    }
    pop3.command("QUIT").expect("QUIT").expect_ok();
    // 3, 5 and the late one.
    assert!(stat(&server, 1).starts_with("+OK 3 "));
    imap.command("NOOP").expect("NOOP").expect_ok();
    assert_eq!(imap.command("SELECT INBOX").expect("SELECT").exists(), Some(3));
}

#[test]
fn a_kill_before_quit_loses_nothing_and_after_quit_brings_nothing_back() {
    let mut server = Server::start();
    let mails = deliver(&server, 1, 6);
    let mut client = server.pop3_login(&Server::user(1));
    for number in 1..=6 {
        assert_eq!(client.retrieve(&format!("RETR {number}")).expect("RETR"), mails[number - 1]);
        client.command(&format!("DELE {number}")).expect("DELE").expect_ok();
    }
    server.kill();
    server.restart();
    let mut client = server.pop3_login(&Server::user(1));
    assert_eq!(client.listing("LIST").expect("LIST").len(), 6);
    for number in [2, 4] {
        client.command(&format!("DELE {number}")).expect("DELE").expect_ok();
    }
    client.command("QUIT").expect("QUIT").expect_ok();
    server.kill();
    server.restart();
    let mut client = server.pop3_login(&Server::user(1));
    assert_eq!(client.listing("LIST").expect("LIST").len(), 4);
    let kept = [0, 2, 4, 5];
    for (i, kept) in kept.into_iter().enumerate() {
        assert_eq!(client.retrieve(&format!("RETR {}", i + 1)).expect("RETR"), mails[kept]);
    }
}

#[test]
fn deleted_messages_can_be_hidden_instead() {
    let server =
        Server::start_changed(|settings, _| settings + "[pop3]\ndelete_type = \"flag\"\nno_flag_updates = true\n");
    let mails = deliver(&server, 1, 4);
    let mut client = server.pop3_login(&Server::user(1));
    assert_eq!(client.retrieve("RETR 1").expect("RETR"), mails[0]);
    for number in [1, 3] {
        client.command(&format!("DELE {number}")).expect("DELE").expect_ok();
    }
    client.command("QUIT").expect("QUIT").expect_ok();
    let mut client = server.pop3_login(&Server::user(1));
    assert_eq!(client.listing("LIST").expect("LIST").len(), 2);
    assert_eq!(client.retrieve("RETR 2").expect("RETR"), mails[3]);
    client.command("QUIT").expect("QUIT").expect_ok();
    let mut imap = server.login(&Server::user(1));
    imap.command("SELECT INBOX").expect("SELECT").expect_ok();
    let found = imap.command("SEARCH KEYWORD $POP3Deleted UNSEEN").expect("SEARCH").expect_ok();
    assert_eq!(lines(&found.untagged), "* SEARCH 1 3");
}

#[test]
fn ids_follow_the_format() {
    let server = Server::start_changed(|settings, _| settings + "[pop3]\nuidl_format = \"%v.%u\"\n");
    deliver(&server, 1, 2);
    let mut client = server.pop3_login(&Server::user(1));
    let ids = client.listing("UIDL").expect("UIDL");
    let validity = ids[0].strip_prefix("1 ").and_then(|id| id.strip_suffix(".1")).expect("validity.uid");
    assert!(validity.parse::<u32>().is_ok());
    assert_eq!(ids[1], format!("2 {validity}.2"));
    assert_eq!(client.command("UIDL 2").expect("UIDL").0, format!("+OK 2 {validity}.2"));
}

/// All commands in one packet; the answers come in order.
/// LAST is there when the settings say so: the highest message that was retrieved, in this session or one before.
#[test]
fn last_tells_how_far_the_client_is() {
    let server = Server::start_changed(|settings, _| set(&settings, "pop3", "last", "true"));
    if server.kind() != Kind::Skein {
        return;
    }
    deliver(&server, 1, 5);
    let last = |client: &mut pop3::Client| client.command("LAST").expect("LAST").expect_ok().0;
    let mut client = server.pop3_login(&Server::user(1));
    assert_eq!(last(&mut client), "+OK 0");
    client.retrieve("TOP 5 0").expect("TOP");
    client.retrieve("RETR 3").expect("RETR");
    client.retrieve("RETR 2").expect("RETR");
    assert_eq!(last(&mut client), "+OK 3");
    client.command("RSET").expect("RSET").expect_ok();
    assert_eq!(last(&mut client), "+OK 0");
    client.command("QUIT").expect("QUIT").expect_ok();
    let mut client = server.pop3_login(&Server::user(1));
    assert_eq!(last(&mut client), "+OK 3");
    client.retrieve("RETR 4").expect("RETR");
    assert_eq!(last(&mut client), "+OK 4");
    client.command("RSET").expect("RSET").expect_ok();
    assert_eq!(last(&mut client), "+OK 3");
    let without = Server::start();
    let mut client = without.pop3_login(&Server::user(1));
    assert!(!client.command("LAST").expect("an answer").is_ok());
}

/// With the setting a message's X-UIDL is its id, also after a drain; without, and where it is none, ids are made.
#[test]
fn ids_of_another_server_are_reused() {
    for reuse in [false, true] {
        let mut server = Server::start_changed(|settings, _| set(&settings, "pop3", "reuse_xuidl", &reuse.to_string()));
        if server.kind() != Kind::Skein {
            return;
        }
        let mut client = server.login(&Server::user(1));
        let long = "x".repeat(71);
        for header in
            ["X-UIDL: old-1\r\n", "", "x-uidl:\r\n two words\r\n", &format!("X-UIDL: {long}\r\n"), "X-UIDL: old-5 \r\n"]
        {
            let mail = format!("Subject: x\r\n{header}\r\ntext\r\n");
            client.append("INBOX", "", mail.as_bytes()).expect("APPEND").expect_ok();
        }
        for _ in 0..2 {
            let mut client = server.pop3_login(&Server::user(1));
            let ids = client.listing("UIDL").expect("UIDL");
            assert_eq!(ids.len(), 5);
            for (number, id) in (1..).zip(&ids) {
                assert_eq!(client.command(&format!("UIDL {number}")).expect("UIDL").0, format!("+OK {id}"));
            }
            let old: Vec<&str> = ids.iter().map(String::as_str).filter(|id| id.contains("old")).collect();
            assert_eq!(old, if reuse { vec!["1 old-1", "5 old-5"] } else { vec![] });
            drop(client);
            server.stop();
            server.restart();
        }
    }
}

#[test]
fn everything_may_be_pipelined() {
    let server = Server::start();
    let mails = deliver(&server, 1, 20);
    let mut client = server.pop3();
    let mut all = format!("USER {}\r\nPASS {PASSWORD}\r\n", Server::user(1));
    (1..=20).for_each(|number| all += &format!("RETR {number}\r\nDELE {number}\r\n"));
    client.write((all + "QUIT\r\n").as_bytes()).expect("a write");
    for _login in 0..2 {
        client.status().expect("an answer").expect_ok();
    }
    for mail in &mails {
        client.status().expect("RETR").expect_ok();
        assert_eq!(&client.text().expect("a message"), mail);
        client.status().expect("DELE").expect_ok();
    }
    client.status().expect("QUIT").expect_ok();
    assert_eq!(client.status().expect_err("closed").kind(), ErrorKind::UnexpectedEof);
    assert_eq!(stat(&server, 1), "+OK 0 0");
}

/// What is larger than a chunk comes whole, and TOP does not.
#[test]
fn a_large_message_comes_whole() {
    let server = Server::start();
    let mail = mail::sized("large", 5 << 20);
    server.login(&Server::user(1)).append_at_once("INBOX", "", &mail).expect("APPEND").expect_ok();
    let mut client = server.pop3_login(&Server::user(1));
    assert!(client.retrieve("RETR 1").expect("RETR") == mail);
    let top = client.retrieve("TOP 1 3").expect("TOP");
    assert!(mail.starts_with(&top) && top.len() < 8192);
    let all = client.retrieve("TOP 1 4294967295").expect("TOP");
    assert!(all == mail);
}

/// Messages that are all dots, empty, or without an end of their last line.
#[test]
fn odd_messages_come_as_they_are() {
    let server = Server::start();
    if server.kind() != Kind::Skein {
        // The peer drops lines that are no header where a header should be.
        return;
    }
    let mails: [&[u8]; 4] = [b".\r\n..\r\n.\r\n", b"A: b\r\n\r\n.\r\n", b"A: b\r\n\r\n", b"A: b\r\n\r\nno end"];
    let mut imap = server.login(&Server::user(1));
    for mail in mails {
        imap.append_at_once("INBOX", "", mail).expect("APPEND").expect_ok();
    }
    let mut client = server.pop3_login(&Server::user(1));
    for (i, mail) in mails.iter().enumerate() {
        let mut expect = mail.to_vec();
        if !expect.ends_with(b"\r\n") {
            expect.extend_from_slice(b"\r\n");
        }
        assert_eq!(client.retrieve(&format!("RETR {}", i + 1)).expect("RETR"), expect);
    }
}

/// Many more messages than a batch: opened and listed from the columns, in memory that does not grow with them.
#[test]
fn a_huge_maildrop_is_listed_in_bounded_memory() {
    const DOUBLINGS: u32 = 16;
    const COUNT: usize = 1 << DOUBLINGS;
    /// The listings have 2.5 MB; a view of as many rows that were copied for it would have more.
    const GROWTH_BYTES_MAX: u64 = 16 << 20;
    let server = Server::start();
    let mail = mail::sized("one-of-many", 300);
    let mut imap = server.login(&Server::user(1));
    imap.append_at_once("INBOX", "", &mail).expect("APPEND").expect_ok();
    imap.command("SELECT INBOX").expect("SELECT").expect_ok();
    for _ in 0..DOUBLINGS {
        imap.command("COPY 1:* INBOX").expect("COPY").expect_ok();
        imap.command("NOOP").expect("NOOP").expect_ok();
    }
    imap.command("LOGOUT").expect("LOGOUT").expect_ok();

    let mut client = server.pop3_login(&Server::user(1));
    assert_eq!(client.command("STAT").expect("STAT").0, format!("+OK {COUNT} {}", COUNT * mail.len()));
    // Not the files that are mapped: a checkpoint that ends meanwhile brings a snapshot of them all.
    let before = process::memory(server.pid()).anonymous_bytes;
    let sizes = client.listing("LIST").expect("LIST");
    assert!(sizes.len() == COUNT && sizes[COUNT - 1] == format!("{COUNT} {}", mail.len()));
    let ids: HashSet<String> = client.listing("UIDL").expect("UIDL").into_iter().collect();
    assert_eq!(ids.len(), COUNT);
    let grown = process::memory(server.pid()).anonymous_bytes.saturating_sub(before);
    println!("grown by {} KiB", grown / 1024);
    assert!(grown < GROWTH_BYTES_MAX || server.kind() != Kind::Skein, "grown by {grown} bytes");
    assert_eq!(client.retrieve(&format!("RETR {COUNT}")).expect("RETR"), mail);

    let odd = (1..=COUNT).step_by(2);
    for numbers in odd.collect::<Vec<_>>().chunks(1000) {
        client.write(numbers.iter().map(|n| format!("DELE {n}\r\n")).collect::<String>().as_bytes()).expect("a write");
        numbers.iter().for_each(|_| drop(client.status().expect("DELE").expect_ok()));
    }
    client.command("QUIT").expect("QUIT").expect_ok();
    assert_eq!(stat(&server, 1), format!("+OK {} {}", COUNT / 2, COUNT / 2 * mail.len()));
}

/// Whoever does not log in is left without a word (RFC 1939 §3).
#[test]
fn a_client_that_does_not_log_in_is_hung_up_on() {
    let server = Server::start_changed(|settings, _| settings + "[pop3]\nlogin_seconds_max = 1\n");
    let mut silent = server.pop3();
    assert_eq!(silent.status().expect_err("closed").kind(), ErrorKind::UnexpectedEof);
    let mut chatty = server.pop3();
    let last = std::iter::from_fn(|| chatty.command("LANG en").ok()).last();
    assert!(last.is_none_or(|status| status.is_ok()), "no words that could be taken for an answer");
}

/// The server stops: a session between commands is told, and nothing is deleted.
#[test]
fn a_stop_is_told_and_deletes_nothing() {
    let mut server = Server::start();
    deliver(&server, 1, 2);
    let mut client = server.pop3_login(&Server::user(1));
    client.command("DELE 1").expect("DELE").expect_ok();
    assert!(server.stop().success());
    if server.kind() != Kind::Skein {
        // The peer's session process outlives its master, and keeps the lock.
        return;
    }
    let last = client.status().expect("a last word").0;
    assert!(last.starts_with("-ERR [SYS/TEMP]"), "{last}");
    server.restart();
    assert!(stat(&server, 1).starts_with("+OK 2 "));
}

/// One user's connections are counted for each service by itself, and the refusal says so.
#[test]
fn one_connection_too_many_is_refused_with_a_word() {
    let change = |settings: String, _: &std::path::Path| {
        settings.replace("connections_per_user_max = 0", "connections_per_user_max = 2") + "[pop3]\nlock = false\n"
    };
    let server = Server::start_changed(change);
    let _imap = [server.login(&Server::user(1)), server.login(&Server::user(1))];
    let mut first = server.pop3_login(&Server::user(1));
    let _second = server.pop3_login(&Server::user(1));
    let mut third = server.pop3();
    let refused = third.login(&Server::user(1), PASSWORD).expect("an answer").0;
    assert!(refused.starts_with("-ERR [SYS/TEMP] You have 2 connections open"), "{refused}");
    first.command("QUIT").expect("QUIT").expect_ok();
    third.login(&Server::user(1), PASSWORD).expect("an answer").expect_ok();
}

/// What another session expunged is to be had for a moment, and then refused; it must not keep the log in its place.
#[test]
fn a_silent_session_does_not_keep_the_log() {
    let server = Server::start();
    if server.kind() != Kind::Skein {
        return;
    }
    let mut mails = deliver(&server, 1, 5);
    mails.push(mail::sized("large", 1 << 20));
    let mut imap = server.login(&Server::user(1));
    imap.append_at_once("INBOX", "", &mails[5]).expect("APPEND").expect_ok();
    let mut client = server.pop3_login(&Server::user(1));
    client.command("DELE 2").expect("DELE").expect_ok();
    imap.command("SELECT INBOX").expect("SELECT").expect_ok();
    imap.command("STORE 2,4 +FLAGS.SILENT (\\Deleted)").expect("STORE").expect_ok();
    imap.command("EXPUNGE").expect("EXPUNGE").expect_ok();
    assert_eq!(client.retrieve("RETR 4").expect("RETR"), mails[3]);
    let first = first_segments(&server);
    imap.command("CREATE later").expect("CREATE").expect_ok();
    for _ in 0..10 {
        imap.append_at_once("later", "", &mails[5]).expect("APPEND").expect_ok();
    }
    assert!(wait::until(PATIENCE, || {
        let now = first_segments(&server);
        first.iter().all(|segment| !now.contains(segment))
    }));
    let left: usize = [0, 2, 4, 5].iter().map(|&i| mails[i].len()).sum();
    assert_eq!(client.command("STAT").expect("STAT").0, format!("+OK 4 {left}"));
    assert_eq!(client.listing("LIST").expect("LIST").len(), 4);
    for gone in ["RETR 4", "TOP 4 0", "DELE 4", "LIST 4", "UIDL 2"] {
        let refused = client.command(gone).expect("an answer").0;
        assert!(refused.ends_with("was removed by another session"), "{gone}: {refused}");
    }
    client.command("RSET").expect("RSET").expect_ok();
    assert_eq!(client.command("STAT").expect("STAT").0, format!("+OK 4 {left}"));
    assert_eq!(client.retrieve("RETR 5").expect("RETR"), mails[4]);
    client.command("DELE 5").expect("DELE").expect_ok();
    client.command("QUIT").expect("QUIT").expect_ok();
    assert!(stat(&server, 1).starts_with("+OK 3 "));
    assert!(!server.log().contains("damaged"), "{}", server.log());
}

/// Mail moves from the log into packs below an open session.
#[test]
fn mail_may_move_below_an_open_session() {
    let server = Server::start();
    if server.kind() != Kind::Skein {
        return;
    }
    let mut mails = deliver(&server, 1, 5);
    mails.push(mail::sized("large", 1 << 20));
    let mut imap = server.login(&Server::user(1));
    imap.append_at_once("INBOX", "", &mails[5]).expect("APPEND").expect_ok();
    let mut client = server.pop3_login(&Server::user(1));
    let first = first_segments(&server);
    imap.command("CREATE later").expect("CREATE").expect_ok();
    let later = mail::sized("later", 512 << 10);
    for _ in 0..10 {
        imap.append_at_once("later", "", &later).expect("APPEND").expect_ok();
    }
    assert!(wait::until(PATIENCE, || {
        let now = first_segments(&server);
        first.iter().all(|segment| !now.contains(segment))
    }));
    for (i, mail) in mails.iter().enumerate() {
        assert!(&client.retrieve(&format!("RETR {}", i + 1)).expect("RETR") == mail, "message {}", i + 1);
    }
    client.command("QUIT").expect("QUIT").expect_ok();
}

/// The log's segment files of the shard that user 1 lives on: those that grow with his mail.
fn first_segments(server: &Server) -> Vec<String> {
    let log = server.folder().join("data/log");
    let names = fs::read_dir(log).expect("the log").flatten().filter(|entry| {
        // An idle shard's segment stays.
        entry.metadata().is_ok_and(|file| file.len() > 1 << 19)
    });
    names.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect()
}
