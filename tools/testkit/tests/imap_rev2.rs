//! IMAP4rev2 and UTF8=ACCEPT against the running server.

use skein_testkit::Server;
use skein_testkit::imap::ask;

#[test]
fn nothing_is_recent_and_names_are_what_they_are() {
    let server = Server::start();
    let (mut old, mut new) = (server.login(&Server::user(1)), server.login(&Server::user(1)));
    assert!(ask(&mut new, "CAPABILITY").contains(" IMAP4rev2 "));
    assert!(ask(&mut old, "CREATE \"Entw&APw-rfe\"").starts_with("Ok"));
    assert_eq!(ask(&mut new, "ENABLE IMAP4rev2").lines().next(), Some("* ENABLED IMAP4rev2"));
    assert!(ask(&mut new, "LIST \"\" \"Entw*\"").contains("\"Entwürfe\"\n"));
    assert!(ask(&mut old, "LIST \"\" \"Entw*\"").contains("\"Entw&APw-rfe\"\n"));
    old.append("Entw&APw-rfe", "", b"Subject: x\r\n\r\n").expect("APPEND").expect_ok();

    let opened = ask(&mut new, "SELECT \"Entwürfe\"");
    assert!(opened.contains("* LIST () \"/\" \"Entwürfe\"\n") && opened.contains("1 EXISTS"), "{opened}");
    assert!(!opened.contains("RECENT") && !opened.contains("UNSEEN"), "{opened}");
    assert!(ask(&mut new, "SEARCH ALL").starts_with("* ESEARCH (TAG "));
    old.append("Entw&APw-rfe", "", b"Subject: y\r\n\r\n").expect("APPEND").expect_ok();
    let news = ask(&mut new, "NOOP");
    assert!(news.starts_with("* 2 EXISTS\n") && !news.contains("RECENT"), "{news}");
    let flags = ask(&mut new, "FETCH 1:2 FLAGS");
    assert!(flags.contains("* 2 FETCH (FLAGS ())"), "{flags}");
    assert!(ask(&mut new, "SEARCH RECENT").starts_with("* ESEARCH (TAG "), "still understood");
    assert!(ask(&mut new, "ENABLE UTF8=ACCEPT").starts_with("Bad "));
}

#[test]
fn utf8_is_accepted() {
    let server = Server::start();
    let mut client = server.login(&Server::user(2));
    assert_eq!(
        ask(&mut client, "ENABLE UTF8=ACCEPT CONDSTORE").lines().next(),
        Some("* ENABLED CONDSTORE UTF8=ACCEPT")
    );
    assert!(ask(&mut client, "CREATE \"Ablage/Büro & Haus\"").starts_with("Ok"));
    assert!(ask(&mut client, "SUBSCRIBE \"Ablage/Büro & Haus\"").starts_with("Ok"));
    assert!(ask(&mut client, "LSUB \"\" *").contains("\"Ablage/Büro & Haus\"\n"));
    let mail = "Subject: Grüße\r\n\r\nText\r\n";
    client.send(&format!("APPEND \"Ablage/Büro & Haus\" UTF8 (~{{{}+}}\r\n{mail})", mail.len())).expect("APPEND");
    let done = client.read_line().expect("a reply");
    assert!(String::from_utf8_lossy(&done).contains(" OK [APPENDUID "), "{}", String::from_utf8_lossy(&done));
    let told = ask(&mut client, "STATUS \"Ablage/Büro & Haus\" (MESSAGES)");
    assert!(told.starts_with("* STATUS \"Ablage/Büro & Haus\" (MESSAGES 1)\n"), "{told}");
    ask(&mut client, "SELECT \"Ablage/Büro & Haus\"");
    assert!(ask(&mut client, "SEARCH SUBJECT \"Grüße\"").starts_with("* SEARCH 1\n"));
    assert!(ask(&mut client, "SEARCH CHARSET UTF-8 SUBJECT x").starts_with("Bad "));
}
