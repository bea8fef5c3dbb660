//! `skein adm`: the real command against a live server, beside IMAP sessions that see what it does at once.

use skein_base::{AccountId, UserName};
use skein_testkit::adm::{bad, good};
use skein_testkit::program;
use skein_testkit::server::{self, PASSWORD};
use skein_testkit::wait::{self, PATIENCE};
use skein_testkit::{Server, adm, mail};
use std::process::{Command, Stdio};

fn message(from: &str, subject: &str, text: &str) -> Vec<u8> {
    mail::to_crlf(
        format!("From: {from}\nSubject: {subject}\nDate: Mon, 5 Jan 2026 10:00:00 +0000\n\n{text}\n").as_bytes(),
    )
}

fn server() -> Server {
    Server::start_changed(|settings, _| settings)
}

#[test]
fn mailboxes_change_beside_a_session() {
    let server = server();
    let user = Server::user(1);
    let mut session = server.login(&user);
    good(&server, &format!("mailbox create --subscribe {user} Work Work/2026"));
    let listed = session.command("LIST \"\" *").expect("LIST").expect_ok();
    assert_eq!(listed.data("LIST").len(), 3, "{listed:?}");
    assert_eq!(session.command("LSUB \"\" *").expect("LSUB").expect_ok().data("LSUB").len(), 2);

    let table = good(&server, &format!("mailbox list {user}"));
    let lines: Vec<&str> = table.lines().collect();
    assert!(lines[0].starts_with("USER") && lines.len() == 4, "{table}");
    assert!(!table.contains('\x1b'), "no colours in a pipe");
    let json = good(&server, &format!("--json mailbox list {user} Work*"));
    assert_eq!(
        json.lines().next(),
        Some(&*format!("{{\"user\":\"{user}\",\"mailbox\":\"Work\",\"subscribed\":true}}")),
        "{json}"
    );
    good(&server, &format!("mailbox rename {user} Work Done"));
    session.command("SELECT Done/2026").expect("SELECT").expect_ok();
    good(&server, &format!("mailbox unsubscribe {user} Work"));
    good(&server, &format!("mailbox subscribe {user} Done"));
    let subscribed = good(&server, &format!("--json mailbox list --subscribed {user}"));
    assert!(subscribed.contains("\"Done\"") && !subscribed.contains("\"Work\""), "{subscribed}");
    good(&server, &format!("mailbox delete {user} Done/2026"));
    assert!(!session.command("STATUS Done/2026 (MESSAGES)").expect("STATUS").is_ok());

    session.append("INBOX", "", &message("a@x.org", "one", "hello")).expect("APPEND").expect_ok();
    let status = good(&server, &format!("--json mailbox status {user} inbox"));
    assert!(status.contains("\"messages\":1,\"unseen\":1") && status.contains("\"uidnext\":2"), "{status}");
}

#[test]
fn messages_are_found_shown_and_changed() {
    let server = server();
    let user = Server::user(2);
    let mut session = server.login(&user);
    for (flags, subject) in [("", "first"), ("\\Seen", "second"), ("\\Flagged", "third")] {
        let mail = message("alice@x.org", subject, &format!("text of {subject}"));
        session.append("INBOX", flags, &mail).expect("APPEND").expect_ok();
    }
    session.append("INBOX", "", b"Subject: raw\r\n\r\n\xff\xfe\r\n").expect("APPEND").expect_ok();
    session.command("CREATE Else").expect("CREATE").expect_ok();
    session.command("SELECT INBOX").expect("SELECT").expect_ok();

    let uids = |query: &str| -> Vec<u32> {
        let found = good(&server, &format!("--json search {user} {query}"));
        let uid = |line: &str| line.rsplit(':').next().and_then(|n| n.trim_end_matches('}').parse().ok());
        found.lines().map(|line| uid(line).expect("a row ends with its UID")).collect()
    };
    assert_eq!(uids("all"), [1, 2, 3, 4]);
    assert_eq!(uids("from alice subject second"), [2]);
    assert_eq!(uids("mailbox INBOX flagged or seen"), [2, 3]);
    assert_eq!(uids("mailbox Else"), []);
    assert_eq!(uids("not from alice"), [4]);
    assert_eq!(uids("body 'text of third'"), [3]);
    assert_eq!(uids("savedsince 1h uid 2:3"), [2, 3]);
    assert_eq!(uids("savedbefore 1h"), []);
    assert_eq!(uids("sentsince 2026-01-06"), []);
    assert_eq!(uids("'senton 5-Jan-2026 (subject first)'"), [1]);
    assert_eq!(uids("mailbox 'IN*' larger 1"), [1, 2, 3, 4]);

    let shown = good(&server, &format!("fetch {user} 'uid flags hdr.subject text' uid 2"));
    assert!(shown.starts_with("uid: 2\nflags: \\Seen\nhdr.subject: second\ntext:\nFrom: alice@x.org\r\n"), "{shown:?}");
    let raw = adm::run(&server, &format!("fetch {user} body uid 4"), b"").expect_ok("fetch");
    assert!(raw.stdout.windows(2).any(|two| two == b"\xff\xfe"), "bytes as they are stored: {:?}", raw.stdout);
    let json = good(&server, &format!("--json fetch {user} 'size.virtual imap.envelope body guid' uid 4"));
    assert!(json.contains("\"body\":{\"base64\":\"//4NCg==\"}") && json.contains("raw"), "{json}");
    let guid = json.split("\"guid\":\"").nth(1).expect("a guid").split('"').next().expect("its end").to_owned();
    assert_eq!(uids(&format!("guid {guid}")), [4]);
    assert_eq!(uids("unseen"), [1, 3, 4], "looking makes nothing seen");

    good(&server, &format!("flags add {user} '\\Seen $Mark' uid 1"));
    let told = session.command("NOOP").expect("NOOP").expect_ok();
    let flags = told.fetches()[0].flags().expect("flags");
    assert!(flags.contains("\\Seen") && flags.contains("$Mark"), "{flags:?}");
    assert_eq!(uids("keyword $mark"), [1]);
    good(&server, &format!("flags remove {user} $Mark keyword $Mark"));
    good(&server, &format!("flags replace {user} \\Draft uid 1"));
    assert_eq!(uids("draft unseen"), [1]);

    good(&server, &format!("copy {user} Else subject first"));
    good(&server, &format!("move {user} Else mailbox INBOX subject second"));
    let examined = server.login(&user).command("EXAMINE Else").expect("EXAMINE").expect_ok();
    assert_eq!(examined.exists(), Some(2), "another session sees them at once");
    assert_eq!(uids("mailbox Else"), [1, 2]);
    let gone = good(&server, &format!("--json expunge {user} mailbox INBOX subject third"));
    assert!(gone.contains("\"expunged\":1"), "{gone}");
    assert_eq!(uids("mailbox INBOX"), [1, 4]);
    session.command("NOOP").expect("NOOP").expect_ok();
    assert_eq!(session.command("SEARCH ALL").expect("SEARCH").expect_ok().search(), [1, 2]);
}

#[test]
fn many_users_by_pattern() {
    let server = server();
    for n in [1, 2, 30] {
        let mut session = server.login(&Server::user(n));
        session.append("INBOX", "", &message("a@x.org", "all", "hello")).expect("APPEND").expect_ok();
    }
    let list = good(&server, "--json user list");
    assert_eq!(list.lines().count(), 3, "{list}");
    let list = good(&server, "--json user list test?");
    assert!(list.contains("test1") && list.contains("test2") && !list.contains("test30"), "{list}");
    let info = good(&server, "--json user info test30");
    assert!(info.contains("\"known\":true,\"mailboxes\":1,\"messages\":1"), "{info}");
    assert_eq!(good(&server, "--json search --all subject all").lines().count(), 3);
    good(&server, "mailbox create test* Shared");
    assert_eq!(good(&server, "--json mailbox list --all Shared").lines().count(), 3);
    // What fails for one is told, and the others follow.
    good(&server, "mailbox delete test2 Shared");
    let (code, said) = bad(&server, "--json mailbox delete --all Shared");
    assert_eq!(code, Some(68), "{said}");
    assert!(said.contains("test2: ") && said.matches("\"deleted\"").count() == 2, "{said}");
}

/// To list a million accounts by their names took minutes and as many open accounts. Names come from trees and from the log, in
/// the order of accounts whatever shard is quicker.
#[test]
fn names_are_listed_and_no_account_is_opened() {
    let mut server = Server::start_changed(|settings, _| {
        let settings = server::set(&settings, "store", "segment_bytes", "1048576");
        let settings = server::set(&settings, "store", "account_idle_seconds", "2");
        format!("shards = 3\n{}", server::set(&settings, "store", "log_keep_bytes", "0"))
    });
    let mail = message("a@x.org", "all", &"hello ".repeat(3000));
    let deliver = |server: &Server, users: std::ops::RangeInclusive<usize>| {
        for n in users {
            assert!(server.lmtp().deliver(&[&Server::user(n)], &mail).expect("LMTP")[0].is_ok());
        }
    };
    let has_tree = |server: &Server, n: usize| {
        let hex = AccountId::of(&UserName::new(&Server::user(n)).expect("a name")).hex();
        server.folder().join("data/accounts").join(&hex[..2]).join(hex).join("tree").exists()
    };
    // Those of the first are drained by what comes after.
    deliver(&server, 1..=180);
    assert!(wait::until(PATIENCE, || (1..=180).any(|n| has_tree(&server, n))), "nothing is drained");
    good(&server, "user list test1"); // of an account that is open
    server.kill();
    server.restart();
    let list = || good(&server, "--json user list");
    let mut expect: Vec<UserName> = (1..=180).map(|n| UserName::new(&Server::user(n)).expect("a name")).collect();
    expect.sort_by_key(AccountId::of);
    let expect: String = expect.iter().map(|user| format!("{{\"user\":\"{user}\"}}\n")).collect();
    assert_eq!(list(), expect);
    // What the run before has left in the log is drained, for which accounts are opened, and closed again.
    let open = || -> u64 {
        let stats = good(&server, "--json stats");
        let number = |line: &str| line.split("\"accounts_open\":").nth(1)?.split(',').next()?.parse::<u64>().ok();
        stats.lines().map(|line| number(line).expect("each shard tells")).sum()
    };
    let in_tail = || good(&server, "--json stats").matches("\"accounts_in_tail\":0,").count() < 3;
    assert!(wait::until(PATIENCE, || !in_tail() && open() == 0), "the log is not drained");
    assert_eq!(list(), expect);
    assert_eq!(good(&server, "--json user list TEST1?").lines().count(), 10);
    assert_eq!(good(&server, "--json user list ?est180"), good(&server, "--json user list test180"));
    assert_eq!(open(), 0);
    // Other verbs open those alone that are meant.
    assert_eq!(good(&server, "--json user info test17?").lines().count(), 10);
    assert!(open() <= 10);
}

#[test]
fn what_can_not_be_done_is_said_with_a_code() {
    let server = server();
    let user = Server::user(3);
    for (line, code, expect) in [
        ("search".to_owned(), 64, "--all"),
        (format!("search {user}"), 64, "QUERY is missing"),
        (format!("search {user} bogus"), 64, "BOGUS is no key"),
        (format!("fetch {user} nothing all"), 64, "no field nothing"),
        (format!("flags add {user} \\Recent all"), 64, "neither a system flag"),
        (format!("expunge {user} all"), 64, "name a mailbox"),
        ("mailbox list 'no user'".to_owned(), 64, "no user"),
        ("mailbox list stranger".to_owned(), 67, "no user stranger"),
        (format!("mailbox delete {user} Nowhere"), 68, ""),
        (format!("mailbox status {user} Nowhere"), 68, ""),
        (format!("mailbox delete {user} INBOX"), 65, "INBOX"),
        (format!("mailbox create {user} inbox"), 65, "exists"),
    ] {
        let (got, said) = bad(&server, &line);
        assert_eq!(got, Some(code), "{line}: {said}");
        assert!(said.contains(expect), "{line}: {said}");
    }
    assert_eq!(
        good(&server, "--json user list test3").lines().count(),
        1,
        "who may log in has an account when asked for"
    );
    let mut command = Command::new(server::skein_binary());
    let outcome = program::run(command.args(["adm", "--socket", "/nowhere/adm.sock", "stats"]), b"");
    assert_eq!(outcome.status.code(), Some(69), "{}", outcome.all_text());
}

#[test]
fn what_is_there_twice_goes() {
    let server = server();
    let user = Server::user(5);
    let mut session = server.login(&user);
    session.append("INBOX", "", &message("a@x.org", "one", "hello")).expect("APPEND").expect_ok();
    session.append("INBOX", "", &message("a@x.org", "one", "hello")).expect("APPEND").expect_ok();
    session.command("CREATE Else").expect("CREATE").expect_ok();
    session.command("SELECT INBOX").expect("SELECT").expect_ok();
    for to in ["INBOX", "INBOX", "Else"] {
        session.command(&format!("UID COPY 1 {to}")).expect("COPY").expect_ok();
    }
    assert_eq!(bad(&server, &format!("deduplicate {user} all")).0, Some(64));
    let gone = good(&server, &format!("--json deduplicate {user} mailbox '*' all"));
    assert_eq!(gone.trim(), format!("{{\"user\":\"{user}\",\"mailbox\":\"INBOX\",\"expunged\":2}}"));
    // Two that look alike are two; and in another mailbox it is the only one.
    let left = good(&server, &format!("--json search {user} all"));
    assert_eq!(left.lines().count(), 3, "{left}");
    assert_eq!(good(&server, &format!("--json deduplicate {user} mailbox '*' all")), "");
}

#[test]
fn looking_begins_no_account() {
    let server = server();
    let user = Server::user(9);
    for line in ["mailbox list", "mailbox status", "user list"] {
        assert_eq!(good(&server, &format!("--json {line} {user}")), "", "{line}");
    }
    for line in [format!("search {user} all"), format!("fetch {user} uid all"), format!("expunge {user} mailbox * all")]
    {
        assert_eq!(good(&server, &format!("--json {line}")), "", "{line}");
    }
    let info = good(&server, &format!("--json user info {user}"));
    assert!(info.contains("\"known\":true,\"mailboxes\":0,\"messages\":0,\"bytes\":0}"), "{info}");
    assert_eq!(good(&server, "--json user list"), "", "nobody has an account");
    good(&server, &format!("mailbox create {user} Work"));
    assert_eq!(good(&server, &format!("--json mailbox list {user}")).lines().count(), 2);
}

#[test]
fn queries_have_bounds() {
    let server = server();
    let user = Server::user(4);
    let nested = |levels: usize| format!("search {user} '{}all{}'", "( ".repeat(levels), " )".repeat(levels));
    good(&server, &nested(45));
    let (code, said) = bad(&server, &nested(60));
    assert!(code == Some(64) && said.contains("levels"), "{said}");
    let nots = |count: usize| format!("search {user} '{}all'", "not ".repeat(count));
    let (code, said) = bad(&server, &nots(60));
    assert!(code == Some(64) && said.contains("levels"), "{said}");
    let words = |count: usize| format!("search {user} '{}'", "seen ".repeat(count));
    good(&server, &words(9_000));
    let (code, said) = bad(&server, &words(10_001));
    assert!(code == Some(64) && said.contains("10000"), "{said}");
    // Below the words and above the bytes of a request.
    let long = format!("search {user} {}", format!("subject '{}' ", "x".repeat(100_000)).repeat(11));
    let (code, said) = bad(&server, &long);
    assert!(code == Some(64) && said.contains("at most 1048576"), "{said}");
}

#[test]
fn stats_reload_and_stop() {
    let mut server = server();
    let _session = server.login(&Server::user(1));
    let stats = good(&server, "stats");
    assert!(stats.starts_with("SHARD  SESSIONS"), "{stats}");
    let stats = good(&server, "--json stats");
    assert!(stats.contains("\"sessions\":1"), "{stats}");

    server.change_settings(|settings| settings.replace("[auth]\n", "[auth]\nfailure_delay_ms = 0\n"));
    let mut command = Command::new(server::skein_binary());
    command.args(["adm", "--json", "reload", "--config"]).arg(server.folder().join("skein.toml"));
    let changed = program::run(&mut command, b"").expect_ok("reload").text();
    assert_eq!(changed.trim(), "{\"what\":\"changed\",\"name\":\"auth.failure_delay_ms\"}");
    let stopped = good(&server, "stop");
    assert_eq!(stopped, "");
    assert!(wait::until(PATIENCE, || server.log().contains("stopped")), "{}", server.log());
    assert_eq!(bad(&server, "stats").0, Some(69));
    server.kill();
    server.restart();
    server.imap().login(&Server::user(1), PASSWORD).expect("LOGIN").expect_ok();
    good(&server, "stats");
}

#[test]
fn sessions_are_listed_and_kicked() {
    let server = server();
    let users = [Server::user(1), Server::user(2)];
    let mut sessions: Vec<_> = users.iter().map(|user| server.login(user)).collect();
    sessions[0].command("SELECT INBOX").expect("SELECT").expect_ok();
    let table = good(&server, "who");
    assert!(table.starts_with("USER") && table.lines().count() == 3, "{table}");
    // When the last command was, as all times are told.
    let year = table.lines().nth(1).and_then(|row| row.split_whitespace().last()).and_then(|time| time.split_once('-'));
    assert!(year.is_some_and(|(year, rest)| year.len() == 4 && rest.ends_with('Z')), "{table}");
    let json = good(&server, "--json who test1");
    assert_eq!(json.lines().count(), 1, "{json}");
    assert!(json.contains("\"service\":\"imap\"") && json.contains("\"mailbox\":\"INBOX\""), "{json}");
    let id = json.split("\"session\":\"").nth(1).expect("an id").split('"').next().expect("its end");
    let kicked = good(&server, &format!("--json kick {id}"));
    assert_eq!(kicked.trim(), format!("{{\"whom\":\"{id}\",\"kicked\":1}}"));
    let goodbye = sessions[0].read_to_close();
    assert!(goodbye.starts_with(b"* BYE "), "{goodbye:?}");
    sessions[1].command("NOOP").expect("the other one lives").expect_ok();
    good(&server, "kick test2");
    assert!(sessions[1].read_to_close().starts_with(b"* BYE "));
    assert!(wait::until(PATIENCE, || good(&server, "--json who").is_empty()));
    assert_eq!(bad(&server, "kick test2").0, Some(67));
    assert_eq!(bad(&server, "kick 'no user'").0, Some(64));
}

#[test]
fn warnings_and_errors_are_kept_for_who_asks() {
    let server = server();
    let before = good(&server, "--json log errors");
    let mut command = Command::new(server::skein_binary());
    command.args(["adm", "stats", "--socket"]).arg(server.folder().join("data/adm.sock"));
    let Some(_) = as_nobody(&server, command) else { return };
    let told = good(&server, "--json log errors");
    let fresh = told.strip_prefix(&before).expect("what was there comes first");
    assert_eq!(fresh.lines().count(), 1, "{fresh}");
    assert!(fresh.contains("\"level\":\"warn\"") && fresh.contains("neither root nor the server's user"), "{fresh}");
    assert!(fresh.contains(" uid=65534\"}") && fresh.contains("\"time\":\"20"), "{fresh}");
    assert_eq!(good(&server, "--json log errors --last 1"), fresh);
    assert_eq!(good(&server, "--json log errors --since 1h"), told);
    assert_eq!(good(&server, "--json log errors --since 9999-12-31"), "");
    assert_eq!(good(&server, "--json log errors --level error"), "");
    assert!(good(&server, "log errors").starts_with("TIME"));
    assert_eq!(bad(&server, "log errors --since soon").0, Some(64));
}

#[test]
fn what_happens_is_told_in_frames() {
    let server = server();
    let mut session = server.login(&Server::user(1));
    let frame = std::thread::scope(|scope| {
        let frame = scope.spawn(|| good(&server, "--json top --once --interval 1"));
        while !frame.is_finished() {
            session.command("STATUS INBOX (MESSAGES)").expect("STATUS").expect_ok();
        }
        frame.join().expect("top ends well")
    });
    let rows = |what: &str| {
        frame.lines().filter(|line| line.starts_with(&format!("{{\"what\":\"{what}\""))).collect::<Vec<_>>()
    };
    let shards = good(&server, "--json stats").lines().count();
    assert_eq!((rows("shard").len(), rows("frame").len()), (shards, 1), "{frame}");
    assert!(rows("shard").iter().all(|row| row.contains("\"answers\":true,\"late_ms_max\":")), "{frame}");
    assert!(rows("service")[0].contains("\"service\":\"imap\",\"sessions\":1,\"commands_per_s\":"), "{frame}");
    assert!(!rows("command").is_empty() && rows("command")[0].contains("STATUS"), "{frame}");
    assert!(rows("user")[0].contains("\"user\":\"test1\",\"sessions\":1"), "{frame}");
    let table = good(&server, "top --once --interval 0.1");
    assert!(table.starts_with("SHARD  ANSWERS") && table.contains("\nSERVICE"), "{table}");
    assert!(!table.contains('\x1b'), "no screen in a pipe");
    assert_eq!(bad(&server, "top --once --interval 0").0, Some(64));
}

#[test]
fn a_live_view_leaves_the_terminal_as_it_was() {
    let server = server();
    let Some(expect) = program::find("expect") else { return };
    let socket = server.folder().join("data/adm.sock");
    for (ends, code) in [("send \"\\003\"", 0), ("send q", 0), ("exec kill -TERM $child", 143)] {
        let shell = format!(
            "trap : INT\nstty -a >before\n{:?} adm top --interval 0.1 --socket {socket:?}\necho code=$?\nstty -a >after\n",
            server::skein_binary(),
        );
        std::fs::write(server.folder().join("shell"), shell).expect("ours");
        let script = format!(
            "set timeout 60\nspawn -noecho sh shell\nexpect SHARD\nexpect SHARD\nset child [exec pgrep -P [exp_pid]]\n\
             {ends}\nexpect eof\n"
        );
        std::fs::write(server.folder().join("script"), script).expect("ours");
        let mut command = Command::new(&expect);
        let shown = program::run(command.arg("script").current_dir(server.folder()), b"").all_text();
        assert!(shown.contains("\x1b[?1049h") && shown.contains(&format!("code={code}")), "{ends}: {shown}");
        let end = shown.rsplit("\x1b[?1049l").next().expect("the screen is left");
        assert!(end.trim().starts_with("code="), "{ends}: {end:?}");
        let settings = |name: &str| std::fs::read_to_string(server.folder().join(name)).expect("stty wrote it");
        assert_eq!(settings("before"), settings("after"), "{ends}");
    }
}

/// `skein adm search --all | head -1` told of a broken pipe, and ended as if something stored were wrong.
#[test]
fn a_reader_that_goes_away_ends_a_command_without_a_word() {
    let server = server();
    good(&server, "mailbox create test1 box");
    let config = server.folder().join("skein.toml").display().to_string();
    let files =
        std::fs::read_dir(server.folder().join("data/log")).expect("the log").flatten().map(|entry| entry.path());
    let segment = files.into_iter().find(|path| path.extension().is_some_and(|ext| ext == "seg")).expect("a segment");
    let adm = |words: &str| format!("adm --config {config} {words}");
    let commands = [adm("stats"), adm("--json stats"), adm("top"), adm("--json top"), adm("pw --list")];
    let others = ["config defaults".into(), "completions bash".into(), format!("adm dump {}", segment.display())];
    for words in commands.into_iter().chain(others) {
        let (reader, writer) = std::io::pipe().expect("a pipe");
        drop(reader);
        let mut command = Command::new(skein_testkit::server::skein_binary());
        let outcome = command.args(words.split(' ')).stdout(writer).stderr(Stdio::piped()).output().expect("skein");
        assert_eq!(outcome.status.code(), Some(141), "{words}: {outcome:?}");
        assert!(outcome.stderr.is_empty(), "{words}: {outcome:?}");
    }
}

/// The command as nobody, who is let up to the socket itself; `None` when the test is not root's.
fn as_nobody(server: &Server, mut command: Command) -> Option<program::Outcome> {
    use std::os::unix::fs::PermissionsExt;
    if !program::is_root("another user at the socket") {
        return None;
    }
    let (folder, socket) = (server.folder(), server.folder().join("data/adm.sock"));
    for path in [folder, &folder.join("data"), &socket] {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o777)).expect("ours");
    }
    std::os::unix::process::CommandExt::uid(&mut command, 65534);
    Some(program::run(&mut command, b""))
}

#[test]
fn the_socket_is_for_root_and_the_servers_user() {
    use std::os::unix::fs::{MetadataExt, PermissionsExt};
    let server = server();
    let socket = server.folder().join("data/adm.sock");
    let meta = std::fs::metadata(&socket).expect("the socket is there");
    assert_eq!(meta.permissions().mode() & 0o777, 0o600);
    // Whatever somebody makes of the mode: the server looks at who it is.
    let mut command = Command::new(server::skein_binary());
    command.args(["adm", "stats", "--socket"]).arg(&socket);
    assert_ne!(meta.uid(), 65534);
    let Some(outcome) = as_nobody(&server, command) else { return };
    assert!(!outcome.status.success() && outcome.stdout.is_empty(), "{}", outcome.all_text());
    assert!(server.log().contains("neither root nor the server's user"), "{}", server.log());
}
