//! Skein and Debian's Dovecot are told the same and have to answer the same.
//!
//! ```text
//! pair      both servers, and one client at each      answer    replies without what may rightly differ
//! stream    commands by chance                        known     differences that an RFC allows (tools/docs/compare.md)
//! search    search keys by chance                     shrink    the shortest commands that still differ
//! torture   mail by chance                            moment    dates of arrival
//! decoded   what BINARY has to be                     searched  searches that differ, key by key
//! watch     what Skein tells who watches the stream       ways      the same, asked in several ways
//! around    commands of rights, quota and URLs, and of a second session
//! guest     what somebody else sees of it, by his rights
//! ```
//!
//! A short run says the same each time, so that it fails for a change and not by chance; `SKEIN_LONG` makes a long one with a fresh
//! seed, `SKEIN_SEED` repeats one.

mod answer;
mod around;
mod decoded;
mod guest;
mod known;
mod moment;
mod pair;
mod search;
mod searched;
mod shrink;
mod stream;
mod torture;
mod watch;
mod ways;

use std::env;
use std::fmt::Write as _;

use decoded::Part;
use pair::{Both, Pair, Session};
use skein_testkit::imap::Value;
use skein_testkit::mail::{difference, to_crlf};
use skein_testkit::random::Random;
use skein_testkit::server::Kind;
use skein_testkit::{fixtures, program};
use stream::Stream;

/// Seeds of one run, commands of each, and messages that each begins with.
const SHORT: (u64, usize, usize) = (20, 100, 12);
const LONG: (u64, usize, usize) = (100, 1000, 60);
const SHORT_SEED: u64 = 1;

/// Owners at one server: what 64 of them give to anyone is listed (engine/docs/sharing.md).
const SHARING_MAX: u64 = 50;

/// Times the messages that a stream begins with that its user may have.
const FILLS_MAX: usize = 5;

/// Largest real mail that the random commands append.
const MAIL_BYTES_MAX: usize = 20_000;

/// Sections of one mail whose texts are compared, and those whose decoded ones are, each by a command of its own.
const SECTIONS_MAX: usize = 40;
const BINARIES_MAX: usize = 10;

/// Differences that are shown.
const SHOWN_MAX: usize = 30;
const SHOWN_BYTES_MAX: usize = 1500;

fn is_long() -> bool {
    env::var_os("SKEIN_LONG").is_some()
}

/// Where the chances of this run begin.
fn seed() -> u64 {
    if is_long() || env::var_os("SKEIN_SEED").is_some() { Random::seed_of_run() } else { SHORT_SEED }
}

fn pair(messages: usize) -> Option<Pair> {
    let installed = program::find("dovecot").is_some() && program::is_root("Dovecot");
    installed.then(|| Pair::start(messages))
}

/// What both servers can be told: Dovecot turns a NUL into 0x80 and takes CR CR LF for one line end.
fn comparable(mail: &[u8]) -> Option<Vec<u8>> {
    let odd = mail.contains(&0) || mail.windows(2).any(|w| w == b"\r\r") || mail.ends_with(b"\r");
    (!odd && !mail.is_empty()).then(|| to_crlf(mail))
}

#[test]
fn random_commands_are_answered_alike() {
    let (seeds, commands, fill) = if is_long() { LONG } else { SHORT };
    let Some(pair) = pair(FILLS_MAX * fill) else { return };
    let mails = small_mails();
    let first = seed();
    let mut failures = String::new();
    for seed in first..first + number_of_seeds(seeds) {
        let mut stream = Stream::new(Random::new(seed), mails.clone(), fill).wide();
        if let Some(told) = run(&pair, &mut stream, commands) {
            let shortest = shrink::shortest(&pair, told);
            _ = writeln!(failures, "--- SKEIN_SEED={seed}\n{shortest}");
        }
    }
    assert!(failures.is_empty(), "Skein (-) and Dovecot (+) differ\n{failures}");
}

/// Real mail that the commands append.
fn small_mails() -> Vec<Vec<u8>> {
    let small = fixtures::messages().into_iter().filter(|(_, mail)| mail.len() < MAIL_BYTES_MAX);
    small.filter_map(|(_, mail)| comparable(&mail)).collect()
}

fn number_of_seeds(default: u64) -> u64 {
    env::var("SKEIN_SEEDS").ok().and_then(|s| s.parse().ok()).unwrap_or(default)
}

/// The commands of one user up to the first that is answered differently, those that read what is there in the end among them. Where a known difference parts the mail of both, a new
/// user begins.
fn run(pair: &Pair, stream: &mut Stream, commands: usize) -> Option<Vec<Vec<u8>>> {
    let mut left = commands;
    while left > 0 {
        let mut session = pair.session();
        let mut told = Vec::new();
        let mut opening = stream.opening().into_iter();
        loop {
            let command = opening.next().unwrap_or_else(|| stream.next(session.selected()));
            told.push(command.clone());
            left = left.saturating_sub(1);
            let (differing, same) = session.step(&command);
            if !differing.is_empty() {
                return Some(told);
            }
            if !same {
                break;
            }
            if left == 0 {
                return end(&mut session, stream, told);
            }
        }
    }
    None
}

/// What both have in the end, as a session reads it that asks for all.
fn end(session: &mut Session, stream: &Stream, mut told: Vec<Vec<u8>>) -> Option<Vec<Vec<u8>>> {
    for command in stream.closing() {
        told.push(command.clone());
        let (differing, _) = session.step(&command);
        if !differing.is_empty() {
            return Some(told);
        }
    }
    None
}

/// The streams once more, at Skein alone: a client that watches is told what there is.
#[test]
fn random_commands_are_told_to_who_watches() {
    if Kind::from_env() != Kind::Skein {
        return;
    }
    let (seeds, commands, fill) = if is_long() { LONG } else { SHORT };
    let server = pair::start_skein("");
    let first = seed();
    let mut failures = String::new();
    for seed in first..first + number_of_seeds(seeds) {
        let mut random = Random::new(seed);
        let user = format!("test{}", seed - first + 1);
        let mut stream = Stream::new(random.fork(1), small_mails(), fill);
        if let Some(wrong) = watch::run(server.ports().imap, &user, &mut stream, commands, &mut random) {
            _ = writeln!(failures, "--- SKEIN_SEED={seed}\n{wrong}");
        }
    }
    assert!(failures.is_empty(), "{failures}");
}

/// And once more with somebody else, to whom rights are given and from whom they are taken.
#[test]
fn a_guest_sees_and_does_what_he_has_rights_for() {
    if Kind::from_env() != Kind::Skein {
        return;
    }
    let (seeds, commands, fill) = if is_long() { LONG } else { SHORT };
    let start = || pair::start_skein("[namespaces]\nshared_prefix = \"shared/\"\nshared_anyone = true\n");
    let mut server = start();
    let first = seed();
    let mut failures = String::new();
    for seed in first..first + number_of_seeds(seeds) {
        if (seed - first) % SHARING_MAX == SHARING_MAX - 1 {
            server = start();
        }
        let mut random = Random::new(seed);
        let [owner, guest] = [1, 2].map(|n| format!("test{}", 2 * (seed - first) + n));
        let mut stream = Stream::new(random.fork(2), small_mails(), fill);
        if let Some(wrong) = guest::run(server.ports().imap, &owner, &guest, &mut stream, commands, &mut random) {
            _ = writeln!(failures, "--- SKEIN_SEED={seed}\n{wrong}");
        }
    }
    assert!(failures.is_empty(), "{failures}");
}

#[test]
fn sample_mail_is_told_alike() {
    let mut mails = fixtures::messages();
    if is_long() {
        mails.extend(fixtures::archive());
    }
    let mails = mails.into_iter().filter_map(|(name, mail)| Some((name, comparable(&mail)?)));
    // A short run takes every fourth; which ones, its seed says.
    let (step, first) = if is_long() { (1, 0) } else { (4, seed() as usize % 4) };
    compare_mails(mails.skip(first).step_by(step).collect());
}

#[test]
fn torture_mail_is_told_alike() {
    let mut random = Random::new(seed());
    let count = if is_long() { 5000 } else { 300 };
    let mails = (0..count).map(|n| (format!("mail {n}"), torture::mail(&mut random)));
    compare_mails(mails.filter(|(_, mail)| !mail.is_empty()).collect());
}

#[test]
fn boundaries_at_odd_places_are_told_alike() {
    let mail = |tail: &&str| {
        let header = "Date: Mon, 1 Jan 2001 10:00:00 +0000\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n";
        (tail.escape_default().to_string(), format!("{header}{tail}").into_bytes())
    };
    compare_mails(torture::BOUNDARIES.iter().map(mail).collect());
}

/// Appends all to one mailbox and compares what is told of each, and of all in order.
fn compare_mails(mails: Vec<(String, Vec<u8>)>) {
    if mails.is_empty() {
        return;
    }
    let Some(pair) = pair(mails.len()) else { return };
    let mut session = pair.session();
    let mut wrong = Vec::new();
    for (name, mail) in &mails {
        let mut append = format!("APPEND INBOX () \"17-Jul-1996 02:44:25 -0700\" {{{}+}}\r\n", mail.len()).into_bytes();
        append.extend_from_slice(mail);
        check(&mut session, name, &append, &mut wrong);
    }
    check(&mut session, "all", b"SELECT INBOX", &mut wrong);
    for (number, (name, _)) in mails.iter().enumerate() {
        compare_mail(&mut session, number + 1, name, &mut wrong);
    }
    let plain = plain(&mails);
    for key in ["ARRIVAL", "CC", "DATE", "FROM", "SIZE", "SUBJECT", "TO", "DISPLAYFROM", "DISPLAYTO"] {
        check(&mut session, "all", format!("SORT ({key}) UTF-8 {plain}").as_bytes(), &mut wrong);
    }
    for kind in ["REFERENCES", "REFS", "ORDEREDSUBJECT"] {
        check(&mut session, "all", format!("THREAD {kind} UTF-8 {plain}").as_bytes(), &mut wrong);
    }
    for key in [
        "SENTSINCE 1-Jan-2010",
        "SENTBEFORE 1-Jan-2001",
        "SUBJECT re",
        "FROM example",
        "BODY the",
        "TEXT \"a b\"",
        "CC \"\"",
    ] {
        check(&mut session, "all", format!("SEARCH {plain} {key}").as_bytes(), &mut wrong);
    }
    let shown = wrong[..wrong.len().min(SHOWN_MAX)].join("\n");
    assert!(wrong.is_empty(), "Skein (-) and Dovecot (+) differ in {} answers\n{shown}", wrong.len());
}

/// The set of messages whose header nobody can read differently: dates that are broken or before 1970, bytes beyond ASCII and rare
/// charsets are read in many ways.
fn plain(mails: &[(String, Vec<u8>)]) -> String {
    let regular = |mail: &[u8]| {
        let text = String::from_utf8_lossy(mail);
        let header = text.split("\r\n\r\n").next().unwrap_or_default();
        let mut dates = header.lines().filter(|line| line.to_ascii_lowercase().starts_with("date:"));
        let date: Vec<&str> = dates.next().unwrap_or_default().split_ascii_whitespace().collect();
        let charsets = header.to_ascii_lowercase();
        let known = |rest: &str| ["utf-8?", "iso-8859-1?", "us-ascii?"].iter().any(|name| rest.starts_with(name));
        if !header.is_ascii() || !charsets.split("=?").skip(1).all(known) {
            return false;
        }
        let ["Date:", weekday, _, _, year, clock, zone, ..] = date[..] else { return false };
        let number = |word: &str, length| word.len() == length && word.bytes().all(|b| b.is_ascii_digit());
        weekday.len() == 4
            && number(year, 4)
            && ("1971".."2037").contains(&year)
            && clock.split(':').all(|part| number(part, 2))
            && zone.strip_prefix(['+', '-']).is_some_and(|zone| number(zone, 4))
            && dates.next().is_none()
    };
    let numbers = mails.iter().enumerate().filter(|(_, (_, mail))| regular(mail)).map(|(at, _)| (at + 1).to_string());
    numbers.collect::<Vec<_>>().join(",")
}

fn compare_mail(session: &mut Session, seq: usize, name: &str, wrong: &mut Vec<String>) {
    let whole = "ENVELOPE BODY RFC822.SIZE INTERNALDATE PREVIEW BODY.PEEK[HEADER] BODY.PEEK[TEXT] BODY.PEEK[] \
                 BODY.PEEK[]<10.200> BODY.PEEK[TEXT]<1.5> BODY.PEEK[HEADER.FIELDS (SUBJECT FROM X-NONE RECEIVED)] \
                 BODY.PEEK[HEADER.FIELDS.NOT (SUBJECT FROM RECEIVED)]";
    let structure = check(session, name, format!("FETCH {seq} BODYSTRUCTURE").as_bytes(), wrong).dovecot;
    check(session, name, format!("FETCH {seq} ({whole})").as_bytes(), wrong);
    let line = structure.lines.iter().find_map(|l| l.split_once(" BODYSTRUCTURE "));
    let parsed = line.and_then(|(_, value)| Value::parse_all(value.as_bytes())).and_then(|v| v.into_iter().next());
    let mut parts = parsed.as_ref().map(Part::all).unwrap_or_default();
    // One past the last is NIL or an error, and has to be the same.
    parts.push(Part { section: "9".into(), encoding: None });
    let items = parts.iter().take(SECTIONS_MAX).map(|Part { section: s, .. }| {
        format!("BODY.PEEK[{s}] BODY.PEEK[{s}.MIME] BODY.PEEK[{s}.HEADER] BODY.PEEK[{s}.TEXT] BODY.PEEK[{s}.HEADER.FIELDS (TO SUBJECT)]")
    });
    let items: Vec<String> = items.collect();
    let told = check(session, name, format!("FETCH {seq} ({})", items.join(" ")).as_bytes(), wrong).dovecot;
    for part in parts.iter().take(BINARIES_MAX) {
        let ask = |item: &str| format!("FETCH {seq} ({item}[{}])", part.section).into_bytes();
        let size = check(session, name, &ask("BINARY.SIZE"), wrong).skein;
        let bytes = check(session, name, &ask("BINARY.PEEK"), wrong).skein;
        let Some(expected) = decoded::expected(&told, part) else { continue };
        for (skein, expected) in [(size, expected.0), (bytes, expected.1)] {
            report(name, b"BINARY and what is to be decoded", &known::lines(&skein, &expected), wrong);
        }
    }
}

/// Asks both; what differs is added to `wrong`.
fn check(session: &mut Session, name: &str, command: &[u8], wrong: &mut Vec<String>) -> Both {
    let (both, differing) = session.compare(command);
    if both.dovecot.is_closed() {
        session.again();
        session.ask(b"SELECT INBOX");
    }
    report(name, command, &differing, wrong);
    both
}

fn report(name: &str, command: &[u8], differing: &[String], wrong: &mut Vec<String>) {
    if !differing.is_empty() {
        let command = command[..command.len().min(200)].escape_ascii();
        let short = |line: &String| line[..line.floor_char_boundary(SHOWN_BYTES_MAX)].to_owned();
        let lines: Vec<String> = differing.iter().map(short).collect();
        let place = match differing {
            [ours, theirs] if ours.len() > SHOWN_BYTES_MAX => {
                difference(&ours.as_bytes()[1..], &theirs.as_bytes()[1..])
            }
            _ => String::new(),
        };
        wrong.push(format!("{name}: {command}\n{}\n{place}", lines.join("\n")));
    }
}

#[test]
fn every_known_difference_is_in_the_document() {
    let path = program::workspace().join("tools/docs/compare.md");
    let document = std::fs::read_to_string(path).expect("the document");
    for name in known::names().chain(searched::names()) {
        assert!(document.contains(&format!("| {name} |")), "{name} is not in tools/docs/compare.md");
    }
}
