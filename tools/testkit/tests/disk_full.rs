//! The disk fills up under deliveries and IMAP: clear refusals, mail is read on, nothing acknowledged is lost, and once
//! there is room all goes on without a restart.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::{io, thread};

use skein_testkit::crash::LoopDisk;
use skein_testkit::imap::Status;
use skein_testkit::server::{Kind, PASSWORD};
use skein_testkit::wait::{self, PATIENCE};
use skein_testkit::{Server, imap, mail};

const DISK_BYTES: u64 = 128 << 20;
const USERS: usize = 3;
const FULL: &str = "The disk of the mail store is full";

/// What takes the disk's room: one file of bytes, or many of none.
struct Ballast(PathBuf);

impl Ballast {
    fn new(disk: &Path) -> Ballast {
        let folder = disk.join("ballast");
        fs::create_dir(&folder).expect("there is room for a folder");
        Ballast(folder)
    }

    /// Takes room until so many bytes are free.
    fn leave_bytes(&self, bytes: u64) {
        let free = free_bytes(&self.0);
        let take = free.checked_sub(bytes).expect("more was free");
        let file = File::create(self.0.join("bytes")).expect("a file");
        rustix::fs::fallocate(&file, rustix::fs::FallocateFlags::empty(), 0, take).expect("there is room");
    }

    /// Takes all inodes.
    fn leave_no_inode(&self) {
        let made = (0..).map(|n| File::create(self.0.join(n.to_string()))).find_map(Result::err);
        assert_eq!(made.map(|error| error.kind()), Some(io::ErrorKind::StorageFull));
    }

    fn remove(&self) {
        fs::remove_dir_all(&self.0).expect("ours");
    }
}

fn free_bytes(path: &Path) -> u64 {
    let is = rustix::fs::statvfs(path).expect("mounted");
    is.f_bavail * is.f_frsize
}

/// What the load was told.
#[derive(Default)]
struct Told {
    stop: AtomicBool,
    /// Markers of the messages taken, with their users.
    kept: Mutex<Vec<(usize, String)>>,
    delivery_refused: AtomicBool,
    append_refused: AtomicBool,
    /// Anything that no full disk explains.
    wrong: Mutex<Vec<String>>,
}

impl Told {
    fn kept(&self) -> MutexGuard<'_, Vec<(usize, String)>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wrong(&self, what: String) {
        self.wrong.lock().unwrap_or_else(PoisonError::into_inner).push(what);
    }

    fn is_over(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }
}

/// Delivers until told to stop; each answer is one of the two that there may be.
fn deliver(server: &Server, number: usize, told: &Told) {
    let mut client = server.lmtp();
    for n in 0.. {
        if told.is_over() {
            return;
        }
        let user = 1 + n % USERS;
        let marker = format!("lmtp{number}-{n}");
        let answers = client.deliver(&[&Server::user(user)], &mail::sized(&marker, 20_000)).expect("LMTP goes on");
        match (answers[0].code, &answers[0].text) {
            (250, _) => told.kept().push((user, marker)),
            (452, text) if text.starts_with("4.3.1 ") && text.ends_with(FULL) => {
                told.delivery_refused.store(true, Ordering::Relaxed);
            }
            other => told.wrong(format!("delivery: {other:?}")),
        }
    }
}

/// Appends until told to stop. A session may end with BYE when a change of its account was lost.
fn append(server: &Server, told: &Told) {
    let mut client = None;
    for n in 0.. {
        if told.is_over() {
            return;
        }
        let (user, marker) = (1 + n % USERS, format!("imap-{n}"));
        let connection = client.take().filter(|(of, _)| *of == user);
        let Some((_, mut connection)) = connection.or_else(|| Some((user, log_in(server, user)?))) else {
            told.append_refused.store(true, Ordering::Relaxed);
            continue;
        };
        match connection.append("INBOX", "", &mail::sized(&marker, 20_000)) {
            Ok(reply) if reply.is_ok() => told.kept().push((user, marker)),
            Ok(reply) if reply.status == Status::No && reply.text == format!("[UNAVAILABLE] {FULL}") => {
                told.append_refused.store(true, Ordering::Relaxed);
            }
            Ok(reply) => told.wrong(format!("APPEND: {:?} {}", reply.status, reply.text)),
            // The BYE comes untagged, then the end.
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                told.append_refused.store(true, Ordering::Relaxed);
                continue;
            }
            Err(error) => told.wrong(format!("APPEND: {error}")),
        }
        client = Some((user, connection));
    }
}

/// `None` when the session ended at once, because what it shows was lost at that very moment.
fn log_in(server: &Server, user: usize) -> Option<imap::Client> {
    let mut client = server.imap();
    match client.login(&Server::user(user), PASSWORD) {
        Ok(reply) => reply.expect_ok(),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return None,
        Err(error) => panic!("LOGIN: {error}"),
    };
    Some(client)
}

/// Loads the server until both kinds of client were refused.
fn load_until_refused(server: &Server, told: &Told) {
    thread::scope(|scope| {
        (0..2).for_each(|number| drop(scope.spawn(move || deliver(server, number, told))));
        scope.spawn(|| append(server, told));
        let refused = || told.delivery_refused.load(Ordering::Relaxed) && told.append_refused.load(Ordering::Relaxed);
        let done = wait::until(PATIENCE, refused);
        told.stop.store(true, Ordering::Relaxed);
        assert!(done, "the disk did not fill up");
    });
    let wrong = told.wrong.lock().unwrap_or_else(PoisonError::into_inner);
    assert!(wrong.is_empty(), "{wrong:?}");
}

/// Every message that was taken is there once, with its bytes.
fn all_is_there(server: &Server, told: &Told) {
    for user in 1..=USERS {
        let mut expected: Vec<String> = told.kept().iter().filter(|k| k.0 == user).map(|k| k.1.clone()).collect();
        let mut found = markers(&mut server.login(&Server::user(user)));
        expected.sort_unstable();
        found.sort_unstable();
        found.dedup();
        // One whose answer was lost with its connection may be there too.
        expected.retain(|marker| found.binary_search(marker).is_err());
        assert_eq!(expected, Vec::<String>::new(), "acknowledged to {} and gone", Server::user(user));
    }
}

/// The markers of a user's messages, whose bytes are as they were sent.
fn markers(client: &mut imap::Client) -> Vec<String> {
    let exists = client.command("SELECT INBOX").expect("SELECT").expect_ok().exists();
    if exists == Some(0) {
        return Vec::new();
    }
    let reply = client.command("FETCH 1:* BODY[]").expect("FETCH").expect_ok();
    let bodies = reply.fetches().into_iter().map(|fetched| fetched.body().expect("a body").to_vec());
    let marker = |body: Vec<u8>| {
        let marker = mail::marker_of(&body).expect("a marker").to_owned();
        assert!(body.ends_with(&mail::sized(&marker, 20_000)), "{marker} is not what was sent");
        marker
    };
    bodies.map(marker).collect()
}

/// A session that waits for news, by the tag of its IDLE.
fn idle(server: &Server, user: usize) -> (imap::Client, String) {
    let mut client = server.login(&Server::user(user));
    client.command("SELECT INBOX").expect("SELECT").expect_ok();
    let tag = client.idle().expect("IDLE");
    (client, tag)
}

/// Whether a session was ended because what it shows was lost; one that was not ends its IDLE in order.
fn was_ended((mut client, tag): (imap::Client, String)) -> bool {
    let _the_server_may_be_gone = client.write(b"DONE\r\n");
    let mut last = Vec::new();
    while let Ok(line) = client.read_response() {
        if line.starts_with(tag.as_bytes()) {
            return false;
        }
        last = line;
    }
    assert_eq!(String::from_utf8_lossy(&last), format!("* BYE [UNAVAILABLE] {FULL}"));
    true
}

/// Takes the disk's room under load, sees what happens, gives it back and sees that go on.
fn fill(disk: &LoopDisk, settings: &str, take: impl Fn(&Ballast), while_full: impl Fn(&Server, usize)) {
    let ballast = Ballast::new(&disk.path());
    let mut server = Server::start_with(&disk.path(), settings);
    assert_eq!(server.kind(), Kind::Skein);
    let (pid, told) = (server.pid(), Told::default());
    for user in 1..=USERS {
        let marker = format!("first-{user}");
        let answers = server.lmtp().deliver(&[&Server::user(user)], &mail::sized(&marker, 20_000)).expect("LMTP");
        assert!(answers[0].is_ok(), "{answers:?}");
        told.kept().push((user, marker));
    }
    let idles: Vec<_> = (1..=USERS).map(|user| idle(&server, user)).collect();
    take(&ballast);
    load_until_refused(&server, &told);
    all_is_there(&server, &told);
    let ended = idles.into_iter().map(was_ended).filter(|ended| *ended).count();
    while_full(&server, ended);

    ballast.remove();
    let again = |n: usize| mail::sized(&format!("again-{n}"), 20_000);
    let mut tries = 0;
    let goes_on = wait::until(PATIENCE, || {
        tries += 1;
        let answers = server.lmtp().deliver(&[&Server::user(1)], &again(tries)).expect("LMTP");
        answers[0].is_ok()
    });
    assert!(goes_on, "there is room again, and it still refuses");
    told.kept().push((1, format!("again-{tries}")));
    let mut client = server.login(&Server::user(2));
    client.append("INBOX", "", &mail::sized("appended-again", 20_000)).expect("APPEND").expect_ok();
    told.kept().push((2, "appended-again".to_owned()));
    all_is_there(&server, &told);
    assert_eq!(server.pid(), pid, "it is the same process");

    server.kill();
    server.restart();
    all_is_there(&server, &told);
    drop(server);
}

/// What makes room, and what takes next to none.
fn changes_go_on(server: &Server, sessions_ended: usize) {
    assert_eq!(sessions_ended, 0, "nothing was lost");
    let mut client = server.login(&Server::user(1));
    for command in ["SELECT INBOX", "COPY 1 INBOX", "STORE * +FLAGS (\\Deleted)", "EXPUNGE", "CREATE still-works"] {
        client.command(command).expect(command).expect_ok();
    }
    let refused = client.append("INBOX", "", b"Subject: x\r\n\r\nx\r\n").expect("APPEND");
    assert_eq!((refused.status, refused.text), (Status::No, format!("[UNAVAILABLE] {FULL}")));
}

/// Those that showed what the log lost, and no others: readers whose user got no mail meanwhile stay.
fn sessions_were_ended(_: &Server, count: usize) {
    assert!(count > 0, "some message was on its way when the disk was full");
}

/// The reserve: messages are refused while changes that make room go on.
#[test]
fn below_the_reserve_only_messages_are_refused() {
    let Some(disk) = LoopDisk::mount_of(DISK_BYTES, None) else { return };
    let settings = "[store]\nsegment_bytes = 1048576\nfree_bytes_min = 33554432\n";
    fill(&disk, settings, |ballast| ballast.leave_bytes(40 << 20), changes_go_on);
}

#[test]
fn a_disk_without_a_byte_left_is_lived_through() {
    let Some(disk) = LoopDisk::mount_of(DISK_BYTES, None) else { return };
    let settings = "[store]\nsegment_bytes = 1048576\nfree_bytes_min = 0\n";
    fill(&disk, settings, |ballast| ballast.leave_bytes(8 << 20), sessions_were_ended);
}

#[test]
fn a_disk_without_an_inode_left_is_lived_through() {
    let Some(disk) = LoopDisk::mount_of(DISK_BYTES, Some(2000)) else { return };
    let settings = "[store]\nsegment_bytes = 1048576\nfree_bytes_min = 0\n";
    fill(&disk, settings, Ballast::leave_no_inode, sessions_were_ended);
}
