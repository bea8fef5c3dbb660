//! The number of shards changes from start to start: after a stop and after a kill, every account is whole and goes on.

use skein_testkit::{Server, mail, temp};

const USERS: usize = 12;

fn marker(user: usize, life: usize, n: usize) -> String {
    format!("u{user}-l{life}-n{n}")
}

/// Each user gets mail by both ways, changes some, and finds what the lives before left.
fn live(server: &Server, life: usize) {
    for user in 1..=USERS {
        let name = Server::user(user);
        let mut client = server.login(&name);
        for n in 0..2 {
            let answers = server.lmtp().deliver(&[&name], &mail::marked(&marker(user, life, 2 * n))).expect("LMTP");
            assert!(answers[0].is_ok(), "{answers:?}");
            client
                .append("INBOX", "\\Flagged", &mail::marked(&marker(user, life, 2 * n + 1)))
                .expect("APPEND")
                .expect_ok();
        }
        client.command("SELECT INBOX").expect("SELECT").expect_ok();
        client.command("STORE * +FLAGS (\\Answered)").expect("STORE").expect_ok();
    }
}

fn all_is_there(server: &Server, lives: usize) {
    for user in 1..=USERS {
        let mut client = server.login(&Server::user(user));
        client.command("EXAMINE INBOX").expect("EXAMINE").expect_ok();
        let reply = client.command("FETCH 1:* (UID FLAGS BODY.PEEK[])").expect("FETCH").expect_ok();
        let fetches = reply.fetches();
        assert_eq!(fetches.len(), 4 * lives, "{}", Server::user(user));
        for (i, fetched) in fetches.iter().enumerate() {
            let marker = marker(user, i / 4, i % 4);
            let body = fetched.body().expect("a body");
            assert!(body.ends_with(&mail::marked(&marker)), "message {i} of {} is not {marker}", Server::user(user));
            let flags = fetched.flags().expect("flags");
            let expected = (i % 2 == 1, i % 4 == 3);
            assert_eq!((flags.contains("\\Flagged"), flags.contains("\\Answered")), expected, "{marker}");
            assert_eq!(fetched.uid(), Some(i as u32 + 1));
        }
    }
}

#[test]
fn accounts_move_between_shards_with_all_they_have() {
    let folder = temp::TempDir::new("shards");
    let settings = |shards: usize| format!("shards = {shards}\n[store]\nsegment_bytes = 1048576\nsnapshot_ops = 7\n");
    let mut server = Server::start_with(folder.path(), &settings(2));
    for (life, shards) in [1, 3, 2, 1, 2].into_iter().enumerate() {
        live(&server, life);
        match life % 2 {
            0 => server.kill(),
            _ => assert!(server.stop().success()),
        }
        server.restart_with(&settings(shards));
        all_is_there(&server, life + 1);
    }
}
