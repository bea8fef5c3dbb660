//! What the settings say of mailboxes and namespaces, against the running server.

use skein_testkit::Server;
use skein_testkit::imap::Client;

fn server(more: &str) -> Server {
    Server::start_changed(|settings, _| format!("{settings}{more}"))
}

/// Untagged lines of a command, then how it ended.
fn ask(client: &mut Client, command: &str) -> Vec<String> {
    let reply = client.command(command).expect(command);
    let lines = reply.untagged.iter().map(|line| String::from_utf8_lossy(line).trim_start_matches("* ").to_owned());
    lines.chain([format!("{:?} {}", reply.status, reply.text)]).collect()
}

/// Its untagged lines, and the beginning of how it ended.
#[track_caller]
fn check(client: &mut Client, command: &str, expect: &[&str]) {
    let mut told = ask(client, command);
    let (end, lines) = told.split_last_mut().expect("a reply");
    let (end_wanted, lines_wanted) = expect.split_last().expect("how it ends");
    assert!(lines == lines_wanted && end.starts_with(end_wanted), "{command}: {lines:#?} {end}");
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
