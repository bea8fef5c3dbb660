//! What the kernel alone costs: a server that parses next to nothing, keeps nothing and answers with what it was given, in one thread. No server
//! can do a scenario with less on this machine, so a target below it is out of reach for all.
//!
//! ```text
//! wait ─▶ all that is ready: recv, find the ends, answers ─▶ one write and one fdatasync for all mail of this round ─▶ send ─▶ wait
//! ```

use std::collections::{BTreeMap, VecDeque};
use std::fs::{self, File};
use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::Args;
use rustix::buffer::spare_capacity;
use rustix::event::epoll::{self, CreateFlags, Event, EventData, EventFlags};

/// Events taken from the kernel at once.
const EVENTS: usize = 256;
/// Bytes read at once.
const BLOCK_BYTES: usize = 64 * 1024;
/// Connections, and bytes of one command or message.
const CONNECTIONS_MAX: usize = 4096;
const INPUT_BYTES_MAX: usize = 64 << 20;
/// The first entries are the listeners.
const IMAP: u64 = 0;
const LMTP: u64 = 1;
const FIRST: u64 = 2;

const GREETING: &[u8] = b"* OK [CAPABILITY IMAP4rev1 LITERAL+ MULTIAPPEND] Ready.\r\n";
const SELECTED: &str = "* FLAGS (\\Answered \\Flagged \\Deleted \\Seen \\Draft)\r\n* OK [PERMANENTFLAGS (\\Answered \\Flagged \\Deleted \\Seen \\Draft \\*)] Kept.\r\n\
     * OK [UIDVALIDITY 1767225600] Valid.\r\n* OK [UIDNEXT 1000000] Next.\r\n* OK [HIGHESTMODSEQ 1000000] Highest.\r\n";

/// Where it listens, what it answers.
#[derive(Args, Debug)]
pub struct Options {
    /// IMAP.
    #[arg(long)]
    imap: SocketAddr,
    /// LMTP.
    #[arg(long)]
    lmtp: SocketAddr,
    /// Where mail is written, to be forgotten.
    #[arg(long)]
    data: PathBuf,
    /// Lines of a command, ` => ` and the answer for each message `{n}`, as `FETCH FLAGS => * {n} FETCH (FLAGS ())`;
    /// `\r\n` in it is a line end. Before them `messages => ` and how many.
    #[arg(long)]
    answers: PathBuf,
}

/// Serves until it is killed.
///
/// # Errors
/// Of its files and listeners.
pub fn run(options: &Options) -> Result<(), String> {
    let mut floor = Floor::new(options).map_err(|e| e.to_string())?;
    loop {
        floor.round().map_err(|e| e.to_string())?;
    }
}

struct Floor {
    epoll: OwnedFd,
    imap: TcpListener,
    lmtp: TcpListener,
    file: File,
    answers: Answers,
    peers: Vec<Option<Peer>>,
    free: Vec<usize>,
    /// Mail of this round, and who waits for it.
    mail: Vec<u8>,
    waiting: Vec<usize>,
    block: Box<[u8]>,
    events: Vec<Event>,
}

/// A connection.
struct Peer {
    stream: TcpStream,
    machine: Machine,
    input: Vec<u8>,
    output: Output,
    /// It has said its last.
    ends: bool,
}

enum Machine {
    Imap { literal: usize, tag: Option<String>, appends: bool },
    Lmtp { data: bool },
}

#[derive(Default)]
struct Output {
    pieces: VecDeque<Piece>,
    /// Of the first.
    sent: usize,
}

/// Large answers are sent from where they are.
enum Piece {
    Own(Vec<u8>),
    Kept(Arc<[u8]>),
}

impl Piece {
    fn bytes(&self) -> &[u8] {
        match self {
            Piece::Own(bytes) => bytes,
            Piece::Kept(bytes) => bytes,
        }
    }
}

/// What is answered for each message, by command.
struct Answers(BTreeMap<String, Arc<[u8]>>);

impl Answers {
    /// Made once: to render is the server's work, not the kernel's.
    fn read(path: &Path) -> io::Result<Answers> {
        let (text, mut messages) = (fs::read_to_string(path)?, 0);
        let mut answers = BTreeMap::new();
        for (command, line) in text.lines().filter_map(|line| line.split_once(" => ")) {
            if command == "messages" {
                messages = line.parse().map_err(|_| io::Error::other("messages => a number"))?;
                continue;
            }
            let all =
                (1..=messages).map(|n: usize| line.replace("{n}", &n.to_string()).replace("\\r\\n", "\r\n") + "\r\n");
            answers.insert(command.to_owned(), all.collect::<String>().into_bytes().into());
        }
        Ok(Answers(answers))
    }

    /// The answer to `FETCH 1:* FLAGS` is that of `FETCH FLAGS`.
    fn find(&self, verb: &str, rest: &str) -> Option<Arc<[u8]>> {
        let (_, items) = rest.split_once(' ')?;
        self.0.get(&format!("{verb} {items}")).cloned()
    }
}

impl Floor {
    fn new(options: &Options) -> io::Result<Floor> {
        let epoll = epoll::create(CreateFlags::CLOEXEC)?;
        let (imap, lmtp) = (TcpListener::bind(options.imap)?, TcpListener::bind(options.lmtp)?);
        for (listener, number) in [(&imap, IMAP), (&lmtp, LMTP)] {
            listener.set_nonblocking(true)?;
            epoll::add(&epoll, listener, EventData::new_u64(number), EventFlags::IN)?;
        }
        fs::create_dir_all(&options.data)?;
        Ok(Floor {
            epoll,
            imap,
            lmtp,
            file: File::create(options.data.join("mail"))?,
            answers: Answers::read(&options.answers)?,
            peers: Vec::new(),
            free: Vec::new(),
            mail: Vec::new(),
            waiting: Vec::new(),
            block: vec![0; BLOCK_BYTES].into_boxed_slice(),
            events: Vec::with_capacity(EVENTS),
        })
    }

    /// All that is ready now, then what waits for the disk.
    fn round(&mut self) -> io::Result<()> {
        let mut events = std::mem::take(&mut self.events);
        events.clear();
        epoll::wait(&self.epoll, spare_capacity(&mut events), None)?;
        for event in &events {
            match event.data.u64() {
                number @ (IMAP | LMTP) => self.accept(number)?,
                number => self.turn((number - FIRST) as usize),
            }
        }
        self.events = events;
        if !self.waiting.is_empty() {
            self.file.write_all(&self.mail)?;
            self.file.sync_data()?;
            self.mail.clear();
            for at in std::mem::take(&mut self.waiting) {
                self.send(at);
            }
        }
        Ok(())
    }

    fn accept(&mut self, number: u64) -> io::Result<()> {
        let listener = if number == IMAP { &self.imap } else { &self.lmtp };
        let (stream, _) = match listener.accept() {
            Ok(accepted) => accepted,
            Err(e) if e.kind() == ErrorKind::WouldBlock => return Ok(()),
            Err(e) => return Err(e),
        };
        let at = self.free.pop().unwrap_or(self.peers.len());
        if at == CONNECTIONS_MAX {
            return Ok(());
        }
        stream.set_nonblocking(true)?;
        stream.set_nodelay(true)?;
        let (machine, greeting) = match number {
            IMAP => (Machine::Imap { literal: 0, tag: None, appends: false }, GREETING),
            _ => (Machine::Lmtp { data: false }, &b"220 Ready\r\n"[..]),
        };
        let flags = EventFlags::IN | EventFlags::OUT | EventFlags::ET | EventFlags::RDHUP;
        epoll::add(&self.epoll, &stream, EventData::new_u64(at as u64 + FIRST), flags)?;
        let output = Output { pieces: [Piece::Own(greeting.to_vec())].into(), sent: 0 };
        let peer = Peer { stream, machine, input: Vec::new(), output, ends: false };
        if at == self.peers.len() {
            self.peers.push(None);
        }
        self.peers[at] = Some(peer);
        self.send(at);
        Ok(())
    }

    fn turn(&mut self, at: usize) {
        let Some(peer) = self.peers.get_mut(at).and_then(Option::as_mut) else { return };
        let mut waits = false;
        let gone = loop {
            match peer.stream.read(&mut self.block) {
                Ok(0) => break true,
                Ok(n) => {
                    peer.input.extend_from_slice(&self.block[..n]);
                    waits |= peer.feed(&self.answers, &mut self.mail);
                    // Not full: there was no more.
                    if n < self.block.len() || peer.input.len() > INPUT_BYTES_MAX {
                        break peer.input.len() > INPUT_BYTES_MAX;
                    }
                }
                Err(e) => break e.kind() != ErrorKind::WouldBlock,
            }
        };
        match (gone, waits) {
            (true, _) => self.close(at),
            (false, true) => self.waiting.push(at),
            (false, false) => self.send(at),
        }
    }

    fn send(&mut self, at: usize) {
        let Some(peer) = self.peers.get_mut(at).and_then(Option::as_mut) else { return };
        let sent = peer.output.send(&mut peer.stream);
        if sent.is_err() || peer.ends && peer.output.pieces.is_empty() {
            self.close(at);
        }
    }

    fn close(&mut self, at: usize) {
        self.peers[at] = None;
        self.free.push(at);
    }
}

impl Output {
    fn say(&mut self, bytes: &[u8]) {
        match self.pieces.back_mut() {
            Some(Piece::Own(own)) => own.extend_from_slice(bytes),
            Some(Piece::Kept(_)) | None => self.pieces.push_back(Piece::Own(bytes.to_vec())),
        }
    }

    fn send(&mut self, stream: &mut TcpStream) -> io::Result<()> {
        while let Some(piece) = self.pieces.front() {
            match stream.write(&piece.bytes()[self.sent..]) {
                Ok(n) => self.sent += n,
                Err(e) if e.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(e) => return Err(e),
            }
            if self.sent == piece.bytes().len() {
                self.pieces.pop_front();
                self.sent = 0;
            }
        }
        Ok(())
    }
}

impl Peer {
    /// Takes what is whole; true when an answer waits for the disk.
    fn feed(&mut self, answers: &Answers, mail: &mut Vec<u8>) -> bool {
        let (mut at, mut waits) = (0, false);
        loop {
            if let Machine::Imap { literal, appends, .. } = &mut self.machine {
                let taken = (*literal).min(self.input.len() - at);
                if *appends {
                    mail.extend_from_slice(&self.input[at..at + taken]);
                }
                (*literal, at) = (*literal - taken, at + taken);
            }
            if matches!(self.machine, Machine::Lmtp { data: true }) {
                let Some(end) = memchr::memmem::find(&self.input[at..], b"\r\n.\r\n") else { break };
                mail.extend_from_slice(&self.input[at..at + end + 2]);
                at += end + 5;
                self.machine = Machine::Lmtp { data: false };
                self.output.say(b"250 2.0.0 Saved\r\n");
                waits = true;
            }
            let Some(end) = memchr::memchr(b'\n', &self.input[at..]) else { break };
            let line = String::from_utf8_lossy(&self.input[at..at + end]).trim_end().to_owned();
            at += end + 1;
            waits |= self.line(&line, answers);
        }
        self.input.drain(..at);
        waits
    }

    fn line(&mut self, line: &str, answers: &Answers) -> bool {
        let out = &mut self.output;
        match &mut self.machine {
            Machine::Lmtp { data } => {
                let verb = line.get(..4).unwrap_or_default().to_ascii_uppercase();
                out.say(match verb.as_str() {
                    "LHLO" => &b"250-floor\r\n250-PIPELINING\r\n250-ENHANCEDSTATUSCODES\r\n250 8BITMIME\r\n"[..],
                    "DATA" => b"354 Go on\r\n",
                    "QUIT" => b"221 2.0.0 Bye\r\n",
                    _ => b"250 2.0.0 OK\r\n",
                });
                *data = verb == "DATA";
                self.ends = verb == "QUIT";
                false
            }
            Machine::Imap { literal, tag, appends } => {
                let (own, command) = line.split_once(' ').unwrap_or((line, ""));
                let (verb, rest) = command.split_once(' ').unwrap_or((command, ""));
                let verb = verb.to_ascii_uppercase();
                if tag.is_none() {
                    *appends = verb == "APPEND";
                }
                if let Some(size) = line.strip_suffix('}').and_then(|line| line.rsplit_once('{')).map(|(_, size)| size)
                {
                    *literal = size.trim_end_matches('+').parse().unwrap_or(0);
                    if !size.ends_with('+') {
                        out.say(b"+ Go on.\r\n");
                    }
                    tag.get_or_insert_with(|| own.to_owned());
                    return false;
                }
                // What follows a literal belongs to the command that announced it.
                let (own, waits) = match tag.take() {
                    Some(tag) => (tag, *appends),
                    None => (own.to_owned(), false),
                };
                match verb.as_str() {
                    "SELECT" | "EXAMINE" => out.say(SELECTED.as_bytes()),
                    "LOGOUT" => {
                        out.say(b"* BYE Logging out.\r\n");
                        self.ends = true;
                    }
                    verb => out.pieces.extend(answers.find(verb, rest).filter(|all| !all.is_empty()).map(Piece::Kept)),
                }
                out.say(format!("{own} OK Done.\r\n").as_bytes());
                waits
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn peer(machine: Machine) -> Peer {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let stream = TcpStream::connect(listener.local_addr().expect("bound")).expect("it listens");
        Peer { stream, machine, input: Vec::new(), output: Output::default(), ends: false }
    }

    /// What it says to `input` that comes in two parts, the mail that it keeps, and whether it waits.
    fn says(mut peer: Peer, input: &[u8], at: usize) -> (String, Vec<u8>, bool) {
        let answers = Answers([("FETCH FLAGS".to_owned(), b"* 1 FETCH (FLAGS ())\r\n"[..].into())].into());
        let (mut mail, mut waits) = (Vec::new(), false);
        for part in [&input[..at], &input[at..]] {
            peer.input.extend_from_slice(part);
            waits |= peer.feed(&answers, &mut mail);
        }
        let said = peer.output.pieces.iter().flat_map(Piece::bytes).copied().collect();
        (String::from_utf8(said).expect("text"), mail, waits)
    }

    #[test]
    fn imap_at_every_split() {
        let input =
            b"a LOGIN {2+}\r\nme pw\r\nb FETCH 1:* FLAGS\r\nc APPEND INBOX {4+}\r\nx\r\ny {2+}\r\nzz\r\nd NOOP\r\n";
        for at in 0..=input.len() {
            let (said, mail, waits) = says(peer(Machine::Imap { literal: 0, tag: None, appends: false }), input, at);
            assert_eq!(
                said, "a OK Done.\r\n* 1 FETCH (FLAGS ())\r\nb OK Done.\r\nc OK Done.\r\nd OK Done.\r\n",
                "{at}"
            );
            assert_eq!((mail.as_slice(), waits), (&b"x\r\nyzz"[..], true), "split at {at}");
        }
    }

    #[test]
    fn lmtp_at_every_split() {
        let input = b"LHLO me\r\nMAIL FROM:<>\r\nRCPT TO:<a>\r\nDATA\r\nx\r\n\r\nLOGIN\r\n.\r\nQUIT\r\n";
        for at in 0..=input.len() {
            let (said, mail, waits) = says(peer(Machine::Lmtp { data: false }), input, at);
            let codes: Vec<&str> = said.lines().map(|line| &line[..4]).collect();
            assert_eq!(
                codes,
                ["250-", "250-", "250-", "250 ", "250 ", "250 ", "354 ", "250 ", "221 "],
                "split at {at}"
            );
            assert_eq!((mail.as_slice(), waits), (&b"x\r\n\r\nLOGIN\r\n"[..], true), "split at {at}");
        }
    }
}
