//! What `/healthz` and `/readyz` say of a live server.

use std::process::Command;

use skein_testkit::crash::LoopDisk;
use skein_testkit::program;
use skein_testkit::server::{Kind, set};
use skein_testkit::wait::{self, PATIENCE};
use skein_testkit::{Server, mail};

/// The status and the text of a page.
fn page(server: &Server, path: &str) -> (String, String) {
    let url = format!("http://{}{path}", server.ports().http);
    let outcome = program::run(Command::new("curl").args(["-sS", "-w", "%{http_code}", &url]), b"");
    let text = outcome.expect_ok("curl").text();
    let (body, status) = text.split_at(text.len() - 3);
    (status.to_owned(), body.to_owned())
}

#[test]
fn a_server_at_its_limit_is_alive_and_not_ready() {
    let server = Server::start_changed(|settings, _| set(&settings, "limits", "connections_max", "3"));
    if server.kind() != Kind::Skein {
        return;
    }
    let is = |path: &str, status: &str, words: &str| {
        let (got, text) = page(&server, path);
        got == status && text.contains(words)
    };
    // The kit's own probes of the start end a moment later.
    assert!(wait::until(PATIENCE, || is("/readyz", "200", "ready")), "{:?}", page(&server, "/readyz"));
    let mut clients = Vec::new();
    let full = "not ready: 3 connections are open, as many as there may be";
    let filled = wait::until(PATIENCE, || {
        clients.extend(skein_testkit::imap::Client::connect(server.ports().imap));
        is("/readyz", "503", full)
    });
    assert!(filled, "{:?}", page(&server, "/readyz"));
    assert!(is("/healthz", "200", "alive"));
    drop(clients);
    assert!(wait::until(PATIENCE, || is("/readyz", "200", "ready")), "{:?}", page(&server, "/readyz"));
}

#[test]
fn a_log_whose_disk_fails_is_told_with_the_reason() {
    let Some(disk) = LoopDisk::mount() else { return };
    let mut server = Server::start_in(&disk.path());
    if server.kind() != Kind::Skein {
        return;
    }
    assert_eq!(page(&server, "/healthz").0, "200");
    disk.cut(&|| ());
    // Nobody has noticed before something is written.
    let answers = server.lmtp().deliver(&[&Server::user(1)], &mail::sized("x", 500)).expect("LMTP");
    assert!(!answers[0].is_ok(), "{answers:?}");
    let told = wait::until(PATIENCE, || {
        let (status, text) = page(&server, "/healthz");
        status == "503" && text.starts_with("not alive: the log of shard 0 takes nothing: ")
    });
    assert!(told, "{:?}", page(&server, "/healthz"));
    assert_eq!(page(&server, "/readyz").0, "503");
    server.kill();
}
