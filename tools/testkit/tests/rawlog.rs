//! A user's sessions, byte by byte, in files that the operator asked for.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use skein_testkit::crash::LoopDisk;
use skein_testkit::program;
use skein_testkit::server::{Kind, PASSWORD, set};
use skein_testkit::wait::{self, PATIENCE};
use skein_testkit::{Server, mail};

/// A folder for `user`, as the operator makes it.
fn ask_for(base: &Path, user: &str) -> PathBuf {
    let folder = base.join(user);
    fs::create_dir_all(&folder).expect("a folder");
    folder
}

/// All files of a folder that end so, as one text.
fn text(folder: &Path, end: &str) -> String {
    let mut paths: Vec<PathBuf> =
        fs::read_dir(folder).expect("the folder").map(|entry| entry.expect("it").path()).collect();
    paths.retain(|path| path.extension().is_some_and(|has| has == end));
    paths.sort();
    paths.iter().map(|path| String::from_utf8_lossy(&fs::read(path).expect("a file")).into_owned()).collect()
}

/// Waits for words in one direction.
fn has(folder: &Path, end: &str, words: &[&str]) {
    let found = wait::until(PATIENCE, || words.iter().all(|word| text(folder, end).contains(word)));
    assert!(found, "{words:?} in {}", text(folder, end));
}

#[test]
fn only_chosen_users_are_written_down_and_no_password_is() {
    let server = Server::start_changed(|settings, _| {
        let settings = format!("shards = 2\n{settings}");
        set(&settings, "rawlog", "timestamps", "false")
    });
    if server.kind() != Kind::Skein {
        return;
    }
    let base = server.folder().join("data/rawlog");
    // On either shard, with and without a move.
    for user in (1..=4).map(Server::user) {
        let folder = ask_for(&base, &user);
        // The shards look once a second whether there is anything to do.
        let begun = wait::until(PATIENCE, || {
            server.login(&user).command("LOGOUT").expect("LOGOUT").expect_ok();
            fs::read_dir(&folder).expect("the folder").count() > 0
        });
        assert!(begun, "{user} is not written down");
        let url = format!("imaps://{}/INBOX?TEXT%20within-tls", server.ports().imaps);
        let account = format!("{user}:{PASSWORD}");
        program::run(Command::new("curl").args(["-sk", "-u", &account, &url]), b"").expect_ok("curl");
        let mut client = server.login(&user);
        client.append("INBOX", "", &mail::sized("marker", 3000)).expect("APPEND").expect_ok();
        client.command("SELECT INBOX").expect("SELECT").expect_ok();
        // Too late, and a secret all the same.
        assert!(!client.command("LOGIN anna hunter2").expect("LOGIN").is_ok());
        client.command("LOGOUT").expect("LOGOUT").expect_ok();
        let mut pop3 = server.pop3_login(&user);
        pop3.command("STAT").expect("STAT").expect_ok();
        drop(pop3);
        has(
            &folder,
            "in",
            &[
                "within-tls",
                " APPEND ",
                "marker",
                " SELECT INBOX\r\n",
                " LOGIN <hidden>\r\n",
                " LOGOUT\r\n",
                "STAT\r\n",
            ],
        );
        has(&folder, "out", &["* 1 EXISTS\r\n", "* BYE ", "+OK 1 "]);
        let all = text(&folder, "in") + &text(&folder, "out");
        assert!(!all.contains("hunter2") && !all.contains(PASSWORD), "{all}");
    }
    let other = Server::user(9);
    server.login(&other).command("LOGOUT").expect("LOGOUT").expect_ok();
    assert_eq!(fs::read_dir(&base).expect("the folder").count(), 4);
}

#[test]
fn files_are_bounded_in_size_and_number() {
    let server = Server::start_changed(|settings, folder| {
        ask_for(&folder.join("data/rawlog"), &Server::user(1));
        let settings = set(&settings, "rawlog", "file_bytes_max", "1024");
        set(&settings, "rawlog", "files_max", "4")
    });
    if server.kind() != Kind::Skein {
        return;
    }
    let folder = server.folder().join("data/rawlog").join(Server::user(1));
    for _ in 0..4 {
        let mut client = server.login(&Server::user(1));
        client.append("INBOX", "", &mail::sized("m", 5000)).expect("APPEND").expect_ok();
        client.command("LOGOUT").expect("LOGOUT").expect_ok();
    }
    let sizes = || {
        let files = fs::read_dir(&folder).expect("the folder").map(|entry| entry.expect("a file"));
        files.map(|file| file.metadata().expect("it").len()).collect::<Vec<u64>>()
    };
    // Which of the files of four quick sessions are the newest is a matter of moments.
    let is_bounded = || sizes().len() == 4 && sizes().contains(&1024);
    assert!(wait::until(PATIENCE, is_bounded), "{:?}", sizes());
    assert!(sizes().iter().all(|size| *size <= 1024), "{:?}", sizes());
}

#[test]
fn a_full_disk_ends_the_rawlog_and_not_the_session() {
    let Some(disk) = LoopDisk::mount_of(16 << 20, None) else { return };
    let base = disk.path();
    ask_for(&base, &Server::user(1));
    let server = Server::start_changed(|settings, _| {
        let path = format!("{:?}", base.display().to_string());
        set(&settings, "rawlog", "folder", &path)
    });
    if server.kind() != Kind::Skein {
        return;
    }
    fs::write(base.join("ballast"), vec![0; 8 << 20]).expect("there is room");
    let mut client = server.login(&Server::user(1));
    let message = mail::sized("m", 3 << 20);
    let ended = wait::until(PATIENCE, || {
        client.append("INBOX", "", &message).expect("the session goes on").expect_ok();
        server.log().contains("the rawlog ends, the session goes on")
    });
    assert!(ended, "{}", server.log());
    client.command("SELECT INBOX").expect("SELECT").expect_ok();
    client.command("LOGOUT").expect("LOGOUT").expect_ok();
    assert_eq!(server.log().matches("the rawlog ends").count(), 1);
}
