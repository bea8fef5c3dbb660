//! Mail arrives: swaks by LMTP, Postfix by SMTP and then LMTP.

use std::process::Command;

use skein_testkit::postfix::Postfix;
use skein_testkit::server::set;
use skein_testkit::wait::{self, PATIENCE};
use skein_testkit::{Server, lmtp, program};

/// The bodies in the inbox of test user `number`.
fn inbox(server: &Server, number: usize) -> Vec<String> {
    let mut client = server.login(&Server::user(number));
    let count = client.command("EXAMINE INBOX").expect("EXAMINE").expect_ok().exists();
    if count == Some(0) {
        return Vec::new();
    }
    let reply = client.command("FETCH 1:* BODY.PEEK[]").expect("FETCH").expect_ok();
    reply.fetches().iter().filter_map(|f| Some(String::from_utf8_lossy(f.body()?).into_owned())).collect()
}

#[test]
fn swaks_delivers() {
    let Some(swaks) = program::find("swaks") else { return };
    let server = Server::start();
    let mut command = Command::new(swaks);
    let to = format!("{},{}", Server::user(1), Server::user(2));
    command.args(["--protocol", "LMTP", "--server", "127.0.0.1", "--port", &server.ports().lmtp.port().to_string()]);
    command.args(["--from", "sender@example.org", "--to", &to, "--h-Subject", "from swaks", "--body", "one\n.two\n"]);
    program::run(&mut command, b"").expect_ok("swaks");
    for user in [1, 2] {
        let mails = inbox(&server, user);
        assert_eq!(mails.len(), 1);
        assert!(mails[0].contains("Subject: from swaks\r\n"), "{}", mails[0]);
        assert!(mails[0].contains("\r\n.two\r\n"), "{}", mails[0]);
        assert!(mails[0].starts_with("Return-Path: <sender@example.org>\r\n"), "{}", mails[0]);
    }
}

#[test]
fn an_unknown_user_is_refused_and_the_others_served() {
    let server = Server::start();
    let mut client = server.lmtp();
    let answers = client.deliver(&[&Server::user(1), "nobody-here", &Server::user(2)], b"Subject: x\r\n\r\nx\r\n");
    let answers = answers.expect("a delivery");
    let refused = answers.iter().filter(|a| a.code / 100 == 5).count();
    // The peer has no list of users: it takes mail for anybody.
    let expected = usize::from(server.kind() == skein_testkit::server::Kind::Skein);
    assert_eq!((answers.len(), refused), (3, expected), "{answers:?}");
    assert_eq!((inbox(&server, 1).len(), inbox(&server, 2).len()), (1, 1));
}

#[test]
fn postfix_delivers() {
    let Some(swaks) = program::find("swaks") else { return };
    let server = Server::start();
    let Some(postfix) = Postfix::start(&server) else { return };
    let users: Vec<String> = (1..=20).map(|n| format!("{}@example.com", Server::user(n))).collect();
    for number in 0..5 {
        let mut command = Command::new(&swaks);
        command.args(["--server", "127.0.0.1", "--port", &postfix.smtp().port().to_string()]);
        command.args(["--from", "sender@example.org", "--to", &users.join(",")]);
        command.args(["--h-Subject", &format!("by postfix {number}"), "--body", "text"]);
        program::run(&mut command, b"").expect_ok("swaks");
    }
    assert!(wait::until(PATIENCE, || postfix.is_done()), "the queue does not empty:\n{}", postfix.log());
    for user in 1..=20 {
        let mails = inbox(&server, user);
        let mut subjects: Vec<&str> =
            mails.iter().flat_map(|m| m.lines().find_map(|l| l.strip_prefix("Subject: "))).collect();
        subjects.sort_unstable();
        assert_eq!(subjects, [0, 1, 2, 3, 4].map(|n| format!("by postfix {n}")), "{}", postfix.log());
        assert!(mails.iter().all(|m| m.contains("by mx.example.com (Postfix)")), "Postfix's own trace header stays");
    }
}

/// As most sites run it: Postfix on the same machine, through a socket that only its user may use; names and headers in UTF-8.
#[test]
fn postfix_delivers_through_the_unix_socket() {
    let server = Server::start_changed(|settings, _| {
        let settings = settings.replace("users = \"demo\"", "users = \"jürgen\"");
        let settings = set(&settings, "lmtp", "delivered_to", "\"original\"");
        settings.replace("lmtp = [", "lmtp = [{ path = \"lmtp.sock\", mode = \"0600\", owner = \"postfix\" }, ")
    });
    let socket = server.folder().join("lmtp.sock");
    let Some(postfix) = Postfix::start_over(&format!("unix:{}", socket.display())) else { return };
    let mut client = lmtp::Client::connect_unread(postfix.smtp()).expect("it listens");
    let mut say = |line: &str, code: u16| {
        if !line.is_empty() {
            client.write(line.as_bytes()).expect("it is open");
        }
        let answer = client.read().expect("it answers");
        assert_eq!(answer.code, code, "{line}: {answer:?}");
        answer.text
    };
    say("", 220);
    assert!(say("EHLO client.example\r\n", 250).contains("SMTPUTF8"));
    for (number, name) in ["jürgen", "JU\u{308}RGEN+list"].into_iter().enumerate() {
        say("MAIL FROM:<grüße@bücher.example> SMTPUTF8 BODY=8BITMIME\r\n", 250);
        say(&format!("RCPT TO:<{name}@example.com>\r\n"), 250);
        say("RCPT TO:<niemand-hürde@example.com>\r\n", 250);
        say("DATA\r\n", 354);
        say(&format!("Subject: schöne Grüße {number}\r\n\r\nText: ß\r\n.\r\n"), 250);
    }
    assert!(wait::until(PATIENCE, || postfix.is_done()), "the queue does not empty:\n{}", postfix.log());
    let log = postfix.log();
    assert!(
        log.contains("relay=mx.example.com[private/lmtp]") || log.contains(&format!("[{}]", socket.display())),
        "{log}"
    );
    // Who is unknown is refused for good, and the sender told; here there is no way to him.
    assert!(log.matches("status=bounced").count() >= 2 && log.contains("550 5.1.1"), "{log}");

    let mut reader = server.imap();
    reader.command("LOGIN {7+}\r\njürgen demo").expect("LOGIN").expect_ok();
    assert_eq!(reader.command("EXAMINE INBOX").expect("EXAMINE").expect_ok().exists(), Some(2));
    let fetched = reader.command("FETCH 1:* BODY.PEEK[]").expect("FETCH").expect_ok().fetches();
    let mails: Vec<_> = fetched.iter().filter_map(|f| Some(String::from_utf8_lossy(f.body()?).into_owned())).collect();
    for (number, name) in ["jürgen", "JU\u{308}RGEN+list"].into_iter().enumerate() {
        let mail = mails.iter().find(|mail| mail.contains(&format!("Subject: schöne Grüße {number}\r\n")));
        let mail = mail.unwrap_or_else(|| panic!("{number}: {mails:?}"));
        assert!(
            mail.starts_with("Return-Path: <grüße@bücher.example>\r\n") && mail.ends_with("\r\nText: ß\r\n"),
            "{mail}"
        );
        assert!(mail.contains(&format!("Delivered-To: {name}@example.com\r\n")), "{mail}");
        assert!(mail.contains(" with UTF8LMTP ") && mail.contains("(Postfix) with UTF8SMTP "), "{mail}");
    }
}
