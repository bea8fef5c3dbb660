//! What the settings say of mailboxes and namespaces, against the running server.

use std::process::Command;

use skein_testkit::imap::{Client, ask_lines as ask, check_lines as check};
use skein_testkit::wait::{self, PATIENCE};
use skein_testkit::{Server, program};

fn server(more: &str) -> Server {
    Server::start_changed(|settings, _| format!("{settings}{more}"))
}

#[test]
fn users_find_the_mailboxes_of_the_settings() {
    let rules = "[mailbox.Drafts]\nauto = 'subscribe'\nspecial_use = '\\Drafts'\n[mailbox.'Bin/Old']\nauto = 'create'\nspecial_use = '\\Trash'\n\
                 [mailbox.'Sent Messages']\nspecial_use = '\\Sent'\n";
    let mut server = server(rules);
    let mut client = server.login("test1");
    let all = [
        r#"LIST (\HasNoChildren) "/" INBOX"#,
        r#"LIST (\HasChildren \NonExistent) "/" Bin"#,
        r#"LIST (\HasNoChildren \Trash) "/" Bin/Old"#,
        r#"LIST (\HasNoChildren \Subscribed \Drafts) "/" Drafts"#,
        "Ok",
    ];
    check(&mut client, "LIST \"\" * RETURN (SUBSCRIBED SPECIAL-USE)", &all);
    // One that is deleted comes back when it is named; a subscription that is ended stays so.
    check(&mut client, "UNSUBSCRIBE Drafts", &["Ok"]);
    check(&mut client, "DELETE Bin/Old", &["Ok"]);
    check(&mut client, "DELETE Drafts", &["Ok"]);
    check(&mut client, "LIST \"\" *", &[r#"LIST (\HasNoChildren) "/" INBOX"#, "Ok"]);
    check(&mut client, "STATUS Bin/Old (MESSAGES)", &["STATUS Bin/Old (MESSAGES 0)", "Ok"]);
    check(&mut client, "SELECT Bin", &["No [NONEXISTENT]"]);
    let mut again = server.login("test1");
    assert!(
        ask(&mut again, "LIST \"\" * RETURN (SPECIAL-USE)")
            .contains(&r#"LIST (\HasNoChildren \Drafts) "/" Drafts"#.to_owned())
    );

    // What the settings say counts before a name, and what a client says before both.
    let mut other = server.login("test2");
    check(&mut other, "DELETE Bin/Old", &["Ok"]);
    check(&mut other, "CREATE Sent", &["Ok"]);
    check(
        &mut other,
        "LIST (SPECIAL-USE) \"\" %",
        &[r#"LIST (\HasNoChildren \Drafts) "/" Drafts"#, r#"LIST (\HasNoChildren \Sent) "/" Sent"#, "Ok"],
    );
    check(&mut other, "DELETE Drafts", &["Ok"]);
    check(&mut other, "CREATE \"Sent Messages\"", &["Ok"]);
    check(&mut other, "LIST (SPECIAL-USE) \"\" %", &[r#"LIST (\HasNoChildren \Sent) "/" "Sent Messages""#, "Ok"]);
    check(&mut other, "SETMETADATA \"Sent Messages\" (/private/specialuse NIL)", &["No [USEATTR]"]);
    check(
        &mut other,
        "SETMETADATA Sent (/private/specialuse \"\\\\Sent\")",
        &[r#"METADATA "Sent Messages" (/private/specialuse NIL)"#, "Ok"],
    );
    check(&mut other, "LIST (SPECIAL-USE) \"\" %", &[r#"LIST (\HasNoChildren \Sent) "/" Sent"#, "Ok"]);

    // A restart replays what was made; it is not made twice.
    server.kill();
    server.restart();
    let mut client = server.login("test1");
    assert_eq!(ask(&mut client, "LIST \"\" *").len(), 5);
}

#[test]
fn mail_to_a_mailbox_of_the_settings_makes_it() {
    let server = Server::start_changed(|settings, _| {
        let settings = skein_testkit::server::set(&settings, "lmtp", "detail_mailbox", "'existing'");
        // No quota of the user's stands against what the operator gives him.
        format!("{settings}[quota]\nmailboxes = 1\n[mailbox.Junk]\nauto = 'create'\n")
    });
    let mut lmtp = server.lmtp();
    for to in ["test1+Junk@x", "test1+Other@x"] {
        lmtp.deliver(&[to], b"Subject: x\r\n\r\ny\r\n").expect("a delivery");
    }
    let mut client = server.login("test1");
    check(&mut client, "STATUS Junk (MESSAGES)", &["STATUS Junk (MESSAGES 1)", "Ok"]);
    check(&mut client, "CREATE Other", &["No [OVERQUOTA]"]);
    check(&mut client, "STATUS INBOX (MESSAGES)", &["STATUS INBOX (MESSAGES 1)", "Ok"]);
}

/// Sum of a metric over its shards.
fn metric(server: &Server, name: &str) -> u64 {
    let url = format!("http://{}/metrics", server.ports().http);
    let page = program::run(Command::new("curl").args(["-sS", "--fail", &url]), b"").expect_ok("curl").text();
    let values = page.lines().filter(|line| line.starts_with(name)).filter_map(|line| line.rsplit(' ').next());
    values.map(|value| value.parse::<f64>().expect("a number") as u64).sum()
}

#[test]
fn messages_above_a_number_leave_behind_a_session() {
    let server =
        server("[mailbox.INBOX]\nautoexpunge_max_mails = 3\n[autoexpunge]\nsweep_seconds = 0\n[quota]\nmessages = 5\n");
    let mut lmtp = server.lmtp();
    for n in 0..5 {
        let answers = lmtp.deliver(&["test1", "test2"], format!("Subject: {n}\r\n\r\ny\r\n").as_bytes());
        assert!(answers.expect("a delivery").iter().all(|answer| answer.is_ok()));
    }
    assert!(!lmtp.deliver(&["test1"], b"Subject: x\r\n\r\n").expect("an answer")[0].is_ok(), "the quota is used up");
    let mut watching = server.login("test1");
    check(&mut watching, "STATUS INBOX (MESSAGES)", &["STATUS INBOX (MESSAGES 5)", "Ok"]);
    watching.command("SELECT INBOX").expect("SELECT").expect_ok();
    server.login("test1").command("LOGOUT").expect("LOGOUT").expect_ok();
    let mut told = Vec::new();
    let all = wait::until(PATIENCE, || {
        told.extend(ask(&mut watching, "NOOP").into_iter().filter(|line| line.contains("EXPUNGE")));
        told.len() >= 2
    });
    assert!(all, "{told:?}");
    check(&mut watching, "UID SEARCH ALL", &["SEARCH 3 4 5", "Ok"]);
    assert!(lmtp.deliver(&["test1"], b"Subject: x\r\n\r\n").expect("an answer")[0].is_ok(), "there is room again");
    // POP3 sessions are sessions too.
    let mut other = server.login("test2");
    server.pop3_login("test2").command("QUIT").expect("QUIT").expect_ok();
    let left = || ask(&mut other, "STATUS INBOX (MESSAGES)")[0] == "STATUS INBOX (MESSAGES 3)";
    assert!(wait::until(PATIENCE, left));
    assert!(wait::until(PATIENCE, || metric(&server, "skein_autoexpunge_messages_total") == 4));
    let line = "expunged by autoexpunge user=test1 mailbox=INBOX messages=2";
    assert!(wait::until(PATIENCE, || server.log().contains(line)), "{}", server.log());
}

#[test]
fn messages_of_some_age_leave_in_a_sweep() {
    let mut server = server(
        "[mailbox.'Trash/*']\nautoexpunge = '1 second'\n[mailbox.'Trash/keep']\n\
         [autoexpunge]\nsweep_seconds = 1\naccounts_per_second = 10000\n",
    );
    let mut client = server.login("test1");
    let mailboxes = ["INBOX", "Trash", "Trash/keep", "Trash/a", "Trash/a/b"];
    for mailbox in mailboxes {
        client.command(&format!("CREATE {mailbox}")).expect("CREATE");
        // It is old by its own date, and was saved just now.
        let date = "\"01-Jan-2020 00:00:00 +0000\"";
        client
            .command(&format!("APPEND {mailbox} (\\Flagged) {date} {{14+}}\r\nSubject: x\r\n\r\n"))
            .expect("APPEND")
            .expect_ok();
    }
    let count = |client: &mut Client, mailbox: &str| {
        ask(client, &format!("STATUS {mailbox} (MESSAGES)"))[0].contains("(MESSAGES 1)")
    };
    let mut here = || mailboxes.map(|mailbox| count(&mut client, mailbox));
    assert!(wait::until(PATIENCE, || here() == [true, true, true, false, false]));
    assert!(wait::until(PATIENCE, || metric(&server, "skein_autoexpunge_accounts_total") >= 1));
    // It is for good.
    server.kill();
    server.restart();
    let mut client = server.login("test1");
    check(&mut client, "STATUS Trash/a (MESSAGES)", &["STATUS Trash/a (MESSAGES 0)", "Ok"]);
}

const COURIER: &str = "[namespaces]\nseparator = '.'\nprefix = 'INBOX/'\n";

#[test]
fn names_as_courier_has_them() {
    let mut server = server(COURIER);
    let mut client = server.login("test1");
    let client = &mut client;
    check(client, "NAMESPACE", &[r#"NAMESPACE (("INBOX." ".")) NIL NIL"#, "Ok"]);
    check(client, "LIST \"\" \"\"", &[r#"LIST (\Noselect) "." """#, "Ok"]);
    for command in ["CREATE INBOX.Work.a", "CREATE INBOX.v1/2", "SUBSCRIBE inbox.Work.a", "CREATE INBOX.INBOX.in"] {
        check(client, command, &["Ok"]);
    }
    check(client, "CREATE Work", &["No [CANNOT] Names of mailboxes begin with INBOX."]);
    check(client, "RENAME INBOX.v1/2 Work", &["No [CANNOT]"]);
    check(client, "SELECT Work.a", &["No [NONEXISTENT]"]);
    let all = [
        r#"LIST (\HasChildren) "." INBOX"#,
        r#"LIST (\Noselect \HasChildren) "." INBOX.INBOX"#,
        r#"LIST (\HasNoChildren) "." INBOX.INBOX.in"#,
        r#"LIST (\Noselect \HasChildren) "." INBOX.Work"#,
        r#"LIST (\HasNoChildren) "." INBOX.Work.a"#,
        r#"LIST (\HasNoChildren) "." INBOX.v1/2"#,
        "Ok",
    ];
    check(client, "LIST \"\" *", &all);
    check(client, "LIST INBOX. %", &[all[1], all[3], all[5], "Ok"]);
    check(client, "LIST \"\" INBOX.Work.%", &[all[4], "Ok"]);
    check(client, "LSUB \"\" *", &[r#"LSUB (\HasNoChildren) "." INBOX.Work.a"#, "Ok"]);
    let told = [all[5], "STATUS INBOX.v1/2 (MESSAGES 0)", "Ok"];
    check(client, "LIST \"\" INBOX.v% RETURN (STATUS (MESSAGES))", &told);
    // Messages go in, are copied, searched and named by URLs, all with the client's names.
    let appended = client.command("APPEND INBOX.Work.a (\\Seen) {14+}\r\nSubject: x\r\n\r\n").expect("APPEND");
    assert!(appended.expect_ok().text.contains("APPENDUID"));
    check(client, "STATUS INBOX.Work.a (MESSAGES)", &["STATUS INBOX.Work.a (MESSAGES 1)", "Ok"]);
    client.command("SELECT INBOX.Work.a").expect("SELECT").expect_ok();
    check(client, "COPY 1 INBOX", &["Ok [COPYUID"]);
    check(client, "COPY 1 Work.a", &["No [TRYCREATE]"]);
    let url = "APPEND INBOX.v1/2 CATENATE (URL \"/INBOX.Work.a/;UID=1\")";
    assert!(ask(client, url).last().expect("an end").starts_with("Ok [APPENDUID"));
    let found = ask(client, "ESEARCH IN (SUBTREE INBOX.Work) ALL");
    assert!(found[0].contains("MAILBOX INBOX.Work.a ") && found.len() == 2, "{found:?}");
    assert_eq!(ask(client, "ESEARCH IN (SUBTREE INBOX) ALL").len(), 4);
    check(client, "SETMETADATA INBOX.Work.a (/private/comment \"c\")", &["Ok"]);
    check(
        client,
        "GETMETADATA INBOX.Work.a /private/comment",
        &[r#"METADATA INBOX.Work.a (/private/comment "c")"#, "Ok"],
    );
    check(
        client,
        "GETQUOTAROOT INBOX.Work.a",
        &["QUOTAROOT INBOX.Work.a \"User quota\"", "QUOTA \"User quota\" ()", "Ok"],
    );
    check(client, "RENAME INBOX.Work INBOX.Old.Work", &["Ok"]);
    // Others are told in the same names.
    let mut watching = server.login("test1");
    check(&mut watching, "NOTIFY SET (PERSONAL (MailboxName))", &["Ok"]);
    check(client, "DELETE INBOX.Old.Work.a", &["Ok"]);
    let mut told = Vec::new();
    assert!(wait::until(PATIENCE, || {
        told.extend(ask(&mut watching, "NOOP"));
        told.iter().any(|line| line.starts_with("LIST"))
    }));
    let line = r#"LIST (\HasNoChildren \NonExistent) "." INBOX.Old.Work.a"#;
    assert!(told.iter().any(|told| told == line), "{told:?}");
    // What is stored has no prefix, and slashes.
    server.kill();
    server.change_settings(|settings| settings.replace(COURIER, ""));
    server.restart();
    let mut client = server.login("test1");
    let names: Vec<String> = ask(&mut client, "LIST \"\" *")
        .iter()
        .filter_map(|line| line.rsplit_once("\"/\" "))
        .map(|(_, name)| name.to_owned())
        .collect();
    assert_eq!(names, ["INBOX", "INBOX/in", "v1.2"]);
}

#[test]
fn a_namespace_that_is_everybodys() {
    let server = server(
        "[namespaces]\npublic_prefix = 'Ours/'\npublic_owner = 'test9'\npublic_subscriptions = false\n\
         shared_prefix = 'shared/'\nshared_list = 'no'\nshared_hidden = true\n",
    );
    let mut owner = server.login("test9");
    for command in
        ["CREATE News", "CREATE News/Old", "CREATE Secret", "SETACL News anyone lrs", "SETACL News/Old test1 lrswite"]
    {
        check(&mut owner, command, &["Ok"]);
    }
    check(&mut owner, "LIST \"\" Ours*", &["Ok"]);
    check(&mut owner, "SELECT Ours/News", &["No [NONEXISTENT]"]);
    owner.append("News", "", b"Subject: hello\r\n\r\n").expect("APPEND").expect_ok();
    let mut sharing = server.login("test2");
    check(&mut sharing, "CREATE Mine", &["Ok"]);
    check(&mut sharing, "SETACL Mine test1 lr", &["Ok"]);

    let mut client = server.login("test1");
    let client = &mut client;
    check(client, "NAMESPACE", &[r#"NAMESPACE (("" "/")) NIL (("Ours/" "/"))"#, "Ok"]);
    let ours = [
        r#"LIST (\Noselect \HasChildren) "/" Ours"#,
        r#"LIST (\HasChildren) "/" Ours/News"#,
        r#"LIST (\HasNoChildren) "/" Ours/News/Old"#,
    ];
    check(client, "LIST \"\" *", &[r#"LIST (\HasNoChildren) "/" INBOX"#, ours[0], ours[1], ours[2], "Ok"]);
    // Not listed but by its prefix.
    let shared = r#"LIST (\HasNoChildren) "/" shared/test2/Mine"#;
    check(client, "LIST \"\" shared/*", &[r#"LIST (\Noselect \HasChildren) "/" shared/test2"#, shared, "Ok"]);
    check(client, "STATUS Ours/News (MESSAGES)", &["STATUS Ours/News (MESSAGES 1)", "Ok"]);
    check(client, "MYRIGHTS Ours/News", &["MYRIGHTS Ours/News lrs", "Ok"]);
    let with_rights = [
        r#"LIST (\HasChildren) "/" Ours/News"#,
        "MYRIGHTS Ours/News lrs",
        r#"LIST (\HasNoChildren) "/" Ours/News/Old"#,
        "MYRIGHTS Ours/News/Old lrswited",
        "Ok",
    ];
    check(client, "LIST \"\" Ours/* RETURN (MYRIGHTS)", &with_rights);
    check(client, "SELECT Ours/Secret", &["No [NONEXISTENT]"]);
    check(client, "SELECT shared/test9/News", &["No [NONEXISTENT]"]);
    client.command("SELECT Ours/News").expect("SELECT").expect_ok();
    check(client, "COPY 1 Ours/News/Old", &["Ok [COPYUID"]);
    check(client, "COPY 1 INBOX", &["Ok [COPYUID"]);
    check(client, "SUBSCRIBE Ours/News", &["No [CANNOT]"]);
    check(client, "SUBSCRIBE shared/test2/Mine", &["Ok"]);
    check(client, "LSUB \"\" *", &[r#"LSUB (\HasNoChildren) "/" shared/test2/Mine"#, "Ok"]);
    // To who has a right to less of it there is less.
    let mut other = server.login("test3");
    let ours = [ours[0], r#"LIST (\HasNoChildren) "/" Ours/News"#, "Ok"];
    check(&mut other, "LIST \"\" Ours*", &ours);
}

#[test]
fn a_namespace_that_is_shown_with_nothing_in_it() {
    let server = server(
        "[namespaces]\nseparator = '.'\nprefix = 'INBOX/'\npublic_prefix = 'Ours/'\npublic_owner = 'test9'\npublic_list = 'yes'\nshared_prefix = 'shared/'\n",
    );
    let mut client = server.login("test1");
    check(&mut client, "NAMESPACE", &[r#"NAMESPACE (("INBOX." ".")) (("shared." ".")) (("Ours." "."))"#, "Ok"]);
    let all = [r#"LIST (\HasNoChildren) "." INBOX"#, r#"LIST (\Noselect \HasNoChildren) "." Ours"#, "Ok"];
    check(&mut client, "LIST \"\" *", &all);
    // Names of other users go through separators too.
    check(&mut client, "CREATE INBOX.Lists", &["Ok"]);
    check(&mut client, "SETACL INBOX.Lists test2 lr", &["Ok"]);
    check(&mut client, "GETACL INBOX.Lists", &["ACL INBOX.Lists test1 lrswipkxteacd test2 lr", "Ok"]);
    check(&mut client, "MYRIGHTS INBOX", &["MYRIGHTS INBOX lrswipkxteacd", "Ok"]);
    let mut other = server.login("test2");
    check(
        &mut other,
        "LIST \"\" shared.*",
        &[r#"LIST (\Noselect \HasChildren) "." shared.test1"#, r#"LIST (\HasNoChildren) "." shared.test1.Lists"#, "Ok"],
    );
    check(&mut other, "MYRIGHTS shared.test1.Lists", &["MYRIGHTS shared.test1.Lists lr", "Ok"]);
    let with_rights = [r#"LIST (\HasNoChildren) "." shared.test1.Lists"#, "MYRIGHTS shared.test1.Lists lr", "Ok"];
    check(&mut other, "LIST \"\" shared.test1.% RETURN (MYRIGHTS)", &with_rights);
    let with_rights = [r#"LIST (\HasNoChildren) "." INBOX.Lists"#, "MYRIGHTS INBOX.Lists lrswipkxteacd", "Ok"];
    check(&mut client, "LIST \"\" INBOX.% RETURN (MYRIGHTS)", &with_rights);
    other.command("EXAMINE shared.test1.Lists").expect("EXAMINE").expect_ok();
}
