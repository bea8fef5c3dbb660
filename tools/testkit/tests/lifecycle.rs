//! Start and stop: SIGTERM says BYE and keeps everything; a second server is refused.

use skein_testkit::server::Kind;
use skein_testkit::{Server, mail};

#[test]
fn sigterm_says_bye_and_keeps_everything() {
    let mut server = Server::start();
    let user = Server::user(1);
    let mut client = server.login(&user);
    for number in 0..20 {
        client.append_at_once("INBOX", "\\Seen", &mail::marked(&format!("kept-{number}"))).expect("APPEND").expect_ok();
    }
    let before = client.command("STATUS INBOX (MESSAGES UIDNEXT UIDVALIDITY)").expect("STATUS").untagged;
    let mut idle = server.login(&user);
    idle.command("SELECT INBOX").expect("SELECT").expect_ok();
    idle.idle().expect("IDLE");

    let status = server.stop();
    assert!(status.success(), "{status}");
    let last = idle.read_to_close();
    assert!(last.windows(5).any(|w| w == b"* BYE") || server.kind() != Kind::Skein, "{}", last.escape_ascii());

    server.restart();
    let mut client = server.login(&user);
    assert_eq!(client.command("STATUS INBOX (MESSAGES UIDNEXT UIDVALIDITY)").expect("STATUS").untagged, before);
    client.command("SELECT INBOX").expect("SELECT").expect_ok();
    let reply = client.command("FETCH 1:* (FLAGS BODY.PEEK[])").expect("FETCH").expect_ok();
    for (number, fetched) in reply.fetches().iter().enumerate() {
        assert_eq!(fetched.body(), Some(&mail::marked(&format!("kept-{number}"))[..]));
        assert!(fetched.flags().is_some_and(|f| f.contains("\\Seen")));
    }
}

#[test]
fn a_second_server_is_refused() {
    let server = Server::start();
    if server.kind() != Kind::Skein {
        return;
    }
    let (status, printed) = server.start_second();
    assert!(!status.success(), "{printed}");
    assert!(!printed.trim().is_empty(), "it says why");
    server.login(&Server::user(1)).command("NOOP").expect("NOOP").expect_ok();
}
