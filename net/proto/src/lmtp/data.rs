//! The text after DATA: finding its end and undoing dot-stuffing (RFC 5321 §4.5.2).
//!
//! Only `CRLF . CRLF` ends a message, and only after CRLF is a dot a stuffed one. A bare LF is text: it becomes CRLF in what is
//! stored, but is no line's end here. Servers that disagreed about that let one message smuggle another behind it.

use skein_base::line_ends::unchanged;

/// Undoes dot-stuffing across any split of the input. Holds back at most a dot and a CR.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Unstuffer {
    at: At,
}

/// What the last bytes were.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum At {
    /// CRLF, or nothing yet.
    LineStart,
    /// CRLF and a dot, which is not written.
    Dot,
    /// CRLF, a dot and CR, neither written.
    DotCr,
    /// CR, written.
    Cr,
    /// Anything else.
    Inside,
}

/// What a push took.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Taken {
    /// Bytes of input.
    pub(crate) used: usize,
    /// The final dot was among them.
    pub(crate) end: bool,
}

impl Unstuffer {
    /// Before the first byte of a message.
    pub(crate) fn new() -> Unstuffer {
        Unstuffer { at: At::LineStart }
    }

    /// Takes all of `input`, or up to the end of the message, and appends the text to `out`: at most twice as much, plus one.
    pub(crate) fn push(&mut self, input: &[u8], out: &mut Vec<u8>) -> Taken {
        out.reserve(input.len());
        let mut used = 0;
        while let Some(&byte) = input.get(used) {
            match (self.at, byte) {
                (At::DotCr, b'\n') => return Taken { used: used + 1, end: true },
                (At::Dot, b'\r') => {
                    self.at = At::DotCr;
                    used += 1;
                }
                (At::DotCr, _) => {
                    // The dot was a stuffed one and the CR is text.
                    out.push(b'\r');
                    self.at = At::Cr;
                }
                _ => used += self.run(&input[used..], out),
            }
        }
        Taken { used, end: false }
    }

    /// Copies up to the next thing that is not copied as it is, deals with that, and returns how much it took.
    fn run(&mut self, input: &[u8], out: &mut Vec<u8>) -> usize {
        let before = match self.at {
            At::LineStart => b'\n',
            At::Cr | At::DotCr => b'\r',
            At::Dot | At::Inside => 0,
        };
        let (text, rest) = input.split_at(unchanged(before, input, true));
        out.extend_from_slice(text);
        match rest.first() {
            None => {
                self.at = match text.last() {
                    Some(b'\n') => At::LineStart,
                    Some(b'\r') => At::Cr,
                    _ => At::Inside,
                };
                text.len()
            }
            Some(b'\n') => {
                out.extend_from_slice(b"\r\n");
                self.at = At::Inside;
                text.len() + 1
            }
            Some(_dot) => {
                self.at = At::Dot;
                text.len() + 1
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The text and how much of the input was the message; `None` when it has no end.
    fn unstuff(pieces: &[&[u8]]) -> (Vec<u8>, Option<usize>) {
        let (mut dots, mut out, mut before) = (Unstuffer::new(), Vec::new(), 0);
        for piece in pieces {
            let taken = dots.push(piece, &mut out);
            if taken.end {
                return (out, Some(before + taken.used));
            }
            assert_eq!(taken.used, piece.len());
            before += piece.len();
        }
        (out, None)
    }

    /// The same, a byte at a time and by the letter of the RFC.
    fn model(input: &[u8]) -> (Vec<u8>, Option<usize>) {
        let mut out = Vec::new();
        let (mut line_start, mut at) = (true, 0);
        while at < input.len() {
            if line_start && input[at..].starts_with(b".\r\n") {
                return (out, Some(at + 3));
            }
            if line_start && input[at] == b'.' {
                line_start = false;
                at += 1;
                continue;
            }
            if input[at..].starts_with(b"\r\n") {
                out.extend_from_slice(b"\r\n");
                (line_start, at) = (true, at + 2);
                continue;
            }
            if input[at] == b'\n' {
                out.extend_from_slice(b"\r\n")
            } else {
                out.push(input[at])
            }
            (line_start, at) = (false, at + 1);
        }
        (out, None)
    }

    fn check(input: &str, text: &str, rest: &str) {
        let expect = (text.as_bytes().to_vec(), Some(input.len() - rest.len()));
        let input = input.as_bytes();
        assert_eq!(unstuff(&[input]), expect, "{input:?}");
        assert_eq!(model(input), expect, "{input:?}");
        for cut in 0..=input.len() {
            for second in cut..=input.len() {
                let pieces = [&input[..cut], &input[cut..second], &input[second..]];
                assert_eq!(unstuff(&pieces), expect, "{pieces:?}");
            }
        }
    }

    #[test]
    fn ends_and_dots() {
        check(".\r\n", "", "");
        check("a\r\n.\r\nQUIT\r\n", "a\r\n", "QUIT\r\n");
        check("..\r\n...a\r\n.b\r\n.\r\n", ".\r\n..a\r\nb\r\n", "");
        check("\r\n\r\n.\r\n.\r\n", "\r\n\r\n", ".\r\n");
        check("a.\r\n.\r\n", "a.\r\n", "");
        check("a\0\u{e9}\r\n.\r\n", "a\0\u{e9}\r\n", "");
    }

    /// Message boundaries that some server somewhere takes for the end ("SMTP smuggling", 2023). None of them is one.
    #[test]
    fn nothing_but_crlf_dot_crlf_ends() {
        check("a\n.\nb\r\n.\r\n", "a\r\n.\r\nb\r\n", "");
        check("a\n.\r\nb\r\n.\r\n", "a\r\n.\r\nb\r\n", "");
        check("a\r\n.\nb\r\n.\r\n", "a\r\n\r\nb\r\n", "");
        check("a\r.\rb\r\n.\r\n", "a\r.\rb\r\n", "");
        check("a\r\n.\rb\r\n.\r\n", "a\r\n\rb\r\n", "");
        check("a\r\n.\r\rb\r\n.\r\n", "a\r\n\r\rb\r\n", "");
        check("a\r\n.\r\r\nb\r\n.\r\n", "a\r\n\r\r\nb\r\n", "");
        check("a\r\n\0.\r\nb\r\n.\r\n", "a\r\n\0.\r\nb\r\n", "");
        check("a\r\r\n.\r\n", "a\r\r\n", "");
    }

    #[test]
    fn bare_lf_becomes_crlf() {
        check("a\nb\n\nc\r\n.\r\n", "a\r\nb\r\n\r\nc\r\n", "");
        check("\n\n\r\n.\r\n", "\r\n\r\n\r\n", "");
    }

    proptest! {
        #[test]
        fn like_the_model_at_any_split(
            bytes in prop::collection::vec(prop::sample::select(b"\r\n.a".to_vec()), 0..60),
            cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..6),
        ) {
            // With an end, so that nothing is held back.
            let bytes = [&bytes[..], b"\r\n.\r\n"].concat();
            let mut cuts: Vec<usize> = cuts.iter().map(|c| c.index(bytes.len() + 1)).collect();
            cuts.extend([0, bytes.len()]);
            cuts.sort_unstable();
            let pieces: Vec<&[u8]> = cuts.windows(2).map(|w| &bytes[w[0]..w[1]]).collect();
            prop_assert_eq!(unstuff(&pieces), model(&bytes));
        }
    }
}
