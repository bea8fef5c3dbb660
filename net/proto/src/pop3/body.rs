//! A message on its way to the client: dots doubled, TOP's end found, the last line ended (RFC 1939 §3, §7).

use memchr::{memchr, memchr_iter};

/// A message under way.
#[derive(Clone, Debug)]
pub(super) struct Body {
    /// The last two bytes given; a line break before the first.
    last: [u8; 2],
    part: Part,
}

/// What is still wanted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Part {
    /// All of it.
    All,
    /// The header, and then so many lines.
    Header { lines: u32, line: Line },
    /// So many lines more.
    Lines(u32),
}

/// What the present line of a header has shown.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Line {
    Nothing,
    Cr,
    Text,
}

impl Line {
    fn with(self, part: &[u8]) -> Line {
        match (self, part) {
            (_, b"") => self,
            (Line::Nothing, b"\r") => Line::Cr,
            _ => Line::Text,
        }
    }
}

impl Body {
    /// All of a message.
    pub fn whole() -> Body {
        Body { last: *b"\r\n", part: Part::All }
    }

    /// Its header and the first lines of its text.
    pub fn top(lines: u32) -> Body {
        Body { last: *b"\r\n", part: Part::Header { lines, line: Line::Nothing } }
    }

    /// Whether more of the message is wanted.
    pub fn wants_more(&self) -> bool {
        self.part != Part::Lines(0)
    }

    /// Appends the next bytes to `out`, as far as they are wanted.
    pub fn push(&mut self, bytes: &[u8], out: &mut Vec<u8>) {
        let bytes = self.wanted(bytes);
        if bytes.is_empty() {
            return;
        }
        // Lines end in CRLF here, but a client that takes a bare LF for one must not see an end either.
        if self.last[1] == b'\n' && bytes[0] == b'.' {
            out.push(b'.');
        }
        let mut start = 0;
        for at in memchr::memmem::find_iter(bytes, b"\n.") {
            out.extend_from_slice(&bytes[start..=at]);
            out.push(b'.');
            start = at + 1;
        }
        out.extend_from_slice(&bytes[start..]);
        self.last = match *bytes {
            [.., before, last] => [before, last],
            [one] => [self.last[1], one],
            [] => self.last,
        };
    }

    /// Ends the last line, if it lacks that, and the message.
    pub fn end(&self, out: &mut Vec<u8>) {
        if self.last != *b"\r\n" {
            out.extend_from_slice(b"\r\n");
        }
        out.extend_from_slice(b".\r\n");
    }

    /// The part of the bytes that is wanted.
    fn wanted<'a>(&mut self, bytes: &'a [u8]) -> &'a [u8] {
        let mut at = 0;
        while let Part::Header { lines, line } = self.part {
            let Some(lf) = memchr(b'\n', &bytes[at..]) else {
                self.part = Part::Header { lines, line: line.with(&bytes[at..]) };
                return bytes;
            };
            let ended = line.with(&bytes[at..at + lf]) != Line::Text;
            at += lf + 1;
            self.part = if ended { Part::Lines(lines) } else { Part::Header { lines, line: Line::Nothing } };
        }
        let Part::Lines(lines) = self.part else { return bytes };
        let mut left = lines;
        for lf in memchr_iter(b'\n', &bytes[at..]) {
            if left == 0 {
                break;
            }
            left -= 1;
            if left == 0 {
                self.part = Part::Lines(0);
                return &bytes[..at + lf + 1];
            }
        }
        self.part = Part::Lines(left);
        if left == 0 { &bytes[..at] } else { bytes }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn send(mut body: Body, pieces: &[&[u8]]) -> Vec<u8> {
        let mut out = Vec::new();
        pieces.iter().for_each(|piece| body.push(piece, &mut out));
        body.end(&mut out);
        out
    }

    /// The same at each cut, in two pieces and byte by byte.
    fn check(body: &Body, message: &str, expect: &str) {
        let message = message.as_bytes();
        let bytes: Vec<&[u8]> = message.chunks(1).collect();
        let mut cuts: Vec<Vec<&[u8]>> = (0..=message.len()).map(|at| vec![&message[..at], &message[at..]]).collect();
        cuts.push(bytes);
        for pieces in cuts {
            let sent = send(body.clone(), &pieces);
            assert_eq!(sent.escape_ascii().to_string(), expect.as_bytes().escape_ascii().to_string(), "{pieces:?}");
        }
    }

    #[test]
    fn dots_are_doubled_and_the_last_line_is_ended() {
        let check = |message, expect| check(&Body::whole(), message, expect);
        check("", ".\r\n");
        check("a\r\n", "a\r\n.\r\n");
        check("a", "a\r\n.\r\n");
        check("a\r", "a\r\r\n.\r\n");
        check("a\n", "a\n\r\n.\r\n");
        check(".", "..\r\n.\r\n");
        check(".\r\n", "..\r\n.\r\n");
        check("..\r\n.\r\n.a\r\n", "...\r\n..\r\n..a\r\n.\r\n");
        check("a.\r\nb .\r\n", "a.\r\nb .\r\n.\r\n");
        check("a\n.\nb\r.\r", "a\n..\nb\r.\r\r\n.\r\n");
    }

    #[test]
    fn the_top_of_a_message() {
        let top = |lines, message, expect| check(&Body::top(lines), message, expect);
        let mail = "A: b\r\n c\r\n\r\n1\r\n.2\r\n3";
        top(0, mail, "A: b\r\n c\r\n\r\n.\r\n");
        top(1, mail, "A: b\r\n c\r\n\r\n1\r\n.\r\n");
        top(2, mail, "A: b\r\n c\r\n\r\n1\r\n..2\r\n.\r\n");
        top(3, mail, "A: b\r\n c\r\n\r\n1\r\n..2\r\n3\r\n.\r\n");
        top(u32::MAX, mail, "A: b\r\n c\r\n\r\n1\r\n..2\r\n3\r\n.\r\n");
        top(0, "A: b\r\n", "A: b\r\n.\r\n");
        top(1, "\r\n\r\n\r\n", "\r\n\r\n.\r\n");
        top(0, "A: b\n\nx\n", "A: b\n\n\r\n.\r\n");
        top(1, "", ".\r\n");
        top(0, "\r\r\n\r\nx", "\r\r\n\r\n.\r\n");
        top(0, "a\r\r\n\r\nx", "a\r\r\n\r\n.\r\n");
    }

    #[test]
    fn it_says_when_it_has_enough() {
        let mut body = Body::top(1);
        assert!(body.wants_more());
        body.push(b"A: b\r\n\r\n", &mut Vec::new());
        assert!(body.wants_more());
        body.push(b"1\r\n2\r\n", &mut Vec::new());
        assert!(!body.wants_more());
        assert!(Body::whole().wants_more());
    }
}
