//! TLS as openssl sees it: versions, certificates by name and by listener, resumption, new certificates on reload.

use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;

use rustix::process::Signal;
use skein_testkit::wait::{self, PATIENCE};
use skein_testkit::{Server, process, program};

/// Makes `name`.pem and `name`.key in `folder`, valid for `names`.
fn certificate(folder: &Path, name: &str, names: &[&str]) {
    let mut openssl = Command::new("openssl");
    openssl.args("req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 30".split(' '));
    let names: Vec<String> = names.iter().map(|name| format!("DNS:{name}")).collect();
    openssl.args(["-subj", &format!("/CN={name}"), "-addext", &format!("subjectAltName={}", names.join(","))]);
    openssl.args(["-keyout", &format!("{name}.key"), "-out", &format!("{name}.pem")]).current_dir(folder);
    program::run(&mut openssl, b"").expect_ok("openssl req");
}

/// What `openssl s_client` prints of a connection that logs out at once.
fn s_client(addr: SocketAddr, options: &[&str]) -> String {
    let mut command = Command::new("openssl");
    command.args(["s_client", "-crlf", "-ign_eof", "-connect", &addr.to_string()]).args(options);
    program::run(&mut command, b"a LOGOUT\n").all_text()
}

/// The common name of the certificate that was shown.
#[track_caller]
fn shown(printed: &str) -> &str {
    let subject =
        printed.lines().find_map(|line| line.strip_prefix("subject=CN = ").or(line.strip_prefix("subject=CN=")));
    subject.unwrap_or_else(|| panic!("no certificate: {printed}"))
}

fn with_certificates(tls: &str, change: impl FnOnce(String) -> String) -> Server {
    Server::start_changed(|settings, folder| {
        certificate(folder, "main", &["main.example"]);
        certificate(folder, "other", &["other.example", "*.wild.example"]);
        certificate(folder, "own", &["own.example"]);
        change(settings)
            + "[tls]\ncert = \"main.pem\"\nkey = \"main.key\"\ncertificates = [{ cert = \"other.pem\", key = \"other.key\" }]\n"
            + tls
    })
}

#[test]
fn versions() {
    let Some(_) = program::find("openssl") else { return };
    let old = ["-tls1_1", "-cipher", "DEFAULT@SECLEVEL=0"];
    let server = Server::start_changed(|settings, _| settings);
    let imaps = server.ports().imaps;
    for (option, name) in [("-tls1_2", "TLSv1.2"), ("-tls1_3", "TLSv1.3")] {
        let printed = s_client(imaps, &[option]);
        assert!(printed.contains(&format!("New, {name}, Cipher is")) && printed.contains("* BYE"), "{printed}");
    }
    let printed = s_client(imaps, &old);
    assert!(printed.contains("alert") && !printed.contains("* BYE"), "{printed}");
    let printed = s_client(server.ports().imap, &["-starttls", "imap", "-tls1_3"]);
    assert!(printed.contains("New, TLSv1.3, Cipher is") && printed.contains("* BYE"), "{printed}");

    let server = with_certificates("version_min = \"1.3\"\n", |settings| settings);
    assert!(s_client(server.ports().imaps, &["-tls1_3"]).contains("* BYE"));
    let printed = s_client(server.ports().imaps, &["-tls1_2"]);
    assert!(printed.contains("alert protocol version"), "{printed}");
}

#[test]
fn certificates_by_name_and_by_listener() {
    let Some(_) = program::find("openssl") else { return };
    let server = with_certificates("", |settings| {
        let (before, rest) = settings.split_once("\nimap = [\"").expect("the usual settings");
        let (address, after) = rest.split_once("\"]").expect("the usual settings");
        let entry = format!("{{ address = \"{address}\", cert = \"own.pem\", key = \"own.key\" }}");
        format!("{before}\nimap = [{entry}]{after}")
    });
    let by_name = |name: &str| s_client(server.ports().imaps, &["-servername", name]);
    for (name, expect) in [
        ("main.example", "main"),
        ("other.example", "other"),
        ("Other.Example", "other"),
        ("a.wild.example", "other"),
        ("a.b.wild.example", "main"),
        ("unknown.example", "main"),
        ("own.example", "main"),
    ] {
        assert_eq!(shown(&by_name(name)), expect, "{name}");
    }
    assert_eq!(shown(&s_client(server.ports().imaps, &["-noservername"])), "main");
    for name in ["own.example", "other.example"] {
        let printed = s_client(server.ports().imap, &["-starttls", "imap", "-servername", name]);
        assert_eq!(shown(&printed), "own");
    }
}

/// A certificate that is renewed while clients are there: new connections see it, old ones live on, and a session of before
/// can still be resumed.
#[test]
fn renewed_while_running() {
    let Some(_) = program::find("openssl") else { return };
    let server = with_certificates("", |settings| settings);
    let (imaps, folder) = (server.ports().imaps, server.folder());
    let session = folder.join("session.pem").display().to_string();
    let mut open = server.login(&Server::user(1));
    for version in ["-tls1_2", "-tls1_3"] {
        let first = s_client(imaps, &[version, "-sess_out", &session]);
        assert!(first.contains("New, TLSv1."), "{first}");
        let again = s_client(imaps, &[version, "-sess_in", &session]);
        assert!(again.contains("Reused, TLSv1.") && again.contains("* BYE"), "{again}");
    }
    certificate(folder, "renewed", &["main.example"]);
    for end in ["pem", "key"] {
        std::fs::rename(folder.join(format!("renewed.{end}")), folder.join(format!("main.{end}"))).expect("ours");
    }
    assert_eq!(shown(&s_client(imaps, &[])), "main", "not before it is told");
    process::signal(server.pid(), Signal::HUP);
    let done = || server.log().contains("settings, users and certificates read again");
    assert!(wait::until(PATIENCE, done), "{}", server.log());
    assert_eq!(shown(&s_client(imaps, &[])), "renewed");
    let again = s_client(imaps, &["-tls1_3", "-sess_in", &session]);
    assert!(again.contains("Reused, TLSv1.3"), "{again}");
    open.command("NOOP").expect("the session lives").expect_ok();
}
