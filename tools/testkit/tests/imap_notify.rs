//! NOTIFY (RFC 5465) against the running server: what is told, when, and what is not.

use skein_testkit::Server;
use skein_testkit::imap::{Client, Reply};
use skein_testkit::mail;
use skein_testkit::server::Kind;

const MAIL: &[u8] = b"From: alice@example.org\r\nSubject: good morning\r\n\r\nhello\r\n";

fn run(client: &mut Client, command: &str) -> Reply {
    client.command(command).expect(command)
}

fn text(line: &[u8]) -> String {
    String::from_utf8_lossy(line).into_owned()
}

/// Untagged lines of a command that is to succeed.
fn lines(client: &mut Client, command: &str) -> Vec<String> {
    run(client, command).expect_ok().untagged.iter().map(|line| text(line)).collect()
}

/// What is told next, without any command. Which of two sessions a message is recent in, chance decides.
#[track_caller]
fn told(client: &mut Client, expect: &[&str]) {
    for line in expect {
        let next = std::iter::repeat_with(|| text(&client.read_response().expect("news")));
        assert_eq!(next.into_iter().find(|line| !line.ends_with(" RECENT")).as_deref(), Some(*line));
    }
}

/// Nothing more is told: a command brings nothing but its own end.
#[track_caller]
fn silent(client: &mut Client) {
    let mut told = lines(client, "NOOP");
    told.retain(|line| !line.ends_with(" RECENT"));
    assert!(told.is_empty(), "{told:?}");
}

fn append(client: &mut Client, mailbox: &str) {
    client.append(mailbox, "", MAIL).expect("APPEND").expect_ok();
}

/// A server, one who changes things, and one who watches.
fn start() -> Option<(Server, Client, Client)> {
    let server = Server::start();
    if server.kind() != Kind::Skein {
        return None;
    }
    let (one, watcher) = (server.login(&Server::user(1)), server.login(&Server::user(1)));
    Some((server, one, watcher))
}

#[test]
fn other_mailboxes_tell_by_status() {
    let Some((server, mut one, mut watcher)) = start() else { return };
    for mailbox in ["Lists/a", "Lists/b", "other"] {
        run(&mut one, &format!("CREATE {mailbox}")).expect_ok();
    }
    append(&mut one, "Lists/a");
    let first = lines(&mut watcher, "NOTIFY SET STATUS (subtree Lists (MessageNew MessageExpunge))");
    assert_eq!(first.len(), 2, "{first:?}");
    assert!(first[0].starts_with("* STATUS Lists/a (MESSAGES 1 UIDNEXT 2 UIDVALIDITY "), "{first:?}");
    assert!(first[1].starts_with("* STATUS Lists/b (MESSAGES 0 UIDNEXT 1 UIDVALIDITY "), "{first:?}");
    append(&mut one, "Lists/a");
    told(&mut watcher, &["* STATUS Lists/a (MESSAGES 2 UIDNEXT 3 UNSEEN 2)"]);
    // Flags are not asked for, nor is that mailbox; what the session does itself is no news.
    run(&mut one, "SELECT Lists/a").expect_ok();
    run(&mut one, "STORE 1 +FLAGS (\\Deleted)").expect_ok();
    append(&mut one, "other");
    append(&mut watcher, "Lists/b");
    silent(&mut watcher);
    run(&mut one, "EXPUNGE").expect_ok();
    told(&mut watcher, &["* STATUS Lists/a (MESSAGES 1 UIDNEXT 3 UNSEEN 1)"]);
    // A delivery is one as well, with its modseq once CONDSTORE is on.
    run(&mut watcher, "ENABLE CONDSTORE").expect_ok();
    run(&mut watcher, "NOTIFY SET (inboxes (MessageNew MessageExpunge FlagChange))").expect_ok();
    let answers = server.lmtp().deliver(&[&Server::user(1)], &mail::marked("new")).expect("a delivery");
    assert!(answers.iter().all(|answer| answer.is_ok()));
    told(&mut watcher, &["* STATUS INBOX (MESSAGES 1 UIDNEXT 2 UNSEEN 1 HIGHESTMODSEQ 2)"]);
    run(&mut one, "SELECT INBOX").expect_ok();
    run(&mut one, "STORE 1 +FLAGS (\\Seen)").expect_ok();
    let flags = text(&watcher.read_response().expect("news"));
    assert!(
        flags.starts_with("* STATUS INBOX (UIDVALIDITY ") && flags.ends_with(" UNSEEN 0 HIGHESTMODSEQ 3)"),
        "{flags}"
    );
    let all = lines(&mut watcher, "NOTIFY SET STATUS (mailboxes (other none) (MessageNew MessageExpunge FlagChange))");
    assert!(all.len() == 1 && all[0].starts_with("* STATUS other (") && all[0].contains("HIGHESTMODSEQ"), "{all:?}");
    // NONE ends it, for INBOX too.
    run(&mut watcher, "NOTIFY NONE").expect_ok();
    append(&mut one, "other");
    silent(&mut watcher);
}

#[test]
fn the_selected_mailbox_tells_at_once() {
    let Some((_server, mut one, mut watcher)) = start() else { return };
    append(&mut one, "INBOX");
    run(&mut watcher, "SELECT INBOX").expect_ok();
    let items = "uid body.peek[header.fields (subject)]";
    let set = format!(
        "NOTIFY SET (selected (MessageNew ({items}) MessageExpunge FlagChange)) (personal (MessageNew MessageExpunge))"
    );
    run(&mut watcher, &set).expect_ok();
    append(&mut one, "INBOX");
    told(
        &mut watcher,
        &["* 2 EXISTS", "* 2 FETCH (UID 2 BODY[HEADER.FIELDS (subject)] {25}\r\nSubject: good morning\r\n\r\n)"],
    );
    run(&mut one, "SELECT INBOX").expect_ok();
    run(&mut one, "STORE 1 +FLAGS.SILENT (\\Deleted)").expect_ok();
    told(&mut watcher, &["* 1 FETCH (UID 1 FLAGS (\\Deleted \\Recent))"]);
    run(&mut one, "EXPUNGE").expect_ok();
    told(&mut watcher, &["* 1 EXPUNGE"]);
    silent(&mut watcher);
    // What it brings itself is counted, and not told in full; beside that of others it is.
    let reply = watcher.append("INBOX", "", MAIL).expect("APPEND").expect_ok();
    let own: Vec<String> = reply.untagged.iter().map(|line| text(line)).collect();
    assert!(own.contains(&"* 2 EXISTS".to_owned()) && !own.iter().any(|line| line.contains("FETCH")), "{own:?}");
    // While a command runs what goes is told as well: the client asked for that.
    run(&mut one, "NOOP").expect_ok();
    run(&mut one, "STORE 1 +FLAGS.SILENT (\\Deleted)").expect_ok();
    told(&mut watcher, &["* 1 FETCH (UID 2 FLAGS (\\Deleted \\Recent))"]);
    // Without FlagChange no flags are told, and new messages by their number alone.
    run(&mut watcher, "NOTIFY SET (selected (MessageNew MessageExpunge))").expect_ok();
    run(&mut one, "STORE 1 -FLAGS.SILENT (\\Deleted)").expect_ok();
    append(&mut one, "INBOX");
    told(&mut watcher, &["* 3 EXISTS"]);
    silent(&mut watcher);
    // While idling exactly the same.
    let tag = watcher.idle().expect("IDLE");
    run(&mut one, "STORE 1 +FLAGS.SILENT (\\Deleted)").expect_ok();
    run(&mut one, "EXPUNGE").expect_ok();
    told(&mut watcher, &["* 1 EXPUNGE"]);
    watcher.done(&tag).expect("DONE").expect_ok();
    silent(&mut watcher);
    // Without SELECTED nothing comes of itself, not even while idling; what has gone is told when the numbers are needed.
    run(&mut watcher, "NOTIFY SET (personal (MailboxName))").expect_ok();
    let tag = watcher.idle().expect("IDLE");
    append(&mut one, "INBOX");
    run(&mut one, "CREATE marker").expect_ok();
    told(&mut watcher, &[r#"* LIST (\HasNoChildren) "/" marker"#]);
    assert!(watcher.done(&tag).expect("DONE").expect_ok().untagged.is_empty());
}

#[test]
fn selected_delayed_waits_with_what_goes() {
    let Some((_server, mut one, mut watcher)) = start() else { return };
    (0..3).for_each(|_| append(&mut one, "INBOX"));
    run(&mut watcher, "SELECT INBOX").expect_ok();
    run(&mut watcher, "NOTIFY SET (selected-delayed (MessageNew MessageExpunge))").expect_ok();
    run(&mut one, "SELECT INBOX").expect_ok();
    run(&mut one, "STORE 1 +FLAGS.SILENT (\\Deleted)").expect_ok();
    run(&mut one, "EXPUNGE").expect_ok();
    append(&mut one, "INBOX");
    // The new message is told at once, and the one that went still counts.
    told(&mut watcher, &["* 4 EXISTS"]);
    assert_eq!(run(&mut watcher, "FETCH 4 UID").expect_ok().fetches()[0].uid(), Some(4));
    let noop = lines(&mut watcher, "NOOP");
    assert_eq!(noop[0], "* 1 EXPUNGE", "{noop:?}");
    // While idling it is told at once.
    let tag = watcher.idle().expect("IDLE");
    run(&mut one, "STORE 1 +FLAGS.SILENT (\\Deleted)").expect_ok();
    run(&mut one, "EXPUNGE").expect_ok();
    told(&mut watcher, &["* 1 EXPUNGE"]);
    watcher.done(&tag).expect("DONE").expect_ok();
}

#[test]
fn names_and_subscriptions_tell_by_list() {
    let Some((_server, mut one, mut watcher)) = start() else { return };
    run(&mut watcher, "NOTIFY SET (personal (MailboxName SubscriptionChange))").expect_ok();
    run(&mut one, "CREATE a").expect_ok();
    told(&mut watcher, &[r#"* LIST (\HasNoChildren) "/" a"#]);
    run(&mut one, "CREATE a/b").expect_ok();
    told(&mut watcher, &[r#"* LIST (\HasNoChildren) "/" a/b"#, r#"* LIST (\HasChildren) "/" a"#]);
    run(&mut one, "SUBSCRIBE a/b").expect_ok();
    told(&mut watcher, &[r#"* LIST (\HasNoChildren \Subscribed) "/" a/b"#]);
    run(&mut one, "SUBSCRIBE gone").expect_ok();
    told(&mut watcher, &[r#"* LIST (\HasNoChildren \NonExistent \Subscribed) "/" gone"#]);
    run(&mut one, "UNSUBSCRIBE gone").expect_ok();
    told(&mut watcher, &[r#"* LIST (\HasNoChildren \NonExistent) "/" gone"#]);
    // A branch moves as one.
    run(&mut one, "RENAME a \"c d\"").expect_ok();
    told(&mut watcher, &[r#"* LIST (\HasChildren) "/" "c d" ("OLDNAME" (a))"#]);
    run(&mut one, "DELETE \"c d/b\"").expect_ok();
    told(
        &mut watcher,
        &[r#"* LIST (\HasNoChildren \NonExistent) "/" "c d/b""#, r#"* LIST (\HasNoChildren) "/" "c d""#],
    );
    // Its own doings are no news; names that no filter covers are none.
    run(&mut watcher, "CREATE mine").expect_ok();
    run(&mut watcher, "NOTIFY SET (subtree-one x (MailboxName))").expect_ok();
    run(&mut one, "CREATE y").expect_ok();
    run(&mut one, "CREATE x/1/2").expect_ok();
    told(&mut watcher, &[r#"* LIST (\HasChildren \NonExistent) "/" x/1"#]);
    run(&mut one, "RENAME y x/y").expect_ok();
    told(&mut watcher, &[r#"* LIST (\HasNoChildren) "/" x/y ("OLDNAME" (y))"#]);
    // One that is subscribed now is watched now.
    run(&mut watcher, "NOTIFY SET (subscribed (MessageNew MessageExpunge))").expect_ok();
    append(&mut one, "mine");
    run(&mut one, "SUBSCRIBE mine").expect_ok();
    append(&mut one, "mine");
    told(&mut watcher, &["* STATUS mine (MESSAGES 2 UIDNEXT 3 UNSEEN 2)"]);
    silent(&mut watcher);
}

#[test]
fn annotations_are_told_without_enable() {
    let Some((_server, mut one, mut watcher)) = start() else { return };
    run(&mut watcher, "NOTIFY SET (mailboxes INBOX (MailboxMetadataChange)) (personal (ServerMetadataChange))")
        .expect_ok();
    run(&mut one, "CREATE other").expect_ok();
    run(&mut one, "SETMETADATA other (/shared/comment \"x\")").expect_ok();
    run(&mut one, "SETMETADATA INBOX (/shared/comment \"x\")").expect_ok();
    told(&mut watcher, &["* METADATA INBOX /shared/comment"]);
    run(&mut one, "SETMETADATA \"\" (/shared/comment \"x\")").expect_ok();
    told(&mut watcher, &["* METADATA \"\" /shared/comment"]);
    run(&mut one, "SETMETADATA INBOX (/shared/comment NIL)").expect_ok();
    told(&mut watcher, &["* METADATA INBOX /shared/comment"]);
    let refused = run(&mut watcher, "NOTIFY SET (personal (AnnotationChange MessageNew MessageExpunge))");
    assert!(!refused.is_ok() && refused.code("BADEVENT").is_some_and(|events| events.contains("MailboxName")));
    // A refused one changes nothing.
    run(&mut one, "SETMETADATA INBOX (/private/comment \"x\")").expect_ok();
    told(&mut watcher, &["* METADATA INBOX /private/comment"]);
    silent(&mut watcher);
}

#[test]
fn too_much_is_told_as_such() {
    let Some((_server, mut one, mut watcher)) = start() else { return };
    run(&mut watcher, "NOTIFY SET (personal (SubscriptionChange))").expect_ok();
    // A command that is not whole yet holds all news back, and more than are kept come together.
    let tag = watcher.send("APPEND INBOX {1}").expect("APPEND");
    assert!(watcher.read_response().expect("a continuation").starts_with(b"+"));
    for n in 0..1100 {
        run(&mut one, &format!("SUBSCRIBE s/{n}")).expect_ok();
    }
    watcher.write(b"x\r\n").expect("a message");
    let reply = watcher.finish(&tag).expect("APPEND").expect_ok();
    let overflow: Vec<String> = reply.untagged.iter().map(|line| text(line)).collect();
    assert!(overflow.len() == 1 && overflow[0].starts_with("* OK [NOTIFICATIONOVERFLOW] "), "{overflow:?}");
    // From there on nothing is told, until it is asked for again.
    run(&mut one, "SUBSCRIBE later").expect_ok();
    silent(&mut watcher);
    run(&mut watcher, "NOTIFY SET (personal (SubscriptionChange))").expect_ok();
    run(&mut one, "UNSUBSCRIBE later").expect_ok();
    told(&mut watcher, &[r#"* LIST (\HasNoChildren \NonExistent) "/" later"#]);
}
