//! What LMTP offers beyond RFC 2033's least: counted chunks, TLS, UTF-8 addresses, and large mail for many at once.

use std::process::Command;
use std::time::Duration;

use skein_testkit::imap::Value;
use skein_testkit::server::{Kind, set};
use skein_testkit::{Server, lmtp, process, program, wait};

const MIB: usize = 1 << 20;

/// The bodies in the inbox of `user`.
fn inbox(server: &Server, user: &str) -> Vec<Vec<u8>> {
    let mut client = server.login(user);
    if client.command("EXAMINE INBOX").expect("EXAMINE").expect_ok().exists() == Some(0) {
        return Vec::new();
    }
    let reply = client.command("FETCH 1:* BODY.PEEK[]").expect("FETCH").expect_ok();
    reply.fetches().iter().filter_map(|f| Some(f.body()?.to_vec())).collect()
}

#[track_caller]
fn say(client: &mut lmtp::Client, command: &[u8], code: u16) -> String {
    client.write(command).expect("a write");
    let answer = client.read().expect("an answer");
    assert_eq!(answer.code, code, "{}: {answer:?}", command.escape_ascii());
    answer.text
}

#[track_caller]
fn begin(client: &mut lmtp::Client, sender: &str, recipients: &[String]) {
    say(client, format!("MAIL FROM:{sender}\r\n").as_bytes(), 250);
    for recipient in recipients {
        say(client, format!("RCPT TO:<{recipient}>\r\n").as_bytes(), 250);
    }
}

/// Dots, commands and binary zeros in chunks are text, wherever the chunks are cut.
#[test]
fn chunks_arrive_as_one_message() {
    let server = Server::start();
    let mail = b"Subject: chunks\r\n\r\n.\r\n..two\r\nRSET\r\n\0\xff\r\n.\r\nno end of line";
    let users = [Server::user(1), Server::user(2)];
    for cut in [0, 1, 19, 20, 21, 40, mail.len()] {
        let mut client = server.lmtp();
        begin(&mut client, "<a@b>", &users);
        let (first, rest) = mail.split_at(cut);
        say(&mut client, &[format!("BDAT {cut}\r\n").as_bytes(), first].concat(), 250);
        let answer = say(&mut client, &[format!("BDAT {} LAST\r\n", rest.len()).as_bytes(), rest].concat(), 250);
        assert!(answer.contains(&users[0]), "{answer}");
        assert!(client.read().expect("an answer for each").text.contains(&users[1]));
    }
    for user in &users {
        let mails = inbox(&server, user);
        assert_eq!(mails.len(), 7);
        assert!(
            mails.iter().all(|got| got.ends_with(mail)),
            "{:?}",
            mails.iter().map(|m| m.escape_ascii().to_string())
        );
    }
}

#[test]
fn openssl_speaks_tls() {
    let Some(openssl) = program::find("openssl") else { return };
    let server = Server::start();
    let mut command = Command::new(openssl);
    command.args(["s_client", "-crlf", "-quiet", "-starttls", "lmtp", "-connect", &server.ports().lmtp.to_string()]);
    let to = Server::user(1);
    let said = format!("LHLO c\nMAIL FROM:<a@b>\nRCPT TO:<{to}>\nDATA\nSubject: sealed\n\nx\n.\nSTARTTLS\nQUIT\n");
    let printed = program::run(&mut command, said.as_bytes()).all_text();
    assert!(printed.contains("Saved") && printed.contains("503 5.5.1 TLS is on already"), "{printed}");
    assert!(!printed.contains("250-STARTTLS"), "{printed}");
    let mail = String::from_utf8_lossy(&inbox(&server, &to)[0]).into_owned();
    assert!(mail.contains(" with LMTPS id ") && mail.contains("Subject: sealed\r\n"), "{mail}");
}

/// A name in UTF-8 is one user, however its signs are composed and cased.
#[test]
fn utf8_addresses() {
    let user = "jürgen@bücher.example";
    let server =
        Server::start_changed(|settings, _| settings.replace("users = \"demo\"", &format!("users = \"{user}\"")));
    let mut client = server.lmtp();
    say(&mut client, "MAIL FROM:<ü@b>\r\n".as_bytes(), 553);
    begin(&mut client, "<ü@b> SMTPUTF8", &["JU\u{308}RGEN+x@bu\u{308}cher.example".to_owned()]);
    say(&mut client, b"RCPT TO:<j\xc3\xbcrg@b>\r\n", 550);
    let answer = say(&mut client, "BDAT 16 LAST\r\nSubject: ü\r\n\r\nx".as_bytes(), 250);
    assert!(answer.contains("JU\u{308}RGEN+x@"), "{answer}");
    let mut reader = server.imap();
    reader.command(&format!("LOGIN {{{}+}}\r\n{user} demo", user.len())).expect("LOGIN").expect_ok();
    reader.command("EXAMINE INBOX").expect("EXAMINE").expect_ok();
    let reply = reader.command("FETCH 1 BODY.PEEK[]").expect("FETCH").expect_ok();
    let mail = String::from_utf8_lossy(reply.fetches()[0].body().expect("a body")).into_owned();
    assert!(mail.contains(" with UTF8LMTP id ") && mail.contains(&format!("Delivered-To: {user}\r\n")), "{mail}");
    assert!(mail.starts_with("Return-Path: <ü@b>\r\n") && mail.ends_with("Subject: ü\r\n\r\nx"), "{mail}");
}

/// What a sender pushes waits in its socket, and what came is in the log: a message is in memory whole only while it is
/// rendered, once in each shard, however many it is for and however many come at once.
#[test]
fn large_mail_is_in_memory_once_a_shard() {
    const MAIL_BYTES: usize = 99 * MIB;
    const SENDERS: usize = 3;
    let server = Server::start();
    let shards = std::thread::available_parallelism().expect("a number of cores").get() as u64;
    // What the log, the drain and the allocator hold does not grow with the message.
    let growth_max = shards * MAIL_BYTES as u64 + (80 << 20);
    assert!(growth_max < (SENDERS * MAIL_BYTES) as u64 * shards, "or the bound would bound nothing");
    let recipients: Vec<String> = (1..=50).map(Server::user).collect();
    let line = [&[b'x'; 1022][..], b"\r\n"].concat();
    let piece = line.repeat(MIB / line.len());
    let mut clients: Vec<_> = (0..SENDERS).map(|_| server.lmtp()).collect();
    for client in &mut clients {
        begin(client, "<a@b>", &recipients);
        say(client, b"DATA\r\n", 354);
    }
    let before = process::memory(server.pid()).rss_bytes;
    for _ in 0..MAIL_BYTES / MIB {
        clients.iter_mut().for_each(|client| client.write(&piece).expect("a write"));
    }
    clients.iter_mut().for_each(|client| client.write(b".\r\n").expect("a write"));
    for client in &mut clients {
        for recipient in &recipients {
            let answer = client.read().expect("an answer for each");
            assert!(answer.is_ok() && answer.text.contains(recipient.as_str()), "{answer:?}");
        }
    }
    let grown = process::peak_bytes(server.pid()).saturating_sub(before);
    assert!(grown < growth_max, "{} MiB of {}", grown >> 20, growth_max >> 20);
    for user in [&recipients[0], &recipients[49]] {
        let mut reader = server.login(user);
        reader.command("EXAMINE INBOX").expect("EXAMINE").expect_ok();
        let reply = reader.command(&format!("FETCH 1:{SENDERS} RFC822.SIZE")).expect("FETCH").expect_ok();
        assert_eq!(reply.fetches().len(), SENDERS);
        for fetch in reply.fetches() {
            let size = fetch.item("RFC822.SIZE").and_then(Value::number).expect("a size") as usize;
            assert!((MAIL_BYTES..MAIL_BYTES + 1000).contains(&size), "{size}");
        }
    }
}

/// What the trace headers say is the operator's choice, and changes with a reload.
#[test]
fn the_headers_of_delivery_are_settings() {
    let mut server = Server::start_changed(|settings, _| set(&settings, "lmtp", "delivered_to", "\"original\""));
    if server.kind() != Kind::Skein {
        return;
    }
    let to = format!("{}+lists@example.org", Server::user(1));
    let mail = b"Subject: x\r\nMessage-ID: <one@example.org>\r\n\r\nx\r\n";
    assert!(server.lmtp().deliver(&[&to], mail).expect("a delivery")[0].is_ok());
    let text = String::from_utf8_lossy(&inbox(&server, &Server::user(1))[0]).into_owned();
    assert!(text.contains(&format!("\r\nDelivered-To: {to}\r\nReceived: from ")), "{text}");
    let line = "message_id=<one@example.org>";
    assert!(wait::until(wait::PATIENCE, || server.log().contains(line)), "{}", server.log());

    server.change_settings(|settings| {
        let settings = set(&settings, "lmtp", "delivered_to", "\"none\"");
        set(&settings, "lmtp", "received_header", "false")
    });
    process::signal(server.pid(), rustix::process::Signal::HUP);
    let reloaded = || server.log().contains("settings, users and certificates read again");
    assert!(wait::until(wait::PATIENCE, reloaded), "{}", server.log());
    let user = Server::user(2);
    assert!(server.lmtp().deliver(&[&user], mail).expect("a delivery")[0].is_ok());
    let text = String::from_utf8_lossy(&inbox(&server, &user)[0]).into_owned();
    assert_eq!(text, format!("Return-Path: <sender@example.org>\r\n{}", String::from_utf8_lossy(mail)));
}

/// A user with as many deliveries as he may have puts the next off; others get theirs, and he does once one has ended.
#[test]
fn deliveries_to_one_user_are_limited() {
    let server = Server::start_changed(|settings, _| set(&settings, "lmtp", "user_deliveries_max", "1"));
    if server.kind() != Kind::Skein {
        return;
    }
    let (user, other) = (Server::user(1), Server::user(2));
    let small = b"Subject: small\r\n\r\nx\r\n";
    let mut client = server.lmtp();
    let mut put_off = 0;
    // One of the small ones may have the place just when the slow one comes for it: then that one is put off.
    let mut held = (0..20).map_while(|_| {
        let mut slow = server.lmtp();
        begin(&mut slow, "<>", std::slice::from_ref(&user));
        say(&mut slow, b"DATA\r\n", 354);
        // More than a chunk: it is on its way to the user's shard.
        slow.write(b"Subject: slow\r\n\r\n").expect("a write");
        slow.write("x\r\n".repeat(MIB).as_bytes()).expect("a write");
        let refused = wait::until(Duration::from_secs(3), || {
            let answers = client.deliver(&[&user, &other], small).expect("answers");
            assert!(answers[1].is_ok(), "{answers:?}");
            put_off += 1;
            let text = &answers[0].text;
            answers[0].code == 451 && text.starts_with("4.3.0 ") && text.contains("Too many deliveries to this user")
        });
        Some(refused.then_some(slow))
    });
    let mut slow = held.find_map(|held| held).expect("a slow delivery has the place");
    assert_eq!(inbox(&server, &other).len(), put_off);
    say(&mut slow, b".\r\n", 250);
    assert!(client.deliver(&[&user], small).expect("answers")[0].is_ok());
}

/// `user+detail@domain`: to the mailbox of that name, if the settings say so and there is one, or there may be.
#[test]
fn details_name_mailboxes() {
    for (how, listed, lists, other) in [("off", 0, 0, 0), ("existing", 1, 2, 0), ("create", 1, 2, 1)] {
        let server =
            Server::start_changed(|settings, _| set(&settings, "lmtp", "detail_mailbox", &format!("\"{how}\"")));
        let user = Server::user(1);
        let mut client = server.login(&user);
        client.command("CREATE Lists/one").expect("CREATE").expect_ok();
        // The last names are none that a mailbox can have; mail is delivered all the same.
        for detail in ["", "+Lists/one", "+Lists/one", "+Other", "+INBOX", "+a//b", "+/"] {
            let to = format!("{user}{detail}@example.org");
            let answers = server.lmtp().deliver(&[&to], b"Subject: x\r\n\r\nx\r\n").expect("a delivery");
            assert!(answers[0].is_ok(), "{to}: {answers:?}");
        }
        let count = |client: &mut skein_testkit::imap::Client, mailbox: &str| {
            let status = client.command(&format!("EXAMINE {mailbox}")).expect("EXAMINE");
            status.exists().filter(|_| status.is_ok()).unwrap_or(0)
        };
        assert_eq!(count(&mut client, "Lists/one"), lists, "{how}");
        assert_eq!(count(&mut client, "Other"), other, "{how}");
        assert_eq!(count(&mut client, "INBOX"), 7 - lists - other, "{how}");
        let subscribed = client.command("LSUB \"\" Other").expect("LSUB").expect_ok().data("LSUB").len() as u32;
        assert_eq!(subscribed, other, "{how}");
        let log = server.log();
        assert_eq!(log.contains("mailbox=Lists/one"), listed == 1, "{how}: {log}");
    }
}

/// A proxy on a trusted network says who its client is: that one is in the Received line. From elsewhere it is refused.
#[test]
fn a_trusted_proxy_names_its_client() {
    let mail = b"Subject: forwarded\r\n\r\nx\r\n";
    for (networks, trusted) in [("[\"127.0.0.0/8\"]", true), ("[\"10.0.0.0/8\"]", false), ("[]", false)] {
        let server = Server::start_changed(|settings, _| set(&settings, "lmtp", "xclient_networks", networks));
        if server.kind() != Kind::Skein {
            return;
        }
        let user = Server::user(1);
        let mut client = server.lmtp();
        let xclient = b"XCLIENT ADDR=192.0.2.7 PORT=4711 HELO=relay.example.net CLIENT-TRANSPORT=TLS SESSION=s1\r\n";
        say(&mut client, xclient, if trusted { 220 } else { 550 });
        say(&mut client, b"LHLO proxy\r\n", 250);
        say(&mut client, b"MAIL FROM:<a@b>\r\n", 250);
        let recipient = format!("RCPT TO:<{user}> XRCPTFORWARD=YT0x\r\n");
        say(&mut client, recipient.as_bytes(), if trusted { 250 } else { 550 });
        if !trusted {
            say(&mut client, format!("RCPT TO:<{user}>\r\n").as_bytes(), 250);
        }
        say(&mut client, b"DATA\r\n", 354);
        say(&mut client, &[&mail[..], b".\r\n"].concat(), 250);
        let got = String::from_utf8_lossy(&inbox(&server, &user)[0]).into_owned();
        let expect = ["Received: from proxy ([127.0.0.1])\r\n", "Received: from relay.example.net ([192.0.2.7])\r\n"];
        assert!(got.contains(expect[usize::from(trusted)]), "{networks}: {got}");
        assert_eq!(got.contains(" with LMTPS id "), trusted, "{got}");
        assert_eq!(server.log().contains("a proxy names its client"), trusted);
    }
}

/// A Return-Path that mail comes with stays below ours, or goes.
#[test]
fn a_return_path_stays_or_goes() {
    for policy in ["add", "replace"] {
        let server =
            Server::start_changed(|settings, _| set(&settings, "lmtp", "return_path", &format!("\"{policy}\"")));
        if server.kind() != Kind::Skein {
            return;
        }
        let user = Server::user(1);
        let text = "Return-Path: not a header\r\n".repeat(MIB / 10);
        let mail = format!("Return-Path:\r\n <other@example.org>\r\nSubject: x\r\nreturn-path: <b@c>\r\n\r\n{text}");
        assert!(server.lmtp().deliver(&[&user], mail.as_bytes()).expect("a delivery")[0].is_ok());
        let got = String::from_utf8_lossy(&inbox(&server, &user)[0]).into_owned();
        assert!(got.starts_with("Return-Path: <sender@example.org>\r\n"), "{policy}");
        let kept = match policy {
            "add" => mail.clone(),
            _ => format!("Subject: x\r\n\r\n{text}"),
        };
        assert!(got.ends_with(&kept), "{policy}");
        assert_eq!(got.contains("other@example.org"), policy == "add");
    }
}
