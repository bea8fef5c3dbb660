//! Listeners: Unix sockets, and proxies in front that name the client.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use skein_testkit::server::{Kind, PASSWORD};
use skein_testkit::temp::TempDir;
use skein_testkit::wait::{self, PATIENCE};
use skein_testkit::{Server, imap, program};

/// Sends all of `input`, says that no more comes, and returns all that is answered.
fn converse(mut stream: impl Read + Write, input: &[u8], end: impl Fn()) -> String {
    stream.write_all(input).expect("it listens");
    end();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).expect("it answers");
    String::from_utf8_lossy(&answer).into_owned()
}

fn by_unix(path: &Path, input: &[u8]) -> String {
    let stream = UnixStream::connect(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    stream.set_read_timeout(Some(PATIENCE)).expect("a duration");
    let end = || stream.shutdown(std::net::Shutdown::Write).expect("it is open");
    converse(&stream, input, end)
}

/// As [`converse`]; empty when the server closes without a word, by a reset too.
fn by_tcp(addr: SocketAddr, input: &[u8]) -> String {
    let mut stream = TcpStream::connect(addr).expect("it listens");
    stream.set_read_timeout(Some(PATIENCE)).expect("a duration");
    let (mut answer, _) = (Vec::new(), stream.write_all(input));
    _ = stream.read_to_end(&mut answer);
    String::from_utf8_lossy(&answer).into_owned()
}

fn delivery(user: &str, subject: &str) -> String {
    format!(
        "LHLO client.example\r\nMAIL FROM:<a@example.org>\r\nRCPT TO:<{user}>\r\nDATA\r\nSubject: {subject}\r\n\r\ntext\r\n.\r\nQUIT\r\n"
    )
}

#[test]
fn lmtp_over_a_unix_socket() {
    let mut server = Server::start_changed(|settings, _| {
        settings.replace("lmtp = [", "lmtp = [{ path = \"lmtp.sock\", mode = \"0666\", group = \"nogroup\" }, ")
    });
    let path = server.folder().join("lmtp.sock");
    assert_eq!(std::fs::metadata(&path).expect("it is there").permissions().mode() & 0o777, 0o666);
    let answer = by_unix(&path, delivery(&Server::user(1), "by unix").as_bytes());
    assert!(answer.contains("\r\n250 2.0.0") || answer.contains("\r\n250 2.1.5"), "{answer}");
    let mut client = server.login(&Server::user(1));
    assert_eq!(client.command("EXAMINE INBOX").expect("EXAMINE").expect_ok().exists(), Some(1));

    // Each shard takes part: more connections at once than one would be given.
    let many: Vec<_> = (0..50).map(|_| UnixStream::connect(&path).expect("it listens")).collect();
    for mut stream in many {
        let mut greeting = [0; 3];
        stream.read_exact(&mut greeting).expect("a greeting");
        assert_eq!(&greeting, b"220");
    }

    // The file of a server that was killed, and of one that ended, is replaced; the socket works again.
    server.kill();
    assert!(path.exists());
    server.restart();
    assert!(by_unix(&path, b"QUIT\r\n").starts_with("220 "));
    assert!(server.stop().success());
    server.restart();
    assert!(by_unix(&path, b"QUIT\r\n").starts_with("220 "));
}

#[test]
fn a_socket_that_answers_is_not_taken_nor_is_a_file() {
    let folder = TempDir::new("unix");
    let busy = folder.join("busy.sock");
    let _other = UnixListener::bind(&busy).expect("the folder is ours");
    let file = folder.write("file", "precious");
    for (path, expect) in [(&busy, "is taken by another program"), (&file, "there is a file that is no socket")] {
        let config = folder.write(
            "skein.toml",
            format!(
                "data_dir = 'data'\n[listeners]\nimap = []\nimaps = []\nhttp = []\nlmtp = [{{ path = {path:?} }}]\n\
                 [auth]\nsources = [{{ driver = 'static', users = 'a', password = 'b' }}]\n"
            ),
        );
        let mut command = Command::new(skein_testkit::server::skein_binary());
        let outcome = program::run(command.arg("serve").arg("--config").arg(config), b"");
        assert!(!outcome.status.success() && outcome.all_text().contains(expect), "{}", outcome.all_text());
    }
    assert_eq!(std::fs::read_to_string(file).expect("it is there"), "precious");
}

/// A server whose LMTP and IMAP believe proxies on loopback, and whose other IMAP port believes those of another network.
fn behind_proxies() -> Server {
    Server::start_changed(|settings, _| {
        let trust = |settings: String, service: &str, networks: &str| {
            let (before, rest) = settings.split_once(&format!("\n{service} = [\"")).expect("the usual settings");
            let (address, after) = rest.split_once("\"]").expect("the usual settings");
            let entry = format!("{{ address = \"{address}\", proxy = true, proxy_networks = [\"{networks}\"] }}");
            format!("{before}\n{service} = [\"{address}\"]{after}")
                .replace(&format!("[\"{address}\"]"), &format!("[{entry}]"))
        };
        let settings = trust(settings, "lmtp", "127.0.0.0/8");
        trust(settings, "imaps", "192.0.2.0/24")
    })
}

#[test]
fn a_proxy_names_the_client() {
    let server = behind_proxies();
    let lmtp = server.ports().lmtp;
    let header = "PROXY TCP4 198.51.100.7 203.0.113.9 5555 24\r\n";
    let answer = by_tcp(lmtp, format!("{header}{}", delivery(&Server::user(3), "by proxy")).as_bytes());
    assert!(answer.contains("\r\n250 2."), "{answer}");
    let mut client = server.login(&Server::user(3));
    client.command("EXAMINE INBOX").expect("EXAMINE").expect_ok();
    let reply = client.command("FETCH 1 BODY.PEEK[]").expect("FETCH").expect_ok();
    let mail = reply
        .fetches()
        .iter()
        .filter_map(|f| Some(String::from_utf8_lossy(f.body()?).into_owned()))
        .collect::<String>();
    assert!(mail.contains("[198.51.100.7]"), "the Received line names the client, not the proxy: {mail}");

    // The proxy itself, as its health checks do.
    let local = b"\r\n\r\n\0\r\nQUIT\n\x20\0\0\0QUIT\r\n";
    assert!(by_tcp(lmtp, local).starts_with("220 "));

    for no_header in
        [&b"LHLO client.example\r\n"[..], b"PROXY TCP4 nonsense x 1 2\r\n", b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\0"]
    {
        assert_eq!(by_tcp(lmtp, no_header), "", "{}", no_header.escape_ascii());
    }
    assert_eq!(by_tcp(lmtp, b"PROXY TCP4 198"), "", "a header that does not end is not waited for");
    assert_eq!(by_tcp(server.ports().imaps, header.as_bytes()), "");
    let log = server.log();
    for expect in ["no PROXY header", "a malformed PROXY header", "no whole PROXY header within", "not a trusted proxy"]
    {
        assert!(log.contains(expect), "{expect}: {log}");
    }
}

/// haproxy in the foreground until dropped.
struct Haproxy(Child, #[expect(dead_code, reason = "goes with it")] TempDir);

impl Haproxy {
    fn start(frontends: &str) -> Option<Haproxy> {
        let binary = program::find("haproxy")?;
        let folder = TempDir::new("haproxy");
        let config = folder.write(
            "haproxy.cfg",
            format!("global\n maxconn 100\ndefaults\n mode tcp\n timeout connect 30s\n timeout client 60s\n timeout server 60s\n{frontends}"),
        );
        let mut command = Command::new(binary);
        command.arg("-db").arg("-f").arg(config).stdin(Stdio::null()).stdout(Stdio::null());
        Some(Haproxy(command.spawn().expect("haproxy starts"), folder))
    }
}

impl Drop for Haproxy {
    fn drop(&mut self) {
        self.0.kill().and_then(|()| self.0.wait()).expect("our own child");
    }
}

#[test]
fn haproxy_in_front() {
    if Kind::from_env() != Kind::Skein {
        return;
    }
    // A server of its own, stopped, lends its ports to the proxy.
    let lender = skein_testkit::server::Ports::free();
    let server = behind_proxies();
    let pass = |name: &str, front: SocketAddr, how: &str, back: SocketAddr| {
        format!("listen {name}\n bind {front}\n server one {back} {how}\n")
    };
    let lmtp = server.ports().lmtp;
    let config = pass("one", lender.imap, "send-proxy", lmtp)
        + &pass("two", lender.lmtp, "send-proxy-v2", lmtp)
        + &pass("checked", lender.imaps, "send-proxy-v2-ssl-cn check inter 100ms check-send-proxy", lmtp);
    let Some(_proxy) = Haproxy::start(&config) else { return };
    for (front, user) in [(lender.imap, 4), (lender.lmtp, 5), (lender.imaps, 6)] {
        assert!(wait::until(PATIENCE, || TcpStream::connect(front).is_ok()), "haproxy listens");
        let answer = by_tcp(front, delivery(&Server::user(user), "by haproxy").as_bytes());
        assert!(answer.contains("\r\n250 2."), "{answer}");
        let mut client = server.login(&Server::user(user));
        assert_eq!(client.command("EXAMINE INBOX").expect("EXAMINE").expect_ok().exists(), Some(1));
    }
}

/// TLS ends at the proxy, which says so: a password is then as safe as if it ended here.
#[test]
fn haproxy_ends_tls() {
    let Some(_) = program::find("openssl") else { return };
    let front = skein_testkit::server::Ports::free();
    let folder = TempDir::new("cert");
    let mut openssl = Command::new("openssl");
    openssl
        .args("req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 30 -subj /CN=localhost".split(' '));
    program::run(openssl.args(["-keyout", "key.pem", "-out", "cert.pem"]).current_dir(folder.path()), b"")
        .expect_ok("openssl");
    let text = |name: &str| std::fs::read_to_string(folder.join(name)).expect("openssl wrote it");
    let both = folder.write("both.pem", text("cert.pem") + &text("key.pem"));
    let server = Server::start_changed(|settings, _| {
        let settings = settings.replace("[auth]\n", "[auth]\nplaintext_without_tls = \"never\"\n");
        settings.replace("\nimaps = [", "\nimaps = [{ path = \"imap.sock\", tls = \"none\", proxy = true }, ")
    });
    let socket = server.folder().join("imap.sock");
    let config = format!(
        "listen tls\n bind {} ssl crt {}\n server one {} send-proxy-v2-ssl\nlisten plain\n bind {}\n server one {} send-proxy-v2-ssl\n",
        front.imaps,
        both.display(),
        socket.display(),
        front.imap,
        socket.display(),
    );
    let Some(_proxy) = Haproxy::start(&config) else { return };
    assert!(wait::until(PATIENCE, || TcpStream::connect(front.imap).is_ok()), "haproxy listens");
    let mut plain = imap::Client::connect_unread(front.imap).expect("IMAP through haproxy");
    let greeting = String::from_utf8(plain.read_line().expect("a greeting")).expect("text");
    assert!(greeting.contains("LOGINDISABLED") && !greeting.contains("STARTTLS"), "{greeting}");
    let mut client = Command::new("openssl");
    client.args(["s_client", "-quiet", "-crlf", "-connect", &front.imaps.to_string()]);
    let login = format!("a LOGIN {} {PASSWORD}\nb LOGOUT\n", Server::user(7));
    let outcome = program::run(&mut client, login.as_bytes());
    assert!(outcome.text().contains("a OK"), "{}", outcome.all_text());
}

/// The kernel's timer on the server's end of a connection, as `/proc/net/tcp` shows it: which, and hundredths of a second left.
fn timer(server: SocketAddr, client: SocketAddr) -> Option<(String, u64)> {
    let table = std::fs::read_to_string("/proc/net/tcp").expect("Linux");
    let ends = [server, client].map(|end| format!(":{:04X}", end.port()));
    let of = |line: &str| {
        let fields: Vec<&str> = line.split_ascii_whitespace().collect();
        let is_it = fields.len() > 5 && fields[1].ends_with(&ends[0]) && fields[2].ends_with(&ends[1]);
        let (which, left) = fields.get(5).filter(|_| is_it)?.split_once(':')?;
        Some((which.to_owned(), u64::from_str_radix(left, 16).ok()?))
    };
    table.lines().find_map(of)
}

#[test]
fn the_kernel_asks_silent_clients() {
    for (seconds, expect) in [("77", "02"), ("0", "00")] {
        let server = Server::start_changed(|settings, _| {
            format!("{settings}[tcp]\nkeepalive_seconds = {seconds}\ndead_seconds = 200\n")
        });
        let clients = [server.ports().imap, server.ports().pop3, server.ports().lmtp].map(|address| {
            let mut stream = TcpStream::connect(address).expect("it listens");
            // Greeted, so accepted, and acknowledged: no other timer runs.
            stream.read_exact(&mut [0; 3]).expect("a greeting");
            stream
        });
        for client in &clients {
            let [here, there] = [client.local_addr(), client.peer_addr()].map(|end| end.expect("connected"));
            let found = wait::find(PATIENCE, || timer(there, here).filter(|(which, _)| which == expect));
            let (_, left) = found.unwrap_or_else(|| panic!("{:?} with {seconds} s", timer(there, here)));
            assert!(left <= 7700, "{left}");
        }
    }
}
