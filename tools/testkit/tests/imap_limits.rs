//! What keeps commands over very many messages in bounds, against the running server: INPROGRESS (RFC 9585), MESSAGELIMIT and
//! SAVELIMIT (RFC 9738), UIDONLY (RFC 9586), UIDBATCHES (RFC 10022).
//! LOGIN-REFERRALS (RFC 2221): what keeps users on their own servers.

use skein_testkit::imap::{ask, check};
use skein_testkit::server::{Kind, set};
use skein_testkit::{Server, imap};

const MAIL: &[u8] = b"Subject: hello\r\n\r\nworld\r\n";

/// 16 KiB: a thousand of it take more than a millisecond to read, on whatever machine.
fn long_mail() -> Vec<u8> {
    [MAIL, &b"not what is looked for\r\n".repeat(700)].concat()
}

/// A server with this `[imap]`, and who is logged in with so many messages.
fn start(imap: &[(&str, &str)], messages: usize) -> Option<(Server, imap::Client)> {
    start_with(imap, messages, MAIL)
}

fn start_with(imap: &[(&str, &str)], messages: usize, mail: &[u8]) -> Option<(Server, imap::Client)> {
    if Kind::from_env() != Kind::Skein {
        return None;
    }
    let server = Server::start_changed(|settings, _| {
        imap.iter().fold(settings, |settings, (key, value)| set(&settings, "imap", key, value))
    });
    let mut client = server.login(&Server::user(1));
    fill_with(&mut client, messages, mail);
    check(&mut client, "SELECT INBOX", "* FLAGS");
    Some((server, client))
}

/// Appends messages; very many of them many at a time (RFC 3502).
fn fill(client: &mut imap::Client, messages: usize) {
    fill_with(client, messages, MAIL);
}

fn fill_with(client: &mut imap::Client, messages: usize, mail: &[u8]) {
    let at_once = if messages < 100 { 1 } else { 500 };
    let one = [format!(" {{{}+}}\r\n", mail.len()).as_bytes(), mail].concat();
    for (i, count) in (0..messages).step_by(at_once).map(|from| at_once.min(messages - from)).enumerate() {
        let tag = format!("fill{i}");
        client
            .write(&[format!("{tag} APPEND INBOX").as_bytes(), &one.repeat(count), b"\r\n"].concat())
            .expect("APPEND");
        client.finish(&tag).expect("APPEND").expect_ok();
    }
}

/// Done and goal of each INPROGRESS line, for this tag.
fn progress(reply: &imap::Reply, tag: &str) -> Vec<(u32, Option<u32>)> {
    let head = format!("* OK [INPROGRESS (\"{tag}\" ");
    let lines = reply.untagged.iter().map(|line| String::from_utf8_lossy(line).into_owned());
    let states = lines.filter_map(|line| Some(line.strip_prefix(&head)?.split_once(')')?.0.to_owned()));
    let parts = states.map(|state| state.split_once(' ').map(|(a, b)| (a.to_owned(), b.to_owned())).expect("two"));
    parts.map(|(done, goal)| (done.parse().expect("a number"), goal.parse().ok())).collect()
}

fn run(client: &mut imap::Client, command: &str) -> (imap::Reply, String) {
    let tag = client.send(command).expect(command);
    (client.finish(&tag).expect(command).expect_ok(), tag)
}

#[test]
fn long_commands_tell_how_far_they_are() {
    let Some((mut server, mut client)) = start_with(&[("progress_ms", "1")], 1000, &long_mail()) else { return };
    assert!(ask(&mut client, "CAPABILITY").contains(" INPROGRESS"));
    for command in [
        "SEARCH TEXT nowhere",
        "SORT (SUBJECT DATE) UTF-8 TEXT world",
        "THREAD REFERENCES UTF-8 BODY world",
        "FETCH 1:* BODY.PEEK[]",
    ] {
        let (reply, tag) = run(&mut client, command);
        let told = progress(&reply, &tag);
        assert!(!told.is_empty(), "{command}: a thousand messages take more than a millisecond");
        assert!(told.is_sorted() && told.iter().all(|(done, goal)| *goal == Some(1000) && *done < 1000), "{told:?}");
        assert!(!reply.text.contains("INPROGRESS"), "{}", reply.text);
    }
    // A tag that the code could not hold is not told; how much an ESEARCH has to do is not known.
    client.write(b"a]b SEARCH BODY nowhere\r\n").expect("SEARCH");
    let reply = client.finish("a]b").expect("SEARCH").expect_ok();
    assert!(reply.untagged.iter().any(|line| line.starts_with(b"* OK [INPROGRESS (NIL ")), "{}", reply.told());
    let (reply, tag) = run(&mut client, "ESEARCH IN (personal) BODY nowhere");
    assert!(progress(&reply, &tag).iter().all(|(_, goal)| goal.is_none()));
    drop(client);
    // By default it takes much longer until anything is told, and it can be turned off.
    server.stop();
    server.change_settings(|settings| set(&settings, "imap", "progress_ms", "0"));
    server.restart();
    let mut client = server.login(&Server::user(1));
    assert!(!ask(&mut client, "CAPABILITY").contains("INPROGRESS"));
    check(&mut client, "SELECT INBOX", "* FLAGS");
    let (reply, tag) = run(&mut client, "SEARCH TEXT nowhere");
    assert!(progress(&reply, &tag).is_empty());
}

/// UIDs in the FETCH lines.
fn fetched(told: &str) -> Vec<&str> {
    let lines = told.lines().filter(|line| line.contains(" FETCH ("));
    lines.filter_map(|line| line.split_once("UID ")?.1.split([' ', ')']).next()).collect()
}

/// The tagged line.
fn tagged(told: &str) -> &str {
    told.lines().last().unwrap_or_default()
}

#[test]
fn a_command_works_on_the_highest_messages() {
    let Some((_server, mut client)) = start(&[("message_limit", "3")], 5) else { return };
    let offered = ask(&mut client, "CAPABILITY");
    assert!(offered.contains(" MESSAGELIMIT=3") && !offered.contains("SAVELIMIT"), "{offered}");
    let told = ask(&mut client, "FETCH 1:4 (UID FLAGS)");
    assert_eq!(
        (fetched(&told), tagged(&told)),
        (vec!["2", "3", "4"], "Ok [MESSAGELIMIT 3 2] FETCH completed for 3 messages.")
    );
    // As many as may be are all of them.
    check(&mut client, "UID FETCH 3:* (FLAGS)", "* 3 FETCH");
    assert!(!ask(&mut client, "UID FETCH 3:* (FLAGS)").contains("MESSAGELIMIT"));
    check(&mut client, "UID FETCH 1:* (FLAGS) (PARTIAL -1:-4)", "No [MESSAGELIMIT 3] ");
    assert_eq!(fetched(&ask(&mut client, "UID FETCH 1:* (FLAGS) (PARTIAL -1:-3)")), ["3", "4", "5"]);

    // What is searched counts, not what is found; the set bounds it.
    check(&mut client, "UID SEARCH SUBJECT hello", "* SEARCH 3 4 5\nOk [MESSAGELIMIT 3 3] UID SEARCH completed");
    check(&mut client, "UID SEARCH UID 1:4 SUBJECT nobody", "* SEARCH\nOk [MESSAGELIMIT 3 2]");
    check(&mut client, "UID SEARCH UIDBEFORE 3 SUBJECT hello", "* SEARCH 1 2\nOk UID SEARCH completed.");
    check(&mut client, "SEARCH UIDAFTER 3 1:4", "* SEARCH 4\nOk SEARCH completed.");
    check(&mut client, "UID SEARCH UIDBEFORE 1", "* SEARCH\nOk UID SEARCH");
    check(&mut client, "UID SEARCH UIDAFTER 4294967295", "* SEARCH\nOk UID SEARCH");
    for wrong in ["UID SEARCH UIDAFTER 0", "UID SEARCH UIDBEFORE 1:2", "UID SEARCH UIDAFTER *"] {
        check(&mut client, wrong, "Bad ");
    }
    check(&mut client, "UID SEARCH RETURN (SAVE) ALL", "Ok [MESSAGELIMIT 3 3]");
    assert_eq!(fetched(&ask(&mut client, "UID FETCH $ (FLAGS)")), ["3", "4", "5"]);
    // A part that is kept up would never be whole; the order of a part is none.
    let updated = ask(&mut client, "UID SEARCH RETURN (UPDATE COUNT) ALL");
    assert!(updated.contains("* NO [NOUPDATE \"") && updated.contains("COUNT 3"), "{updated}");
    check(&mut client, "UID SORT (ARRIVAL) UTF-8 ALL", "No [MESSAGELIMIT 3 3]");
    check(&mut client, "THREAD REFERENCES UTF-8 ALL", "No [MESSAGELIMIT 3 3]");
    check(&mut client, "UID SORT (ARRIVAL) UTF-8 UID 1:3", "* SORT 1 2 3\nOk");

    let told = ask(&mut client, "STORE 1:5 +FLAGS (\\Deleted)");
    assert_eq!((fetched(&told).len(), tagged(&told)), (0, "Ok [MESSAGELIMIT 3 3] STORE completed for 3 messages."));
    assert_eq!(told.matches(" FETCH (FLAGS").count(), 3, "{told}");
    // Two codes go on two lines.
    check(&mut client, "UID STORE 2 +FLAGS.SILENT (\\Deleted)", "Ok");
    let told = ask(&mut client, "UID STORE 1:5 (UNCHANGEDSINCE 1) +FLAGS.SILENT (\\Seen)");
    assert!(told.contains("* NO [MESSAGELIMIT 3 3] ") && tagged(&told).starts_with("Ok [MODIFIED 3:5]"), "{told}");

    // All or none is copied and appended.
    check(&mut client, "UID COPY 1:4 INBOX", "No [MESSAGELIMIT 3 2]");
    check(&mut client, "COPY 1:3 INBOX", "* 8 EXISTS");
    let one = " {1+}\r\nx";
    check(&mut client, &format!("APPEND INBOX{}", one.repeat(4)), "No [MESSAGELIMIT 3] ");
    check(&mut client, "STATUS INBOX (MESSAGES)", "* STATUS INBOX (MESSAGES 8)");

    // \Deleted: 2 to 5, and copies of two of them.
    let told = ask(&mut client, "UID EXPUNGE 1:*");
    assert!(tagged(&told).starts_with("Ok [MESSAGELIMIT 3 5] UID EXPUNGE completed"), "{told}");
    assert_eq!(told.matches(" EXPUNGE\n").count(), 3, "{told}");
    let told = ask(&mut client, "EXPUNGE");
    assert!(told.matches(" EXPUNGE\n").count() == 3 && tagged(&told) == "Ok EXPUNGE completed.", "{told}");

    fill(&mut client, 3);
    fill(&mut client, 1);
    check(&mut client, "CREATE away", "Ok");
    let told = ask(&mut client, "UID MOVE 1:* away");
    assert!(told.contains("* OK [COPYUID ") && told.contains("Some messages were not moved"), "{told}");
    assert!(told.matches(" EXPUNGE\n").count() == 3 && tagged(&told).starts_with("Ok [MESSAGELIMIT 3 "), "{told}");
    let told = ask(&mut client, "UID MOVE 1:* away");
    assert!(!told.contains("MESSAGELIMIT") && told.contains("COPYUID"), "{told}");
    check(&mut client, "STATUS INBOX (MESSAGES)", "* STATUS INBOX (MESSAGES 0)");
}

#[test]
fn what_is_saved_may_be_limited_alone() {
    let Some((_server, mut client)) = start(&[("save_limit", "2")], 2) else { return };
    let offered = ask(&mut client, "CAPABILITY");
    assert!(offered.contains(" SAVELIMIT=2") && !offered.contains("MESSAGELIMIT"), "{offered}");
    fill(&mut client, 1);
    check(&mut client, "COPY 1:3 INBOX", "No [MESSAGELIMIT 2 2]");
    check(&mut client, "COPY 2:3 INBOX", "* 5 EXISTS");
    assert!(!ask(&mut client, "FETCH 1:* FLAGS").contains("MESSAGELIMIT"));
    assert!(!ask(&mut client, "SORT (ARRIVAL) UTF-8 ALL").contains("MESSAGELIMIT"));
    check(&mut client, "CREATE away", "Ok");
    assert!(!ask(&mut client, "MOVE 1:* away").contains("MESSAGELIMIT"));
}

#[test]
fn no_number_is_told_once_that_is_asked() {
    let Some((server, mut one)) = start(&[], 4) else { return };
    let mut client = server.login(&Server::user(1));
    check(&mut client, "ENABLE UIDONLY", "* ENABLED UIDONLY\nOk");
    let opened = ask(&mut client, "SELECT INBOX");
    assert!(opened.contains("* 4 EXISTS\n") && !opened.contains("[UNSEEN"), "{opened}");
    check(&mut client, "FETCH 1 FLAGS", "Bad [UIDREQUIRED]");
    check(&mut client, "UID SEARCH 1:2", "Bad [UIDREQUIRED]");
    check(&mut client, "UID FETCH 1:2 (FLAGS)", "* 1 UIDFETCH (FLAGS ())\n* 2 UIDFETCH (FLAGS ())\nOk");
    check(&mut client, "UID FETCH 2 (UID BODY.PEEK[TEXT])", "* 2 UIDFETCH (UID 2 BODY[TEXT] {7}\r\nworld\r\n)\nOk");
    check(&mut client, "UID STORE 2 +FLAGS (\\Seen)", "* 2 UIDFETCH (FLAGS (\\Seen))\nOk");
    check(&mut client, "UID FETCH 3 (BODY[TEXT])", "* 3 UIDFETCH (BODY[TEXT] {7}\r\nworld\r\n FLAGS (\\Seen))\nOk");
    check(&mut client, "UID SEARCH RETURN (SAVE) UID 1,4", "Ok");
    check(&mut client, "UID FETCH $ (RFC822.SIZE)", "* 1 UIDFETCH (RFC822.SIZE ");
    // Results that are kept up, and what others do.
    check(&mut client, "UID SEARCH RETURN (UPDATE ALL) SEEN", "* ESEARCH (TAG \"");
    check(&mut one, "STORE 1:2 +FLAGS.SILENT (\\Deleted \\Seen)", "");
    check(&mut one, "EXPUNGE", "* 2 EXPUNGE\n* 1 EXPUNGE\n");
    check(&mut one, "STORE 1 +FLAGS (\\Flagged)", "");
    fill(&mut one, 1);
    let told = ask(&mut client, "NOOP");
    for line in
        ["* VANISHED 1:2\n", "* 3 EXISTS\n", "* 3 UIDFETCH (FLAGS (\\Flagged \\Seen))\n", "UID REMOVEFROM (0 2)"]
    {
        assert!(told.contains(line), "{line}: {told}");
    }
    assert!(!told.contains(" FETCH ") && !told.contains(" EXPUNGE\n"), "{told}");
    // With CONDSTORE and QRESYNC.
    check(&mut client, "UNSELECT", "Ok");
    check(&mut client, "ENABLE QRESYNC", "* ENABLED QRESYNC");
    let opened = ask(&mut client, "SELECT INBOX (QRESYNC (1 1 1:9 (1 1)))");
    assert!(opened.starts_with("Bad [UIDREQUIRED]"), "{opened}");
    let opened = ask(&mut client, "SELECT INBOX");
    let validity = opened.split_once("UIDVALIDITY ").and_then(|(_, rest)| rest.split_once(']')).expect("told").0;
    let known = ask(&mut client, &format!("SELECT INBOX (QRESYNC ({validity} 2 1:9))"));
    assert!(known.contains("* VANISHED (EARLIER) 1:2\n"), "{known}");
    assert!(known.contains("* 3 UIDFETCH (FLAGS (\\Flagged \\Seen) MODSEQ ("), "{known}");
    let stored = ask(&mut client, "UID STORE 4 +FLAGS.SILENT (\\Deleted)");
    assert!(stored.starts_with("* 4 UIDFETCH (MODSEQ ("), "{stored}");
    let gone = ask(&mut client, "EXPUNGE");
    assert!(gone.starts_with("* VANISHED 4\nOk [HIGHESTMODSEQ "), "{gone}");
    check(&mut client, "CREATE away", "Ok");
    let moved = ask(&mut client, "UID MOVE 3 away");
    assert!(moved.starts_with("* OK [COPYUID ") && moved.contains("\n* VANISHED 3\nOk"), "{moved}");
    // News that NOTIFY brings.
    check(&mut client, "NOTIFY SET (selected (MessageNew (rfc822.size) MessageExpunge FlagChange))", "Ok");
    fill(&mut one, 1);
    let next = [(); 2].map(|()| String::from_utf8_lossy(&client.read_response().expect("news")).into_owned());
    assert!(
        next[0] == "* 2 EXISTS" && next[1].ends_with(" RECENT") || next[1].starts_with("* 6 UIDFETCH ("),
        "{next:?}"
    );
}

#[test]
fn mailboxes_are_cut_into_batches() {
    let Some((server, mut client)) = start(&[], 1100) else { return };
    assert!(ask(&mut client, "CAPABILITY").contains(" UIDBATCHES"));
    let batches = |client: &mut imap::Client, command: &str| {
        let (reply, tag) = run(client, command);
        let told = reply.told();
        let head = format!("* UIDBATCHES (TAG \"{tag}\")");
        told.lines().next().and_then(|line| line.strip_prefix(&head)).expect("batches").trim().to_owned()
    };
    assert_eq!(batches(&mut client, "UIDBATCHES 500"), "1100:601,600:101,100:1");
    // Not the same again while nothing has changed (RFC 10022 §3.1.1), in part or by other ranges either.
    for again in ["UIDBATCHES 500", "UIDBATCHES 500 2:3", "UIDBATCHES 500 3:9"] {
        check(&mut client, again, "No [LIMIT] ");
    }
    assert_eq!(batches(&mut client, "UIDBATCHES 600 2:4"), "500:1");
    assert_eq!(batches(&mut client, "UIDBATCHES 600 1:2"), "1100:501,500:1");
    assert_eq!(batches(&mut client, "UIDBATCHES 600 3:4"), "");
    assert_eq!(batches(&mut client, "UIDBATCHES 1100"), "1100:1");
    assert_eq!(batches(&mut client, "UIDBATCHES 4000000000"), "1100:1");
    assert_eq!(batches(&mut client, "UIDBATCHES 500"), "1100:601,600:101,100:1");
    check(&mut client, "UIDBATCHES 499", "No [TOOFEW] Minimum batch size is 500");
    // More than half a batch has gone.
    check(&mut client, "STORE 1:251 +FLAGS.SILENT (\\Deleted)", "Ok");
    check(&mut client, "EXPUNGE", "* ");
    assert_eq!(batches(&mut client, "UIDBATCHES 500"), "1100:601,600:1");
    fill(&mut client, 99);
    check(&mut client, "UIDBATCHES 500", "No [LIMIT] ");
    fill(&mut client, 200);
    assert_eq!(batches(&mut client, "UIDBATCHES 500 1:1"), "1399:900");
    // `$` is none of its business, and UIDONLY allows it.
    check(&mut client, "UID SEARCH RETURN (SAVE) UID 300", "Ok");
    assert_eq!(batches(&mut client, "UIDBATCHES 500 2:3"), "899:400,399:1");
    check(&mut client, "UID FETCH $ (RFC822.SIZE)", "* 49 FETCH (UID 300 ");
    let mut other = server.login(&Server::user(1));
    check(&mut other, "ENABLE UIDONLY", "* ENABLED");
    check(&mut other, "CREATE empty", "Ok");
    check(&mut other, "SELECT empty", "* FLAGS");
    assert_eq!(batches(&mut other, "UIDBATCHES 500"), "");
    check(&mut other, "SELECT INBOX", "* OK [CLOSED]");
    assert_eq!(batches(&mut other, "UIDBATCHES 1000"), "1399:400,399:1");
}

#[test]
fn logins_are_referred_to_other_servers() {
    if Kind::from_env() != Kind::Skein {
        return;
    }
    let users = "moved:{PLAIN}secret::::::nologin host=imap2.example.org reason=Moved\n\
        away:{PLAIN}secret::::::nologin host=2001:db8::1 port=1143 destuser=anna@example.org\n\
        both:{PLAIN}secret::::::host=imap3.example.org\n\
        near:{PLAIN}secret::::::nologin host=imap3.example.org proxy\n";
    let server = Server::start_changed(|settings, folder| {
        std::fs::write(folder.join("users"), users).expect("ours");
        std::fs::write(folder.join("masters"), "boss:{PLAIN}key\n").expect("ours");
        let sources = "masters = [{ driver = \"passwd-file\", path = \"masters\" }]\nfailure_delay_ms = 0\n\
            sources = [\n{ driver = \"passwd-file\", path = \"users\" },\n";
        settings.replace("sources = [\n", sources)
    });
    let login = |user: &str, password: &str| {
        let mut client = server.imap();
        let told = client.login(user, password).expect("LOGIN").told();
        (client, told)
    };
    let (mut client, told) = login("moved", "secret");
    assert_eq!(told, "No [REFERRAL imap://moved;AUTH=*@imap2.example.org/] Moved");
    assert!(ask(&mut client, "CAPABILITY").contains(" LOGIN-REFERRALS "));
    check(
        &mut client,
        "AUTHENTICATE PLAIN AG1vdmVkAHNlY3JldA==",
        "No [REFERRAL imap://moved;AUTH=*@imap2.example.org/] Moved",
    );
    check(&mut client, "SELECT INBOX", "Bad Log in first");
    let (_, told) = login("away", "secret");
    assert_eq!(told, "No [REFERRAL imap://anna%40example.org;AUTH=*@[2001:db8::1]:1143/] Try this server instead.");
    // Who does not know the password does not learn where; who is to be fetched from there is not sent.
    assert!(login("moved", "wrong").1.starts_with("No [AUTHENTICATIONFAILED]"));
    assert!(login("near", "secret").1.starts_with("No [NOPERM]"));
    let (mut client, told) = login("both", "secret");
    let expect =
        "Ok [REFERRAL imap://both;AUTH=*@imap3.example.org/] Logged in, but you should use this server instead.";
    assert!(told.starts_with("* CAPABILITY IMAP4rev1 ") && tagged(&told) == expect, "{told}");
    check(&mut client, "SELECT INBOX", "* FLAGS");
    // A master user looks after what is left here, and POP3 has no word for it.
    assert!(login("moved*boss", "key").1.starts_with("Ok [CAPABILITY"));
    assert!(!server.pop3().login("moved", "secret").expect("PASS").is_ok());
    assert!(server.lmtp().deliver(&["moved"], MAIL).expect("LMTP").iter().all(|answer| answer.is_ok()));
}

/// What holds in the mailboxes of others, on the owner's shard and on another one.
#[test]
fn guests_are_told_the_same() {
    if Kind::from_env() != Kind::Skein {
        return;
    }
    let server = Server::start_changed(|settings, _| {
        let settings = set(&settings, "namespaces", "shared_prefix", "\"shared/\"");
        set(&set(&settings, "imap", "progress_ms", "1"), "imap", "message_limit", "600")
    });
    let mut owner = server.login("test1");
    fill_with(&mut owner, 1000, &long_mail());
    for guest in ["test2", "test3", "test4", "test5"] {
        check(&mut owner, &format!("SETACL INBOX {guest} lrs"), "Ok");
        let mut guest = server.login(guest);
        check(&mut guest, "SELECT shared/test1/INBOX", "* FLAGS");
        let (reply, tag) = run(&mut guest, "SEARCH BODY nowhere");
        let told = progress(&reply, &tag);
        assert!(!told.is_empty() && told.iter().all(|(_, goal)| *goal == Some(600)), "{}", reply.told());
        assert_eq!(reply.text, "[MESSAGELIMIT 600 401] SEARCH completed for 600 messages.");
        check(&mut guest, "COPY 300:* INBOX", "No [MESSAGELIMIT 600 401]");
        check(&mut guest, "UNSELECT", "Ok");
        check(&mut guest, "ENABLE UIDONLY", "* ENABLED UIDONLY");
        check(&mut guest, "SELECT shared/test1/INBOX", "* FLAGS");
        check(&mut guest, "UID FETCH 1000 (RFC822.SIZE)", "* 1000 UIDFETCH (RFC822.SIZE ");
        check(&mut guest, "FETCH 1000 (RFC822.SIZE)", "Bad [UIDREQUIRED]");
        let told = ask(&mut guest, "UIDBATCHES 500");
        assert!(told.starts_with("* UIDBATCHES (TAG \"") && told.contains(") 1000:501,500:1\n"), "{told}");
    }
}
