//! Quota against the running server: limits of settings, of users, and those that administrators set, over IMAP and LMTP, across restarts.

use rustix::fs::{CWD, FileType, Mode, mknodat};
use skein_testkit::imap::ask;
use skein_testkit::server::PASSWORD;
use skein_testkit::{Server, adm, imap, lmtp};
use std::fs;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;

const USERS: &str = "anna:{PLAIN}secret::::::userdb_quota_rule=*:bytes=3000:messages=5 userdb_quota_rule2=Trash:bytes=+2000\n\
    ben:{PLAIN}secret::::::quota_storage_size=unlimited\n\
    carl:{PLAIN}secret\n\
    chief:{PLAIN}secret::::::admin\n";

const MASTERS: &str = "boss:{PLAIN}key::::::admin=y\nhelper:{PLAIN}key\n";

fn server(quota: &str, lmtp: &str) -> Server {
    Server::start_changed(|settings, folder| {
        fs::write(folder.join("users"), USERS).expect("ours");
        fs::write(folder.join("masters"), MASTERS).expect("ours");
        let sources = "masters = [{ driver = \"passwd-file\", path = \"masters\" }]\n\
            sources = [\n{ driver = \"passwd-file\", path = \"users\" },\n";
        let settings = settings.replace("sources = [\n", sources);
        let lmtp = format!("[lmtp]\n{lmtp}\n");
        let settings = match settings.contains("[lmtp]\n") {
            true => settings.replace("[lmtp]\n", &lmtp),
            false => format!("{settings}\n{lmtp}"),
        };
        format!("{settings}\n[quota]\n{quota}\n")
    })
}

fn login(server: &Server, user: &str) -> imap::Client {
    let mut client = server.imap();
    client.login(user, "secret").expect("LOGIN").expect_ok();
    client
}

fn mail(bytes: usize) -> Vec<u8> {
    let mut mail = b"Subject: x\r\n\r\n".to_vec();
    mail.resize(bytes, b'x');
    mail
}

fn append(client: &mut imap::Client, mailbox: &str, bytes: usize) -> String {
    client.append(mailbox, "", &mail(bytes)).expect("APPEND").told()
}

fn deliver(server: &Server, user: &str, bytes: usize) -> Vec<u16> {
    let mut client = lmtp::Client::connect(server.ports().lmtp).expect("LMTP");
    client.deliver(&[user], &mail(bytes)).expect("answers").iter().map(|answer| answer.code).collect()
}

#[test]
fn a_user_holds_so_much_and_no_more() {
    let mut server = server("storage_grace_bytes = 0", "");
    let mut anna = login(&server, "anna");
    let told = ask(&mut anna, "CAPABILITY");
    assert!(told.contains(" QUOTA ") && told.contains(" QUOTA=RES-STORAGE"), "{told}");
    let empty = "* QUOTAROOT INBOX \"User quota\"\n* QUOTA \"User quota\" (STORAGE 0 2 MESSAGE 0 5)";
    assert!(ask(&mut anna, "GETQUOTAROOT INBOX").starts_with(empty));

    assert!(append(&mut anna, "INBOX", 2000).contains("Ok "));
    let full = append(&mut anna, "INBOX", 1001);
    assert!(full.contains("No [OVERQUOTA] Quota exceeded (mailbox for user is full)"), "{full}");
    assert!(append(&mut anna, "INBOX", 1000).contains("Ok "));
    // A copy counts as well, a move does not, and Trash has room of its own.
    ask(&mut anna, "SELECT INBOX");
    assert!(ask(&mut anna, "CREATE Trash").contains("Ok "));
    assert!(ask(&mut anna, "COPY 2 INBOX").contains("[OVERQUOTA]"));
    assert!(ask(&mut anna, "MOVE 2 Trash").contains("COPYUID"));
    assert!(ask(&mut anna, "COPY 1 Trash").contains("COPYUID"));
    assert!(append(&mut anna, "INBOX", 100).contains("[OVERQUOTA]"));
    assert_eq!(
        ask(&mut anna, "GETQUOTA \"User quota\"").lines().next(),
        Some("* QUOTA \"User quota\" (STORAGE 5 2 MESSAGE 3 5)")
    );
    assert!(ask(&mut anna, "GETQUOTA elsewhere").contains("No [NONEXISTENT]"));
    assert!(ask(&mut anna, "GETQUOTA").contains("Bad "));

    // What is used is known after a restart too, before any mailbox has been looked into.
    drop(anna);
    server.stop();
    server.restart();
    assert_eq!(deliver(&server, "anna", 500), [452]);
    let mut anna = login(&server, "anna");
    assert!(append(&mut anna, "INBOX", 100).contains("[OVERQUOTA]"));
    assert!(
        ask(&mut anna, "STATUS Trash (MESSAGES DELETED DELETED-STORAGE)")
            .contains("(MESSAGES 2 DELETED 0 DELETED-STORAGE 0)")
    );
    ask(&mut anna, "SELECT Trash");
    ask(&mut anna, "STORE 1:* +FLAGS.SILENT (\\Deleted)");
    assert!(ask(&mut anna, "STATUS Trash (DELETED DELETED-STORAGE)").contains("(DELETED 2 DELETED-STORAGE 3000)"));
    ask(&mut anna, "EXPUNGE");
    assert!(append(&mut anna, "INBOX", 1000).contains("Ok "));
    assert_eq!(deliver(&server, "anna", 10), [452]);
}

#[test]
fn settings_count_for_who_has_nothing_of_his_own() {
    let quota = "storage_bytes = 2000\nmailboxes = 3\nmailbox_messages = 2\nstorage_grace_bytes = 1000\nrules = \"Junk*:ignore\"\nexceeded_text = \"Voll\"";
    let mut server = server(quota, "rcpt_quota_check = true");
    let mut carl = login(&server, "carl");
    // Mail that arrives may go beyond a little, a client may not.
    assert!(append(&mut carl, "INBOX", 1500).contains("Ok "));
    assert!(append(&mut carl, "INBOX", 600).contains("No [OVERQUOTA] Voll"));
    assert_eq!(deliver(&server, "carl", 900), [250]);
    assert!(ask(&mut carl, "CREATE Junk/a").contains("Ok ") && ask(&mut carl, "CREATE b").contains("Ok "));
    assert!(ask(&mut carl, "CREATE c").contains("No [OVERQUOTA] You have 3 mailboxes"));
    assert!(ask(&mut carl, "RENAME b c").contains("Ok "));
    for _ in 0..2 {
        assert!(append(&mut carl, "Junk/a", 5000).contains("Ok "));
    }
    assert!(append(&mut carl, "Junk/a", 5).contains("No [OVERQUOTA] Too many messages"));
    assert_eq!(ask(&mut carl, "GETQUOTAROOT Junk/a").lines().next(), Some("* QUOTAROOT Junk/a"));

    let mut ben = login(&server, "ben");
    assert!(append(&mut ben, "INBOX", 9000).contains("Ok "));
    // Over his limit, and over the grace: refused before the message comes.
    let mut client = lmtp::Client::connect(server.ports().lmtp).expect("LMTP");
    client.write(b"MAIL FROM:<a@b>\r\nRCPT TO:<carl>\r\nRCPT TO:<ben>\r\n").expect("a write");
    let codes = [(); 3].map(|()| client.read().expect("an answer").code);
    assert_eq!(codes, [250, 452, 250]);
    drop(client);

    server.change_settings(|settings| {
        settings
            .replace("mailbox_messages = 2", "mailbox_messages = 9")
            .replace("storage_bytes = 2000", "storage_bytes = 9000")
    });
    adm::run(&server, "reload", b"").expect_ok("reload");
    assert_eq!(deliver(&server, "carl", 100), [250]);
    assert!(append(&mut carl, "INBOX", 600).contains("Ok "));
}

/// A server whose runner of programs exists, and what the program says of each warning.
fn warning_server(more: &str) -> (Server, std::path::PathBuf) {
    let folder = std::cell::OnceCell::new();
    let server = Server::start_changed(|settings, home| {
        let (program, said) = (home.join("warn"), home.join("said"));
        mknodat(CWD, &said, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).expect("a pipe");
        fs::write(&program, format!("#!/bin/sh\necho \"$@\" \"$USER\" > '{}'\n", said.display())).expect("ours");
        fs::set_permissions(&program, fs::Permissions::from_mode(0o700)).expect("ours");
        fs::write(home.join("users"), USERS).expect("ours");
        let settings =
            settings.replace("sources = [\n", "sources = [\n{ driver = \"passwd-file\", path = \"users\" },\n");
        let run = format!("\"storage=50% {} %{{percent}} %{{user}} %{{used}} %{{limit}}\"", program.display());
        folder.set(said).expect("once");
        format!("{settings}\n[quota]\nstorage_bytes = 100000\nwarnings = [{run}, {more}]\n")
    });
    (server, folder.into_inner().expect("set"))
}

#[test]
fn who_is_to_know_is_told_when_a_line_is_crossed() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("http://{}/quota", listener.local_addr().expect("bound"));
    let (server, said) = warning_server(&format!("\"-messages=40% {url}\""));
    let mut anna = login(&server, "anna");
    append(&mut anna, "INBOX", 1400);
    // 1400 are less than half of 3000; 2800 are more, and 2850 do not cross the line again.
    append(&mut anna, "INBOX", 1400);
    assert_eq!(fs::read_to_string(&said).expect("told"), "50 anna 2800 3000 anna\n");
    append(&mut anna, "INBOX", 50);
    anna.command("SELECT INBOX").expect("SELECT").expect_ok();
    anna.command("STORE 1:3 +FLAGS (\\Deleted)").expect("STORE").expect_ok();
    anna.command("EXPUNGE").expect("EXPUNGE").expect_ok();
    let (stream, _) = listener.accept().expect("told");
    let asked = posted(stream).expect("a request");
    assert!(asked.starts_with("POST /quota HTTP/1.1\r\n"), "{asked}");
    let facts = r#"{"user":"anna","resource":"messages","percent":40,"over":false,"used":0,"limit":5}"#;
    assert!(asked.ends_with(facts), "{asked}");
    // Mail that comes by LMTP crosses lines too.
    assert_eq!(deliver(&server, "anna", 2000), [250]);
    assert!(fs::read_to_string(&said).expect("told").starts_with("50 anna 2"), "{}", server.log());
}

/// What is posted to us.
fn posted(mut stream: impl Read + Write) -> std::io::Result<String> {
    let mut asked = Vec::new();
    while !asked.ends_with(b"}") {
        let mut bytes = [0; 512];
        let count = stream.read(&mut bytes)?;
        assert!(count > 0, "{}", String::from_utf8_lossy(&asked));
        asked.extend_from_slice(&bytes[..count]);
    }
    stream.write_all(b"HTTP/1.1 204 No Content\r\n\r\n")?;
    Ok(String::from_utf8(asked).expect("text"))
}

#[test]
fn an_address_is_told_only_when_its_certificate_is_good() {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).expect("a certificate");
    let key = rustls::pki_types::PrivatePkcs8KeyDer::from(made.signing_key.serialize_der()).into();
    let config = rustls::ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let config = config.expect("versions").with_no_client_auth().with_single_cert(vec![made.cert.der().clone()], key);
    let config = Arc::new(config.expect("a pair"));
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("bound").port();
    let server = Server::start_changed(|settings, home| {
        let ca = home.join("ca.pem");
        fs::write(&ca, made.cert.pem()).expect("ours");
        // The certificate says localhost; the address with the number is another one.
        let urls =
            format!("\"messages=90% https://127.0.0.1:{port}/\", \"messages=40% https://localhost:{port}/quota\"");
        format!("{settings}\n[quota]\nmessages = 2\nwarnings = [{urls}]\nwarnings_ca = \"{}\"\n", ca.display())
    });
    let accept = || {
        let (stream, _) = listener.accept().expect("told");
        let connection = rustls::ServerConnection::new(config.clone()).expect("the config is whole");
        posted(rustls::StreamOwned::new(connection, stream))
    };
    let mut user = server.imap();
    user.login("test1", PASSWORD).expect("LOGIN").expect_ok();
    append(&mut user, "INBOX", 100);
    let asked = accept().expect("a request");
    assert!(asked.starts_with("POST /quota HTTP/1.1\r\n"), "{asked}");
    assert!(asked.contains("\"user\":\"test1\"") && asked.contains("\"percent\":40"), "{asked}");
    append(&mut user, "INBOX", 100);
    let refused = accept().expect_err("nothing is said to whom nobody knows");
    assert!(refused.to_string().contains("Certificate"), "{refused}");
}

#[test]
fn the_runner_of_programs_ends_with_the_server() {
    use rustix::event::{PollFd, PollFlags, Timespec, poll};
    use rustix::process::{Pid, PidfdFlags, pidfd_open};
    let (mut server, _) = warning_server("");
    let children = fs::read_to_string(format!("/proc/{0}/task/{0}/children", server.pid())).expect("alive");
    let runner: i32 = children.trim().parse().expect("one child");
    let end = pidfd_open(Pid::from_raw(runner).expect("a process"), PidfdFlags::empty()).expect("alive");
    server.kill();
    let patience = Timespec { tv_sec: 20, tv_nsec: 0 };
    assert_eq!(poll(&mut [PollFd::new(&end, PollFlags::IN)], Some(&patience)), Ok(1), "it does not end");
    server.restart();
}

#[test]
fn administrators_set_limits() {
    let mut server = server("storage_grace_bytes = 0\nrules = \"Junk:ignore\"", "");
    let mut anna = login(&server, "anna");
    assert!(ask(&mut anna, "CAPABILITY").contains(" QUOTASET"));
    // Nobody sets his own, and not every master user those of others.
    let set = "SETQUOTA \"User quota\" (STORAGE 4 MESSAGE 9)";
    assert!(ask(&mut anna, set).starts_with("No [NOPERM]"));
    let master = |server: &Server, who: &str| {
        let mut client = server.imap();
        client.login(who, "key").expect("LOGIN").expect_ok();
        client
    };
    assert!(ask(&mut master(&server, "anna*helper"), set).starts_with("No [NOPERM]"));
    let mut boss = master(&server, "anna*boss");
    for (wrong, expect) in [
        ("SETQUOTA elsewhere (STORAGE 4)", "No [NONEXISTENT]"),
        ("SETQUOTA \"User quota\" (ANNOTATION-STORAGE 4)", "No [CANNOT]"),
        ("SETQUOTA \"User quota\" (STORAGE 0)", "No [CANNOT]"),
        ("SETQUOTA \"User quota\" (STORAGE 4 storage 5)", "Bad "),
        ("SETQUOTA \"User quota\" (STORAGE)", "Bad "),
        ("SETQUOTA \"User quota\" (STORAGE -1)", "Bad "),
        ("SETQUOTA \"User quota\" STORAGE 4", "Bad "),
        ("SETQUOTA \"User quota\"", "Bad "),
    ] {
        assert!(ask(&mut boss, wrong).starts_with(expect), "{wrong}");
    }
    assert!(ask(&mut anna, "GETQUOTA \"User quota\"").starts_with("* QUOTA \"User quota\" (STORAGE 0 2 MESSAGE 0 5)"));
    assert!(
        append(&mut anna, "INBOX", 2500).contains("Ok ") && append(&mut anna, "INBOX", 1000).contains("[OVERQUOTA]")
    );
    assert!(ask(&mut boss, set).starts_with("* QUOTA \"User quota\" (STORAGE 3 4 MESSAGE 1 9)\nOk SETQUOTA"));
    // Her other session and LMTP know at once, and still after a crash.
    assert!(append(&mut anna, "INBOX", 1000).contains("Ok "));
    assert_eq!((deliver(&server, "anna", 100), deliver(&server, "anna", 500)), (vec![250], vec![452]));
    drop((anna, boss));
    server.kill();
    server.restart();
    assert_eq!(deliver(&server, "anna", 500), [452]);
    let mut anna = login(&server, "anna");
    assert!(ask(&mut anna, "GETQUOTA \"User quota\"").starts_with("* QUOTA \"User quota\" (STORAGE 4 4 MESSAGE 3 9)"));
    assert!(ask(&mut anna, "CREATE Junk").contains("Ok ") && append(&mut anna, "Junk", 9000).contains("Ok "));
    // No client sees where they are kept, or changes them there.
    assert!(!ask(&mut anna, "GETMETADATA \"\" (DEPTH infinity) /").contains("bytes="));
    assert!(ask(&mut anna, "SETMETADATA \"\" (quota \"x\")").starts_with("Bad "));
    // What is not named has no limit; who had none gets one.
    let mut boss = master(&server, "anna*boss");
    assert!(ask(&mut boss, "setquota \"User quota\" ()").starts_with("* QUOTA \"User quota\" ()\nOk "));
    assert!(append(&mut anna, "INBOX", 9000).contains("Ok "));
    let mut boss = master(&server, "ben*boss");
    let mut ben = login(&server, "ben");
    assert!(append(&mut ben, "INBOX", 100).contains("Ok "));
    assert!(ask(&mut boss, "SETQUOTA \"User quota\" (MESSAGE 2 MAILBOX 1)").contains("(MESSAGE 1 2 MAILBOX 1 1)"));
    assert!(append(&mut ben, "INBOX", 100).contains("Ok ") && append(&mut ben, "INBOX", 100).contains("[OVERQUOTA]"));
    assert!(ask(&mut ben, "CREATE more").contains("[OVERQUOTA]"));
    // In his own account an administrator needs nobody.
    let mut chief = login(&server, "chief");
    assert!(ask(&mut chief, "SETQUOTA \"User quota\" (STORAGE 1)").contains("(STORAGE 0 1)"));
}
