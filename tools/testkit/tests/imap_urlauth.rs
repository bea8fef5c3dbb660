//! URLAUTH against the running server: who may read what by its URL, and until when.

use skein_testkit::imap::ask;
use skein_testkit::{Server, imap};

const MAIL: &[u8] = b"Subject: parts\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n\
    --b\r\nContent-Type: text/plain\r\n\r\nhello\r\n--b\r\nContent-Type: text/x-own\r\nContent-Transfer-Encoding: base64\r\n\r\naGVsbG8gd29ybGQA\r\n\
    --b\r\nContent-Type: text/plain\r\nContent-Transfer-Encoding: x-odd\r\n\r\nodd\r\n--b--\r\n";

/// The URL as it may be given away.
fn authorized(client: &mut imap::Client, url: &str) -> String {
    let told = ask(client, &format!("GENURLAUTH \"{url}\" INTERNAL"));
    let line = told.lines().next().and_then(|line| line.strip_prefix("* GENURLAUTH \"")?.strip_suffix('"'));
    line.unwrap_or_else(|| panic!("{url}: {told}")).to_owned()
}

fn fetched(client: &mut imap::Client, url: &str, items: &str) -> String {
    let asked = if items.is_empty() { format!("\"{url}\"") } else { format!("(\"{url}\" {items})") };
    let told = ask(client, &format!("URLFETCH {asked}"));
    let told = told.strip_prefix(&format!("* URLFETCH \"{url}\" ")).unwrap_or_else(|| panic!("{told}"));
    told.rsplit_once("\nOk").unwrap_or_else(|| panic!("{told}")).0.to_owned()
}

#[test]
fn urls_are_given_away_and_taken_back() {
    let server = Server::start();
    let (owner, other) = (Server::user(1), Server::user(2));
    let mut mine = server.login(&owner);
    // Whether on the owner's shard or on another.
    let mut others: Vec<imap::Client> = [2, 3, 4, 5].map(|n| server.login(&Server::user(n))).into();
    mine.append("INBOX", "", MAIL).expect("APPEND").expect_ok();
    let at = |rest: &str| format!("imap://{owner}@localhost/INBOX/;uid=1{rest}");
    let anybody = authorized(&mut mine, &at(";urlauth=authuser"));
    let for_one = authorized(&mut mine, &at(&format!("/;section=1;urlauth=user+{other}")));
    let whole = String::from_utf8_lossy(MAIL).into_owned();
    assert_eq!(fetched(&mut mine, &anybody, ""), format!("{{{}}}\r\n{whole}", MAIL.len()));
    for client in &mut others {
        assert_eq!(fetched(client, &anybody, ""), format!("{{{}}}\r\n{whole}", MAIL.len()));
    }
    assert_eq!(fetched(&mut others[0], &for_one, ""), "{5}\r\nhello");
    assert_eq!(fetched(&mut others[1], &for_one, ""), "NIL");
    assert_eq!(fetched(&mut mine, &for_one, ""), "NIL");
    assert_eq!(ask(&mut mine, "FETCH 1 FLAGS"), ask(&mut mine, "FETCH 1 FLAGS"), "nothing is seen by it");

    // Without the right token, or of something else, there is nothing.
    let (rump, token) = anybody.rsplit_once(':').expect("a token");
    let digit = if token.ends_with('0') { '1' } else { '0' };
    for wrong in [
        format!("{rump}:{}{digit}", &token[..token.len() - 1]),
        anybody.replace("uid=1;", "uid=2;"),
        anybody.replace("INBOX/;uid=1;", "INBOX/;uid=1/;section=1;"),
        anybody.replace("authuser", "anonymous"),
        anybody.replace(&owner, "nobody"),
        at(";urlauth=authuser"),
        at(""),
        "nonsense".into(),
        authorized(&mut mine, &at(";expire=2001-01-01T00:00:00Z;urlauth=authuser")),
        authorized(&mut mine, &at("/;section=9;urlauth=authuser")),
        authorized(&mut mine, &at(&format!(";urlauth=submit+{other}"))),
    ] {
        assert_eq!(fetched(&mut others[0], &wrong, ""), "NIL", "{wrong}");
    }
    let later = authorized(&mut mine, &at("/;section=1/;partial=1.3;expire=2999-01-01T00:00:00Z;urlauth=anonymous"));
    assert_eq!(fetched(&mut others[2], &later, ""), "{3}\r\nell");

    for refused in [
        "GENURLAUTH \"imap://test9@localhost/INBOX/;uid=1;urlauth=authuser\" INTERNAL",
        "GENURLAUTH \"imap://test1@localhost/nowhere/;uid=1;urlauth=authuser\" INTERNAL",
    ] {
        assert!(ask(&mut mine, refused).starts_with("Bad "), "{refused}");
    }
    assert!(ask(&mut mine, &format!("GENURLAUTH \"{}\" X-OTHER", at(";urlauth=authuser"))).starts_with("Bad "));
    assert!(ask(&mut mine, &format!("GENURLAUTH \"{anybody}\" INTERNAL")).starts_with("Bad "));

    assert!(ask(&mut mine, "RESETKEY INBOX").starts_with("Ok [URLMECH INTERNAL]"));
    assert!(ask(&mut mine, "RESETKEY nowhere").starts_with("No "));
    assert_eq!(fetched(&mut others[0], &anybody, ""), "NIL");
    let again = authorized(&mut mine, &at(";urlauth=authuser"));
    assert_ne!(again, anybody);
    assert!(fetched(&mut others[3], &again, "").starts_with('{'));
    assert!(ask(&mut mine, "RESETKEY").starts_with("Ok"));
    assert_eq!(fetched(&mut others[3], &again, ""), "NIL");
}

#[test]
fn parts_without_their_encoding() {
    let server = Server::start();
    let owner = Server::user(1);
    let (mut mine, mut other) = (server.login(&owner), server.login(&Server::user(2)));
    mine.append("INBOX", "", MAIL).expect("APPEND").expect_ok();
    let mut part =
        |n: u32| authorized(&mut mine, &format!("imap://{owner}@localhost/INBOX/;uid=1/;section={n};urlauth=authuser"));
    let (one, two, three) = (part(1), part(2), part(3));
    assert_eq!(fetched(&mut other, &one, "BINARY"), "(BINARY {5}\r\nhello)");
    assert_eq!(fetched(&mut other, &two, "BINARY"), "(BINARY ~{12}\r\nhello world\0)");
    assert_eq!(fetched(&mut other, &two, "BODY"), "(BODY {16}\r\naGVsbG8gd29ybGQA)");
    assert_eq!(fetched(&mut other, &three, "BINARY"), "(BINARY NIL)");
    let decoded = fetched(&mut other, &two, "BINARY BODYPARTSTRUCTURE");
    assert!(
        decoded
            .starts_with("(BODYPARTSTRUCTURE (\"text\" \"x-own\" (\"charset\" \"us-ascii\") NIL NIL \"binary\" 12 0 "),
        "{decoded}"
    );
    let stored = fetched(&mut other, &two, "BODYPARTSTRUCTURE");
    assert!(
        stored.starts_with("(BODYPARTSTRUCTURE (\"text\" \"x-own\" (\"charset\" \"us-ascii\") NIL NIL \"base64\" 16 "),
        "{stored}"
    );
    let both = fetched(&mut other, &one, "BINARY BODYPARTSTRUCTURE");
    assert!(both.starts_with("(BODYPARTSTRUCTURE (\"text\" \"plain\" "), "{both}");
    assert!(both.ends_with(") (BINARY {5}\r\nhello)"), "{both}");
}
