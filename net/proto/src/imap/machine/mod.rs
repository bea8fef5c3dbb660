//! The machine of one connection.
//!
//! ```text
//!            ┌─ intake ─┐      ┌── run ──┐        session
//!  bytes ──▶ │ lines,   │ ───▶ │ command │ ──Ask──▶ …
//!            │ literals │      └─────────┘           │
//!            └──────────┘      ┌─ finish ┐ ◀─answer──┘
//!  out  ◀───────────────────── │ replies │
//!                              └─────────┘     append: APPEND, REPLACE    refuse: what is wrong is skipped
//! ```

mod append;
mod finish;
mod intake;
mod refuse;
mod run;
mod sasl;
#[cfg(test)]
mod tests;

use self::append::Appending;
use self::intake::Intake;
use self::refuse::{Leftover, Refusal};
use super::limits::{IDLE_SECONDS_MAX, LOGIN_SECONDS_MAX};
use super::parse::Enabling;
use super::response::condition;
use super::verb::Verb;
use super::{ImapConfig, Reply, Request, Resync, StatusItems};
use crate::sasl::{Channel, Exchange};
use std::sync::Arc;

/// What the pump does next.
#[derive(Debug)]
pub enum Step {
    /// Feed more: first what is left of the input, then what the socket brings.
    More,
    /// Ask the session, and answer when it has answered.
    Ask(Request),
    /// Send `out`, throw away what else has come in plain text (RFC 3501 §6.2.1), start TLS, say
    /// [`Imap::tls_started`].
    StartTls,
    /// Send `out`, then compress both ways (RFC 4978), say [`Imap::deflate_started`].
    StartDeflate,
    /// Send `out` and close.
    Close(Why),
}

/// Why a connection is to be closed. BYE has been written in each case.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Why {
    /// The client logged out.
    Logout,
    /// The session said so ([`Imap::bye`], [`Reply::Bye`]).
    Bye,
    /// What was to be told turned out not to be so ([`Imap::break_off`]).
    BrokenOff,
    /// Too many wrong commands in a row.
    TooManyBadCommands,
    /// A literal that the client does not wait with is too large to be skipped.
    LiteralTooBig,
}

/// The server's side of one IMAP connection. See the [module](super) for how it is driven.
///
/// Between commands it holds no buffer but `out`, whose capacity [`Imap::rest`] gives back.
#[derive(Debug)]
pub struct Imap {
    config: Arc<ImapConfig>,
    out: Vec<u8>,
    intake: Intake,
    phase: Phase,
    ask: Option<Request>,
    running: Option<Box<Running>>,
    state: State,
    /// What is under the connection.
    channel: Channel,
    /// What the client has enabled.
    enabled: Enabling,
    compressed: bool,
    /// NOTIFY SET is in force: news may be told at any time.
    notifies: bool,
    bad_commands: u8,
}

/// RFC 3501 §3 without its logout state, which is [`Phase::Close`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum State {
    NotAuthenticated,
    Authenticated,
    Selected,
}

/// What the next byte, or the next answer, is.
#[derive(Debug)]
enum Phase {
    /// Part of a command's line.
    Command,
    /// Part of a literal that belongs to a command's words; so many bytes are missing.
    Literal { left: u64, tail: Tail },
    /// Part of the client's SASL response.
    Sasl,
    /// Part of the line that ends IDLE.
    Idle,
    /// Part of APPEND's message.
    Body { left: u64, chunk: Vec<u8> },
    /// Part of a line of APPEND, after a literal.
    AppendLine,
    /// Part of a literal to be skipped, then of a line.
    DropLiteral(u64, Refusal),
    /// Part of a line to be skipped.
    DropLine(Refusal),
    /// Nothing: an answer is awaited.
    Asked(Waiting),
    /// Nothing: TLS is about to start.
    StartTls,
    /// Nothing: compression is about to start.
    StartDeflate,
    /// Nothing ever.
    Close(Why),
}

/// What follows a literal.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Tail {
    /// [`Phase::Command`]
    Command,
    /// [`Phase::AppendLine`]
    Append,
}

/// What is being asked.
#[derive(Clone, Copy, Debug)]
enum Waiting {
    /// That something is on; the command itself, or what is on as well, is in [`Running::then`].
    Enable,
    /// The command itself.
    Command,
    /// What SCRAM needs to go on.
    Sasl,
    /// The news before the tagged line, which stands in [`Running::tagged`].
    Sync,
    /// Something of an APPEND; what comes then is in [`Running::append`].
    Append,
    /// A piece of its message; so many bytes are missing.
    AppendChunk { left: u64 },
    /// To forget it; the refusal stands in [`Running::tagged`].
    AppendAbort(Leftover),
    /// To stop telling news. Without leftover the client said DONE, else the BAD stands in [`Running::tagged`].
    IdleEnd(Option<Leftover>),
}

/// The command in flight.
#[derive(Debug)]
struct Running {
    tag: Vec<u8>,
    verb: Verb,
    /// Of the command, as the tagged line has it.
    name: &'static str,
    /// For NOTIFY: whether it is SET.
    notifies: bool,
    /// The mailbox of STATUS and SELECT, whose answers repeat it.
    named: Option<String>,
    /// For STATUS.
    status: StatusItems,
    then: Option<Request>,
    /// For SELECT with QRESYNC.
    resync: Option<Resync>,
    /// For APPEND and REPLACE.
    append: Appending,
    /// For AUTHENTICATE.
    sasl: Option<Box<Exchange>>,
    tagged: Vec<u8>,
}

impl Imap {
    /// Goes by other settings from the next command on. The client learns of new capabilities when it asks.
    pub fn configure(&mut self, config: Arc<ImapConfig>) {
        self.config = config;
    }

    /// A new connection; the greeting is in `out`. The channel is `true` or more when TLS has been started already (port 993).
    pub fn new(config: Arc<ImapConfig>, channel: impl Into<Channel>) -> Imap {
        let channel = channel.into();
        let mut out = Vec::new();
        out.extend_from_slice(b"* OK [CAPABILITY ");
        config.write_capabilities(&mut out, &channel, false);
        out.extend_from_slice(b"] ");
        out.extend(config.greeting.bytes().filter(|b| !b.is_ascii_control()));
        out.extend_from_slice(b"\r\n");
        let enabled = Enabling { dots: config.dots, ..Enabling::default() };
        Imap {
            config,
            out,
            intake: Intake::default(),
            phase: Phase::Command,
            ask: None,
            running: None,
            state: State::NotAuthenticated,
            channel,
            enabled,
            compressed: false,
            notifies: false,
            bad_commands: 0,
        }
    }

    /// Takes bytes, at most to the end of one command, and returns how many. None while a question is open.
    pub fn feed(&mut self, input: &[u8]) -> usize {
        let mut used = 0;
        while used < input.len() && self.takes_input() {
            used += self.feed_phase(&input[used..]);
            if matches!(self.phase, Phase::Command) && self.intake.is_fresh() {
                break;
            }
        }
        used
    }

    fn takes_input(&self) -> bool {
        !matches!(self.phase, Phase::Asked(_) | Phase::StartTls | Phase::StartDeflate | Phase::Close(_))
    }

    /// What to do now.
    #[expect(clippy::should_implement_trait, reason = "a verb that all machines share; a machine is no iterator")]
    pub fn next(&mut self) -> Step {
        if let Some(request) = self.ask.take() {
            return Step::Ask(request);
        }
        match self.phase {
            Phase::StartTls => Step::StartTls,
            Phase::StartDeflate => Step::StartDeflate,
            Phase::Close(why) => Step::Close(why),
            _ => Step::More,
        }
    }

    /// The answer to the open question. After [`Imap::bye`] it is passed over.
    ///
    /// # Panics
    /// When nothing was asked, or the reply does not fit the request: that is a mistake of the session.
    pub fn answer(&mut self, reply: Reply) {
        if matches!(self.phase, Phase::Close(_)) {
            return;
        }
        let Phase::Asked(waiting) = std::mem::replace(&mut self.phase, Phase::Command) else {
            panic!("{reply:?} to no question");
        };
        assert!(self.ask.is_none(), "{reply:?} before the question was taken");
        self.answered(waiting, reply);
    }

    /// Bytes for the client. The pump drains it; the session writes untagged lines here while its request is
    /// open, or while it [`Imap::may_tell`].
    pub fn out(&mut self) -> &mut Vec<u8> {
        &mut self.out
    }

    /// TLS is up after [`Step::StartTls`]: what is known of it.
    pub fn tls_started(&mut self, channel: impl Into<Channel>) {
        assert!(matches!(self.phase, Phase::StartTls), "TLS was not asked for");
        self.channel = channel.into();
        assert!(self.channel.tls, "TLS has started");
        self.phase = Phase::Command;
    }

    /// What is fed from now on was compressed, and what is in `out` will be, after [`Step::StartDeflate`].
    pub fn deflate_started(&mut self) {
        assert!(matches!(self.phase, Phase::StartDeflate), "compression was not asked for");
        self.compressed = true;
        self.phase = Phase::Command;
    }

    /// The user has left: whoever logs in next finds nothing of what the one before has set up (RFC 8437 §2). TLS and compression
    /// are the connection's, and stay.
    fn unauthenticated(&mut self) {
        self.state = State::NotAuthenticated;
        self.enabled = Enabling { dots: self.enabled.dots, ..Enabling::default() };
        self.notifies = false;
    }

    /// Ends the connection from the server's side, at any time: stopping, timeout, overload.
    pub fn bye(&mut self, text: &str) {
        self.close(Why::Bye, None, text);
    }

    /// What is in the output must not be told: drops it and ends the connection with a BYE alone, even one that is
    /// closing already.
    pub fn break_off(&mut self, code: &super::Code, text: &str) {
        self.out.clear();
        if !matches!(self.phase, Phase::Close(Why::BrokenOff)) {
            self.phase = Phase::Command;
            self.close(Why::BrokenOff, Some(code), text);
        }
    }

    /// Gives back spare memory. Call it when the output is drained and the socket has nothing to read.
    pub fn rest(&mut self) {
        if self.out.is_empty() {
            self.out = Vec::new();
        }
    }

    /// The session may write news into [`Imap::out`] now: while the client idles, and where NOTIFY is in force whenever no command is
    /// under way (RFC 5465 §3.1).
    pub fn may_tell(&self) -> bool {
        self.idling() || self.notifies && matches!(self.phase, Phase::Command) && self.intake.is_fresh()
    }

    /// Says that the server is there, when the client listens: nothing else has been said for a while.
    pub fn keep_alive(&mut self) {
        if self.may_tell() {
            self.out.extend_from_slice(b"* OK Still here\r\n");
        }
    }

    /// The client idles.
    pub fn idling(&self) -> bool {
        matches!(self.phase, Phase::Idle)
    }

    /// The client has begun a command and not ended it, as while it sends a message.
    pub fn in_command(&self) -> bool {
        match self.phase {
            Phase::Command => !self.intake.is_fresh(),
            Phase::Idle | Phase::StartTls | Phase::StartDeflate | Phase::Close(_) => false,
            _ => true,
        }
    }

    /// A user is logged in.
    pub fn logged_in(&self) -> bool {
        self.state != State::NotAuthenticated
    }

    /// A mailbox is selected.
    pub fn selected(&self) -> bool {
        self.state == State::Selected
    }

    /// The tag of the command that is under way; empty without one.
    pub fn tag(&self) -> &[u8] {
        self.running.as_ref().map_or(b"", |running| &running.tag)
    }

    /// CONDSTORE is enabled: FETCH lines with FLAGS carry MODSEQ (RFC 7162 §3.1).
    pub fn condstore(&self) -> bool {
        self.enabled.condstore
    }

    /// How mailbox names are to be written.
    pub fn names(&self) -> super::response::Names {
        self.enabled.names()
    }

    /// QRESYNC is enabled: VANISHED lines in place of EXPUNGE, and FETCH lines carry UID (RFC 7162 §3.2).
    pub fn qresync(&self) -> bool {
        self.enabled.qresync
    }

    /// UIDONLY is enabled: UIDFETCH lines in place of FETCH, VANISHED in place of EXPUNGE, no message numbers anywhere (RFC 9586 §3).
    pub fn uid_only(&self) -> bool {
        self.enabled.uid_only
    }

    /// TLS is active.
    pub fn tls(&self) -> bool {
        self.channel.tls
    }

    /// Seconds after which a connection without a word from the client is to be ended with [`Imap::bye`]. Before
    /// login they count from the greeting.
    pub fn patience_seconds(&self) -> u64 {
        if self.logged_in() { IDLE_SECONDS_MAX } else { LOGIN_SECONDS_MAX }
    }

    /// There may be news without a selected mailbox.
    fn is_watching(&self) -> bool {
        self.notifies || self.enabled.metadata || self.enabled.metadata_server
    }

    fn close(&mut self, why: Why, code: Option<&super::Code>, text: &str) {
        if matches!(self.phase, Phase::Close(_)) {
            return;
        }
        condition(&mut self.out, b"*", "BYE", code, text);
        self.ask = None;
        self.running = None;
        self.intake = Intake::default();
        self.phase = Phase::Close(why);
    }

    fn asking(&mut self, request: Request, waiting: Waiting) {
        self.ask = Some(request);
        self.phase = Phase::Asked(waiting);
    }

    fn running(&mut self) -> &mut Running {
        self.running.as_mut().expect("a command is in flight")
    }
}
