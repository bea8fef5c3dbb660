//! The text of a message coming in, after DATA or in the chunks of BDAT (RFC 3030).

use super::data::Unstuffer;
use super::limits::{CHUNK_READY_BYTES, CHUNK_STEP_BYTES};
use super::machine::{About, Input, Lmtp};
use super::reply;
use super::request::{Outcome, Refusal, Request};
use skein_base::Class;
use skein_base::line_ends::Crlf;

/// A message coming in.
pub(super) struct Message {
    form: Form,
    chunk: Vec<u8>,
    bytes: u64,
    /// Why the rest is read and thrown away.
    pub(super) refused: Option<Refusal>,
    ended: bool,
}

/// How its end is known.
enum Form {
    /// By a dot.
    Data(Unstuffer),
    /// By counting.
    Bdat(Bdat),
}

/// The BDAT under way, or the one before.
struct Bdat {
    ends: Crlf,
    /// As the command said.
    bytes: u64,
    /// Of these, still to come.
    left: u64,
    last: bool,
}

impl Message {
    fn new(form: Form) -> Message {
        Message { form, chunk: Vec::new(), bytes: 0, refused: None, ended: false }
    }

    /// Takes some of `input`, and returns how much.
    fn push(&mut self, input: &[u8]) -> usize {
        let input = &input[..input.len().min(CHUNK_STEP_BYTES)];
        let before = self.chunk.len();
        let used = match &mut self.form {
            Form::Data(dots) => {
                let taken = dots.push(input, &mut self.chunk);
                self.ended = taken.end;
                taken.used
            }
            Form::Bdat(bdat) => {
                let used = usize::try_from(bdat.left).unwrap_or(usize::MAX).min(input.len());
                bdat.ends.push(&input[..used], &mut self.chunk);
                bdat.left -= used as u64;
                self.ended = bdat.left == 0 && bdat.last;
                used
            }
        };
        self.bytes += (self.chunk.len() - before) as u64;
        used
    }

    fn refuse_rest(&mut self, class: Class, text: &str) {
        self.refused = Some(Refusal { class, text: text.to_owned() });
        self.chunk = Vec::new();
    }
}

impl Lmtp {
    /// RFC 2033 §4.2: DATA must fail when no RCPT succeeded. Not counted as nonsense: who pipelines can not know.
    pub(super) fn start_data(&mut self) {
        match &self.recipients {
            None => self.bad_command(reply::MAIL_FIRST),
            Some(_) if self.message.is_some() => self.bad_command(reply::BDAT_BEGUN),
            Some(accepted) if accepted.is_empty() => self.say(reply::NO_RECIPIENTS),
            Some(_) => {
                self.message = Some(Message::new(Form::Data(Unstuffer::new())));
                self.input = Input::Message;
                self.say(reply::START_DATA);
            }
        }
    }

    /// A chunk of `bytes` follows, whatever the answer will be (RFC 3030 §2).
    pub(super) fn start_bdat(&mut self, bytes: u64, last: bool) {
        let line = match &self.recipients {
            None => reply::MAIL_FIRST,
            Some(accepted) if accepted.is_empty() => reply::NO_RECIPIENTS,
            Some(_) => return self.take_bdat(bytes, last),
        };
        self.input = Input::Refused(bytes, line);
        self.feed_refused(bytes, line, 0);
    }

    fn take_bdat(&mut self, bytes: u64, last: bool) {
        let begun = || Message::new(Form::Bdat(Bdat { ends: Crlf::new(), bytes: 0, left: 0, last: false }));
        let message = self.message.get_or_insert_with(begun);
        let Form::Bdat(bdat) = &mut message.form else { unreachable!("DATA ends with its message") };
        (bdat.bytes, bdat.left, bdat.last) = (bytes, bytes, last);
        self.input = Input::Message;
        if bytes == 0 {
            message.ended = last;
            self.hand_over_chunk();
        }
    }

    /// Passes over bytes of a refused BDAT: `come` of those `left` are there.
    pub(super) fn feed_refused(&mut self, left: u64, line: &'static [u8], come: usize) -> usize {
        let used = usize::try_from(left).unwrap_or(usize::MAX).min(come);
        let left = left - used as u64;
        self.input = Input::Refused(left, line);
        if left == 0 {
            self.input = Input::Commands;
            match line == reply::NO_RECIPIENTS {
                true => self.say(line),
                false => self.bad_command(line),
            }
        }
        used
    }

    pub(super) fn feed_message(&mut self, input: &[u8]) -> usize {
        let message_bytes_max = self.settings.message_bytes_max;
        let message = self.message();
        let used = message.push(input);
        if message.refused.is_some() {
            message.chunk.clear();
        } else if message.bytes > message_bytes_max {
            message.refuse_rest(Class::TooBig, "Message too big");
            self.ask(Request::Abort, About::Abort);
            return used;
        }
        self.hand_over_chunk();
        used
    }

    /// Asks about the chunk when it is large enough or the last; otherwise goes on.
    fn hand_over_chunk(&mut self) {
        let message = self.message();
        let due = message.chunk.len() >= CHUNK_READY_BYTES || (message.ended && !message.chunk.is_empty());
        if due {
            let chunk = std::mem::take(&mut message.chunk);
            self.ask(Request::Chunk(chunk), About::Chunk);
        } else {
            self.finish_input();
        }
    }

    /// After the end of the message, with no chunk left: asks for the outcomes, or gives the one that all share. After a
    /// BDAT that is not the last: says how it went so far.
    pub(super) fn finish_input(&mut self) {
        let (Input::Message, Some(message)) = (self.input, &mut self.message) else { return };
        if !message.ended {
            if let Form::Bdat(Bdat { left: 0, bytes, .. }) = message.form {
                match &message.refused {
                    None => reply::received(&mut self.out, bytes),
                    Some(refusal) => reply::refuse(&mut self.out, refusal),
                }
                self.input = Input::Commands;
            }
            return;
        }
        match message.refused.take() {
            None => {
                let bytes = message.bytes;
                self.ask(Request::End { bytes }, About::End);
            }
            Some(refusal) => {
                let accepted = self.recipients.as_ref().map_or(0, Vec::len);
                self.say_outcomes(&vec![Err(refusal); accepted]);
            }
        }
    }

    pub(super) fn say_outcomes(&mut self, outcomes: &[Outcome]) {
        let accepted = self.recipients.take().expect("a message comes after RCPT");
        assert_eq!(outcomes.len(), accepted.len(), "one outcome for each accepted recipient");
        for (address, outcome) in accepted.iter().zip(outcomes) {
            match outcome {
                Ok(()) => reply::saved(&mut self.out, address),
                Err(refusal) => reply::refuse_recipient(&mut self.out, address, refusal),
            }
        }
        (self.input, self.message) = (Input::Commands, None);
        // Connections of a busy sender live for days: errors far apart are no sign of nonsense.
        self.bad_commands = 0;
        self.stop_between_messages();
    }

    pub(super) fn message(&mut self) -> &mut Message {
        self.message.as_mut().expect("called only while a message comes in")
    }
}
