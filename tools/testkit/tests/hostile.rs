//! Bad input: each case ends in a clear refusal or a closed connection, memory stays bounded, others are served.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::Duration;

use skein_testkit::imap::{Client, Reply, Status};
use skein_testkit::server::{Kind, PASSWORD};
use skein_testkit::{Server, process};

/// What the server may grow by while it is abused: far above a session's needs, far below what is thrown at it.
const GROWTH_BYTES_MAX: u64 = 200 << 20;

/// Bytes of one flood.
const FLOOD_BYTES: usize = 64 << 20;

/// Bytes of an answer that are kept.
const ANSWER_BYTES_MAX: usize = 1 << 20;

/// A server, its size at first, and a client that must be served whatever happens.
struct Abused {
    server: Server,
    bystander: Client,
    before_bytes: u64,
}

impl Abused {
    fn new() -> Abused {
        let server = Server::start();
        let bystander = server.login(&Server::user(200));
        let before_bytes = process::memory(server.pid()).rss_bytes;
        Abused { server, bystander, before_bytes }
    }

    /// Others are served, the server is not much larger.
    #[track_caller]
    fn check(&mut self, what: &str) {
        self.bystander.command("NOOP").unwrap_or_else(|e| panic!("{what}: the bystander: {e}")).expect_ok();
        self.server.login(&Server::user(199)).command("SELECT INBOX").expect("SELECT").expect_ok();
        let grown = process::memory(self.server.pid()).rss_bytes.saturating_sub(self.before_bytes);
        println!("{what}: grown by {} KiB", grown / 1024);
        // The peer is many processes that come and go: only ours has to stay small.
        assert!(grown < GROWTH_BYTES_MAX || self.server.kind() != Kind::Skein, "{what}: grown by {grown} bytes");
    }

    fn user(&self) -> Client {
        self.server.login(&Server::user(1))
    }

    /// Sends a command that may be bad. A server may say BYE to a client that talks nonsense for long: then a fresh
    /// session must get an answer.
    #[track_caller]
    fn ask(&self, client: &mut Client, line: &[u8]) -> Reply {
        let exchange = |client: &mut Client| {
            client.write(&[b"b1 ", line, b"\r\n"].concat())?;
            client.finish("b1")
        };
        exchange(client).unwrap_or_else(|_| {
            *client = self.user();
            client.command("SELECT INBOX").expect("SELECT").expect_ok();
            exchange(client).unwrap_or_else(|e| panic!("{}: {e}", line.escape_ascii()))
        })
    }
}

/// Sends `input` and everything that `flood` gives until the server closes or `flood` ends; then reads what is left.
fn throw(addr: SocketAddr, input: &[u8], flood: impl Iterator<Item = Vec<u8>>) -> String {
    let mut stream = TcpStream::connect(addr).expect("a connection");
    stream.set_read_timeout(Some(Duration::from_secs(5))).expect("a timeout");
    stream.set_write_timeout(Some(Duration::from_secs(20))).expect("a timeout");
    let mut reader = stream.try_clone().expect("a descriptor");
    let answer = std::thread::spawn(move || {
        let (mut all, mut block) = (Vec::new(), vec![0; 65536]);
        while let Ok(n @ 1..) = reader.read(&mut block) {
            all.extend_from_slice(&block[..n.min(ANSWER_BYTES_MAX.saturating_sub(all.len()))]);
        }
        String::from_utf8_lossy(&all).into_owned()
    });
    let _a_refusal_breaks_the_pipe =
        std::iter::once(input.to_vec()).chain(flood).try_for_each(|b| stream.write_all(&b));
    let _may_be_closed_already = stream.shutdown(Shutdown::Write);
    answer.join().expect("the reader")
}

fn flood(block: &[u8]) -> impl Iterator<Item = Vec<u8>> {
    let block = block.repeat(65536 / block.len() + 1);
    std::iter::repeat_n(block.clone(), FLOOD_BYTES / block.len())
}

#[test]
fn endless_lines_are_cut_off() {
    let mut abused = Abused::new();
    let ports = abused.server.ports().clone();
    for (what, addr, block) in [
        ("IMAP letters", ports.imap, &b"x"[..]),
        ("IMAP zeros", ports.imap, b"\0"),
        ("IMAP list", ports.imap, b"a1 LOGIN ("),
        ("LMTP letters", ports.lmtp, b"x"),
        ("POP3 letters", ports.pop3, b"x"),
        ("POP3 commands", ports.pop3, b"CAPA\r\n"),
        ("TLS letters", ports.imaps, b"x"),
        ("IMAP parentheses", ports.imap, b"("),
    ] {
        throw(addr, b"", flood(block));
        abused.check(what);
    }
    let login = format!("a0 LOGIN {} {PASSWORD}\r\na1 SELECT INBOX\r\n", Server::user(1));
    for (what, start, block) in [
        ("a fetch without end", "a2 FETCH 1", &b",1:9"[..]),
        ("a search without end", "a2 SEARCH ", b"NOT "),
        ("an or without end", "a2 SEARCH ", b"OR "),
        ("a search of parentheses", "a2 SEARCH ", b"("),
        ("an append without end", "a2 APPEND INBOX (", b"kw "),
        ("a quoted string without end", "a2 STATUS \"", b"ab"),
    ] {
        throw(ports.imap, format!("{login}{start}").as_bytes(), flood(block));
        abused.check(what);
    }
}

/// Every line ends in its tagged NO or BAD, and the session goes on.
#[test]
fn bad_commands_are_answered() {
    let mut abused = Abused::new();
    let mut client = abused.user();
    client.command("SELECT INBOX").expect("SELECT").expect_ok();
    let nested = format!("SEARCH {}ALL{}", "(".repeat(5000), ")".repeat(5000));
    let nots = format!("SEARCH {}ALL", "NOT ".repeat(5000));
    let deep = format!("CREATE {}x", "x/".repeat(400));
    let long_name = format!("CREATE {}", "x".repeat(5000));
    let lines = [
        "NOSUCH",
        "FETCH",
        "FETCH 0 FLAGS",
        "FETCH 1:4294967296 FLAGS",
        "FETCH 1 BODY[1.",
        "FETCH 1 BODY[]<5.0>",
        "STORE 1 FLAGS (\\Nonsense",
        "SEARCH BEFORE 99-Foo-2020",
        "SEARCH OR ALL",
        "SEARCH CHARSET x-none SUBJECT a",
        "SELECT",
        "SELECT \"",
        "COPY 1",
        "LOGIN a b",
        "APPEND INBOX {-1}",
        "APPEND INBOX {99999999999999999999}",
        "STATUS INBOX (",
        "UID",
        "UID NOOP",
        "RENAME a",
        "LIST \"\"",
        "CREATE \"a\u{0}b\"",
        "SELECT &AAA",
        "UID EXPUNGE",
        "IDLE x",
        "STARTTLS",
        "AUTHENTICATE PLAIN",
        &nested,
        &nots,
        &deep,
        &long_name,
    ];
    for line in lines {
        // The peer idles whatever follows, and after a literal it can not read takes the rest of the line for a command.
        if (line.ends_with('}') || line == "IDLE x") && abused.server.kind() != Kind::Skein {
            continue;
        }
        let reply = abused.ask(&mut client, line.as_bytes());
        // Names that one server refuses another may allow; what matters is an answer.
        let free = line.starts_with("CREATE") || line.starts_with("SELECT &") || line == "FETCH 1:4294967296 FLAGS";
        assert!(
            free || reply.status != Status::Ok || abused.server.kind() != Kind::Skein,
            "{line:.60}: {}",
            reply.text
        );
    }
    abused.check("bad commands");
}

#[test]
fn invalid_encodings_do_no_harm() {
    let mut abused = Abused::new();
    let mut client = abused.user();
    for bytes in [&b"\xff\xfe\xfd"[..], b"\xc0\x80", b"\xed\xa0\x80", b"\xf8\x88\x80\x80\x80", b"\x80", b"\x01\x02\x7f"]
    {
        for (before, after) in [
            ("CREATE \"", "\""),
            ("SEARCH SUBJECT \"", "\""),
            ("LIST \"\" ", ""),
            ("SEARCH CHARSET UTF-8 BODY \"", "\""),
        ] {
            abused.ask(&mut client, &[before.as_bytes(), bytes, after.as_bytes()].concat());
        }
    }
    let header = b"Subject: \xff\xfe =?utf-8?q?=ff?= =?x-none?b?!!!?=\r\nFrom: \"\xc3\r\nContent-Type: multipart/mixed; boundary=\"\xff\"\r\n\r\n\xff\r\n";
    client.append("INBOX", "", header).expect("APPEND").expect_ok();
    client.command("SELECT INBOX").expect("SELECT").expect_ok();
    let reply = client.command("FETCH 1:* (ENVELOPE BODYSTRUCTURE BODY.PEEK[])").expect("FETCH").expect_ok();
    assert_eq!(reply.fetches()[0].body(), Some(&header[..]));
    abused.check("encodings");
}

/// Literals are refused before their bytes are sent, or swallowed without being kept.
#[test]
fn literal_floods_are_refused() {
    let mut abused = Abused::new();
    let mut client = abused.server.imap();
    let refused = client.command("LOGIN {4000000000}").map(|r| r.status != Status::Ok);
    assert!(refused.unwrap_or(true), "a login of 4 GB");
    for what in ["CREATE {100000000}", "APPEND INBOX {4294967295}", "SEARCH SUBJECT {90000000}"] {
        let refused = abused.user().command(what).map(|r| r.status != Status::Ok);
        assert!(refused.unwrap_or(true), "{what}");
    }
    let login = format!("a0 LOGIN {} {PASSWORD}\r\n", Server::user(1));
    let imap = abused.server.ports().imap;
    for start in ["a1 CREATE {67000000+}\r\n", "a1 SEARCH SUBJECT {67000000+}\r\n", "a1 LOGIN {67000000+}\r\n"] {
        throw(imap, format!("{login}{start}").as_bytes(), flood(b"x"));
        throw(imap, start.as_bytes(), flood(b"x"));
        abused.check(start.trim_end());
    }
    throw(imap, login.as_bytes(), flood(b"a1 SEARCH SUBJECT {10+}\r\n0123456789\r\n"));
    throw(imap, login.as_bytes(), flood(b"a1 STATUS {5+}\r\nINBOX (MESSAGES)\r\n"));
    abused.check("many literals");
}

/// A big APPEND that never ends: what is read is not all kept in memory, and nothing appears when the client goes.
#[test]
fn a_broken_off_append_leaves_nothing() {
    let mut abused = Abused::new();
    let start = format!("a0 LOGIN {} {PASSWORD}\r\na1 APPEND INBOX {{80000000+}}\r\n", Server::user(1));
    for _ in 0..4 {
        throw(abused.server.ports().imap, start.as_bytes(), flood(b"a line of a message that never ends\r\n"));
    }
    abused.check("broken off APPEND");
    let exists = abused.user().command("SELECT INBOX").expect("SELECT").expect_ok().exists();
    assert_eq!(exists, Some(0));
}

#[test]
fn the_wrong_protocol_is_turned_away() {
    let mut abused = Abused::new();
    let ports = abused.server.ports().clone();
    let hello = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03";
    for addr in ports.mail() {
        for input in
            [&b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"[..], hello, b"\x16\x03\x01\xff\xff", b"\0\0\0\0", b"\r\n\r\n\r\n"]
        {
            throw(addr, input, std::iter::empty());
        }
    }
    throw(ports.imap, b"a1 STARTTLS\r\n", flood(b"no handshake"));
    // What was sent in the clear behind STARTTLS must not be run inside TLS (CVE-2011-0411).
    let injected = throw(ports.imap, b"a1 STARTTLS\r\na2 NOOP\r\n", std::iter::empty());
    assert!(!injected.contains("a2 OK"), "{injected:.200}");
    let injected = throw(ports.pop3, b"STLS\r\nCAPA\r\n", std::iter::empty());
    assert!(!injected.contains("PIPELINING"), "{injected:.200}");
    abused.check("wrong protocols");
}

#[test]
fn half_closed_and_reset_connections_go_away() {
    let mut abused = Abused::new();
    let imap = abused.server.ports().imap;
    let login = format!("a0 LOGIN {} {PASSWORD}\r\n", Server::user(1));
    // A client may close its sending side and still read the answers.
    let answers = throw(imap, format!("{login}a1 NOOP\r\n").as_bytes(), std::iter::empty());
    assert!(answers.contains("a1 OK"), "{answers}");
    for number in 0..300 {
        let mut stream = TcpStream::connect(imap).expect("a connection");
        let all = format!("{login}a1 SELECT INBOX\r\na2 IDLE\r\n");
        let _may_be_gone = stream.write_all(&all.as_bytes()[..number % all.len()]);
        if number % 3 == 0 {
            let _may_be_gone = stream.shutdown(Shutdown::Both);
        }
    }
    abused.check("half closed");
}

/// A client that asks for much and reads nothing holds up only itself.
#[test]
fn a_client_that_never_reads_is_bounded() {
    let mut abused = Abused::new();
    let mut client = abused.user();
    let mail = skein_testkit::mail::sized("big", 1 << 20);
    for _ in 0..8 {
        client.append_at_once("INBOX", "", &mail).expect("APPEND").expect_ok();
    }
    let login = format!("a0 LOGIN {} {PASSWORD}\r\na1 SELECT INBOX\r\n", Server::user(1));
    let deaf: Vec<TcpStream> = (0..20)
        .map(|_| {
            let mut stream = TcpStream::connect(abused.server.ports().imap).expect("a connection");
            stream.set_write_timeout(Some(Duration::from_secs(2))).expect("a timeout");
            let asks = (0..200).map(|n| format!("b{n} FETCH 1:* BODY.PEEK[]\r\n")).collect::<String>();
            let _stops_when_the_server_does = stream.write_all(format!("{login}{asks}").as_bytes());
            stream
        })
        .collect();
    abused.check("deaf clients");
    let login = format!("USER {}\r\nPASS {PASSWORD}\r\n", Server::user(1));
    let mut deaf_too = TcpStream::connect(abused.server.ports().pop3).expect("a connection");
    deaf_too.set_write_timeout(Some(Duration::from_secs(2))).expect("a timeout");
    let asks = (1..=8).cycle().take(2000).map(|n| format!("RETR {n}\r\n")).collect::<String>();
    let _stops_when_the_server_does = deaf_too.write_all(format!("{login}{asks}").as_bytes());
    abused.check("a deaf POP3 client");
    drop((deaf, deaf_too));
    abused.check("after deaf clients");
}
