//! The POP3 machine: a foreign client, scripted answers, and foreign mail on its way out.

use crate::script::{Script, check_lines};
use skein_base::Class;
use skein_base::scram::ScramKeys;
use skein_proto::pop3::{Pop3, Pop3Config, Reply, Request, Step};
use skein_proto::sasl::{Mechanism, Question, ScramAnswer};
use std::sync::Arc;

/// Output for nothing: the greeting. Each byte of input may cost [`OUT_PER_BYTE_MAX`] more.
const OUT_BYTES_MIN: usize = 1024;
/// CAPA is the shortest command with the longest answer.
const OUT_PER_BYTE_MAX: usize = 64;

/// Commands in any cut: never panics, answers in lines, says the same whatever the cut. Mail in any cut: what the client makes of
/// it is the message, with its last line ended.
///
/// The first line is the script: the session's answers and the cuts.
pub fn pop3(data: &[u8]) {
    let (script, input) = Script::of(data);
    let whole = play(script.clone(), [input].into_iter());
    let cut = play(script.clone(), script.clone().pieces(input));
    assert_eq!(whole.escape_ascii().to_string(), cut.escape_ascii().to_string(), "a cut changes the answers");
    retrieve(script, input);
}

fn play<'i>(mut script: Script, pieces: impl Iterator<Item = &'i [u8]>) -> Vec<u8> {
    let config = Pop3Config {
        plaintext_login: script.next() % 2 == 0,
        mechanisms: Mechanism::ALL.to_vec(),
        ..Pop3Config::default()
    };
    let mut pop3 = Pop3::new(Arc::new(config), script.next() % 2 == 0);
    let (mut output, mut fed) = (Vec::new(), 0);
    for mut rest in pieces {
        fed += rest.len();
        while !rest.is_empty() && serve(&mut pop3, &mut script) {
            rest = &rest[pop3.feed(rest)..];
            output.append(pop3.out());
            pop3.rest();
        }
        serve(&mut pop3, &mut script);
        output.append(pop3.out());
        assert!(output.len() <= OUT_BYTES_MIN + OUT_PER_BYTE_MAX * fed, "{} bytes for {fed}", output.len());
    }
    output.append(pop3.out());
    check_lines(&output);
    output
}

/// Does what the machine wants; false when the connection is over.
fn serve(pop3: &mut Pop3, script: &mut Script) -> bool {
    loop {
        match pop3.next() {
            Step::More => return true,
            Step::Close(_) => return false,
            Step::StartTls => pop3.tls_started(true),
            Step::Ask(request) => answer(pop3, &request, script.next()),
        }
    }
}

fn answer(pop3: &mut Pop3, request: &Request, choice: u8) {
    let classes = [Class::Missing, Class::InUse, Class::Unavailable];
    if let Some(class) = usize::from(choice % 8).checked_sub(5) {
        return pop3.answer(Reply::refuse(classes[class], "no\r\n+OK yes"));
    }
    match request {
        Request::Sasl(Question::Keys { user, hash, .. }) => {
            let keys = ScramKeys::decoy(*hash, &[choice; 32], user, u32::from(choice) + 1, 16);
            pop3.answer(Reply::Keys(Box::new(ScramAnswer { keys, nonce: [choice; 18] })));
        }
        Request::Login { .. } | Request::Sasl(_) | Request::Stat | Request::Rset => pop3.answer(totals()),
        Request::Last => pop3.answer(Reply::Last { number: 1 }),
        Request::Dele(_) | Request::Quit => pop3.answer(Reply::Done),
        Request::List(Some(_)) => pop3.answer(Reply::Scan { bytes: 9 }),
        Request::Uidl(Some(_)) => pop3.answer(Reply::UniqueId { id: b"x".to_vec() }),
        Request::List(None) => {
            pop3.answer(totals());
            pop3.scan(1, 9);
            pop3.end();
        }
        Request::Uidl(None) => {
            pop3.answer(Reply::Done);
            pop3.unique_id(1, b"x");
            pop3.end();
        }
        Request::Retr(_) | Request::Top { .. } => {
            pop3.answer(Reply::Message { bytes: 9 });
            pop3.body(b"A: b\r\n\r\n.");
            pop3.end();
        }
    }
}

fn totals() -> Reply {
    Reply::Totals { messages: 1, bytes: u64::MAX }
}

/// Any bytes as a message through RETR and TOP, in the script's pieces and whole.
fn retrieve(script: Script, message: &[u8]) {
    let whole = given("RETR 1\r\n", [message].into_iter());
    assert_eq!(whole, given("RETR 1\r\n", script.clone().pieces(message)), "a cut changes a message");
    let mut ended = message.to_vec();
    if !ended.is_empty() && !ended.ends_with(b"\r\n") {
        ended.extend_from_slice(b"\r\n");
    }
    assert_eq!(unstuffed(&whole).escape_ascii().to_string(), ended.escape_ascii().to_string());
    let top = given("TOP 1 2\r\n", [message].into_iter());
    assert_eq!(top, given("TOP 1 2\r\n", script.pieces(message)), "a cut changes a message's top");
    let top = unstuffed(&top);
    assert!(message.starts_with(top.strip_suffix(b"\r\n").unwrap_or(&top)), "TOP is the message's beginning");
}

/// What the client gets behind the status line.
fn given<'i>(command: &str, mut pieces: impl Iterator<Item = &'i [u8]>) -> Vec<u8> {
    let mut pop3 = Pop3::new(Arc::new(Pop3Config::default()), true);
    for line in ["USER a\r\n", "PASS b\r\n", command] {
        pop3.feed(line.as_bytes());
        if let Step::Ask(request) = pop3.next() {
            pop3.out().clear();
            let reply = match request {
                Request::Login { .. } => totals(),
                _ => Reply::Message { bytes: 0 },
            };
            pop3.answer(reply);
        }
    }
    pop3.out().clear();
    let _all = pieces.all(|piece| pop3.body(piece));
    pop3.end();
    std::mem::take(pop3.out())
}

/// A multi-line answer as a client reads it that takes LF for a line's end, too; the end must be its only end.
fn unstuffed(answer: &[u8]) -> Vec<u8> {
    let mut message = Vec::new();
    let mut rest = answer;
    loop {
        let end = rest.iter().position(|&b| b == b'\n').expect("an end") + 1;
        let line = &rest[..end];
        rest = &rest[end..];
        if line == b".\r\n" {
            assert!(rest.is_empty(), "an end in the middle");
            return message;
        }
        message.extend_from_slice(line.strip_prefix(b".").unwrap_or(line));
    }
}
