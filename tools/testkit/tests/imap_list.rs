//! What the extended LIST tells of mailboxes, subscriptions and what mailboxes are for, against the running server.

use skein_testkit::Server;
use skein_testkit::imap::Client;

fn lines(client: &mut Client, command: &str) -> Vec<String> {
    let reply = client.command(command).expect("LIST").expect_ok();
    let text = |line: &Vec<u8>| String::from_utf8_lossy(line).strip_prefix("* ").expect("untagged").to_owned();
    reply.untagged.iter().map(text).collect()
}

#[test]
fn list_tells_what_is_asked() {
    let mut server = Server::start();
    let mut client = server.login(&Server::user(1));
    for command in [
        "CREATE Fruit",
        "CREATE Fruit/Apple",
        "CREATE Fruit/Banana",
        "CREATE Tofu",
        "CREATE Vegetable/Corn",
        "CREATE Sent",
        "SUBSCRIBE Fruit/Banana",
        "SUBSCRIBE Fruit/Peach",
        "SUBSCRIBE INBOX",
        "SUBSCRIBE Vegetable",
    ] {
        client.command(command).expect(command).expect_ok();
    }
    let check = |client: &mut Client, command: &str, expect: &[&str]| {
        assert_eq!(lines(client, command), expect, "{command}");
    };
    check(
        &mut client,
        "LIST \"\" %",
        &[
            r#"LIST (\HasNoChildren) "/" INBOX"#,
            r#"LIST (\HasChildren) "/" Fruit"#,
            r#"LIST (\HasNoChildren \Sent) "/" Sent"#,
            r#"LIST (\HasNoChildren) "/" Tofu"#,
            r#"LIST (\Noselect \HasChildren) "/" Vegetable"#,
        ],
    );
    check(
        &mut client,
        "LIST (SUBSCRIBED) \"\" *",
        &[
            r#"LIST (\HasNoChildren \Subscribed) "/" INBOX"#,
            r#"LIST (\HasNoChildren \Subscribed) "/" Fruit/Banana"#,
            r#"LIST (\HasNoChildren \NonExistent \Subscribed) "/" Fruit/Peach"#,
            r#"LIST (\HasChildren \NonExistent \Subscribed) "/" Vegetable"#,
        ],
    );
    // Fruit is not subscribed, but something below it is that the pattern does not show.
    check(
        &mut client,
        "LIST (SUBSCRIBED RECURSIVEMATCH) \"\" %",
        &[
            r#"LIST (\HasNoChildren \Subscribed) "/" INBOX"#,
            r#"LIST (\HasChildren) "/" Fruit ("CHILDINFO" ("SUBSCRIBED"))"#,
            r#"LIST (\HasChildren \NonExistent \Subscribed) "/" Vegetable"#,
        ],
    );
    check(
        &mut client,
        "LIST (SUBSCRIBED RECURSIVEMATCH) \"\" *",
        &lines(&mut server.login(&Server::user(1)), "LIST (SUBSCRIBED) \"\" *")
            .iter()
            .map(|l| &**l)
            .collect::<Vec<_>>(),
    );
    check(
        &mut client,
        "LIST \"Fruit/\" (Apple \"Ban%\" none) RETURN (SUBSCRIBED CHILDREN)",
        &[r#"LIST (\HasNoChildren) "/" Fruit/Apple"#, r#"LIST (\HasNoChildren \Subscribed) "/" Fruit/Banana"#],
    );
    check(&mut client, "LIST () \"\" \"\"", &[]);
    client.append("Tofu", "", b"Subject: x\r\n\r\n").expect("APPEND").expect_ok();
    check(
        &mut client,
        "LIST \"\" (Tofu Vegetable Fruit/Apple) RETURN (STATUS (MESSAGES UNSEEN SIZE))",
        &[
            r#"LIST (\HasNoChildren) "/" Fruit/Apple"#,
            "STATUS Fruit/Apple (MESSAGES 0 UNSEEN 0 SIZE 0)",
            r#"LIST (\HasNoChildren) "/" Tofu"#,
            "STATUS Tofu (MESSAGES 1 UNSEEN 1 SIZE 14)",
            r#"LIST (\HasChildren \NonExistent) "/" Vegetable"#,
        ],
    );
    check(&mut client, "LSUB \"\" Fru%", &[r#"LSUB (\Noselect \HasChildren) "/" Fruit"#]);

    // What was said goes before what a name suggests, and stays with the mailbox.
    let refused = client.command("CREATE Tofu (USE (\\Sent))").expect("CREATE");
    assert!(!refused.is_ok() && refused.code("ALREADYEXISTS").is_some(), "{refused:?}");
    client.command("CREATE Gesendet (USE (\\Sent \\Important))").expect("CREATE").expect_ok();
    let refused = client.command("CREATE More (USE (\\Sent))").expect("CREATE");
    assert!(!refused.is_ok() && refused.code("USEATTR").is_some(), "{refused:?}");
    client.command("RENAME Gesendet Fruit/Sent").expect("RENAME").expect_ok();
    let special = &[r#"LIST (\HasNoChildren \Sent \Important) "/" Fruit/Sent"#];
    check(&mut client, "LIST (SPECIAL-USE) \"\" *", special);
    let above = &[r#"LIST (\HasChildren) "/" Fruit ("CHILDINFO" ("SPECIAL-USE"))"#];
    check(&mut client, "LIST (SPECIAL-USE RECURSIVEMATCH) \"\" %", above);
    drop(client);
    for clean in [false, true] {
        if clean {
            server.stop();
        } else {
            server.kill();
        }
        server.restart();
        check(&mut server.login(&Server::user(1)), "LIST (SPECIAL-USE) \"\" * RETURN (SPECIAL-USE)", special);
    }
    let mut client = server.login(&Server::user(1));
    client.command("DELETE Fruit/Sent").expect("DELETE").expect_ok();
    check(&mut client, "LIST (SPECIAL-USE) \"\" *", &[r#"LIST (\HasNoChildren \Sent) "/" Sent"#]);
}
