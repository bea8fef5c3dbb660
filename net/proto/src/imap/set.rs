//! Sets of messages as clients write them.

use skein_base::{IdSet, SetTooBig, limits::SET_RANGES_MAX};

/// A set of messages as the client wrote it, `*` included (RFC 3501 §9 `sequence-set`).
#[derive(Clone, PartialEq, Eq, Default)]
pub struct SeqSet {
    /// Both ends as written; 0 stands for `*`, which no number in a set can be.
    ranges: Vec<(u32, u32)>,
    /// `$`: what the last SEARCH saved.
    saved: bool,
}

impl SeqSet {
    /// `$`, what the last SEARCH with SAVE has found (RFC 5182 §2.1). The session knows it, and resolves it itself.
    pub fn saved() -> SeqSet {
        SeqSet { ranges: Vec::new(), saved: true }
    }

    /// Whether it is `$`.
    pub fn is_saved(&self) -> bool {
        self.saved
    }

    /// Adds a range as written, ends in either order; 0 stands for `*`.
    pub fn push(&mut self, first: u32, last: u32) -> Result<(), SetTooBig> {
        if self.ranges.len() == SET_RANGES_MAX {
            return Err(SetTooBig);
        }
        self.ranges.push((first, last));
        Ok(())
    }

    /// The numbers meant, when `largest` is the number of messages, or the highest UID for a set of UIDs. `*` is
    /// `largest`, and so `559:*` holds `largest` even when that is below 559 (RFC 3501 §6.4.8). In an empty
    /// mailbox (`largest` = 0) `*` is nobody.
    ///
    /// Numbers above `largest` stay in: for sequence numbers that is the caller's error to report
    /// ([`IdSet::last`] tells), for UIDs it is none.
    ///
    /// # Panics
    /// For `$`, which no number tells.
    pub fn resolve(&self, largest: u32) -> IdSet {
        assert!(!self.saved, "the session resolves $");
        let end = |n| if n == 0 { largest } else { n };
        let known = self.ranges.iter().map(|&(a, b)| (end(a), end(b))).filter(|&(a, b)| a != 0 && b != 0);
        IdSet::from_ranges(known).expect("bounded when pushed")
    }

    /// True when it names `*`.
    pub fn has_star(&self) -> bool {
        self.ranges.iter().any(|&(a, b)| a == 0 || b == 0)
    }

    /// Writes it as it came, with ranges in the client's order.
    pub fn write_to(&self, out: &mut Vec<u8>) {
        if self.saved {
            out.push(b'$');
        }
        for (i, &(a, b)) in self.ranges.iter().enumerate() {
            if i > 0 {
                out.push(b',');
            }
            write_end(out, a);
            if a != b {
                out.push(b':');
                write_end(out, b);
            }
        }
    }
}

impl std::fmt::Debug for SeqSet {
    /// The wire form: short, and what the client said.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut out = Vec::new();
        self.write_to(&mut out);
        f.write_str(std::str::from_utf8(&out).expect("digits and punctuation"))
    }
}

fn write_end(out: &mut Vec<u8>, n: u32) {
    match n {
        0 => out.push(b'*'),
        _ => super::response::number(out, u64::from(n)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(ranges: &[(u32, u32)]) -> SeqSet {
        let mut set = SeqSet::default();
        ranges.iter().for_each(|&(a, b)| set.push(a, b).unwrap());
        set
    }

    #[test]
    fn star_is_the_largest_there_is() {
        for (ranges, largest, want) in [
            (&[(1, 0)][..], 5, "1:5"),
            (&[(0, 0)], 5, "5"),
            (&[(559, 0)], 5, "5:559"),
            (&[(0, 3), (9, 9)], 5, "3:5,9"),
            (&[(1, 0)], 0, ""),
            (&[(4, 2)], 0, "2:4"),
        ] {
            assert_eq!(set(ranges).resolve(largest).to_string(), want);
        }
        assert!(set(&[(1, 0)]).has_star() && !set(&[(1, 2)]).has_star());
    }
}
