//! The IMAP machine: foreign commands, scripted answers.

use crate::script::{Script, check_lines};
use skein_base::limits::{COMMAND_DEPTH_MAX, KEYWORD_BYTES_MAX, SEARCH_KEYS_MAX};
use skein_base::scram::ScramKeys;
use skein_base::{Collation, Flags, IdSet, ModSeq, Uid, UidValidity};
use skein_proto::imap::limits::{
    APPEND_CHUNK_BYTES, APPEND_MESSAGES_MAX, UID_BATCH_MESSAGES_MIN, UID_BATCHES_MESSAGES_MAX,
};
use skein_proto::imap::{
    AppendTo, BodySection, Code, FetchItem, FlagList, Imap, ImapConfig, ImapUrl, Reply, Request, SearchKey,
    SectionText, SelectedInfo, SeqSet, StatusInfo, Step, server_url,
};
use skein_proto::sasl::{Mechanism, Question, ScramAnswer};
use std::sync::Arc;

/// Largest message here: large enough for several chunks, and small enough to be passed.
const MESSAGE_BYTES_MAX: u64 = 3 * APPEND_CHUNK_BYTES as u64;
/// Output of a machine without input: the greeting and a farewell. Each byte of input may cost [`OUT_PER_BYTE_MAX`] more.
const OUT_BYTES_MIN: usize = 1024;
/// The shortest command, `a ID`, has a line of answers and a tagged one.
const OUT_PER_BYTE_MAX: usize = 128;

/// Commands in any cut: never panics, never asks what it must not, answers in lines, says the same whatever the cut.
///
/// The first line is the script: how the connection starts, then the session's answers and the cuts.
pub fn imap(data: &[u8]) {
    let (script, input) = Script::of(data);
    let whole = play(script.clone(), [input].into_iter());
    let cut = play(script.clone(), script.pieces(input));
    assert_eq!(whole.escape_ascii().to_string(), cut.escape_ascii().to_string(), "a cut changes the answers");
}

fn play<'i>(mut script: Script, pieces: impl Iterator<Item = &'i [u8]>) -> Vec<u8> {
    let start = script.next();
    let config = ImapConfig {
        plaintext_login: start & 2 == 0,
        literal_minus: start & 4 != 0,
        mechanisms: Mechanism::ALL.to_vec(),
        message_bytes_max: MESSAGE_BYTES_MAX,
        referrals: true,
        progress: true,
        message_limit: 1000,
        ..ImapConfig::default()
    };
    let mut imap = Imap::new(Arc::new(config), start & 1 == 0);
    let mut session = Session { script, append: None };
    let (mut output, mut fed) = (Vec::new(), 0);
    for mut rest in pieces {
        fed += rest.len();
        while !rest.is_empty() && session.serve(&mut imap) {
            rest = &rest[imap.feed(rest)..];
        }
        session.serve(&mut imap);
        output.append(imap.out());
        assert!(output.len() <= OUT_BYTES_MIN + OUT_PER_BYTE_MAX * fed, "{} bytes for {fed}", output.len());
        imap.rest();
    }
    output.append(imap.out());
    check_lines(&output);
    output
}

struct Session<'a> {
    script: Script<'a>,
    append: Option<Append>,
}

/// An APPEND under way.
#[derive(Default)]
struct Append {
    replaces: bool,
    messages: usize,
    /// Parts of the last message.
    parts: usize,
    /// Bytes that the last part still owes.
    left: u64,
}

impl Session<'_> {
    /// Does what the machine wants; false when the connection is over.
    fn serve(&mut self, imap: &mut Imap) -> bool {
        loop {
            match imap.next() {
                Step::More => return true,
                Step::Close(_) => return false,
                Step::StartTls => imap.tls_started(true),
                Step::StartDeflate => imap.deflate_started(),
                Step::Ask(request) => {
                    check_state(imap, &request);
                    check_request(&request);
                    let reply = self.reply(&request);
                    imap.answer(reply);
                }
            }
        }
    }

    fn reply(&mut self, request: &Request) -> Reply {
        self.follow_append(request);
        // How a message is cut into chunks may depend on the input's cuts, so chunks take no turn in the script.
        let choice = if matches!(request, Request::AppendChunk(_)) { 0 } else { self.script.next() % 16 };
        let reply = match choice {
            15 => Reply::Bye { text: "enough".into() },
            14 => Reply::bad("not so"),
            13 => Reply::no(skein_base::Class::Missing, "not there"),
            _ => good(request, choice),
        };
        if matches!(reply, Reply::No { .. } | Reply::Bad { .. }) {
            self.append = None;
        }
        reply
    }

    /// Holds the questions of an APPEND against their order.
    fn follow_append(&mut self, request: &Request) {
        if let Request::AppendBegin(AppendTo { replaces, .. }) = request {
            let append = Append { replaces: replaces.is_some(), ..Append::default() };
            assert!(self.append.replace(append).is_none(), "a message in a message");
            return;
        }
        let Some(append) = &mut self.append else {
            assert!(!is_append(request), "{request:?} of no APPEND");
            return;
        };
        match request {
            Request::AppendChunk(chunk) => {
                assert!((1..=APPEND_CHUNK_BYTES).contains(&chunk.len()));
                append.left = append.left.checked_sub(chunk.len() as u64).expect("more than was said");
                return;
            }
            Request::AppendAbort => {
                self.append = None;
                return;
            }
            _ => assert_eq!(append.left, 0, "{request:?} in a literal"),
        }
        match request {
            Request::AppendMessage { .. } => {
                assert!(append.messages == 0 || (append.parts > 0 && !append.replaces));
                append.messages += 1;
                append.parts = 0;
                assert!(append.messages <= APPEND_MESSAGES_MAX);
            }
            Request::AppendUrl(_) => append.parts += 1,
            Request::AppendLiteral { size, .. } => {
                append.parts += 1;
                append.left = *size;
            }
            Request::AppendEnd => {
                assert!(append.messages > 0 && append.parts > 0);
                self.append = None;
            }
            _ => panic!("{request:?} in an APPEND"),
        }
    }
}

fn is_append(request: &Request) -> bool {
    matches!(
        request,
        Request::AppendMessage { .. }
            | Request::AppendUrl(_)
            | Request::AppendLiteral { .. }
            | Request::AppendChunk(_)
            | Request::AppendEnd
            | Request::AppendAbort
    )
}

/// The reply that the request names.
fn good(request: &Request, choice: u8) -> Reply {
    let number = u32::from(choice) + 1;
    match request {
        Request::Login { .. } if choice & 7 == 7 => {
            Reply::Referred { url: server_url("user@example.org", "host", None), text: None }
        }
        Request::Login { .. } => Reply::LoggedIn { user: "user@example.org".to_string() },
        Request::Sasl(Question::Keys { user, hash, .. }) => {
            let keys = ScramKeys::decoy(*hash, &[choice; 32], user, number, 16);
            Reply::Keys(Box::new(ScramAnswer { keys, nonce: [choice; 18] }))
        }
        Request::Sasl(_) => Reply::LoggedIn { user: "user@example.org".to_string() },
        Request::Select { mode, .. } => Reply::Selected(Box::new(SelectedInfo {
            keywords: vec!["$Forwarded".to_string()],
            permanent: Flags::ALL,
            exists: number,
            uid_validity: 7,
            uid_next: number + 1,
            highest_modseq: 9,
            read_only: *mode == skein_proto::imap::Mode::ReadOnly,
            ..SelectedInfo::default()
        })),
        Request::Status { .. } => {
            Reply::Status(StatusInfo { messages: number, highest_modseq: 1, ..StatusInfo::default() })
        }
        Request::AppendUrl(url) if choice & 3 == 3 => {
            Reply::No { code: Some(Code::BadUrl(url.text.clone())), text: "not there".into() }
        }
        Request::AppendBegin(_) | Request::AppendMessage { .. } | Request::AppendUrl(_) => Reply::Continue,
        Request::AppendLiteral { .. } | Request::AppendChunk(_) | Request::Idle => Reply::Continue,
        Request::AppendEnd => Reply::DoneCode(Code::AppendUid { validity: UidValidity(7), uids: IdSet::one(number) }),
        Request::Copy { .. } | Request::Move { .. } if choice & 1 == 0 => Reply::DoneCode(Code::CopyUid {
            validity: UidValidity(7),
            from: IdSet::one(number),
            to: IdSet::one(number),
        }),
        Request::Fetch { .. } | Request::Search { .. } | Request::Move { .. } | Request::Store { .. }
            if choice & 7 == 7 =>
        {
            Reply::DoneCode(Code::MessageLimit { limit: 1000, lowest: Some(Uid(number)) })
        }
        Request::Store { .. } if choice & 1 == 0 => Reply::DoneCode(Code::Modified(IdSet::one(number))),
        Request::Expunge { .. } if choice & 1 == 0 => Reply::DoneCode(Code::HighestModSeq(ModSeq(9))),
        _ => Reply::Done,
    }
}

/// RFC 3501 §3: what may be asked when.
fn check_state(imap: &Imap, request: &Request) {
    match request {
        Request::Login { .. } | Request::Sasl(_) => assert!(!imap.logged_in()),
        Request::Logout => {}
        Request::Unselect
        | Request::Close
        | Request::Fetch { .. }
        | Request::Store { .. }
        | Request::Search { .. }
        | Request::Sort { .. }
        | Request::Thread { .. }
        | Request::CancelUpdate { .. }
        | Request::UidBatches { .. }
        | Request::Copy { .. }
        | Request::Move { .. }
        | Request::Expunge { .. } => assert!(imap.selected(), "{request:?} without a mailbox"),
        _ => assert!(imap.logged_in(), "{request:?} before login"),
    }
    let by_number = match request {
        Request::Fetch { uid, .. } | Request::Store { uid, .. } | Request::Copy { uid, .. } => !uid,
        Request::Search { uid, .. } | Request::Sort { uid, .. } | Request::Thread { uid, .. } => !uid,
        Request::Move { uid, .. } => !uid,
        _ => false,
    };
    assert!(!by_number || !imap.uid_only(), "{request:?} after ENABLE UIDONLY");
}

/// What [`Request`] says of its fields.
fn check_request(request: &Request) {
    match request {
        Request::AppendBegin(AppendTo { replaces: Some(replaced), .. }) => check_set(&replaced.set),
        Request::AppendMessage { flags, .. } => check_flags(flags),
        Request::AppendLiteral { size, .. } => assert!(*size <= MESSAGE_BYTES_MAX),
        Request::AppendUrl(url) => check_url(url),
        Request::Store { flags, set, .. } => {
            check_flags(flags);
            check_set(set);
        }
        Request::Fetch { set, items, .. } => {
            check_set(set);
            assert!(!items.list.is_empty());
            for (i, item) in items.list.iter().enumerate() {
                assert!(!items.list[..i].contains(item), "{item:?} twice");
                if let FetchItem::Section(section) = item {
                    check_section(section);
                }
            }
        }
        Request::Search { key, .. }
        | Request::Sort { key, .. }
        | Request::Thread { key, .. }
        | Request::MultiSearch { key, .. } => {
            let mut keys = 0;
            check_key(key, 0, &mut keys);
            assert!(keys <= SEARCH_KEYS_MAX);
        }
        Request::UidBatches { tag, size, batches } => {
            assert!(!tag.is_empty() && *size >= UID_BATCH_MESSAGES_MIN);
            assert!(batches.is_none_or(|(first, last)| {
                (1..=last).contains(&first)
                    && u64::from(last - first + 1) * u64::from(*size) <= UID_BATCHES_MESSAGES_MAX
            }));
        }
        Request::Copy { set, .. } | Request::Move { set, .. } | Request::Expunge { uids: Some(set) } => check_set(set),
        _ => {}
    }
}

fn check_flags(flags: &FlagList) {
    for (i, name) in flags.keywords.iter().enumerate() {
        assert!((1..=KEYWORD_BYTES_MAX).contains(&name.len()) && name.bytes().all(|b| b.is_ascii_graphic()));
        assert!(!flags.keywords[..i].iter().any(|other| other.eq_ignore_ascii_case(name)), "{name} twice");
    }
}

/// A URL is what its text says, and names its message by numbers that can be.
fn check_url(url: &ImapUrl) {
    assert_eq!(ImapUrl::parse(&url.text).as_ref(), Ok(url));
    assert!(url.uid != Some(0) && url.validity != Some(0));
    check_section(&url.section);
}

fn check_section(section: &BodySection) {
    assert!(!section.path.contains(&0));
    assert!(section.partial.is_none_or(|partial| partial.bytes > 0));
    match &section.text {
        SectionText::Mime => assert!(!section.path.is_empty()),
        SectionText::HeaderFields(names) | SectionText::HeaderFieldsNot(names) => {
            assert!(names.iter().all(|n| n.bytes().all(|b| b.is_ascii_graphic() && b != b':')), "{names:?}");
        }
        _ => {}
    }
}

fn check_key(key: &SearchKey, depth: usize, keys: &mut usize) {
    *keys += 1;
    // An And around the list and the one that a shorthand is spelled out to stand beside those that the client nested.
    assert!(depth <= COMMAND_DEPTH_MAX + 2);
    match key {
        SearchKey::Set(set) | SearchKey::Uid(set) => check_set(set),
        SearchKey::UidAfter(uid) | SearchKey::UidBefore(uid) => assert!(*uid > 0),
        SearchKey::Compared(collation, key) => {
            assert!(*keys == 1 && *collation != Collation::default(), "around all keys, where it says another thing");
            *keys -= 1;
            check_key(key, depth, keys);
            assert!(!matches!(**key, SearchKey::Compared(..)));
        }
        SearchKey::Not(key) => check_key(key, depth + 1, keys),
        SearchKey::Or(a, b) => [a, b].into_iter().for_each(|key| check_key(key, depth + 1, keys)),
        SearchKey::And(all) => all.iter().for_each(|key| check_key(key, depth + 1, keys)),
        _ => {}
    }
}

/// Sets of messages: what is printed is what was read, and who is meant is who a simpler reader finds.
pub fn sets(data: &[u8]) {
    let Some(set) = read_set(data) else { return };
    check_set(&set);
    if set.is_saved() {
        return;
    }
    let mut printed = Vec::new();
    set.write_to(&mut printed);
    assert_eq!(read_set(&printed), Some(set.clone()), "{}", printed.escape_ascii());
    let text = std::str::from_utf8(&printed).expect("digits and punctuation");
    for largest in [0, 1, 7, u32::MAX] {
        let end = |word: &str| if word == "*" { largest } else { word.parse().expect("a number") };
        let ranges: Vec<(u32, u32)> = text
            .split(',')
            .map(|range| range.split_once(':').unwrap_or((range, range)))
            .map(|(a, b)| (end(a), end(b)))
            .filter(|&(a, b)| a != 0 && b != 0)
            .map(|(a, b)| (a.min(b), a.max(b)))
            .collect();
        let meant = set.resolve(largest);
        let edges = ranges.iter().flat_map(|&(a, b)| [a - 1, a, b, b.saturating_add(1)]);
        for n in edges.chain([0, 1, largest, u32::MAX]) {
            assert_eq!(meant.contains(n), ranges.iter().any(|&(a, b)| a <= n && n <= b), "{n} of {text} in {largest}");
        }
    }
}

/// The set in a command of its own; `None` when the machine takes it for something else.
fn read_set(text: &[u8]) -> Option<SeqSet> {
    let mut imap = Imap::new(Arc::new(ImapConfig::default()), true);
    for (command, reply) in [
        (&b"a LOGIN u p\r\n"[..], Reply::LoggedIn { user: "u".to_string() }),
        (b"b SELECT INBOX\r\n", Reply::Selected(Box::default())),
    ] {
        imap.feed(command);
        assert!(matches!(imap.next(), Step::Ask(_)));
        imap.answer(reply);
        assert!(matches!(imap.next(), Step::More));
    }
    let line = [b"c COPY ", text, b" box\r\n"].concat();
    imap.feed(&line);
    match imap.next() {
        Step::Ask(Request::Copy { set, .. }) => Some(set),
        _ => None,
    }
}

/// Ranges as the grammar has them, each number known.
fn check_set(set: &SeqSet) {
    let mut printed = Vec::new();
    set.write_to(&mut printed);
    // What a search saved has one sign and no numbers (RFC 5182 §2.1).
    if set.is_saved() {
        return assert_eq!(printed, b"$");
    }
    assert!(!printed.is_empty() && printed.iter().all(|b| matches!(b, b'0'..=b'9' | b'*' | b':' | b',')));
    assert_eq!(set.has_star(), printed.contains(&b'*'));
}
