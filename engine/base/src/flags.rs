//! System flags and keywords as bits.

use std::ops::{BitAnd, BitOr, Not};

/// The system flags of RFC 3501 §2.3.2 that are stored. \Recent belongs to sessions and is not here.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default, Debug)]
pub struct Flags(pub u8);

impl Flags {
    /// No flag.
    pub const NONE: Flags = Flags(0);
    /// `\Answered`
    pub const ANSWERED: Flags = Flags(1);
    /// `\Flagged`
    pub const FLAGGED: Flags = Flags(2);
    /// `\Deleted`
    pub const DELETED: Flags = Flags(4);
    /// `\Seen`
    pub const SEEN: Flags = Flags(8);
    /// `\Draft`
    pub const DRAFT: Flags = Flags(16);
    /// Every stored system flag.
    pub const ALL: Flags = Flags(31);
    /// Wire names in the order in which they are listed.
    pub const NAMES: [(Flags, &'static str); 5] = [
        (Flags::ANSWERED, "\\Answered"),
        (Flags::FLAGGED, "\\Flagged"),
        (Flags::DELETED, "\\Deleted"),
        (Flags::SEEN, "\\Seen"),
        (Flags::DRAFT, "\\Draft"),
    ];

    /// True when every flag of `other` is set.
    pub fn contains(self, other: Flags) -> bool {
        self.0 & other.0 == other.0
    }

    /// True when no flag is set.
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }
}

impl BitOr for Flags {
    type Output = Flags;
    fn bitor(self, other: Flags) -> Flags {
        Flags(self.0 | other.0)
    }
}

impl BitAnd for Flags {
    type Output = Flags;
    fn bitand(self, other: Flags) -> Flags {
        Flags(self.0 & other.0)
    }
}

impl Not for Flags {
    type Output = Flags;
    fn not(self) -> Flags {
        Flags(!self.0 & Flags::ALL.0)
    }
}

/// The keywords of one message: bit `i` is the `i`-th name of the mailbox's keyword table.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default, Debug)]
pub struct KeywordMask(pub u128);

impl KeywordMask {
    /// The mask of one keyword. `index` is below [`crate::limits::KEYWORDS_PER_MAILBOX_MAX`].
    pub fn bit(index: usize) -> KeywordMask {
        assert!(index < crate::limits::KEYWORDS_PER_MAILBOX_MAX);
        KeywordMask(1 << index)
    }

    /// True when the keyword is set.
    pub fn has(self, index: usize) -> bool {
        index < crate::limits::KEYWORDS_PER_MAILBOX_MAX && self.0 & (1 << index) != 0
    }

    /// Table indexes of the keywords, ascending.
    pub fn indexes(self) -> impl Iterator<Item = usize> {
        let mut left = self.0;
        std::iter::from_fn(move || {
            (left != 0).then(|| {
                let index = left.trailing_zeros() as usize;
                left &= left - 1;
                index
            })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_add_and_take_away() {
        let f = Flags::SEEN | Flags::DRAFT;
        assert!(f.contains(Flags::SEEN) && !f.contains(Flags::SEEN | Flags::DELETED));
        assert_eq!(f & !Flags::SEEN, Flags::DRAFT);
    }

    #[test]
    fn masks_list_their_indexes() {
        let m = KeywordMask(KeywordMask::bit(0).0 | KeywordMask::bit(127).0 | KeywordMask::bit(64).0);
        assert_eq!(m.indexes().collect::<Vec<_>>(), [0, 64, 127]);
        assert!(m.has(127) && !m.has(1) && !m.has(400));
    }
}
