//! BINARY (RFC 3516), PREVIEW (RFC 8970), X-GUID and XLIST against the running server, before and after a drain.

use skein_testkit::Server;
use skein_testkit::imap::{Client, Fetched, Reply, Value};

const MAIL: &str = "From: a@b\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=x\r\n\r\n\
    --x\r\nContent-Type: text/plain; charset=iso-8859-1\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n\
    Gr=FC=\r\n=DFe   \r\n> quoted\r\nan alle\r\n\r\n\
    --x\r\nContent-Type: application/octet-stream\r\nContent-Transfer-Encoding: base64\r\n\r\nYQBi\r\nAA==\r\n\
    --x\r\nContent-Transfer-Encoding: x-uuencode\r\n\r\nbegin\r\n\
    --x\r\nContent-Type: message/rfc822\r\n\r\nSubject: in\r\nMIME-Version: 1.0\r\nContent-Transfer-Encoding: base64\r\n\r\naGk=\r\n\
    --x--\r\n";

fn one(reply: &Reply) -> Fetched {
    let mut all = reply.fetches();
    assert_eq!(all.len(), 1, "{reply:?}");
    all.remove(0)
}

fn fetch(client: &mut Client, items: &str) -> Fetched {
    one(&client.command(&format!("FETCH 1 ({items})")).expect("FETCH").expect_ok())
}

/// The value of an item, as text in which bytes that are not ASCII are escaped.
fn value(fetched: &Fetched, item: &str) -> String {
    let found = fetched.item(item).unwrap_or_else(|| panic!("no {item} in {fetched:?}"));
    found.bytes().expect("a string").escape_ascii().to_string()
}

#[test]
fn parts_come_decoded() {
    let mut server = Server::start();
    let mut client = server.login(&Server::user(1));
    client.append("INBOX", "", MAIL.as_bytes()).expect("APPEND").expect_ok();
    client.command("SELECT INBOX").expect("SELECT").expect_ok();
    for round in 0..2 {
        let check = |client: &mut Client, asked: &str, told: &str, expect: &str| {
            assert_eq!(value(&fetch(client, asked), told), expect, "{asked}, round {round}");
        };
        check(&mut client, "BINARY.PEEK[1]", "BINARY[1]", r"Gr\xfc\xdfe\r\n> quoted\r\nan alle\r\n");
        check(&mut client, "BINARY.PEEK[1]<2.4>", "BINARY[1]<2>", r"\xfc\xdfe\r");
        check(&mut client, "BINARY.PEEK[1]<900.4>", "BINARY[1]<900>", "");
        check(&mut client, "BINARY.SIZE[1] BINARY.SIZE[2]", "BINARY.SIZE[2]", "4");
        check(
            &mut client,
            "BINARY.PEEK[4]",
            "BINARY[4]",
            r"Subject: in\r\nMIME-Version: 1.0\r\nContent-Transfer-Encoding: binary\r\n\r\nhi",
        );
        check(&mut client, "BINARY.PEEK[4.1] UID", "BINARY[4.1]", "hi");
        check(&mut client, "BINARY.PEEK[9]", "BINARY[9]", "NIL");
        check(&mut client, "BINARY.SIZE[9]", "BINARY.SIZE[9]", "0");
        // NULs are only in a literal8; without them there is none.
        let reply = client.command("FETCH 1 BINARY.PEEK[2]").expect("FETCH").expect_ok();
        assert_eq!(reply.untagged[0], b"* 1 FETCH (BINARY[2] ~{4}\r\na\0b\0)", "{reply:?}");
        let reply = client.command("FETCH 1 BINARY.PEEK[2]<0.1>").expect("FETCH").expect_ok();
        assert_eq!(reply.untagged[0], b"* 1 FETCH (BINARY[2]<0> {1}\r\na)", "{reply:?}");
        for asked in ["BINARY.PEEK[3]", "BINARY.SIZE[3]", "BODY.PEEK[] BINARY.PEEK[]"] {
            let refused = client.command(&format!("FETCH 1 ({asked})")).expect("FETCH");
            assert!(!refused.is_ok() && refused.code("UNKNOWN-CTE").is_some(), "{refused:?}");
            assert!(refused.fetches().is_empty(), "{refused:?}");
        }
        let preview = fetch(&mut client, "PREVIEW PREVIEW (LAZY)");
        assert_eq!(preview.item("PREVIEW").and_then(Value::text), Some("Grüße an alle"), "round {round}");
        let fuzzy = client.command("FETCH 1 (SNIPPET (LAZY=FUZZY) PREVIEW (FUZZY))").expect("FETCH").expect_ok();
        let expect = "* 1 FETCH (SNIPPET (FUZZY {15}\r\nGrüße an alle) PREVIEW (FUZZY {15}\r\nGrüße an alle))";
        assert_eq!(String::from_utf8_lossy(&fuzzy.untagged[0]), expect);
        drop(client);
        server.stop();
        server.restart();
        client = server.login(&Server::user(1));
        client.command("SELECT INBOX").expect("SELECT").expect_ok();
    }
    // Only what shows a body marks it.
    let flags = |client: &mut Client| fetch(client, "FLAGS").flags().expect("FLAGS");
    fetch(&mut client, "BINARY.SIZE[1] PREVIEW");
    assert!(!flags(&mut client).contains("\\Seen"));
    fetch(&mut client, "BINARY[1]<0.1>");
    assert!(flags(&mut client).contains("\\Seen"));
}

/// What is over a chunk is decoded twice, and is the same.
#[test]
fn a_large_part_is_streamed() {
    let server = Server::start();
    let mut client = server.login(&Server::user(1));
    let lines = 60_000;
    // A line of base64 is 57 bytes: 3.4 MB.
    let body = format!("{}\r\n", "QUJD".repeat(19)).repeat(lines);
    let mail = format!("MIME-Version: 1.0\r\nContent-Transfer-Encoding: base64\r\n\r\n{body}");
    client.append_at_once("INBOX", "", mail.as_bytes()).expect("APPEND").expect_ok();
    client.command("SELECT INBOX").expect("SELECT").expect_ok();
    let decoded = "ABC".repeat(19 * lines);
    let head = "MIME-Version: 1.0\r\nContent-Transfer-Encoding: binary\r\n\r\n";
    let all = fetch(&mut client, "BINARY.SIZE[] BINARY.SIZE[1] BINARY.PEEK[1] BINARY.PEEK[]");
    let size = |item| all.item(item).and_then(Value::number);
    assert_eq!(size("BINARY.SIZE[1]"), Some(decoded.len() as u64));
    assert_eq!(size("BINARY.SIZE[]"), Some((head.len() + decoded.len()) as u64));
    assert!(all.item("BINARY[1]").and_then(Value::bytes) == Some(decoded.as_bytes()));
    assert!(all.item("BINARY[]").and_then(Value::bytes) == Some(format!("{head}{decoded}").as_bytes()));
    let part = fetch(&mut client, "BINARY.PEEK[1]<3000001.400000>");
    assert!(part.item("BINARY[1]<3000001>").and_then(Value::bytes) == Some(&decoded.as_bytes()[3_000_001..3_400_001]));
}

#[test]
fn dovecots_identities_and_googles_list() {
    let server = Server::start();
    let mut client = server.login(&Server::user(1));
    client.append("INBOX", "", b"Subject: a\r\n\r\n").expect("APPEND").expect_ok();
    client.append("INBOX", "", b"Subject: b\r\n\r\n").expect("APPEND").expect_ok();
    client.command("SELECT INBOX").expect("SELECT").expect_ok();
    let fetched = fetch(&mut client, "X-GUID EMAILID");
    let guid = value(&fetched, "X-GUID");
    assert_eq!(fetched.item("EMAILID"), Some(&Value::List(vec![Value::Atom(format!("M{guid}").into_bytes())])));
    let found = client.command(&format!("SEARCH X-GUID {guid}")).expect("SEARCH").expect_ok();
    assert_eq!(found.search(), [1]);
    let status = client.command("STATUS INBOX (X-GUID MAILBOXID)").expect("STATUS").expect_ok();
    let line = String::from_utf8_lossy(status.data("STATUS")[0]).into_owned();
    let id = line.split("(F").nth(1).and_then(|rest| rest.split(')').next()).expect("MAILBOXID");
    assert!(line.contains(&format!("X-GUID {id}")), "{line}");
    client.command("CREATE Sent").expect("CREATE").expect_ok();
    let listed = client.command("XLIST \"\" *").expect("XLIST").expect_ok();
    let lines: Vec<String> = listed.untagged.iter().map(|line| String::from_utf8_lossy(line).into_owned()).collect();
    assert_eq!(lines[0], "* XLIST (\\Inbox \\HasNoChildren) \"/\" INBOX", "{lines:?}");
    assert!(lines.contains(&"* XLIST (\\HasNoChildren \\Sent) \"/\" Sent".to_string()), "{lines:?}");
}
