//! What was moved, so that both sides can be compared.

use std::fmt;

/// Count, size and a hash of any number of messages. The order in which they are added does not matter; a message that is there
/// twice counts twice.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Tally {
    /// Messages.
    pub messages: u64,
    /// Bytes of them, with CRLF line ends.
    pub bytes: u64,
    /// The sum of the BLAKE3 hashes of the messages, by words of 64 bits.
    hash: [u64; 4],
}

impl Tally {
    /// Adds a message, as [`Message::read`](crate::Message::read) gives it.
    pub fn add(&mut self, message: &[u8]) {
        self.messages += 1;
        self.bytes += message.len() as u64;
        let hash = blake3::hash(message);
        let (words, _) = hash.as_bytes().as_chunks::<8>();
        for (sum, word) in self.hash.iter_mut().zip(words) {
            *sum = sum.wrapping_add(u64::from_le_bytes(*word));
        }
    }
}

/// `12 messages, 3456 bytes, hash 0123...`
impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} messages, {} bytes, hash ", self.messages, self.bytes)?;
        self.hash.iter().try_for_each(|word| write!(f, "{word:016x}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(messages: &[&str]) -> Tally {
        let mut tally = Tally::default();
        messages.iter().for_each(|message| tally.add(message.as_bytes()));
        tally
    }

    #[test]
    fn order_is_nothing_and_number_counts() {
        assert_eq!(of(&["a", "b", "b"]), of(&["b", "a", "b"]));
        assert_ne!(of(&["a", "a"]).hash, of(&["b", "b"]).hash);
        assert_ne!(of(&["a", "a"]).hash, of(&[]).hash);
        assert_eq!(
            of(&["ab"]).to_string().split(' ').take(5).collect::<Vec<_>>().join(" "),
            "1 messages, 2 bytes, hash"
        );
    }
}
