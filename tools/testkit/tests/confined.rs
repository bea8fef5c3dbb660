//! Started as root, running as nobody: what the process still is, and that it serves.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;

use rustix::process::Signal;
use skein_testkit::server::set;
use skein_testkit::wait::{self, PATIENCE};
use skein_testkit::{Server, mail, process, program};

/// The user and group nobody of Debian.
const NOBODY: u32 = 65534;

fn status(server: &Server, name: &str) -> String {
    let text = fs::read_to_string(format!("/proc/{}/status", server.pid())).expect("it runs");
    let line = text.lines().find_map(|line| line.strip_prefix(name)).expect("the kernel says so");
    line.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Everything under `folder` that is not `uid`'s.
fn strangers(folder: &Path, uid: u32, found: &mut Vec<String>) {
    let meta = fs::symlink_metadata(folder).expect("it is there");
    if meta.uid() != uid || meta.gid() != uid {
        found.push(folder.display().to_string());
    }
    if meta.mode() & 0o077 != 0 && !meta.is_symlink() {
        found.push(format!("{} is open to others: {:o}", folder.display(), meta.mode()));
    }
    if meta.is_dir() {
        fs::read_dir(folder)
            .expect("a folder")
            .for_each(|entry| strangers(&entry.expect("an entry").path(), uid, found));
    }
}

fn check(server: &Server) {
    for (name, expect) in [
        ("Uid:", "65534 65534 65534 65534"),
        ("Gid:", "65534 65534 65534 65534"),
        ("Groups:", "65534"),
        ("CapPrm:", "0000000000000000"),
        ("CapEff:", "0000000000000000"),
        ("CapBnd:", "0000000000000000"),
        ("CapAmb:", "0000000000000000"),
        ("NoNewPrivs:", "1"),
        ("Seccomp:", "2"),
    ] {
        assert_eq!(status(server, name), expect, "{name}");
    }
    let limits = fs::read_to_string(format!("/proc/{}/limits", server.pid())).expect("it runs");
    let core = limits.lines().find(|line| line.starts_with("Max core file size")).expect("the kernel says so");
    assert_eq!(core.split_whitespace().filter(|word| *word == "0").count(), 2, "{core}");
    let tasks = fs::read_dir(format!("/proc/{}/task", server.pid())).expect("it runs");
    for task in tasks {
        let text = fs::read_to_string(task.expect("a thread").path().join("status")).expect("it runs");
        let has = |line: &str| text.lines().any(|l| l.split_whitespace().collect::<Vec<_>>().join(" ") == line);
        assert!(has("Uid: 65534 65534 65534 65534") && has("CapEff: 0000000000000000") && has("Seccomp: 2"), "{text}");
    }
}

#[test]
fn root_becomes_nobody_and_serves() {
    if !program::is_root("becoming somebody else") {
        return;
    }
    // The data of a first run as root is given away, and all of it is still there.
    let mut server = Server::start_changed(|settings, folder| {
        fs::write(folder.join("users"), "first:{PLAIN}one\n").expect("the folder is ours");
        settings.replace("sources = [", "sources = [{ driver = \"passwd-file\", path = \"users\" }, ")
    });
    server.login(&Server::user(1)).append_at_once("INBOX", "", &mail::marked("as-root")).expect("APPEND").expect_ok();
    assert!(server.log().contains("running as root: set safety.user"), "{}", server.log());
    assert!(server.stop().success());

    server.change_settings(|settings| set(&settings, "safety", "user", "\"nobody\""));
    server.restart();
    check(&server);
    let log = server.log();
    assert!(log.contains("confined uid=65534 landlock=true seccomp=true core_dumps=false"), "{log}");
    let mut client = server.login(&Server::user(1));
    assert_eq!(client.command("SELECT INBOX").expect("SELECT").expect_ok().exists(), Some(1));
    client.append_at_once("INBOX", "", &mail::marked("as-nobody")).expect("APPEND").expect_ok();
    let answers = server.lmtp().deliver(&[&Server::user(1)], &mail::marked("delivered")).expect("a delivery");
    assert!(answers.iter().all(skein_testkit::lmtp::Answer::is_ok), "{answers:?}");

    // A reload still reads what it must, also where a file was replaced.
    fs::write(server.folder().join("users.new"), "second:{PLAIN}two\n").expect("ours");
    fs::set_permissions(server.folder().join("users.new"), fs::Permissions::from_mode(0o644)).expect("ours");
    fs::rename(server.folder().join("users.new"), server.folder().join("users")).expect("ours");
    process::signal(server.pid(), Signal::HUP);
    let done = || server.log().contains("settings, users and certificates read again");
    assert!(wait::until(PATIENCE, done), "{}", server.log());
    server.imap().login("second", "two").expect("LOGIN").expect_ok();

    assert!(server.stop().success());

    // What a later start as root adds is given away as well.
    fs::create_dir(server.folder().join("data/late")).expect("root may");
    fs::write(server.folder().join("data/late/part"), "x").expect("root may");
    for path in ["data/late", "data/late/part"] {
        fs::set_permissions(server.folder().join(path), fs::Permissions::from_mode(0o700)).expect("root may");
    }
    server.restart();
    let mut found = Vec::new();
    strangers(&server.folder().join("data"), NOBODY, &mut found);
    assert_eq!(found, Vec::<String>::new());
    // And the next start finds all of it.
    server.kill();
    server.restart();
    let mut client = server.login(&Server::user(1));
    assert_eq!(client.command("SELECT INBOX").expect("SELECT").expect_ok().exists(), Some(3));
    assert!(server.stop().success());
}
