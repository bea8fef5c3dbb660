//! Real POP3 clients fetch mail: curl, Python's poplib, fetchmail, getmail, mpop, openssl.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use skein_testkit::server::PASSWORD;
use skein_testkit::temp::TempDir;
use skein_testkit::{Server, mail, program};

/// The user that getmail and fetchmail run as: both refuse root, or warn.
const NOBODY: &str = "nobody";

fn deliver(server: &Server, count: usize) -> Vec<Vec<u8>> {
    let mails: Vec<Vec<u8>> = (0..count).map(|i| mail::marked(&format!("pop-{i}"))).collect();
    let mut client = server.login(&Server::user(1));
    for mail in &mails {
        client.append_at_once("INBOX", "", mail).expect("APPEND").expect_ok();
    }
    mails
}

fn left(server: &Server, user: usize) -> usize {
    let mut client = server.pop3_login(&Server::user(user));
    let left = client.listing("LIST").expect("LIST").len();
    client.command("QUIT").expect("QUIT").expect_ok();
    left
}

#[test]
fn curl_lists_retrieves_and_deletes() {
    let Some(curl) = program::find("curl") else { return };
    let server = Server::start();
    let mails = deliver(&server, 3);
    let (plain, tls) = (server.ports().pop3, server.ports().pop3s);
    let run = |arguments: &[&str]| {
        let mut command = Command::new(&curl);
        command.args(["-sS", "-k", "-u", &format!("{}:{PASSWORD}", Server::user(1))]).args(arguments);
        program::run(&mut command, b"").expect_ok("curl").stdout
    };
    for (base, more) in [
        (format!("pop3://{plain}"), vec![]),
        (format!("pop3://{plain}"), vec!["--ssl-reqd"]),
        (format!("pop3://{plain}"), vec!["--ssl-reqd", "--login-options", "AUTH=LOGIN"]),
        (format!("pop3://{plain}"), vec!["--ssl-reqd", "--login-options", "AUTH=PLAIN", "--sasl-ir"]),
        (format!("pop3s://{tls}"), vec![]),
    ] {
        let run = |path: &str, extra: &[&str]| run(&[&[format!("{base}/{path}").as_str()], &more[..], extra].concat());
        let listing = String::from_utf8(run("", &[])).expect("UTF-8");
        let sizes: Vec<String> =
            mails.iter().enumerate().map(|(i, mail)| format!("{} {}", i + 1, mail.len())).collect();
        assert_eq!(listing.lines().collect::<Vec<_>>(), sizes, "{more:?}");
        assert_eq!(run("2", &[]), mails[1]);
        assert_eq!(String::from_utf8(run("", &["-X", "UIDL"])).expect("UTF-8").lines().count(), 3);
        let top = run("", &["-X", "TOP 1 0"]);
        assert!(mails[0].starts_with(&top) && !top.is_empty());
    }
    run(&["-l", "-X", "DELE", &format!("pop3s://{tls}/2")]);
    assert_eq!(left(&server, 1), 2);
}

#[test]
fn poplib_spends_a_day() {
    let Some(python) = program::python() else { return };
    let server = Server::start();
    let ports = server.ports();
    let mut command = Command::new(python);
    command.arg(program::script("poplib_session.py"));
    let numbers = [ports.pop3, ports.pop3s, ports.imap].map(|addr| addr.port().to_string());
    command.arg("127.0.0.1").args(numbers).args([&Server::user(1), PASSWORD]);
    program::run(&mut command, b"").expect_ok("poplib");
}

#[test]
fn fetchmail_fetches_and_flushes() {
    let Some(fetchmail) = program::find("fetchmail") else { return };
    let (server, folder) = (Server::start(), TempDir::new("fetchmail"));
    let mails = deliver(&server, 12);
    let mbox = folder.join("mbox");
    let rc = |more: &str, keep: &str| {
        let (user, port) = (Server::user(1), server.ports().pop3.port());
        let text = format!(
            "set no bouncemail\npoll 127.0.0.1 protocol pop3 port {port} uidl auth password user \"{user}\" \
             password \"{PASSWORD}\" {more} {keep} mda \"cat >> {}\"\n",
            mbox.display()
        );
        let rc = folder.write("fetchmailrc", text);
        fs::set_permissions(&rc, fs::Permissions::from_mode(0o600)).expect("the file is ours");
        rc
    };
    let run = |rc: &Path| {
        let mut command = Command::new(&fetchmail);
        command
            .arg("-f")
            .arg(rc)
            .args(["--idfile"])
            .arg(folder.join("ids"))
            .args(["--pidfile"])
            .arg(folder.join("pid"));
        command.env("HOME", folder.path()).env("FETCHMAILHOME", folder.path());
        program::run(&mut command, b"")
    };
    // UIDL with what was seen before: each comes once.
    run(&rc("sslproto ''", "keep")).expect_ok("fetchmail");
    assert_eq!(left(&server, 1), 12);
    let second = run(&rc("sslproto ''", "keep"));
    assert_eq!(second.status.code(), Some(1), "nothing new: {}", second.all_text());
    for (i, mail) in mails.iter().enumerate() {
        let marker = format!("X-Marker: pop-{i}");
        let got = fs::read_to_string(&mbox).unwrap_or_default();
        assert_eq!(got.lines().filter(|line| **line == marker).count(), 1, "{marker}");
        let text = String::from_utf8_lossy(mail).replace('\r', "");
        let body = text.split_once("\n\n").expect("a body").1.to_owned();
        assert!(got.replace('\r', "").contains(body.trim_end()), "{marker} came whole");
    }
    // STLS, and messages leave.
    run(&rc("sslproto 'auto' no sslcertck", "nokeep fetchall")).expect_ok("fetchmail");
    assert_eq!(left(&server, 1), 0);
}

#[test]
fn getmail_fetches_once_and_then_deletes() {
    let Some(getmail) = program::find("getmail") else { return };
    let Some(setpriv) = program::find("setpriv") else { return };
    if !program::is_root("getmail as another user") {
        return;
    }
    let (server, folder) = (Server::start(), TempDir::new("getmail"));
    deliver(&server, 10);
    // By LMTP to another user: what getmail delivers to itself it does in forks, and loses track of one now and then.
    let lmtp = server.ports().lmtp.port();
    let rc = |delete: bool, class: &str, port: u16| {
        let text = format!(
            "[retriever]\ntype = {class}\nserver = 127.0.0.1\nport = {port}\nusername = {}\npassword = {PASSWORD}\n\
             [destination]\ntype = MDA_lmtp\nhost = 127.0.0.1\nport = {lmtp}\noverride = {}\n\
             [options]\nread_all = false\ndelete = {delete}\n",
            Server::user(1),
            Server::user(2),
        );
        folder.write("getmailrc", text);
    };
    let run = || {
        let mut own = Command::new("chown");
        own.args(["-R", NOBODY]).arg(folder.path());
        program::run(&mut own, b"").expect_ok("chown");
        let mut command = Command::new(&setpriv);
        command.args(["--reuid", NOBODY, "--regid", "nogroup", "--clear-groups"]).arg(&getmail).arg("--getmaildir");
        command.arg(folder.path()).env("HOME", folder.path()).current_dir(folder.path());
        program::run(&mut command, b"").expect_ok("getmail").all_text()
    };
    let got = || left(&server, 2);
    rc(false, "SimplePOP3Retriever", server.ports().pop3.port());
    run();
    assert_eq!((got(), left(&server, 1)), (10, 10));
    let again = run();
    assert_eq!(got(), 10, "ids are stable: {again}");
    // Another port is another account to getmail: it fetches all once more, and deletes.
    rc(true, "SimplePOP3SSLRetriever", server.ports().pop3s.port());
    run();
    assert_eq!((got(), left(&server, 1)), (20, 0));
}

#[test]
fn mpop_fetches_pipelined() {
    let Some(mpop) = program::find("mpop") else { return };
    let (server, folder) = (Server::start(), TempDir::new("mpop"));
    let mails = deliver(&server, 40);
    let (user, port) = (Server::user(1), server.ports().pop3.port());
    let rc = |keep: &str| {
        let text = format!(
            "account a\nhost 127.0.0.1\nport {port}\nuser {user}\npassword {PASSWORD}\ntls on\ntls_starttls on\n\
             tls_certcheck off\npipelining on\nkeep {keep}\nuidls_file {0}/uidls\ndelivery mbox {0}/mbox\n",
            folder.path().display()
        );
        let rc = folder.write("mpoprc", text);
        fs::set_permissions(&rc, fs::Permissions::from_mode(0o600)).expect("the file is ours");
        rc
    };
    let run = |rc: &Path| program::run(Command::new(&mpop).arg("-C").arg(rc).arg("a"), b"").expect_ok("mpop");
    run(&rc("on"));
    run(&rc("on"));
    let got = fs::read_to_string(folder.join("mbox")).expect("an mbox");
    assert_eq!(got.lines().filter(|line| line.starts_with("X-Marker: pop-")).count(), mails.len());
    assert_eq!(left(&server, 1), 40);
    run(&rc("off"));
    assert_eq!(left(&server, 1), 0);
}

/// SCRAM needs no TLS: the password stays with the client.
#[test]
fn mpop_logs_in_by_scram() {
    let Some(mpop) = program::find("mpop") else { return };
    let folder = TempDir::new("mpop-scram");
    let server = Server::start_changed(|settings, _| {
        settings
            .replace("[auth]\n", "[auth]\nmechanisms = [\"SCRAM-SHA-256\", \"SCRAM-SHA-1\"]\nfailure_delay_ms = 0\n")
    });
    let mails = deliver(&server, 3);
    let fetch = |mechanism: &str, password: &str| {
        let mut command = Command::new(&mpop);
        command.arg("--host=127.0.0.1").arg(format!("--port={}", server.ports().pop3.port()));
        command.arg(format!("--user={}", Server::user(1))).arg(format!("--auth={mechanism}"));
        command.arg(format!("--passwordeval=echo {password}")).arg("--tls=off").arg("--keep=on").arg("--only-new=off");
        command.arg(format!("--uidls-file={}/uidls", folder.path().display()));
        command.arg(format!("--delivery=mbox,{}/{mechanism}", folder.path().display())).env("HOME", folder.path());
        program::run(&mut command, b"")
    };
    for mechanism in ["scram-sha-256", "scram-sha-1"] {
        fetch(mechanism, PASSWORD).expect_ok("mpop");
        let got = fs::read_to_string(folder.join(mechanism)).expect("an mbox");
        assert_eq!(got.lines().filter(|line| line.starts_with("X-Marker: pop-")).count(), mails.len());
        assert!(!fetch(mechanism, "wrong").status.success());
    }
}

#[test]
fn openssl_speaks_tls_and_stls() {
    let Some(openssl) = program::find("openssl") else { return };
    let server = Server::start();
    let commands = format!("USER {}\nPASS {PASSWORD}\nSTAT\nQUIT\n", Server::user(1));
    for (address, starttls) in [(server.ports().pop3s, None), (server.ports().pop3, Some("pop3"))] {
        for version in ["-tls1_2", "-tls1_3"] {
            let mut command = Command::new(&openssl);
            command.args(["s_client", "-quiet", "-ign_eof", "-crlf", version, "-connect", &address.to_string()]);
            command.args(starttls.iter().flat_map(|protocol| ["-starttls", protocol]));
            let text = program::run(&mut command, commands.as_bytes()).all_text();
            assert!(text.contains("+OK 0 0"), "{version} {address}: {text}");
        }
    }
}
