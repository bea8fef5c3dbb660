//! RETURN of SEARCH, SORT and ESEARCH: what is to be told of what is found, and what was found.

use super::FetchItems;
use skein_base::IdSet;
use std::ops::Range;

/// What is to be told of what is found (RFC 4731 §3.1, RFC 5182, RFC 5267, RFC 9394).
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Returns {
    /// The command's tag, which the line names.
    pub tag: String,
    /// The first number.
    pub min: bool,
    /// The last number.
    pub max: bool,
    /// All of them.
    pub all: bool,
    /// How many.
    pub count: bool,
    /// Remember them for `$`.
    pub save: bool,
    /// Those at these places; never with `all`.
    pub partial: Option<ResultRange>,
    /// Tell what becomes part of them, and what no longer is.
    pub update: Option<Update>,
}

impl Returns {
    /// A line is to be written: there is more to do than to remember.
    pub fn is_told(&self) -> bool {
        self.min || self.max || self.all || self.count || self.partial.is_some() || self.update.is_some()
    }
}

/// The UPDATE option (RFC 5267 §4.3).
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Update {
    /// What to fetch of messages that arrive and are part of the result (RFC 5465 §7).
    pub fetch: Option<FetchItems>,
}

/// Places in a result: `500:400` is `400:500`, and `-1:-100` are the last hundred (RFC 9394 §3.1).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ResultRange {
    /// The nearer end, from 1.
    pub first: u32,
    /// The farther end.
    pub last: u32,
    /// They count from the last result.
    pub from_end: bool,
}

impl ResultRange {
    /// Of two ends in any order; neither is 0.
    pub fn new(a: u32, b: u32, from_end: bool) -> ResultRange {
        ResultRange { first: a.min(b), last: a.max(b), from_end }
    }

    /// The places from 0 among so many results.
    pub fn places(&self, count: usize) -> Range<usize> {
        let (near, far) = ((self.first as usize - 1).min(count), (self.last as usize).min(count));
        if self.from_end { count - far..count - near } else { near..far }
    }

    /// As the client writes it.
    pub fn write_to(&self, out: &mut Vec<u8>) {
        let sign: &[u8] = if self.from_end { b"-" } else { b"" };
        out.extend_from_slice(sign);
        super::response::number(out, u64::from(self.first));
        out.push(b':');
        out.extend_from_slice(sign);
        super::response::number(out, u64::from(self.last));
    }
}

/// Message numbers or UIDs in the order that was asked for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Results {
    /// That of the mailbox.
    Mailbox(IdSet),
    /// Another.
    Sorted(Vec<u32>),
}

impl Results {
    /// How many there are.
    pub fn count(&self) -> usize {
        match self {
            Results::Mailbox(set) => set.count() as usize,
            Results::Sorted(list) => list.len(),
        }
    }

    /// There are none.
    pub fn is_empty(&self) -> bool {
        match self {
            Results::Mailbox(set) => set.is_empty(),
            Results::Sorted(list) => list.is_empty(),
        }
    }

    /// The first of them.
    pub fn first(&self) -> Option<u32> {
        match self {
            Results::Mailbox(set) => set.first(),
            Results::Sorted(list) => list.first().copied(),
        }
    }

    /// The last of them.
    pub fn last(&self) -> Option<u32> {
        match self {
            Results::Mailbox(set) => set.last(),
            Results::Sorted(list) => list.last().copied(),
        }
    }

    /// Those at these places.
    pub fn part(&self, range: ResultRange) -> Results {
        let places = range.places(self.count());
        match self {
            Results::Mailbox(set) => Results::Mailbox(set.places(places.start as u64..places.end as u64)),
            Results::Sorted(list) => Results::Sorted(list[places].to_vec()),
        }
    }

    /// As a `sequence-set`; ranges ascend whatever the order (RFC 5267 §3.2).
    pub fn write_to(&self, out: &mut Vec<u8>) {
        let list = match self {
            Results::Mailbox(set) => return set.write_to(out),
            Results::Sorted(list) => list,
        };
        for (i, run) in list.chunk_by(|a, b| a.checked_add(1) == Some(*b)).enumerate() {
            if i > 0 {
                out.push(b',');
            }
            super::response::number(out, u64::from(run[0]));
            if let [_, .., last] = run {
                out.push(b':');
                super::response::number(out, u64::from(*last));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(write: impl FnOnce(&mut Vec<u8>)) -> String {
        let mut out = Vec::new();
        write(&mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn parts_of_results() {
        let set = Results::Mailbox(IdSet::from_iter([2, 3, 4, 9, 11]));
        let sorted = Results::Sorted(vec![9, 2, 3, 11, 4]);
        for (a, b, from_end, range, of_set, of_sorted) in [
            (1, 1, false, "1:1", "2", "9"),
            (4, 2, false, "2:4", "3:4,9", "2:3,11"),
            (4, 9, false, "4:9", "9,11", "11,4"),
            (6, 6, false, "6:6", "", ""),
            (1, 2, true, "-1:-2", "9,11", "11,4"),
            (100, 3, true, "-3:-100", "2:4", "9,2:3"),
            (6, 7, true, "-6:-7", "", ""),
            (1, u32::MAX, false, "1:4294967295", "2:4,9,11", "9,2:3,11,4"),
        ] {
            let part = ResultRange::new(a, b, from_end);
            assert_eq!(text(|out| part.write_to(out)), range);
            assert_eq!(text(|out| set.part(part).write_to(out)), of_set, "{range}");
            assert_eq!(text(|out| sorted.part(part).write_to(out)), of_sorted, "{range}");
        }
        assert_eq!((set.first(), set.last(), set.count()), (Some(2), Some(11), 5));
        assert_eq!((sorted.first(), sorted.last(), sorted.count()), (Some(9), Some(4), 5));
        assert_eq!(text(|out| Results::Sorted(vec![u32::MAX, 0, 1]).write_to(out)), "4294967295,0:1");
    }
}
