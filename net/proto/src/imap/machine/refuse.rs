//! What is wrong is answered once, and what belongs to it is skipped, so that the next command starts at a line.
//!
//! ```text
//! a1 FETCH {9000000+}CRLF ..9000000 bytes.. (FLAGS)CRLF   a2 NOOP
//!                         DropLiteral       DropLine ^ a1 NO [TOOBIG]
//! ```

use super::{Imap, Intake, Phase, State, Why};
use crate::imap::Code;
use crate::imap::limits::{
    BAD_COMMANDS_MAX, BAD_COMMANDS_PREAUTH_MAX, LITERAL_DROPPED_BYTES_MAX, LITERALS_PREAUTH_BYTES_MAX,
};
use crate::imap::parse::Wrong;
use crate::imap::parse::literal::{self, HEADER_BYTES_MAX, Literal};
use crate::imap::response::condition;

/// A status line that ends a command which was not run.
#[derive(Debug)]
pub(super) struct Refusal {
    line: Vec<u8>,
    /// It counts among the wrong commands after which a connection closes.
    counts: bool,
}

impl Refusal {
    pub(super) fn of(tag: &[u8], wrong: &Wrong) -> Refusal {
        let mut line = Vec::new();
        match wrong {
            Wrong::Bad(text) => condition(&mut line, tag, "BAD", None, text),
            Wrong::BadCode(code, text) => condition(&mut line, tag, "BAD", Some(code), text),
            Wrong::No(code, text) => condition(&mut line, tag, "NO", Some(code), text),
        }
        Refusal { line, counts: true }
    }

    pub(super) fn untagged(text: &'static str) -> Refusal {
        Refusal::of(b"*", &Wrong::Bad(text))
    }

    /// The status line alone.
    pub(super) fn into_line(self) -> Vec<u8> {
        self.line
    }

    /// A status line that is written already. The client has done nothing wrong.
    pub(super) fn rendered(line: Vec<u8>, counts: bool) -> Refusal {
        Refusal { line, counts }
    }
}

/// What the client is still sending of a refused command.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Leftover {
    /// Nothing.
    None,
    /// The rest of a line.
    Line,
    /// So many bytes, and then a line.
    Literal(u64),
}

impl Imap {
    /// Skips what is left of the command, then answers.
    pub(super) fn refuse(&mut self, refusal: Refusal, leftover: Leftover) {
        self.running = None;
        match leftover {
            Leftover::None => self.refused(refusal),
            Leftover::Line => self.phase = Phase::DropLine(refusal),
            Leftover::Literal(0) => {
                self.intake = Intake::default();
                self.phase = Phase::DropLine(refusal);
            }
            Leftover::Literal(bytes) if bytes > self.dropped_bytes_max() => {
                self.close(Why::LiteralTooBig, Some(&Code::TooBig), "Literal is too large.");
            }
            Leftover::Literal(bytes) => {
                self.intake = Intake::default();
                self.phase = Phase::DropLiteral(bytes, refusal);
            }
        }
    }

    /// A literal is not wanted: a client that waits is told at once, another is let finish.
    pub(super) fn refuse_literal(&mut self, refusal: Refusal, literal: Literal) {
        let leftover = if literal.plus { Leftover::Literal(literal.bytes) } else { Leftover::None };
        self.refuse(refusal, leftover);
    }

    fn dropped_bytes_max(&self) -> u64 {
        match self.state {
            State::NotAuthenticated => LITERALS_PREAUTH_BYTES_MAX as u64,
            _ => LITERAL_DROPPED_BYTES_MAX.max(self.config.message_bytes_max.saturating_mul(2)),
        }
    }

    pub(super) fn feed_drop_literal(&mut self, input: &[u8]) -> usize {
        let Phase::DropLiteral(left, refusal) = std::mem::replace(&mut self.phase, Phase::Command) else {
            unreachable!("only called in this phase");
        };
        let take = input.len().min(usize::try_from(left).unwrap_or(usize::MAX));
        self.phase = match left - take as u64 {
            0 => Phase::DropLine(refusal),
            left => Phase::DropLiteral(left, refusal),
        };
        take
    }

    pub(super) fn feed_drop_line(&mut self, input: &[u8]) -> usize {
        let end = memchr::memchr(b'\n', input);
        let take = end.map_or(input.len(), |at| at + 1);
        self.keep_tail(&input[..take]);
        if end.is_some() {
            let Phase::DropLine(refusal) = std::mem::replace(&mut self.phase, Phase::Command) else {
                unreachable!("only called in this phase");
            };
            let leftover = self.after_tail();
            self.refuse(refusal, leftover);
        }
        take
    }

    /// Of a line that is skipped, only what may be a literal's header at its end is kept.
    pub(super) fn keep_tail(&mut self, part: &[u8]) {
        let kept = &mut self.intake.bytes;
        kept.extend_from_slice(&part[part.len().saturating_sub(HEADER_BYTES_MAX)..]);
        kept.drain(..kept.len().saturating_sub(HEADER_BYTES_MAX));
    }

    /// What follows a skipped line: the literal it announced, when the client does not wait with that.
    pub(super) fn after_tail(&mut self) -> Leftover {
        let tail = std::mem::take(&mut self.intake.bytes);
        match literal::header(&tail).filter(|literal| literal.plus) {
            Some(literal) => Leftover::Literal(literal.bytes),
            None => Leftover::None,
        }
    }

    fn refused(&mut self, refusal: Refusal) {
        self.intake = Intake::default();
        self.running = None;
        self.phase = Phase::Command;
        self.out.extend_from_slice(&refusal.line);
        if refusal.counts {
            self.count_bad();
        }
    }

    pub(super) fn count_bad(&mut self) {
        self.bad_commands += 1;
        let max = match self.state {
            State::NotAuthenticated => BAD_COMMANDS_PREAUTH_MAX,
            _ => BAD_COMMANDS_MAX,
        };
        if self.bad_commands >= max {
            self.close(Why::TooManyBadCommands, None, "Too many wrong commands.");
        }
    }
}
