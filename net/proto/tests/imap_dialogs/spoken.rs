//! Dialogs of which only is known what client and server say. What the session has to do with it follows: it says the untagged lines that the machine
//! does not, and its answers are those that the tagged line tells of.

use crate::read::{self, Names, Start, What};
use crate::script::{self, Answer, Dialog};
use skein_proto::imap::{Imap, Step};
use std::collections::{BTreeSet, VecDeque};

/// The client's bytes up to where the server is to have spoken, and what it has to say.
#[derive(Default)]
struct Turn {
    line: usize,
    client: Vec<u8>,
    server: Vec<String>,
}

/// A question of the machine.
struct Asked {
    /// Lines of this turn that the machine has written before.
    after: usize,
    answer: Answer,
}

/// The dialog with the session's part written out.
pub fn scripted(spoken: &read::Dialog) -> Dialog {
    let turns = turns(spoken);
    let tags: BTreeSet<String> = turns.iter().flat_map(|turn| tags(&turn.client)).collect();
    let is_tagged = |line: &String| line.split_once(' ').is_some_and(|(tag, _)| tags.contains(tag));
    let mut outcomes: VecDeque<String> =
        turns.iter().flat_map(|t| &t.server).filter(|l| is_tagged(l)).cloned().collect();
    let start = if spoken.start == Start::Plain { "plain-login" } else { "spoken" };
    let mut dialog = Dialog { start: start.to_string(), settings: spoken.settings.clone(), ..Dialog::default() };
    let mut imap = crate::machine(&dialog);
    for turn in turns {
        let place = format!("{}.txt, line {}", spoken.name, turn.line);
        let mut asked = Vec::new();
        let mut rest = &turn.client[..];
        loop {
            let closed = settle(&mut imap, &turn, &outcomes, is_tagged, &mut asked);
            if closed || rest.is_empty() {
                break;
            }
            rest = &rest[imap.feed(rest)..];
        }
        let own = std::mem::take(imap.out());
        dialog.client.extend_from_slice(&turn.client);
        dialog.server += &divide(&turn, &lines(&own), &mut asked, &mut dialog.answers, imap.idling(), &place);
        dialog.answers.extend(asked.into_iter().map(|asked| asked.answer));
        while outcomes.front().is_some_and(|line| turn.server.contains(line)) {
            outcomes.pop_front();
        }
    }
    dialog
}

fn turns(spoken: &read::Dialog) -> Vec<Turn> {
    let names = names();
    let mut turns = vec![Turn::default()];
    if spoken.start == Start::LoggedIn {
        turns[0].server.push("* OK [CAPABILITY {capabilities}] Skein ready.".to_string());
        let server = vec!["in OK [CAPABILITY {capabilities}] Logged in.".to_string()];
        turns.push(Turn { line: 0, client: b"in LOGIN tim pass\r\n".to_vec(), server });
    }
    for step in &spoken.steps {
        let last = turns.last_mut().expect("there is one");
        match &step.what {
            What::Client(bytes) => {
                let bytes = match std::str::from_utf8(bytes) {
                    Ok(text) => names.fill(text).into_bytes(),
                    Err(_) => bytes.clone(),
                };
                match last.server.is_empty() && !last.client.is_empty() {
                    true => last.client.extend_from_slice(&bytes),
                    false => turns.push(Turn { line: step.line, client: bytes, server: Vec::new() }),
                }
            }
            What::Server(line) | What::Repeated(line) => last.server.push(names.fill(line)),
            What::Other(..) => {}
        }
    }
    turns
}

const GUID: &str = "1120523e55abe33b723c7b15291fa99b";
const TOKEN: &str = "0109a82af7ab4a3f1d26b0ac8d1f1845f1068530ae2ef677534810a2f29c8d782f";

/// What the names in braces are here. Others are words of the session.
fn names() -> Names {
    let plain = read::base64(b"\0tim\0pass");
    let words =
        [("plain", &*plain), ("user", "tim"), ("other", "ann"), ("password", "pass"), ("token", TOKEN), ("guid", GUID)];
    let mut names = Names(words.map(|(name, value)| (name.to_string(), value.to_string())).into());
    for number in 1..10 {
        let tail = if number == 1 { String::new() } else { number.to_string() };
        names.0.insert(format!("id{tail}"), format!("F{number:016x}"));
        names.0.insert(format!("validity{tail}"), format!("385752904{number}"));
    }
    names
}

/// The first word of each line; of a literal's lines as well, which does no harm.
fn tags(client: &[u8]) -> Vec<String> {
    let text = String::from_utf8_lossy(client);
    text.lines()
        .filter_map(|line| Some(line.split_once(' ')?.0.to_string()))
        .filter(|tag| !tag.ends_with(':'))
        .collect()
}

fn lines(out: &[u8]) -> Vec<String> {
    String::from_utf8_lossy(out).split_terminator("\r\n").map(str::to_string).collect()
}

/// Does what the machine wants until it wants input.
fn settle(
    imap: &mut Imap,
    turn: &Turn,
    outcomes: &VecDeque<String>,
    is_tagged: impl Fn(&String) -> bool + Copy,
    asked: &mut Vec<Asked>,
) -> bool {
    loop {
        match imap.next() {
            Step::More => return false,
            Step::Close(_) => return true,
            Step::StartTls => imap.tls_started(true),
            Step::StartDeflate => imap.deflate_started(),
            Step::Ask(request) => {
                let own = lines(imap.out());
                let ended = own.iter().filter(|line| is_tagged(line)).count();
                let outcome = outcomes.get(ended).map_or("", String::as_str);
                let question = format!("{request:?}");
                let end = question.find([' ', '(']).unwrap_or(question.len());
                let until = turn.server.iter().position(|line| line == outcome).unwrap_or(turn.server.len());
                let from = turn.server[..until].iter().rposition(is_tagged).map_or(0, |before| before + 1);
                let reply = reply(&question[..end], outcome, &turn.server[from..until]);
                imap.answer(script::reply(&reply));
                let answer = Answer { question: Some(question), reply, ..Answer::default() };
                asked.push(Asked { after: own.len(), answer });
            }
        }
    }
}

/// What the session answers when this comes of it.
fn reply(question: &str, outcome: &str, untagged: &[String]) -> String {
    let (status, text) =
        outcome.split_once(' ').map_or(("", ""), |(_, rest)| rest.split_once(' ').unwrap_or((rest, "")));
    match question {
        "Sync" | "IdleEnd" | "Resync" | "Enable" | "EnableMetadata" | "AppendAbort" | "Logout" => return "Done".into(),
        "Idle" if untagged.iter().any(|line| line.starts_with("+ ")) => return "Continue".into(),
        "AppendMessage" | "AppendLiteral" | "AppendChunk" => return "Continue".into(),
        "AppendBegin" if status != "NO" || !text.starts_with("[TRYCREATE]") && !text.starts_with("[NO") => {
            return "Continue".into();
        }
        "AppendUrl" if !text.starts_with("[BADURL") => return "Continue".into(),
        _ => {}
    }
    match (status, question) {
        ("OK", "Login" | "Sasl") => match text.strip_prefix("[REFERRAL ").and_then(|rest| rest.split_once("] ")) {
            Some((url, text)) => format!("Referred {url} {text}"),
            None => "LoggedIn tim".into(),
        },
        ("OK", "Select") => selected(outcome, untagged),
        ("OK", "Status") => status_words(untagged),
        ("OK", _) => {
            // UIDs are told ahead of the EXPUNGE lines.
            let ahead = untagged.iter().filter_map(|line| line.strip_prefix("* OK ["));
            let ahead = ahead.filter(|code| code.starts_with("COPYUID") || code.starts_with("APPENDUID"));
            let told = text.strip_prefix('[').into_iter().chain(ahead);
            let mut told = told.map(|rest| rest.split_once(']').expect("a code").0);
            told.next().map_or("Done".into(), |code| format!("Code {code}"))
        }
        ("NO", _) if text.starts_with('[') => format!("NoCode {}", &text[1..]),
        ("NO", _) => format!("NoPlain {text}"),
        ("BAD", _) => format!("Bad {text}"),
        _ => "Done".into(),
    }
}

fn selected(outcome: &str, untagged: &[String]) -> String {
    let mut words = vec!["Selected".to_string()];
    for line in untagged.iter().filter_map(|line| line.strip_prefix("* ")) {
        let number = |text: &str| text.split([']', ' ']).next().unwrap_or_default().to_string();
        if let Some((count, name)) = line.split_once(' ').filter(|(_, name)| matches!(*name, "EXISTS" | "RECENT")) {
            words.push(format!("{}={count}", name.to_ascii_lowercase()));
        } else if let Some(flags) = line.strip_prefix("FLAGS (") {
            let keywords = flags.trim_end_matches(')').split(' ').filter(|flag| !flag.starts_with('\\'));
            words.extend(keywords.map(|keyword| format!("keyword={keyword}")));
        } else if let Some((flags, _)) = line.strip_prefix("OK [PERMANENTFLAGS (").and_then(|rest| rest.split_once(')'))
        {
            let letter = |flag: &str| match flag {
                "\\Deleted" => Some('T'),
                _ => flag.strip_prefix('\\')?.chars().next(),
            };
            words.push(format!("permanent={}", flags.split(' ').filter_map(letter).collect::<String>()));
        }
        let codes = [
            ("UNSEEN", "unseen"),
            ("UIDVALIDITY", "validity"),
            ("UIDNEXT", "next"),
            ("HIGHESTMODSEQ", "modseq"),
            ("MAILBOXID", "id"),
        ];
        for (code, name) in codes {
            if let Some(rest) = line.strip_prefix(&format!("OK [{code} ")) {
                words.push(format!("{name}={}", number(rest)));
            }
        }
    }
    if untagged.iter().any(|line| line.starts_with("* OK [URLMECH ")) {
        words.push("urls".to_string());
    }
    if outcome.contains("[READ-ONLY]") {
        words.push("read_only".to_string());
    }
    words.join(" ")
}

fn status_words(untagged: &[String]) -> String {
    let line = untagged.iter().find_map(|line| line.strip_prefix("* STATUS ")).expect("STATUS");
    let items = line[line.find(" (").expect("items") + 2..].strip_suffix(')').expect("items");
    let words: Vec<&str> = items.split(' ').collect();
    let names = [
        ("MESSAGES", "messages"),
        ("RECENT", "recent"),
        ("UIDNEXT", "next"),
        ("UIDVALIDITY", "validity"),
        ("UNSEEN", "unseen"),
        ("HIGHESTMODSEQ", "modseq"),
        ("APPENDLIMIT", "limit"),
        ("SIZE", "size"),
        ("DELETED", "deleted"),
        ("DELETED-STORAGE", "deleted_bytes"),
        ("MAILBOXID", "id"),
    ];
    let word = |pair: &[&str]| {
        let (_, name) = names.iter().find(|(name, _)| *name == pair[0]).unwrap_or_else(|| panic!("{}", pair[0]));
        format!(" {name}={}", pair[1])
    };
    format!("Status{}", words.chunks(2).map(word).collect::<String>())
}

/// Gives the session the lines that are not the machine's, each where it stands between those; returns all that is said in this turn.
fn divide(
    turn: &Turn,
    own: &[String],
    asked: &mut [Asked],
    before: &mut VecDeque<Answer>,
    idle: bool,
    place: &str,
) -> String {
    let (mut said, mut used) = (String::new(), 0);
    for line in &turn.server {
        if let Some(own) = own.get(used).filter(|own| Names::default().agree(line, own)) {
            said += &format!("{own}\r\n");
            used += 1;
            continue;
        }
        let line = format!("{line}\r\n");
        said += &line;
        if let Some(asked) = asked.iter_mut().rev().find(|asked| asked.after == used) {
            asked.answer.before += &line;
            continue;
        }
        let answer = match asked.last_mut() {
            Some(asked) => &mut asked.answer,
            None => before.back_mut().unwrap_or_else(|| panic!("{place}: the machine does not say {line}")),
        };
        assert!(used == own.len(), "{place}: {line} comes before {:?}", own[used]);
        if idle { &mut answer.while_idle } else { &mut answer.between }.push_str(&line);
    }
    assert!(
        used == own.len(),
        "{place}: the machine says {:?}, {}",
        own[used],
        asked.iter().map(|a| format!("{:?} {} ", a.answer.question, a.answer.reply)).collect::<String>()
    );
    said
}
