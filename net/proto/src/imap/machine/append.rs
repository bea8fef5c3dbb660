//! APPEND and REPLACE: lines and messages in turn, messages in bounded chunks.
//!
//! ```text
//! line ─▶ AppendBegin ▶ AppendMessage ▶ AppendUrl .. AppendLiteral ─Continue─▶ Body ─full or complete─▶ AppendChunk ─▶ Body .. line
//!   │         └── No ─────────┴──────────┴─────────────┴──────────────────────────────────── No ──▶ the rest is skipped
//!   ├─ complete ─▶ AppendEnd
//!   └─ wrong ─▶ AppendAbort, if anything was begun ─▶ the rest is skipped
//! ```
//! What is skipped: literals with which the client does not wait are read and dropped. One with which it waits is not asked for,
//! and then the command is over.

use super::intake::Line;
use super::{Imap, Intake, Leftover, Phase, Refusal, Tail, Waiting};
use crate::imap::limits::APPEND_CHUNK_BYTES;
use crate::imap::parse::literal::{self, Literal, line_text};
use crate::imap::parse::{self, AppendAt, AppendLine, AppendSoFar, AppendThen, Wrong};
use crate::imap::verb::Verb;
use crate::imap::{Reply, Request};
use std::collections::VecDeque;

/// How far an APPEND is.
#[derive(Default, Debug)]
pub(super) struct Appending {
    at: AppendAt,
    messages: usize,
    /// The session has agreed to something that it must be told to forget.
    begun: bool,
    /// What is to be asked of the line that was read.
    ask: VecDeque<Request>,
    /// How the line ends, the literal there, and the words to be read again with it.
    then: Option<(AppendThen, Option<Literal>)>,
    word: Vec<u8>,
}

impl Imap {
    /// The first line, from the verb on.
    pub(super) fn append_first(&mut self, tag: &[u8], verb: Verb, text: &[u8], literal: Option<Literal>) {
        self.begin(tag, verb);
        self.append_line(text, literal);
    }

    /// A line after a literal.
    pub(super) fn append_more(&mut self, line: &Line<'_>) {
        let last = &line.bytes[line.start..];
        let (text, literal) = (line_text(last), literal::header_outside_quotes(last));
        if memchr::memchr2(0, b'\r', text).is_some() {
            let wrong = Wrong::Bad("NUL or lone carriage return in a command");
            return self.fail_append(&wrong, leftover(literal));
        }
        self.append_line(&line.bytes[..line.start + text.len()], literal);
    }

    fn append_line(&mut self, text: &[u8], literal: Option<Literal>) {
        match self.read_append(text, literal) {
            Err(wrong) => self.fail_append(&wrong, leftover(literal)),
            Ok(AppendLine { ask, then }) => {
                let append = &mut self.running().append;
                append.messages += ask.iter().filter(|r| matches!(r, Request::AppendMessage { .. })).count();
                append.ask = ask.into();
                append.then = Some((then, literal));
                match then {
                    AppendThen::Word { from, .. } => append.word = [&text[from..], b"\r\n"].concat(),
                    // The bounds of lines and literals are for what is gathered.
                    AppendThen::Message { .. } | AppendThen::End => self.intake = Intake::default(),
                }
                self.append_next();
            }
        }
    }

    fn read_append(&mut self, text: &[u8], literal: Option<Literal>) -> Result<AppendLine, Wrong> {
        let (enabled, running) = (self.enabled, self.running());
        let (at, messages) = (running.append.at, running.append.messages);
        let so_far = AppendSoFar { verb: running.verb, at, messages, enabled };
        if let Some(literal) = literal {
            self.check_plus(literal)?;
        }
        let line = parse::append_line(text, so_far, literal)?;
        match (line.then, literal) {
            (AppendThen::Word { .. }, Some(literal)) => self.check_literal(literal)?,
            (AppendThen::Message { .. }, Some(literal)) => self.check_message(literal)?,
            _ => {}
        }
        Ok(line)
    }

    /// Asks what is next; then takes what the line announced.
    fn append_next(&mut self) {
        let append = &mut self.running().append;
        if let Some(request) = append.ask.pop_front() {
            return self.asking(request, Waiting::Append);
        }
        let (then, literal) = append.then.take().expect("a line was read");
        match (then, literal) {
            (AppendThen::Word { at, .. }, Some(literal)) => {
                append.at = at;
                let word = std::mem::take(&mut append.word);
                self.expect_literal(word, literal, Tail::Append);
            }
            (AppendThen::Message { at }, Some(literal)) => {
                append.at = at;
                if !literal.plus {
                    self.out.extend_from_slice(b"+ OK\r\n");
                }
                self.phase = match literal.bytes {
                    0 => Phase::AppendLine,
                    left => Phase::Body { left, chunk: Vec::new() },
                };
            }
            _ => self.asking(Request::AppendEnd, Waiting::Command),
        }
    }

    pub(super) fn append_went_on(&mut self, reply: Reply) {
        match reply {
            Reply::Continue => {
                self.running().append.begun = true;
                self.append_next();
            }
            refused => {
                let literal = self.running().append.then.take().and_then(|(_, literal)| literal);
                self.skip_append(refused, leftover(literal));
            }
        }
    }

    pub(super) fn append_chunk_taken(&mut self, left: u64, reply: Reply) {
        match reply {
            Reply::Continue if left == 0 => self.phase = Phase::AppendLine,
            Reply::Continue => self.phase = Phase::Body { left, chunk: Vec::new() },
            refused => self.skip_append(refused, Leftover::Literal(left)),
        }
    }

    /// The session has refused, and forgotten. A client that waits gets its answer, with the news, at once; another is let
    /// finish.
    fn skip_append(&mut self, reply: Reply, leftover: Leftover) {
        assert!(matches!(reply, Reply::No { .. } | Reply::Bad { .. }), "a message is answered with {reply:?}");
        if leftover == Leftover::None {
            return self.conclude(reply);
        }
        let line = self.tagged_line(&reply);
        self.refuse(Refusal::rendered(line, false), leftover);
    }

    /// The command is wrong. What the session knows of it, it must forget.
    pub(super) fn fail_append(&mut self, wrong: &Wrong, leftover: Leftover) {
        let refusal = Refusal::of(&self.running().tag, wrong);
        if !self.running().append.begun {
            return self.refuse(refusal, leftover);
        }
        self.running().tagged = refusal.into_line();
        self.asking(Request::AppendAbort, Waiting::AppendAbort(leftover));
    }

    pub(super) fn feed_body(&mut self, input: &[u8]) -> usize {
        let Phase::Body { left, chunk } = &mut self.phase else { unreachable!("only called in this phase") };
        let wanted = usize::try_from(*left).unwrap_or(usize::MAX).min(APPEND_CHUNK_BYTES - chunk.len());
        let take = input.len().min(wanted);
        if chunk.capacity() == 0 {
            chunk.reserve_exact(wanted);
        }
        chunk.extend_from_slice(&input[..take]);
        *left -= take as u64;
        if take == wanted {
            let (left, chunk) = (*left, std::mem::take(chunk));
            self.asking(Request::AppendChunk(chunk), Waiting::AppendChunk { left });
        }
        take
    }
}

/// What the client sends after a line that ends with this literal, though nobody wants it.
fn leftover(literal: Option<Literal>) -> Leftover {
    match literal {
        Some(literal) if literal.plus => Leftover::Literal(literal.bytes),
        _ => Leftover::None,
    }
}
