//! SORT against the running server: what is sorted by columns, by cached fields, and after a drain.

use skein_testkit::Server;
use skein_testkit::imap::Client;

fn sorted(client: &mut Client, command: &str) -> Vec<u32> {
    let reply = client.command(command).expect("SORT").expect_ok();
    let lines: Vec<&Vec<u8>> = reply.untagged.iter().filter(|line| line.starts_with(b"* SORT")).collect();
    assert_eq!(lines.len(), 1, "{reply:?}");
    let numbers = String::from_utf8_lossy(&lines[0]["* SORT".len()..]).into_owned();
    numbers.split_whitespace().map(|number| number.parse().expect("a number")).collect()
}

#[test]
fn messages_come_in_the_order_that_is_asked() {
    let mut server = Server::start();
    let mut client = server.login(&Server::user(1));
    // Subject, From, To, Date, INTERNALDATE, bytes of text.
    let mails = [
        ("Re: b", "zoe@x", "\"a\" <m@x>", "Mon, 2 Nov 2026 10:00:00 +0000", "05-Nov-2026 10:00:00 +0000", 30),
        ("a", "Anna <anna@y>", "z@x", "Mon, 2 Nov 2026 10:00:00 +0200", "04-Nov-2026 10:00:00 +0000", 10),
        ("[list] Fwd: B (fwd)", "bob@x", "", "nonsense", "01-Nov-2026 10:00:00 +0000", 20),
        ("=?utf-8?q?=C3=A4?=", "anna@x", "a@x", "Sun, 1 Nov 2026 12:00:00 +0000", "03-Nov-2026 10:00:00 +0000", 20),
    ];
    for (subject, from, to, date, received, bytes) in mails {
        let to = if to.is_empty() { String::new() } else { format!("To: {to}\r\n") };
        let mail = format!("Subject: {subject}\r\nFrom: {from}\r\n{to}Date: {date}\r\n\r\n{}\r\n", "x".repeat(bytes));
        let mail = format!("{mail}{}", " ".repeat(200 - mail.len() + bytes));
        let tag = client.send(&format!("APPEND INBOX () \"{received}\" {{{}}}", mail.len())).expect("APPEND");
        client.read_response().expect("a go-ahead");
        client.write(format!("{mail}\r\n").as_bytes()).expect("a write");
        client.finish(&tag).expect("APPEND").expect_ok();
    }
    client.append("INBOX", "", b"\r\nno header at all\r\n").expect("APPEND").expect_ok();
    client.command("SELECT INBOX").expect("SELECT").expect_ok();
    client.command("STORE 5 +FLAGS.SILENT (\\Deleted)").expect("STORE").expect_ok();
    for round in 0..2 {
        let mut check = |command: &str, expect: &[u32]| {
            assert_eq!(sorted(&mut client, command), expect, "{command}, round {round}");
        };
        check("SORT (SUBJECT) UTF-8 UNDELETED", &[2, 4, 1, 3]);
        check("SORT (REVERSE SUBJECT) UTF-8 UNDELETED", &[1, 3, 4, 2]);
        check("SORT (SUBJECT REVERSE ARRIVAL) UTF-8 UNDELETED", &[2, 4, 1, 3]);
        check("SORT (SUBJECT ARRIVAL) UTF-8 UNDELETED", &[2, 4, 3, 1]);
        check("SORT (FROM) US-ASCII UNDELETED", &[2, 4, 3, 1]);
        check("SORT (TO) US-ASCII UNDELETED", &[3, 4, 1, 2]);
        check("SORT (DISPLAYFROM) US-ASCII UNDELETED", &[2, 4, 3, 1]);
        check("SORT (DISPLAYTO) US-ASCII UNDELETED", &[3, 1, 4, 2]);
        check("SORT (CC) US-ASCII ALL", &[1, 2, 3, 4, 5]);
        // Of a date that is none, and of none, it is when it came.
        check("SORT (DATE) US-ASCII UNDELETED", &[3, 4, 2, 1]);
        check("SORT (ARRIVAL) US-ASCII UNDELETED", &[3, 4, 2, 1]);
        check("SORT (SIZE) US-ASCII UNDELETED", &[2, 3, 4, 1]);
        check("SORT (REVERSE SIZE) US-ASCII UNDELETED", &[1, 3, 4, 2]);
        check("SORT (SUBJECT) UTF-8 ALL", &[5, 2, 4, 1, 3]);
        check("UID SORT (REVERSE ARRIVAL) UTF-8 FROM anna", &[2, 4]);
        check("SORT (ARRIVAL) UTF-8 ANSWERED", &[]);
        drop(client);
        server.stop();
        server.restart();
        client = server.login(&Server::user(1));
        client.command("SELECT INBOX").expect("SELECT").expect_ok();
    }
}

/// A mailbox of so many messages that its orders are kept, against what a model has for them.
#[test]
fn an_order_that_is_known_takes_in_what_has_come() {
    let server = Server::start();
    let mut client = server.login(&Server::user(1));
    let mut other = server.login(&Server::user(1));
    // Subjects by UID, many of them alike.
    let mut mails: Vec<(u32, u32)> = Vec::new();
    let mut append = |mails: &mut Vec<(u32, u32)>, count: u32| {
        let first = mails.last().map_or(1, |(uid, _)| uid + 1);
        let new: Vec<(u32, u32)> = (first..first + count).map(|uid| (uid, uid * 7919 % 101)).collect();
        let mail = |(_, subject): &(u32, u32)| format!("Subject: s{subject:03}\r\n\r\n");
        let literals = new.iter().map(mail).map(|mail| format!(" {{{}+}}\r\n{mail}", mail.len()));
        let tag = format!("more{first}");
        other.write(format!("{tag} APPEND INBOX{}\r\n", literals.collect::<String>()).as_bytes()).expect("APPEND");
        other.finish(&tag).expect("APPEND").expect_ok();
        mails.extend(new);
    };
    let model = |mails: &[(u32, u32)], reverse: bool, from: u32| {
        let mut all: Vec<(i64, u32)> =
            mails.iter().filter(|(uid, _)| *uid >= from).map(|(uid, s)| (i64::from(*s), *uid)).collect();
        all.sort_by_key(|(subject, uid)| (if reverse { -subject } else { *subject }, *uid));
        all.into_iter().map(|(_, uid)| uid).collect::<Vec<u32>>()
    };
    append(&mut mails, 600);
    client.command("SELECT INBOX").expect("SELECT").expect_ok();
    // More have come than are worth placing one by one; fewer; gone; both.
    for (gone, come) in
        [(0..0, 0), (0..0, 100), (0..0, 3), (250..400, 0), (5..6, 2), (0..448, 0), (0..1, 5), (0..0, 400)]
    {
        if !gone.is_empty() {
            let uids: Vec<String> = mails.drain(gone).map(|(uid, _)| uid.to_string()).collect();
            client
                .command(&format!("UID STORE {} +FLAGS.SILENT (\\Deleted)", uids.join(",")))
                .expect("STORE")
                .expect_ok();
            client.command("EXPUNGE").expect("EXPUNGE").expect_ok();
        }
        if come > 0 {
            append(&mut mails, come);
        }
        client.command("NOOP").expect("NOOP").expect_ok();
        for round in 0..2 {
            let place = |uid: u32| mails.iter().position(|(one, _)| *one == uid).expect("it is there") as u32 + 1;
            let all = model(&mails, false, 0);
            assert_eq!(sorted(&mut client, "UID SORT (SUBJECT) UTF-8 ALL"), all, "{come} new, round {round}");
            let numbers: Vec<u32> = all.iter().map(|uid| place(*uid)).collect();
            assert_eq!(sorted(&mut client, "SORT (SUBJECT) UTF-8 ALL"), numbers, "{come} new, round {round}");
            let reverse = model(&mails, true, 0);
            assert_eq!(
                sorted(&mut client, "UID SORT (REVERSE SUBJECT) UTF-8 ALL"),
                reverse,
                "{come} new, round {round}"
            );
            let some = model(&mails, false, 90);
            assert_eq!(sorted(&mut client, "UID SORT (SUBJECT) UTF-8 UID 90:*"), some, "{come} new, round {round}");
        }
    }
}

/// RFC 5255: the comparator is one session's own, also where what was found once is kept for all of them.
#[test]
fn each_session_sorts_and_threads_by_its_own_comparator() {
    let server = Server::start();
    let mut client = server.login(&Server::user(1));
    let subject = |uid: u32| format!("{}{}", if uid.is_multiple_of(2) { 'S' } else { 's' }, uid * 7919 % 5);
    let literals = (1..=300).map(|uid| format!("Subject: {}\r\n\r\n", subject(uid)));
    let literals: String = literals.map(|mail| format!(" {{{}+}}\r\n{mail}", mail.len())).collect();
    client.write(format!("all APPEND INBOX{literals}\r\n").as_bytes()).expect("APPEND");
    client.finish("all").expect("APPEND").expect_ok();
    let order = |key: &dyn Fn(&str) -> String, descending: bool| {
        let mut all: Vec<(String, u32)> = (1..=300).map(|uid| (key(&subject(uid)), uid)).collect();
        all.sort_by(|a, b| if descending { b.0.cmp(&a.0) } else { a.0.cmp(&b.0) }.then(a.1.cmp(&b.1)));
        all.into_iter().map(|(_, uid)| uid).collect::<Vec<u32>>()
    };
    let casemap = order(&str::to_lowercase, false);
    let octet = order(&str::to_owned, false);
    let threads = |client: &mut Client| {
        let reply = client.command("UID THREAD ORDEREDSUBJECT UTF-8 ALL").expect("THREAD").expect_ok();
        // One space in each, between its first message and the answers, which have parentheses.
        reply.data("THREAD")[0].iter().filter(|byte| **byte == b' ').count()
    };
    let mut other = server.login(&Server::user(1));
    for session in [&mut client, &mut other] {
        session.command("SELECT INBOX").expect("SELECT").expect_ok();
    }
    other.command("COMPARATOR i;octet").expect("COMPARATOR").expect_ok();
    for round in 0..2 {
        assert_eq!(sorted(&mut client, "UID SORT (SUBJECT) UTF-8 ALL"), casemap, "round {round}");
        assert_eq!(sorted(&mut other, "UID SORT (SUBJECT) UTF-8 ALL"), octet, "round {round}");
        assert_eq!((threads(&mut client), threads(&mut other)), (5, 10), "round {round}");
    }
    other.command("COMPARATOR -i;octet").expect("COMPARATOR").expect_ok();
    let descending = order(&str::to_owned, true);
    assert_eq!(sorted(&mut other, "UID SORT (SUBJECT) UTF-8 ALL"), descending);
    assert_eq!(sorted(&mut other, "UID SORT (REVERSE SUBJECT) UTF-8 ALL"), octet);
    other.command("COMPARATOR default").expect("COMPARATOR").expect_ok();
    assert_eq!(sorted(&mut other, "UID SORT (SUBJECT) UTF-8 ALL"), casemap);
}
