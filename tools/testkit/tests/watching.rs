//! What an operator sees of sessions: one name from accept to the end, and what they did.

use skein_testkit::server::{Kind, set};
use skein_testkit::wait::{self, PATIENCE};
use skein_testkit::{Server, process};

/// The line of the log that holds all these words; waits for it.
fn line(server: &Server, words: &[&str]) -> String {
    let found = wait::find(PATIENCE, || {
        let log = server.log();
        log.lines().find(|line| words.iter().all(|word| line.split(' ').any(|has| has == *word))).map(str::to_owned)
    });
    found.unwrap_or_else(|| panic!("no line with {words:?}"))
}

fn value<'a>(line: &'a str, name: &str) -> &'a str {
    let found = line.split(' ').find_map(|word| word.strip_prefix(name)?.strip_prefix('='));
    found.unwrap_or_else(|| panic!("no {name} in {line}"))
}

fn number(line: &str, name: &str) -> u64 {
    value(line, name).parse().unwrap_or_else(|_| panic!("{name} is no number in {line}"))
}

#[test]
fn a_session_has_one_name_from_login_to_its_end_on_any_shard() {
    let server = Server::start_changed(|settings, _| format!("shards = 2\n{settings}"));
    if server.kind() != Kind::Skein {
        return;
    }
    // Some of these are accepted on one shard and live on the other.
    for user in (1..=8).map(Server::user) {
        let mut client = server.login(&user);
        client.command("SELECT INBOX").expect("SELECT").expect_ok();
        client.command("LOGOUT").expect("LOGOUT").expect_ok();
        let login = line(&server, &["login", &format!("user={user}")]);
        let end = line(&server, &["ended", &format!("user={user}")]);
        assert_eq!(value(&login, "session"), value(&end, "session"));
        assert!(end.contains("why=\"logged out\""), "{end}");
        // SELECT and LOGOUT, what they need in bytes, and no more than a few.
        let (sent, got) = (number(&end, "bytes_in"), number(&end, "bytes_out"));
        assert!((40..200).contains(&sent) && (200..4000).contains(&got), "{end}");
        assert!(number(&end, "commands") >= 2, "{end}");
    }
}

#[test]
fn a_delivery_tells_of_each_recipient_under_the_name_of_its_session() {
    let server = Server::start();
    if server.kind() != Kind::Skein {
        return;
    }
    let mut client = server.lmtp();
    let mail = b"Subject: x\r\n\r\nx\r\n";
    let answers = client.deliver(&[&Server::user(1), &Server::user(2)], mail).expect("a delivery");
    assert!(answers.iter().all(|answer| answer.is_ok()));
    drop(client);
    for user in [1, 2].map(Server::user) {
        let delivered = line(&server, &["delivered", &format!("user={user}"), "mailbox=INBOX"]);
        let end = line(&server, &["ended", "service=lmtp", &format!("session={}", value(&delivered, "session"))]);
        assert!(end.contains("why=\"the client closed the connection\""), "{end}");
        assert!(number(&delivered, "bytes") > mail.len() as u64, "with its trace header: {delivered}");
    }
}

#[test]
fn a_json_log_is_one_object_a_line() {
    let server = Server::start_changed(|settings, _| format!("{settings}\n[log]\nformat = \"json\"\n"));
    if server.kind() != Kind::Skein {
        return;
    }
    server.login(&Server::user(1)).command("LOGOUT").expect("LOGOUT").expect_ok();
    let ended = wait::find(PATIENCE, || {
        let log = server.log();
        log.lines()
            .find(|line| line.contains("\"message\":\"session ended\"") && line.contains("logged out"))
            .map(str::to_owned)
    });
    let ended = ended.expect("a line of its end");
    for part in ["{\"time\":\"", "\"level\":\"INFO\"", "\"session\":\"", "\"why\":\"logged out\"", "\"commands\":"] {
        assert!(ended.contains(part), "{part} is missing in {ended}");
    }
}

#[test]
fn parts_of_the_server_have_levels_of_their_own() {
    let mut server = Server::start_changed(|settings, _| set(&settings, "log", "modules", "\"skein_serve=error\""));
    if server.kind() != Kind::Skein {
        return;
    }
    server.login(&Server::user(1)).command("LOGOUT").expect("LOGOUT").expect_ok();
    server.change_settings(|settings| set(&settings, "log", "modules", "\"\""));
    process::signal(server.pid(), rustix::process::Signal::HUP);
    let reloaded = || server.log().contains("settings, users and certificates read again");
    assert!(wait::until(PATIENCE, reloaded), "{}", server.log());
    server.login(&Server::user(2)).command("LOGOUT").expect("LOGOUT").expect_ok();
    line(&server, &["login", &format!("user={}", Server::user(2))]);
    // Lines of other parts were there all the time.
    let log = server.log();
    // The first session's end may be told after the reload; its login came before.
    let of_first =
        |line: &str| line.contains(" login session=") && line.contains(&format!("user={} ", Server::user(1)));
    assert!(log.contains(" confined ") && !log.lines().any(of_first), "{log}");
}
