//! Sets of numbers as sorted, disjoint ranges: the currency of every batch.

use crate::limits::SET_RANGES_MAX;
use std::ops::{Range, RangeInclusive};

/// A set of `u32` (UIDs, or sequence numbers) as sorted, disjoint, non-adjacent ranges.
///
/// `1:*` over a million messages is one range, so nothing here is ever a list of single numbers.
#[derive(Clone, PartialEq, Eq, Hash, Default, Debug)]
pub struct IdSet {
    ranges: Vec<(u32, u32)>,
}

/// A set from outside held more than [`SET_RANGES_MAX`] ranges.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SetTooBig;

impl IdSet {
    /// The empty set.
    pub const fn new() -> IdSet {
        IdSet { ranges: Vec::new() }
    }

    /// One range; empty when `first > last`.
    pub fn range(first: u32, last: u32) -> IdSet {
        IdSet { ranges: if first <= last { vec![(first, last)] } else { Vec::new() } }
    }

    /// One number.
    pub fn one(n: u32) -> IdSet {
        IdSet::range(n, n)
    }

    /// From ranges in any order, overlapping or not. A range whose ends are swapped is turned round, as
    /// RFC 3501 §9 (seq-range) says.
    pub fn from_ranges(ranges: impl IntoIterator<Item = (u32, u32)>) -> Result<IdSet, SetTooBig> {
        let mut all: Vec<(u32, u32)> = Vec::new();
        for (a, b) in ranges {
            if all.len() == SET_RANGES_MAX {
                return Err(SetTooBig);
            }
            all.push((a.min(b), a.max(b)));
        }
        all.sort_unstable();
        let mut set = IdSet::new();
        for (first, last) in all {
            set.push_range(first, last);
        }
        Ok(set)
    }

    /// Adds a range that starts no lower than the set's last range does. Amortised O(1).
    pub fn push_range(&mut self, first: u32, last: u32) {
        assert!(first <= last);
        match self.ranges.last_mut() {
            Some(end) if first <= end.1.saturating_add(1) => {
                assert!(first >= end.0, "push_range out of order");
                end.1 = end.1.max(last);
            }
            _ => self.ranges.push((first, last)),
        }
    }

    /// Adds a number that is no lower than the last range's start.
    pub fn push(&mut self, n: u32) {
        self.push_range(n, n);
    }

    /// Adds a number anywhere. O(ranges) when it lands in the middle.
    pub fn insert(&mut self, n: u32) {
        self.insert_range(n, n);
    }

    /// Adds a range anywhere.
    pub fn insert_range(&mut self, first: u32, last: u32) {
        assert!(first <= last);
        // Ranges that overlap or touch [first, last] form one run; the run becomes one range.
        let from = self.ranges.partition_point(|r| r.1.saturating_add(1) < first && r.1 != u32::MAX);
        let to = self.ranges.partition_point(|r| r.0 <= last.saturating_add(1));
        if from >= to {
            self.ranges.insert(from, (first, last));
            return;
        }
        let merged = (self.ranges[from].0.min(first), self.ranges[to - 1].1.max(last));
        self.ranges.splice(from..to, [merged]);
    }

    /// Takes a number out; true when it was there.
    pub fn remove(&mut self, n: u32) -> bool {
        let at = self.ranges.partition_point(|r| r.1 < n);
        match self.ranges.get(at).copied() {
            Some((first, last)) if first <= n => {
                let left = (first < n).then(|| (first, n - 1));
                let right = (n < last).then(|| (n + 1, last));
                self.ranges.splice(at..=at, left.into_iter().chain(right));
                true
            }
            _ => false,
        }
    }

    /// Membership, O(log ranges).
    pub fn contains(&self, n: u32) -> bool {
        let at = self.ranges.partition_point(|r| r.1 < n);
        self.ranges.get(at).is_some_and(|r| r.0 <= n)
    }

    /// How many members are below `n`, O(ranges).
    pub fn count_below(&self, n: u32) -> u64 {
        self.ranges.iter().take_while(|r| r.0 < n).map(|r| u64::from(r.1.min(n - 1) - r.0) + 1).sum()
    }

    /// The members at these places from 0, ascending. O(ranges).
    pub fn places(&self, places: Range<u64>) -> IdSet {
        let (mut out, mut before) = (IdSet::new(), 0);
        for &(first, last) in &self.ranges {
            let count = u64::from(last - first) + 1;
            let (from, to) = (places.start.max(before), places.end.min(before + count));
            if from < to {
                out.push_range(first + (from - before) as u32, first + (to - 1 - before) as u32);
            }
            before += count;
        }
        out
    }

    /// True when nothing is in it.
    pub fn is_empty(&self) -> bool {
        self.ranges.is_empty()
    }

    /// How many numbers are in it.
    pub fn count(&self) -> u64 {
        self.ranges.iter().map(|r| u64::from(r.1 - r.0) + 1).sum()
    }

    /// Lowest member.
    pub fn first(&self) -> Option<u32> {
        self.ranges.first().map(|r| r.0)
    }

    /// Highest member.
    pub fn last(&self) -> Option<u32> {
        self.ranges.last().map(|r| r.1)
    }

    /// The ranges, ascending.
    pub fn ranges(&self) -> impl DoubleEndedIterator<Item = RangeInclusive<u32>> + ExactSizeIterator + '_ {
        self.ranges.iter().map(|r| r.0..=r.1)
    }

    /// Every member, ascending.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = u32> + '_ {
        self.ranges.iter().flat_map(|r| r.0..=r.1)
    }

    /// Members of both.
    pub fn intersection(&self, other: &IdSet) -> IdSet {
        let (mut i, mut j, mut out) = (0, 0, IdSet::new());
        while let (Some(a), Some(b)) = (self.ranges.get(i), other.ranges.get(j)) {
            let (first, last) = (a.0.max(b.0), a.1.min(b.1));
            if first <= last {
                out.push_range(first, last);
            }
            if a.1 < b.1 { i += 1 } else { j += 1 }
        }
        out
    }

    /// Members of either.
    pub fn union(&self, other: &IdSet) -> IdSet {
        let (mut i, mut j, mut out) = (0, 0, IdSet::new());
        loop {
            let next = match (self.ranges.get(i), other.ranges.get(j)) {
                (Some(a), Some(b)) if a.0 <= b.0 => {
                    i += 1;
                    *a
                }
                (_, Some(b)) => {
                    j += 1;
                    *b
                }
                (Some(a), None) => {
                    i += 1;
                    *a
                }
                (None, None) => return out,
            };
            out.push_range(next.0, next.1);
        }
    }

    /// Members of this set that are not in `other`.
    pub fn difference(&self, other: &IdSet) -> IdSet {
        let mut out = IdSet::new();
        let mut j = 0;
        for &(mut first, last) in &self.ranges {
            while j < other.ranges.len() && other.ranges[j].1 < first {
                j += 1;
            }
            let mut k = j;
            let mut open = true;
            while let Some(cut) = other.ranges.get(k).filter(|cut| cut.0 <= last) {
                if first < cut.0 {
                    out.push_range(first, cut.0 - 1);
                }
                if cut.1 >= last {
                    open = false;
                    break;
                }
                first = cut.1 + 1;
                k += 1;
            }
            if open {
                out.push_range(first, last);
            }
        }
        out
    }

    /// Wire form of RFC 3501 §9 `sequence-set`: `1:3,7`. Empty text for the empty set.
    pub fn write_to(&self, out: &mut Vec<u8>) {
        use std::io::Write;
        for (i, (first, last)) in self.ranges.iter().enumerate() {
            let comma = if i > 0 { "," } else { "" };
            let written =
                if first == last { write!(out, "{comma}{first}") } else { write!(out, "{comma}{first}:{last}") };
            written.expect("a Vec takes every write");
        }
    }
}

impl FromIterator<u32> for IdSet {
    /// From numbers in ascending order.
    fn from_iter<I: IntoIterator<Item = u32>>(numbers: I) -> IdSet {
        let mut set = IdSet::new();
        numbers.into_iter().for_each(|n| set.push(n));
        set
    }
}

impl std::fmt::Display for IdSet {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut out = Vec::new();
        self.write_to(&mut out);
        f.write_str(std::str::from_utf8(&out).expect("digits and punctuation"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    fn model(numbers: &[u32]) -> (IdSet, BTreeSet<u32>) {
        let mut set = IdSet::new();
        numbers.iter().for_each(|&n| set.insert(n));
        (set, numbers.iter().copied().collect())
    }

    #[test]
    fn swapped_and_overlapping_ranges_become_one() {
        let set = IdSet::from_ranges([(5, 2), (4, 9), (11, 11), (10, 10)]).unwrap();
        assert_eq!(set.to_string(), "2:11");
    }

    #[test]
    fn the_bound_on_ranges_holds() {
        let ok = (0..SET_RANGES_MAX as u32).map(|n| (n * 2, n * 2));
        assert!(IdSet::from_ranges(ok).is_ok());
        let over = (0..=SET_RANGES_MAX as u32).map(|n| (n * 2, n * 2));
        assert_eq!(IdSet::from_ranges(over), Err(SetTooBig));
    }

    #[test]
    fn the_last_number_is_a_member_like_any_other() {
        let mut set = IdSet::range(u32::MAX - 1, u32::MAX);
        set.insert(u32::MAX);
        assert!(set.contains(u32::MAX));
        assert_eq!(set.difference(&IdSet::one(u32::MAX)).to_string(), (u32::MAX - 1).to_string());
    }

    proptest! {
        #[test]
        fn behaves_like_a_btreeset(a in prop::collection::vec(1u32..60, 0..40), b in prop::collection::vec(1u32..60, 0..40), n in 1u32..70) {
            let (mut sa, mut ma) = model(&a);
            let (sb, mb) = model(&b);
            prop_assert_eq!(sa.iter().collect::<Vec<_>>(), ma.iter().copied().collect::<Vec<_>>());
            prop_assert_eq!(sa.union(&sb).iter().collect::<Vec<_>>(), ma.union(&mb).copied().collect::<Vec<_>>());
            prop_assert_eq!(sa.intersection(&sb).iter().collect::<Vec<_>>(), ma.intersection(&mb).copied().collect::<Vec<_>>());
            prop_assert_eq!(sa.difference(&sb).iter().collect::<Vec<_>>(), ma.difference(&mb).copied().collect::<Vec<_>>());
            prop_assert_eq!(sa.contains(n), ma.contains(&n));
            prop_assert_eq!(sa.count_below(n), ma.range(..n).count() as u64);
            prop_assert_eq!(sa.count(), ma.len() as u64);
            let (from, to) = (u64::from(n) / 3, u64::from(n));
            let at = ma.iter().copied().enumerate().filter(|(i, _)| (from..to).contains(&(*i as u64)));
            prop_assert_eq!(sa.places(from..to).iter().collect::<Vec<_>>(), at.map(|(_, n)| n).collect::<Vec<_>>());
            let canonical = sa.ranges.windows(2).all(|w| w[0].1 + 1 < w[1].0);
            prop_assert!(canonical);
            prop_assert_eq!(sa.remove(n), ma.remove(&n));
            prop_assert_eq!(sa.iter().collect::<Vec<_>>(), ma.iter().copied().collect::<Vec<_>>());
        }
    }
}
