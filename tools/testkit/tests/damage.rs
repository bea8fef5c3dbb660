//! Files of some users are hurt while everybody works: they keep what was not hit, others notice nothing, and the operator's tools
//! find and mend.

use skein_testkit::adm::{self, bad, good};
use skein_testkit::random::Random;
use skein_testkit::server::set;
use skein_testkit::wait::{self, PATIENCE};
use skein_testkit::{Server, mail, process};
use std::collections::BTreeSet;
use std::fs;
use std::io::{Seek, SeekFrom, Write};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

/// Users whose files are hurt; as many others watch.
const VICTIMS: usize = 3;
const USERS: usize = 2 * VICTIMS;
/// Messages that each has before the first file is hurt.
const MESSAGES: u32 = 40;
/// Times that a file is hurt.
const BLOWS: usize = 60;

/// Who was told that which of his messages is taken.
type Delivered = Mutex<BTreeSet<(usize, u32)>>;

fn marker(user: usize, number: u32) -> String {
    format!("damage-{user}-{number}")
}

/// The user and the number that a message says it is.
fn said(bytes: &[u8]) -> Option<(usize, u32)> {
    let (user, number) = mail::marker_of(bytes)?.strip_prefix("damage-")?.split_once('-')?;
    Some((user.parse().ok()?, number.parse().ok()?))
}

fn deliver(server: &Server, delivered: &Delivered, next: &AtomicU32, user: usize) -> bool {
    let number = next.fetch_add(1, Ordering::Relaxed);
    let mut client = server.lmtp();
    let answers = client.deliver(&[&Server::user(user)], &mail::marked(&marker(user, number)));
    let taken = answers.is_ok_and(|answers| answers.iter().all(|answer| answer.is_ok()));
    if taken {
        delivered.lock().unwrap().insert((user, number));
    }
    taken
}

/// Reads all of a user's INBOX: every message is one of his, byte for byte. How many came.
fn read_all(server: &Server, user: usize) -> Option<Vec<u32>> {
    let mut client = server.imap();
    client.login(&Server::user(user), skein_testkit::server::PASSWORD).ok()?;
    client.command("SELECT INBOX").ok().filter(|reply| reply.is_ok())?;
    let reply = client.command("FETCH 1:* (UID INTERNALDATE ENVELOPE BODY.PEEK[])").ok()?;
    let mut numbers = Vec::new();
    for fetched in reply.fetches() {
        let Some(body) = fetched.body() else { continue };
        let (whose, number) = said(body).unwrap_or_else(|| panic!("bytes that nobody sent: {} of them", body.len()));
        assert_eq!(whose, user, "another user's message");
        let text = mail::marked(&marker(user, number));
        let is = &body[body.len().saturating_sub(text.len())..];
        assert!(is == text, "{}", mail::difference(is, &text));
        numbers.push(number);
    }
    Some(numbers)
}

fn folder_of(server: &Server, user: usize) -> PathBuf {
    let info = good(server, &format!("--json user info {}", Server::user(user)));
    let account = info.split("\"account\":\"").nth(1).and_then(|rest| rest.split('"').next()).expect("an account");
    server.folder().join("data/accounts").join(&account[..2]).join(account)
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.path()).collect();
    files.sort();
    files
}

fn is_pack(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "pack")
}

/// Flips, cuts, zeros or removes; false when the file went by itself meanwhile.
fn hurt(path: &Path, random: &mut Random) -> std::io::Result<()> {
    let len = fs::metadata(path)?.len() as usize;
    let at = random.below(len.max(1)) as u64;
    match random.below(8) {
        0 => return fs::remove_file(path),
        1 => return fs::OpenOptions::new().write(true).open(path)?.set_len(at),
        _ => {}
    }
    let bytes: Vec<u8> = match random.below(3) {
        0 => vec![0; random.between(1, 4096)],
        _ => (0..random.between(1, 64)).map(|_| random.next() as u8).collect(),
    };
    let mut file = fs::OpenOptions::new().write(true).open(path)?;
    file.seek(SeekFrom::Start(at))?;
    file.write_all(&bytes)
}

/// One whose log is drained at once.
fn server(more: &[(&str, &str)]) -> Server {
    let at_once = [("log_keep_bytes", "0"), ("log_keep_seconds", "1")];
    let store = |settings: String, (key, value): &(&str, &str)| set(&settings, "store", key, value);
    Server::start_changed(|settings, _| at_once.iter().chain(more).fold(settings, store))
}

#[test]
fn hurt_files_cost_what_was_hit() {
    let mut server = server(&[("scrub_seconds", "1"), ("snapshot_ops", "20"), ("pack_bytes", "1048576")]);
    let seed = Random::seed_of_run();
    let (delivered, next, over) = (Delivered::default(), AtomicU32::new(0), AtomicBool::new(false));
    for _ in 0..MESSAGES {
        for user in 1..=USERS {
            assert!(deliver(&server, &delivered, &next, user), "nothing is hurt yet");
        }
    }
    let folders: Vec<PathBuf> = (1..=VICTIMS).map(|user| folder_of(&server, user)).collect();
    let packed = || folders.iter().all(|folder| files(folder).iter().any(|path| is_pack(path)));
    assert!(wait::until(PATIENCE, packed), "nothing was drained");
    let pid = server.pid();
    std::thread::scope(|scope| {
        let (server, delivered, next, over) = (&server, &delivered, &next, &over);
        let worker = |number: u64| {
            let mut random = Random::new(seed).fork(number);
            move || {
                while !over.load(Ordering::Relaxed) {
                    let user = random.between(1, USERS + 1);
                    deliver(server, delivered, next, user);
                    let reader = random.between(1, USERS + 1);
                    let seen = read_all(server, reader);
                    assert!(reader <= VICTIMS || seen.is_some(), "user {reader}, whose files are whole, can not read");
                }
            }
        };
        let workers: Vec<_> = (1..=2).map(|number| scope.spawn(worker(number))).collect();
        let mut random = Random::new(seed).fork(99);
        for _ in 0..BLOWS {
            let files = files(random.pick::<PathBuf>(&folders));
            if !files.is_empty() {
                // It may be gone by the time.
                let _ = hurt(&random.pick::<PathBuf>(&files).clone(), &mut random);
            }
            let user = random.between(1, USERS + 1);
            deliver(server, delivered, next, user);
        }
        over.store(true, Ordering::Relaxed);
        workers.into_iter().for_each(|worker| worker.join().expect("a worker"));
    });
    assert!(process::is_alive(pid), "seed {seed}");
    let log = server.log();
    assert!(!log.contains("panicked"), "seed {seed}: {log}");
    for user in VICTIMS + 1..=USERS {
        let seen = read_all(&server, user).expect("a reader");
        let lost =
            delivered.lock().unwrap().iter().filter(|(whose, number)| *whose == user && !seen.contains(number)).count();
        assert_eq!(lost, 0, "seed {seed}: user {user} was not hit");
    }
    for user in 1..=VICTIMS {
        mend(&server, user, seed);
    }
    assert!(server.stop().success(), "seed {seed}");
    server.restart();
    for user in 1..=USERS {
        read_all(&server, user).expect("a reader after a restart");
    }
}

/// After a rebuild all that is left of a user's mail reads, and the rest can be removed.
fn mend(server: &Server, user: usize, seed: u64) {
    let name = Server::user(user);
    assert!(
        wait::until(PATIENCE, || adm::run(server, &format!("rebuild {name}"), b"").status.code() != Some(75)),
        "seed {seed}"
    );
    let checked = adm::run(server, &format!("--json check {name}"), b"");
    let findings = checked.text();
    for line in findings.lines().filter(|line| line.contains("\"problem\"")) {
        assert!(line.contains("the message can not be read"), "seed {seed}: not mended: {line}");
        let uid = line.split("\"uid\":").nth(1).and_then(|rest| rest.split(',').next()).expect("a UID");
        good(server, &format!("expunge {name} mailbox INBOX uid {uid}"));
    }
    good(server, &format!("check {name}"));
    let seen = read_all(server, user).expect("a reader");
    assert!(!seen.is_empty(), "seed {seed}: nothing is left of user {user}");
}

#[test]
fn a_check_names_the_file_and_a_rebuild_mends_it() {
    let server = server(&[("scrub_bytes_per_second", "0")]);
    let (delivered, next) = (Delivered::default(), AtomicU32::new(0));
    for _ in 0..5 {
        assert!(deliver(&server, &delivered, &next, 1));
    }
    let (name, folder) = (Server::user(1), folder_of(&server, 1));
    assert!(wait::until(PATIENCE, || files(&folder).iter().any(|path| is_pack(path))), "nothing was drained");
    let clean = good(&server, &format!("--json check {name}"));
    assert!(clean.contains("\"messages\":5") && clean.contains("\"findings\":0"), "{clean}");
    good(&server, "check --all");

    let snapshot = folder.join("m1.idx");
    let mut bytes = fs::read(&snapshot).expect("a snapshot");
    bytes[100] ^= 1;
    fs::write(&snapshot, bytes).expect("a write");
    let (exit, problem) = bad(&server, &format!("check {name}"));
    assert_eq!(exit, Some(65), "{problem}");
    let found = adm::run(&server, &format!("--json check {name}"), b"").text();
    assert!(found.contains("\"file\":\"m1.idx\"") && found.contains("\"repair\":\"rebuild\""), "{found}");
    let rebuilt = good(&server, &format!("--json rebuild {name}"));
    assert!(rebuilt.contains("\"mailbox\":\"INBOX\",\"messages\":5"), "{rebuilt}");
    good(&server, &format!("check {name}"));
    assert_eq!(read_all(&server, 1).expect("a reader").len(), 5);
    // Damage is an operator's business; what was asked for is not.
    let errors = |log: &str| log.lines().filter(|line| line.contains("ERROR")).map(str::to_owned).collect::<Vec<_>>();
    let met = errors(&server.log());
    assert!(met.iter().any(|line| line.contains(&name)), "{met:?}");
    let listed = good(&server, &format!("--json rebuild --from-bodies INBOX {name}"));
    assert!(listed.contains("\"messages\":5"), "{listed}");
    assert_eq!(errors(&server.log()), met, "a rebuild that was asked for is no error");
    assert_eq!(bad(&server, &format!("rebuild --from-bodies Nowhere {name}")).0, Some(68));
    assert_eq!(bad(&server, "check nobody@nowhere").0, Some(67));
    assert_eq!(bad(&server, "check").0, Some(64));
}

/// A message that is lost is told of once, however often a client asks for it: looking for it does not find it either.
#[test]
fn what_is_lost_is_told_once() {
    let store = [("log_keep_bytes", "0"), ("log_keep_seconds", "1"), ("scrub_seconds", "1000000")];
    let server = Server::start_changed(|settings, _| {
        format!(
            "shards = 1\n{}",
            store.iter().fold(settings, |settings, (key, value)| set(&settings, "store", key, value))
        )
    });
    let (delivered, next) = (Delivered::default(), AtomicU32::new(0));
    for user in 1..=3 {
        assert!(deliver(&server, &delivered, &next, user));
        let folder = folder_of(&server, user);
        // With the entry in it: a file that was just made is still to be written.
        let is_written = |path: &PathBuf| is_pack(path) && fs::metadata(path).is_ok_and(|pack| pack.len() > 64 + 80);
        let pack = || files(&folder).into_iter().find(is_written);
        assert!(wait::until(PATIENCE, || pack().is_some()), "nothing was drained");
        // In the payload of the only entry (engine/docs/pack-format.md).
        let file = fs::OpenOptions::new().write(true).open(pack().expect("just seen")).expect("ours");
        file.write_all_at(&[0x55; 8], 64 + 80 + 40).expect("a blow");
    }
    let told = |user| {
        let line = format!("stored data is damaged user={}", Server::user(user));
        good(&server, "--json log errors --level error").matches(&line).count()
    };
    for user in [1, 1, 2, 3] {
        read_all(&server, user);
        assert!(wait::until(PATIENCE, || told(user) > 0), "nobody looked");
    }
    assert_eq!(told(1), 1);
}

/// Segments of the log that somebody deletes, and cuts, while the server does not run: each is told by its number, and mail that
/// comes afterwards has UIDs that nothing lost may have had.
#[test]
fn segments_that_are_deleted_or_cut_are_told() {
    // Nothing is drained: the log alone has the mail.
    let keep = [("log_keep_bytes", "1099511627776"), ("log_keep_seconds", "86400"), ("snapshot_ops", "1000000")];
    let mut server = server(&keep);
    let user = Server::user(1);
    let log = server.folder().join("data/log");
    let segments = |log: &Path| {
        let mut found: Vec<PathBuf> =
            files(log).into_iter().filter(|p| p.extension().is_some_and(|e| e == "seg")).collect();
        found.sort();
        found
    };
    let mut sent = 0;
    while segments(&log).len() < 5 {
        let mail = mail::sized(&marker(1, sent), 300_000);
        assert!(server.lmtp().deliver(&[&user], &mail).expect("a delivery").iter().all(|answer| answer.is_ok()));
        sent += 1;
    }
    assert!(server.stop().success());
    let manifests =
        || -> Vec<_> { ["manifest-0000", "manifest-0001"].map(|name| fs::read(log.join(name)).ok()).into() };
    let before = manifests();
    server.restart();
    assert!(!server.log().contains("segment gone") && !server.log().contains("segment damaged"), "{}", server.log());
    assert!(wait::until(PATIENCE, || manifests() != before), "a start notes what it found");
    assert!(server.stop().success());

    let all = segments(&log);
    fs::remove_file(&all[1]).expect("ours");
    let cut = fs::OpenOptions::new().write(true).open(&all[2]).expect("ours");
    let length = cut.metadata().expect("ours").len();
    cut.set_len(length - 200_000).expect("ours");
    let noted = manifests();
    server.restart();
    let number = |path: &Path| {
        let name = path.file_stem().and_then(|stem| stem.to_str()).expect("a number");
        u64::from_str_radix(name, 16).expect("a number")
    };
    let log_text = server.log();
    let gone = format!("segment={}", number(&all[1]));
    assert!(log_text.lines().any(|line| line.contains("log segment gone") && line.contains(&gone)), "{log_text}");
    let hurt = format!("segment={}", number(&all[2]));
    assert!(log_text.lines().any(|line| line.contains("log segment damaged") && line.contains(&hurt)), "{log_text}");
    let mut client = server.login(&user);
    client.command("SELECT INBOX").expect("SELECT").expect_ok();
    let left = client.command("FETCH 1:* (UID)").expect("FETCH").expect_ok().fetches();
    let last = left.iter().filter_map(|fetched| fetched.uid()).max().expect("some mail is left");
    assert!(!left.is_empty() && left.len() < sent as usize, "{} of {sent}", left.len());
    assert!(deliver(&server, &Mutex::default(), &AtomicU32::new(sent), 1));
    client.command("NOOP").expect("NOOP").expect_ok();
    let new = client.command("FETCH * (UID)").expect("FETCH").expect_ok().fetches();
    assert!(new.iter().filter_map(|fetched| fetched.uid()).all(|uid| uid > last && uid > sent + 1), "{new:?}");
    drop(client);

    // Told once; afterwards it is known.
    assert!(wait::until(PATIENCE, || manifests() != noted), "a start notes what it found");
    let before = server.log().matches("log segment gone:").count();
    assert!(server.stop().success());
    server.restart();
    assert_eq!(server.log().matches("log segment gone:").count(), before, "{}", server.log());
}

/// Each text of a rendered cache is checked by who reads it: no byte that the disk spoils is told to a client.
#[test]
fn a_spoilt_byte_of_a_rendered_cache_is_told_to_nobody() {
    let server = server(&[("snapshot_ops", "2"), ("scrub_seconds", "1000000")]);
    let user = Server::user(1);
    // A small snapshot would be read into memory, where no blow reaches it.
    let next = AtomicU32::new(0);
    for _ in 0..100 {
        assert!(deliver(&server, &Mutex::default(), &next, 1));
    }
    let folder = folder_of(&server, 1);
    let snapshots = || files(&folder).into_iter().filter(|path| path.extension().is_some_and(|e| e == "idx"));
    assert!(wait::until(PATIENCE, || files(&folder).iter().any(|path| is_pack(path)) && snapshots().count() == 1));
    let path = snapshots().next().expect("just seen");

    let mut client = server.login(&user);
    client.command("SELECT INBOX").expect("SELECT").expect_ok();
    let commands = [
        "FETCH 1:2 (UID ENVELOPE)",
        "FETCH 1:2 (BODY BODYSTRUCTURE)",
        "FETCH 1:2 (BODY.PEEK[HEADER.FIELDS (FROM SUBJECT)] PREVIEW)",
        "FETCH 1:2 (BODY.PEEK[1] BODY.PEEK[HEADER])",
        "SEARCH 1:3 OR FROM nobody SUBJECT damage-1-1",
        "SORT (SUBJECT) UTF-8 1:3",
    ];
    let mut ask = || commands.map(|command| client.command(command).expect(command).expect_ok().untagged);
    let whole = ask();
    let mut spoil = || {
        let (bytes, before) = (fs::read(&path).expect("a snapshot"), fs::metadata(&path).expect("a snapshot"));
        let file = fs::OpenOptions::new().write(true).open(&path).expect("ours");
        // The heap of caches begins there (index/docs/snapshot-format.md).
        for at in (512..2800).step_by(5) {
            file.write_all_at(&[bytes[at] ^ 0x20], at as u64).expect("a blow");
            assert!(ask() == whole, "byte {at}");
            file.write_all_at(&bytes[at..=at], at as u64).expect("as it was");
        }
        before.ino() == fs::metadata(&path).expect("a snapshot").ino()
    };
    // Where the log was drained meanwhile another file is in place.
    assert!((0..10).any(|_| spoil()), "nobody read what was hit");
}
