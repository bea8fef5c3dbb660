//! Start and stop: SIGTERM says BYE and keeps everything; a second server is refused.

use skein_testkit::server::{Kind, skein_binary};
use skein_testkit::temp::TempDir;
use skein_testkit::{Server, mail, program, wait};
use std::process::Command;

#[test]
fn sigterm_says_bye_and_keeps_everything() {
    let mut server = Server::start();
    let user = Server::user(1);
    let mut client = server.login(&user);
    for number in 0..20 {
        client.append_at_once("INBOX", "\\Seen", &mail::marked(&format!("kept-{number}"))).expect("APPEND").expect_ok();
    }
    let before = client.command("STATUS INBOX (MESSAGES UIDNEXT UIDVALIDITY)").expect("STATUS").untagged;
    let mut idle = server.login(&user);
    idle.command("SELECT INBOX").expect("SELECT").expect_ok();
    idle.idle().expect("IDLE");

    let status = server.stop();
    assert!(status.success(), "{status}");
    let last = idle.read_to_close();
    assert!(last.windows(5).any(|w| w == b"* BYE") || server.kind() != Kind::Skein, "{}", last.escape_ascii());

    server.restart();
    let mut client = server.login(&user);
    assert_eq!(client.command("STATUS INBOX (MESSAGES UIDNEXT UIDVALIDITY)").expect("STATUS").untagged, before);
    client.command("SELECT INBOX").expect("SELECT").expect_ok();
    let reply = client.command("FETCH 1:* (FLAGS BODY.PEEK[])").expect("FETCH").expect_ok();
    for (number, fetched) in reply.fetches().iter().enumerate() {
        assert_eq!(fetched.body(), Some(&mail::marked(&format!("kept-{number}"))[..]));
        assert!(fetched.flags().is_some_and(|f| f.contains("\\Seen")));
    }
}

#[test]
fn a_message_that_is_being_sent_is_taken_before_the_end() {
    let mut server = Server::start();
    let user = Server::user(1);
    let mut sending = server.login(&user);
    let mut idle = server.login(&user);
    idle.idle().expect("IDLE");
    let message = mail::sized("sent", 200_000);
    sending.write(format!("a APPEND INBOX {{{}}}\r\n", message.len()).as_bytes()).expect("it is open");
    assert!(sending.read_line().expect("a continuation").starts_with(b"+ "));
    sending.write(&message[..100_000]).expect("it is open");
    let rest = message[100_000..].to_vec();
    let sender = std::thread::spawn(move || {
        // The goodbye to the other session: the server is on its way out.
        idle.read_to_close();
        sending.write(&[&rest[..], b"\r\n"].concat()).expect("it is open");
        sending.finish("a").expect("APPEND").expect_ok();
    });
    assert!(server.stop().success());
    sender.join().expect("as it should be");
    server.restart();
    let mut client = server.login(&user);
    client.command("SELECT INBOX").expect("SELECT").expect_ok();
    let fetched = client.command("FETCH 1:* BODY.PEEK[]").expect("FETCH").expect_ok().fetches();
    assert_eq!(fetched.iter().map(|f| f.body()).collect::<Vec<_>>(), [Some(&message[..])]);
}

#[test]
fn a_second_server_is_refused() {
    let server = Server::start();
    if server.kind() != Kind::Skein {
        return;
    }
    let (status, printed) = server.start_second();
    assert!(!status.success(), "{printed}");
    assert!(!printed.trim().is_empty(), "it says why");
    server.login(&Server::user(1)).command("NOOP").expect("NOOP").expect_ok();
}

/// Its output went to a file on a full disk, and it ended when it was about to say that it is ready.
#[test]
fn a_server_that_nobody_hears_serves() {
    let folder = TempDir::new("unheard");
    folder.write(
        "skein.toml",
        "data_dir = 'data'\nshards = 1\n[auth]\nsources = [{ driver = 'static', users = 'anna', password = 'a word' }]\n\
         [listeners]\nimap = ['127.0.0.1:0']\nimaps = []\npop3 = []\npop3s = []\nlmtp = []\nhttp = []\n",
    );
    let serve = "exec \"$0\" serve --config skein.toml >/dev/full 2>/dev/full";
    let mut serve =
        Command::new("sh").args(["-c", serve]).arg(skein_binary()).current_dir(folder.path()).spawn().expect("sh");
    let stopped = wait::until(wait::PATIENCE, || {
        let mut stop = Command::new(skein_binary());
        stop.args(["adm", "--config", "skein.toml", "stop"]).current_dir(folder.path());
        serve.try_wait().expect("a status").is_some() || program::run(&mut stop, b"").status.success()
    });
    if !stopped {
        serve.kill().expect("it runs");
    }
    let status = serve.wait().expect("it was started");
    assert!(stopped && status.success(), "{status}");
}
