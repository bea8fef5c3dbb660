//! Virtual mailboxes, against the running server.

use skein_testkit::Server;
use skein_testkit::adm::good;
use skein_testkit::imap::{Client, ask_lines as ask, check_lines as check};
use skein_testkit::server::{set, skein_binary};
use skein_testkit::wait;

const SETTINGS: &str = "[virtual_mailbox.All]\nquery = 'ALL'\nfrom = ['*', '-Trash*']\nspecial_use = '\\All'\n\
                        [virtual_mailbox.Flagged]\nquery = 'FLAGGED'\nspecial_use = '\\Flagged'\n\
                        [virtual_mailbox.'To do/News']\nquery = 'UNSEEN SUBJECT \"news of\" YOUNGER 864000'\n";

fn server() -> Server {
    Server::start_changed(|settings, _| format!("{settings}{SETTINGS}"))
}

/// It is done, whatever it tells.
#[track_caller]
fn run(client: &mut Client, command: &str) {
    client.command(command).expect(command).expect_ok();
}

/// The line of an open command.
#[track_caller]
fn told(client: &mut Client, expect: &str) {
    let line = client.read_response().expect(expect);
    assert_eq!(String::from_utf8_lossy(&line).trim_end(), format!("* {expect}"));
}

/// What a command tells with this word before a number.
#[track_caller]
fn number(client: &mut Client, command: &str, word: &str) -> u32 {
    let lines = ask(client, command).join("\n");
    let at = lines.find(word).unwrap_or_else(|| panic!("{word}: {lines}")) + word.len();
    lines[at..].trim_start().split(|c: char| !c.is_ascii_digit()).next().unwrap().parse().expect(word)
}

#[track_caller]
fn append(client: &mut Client, mailbox: &str, flags: &str, subject: &str) {
    let mail = format!("From: a@example.org\r\nSubject: {subject}\r\n\r\nText of {subject}\r\n");
    client.append(mailbox, flags, mail.as_bytes()).expect("APPEND").expect_ok();
}

/// One mailbox of each kind, and a message or two in each, one minute after the other.
fn fill(client: &mut Client) {
    check(client, "CREATE Sent", &["Ok"]);
    check(client, "CREATE Trash", &["Ok"]);
    let all = [
        ("INBOX", "", "one"),
        ("Sent", "\\Seen", "two"),
        ("Trash", "\\Flagged", "three"),
        ("INBOX", "\\Flagged $Work", "four"),
    ];
    for (minute, (mailbox, flags, subject)) in all.into_iter().enumerate() {
        let mail = format!("From: a@example.org\r\nSubject: {subject}\r\n\r\nText of {subject}\r\n");
        let date = format!("\"01-Jan-2026 12:{minute:02}:00 +0000\"");
        run(client, &format!("APPEND {mailbox} ({flags}) {date} {{{}+}}\r\n{mail}", mail.len()));
    }
}

#[test]
fn they_are_listed_and_nothing_else_is_there() {
    let server = server();
    let mut client = server.login("test1");
    let client = &mut client;
    check(client, "NAMESPACE", &[r#"NAMESPACE (("" "/")("Virtual/" "/")) NIL NIL"#, "Ok"]);
    let all = [
        r#"LIST (\HasNoChildren) "/" INBOX"#,
        r#"LIST (\NonExistent \HasChildren) "/" Virtual"#,
        r#"LIST (\HasNoChildren \All) "/" Virtual/All"#,
        r#"LIST (\HasNoChildren \Flagged) "/" Virtual/Flagged"#,
        r#"LIST (\NonExistent \HasChildren) "/" "Virtual/To do""#,
        r#"LIST (\HasNoChildren) "/" "Virtual/To do/News""#,
    ];
    let listed = ask(client, "LIST \"\" * RETURN (SPECIAL-USE)");
    let attributes = |line: &str| {
        let (before, name) = line.split_once(") ").expect("attributes");
        let mut words: Vec<String> = before.trim_start_matches("LIST (").split(' ').map(str::to_owned).collect();
        words.sort();
        (words, name.to_owned())
    };
    let listed: Vec<_> = listed[..listed.len() - 1].iter().map(|line| attributes(line)).collect();
    assert_eq!(listed, all.map(attributes));
    check(client, "LIST (SPECIAL-USE) \"\" *", &[all[2], all[3], "Ok"]);
    check(client, "SUBSCRIBE Virtual/All", &["Ok"]);
    check(client, "LSUB \"\" *", &[r#"LSUB (\HasNoChildren) "/" Virtual/All"#, "Ok"]);
    for (command, end) in [
        ("CREATE Virtual/More", "No [CANNOT] Only virtual mailboxes"),
        ("DELETE Virtual/All", "No [CANNOT] A virtual mailbox can not be deleted"),
        ("RENAME Virtual/All Other", "No [CANNOT]"),
        ("RENAME INBOX Virtual/All", "No [CANNOT]"),
        ("SELECT Virtual/More", "No [NONEXISTENT]"),
        ("STATUS Virtual/More (MESSAGES)", "No [NONEXISTENT]"),
        ("GETMETADATA Virtual/All /private/comment", "No [CANNOT]"),
        ("SETMETADATA Virtual/All (/private/comment \"x\")", "No [CANNOT]"),
        ("GETQUOTAROOT Virtual/All", "No [CANNOT]"),
        ("RESETKEY Virtual/All", "No [CANNOT]"),
    ] {
        check(client, command, &[end]);
    }
    let refused = client.append("Virtual/All", "", b"Subject: x\r\n\r\n").expect("APPEND");
    assert!(!refused.is_ok() && refused.text.contains("can not be put into a virtual mailbox"), "{refused:?}");
    append(client, "INBOX", "", "one");
    run(client, "SELECT INBOX");
}

#[test]
fn messages_are_read_and_changed_through_them() {
    let server = server();
    let (mut one, mut two) = (server.login("test1"), server.login("test1"));
    fill(&mut one);
    check(
        &mut one,
        "STATUS Virtual/All (MESSAGES UNSEEN UIDNEXT RECENT)",
        &["STATUS Virtual/All (MESSAGES 3 RECENT 0 UIDNEXT 4 UNSEEN 2)", "Ok"],
    );
    assert_eq!(number(&mut one, "SELECT Virtual/All", "UIDNEXT"), 4);
    let fetch = "FETCH 1:* (UID FLAGS BODY.PEEK[])";
    let lines = |client: &mut Client| -> Vec<String> {
        let reply = client.command(fetch).expect("FETCH").expect_ok();
        let of = |fetched: &skein_testkit::imap::Fetched| {
            let flags: Vec<String> = fetched.flags().expect("FLAGS").into_iter().collect();
            let body = String::from_utf8_lossy(fetched.body().expect("a body")).into_owned();
            let subject = body.lines().nth(1).expect("a subject");
            format!("{} {} {subject}", fetched.uid().expect("UID"), flags.join("+"))
        };
        reply.fetches().iter().map(of).collect()
    };
    let all = lines(&mut one);
    assert_eq!(all, ["1  Subject: one", "2 \\Seen Subject: two", "3 $Work+\\Flagged Subject: four"]);
    check(&mut one, "SEARCH FLAGGED", &["SEARCH 3", "Ok"]);
    check(&mut one, "SEARCH TEXT \"text of two\"", &["SEARCH 2", "Ok"]);
    check(&mut one, "UID SORT (REVERSE SUBJECT) UTF-8 ALL", &["SORT 2 1 3", "Ok"]);
    check(&mut one, "UID THREAD REFERENCES UTF-8 ALL", &["THREAD (1)(2)(3)", "Ok"]);

    // Flags go to the messages themselves, each where it is, and come from there.
    run(&mut two, "SELECT INBOX");
    check(
        &mut one,
        "STORE 1:2 +FLAGS (\\Answered $Both)",
        &[
            "FLAGS (\\Answered \\Flagged \\Deleted \\Seen \\Draft $Work $Both)",
            "OK [PERMANENTFLAGS (\\Answered \\Flagged \\Deleted \\Seen \\Draft $Work $Both \\*)] Flags permitted.",
            "1 FETCH (FLAGS (\\Answered $Both))",
            "2 FETCH (FLAGS (\\Answered \\Seen $Both))",
            "Ok",
        ],
    );
    check(&mut one, "STORE 1:3 +FLAGS.SILENT (\\Draft)", &["Ok"]);
    check(&mut one, "NOOP", &["Ok"]);
    let seen = ask(&mut two, "NOOP").join("\n");
    assert!(seen.contains("1 FETCH (FLAGS (\\Answered \\Draft") && seen.contains("2 FETCH"), "{seen}");
    check(&mut two, "STORE 2 -FLAGS.SILENT (\\Draft \\Flagged)", &["Ok"]);
    check(&mut one, "NOOP", &["3 FETCH (FLAGS ($Work))", "Ok"]);
    // Reading marks as read.
    let read = ask(&mut one, "FETCH 1 BODY[TEXT]").join("\n");
    assert!(read.contains("Text of one") && read.contains("\\Seen"), "{read}");
    run(&mut two, "NOOP");
    check(&mut two, "SEARCH SEEN", &["SEARCH 1", "Ok"]);

    // CONDSTORE's numbers are the virtual mailbox's own.
    let modseq = number(&mut one, "FETCH 1 MODSEQ", "MODSEQ (");
    check(&mut two, "STORE 1 +FLAGS.SILENT (\\Flagged)", &["Ok"]);
    let refused = ask(&mut one, &format!("STORE 1:2 (UNCHANGEDSINCE {modseq}) +FLAGS.SILENT ($Late)")).join("\n");
    assert!(refused.contains("[MODIFIED 1]"), "{refused}");

    // COPY and MOVE; UIDs pair up.
    check(&mut one, "CREATE Kept", &["Ok"]);
    let copied = ask(&mut one, "COPY 1:3 Kept").join("\n");
    // The copies are messages like others.
    assert!(copied.contains("COPYUID") && copied.contains(" 1:3 1:3]") && copied.contains("6 EXISTS"), "{copied}");
    let order = ask(&mut one, "FETCH 4:6 BODY.PEEK[TEXT]").join("\n");
    let at = |text: &str| order.find(text).expect(text);
    assert!(at("Text of one") < at("Text of two") && at("Text of two") < at("Text of four"), "{order}");
    let moved = ask(&mut one, "UID MOVE 2 Trash").join("\n");
    assert!(moved.contains("COPYUID") && moved.contains("2 EXPUNGE"), "{moved}");
    check(&mut two, "STATUS Sent (MESSAGES)", &["STATUS Sent (MESSAGES 0)", "Ok"]);
    check(&mut two, "STATUS Trash (MESSAGES)", &["STATUS Trash (MESSAGES 2)", "Ok"]);
    for command in ["COPY 1 Virtual/All", "MOVE 1 Virtual/Flagged"] {
        check(&mut one, command, &["No [CANNOT] Messages can not be put into a virtual mailbox"]);
    }

    // REPLACE takes one out where it is.
    let mail = "Subject: two again\r\n\r\nx\r\n";
    let replaced = ask(&mut one, &format!("UID REPLACE 5 Trash {{{}+}}\r\n{mail}", mail.len())).join("\n");
    assert!(replaced.contains("APPENDUID") && replaced.contains("EXPUNGE"), "{replaced}");
    check(&mut two, "STATUS Kept (MESSAGES)", &["STATUS Kept (MESSAGES 2)", "Ok"]);

    // EXPUNGE takes them out where they are, whoever says it and wherever.
    run(&mut one, "UID STORE 1 +FLAGS.SILENT (\\Deleted)");
    check(&mut one, "EXPUNGE", &["1 EXPUNGE", "Ok"]);
    check(&mut two, "NOOP", &["1 EXPUNGE", "1 RECENT", "Ok"]);
    check(&mut two, "UID SEARCH ALL", &["SEARCH 2", "Ok"]);
    check(&mut two, "STORE 1 +FLAGS.SILENT (\\Deleted)", &["Ok"]);
    check(&mut two, "CLOSE", &["Ok"]);
    check(&mut one, "NOOP", &["1 EXPUNGE", "Ok"]);
    check(&mut one, "SEARCH ALL", &["SEARCH 1 2", "Ok"]);
    check(&mut two, "DELETE Kept", &["Ok"]);
    check(&mut one, "NOOP", &["2 EXPUNGE", "1 EXPUNGE", "Ok"]);
    // Nothing changes in one that is examined.
    append(&mut two, "INBOX", "", "five");
    run(&mut two, "EXAMINE Virtual/All");
    check(&mut two, "STORE 1 +FLAGS (\\Seen)", &["No [READ-ONLY]"]);
    check(&mut two, "EXPUNGE", &["No [READ-ONLY]"]);
}

/// A message gets too old for one mailbox and old enough for another, and nothing else happens.
/// UIDVALIDITY was another one as soon as nobody had used the account for a minute, and clients read all of it again.
#[test]
fn uids_stay_while_the_account_is_out_of_memory() {
    let server = Server::start_changed(|settings, _| {
        format!("{}{SETTINGS}", set(&settings, "store", "account_idle_seconds", "1"))
    });
    let closed = || good(&server, "--json stats").lines().all(|shard| shard.contains("\"accounts_open\":0,"));
    let leave = |mut client: Client| {
        run(&mut client, "LOGOUT");
        assert!(wait::until(wait::PATIENCE, closed), "the account stays");
    };
    let mut client = server.login("test1");
    fill(&mut client);
    check(&mut client, "STATUS Virtual/All (MESSAGES UIDNEXT)", &["STATUS Virtual/All (MESSAGES 3 UIDNEXT 4)", "Ok"]);
    // What is made anew would call the others 1 and 2.
    run(&mut client, "SELECT INBOX");
    run(&mut client, "STORE 1 +FLAGS.SILENT (\\Deleted)");
    run(&mut client, "EXPUNGE");
    run(&mut client, "UNSELECT");
    let validity = number(&mut client, "STATUS Virtual/All (UIDVALIDITY)", "UIDVALIDITY");
    let modseq = number(&mut client, "STATUS Virtual/All (HIGHESTMODSEQ)", "HIGHESTMODSEQ");
    leave(client);
    // Somebody comes who does not look at it.
    let mut client = server.login("test1");
    append(&mut client, "Sent", "", "five");
    leave(client);

    let mut client = server.login("test1");
    check(&mut client, "ENABLE QRESYNC", &["ENABLED QRESYNC", "Ok"]);
    let told = ask(&mut client, &format!("SELECT Virtual/All (QRESYNC ({validity} {modseq}))")).join("\n");
    assert!(told.contains(&format!("[UIDVALIDITY {validity}]")), "{told}");
    assert!(told.contains("3 FETCH (UID 4 ") && told.matches(" FETCH (").count() == 1, "only what is new: {told}");
    let subjects = ask(&mut client, "UID FETCH 2:* (BODY.PEEK[TEXT])").join("\n");
    let all = [("UID 2", "two"), ("UID 3", "four"), ("UID 4", "five")];
    assert!(
        all.iter().all(|(uid, text)| subjects.contains(uid) && subjects.contains(&format!("Text of {text}"))),
        "{subjects}"
    );
}

#[test]
fn time_alone_brings_in_and_takes_out() {
    let settings = "[virtual_mailbox.Young]\nquery = 'YOUNGER 3600'\n[virtual_mailbox.Old]\nquery = 'OLDER 3600'\n";
    let server = Server::start_changed(|text, _| format!("{text}{settings}"));
    // However slowly all is set up, it is done in time for one of these.
    for (n, seconds) in [2, 4, 8, 16, 32].into_iter().enumerate() {
        let user = Server::user(n + 1);
        let select = |name: &str| {
            let mut client = server.login(&user);
            run(&mut client, &format!("SELECT Virtual/{name}"));
            let count = ask(&mut client, "SEARCH ALL");
            (client, count)
        };
        select("Young").0.append_aged("INBOX", 3600 - seconds, b"Subject: x\r\n\r\n").expect("APPEND").expect_ok();
        let [young, old] = ["Young", "Old"].map(|name| [select(name), select(name)]);
        let is_young =
            young.iter().all(|(_, found)| found[0] == "SEARCH 1") && old.iter().all(|(_, found)| found[0] == "SEARCH");
        if !is_young {
            continue;
        }
        let ([(mut young, _), (mut young_asked, _)], [(mut old, _), (mut old_asked, _)]) = (young, old);
        let tags = [&mut young, &mut old].map(|client| client.send("IDLE").expect("IDLE"));
        let until = |client: &mut Client, wanted: &str| {
            while client.read_response().expect(wanted).trim_ascii_end() != wanted.as_bytes() {}
        };
        until(&mut young, "* 1 EXPUNGE");
        until(&mut old, "* 1 EXISTS");
        young.done(&tags[0]).expect("DONE").expect_ok();
        old.done(&tags[1]).expect("DONE").expect_ok();
        check(&mut young_asked, "NOOP", &["1 EXPUNGE", "Ok"]);
        check(&mut old_asked, "NOOP", &["1 EXISTS", "0 RECENT", "Ok"]);
        check(&mut old_asked, "NOOP", &["Ok"]);
        check(&mut young, "STATUS Virtual/Young (MESSAGES)", &["STATUS Virtual/Young (MESSAGES 0)", "Ok"]);
        return;
    }
    panic!("half a minute is not enough to set it up");
}

#[test]
fn what_comes_and_what_is_looked_for_no_more_is_told() {
    let mut server = server();
    let (mut one, mut two) = (server.login("test1"), server.login("test1"));
    fill(&mut two);
    run(&mut one, "SELECT Virtual/Flagged");
    check(&mut one, "SEARCH ALL", &["SEARCH 1 2", "Ok"]);
    let tag = one.idle().expect("IDLE");
    append(&mut two, "Sent", "\\Flagged", "five");
    told(&mut one, "3 EXISTS");
    told(&mut one, "0 RECENT");
    // A flag brings one in; without it, it stays until an EXPUNGE.
    run(&mut two, "SELECT INBOX");
    check(&mut two, "STORE 1 +FLAGS.SILENT (\\Flagged)", &["Ok"]);
    told(&mut one, "4 EXISTS");
    told(&mut one, "0 RECENT");
    check(&mut two, "STORE 1 -FLAGS.SILENT (\\Flagged)", &["Ok"]);
    told(&mut one, "4 FETCH (FLAGS ())");
    one.done(&tag).expect("DONE").expect_ok();
    check(&mut one, "NOOP", &["Ok"]);
    check(&mut one, "STATUS Virtual/Flagged (MESSAGES)", &["STATUS Virtual/Flagged (MESSAGES 4)", "Ok"]);
    check(&mut one, "EXPUNGE", &["4 EXPUNGE", "Ok"]);
    check(&mut two, "STATUS INBOX (MESSAGES)", &["STATUS INBOX (MESSAGES 2)", "Ok"]);
    // Another mailbox is found by itself, and one that is deleted goes with its messages.
    check(&mut two, "CREATE New", &["Ok"]);
    append(&mut two, "New", "\\Flagged", "six");
    check(&mut one, "NOOP", &["4 EXISTS", "0 RECENT", "Ok"]);
    check(&mut two, "RENAME New Newer", &["Ok"]);
    check(&mut one, "NOOP", &["Ok"]);
    check(&mut two, "DELETE Newer", &["Ok"]);
    check(&mut one, "NOOP", &["4 EXPUNGE", "Ok"]);
    // Opened anew, what is looked for no more is not there; UIDs are those of before.
    check(&mut two, "STORE 2 -FLAGS.SILENT (\\Flagged)", &["Ok"]);
    run(&mut one, "NOOP");
    let validity = number(&mut one, "SELECT Virtual/Flagged", "UIDVALIDITY");
    let uids = ask(&mut one, "UID SEARCH ALL")[0].clone();
    assert_eq!(uids.split(' ').count(), 3, "{uids}");
    assert_eq!(number(&mut two, "SELECT Virtual/Flagged", "UIDVALIDITY"), validity);
    check(&mut two, "UID SEARCH ALL", &[&uids, "Ok"]);
    // Mail that is delivered.
    let mail = b"From: b@example.org\r\nSubject: News of today\r\n\r\nx\r\n";
    assert_eq!(number(&mut one, "SELECT \"Virtual/To do/News\"", "UIDNEXT"), 1);
    let tag = one.idle().expect("IDLE");
    assert!(server.lmtp().deliver(&["test1"], mail).expect("LMTP")[0].is_ok());
    told(&mut one, "1 EXISTS");
    told(&mut one, "0 RECENT");
    one.done(&tag).expect("DONE").expect_ok();

    // After a restart UIDs are given anew, and so is UIDVALIDITY.
    server.kill();
    server.restart();
    let mut one = server.login("test1");
    assert!(number(&mut one, "SELECT Virtual/Flagged", "UIDVALIDITY") > validity);
    check(&mut one, "UID SEARCH ALL", &["SEARCH 1 2", "Ok"]);
    let old = format!("SELECT Virtual/Flagged (QRESYNC ({validity} 1))");
    run(&mut one, "ENABLE QRESYNC");
    let again = ask(&mut one, &old).join("\n");
    assert!(again.contains("2 EXISTS") && !again.contains("VANISHED"), "{again}");
}

#[test]
fn messages_go_to_other_users() {
    let server =
        Server::start_changed(|settings, _| format!("{settings}{SETTINGS}[namespaces]\nshared_prefix = 'shared/'\n"));
    let (mut one, mut two) = (server.login("test1"), server.login("test2"));
    fill(&mut one);
    check(&mut two, "CREATE Box", &["Ok"]);
    check(&mut two, "SETACL Box test1 lrswi", &["Ok"]);
    run(&mut one, "SELECT Virtual/All");
    let copied = ask(&mut one, "COPY 1:2 shared/test2/Box").join("\n");
    assert!(copied.contains(" 1:2 1:2]"), "{copied}");
    check(&mut two, "STATUS Box (MESSAGES)", &["STATUS Box (MESSAGES 2)", "Ok"]);
    run(&mut one, "SELECT shared/test2/Box");
    check(&mut one, "COPY 1 Virtual/All", &["No [CANNOT]"]);
    check(&mut one, "SELECT Virtual/Nothing", &["OK [CLOSED] Previous mailbox is closed.", "No [NONEXISTENT]"]);
    check(&mut one, "FETCH 1 UID", &["Bad"]);
    // His are not among them, and mine are mine alone.
    check(&mut two, "STATUS Virtual/All (MESSAGES)", &["STATUS Virtual/All (MESSAGES 2)", "Ok"]);
    let listed = ask(&mut one, "LIST \"\" shared/*").join("\n");
    assert!(!listed.contains("Virtual"), "{listed}");
}

#[test]
fn queries_are_checked_with_the_settings() {
    let server = server();
    let file = server.folder().join("skein.toml");
    let good = std::fs::read_to_string(&file).expect("the settings");
    for (query, told) in [
        ("FLAGED", "Unknown search key"),
        ("1:5", "Message numbers say nothing"),
        ("OR UID 5 SEEN", "UID, MODSEQ, RECENT, NEW and OLD"),
        ("NEW", "UID, MODSEQ, RECENT, NEW and OLD"),
        ("(SEEN", ""),
        ("", ""),
        ("SINCE yesterday", "Invalid date"),
    ] {
        let text = good.replace("query = 'FLAGGED'", &format!("query = '{query}'"));
        let line = text.lines().position(|line| line == format!("query = '{query}'")).expect("the line") + 1;
        let wrong = server.folder().join("wrong.toml");
        std::fs::write(&wrong, text).expect("written");
        let output = std::process::Command::new(skein_binary())
            .args(["config", "check"])
            .arg(&wrong)
            .output()
            .expect("skein config check");
        let said = String::from_utf8_lossy(&output.stderr).into_owned() + &String::from_utf8_lossy(&output.stdout);
        assert!(!output.status.success() && said.contains(&format!("line {line}, column 9")), "{query}: {said}");
        assert!(said.contains(told), "{query}: {said}");
    }
}
