//! Whole conversations, also cut at every byte: those of `testdata/dialogs`, which are played against the running server as well, and those of
//! `testdata/machine`, in which the session answers what a server can not be brought to at will:
//!
//! ```text
//! C: a1 NOOP         a line from the client; "C- text" is one without its line break
//! S: a1 OK ..        a line for the client
//! Q: Fetch { set: 1  the next question starts so
//! U: * 1 EXISTS      the session writes this line before it answers, or while the client idles
//! R: Done            the session answers; R lines are consumed one per question, in order
//! N: * 1 EXISTS      the session writes this line before the client's next, between commands
//! T: plain           how the connection starts, when not in TLS with passwords allowed: plain, plain-login, all-mechanisms, literal-minus,
//!                    extension (in TLS, with commands that are not the machine's own), limits (in TLS, with what only settings bring), referrals
//! # comment
//! ```
//! `{after login}` stands for the capabilities that are offered to who is logged in.
//! A `Sync` that the dialog does not speak of is answered `Done`.

#[path = "../../testdata/dialogs/read.rs"]
mod read;
mod script;
mod spoken;

use script::{Answer, Dialog};
use skein_base::scram::ScramKeys;
use skein_proto::imap::{ExtensionCommand, Imap, ImapConfig, Reply, Request, Step};
use skein_proto::sasl::{Mechanism, Question, ScramAnswer};
use std::collections::VecDeque;
use std::sync::Arc;

/// What is offered after login, beside what is offered before.
#[rustfmt::skip]
const AFTER_LOGIN: &[&str] = &[
    "BINARY",
    "CATENATE",
    "CHILDREN",
    "COMPRESS=DEFLATE",
    "CONDSTORE",
    "CONTEXT=SEARCH",
    "CONTEXT=SORT",
    "CREATE-SPECIAL-USE",
    "ESEARCH",
    "ESORT",
    "I18NLEVEL=1",
    "I18NLEVEL=2",
    "IDLE",
    "LIST-EXTENDED",
    "LIST-METADATA",
    "LIST-STATUS",
    "METADATA",
    "METADATA-SERVER",
    "MOVE",
    "MULTIAPPEND",
    "MULTISEARCH",
    "NAMESPACE",
    "NOTIFY",
    "OBJECTID",
    "PARTIAL",
    "PREVIEW",
    "PREVIEW=FUZZY",
    "QRESYNC",
    "REPLACE",
    "SAVEDATE",
    "SEARCHRES",
    "SNIPPET=FUZZY",
    "SORT",
    "SORT=DISPLAY",
    "SPECIAL-USE",
    "STATUS=SIZE",
    "THREAD=ORDEREDSUBJECT",
    "THREAD=REFERENCES",
    "THREAD=REFS",
    "UIDBATCHES",
    "UIDONLY",
    "UIDPLUS",
    "UNAUTHENTICATE",
    "UNSELECT",
    "URL-PARTIAL",
    "URLAUTH",
    "URLAUTH=BINARY",
    "UTF8=ACCEPT",
    "WITHIN",
    "APPENDLIMIT=104857600",
];

fn after_login(referrals: &str) -> String {
    format!("IMAP4rev1 IMAP4rev2 LITERAL+ SASL-IR{referrals} ID ENABLE LANGUAGE {}", AFTER_LOGIN.join(" "))
}

/// Answers to come, and what the session says once the command is over.
#[derive(Default)]
struct Script {
    answers: VecDeque<Answer>,
    between: String,
}

/// A connection that starts as the dialog says.
fn machine(dialog: &Dialog) -> Imap {
    let tls = !matches!(&*dialog.start, "plain" | "plain-login" | "all-mechanisms");
    let mut config = ImapConfig { plaintext_login: dialog.start == "plain-login", ..ImapConfig::default() };
    if dialog.start == "all-mechanisms" {
        config.mechanisms = Mechanism::ALL.to_vec();
    }
    let command = |name| ExtensionCommand { name, needs_selected: name == "WATCH" };
    if dialog.start == "extension" {
        config.commands = ["GETQUOTA", "GETQUOTAROOT", "SETQUOTA", "WATCH"].map(command).into();
        config.capabilities = vec!["QUOTA".into(), "QUOTA=RES-STORAGE".into()];
    }
    if dialog.start == "spoken" {
        let names = ["GETQUOTA", "GETQUOTAROOT", "SETQUOTA", "SETACL", "DELETEACL", "GETACL", "LISTRIGHTS", "MYRIGHTS"];
        config.commands = names.map(command).into();
    }
    if dialog.start == "spoken" {
        config.mechanisms = vec![Mechanism::Plain, Mechanism::Login];
    }
    config.referrals = dialog.start == "referrals";
    config.progress = dialog.start == "limits";
    config.message_limit = if dialog.start == "limits" { 1000 } else { 0 };
    config.literal_minus = dialog.start == "literal-minus";
    for setting in &dialog.settings {
        match setting.split_once(" = ").expect("a setting") {
            ("imap.message_limit", value) => config.message_limit = value.parse().unwrap(),
            ("imap.save_limit", value) => config.save_limit = value.parse().unwrap(),
            ("imap.literal_minus", value) => config.literal_minus = value == "true",
            // Not the machine's.
            _ => {}
        }
    }
    Imap::new(Arc::new(config), tls)
}

/// Plays the dialog with the client's bytes in these pieces; returns all output and whether it closed.
fn play(dialog: &Dialog, pieces: &[&[u8]]) -> (String, bool) {
    let mut imap = machine(dialog);
    let mut script = Script { answers: dialog.answers.clone(), between: String::new() };
    let mut output = Vec::new();
    let mut closed = step(&mut imap, &mut script);
    for piece in pieces {
        let mut rest = *piece;
        while !rest.is_empty() && !closed {
            let used = imap.feed(rest);
            closed = step(&mut imap, &mut script);
            if !script.between.is_empty() {
                assert!(imap.may_tell() && !imap.idling(), "{}", script.between);
                imap.out().extend_from_slice(std::mem::take(&mut script.between).as_bytes());
            }
            rest = &rest[used..];
            output.append(imap.out());
            imap.rest();
        }
    }
    output.append(imap.out());
    assert!(script.answers.is_empty(), "not asked: {:?}", script.answers.iter().map(|a| &a.reply).collect::<Vec<_>>());
    (String::from_utf8(output).unwrap(), closed)
}

/// Does what the machine wants until it wants input.
fn step(imap: &mut Imap, script: &mut Script) -> bool {
    loop {
        match imap.next() {
            Step::More => return false,
            Step::Close(_) => return true,
            Step::StartTls => imap.tls_started(true),
            Step::StartDeflate => imap.deflate_started(),
            Step::Ask(request) => answer(imap, request, script),
        }
    }
}

fn answer(imap: &mut Imap, request: Request, Script { answers, between }: &mut Script) {
    let question = format!("{request:?}");
    let spoken_of = answers.front().and_then(|a| a.question.as_ref()).is_some_and(|q| q.starts_with("Sync"));
    if matches!(request, Request::Sync { check: false, .. }) && !spoken_of {
        return imap.answer(Reply::Done);
    }
    let answer = answers.pop_front().unwrap_or_else(|| panic!("no answer to {question}"));
    if let Some(expected) = &answer.question {
        assert!(question.starts_with(expected.as_str()), "asked {question}, expected {expected}");
    }
    imap.out().extend_from_slice(answer.before.as_bytes());
    imap.answer(match &request {
        Request::Sasl(Question::Keys { hash, .. }) if answer.reply == "Keys" => {
            let key = vec![0; hash.bytes()];
            let (stored_key, server_key) = (key.clone(), key);
            let keys = ScramKeys { hash: *hash, iterations: 4096, salt: b"salt".to_vec(), stored_key, server_key };
            Reply::Keys(Box::new(ScramAnswer { keys, nonce: [7; 18] }))
        }
        _ => script::reply(&answer.reply),
    });
    *between += &answer.between;
    if !answer.while_idle.is_empty() {
        assert!(imap.idling());
        imap.out().extend_from_slice(answer.while_idle.as_bytes());
    }
}

fn each_dialog(check: impl Fn(&str, &Dialog)) {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/testdata/machine");
    let mut count = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let text = std::fs::read_to_string(&path).unwrap();
        check(path.file_name().unwrap().to_str().unwrap(), &script::read(&text));
        count += 1;
    }
    assert!(count > 10, "the dialogs are gone");
    for spoken in read::all() {
        check(&spoken.name, &spoken::scripted(&spoken));
    }
}

#[test]
fn dialogs_go_as_written() {
    each_dialog(|name, dialog| {
        println!("{name}");
        let (output, _) = play(dialog, &[&dialog.client]);
        assert_eq!(output, dialog.server, "{name}");
    });
}

#[test]
fn every_split_gives_the_same() {
    each_dialog(|name, dialog| {
        for cut in 0..=dialog.client.len() {
            let (a, b) = dialog.client.split_at(cut);
            let (output, _) = play(dialog, &[a, b]);
            assert_eq!(output, dialog.server, "{name} cut at {cut}");
        }
        let bytes: Vec<&[u8]> = dialog.client.chunks(1).collect();
        assert_eq!(play(dialog, &bytes).0, dialog.server, "{name} byte by byte");
    });
}
