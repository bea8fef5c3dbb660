//! ACL against the running server: what is given to whom, and mailboxes of others, also of those who live on another shard.

use skein_testkit::imap::{ask, check};
use skein_testkit::temp::TempDir;
use skein_testkit::{Server, adm, imap};

fn server() -> Server {
    server_with("")
}

/// With more settings of namespaces, and a file of users, so that accounts can be ended.
fn server_with(namespaces: &str) -> Server {
    Server::start_changed(|settings, folder| {
        let many = (1..=17).map(|n| format!("g{n}")).collect::<Vec<_>>().join(",");
        let user = |name: &str, groups: &str| format!("{name}:{{PLAIN}}pass::::::userdb_acl_groups={groups}\n");
        std::fs::write(folder.join("users"), user("gerd", "Staff,other") + &user("hugo", &many)).expect("ours");
        let sources = "sources = [\n{ driver = \"passwd-file\", path = \"users\" },\n";
        let settings = settings.replace("sources = [\n", sources);
        format!("{settings}[namespaces]\nshared_prefix = \"shared/\"\n{namespaces}")
    })
}

const MISSING: &str = "No [NONEXISTENT]";
const DENIED: &str = "No [NOPERM]";

#[test]
fn rights_are_given_listed_and_taken() {
    let server = server();
    let mut anna = server.login("test1");
    assert!(ask(&mut anna, "CAPABILITY").contains(" ACL "));
    check(&mut anna, "NAMESPACE", "* NAMESPACE ((\"\" \"/\")) ((\"shared/\" \"/\")) NIL\n");
    check(&mut anna, "CREATE Lists", "Ok");
    check(&mut anna, "MYRIGHTS Lists", "* MYRIGHTS Lists lrswipkxteacd\nOk");
    check(&mut anna, "GETACL Lists", "* ACL Lists test1 lrswipkxteacd\nOk");
    check(&mut anna, "SETACL Lists test2 lrs", "Ok");
    check(&mut anna, "SETACL Lists test2 +wi", "Ok");
    check(&mut anna, "SETACL Lists -test2 w", "Ok");
    check(&mut anna, "SETACL Lists $staff lr", "Ok");
    check(&mut anna, "GETACL Lists", "* ACL Lists test1 lrswipkxteacd $staff lr test2 lrswi -test2 w\nOk");
    check(&mut anna, "SETACL Lists test2 -i", "Ok");
    check(&mut anna, "DELETEACL Lists $staff", "Ok");
    check(&mut anna, "GETACL Lists", "* ACL Lists test1 lrswipkxteacd test2 lrsw -test2 w\nOk");
    check(&mut anna, "LISTRIGHTS Lists test2", "* LISTRIGHTS Lists test2 \"\" l r s w i p k x t e a c d\nOk");
    check(&mut anna, "LISTRIGHTS Lists test1", "* LISTRIGHTS Lists test1 lrswipkxteacd\nOk");
    for wrong in ["SETACL Lists test2 lq", "SETACL Lists test2", "GETACL", "GETACL Lists x", "SETACL Lists (a) l"] {
        check(&mut anna, wrong, "Bad ");
    }
    check(&mut anna, "SETACL Lists test1 l", "No [CANNOT] The owner keeps all rights");
    check(&mut anna, "SETACL nowhere test2 l", MISSING);
    // A new mailbox below has the same list; it is its own, and follows the mailbox.
    check(&mut anna, "CREATE Lists/new", "Ok");
    check(&mut anna, "DELETEACL Lists test2", "Ok");
    check(&mut anna, "RENAME Lists/new other", "Ok");
    check(&mut anna, "GETACL other", "* ACL other test1 lrswipkxteacd test2 lrsw -test2 w\nOk");
}

/// Owner and guest, one on each shard or on the same.
fn share_between(server: &Server, owner: &str, guest: &str) {
    let mut anna = server.login(owner);
    let mut ben = server.login(guest);
    let at = |name: &str| format!("shared/{owner}/{name}");
    for mailbox in ["Team", "Team/Own", "Secret"] {
        check(&mut anna, &format!("CREATE {mailbox}"), "Ok");
    }
    for n in 0..3 {
        anna.append("Team", "", format!("Subject: {n}\r\n\r\ntext {n}\r\n").as_bytes()).expect("APPEND").expect_ok();
    }
    for command in ["SELECT", "STATUS", "GETACL", "MYRIGHTS", "DELETE"] {
        let more = if command == "STATUS" { " (MESSAGES)" } else { "" };
        check(&mut ben, &format!("{command} {}{more}", at("Team")), MISSING);
    }
    assert!(!ask(&mut ben, "LIST \"\" *").contains("shared"));

    // What may not be read is listed as such, and has no STATUS (RFC 5819 §2).
    check(&mut anna, &format!("SETACL Team {guest} l"), "Ok");
    for command in ["LIST \"\" shared/%/%", "LIST \"\" shared/%/% RETURN (STATUS (MESSAGES))"] {
        let expect = format!("* LIST (\\Noselect \\HasNoChildren) \"/\" {}\nOk", at("Team"));
        check(&mut ben, command, &expect);
    }
    check(&mut anna, &format!("SETACL Team {guest} lr"), "Ok");
    let listed = ask(&mut ben, "LIST \"\" *");
    assert!(listed.contains(&at("Team\n")) && !listed.contains("Own") && !listed.contains("Secret"), "{listed}");
    assert!(ask(&mut ben, "LIST \"\" shared/%/%").contains(&at("Team")));
    let listed = ask(&mut ben, "LIST \"\" shared/* RETURN (STATUS (MESSAGES))");
    assert!(listed.contains(&format!("* STATUS {} (MESSAGES 3)", at("Team"))), "{listed}");
    check(&mut ben, &format!("MYRIGHTS {}", at("Team")), &format!("* MYRIGHTS {} lr\nOk", at("Team")));
    let listed = ask(&mut ben, "LIST \"\" (INBOX shared/*) RETURN (MYRIGHTS)");
    let lines = format!("\"/\" {0}\n* MYRIGHTS {0} lr\nOk", at("Team"));
    assert!(listed.contains("\n* MYRIGHTS INBOX lrswipkxteacd\n") && listed.contains(&lines), "{listed}");
    // What there is only for names below it has none.
    assert_eq!(listed.matches("* MYRIGHTS").count(), 2, "{listed}");
    let listed = ask(&mut anna, "LIST \"\" Team/% RETURN (MYRIGHTS)");
    assert!(listed.ends_with("\n* MYRIGHTS Team/Own lrswipkxteacd\nOk LIST completed."), "{listed}");
    check(&mut ben, &format!("GETACL {}", at("Team")), DENIED);
    check(
        &mut ben,
        &format!("STATUS {} (MESSAGES UNSEEN)", at("Team")),
        &format!("* STATUS {} (MESSAGES 3 UNSEEN 3)\nOk", at("Team")),
    );
    let opened = ask(&mut ben, &format!("SELECT {}", at("Team")));
    assert!(opened.contains("3 EXISTS") && opened.contains("[READ-ONLY]"), "{opened}");
    let read = ask(&mut ben, "FETCH 1:* (FLAGS BODY[TEXT])");
    assert!(read.contains("text 2") && !read.contains("Seen"), "{read}");
    check(&mut ben, "STORE 1 +FLAGS (\\Flagged)", "No [READ-ONLY]");
    check(&mut ben, "SEARCH SUBJECT 1", "* SEARCH 2\nOk");
    assert!(append(&mut ben, &at("Team")).starts_with(DENIED));
    assert!(append(&mut ben, &at("Secret")).contains("No [TRYCREATE]"));

    // With some rights some flags change, and who may add may not take away.
    check(&mut anna, &format!("SETACL Team {guest} lrsi"), "Ok");
    let opened = ask(&mut ben, &format!("SELECT {}", at("Team")));
    assert!(opened.contains("[PERMANENTFLAGS (\\Seen)]") && opened.contains("[READ-WRITE]"), "{opened}");
    for change in ["FLAGS (\\Seen \\Flagged \\Deleted word)", "+FLAGS (\\Seen \\Deleted)"] {
        let told = ask(&mut ben, &format!("STORE 1 {change}"));
        let others = ["Flagged", "Deleted", "word"].iter().any(|flag| told.contains(flag));
        assert!(told.contains("\\Seen") && !others && told.contains("Ok "), "{change}: {told}");
    }
    check(&mut ben, "EXPUNGE", DENIED);
    let added = append(&mut ben, &at("Team"));
    assert!(added.contains("* 4 EXISTS") && added.contains("Ok [APPENDUID"), "{added}");
    check(&mut ben, &format!("CREATE {}", at("Team/Bens")), DENIED);
    check(&mut ben, &format!("CREATE {}", at("Bens")), DENIED);

    // What changes there is told at once, in both directions.
    let tag = ben.idle().expect("IDLE");
    anna.append("Team", "", b"Subject: new\r\n\r\nnew\r\n").expect("APPEND").expect_ok();
    assert_eq!(ben.read_response().expect("news"), b"* 5 EXISTS");
    ben.done(&tag).expect("DONE").expect_ok();
    check(&mut anna, "SELECT Team", "");
    let tag = anna.idle().expect("IDLE");
    check(&mut ben, "STORE 5 +FLAGS.SILENT (\\Seen)", "Ok");
    let news = String::from_utf8(anna.read_response().expect("news")).expect("ASCII");
    assert!(news.starts_with("* 5 FETCH (") && news.contains("\\Seen"), "{news}");
    anna.done(&tag).expect("DONE").expect_ok();

    // All rights but those of the owner.
    anna.command(&format!("SETACL Team {guest} lrswipkxtea")).expect("SETACL").expect_ok();
    check(&mut ben, &format!("SELECT {}", at("Team")), "");
    check(&mut ben, "STORE 5 +FLAGS.SILENT (\\Deleted)", "Ok");
    check(&mut ben, "EXPUNGE", "* 5 EXPUNGE\nOk");
    check(&mut ben, &format!("CREATE {}", at("Team/Bens")), "Ok");
    check(&mut ben, &format!("COPY 1 {}", at("Team/Bens")), "Ok [COPYUID");
    // Into his own account, and from there.
    check(&mut ben, "CREATE mine", "Ok");
    ben.command("STORE 2 +FLAGS.SILENT (\\Flagged word)").expect("STORE").expect_ok();
    check(&mut ben, "COPY 1:2 mine", "Ok [COPYUID");
    check(&mut ben, "MOVE 3 mine", "* OK [COPYUID");
    assert!(ask(&mut ben, "STATUS mine (MESSAGES)").contains("MESSAGES 3"));
    check(&mut ben, &format!("STATUS {} (MESSAGES)", at("Team")), &format!("* STATUS {} (MESSAGES 3)", at("Team")));
    check(&mut ben, "SELECT mine", "");
    let read = ask(&mut ben, "FETCH 1:* (FLAGS INTERNALDATE BODY.PEEK[])");
    assert!(read.contains("text 0") && read.contains("text 2") && read.contains("\\Flagged word"), "{read}");
    check(&mut ben, &format!("MOVE 1:2 {}", at("Team/Bens")), "* OK [COPYUID");
    check(&mut ben, &format!("COPY 1:* {}", at("Secret")), "No [TRYCREATE]");
    check(&mut ben, "COPY 1:* shared/nobody/INBOX", "No [NONEXISTENT]");
    assert!(ask(&mut ben, "STATUS mine (MESSAGES)").contains("MESSAGES 1"));
    let bens = format!("STATUS {} (MESSAGES)", at("Team/Bens"));
    assert!(ask(&mut ben, &bens).contains("MESSAGES 3"));
    check(&mut ben, &format!("RENAME {} {}", at("Team/Bens"), at("Team/Other")), "Ok");
    check(&mut ben, &format!("RENAME {} mine", at("Team/Other")), "No [CANNOT]");
    check(&mut ben, &format!("DELETE {}", at("Team/Other")), "Ok");
    check(&mut ben, &format!("SUBSCRIBE {}", at("Team")), "Ok");
    assert!(ask(&mut ben, "LSUB \"\" *").contains(&at("Team")));
    // It is left like any other.
    check(&mut ben, &format!("SELECT {}", at("Team")), "* OK [CLOSED]");
    check(&mut ben, "SELECT INBOX", "* OK [CLOSED]");
    check(&mut ben, "FETCH 1 FLAGS", "Bad ");
    anna.command(&format!("DELETEACL Team {guest}")).expect("DELETEACL").expect_ok();
    check(&mut ben, &format!("SELECT {}", at("Team")), "* OK [CLOSED] Previous mailbox is closed.\nNo [NONEXISTENT]");
    assert!(!ask(&mut ben, "LIST \"\" *").contains("Team"));
    for nobody in ["shared/nobody-at-all/INBOX", "shared/x", "shared/", "shared/a b/c"] {
        check(&mut ben, &format!("STATUS \"{nobody}\" (MESSAGES)"), MISSING);
    }
}

fn append(client: &mut imap::Client, mailbox: &str) -> String {
    client.append(mailbox, "\\Flagged", b"Subject: of a guest\r\n\r\n").expect("APPEND").told()
}

#[test]
fn mailboxes_of_others() {
    // One \Seen for all, as everything else is.
    let server = server_with("shared_seen_apart = false\n");
    // Two shards: among four pairs some live on the same one, and some do not.
    for (owner, guest) in [("test11", "test12"), ("test13", "test14"), ("test15", "test16"), ("test17", "test18")] {
        share_between(&server, owner, guest);
    }
    let _sessions_and_guests_end = adm::run(&server, "who", b"");
}

/// The owner's account goes while a guest is in it.
#[test]
fn guests_of_who_is_gone() {
    let server = server();
    let mut anna = server.login("test21");
    check(&mut anna, "SETACL INBOX test22 lrs", "Ok");
    let mut guests: Vec<imap::Client> = (0..3).map(|_| server.login("test22")).collect();
    for guest in &mut guests {
        let opened = ask(guest, "SELECT shared/test21/INBOX");
        assert!(opened.contains("0 EXISTS"), "{opened}");
    }
    drop(anna);
    adm::good(&server, "user delete --mail --yes test21");
    for guest in &mut guests {
        let told = ask(guest, "NOOP");
        assert!(told.starts_with("Ok") || told.contains("No "), "{told}");
        check(guest, "SELECT INBOX", "* ");
        check(guest, "STATUS shared/test21/INBOX (MESSAGES)", "");
    }
}

/// Who has a mailbox open when the right to read it is taken from him reads no more of it, and hears of nothing that comes there.
#[test]
fn who_is_shut_out_reads_no_more() {
    let server = server();
    // Two shards: among these guests some live on the owner's, and some do not.
    for (number, guest) in ["test32", "test33", "test34", "test35"].into_iter().enumerate() {
        let mailbox = format!("Team{number}");
        let shared = format!("shared/test31/{mailbox}");
        let mut anna = server.login("test31");
        check(&mut anna, &format!("CREATE {mailbox}"), "Ok");
        let mut deliver = |subject: &str| {
            anna.append(&mailbox, "", format!("Subject: {subject}\r\n\r\n").as_bytes()).expect("APPEND").expect_ok();
        };
        deliver("open");
        let mut owner = server.login("test31");
        check(&mut owner, &format!("SETACL {mailbox} {guest} lrswite"), "Ok");
        let open = || {
            let mut client = server.login(guest);
            assert!(ask(&mut client, &format!("SELECT {shared}")).contains("* 1 EXISTS"));
            client
        };
        let what = [
            "FETCH 1:* BODY[]",
            "UID FETCH 1:* BODY[]",
            "SEARCH ALL",
            "NOOP",
            "STORE 1 +FLAGS (\\Seen)",
            "COPY 1 INBOX",
            "MOVE 1 INBOX",
            "CLOSE",
        ];
        let more = ["UNSELECT", "SELECT INBOX"];
        let mut readers: Vec<imap::Client> = what.iter().chain(&more).map(|_| open()).collect();
        let mut idler = open();
        idler.idle().expect("IDLE");
        // Some rights are left to him: not the one that counts.
        check(&mut owner, &format!("SETACL {mailbox} {guest} lswite"), "Ok");
        deliver("secret");
        for (client, command) in readers.iter_mut().zip(what) {
            client.write(format!("a {command}\r\n").as_bytes()).expect("a write");
            let told = String::from_utf8(client.read_response().expect("an end")).expect("ASCII");
            assert!(told.starts_with("* BYE"), "{command}: {told}");
        }
        let mut left = readers.into_iter().skip(what.len());
        // He may leave, and no copy was made.
        check(&mut left.next().expect("one"), more[0], "Ok");
        check(&mut left.next().expect("one"), more[1], "* OK [CLOSED]");
        check(&mut server.login(guest), "STATUS INBOX (MESSAGES)", "* STATUS INBOX (MESSAGES 0)");
        let news = String::from_utf8(idler.read_response().expect("an end")).expect("ASCII");
        assert!(news.starts_with("* BYE"), "{news}");
        check(&mut server.login(guest), &format!("SELECT {shared}"), DENIED);
    }
}

/// Owner and guests each have a `\Seen` of their own; all else is one for all.
#[test]
fn each_has_seen_what_he_has_seen() {
    let mut server = server();
    // Two shards: among these some guests live on the owner's, and some do not.
    let (owner, guests) = ("test21", ["test22", "test23", "test24"]);
    let mut anna = server.login(owner);
    check(&mut anna, "CREATE Team", "Ok");
    for n in 1..=4 {
        anna.append("Team", "", format!("Subject: {n}\r\n\r\ntext {n}\r\n").as_bytes()).expect("APPEND").expect_ok();
    }
    check(&mut anna, "SELECT Team", "");
    check(&mut anna, "STORE 1 FLAGS.SILENT (\\Seen)", "Ok");
    let team = format!("shared/{owner}/Team");
    let unseen = |n| format!("* STATUS {team} (UNSEEN {n})\nOk");
    let status = format!("STATUS {team} (UNSEEN)");
    for guest in guests {
        check(&mut anna, &format!("SETACL Team {guest} lrswite"), "Ok");
        let mut ben = server.login(guest);
        // What the owner has read he has not.
        check(&mut ben, &status, &unseen(4));
        let opened = ask(&mut ben, &format!("SELECT {team}"));
        assert!(opened.contains("[UNSEEN 1]") && opened.contains("\\Seen"), "{opened}");
        check(&mut ben, "SEARCH UNSEEN", "* SEARCH 1 2 3 4\nOk");
        check(&mut ben, "FETCH 2 BODY[TEXT]", "* 2 FETCH (");
        check(&mut ben, "FETCH 2 FLAGS", "* 2 FETCH (FLAGS (\\Seen))\nOk");
        check(&mut ben, "STORE 3:4 +FLAGS (\\Seen)", "* 3 FETCH (FLAGS (\\Seen");
        check(&mut ben, "STORE 4 -FLAGS (\\Seen)", "* 4 FETCH (FLAGS (");
        check(&mut ben, "SEARCH UNSEEN", "* SEARCH 1 4\nOk");
        check(&mut ben, &status, &unseen(2));
        // The owner hears nothing of it, and has read what he had read.
        check(&mut anna, "NOOP", "Ok");
        check(&mut anna, "SEARCH SEEN", "* SEARCH 1\nOk");
        check(&mut anna, "STATUS Team (UNSEEN)", "* STATUS Team (UNSEEN 3)");
    }

    // Flags that are replaced leave the owner's alone, and so do changes under a condition.
    let (mut ben, mut also) = (server.login(guests[0]), server.login(guests[0]));
    check(&mut ben, &format!("SELECT {team} (CONDSTORE)"), "");
    check(&mut ben, "STORE 1 FLAGS.SILENT (\\Answered)", "* 1 FETCH (MODSEQ (");
    check(&mut anna, "FETCH 1 FLAGS", "* 1 FETCH (FLAGS (\\Answered \\Seen");
    check(&mut ben, "FETCH 1 FLAGS", "* 1 FETCH (FLAGS (\\Answered))");
    let modseq = |told: &str| told.split_once("MODSEQ (").map(|(_, rest)| rest.split(')').next().unwrap().to_owned());
    let since = modseq(&ask(&mut ben, "FETCH 2 MODSEQ")).expect("a modseq");
    // Another session of his: it is told at once, and so is IDLE.
    check(&mut also, &format!("SELECT {team}"), "");
    let tag = also.idle().expect("IDLE");
    check(&mut ben, "STORE 2 -FLAGS.SILENT (\\Seen)", "* 2 FETCH (MODSEQ (");
    assert_eq!(also.read_response().expect("news"), b"* 2 FETCH (FLAGS ())");
    also.done(&tag).expect("DONE").expect_ok();
    let told = ask(&mut ben, &format!("STORE 2 (UNCHANGEDSINCE {since}) +FLAGS.SILENT (\\Seen)"));
    assert!(told.contains("[MODIFIED 2]"), "{told}");
    let changed = ask(&mut ben, &format!("FETCH 1:* FLAGS (CHANGEDSINCE {since})"));
    assert!(changed.contains("* 2 FETCH ("), "{changed}");

    // What a guest brings as seen is so for him alone; a copy is to each what the message was.
    ben.append(&team, "\\Seen", b"Subject: 5\r\n\r\n").expect("APPEND").expect_ok();
    check(&mut anna, "CREATE Team/Old", "* 5 EXISTS\n");
    check(&mut ben, "NOOP", "");
    check(&mut ben, "SEARCH SEEN", "* SEARCH 3 5");
    check(&mut ben, &format!("COPY 3:5 {team}/Old"), "Ok [COPYUID");
    check(&mut ben, &format!("STATUS {team}/Old (UNSEEN)"), &format!("* STATUS {team}/Old (UNSEEN 1)"));
    check(&mut anna, "STATUS Team/Old (UNSEEN)", "* STATUS Team/Old (UNSEEN 3)");
    check(&mut ben, "CREATE mine", "Ok");
    check(&mut ben, "COPY 3:4 mine", "Ok [COPYUID");
    check(&mut ben, "STATUS mine (UNSEEN)", "* STATUS mine (UNSEEN 1)");

    // It goes with the messages, is in backups, and outlives a crash.
    check(&mut ben, "STORE 3 +FLAGS.SILENT (\\Deleted)", "");
    check(&mut ben, "EXPUNGE", "* 3 EXPUNGE");
    check(&mut ben, &status, &unseen(3));
    server.kill();
    server.restart();
    let mut ben = server.login(guests[0]);
    check(&mut ben, &status, &unseen(3));
    check(&mut ben, &format!("STATUS {team}/Old (UNSEEN)"), &format!("* STATUS {team}/Old (UNSEEN 1)"));
    drop(ben);
    let dir = TempDir::new("seen");
    adm::good(&server, &format!("backup {owner} {}", dir.path().display()));
    let mut ben = server.login(guests[0]);
    check(&mut ben, &format!("SELECT {team}"), "");
    check(&mut ben, "STORE 1:* +FLAGS.SILENT (\\Seen)", "Ok");
    check(&mut ben, &status, &unseen(0));
    drop(ben);
    adm::good(&server, &format!("restore --replace {owner} {}", dir.path().display()));
    let mut ben = server.login(guests[0]);
    check(&mut ben, &status, &unseen(3));
    check(&mut ben, &format!("SELECT {team}"), "");
    check(&mut ben, "SEARCH UNSEEN", "* SEARCH 1 2 3\n");
}

/// Reads the first of the two messages of a mailbox, and leaves it.
fn read_one(guest: &mut imap::Client, mailbox: &str) {
    check(guest, &format!("SELECT {mailbox}"), "");
    check(guest, "STORE 1 +FLAGS.SILENT (\\Seen)", "Ok");
    check(guest, "UNSELECT", "Ok");
}

#[track_caller]
fn has_unseen(guest: &mut imap::Client, mailbox: &str, count: u32) {
    check(guest, &format!("STATUS {mailbox} (UNSEEN)"), &format!("* STATUS {mailbox} (UNSEEN {count})\nOk"));
}

/// What a guest has seen goes with his last right, whoever gave him that.
#[test]
fn what_is_a_guests_own_goes_with_his_last_right() {
    let server = server();
    let mut anna = server.login("test41");
    check(&mut anna, "CREATE Team", "Ok");
    for n in 0..2 {
        anna.append("Team", "", format!("Subject: {n}\r\n\r\n").as_bytes()).expect("APPEND").expect_ok();
    }
    let team = "shared/test41/Team";
    // Two shards: among these some live on the owner's, and some do not.
    for guest in ["test42", "test43", "test44", "test45"] {
        let mut lists = |changes: &[&str]| {
            for change in changes {
                check(&mut anna, &change.replacen(' ', " Team ", 1).replace("ben", guest), "Ok");
            }
        };
        lists(&["SETACL ben lrs"]);
        let ben = &mut server.login(guest);
        read_one(ben, team);
        // While there is one left, be it with others, it stays.
        lists(&["SETACL ben l", "SETACL ben +rs"]);
        has_unseen(ben, team, 1);
        lists(&["SETACL anyone l", "DELETEACL ben", "SETACL ben lrs"]);
        has_unseen(ben, team, 1);
        lists(&["DELETEACL anyone", "DELETEACL ben", "SETACL ben lrs"]);
        has_unseen(ben, team, 2);
        // All that is taken away as well is none.
        read_one(ben, team);
        lists(&["SETACL -ben lrs", "DELETEACL -ben"]);
        has_unseen(ben, team, 2);
        // Who is in which group is not known here: what a group has may be his.
        read_one(ben, team);
        lists(&["SETACL $staff lr", "DELETEACL ben", "SETACL ben lrs"]);
        has_unseen(ben, team, 1);
        lists(&["DELETEACL $staff"]);
    }
    // Of others nothing is taken.
    has_unseen(&mut server.login("test42"), team, 1);
}

/// Who has the name of somebody whose account has ended finds nothing of what that one has seen; the rights are those of the name, as with Dovecot.
#[test]
fn what_is_a_guests_own_goes_with_his_account() {
    let server = server_with("public_prefix = \"Ours/\"\npublic_owner = \"test59\"\n");
    let grants = [
        ("test51", "SETACL Team test58 lrs"),
        ("test52", "SETACL Team anyone lrs"),
        ("test59", "SETACL Team anyone lrs"),
    ];
    let mailboxes = ["shared/test51/Team", "shared/test52/Team", "Ours/Team"];
    let mut ben = server.login("test58");
    let mut also = server.login("test57");
    for ((owner, grant), mailbox) in grants.iter().zip(mailboxes) {
        let mut owner = server.login(owner);
        check(&mut owner, "CREATE Team", "Ok");
        for n in 0..2 {
            owner.append("Team", "", format!("Subject: {n}\r\n\r\n").as_bytes()).expect("APPEND").expect_ok();
        }
        check(&mut owner, grant, "Ok");
        read_one(&mut ben, mailbox);
        has_unseen(&mut ben, mailbox, 1);
        check(&mut ben, &format!("SETMETADATA {mailbox} (/private/comment \"mine\")"), "Ok");
    }
    read_one(&mut also, mailboxes[1]);
    drop(ben);
    adm::good(&server, "user delete --mail --yes test58");
    let mut ben = server.login("test58");
    for mailbox in mailboxes {
        has_unseen(&mut ben, mailbox, 2);
        let comment = format!("* METADATA {mailbox} (/private/comment NIL)\nOk");
        check(&mut ben, &format!("GETMETADATA {mailbox} /private/comment"), &comment);
    }
    has_unseen(&mut also, mailboxes[1], 1);
    let mut anna = server.login("test51");
    check(&mut anna, "GETACL Team", "* ACL Team test51 lrswipkxteacd test58 lrs\nOk");
    // LIST shows it again with the next change.
    assert!(!ask(&mut ben, "LIST \"\" *").contains(mailboxes[0]));
    check(&mut anna, "SETACL Team test58 +i", "Ok");
    assert!(ask(&mut ben, "LIST \"\" *").contains(mailboxes[0]));
}

/// The names below `shared/` that LIST shows.
fn shared(client: &mut imap::Client) -> Vec<String> {
    let listed = ask(client, "LIST \"\" shared/%/*");
    listed.lines().filter_map(|line| line.split_once("shared/")).map(|(_, name)| name.to_owned()).collect()
}

/// What is shared with anyone, or with a group, is listed when the settings say so.
#[test]
fn what_is_shared_with_all_is_listed() {
    let mut server = server_with("shared_anyone = true\n");
    let with_all = |owner: &str, changes: &[&str]| {
        let mut owner = server.login(owner);
        changes.iter().for_each(|change| check(&mut owner, change, "Ok"));
        owner
    };
    // Two shards: some of these live on the guests', and some do not.
    let share = ["CREATE Team", "CREATE Secret", "SETACL Team anyone lr"];
    let mut owners = ["test61", "test62", "test63", "test64"].map(|owner| with_all(owner, &share));
    check(&mut owners[0], "CREATE Room", "Ok");
    check(&mut owners[0], "SETACL Room $Staff lr", "Ok");
    check(&mut owners[1], "CREATE Room", "Ok");
    check(&mut owners[1], "SETACL Room $staff lr", "Ok");
    let (mut ben, mut gerd) = (server.login("test70"), server.login("gerd"));
    let teams = ["test61/Team", "test62/Team", "test63/Team", "test64/Team"];
    assert_eq!(shared(&mut ben), teams);
    assert_eq!(shared(&mut gerd), [&["test61/Room"], &teams[..]].concat());
    assert_eq!(shared(&mut owners[0]), teams[1..], "his own are not among them");
    check(
        &mut ben,
        "LIST \"\" shared/test61/% RETURN (MYRIGHTS)",
        "* LIST (\\HasNoChildren) \"/\" shared/test61/Team\n* MYRIGHTS shared/test61/Team lr\n",
    );
    drop((ben, gerd));
    server.kill();
    server.restart();
    let (mut ben, mut gerd) = (server.login("test70"), server.login("gerd"));
    assert_eq!(shared(&mut ben), teams);
    // It goes with the right, with the mailbox, with the account; and not all is for all.
    check(&mut server.login("test61"), "DELETEACL Team anyone", "Ok");
    check(&mut server.login("test62"), "DELETE Team", "Ok");
    check(&mut server.login("test63"), "SETACL Team -test70 lr", "Ok");
    adm::good(&server, "user delete --mail --yes test64");
    assert_eq!(shared(&mut ben), [""; 0]);
    assert_eq!(shared(&mut gerd), ["test61/Room", "test63/Team"]);
    // Nobody is who keeps the notes.
    for name in ["$anyone", "$group.=53taff"] {
        assert!(!server.imap().login(name, "pass").expect("an answer").is_ok(), "{name}");
        assert_eq!(adm::good(&server, &format!("user list {name}")), format!("USER\n{name}\n"));
    }
    assert!(!adm::good(&server, "user list").contains('$') && !adm::good(&server, "user info *").contains('$'));
    assert_eq!(adm::good(&server, "user list $*").lines().filter(|line| line.starts_with('$')).count(), 3);
    assert!(adm::good(&server, "check --all").contains("$anyone"), "they can be hurt as well");
}

/// What is shared with all is shown again where a backup of all is restored.
#[test]
fn a_backup_of_all_carries_what_is_shared_with_all() {
    let (server, dir) = (server_with("shared_anyone = true\n"), TempDir::new("shared"));
    let mut anna = server.login("test61");
    for change in ["CREATE Team", "SETACL Team anyone lr", "CREATE Room", "SETACL Room $Staff lr"] {
        check(&mut anna, change, "Ok");
    }
    let to = dir.path().join("all");
    adm::good(&server, &format!("backup --all {}", to.display()));
    adm::good(&server, &format!("backup --verify --all {}", to.display()));
    let elsewhere = server_with("shared_anyone = true\n");
    adm::good(&elsewhere, &format!("restore --all {}", to.display()));
    assert_eq!(shared(&mut elsewhere.login("test70")), ["test61/Team"]);
    assert_eq!(shared(&mut elsewhere.login("gerd")), ["test61/Room", "test61/Team"]);
    let one = dir.path().join("one");
    adm::good(&elsewhere, &format!("backup $anyone {}", one.display()));
    adm::good(&elsewhere, &format!("restore --replace $anyone {}", one.display()));
    assert_eq!(shared(&mut elsewhere.login("test70")), ["test61/Team"]);
}

/// What somebody shares is listed again when he alone is restored: it was not where he was deleted before, or on another server.
#[test]
fn who_is_restored_alone_shares_as_before() {
    let (server, dir) = (server_with("shared_anyone = true\n"), TempDir::new("alone"));
    let mut anna = server.login("test61");
    for change in ["CREATE Team", "SETACL Team anyone lr", "CREATE Room", "SETACL Room test70 lr"] {
        check(&mut anna, change, "Ok");
    }
    adm::good(&server, &format!("backup test61 {}", dir.path().display()));
    let elsewhere = server_with("shared_anyone = true\n");
    adm::good(&elsewhere, &format!("restore test61 {}", dir.path().display()));
    assert_eq!(shared(&mut elsewhere.login("test70")), ["test61/Room", "test61/Team"]);
    // What was shared since the backup is not any more.
    check(&mut anna, "CREATE Hall", "Ok");
    check(&mut anna, "SETACL Hall test71 lr", "Ok");
    adm::good(&server, &format!("restore --replace test61 {}", dir.path().display()));
    assert_eq!(shared(&mut server.login("test70")), ["test61/Room", "test61/Team"]);
    assert_eq!(shared(&mut server.login("test71")), ["test61/Team"]);
}

/// LIST asks for so many groups of a user and no more.
#[test]
fn groups_of_a_user_have_an_end() {
    let server = server_with("shared_anyone = true\n");
    for (owner, group) in [("test61", "g1"), ("test62", "g16"), ("test63", "g17")] {
        check(&mut server.login(owner), &format!("SETACL INBOX ${group} lr"), "Ok");
    }
    let mut hugo = server.login("hugo");
    assert_eq!(shared(&mut hugo), ["test61/INBOX", "test62/INBOX"]);
    check(&mut hugo, "STATUS shared/test63/INBOX (MESSAGES)", "* STATUS");
    let warned = adm::good(&server, "log errors");
    assert!(warned.contains("too many groups"), "{warned}");
}

#[test]
fn what_is_shared_with_all_is_for_the_settings_to_show() {
    let server = server();
    let mut anna = server.login("test61");
    check(&mut anna, "SETACL INBOX anyone lr", "Ok");
    let mut ben = server.login("test70");
    assert_eq!(shared(&mut ben), [""; 0]);
    check(&mut ben, "STATUS shared/test61/INBOX (MESSAGES)", "* STATUS");
}

/// LIST asks so many owners and no more.
#[test]
fn what_is_shared_with_all_has_an_end() {
    let server = server_with("shared_anyone = true\n");
    let change = |number: usize, change: &str| check(&mut server.login(&Server::user(number)), change, "Ok");
    (101..=164).for_each(|number| change(number, "SETACL INBOX anyone lr"));
    change(165, "SETACL INBOX anyone lr");
    let mut ben = server.login("test99");
    let listed = shared(&mut ben);
    assert_eq!((listed.len(), listed.contains(&"test165/INBOX".to_owned())), (64, false), "{listed:?}");
    // It can be opened, and takes the place of one that leaves with the next change.
    check(&mut ben, "STATUS shared/test165/INBOX (MESSAGES)", "* STATUS");
    change(101, "DELETEACL INBOX anyone");
    change(165, "SETACL INBOX anyone lrs");
    let listed = shared(&mut ben);
    assert_eq!((listed.len(), listed.contains(&"test165/INBOX".to_owned())), (64, true), "{listed:?}");
    // So does one whose mailbox the operator removes: that was no DELETE, and its place stayed taken.
    for step in ["CREATE Team", "SETACL Team anyone lr", "DELETEACL INBOX anyone"] {
        change(102, step);
    }
    adm::good(&server, "mailbox delete test102 Team");
    change(166, "SETACL INBOX anyone lr");
    let listed = shared(&mut ben);
    assert_eq!((listed.len(), listed.contains(&"test166/INBOX".to_owned())), (64, true), "{listed:?}");
}

/// Annotations of mailboxes of others: shared ones are the mailbox's, and each has private ones of his own (RFC 5464 §3.2, §3.3).
#[test]
fn annotations_of_mailboxes_of_others() {
    let server = server();
    let mut anna = server.login("test71");
    check(&mut anna, "CREATE Team", "Ok");
    check(&mut anna, "SETMETADATA Team (/shared/comment \"ours\" /private/comment \"hers\")", "Ok");
    let team = "shared/test71/Team";
    let get = format!("GETMETADATA (DEPTH infinity) {team} (/private /shared)");
    // Two shards: among these some live on the owner's, and some do not.
    for guest in ["test72", "test73", "test74", "test75"] {
        let ben = &mut server.login(guest);
        let mut give = |rights: &str| check(&mut anna, &format!("SETACL Team {guest} {rights}"), "Ok");
        let list = format!("LIST \"\" {team} RETURN (METADATA (/private/comment))");
        for command in [&get, &format!("SETMETADATA {team} (/shared/comment \"his\")")] {
            check(ben, command, MISSING);
            give("lkxtea");
            check(ben, command, DENIED);
            give("rswip");
            check(ben, command, MISSING);
            give("\"\"");
        }
        give("l");
        assert!(!ask(ben, &list).contains("METADATA"));
        for right in ["lr", "ls", "lw", "li", "lp"] {
            give(right);
            check(ben, &get, &format!("* METADATA {team} (/shared/comment \"ours\")\nOk"));
        }
        check(ben, &format!("SETMETADATA {team} (/private/comment \"his\" /shared/vendor/x/y \"all\")"), "Ok");
        let all = "/private/comment \"his\" /shared/comment \"ours\" /shared/vendor/x/y \"all\"";
        check(ben, &get, &format!("* METADATA {team} ({all})\nOk"));
        let listed = ask(ben, &list);
        assert!(
            listed.ends_with(&format!("\n* METADATA {team} (/private/comment \"his\")\nOk LIST completed.")),
            "{listed}"
        );
        check(ben, &format!("SETMETADATA {team} (/private/specialuse \"\\\\Sent\")"), DENIED);
        let hers = "* METADATA Team (/private/comment \"hers\" /shared/vendor/x/y \"all\")\nOk";
        check(&mut anna, "GETMETADATA Team (/private/comment /shared/vendor/x/y)", hers);
        check(&mut anna, "SETMETADATA Team (/shared/vendor/x/y NIL)", "Ok");
        // It goes with his last right.
        for change in ["DELETEACL Team ben", "SETACL Team ben lr"] {
            check(&mut anna, &change.replace("ben", guest), "Ok");
        }
        check(ben, &get, &format!("* METADATA {team} (/shared/comment \"ours\")\nOk"));
    }
}

/// STORE changes those of the named flags that may be changed, and is refused when that is none of them (RFC 4314 §4).
#[test]
fn flags_change_by_right() {
    let server = server();
    let mut anna = server.login("test81");
    check(&mut anna, "CREATE Team", "Ok");
    anna.append("Team", "word", b"Subject: x\r\n\r\n").expect("APPEND").expect_ok();
    // It is recent to her.
    check(&mut anna, "SELECT Team", "");
    check(&mut anna, "UNSELECT", "Ok");
    for guest in ["test82", "test83", "test84"] {
        let ben = &mut server.login(guest);
        let mut give = |rights: &str| check(&mut anna, &format!("SETACL Team {guest} {rights}"), "Ok");
        give("lri");
        let opened = ask(ben, "SELECT shared/test81/Team");
        assert!(opened.contains("[PERMANENTFLAGS ()]") && opened.contains("[READ-WRITE]"), "{opened}");
        for change in ["+FLAGS (\\Seen)", "-FLAGS (word)", "FLAGS ()", "FLAGS.SILENT (\\Flagged)"] {
            check(ben, &format!("STORE 1 {change}"), DENIED);
        }
        check(ben, "STORE 1 +FLAGS ()", "* 1 FETCH (FLAGS (word))\nOk");
        // What may change now is told with the next command.
        give("lrt");
        let told = ask(ben, "NOOP");
        assert!(told.contains("[PERMANENTFLAGS (\\Deleted)]"), "{told}");
        for change in ["+FLAGS (\\Flagged word)", "-FLAGS (\\Seen)", "+FLAGS (other)"] {
            check(ben, &format!("STORE 1 {change}"), DENIED);
        }
        check(ben, "STORE 1 +FLAGS (\\Seen \\Deleted)", "* 1 FETCH (FLAGS (\\Deleted word))\nOk");
        check(ben, "STORE 1 FLAGS (\\Flagged)", "* 1 FETCH (FLAGS (word))\nOk");
        give("lrw");
        let told = ask(ben, "NOOP");
        assert!(told.contains("[PERMANENTFLAGS (\\Answered \\Flagged \\Draft word \\*)]"), "{told}");
        check(ben, "STORE 1 +FLAGS (\\Deleted)", DENIED);
        check(ben, "STORE 1 +FLAGS (\\Deleted \\Flagged)", "* 1 FETCH (FLAGS (\\Flagged word))\nOk");
        check(ben, "STORE 1 FLAGS (word)", "* 1 FETCH (FLAGS (word))\nOk");
    }
}
