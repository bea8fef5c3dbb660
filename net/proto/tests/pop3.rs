//! The POP3 machine: whole conversations from `testdata/pop3`, also cut at every byte; limits, and what ends a connection.
//!
//! ```text
//! C: STAT            a line from the client; "C- text" is one without its line break; \r \n \0 \\ stand for bytes
//! S: +OK 2 320       a line for the client
//! Q: Retr(1)         the next question starts so
//! R: Message 12      the session answers; R lines are consumed one per question, in order
//! G: scan 1 120      and gives this behind its answer: scan, uid, body; the end comes by itself
//! T: plain           how the connection starts, when not in TLS with passwords allowed: plain, plain-login, all-mechanisms; last: LAST is on
//! # comment
//! ```

use skein_base::Class;
use skein_base::limits::OUTPUT_BYTES_WATERMARK;
use skein_base::scram::ScramKeys;
use skein_proto::pop3::limits::{BAD_COMMANDS_MAX, COMMAND_LINE_BYTES_MAX, LOGIN_LINE_BYTES_MAX};
use skein_proto::pop3::{Pop3, Pop3Config, Reply, Request, Step, Why};
use skein_proto::sasl::{Mechanism, Question, ScramAnswer};
use std::collections::VecDeque;
use std::sync::Arc;

#[derive(Default)]
struct Dialog {
    start: String,
    client: Vec<u8>,
    server: String,
    answers: VecDeque<Answer>,
}

#[derive(Clone, Default)]
struct Answer {
    question: Option<String>,
    reply: String,
    given: Vec<String>,
}

fn read(text: &str) -> Dialog {
    let mut dialog = Dialog { start: "tls".to_string(), ..Dialog::default() };
    let mut question = None;
    for line in text.lines() {
        let (kind, rest) = line.split_at(line.len().min(3));
        match kind {
            "C: " | "C:" => dialog.client.extend_from_slice(&[unescape(rest), b"\r\n".to_vec()].concat()),
            "C- " => dialog.client.extend_from_slice(&unescape(rest)),
            "S: " => dialog.server += &format!("{rest}\r\n"),
            "Q: " => question = Some(rest.to_string()),
            "R: " => {
                dialog.answers.push_back(Answer { question: question.take(), reply: rest.into(), given: Vec::new() });
            }
            "G: " => dialog.answers.back_mut().expect("an answer before").given.push(rest.to_string()),
            "T: " => dialog.start = rest.to_string(),
            _ => assert!(line.is_empty() || line.starts_with('#'), "{line:?}"),
        }
    }
    dialog
}

fn unescape(text: &str) -> Vec<u8> {
    let (mut out, mut rest) = (Vec::new(), text.chars());
    while let Some(c) = rest.next() {
        match (c, c == '\\') {
            (_, true) => out.push(match rest.next() {
                Some('r') => b'\r',
                Some('n') => b'\n',
                Some('0') => 0,
                Some('\\') => b'\\',
                other => panic!("\\{other:?} in {text}"),
            }),
            (c, false) => out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
        }
    }
    out
}

fn reply(text: &str) -> Reply {
    let (word, rest) = text.split_once(' ').unwrap_or((text, ""));
    let (first, second) = rest.split_once(' ').unwrap_or((rest, ""));
    match word {
        "Done" => Reply::Done,
        "Totals" => Reply::Totals { messages: first.parse().unwrap(), bytes: second.parse().unwrap() },
        "Scan" => Reply::Scan { bytes: first.parse().unwrap() },
        "UniqueId" => Reply::UniqueId { id: first.into() },
        "Last" => Reply::Last { number: first.parse().unwrap() },
        "Message" => Reply::Message { bytes: first.parse().unwrap() },
        "Refuse" => Reply::refuse(class(first), second.to_string()),
        _ => panic!("{text}"),
    }
}

fn class(name: &str) -> Class {
    match name {
        "Missing" => Class::Missing,
        "Credentials" => Class::Credentials,
        "InUse" => Class::InUse,
        "Unavailable" => Class::Unavailable,
        "Damaged" => Class::Damaged,
        _ => panic!("{name}"),
    }
}

fn give(pop3: &mut Pop3, given: &str) -> bool {
    let (word, rest) = given.split_once(' ').unwrap_or((given, ""));
    let (first, second) = rest.split_once(' ').unwrap_or((rest, ""));
    match word {
        "scan" => pop3.scan(first.parse().unwrap(), second.parse().unwrap()),
        "uid" => pop3.unique_id(first.parse().unwrap(), second.as_bytes()),
        "body" => return pop3.body(&unescape(rest)),
        _ => panic!("{given}"),
    }
    true
}

/// Plays the dialog with the client's bytes in these pieces; returns all output and how it closed.
fn play(dialog: &Dialog, pieces: &[&[u8]]) -> (String, Option<Why>) {
    let (plaintext_login, last) = (dialog.start == "plain-login", dialog.start == "last");
    let mut config = Pop3Config { plaintext_login, last, ..Pop3Config::default() };
    if dialog.start == "all-mechanisms" {
        config.mechanisms = Mechanism::ALL.to_vec();
    }
    let mut pop3 = Pop3::new(Arc::new(config), matches!(&*dialog.start, "tls" | "last"));
    let mut answers = dialog.answers.clone();
    let mut output = Vec::new();
    let mut closed = step(&mut pop3, &mut answers);
    for piece in pieces {
        let mut rest = *piece;
        while !rest.is_empty() && closed.is_none() {
            let used = pop3.feed(rest);
            closed = step(&mut pop3, &mut answers);
            rest = &rest[used..];
            output.append(pop3.out());
            pop3.rest();
        }
    }
    output.append(pop3.out());
    assert!(answers.is_empty(), "not asked: {:?}", answers.iter().map(|a| &a.reply).collect::<Vec<_>>());
    (String::from_utf8(output).unwrap(), closed)
}

/// Does what the machine wants until it wants input.
fn step(pop3: &mut Pop3, answers: &mut VecDeque<Answer>) -> Option<Why> {
    loop {
        match pop3.next() {
            Step::More => return None,
            Step::Close(why) => return Some(why),
            Step::StartTls => pop3.tls_started(true),
            Step::Ask(request) => answer(pop3, &request, answers),
        }
    }
}

fn answer(pop3: &mut Pop3, request: &Request, answers: &mut VecDeque<Answer>) {
    let question = match request {
        Request::Login { user, password, authzid } => {
            format!("Login {user} {} {authzid:?}", String::from_utf8_lossy(password.expose()))
        }
        other => format!("{other:?}"),
    };
    let answer = answers.pop_front().unwrap_or_else(|| panic!("no answer to {question}"));
    if let Some(expected) = &answer.question {
        assert_eq!(&question, expected);
    }
    pop3.answer(match request {
        Request::Sasl(Question::Keys { hash, .. }) if answer.reply == "Keys" => {
            let key = vec![0; hash.bytes()];
            let (stored_key, server_key) = (key.clone(), key);
            let keys = ScramKeys { hash: *hash, iterations: 4096, salt: b"salt".to_vec(), stored_key, server_key };
            Reply::Keys(Box::new(ScramAnswer { keys, nonce: [7; 18] }))
        }
        _ => reply(&answer.reply),
    });
    let refused = answer.reply.starts_with("Refuse");
    let gives = matches!(request, Request::List(None) | Request::Uidl(None) | Request::Retr(_) | Request::Top { .. });
    if gives && !refused {
        let _wanted = answer.given.iter().all(|given| give(pop3, given));
        pop3.end();
    }
}

fn each_dialog(check: impl Fn(&str, &Dialog)) {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/testdata/pop3");
    let mut count = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let text = std::fs::read_to_string(&path).unwrap();
        check(path.file_name().unwrap().to_str().unwrap(), &read(&text));
        count += 1;
    }
    assert!(count >= 8, "the dialogs are gone");
}

#[test]
fn dialogs_go_as_written() {
    each_dialog(|name, dialog| {
        println!("{name}");
        assert_eq!(play(dialog, &[&dialog.client]).0, dialog.server, "{name}");
    });
}

#[test]
fn every_split_gives_the_same() {
    each_dialog(|name, dialog| {
        for cut in 0..=dialog.client.len() {
            let (a, b) = dialog.client.split_at(cut);
            assert_eq!(play(dialog, &[a, b]).0, dialog.server, "{name} cut at {cut}");
        }
        let bytes: Vec<&[u8]> = dialog.client.chunks(1).collect();
        assert_eq!(play(dialog, &bytes).0, dialog.server, "{name} byte by byte");
    });
}

/// The client's bytes, all at once and byte by byte, against a session that lets everybody in; the lines behind the greeting.
fn talk(input: &[u8]) -> (Vec<String>, Option<Why>) {
    let one = |pieces: &[&[u8]]| {
        let mut pop3 = Pop3::new(Arc::new(Pop3Config::default()), true);
        let (mut output, mut closed) = (Vec::new(), None);
        for piece in pieces {
            let mut rest = *piece;
            while !rest.is_empty() && closed.is_none() {
                rest = &rest[pop3.feed(rest)..];
                closed = loop {
                    match pop3.next() {
                        Step::Ask(Request::Quit) => pop3.answer(Reply::Done),
                        Step::Ask(_) => pop3.answer(Reply::Totals { messages: 0, bytes: 0 }),
                        Step::Close(why) => break Some(why),
                        _ => break None,
                    }
                };
                output.append(pop3.out());
            }
        }
        let lines: Vec<String> = String::from_utf8(output).unwrap().lines().skip(1).map(str::to_string).collect();
        (lines, closed)
    };
    let whole = one(&[input]);
    assert_eq!(whole, one(&input.chunks(1).collect::<Vec<_>>()));
    whole
}

const LOGIN: &[u8] = b"USER a\r\nPASS b\r\n";

#[test]
fn a_line_after_login_may_have_255_bytes() {
    let line = |bytes: usize| [LOGIN, b"NOOP", &vec![b' '; bytes - 6], b"\r\nSTAT\r\n"].concat();
    let (lines, _) = talk(&line(COMMAND_LINE_BYTES_MAX));
    assert_eq!(lines[2..], ["+OK Done", "+OK 0 0"]);
    let (lines, _) = talk(&line(COMMAND_LINE_BYTES_MAX + 1));
    assert_eq!(lines[2..], ["-ERR The line is too long", "+OK 0 0"]);
}

#[test]
fn a_line_before_login_may_hold_the_longest_sasl_message() {
    let line = |bytes: usize| [b"CAPA", &vec![b' '; bytes - 6][..], b"\r\nQUIT\r\n"].concat();
    assert_eq!(talk(&line(LOGIN_LINE_BYTES_MAX)).0[0], "+OK Capability list follows");
    assert_eq!(talk(&line(LOGIN_LINE_BYTES_MAX + 1)).0, ["-ERR The line is too long", "+OK Logging out."]);
}

#[test]
fn a_line_without_end_costs_nothing() {
    let mut pop3 = Pop3::new(Arc::new(Pop3Config::default()), true);
    let block = vec![b'x'; 64 * 1024];
    for _ in 0..1000 {
        assert_eq!(pop3.feed(&block), block.len());
        assert!(matches!(pop3.next(), Step::More));
    }
    assert_eq!(pop3.out(), b"+OK Skein ready.\r\n");
    pop3.feed(b"\n");
    assert!(pop3.out().ends_with(b"-ERR The line is too long\r\n"));
}

#[test]
fn nonsense_ends_a_connection() {
    let (lines, closed) = talk(b"GET / HTTP/1.1\r\nHost: a\r\n\r\nQUIT\r\n");
    assert_eq!(lines, ["-ERR Unknown command", "-ERR Unknown command", "-ERR Too many wrong commands."]);
    assert_eq!(closed, Some(Why::TooManyBadCommands));
    let (_, closed) =
        talk(&[LOGIN, &b"XYZZ\r\n".repeat(usize::from(BAD_COMMANDS_MAX) - 1), b"NOOP\r\nXYZZ\r\n"].concat());
    assert_eq!(closed, None, "a good command begins the count anew");
    let (_, closed) = talk(&[LOGIN, &b"XYZZ\r\n".repeat(usize::from(BAD_COMMANDS_MAX))].concat());
    assert_eq!(closed, Some(Why::TooManyBadCommands));
    let (_, closed) = talk(b"PASS a\r\nPASS a\r\nPASS a\r\n");
    assert_eq!(closed, Some(Why::TooManyBadCommands));
}

#[test]
fn nothing_is_taken_while_the_output_waits() {
    let mut pop3 = Pop3::new(Arc::new(Pop3Config::default()), true);
    let input = b"CAPA\r\n".repeat(10_000);
    let mut used = 0;
    while let taken @ 1.. = pop3.feed(&input[used..]) {
        used += taken;
    }
    assert!(used < input.len() && pop3.out().len() < OUTPUT_BYTES_WATERMARK + 1024);
    pop3.out().clear();
    assert!(pop3.feed(&input[used..]) > 0);
}

#[test]
fn a_silent_client_is_left_without_a_word_and_a_busy_server_says_one() {
    let mut pop3 = Pop3::new(Arc::new(Pop3Config::default()), true);
    pop3.out().clear();
    pop3.hang_up();
    assert!(matches!(pop3.next(), Step::Close(Why::Bye)) && pop3.out().is_empty());

    let mut pop3 = Pop3::new(Arc::new(Pop3Config::default()), true);
    pop3.feed(b"USER a\r\n");
    pop3.feed(b"PASS b\r\n");
    assert!(matches!(pop3.next(), Step::Ask(Request::Login { .. })));
    pop3.out().clear();
    pop3.bye("Stopping");
    pop3.answer(Reply::Totals { messages: 1, bytes: 1 });
    assert!(matches!(pop3.next(), Step::Close(Why::Bye)));
    assert_eq!(pop3.out(), b"-ERR [SYS/TEMP] Stopping\r\n");
    assert_eq!(pop3.feed(b"QUIT\r\n"), 0);
}

#[test]
fn a_foreign_text_stays_within_its_line() {
    let mut pop3 = Pop3::new(Arc::new(Pop3Config::default()), true);
    pop3.feed(b"USER a\r\n");
    pop3.feed(b"PASS b\r\n");
    assert!(matches!(pop3.next(), Step::Ask(_)));
    pop3.out().clear();
    pop3.answer(Reply::refuse(Class::InUse, format!("no\r\n+OK yes{}", "x".repeat(5000))));
    assert!(pop3.out().len() <= 512 && pop3.out().starts_with(b"-ERR [IN-USE] no+OK yesxx"));
}
