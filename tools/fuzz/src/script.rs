//! The first line of an input, when it tells how the rest is played.

/// Choices taken from a line, one byte each, again from its start at its end. Letters and digits make good scripts: seeds stay
/// readable.
#[derive(Clone)]
pub(crate) struct Script<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Script<'a> {
    /// The script, and the input behind its line.
    pub fn of(data: &'a [u8]) -> (Script<'a>, &'a [u8]) {
        let end = data.iter().position(|&b| b == b'\n').unwrap_or(data.len());
        (Script { bytes: &data[..end], at: 0 }, data.get(end + 1..).unwrap_or_default())
    }

    /// The next choice, 0 when the line is empty.
    pub fn next(&mut self) -> u8 {
        let byte = self.bytes.get(self.at).copied().unwrap_or_default();
        self.at = (self.at + 1) % self.bytes.len().max(1);
        byte
    }

    /// The input in pieces of the lengths that the script says.
    pub fn pieces(mut self, input: &[u8]) -> impl Iterator<Item = &[u8]> {
        let mut rest = input;
        std::iter::from_fn(move || {
            let len = usize::from(self.next() % 16 + 1).min(rest.len());
            let (piece, left) = rest.split_at(len);
            rest = left;
            (len > 0).then_some(piece)
        })
    }
}

/// Lines for a client: ASCII, each ended by CRLF, with neither CR, LF nor NUL in it. A foreign byte that begins a line of ours
/// would let one client write another's answers.
pub(crate) fn check_lines(output: &[u8]) {
    let text = output.strip_suffix(b"\r\n").unwrap_or_else(|| panic!("no line end: {}", output.escape_ascii()));
    for line in text.split(|&b| b == b'\n') {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        let odd = line.iter().find(|b| matches!(b, 0 | b'\r') || !b.is_ascii());
        assert_eq!(odd, None, "in {}", line.escape_ascii());
    }
    let breaks = text.windows(2).filter(|pair| pair == b"\r\n").count();
    assert_eq!(breaks, text.iter().filter(|&&b| b == b'\n').count(), "a bare LF in {}", text.escape_ascii());
}
