//! A Maildir that Debian's Dovecot wrote, read from the disk: the same UIDs, flags, keywords, dates and texts as over IMAP.

use std::collections::BTreeSet;
use std::process::{Command, Stdio};
use std::time::Duration;

use skein_base::Flags;
use skein_migrate::maildir::{self, Layout};
use skein_migrate::{Folder, Message};
use skein_testkit::adm::{bad, good};
use skein_testkit::imap::{Client, Value};
use skein_testkit::server::{Kind, PASSWORD, skein_binary, use_dovecot_maildir};
use skein_testkit::temp::TempDir;
use skein_testkit::{Server, pop3, program, wait};

/// 23-Nov-2026 23:34:50 +0000
const DATE: i64 = 1_795_476_890;

/// What both sides know of a message: UID, flags and keywords, text.
type Known = (u32, BTreeSet<String>, Vec<u8>);

fn over_imap(client: &mut Client, mailbox: &str) -> (u32, u32, Vec<Known>) {
    let selected = client.command(&format!("EXAMINE {mailbox}")).expect("EXAMINE").expect_ok();
    let number = |code| selected.code(code).and_then(|value| value.parse().ok()).expect(code);
    let reply = client.command("FETCH 1:* (UID FLAGS INTERNALDATE BODY.PEEK[])").expect("FETCH").expect_ok();
    let fetches = reply.fetches();
    let known = fetches.iter().map(|fetched| {
        let date = fetched.item("INTERNALDATE").and_then(Value::text).expect("a date");
        assert_eq!(date, "23-Nov-2026 23:34:50 +0000");
        (fetched.uid().expect("a UID"), fetched.flags().expect("flags"), fetched.body().expect("a body").to_vec())
    });
    (number("UIDVALIDITY"), number("UIDNEXT"), known.collect())
}

fn from_disk(message: &Message) -> Known {
    let meta = &message.meta;
    assert_eq!(meta.internal_date, DATE);
    let flags = Flags::NAMES.iter().filter(|(flag, _)| meta.flags.contains(*flag)).map(|(_, name)| (*name).to_owned());
    let all = flags.chain(meta.keywords.iter().cloned()).collect();
    (meta.uid.expect("Dovecot gave it a UID"), all, message.read().expect("the file"))
}

/// What POP3 clients know the inbox's messages by.
fn unique_ids(server: &Server, user: &str) -> Vec<String> {
    let mut client = pop3::Client::connect(server.ports().pop3).expect("a connection");
    client.login(user, PASSWORD).expect("a login").expect_ok();
    let lines = client.listing("UIDL").expect("UIDL");
    let ids: Vec<String> = lines.iter().map(|line| line.split(' ').nth(1).expect("an id").to_owned()).collect();
    for (n, id) in ids.iter().enumerate() {
        let one = client.command(&format!("UIDL {}", n + 1)).expect("UIDL").expect_ok();
        assert!(one.0.ends_with(&format!(" {id}")), "{one:?} is not {id}");
    }
    client.command("QUIT").expect("QUIT").expect_ok();
    ids
}

fn set_up(client: &mut Client) {
    client.command("CREATE \"B&APw-ro\"").expect("CREATE").expect_ok();
    client.command("CREATE \"B&APw-ro/Alt\"").expect("CREATE").expect_ok();
    client.command("SUBSCRIBE \"B&APw-ro/Alt\"").expect("SUBSCRIBE").expect_ok();
    let flags = ["()", "(\\Seen work)", "(\\Answered \\Flagged \\Draft $Forwarded)", "(\\Deleted $Label1 later work)"];
    for mailbox in ["INBOX", "\"B&APw-ro/Alt\""] {
        for number in 0..8 {
            let mail = format!("Subject: {number}\r\n\r\n{}{mailbox}\r\n.\r\n", "x\r\n".repeat(number));
            let given = format!("{} \"24-Nov-2026 01:34:50 +0200\"", flags[number % flags.len()]);
            let tag = client.send(&format!("APPEND {mailbox} {given} {{{}}}", mail.len())).expect("APPEND");
            client.read_response().expect("a go-ahead");
            client.write(format!("{mail}\r\n").as_bytes()).expect("a write");
            client.finish(&tag).expect("APPEND").expect_ok();
        }
        client.command(&format!("SELECT {mailbox}")).expect("SELECT").expect_ok();
        client.command("STORE 2,4 +FLAGS.SILENT (\\Deleted)").expect("STORE").expect_ok();
        client.command("EXPUNGE").expect("EXPUNGE").expect_ok();
        client.command("STORE 1 +FLAGS.SILENT (\\Seen last)").expect("STORE").expect_ok();
    }
}

#[test]
fn a_maildir_of_dovecots() {
    let Some(_) = program::find("dovecot") else { return };
    use_dovecot_maildir();
    let mut server = Server::start_kind(Kind::Dovecot);
    let mut client = server.login(&Server::user(1));
    set_up(&mut client);
    let inbox = over_imap(&mut client, "INBOX");
    let alt = over_imap(&mut client, "\"B&APw-ro/Alt\"");
    assert!(inbox.2.len() >= 5 && inbox.2.iter().any(|(_, flags, _)| flags.contains("last")), "{inbox:?}");
    drop(client);
    let known = unique_ids(&server, &Server::user(1));
    server.stop();
    let root = server.folder().join("data").join(Server::user(1)).join("mail");
    let folders = maildir::folders(&root, Layout::PlusPlus).expect("a Maildir");
    let names: Vec<(&str, bool)> = folders.iter().map(|f| (&*f.name, f.subscribed)).collect();
    assert_eq!(names, [("INBOX", false), ("Büro", false), ("Büro/Alt", true)]);
    let check = |folder: &Folder, (validity, next, known): &(u32, u32, Vec<Known>)| {
        assert_eq!((folder.validity, folder.uid_next), (Some(*validity), Some(*next)), "{}", folder.name);
        let read: Vec<Known> = maildir::messages(folder).expect("messages").iter().map(from_disk).collect();
        assert_eq!(&read, known, "{}", folder.name);
    };
    check(&folders[0], &inbox);
    check(&folders[2], &alt);

    // The same into Skein, by the operator's command, over IMAP again; and once more, which takes nothing.
    let skein = Server::start();
    let (user, path) = (Server::user(1), root.display());
    let first = good(&skein, &format!("--json import {user} {path}"));
    let taken = (inbox.2.len() + alt.2.len()) as u64;
    assert_eq!(sum(&first, "uids_kept"), taken, "{first}");
    assert_eq!(sum(&first, "uids_new") + sum(&first, "already") + sum(&first, "refused"), 0, "{first}");
    let mut client = skein.login(&user);
    assert_eq!(over_imap(&mut client, "INBOX"), inbox);
    assert_eq!(over_imap(&mut client, "\"B&APw-ro/Alt\""), alt);
    assert_eq!(unique_ids(&skein, &user), known);
    assert_eq!(known.len(), inbox.2.len());
    assert!(known[0].contains(".M"), "Dovecot made them of file names: {known:?}");
    let subscribed = client.command("LSUB \"\" *").expect("LSUB").expect_ok();
    assert_eq!(subscribed.data("LSUB").len(), 1, "{subscribed:?}");
    let again = good(&skein, &format!("--json import {user} {path}"));
    assert_eq!((sum(&again, "already"), sum(&again, "uids_kept")), (taken, 0), "{again}");
    assert_eq!(over_imap(&mut client, "INBOX"), inbox);
    assert_eq!(last(&first, "hash"), last(&again, "hash"));
    // Where mail is, or a session looks on, UIDs can not be kept, and the report says so.
    let other = Server::user(2);
    let mut looking = skein.login(&other);
    let selected = looking.command("SELECT INBOX").expect("SELECT").expect_ok();
    // Made in the same second it has the same UIDVALIDITY, and then they can.
    let is_same = selected.code("UIDVALIDITY") == Some(inbox.0.to_string());
    let kept = if is_same { inbox.2.len() } else { 0 } + alt.2.len();
    let given = good(&skein, &format!("--json import {other} {path}"));
    let counts = (sum(&given, "uids_new"), sum(&given, "uids_kept"));
    assert_eq!(counts, (taken - kept as u64, kept as u64), "{given}");
    looking.command("NOOP").expect("NOOP").expect_ok();
    assert_eq!(looking.command("SEARCH ALL").expect("SEARCH").expect_ok().search().len(), inbox.2.len());
    good(&skein, &format!("check {user}"));
}

/// A Maildir of Courier's, with its list of what POP3 clients know; from there on through everything that mail goes through.
#[test]
fn what_pop3_clients_know_mail_by_stays() {
    let (mut server, dir) = (Server::start(), TempDir::new("uidl"));
    let user = Server::user(1);
    let maildir = dir.join("Maildir");
    for part in ["cur", "new", "tmp"] {
        std::fs::create_dir_all(maildir.join(part)).expect("a folder");
    }
    for n in 1..=5 {
        dir.write(&format!("Maildir/cur/{n}.x+y,S=9:2,S"), format!("Subject: {n}\n\n{n}\n"));
    }
    let uids: String = (1..=5).map(|n| format!("{n} {n}.x+y,S=9\n")).collect();
    dir.write("Maildir/courierimapuiddb", format!("1 1275660208 6\n{uids}"));
    let list = "/3 9 77\n1.x+y,S=9:2, 20 4:77:0\n2.x+y,S=9:2,S 20 0:0:0\n3.x+y,S=9 20 8:0:0\n5.x+y,S=9 20 7:77:1\n";
    dir.write("Maildir/courierpop3dsizelist", list);
    let taken = good(&server, &format!("--json import {user} {}", maildir.display()));
    assert_eq!(sum(&taken, "uids_kept"), 5, "{taken}");
    // The fourth message was in no list: it gets the id that Dovecot would make.
    let fourth = format!("{:08x}{:08x}", 4, 1_275_660_208);
    let mut known = vec!["UID4-77", "2.x+2By,S=9", "UID8", &fourth, "UID7-77"];
    assert_eq!(unique_ids(&server, &user), known);
    // Who knew them by the names of files keeps what the list says, and has a name for the fourth.
    let again = good(&server, &format!("--json import --uidl filename {user} {}", maildir.display()));
    assert_eq!(sum(&again, "already"), 5, "{again}");
    known[3] = "4.x+y,S=9";
    assert_eq!(unique_ids(&server, &user), known);
    let fetched = good(&server, &format!("fetch {user} pop3.uidl mailbox INBOX uid 5"));
    assert!(fetched.contains("UID7-77"), "{fetched}");

    let mut client = server.login(&user);
    client.command("SELECT INBOX").expect("SELECT").expect_ok();
    client.command("STORE 1 +FLAGS.SILENT (\\Deleted)").expect("STORE").expect_ok();
    client.command("EXPUNGE").expect("EXPUNGE").expect_ok();
    known.remove(0);
    drop(client);
    server.kill();
    server.restart();
    assert_eq!(unique_ids(&server, &user), known);
    good(&server, &format!("rebuild {user}"));
    assert_eq!(unique_ids(&server, &user), known);

    let (copy, out) = (dir.join("backup"), dir.join("export"));
    good(&server, &format!("backup {user} {}", copy.display()));
    good(&server, &format!("export {user} {}", out.display()));
    let other = Server::start();
    good(&other, &format!("restore {user} {}", copy.display()));
    assert_eq!(unique_ids(&other, &user), known);
    let third = Server::start();
    good(&third, &format!("import {user} {}", out.display()));
    assert_eq!(unique_ids(&third, &user), known);
}

/// A field of all rows but the last, added up.
fn sum(json: &str, name: &str) -> u64 {
    let rows: Vec<&str> = json.lines().filter(|line| line.contains("\"mailbox\"")).collect();
    rows.iter().map(|row| number(row, name)).sum()
}

fn number(row: &str, name: &str) -> u64 {
    let rest = row.split(&format!("\"{name}\":")).nth(1).expect("the field");
    rest.split(|c: char| !c.is_ascii_digit()).next().and_then(|digits| digits.parse().ok()).expect("a number")
}

/// A field of the last row.
fn last<'a>(json: &'a str, name: &str) -> &'a str {
    let row = json.lines().rfind(|line| !line.is_empty()).expect("a row");
    row.split(&format!("\"{name}\":\"")).nth(1).and_then(|rest| rest.split('"').next()).expect("the field")
}

#[test]
fn mboxes_and_files_come_in() {
    let (server, from) = (Server::start(), TempDir::new("import"));
    let user = Server::user(1);
    let text = |n: usize| format!("From: a@b\nSubject: {n}\n\n>From here\n{}\n", "x".repeat(n));
    let mbox: String = (0..30).map(|n| format!("From a@b Mon Nov 23 23:34:50 2026\n{}\n", text(n))).collect();
    from.write("inbox", &mbox);
    from.write("Archive.mbox", &mbox);
    let path = from.path().display();
    let dry = good(&server, &format!("--json import --dry-run {user} {path}"));
    assert_eq!((sum(&dry, "messages"), sum(&dry, "uids_new")), (60, 0), "{dry}");
    let taken = good(&server, &format!("--json import {user} {path}"));
    assert_eq!(sum(&taken, "uids_new"), 60, "{taken}");
    let mut client = server.login(&user);
    let seen = client.command("EXAMINE Archive").expect("EXAMINE").expect_ok();
    assert_eq!(seen.exists(), Some(30));
    let reply = client.command("FETCH 3 (INTERNALDATE BODY.PEEK[])").expect("FETCH").expect_ok();
    let body = String::from_utf8_lossy(reply.fetches()[0].body().expect("a body")).into_owned();
    assert!(body.contains("Subject: 2\r\n\r\nFrom here\r\nxx"), "{body}");

    let files = TempDir::new("import");
    std::fs::create_dir(files.join("sub")).expect("a folder");
    for n in 0..5 {
        files.write(&format!("{n}.eml"), text(n));
        files.write(&format!("sub/{n}.eml"), text(n));
    }
    let path = files.path().display();
    let taken = good(&server, &format!("--json import --mailbox Files {user} {path}"));
    assert_eq!(sum(&taken, "uids_new"), 10, "{taken}");
    assert_eq!(client.command("EXAMINE Files/sub").expect("EXAMINE").expect_ok().exists(), Some(5));
    // A file by itself, however it is called; taken once.
    let one = files.write("letter", text(3));
    for expected in [1, 0] {
        let taken = good(&server, &format!("--json import --mailbox One {user} {}", one.display()));
        assert_eq!((sum(&taken, "messages"), sum(&taken, "uids_new")), (1, expected), "{taken}");
    }
    assert_eq!(client.command("EXAMINE One").expect("EXAMINE").expect_ok().exists(), Some(1));
    assert_eq!(bad(&server, &format!("import nobody@nowhere {path}")).0, Some(67));
    assert_eq!(bad(&server, &format!("import {user} /nowhere/at/all")).0, Some(65));
}

/// Whoever is killed in the middle, the next run takes what is missing, and nothing twice.
#[test]
fn an_import_that_breaks_off_goes_on() {
    let (mut server, from) = (Server::start(), TempDir::new("import"));
    let user = Server::user(1);
    let mbox: String = (0..2000)
        .map(|n| {
            format!("From a@b Mon Nov 23 23:34:50 2026\nFrom: a@b\nSubject: {n}\n\n{}\n\n", "text ".repeat(n % 300))
        })
        .collect();
    let path = from.write("inbox", &mbox);
    let line = format!("import {user} {}", path.display());
    for round in 0..6u64 {
        let mut command = Command::new(skein_binary());
        command.arg("adm").arg("--config").arg(server.folder().join("skein.toml")).args(line.split_whitespace());
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("skein adm");
        wait::until(Duration::from_millis(30 * (round + 1)), || false);
        if round % 2 == 0 {
            child.kill().expect("a kill");
        } else {
            server.kill();
        }
        child.wait().expect("its end");
        if round % 2 == 1 {
            server.restart();
        }
    }
    let done = good(&server, &format!("--json {line}"));
    assert_eq!(sum(&done, "already") + sum(&done, "uids_new"), 2000, "{done}");
    let mut client = server.login(&user);
    client.command("EXAMINE INBOX").expect("EXAMINE").expect_ok();
    let reply = client.command("FETCH 1:* BODY.PEEK[]").expect("FETCH").expect_ok();
    let subject = |body: &[u8]| body.split(|&b| b == b'\r').nth(1).expect("the second line").to_vec();
    let subjects: Vec<Vec<u8>> =
        reply.fetches().iter().map(|fetched| subject(fetched.body().expect("a body"))).collect();
    let different: BTreeSet<&Vec<u8>> = subjects.iter().collect();
    assert_eq!((subjects.len(), different.len()), (2000, 2000), "nothing is lost, nothing is there twice");
}

/// What goes out comes in again as it was: into another server, as a Maildir and as mboxes.
#[test]
fn an_export_comes_in_again() {
    let (server, dir) = (Server::start(), TempDir::new("export"));
    let user = Server::user(1);
    let mut client = server.login(&user);
    client.command("CREATE \"B&APw-ro/Alt\"").expect("CREATE").expect_ok();
    client.command("SUBSCRIBE \"B&APw-ro/Alt\"").expect("SUBSCRIBE").expect_ok();
    for (n, mailbox) in ["INBOX", "\"B&APw-ro/Alt\"", "INBOX", "INBOX"].into_iter().enumerate() {
        let text = format!("From: a@b\r\nSubject: {n}\r\n\r\nFrom here\r\n>From there\r\n\u{fc}\r\n");
        let given = "(\\Seen work) \"23-Nov-2026 23:34:50 +0000\"";
        let tag = client.send(&format!("APPEND {mailbox} {given} {{{}}}", text.len())).expect("APPEND");
        client.read_response().expect("a go-ahead");
        client.write(format!("{text}\r\n").as_bytes()).expect("a write");
        client.finish(&tag).expect("APPEND").expect_ok();
    }
    client.command("SELECT INBOX").expect("SELECT").expect_ok();
    client.command("STORE 2 +FLAGS.SILENT (\\Deleted)").expect("STORE").expect_ok();
    client.command("EXPUNGE").expect("EXPUNGE").expect_ok();
    let before = [over_imap(&mut client, "INBOX"), over_imap(&mut client, "\"B&APw-ro/Alt\"")];
    for format in ["maildir", "mbox"] {
        let to = dir.join(format);
        let out = good(&server, &format!("--json export --format {format} {user} {}", to.display()));
        assert_eq!(sum(&out, "messages"), 3, "{out}");
        assert_eq!(bad(&server, &format!("export --format {format} {user} {}", to.display())).0, Some(65));
        let other = Server::start();
        let taken = good(&other, &format!("--json import {user} {}", to.display()));
        assert_eq!((sum(&taken, "uids_kept"), last(&taken, "hash")), (3, last(&out, "hash")), "{taken}");
        let mut client = other.login(&user);
        let after = [over_imap(&mut client, "INBOX"), over_imap(&mut client, "\"B&APw-ro/Alt\"")];
        assert_eq!(after, before, "{format}");
    }
    assert_eq!(bad(&server, &format!("export nobody@nowhere {}", dir.join("none").display())).0, Some(67));
}

/// Whoever is killed in the middle, the next run goes on with what is there, and what comes out is what a run in one piece gives.
#[test]
fn an_export_that_breaks_off_goes_on() {
    for format in ["maildir", "mbox"] {
        let (mut server, dir) = (Server::start(), TempDir::new("export"));
        let user = Server::user(1);
        let mail =
            |n: usize| format!("From a@b Mon Nov 23 23:34:50 2026\nSubject: {n}\n\n{}\n\n", "text ".repeat(n % 3000));
        let mbox: String = (0..1500).map(mail).collect();
        std::fs::create_dir(dir.join("in")).expect("a folder");
        for name in ["inbox", "gone"] {
            dir.write(&format!("in/{name}"), &mbox);
        }
        good(&server, &format!("import {user} {}", dir.join("in").display()));
        let out = dir.join("out");
        let line = format!("export --format {format} {user} {}", out.display());
        let mut waited = Duration::from_millis(20);
        // Broken off at least four times, and at the last in the middle.
        for round in 0.. {
            assert!(round < 200, "it is never broken off in the middle");
            let mut command = Command::new(skein_binary());
            command.arg("adm").arg("--config").arg(server.folder().join("skein.toml")).args(line.split_whitespace());
            let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("skein adm");
            wait::until(waited, || false);
            if round % 2 == 0 {
                child.kill().expect("a kill");
            } else {
                server.kill();
            }
            child.wait().expect("its end");
            if round % 2 == 1 {
                server.restart();
            }
            if out.exists() {
                // It was faster.
                std::fs::remove_dir_all(&out).expect("a removal");
                waited = waited * 2 / 3;
                continue;
            }
            let part = dir.join("out.part");
            let has_some = match format {
                "maildir" => part.join("cur").read_dir().is_ok_and(|mut files| files.next().is_some()),
                _ => part.join("INBOX.mbox.state").exists() || part.join("gone.mbox").exists(),
            };
            if round >= 4 && has_some {
                break;
            }
            waited += Duration::from_millis(if has_some { 0 } else { 7 });
        }
        let mut client = server.login(&user);
        client.command("SELECT INBOX").expect("SELECT").expect_ok();
        if format == "maildir" {
            // What changed meanwhile is as it is now.
            client.command("STORE 1 +FLAGS.SILENT (\\Deleted)").expect("STORE").expect_ok();
            client.command("EXPUNGE").expect("EXPUNGE").expect_ok();
            client.command("STORE 2 +FLAGS.SILENT (\\Flagged later)").expect("STORE").expect_ok();
        }
        client.command("DELETE gone").expect("DELETE").expect_ok();
        let tag = client.send("APPEND INBOX \"23-Nov-2026 23:34:50 +0000\" {13}").expect("APPEND");
        client.read_response().expect("a go-ahead");
        client.write(b"Subject: x\r\n\r\n").expect("a write");
        client.finish(&tag).expect("APPEND").expect_ok();
        let known = over_imap(&mut client, "INBOX");
        let done = good(&server, &format!("--json {line}"));
        assert_eq!(sum(&done, "messages"), known.2.len() as u64, "{done}");
        assert!(format == "mbox" || sum(&done, "kept") > 0, "{done}");
        let whole = good(&server, &format!("--json export --format {format} {user} {}", dir.join("whole").display()));
        assert_eq!((last(&done, "hash"), sum(&whole, "kept")), (last(&whole, "hash"), 0), "{whole}");
        assert!(!dir.join("out.part").exists() && !out.join("skein-export-unfinished").exists());
        let other = Server::start();
        let taken = good(&other, &format!("--json import {user} {}", out.display()));
        assert_eq!(last(&taken, "hash"), last(&done, "hash"), "{taken}");
        // More than one request takes.
        assert_eq!(sum(&taken, "uids_kept"), known.2.len() as u64, "{taken}");
        let mut client = other.login(&user);
        assert_eq!(over_imap(&mut client, "INBOX"), known, "{format}");
        assert_eq!(client.command("LIST \"\" *").expect("LIST").expect_ok().data("LIST").len(), 1);
    }
}
