//! `skein adm user add|passwd|delete`: the passwd-file changes, the server knows at once, and sessions end.

use skein_testkit::adm::{self, bad, good};
use skein_testkit::wait::{self, PATIENCE};
use skein_testkit::{Server, program, server};
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::process::Command;

const USERS: &str = "# ours, by hand\nanna:{PLAIN}secret::::::userdb_x=1\r\n\n  odd line\nben:{PLAIN}secret";

/// A server with [`USERS`], whose file is somebody else's.
fn server() -> Server {
    Server::start_changed(|settings, folder| {
        let users = folder.join("users");
        fs::write(&users, USERS).expect("ours");
        fs::set_permissions(&users, fs::Permissions::from_mode(0o640)).expect("ours");
        if program::is_root("another's file") {
            std::os::unix::fs::chown(&users, Some(12345), Some(54321)).expect("root may");
        }
        let sources = "sources = [\n{ driver = \"passwd-file\", path = \"users\" },\n";
        settings.replace("[auth]\n", "[auth]\nfailure_delay_ms = 0\n").replace("sources = [\n", sources)
    })
}

fn logs_in(server: &Server, user: &str, password: &str) -> bool {
    server.imap().login(user, password).expect("an answer").is_ok()
}

#[test]
fn a_user_comes_changes_and_goes() {
    let server = server();
    let file = server.folder().join("users");
    let before = fs::metadata(&file).expect("there");
    let run = |line: &str, password: &str| adm::run(&server, line, password.as_bytes()).expect_ok(line).text();
    let users = || fs::read_to_string(&file).expect("UTF-8");

    // Unknown is remembered of him, and must not count any more.
    assert!(!logs_in(&server, "carl", "word"));
    let row = run("--json user add --stdin -s SSHA512 Carl", "word\n");
    assert!(row.starts_with("{\"user\":\"carl\",\"done\":\"added\",\"file\":\""), "{row}");
    assert!(row.trim_end().ends_with("\"known\":true,\"kicked\":0}"), "{row}");
    assert!(users().starts_with(&format!("{USERS}\ncarl:{{SSHA512}}")), "{}", users());
    let mut session = server.imap();
    session.login("carl", "word").expect("LOGIN").expect_ok();

    // The old password is remembered as right.
    let table = run("user passwd --hash {PLAIN}other carl", "");
    assert!(table.starts_with("USER  DONE") && table.contains("password changed"), "{table}");
    assert!(!logs_in(&server, "carl", "word") && logs_in(&server, "carl", "other"));
    session.command("NOOP").expect("who is in stays in").expect_ok();
    assert_eq!(users(), format!("{USERS}\ncarl:{{PLAIN}}other\n"));
    run("user passwd --stdin -s PLAIN ANNA", "new");
    assert!(users().contains("\nanna:{PLAIN}new::::::userdb_x=1\r\n\n  odd line\nben:{PLAIN}secret\n"), "{}", users());

    session.append("INBOX", "", b"Subject: kept\r\n\r\n").expect("APPEND").expect_ok();
    let row = run("--json user delete carl", "");
    assert!(row.trim_end().ends_with("\"known\":false,\"kicked\":1}"), "{row}");
    assert!(session.read_to_close().starts_with(b"* BYE "));
    assert!(!logs_in(&server, "carl", "other"));
    assert_eq!(users(), format!("{USERS}\n").replace("anna:{PLAIN}secret", "anna:{PLAIN}new"));
    let info = good(&server, "--json user info carl");
    assert!(info.contains("\"known\":false") && info.contains("\"messages\":1"), "his mail stays: {info}");
    run("user add --hash {PLAIN}back --fields 'nologin reason=Later' carl", "");
    assert!(users().ends_with("\ncarl:{PLAIN}back::::::nologin reason=Later\n"), "{}", users());
    assert!(!logs_in(&server, "carl", "back"));

    let after = fs::metadata(&file).expect("there");
    assert_eq!((after.mode(), after.uid(), after.gid()), (before.mode(), before.uid(), before.gid()));
    let left =
        fs::read_dir(server.folder()).expect("ours").filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    assert!(left.into_iter().all(|name| !name.contains("users.")), "nothing lies beside it");
    assert!(!server.log().contains("back"), "no password in the log");
}

#[test]
fn what_can_not_be_done_leaves_the_file_alone() {
    let server = server();
    let file = server.folder().join("users");
    fs::write(server.folder().join("unreadable"), "x:y").expect("ours");
    for (line, code, expect) in [
        ("user add --hash {PLAIN}x anna", 65, "there already"),
        ("user add --hash {ROT13}x carl", 65, "ROT13"),
        ("user add --hash x carl", 65, "no scheme"),
        ("user add --hash {PLAIN}x --fields allow_nets=x carl", 64, "--fields"),
        ("user add --hash {PLAIN}x 'no user'", 64, "no user"),
        ("user add -s ROT13 --stdin carl", 64, "choose one of"),
        ("user add --hash {PLAIN}x --stdin carl", 2, "cannot be used"),
        ("user passwd --hash {PLAIN}x carl", 67, "has carl"),
        ("user passwd --hash {PLAIN}a:b anna", 65, "no ':'"),
        ("user delete test1", 67, "has test1"),
        ("user delete --file nowhere anna", 65, "nowhere"),
    ] {
        let (got, said) = bad(&server, line);
        assert_eq!(got, Some(code), "{line}: {said}");
        assert!(said.contains(expect), "{line}: {said}");
    }
    assert_eq!(fs::read_to_string(&file).expect("there"), USERS);
    // Which of several has to be said.
    let settings =
        "[auth]\nsources = [{ driver = 'passwd-file', path = 'a' }, { driver = 'passwd-file', path = 'b' }]\n";
    fs::write(server.folder().join("two.toml"), settings).expect("ours");
    fs::write(server.folder().join("a"), "").expect("ours");
    fs::write(server.folder().join("b"), "anna:\n").expect("ours");
    let two = |arguments: &[&str]| {
        let mut command = Command::new(server::skein_binary());
        command.args(["adm", "--config", "two.toml"]).args(arguments).current_dir(server.folder());
        program::run(&mut command, b"")
    };
    let said = two(&["user", "add", "--hash", "{PLAIN}x", "zoe"]);
    assert!(said.status.code() == Some(64) && said.all_text().contains("several"), "{}", said.all_text());
    // Nobody serves these: it counts when somebody does.
    let said = two(&["--json", "user", "passwd", "--hash", "{PLAIN}x", "anna"]).expect_ok("passwd");
    assert!(said.all_text().contains("when a server reads"), "{}", said.all_text());
    assert!(said.text().trim_end().ends_with("\"known\":null,\"kicked\":null}"), "{}", said.text());
    assert_eq!(fs::read_to_string(server.folder().join("b")).expect("there"), "anna:{PLAIN}x\n");
}

#[test]
fn many_at_once_lose_nothing() {
    let server = server();
    std::thread::scope(|scope| {
        for n in 0..4 {
            let server = &server;
            scope.spawn(move || {
                for m in 0..4 {
                    good(server, &format!("user add --hash {{PLAIN}}pw{n}{m} new{n}{m}"));
                }
            });
        }
    });
    for n in 0..4 {
        assert!(wait::until(PATIENCE, || logs_in(&server, &format!("new{n}3"), &format!("pw{n}3"))), "new{n}3");
    }
    let text = fs::read_to_string(server.folder().join("users")).expect("UTF-8");
    assert!(text.starts_with(USERS) && text.matches("\nnew").count() == 16, "{text}");
}

#[test]
fn mail_goes_for_good_when_asked_and_a_new_account_begins() {
    let mut server = server();
    let run = |server: &Server, line: &str| adm::run(server, line, b"").expect_ok(line).text();
    let fill = |server: &Server| {
        let mut session = server.imap();
        session.login("anna", "secret").expect("LOGIN").expect_ok();
        session.command("CREATE Work").expect("CREATE").expect_ok();
        let selected = session.command("SELECT INBOX").expect("SELECT").expect_ok();
        let validity: u32 = selected.code("UIDVALIDITY").and_then(|code| code.parse().ok()).expect("a UIDVALIDITY");
        for n in 0..40 {
            let text = format!("Subject: {n}\r\n\r\n{}\r\n", "private text ".repeat(2000));
            session.append("INBOX", "", text.as_bytes()).expect("APPEND").expect_ok();
        }
        (session, validity)
    };
    let (mut session, before) = fill(&server);
    let account = server.folder().join("data/accounts");
    // The small log drains, so that some of the mail is in packs.
    assert!(wait::until(PATIENCE, || files_below(&account).iter().any(|name| name.ends_with(".pack"))));

    let (code, said) = bad(&server, "user delete --mail anna");
    assert!(code == Some(64) && said.contains("--yes"), "{said}");
    let (code, said) = bad(&server, "user delete --yes anna");
    assert_eq!(code, Some(2), "{said}");
    session.command("NOOP").expect("nothing has happened").expect_ok();

    let row = run(&server, "--json user delete --mail --yes anna");
    assert!(row.trim_end().ends_with("\"known\":false,\"kicked\":1,\"mail\":\"removed\"}"), "{row}");
    session.read_to_close();
    let left = files_below(&account);
    assert!(left.iter().all(|name| name == "tree"), "{left:?}");
    assert_eq!(bad(&server, "user info anna").0, Some(67));
    assert_eq!(good(&server, "user list an*"), "");
    assert_eq!(bad(&server, "user delete --mail --yes anna").0, Some(67));

    // A kill in between does not bring it back.
    server.kill();
    server.restart();
    run(&server, "user add --hash {PLAIN}secret anna");
    assert_eq!(run(&server, "--json search anna all"), "");
    let (mut session, after) = fill(&server);
    assert!(after > before, "clients must not take the new mail for the old: {before} {after}");
    assert_eq!(session.command("NOOP").expect("NOOP").expect_ok().exists(), None);
    assert_eq!(run(&server, "--json search anna all").lines().count(), 40);

    // Somebody in no file, whom another source knows.
    let mut other = server.login("test5");
    other.append("INBOX", "", b"Subject: x\r\n\r\n").expect("APPEND").expect_ok();
    assert_eq!(
        run(&server, "--json user delete --mail --yes test5").trim(),
        "{\"user\":\"test5\",\"mail\":\"removed\"}"
    );
    other.read_to_close();
    let mut other = server.login("test5");
    assert_eq!(other.command("SELECT INBOX").expect("SELECT").expect_ok().exists(), Some(0));
    assert!(!server.log().contains("ERROR"), "{}", server.log());
}

fn files_below(folder: &std::path::Path) -> Vec<String> {
    let mut names = Vec::new();
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        match entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            true => names.extend(files_below(&entry.path())),
            false => names.push(entry.file_name().to_string_lossy().into_owned()),
        }
    }
    names
}
