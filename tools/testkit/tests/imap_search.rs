//! What extensions add to SEARCH, FETCH, STATUS and CREATE, against the running server.

use skein_testkit::Server;
use skein_testkit::imap::{Client, Reply, Status, Value, ago};

/// Seven messages, the n-th of them so many hours old and of some ten times n bytes; the third is deleted, the fifth flagged.
fn client(server: &Server) -> Client {
    let mut client = server.login(&Server::user(1));
    for n in 1..=7u64 {
        let mail = format!("Subject: {n}\r\n\r\n{}\r\n", "x".repeat(10 * n as usize));
        client.append_aged("INBOX", n * 3600, mail.as_bytes()).expect("APPEND").expect_ok();
    }
    client.command("SELECT INBOX").expect("SELECT").expect_ok();
    client.command("STORE 3 +FLAGS.SILENT (\\Deleted)").expect("STORE").expect_ok();
    client.command("STORE 5 +FLAGS.SILENT (\\Flagged)").expect("STORE").expect_ok();
    client
}

fn line(reply: &Reply, name: &str) -> String {
    let lines = reply.data(name);
    assert_eq!(lines.len(), 1, "{reply:?}");
    let text = String::from_utf8_lossy(lines[0]).into_owned();
    // The tag is the client's own.
    match text.split_once(") ") {
        Some((tag, rest)) if tag.starts_with("(TAG ") => rest.to_owned(),
        _ if text.starts_with("(TAG ") => String::new(),
        _ => text,
    }
}

#[test]
fn search_tells_what_is_asked_and_remembers_it() {
    let server = Server::start();
    let mut client = client(&server);
    let mut ask = |command: &str, expect: &str| {
        let reply = client.command(command).expect("SEARCH").expect_ok();
        match expect {
            "nothing" => assert!(reply.data("ESEARCH").is_empty() && reply.data("SEARCH").is_empty(), "{reply:?}"),
            expect => assert_eq!(line(&reply, "ESEARCH"), expect, "{command}"),
        }
    };
    ask("SEARCH RETURN () ALL", "ALL 1:7");
    ask("SEARCH RETURN (MIN MAX COUNT ALL) NOT FLAGGED", "MIN 1 MAX 7 COUNT 6 ALL 1:4,6:7");
    ask("UID SEARCH RETURN (COUNT) DELETED", "UID COUNT 1");
    ask("SEARCH RETURN (MIN COUNT) ANSWERED", "COUNT 0");
    // A number that no message has is no mistake.
    ask("SEARCH RETURN (ALL) 6:1000", "ALL 6:7");
    ask("SEARCH RETURN (COUNT) 8,1000", "COUNT 0");
    ask("SEARCH RETURN (ALL) ANSWERED", "");
    ask("UID SEARCH RETURN (MIN) ANSWERED", "UID");
    ask("SEARCH RETURN (SAVE) OR FLAGGED DELETED", "nothing");
    ask("SEARCH RETURN (ALL) $", "ALL 3,5");
    ask("UID SEARCH RETURN (ALL) UID $ FLAGGED", "UID ALL 5");
    ask("SEARCH RETURN (SAVE COUNT) $ DELETED", "COUNT 1");
    ask("SEARCH RETURN (ALL) NOT $", "ALL 1:2,4:7");
    ask("SEARCH RETURN (SAVE MIN MAX) 2:6", "MIN 2 MAX 6");
    ask("SEARCH RETURN (ALL) $", "ALL 2,6");
    // Between four and five hours old, and not.
    ask("SEARCH RETURN (ALL) OLDER 14400 YOUNGER 19000", "ALL 4:5");
    ask("SEARCH RETURN (ALL) YOUNGER 600", "");
    let today = ago(0).split(' ').next().expect("a day").to_owned();
    let tomorrow = "1-Jan-2099";
    ask(&format!("SEARCH RETURN (COUNT) SAVEDSINCE 1-Jan-2020 SAVEDBEFORE {tomorrow} SAVEDATESUPPORTED"), "COUNT 7");
    ask("SEARCH RETURN (COUNT) SAVEDBEFORE 1-Jan-2020", "COUNT 0");
    // It may be midnight by now.
    let reply =
        client.command(&format!("SEARCH OR SAVEDON {today} SAVEDON {}", ago(0).split(' ').next().expect("a day")));
    assert_eq!(reply.expect("SEARCH").expect_ok().search().len(), 7);

    let fetched = client.command("FETCH $ (UID)").expect("FETCH").expect_ok().fetches();
    assert_eq!(fetched.iter().filter_map(|message| message.uid()).collect::<Vec<_>>(), [2, 6]);
    client.command("COPY $ INBOX").expect("COPY").expect_ok();
    client.command("UID STORE $ +FLAGS.SILENT (\\Seen)").expect("STORE").expect_ok();
    assert_eq!(client.command("SEARCH SEEN").expect("SEARCH").expect_ok().search(), [2, 6]);
    client.command("UID SEARCH RETURN (SAVE) DELETED").expect("SEARCH").expect_ok();
    client.command("UID EXPUNGE $").expect("EXPUNGE").expect_ok();
    assert_eq!(client.command("SEARCH DELETED").expect("SEARCH").expect_ok().search(), [0; 0]);
    // What is gone is meant no more, and neither is anything in another mailbox.
    assert!(client.command("FETCH $ (UID)").expect("FETCH").expect_ok().fetches().is_empty());
    client.command("SEARCH RETURN (SAVE) ALL").expect("SEARCH").expect_ok();
    client.command("SELECT INBOX").expect("SELECT").expect_ok();
    assert!(client.command("FETCH $ (UID)").expect("FETCH").expect_ok().fetches().is_empty());
    let modseq = client.command("SEARCH RETURN (MIN) MODSEQ 1").expect("SEARCH").expect_ok();
    assert!(line(&modseq, "ESEARCH").starts_with("MIN 1 MODSEQ "), "{modseq:?}");
}

#[test]
fn messages_and_mailboxes_have_ids() {
    let server = Server::start();
    let mut client = client(&server);
    let made = client.command("CREATE Work").expect("CREATE").expect_ok();
    let id = made.code("MAILBOXID").expect("an id");
    let selected = client.command("SELECT Work").expect("SELECT").expect_ok();
    assert_eq!(selected.code("MAILBOXID"), Some(id.clone()), "{selected:?}");
    client.command("RENAME Work Other").expect("RENAME").expect_ok();
    let status =
        client.command("STATUS Other (MAILBOXID SIZE DELETED APPENDLIMIT MESSAGES)").expect("STATUS").expect_ok();
    let status = line(&status, "STATUS");
    assert_eq!(status, format!("Other (MESSAGES 0 SIZE 0 DELETED 0 APPENDLIMIT 104857600 MAILBOXID {id})"));

    let selected = client.command("SELECT INBOX").expect("SELECT").expect_ok();
    assert_ne!(selected.code("MAILBOXID"), Some(id));
    let inbox = line(&client.command("STATUS INBOX (SIZE DELETED)").expect("STATUS").expect_ok(), "STATUS");
    let bytes: usize = (1..=7).map(|n| "Subject: 1\r\n\r\n\r\n".len() + 10 * n).sum();
    assert_eq!(inbox, format!("INBOX (SIZE {bytes} DELETED 1)"));
    let fetched = client.command("FETCH 1 (EMAILID THREADID SAVEDATE)").expect("FETCH").expect_ok().fetches().remove(0);
    let email = fetched.item("EMAILID").and_then(Value::list).and_then(|list| list[0].text()).expect("an EMAILID");
    assert!(email.len() == 33 && email.starts_with('M'), "{email}");
    assert_eq!(fetched.item("THREADID").and_then(Value::text), Some("NIL"));
    assert!(fetched.item("SAVEDATE").and_then(Value::text).is_some_and(|date| date.ends_with(" +0000")), "{fetched:?}");
    // A copy is the same message.
    client.command("COPY 1 Other").expect("COPY").expect_ok();
    assert_eq!(client.command(&format!("SEARCH EMAILID {email}")).expect("SEARCH").expect_ok().search(), [1]);
    client.command("EXAMINE Other").expect("EXAMINE").expect_ok();
    assert_eq!(client.command(&format!("SEARCH EMAILID {email}")).expect("SEARCH").expect_ok().search(), [1]);
    assert_eq!(client.command("SEARCH EMAILID M00 THREADID T1").expect("SEARCH").expect_ok().search(), [0; 0]);
}

/// RFC 3501 §9, seq-number: `*` is a number too high where there is none. SEARCH just finds nothing.
#[test]
fn an_empty_mailbox_has_no_last_message() {
    let server = Server::start();
    let mut client = server.login(&Server::user(1));
    client.command("SELECT INBOX").expect("SELECT").expect_ok();
    for command in
        ["FETCH 1:* (FLAGS)", "FETCH * (UID)", "STORE 1:* +FLAGS (\\Seen)", "COPY * INBOX", "MOVE 2,*:1 INBOX"]
    {
        assert_eq!(client.command(command).expect(command).status, Status::Bad, "{command}");
    }
    for command in ["UID FETCH 1:* (FLAGS)", "UID COPY * INBOX", "SEARCH 1:*", "UID EXPUNGE 1:*"] {
        client.command(command).expect(command).expect_ok();
    }
}
