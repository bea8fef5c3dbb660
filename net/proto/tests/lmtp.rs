//! The LMTP machine: dialogs from files, at every split of the input; limits, deadlines and stopping.
//!
//! A dialog file, line by line: `C:` what the client says (CRLF is added; `c:` adds none), `S:` what the server says, `?:` what is
//! asked, `!:` the answer to it, `#` a comment, `set:` a setting, before all else. `\r \n \0 \\ \xNN` stand for bytes.

use skein_base::Class;
use skein_base::limits::{BODY_CHUNK_BYTES, LMTP_LINE_BYTES_MAX};
use skein_proto::lmtp::{Close, Lmtp, Refusal, Reply, Request, RequestId, Settings, Step};

fn settings() -> Settings {
    Settings {
        hostname: "mx.test".into(),
        message_bytes_max: 1000,
        recipients_max: 3,
        idle_ms_max: 300_000,
        starttls: true,
        trusts: false,
    }
}

/// One line of a dialog after its settings.
enum Line {
    Client(Vec<u8>),
    Server(String),
    Asked(String),
    Answer(Reply),
}

struct Dialog {
    settings: Settings,
    lines: Vec<Line>,
}

impl Dialog {
    fn read(text: &str) -> Dialog {
        let mut dialog = Dialog { settings: settings(), lines: Vec::new() };
        for line in text.lines().filter(|line| !line.trim().is_empty() && !line.starts_with('#')) {
            let (kind, rest) = line.split_once(':').unwrap_or_else(|| panic!("no kind: {line}"));
            let rest = rest.strip_prefix(' ').unwrap_or(rest);
            match kind {
                "C" => dialog.lines.push(Line::Client([unescape(rest), b"\r\n".to_vec()].concat())),
                "c" => dialog.lines.push(Line::Client(unescape(rest))),
                "S" => dialog.lines.push(Line::Server(rest.to_owned())),
                "?" => dialog.lines.push(Line::Asked(rest.to_owned())),
                "!" => dialog.lines.push(Line::Answer(read_reply(rest))),
                "set" => dialog.set(rest),
                _ => panic!("no such kind: {line}"),
            }
        }
        dialog
    }

    fn set(&mut self, text: &str) {
        let (name, value) = text.split_once('=').expect("name=value");
        match name {
            "message_bytes_max" => self.settings.message_bytes_max = value.parse().unwrap(),
            "trusts" => self.settings.trusts = value.parse().unwrap(),
            "recipients_max" => self.settings.recipients_max = value.parse().unwrap(),
            _ => panic!("no such setting: {name}"),
        }
    }

    /// What the server says and asks, in order.
    fn expected(&self) -> Vec<String> {
        let line = |line: &Line| match line {
            Line::Server(text) => Some(format!("S: {text}")),
            Line::Asked(text) => Some(format!("?: {text}")),
            _ => None,
        };
        self.lines.iter().filter_map(line).collect()
    }

    /// Each of the client's lines alone, answers as they stand: the order of everything is checked.
    fn play_in_lockstep(&self) {
        let mut peer = Peer::new(&self.settings, Vec::new());
        let mut expect = Vec::new();
        for line in &self.lines {
            match line {
                Line::Server(text) => expect.push(format!("S: {text}")),
                Line::Asked(text) => expect.push(format!("?: {text}")),
                Line::Answer(reply) => peer.answers.insert(0, reply.clone()),
                Line::Client(_) => {}
            }
            let input = if let Line::Client(bytes) = line { bytes.as_slice() } else { b"" };
            peer.feed(input);
            if matches!(line, Line::Client(_)) {
                // All that was expected before the client spoke must be there, and nothing of what comes after.
                assert!(peer.heard.starts_with(&expect), "{:#?}\n{expect:#?}", peer.heard);
            }
        }
        assert_eq!(peer.heard, expect);
    }

    /// All of the client's bytes at once, cut into pieces of `size`: said and asked must be the same, each in its order.
    fn play_pipelined(&self, size: usize) {
        let answers = self
            .lines
            .iter()
            .rev()
            .filter_map(|line| if let Line::Answer(reply) = line { Some(reply.clone()) } else { None });
        let mut peer = Peer::new(&self.settings, answers.collect());
        let client =
            self.lines.iter().filter_map(|line| if let Line::Client(bytes) = line { Some(&bytes[..]) } else { None });
        let input: Vec<u8> = client.collect::<Vec<_>>().concat();
        input.chunks(size).for_each(|piece| peer.feed(piece));
        assert_eq!(peer.heard, self.expected(), "in pieces of {size}");
    }
}

/// A pump without a socket.
struct Peer {
    lmtp: Lmtp,
    /// Answers to come, the next one last.
    answers: Vec<Reply>,
    open: Option<RequestId>,
    unread: Vec<u8>,
    heard: Vec<String>,
    closed: Option<Close>,
}

impl Peer {
    fn new(settings: &Settings, answers: Vec<Reply>) -> Peer {
        Peer {
            lmtp: Lmtp::new(settings.clone(), false),
            answers,
            open: None,
            unread: Vec::new(),
            heard: Vec::new(),
            closed: None,
        }
    }

    fn feed(&mut self, input: &[u8]) {
        self.unread.extend_from_slice(input);
        loop {
            let used = self.lmtp.feed(&self.unread, 0);
            self.unread.drain(..used);
            let stuck = self.step();
            self.hear();
            if stuck && (used == 0 || self.unread.is_empty()) {
                return;
            }
        }
    }

    /// One step; true when it needs something that is not there.
    fn step(&mut self) -> bool {
        match self.lmtp.next() {
            Step::Ask(id, request) => {
                self.hear();
                self.heard.push(format!("?: {}", write_request(&request)));
                self.open = Some(id);
                false
            }
            Step::Wait => match self.answers.pop() {
                Some(reply) => {
                    self.lmtp.answer(self.open.expect("a question"), reply);
                    false
                }
                None => true,
            },
            Step::More => true,
            Step::StartTls => {
                self.hear();
                self.heard.push("?: StartTls".to_owned());
                self.unread.clear();
                self.lmtp.tls_started();
                false
            }
            Step::Close(why) => {
                self.closed = Some(why);
                self.unread.clear();
                true
            }
        }
    }

    fn hear(&mut self) {
        let out = String::from_utf8(std::mem::take(self.lmtp.out())).expect("replies are UTF-8");
        assert!(out.is_empty() || out.ends_with("\r\n"));
        self.heard.extend(out.split_terminator("\r\n").map(|line| format!("S: {line}")));
    }
}

fn write_request(request: &Request) -> String {
    match request {
        Request::Sender { client, sender, size, body, utf8 } => {
            let sender = sender.as_ref().map(ToString::to_string).unwrap_or_default();
            format!("Sender {client} <{sender}> {size} {body:?}{}", if *utf8 { " SMTPUTF8" } else { "" })
        }
        Request::Forwarded(told) => format!("Forwarded {:?} {:?} {:?}", told.address, told.client, told.session),
        Request::Recipient { address, fields } if fields.is_empty() => format!("Recipient <{address}>"),
        Request::Recipient { address, fields } => format!("Recipient <{address}> {fields:?}"),
        Request::Chunk(bytes) => format!("Chunk {}", bytes.escape_ascii()),
        Request::End { bytes } => format!("End {bytes}"),
        Request::Abort => "Abort".to_owned(),
    }
}

/// `Accept`, `Refuse Quota text`, or `Outcomes saved, Quota text, ...`.
fn read_reply(text: &str) -> Reply {
    let (kind, rest) = text.split_once(' ').unwrap_or((text, ""));
    match kind {
        "Accept" => Reply::Accept,
        "Refuse" => Reply::Refuse(read_refusal(rest)),
        "Outcomes" => Reply::Outcomes(
            rest.split(", ").map(|one| if one == "saved" { Ok(()) } else { Err(read_refusal(one)) }).collect(),
        ),
        _ => panic!("no such reply: {text}"),
    }
}

fn read_refusal(text: &str) -> Refusal {
    let (class, text) = text.split_once(' ').expect("class and text");
    let class = match class {
        "Missing" => Class::Missing,
        "Quota" => Class::Quota,
        "Unavailable" => Class::Unavailable,
        "Full" => Class::Full,
        "Denied" => Class::Denied,
        _ => panic!("no such class: {class}"),
    };
    Refusal { class, text: text.to_owned() }
}

fn unescape(text: &str) -> Vec<u8> {
    let (mut bytes, mut chars) = (Vec::new(), text.bytes());
    while let Some(byte) = chars.next() {
        if byte != b'\\' {
            bytes.push(byte);
            continue;
        }
        match chars.next().expect("something after \\") {
            b'r' => bytes.push(b'\r'),
            b'n' => bytes.push(b'\n'),
            b'0' => bytes.push(0),
            b'\\' => bytes.push(b'\\'),
            b'x' => {
                let digits = [chars.next().unwrap(), chars.next().unwrap()];
                bytes.push(u8::from_str_radix(std::str::from_utf8(&digits).unwrap(), 16).unwrap());
            }
            other => panic!("\\{}", char::from(other)),
        }
    }
    bytes
}

#[test]
fn dialogs_at_every_split() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/testdata/lmtp");
    let mut files: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    assert!(files.len() >= 8, "{files:?}");
    for file in files {
        println!("{}", file.display());
        let dialog = Dialog::read(&std::fs::read_to_string(&file).unwrap());
        dialog.play_in_lockstep();
        [1, 2, 3, 5, 7, 11, 64, 100_000].into_iter().for_each(|size| dialog.play_pipelined(size));
    }
}

const BEGUN: &str = "LHLO c\r\nMAIL FROM:<a@b>\r\nRCPT TO:<x@y>\r\nDATA\r\n";

/// A peer whose questions are all accepted, up to End for one recipient.
fn agreeable(settings: &Settings, chunks: usize) -> Peer {
    let mut answers = vec![Reply::Outcomes(vec![Ok(())])];
    answers.extend(vec![Reply::Accept; 2 + chunks]);
    Peer::new(settings, answers)
}

fn heard(peer: &Peer, needle: &str) -> usize {
    peer.heard.iter().filter(|line| line.contains(needle)).count()
}

#[test]
fn lines_end_at_their_limit() {
    for (length, expect) in
        [(LMTP_LINE_BYTES_MAX, "S: 250 2.0.0 OK"), (LMTP_LINE_BYTES_MAX + 1, "S: 500 5.5.2 Line too long")]
    {
        let line = format!("NOOP {}\r\n", "x".repeat(length - 7));
        assert_eq!(line.len(), length);
        for size in [1, 100, length - 1, length, length + 1] {
            let mut peer = Peer::new(&settings(), Vec::new());
            line.as_bytes().chunks(size).for_each(|piece| peer.feed(piece));
            peer.feed(b"NOOP\r\n");
            assert_eq!(peer.heard[1..], [expect, "S: 250 2.0.0 OK"], "{length} in pieces of {size}");
        }
    }
}

#[test]
fn chunks_are_bounded_whatever_comes() {
    let settings = Settings { message_bytes_max: 1 << 30, ..settings() };
    for text in ["x".repeat(3 << 20), "\n".repeat(3 << 20), "..\r\n".repeat(1 << 18), "\r\n.x".repeat(1 << 18)] {
        let mut lmtp = Lmtp::new(settings.clone(), false);
        let input = format!("{BEGUN}{text}\r\n.\r\n");
        let (mut used, mut bytes, mut chunks) = (0, 0, 0);
        let total = loop {
            used += lmtp.feed(&input.as_bytes()[used..], 0);
            let Step::Ask(id, request) = lmtp.next() else { continue };
            if let Request::Chunk(chunk) = &request {
                assert!(!chunk.is_empty() && chunk.len() <= BODY_CHUNK_BYTES);
                bytes += chunk.len() as u64;
                chunks += 1;
            }
            if let Request::End { bytes } = request {
                break bytes;
            }
            lmtp.answer(id, Reply::Accept);
        };
        assert_eq!((used, bytes), (input.len(), total));
        assert!(chunks as u64 <= 2 + 2 * bytes / (BODY_CHUNK_BYTES / 2) as u64);
    }
}

#[test]
fn a_message_of_the_limit_fits_and_one_byte_more_does_not() {
    for (length, saved, aborted) in [(1000, 1, 0), (1001, 0, 1)] {
        let mut peer = agreeable(&settings(), 1);
        peer.feed(format!("{BEGUN}{}\r\n.\r\n", "x".repeat(length - 2)).as_bytes());
        assert_eq!((heard(&peer, "Saved"), heard(&peer, "?: Abort")), (saved, aborted), "{:#?}", peer.heard);
    }
}

/// A message far over the limit costs no memory: what is swallowed is not kept.
#[test]
fn swallowing_keeps_nothing() {
    let mut peer = agreeable(&settings(), 1);
    peer.feed(BEGUN.as_bytes());
    (0..1000).for_each(|_| peer.feed(&[b'x'; 10_000]));
    peer.feed(b"\r\n.\r\nNOOP\r\n");
    assert_eq!(heard(&peer, "?: Chunk"), 0);
    assert_eq!(peer.heard[peer.heard.len() - 2..], ["S: 552 5.3.4 <x@y> Message too big", "S: 250 2.0.0 OK"]);
}

#[test]
fn nonsense_ends_the_connection() {
    let mut peer = Peer::new(&settings(), Vec::new());
    peer.feed("GET / HTTP/1.1\r\n".repeat(30).as_bytes());
    assert_eq!((heard(&peer, "500 5.5.1"), heard(&peer, "421 4.7.0"), peer.closed), (20, 1, Some(Close::Errors)));
}

/// What came with STARTTLS in the clear is dropped and what was said before is forgotten, at every split.
#[test]
fn tls_forgets_what_was_said_in_the_clear() {
    let input = b"LHLO c\r\nMAIL FROM:<>\r\nSTARTTLS\r\nRSET\r\n";
    for cut in 0..input.len() - b"RSET\r\n".len() {
        let mut peer = agreeable(&settings(), 0);
        peer.feed(&input[..cut]);
        peer.feed(&input[cut..]);
        assert_eq!(peer.heard[peer.heard.len() - 2..], ["S: 220 2.0.0 Begin TLS", "?: StartTls"], "{:#?}", peer.heard);
        peer.feed(b"MAIL FROM:<>\r\nLHLO c\r\nSTARTTLS\r\nDATA\r\n");
        assert_eq!((heard(&peer, "S: 503 5.5.1 LHLO first"), heard(&peer, "S: 503 5.5.1 TLS is on")), (1, 1));
        assert_eq!((heard(&peer, "S: 250-STARTTLS"), heard(&peer, "S: 503 5.5.1 MAIL first")), (1, 1));
    }
    let mut none = Peer::new(&Settings { starttls: false, ..settings() }, Vec::new());
    none.feed(b"LHLO c\r\nSTARTTLS\r\n");
    assert_eq!((heard(&none, "STARTTLS"), heard(&none, "503 5.5.1 TLS")), (0, 1));
}

#[test]
fn silence_ends_the_connection_but_waiting_for_us_does_not() {
    let mut lmtp = Lmtp::new(settings(), false);
    assert_eq!(lmtp.tick(5), Some(300_005));
    lmtp.feed(b"LHLO c\r\nMAIL FROM:<>\r\n", 1000);
    let Step::Ask(id, _) = lmtp.next() else { panic!("a question") };
    assert_eq!(lmtp.tick(900_000), None);
    lmtp.answer(id, Reply::Accept);
    assert_eq!(lmtp.tick(900_000), Some(1_200_000));
    assert_eq!(lmtp.tick(1_199_999), Some(1_200_000));
    assert_eq!(lmtp.tick(1_200_000), None);
    assert_eq!(lmtp.next(), Step::Close(Close::Idle));
    assert!(lmtp.out().ends_with(b"421 4.4.2 Idle for too long\r\n"));
    assert_eq!(lmtp.feed(b"NOOP\r\n", 1_200_001), 0);
}

#[test]
fn stopping_waits_for_the_message_under_way() {
    let mut idle = Peer::new(&settings(), Vec::new());
    idle.feed(b"LHLO c\r\n");
    idle.lmtp.stop();
    idle.feed(b"");
    assert_eq!((idle.closed, heard(&idle, "421 4.3.2")), (Some(Close::Stopping), 1));

    let mut busy = agreeable(&settings(), 1);
    busy.feed(BEGUN.as_bytes());
    busy.lmtp.stop();
    busy.feed(b"text\r\n");
    assert_eq!(busy.closed, None);
    busy.feed(b".\r\nMAIL FROM:<>\r\n");
    assert_eq!((busy.closed, heard(&busy, "421 4.3.2"), heard(&busy, "Saved")), (Some(Close::Stopping), 1, 1));
}

/// Replies nobody reads are bounded: the machine stops taking commands until they are written.
#[test]
fn unread_replies_hold_the_input_back() {
    let mut lmtp = Lmtp::new(settings(), false);
    let input = "NOOP\r\n".repeat(100_000);
    let mut used = lmtp.feed(input.as_bytes(), 0);
    assert!(used < input.len() && lmtp.out().len() < 70_000);
    lmtp.out().clear();
    let more = lmtp.feed(&input.as_bytes()[used..], 0);
    used += more;
    assert!(more > 0 && used < input.len());
}

/// Real messages, stuffed as a client does it, come out byte for byte but for line ends, in pieces of any size.
#[test]
fn sample_mail_survives() {
    let folder = std::env::var("SKEIN_FIXTURES")
        .unwrap_or_else(|_| concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/fixtures").into());
    let mut files = Vec::new();
    find_mail(std::path::Path::new(&folder), &mut files);
    if files.is_empty() {
        println!("skipped: no sample mail in {folder}");
    }
    for (index, file) in files.iter().enumerate() {
        let mail = std::fs::read(file).unwrap();
        let expect = with_crlf(&mail);
        let input = [BEGUN.as_bytes(), &stuffed(&expect), b".\r\n"].concat();
        let size = [1, 13, 1460, 65_536][index % 4];
        assert!(receive(&input, size) == expect, "{} in pieces of {size}", file.display());
    }
}

fn find_mail(folder: &std::path::Path, files: &mut Vec<std::path::PathBuf>) {
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            find_mail(&path, files);
        } else if path.extension().is_some_and(|extension| extension == "eml") {
            files.push(path);
        }
    }
}

/// Every LF that has no CR gets one, and the last line an end.
fn with_crlf(mail: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    for line in mail.split_inclusive(|&b| b == b'\n') {
        let text = line.strip_suffix(b"\n").unwrap_or(line);
        out.extend_from_slice(text.strip_suffix(b"\r").filter(|_| line.len() > text.len()).unwrap_or(text));
        out.extend_from_slice(b"\r\n");
    }
    out
}

fn stuffed(mail: &[u8]) -> Vec<u8> {
    let lines = mail.split_inclusive(|&b| b == b'\n');
    lines.flat_map(|line| [if line.starts_with(b".") { &b"."[..] } else { b"" }, line]).collect::<Vec<_>>().concat()
}

/// The text of the one message in `input`.
fn receive(input: &[u8], size: usize) -> Vec<u8> {
    let mut lmtp = Lmtp::new(Settings { message_bytes_max: 1 << 30, ..settings() }, false);
    let (mut used, mut text) = (0, Vec::new());
    loop {
        let end = input.len().min(used + size);
        used += lmtp.feed(&input[used..end], 0);
        while let Step::Ask(id, request) = lmtp.next() {
            match request {
                Request::Chunk(chunk) => text.extend_from_slice(&chunk),
                Request::End { bytes } => {
                    assert_eq!((bytes, used), (text.len() as u64, input.len()));
                    return text;
                }
                _ => {}
            }
            lmtp.answer(id, Reply::Accept);
        }
    }
}
