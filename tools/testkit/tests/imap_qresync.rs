//! A client that comes back is told what it has missed (RFC 7162 §3.2), whatever happened meanwhile.

use skein_testkit::Server;
use skein_testkit::imap::{Client, Reply};

fn append(client: &mut Client, count: usize) {
    for n in 0..count {
        client.append("INBOX", "", format!("Subject: {n}\r\n\r\n").as_bytes()).expect("APPEND").expect_ok();
    }
}

fn code(reply: &Reply, name: &str) -> u64 {
    reply.code(name).and_then(|number| number.parse().ok()).expect("a number")
}

fn vanished(reply: &Reply) -> Vec<String> {
    reply.data("VANISHED").iter().map(|line| String::from_utf8_lossy(line).into_owned()).collect()
}

fn changed(reply: &Reply) -> Vec<u32> {
    reply.fetches().iter().map(|message| message.uid().expect("a UID")).collect()
}

fn resynced(server: &Server, known: &str) -> (Client, Reply) {
    let mut client = server.login(&Server::user(1));
    client.command("ENABLE QRESYNC").expect("ENABLE").expect_ok();
    let reply = client.command(&format!("SELECT INBOX (QRESYNC ({known}))")).expect("SELECT").expect_ok();
    (client, reply)
}

#[test]
fn who_comes_back_is_told_what_he_missed() {
    let mut server = Server::start();
    let mut client = server.login(&Server::user(1));
    append(&mut client, 10);
    let selected = client.command("SELECT INBOX").expect("SELECT").expect_ok();
    let (validity, modseq) = (code(&selected, "UIDVALIDITY"), code(&selected, "HIGHESTMODSEQ"));
    // Without ENABLE it is no command.
    let refused = client.command(&format!("SELECT INBOX (QRESYNC ({validity} {modseq}))")).expect("SELECT");
    assert!(!refused.is_ok(), "{refused:?}");
    client.command("SELECT INBOX").expect("SELECT").expect_ok();
    client.command("STORE 2,4:5 +FLAGS.SILENT (\\Deleted)").expect("STORE").expect_ok();
    client.command("EXPUNGE").expect("EXPUNGE").expect_ok();
    client.command("UID STORE 7 +FLAGS.SILENT (\\Flagged)").expect("STORE").expect_ok();
    append(&mut client, 2);
    drop(client);
    for round in 0..3 {
        let (_, reply) = resynced(&server, &format!("{validity} {modseq}"));
        assert_eq!(vanished(&reply), ["(EARLIER) 2,4:5"], "round {round}");
        assert_eq!(changed(&reply), [7, 11, 12], "round {round}");
        let (_, reply) = resynced(&server, &format!("{validity} {modseq} 1:4,8,11 (1,3 1,3)"));
        assert_eq!((vanished(&reply), changed(&reply)), (vec!["(EARLIER) 2,4".to_owned()], vec![11]), "round {round}");
        // Who knows all is told nothing, and who knows another mailbox neither.
        let now = code(&reply, "HIGHESTMODSEQ");
        for known in [format!("{validity} {now}"), format!("{} {modseq}", validity + 1)] {
            let (_, reply) = resynced(&server, &known);
            assert_eq!((vanished(&reply).len(), changed(&reply).len()), (0, 0), "{known}");
        }
        match round {
            0 => server.kill(),
            _ => drop(server.stop()),
        }
        server.restart();
    }

    // While it looks on: VANISHED in place of EXPUNGE, UIDs in what it did not ask for.
    let (mut client, reply) = resynced(&server, &format!("{validity} {modseq}"));
    let before = code(&reply, "HIGHESTMODSEQ");
    let mut other = server.login(&Server::user(1));
    other.command("SELECT INBOX").expect("SELECT").expect_ok();
    other.command("UID STORE 1,3,12 +FLAGS (\\Deleted)").expect("STORE").expect_ok();
    other.command("UID EXPUNGE 1,3").expect("EXPUNGE").expect_ok();
    let told = client.command("NOOP").expect("NOOP").expect_ok();
    assert_eq!(vanished(&told), ["1,3"]);
    assert_eq!(changed(&told), [12]);
    let fetched = client.command(&format!("UID FETCH 1:* (FLAGS) (CHANGEDSINCE {before} VANISHED)")).expect("FETCH");
    assert_eq!((vanished(&fetched), changed(&fetched)), (vec!["(EARLIER) 1,3".to_owned()], vec![12]), "{fetched:?}");
    let expunged = client.command("EXPUNGE").expect("EXPUNGE").expect_ok();
    assert_eq!(vanished(&expunged), ["12"]);
    let highest = code(&expunged, "HIGHESTMODSEQ");
    let (_, reply) = resynced(&server, &format!("{validity} {highest}"));
    assert_eq!((vanished(&reply).len(), changed(&reply).len()), (0, 0));
    // Of a time before all that is remembered: those that are not there.
    let (_, reply) = resynced(&server, &format!("{validity} 1 1:1000"));
    assert_eq!(vanished(&reply), ["(EARLIER) 1:5,12"]);
}
