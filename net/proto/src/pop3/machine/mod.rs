//! The machine of one connection: which command may come when, and who is asked.
//!
//! ```text
//! bytes ─▶ lines ─▶ command ─▶ answered here, or asked
//!                     auth: USER PASS AUTH          answer: replies into lines, listings, messages
//! ```

mod answer;
mod auth;

use super::body::Body;
use super::command::{Command, When, parse};
use super::config::Pop3Config;
use super::limits::{BAD_COMMANDS_MAX, BAD_COMMANDS_PREAUTH_MAX, COMMAND_LINE_BYTES_MAX, LOGIN_LINE_BYTES_MAX};
use super::reply::{Code, Request, refusal};
use crate::sasl::{Channel, Exchange};
use skein_base::limits::OUTPUT_BYTES_WATERMARK;
use std::sync::Arc;

/// What the pump does next.
#[derive(Debug)]
pub enum Step {
    /// Write what is in [`Pop3::out`], then feed more.
    More,
    /// Ask the session, and answer when it has answered.
    Ask(Request),
    /// Write [`Pop3::out`], throw away what else has come in plain text, start TLS, say [`Pop3::tls_started`].
    StartTls,
    /// Write [`Pop3::out`] and close.
    Close(Why),
}

/// Why a connection is to be closed.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Why {
    /// The client said QUIT.
    Quit,
    /// The session said so ([`Pop3::bye`], [`Pop3::hang_up`]).
    Bye,
    /// Too many wrong commands in a row.
    TooManyBadCommands,
}

/// The server's side of one POP3 connection. See the [module](super) for how it is driven.
///
/// Between commands it holds no buffer but `out`, whose capacity [`Pop3::rest`] gives back.
#[derive(Debug)]
pub struct Pop3 {
    config: Arc<Pop3Config>,
    out: Vec<u8>,
    /// The beginning of a line whose end has not come.
    line: Vec<u8>,
    /// The rest of the line is passed over: it is too long.
    overlong: bool,
    phase: Phase,
    ask: Option<Request>,
    /// What USER said.
    user: Option<String>,
    /// Of AUTH, while it runs.
    sasl: Option<Box<Exchange>>,
    logged_in: bool,
    channel: Channel,
    bad_commands: u8,
}

/// What the next line, or the next answer, is.
#[derive(Debug)]
enum Phase {
    /// A command.
    Command,
    /// The client's next SASL message.
    Sasl,
    /// Nothing: an answer is awaited.
    Asked(About),
    /// Nothing: the session is giving lines, or a message.
    Giving(Giving),
    /// Nothing: TLS is about to start.
    StartTls,
    /// Nothing ever.
    Close(Why),
}

/// What the answer is about.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum About {
    Login,
    /// What SCRAM needs to go on.
    Keys,
    Stat,
    List,
    ListOne(u32),
    Uidl,
    UidlOne(u32),
    Retr,
    Top {
        lines: u32,
    },
    Last,
    Dele(u32),
    Rset,
    Quit,
}

/// What the session is giving.
#[derive(Debug)]
enum Giving {
    Lines,
    Message(Body),
}

impl Pop3 {
    /// A new connection; the greeting is in [`Pop3::out`]. The channel is `true` or more when TLS has been started already
    /// (port 995).
    pub fn new(config: Arc<Pop3Config>, channel: impl Into<Channel>) -> Pop3 {
        let mut out = b"+OK ".to_vec();
        out.extend(config.greeting.bytes().filter(|b| !b.is_ascii_control()));
        out.extend_from_slice(b"\r\n");
        Pop3 {
            config,
            out,
            line: Vec::new(),
            overlong: false,
            phase: Phase::Command,
            ask: None,
            user: None,
            sasl: None,
            logged_in: false,
            channel: channel.into(),
            bad_commands: 0,
        }
    }

    /// Goes by other settings from the next command on.
    pub fn configure(&mut self, config: Arc<Pop3Config>) {
        self.config = config;
    }

    /// Takes bytes, at most to the end of one line, and returns how many. None while a question is open, when closing, and while
    /// [`Pop3::out`] is full.
    pub fn feed(&mut self, input: &[u8]) -> usize {
        let takes = matches!(self.phase, Phase::Command | Phase::Sasl) && self.out.len() < OUTPUT_BYTES_WATERMARK;
        if !takes {
            return 0;
        }
        let Some(lf) = memchr::memchr(b'\n', input) else {
            self.keep(input);
            return input.len();
        };
        self.end_line(&input[..lf]);
        lf + 1
    }

    /// What to do now.
    ///
    /// # Panics
    /// While the session is giving lines or a message: it has to say [`Pop3::end`] first.
    #[expect(clippy::should_implement_trait, reason = "a verb that all machines share; a machine is no iterator")]
    pub fn next(&mut self) -> Step {
        if let Some(request) = self.ask.take() {
            return Step::Ask(request);
        }
        match self.phase {
            Phase::StartTls => Step::StartTls,
            Phase::Close(why) => Step::Close(why),
            Phase::Giving(_) => panic!("a listing or a message without its end"),
            _ => Step::More,
        }
    }

    /// Bytes for the client. The pump drains it.
    pub fn out(&mut self) -> &mut Vec<u8> {
        &mut self.out
    }

    /// TLS is up after [`Step::StartTls`]. What USER said in the clear is forgotten (RFC 2595 §4).
    pub fn tls_started(&mut self, channel: impl Into<Channel>) {
        assert!(matches!(self.phase, Phase::StartTls), "TLS was not asked for");
        self.channel = channel.into();
        self.user = None;
        self.phase = Phase::Command;
    }

    /// Ends the connection with a word why: stopping, overload. Nothing is removed from the maildrop.
    pub fn bye(&mut self, text: &str) {
        if !matches!(self.phase, Phase::Close(_)) {
            refusal(&mut self.out, Some(Code::SysTemp), text);
            self.hang_up();
        }
    }

    /// Ends the connection without a word, as RFC 1939 §3 has it for a silent client.
    pub fn hang_up(&mut self) {
        if !matches!(self.phase, Phase::Close(_)) {
            self.close(Why::Bye);
        }
    }

    /// Gives back spare memory. Call it when the output is drained and the socket has nothing to read.
    pub fn rest(&mut self) {
        if self.out.is_empty() {
            self.out = Vec::new();
        }
    }

    /// A user is logged in.
    pub fn logged_in(&self) -> bool {
        self.logged_in
    }

    /// TLS is active.
    pub fn tls(&self) -> bool {
        self.channel.tls
    }

    fn line_bytes_max(&self) -> usize {
        if self.logged_in { COMMAND_LINE_BYTES_MAX } else { LOGIN_LINE_BYTES_MAX }
    }

    /// Keeps the beginning of a line, unless it is too long already.
    fn keep(&mut self, input: &[u8]) {
        if self.overlong || self.line.len() + input.len() >= self.line_bytes_max() {
            (self.overlong, self.line) = (true, Vec::new());
        } else {
            self.line.extend_from_slice(input);
        }
    }

    /// The line is complete with `end`, which is without its LF.
    fn end_line(&mut self, end: &[u8]) {
        let mut kept = std::mem::take(&mut self.line);
        if std::mem::take(&mut self.overlong) || kept.len() + end.len() >= self.line_bytes_max() {
            (self.phase, self.sasl) = (Phase::Command, None);
            return self.bad("The line is too long");
        }
        let line = match kept.is_empty() {
            true => end,
            false => {
                kept.extend_from_slice(end);
                &kept
            }
        };
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        match std::mem::replace(&mut self.phase, Phase::Command) {
            Phase::Sasl => self.sasl_line(line),
            _ => self.command(line),
        }
    }

    fn command(&mut self, line: &[u8]) {
        let command = match parse(line) {
            Ok(command) => command,
            Err(wrong) => return self.bad(wrong),
        };
        match (command.when(), self.logged_in) {
            (When::BeforeLogin, true) => self.bad("You are logged in already"),
            (When::AfterLogin, false) => self.bad("Log in first"),
            _ => self.obey(command),
        }
    }

    fn obey(&mut self, command: Command) {
        let bad_before = self.bad_commands;
        match command {
            Command::User(name) => self.user_named(name),
            Command::Pass(password) => self.pass(password),
            Command::Auth { mechanism, initial } => self.auth(&mechanism, initial.as_deref()),
            Command::Mechanisms => self.mechanisms(),
            Command::Stls => self.stls(),
            Command::Capa => {
                self.say("Capability list follows");
                self.config.write_capabilities(&mut self.out, &self.channel, self.logged_in);
                self.out.extend_from_slice(b".\r\n");
            }
            Command::Lang(tag) => self.lang(tag.as_deref()),
            // Messages leave as they were stored, whether the client has said this or not. RFC 6856 would have those with
            // 8-bit headers rewritten or refused otherwise; such mail has always been handed out as it is, and a message that
            // is refused stays at the head of the maildrop for good.
            Command::Utf8 => self.say("UTF8 enabled"),
            Command::Noop => self.say("Done"),
            Command::Stat => self.ask(Request::Stat, About::Stat),
            Command::List(None) => self.ask(Request::List(None), About::List),
            Command::List(Some(number)) => self.ask(Request::List(Some(number)), About::ListOne(number)),
            Command::Uidl(None) => self.ask(Request::Uidl(None), About::Uidl),
            Command::Uidl(Some(number)) => self.ask(Request::Uidl(Some(number)), About::UidlOne(number)),
            Command::Retr(number) => self.ask(Request::Retr(number), About::Retr),
            Command::Top { number, lines } => self.ask(Request::Top { number, lines }, About::Top { lines }),
            Command::Last if self.config.last => self.ask(Request::Last, About::Last),
            Command::Last => self.bad(super::command::UNKNOWN),
            Command::Dele(number) => self.ask(Request::Dele(number), About::Dele(number)),
            Command::Rset => self.ask(Request::Rset, About::Rset),
            Command::Quit if self.logged_in => self.ask(Request::Quit, About::Quit),
            Command::Quit => {
                self.say("Logging out.");
                self.close(Why::Quit);
            }
        }
        if self.bad_commands == bad_before {
            self.bad_commands = 0;
        }
    }

    fn stls(&mut self) {
        if self.tls() || !self.config.starttls {
            let text = if self.tls() { "TLS is active already" } else { "TLS is not available" };
            return self.refuse(None, text);
        }
        self.say("Begin TLS negotiation now.");
        self.phase = Phase::StartTls;
    }

    /// RFC 6856 §3.2. The texts are in English, and i-default is what a client may always ask for.
    fn lang(&mut self, tag: Option<&[u8]>) {
        match tag {
            None => {
                self.say("Language listing follows");
                self.out.extend_from_slice(b"en English\r\ni-default Default\r\n.\r\n");
            }
            Some(tag) if [&b"en"[..], b"*", b"i-default"].iter().any(|known| known.eq_ignore_ascii_case(tag)) => {
                self.say("en English");
            }
            Some(_) => self.refuse(None, "This language is not known"),
        }
    }

    fn ask(&mut self, request: Request, about: About) {
        self.ask = Some(request);
        self.phase = Phase::Asked(about);
    }

    fn say(&mut self, text: &str) {
        self.out.extend_from_slice(b"+OK ");
        self.out.extend_from_slice(text.as_bytes());
        self.out.extend_from_slice(b"\r\n");
    }

    fn refuse(&mut self, code: Option<Code>, text: &str) {
        refusal(&mut self.out, code, text);
    }

    /// Refuses what no client should say, and closes when there is too much of it.
    fn bad(&mut self, text: &str) {
        self.bad_commands += 1;
        let max = if self.logged_in { BAD_COMMANDS_MAX } else { BAD_COMMANDS_PREAUTH_MAX };
        if self.bad_commands < max {
            return self.refuse(None, text);
        }
        self.refuse(None, "Too many wrong commands.");
        self.close(Why::TooManyBadCommands);
    }

    fn close(&mut self, why: Why) {
        self.ask = None;
        self.line = Vec::new();
        self.phase = Phase::Close(why);
    }
}
