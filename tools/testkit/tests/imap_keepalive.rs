//! A client that waits for news is told that the server is there, and no other is.

use rustix::process::Signal;
use skein_testkit::imap::Client;
use skein_testkit::server::{Kind, set};
use skein_testkit::wait::{self, PATIENCE};
use skein_testkit::{Server, process};

const STILL_HERE: &[u8] = b"* OK Still here";

fn start(seconds: &str) -> Option<Server> {
    let server = Server::start_changed(|settings, _| set(&settings, "imap", "idle_notify_seconds", seconds));
    (server.kind() == Kind::Skein).then_some(server)
}

fn told(client: &mut Client, times: usize) {
    for _ in 0..times {
        assert_eq!(client.read_response().expect("a sign of life"), STILL_HERE);
    }
}

#[test]
fn who_listens_hears_again_and_again() {
    let Some(server) = start("1") else { return };
    let mut clients: Vec<Client> = (0..3).map(|_| server.login(&Server::user(1))).collect();
    let [idle, notified, silent] = &mut clients[..] else { unreachable!() };
    let tag = idle.idle().expect("IDLE");
    notified.command("NOTIFY SET (PERSONAL (MessageNew MessageExpunge))").expect("NOTIFY").expect_ok();
    told(idle, 3);
    told(notified, 3);
    // The same compressed, and with a mailbox open.
    idle.done(&tag).expect("DONE").expect_ok();
    idle.compress().expect("COMPRESS");
    idle.command("SELECT INBOX").expect("SELECT").expect_ok();
    let tag = idle.idle().expect("IDLE");
    told(idle, 2);
    assert!(idle.done(&tag).expect("DONE").expect_ok().untagged.iter().all(|line| line == STILL_HERE));
    // All of this was seconds, and who does not listen has heard nothing.
    assert!(silent.command("NOOP").expect("NOOP").expect_ok().untagged.is_empty());
    notified.command("NOTIFY NONE").expect("NOTIFY").expect_ok();
}

#[test]
fn news_come_in_between_and_a_reload_changes_how_often() {
    let Some(mut server) = start("0") else { return };
    let (mut watcher, mut writer) = (server.login(&Server::user(1)), server.login(&Server::user(1)));
    watcher.command("SELECT INBOX").expect("SELECT").expect_ok();
    let tag = watcher.idle().expect("IDLE");
    server.change_settings(|settings| set(&settings, "imap", "idle_notify_seconds", "1"));
    process::signal(server.pid(), Signal::HUP);
    assert!(wait::until(PATIENCE, || server.log().contains("settings, users and certificates read again")));
    // It waits as it began to, and by the new settings from the next news on.
    writer.append("INBOX", "", b"Subject: x\r\n\r\nx\r\n").expect("APPEND").expect_ok();
    assert_eq!(watcher.read_response().expect("news"), b"* 1 EXISTS");
    let mut next = || watcher.read_response().expect("a line");
    let line = std::iter::repeat_with(&mut next).take(4).find(|line| !line.ends_with(b" RECENT"));
    assert_eq!(line.as_deref(), Some(STILL_HERE));
    watcher.done(&tag).expect("DONE").expect_ok();
}
