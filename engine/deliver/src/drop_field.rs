//! A header field taken out of a message that arrives in pieces.

/// Drops each field of one name from a message's header.
#[derive(Clone, Debug)]
pub struct DropField {
    /// With its colon, in lower case.
    name: &'static [u8],
    state: State,
    /// The start of a line, as long as it may be the field's.
    held: Vec<u8>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum State {
    /// At the start of a line, or in one that may still be the field. `true`: the field before was dropped, and a continuation
    /// is as well.
    Start(bool),
    Keep,
    Drop,
    Body,
}

impl DropField {
    /// Of a name with its colon, in lower case: `return-path:`.
    pub fn new(name: &'static [u8]) -> DropField {
        DropField { name, state: State::Start(false), held: Vec::new() }
    }

    /// Appends what stays of the header's part of `bytes` to `out`; answers where the body begins in it, which stays as it is.
    pub fn push(&mut self, bytes: &[u8], out: &mut Vec<u8>) -> usize {
        let mut at = 0;
        while at < bytes.len() {
            match self.state {
                State::Body => break,
                State::Start(dropped) => {
                    self.held.push(bytes[at]);
                    at += 1;
                    self.decide(dropped, out);
                }
                state => {
                    let end = memchr(bytes, at);
                    if state == State::Keep {
                        out.extend_from_slice(&bytes[at..end]);
                    }
                    if bytes[end - 1] == b'\n' {
                        self.state = State::Start(state == State::Drop);
                    }
                    at = end;
                }
            }
        }
        at
    }

    /// The message is over: appends what was held back.
    pub fn finish(&mut self, out: &mut Vec<u8>) {
        out.append(&mut self.held);
    }

    fn decide(&mut self, dropped: bool, out: &mut Vec<u8>) {
        let line = &self.held[..];
        let may_be = self.name.len() >= line.len() && self.name[..line.len()].eq_ignore_ascii_case(line);
        let next = match line {
            b"\r" => return,
            b"\r\n" | b"\n" => State::Body,
            [b' ' | b'\t', ..] if dropped => State::Drop,
            line if may_be && line.len() == self.name.len() => State::Drop,
            _ if may_be => return,
            // It may have ended with what told it apart.
            [.., b'\n'] => State::Start(false),
            _ => State::Keep,
        };
        match next {
            State::Drop => self.held.clear(),
            _ => out.append(&mut self.held),
        }
        self.state = next;
    }
}

/// One past the line end at or after `at`, or the end.
fn memchr(bytes: &[u8], at: usize) -> usize {
    bytes[at..].iter().position(|b| *b == b'\n').map_or(bytes.len(), |found| at + found + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(message: &str, expect: &str) {
        for size in 1..=message.len().max(1) {
            let (mut filter, mut out) = (DropField::new(b"return-path:"), Vec::new());
            for piece in message.as_bytes().chunks(size) {
                let body = filter.push(piece, &mut out);
                out.extend_from_slice(&piece[body..]);
            }
            filter.finish(&mut out);
            assert_eq!(String::from_utf8(out).unwrap(), expect, "in pieces of {size}");
        }
    }

    #[test]
    fn each_field_of_the_name_goes() {
        check("Return-Path: <a@b>\r\nSubject: x\r\n\r\nbody", "Subject: x\r\n\r\nbody");
        check("A: b\r\nRETURN-PATH:\r\n <a@b>\r\n\t(c)\r\n more\r\nC: d\r\n e\r\n\r\n", "A: b\r\nC: d\r\n e\r\n\r\n");
        check("return-path:x\r\nreturn-path:y\r\n\r\nReturn-Path: z\r\n", "\r\nReturn-Path: z\r\n");
    }

    #[test]
    fn the_rest_stays() {
        for message in [
            "",
            "\r\n",
            "Return-Path",
            "Return-Path\r\n: x\r\n",
            "Return-Paths: x\r\n\r\n",
            "r\r\nre\r\n\r\nx",
            " Return-Path: x\r\n",
            "\n\nx",
            "A: b\r\n Return-Path: x\r\n\r\n",
            "\rx\r\n\r\n",
        ] {
            check(message, message);
        }
    }
}
