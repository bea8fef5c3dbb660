//! The LMTP machine: a foreign client, scripted outcomes.

use crate::script::{Script, check_lines};
use skein_base::Class;
use skein_base::limits::BODY_CHUNK_BYTES;
use skein_proto::lmtp::{Lmtp, Outcome, Refusal, Reply, Request, Settings, Step};

/// Output for nothing: the greeting. Each byte of input may cost [`OUT_PER_BYTE_MAX`] more.
const OUT_BYTES_MIN: usize = 1024;
/// The shortest line, a bare LF, has a refusal.
const OUT_PER_BYTE_MAX: usize = 128;

/// Commands and mail in any cut: never panics, hands on whole lines that add up, answers in lines, says the same whatever the
/// cut.
///
/// The first line is the script: how large a message may be, then the session's answers and the cuts.
pub fn lmtp(data: &[u8]) {
    let (script, input) = Script::of(data);
    let whole = play(script.clone(), [input].into_iter());
    let cut = play(script.clone(), script.pieces(input));
    assert_eq!(whole.0.escape_ascii().to_string(), cut.0.escape_ascii().to_string(), "a cut changes the answers");
    assert_eq!(whole.1, cut.1, "a cut changes a message");
}

/// The output, and the messages that were complete.
fn play<'i>(mut script: Script, pieces: impl Iterator<Item = &'i [u8]>) -> (Vec<u8>, Vec<Vec<u8>>) {
    let settings = Settings {
        hostname: "mx.example.org".to_string(),
        message_bytes_max: u64::from(script.next()) * 16,
        recipients_max: 3,
        idle_ms_max: 1000,
        starttls: true,
        trusts: true,
    };
    let mut lmtp = Lmtp::new(settings, false);
    let mut session = Session { script, accepted: 0, message: Vec::new(), complete: Vec::new() };
    let (mut output, mut fed) = (Vec::new(), 0);
    for mut rest in pieces {
        fed += rest.len();
        while !rest.is_empty() && session.serve(&mut lmtp) {
            rest = &rest[lmtp.feed(rest, fed as u64)..];
            output.append(lmtp.out());
        }
        session.serve(&mut lmtp);
        output.append(lmtp.out());
        lmtp.tick(0);
        assert!(output.len() <= OUT_BYTES_MIN + OUT_PER_BYTE_MAX * fed, "{} bytes for {fed}", output.len());
    }
    output.append(lmtp.out());
    // An address comes back as it was said, which may be in UTF-8 (RFC 6531).
    let text = std::str::from_utf8(&output).expect("replies are UTF-8");
    check_lines(text.replace(|c: char| !c.is_ascii(), "x").as_bytes());
    (output, session.complete)
}

struct Session<'a> {
    script: Script<'a>,
    accepted: usize,
    message: Vec<u8>,
    complete: Vec<Vec<u8>>,
}

impl Session<'_> {
    /// Does what the machine wants; false when the connection is over.
    fn serve(&mut self, lmtp: &mut Lmtp) -> bool {
        loop {
            match lmtp.next() {
                Step::More => return true,
                Step::Close(_) => return false,
                // Without the loss of what was sent early, which hangs on the cuts.
                Step::StartTls => lmtp.tls_started(),
                Step::Wait => panic!("no answer is owed"),
                Step::Ask(id, request) => {
                    let reply = self.reply(request);
                    lmtp.answer(id, reply);
                }
            }
        }
    }

    fn reply(&mut self, request: Request) -> Reply {
        match request {
            Request::Sender { .. } => {
                (self.accepted, self.message) = (0, Vec::new());
                self.accept_or_not()
            }
            Request::Forwarded(_) => Reply::Accept,
            Request::Recipient { .. } => {
                let reply = self.accept_or_not();
                self.accepted += usize::from(reply == Reply::Accept);
                reply
            }
            // Chunks may depend on the cuts, so they take no turn in the script.
            Request::Chunk(chunk) => {
                assert!((1..=BODY_CHUNK_BYTES).contains(&chunk.len()));
                self.message.extend_from_slice(&chunk);
                Reply::Accept
            }
            Request::End { bytes } => {
                let message = std::mem::take(&mut self.message);
                assert_eq!(message.len() as u64, bytes);
                check_message(&message);
                self.complete.push(message);
                Reply::Outcomes((0..self.accepted).map(|_| self.outcome()).collect())
            }
            Request::Abort => {
                (self.accepted, self.message) = (0, Vec::new());
                Reply::Accept
            }
        }
    }

    fn outcome(&mut self) -> Outcome {
        let classes = [Class::Missing, Class::Quota, Class::Unavailable];
        match usize::from(self.script.next() % 8).checked_sub(5) {
            Some(i) => Err(Refusal { class: classes[i], text: "no\r\n250 yes".to_string() }),
            None => Ok(()),
        }
    }

    fn accept_or_not(&mut self) -> Reply {
        self.outcome().map_or_else(Reply::Refuse, |()| Reply::Accept)
    }
}

/// No LF stands alone.
fn check_message(message: &[u8]) {
    let lines = message.iter().filter(|&&b| b == b'\n').count();
    assert_eq!(lines, message.windows(2).filter(|pair| pair == b"\r\n").count());
}
