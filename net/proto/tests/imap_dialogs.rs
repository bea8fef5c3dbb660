//! Whole conversations from `testdata/dialogs`, also cut at every byte.
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

use skein_base::scram::ScramKeys;
use skein_base::{Class, Flags, IdSet, ModSeq, Uid, UidValidity};
use skein_proto::imap::{Code, ExtensionCommand, Imap, ImapConfig, Reply, Request, SelectedInfo, StatusInfo, Step};
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
    format!("IMAP4rev1 IMAP4rev2 LITERAL+ SASL-IR{referrals} ID ENABLE {}", AFTER_LOGIN.join(" "))
}

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
    before: String,
    reply: String,
    while_idle: String,
    between: String,
}

/// Answers to come, and what the session says once the command is over.
#[derive(Default)]
struct Script {
    answers: VecDeque<Answer>,
    between: String,
}

fn read(text: &str) -> Dialog {
    let mut dialog = Dialog { start: "tls".to_string(), ..Dialog::default() };
    let mut next = Answer::default();
    let mut idle = false;
    for line in text.lines() {
        let (kind, rest) = line.split_at(line.len().min(3));
        match kind {
            "C: " | "C:" => {
                dialog.client.extend_from_slice(rest.as_bytes());
                dialog.client.extend_from_slice(b"\r\n");
                idle = false;
            }
            "C- " => dialog.client.extend_from_slice(rest.as_bytes()),
            "S: " => {
                let referrals = if dialog.start == "referrals" { " LOGIN-REFERRALS" } else { "" };
                dialog.server += &format!("{}\r\n", rest.replace("{after login}", &after_login(referrals)));
            }
            "Q: " => next.question = Some(rest.to_string()),
            "U: " => {
                dialog.server += &format!("{rest}\r\n");
                let news = if idle { &mut dialog.answers.back_mut().unwrap().while_idle } else { &mut next.before };
                *news += &format!("{rest}\r\n");
            }
            "R: " => {
                idle = rest == "Continue" && next.question.as_deref() == Some("Idle");
                next.reply = rest.to_string();
                dialog.answers.push_back(std::mem::take(&mut next));
            }
            "N: " => {
                dialog.server += &format!("{rest}\r\n");
                dialog.answers.back_mut().unwrap().between += &format!("{rest}\r\n");
            }
            "T: " => dialog.start = rest.to_string(),
            _ => assert!(line.is_empty() || line.starts_with('#'), "{line:?}"),
        }
    }
    dialog
}

fn reply(text: &str) -> Reply {
    let (word, rest) = text.split_once(' ').unwrap_or((text, ""));
    match word {
        "Done" => Reply::Done,
        "Continue" => Reply::Continue,
        "LoggedIn" => Reply::LoggedIn { user: rest.to_string() },
        "Referred" => match rest.split_once(' ') {
            Some((url, text)) => Reply::Referred { url: url.to_string(), text: Some(text.to_string()) },
            None => Reply::Referred { url: rest.to_string(), text: None },
        },
        "Selected" => Reply::Selected(Box::new(selected(rest))),
        "Status" => Reply::Status(status(rest)),
        "Code" => Reply::DoneCode(code(rest)),
        "No" => {
            let (class, text) = rest.split_once(' ').unwrap();
            Reply::no(class_named(class), text.to_string())
        }
        "NoCode" => {
            let (code_words, text) = rest.split_once("] ").unwrap();
            Reply::No { code: Some(code(code_words)), text: text.to_string().into() }
        }
        "TooMany" => Reply::No { code: Some(Code::MetadataTooMany), text: rest.to_string().into() },
        "BadUrl" => {
            let (url, text) = rest.split_once(' ').unwrap();
            Reply::No { code: Some(Code::BadUrl(url.to_string())), text: text.to_string().into() }
        }
        "TryCreate" => Reply::No { code: Some(Code::TryCreate), text: rest.to_string().into() },
        "UnknownCte" => Reply::No { code: Some(Code::UnknownCte), text: rest.to_string().into() },
        "Bad" => Reply::bad(rest.to_string()),
        "Bye" => Reply::Bye { text: rest.to_string().into() },
        _ => panic!("{text}"),
    }
}

fn class_named(name: &str) -> Class {
    match name {
        "Missing" => Class::Missing,
        "Exists" => Class::Exists,
        "Credentials" => Class::Credentials,
        "Quota" => Class::Quota,
        "Denied" => Class::Denied,
        "Damaged" => Class::Damaged,
        _ => panic!("{name}"),
    }
}

fn fields(text: &str) -> impl Iterator<Item = (&str, &str)> {
    text.split_whitespace().map(|field| field.split_once('=').unwrap_or((field, "")))
}

fn selected(text: &str) -> SelectedInfo {
    let mut info = SelectedInfo { permanent: Flags::ALL, new_keywords: true, ..SelectedInfo::default() };
    for (name, value) in fields(text) {
        match name {
            "exists" => info.exists = value.parse().unwrap(),
            "recent" => info.recent = value.parse().unwrap(),
            "unseen" => info.first_unseen = Some(value.parse().unwrap()),
            "validity" => info.uid_validity = value.parse().unwrap(),
            "next" => info.uid_next = value.parse().unwrap(),
            "modseq" => info.highest_modseq = value.parse().unwrap(),
            "keyword" => info.keywords.push(value.to_string()),
            "read_only" => info.read_only = true,
            "id" => info.mailbox_id = value.parse().unwrap(),
            _ => panic!("{name}"),
        }
    }
    info
}

fn status(text: &str) -> StatusInfo {
    let mut info = StatusInfo::default();
    for (name, value) in fields(text) {
        match name {
            "messages" => info.messages = value.parse().unwrap(),
            "recent" => info.recent = value.parse().unwrap(),
            "unseen" => info.unseen = value.parse().unwrap(),
            "validity" => info.uid_validity = value.parse().unwrap(),
            "next" => info.uid_next = value.parse().unwrap(),
            "modseq" => info.highest_modseq = value.parse().unwrap(),
            "limit" => info.append_limit = value.parse().unwrap(),
            "size" => info.size = value.parse().unwrap(),
            "deleted" => info.deleted = value.parse().unwrap(),
            "deleted_bytes" => info.deleted_bytes = value.parse().unwrap(),
            "id" => info.mailbox_id = value.parse().unwrap(),
            _ => panic!("{name}"),
        }
    }
    info
}

fn code(text: &str) -> Code {
    let words: Vec<&str> = text.split(' ').collect();
    let set = |text: &str| -> IdSet {
        let range = |part: &str| match part.split_once(':') {
            Some((a, b)) => (a.parse().unwrap(), b.parse().unwrap()),
            None => (part.parse().unwrap(), part.parse().unwrap()),
        };
        IdSet::from_ranges(text.split(',').map(range)).unwrap()
    };
    match words[0] {
        "CANNOT" => Code::Cannot,
        "APPENDUID" => Code::AppendUid { validity: UidValidity(words[1].parse().unwrap()), uids: set(words[2]) },
        "COPYUID" => {
            let validity = UidValidity(words[1].parse().unwrap());
            Code::CopyUid { validity, from: set(words[2]), to: set(words[3]) }
        }
        "MESSAGELIMIT" => {
            let lowest = words.get(2).map(|uid| Uid(uid.parse().unwrap()));
            Code::MessageLimit { limit: words[1].parse().unwrap(), lowest }
        }
        "TOOMANY" => Code::TooMany,
        "REFERRAL" => Code::Referral(words[1].to_string()),
        "LONGENTRIES" => Code::MetadataLongEntries(words[1].parse().unwrap()),
        "URLMECH" => Code::UrlMech,
        "MAILBOXID" => Code::MailboxId(words[1].parse().unwrap()),
        "MODIFIED" => Code::Modified(set(words[1])),
        "HIGHESTMODSEQ" => Code::HighestModSeq(ModSeq(words[1].parse().unwrap())),
        other => panic!("{other}"),
    }
}

/// Plays the dialog with the client's bytes in these pieces; returns all output and whether it closed.
fn play(dialog: &Dialog, pieces: &[&[u8]]) -> (String, bool) {
    let tls = matches!(&*dialog.start, "tls" | "extension" | "literal-minus" | "limits" | "referrals");
    let mut config = ImapConfig { plaintext_login: dialog.start == "plain-login", ..ImapConfig::default() };
    if dialog.start == "all-mechanisms" {
        config.mechanisms = Mechanism::ALL.to_vec();
    }
    if dialog.start == "extension" {
        let command = |name, needs_selected| ExtensionCommand { name, needs_selected };
        config.commands = vec![
            command("GETQUOTA", false),
            command("GETQUOTAROOT", false),
            command("SETQUOTA", false),
            command("WATCH", true),
        ];
        config.capabilities = vec!["QUOTA".into(), "QUOTA=RES-STORAGE".into()];
    }
    config.referrals = dialog.start == "referrals";
    config.progress = dialog.start == "limits";
    config.message_limit = if dialog.start == "limits" { 1000 } else { 0 };
    config.literal_minus = dialog.start == "literal-minus";
    let mut imap = Imap::new(Arc::new(config), tls);
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
        _ => reply(&answer.reply),
    });
    *between += &answer.between;
    if !answer.while_idle.is_empty() {
        assert!(imap.idling());
        imap.out().extend_from_slice(answer.while_idle.as_bytes());
    }
}

fn each_dialog(check: impl Fn(&str, &Dialog)) {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/testdata/dialogs");
    let mut count = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let text = std::fs::read_to_string(&path).unwrap();
        check(path.file_name().unwrap().to_str().unwrap(), &read(&text));
        count += 1;
    }
    assert!(count > 10, "the dialogs are gone");
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
