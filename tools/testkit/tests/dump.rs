//! `skein adm dump`: every file of a server that has lived, whole and hurt.

use skein_testkit::program::{self, Outcome};
use skein_testkit::wait::{self, PATIENCE};
use skein_testkit::{Server, server};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

fn dump(file: &Path, json: bool) -> Outcome {
    let mut command = Command::new(server::skein_binary());
    command.arg("adm").args(json.then_some("--json")).arg("dump").arg(file);
    program::run(&mut command, b"")
}

fn files(folder: &Path, out: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("ours").flatten() {
        match entry.path() {
            path if path.is_dir() => files(&path, out),
            path => out.push(path),
        }
    }
}

#[test]
fn files_of_a_server_that_has_lived() {
    let mut server = Server::start_changed(|settings, _| settings);
    let user = Server::user(1);
    let mut session = server.login(&user);
    session.command("CREATE \"Two words\"").expect("CREATE").expect_ok();
    for n in 0..60 {
        let text = format!("Subject: message {n}\r\n\r\n{}\r\n", "some text of it ".repeat(1500));
        session.append("INBOX", "\\Seen $Mark", text.as_bytes()).expect("APPEND").expect_ok();
    }
    session.command("SELECT INBOX").expect("SELECT").expect_ok();
    session.command("UID STORE 3 +FLAGS (\\Deleted)").expect("STORE").expect_ok();
    session.command("EXPUNGE").expect("EXPUNGE").expect_ok();
    let data = server.folder().join("data");
    let all = || {
        let mut all = Vec::new();
        files(&data.join("log"), &mut all);
        files(&data.join("accounts"), &mut all);
        all
    };
    let ends = |end: &str| all().into_iter().find(|path| path.to_string_lossy().ends_with(end));
    assert!(wait::until(PATIENCE, || [".pack", ".idx", "tree"].iter().all(|end| ends(end).is_some())), "{:?}", all());
    assert!(server.stop().success());

    for path in all()
        .iter()
        .filter(|path| [".pack", ".idx", "tree", ".seg"].iter().any(|end| path.to_string_lossy().ends_with(end)))
    {
        let shown = dump(path, false).expect_ok("dump").text();
        assert!(!shown.contains("damage") && !shown.is_empty(), "{path:?}: {shown}");
        let json = dump(path, true).expect_ok("dump").text();
        assert_eq!(json.lines().count(), shown.lines().count());
        assert!(json.lines().all(|line| line.starts_with("{\"what\":\"") && line.ends_with('}')), "{json}");
    }
    let high = dump(&ends("high-0000").expect("shard 0 has a log"), false).expect_ok("dump").text();
    assert!(high.starts_with("highest_segment segment="), "{high}");
    let tree = dump(&ends("tree").expect("there"), false).text();
    assert!(tree.contains(&format!(" user={user}\n")) && tree.contains("name=\"Two words\""), "{tree}");
    let pack = ends(".pack").expect("there");
    let shown = dump(&pack, false).text();
    assert!(shown.contains("entry at=64 mailbox=1 ") && shown.contains("keywords=$Mark"), "{shown}");
    assert!(shown.contains(" flags=\\Seen ") && shown.contains("received=20"), "{shown}");

    // One byte of a message: told where, and the others stay in sight.
    let mut bytes = fs::read(&pack).expect("ours");
    bytes[64 + 200] ^= 0x20;
    fs::write(&pack, &bytes).expect("ours");
    let hurt = dump(&pack, false);
    assert_eq!(hurt.status.code(), Some(65), "{}", hurt.all_text());
    assert!(
        hurt.all_text().contains("damage from=64 to=") && hurt.all_text().contains("one place is not"),
        "{}",
        hurt.all_text()
    );
    assert_eq!(hurt.text().lines().count(), shown.lines().count() + 1);

    let other = dump(&server.folder().join("skein.toml"), false);
    assert_eq!(other.status.code(), Some(65), "{}", other.all_text());
    assert!(other.stdout.is_empty() && other.all_text().contains("begins so"), "{}", other.all_text());
    assert_eq!(dump(Path::new("/nowhere"), false).status.code(), Some(65));
}
