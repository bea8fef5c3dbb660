//! Annotations of mailboxes and of the account (RFC 5464, RFC 9590, RFC 6154 §4), against the running server.

use skein_testkit::Server;
use skein_testkit::adm::{bad, good};
use skein_testkit::imap::{Client, Reply};
use skein_testkit::server::{Kind, set};
use skein_testkit::temp::TempDir;

fn run(client: &mut Client, command: &str) -> Reply {
    client.command(command).expect(command)
}

/// Untagged lines of a command that is to succeed.
fn lines(client: &mut Client, command: &str) -> Vec<String> {
    let reply = run(client, command).expect_ok();
    reply.untagged.iter().map(|line| String::from_utf8_lossy(line).into_owned()).collect()
}

#[track_caller]
fn check(client: &mut Client, command: &str, expect: &[&str]) {
    assert_eq!(lines(client, command), expect, "{command}");
}

#[track_caller]
fn refused(client: &mut Client, command: &str, code: &str) {
    let reply = run(client, command);
    assert!(!reply.is_ok() && format!("{reply:?}").contains(code), "{command}: {reply:?}");
}

/// Sets an annotation by a literal that does not wait.
fn set_to(client: &mut Client, mailbox: &str, name: &str, value: &[u8]) -> Reply {
    let tag = client.send(&format!("SETMETADATA {mailbox} ({name} ~{{{}+}}", value.len())).expect("SETMETADATA");
    client.write(value).and_then(|()| client.write(b")\r\n")).expect("a value");
    client.finish(&tag).expect("SETMETADATA")
}

#[test]
fn annotations_are_set_told_and_kept() {
    let mut server =
        Server::start_changed(|settings, _| set(&settings, "imap", "admin", "\"mailto:help@example.org\""));
    if server.kind() != Kind::Skein {
        return;
    }
    let mut client = server.login(&Server::user(1));
    let client = &mut client;
    check(client, "GETMETADATA INBOX /private/comment", &["* METADATA INBOX (/private/comment NIL)"]);
    run(client, "SETMETADATA INBOX (/private/comment \"My own\" /Shared/Comment \"Ours\")").expect_ok();
    run(client, "CREATE Work/2026").expect_ok();
    run(client, "SETMETADATA Work/2026 (/private/filters/values/small \"SMALLER 5000\" /private/filters/a \"x\")")
        .expect_ok();
    set_to(client, "Work/2026", "/private/filters/values/boss", b"FROM \"boss\"\0").expect_ok();
    run(client, "SETMETADATA \"\" (/shared/comment \"For all\" /private/vendor/x/y {2+}\r\nab)").expect_ok();
    check(
        client,
        "GETMETADATA inbox (/shared/comment /private/comment)",
        &["* METADATA INBOX (/shared/comment \"Ours\" /private/comment \"My own\")"],
    );
    check(
        client,
        "GETMETADATA Work/2026 (DEPTH 1) /private/filters",
        &["* METADATA Work/2026 (/private/filters/a \"x\")"],
    );
    let values = "* METADATA Work/2026 (/private/filters/a \"x\" /private/filters/values/boss ~{12}\r\n\
                  FROM \"boss\"\0 /private/filters/values/small \"SMALLER 5000\")";
    check(client, "GETMETADATA (DEPTH infinity) Work/2026 /private", &[values]);
    let server_line = "* METADATA \"\" (/shared/admin \"mailto:help@example.org\" /shared/comment \"For all\")";
    check(client, "GETMETADATA \"\" (DEPTH infinity) (/shared)", &[server_line]);
    // Values that are too long for the client.
    let long = run(client, "GETMETADATA INBOX (MAXSIZE 4) (/shared/comment /private/comment)").expect_ok();
    assert_eq!(long.code("METADATA").as_deref(), Some("LONGENTRIES 6"), "{long:?}");
    assert_eq!(long.untagged, [b"* METADATA INBOX (/shared/comment \"Ours\")"]);
    // A pattern, as Horde asks.
    check(client, "GETMETADATA \"W*\" /private/filters/a", &["* METADATA Work/2026 (/private/filters/a \"x\")"]);
    check(
        client,
        "LIST \"\" % RETURN (METADATA (/private/comment \"/private/filters/a\"))",
        &[
            r#"* LIST (\HasNoChildren) "/" INBOX"#,
            "* METADATA INBOX (/private/comment \"My own\" /private/filters/a NIL)",
            r#"* LIST (\HasChildren \NonExistent) "/" Work"#,
        ],
    );
    refused(client, "GETMETADATA nobody /private/comment", "NONEXISTENT");
    refused(client, "SETMETADATA nobody (/private/comment \"x\")", "NONEXISTENT");
    refused(client, "SETMETADATA \"\" (/shared/admin \"mailto:me\" /shared/comment \"y\")", "NOPERM");
    // RENAME takes them along, RENAME of INBOX copies them, DELETE removes them.
    run(client, "RENAME Work Play").expect_ok();
    check(client, "GETMETADATA Play/2026 /private/filters/a", &["* METADATA Play/2026 (/private/filters/a \"x\")"]);
    run(client, "RENAME INBOX old").expect_ok();
    for mailbox in ["INBOX", "old"] {
        let line = format!("* METADATA {mailbox} (/private/comment \"My own\")");
        check(client, &format!("GETMETADATA {mailbox} /private/comment"), &[&line]);
    }
    run(client, "DELETE old").expect_ok();
    run(client, "CREATE old").expect_ok();
    check(client, "GETMETADATA old /private/comment", &["* METADATA old (/private/comment NIL)"]);
    run(client, "SETMETADATA INBOX (/private/comment NIL)").expect_ok();
    for clean in [false, true] {
        if clean {
            server.stop();
        } else {
            server.kill();
        }
        server.restart();
        let client = &mut server.login(&Server::user(1));
        check(client, "GETMETADATA \"\" (DEPTH infinity) (/shared)", &[server_line]);
        check(client, "GETMETADATA INBOX /private/comment", &["* METADATA INBOX (/private/comment NIL)"]);
        check(client, "GETMETADATA (DEPTH infinity) Play/2026 /private", &[&values.replace("Work", "Play")]);
    }
    // An account has its own; others see nothing of it.
    check(
        &mut server.login(&Server::user(2)),
        "GETMETADATA \"\" /shared/comment",
        &["* METADATA \"\" (/shared/comment NIL)"],
    );
}

#[test]
fn annotations_have_bounds() {
    let server = Server::start();
    if server.kind() != Kind::Skein {
        return;
    }
    let client = &mut server.login(&Server::user(1));
    set_to(client, "INBOX", "/private/comment", &vec![b'x'; 64 * 1024]).expect_ok();
    let long = set_to(client, "INBOX", "/private/comment", &vec![b'x'; 64 * 1024 + 1]);
    assert!(!long.is_ok() && format!("{long:?}").contains("METADATA MAXSIZE 65536"), "{long:?}");
    for n in 1..100 {
        run(client, &format!("SETMETADATA INBOX (/private/vendor/x/{n} \"\")")).expect_ok();
    }
    refused(client, "SETMETADATA INBOX (/private/comment NIL /private/a \"\" /private/b \"\")", "METADATA TOOMANY");
    // Nothing of it was done.
    let kept = run(client, "GETMETADATA INBOX (MAXSIZE 100) (/private/comment /private/a)").expect_ok();
    assert_eq!(kept.code("METADATA").as_deref(), Some("LONGENTRIES 65536"));
    assert_eq!(kept.untagged, [b"* METADATA INBOX (/private/a NIL)"]);
}

#[test]
fn others_are_told_when_they_asked() {
    let server = Server::start();
    if server.kind() != Kind::Skein {
        return;
    }
    let mut one = server.login(&Server::user(1));
    let (mut all, mut some) = (server.login(&Server::user(1)), server.login(&Server::user(1)));
    check(&mut all, "ENABLE METADATA", &["* ENABLED METADATA"]);
    check(&mut some, "ENABLE METADATA-SERVER", &["* ENABLED METADATA-SERVER"]);
    run(&mut one, "CREATE Work").expect_ok();
    run(&mut one, "SETMETADATA Work (/shared/comment \"x\" /private/comment \"y\")").expect_ok();
    run(&mut one, "SETMETADATA \"\" (/shared/comment \"x\")").expect_ok();
    let told = ["* METADATA \"\" /shared/comment", "* METADATA Work /private/comment /shared/comment"];
    check(&mut all, "NOOP", &told);
    check(&mut all, "NOOP", &[]);
    check(&mut some, "NOOP", &told[..1]);
    check(&mut one, "NOOP", &[]);
    // What is set to what it is, is no change; what the session does itself is no news; removing is one.
    run(&mut one, "SETMETADATA Work (/shared/comment \"x\")").expect_ok();
    run(&mut all, "SETMETADATA Work (/private/comment \"z\")").expect_ok();
    run(&mut one, "SETMETADATA Work (/shared/comment NIL)").expect_ok();
    check(&mut all, "NOOP", &["* METADATA Work /shared/comment"]);
    // At once while idling, also with a mailbox selected.
    run(&mut all, "SELECT Work").expect_ok();
    let tag = all.idle().expect("IDLE");
    run(&mut one, "SETMETADATA INBOX (/shared/comment \"x\")").expect_ok();
    assert_eq!(all.read_response().expect("news"), b"* METADATA INBOX /shared/comment");
    all.done(&tag).expect("DONE").expect_ok();
    // Of a mailbox that has gone nothing is told.
    run(&mut one, "CREATE gone").expect_ok();
    run(&mut one, "SETMETADATA gone (/shared/comment \"x\")").expect_ok();
    run(&mut one, "DELETE gone").expect_ok();
    check(&mut all, "NOOP", &[]);
}

#[test]
fn uses_are_an_annotation() {
    let server = Server::start();
    if server.kind() != Kind::Skein {
        return;
    }
    let client = &mut server.login(&Server::user(1));
    for command in
        ["CREATE SentMail (USE (\\Sent))", "CREATE MyDrafts (USE (\\Drafts))", "CREATE SavedDrafts", "CREATE Trash"]
    {
        run(client, command).expect_ok();
    }
    let use_of = |client: &mut Client, mailbox: &str, value: &str| {
        let line = format!("* METADATA {mailbox} (/private/specialuse {value})");
        check(client, &format!("GETMETADATA {mailbox} /private/specialuse"), &[&line]);
    };
    use_of(client, "MyDrafts", "\"\\\\Drafts\"");
    use_of(client, "Trash", "\"\\\\Trash\"");
    let mut other = server.login(&Server::user(1));
    check(&mut other, "ENABLE METADATA", &["* ENABLED METADATA"]);
    check(
        client,
        "SETMETADATA SavedDrafts (/private/specialuse \"\\\\Drafts\")",
        &["* METADATA MyDrafts (/private/specialuse NIL)"],
    );
    let told = ["* METADATA MyDrafts /private/specialuse", "* METADATA SavedDrafts /private/specialuse"];
    check(&mut other, "NOOP", &told);
    // A name is no use any more once another mailbox has it.
    check(
        client,
        "SETMETADATA SavedDrafts (/private/specialuse \"\\\\drafts \\\\Trash\")",
        &["* METADATA Trash (/private/specialuse NIL)"],
    );
    run(client, "SETMETADATA SentMail (/private/specialuse NIL)").expect_ok();
    check(
        client,
        "LIST \"\" * RETURN (SPECIAL-USE)",
        &[
            r#"* LIST (\HasNoChildren) "/" INBOX"#,
            r#"* LIST (\HasNoChildren) "/" MyDrafts"#,
            r#"* LIST (\HasNoChildren \Drafts \Trash) "/" SavedDrafts"#,
            r#"* LIST (\HasNoChildren) "/" SentMail"#,
            r#"* LIST (\HasNoChildren) "/" Trash"#,
        ],
    );
    refused(client, "SETMETADATA SavedDrafts (/private/specialuse \"\\\\All\")", "USEATTR");
    refused(client, "SETMETADATA Trash (/private/specialuse NIL)", "USEATTR");
    check(
        client,
        "GETMETADATA SavedDrafts (DEPTH 1) /private",
        &["* METADATA SavedDrafts (/private/specialuse \"\\\\Drafts \\\\Trash\")"],
    );
}

#[test]
fn operators_see_and_set_them_and_backups_keep_them() {
    let (server, dir) = (Server::start(), TempDir::new("metadata"));
    if server.kind() != Kind::Skein {
        return;
    }
    let user = Server::user(1);
    let mut client = server.login(&user);
    run(&mut client, "CREATE Work").expect_ok();
    run(&mut client, "SETMETADATA Work (/private/comment \"mine\" /shared/vendor/x/y \"z\")").expect_ok();
    good(&server, &format!("mailbox metadata set {user} '' /shared/comment 'for all'"));
    good(&server, &format!("mailbox metadata set {user} Work /Private/SpecialUse '\\Archive'"));
    let listed = good(&server, &format!("--json mailbox metadata list {user} Work /private"));
    let rows: Vec<&str> = listed.lines().collect();
    assert_eq!(rows.len(), 2, "{listed}");
    assert!(rows[0].contains("\"entry\":\"/private/comment\"") && rows[0].contains("\"value\":\"mine\""), "{listed}");
    assert!(rows[1].contains("\"entry\":\"/private/specialuse\""), "{listed}");
    check(&mut client, "GETMETADATA \"\" /shared/comment", &["* METADATA \"\" (/shared/comment \"for all\")"]);
    let (exit, why) = bad(&server, &format!("mailbox metadata get {user} Work /private/none"));
    assert_eq!(exit, Some(65), "{why}");
    assert_eq!(bad(&server, &format!("mailbox metadata get {user} nobody /private/none")).0, Some(68));
    assert_eq!(bad(&server, &format!("mailbox metadata set {user} Work own x")).0, Some(64));
    assert_eq!(bad(&server, &format!("mailbox metadata set {user} Work /private/specialuse '\\All'")).0, Some(65));
    // A backup, what came after it, and the state of the backup again.
    let to = dir.path().join("all");
    good(&server, &format!("backup {user} {}", to.display()));
    good(&server, &format!("mailbox metadata unset {user} Work /private/comment"));
    good(&server, &format!("mailbox metadata set {user} '' /shared/comment later"));
    good(&server, &format!("check {user}"));
    drop(client);
    good(&server, &format!("restore --replace {user} {}", to.display()));
    let mut client = server.login(&user);
    let whole = "* METADATA Work (/private/comment \"mine\" /private/specialuse \"\\\\Archive\")";
    check(&mut client, "GETMETADATA Work (DEPTH 1) /private", &[whole]);
    check(&mut client, "GETMETADATA \"\" /shared/comment", &["* METADATA \"\" (/shared/comment \"for all\")"]);
}
