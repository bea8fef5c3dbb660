//! The name of a message's file: `base:2,FLAGS`.

use skein_base::Flags;

/// The letters of Maildir, and Dovecot's order of them.
const LETTERS: [(char, Flags); 5] =
    [('D', Flags::DRAFT), ('F', Flags::FLAGGED), ('R', Flags::ANSWERED), ('S', Flags::SEEN), ('T', Flags::DELETED)];

/// The letter of a message that was forwarded; IMAP has a keyword for it (RFC 5788).
pub(super) const PASSED: char = 'P';

/// A name taken apart.
pub(super) struct Parts<'n> {
    /// What stays when flags change.
    pub(super) base: &'n str,
    /// The letters.
    pub(super) letters: &'n str,
}

impl<'n> Parts<'n> {
    pub(super) fn of(name: &'n str) -> Parts<'n> {
        let (base, info) = name.split_once(':').unwrap_or((name, ""));
        // Dovecot writes what is its own alone behind a second comma.
        let letters = info.strip_prefix("2,").map_or("", |letters| letters.split(',').next().unwrap_or(""));
        Parts { base, letters }
    }

    pub(super) fn flags(&self) -> Flags {
        let given = LETTERS.iter().filter(|(letter, _)| self.letters.contains(*letter));
        Flags(given.fold(0, |bits, (_, flag)| bits | flag.0))
    }
}

/// The letters of flags and of keywords, by their indexes: capitals first, each kind in order.
pub(super) fn letters(flags: Flags, passed: bool, keywords: impl Iterator<Item = usize>) -> String {
    let mut out: Vec<char> =
        LETTERS.iter().filter(|(_, flag)| flags.contains(*flag)).map(|(letter, _)| *letter).collect();
    out.extend(passed.then_some(PASSED));
    out.extend(keywords.filter_map(|index| ('a'..='z').nth(index)));
    out.sort_unstable();
    out.into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        for (name, base, given) in [
            ("1.M2P3.host,S=10,W=11:2,DFRSTab", "1.M2P3.host,S=10,W=11", "DFRSTab"),
            ("1.x", "1.x", ""),
            ("1.x:2,", "1.x", ""),
            ("1.x:2,S,foo", "1.x", "S"),
            ("1.x:1,S", "1.x", ""),
        ] {
            let parts = Parts::of(name);
            assert_eq!((parts.base, parts.letters), (base, given), "{name}");
        }
        assert_eq!(Parts::of("x:2,DFRST").flags(), Flags::ALL);
        assert_eq!(Parts::of("x:2,ab").flags(), Flags::NONE);
        assert_eq!(letters(Flags::ALL, true, [1, 0, 25, 26].into_iter()), "DFPRSTabz");
    }
}
