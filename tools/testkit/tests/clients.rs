//! Real clients read and write: curl, Python's imaplib and IMAPClient, mbsync, openssl.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;

use skein_testkit::server::{Kind, PASSWORD};
use skein_testkit::temp::TempDir;
use skein_testkit::{Server, mail, program};

#[test]
fn curl_appends_fetches_and_commands() {
    let Some(curl) = program::find("curl") else { return };
    let (server, folder) = (Server::start(), TempDir::new("curl"));
    let (user, body) = (Server::user(1), mail::marked("curl-1"));
    let file = folder.write("mail.eml", &body);
    let run = |arguments: &[&str]| {
        let mut command = Command::new(&curl);
        command.args(["-sS", "-k", "-u", &format!("{user}:{PASSWORD}")]).args(arguments);
        program::run(&mut command, b"").expect_ok("curl").stdout
    };
    for base in [format!("imap://{}", server.ports().imap), format!("imaps://{}", server.ports().imaps)] {
        let inbox = format!("{base}/INBOX");
        run(&["-T", file.to_str().expect("UTF-8"), &inbox]);
        assert_eq!(run(&[&format!("{inbox};MAILINDEX=1")]), body);
        let found = run(&[&inbox, "-X", "SEARCH ALL"]);
        assert!(found.starts_with(b"* SEARCH 1"), "{}", found.escape_ascii());
        assert!(String::from_utf8_lossy(&run(&[&base])).contains("INBOX"));
    }
    let starttls = run(&["--ssl-reqd", &format!("imap://{}/INBOX;MAILINDEX=2;SECTION=HEADER", server.ports().imap)]);
    assert!(body.starts_with(&starttls) && !starttls.is_empty(), "{}", starttls.escape_ascii());
}

#[test]
fn imaplib_spends_a_day() {
    let Some(python) = program::python() else { return };
    let server = Server::start();
    let ports = server.ports();
    let mut command = Command::new(python);
    command.arg(program::script("imaplib_session.py"));
    command.args([
        "127.0.0.1".into(),
        ports.imap.port().to_string(),
        ports.imaps.port().to_string(),
        Server::user(1),
        PASSWORD.into(),
    ]);
    program::run(&mut command, b"").expect_ok("imaplib");
}

#[test]
fn imapclient_parses_everything() {
    let Some(python) = program::python() else { return };
    if !program::run(Command::new(&python).args(["-c", "import imapclient"]), b"").status.success() {
        assert!(std::env::var_os("SKEIN_TOOLS_REQUIRED").is_none(), "imapclient is missing: tools/test.sh installs it");
        println!("skipped: the Python package imapclient is not installed");
        return;
    }
    let server = Server::start();
    let mut command = Command::new(python);
    command.arg(program::script("imapclient_session.py"));
    command.args(["127.0.0.1".into(), server.ports().imap.port().to_string(), Server::user(1), PASSWORD.into()]);
    program::run(&mut command, b"").expect_ok("imapclient");
}

/// The first run brings both sides together; a second run finds nothing to do on either side.
#[test]
fn mbsync_syncs_and_then_changes_nothing() {
    let Some(mbsync) = program::find("mbsync") else { return };
    let (server, folder) = (Server::start(), TempDir::new("mbsync"));
    let mut client = server.login(&Server::user(1));
    client.command("CREATE lists").expect("CREATE").expect_ok();
    for number in 0..40 {
        let mailbox = ["INBOX", "lists"][number % 2];
        let flags = ["", "\\Seen", "\\Flagged \\Answered"][number % 3];
        client.append(mailbox, flags, &mail::marked(&format!("far-{number}"))).expect("APPEND").expect_ok();
    }
    for part in ["cur", "new", "tmp"] {
        fs::create_dir_all(folder.join(&format!("local/INBOX/{part}"))).expect("the folder is ours");
    }
    folder.write("local/INBOX/new/1.mine", b"From: a@example.org\nSubject: near\n\nwritten here\n");
    let config = folder.write("mbsyncrc", mbsync_config(folder.path(), server.ports().imap.port()));
    let sync = || program::run(Command::new(&mbsync).arg("-c").arg(&config).arg("both"), b"").expect_ok("mbsync");

    sync();
    let near = tree(&folder.join("local"));
    let mails = near.keys().filter(|name| name.contains("/cur/") || name.contains("/new/")).count();
    assert_eq!(mails, 41, "{:?}", near.keys());
    let status = "STATUS INBOX (MESSAGES UIDNEXT UIDVALIDITY UNSEEN)";
    let far = client.command(status).expect("STATUS").untagged;

    sync();
    assert_eq!(near, tree(&folder.join("local")));
    assert_eq!(far, client.command(status).expect("STATUS").untagged);
    assert_eq!(client.command("EXAMINE INBOX").expect("EXAMINE").exists(), Some(21));
}

fn mbsync_config(folder: &Path, port: u16) -> String {
    let (user, folder) = (Server::user(1), folder.display());
    format!(
        "IMAPAccount a\nHost 127.0.0.1\nPort {port}\nUser {user}\nPass {PASSWORD}\nSSLType None\nAuthMechs LOGIN\n\n\
         IMAPStore far\nAccount a\n\nMaildirStore near\nPath {folder}/local/\nInbox {folder}/local/INBOX\nSubFolders Verbatim\n\n\
         Channel both\nFar :far:\nNear :near:\nPatterns *\nCreate Near\nSyncState *\n"
    )
}

/// Every file below `root` with its content.
fn tree(root: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut all = BTreeMap::new();
    for entry in fs::read_dir(root).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            all.extend(tree(&path));
        } else {
            all.insert(path.display().to_string(), fs::read(&path).expect("a file of ours"));
        }
    }
    all
}

#[test]
fn openssl_speaks_tls_and_starttls() {
    let Some(openssl) = program::find("openssl") else { return };
    let server = Server::start();
    let ports = server.ports();
    let commands = b"a1 NOOP\na2 LOGOUT\n";
    let versions = ["-tls1_2", "-tls1_3"];
    let targets = [(ports.imaps.to_string(), None), (ports.imap.to_string(), Some("imap"))];
    for (version, (address, starttls)) in versions.into_iter().flat_map(|v| targets.iter().map(move |t| (v, t))) {
        let mut command = Command::new(&openssl);
        command.args(["s_client", "-quiet", "-ign_eof", "-crlf", version, "-connect", address]);
        command.args(starttls.iter().flat_map(|protocol| ["-starttls", protocol]));
        let text = program::run(&mut command, commands).all_text();
        assert!(text.contains("a1 OK") && text.contains("* BYE"), "{version} {address}: {text}");
    }
    let mut old = Command::new(&openssl);
    old.args(["s_client", "-tls1_1", "-cipher", "DEFAULT@SECLEVEL=0", "-connect", &ports.imaps.to_string()]);
    let refused = !program::run(&mut old, b"").status.success();
    assert!(refused || server.kind() != Kind::Skein, "TLS 1.1 is refused");
}
