//! The message of an APPEND, in bounded chunks.
//!
//! ```text
//! AppendBegin ─Continue─▶ Body ─full or complete─▶ AppendChunk ─Continue─▶ Body .. BodyTail ─▶ AppendEnd
//!      └── No ──▶ skipped        └────────────── No ──▶ the rest is skipped        └ wrong ─▶ AppendAbort
//! ```

use super::{Imap, Intake, Leftover, Phase, Refusal, Waiting};
use crate::imap::limits::APPEND_CHUNK_BYTES;
use crate::imap::parse::literal::{self, line_text};
use crate::imap::response::condition;
use crate::imap::{Reply, Request};

impl Imap {
    pub(super) fn append_begun(&mut self, size: u64, plus: bool, reply: Reply) {
        match reply {
            Reply::Continue => {
                if !plus {
                    self.out.extend_from_slice(b"+ OK\r\n");
                }
                self.phase = Phase::Body { left: size, chunk: Vec::new() };
            }
            // A client that waits gets its answer, with the news, at once; another is let finish.
            refused if !plus => {
                assert_refusal(&refused);
                self.conclude(refused);
            }
            refused => self.skip_message(size, refused),
        }
    }

    pub(super) fn append_went_on(&mut self, left: u64, reply: Reply) {
        match reply {
            Reply::Continue if left == 0 => self.phase = Phase::BodyTail,
            Reply::Continue => self.phase = Phase::Body { left, chunk: Vec::new() },
            refused => self.skip_message(left, refused),
        }
    }

    fn skip_message(&mut self, left: u64, reply: Reply) {
        assert_refusal(&reply);
        let line = self.tagged_line(&reply);
        self.refuse(Refusal::rendered(line, false), Leftover::Literal(left));
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

    /// The line after the message is empty, or the command is wrong.
    pub(super) fn body_tail(&mut self, line: &[u8]) {
        self.intake = Intake::default();
        if line_text(line).iter().all(|&b| b == b' ') {
            return self.asking(Request::AppendEnd, Waiting::Command);
        }
        let leftover = match literal::header_outside_quotes(line) {
            Some(literal) if literal.plus => Leftover::Literal(literal.bytes),
            _ => Leftover::None,
        };
        self.abort_append("Unexpected argument after the message", leftover);
    }

    pub(super) fn abort_append(&mut self, text: &'static str, leftover: Leftover) {
        let mut line = Vec::new();
        condition(&mut line, &self.running().tag, "BAD", None, text);
        self.running().tagged = line;
        self.asking(Request::AppendAbort, Waiting::AppendAbort(leftover));
    }
}

fn assert_refusal(reply: &Reply) {
    assert!(matches!(reply, Reply::No { .. } | Reply::Bad { .. }), "a message is answered with {reply:?}");
}
