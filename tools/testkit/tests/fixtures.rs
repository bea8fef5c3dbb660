//! Every message of the fixtures survives LMTP and APPEND byte for byte, with bare LF turned into CRLF.
//!
//! A message with a NUL may be refused instead: no IMAP literal may carry one (RFC 3501 §9, CHAR8), nor may SMTP.

use skein_testkit::mail::{difference, to_crlf};
use skein_testkit::server::Kind;
use skein_testkit::{Server, fixtures};

/// Messages fetched with one command.
const FETCH_BATCH: usize = 100;
/// Users, each with a connection, that share the work: syncs overlap.
const PARTS: usize = 8;

#[test]
fn messages_survive_append() {
    append_and_compare(&fixtures::messages());
}

#[test]
fn messages_survive_lmtp() {
    deliver_and_compare(&fixtures::messages());
}

#[test]
fn real_mail_survives_append() {
    append_and_compare(&fixtures::archive());
}

#[test]
fn real_mail_survives_lmtp() {
    deliver_and_compare(&fixtures::archive());
}

/// A message's file name and content.
type Mail = (String, Vec<u8>);

fn append_and_compare(mails: &[Mail]) {
    each_part(mails, |server, user, mails| {
        let mut client = server.login(user);
        let append = |(name, mail): &&Mail| {
            let reply = client.append_at_once("INBOX", "", mail).unwrap_or_else(|e| panic!("{name}: {e}"));
            assert!(reply.is_ok() || mail.contains(&0), "{name}: {}", reply.text);
            reply.is_ok()
        };
        let stored: Vec<&Mail> = mails.iter().copied().filter(append).collect();
        compare(server, user, &stored, |stored, sent| stored == sent);
    });
}

fn deliver_and_compare(mails: &[Mail]) {
    each_part(mails, |server, user, mails| {
        let mut client = server.lmtp();
        let deliver = |(name, mail): &&Mail| {
            let answers = client.deliver(&[user], &to_crlf(mail)).unwrap_or_else(|e| panic!("{name}: {e}"));
            assert!(answers[0].is_ok() || mail.contains(&0), "{name}: {answers:?}");
            answers[0].is_ok()
        };
        let stored: Vec<&Mail> = mails.iter().copied().filter(deliver).collect();
        // SMTP has no way to say that the last line does not end; delivery puts trace headers in front.
        compare(server, user, &stored, |stored, sent| {
            stored.ends_with(sent) || stored.ends_with(&[sent, b"\r\n"].concat())
        });
    });
}

/// Starts a server and runs `job` for several users at once, each with its part of the mail.
fn each_part(mails: &[Mail], job: impl Fn(&Server, &str, &[&Mail]) + Sync) {
    if mails.is_empty() {
        return;
    }
    let (server, job) = (Server::start(), &job);
    let comparable: Vec<&Mail> = mails.iter().filter(|(_, mail)| comparable(&server, mail)).collect();
    std::thread::scope(|scope| {
        for (number, part) in comparable.chunks(comparable.len().div_ceil(PARTS)).enumerate() {
            let server = &server;
            scope.spawn(move || job(server, &Server::user(number + 1), part));
        }
    });
}

/// The peer turns a NUL into 0x80 and takes CR CR LF for one line end, so those are not compared there.
fn comparable(server: &Server, mail: &[u8]) -> bool {
    let odd = |mail: &[u8]| mail.contains(&0) || mail.windows(2).any(|w| w == b"\r\r") || mail.ends_with(b"\r");
    server.kind() == Kind::Skein || !odd(mail)
}

fn compare(server: &Server, user: &str, mails: &[&Mail], same: impl Fn(&[u8], &[u8]) -> bool) {
    let mut client = server.login(user);
    let count = client.command("SELECT INBOX").expect("SELECT").expect_ok().exists().expect("EXISTS");
    assert_eq!(count as usize, mails.len());
    let mut wrong = Vec::new();
    for first in (1..=count).step_by(FETCH_BATCH) {
        let last = count.min(first + FETCH_BATCH as u32 - 1);
        let command = format!("FETCH {first}:{last} (RFC822.SIZE BODY.PEEK[])");
        let fetches = client.command(&command).expect("FETCH").expect_ok().fetches();
        assert_eq!(fetches.len() as u32, last - first + 1);
        for fetched in fetches {
            let (name, mail) = mails[fetched.seq as usize - 1];
            let (stored, sent) = (fetched.body().unwrap_or_default(), to_crlf(mail));
            if !same(stored, &sent) {
                let tail = &stored[stored.len().saturating_sub(sent.len())..];
                wrong.push(format!("{name}: {}", difference(tail, &sent)));
            }
            assert_eq!(fetched.item("RFC822.SIZE").and_then(|s| s.number()), Some(stored.len() as u64), "{name}");
        }
    }
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), mails.len(), wrong[..wrong.len().min(20)].join("\n"));
    println!("{user}: {} messages are the same", mails.len());
}
