//! Dictionaries: made of what many users' mail has in common, written with, backed up with the mail, mended, and missed.

use skein_testkit::Server;
use skein_testkit::adm::{self, bad, good};
use skein_testkit::server::set;
use skein_testkit::temp::TempDir;
use skein_testkit::wait::{self, PATIENCE};
use std::fs;
use std::ops::{Range, RangeInclusive};
use std::path::{Path, PathBuf};

/// As many as a dictionary needs.
const USERS: usize = 64;

/// A server whose log is drained at once.
fn server() -> Server {
    let at_once = [("log_keep_bytes", "0"), ("log_keep_seconds", "1")];
    let store = |settings: String, (key, value): &(&str, &str)| set(&settings, "store", key, value);
    Server::start_changed(|settings, _| at_once.iter().fold(settings, store))
}

/// Mail as a shop sends it, but for a word that is each user's own.
fn letter(user: usize, n: usize) -> Vec<u8> {
    let words = ["parcel", "invoice", "voucher", "reminder", "newsletter"];
    format!(
        "From: The Shop <noreply@shop.example>\r\nTo: {to}\r\nSubject: Your {word} number {n}\r\nMIME-Version: 1.0\r\n\
         Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\nX-Own: private{user}x{n}\r\n\r\n\
         Dear customer,\r\n\r\nthank you for your order. Your {word} is on its way to you and will arrive on one of the next days.\r\n\
         You can follow it at https://shop.example/follow?number={n} at any time.\r\n\r\nWith kind regards\r\nyour shop\r\n",
        to = Server::user(user),
        word = words[(user + n) % words.len()],
    )
    .into_bytes()
}

fn deliver(server: &Server, users: RangeInclusive<usize>, numbers: Range<usize>) {
    let mut lmtp = server.lmtp();
    for user in users {
        for n in numbers.clone() {
            let answers = lmtp.deliver(&[&Server::user(user)], &letter(user, n)).expect("a delivery");
            assert!(answers.iter().all(|answer| answer.is_ok()), "{answers:?}");
        }
    }
}

fn bodies(server: &Server, user: usize) -> Result<Vec<Vec<u8>>, String> {
    let mut client = server.login(&Server::user(user));
    client.command("EXAMINE INBOX").expect("EXAMINE").expect_ok();
    let reply = client.command("UID FETCH 1:* BODY.PEEK[]").expect("FETCH");
    if !reply.is_ok() {
        return Err(format!("{reply:?}"));
    }
    Ok(reply.fetches().iter().map(|fetched| fetched.body().expect("a body").to_vec()).collect())
}

fn has_all(server: &Server, user: usize, count: usize) {
    let bodies = bodies(server, user).expect("FETCH");
    assert_eq!(bodies.len(), count);
    for (n, body) in bodies.iter().enumerate() {
        assert!(body.ends_with(&letter(user, n)), "{}", String::from_utf8_lossy(body));
    }
}

fn dictionaries(server: &Server) -> Vec<PathBuf> {
    let folder = server.folder().join("data/dictionaries");
    let mut files: Vec<PathBuf> = fs::read_dir(folder).into_iter().flatten().flatten().map(|e| e.path()).collect();
    files.sort();
    files
}

/// Whether some pack of a user has an entry or a group that was written with a dictionary.
fn uses(server: &Server, user: usize) -> bool {
    let pinned = TempDir::new("dictionary");
    good(server, &format!("backup {} {}", Server::user(user), pinned.path().display()));
    let is_pack = |path: &PathBuf| path.extension().is_some_and(|end| end == "pack");
    files(pinned.path())
        .iter()
        .filter(|path| is_pack(path))
        .any(|path| good(server, &format!("--json dump {}", path.display())).contains("\"dictionary\":"))
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut all = Vec::new();
    for path in fs::read_dir(folder).expect("a folder").flatten().map(|entry| entry.path()) {
        if path.is_dir() { all.extend(files(&path)) } else { all.push(path) }
    }
    all
}

#[test]
fn mail_is_written_with_one_and_comes_back_wherever_it_goes() {
    let mut server = server();
    deliver(&server, 1..=8, 0..4);
    let (exit, why) = bad(&server, "dictionary train");
    assert_eq!(exit, Some(65), "{why}");
    assert!(why.contains("of 8 users are too few") && why.contains("64 users"), "{why}");
    deliver(&server, 1..=8, 4..6);
    deliver(&server, 9..=USERS, 0..6);
    let dry = good(&server, "--json dictionary train --dry-run");
    assert!(dry.contains("\"kept\":false") && dictionaries(&server).is_empty(), "{dry}");
    let trained = good(&server, "--json dictionary train");
    assert!(trained.contains("\"kept\":true"), "{trained}");
    let made = dictionaries(&server);
    assert_eq!(made.len(), 2, "{made:?}");
    let text = fs::read(&made[0]).expect("the file");
    let has = |word: &str| text.windows(word.len()).any(|at| at == word.as_bytes());
    assert!(has("quoted-printable") && !has("private"), "what is one user's own is not in it");
    let list = good(&server, "--json dictionary list");
    assert!(list.contains("\"writes\":true"), "{list}");

    deliver(&server, 1..=USERS, 6..10);
    assert!(wait::until(PATIENCE, || uses(&server, 1) && uses(&server, 2)), "no pack has an entry with the dictionary");
    (1..=4).for_each(|user| has_all(&server, user, 10));
    server.kill();
    server.restart();
    (1..=4).for_each(|user| has_all(&server, user, 10));

    // With the mail into a backup, and out of it into a server that never made one.
    let copy = TempDir::new("dictionary");
    good(&server, &format!("backup --all {}", copy.path().display()));
    good(&server, &format!("backup --verify --all {}", copy.path().display()));
    let other = Server::start();
    good(&other, &format!("restore --all {}", copy.path().display()));
    (1..=4).for_each(|user| has_all(&other, user, 10));
    assert_eq!(dictionaries(&other).len(), 2);

    // One file is mended by the other; without both, what needs it is refused and told, and comes back with it.
    let names: Vec<String> =
        made.iter().map(|path| path.file_name().expect("a name").to_string_lossy().into_owned()).collect();
    server.stop();
    fs::write(&made[0], b"SKEINDIC").expect("a write");
    server.restart();
    has_all(&server, 1, 10);
    assert_eq!(fs::read(&made[0]).expect("the file"), text);
    // Of a running server both are mended from memory.
    made.iter().for_each(|path| fs::remove_file(path).expect("a removal"));
    good(&server, "check --all");
    assert_eq!(fs::read(&made[0]).expect("the file"), text);
    server.stop();
    made.iter().for_each(|path| fs::remove_file(path).expect("a removal"));
    server.restart();
    let lost = bodies(&server, 1);
    assert!(lost.is_err() || lost.as_ref().is_ok_and(|bodies| bodies.len() < 10), "{lost:?}");
    let checked = adm::run(&server, &format!("check {}", Server::user(1)), b"");
    assert!(
        !checked.status.success() && checked.all_text().contains("put one back from a backup"),
        "{}",
        checked.all_text()
    );
    assert!(server.log().contains("is gone or damaged, and its copy too"), "{}", server.log());
    for name in &names {
        fs::copy(copy.path().join("dictionaries").join(name), server.folder().join("data/dictionaries").join(name))
            .expect("a copy");
    }
    has_all(&server, 1, 10);
    good(&server, &format!("check {}", Server::user(1)));
}
