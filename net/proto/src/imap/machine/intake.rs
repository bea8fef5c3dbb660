//! Gathering: bytes into lines, lines and literals into commands.

use super::{Appending, Imap, Leftover, Phase, Refusal, Running, State, Tail};
use crate::imap::limits::{LITERAL_MINUS_BYTES_MAX, LITERALS_PREAUTH_BYTES_MAX};
use crate::imap::parse::literal::{self, Literal};
use crate::imap::parse::{self, Said, Wrong};
use crate::imap::verb::{Verb, When};
use crate::imap::{Code, StatusItems};
use skein_base::limits::{
    COMMAND_LINE_BYTES_MAX, COMMAND_LINE_PREAUTH_BYTES_MAX, COMMAND_LITERALS_BYTES_MAX, LITERAL_BYTES_MAX,
    METADATA_VALUE_BYTES_MAX,
};
use std::borrow::Cow;

/// The command so far. A command that arrives in one piece never gets here: it is parsed where it lies.
#[derive(Default, Debug)]
pub(super) struct Intake {
    /// The command so far; of a line that is skipped, its end.
    pub(super) bytes: Vec<u8>,
    /// Where the line after the last literal starts.
    line_start: usize,
    line_bytes: usize,
    literal_bytes: usize,
}

impl Intake {
    pub(super) fn is_fresh(&self) -> bool {
        self.bytes.is_empty()
    }
}

/// A line that has just become complete.
pub(super) struct Line<'a> {
    /// All of the command so far.
    pub(super) bytes: Cow<'a, [u8]>,
    /// Where this line starts in it.
    pub(super) start: usize,
}

enum Taken<'a> {
    Part,
    Line(Line<'a>),
    /// Over the limit; `ended` when the line break is behind.
    TooLong {
        ended: bool,
    },
}

impl Tail {
    fn phase(self) -> Phase {
        match self {
            Tail::Command => Phase::Command,
            Tail::Append => Phase::AppendLine,
        }
    }
}

impl Imap {
    /// Feeds the present phase; takes at least one byte.
    pub(super) fn feed_phase(&mut self, input: &[u8]) -> usize {
        match &mut self.phase {
            Phase::Literal { left, tail } => {
                let take = input.len().min(usize::try_from(*left).unwrap_or(usize::MAX));
                self.intake.bytes.extend_from_slice(&input[..take]);
                *left -= take as u64;
                if *left == 0 {
                    self.intake.line_start = self.intake.bytes.len();
                    self.phase = tail.phase();
                }
                take
            }
            Phase::Body { .. } => self.feed_body(input),
            Phase::DropLiteral(..) => self.feed_drop_literal(input),
            Phase::DropLine(_) => self.feed_drop_line(input),
            Phase::Command | Phase::Sasl | Phase::Idle | Phase::AppendLine => self.feed_line(input),
            Phase::Asked(_) | Phase::StartTls | Phase::StartDeflate | Phase::Close(_) => unreachable!("takes no input"),
        }
    }

    fn feed_line(&mut self, input: &[u8]) -> usize {
        let end = memchr::memchr(b'\n', input);
        let take = end.map_or(input.len(), |at| at + 1);
        let taken = self.take_line(&input[..take], end.is_some());
        match (taken, &self.phase) {
            (Taken::Part, _) => {}
            (Taken::Line(line), Phase::Command) => self.command_line(line),
            (Taken::Line(line), Phase::Sasl) => self.sasl_line(literal::line_text(&line.bytes)),
            (Taken::Line(line), Phase::Idle) => self.idle_line(literal::line_text(&line.bytes)),
            (Taken::Line(line), _) => self.append_more(&line),
            (Taken::TooLong { ended }, _) => self.line_too_long(&input[..take], ended),
        }
        take
    }

    /// `input` goes to the end of a line at most; `ended` when it goes there.
    fn take_line<'a>(&mut self, input: &'a [u8], ended: bool) -> Taken<'a> {
        let max = match self.state {
            State::NotAuthenticated => COMMAND_LINE_PREAUTH_BYTES_MAX,
            _ => COMMAND_LINE_BYTES_MAX,
        };
        if self.intake.line_bytes + input.len() > max {
            return Taken::TooLong { ended };
        }
        if !ended {
            self.intake.line_bytes += input.len();
            self.intake.bytes.extend_from_slice(input);
            return Taken::Part;
        }
        let gathered = std::mem::take(&mut self.intake);
        self.intake.line_bytes = gathered.line_bytes + input.len();
        self.intake.literal_bytes = gathered.literal_bytes;
        if gathered.bytes.is_empty() {
            return Taken::Line(Line { bytes: Cow::Borrowed(input), start: 0 });
        }
        let mut bytes = gathered.bytes;
        bytes.extend_from_slice(input);
        Taken::Line(Line { bytes: Cow::Owned(bytes), start: gathered.line_start })
    }

    /// The command goes on after this line when it ends in a literal's header.
    fn command_line(&mut self, line: Line<'_>) {
        let last = &line.bytes[line.start..];
        let text = literal::line_text(last);
        let clean = memchr::memchr2(0, b'\r', text).is_none();
        match literal::header_outside_quotes(last) {
            Some(literal) => self.announced(line.bytes, literal, clean),
            None => {
                let end = line.start + text.len();
                self.intake = Intake::default();
                self.command(&line.bytes[..end], clean);
            }
        }
    }

    fn command(&mut self, bytes: &[u8], clean: bool) {
        if bytes.is_empty() {
            // Several clients send one line break too many after a literal.
            return;
        }
        let Some((tag, rest)) = parse::tag(bytes) else {
            return self.refuse(Refusal::untagged("Invalid tag"), Leftover::None);
        };
        let parsed = match self.verb(rest, clean) {
            Ok((said, args)) if said.verb.appends() => return self.append_first(tag, said.verb, args.rest(), None),
            Ok((said, args)) => parse::arguments(said.verb, args).map(|command| (said, command)),
            Err(wrong) => Err(wrong),
        };
        match parsed {
            Err(wrong) => self.refuse(Refusal::of(tag, &wrong), Leftover::None),
            Ok((said, command)) => {
                self.begin(tag, said);
                self.run(command);
            }
        }
    }

    /// The verb, when it may be said now.
    fn verb<'a>(&self, after_tag: &'a [u8], clean: bool) -> Result<(Said, parse::Cursor<'a>), Wrong> {
        if !clean {
            return Err(Wrong::Bad("NUL or lone carriage return in a command"));
        }
        let (said, args) = parse::verb(after_tag, self.enabled, |name| self.config.command(name))?;
        if said.verb == Verb::Login && !self.logged_in() && !self.config.allows_login(self.channel.tls) {
            // Said before a literal is asked for, which would be the password.
            return Err(Wrong::No(Code::PrivacyRequired, super::run::NEEDS_TLS));
        }
        if self.enabled.uid_only && said.verb.goes_by_number() && self.logged_in() {
            return Err(parse::UID_REQUIRED);
        }
        match (said.when(), self.state) {
            (When::Any, _)
            | (When::BeforeLogin, State::NotAuthenticated)
            | (When::AfterLogin, State::Authenticated | State::Selected)
            | (When::Selected, State::Selected) => Ok((said, args)),
            (When::BeforeLogin, _) => Err(Wrong::Bad("You are logged in already")),
            (_, State::NotAuthenticated) => Err(Wrong::Bad("Log in first")),
            (_, _) => Err(Wrong::Bad("Select a mailbox first")),
        }
    }

    pub(super) fn begin(&mut self, tag: &[u8], said: impl Into<Said>) {
        let said = said.into();
        self.running = Some(Box::new(Running {
            tag: tag.to_vec(),
            verb: said.verb,
            name: said.name(),
            notifies: false,
            named: None,
            status: StatusItems::default(),
            then: None,
            resync: None,
            append: Appending::default(),
            sasl: None,
            tagged: Vec::new(),
        }));
    }

    /// A line ends with a literal's header. Whether its bytes are wanted is decided before they come.
    fn announced(&mut self, bytes: Cow<'_, [u8]>, literal: Literal, clean: bool) {
        let Some((tag, rest)) = parse::tag(&bytes) else {
            return self.refuse_literal(Refusal::untagged("Invalid tag"), literal);
        };
        let wanted = match self.verb(rest, clean) {
            Ok((said, args)) if said.verb.appends() => {
                return self.append_first(tag, said.verb, literal::line_text(args.rest()), Some(literal));
            }
            Ok((said, _)) if said.verb == Verb::SetMetadata && literal.bytes > METADATA_VALUE_BYTES_MAX as u64 => {
                Err(Wrong::No(Code::MetadataMaxSize(METADATA_VALUE_BYTES_MAX as u64), "The value is too long"))
            }
            Ok(_) => self.check_plus(literal).and_then(|()| self.check_literal(literal)),
            Err(wrong) => Err(wrong),
        };
        match wanted {
            Err(wrong) => self.refuse_literal(Refusal::of(tag, &wrong), literal),
            Ok(()) => self.expect_literal(bytes.into_owned(), literal, Tail::Command),
        }
    }

    /// Takes a literal that is one of the words of `bytes`.
    pub(super) fn expect_literal(&mut self, bytes: Vec<u8>, literal: Literal, tail: Tail) {
        self.intake.literal_bytes += literal.bytes as usize;
        self.intake.bytes = bytes;
        self.intake.line_start = self.intake.bytes.len();
        if !literal.plus {
            self.out.extend_from_slice(b"+ OK\r\n");
        }
        self.phase = match literal.bytes {
            0 => tail.phase(),
            left => Phase::Literal { left, tail },
        };
    }

    /// Whether a client may send this literal without waiting (RFC 7888 §5).
    pub(super) fn check_plus(&self, literal: Literal) -> Result<(), Wrong> {
        match self.config.literal_minus && literal.plus && literal.bytes > LITERAL_MINUS_BYTES_MAX {
            true => Err(Wrong::Bad("A literal of more than 4096 bytes must be waited with")),
            false => Ok(()),
        }
    }

    pub(super) fn check_literal(&self, literal: Literal) -> Result<(), Wrong> {
        let (one, all) = match self.state {
            State::NotAuthenticated => (LITERALS_PREAUTH_BYTES_MAX, LITERALS_PREAUTH_BYTES_MAX),
            _ => (LITERAL_BYTES_MAX, COMMAND_LITERALS_BYTES_MAX),
        };
        let left = all.saturating_sub(self.intake.literal_bytes);
        match literal.bytes <= one.min(left) as u64 {
            true => Ok(()),
            false => Err(Wrong::No(Code::TooBig, "Literal is too large")),
        }
    }

    pub(super) fn check_message(&self, literal: Literal) -> Result<(), Wrong> {
        match literal.bytes > self.config.message_bytes_max {
            true => Err(Wrong::No(Code::TooBig, "Message is too large")),
            false => Ok(()),
        }
    }

    fn line_too_long(&mut self, input: &[u8], ended: bool) {
        let mut start = std::mem::take(&mut self.intake).bytes;
        start.extend_from_slice(input);
        self.keep_tail(&start);
        let leftover = if ended { self.after_tail() } else { Leftover::Line };
        let text = "Line is too long";
        match self.phase {
            Phase::Idle => self.end_idle(Some(leftover)),
            Phase::AppendLine => self.fail_append(&Wrong::Bad(text), leftover),
            _ => {
                let refusal = match (&self.running, parse::tag(&start)) {
                    (Some(running), _) => Refusal::of(&running.tag, &Wrong::Bad(text)),
                    (None, Some((tag, rest))) if !rest.is_empty() => Refusal::of(tag, &Wrong::Bad(text)),
                    _ => Refusal::untagged(text),
                };
                self.refuse(refusal, leftover);
            }
        }
    }
}
