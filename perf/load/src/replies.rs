//! Where replies of an IMAP server end, found without taking apart what stands in them.

/// Follows a stream of replies. Literals are skipped as they are: text in a message that looks like a reply is none.
#[derive(Debug, Default)]
pub struct Replies {
    /// Bytes of a literal still to come.
    literal: usize,
}

/// The end of a command, or the server's word to go on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ended {
    /// A tagged `OK`.
    Ok,
    /// `+`.
    GoOn,
}

impl Replies {
    /// Takes what is whole of `input`, and hands each end of a command to `ended`.
    ///
    /// # Errors
    /// A tagged reply that is not OK.
    pub fn take(&mut self, input: &mut Vec<u8>, mut ended: impl FnMut(Ended)) -> Result<(), String> {
        let mut at = 0;
        loop {
            let skipped = self.literal.min(input.len() - at);
            (self.literal, at) = (self.literal - skipped, at + skipped);
            let Some(end) = memchr::memchr(b'\n', &input[at..]) else { break };
            let line = input[at..at + end].strip_suffix(b"\r").unwrap_or(&input[at..at + end]);
            at += end + 1;
            match line.first() {
                Some(b'+') => ended(Ended::GoOn),
                // Untagged, or what follows a literal.
                Some(b'*' | b' ' | b')') | None => self.literal = announced(line).unwrap_or(0),
                Some(_) if is_ok(line) => ended(Ended::Ok),
                Some(_) => return Err(format!("refused: {}", String::from_utf8_lossy(line))),
            }
        }
        input.drain(..at);
        Ok(())
    }
}

/// The size of the literal that follows this line.
fn announced(line: &[u8]) -> Option<usize> {
    let digits = line.strip_suffix(b"}")?;
    let from = memchr::memrchr(b'{', digits)? + 1;
    std::str::from_utf8(&digits[from..]).ok()?.parse().ok()
}

fn is_ok(line: &[u8]) -> bool {
    line.split(|&b| b == b' ').nth(1) == Some(b"OK")
}

#[cfg(test)]
mod tests {
    use super::*;

    const ANSWER: &[u8] =
        b"* 1 FETCH (BODY[] {15}\r\na1 OK no reply\n FLAGS ())\r\n* 2 FETCH (X {0}\r\n)\r\n+ go\r\na1 OK done\r\n";

    #[test]
    fn ends_are_found_at_every_split() {
        for at in 0..=ANSWER.len() {
            let (mut replies, mut input, mut ends) = (Replies::default(), Vec::new(), Vec::new());
            for part in [&ANSWER[..at], &ANSWER[at..]] {
                input.extend_from_slice(part);
                replies.take(&mut input, |end| ends.push(end)).expect("no refusal");
            }
            assert_eq!((ends, input.len()), (vec![Ended::GoOn, Ended::Ok], 0), "split at {at}");
        }
    }

    #[test]
    fn refusals_are_told() {
        let take = |text: &str| Replies::default().take(&mut text.as_bytes().to_vec(), |_| ());
        assert_eq!(take("a7 NO [LIMIT] later\r\n"), Err("refused: a7 NO [LIMIT] later".into()));
        assert_eq!(take("* NO not ours\r\n"), Ok(()));
    }
}
