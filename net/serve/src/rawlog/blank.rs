//! What a client sends, without its passwords: commands that carry one lose all but their name.
//!
//! ```text
//! a1 LOGIN anna {6}\r\nsecret\r\n   ──▶   a1 LOGIN <hidden>\r\n<hidden>\r\n
//! AUTH PLAIN\r\nAGFubmEAc2VjcmV0\r\n  ──▶   AUTH <hidden>\r\n<hidden>\r\n
//! ```
//! Lines are looked at without their place among commands: one in a message that reads like a login is hidden too.

/// Bytes of a line that may be held until its command is known; a longer first word is no command.
const HELD_BYTES_MAX: usize = 128;
const HIDDEN: &[u8] = b"<hidden>";
/// Commands whose arguments are secret, in any protocol, first on the line or behind a tag.
const SECRET: [&[u8]; 5] = [b"LOGIN", b"AUTHENTICATE", b"PASS", b"AUTH", b"APOP"];

/// Takes passwords out of a stream that comes in any pieces.
#[derive(Default)]
pub(super) struct Blank {
    /// The line so far, until it is known whether it is secret.
    held: Vec<u8>,
    state: State,
}

#[derive(Clone, Copy, PartialEq, Eq, Default)]
enum State {
    /// At the first words of a line.
    #[default]
    Begin,
    /// In a line that is nobody's secret.
    Plain,
    /// In a secret: its line, of which the end is kept to see whether a literal follows.
    Secret { exchange: bool, tail: Tail },
    /// In a secret's literal; so many bytes are left.
    Literal { left: u64, exchange: bool },
    /// Behind a line that began an exchange: the next one is its answer.
    Answer,
}

/// What the end of a line says of a literal behind it: `{12}` or `{12+}`.
#[derive(Clone, Copy, PartialEq, Eq, Default)]
enum Tail {
    #[default]
    None,
    Digits(u64),
    Plus(u64),
    Closed(u64),
}

impl Tail {
    fn then(self, byte: u8) -> Tail {
        match (self, byte) {
            (_, b'{') => Tail::Digits(0),
            (Tail::Digits(n), b'0'..=b'9') => Tail::Digits(n.saturating_mul(10).saturating_add(u64::from(byte - b'0'))),
            (Tail::Digits(n), b'+') => Tail::Plus(n),
            (Tail::Digits(n) | Tail::Plus(n), b'}') => Tail::Closed(n),
            (Tail::Closed(n), b'\r') => Tail::Closed(n),
            _ => Tail::None,
        }
    }
}

impl Blank {
    /// Appends to `out` what of `bytes` may be seen.
    pub fn pass(&mut self, bytes: &[u8], out: &mut Vec<u8>) {
        for &byte in bytes {
            self.state = self.step(byte, out);
        }
    }

    /// The rest, when no more comes.
    pub fn finish(&mut self, out: &mut Vec<u8>) {
        if self.state == State::Begin {
            out.append(&mut self.held);
        }
    }

    fn step(&mut self, byte: u8, out: &mut Vec<u8>) -> State {
        match self.state {
            State::Begin => self.begin(byte, out),
            State::Plain => {
                out.push(byte);
                if byte == b'\n' { State::Begin } else { State::Plain }
            }
            State::Secret { exchange, tail } => match (byte, tail) {
                (b'\n', Tail::Closed(left)) => {
                    out.extend_from_slice(b"\r\n");
                    if left > 0 { State::Literal { left, exchange } } else { secret(exchange, out) }
                }
                (b'\n', _) => {
                    out.extend_from_slice(b"\r\n");
                    if exchange { State::Answer } else { State::Begin }
                }
                _ => State::Secret { exchange, tail: tail.then(byte) },
            },
            State::Literal { left: 1, exchange } => secret(exchange, out),
            State::Literal { left, exchange } => State::Literal { left: left - 1, exchange },
            State::Answer if byte == b'\n' => {
                out.extend_from_slice(HIDDEN);
                out.extend_from_slice(b"\r\n");
                State::Begin
            }
            State::Answer => State::Answer,
        }
    }

    fn begin(&mut self, byte: u8, out: &mut Vec<u8>) -> State {
        self.held.push(byte);
        let ends = byte == b'\n';
        let spaces = self.held.iter().filter(|byte| **byte == b' ').count();
        // A first word may be a command or the tag of one.
        if let Some(command) = self.secret_command(ends) {
            out.extend_from_slice(&self.held[..command]);
            let (word, held) = (self.held[..command].to_ascii_uppercase(), std::mem::take(&mut self.held));
            let exchange = word.ends_with(b"AUTH") || word.ends_with(b"AUTHENTICATE");
            if ends {
                out.extend_from_slice(&held[command..]);
                return State::Begin;
            }
            out.push(b' ');
            return secret(exchange, out);
        }
        if ends || spaces >= 2 || self.held.len() >= HELD_BYTES_MAX {
            out.append(&mut self.held);
            return if ends { State::Begin } else { State::Plain };
        }
        State::Begin
    }

    /// Where the secret command ends that the held bytes have just completed.
    fn secret_command(&self, ends: bool) -> Option<usize> {
        let end = match self.held.last() {
            Some(b' ') => self.held.len() - 1,
            Some(b'\n') if ends => self.held.len() - 1 - usize::from(self.held.ends_with(b"\r\n")),
            _ => return None,
        };
        let word = self.held[..end].rsplit(|byte| *byte == b' ').next()?;
        SECRET.iter().any(|secret| word.eq_ignore_ascii_case(secret)).then_some(end)
    }
}

fn secret(exchange: bool, out: &mut Vec<u8>) -> State {
    out.extend_from_slice(HIDDEN);
    State::Secret { exchange, tail: Tail::None }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn passed(pieces: &[&[u8]]) -> String {
        let (mut blank, mut out) = (Blank::default(), Vec::new());
        pieces.iter().for_each(|piece| blank.pass(piece, &mut out));
        blank.finish(&mut out);
        String::from_utf8(out).unwrap()
    }

    /// The same at each cut.
    fn check(input: &str, expect: &str) {
        for at in 0..=input.len() {
            let (a, b) = input.as_bytes().split_at(at);
            assert_eq!(passed(&[a, b]), expect, "cut at {at}");
        }
    }

    #[test]
    fn passwords_are_hidden_and_nothing_else_is() {
        for (input, expect) in [
            ("a SELECT INBOX\r\nb NOOP\r\n", "a SELECT INBOX\r\nb NOOP\r\n"),
            ("a LOGIN anna secret\r\nb NOOP\r\n", "a LOGIN <hidden>\r\nb NOOP\r\n"),
            ("a login \"anna\" \"s e\"\r\n", "a login <hidden>\r\n"),
            ("USER anna\r\nPASS s ecret\r\nSTAT\r\n", "USER anna\r\nPASS <hidden>\r\nSTAT\r\n"),
            ("APOP anna c4c9334b\r\n", "APOP <hidden>\r\n"),
            (
                "a LOGIN {4}\r\nanna {6+}\r\nsec\r\n!\r\nb NOOP\r\n",
                "a LOGIN <hidden>\r\n<hidden>\r\n<hidden>\r\nb NOOP\r\n",
            ),
            ("a LOGIN {0}\r\n {3}\r\nabc\r\nb NOOP\r\n", "a LOGIN <hidden>\r\n<hidden>\r\n<hidden>\r\nb NOOP\r\n"),
            ("AUTH PLAIN\r\nAGFubmE=\r\nSTAT\r\n", "AUTH <hidden>\r\n<hidden>\r\nSTAT\r\n"),
            ("a AUTHENTICATE PLAIN AGFu\r\n*\r\nb NOOP\r\n", "a AUTHENTICATE <hidden>\r\n<hidden>\r\nb NOOP\r\n"),
            ("a LOGIN\r\nb NOOP", "a LOGIN\r\nb NOOP"),
            ("LOGINS are\r\nx AUTHOR y\r\n", "LOGINS are\r\nx AUTHOR y\r\n"),
            ("a FETCH 1 LOGIN x\r\n", "a FETCH 1 LOGIN x\r\n"),
        ] {
            check(input, expect);
        }
    }

    #[test]
    fn a_line_without_end_is_not_held() {
        let long = "x".repeat(10_000);
        let mut blank = Blank::default();
        let mut out = Vec::new();
        blank.pass(long.as_bytes(), &mut out);
        assert_eq!((out.len(), blank.held.len()), (10_000, 0));
    }
}
