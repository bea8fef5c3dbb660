//! Logging in with real clients: gsasl, curl, mbsync, Python; by password, proof and certificate; masters, limits, changed files.

use std::path::{Path, PathBuf};
use std::process::Command;

use skein_testkit::server::PASSWORD;
use skein_testkit::temp::TempDir;
use skein_testkit::wait::{self, PATIENCE};
use skein_testkit::{Server, imap, mail, pop3, program};

const USERS: &str = "anna:{PLAIN}secret\n\
    anna@example.org:{SSHA}dj2lH1ocucmj5OQsjP6mQrVx6FhOYUNs\n\
    ben:{SCRAM-SHA-256}4096,MDEyMzQ1Njc4OWFiY2RlZg==,bpSY5Ze9NUH+I35LC3gVq+DpBfK46iXBxvhAKqVu9pE=,VpYlBuxyzeCI1KnctrefdljpB1mk3Gp7sBI/t11+NkQ=\n\
    carl:{PLAIN}secret::::::nologin reason=Unpaid\n\
    dora:{PLAIN}secret::::::allow_nets=192.0.2.0/24\n\
    erik:{PLAIN}secret::::::allow_nets=127.0.0.0/8\n\
    alias:{PLAIN}secret::::::user=anna\n";

/// A server with [`USERS`] beside the usual ones, every mechanism, quick refusals, and `more` settings of `[auth]`.
fn server(more: &str, tls: &str) -> Server {
    Server::start_changed(|settings, folder| {
        std::fs::write(folder.join("users"), USERS).expect("ours");
        std::fs::write(folder.join("masters"), "boss:{PLAIN}key\n").expect("ours");
        let sources = "sources = [\n{ driver = \"passwd-file\", path = \"users\" },";
        let auth = format!(
            "[auth]\nmechanisms = [\"SCRAM-SHA-256\", \"SCRAM-SHA-1\", \"EXTERNAL\", \"PLAIN\", \"LOGIN\"]\n\
             masters = [{{ driver = \"passwd-file\", path = \"masters\" }}]\nfailure_delay_ms = 0\n{more}"
        );
        settings.replace("sources = [", sources).replace("[auth]\n", &auth) + tls
    })
}

fn openssl(folder: &Path, arguments: &str) {
    let mut command = Command::new("openssl");
    command.args(arguments.split(' ')).current_dir(folder);
    program::run(&mut command, b"").expect_ok(arguments);
}

/// An authority `ca.pem`, a certificate `name`.pem of it for each name and address, and `stranger`.pem of nobody.
fn client_certificates(folder: &Path, names: &[(&str, &str)]) {
    let new_key = "-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes";
    openssl(folder, &format!("req -x509 {new_key} -days 30 -subj /CN=Authority -keyout ca.key -out ca.pem"));
    openssl(folder, &format!("req -x509 {new_key} -days 30 -subj /CN=anna -keyout stranger.key -out stranger.pem"));
    for (name, email) in names {
        std::fs::write(folder.join(format!("{name}.ext")), format!("subjectAltName=email:{email}\n")).expect("ours");
        openssl(folder, &format!("req {new_key} -subj /CN={name} -keyout {name}.key -out {name}.csr"));
        let signed =
            format!("x509 -req -in {name}.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 30 -extfile {name}.ext");
        openssl(folder, &format!("{signed} -out {name}.pem"));
    }
}

#[test]
fn gsasl_with_every_mechanism() {
    let Some(gsasl) = program::find("gsasl") else { return };
    let server = server("", "");
    let authority = server.folder().join("data/tls/self-signed.pem");
    let log_in = |user: &str, password: &str, mechanism: &str, bound: bool| {
        let mut command = Command::new(&gsasl);
        command.args(["--imap", "-d", "--hostname=localhost", "-m", mechanism, "-a", user]);
        command.args(["-p", password, &format!("--connect={}", server.ports().imap)]);
        command.arg(format!("--x509-ca-file={}", authority.display()));
        command.args(if bound { &[][..] } else { &["--no-cb"] });
        program::run(&mut command, b"").status.success()
    };
    for mechanism in ["SCRAM-SHA-256-PLUS", "SCRAM-SHA-1-PLUS"] {
        assert!(log_in("anna", "secret", mechanism, true), "{mechanism}");
        assert!(
            !log_in("anna", "wrong", mechanism, true) && !log_in("nobody", "secret", mechanism, true),
            "{mechanism}"
        );
    }
    for mechanism in ["SCRAM-SHA-256", "SCRAM-SHA-1", "PLAIN", "LOGIN"] {
        assert!(log_in("anna", "secret", mechanism, false), "{mechanism}");
        assert!(
            !log_in("anna", "wrong", mechanism, false) && !log_in("nobody", "secret", mechanism, false),
            "{mechanism}"
        );
    }
    assert!(log_in("ben", "secret", "SCRAM-SHA-256-PLUS", true) && log_in("ben", "secret", "PLAIN", false));
    assert!(!log_in("ben", "secret", "SCRAM-SHA-1", false), "there are no such keys");
}

/// Other programs' keys are read.
#[test]
fn keys_made_by_gsasl() {
    let Some(gsasl) = program::find("gsasl") else { return };
    let server = server("", "");
    let mut users = USERS.to_owned();
    for (user, mechanism) in [("new1", "SCRAM-SHA-1"), ("new256", "SCRAM-SHA-256")] {
        let mut command = Command::new(&gsasl);
        command.args(["--mkpasswd", "-m", mechanism, "-p", "pencil", "--iteration-count", "10000"]);
        let made = program::run(&mut command, b"").expect_ok("gsasl --mkpasswd").text();
        users += &format!("{user}:{}\n", made.trim());
    }
    std::fs::write(server.folder().join("users"), users).expect("ours");
    for user in ["new1", "new256"] {
        assert!(
            wait::until(PATIENCE, || server.imap().login(user, "pencil").expect("LOGIN").is_ok()),
            "{}",
            server.log()
        );
    }
}

#[test]
fn python_by_proof_and_as_a_master() {
    let Some(python) = program::python() else { return };
    if !program::run(Command::new(&python).args(["-c", "import scramp"]), b"").status.success() {
        assert!(std::env::var_os("SKEIN_TOOLS_REQUIRED").is_none(), "scramp is missing: tools/test.sh installs it");
        println!("skipped: the Python package scramp is not installed");
        return;
    }
    let server = server("", "");
    let mut command = Command::new(python);
    command.arg(program::script("sasl_session.py"));
    let ports = server.ports();
    command.args(["127.0.0.1".into(), ports.imap.port().to_string(), ports.imaps.port().to_string()]);
    command.args(["anna", "secret"]);
    program::run(&mut command, b"").expect_ok("sasl_session.py");
    assert!(server.log().contains("a master user logs in"), "{}", server.log());
}

#[test]
fn mbsync_by_proof() {
    let Some(mbsync) = program::find("mbsync") else { return };
    let (server, folder) = (server("", ""), TempDir::new("mbsync-scram"));
    let port = server.ports().imap.port();
    let run = |password: &str, mechanism: &str| {
        let near = folder.path().display();
        let config = format!(
            "IMAPAccount a\nHost 127.0.0.1\nPort {port}\nUser ben\nPass {password}\nSSLType None\nAuthMechs {mechanism}\n\n\
             IMAPStore far\nAccount a\n\nMaildirStore near\nPath {near}/\nInbox {near}/INBOX\n\n\
             Channel both\nFar :far:\nNear :near:\nCreate Near\nSyncState *\n"
        );
        let config = folder.write("mbsyncrc", config);
        program::run(Command::new(&mbsync).arg("-c").arg(config).arg("both"), b"").status.success()
    };
    assert!(run("secret", "SCRAM-SHA-256"), "{}", server.log());
    assert!(!run("wrong", "SCRAM-SHA-256"));
    assert!(run("secret", "PLAIN"));
}

struct Curl<'a> {
    curl: PathBuf,
    server: &'a Server,
}

impl Curl<'_> {
    fn log_in(&self, scheme: &str, user: &str, mechanism: &str, certificate: Option<&str>) -> bool {
        let (ports, mut command) = (self.server.ports(), Command::new(&self.curl));
        let address = if scheme == "pop3s" { ports.pop3s } else { ports.imaps };
        command.args(["-sS", "-k", "-u", user, "--login-options", &format!("AUTH={mechanism}")]);
        if let Some(name) = certificate {
            let file = |end: &str| self.server.folder().join(format!("{name}.{end}")).display().to_string();
            command.args(["--cert", &file("pem"), "--key", &file("key")]);
        }
        command.arg(format!("{scheme}://{address}/"));
        program::run(&mut command, b"").status.success()
    }
}

#[test]
fn curl_by_password() {
    let Some(curl) = program::find("curl") else { return };
    let server = server("", "");
    let curl = Curl { curl, server: &server };
    for scheme in ["imaps", "pop3s"] {
        for mechanism in ["PLAIN", "LOGIN"] {
            assert!(curl.log_in(scheme, "anna:secret", mechanism, None), "{scheme} {mechanism}");
            assert!(!curl.log_in(scheme, "anna:wrong", mechanism, None), "{scheme} {mechanism}");
        }
        assert!(!curl.log_in(scheme, "anna:", "EXTERNAL", None), "{scheme}: no certificate");
    }
}

#[test]
fn curl_by_certificate() {
    let (Some(curl), Some(_)) = (program::find("curl"), program::find("openssl")) else { return };
    for (field, own, other) in [("email", "anna@example.org:", "anna:"), ("common-name", "anna:", "anna@example.org:")]
    {
        let folder = TempDir::new("certificates");
        client_certificates(folder.path(), &[("anna", "anna@example.org"), ("nobody", "nobody@example.org")]);
        let authority = folder.join("ca.pem");
        let server =
            server(&format!("certificate_user = \"{field}\"\n"), &format!("[tls]\nclient_ca = {authority:?}\n"));
        for name in ["anna", "nobody", "stranger"] {
            for end in ["pem", "key"] {
                let file = format!("{name}.{end}");
                std::fs::copy(folder.join(&file), server.folder().join(&file)).expect("ours");
            }
        }
        let curl = Curl { curl: curl.clone(), server: &server };
        for scheme in ["imaps", "pop3s"] {
            // curl sends the user as authorization identity.
            assert!(curl.log_in(scheme, own, "EXTERNAL", Some("anna")), "{field} {scheme}\n{}", server.log());
            assert!(!curl.log_in(scheme, other, "EXTERNAL", Some("anna")), "{field} {scheme}: another user");
            assert!(!curl.log_in(scheme, own, "EXTERNAL", Some("nobody")), "{field} {scheme}");
            assert!(!curl.log_in(scheme, own, "EXTERNAL", Some("stranger")), "{field} {scheme}: nobody vouches");
            assert!(!curl.log_in(scheme, own, "EXTERNAL", None), "{field} {scheme}: no certificate");
            assert!(curl.log_in(scheme, "anna:secret", "PLAIN", None), "{field} {scheme}: a password still does");
        }
    }
}

fn capabilities(client: &mut imap::Client) -> String {
    let reply = client.command("CAPABILITY").expect("CAPABILITY");
    String::from_utf8_lossy(&reply.untagged.concat()).into_owned()
}

#[test]
fn mechanisms_are_offered_where_they_may_be_used() {
    let strict = server("plaintext_without_tls = \"never\"\n", "");
    let offer = capabilities(&mut strict.imap());
    assert!(offer.contains(" AUTH=SCRAM-SHA-256 AUTH=SCRAM-SHA-1 LOGINDISABLED"), "{offer}");
    assert!(!offer.contains("PLUS") && !offer.contains("PLAIN") && !offer.contains("EXTERNAL"), "{offer}");
    let mut client = strict.imap();
    for command in ["AUTHENTICATE PLAIN AGFubmEAc2VjcmV0", "LOGIN anna secret", "AUTHENTICATE SCRAM-SHA-256-PLUS"] {
        let reply = client.command(command).expect(command);
        assert!(reply.code("PRIVACYREQUIRED").is_some(), "{command}: {reply:?}");
    }
    let usual = Server::start();
    let offer = capabilities(&mut usual.imap());
    assert!(offer.contains(" AUTH=PLAIN AUTH=LOGIN") && !offer.contains("SCRAM"), "{offer}");
    let reply = usual.imap().command("AUTHENTICATE SCRAM-SHA-256").expect("AUTHENTICATE");
    assert!(reply.code("CANNOT").is_some(), "{reply:?}");
}

#[test]
fn fields_of_the_file_decide() {
    let server = server("", "");
    let reply = |user: &str| server.imap().login(user, "secret").expect("LOGIN");
    assert!(reply("erik").is_ok());
    let refused = reply("carl");
    assert!(refused.code("NOPERM").is_some() && format!("{refused:?}").contains("Unpaid"), "{refused:?}");
    assert!(reply("dora").code("NOPERM").is_some());
    // A master user goes where the owner may not.
    assert!(server.imap().login("carl*boss", "key").expect("LOGIN").is_ok());
    assert!(server.imap().login("nobody*boss", "key").expect("LOGIN").code("NOPERM").is_some());
}

/// A name that stands for another account: logins and mail both go there.
#[test]
fn an_alias_is_the_account_it_names() {
    let server = server("", "");
    let answers = server.lmtp().deliver(&["alias@example.net", "carl"], &mail::marked("for-anna")).expect("a delivery");
    assert!(answers.iter().all(|answer| answer.is_ok()), "{answers:?}");
    for user in ["anna", "alias"] {
        let mut client = server.imap();
        client.login(user, "secret").expect("LOGIN").expect_ok();
        assert_eq!(client.command("SELECT INBOX").expect("SELECT").exists(), Some(1), "{user}");
    }
}

/// The first 50 of a user are served whichever shard took them, and the next one is told why not. Places come back.
#[test]
fn the_51st_connection_of_a_user_is_refused() {
    let server = Server::start_changed(|settings, _| settings.replace("connections_per_user_max = 0\n", ""));
    let mut open: Vec<imap::Client> = (0..50).map(|_| server.login(&Server::user(1))).collect();
    let refused = server.imap().login(&Server::user(1), PASSWORD).expect("LOGIN");
    let text = format!("{refused:?}");
    assert!(refused.code("LIMIT").is_some() && text.contains("You have 50 connections open already"), "{text}");
    server.login(&Server::user(2));
    open.pop().expect("fifty").command("LOGOUT").expect("LOGOUT").expect_ok();
    let again = || server.imap().login(&Server::user(1), PASSWORD).expect("LOGIN").is_ok();
    assert!(wait::until(PATIENCE, again), "a place is free again");
}

/// IMAP and POP3 together, before anybody has logged in; trusted networks are exempt.
#[test]
fn an_address_has_so_many_connections() {
    let limit = |networks: &str| {
        let change = move |settings: String, _: &Path| {
            let limits = "[limits]\nconnections_per_address_max = 5\n";
            let auth = format!("[auth]\ntrusted_networks = [{networks}]\n");
            settings.replace("[limits]\n", limits).replace("[auth]\n", &auth)
        };
        Server::start_changed(change)
    };
    // The kit asks for readiness over HTTP, which is not counted.
    let server = limit("");
    let (mut imap, mut pop3) = (Vec::new(), Vec::new());
    let ports = server.ports();
    // What the kit has asked the other ports may be counted for a moment yet.
    let all_in = || {
        imap.extend((imap.len()..3).map_while(|_| imap::Client::connect(ports.imap).ok()).collect::<Vec<_>>());
        pop3.extend((pop3.len()..2).map_while(|_| pop3::Client::connect(ports.pop3).ok()).collect::<Vec<_>>());
        (imap.len(), pop3.len()) == (3, 2)
    };
    assert!(wait::until(PATIENCE, all_in), "five fit");
    let mut sixth = imap::Client::connect_unread(server.ports().imap).expect("TCP");
    let told = String::from_utf8_lossy(&sixth.read_to_close()).into_owned();
    assert!(told.contains("* BYE [LIMIT] Too many connections from your address\r\n"), "{told}");
    drop((imap, pop3));
    let again = || imap::Client::connect(server.ports().imap).is_ok_and(|mut c| c.command("NOOP").is_ok());
    assert!(wait::until(PATIENCE, again), "places are free again");

    let server = limit("\"127.0.0.0/8\"");
    let _many: Vec<_> = (0..20).map(|_| server.imap()).collect();
}

#[test]
fn a_changed_file_counts_without_a_word() {
    let server = server("", "");
    let path = server.folder().join("users");
    let log_in = |user: &str, password: &str| server.imap().login(user, password).expect("LOGIN").is_ok();
    let mut open = server.imap();
    open.login("anna", "secret").expect("LOGIN").expect_ok();
    std::fs::write(&path, "anna:{PLAIN}changed\nnew:{PLAIN}here\n").expect("ours");
    assert!(wait::until(PATIENCE, || log_in("new", "here")), "{}", server.log());
    assert!(log_in("anna", "changed") && !log_in("anna", "secret"));
    open.command("SELECT INBOX").expect("SELECT").expect_ok();
    std::fs::remove_file(&path).expect("ours");
    assert!(wait::until(PATIENCE, || server.log().contains("can not be read again")), "{}", server.log());
    assert!(log_in("anna", "changed"), "the users of before stay");
}

/// What SCRAM shows of a stranger: salt and count as of one who exists, the same each time, and after a restart.
#[test]
fn scram_shows_strangers_like_users() {
    let mut server = server("", "");
    let first = |server: &Server, user: &str| {
        let message = program::run(Command::new("base64").arg("-w0"), format!("n,,n={user},r=x").as_bytes()).text();
        let mut client = server.imap();
        client.send(&format!("AUTHENTICATE SCRAM-SHA-256 {message}")).expect("AUTHENTICATE");
        let line = String::from_utf8(client.read_line().expect("a challenge")).expect("text");
        let coded = line.strip_prefix("+ ").unwrap_or_else(|| panic!("no challenge: {line}")).trim().to_owned();
        let plain = program::run(Command::new("base64").arg("-d"), coded.as_bytes()).text();
        let (_, shown) = plain.split_once(",s=").expect("a salt");
        shown.to_owned()
    };
    let before = [first(&server, "nobody"), first(&server, "anna")];
    assert_eq!(before[0], first(&server, "NOBODY"));
    assert_eq!(before.each_ref().map(|text| text.len()), [before[0].len(); 2]);
    assert_ne!(before[0], before[1]);
    server.stop();
    server.restart();
    assert_eq!(before, [first(&server, "nobody"), first(&server, "anna")]);
}

/// Whoever guesses is told no, always in the same words, and the server says so in its log and numbers.
#[test]
fn guesses_are_counted_where_nobody_is_trusted() {
    let server = server("trusted_networks = []\n", "");
    let guess = |password: &str| server.imap().login("anna", password).expect("LOGIN");
    assert!(guess("one").code("AUTHENTICATIONFAILED").is_some());
    // This one waits before it is looked at: its answer is the same, later.
    assert!(guess("two").code("AUTHENTICATIONFAILED").is_some());
    let numbers =
        program::run(Command::new("curl").args(["-sS", &format!("http://{}/metrics", server.ports().http)]), b"");
    let held_back = |line: &str| line.starts_with("skein_login_held_back_seconds_count{") && line.ends_with(" 1");
    assert!(numbers.text().lines().any(held_back), "{}", numbers.text());
}

/// Clients that wait for their answer, here for a minute, do not hold up a stop.
#[test]
fn a_stop_does_not_wait_for_guessers() {
    let mut server =
        Server::start_changed(|settings, _| settings.replace("[auth]\n", "[auth]\nfailure_delay_ms = 60000\n"));
    let mut waiting = server.imap();
    waiting.send("LOGIN nobody wrong").expect("LOGIN");
    assert!(wait::until(PATIENCE, || server.log().contains("login refused")), "{}", server.log());
    assert!(server.stop().success(), "{}", server.log());
    assert!(!server.log().contains("stopping without waiting longer"), "{}", server.log());
}
