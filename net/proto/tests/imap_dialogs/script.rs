//! Dialogs in which each answer of the session is written down.

use crate::after_login;
use skein_base::{Class, Flags, IdSet, ModSeq, Uid, UidValidity};
use skein_proto::imap::{Code, Reply, SelectedInfo, StatusInfo};
use std::collections::VecDeque;

#[derive(Default)]
pub struct Dialog {
    pub start: String,
    pub settings: Vec<String>,
    pub client: Vec<u8>,
    pub server: String,
    pub answers: VecDeque<Answer>,
}

#[derive(Clone, Default)]
pub struct Answer {
    pub question: Option<String>,
    pub before: String,
    pub reply: String,
    pub while_idle: String,
    pub between: String,
}

pub fn read(text: &str) -> Dialog {
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

pub fn reply(text: &str) -> Reply {
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
        "NoPlain" => Reply::No { code: None, text: rest.to_string().into() },
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
            "permanent" => {
                let flags = [("A", Flags::ANSWERED), ("F", Flags::FLAGGED), ("T", Flags::DELETED), ("S", Flags::SEEN)];
                let flags = flags.into_iter().chain([("D", Flags::DRAFT)]).filter(|(letter, _)| value.contains(letter));
                info.permanent = flags.fold(Flags::default(), |all, (_, flag)| all | flag);
                info.new_keywords = value.contains('*');
            }
            "read_only" => info.read_only = true,
            "id" => info.mailbox_id = id(value),
            "urls" => info.url_mech = true,
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
            "id" => info.mailbox_id = id(value),
            _ => panic!("{name}"),
        }
    }
    info
}

/// Codes without arguments.
const ALONE: &[(&str, Code)] = &[
    ("ALREADYEXISTS", Code::AlreadyExists),
    ("AUTHENTICATIONFAILED", Code::AuthenticationFailed),
    ("BADCHARSET", Code::BadCharset),
    ("BADEVENT", Code::BadEvent),
    ("CANNOT", Code::Cannot),
    ("EXPUNGEISSUED", Code::ExpungeIssued),
    ("INUSE", Code::InUse),
    ("LIMIT", Code::Limit),
    ("NOMODSEQ", Code::NoModSeq),
    ("NONEXISTENT", Code::NonExistent),
    ("NOPERM", Code::NoPerm),
    ("NOTSAVED", Code::NotSaved),
    ("OVERQUOTA", Code::OverQuota),
    ("READ-ONLY", Code::ReadOnly),
    ("TOOBIG", Code::TooBig),
    ("TOOFEW", Code::TooFew),
    ("TOOMANY", Code::TooMany),
    ("TRYCREATE", Code::TryCreate),
    ("UIDREQUIRED", Code::UidRequired),
    ("UNAVAILABLE", Code::Unavailable),
    ("UNKNOWN-CTE", Code::UnknownCte),
    ("URLMECH", Code::UrlMech),
    ("USEATTR", Code::UseAttr),
];

/// `7`, or as it is told: `(F0000000000000007)`.
fn id(text: &str) -> u64 {
    match text.strip_prefix("(F") {
        Some(hex) => u64::from_str_radix(hex.trim_end_matches(')'), 16).unwrap(),
        None => text.parse().unwrap(),
    }
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
        "APPENDUID" => Code::AppendUid { validity: UidValidity(words[1].parse().unwrap()), uids: set(words[2]) },
        "COPYUID" => {
            let validity = UidValidity(words[1].parse().unwrap());
            Code::CopyUid { validity, from: set(words[2]), to: set(words[3]) }
        }
        "MESSAGELIMIT" => {
            let lowest = words.get(2).map(|uid| Uid(uid.parse().unwrap()));
            Code::MessageLimit { limit: words[1].parse().unwrap(), lowest }
        }
        "REFERRAL" => Code::Referral(words[1].to_string()),
        "LONGENTRIES" => Code::MetadataLongEntries(words[1].parse().unwrap()),
        "MAILBOXID" => Code::MailboxId(id(words[1])),
        "MODIFIED" => Code::Modified(set(words[1])),
        "HIGHESTMODSEQ" => Code::HighestModSeq(ModSeq(words[1].parse().unwrap())),
        "BADURL" => Code::BadUrl(words[1].trim_matches('"').to_string()),
        "NOUPDATE" => Code::NoUpdate(words[1].trim_matches('"').to_string()),
        "METADATA" if words[1] == "LONGENTRIES" => Code::MetadataLongEntries(words[2].parse().unwrap()),
        "METADATA" if words[1] == "MAXSIZE" => Code::MetadataMaxSize(words[2].parse().unwrap()),
        "METADATA" if words[1] == "TOOMANY" => Code::MetadataTooMany,
        word => {
            let alone = ALONE.iter().find(|(name, _)| *name == word);
            alone.unwrap_or_else(|| panic!("{word}")).1.clone()
        }
    }
}
