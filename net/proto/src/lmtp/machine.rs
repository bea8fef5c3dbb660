//! The machine: which command may come when, and who is asked.

use super::address::Address;
use super::command::{Command, parse};
use super::forwarded::{ATTRIBUTES, Forwarded};
use super::limits::BAD_COMMANDS_MAX;
use super::message::Message;
use super::reply;
use super::request::{Body, Reply, Request};
use skein_base::limits::{LMTP_LINE_BYTES_MAX, OUTPUT_BYTES_WATERMARK};

/// What the machine is told once.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Our name in the greeting.
    pub hostname: String,
    /// Largest message, in bytes after dots are taken out.
    pub message_bytes_max: u64,
    /// Recipients of one message.
    pub recipients_max: usize,
    /// How long the client may be silent.
    pub idle_ms_max: u64,
    /// There is a certificate, so STARTTLS can be offered.
    pub starttls: bool,
    /// The client is a proxy whose word of its own clients counts: XCLIENT and XRCPTFORWARD are taken.
    pub trusts: bool,
}

/// Which question an answer belongs to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct RequestId(u64);

/// What comes next.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Step {
    /// Write what is in [`Lmtp::out`], then feed more.
    More,
    /// Answer this. Until then nothing is taken and [`Step::Wait`] comes.
    Ask(RequestId, Request),
    /// The last question has no answer yet. What is in [`Lmtp::out`] may be written meanwhile.
    Wait,
    /// Write what is in [`Lmtp::out`], drop what was read and not fed (RFC 3207 §4.2: it was sent in the clear), speak TLS and
    /// call [`Lmtp::tls_started`]. What was gathered of a message is dropped; no `Abort` comes.
    StartTls,
    /// Write what is in [`Lmtp::out`] and close. No `Abort` comes first: what was gathered is dropped with the session.
    Close(Close),
}

/// Why the connection ends.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Close {
    /// The client said QUIT.
    Quit,
    /// The client was silent for too long.
    Idle,
    /// The client makes no sense.
    Errors,
    /// [`Lmtp::stop`] was called and the message under way is done.
    Stopping,
}

/// One LMTP connection, from the greeting to the end. No I/O: see the module.
pub struct Lmtp {
    pub(super) settings: Settings,
    pub(super) out: Vec<u8>,
    /// The beginning of a command line whose end has not come.
    line: Vec<u8>,
    pub(super) input: Input,
    tls: Tls,
    client: Option<String>,
    /// What the client behind a proxy called itself: it counts in place of what the proxy says in LHLO.
    forwarded_client: Option<String>,
    /// Accepted recipients; `Some` from an accepted MAIL on.
    pub(super) recipients: Option<Vec<Address>>,
    /// MAIL said SMTPUTF8 (RFC 6531).
    utf8: bool,
    /// What came after DATA, or since the first BDAT.
    pub(super) message: Option<Message>,
    question: Question,
    questions: u64,
    pub(super) bad_commands: u32,
    /// Since when the client is silent; `None` while it is not its turn.
    silent_since_ms: Option<u64>,
    stopping: bool,
    close: Option<Close>,
}

/// What input is.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Input {
    Commands,
    /// The rest of a line that was too long.
    Overlong,
    /// The message.
    Message,
    /// This many bytes of a BDAT that could not be, after which it is refused.
    Refused(u64, &'static [u8]),
}

/// How the connection is sealed.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Tls {
    Off,
    /// The pump is asked to start it.
    Due,
    On,
}

/// The one question that may be open.
enum Question {
    None,
    Asked(Request, About),
    Open(About),
}

/// What the answer is about.
pub(super) enum About {
    Sender,
    Forwarded(Option<String>),
    Recipient(Address),
    Chunk,
    End,
    Abort,
}

impl Lmtp {
    /// A connection just accepted, over TLS already or not: the greeting is in [`Lmtp::out`].
    pub fn new(settings: Settings, tls: bool) -> Lmtp {
        let mut lmtp = Lmtp {
            settings,
            out: Vec::with_capacity(256),
            line: Vec::new(),
            input: Input::Commands,
            tls: if tls { Tls::On } else { Tls::Off },
            client: None,
            forwarded_client: None,
            recipients: None,
            utf8: false,
            message: None,
            question: Question::None,
            questions: 0,
            bad_commands: 0,
            silent_since_ms: None,
            stopping: false,
            close: None,
        };
        lmtp.greet();
        lmtp
    }

    fn greet(&mut self) {
        self.out.extend_from_slice(b"220 ");
        self.out.extend_from_slice(self.settings.hostname.as_bytes());
        self.out.extend_from_slice(b" LMTP Skein\r\n");
    }

    /// Takes input and returns how much. It stops short at a question, when [`Lmtp::out`] is full and when closing; feed the
    /// rest again once that is dealt with.
    pub fn feed(&mut self, input: &[u8], now_ms: u64) -> usize {
        let mut used = 0;
        while used < input.len() && self.takes_input() {
            used += match self.input {
                Input::Commands => self.feed_line(&input[used..]),
                Input::Overlong => self.skip_line(&input[used..]),
                Input::Message => self.feed_message(&input[used..]),
                Input::Refused(left, line) => self.feed_refused(left, line, input.len() - used),
            };
        }
        if used > 0 {
            self.silent_since_ms = Some(now_ms);
        }
        used
    }

    /// What to do now. To be called after each `feed`, `answer` and `tick` until it gives no more questions.
    #[allow(clippy::should_implement_trait, reason = "the verb of all machines; a machine is no iterator")]
    pub fn next(&mut self) -> Step {
        match std::mem::replace(&mut self.question, Question::None) {
            Question::Asked(request, about) => {
                self.question = Question::Open(about);
                self.questions += 1;
                Step::Ask(RequestId(self.questions), request)
            }
            Question::Open(about) => {
                self.question = Question::Open(about);
                Step::Wait
            }
            Question::None if self.tls == Tls::Due => Step::StartTls,
            Question::None => self.close.map_or(Step::More, Step::Close),
        }
    }

    /// Takes the answer to the open question. The reply must be of the kind that the request names, for each recipient one.
    pub fn answer(&mut self, id: RequestId, reply: Reply) {
        assert_eq!(id, RequestId(self.questions), "an answer to another question");
        let Question::Open(about) = std::mem::replace(&mut self.question, Question::None) else {
            panic!("an answer and no question")
        };
        self.silent_since_ms = None;
        match (about, reply) {
            (About::Sender, Reply::Accept) => {
                self.recipients = Some(Vec::new());
                self.say(reply::SENDER_OK);
            }
            (About::Forwarded(client), Reply::Accept) => {
                (self.client, self.forwarded_client) = (None, client);
                self.greet();
            }
            (About::Recipient(address), Reply::Accept) => {
                self.recipients.as_mut().expect("RCPT comes after MAIL").push(address);
                self.say(reply::RECIPIENT_OK);
            }
            (About::Sender | About::Recipient(_), Reply::Refuse(refusal)) => reply::refuse(&mut self.out, &refusal),
            (About::Chunk | About::Abort, Reply::Accept) => self.finish_input(),
            (About::Chunk, Reply::Refuse(refusal)) => {
                self.message().refused = Some(refusal);
                self.finish_input();
            }
            (About::End, Reply::Outcomes(outcomes)) => self.say_outcomes(&outcomes),
            (_, reply) => panic!("{reply:?} does not answer the question"),
        }
        self.stop_between_messages();
    }

    /// TLS is up after [`Step::StartTls`]: all that was said in the clear is forgotten (RFC 3207 §4.2).
    pub fn tls_started(&mut self) {
        assert!(self.tls == Tls::Due, "TLS was not asked for");
        self.tls = Tls::On;
        (self.client, self.recipients, self.message, self.forwarded_client) = (None, None, None, None);
        self.line.clear();
        self.stop_between_messages();
    }

    /// Ends the connection when the client has been silent too long. Returns when to call again; `None` while it is not the
    /// client's turn or when closing. To be called after feeds and answers, and when the time has come.
    pub fn tick(&mut self, now_ms: u64) -> Option<u64> {
        if self.close.is_some() || !matches!(self.question, Question::None) {
            return None;
        }
        let deadline = self.silent_since_ms.get_or_insert(now_ms).saturating_add(self.settings.idle_ms_max);
        if now_ms < deadline {
            return Some(deadline);
        }
        self.end(reply::IDLE_TOO_LONG, Close::Idle);
        None
    }

    /// The server is stopping: the message under way is finished, then the connection ends. A client that does not go on is
    /// left to [`Lmtp::tick`] or to the pump's own patience.
    pub fn stop(&mut self) {
        self.stopping = true;
        self.stop_between_messages();
    }

    /// What is to be written. The pump takes from the front what it has written.
    pub fn out(&mut self) -> &mut Vec<u8> {
        &mut self.out
    }

    fn takes_input(&self) -> bool {
        matches!(self.question, Question::None)
            && self.tls != Tls::Due
            && self.close.is_none()
            && self.out.len() < OUTPUT_BYTES_WATERMARK
    }

    fn feed_line(&mut self, input: &[u8]) -> usize {
        let Some(lf) = memchr::memchr(b'\n', input) else { return self.keep_line(input) };
        if self.line.len() + lf + 1 > LMTP_LINE_BYTES_MAX {
            self.line = Vec::new();
            self.bad_command(reply::LINE_TOO_LONG);
        } else if self.line.is_empty() {
            self.command(&input[..lf]);
        } else {
            let mut line = std::mem::take(&mut self.line);
            line.extend_from_slice(&input[..lf]);
            self.command(&line);
        }
        lf + 1
    }

    /// Keeps the beginning of a line, unless it is too long already.
    fn keep_line(&mut self, input: &[u8]) -> usize {
        if self.line.len() + input.len() >= LMTP_LINE_BYTES_MAX {
            self.line = Vec::new();
            self.input = Input::Overlong;
        } else {
            self.line.extend_from_slice(input);
        }
        input.len()
    }

    fn skip_line(&mut self, input: &[u8]) -> usize {
        let Some(lf) = memchr::memchr(b'\n', input) else { return input.len() };
        self.input = Input::Commands;
        self.bad_command(reply::LINE_TOO_LONG);
        lf + 1
    }

    /// A line without its LF. A command ended by a bare LF is taken: people type them, and here it ends no message.
    fn command(&mut self, line: &[u8]) {
        match parse(line.strip_suffix(b"\r").unwrap_or(line)) {
            Ok(command) => self.obey(command),
            // How many bytes follow is unknown, and they must not be taken for commands.
            Err(wrong) if wrong == reply::BDAT_SYNTAX => self.end(wrong, Close::Errors),
            Err(wrong) => self.bad_command(wrong),
        }
    }

    fn obey(&mut self, command: Command) {
        match command {
            Command::Lhlo { client } => self.lhlo(client),
            Command::Mail { sender, size, body, utf8 } => self.mail(sender, size, body, utf8),
            Command::Xclient(told) => self.xclient(told),
            Command::Rcpt { fields: Some(_), .. } if !self.settings.trusts => self.bad_command(reply::NOT_TRUSTED),
            Command::Rcpt { address, fields } => self.rcpt(address, fields.unwrap_or_default()),
            Command::Data => self.start_data(),
            Command::Bdat { bytes, last } => self.start_bdat(bytes, last),
            Command::StartTls => self.start_tls(),
            Command::Rset => {
                self.say(reply::OK);
                self.abort();
            }
            Command::Noop => self.say(reply::OK),
            Command::Vrfy => self.say(reply::CAN_NOT_VERIFY),
            Command::Help => self.say(reply::HELP_TEXT),
            Command::Quit => self.end(reply::BYE, Close::Quit),
        }
    }

    fn lhlo(&mut self, client: String) {
        self.client = Some(client);
        self.say(b"250-");
        self.out.extend_from_slice(self.settings.hostname.as_bytes());
        self.say(b"\r\n250-PIPELINING\r\n250-ENHANCEDSTATUSCODES\r\n250-8BITMIME\r\n250-SMTPUTF8\r\n250-CHUNKING\r\n");
        if self.settings.starttls && self.tls == Tls::Off {
            self.say(b"250-STARTTLS\r\n");
        }
        if self.settings.trusts {
            self.say(b"250-XCLIENT ");
            self.say(ATTRIBUTES);
            self.say(b"\r\n250-XRCPTFORWARD\r\n");
        }
        self.say(b"250 SIZE ");
        self.out.extend_from_slice(self.settings.message_bytes_max.to_string().as_bytes());
        self.say(b"\r\n");
        self.abort();
    }

    /// A proxy tells of its client: as Postfix has it, not within a message, and all starts over.
    fn xclient(&mut self, told: Box<Forwarded>) {
        if !self.settings.trusts {
            return self.bad_command(reply::NOT_TRUSTED);
        }
        if self.recipients.is_some() {
            return self.bad_command(reply::XCLIENT_IN_MAIL);
        }
        let client = told.client.clone();
        self.ask(Request::Forwarded(told), About::Forwarded(client));
    }

    fn start_tls(&mut self) {
        if self.tls != Tls::Off || !self.settings.starttls {
            return self.bad_command(reply::NO_TLS_NOW);
        }
        self.say(reply::START_TLS);
        self.tls = Tls::Due;
    }

    fn mail(&mut self, sender: Option<Address>, size: u64, body: Body, utf8: bool) {
        let Some(client) = &self.client else { return self.bad_command(reply::LHLO_FIRST) };
        if self.recipients.is_some() {
            self.bad_command(reply::MAIL_GIVEN);
        } else if size > self.settings.message_bytes_max {
            self.say(reply::TOO_BIG);
        } else if !utf8 && sender.as_ref().is_some_and(|sender| !sender.is_ascii()) {
            self.say(reply::NEEDS_SMTPUTF8);
        } else {
            self.utf8 = utf8;
            let client = self.forwarded_client.as_ref().unwrap_or(client).clone();
            self.ask(Request::Sender { client, sender, size, body, utf8 }, About::Sender);
        }
    }

    fn rcpt(&mut self, address: Address, fields: Vec<String>) {
        match &self.recipients {
            None => self.bad_command(reply::MAIL_FIRST),
            // RFC 3030 §2: the text has begun.
            Some(_) if self.message.is_some() => self.bad_command(reply::BDAT_BEGUN),
            Some(accepted) if accepted.len() >= self.settings.recipients_max => self.say(reply::TOO_MANY_RECIPIENTS),
            Some(_) if !self.utf8 && !address.is_ascii() => self.say(reply::NEEDS_SMTPUTF8),
            Some(_) => self.ask(Request::Recipient { address: address.clone(), fields }, About::Recipient(address)),
        }
    }

    /// Forgets the message begun, if there is one.
    fn abort(&mut self) {
        self.message = None;
        if self.recipients.take().is_some() {
            self.ask(Request::Abort, About::Abort);
        }
    }

    pub(super) fn bad_command(&mut self, line: &[u8]) {
        self.say(line);
        self.bad_commands += 1;
        if self.bad_commands >= BAD_COMMANDS_MAX {
            self.end(reply::TOO_MANY_ERRORS, Close::Errors);
        }
    }

    pub(super) fn stop_between_messages(&mut self) {
        let between = self.recipients.is_none() && matches!(self.question, Question::None);
        if self.stopping && between && self.close.is_none() {
            self.end(reply::STOPPING, Close::Stopping);
        }
    }

    pub(super) fn ask(&mut self, request: Request, about: About) {
        assert!(matches!(self.question, Question::None), "one question at a time");
        self.question = Question::Asked(request, about);
    }

    fn end(&mut self, line: &[u8], why: Close) {
        self.say(line);
        self.close = Some(why);
    }

    pub(super) fn say(&mut self, line: &[u8]) {
        self.out.extend_from_slice(line);
    }
}
