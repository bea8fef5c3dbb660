//! Line ends: a lone LF becomes CRLF, everything else stays.
//!
//! IMAP shows CRLF lines (RFC 3501 §2.2 with RFC 5322 §2.1), so mail is stored with them. A lone CR is data and a
//! NUL is kept: what was delivered is what is fetched.

/// Turns lone LF into CRLF over a message that arrives in pieces.
///
/// The only state is whether the last byte was a CR, so that a CRLF cut between two pieces stays one line end.
#[derive(Clone, Copy, Default, Debug)]
pub struct Crlf {
    after_cr: bool,
}

impl Crlf {
    /// At the start of a message.
    pub fn new() -> Crlf {
        Crlf::default()
    }

    /// Appends `chunk` to `out` with every lone LF as CRLF. Any cut of the message gives the same bytes.
    pub fn push(&mut self, chunk: &[u8], out: &mut Vec<u8>) {
        out.reserve(chunk.len());
        let mut done = 0;
        for at in memchr::memchr_iter(b'\n', chunk) {
            let crlf = if at == 0 { self.after_cr } else { chunk[at - 1] == b'\r' };
            if !crlf {
                out.extend_from_slice(&chunk[done..at]);
                out.push(b'\r');
                done = at;
            }
        }
        out.extend_from_slice(&chunk[done..]);
        if let Some(&last) = chunk.last() {
            self.after_cr = last == b'\r';
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(input: &[u8], expect: &[u8]) {
        for cut in 0..=input.len() {
            for second in cut..=input.len() {
                let (mut crlf, mut out) = (Crlf::new(), Vec::new());
                for piece in [&input[..cut], &input[cut..second], &input[second..]] {
                    crlf.push(piece, &mut out);
                }
                assert_eq!(out, expect, "cut at {cut} and {second}");
            }
        }
    }

    #[test]
    fn lone_lf_becomes_crlf_at_every_cut() {
        check(b"", b"");
        check(b"a\nb\r\nc\n", b"a\r\nb\r\nc\r\n");
        check(b"\n\n\r\n\r\n", b"\r\n\r\n\r\n\r\n");
        check(b"a\rb\r\r\n\0\n", b"a\rb\r\r\n\0\r\n");
        check(b"\r", b"\r");
        check(b"no end", b"no end");
    }
}
