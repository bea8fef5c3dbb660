//! What somebody may do with a mailbox (RFC 4314 §2).

use std::fmt;
use std::ops::{BitAnd, BitOr, Not};

/// A set of rights. Those that RFC 4314 names, and Dovecot's `p`.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Rights(pub u16);

impl Rights {
    /// None.
    pub const NONE: Rights = Rights(0);
    /// `l`: it is listed, and may be subscribed.
    pub const LOOKUP: Rights = Rights(1);
    /// `r`: SELECT, EXAMINE, STATUS, FETCH, SEARCH, COPY from it.
    pub const READ: Rights = Rights(1 << 1);
    /// `s`: `\Seen` may change.
    pub const SEEN: Rights = Rights(1 << 2);
    /// `w`: other flags and keywords may change.
    pub const WRITE: Rights = Rights(1 << 3);
    /// `i`: messages may be added.
    pub const INSERT: Rights = Rights(1 << 4);
    /// `p`: mail may be sent to it.
    pub const POST: Rights = Rights(1 << 5);
    /// `k`: mailboxes may be made below it.
    pub const CREATE: Rights = Rights(1 << 6);
    /// `x`: it may be deleted, and renamed away.
    pub const DELETE_MAILBOX: Rights = Rights(1 << 7);
    /// `t`: `\Deleted` may change.
    pub const DELETE: Rights = Rights(1 << 8);
    /// `e`: messages may be expunged.
    pub const EXPUNGE: Rights = Rights(1 << 9);
    /// `a`: rights may be given and taken.
    pub const ADMIN: Rights = Rights(1 << 10);
    /// All.
    pub const ALL: Rights = Rights((1 << 11) - 1);

    /// Letters in the order in which they are told.
    pub const LETTERS: [(Rights, u8); 11] = [
        (Rights::LOOKUP, b'l'),
        (Rights::READ, b'r'),
        (Rights::SEEN, b's'),
        (Rights::WRITE, b'w'),
        (Rights::INSERT, b'i'),
        (Rights::POST, b'p'),
        (Rights::CREATE, b'k'),
        (Rights::DELETE_MAILBOX, b'x'),
        (Rights::DELETE, b't'),
        (Rights::EXPUNGE, b'e'),
        (Rights::ADMIN, b'a'),
    ];

    /// Reads letters, the obsolete `c` (`kx`) and `d` (`te`) among them (RFC 4314 §2.1.1); `None` when there is another.
    pub fn parse(letters: &[u8]) -> Option<Rights> {
        letters.iter().try_fold(Rights::NONE, |rights, letter| {
            let one = match letter {
                b'c' => Rights::CREATE | Rights::DELETE_MAILBOX,
                b'd' => Rights::DELETE | Rights::EXPUNGE,
                known => Rights::LETTERS.iter().find(|(_, letter)| letter == known)?.0,
            };
            Some(rights | one)
        })
    }

    /// True when every right of `other` is here.
    pub fn contains(self, other: Rights) -> bool {
        self.0 & other.0 == other.0
    }

    /// True when some right of `other` is here.
    pub fn shares(self, other: Rights) -> bool {
        self.0 & other.0 != 0
    }

    /// True when there is none.
    pub fn is_none(self) -> bool {
        self == Rights::NONE
    }
}

impl BitOr for Rights {
    type Output = Rights;
    fn bitor(self, other: Rights) -> Rights {
        Rights(self.0 | other.0)
    }
}

impl BitAnd for Rights {
    type Output = Rights;
    fn bitand(self, other: Rights) -> Rights {
        Rights(self.0 & other.0)
    }
}

impl Not for Rights {
    type Output = Rights;
    fn not(self) -> Rights {
        Rights(!self.0 & Rights::ALL.0)
    }
}

impl fmt::Display for Rights {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let letters = Rights::LETTERS.iter().filter(|(right, _)| self.contains(*right));
        letters.map(|(_, letter)| char::from(*letter)).try_for_each(|letter| write!(f, "{letter}"))
    }
}

impl fmt::Debug for Rights {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Rights({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn letters_both_ways() {
        for (letters, told) in [
            ("lrswipkxtea", "lrswipkxtea"),
            ("aetxkpiwsrl", "lrswipkxtea"),
            ("", ""),
            ("lr", "lr"),
            ("c", "kx"),
            ("d", "te"),
            ("lld", "lte"),
        ] {
            assert_eq!(Rights::parse(letters.as_bytes()).unwrap().to_string(), told, "{letters}");
        }
        assert!(Rights::parse(b"L").is_none() && Rights::parse(b"lr ").is_none() && Rights::parse(b"z").is_none());
        assert_eq!(!Rights::ALL, Rights::NONE);
        assert_eq!((!Rights::READ & Rights::ALL).to_string(), "lswipkxtea");
    }
}
