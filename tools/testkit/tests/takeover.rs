//! Live upgrade: a new process takes the place of a running one, under load.

use std::collections::HashMap;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::thread;

use skein_testkit::server::{PASSWORD, Ports, set};
use skein_testkit::wait::{self, PATIENCE};
use skein_testkit::{Server, adm, imap, lmtp, mail, program};

/// What clients of a test saw.
#[derive(Default)]
struct Seen {
    stop: AtomicBool,
    /// Marker by user, of what was acknowledged.
    kept: Mutex<Vec<(usize, String)>>,
    /// Clients that found nobody: refused, reset, or closed without a word.
    refused: Mutex<Vec<String>>,
    /// Sessions that the server ended with a goodbye.
    ended: AtomicUsize,
    sessions: AtomicUsize,
}

impl Seen {
    /// A client's session: what went wrong before the first word is a refusal, and later only a goodbye is fair.
    fn session<C>(&self, connect: impl FnOnce() -> io::Result<C>, serve: impl FnOnce(&mut C) -> io::Result<()>) {
        self.sessions.fetch_add(1, Relaxed);
        let mut client = match connect() {
            Ok(client) => client,
            Err(error) => return self.refused.lock().expect("no panic").push(error.to_string()),
        };
        if serve(&mut client).is_err() {
            self.ended.fetch_add(1, Relaxed);
        }
    }

    fn keep(&self, user: usize, marker: String) {
        self.kept.lock().expect("no panic").push((user, marker));
    }
}

fn failed(text: &str) -> io::Error {
    io::Error::other(text.to_owned())
}

/// One short session after the other, each with an APPEND.
fn appends(seen: &Seen, ports: &Ports, user: usize) {
    for number in 0.. {
        if seen.stop.load(Relaxed) {
            return;
        }
        let marker = format!("append-{user}-{number}");
        seen.session(
            || imap::Client::connect(ports.imap),
            |client| {
                let login = client.login(&Server::user(user), PASSWORD)?;
                if !login.is_ok() || !client.append_at_once("INBOX", "", &mail::marked(&marker))?.is_ok() {
                    return Err(failed("refused"));
                }
                seen.keep(user, marker);
                client.command("LOGOUT").map(drop)
            },
        );
    }
}

/// One long session after the other, ended by the server only.
fn stays(seen: &Seen, ports: &Ports, user: usize) {
    let mut number = 0;
    while !seen.stop.load(Relaxed) {
        seen.session(
            || imap::Client::connect(ports.imap),
            |client| {
                client.login(&Server::user(user), PASSWORD)?;
                client.command("SELECT INBOX")?;
                while !seen.stop.load(Relaxed) {
                    number += 1;
                    let marker = format!("stay-{user}-{number}");
                    if client.append("INBOX", "", &mail::marked(&marker))?.is_ok() {
                        seen.keep(user, marker);
                    }
                    client.command("FETCH 1:* (FLAGS)")?;
                }
                Ok(())
            },
        );
    }
}

fn deliveries(seen: &Seen, ports: &Ports, users: [usize; 2]) {
    for number in 0.. {
        if seen.stop.load(Relaxed) {
            return;
        }
        let marker = format!("delivery-{}-{number}", users[0]);
        seen.session(
            || lmtp::Client::connect(ports.lmtp),
            |client| {
                let names = users.map(Server::user);
                let names: Vec<&str> = names.iter().map(String::as_str).collect();
                client.deliver_with(&names, &mail::marked(&marker), |index, answer| {
                    if answer.is_ok() {
                        seen.keep(users[index], marker.clone());
                    }
                })
            },
        );
    }
}

/// How often each marker is in the user's INBOX.
fn found(server: &Server, user: usize) -> HashMap<String, usize> {
    let mut client = server.login(&Server::user(user));
    client.command("SELECT INBOX").expect("SELECT").expect_ok();
    let mut found = HashMap::new();
    for fetched in client.command("FETCH 1:* (BODY.PEEK[])").expect("FETCH").expect_ok().fetches() {
        let marker = fetched.body().and_then(mail::marker_of).expect("mail of this test");
        *found.entry(marker.to_owned()).or_default() += 1;
    }
    found
}

#[test]
fn under_load_nobody_is_refused_and_nothing_is_lost() {
    let mut server = Server::start_changed(|settings, _| format!("shards = 2\n{settings}"));
    let (ports, seen) = (server.ports().clone(), Seen::default());
    thread::scope(|scope| {
        let (seen, ports) = (&seen, &ports);
        for user in 1..=4 {
            scope.spawn(move || appends(seen, ports, user));
        }
        for user in 3..=6 {
            scope.spawn(move || stays(seen, ports, user));
        }
        for users in [[1, 5], [6, 7], [8, 9]] {
            scope.spawn(move || deliveries(seen, ports, users));
        }
        // The load stops also when a takeover fails.
        let stop = Stop(&seen.stop);
        for shards in [1, 2, 2, 1, 2] {
            let before = seen.sessions.load(Relaxed);
            assert!(wait::until(PATIENCE, || seen.sessions.load(Relaxed) > before + 40), "the load goes on");
            server.change_settings(|settings| settings.replace("shards = 1\n", "").replace("shards = 2\n", ""));
            server.change_settings(|settings| format!("shards = {shards}\n{settings}"));
            server.take_over();
        }
        let before = seen.sessions.load(Relaxed);
        assert!(wait::until(PATIENCE, || seen.sessions.load(Relaxed) > before + 40), "the load goes on");
        drop(stop);
    });
    assert_eq!(*seen.refused.lock().expect("no panic"), Vec::<String>::new(), "of {:?} sessions", seen.sessions);
    let kept = seen.kept.into_inner().expect("no panic");
    assert!(kept.len() > 100, "{}", kept.len());
    let found: HashMap<usize, _> = (1..=9).map(|user| (user, found(&server, user))).collect();
    for (user, marker) in &kept {
        assert_eq!(found[user].get(marker), Some(&1), "{marker} of user {user}");
    }
    // What was not acknowledged may be there, but never twice.
    assert!(found.values().flat_map(HashMap::values).all(|count| *count == 1));
    assert_eq!(server.log().matches("took over").count(), 5, "{}", server.log());
    assert!(server.stop().success());
}

struct Stop<'a>(&'a AtomicBool);

impl Drop for Stop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Relaxed);
    }
}

#[test]
fn old_sessions_end_with_a_goodbye_and_a_command_that_runs_is_finished() {
    let mut server = Server::start_changed(|settings, _| set(&settings, "takeover", "grace_seconds", "60"));
    let user = Server::user(1);
    let mut idle = server.login(&user);
    idle.command("SELECT INBOX").expect("SELECT").expect_ok();
    idle.idle().expect("IDLE");
    let mut uploading = server.login(&user);
    let message = mail::sized("uploaded", 200_000);
    uploading.write(format!("a APPEND INBOX {{{}}}\r\n", message.len()).as_bytes()).expect("it is open");
    assert!(uploading.read_line().expect("a continuation").starts_with(b"+ "));
    uploading.write(&message[..100_000]).expect("it is open");
    let (rest, log) = (message[100_000..].to_vec(), server.folder().join("server.log"));
    let upload = thread::spawn(move || {
        // Nothing is sent before the old process is on its way out.
        let told = || std::fs::read_to_string(&log).is_ok_and(|log| log.contains("another process takes over"));
        assert!(wait::until(PATIENCE, told), "the takeover begins");
        assert!(idle.read_to_close().windows(5).any(|w| w == b"* BYE"));
        uploading.write(&[&rest[..], b"\r\n"].concat()).expect("it is open");
        uploading.finish("a").expect("APPEND").expect_ok();
        assert!(uploading.read_to_close().windows(5).any(|w| w == b"* BYE"));
    });
    server.take_over();
    upload.join().expect("as it should be");
    let mut client = server.login(&user);
    client.command("SELECT INBOX").expect("SELECT").expect_ok();
    let fetched = client.command("FETCH 1:* BODY.PEEK[]").expect("FETCH").expect_ok().fetches();
    assert_eq!(fetched.iter().map(|f| f.body()).collect::<Vec<_>>(), [Some(&message[..])]);
}

#[test]
fn every_socket_is_handed_over_and_what_is_new_is_bound() {
    let mut server = Server::start_changed(|settings, _| {
        settings.replace("lmtp = [", "lmtp = [{ path = \"one.sock\" }, { path = \"two.sock\" }, ")
    });
    let folder = server.folder().to_owned();
    let greeting = |name: &str| {
        let mut stream = UnixStream::connect(folder.join(name))?;
        let mut greeting = [0; 3];
        stream.read_exact(&mut greeting).map(|()| greeting == *b"220")
    };
    assert!(greeting("one.sock").expect("it is there") && greeting("two.sock").expect("it is there"));
    let page = |server: &Server| {
        let mut stream = TcpStream::connect(server.ports().http).expect("it listens");
        stream.write_all(b"GET /readyz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").expect("it listens");
        let mut text = String::new();
        stream.read_to_string(&mut text).expect("it answers");
        text
    };
    let pop3s = server.ports().pop3s;
    let old = server.pid();
    server.change_settings(|settings| {
        let settings = settings.replace("{ path = \"two.sock\" }", "{ path = \"three.sock\" }");
        let pop3s = format!("pop3s = [\"{pop3s}\"]");
        assert!(settings.contains(&pop3s), "{settings}");
        settings.replace(&pop3s, "pop3s = []")
    });
    // The ports of the test kit are all awaited, and this one is closed.
    let take = |server: &Server| {
        let mut command = Command::new(skein_testkit::server::skein_binary());
        let log = std::fs::File::create(server.folder().join("next.log")).expect("ours");
        command.args(["serve", "--takeover", "--config", "skein.toml"]).current_dir(server.folder());
        command.stdin(Stdio::null()).stdout(log).spawn().expect("it starts")
    };
    let mut next = take(&server);
    let ready = || std::fs::read_to_string(server.folder().join("next.log")).is_ok_and(|log| log.contains("is ready"));
    assert!(wait::until(PATIENCE, ready), "the next serves");
    assert_ne!(next.id(), old);
    let told = (page(&server), adm::good(&server, "stats"));
    let one = greeting("one.sock").expect("it is handed over");
    let (two, three) = (greeting("two.sock").is_err(), greeting("three.sock").expect("it is bound"));
    let closed = TcpStream::connect(pop3s).is_err();
    let tls = program::run(
        Command::new("openssl").args(["s_client", "-quiet", "-connect", &server.ports().imaps.to_string()]),
        b"a LOGOUT\r\n",
    );
    next.kill().expect("our own child");
    next.wait().expect("our own child");
    assert!(told.0.starts_with("HTTP/1.1 200"), "{}", told.0);
    assert!(!told.1.is_empty());
    assert!(one && two && three && closed, "{one} {two} {three} {closed}");
    assert!(tls.text().contains("* BYE"), "{}", tls.all_text());
}

#[test]
fn who_can_not_take_over_leaves_the_server_as_it_was() {
    let mut server = Server::start();
    let mut client = server.login(&Server::user(1));
    let good = std::fs::read_to_string(server.folder().join("skein.toml")).expect("it is there");

    // A settings file that is wrong, and an address that is another's.
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = format!("lmtp = [\"{}\", ", taken.local_addr().expect("bound"));
    let wrong = |settings: String| settings.replace("lmtp = [", "lnmtp = [");
    let another = |settings: String| settings.replace("lmtp = [", &address);
    for (change, expect) in [(&wrong as &dyn Fn(String) -> String, "lnmtp"), (&another, "taken by another program")] {
        server.change_settings(change);
        let (status, text) = server.start_second_with(&["--takeover"]);
        assert!(!status.success() && text.contains(expect), "{text}");
        server.change_settings(|_| good.clone());
        client.command("NOOP").expect("the session lives").expect_ok();
        server.login(&Server::user(2)).command("NOOP").expect("it serves").expect_ok();
    }
    // Somebody that says nothing, speaks something else, or leaves with the sockets.
    let path = server.folder().join("data/takeover.sock");
    let hello = br#"{"protocol":1,"version":"9.9","pid":1}"#;
    let future = br#"{"protocol":99,"version":"9.9","pid":1}"#;
    for body in [&b""[..], b"nonsense", future, hello] {
        let mut stream = UnixStream::connect(&path).expect("it listens");
        if !body.is_empty() {
            stream.write_all(&(body.len() as u32).to_be_bytes()).expect("it listens");
            stream.write_all(body).expect("it listens");
        }
        let mut answer = vec![0; 4096];
        if body.starts_with(b"{") {
            assert_ne!(stream.read(&mut answer).expect("an answer"), 0);
        }
        drop(stream);
        client.command("NOOP").expect("the session lives").expect_ok();
    }
    let told = || server.log().contains("9.9 speaks protocol 99") && server.log().contains("broken off");
    assert!(wait::until(PATIENCE, told), "{}", server.log());
    server.take_over();
    assert!(client.read_to_close().windows(5).any(|w| w == b"* BYE"));
    server.login(&Server::user(1)).command("NOOP").expect("it serves").expect_ok();
}

#[test]
fn without_a_server_it_starts_as_always() {
    let mut server = Server::start();
    server.kill();
    // The socket of the one that was killed is still there.
    assert!(server.folder().join("data/takeover.sock").exists());
    let folder = server.folder().to_owned();
    let log = std::fs::File::create(folder.join("next.log")).expect("ours");
    let mut command = Command::new(skein_testkit::server::skein_binary());
    command.args(["serve", "--takeover", "--config", "skein.toml"]).current_dir(&folder);
    let mut child = command.stdout(log).spawn().expect("it starts");
    let up = wait::until(PATIENCE, || imap::Client::connect(server.ports().imap).is_ok());
    child.kill().expect("our own child");
    child.wait().expect("our own child");
    assert!(up, "{}", std::fs::read_to_string(folder.join("next.log")).unwrap_or_default());
}

#[test]
fn as_another_user_than_root() {
    if !program::is_root("becoming somebody else") {
        return;
    }
    let mut server = Server::start_changed(|settings, _| set(&settings, "safety", "user", "\"nobody\""));
    server.login(&Server::user(1)).append_at_once("INBOX", "", &mail::marked("before")).expect("APPEND").expect_ok();
    for _ in 0..2 {
        server.take_over();
        let mut client = server.login(&Server::user(1));
        assert_eq!(client.command("SELECT INBOX").expect("SELECT").expect_ok().exists(), Some(1));
    }
    // Who would be another user does not take what he could not read, or leave what the other could not.
    server.change_settings(|settings| set(&settings, "safety", "user", "\"daemon\""));
    let (status, text) = server.start_second_with(&["--takeover"]);
    assert!(!status.success() && text.contains("belongs to another user"), "{text}");
    server.login(&Server::user(1)).command("NOOP").expect("it serves").expect_ok();
}

/// A supervisor that keeps sockets as systemd does.
struct Supervisor {
    child: Child,
    answers: BufReader<ChildStdout>,
}

impl Supervisor {
    fn tell(&mut self, verb: &str) -> String {
        writeln!(self.child.stdin.as_mut().expect("a pipe"), "{verb}").expect("it runs");
        let mut answer = String::new();
        self.answers.read_line(&mut answer).expect("it answers");
        assert!(!answer.is_empty(), "the supervisor failed at {verb}");
        answer.trim_end().to_owned()
    }
}

impl Drop for Supervisor {
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        self.child.wait().expect("our own child");
    }
}

#[test]
fn sockets_that_a_supervisor_keeps_outlive_a_kill_and_a_stop() {
    let Some(python) = program::python() else { return };
    let mut server = Server::start_changed(|settings, _| {
        let settings = settings.replace("lmtp = [", "lmtp = [{ path = \"one.sock\", mode = \"0600\" }, ");
        format!("shards = 2\n{settings}")
    });
    assert!(server.stop().success());
    let (folder, ports) = (server.folder().to_owned(), server.ports().clone());
    let mut command = Command::new(python);
    command.arg(program::script("supervisor.py")).arg(&folder).arg(skein_testkit::server::skein_binary());
    command.args(["serve", "--config", "skein.toml"]).current_dir(&folder);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("it starts");
    let answers = BufReader::new(child.stdout.take().expect("a pipe"));
    let mut supervisor = Supervisor { child, answers };
    supervisor.tell("start");
    let names = supervisor.tell("names");
    let has = |names: &str, place: String| names.split(' ').any(|name| name == place.replace(':', "_"));
    let unix = |name: &str| folder.join(name).display().to_string();
    for place in [ports.imap, ports.imaps, ports.pop3, ports.pop3s, ports.lmtp, ports.http] {
        assert!(has(&names, place.to_string()), "{place}: {names}");
    }
    for name in ["one.sock", "data/adm.sock", "data/takeover.sock"] {
        assert!(has(&names, unix(name)), "{name}: {names}");
    }
    for end in ["kill", "stop"] {
        assert_eq!(supervisor.tell(end), "ended");
        // Nobody runs, and nobody is refused.
        let waiting: Vec<_> = (0..20).map(|_| imap::Client::connect_unread(ports.imap).expect("the queue")).collect();
        let mut local = UnixStream::connect(folder.join("one.sock")).expect("the queue");
        let changed = std::fs::read_to_string(folder.join("skein.toml")).expect("it is there");
        let changed = changed
            .replace("mode = \"0600\"", "mode = \"0660\"")
            .replace(&format!("pop3s = [\"{}\"]", ports.pop3s), "pop3s = []");
        std::fs::write(folder.join("skein.toml"), changed).expect("ours");
        assert_eq!(supervisor.tell("start"), "started");
        for mut client in waiting {
            assert!(client.read_line().expect("a greeting").starts_with(b"* OK"));
        }
        let mut greeting = [0; 3];
        local.read_exact(&mut greeting).expect("a greeting");
        assert_eq!(&greeting, b"220");
    }
    assert_eq!(std::fs::metadata(folder.join("one.sock")).expect("it is there").permissions().mode() & 0o777, 0o660);
    let names = supervisor.tell("names");
    assert!(has(&names, ports.imap.to_string()) && !has(&names, ports.pop3s.to_string()), "{names}");
    assert!(TcpStream::connect(ports.pop3s).is_err(), "nobody keeps it any more");
    assert!(!adm::good(&server, "stats").is_empty());
}
