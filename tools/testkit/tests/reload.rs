//! SIGHUP: settings, users and certificates change under running sessions, or nothing does.

use std::sync::atomic::{AtomicBool, Ordering};

use rustix::process::Signal;
use skein_testkit::server::{PASSWORD, set};
use skein_testkit::wait::{self, PATIENCE};
use skein_testkit::{Server, imap, lmtp, mail, process};

/// Tells the server to reload and waits for the line that says how it ended.
fn reload(server: &Server, ended: &str) {
    let before = server.log().matches(ended).count();
    process::signal(server.pid(), Signal::HUP);
    assert!(wait::until(PATIENCE, || server.log().matches(ended).count() > before), "{}", server.log());
}

const DONE: &str = "settings, users and certificates read again";
const REFUSED: &str = "the old settings, users and certificates stay";

#[test]
fn settings_and_users_change_under_running_sessions() {
    let mut server = Server::start_changed(|settings, folder| {
        std::fs::write(folder.join("users"), "first:{PLAIN}one\nleaving:{PLAIN}two\n").expect("the folder is ours");
        settings.replace("sources = [", "sources = [{ driver = \"passwd-file\", path = \"users\" }, ")
    });
    // Both of a test user's sessions, wherever they live, and one that has not logged in.
    let mut sessions: Vec<_> = (1..=8).map(|n| server.login(&Server::user(n))).collect();
    let mut early = server.imap();
    early.login("leaving", "two").expect("LOGIN").expect_ok();
    let mut late = server.imap();
    let large = [&mail::marked("large")[..], &vec![b'x'; 4000], b"\r\n"].concat();
    for session in &mut sessions {
        session.append("INBOX", "", &large).expect("APPEND").expect_ok();
    }

    std::fs::write(server.folder().join("users"), "first:{PLAIN}one\nnew:{PLAIN}three\n").expect("the folder is ours");
    server.change_settings(|settings| {
        let settings = set(&settings, "limits", "message_bytes_max", "2048");
        let settings = set(&settings, "auth", "failure_delay_ms", "0");
        let settings = set(&settings, "store", "segment_bytes", "2097152");
        set(&settings, "log", "level", "\"debug\"")
    });
    reload(&server, DONE);
    let log = server.log();
    assert!(log.contains("changed settings that count at the next start settings=store.segment_bytes"), "{log}");
    for key in ["limits.message_bytes_max", "auth.failure_delay_ms", "log.level"] {
        assert!(log.contains(key), "{key}: {log}");
    }
    for session in &mut sessions {
        let refused = session.append("INBOX", "", &large).expect("the session lives");
        assert!(!refused.is_ok() && refused.text.contains("TOOBIG"), "{refused:?}");
        session.append("INBOX", "", &mail::marked("small")).expect("APPEND").expect_ok();
    }
    early.command("NOOP").expect("who is gone from the file stays until he leaves").expect_ok();
    assert!(!late.login("leaving", "two").expect("LOGIN").is_ok());
    late.login("new", "three").expect("LOGIN").expect_ok();
    server.imap().login("first", "one").expect("LOGIN").expect_ok();
    let answers = server.lmtp().deliver(&["leaving", "new"], b"Subject: x\r\n\r\nx\r\n").expect("a delivery");
    assert_eq!(answers.iter().map(|a| a.code / 100).collect::<Vec<_>>(), [5, 2]);
}

#[test]
fn one_mistake_and_nothing_changes() {
    let mut server = Server::start_changed(|settings, _| settings);
    let mut session = server.login(&Server::user(1));
    server.change_settings(|settings| {
        let settings = settings.replace("[limits]\n", "[limits]\nmessage_bytes_max = 2048\nmesage_bytes_max = 1\n");
        settings.replace("[auth]\n", "[auth]\nfailure_delay_ms = \"none\"\n")
    });
    reload(&server, REFUSED);
    let log = server.log();
    assert!(
        log.contains("mesage_bytes_max: there is no such setting; did you mean limits.message_bytes_max?"),
        "{log}"
    );
    assert!(log.contains("auth.failure_delay_ms: is of type string"), "every problem at once: {log}");
    let large = [&mail::marked("large")[..], &vec![b'x'; 4000], b"\r\n"].concat();
    session.append("INBOX", "", &large).expect("APPEND").expect_ok();
    // A file that is right, but names users or a certificate that are not there.
    for (key, value, expect) in [
        ("[auth]\nsources = [", "[auth]\nsources = [{ driver = \"passwd-file\", path = \"nowhere\" }, ", "nowhere"),
        ("[limits]\n", "[tls]\ncert = \"no.pem\"\nkey = \"no.key\"\n[limits]\n", "no.pem"),
    ] {
        server.change_settings(|settings| {
            let settings = settings.replace("mesage_bytes_max = 1\n", "").replace("failure_delay_ms = \"none\"\n", "");
            settings.replace(key, value)
        });
        reload(&server, REFUSED);
        assert!(server.log().contains(expect), "{}", server.log());
        session.append("INBOX", "", &large).expect("APPEND").expect_ok();
        server.change_settings(|settings| settings.replace(value, key));
    }
    reload(&server, DONE);
    assert!(!session.append("INBOX", "", &large).expect("the session lives").is_ok());
}

/// Reloads in a row under load: nobody is sent away, nothing is refused.
#[test]
fn reloads_under_load_send_nobody_away() {
    const RELOADS: usize = 20;
    let mut server = Server::start_changed(|settings, _| settings);
    let done = AtomicBool::new(false);
    let (imap, lmtp) = (server.ports().imap, server.ports().lmtp);
    let read_and_write = |number: usize| {
        let mut client = imap::Client::connect(imap).expect("IMAP");
        client.login(&Server::user(number), PASSWORD).expect("LOGIN").expect_ok();
        client.command("SELECT INBOX").expect("SELECT").expect_ok();
        let mut rounds = 0;
        while !done.load(Ordering::Relaxed) || rounds < RELOADS {
            client
                .append_at_once("INBOX", "", &mail::marked(&format!("{number}-{rounds}")))
                .expect("APPEND")
                .expect_ok();
            client.command("NOOP").expect("NOOP").expect_ok();
            // And one who comes meanwhile.
            let mut other = imap::Client::connect(imap).expect("IMAP");
            other.login(&Server::user(number), PASSWORD).expect("LOGIN").expect_ok();
            rounds += 1;
        }
        rounds
    };
    let deliver = |number: usize| {
        let mut client = lmtp::Client::connect(lmtp).expect("LMTP");
        let mut rounds = 0;
        while !done.load(Ordering::Relaxed) || rounds < RELOADS {
            let answers = client.deliver(&[&Server::user(number)], &mail::marked("delivered")).expect("a delivery");
            assert!(answers.iter().all(lmtp::Answer::is_ok), "{answers:?}");
            rounds += 1;
        }
        rounds
    };
    std::thread::scope(|scope| {
        let sessions: Vec<_> = (1..=4)
            .map(|number| {
                scope.spawn({
                    let work = &read_and_write;
                    move || (number, work(number))
                })
            })
            .collect();
        let senders: Vec<_> = (5..=6)
            .map(|number| {
                scope.spawn({
                    let work = &deliver;
                    move || (number, work(number))
                })
            })
            .collect();
        for round in 0..RELOADS {
            server.change_settings(|settings| set(&settings, "store", "snapshot_ops", &(10 + round).to_string()));
            reload(&server, DONE);
        }
        done.store(true, Ordering::Relaxed);
        for thread in sessions.into_iter().chain(senders) {
            let (number, rounds) = thread.join().expect("nothing went wrong");
            let mut client = server.login(&Server::user(number));
            let count = client.command("EXAMINE INBOX").expect("EXAMINE").expect_ok().exists();
            assert_eq!(count, Some(rounds as u32), "all that was acknowledged, once");
        }
    });
    assert_eq!(server.log().matches(DONE).count(), RELOADS);
}
