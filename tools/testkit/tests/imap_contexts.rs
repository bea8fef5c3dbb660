//! Sorted, partial and kept results against the running server (RFC 5267, RFC 9394), and searches in many mailboxes (RFC 7377).

use skein_testkit::Server;
use skein_testkit::imap::{Client, Reply, expand_set};

/// The lines of ESEARCH behind their tag.
fn told(reply: &Reply) -> Vec<String> {
    let lines = reply.data("ESEARCH").into_iter().map(|line| String::from_utf8_lossy(line).into_owned());
    lines
        .map(|line| line.split_once('"').and_then(|(_, line)| line.split_once('"')).expect("a tag").1.to_owned())
        .collect()
}

fn search(client: &mut Client, command: &str) -> String {
    let told = told(&client.command(command).expect("a search").expect_ok());
    assert_eq!(told.len(), 1, "{command}: {told:?}");
    told[0].trim_start_matches(')').trim_start().to_owned()
}

fn mail(client: &mut Client, mailbox: &str, flags: &str, subject: &str) {
    let mail = format!("Subject: {subject}\r\nFrom: a@b\r\n\r\ntext of {subject}\r\n");
    client.append(mailbox, flags, mail.as_bytes()).expect("APPEND").expect_ok();
}

fn selected(server: &Server) -> Client {
    let mut client = server.login(&Server::user(1));
    client.command("SELECT INBOX").expect("SELECT").expect_ok();
    client
}

#[test]
fn results_are_sorted_cut_and_remembered() {
    let server = Server::start();
    let mut client = server.login(&Server::user(1));
    for subject in ["gone", "c", "a", "b", "e", "d"] {
        mail(&mut client, "INBOX", "", subject);
    }
    client.command("SELECT INBOX").expect("SELECT").expect_ok();
    client.command("STORE 1 +FLAGS.SILENT (\\Deleted)").expect("STORE").expect_ok();
    client.command("EXPUNGE").expect("EXPUNGE").expect_ok();
    for (command, expect) in [
        ("SORT RETURN () (SUBJECT) UTF-8 ALL", "ALL 2:3,1,5,4"),
        ("UID SORT RETURN (MIN MAX COUNT ALL) (REVERSE SUBJECT) UTF-8 ALL", "UID MIN 5 MAX 3 COUNT 5 ALL 5:6,2,4,3"),
        ("SORT RETURN (PARTIAL 2:3) (SUBJECT) UTF-8 ALL", "PARTIAL (2:3 3,1)"),
        ("SORT RETURN (PARTIAL -1:-2) (SUBJECT) UTF-8 ALL", "PARTIAL (-1:-2 5,4)"),
        ("SORT RETURN (COUNT) (SUBJECT) UTF-8 ANSWERED", "COUNT 0"),
        ("SEARCH RETURN (PARTIAL 4:2) ALL", "PARTIAL (2:4 2:4)"),
        ("UID SEARCH RETURN (PARTIAL -2:-9) ALL", "UID PARTIAL (-2:-9 2:5)"),
        ("SEARCH RETURN (PARTIAL 6:7) ALL", "PARTIAL (6:7 NIL)"),
        ("SEARCH RETURN (CONTEXT) SUBJECT c", "ALL 1"),
    ] {
        assert_eq!(search(&mut client, command), expect, "{command}");
    }
    let mut saved = |returns: &str| {
        client.command(&format!("UID SORT RETURN (SAVE{returns}) (SUBJECT) UTF-8 ALL")).expect("SORT").expect_ok();
        search(&mut client, "UID SEARCH RETURN () $").trim_start_matches("UID ALL ").to_owned()
    };
    assert_eq!(saved(""), "2:6");
    assert_eq!(saved(" PARTIAL 2:3"), "2,4");
    assert_eq!(saved(" PARTIAL 2:3 MAX"), "2,4:5");
    assert_eq!(saved(" MIN"), "3");
    assert_eq!(saved(" PARTIAL 2:3 COUNT"), "2:6");

    let mut fetched = |command: &str| -> Vec<u32> {
        let reply = client.command(command).expect("FETCH").expect_ok();
        reply.fetches().iter().map(|message| message.uid().expect("a UID")).collect()
    };
    assert_eq!(fetched("UID FETCH 1:* (FLAGS) (PARTIAL 1:2)"), [2, 3]);
    assert_eq!(fetched("UID FETCH 1:* (FLAGS) (PARTIAL -1:-2)"), [5, 6]);
    assert_eq!(fetched("UID FETCH 1,3,5:6 (BODY.PEEK[TEXT]) (PARTIAL 2:9)"), [5, 6]);
    assert_eq!(fetched("UID FETCH 1:* (FLAGS) (PARTIAL 6:9)"), []);
    assert_eq!(fetched("UID FETCH 1:* (FLAGS) (CHANGEDSINCE 1000 PARTIAL 1:9)"), []);
}

#[test]
fn what_changes_in_a_result_is_told_with_its_cause() {
    let server = Server::start();
    let mut other = server.login(&Server::user(1));
    (1..=4).for_each(|n| mail(&mut other, "INBOX", "", &format!("s{n}")));
    other.command("SELECT INBOX").expect("SELECT").expect_ok();
    let mut client = selected(&server);
    assert_eq!(search(&mut client, "SEARCH RETURN (UPDATE ALL) SEEN"), "");
    assert_eq!(search(&mut client, "UID SORT RETURN (UPDATE COUNT) (REVERSE SUBJECT) UTF-8 UNSEEN"), "UID COUNT 4");
    // The tag of a result that is kept up is taken.
    client.write(b"x1 SEARCH RETURN (UPDATE) ALL\r\nx1 SORT RETURN (UPDATE) (DATE) UTF-8 ALL\r\n").expect("a write");
    assert!(client.finish("x1").expect("SEARCH").is_ok());
    assert!(!client.finish("x1").expect("SORT").is_ok());
    client.command("CANCELUPDATE \"x1\"").expect("CANCELUPDATE").expect_ok();
    assert!(!client.command("CANCELUPDATE \"x1\"").expect("CANCELUPDATE").is_ok());

    let mut lines = |command: &str| -> Vec<String> {
        let reply = client.command(command).expect("a command").expect_ok();
        let kind = |line: &Vec<u8>| {
            let text = String::from_utf8_lossy(line);
            match text.split_once("(TAG ") {
                Some((_, rest)) => rest.split_once(')').expect("an end").1.trim().to_owned(),
                None => text["* ".len()..].to_owned(),
            }
        };
        reply.untagged.iter().map(kind).collect()
    };
    // Its own changes, others' changes, what arrives, what goes.
    assert_eq!(lines("STORE 2 +FLAGS.SILENT (\\Seen)"), ["ADDTO (0 2)", "UID REMOVEFROM (3 2)"]);
    other.command("NOOP").expect("NOOP").expect_ok();
    other.command("STORE 1,3 +FLAGS.SILENT (\\Seen)").expect("STORE").expect_ok();
    other.command("STORE 2 -FLAGS.SILENT (\\Seen)").expect("STORE").expect_ok();
    let told = lines("NOOP");
    assert_eq!(told[3..], ["REMOVEFROM (0 2) ADDTO (0 1,3)", "UID REMOVEFROM (2 3,1) ADDTO (2 2)"], "{told:?}");
    mail(&mut other, "INBOX", "", "s3a");
    mail(&mut other, "INBOX", "\\Seen", "s9");
    let told = lines("NOOP");
    assert_eq!((&told[0][..], &told[2..]), ("6 EXISTS", &["ADDTO (0 6)".to_owned(), "UID ADDTO (2 5)".to_owned()][..]));
    other.command("STORE 1,4 +FLAGS.SILENT (\\Deleted)").expect("STORE").expect_ok();
    other.command("EXPUNGE").expect("EXPUNGE").expect_ok();
    // A command that may not tell of EXPUNGE tells that they are no part of the result.
    assert_eq!(lines("FETCH 2 UID"), ["2 FETCH (UID 2)", "REMOVEFROM (0 1)", "UID REMOVEFROM (1 4)"]);
    let told = lines("NOOP");
    assert_eq!(told[..2], ["4 EXPUNGE", "1 EXPUNGE"], "{told:?}");
    assert!(!told.iter().any(|line| line.contains("REMOVEFROM")), "{told:?}");
    // A keyword that the mailbox did not know when the result was made.
    assert_eq!(lines("UID SEARCH RETURN (UPDATE) KEYWORD new"), ["UID"]);
    other.command("NOOP").expect("NOOP").expect_ok();
    other.command("STORE 1 +FLAGS.SILENT (New)").expect("STORE").expect_ok();
    assert_eq!(lines("NOOP").last().map(String::as_str), Some("UID ADDTO (0 2)"));
    // Nobody keeps up what is no longer selected.
    lines("UNSELECT");
    lines("SELECT INBOX");
    assert_eq!(lines("STORE 1 +FLAGS.SILENT (\\Seen)"), [""; 0]);
}

#[test]
fn messages_that_arrive_in_a_result_are_fetched() {
    let server = Server::start();
    let mut client = selected(&server);
    let command = "UID SEARCH RETURN (UPDATE (UID BODY[HEADER.FIELDS (SUBJECT)])) SUBJECT boss";
    client.command(command).expect("SEARCH").expect_ok();
    let tag = client.idle().expect("IDLE");
    let mut other = server.login(&Server::user(1));
    mail(&mut other, "INBOX", "", "from the boss");
    // The client waits for the last line of these before it ends IDLE.
    let mut lines = Vec::new();
    while !lines.last().is_some_and(|line: &String| line.contains("ESEARCH")) {
        lines.push(String::from_utf8_lossy(&client.read_response().expect("a line")).into_owned());
    }
    client.done(&tag).expect("DONE").expect_ok();
    let at =
        |what: &str| lines.iter().position(|line| line.contains(what)).unwrap_or_else(|| panic!("{what}: {lines:?}"));
    assert!(at("1 EXISTS") < at("* 1 FETCH (UID 1 BODY[HEADER.FIELDS (SUBJECT)]"), "{lines:?}");
    assert!(lines.last().is_some_and(|line| line.ends_with("UID ADDTO (0 1)")), "{lines:?}");
    let flags = client.command("FETCH 1 FLAGS").expect("FETCH").expect_ok().fetches()[0].flags().expect("flags");
    assert!(!flags.contains("\\Seen"), "{flags:?}");
}

/// A message gets too old for one result and old enough for another, and nothing else happens: that is told while idling, and to who asks.
#[test]
fn time_alone_brings_into_results_and_takes_out_of_them() {
    let server = Server::start();
    let results = |client: &mut Client| -> Vec<String> {
        client.command("SELECT INBOX").expect("SELECT").expect_ok();
        let mut keep = |key: &str| {
            let command = format!("UID SEARCH RETURN (UPDATE ALL) {key} 3600");
            told(&client.command(&command).expect("SEARCH").expect_ok()).join(" ")
        };
        vec![keep("YOUNGER"), keep("OLDER")]
    };
    // However slowly all is set up, it is done in time for one of these.
    for (n, seconds) in [2, 4, 8, 16, 32].into_iter().enumerate() {
        let user = Server::user(n + 1);
        let (mut idles, mut asks) = (server.login(&user), server.login(&user));
        asks.append_aged("INBOX", 3600 - seconds, b"Subject: of late\r\n\r\n").expect("APPEND").expect_ok();
        if [&mut idles, &mut asks].map(results) != [[") UID ALL 1", ") UID"], [") UID ALL 1", ") UID"]] {
            continue;
        }
        let tag = idles.send("IDLE").expect("IDLE");
        let mut pushed = Vec::new();
        while pushed.len() < 2 {
            let line = String::from_utf8_lossy(&idles.read_response().expect("a line")).into_owned();
            pushed.extend(line.starts_with("* ESEARCH").then(|| line.rsplit_once(") ").expect("a tag").1.to_owned()));
        }
        idles.done(&tag).expect("DONE").expect_ok();
        pushed.sort();
        let mut asked = told(&asks.command("NOOP").expect("NOOP").expect_ok());
        asked.sort();
        assert_eq!(pushed, ["UID ADDTO (0 1)", "UID REMOVEFROM (0 1)"]);
        assert_eq!(asked, [") UID ADDTO (0 1)", ") UID REMOVEFROM (0 1)"]);
        assert_eq!(told(&asks.command("NOOP").expect("NOOP").expect_ok()), [""; 0]);
        return;
    }
    panic!("half a minute is not enough to set it up");
}

#[test]
fn so_many_results_are_kept_up() {
    let server = Server::start();
    let mut client = selected(&server);
    for n in 0..10 {
        let reply = client.command("SEARCH RETURN (UPDATE COUNT) ALL").expect("SEARCH").expect_ok();
        assert_eq!(told(&reply), [") COUNT 0"]);
        let refused = reply.untagged.iter().any(|line| line.starts_with(b"* NO [NOUPDATE "));
        assert_eq!(refused, n >= 8, "{reply:?}");
    }
}

/// What a client makes of the updates is what it would find.
#[test]
fn updates_add_up() {
    let server = Server::start();
    let mut other = server.login(&Server::user(1));
    other.command("SELECT INBOX").expect("SELECT").expect_ok();
    let mut client = selected(&server);
    let sorted = "(SUBJECT REVERSE ARRIVAL) UTF-8 OR UNSEEN FLAGGED";
    let (by_number, by_uid) = (
        client.send(&format!("SORT RETURN (UPDATE) {sorted}")).expect("SORT"),
        client.send(&format!("UID SORT RETURN (UPDATE) {sorted}")).expect("SORT"),
    );
    client.finish(&by_number).expect("SORT").expect_ok();
    client.finish(&by_uid).expect("SORT").expect_ok();
    let (mut numbers, mut uids): (Vec<u32>, Vec<u32>) = (Vec::new(), Vec::new());
    let mut seed = 7u64;
    let mut random = move |below: u64| {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (seed >> 33) % below
    };
    for _ in 0..60 {
        for _ in 0..=random(3) {
            let exists = other.command("STATUS INBOX (MESSAGES)").is_ok() && random(3) > 0;
            let (from, to) = (1 + random(6), 1 + random(12));
            let flag = ["\\Seen", "\\Flagged", "\\Deleted"][random(3) as usize];
            let sign = ["+", "-"][random(2) as usize];
            match (exists, random(4)) {
                (false, _) | (_, 0) => mail(&mut other, "INBOX", "", &format!("s{}", random(5))),
                (_, 1) if flag == "\\Deleted" => drop(other.command("EXPUNGE").expect("EXPUNGE")),
                _ => drop(other.command(&format!("UID STORE {from}:{to} {sign}FLAGS.SILENT ({flag})")).expect("STORE")),
            }
        }
        let reply = client.command("NOOP").expect("NOOP").expect_ok();
        for line in reply.untagged.iter().map(|line| String::from_utf8_lossy(line).into_owned()) {
            if let Some(seq) = line.strip_suffix(" EXPUNGE").and_then(|line| line[2..].parse::<u32>().ok()) {
                assert!(!numbers.contains(&seq), "{line}: it was to be removed before");
                numbers.iter_mut().filter(|n| **n > seq).for_each(|n| *n -= 1);
            }
            if line.contains("ESEARCH") {
                let list = if line.contains(&format!("\"{by_uid}\"")) { &mut uids } else { &mut numbers };
                apply(list, &line);
            }
        }
        let find = |client: &mut Client, command: &str| {
            let told = search(client, &format!("{command} RETURN () {sorted}"));
            told.split_once("ALL ").map_or_else(Vec::new, |(_, set)| expand_set(set).expect("a set"))
        };
        assert_eq!(numbers, find(&mut client, "SORT"));
        assert_eq!(uids, find(&mut client, "UID SORT"));
    }
    assert!(!uids.is_empty(), "nothing was ever found");
}

fn apply(list: &mut Vec<u32>, line: &str) {
    for (word, adds) in [("REMOVEFROM (", false), ("ADDTO (", true)] {
        let Some((_, rest)) = line.split_once(word) else { continue };
        let pairs: Vec<&str> = rest.split_once(')').expect("an end").0.split(' ').collect();
        for pair in pairs.chunks(2) {
            let at = pair[0].parse::<usize>().expect("a place") - 1;
            let run = expand_set(pair[1]).expect("a set");
            match adds {
                true => drop(list.splice(at..at, run)),
                false => assert!(list.drain(at..at + run.len()).eq(run), "{line}"),
            }
        }
    }
}

#[test]
fn many_mailboxes_are_searched_at_once() {
    let server = Server::start();
    let mut client = server.login(&Server::user(1));
    for mailbox in ["folder1", "folder2", "folder2/banana", "folder2/peach", "folder2/peach/pit", "empty"] {
        client.command(&format!("CREATE {mailbox}")).expect("CREATE").expect_ok();
    }
    for (mailbox, subjects) in
        [("INBOX", "x chad"), ("folder1", "chad y chad"), ("folder2/peach", "z chad"), ("folder2/peach/pit", "chad")]
    {
        subjects.split(' ').for_each(|subject| mail(&mut client, mailbox, "", subject));
    }
    client.command("SUBSCRIBE folder2/peach/pit").expect("SUBSCRIBE").expect_ok();
    fn found(client: &mut Client, command: &str) -> Vec<String> {
        let lines = told(&client.command(&format!("ESEARCH {command}")).expect("ESEARCH").expect_ok());
        let one = |line: String| {
            let (correlators, found) = line.split_once(") ").expect("two parts");
            let words: Vec<&str> = correlators.split_whitespace().collect();
            assert!(
                words.len() == 4 && words[0] == "MAILBOX" && words[2] == "UIDVALIDITY" && words[3] != "0",
                "{line}"
            );
            format!("{} {found}", words[1].trim_matches('"'))
        };
        lines.into_iter().map(one).collect()
    }
    assert!(!client.command("ESEARCH ALL").expect("ESEARCH").is_ok(), "nothing is selected");
    assert!(!client.command("ESEARCH IN (selected personal) ALL").expect("ESEARCH").is_ok());
    let peaches = ["folder2/peach UID ALL 2", "folder2/peach/pit UID ALL 1"];
    assert_eq!(found(&mut client, "IN (subtree folder2) SUBJECT chad"), peaches);
    assert_eq!(found(&mut client, "IN (subtree-one folder2) SUBJECT chad"), peaches[..1]);
    assert_eq!(
        found(&mut client, "IN (mailboxes (folder1 nowhere empty) subscribed) RETURN (COUNT MAX) SUBJECT chad"),
        ["folder1 UID MAX 3 COUNT 2", "folder2/peach/pit UID MAX 1 COUNT 1",]
    );
    assert_eq!(found(&mut client, "IN (personal) RETURN (PARTIAL -1:-1) SUBJECT chad").len(), 4);
    assert_eq!(found(&mut client, "IN (personal) SUBJECT nobody"), [""; 0]);
    client.command("SELECT folder1").expect("SELECT").expect_ok();
    assert_eq!(found(&mut client, "SUBJECT chad"), ["folder1 UID ALL 1,3"]);
    assert_eq!(
        found(&mut client, "IN (inboxes) 2"),
        ["INBOX UID ALL 2", "folder1 UID ALL 2", "folder2/peach UID ALL 2"]
    );
    assert_eq!(found(&mut client, "IN (selected) RETURN (SAVE COUNT) SUBJECT chad"), ["folder1 UID COUNT 2"]);
    // What is saved is of the selected mailbox alone.
    assert_eq!(found(&mut client, "IN (personal) $"), ["folder1 UID ALL 1,3"]);
    // So is what is kept up.
    let reply = client.command("ESEARCH IN (personal) RETURN (UPDATE COUNT) SEEN").expect("ESEARCH").expect_ok();
    assert_eq!(told(&reply), [""; 0]);
    let reply = client.command("STORE 2 +FLAGS.SILENT (\\Seen)").expect("STORE").expect_ok();
    assert_eq!(told(&reply), [") UID ADDTO (0 2)"]);
    let reply = client.command("ESEARCH IN (subtree folder2) RETURN (UPDATE COUNT) SEEN").expect("ESEARCH").expect_ok();
    assert!(reply.untagged.iter().any(|line| line.starts_with(b"* NO [NOUPDATE ")), "{reply:?}");
}
