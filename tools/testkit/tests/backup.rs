//! `skein adm backup` and `restore`: under load, into another server, broken off in the middle, and with what was hurt.

use skein_testkit::adm::{self, bad, good};
use skein_testkit::server::skein_binary;
use skein_testkit::temp::TempDir;
use skein_testkit::wait::{self, PATIENCE};
use skein_testkit::{Server, mail};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

const USERS: usize = 4;
const MESSAGES: usize = 25;

/// What a mailbox shows: UID, flags, INTERNALDATE and the bytes.
type Shown = Vec<(u32, Vec<String>, String, Vec<u8>)>;

fn deliver(server: &Server, user: usize, marker: &str) {
    let answers = server.lmtp().deliver(&[&Server::user(user)], &mail::marked(marker)).expect("a delivery");
    assert!(answers.iter().all(|answer| answer.is_ok()), "{answers:?}");
}

fn shown(server: &Server, user: usize, mailbox: &str) -> (String, Shown) {
    let mut client = server.login(&Server::user(user));
    let examined = client.command(&format!("EXAMINE {mailbox}")).expect("EXAMINE").expect_ok();
    let validity = examined.code("UIDVALIDITY").expect("a UIDVALIDITY");
    let reply = client.command("FETCH 1:* (UID FLAGS INTERNALDATE BODY.PEEK[])").expect("FETCH").expect_ok();
    let message = |fetched: &skein_testkit::imap::Fetched| {
        let flags = fetched.flags().expect("flags").into_iter().filter(|flag| flag != "\\Recent").collect();
        let date = fetched.item("INTERNALDATE").and_then(|value| value.text()).expect("a date").to_owned();
        (fetched.uid().expect("a UID"), flags, date, fetched.body().expect("a body").to_vec())
    };
    (validity, reply.fetches().iter().map(message).collect())
}

fn fill(server: &Server) {
    for user in 1..=USERS {
        for n in 0..MESSAGES {
            deliver(server, user, &format!("kept-{user}-{n}"));
        }
        let mut client = server.login(&Server::user(user));
        client.command("CREATE Work/2026").expect("CREATE").expect_ok();
        client.command("SUBSCRIBE Work/2026").expect("SUBSCRIBE").expect_ok();
        client.command("SELECT INBOX").expect("SELECT").expect_ok();
        client.command("STORE 2:4 +FLAGS (\\Seen $Mark)").expect("STORE").expect_ok();
        client.command("MOVE 5:7 Work/2026").expect("MOVE").expect_ok();
    }
}

fn number(json: &str, name: &str) -> u64 {
    let rest = json.rsplit(&format!("\"{name}\":")).next().expect("the field");
    rest.split(|c: char| !c.is_ascii_digit()).next().and_then(|digits| digits.parse().ok()).expect("a number")
}

/// Ends the load, however its test ends.
struct Over<'a>(&'a AtomicBool);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

fn backup(server: &Server, dir: &Path) -> String {
    good(server, &format!("--json backup --all {}", dir.display()))
}

#[test]
fn a_backup_under_load_comes_back_elsewhere() {
    let (server, dir) = (Server::start(), TempDir::new("backup"));
    let to = dir.path().join("all");
    fill(&server);
    let (over, more) = (AtomicBool::new(false), AtomicUsize::new(0));
    std::thread::scope(|scope| {
        let _over = Over(&over);
        scope.spawn(|| {
            while !over.load(Ordering::Relaxed) {
                let n = more.fetch_add(1, Ordering::Relaxed);
                deliver(&server, 1 + n % USERS, &format!("more-{n}"));
            }
        });
        let first = backup(&server, &to);
        assert_eq!(number(&first, "users"), USERS as u64, "{first}");
        assert_eq!(number(&first, "copied"), number(&first, "bytes"), "all of it is new: {first}");
        let second = backup(&server, &to);
        assert!(number(&second, "copied") < number(&second, "bytes"), "{first}\n{second}");
    });
    let quiet = backup(&server, &to);
    let again = backup(&server, &to);
    assert_eq!(number(&again, "copied"), 0, "nothing is new: {quiet}\n{again}");
    let before: Vec<_> =
        (1..=USERS).map(|user| (shown(&server, user, "INBOX"), shown(&server, user, "Work/2026"))).collect();
    assert!(before.iter().all(|(inbox, work)| inbox.1.len() >= MESSAGES - 3 && work.1.len() == 3));
    good(&server, &format!("backup --verify --all {}", to.display()));
    assert!(!server.folder().join("data/pinned").read_dir().is_ok_and(|mut names| names.next().is_some()));

    let other = Server::start();
    deliver(&other, 1, "in the way");
    let (exit, why) = bad(&other, &format!("restore {} {}", Server::user(1), to.display()));
    assert!(exit == Some(65) && why.contains("--replace"), "{why}");
    let restored = good(&other, &format!("--json restore --all --replace {}", to.display()));
    assert_eq!(number(&restored, "users"), USERS as u64, "{restored}");
    assert!(restored.contains("\"taken\":\"20"), "{restored}");
    for (user, (inbox, work)) in (1..=USERS).zip(&before) {
        assert_eq!(shown(&other, user, "INBOX"), *inbox, "user {user}");
        assert_eq!(shown(&other, user, "Work/2026"), *work, "user {user}");
        let mut client = other.login(&Server::user(user));
        assert_eq!(client.command("LSUB \"\" *").expect("LSUB").expect_ok().data("LSUB").len(), 1);
        let highest = inbox.1.last().expect("a message").0;
        deliver(&other, user, "after");
        let last = shown(&other, user, "INBOX").1.last().expect("a message").0;
        assert!(last > highest, "no UID is given twice: {last} after {highest}");
    }
    good(&other, "check --all");
}

#[test]
fn sessions_end_when_their_account_is_replaced() {
    let (mut server, dir) = (Server::start(), TempDir::new("backup"));
    let (to, user) = (dir.path().join("one"), Server::user(1));
    deliver(&server, 1, "first");
    good(&server, &format!("backup {user} {}", to.display()));
    let before = shown(&server, 1, "INBOX");
    deliver(&server, 1, "second");
    let mut idle = server.login(&user);
    idle.command("SELECT INBOX").expect("SELECT").expect_ok();
    idle.idle().expect("IDLE");
    good(&server, &format!("restore --replace {user} {}", to.display()));
    let rest = String::from_utf8_lossy(&idle.read_to_close()).into_owned();
    assert!(rest.contains("* BYE"), "{rest}");
    assert_eq!(shown(&server, 1, "INBOX"), before);
    assert_eq!(good(&server, "--json log errors --level error"), "", "what somebody asked for is no damage");
    let why = "why=\"the account is opened again: it is restored from a backup\"";
    assert!(wait::until(wait::PATIENCE, || server.log().contains(why)), "{}", server.log());
    assert!(server.stop().success());
    server.restart();
    assert_eq!(shown(&server, 1, "INBOX"), before, "nothing older is replayed on it");
}

fn command(server: &Server, line: &str) -> Command {
    let mut command = Command::new(skein_binary());
    command.arg("adm").arg("--config").arg(server.folder().join("skein.toml")).args(line.split_whitespace());
    command.stdout(Stdio::null()).stderr(Stdio::null());
    command
}

#[test]
fn one_that_breaks_off_leaves_the_one_before() {
    let (mut server, dir) = (Server::start(), TempDir::new("backup"));
    let to = dir.path().join("all");
    fill(&server);
    backup(&server, &to);
    let old: BTreeMap<usize, _> = (1..=USERS).map(|user| (user, shown(&server, user, "INBOX"))).collect();
    for round in 0..6u64 {
        (1..=USERS).for_each(|user| deliver(&server, user, &format!("round-{round}-{user}")));
        let mut child = command(&server, &format!("backup --all {}", to.display())).spawn().expect("skein adm");
        // Somewhere in the middle, wherever that is: each round a little later.
        wait::until(std::time::Duration::from_millis(4 * round), || false);
        child.kill().expect("a kill");
        child.wait().expect("its end");
        good(&server, &format!("backup --verify --all {}", to.display()));
    }
    backup(&server, &to);
    let new: BTreeMap<usize, _> = (1..=USERS).map(|user| (user, shown(&server, user, "INBOX"))).collect();
    // Another one is in the way of a restore that the server does not live to see the end of.
    for round in 0..6u64 {
        let mut child =
            command(&server, &format!("restore --all --replace {}", to.display())).spawn().expect("skein adm");
        wait::until(std::time::Duration::from_millis(5 * round), || false);
        server.kill();
        child.wait().expect("its end");
        server.restart();
        for user in 1..=USERS {
            assert_eq!(shown(&server, user, "INBOX"), new[&user], "as it was, or as it is to be, which is the same");
        }
    }
    assert!(old.iter().all(|(user, (validity, _))| new[user].0 == *validity));
}

#[test]
fn what_is_hurt_or_foreign_is_refused() {
    let (server, dir) = (Server::start(), TempDir::new("backup"));
    let (to, user) = (dir.path().join("one"), Server::user(1));
    deliver(&server, 1, "first");
    good(&server, &format!("backup {user} {}", to.display()));
    let before = shown(&server, 1, "INBOX");
    for file in account_files(&to) {
        let bytes = fs::read(&file).expect("a file");
        let mut hurt = bytes.clone();
        hurt[bytes.len() / 2] ^= 1;
        fs::write(&file, hurt).expect("a write");
        let (exit, why) = bad(&server, &format!("backup --verify {user} {}", to.display()));
        assert!(exit == Some(65) && why.contains("damaged"), "{}: {why}", file.display());
        let (exit, why) = bad(&server, &format!("restore --replace {user} {}", to.display()));
        assert!(exit == Some(65) && why.contains("damaged"), "{}: {why}", file.display());
        assert_eq!(shown(&server, 1, "INBOX"), before, "nothing was touched");
        fs::write(&file, bytes).expect("a write");
    }
    assert_eq!(bad(&server, &format!("restore {} {}", Server::user(2), to.display())).0, Some(65));
    let full = dir.path().join("full");
    fs::create_dir(&full).expect("a folder");
    fs::write(full.join("letter"), "dear").expect("a file");
    let (exit, why) = bad(&server, &format!("backup --all {}", full.display()));
    assert!(exit == Some(65) && why.contains("no folder of backups"), "{why}");
    assert_eq!(bad(&server, &format!("backup nobody@nowhere {}", to.display())).0, Some(67));
    assert_eq!(bad(&server, &format!("backup {user}")).0, Some(64));
    assert_eq!(adm::run(&server, "restore", b"").status.code(), Some(2));
}

/// Every file of the accounts in a folder of backups.
fn account_files(dir: &Path) -> Vec<PathBuf> {
    let list = |folder: &Path| -> Vec<PathBuf> {
        fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path()).collect()
    };
    let folders = list(dir).into_iter().flat_map(|above| list(&above));
    folders.flat_map(|folder| list(&folder)).collect()
}

#[test]
fn pruned_is_who_has_no_mail_any_more() {
    let (server, other, dir) = (Server::start(), Server::start(), TempDir::new("backup"));
    let to = dir.path().join("all");
    deliver(&server, 1, "one");
    deliver(&other, 2, "two");
    backup(&server, &to);
    backup(&other, &to);
    assert!(
        wait::until(PATIENCE, || account_files(&to).iter().filter(|file| file.ends_with("manifest.json")).count() == 2)
    );
    let pruned = good(&server, &format!("--json backup --all --prune {}", to.display()));
    assert!(pruned.contains("\"done\":\"pruned\""), "{pruned}");
    assert_eq!(account_files(&to).iter().filter(|file| file.ends_with("manifest.json")).count(), 1);
}
