//! COMPRESS (RFC 4978) and UNAUTHENTICATE (RFC 8437) against the running server.

use skein_testkit::Server;
use skein_testkit::imap::Client;
use skein_testkit::server::PASSWORD;

fn compressed(server: &Server, user: usize) -> Client {
    let mut client = server.login(&Server::user(user));
    client.compress().expect("COMPRESS");
    client
}

fn mail(bytes: usize) -> Vec<u8> {
    let mut mail = b"Subject: large\r\n\r\n".to_vec();
    let mut seed = 1u32;
    while mail.len() < bytes {
        seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        mail.extend_from_slice(format!("{seed} words that come again\r\n").as_bytes());
    }
    mail
}

#[test]
fn a_session_goes_on_compressed() {
    let server = Server::start();
    let mut client = compressed(&server, 1);
    let again = client.command("COMPRESS DEFLATE").expect("COMPRESS");
    assert!(!again.is_ok() && again.code("COMPRESSIONACTIVE").is_some(), "{again:?}");
    // Large both ways, and more than the output watermark.
    let mail = mail(3 << 20);
    client.append("INBOX", "", &mail).expect("APPEND").expect_ok();
    client.append_at_once("INBOX", "\\Seen", &mail).expect("APPEND").expect_ok();
    client.command("SELECT INBOX").expect("SELECT").expect_ok();
    let fetched = client.command("FETCH 1:2 BODY.PEEK[]").expect("FETCH").expect_ok().fetches();
    assert!(fetched.len() == 2 && fetched.iter().all(|one| one.body() == Some(&mail[..])));
    // Pipelined, and news while idle.
    let tags: Vec<String> = (0..50).map(|_| client.send("NOOP").expect("NOOP")).collect();
    tags.iter().for_each(|tag| drop(client.finish(tag).expect("NOOP").expect_ok()));
    let tag = client.idle().expect("IDLE");
    let mut other = compressed(&server, 1);
    other.append("INBOX", "", b"Subject: news\r\n\r\n").expect("APPEND").expect_ok();
    assert_eq!(client.read_response().expect("news"), b"* 3 EXISTS");
    client.done(&tag).expect("DONE").expect_ok();
    client.command("LOGOUT").expect("LOGOUT").expect_ok();
}

/// What is no DEFLATE ends the connection, and a bomb of commands costs no more than commands do.
#[test]
fn nonsense_and_bombs() {
    let server = Server::start();
    let mut client = server.login(&Server::user(1));
    client.command("COMPRESS DEFLATE").expect("COMPRESS").expect_ok();
    client.write(b"a1 NOOP\r\na2 NOOP\r\na3 NOOP\r\n").expect("a write");
    assert_eq!(client.read_to_close(), b"");

    let mut client = compressed(&server, 1);
    // 64 MiB of one line: it is too long, and is read to its end a piece at a time.
    let mut line = vec![b'x'; 64 << 20];
    line.extend_from_slice(b"\r\n");
    client.write(&line).expect("a write");
    assert!(client.read_line().expect("an answer").starts_with(b"* BAD"));
    client.command("NOOP").expect("NOOP").expect_ok();
}

#[test]
fn another_user_finds_nothing_of_the_one_before() {
    let server = Server::start();
    let mut client = compressed(&server, 1);
    client.append("INBOX", "", b"Subject: of the first\r\n\r\n").expect("APPEND").expect_ok();
    for round in 0..20 {
        let user = 1 + round % 5;
        client.command("ENABLE QRESYNC").expect("ENABLE").expect_ok();
        client.command("SELECT INBOX").expect("SELECT").expect_ok();
        client.command("UNAUTHENTICATE").expect("UNAUTHENTICATE").expect_ok();
        assert!(!client.command("SELECT INBOX").expect("SELECT").is_ok());
        client.login(&Server::user(user), PASSWORD).expect("LOGIN").expect_ok();
        assert!(!client.command("FETCH 1 FLAGS").expect("FETCH").is_ok(), "nothing is selected");
        let resync = client.command("SELECT INBOX (QRESYNC (1 1))").expect("SELECT");
        assert!(!resync.is_ok(), "nothing is enabled: {resync:?}");
        let selected = client.command("SELECT INBOX").expect("SELECT").expect_ok();
        assert_eq!(selected.exists(), Some(u32::from(user == 1)), "user {user}");
    }
}
