//! APPEND in several messages and of parts, binary messages, and REPLACE, against the running server.

use rustix::process::Signal;
use skein_testkit::imap::{Client, Reply, Status};
use skein_testkit::server::set;
use skein_testkit::wait::{self, PATIENCE};
use skein_testkit::{Server, process};

/// A literal that is not waited with.
fn plus(text: &str) -> String {
    format!("{{{}+}}\r\n{text}", text.len())
}

/// Sends a command with its literals in one go.
fn say(client: &mut Client, command: &str) -> Reply {
    say_bytes(client, command.as_bytes())
}

fn say_bytes(client: &mut Client, command: &[u8]) -> Reply {
    client.write(&[b"tag ", command, b"\r\n"].concat()).expect("a write");
    client.finish("tag").expect("a reply")
}

/// All messages of the selected mailbox.
fn bodies(client: &mut Client) -> Vec<String> {
    let reply = client.command("FETCH 1:* BODY.PEEK[]").expect("FETCH").expect_ok();
    let text = |f: skein_testkit::imap::Fetched| String::from_utf8_lossy(f.body().expect("a body")).into_owned();
    reply.fetches().into_iter().map(text).collect()
}

fn select(client: &mut Client, mailbox: &str) -> u32 {
    let reply = client.command(&format!("SELECT {mailbox}")).expect("SELECT").expect_ok();
    reply.exists().expect("EXISTS")
}

fn refused(reply: &Reply, code: &str) {
    assert!(reply.status == Status::No && reply.text.starts_with(&format!("[{code}")), "{reply:?}");
}

#[test]
fn several_messages_come_all_or_not_at_all() {
    let mut server = Server::start();
    let mut client = server.login(&Server::user(1));
    let mail = |n: usize, bytes: usize| format!("Subject: {n}\r\n\r\n{}\r\n", "x".repeat(bytes));

    let date = "\" 7-Feb-1994 22:43:04 -0800\"";
    let reply = say(
        &mut client,
        &format!(
            "APPEND INBOX (\\Seen one) {} (two) {date} {} {}",
            plus(&mail(1, 5)),
            plus(&mail(2, 5)),
            plus(&mail(3, 5))
        ),
    );
    let code = reply.expect_ok().code("APPENDUID").expect("APPENDUID");
    assert!(code.ends_with(" 1:3"), "{code}");
    assert_eq!(select(&mut client, "INBOX"), 3);
    let told = client.command("FETCH 1:* (FLAGS INTERNALDATE)").expect("FETCH").expect_ok().fetches();
    let flags: Vec<Vec<String>> = told.iter().map(|f| f.flags().unwrap().into_iter().collect()).collect();
    assert_eq!(flags, [vec!["\\Seen", "one"], vec!["two"], vec![]]);
    assert_eq!(told[1].item("INTERNALDATE").unwrap().text(), Some("08-Feb-1994 06:43:04 +0000"));

    // Each of these fails in a later message, or after the last one.
    let first = plus(&mail(9, 300_000));
    for (rest, status) in [
        (" (\\Nonsense) {3+}\r\nabc".to_string(), Status::Bad),
        (" {0+}\r\n".to_string(), Status::No),
        (format!(" {} nonsense", plus("abc")), Status::Bad),
        (format!(" ~{}", plus("Subject: \0\r\n\r\n")), Status::No),
        (" CATENATE (URL /nothing/;UID=1)".to_string(), Status::No),
        (" {200000000}".to_string(), Status::No),
    ] {
        let reply = say(&mut client, &format!("APPEND INBOX {first}{rest}"));
        assert_eq!(reply.status, status, "{rest}: {reply:?}");
        assert_eq!(client.command("NOOP").expect("NOOP").expect_ok().exists(), None, "{rest}");
    }
    let names = |from: usize| (from..from + 100).map(|n| format!("k{n}")).collect::<Vec<_>>().join(" ");
    let many = format!("APPEND INBOX ({}) {} ({}) {}", names(0), plus("abc"), names(100), plus("abc"));
    refused(&say(&mut client, &many), "LIMIT");
    assert_eq!(client.command("NOOP").expect("NOOP").expect_ok().exists(), None);

    // More than waits in memory, among it what is larger than a chunk.
    let sizes = [200_000, 10, 300_000, 700_000, 1, 250_000, 250_000, 250_000, 250_000, 3];
    let mails: Vec<String> = sizes.iter().enumerate().map(|(n, &bytes)| mail(n, bytes)).collect();
    let all: Vec<String> = mails.iter().map(|mail| plus(mail)).collect();
    let reply = say(&mut client, &format!("APPEND INBOX {}", all.join(" "))).expect_ok();
    assert!(reply.code("APPENDUID").expect("APPENDUID").ends_with(" 4:13"), "{reply:?}");
    assert_eq!(reply.exists(), Some(13));
    for round in 0..3 {
        assert!(bodies(&mut client)[3..] == mails[..], "round {round}");
        drop(client);
        match round {
            0 => server.kill(),
            _ => drop(server.stop()),
        }
        server.restart();
        client = server.login(&Server::user(1));
        assert_eq!(select(&mut client, "INBOX"), 13);
    }
}

#[test]
fn messages_are_put_together_from_others() {
    let server = Server::start();
    let mut client = server.login(&Server::user(1));
    let source = "From: foo@example.com\r\nSubject: a\r\nContent-Type: multipart/mixed; boundary=x\r\n\r\n\
                  --x\r\n\r\nfirst\r\n--x\r\nContent-Type: text/y\r\n\r\nsecond part\r\n--x--\r\n";
    client.append("INBOX", "", source.as_bytes()).expect("APPEND").expect_ok();
    client.command("CREATE \"a;b\"").expect("CREATE").expect_ok();
    client.append("\"a;b\"", "", b"A: b\r\n\r\nother").expect("APPEND").expect_ok();
    select(&mut client, "INBOX");
    let validity = client.command("STATUS INBOX (UIDVALIDITY)").expect("STATUS").expect_ok();
    let validity = String::from_utf8_lossy(validity.data("STATUS")[0]).into_owned();
    let validity: String = validity.chars().filter(char::is_ascii_digit).collect();
    client.command("CREATE to").expect("CREATE").expect_ok();

    let header = &source[..source.find("--x").unwrap()];
    let huge = "x".repeat(600_000);
    let big = format!(
        "APPEND to CATENATE (TEXT {} URL /INBOX/;UID=1/;SECTION=HEADER TEXT {})",
        plus("A: b\r\n"),
        plus(&huge)
    );
    for (command, expect) in [
        ("CATENATE (URL /INBOX/;UID=1)".to_string(), source.to_string()),
        (
            format!("CATENATE (URL \"/INBOX;UIDVALIDITY={validity}/;uid=1/;section=header\" TEXT {})", plus("a\nb")),
            format!("{header}a\r\nb"),
        ),
        (
            "CATENATE (URL ;UID=1/;SECTION=2.MIME URL /INBOX/;UID=1/;SECTION=2)".to_string(),
            "Content-Type: text/y\r\n\r\nsecond part".to_string(),
        ),
        (
            "CATENATE (URL /INBOX/;UID=1/;SECTION=2/;PARTIAL=7.3 URL /INBOX/;UID=1/;SECTION=2/;PARTIAL=10)".to_string(),
            "part".to_string(),
        ),
        (
            "CATENATE (URL \"/INBOX/;UID=1/;SECTION=HEADER.FIELDS%20(SUBJECT)\" URL \"/a%3Bb/;UID=1/;SECTION=TEXT\")"
                .to_string(),
            "Subject: a\r\n\r\nother".to_string(),
        ),
        (
            format!("CATENATE (URL /INBOX/;UID=1/;PARTIAL=100000.1 TEXT {})", plus("A: b\r\n\r\n")),
            "A: b\r\n\r\n".to_string(),
        ),
        (big["APPEND to ".len()..].to_string(), format!("A: b\r\n{header}{huge}")),
        // The first of these goes with the second.
        (format!("CATENATE (URL {}) {}", plus("/INBOX/;UID=1"), plus("plain")), source.to_string()),
        (String::new(), "plain".to_string()),
    ] {
        if !command.is_empty() {
            say(&mut client, &format!("APPEND to {command}")).expect_ok();
        }
        let mut other = server.login(&Server::user(1));
        let count = select(&mut other, "to");
        let at = if command.contains("plain") { count - 1 } else { count };
        assert_eq!(bodies(&mut other)[at as usize - 1], expect, "{command}");
    }

    for url in [
        "/INBOX;UIDVALIDITY=1/;UID=1",
        "/INBOX/;UID=2",
        "/INBOX/;UID=1/;SECTION=3",
        "/INBOX/;UID=1/;SECTION=1.MIME.X",
        "/INBOX",
        "/none/;UID=1",
        "/;UID=1",
        "imap://test1@localhost/INBOX/;UID=1",
        "/INBOX/;UID=x",
    ] {
        let text = format!("APPEND to CATENATE (TEXT {} URL \"{url}\" TEXT {})", plus("A: b"), plus("c"));
        refused(&say(&mut client, &text), &format!("BADURL \"{url}\"]"));
    }
    client.command("CLOSE").expect("CLOSE").expect_ok();
    refused(&say(&mut client, "APPEND to CATENATE (URL ;UID=1)"), "BADURL");
    refused(&say(&mut client, "APPEND none CATENATE (URL /INBOX/;UID=1)"), "TRYCREATE");
    refused(&say(&mut client, "APPEND to CATENATE (TEXT {0+}\r\n)"), "CANNOT");
    assert_eq!(select(&mut client, "to"), 9);
}

#[test]
fn the_limit_of_a_message_is_for_all_its_parts() {
    let server = Server::start_changed(|settings, _| set(&settings, "limits", "message_bytes_max", "10000"));
    let mut client = server.login(&Server::user(1));
    let half = "x".repeat(5000);
    let parts = |count: usize| vec![format!("TEXT {}", plus(&half)); count].join(" ");
    say(&mut client, &format!("APPEND INBOX CATENATE ({})", parts(2))).expect_ok();
    refused(&say(&mut client, &format!("APPEND INBOX CATENATE ({})", parts(3))), "TOOBIG");
    let with_url = format!("APPEND INBOX CATENATE (TEXT {} URL /INBOX/;UID=1)", plus("x"));
    refused(&say(&mut client, &with_url), "TOOBIG");
    // Messages of one command each have their own.
    let messages = vec![plus(&half); 5].join(" ");
    say(&mut client, &format!("APPEND INBOX {messages}")).expect_ok();
    assert_eq!(select(&mut client, "INBOX"), 6);
}

#[test]
fn binary_parts_are_encoded() {
    let server = Server::start();
    let mut client = server.login(&Server::user(1));
    let append = |client: &mut Client, mail: &[u8]| {
        let head = format!("APPEND INBOX ~{{{}+}}\r\n", mail.len());
        say_bytes(client, &[head.as_bytes(), mail].concat())
    };
    let mail = |encoding: &str, body: &[u8]| {
        let header = format!("MIME-Version: 1.0\r\nContent-Type: a/b\r\nContent-Transfer-Encoding: {encoding}\r\n\r\n");
        [header.as_bytes(), body].concat()
    };
    append(&mut client, &mail("binary", b"\0\xff\n\r\n")).expect_ok();
    append(&mut client, &mail("binary", b"text\r\n")).expect_ok();
    append(&mut client, &mail("8bit", b"text\n")).expect_ok();
    let large: Vec<u8> = (0..700_000u32).map(|n| (n * 7 % 251) as u8).collect();
    append(&mut client, &mail("binary", &large)).expect_ok();
    refused(&append(&mut client, &mail("8bit", b"\0")), "UNKNOWN-CTE");
    // UTF-8 headers (RFC 6855), and a literal8 as one part of a message.
    let utf8 = "Subject: \u{e4}\r\n\r\nx";
    say(&mut client, &format!("APPEND INBOX UTF8 (~{})", plus(utf8))).expect_ok();
    let head = String::from_utf8(mail("binary", b"")).unwrap();
    let parts = format!("APPEND INBOX CATENATE (TEXT {} TEXT ~{})", plus(&head), plus("\0\0"));
    say(&mut client, &parts).expect_ok();

    assert_eq!(select(&mut client, "INBOX"), 6);
    let stored = bodies(&mut client);
    assert!(stored[0].ends_with("Encoding: base64\r\n\r\nAP8KDQo=\r\n"), "{}", stored[0]);
    assert!(stored[1].ends_with("Encoding: 7bit\r\n\r\ntext\r\n"), "{}", stored[1]);
    assert!(stored[2].ends_with("Encoding: 8bit\r\n\r\ntext\r\n"), "{}", stored[2]);
    let lines: Vec<&str> = stored[3].split("\r\n\r\n").nth(1).unwrap().lines().collect();
    assert_eq!(lines.len(), 700_000usize.div_ceil(57));
    assert!(lines.iter().all(|line| line.len() <= 76) && lines[0].starts_with("AAcOFRwj"), "{}", lines[0]);
    assert_eq!(stored[4], utf8);
    assert!(stored[5].ends_with("Encoding: base64\r\n\r\nAAA=\r\n"), "{}", stored[5]);
    let kind = client.command("FETCH 1 BODYSTRUCTURE").expect("FETCH").expect_ok();
    assert!(String::from_utf8_lossy(&kind.untagged[0]).contains("\"base64\""), "{kind:?}");
}

#[test]
fn a_message_takes_the_place_of_another() {
    let server = Server::start();
    let mut client = server.login(&Server::user(1));
    let mut other = server.login(&Server::user(1));
    for n in 1..=3 {
        client.append("INBOX", "", format!("Subject: {n}\r\n\r\n").as_bytes()).expect("APPEND").expect_ok();
    }
    client.command("CREATE Drafts").expect("CREATE").expect_ok();
    assert_eq!((select(&mut client, "INBOX"), select(&mut other, "INBOX")), (3, 3));

    let lines = |reply: &Reply| -> Vec<String> {
        let text = |line: &Vec<u8>| String::from_utf8_lossy(line).into_owned();
        reply.untagged.iter().map(text).filter(|line| !line.contains("RECENT") && !line.contains("FLAGS")).collect()
    };
    let reply = say(&mut client, &format!("REPLACE 2 INBOX (\\Draft) {}", plus("Subject: new\r\n\r\n"))).expect_ok();
    let told = lines(&reply);
    assert!(told[0].starts_with("* OK [APPENDUID ") && told[0].contains(" 4] "), "{told:?}");
    assert_eq!(told[1..], ["* 2 EXPUNGE", "* 3 EXISTS"]);
    assert_eq!(reply.text, "REPLACE completed.");
    let news = other.command("NOOP").expect("NOOP").expect_ok();
    assert_eq!(lines(&news), ["* 2 EXPUNGE", "* 3 EXISTS"]);
    assert_eq!(bodies(&mut client)[2], "Subject: new\r\n\r\n");

    // Into another mailbox, from a URL.
    let reply = say(&mut client, "UID REPLACE 4 Drafts CATENATE (URL ;UID=4 URL ;UID=1)").expect_ok();
    assert!(reply.code("APPENDUID").expect("APPENDUID").ends_with(" 1"));
    assert_eq!(lines(&reply)[1..], ["* 3 EXPUNGE"]);
    let mut drafts = server.login(&Server::user(1));
    assert_eq!(select(&mut drafts, "Drafts"), 1);
    assert_eq!(bodies(&mut drafts), ["Subject: new\r\n\r\nSubject: 1\r\n\r\n"]);

    let mail = plus("Subject: x\r\n\r\n");
    let bad = say(&mut client, &format!("REPLACE 3 INBOX {mail}"));
    assert_eq!(bad.status, Status::Bad, "{bad:?}");
    refused(&say(&mut client, &format!("UID REPLACE 4 INBOX {mail}")), "NONEXISTENT");
    refused(&say(&mut client, &format!("REPLACE 1 none {mail}")), "TRYCREATE");
    // Gone while its successor was on its way; the successor is not kept either.
    client.write(b"tag REPLACE 1 INBOX {14}\r\n").expect("a write");
    assert!(client.read_response().expect("a go-ahead").starts_with(b"+"));
    other.command("STORE 1 +FLAGS.SILENT (\\Deleted)").expect("STORE").expect_ok();
    other.command("EXPUNGE").expect("EXPUNGE").expect_ok();
    client.write(b"Subject: x\r\n\r\n\r\n").expect("a write");
    let gone = client.finish("tag").expect("a reply");
    refused(&gone, "NONEXISTENT");
    assert_eq!(lines(&gone), ["* 1 EXPUNGE"]);
    assert_eq!(bodies(&mut client), ["Subject: 3\r\n\r\n"]);
    client.command("EXAMINE INBOX").expect("EXAMINE").expect_ok();
    refused(&say(&mut client, &format!("REPLACE 1 INBOX {mail}")), "READ-ONLY");
}

#[test]
fn large_literals_are_waited_with_where_that_is_asked() {
    let mut server = Server::start();
    let mut client = server.login(&Server::user(1));
    let large = format!("APPEND INBOX {}", plus(&"x".repeat(4097)));
    say(&mut client, &large).expect_ok();
    server.change_settings(|settings| set(&settings, "imap", "literal_minus", "true"));
    process::signal(server.pid(), Signal::HUP);
    assert!(wait::until(PATIENCE, || server.log().contains("settings, users and certificates read again")));
    let offered = client.command("CAPABILITY").expect("CAPABILITY").expect_ok();
    let offered = String::from_utf8_lossy(offered.data("CAPABILITY")[0]).into_owned();
    assert!(offered.contains(" LITERAL- ") && !offered.contains("LITERAL+"), "{offered}");
    assert_eq!(say(&mut client, &large).status, Status::Bad);
    client.append("INBOX", "", &[b'x'; 4097]).expect("APPEND").expect_ok();
    say(&mut client, &format!("APPEND INBOX {}", plus(&"x".repeat(4096)))).expect_ok();
    assert_eq!(select(&mut client, "INBOX"), 3);
}
