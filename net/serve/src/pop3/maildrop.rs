//! A maildrop's numbers: given once at login, kept to the end of the session (RFC 1939 §5).

use skein_base::Uid;

/// Messages by number, from 1, and which of them are marked deleted. As many runs as there are gaps between the UIDs, at 8
/// bytes: a mailbox of a million messages that nobody deleted from is one.
#[derive(Default, Debug)]
pub(super) struct Maildrop {
    runs: Vec<Run>,
    count: u32,
    bytes: u64,
    /// Marked deleted by the client.
    marked: Marks,
    /// Removed by another session, and no longer to be had. Never marked at the same time.
    lost: Marks,
}

/// Some of the messages, a bit each, as far as the highest that was ever among them.
#[derive(Default, Debug)]
struct Marks {
    bits: Vec<u64>,
    count: u32,
    bytes: u64,
}

impl Marks {
    fn contains(&self, number: u32) -> bool {
        let (word, bit) = place(number);
        self.bits.get(word).is_some_and(|bits| bits & bit != 0)
    }

    fn insert(&mut self, number: u32, bytes: u32) {
        let (word, bit) = place(number);
        if self.bits.len() <= word {
            self.bits.resize(word + 1, 0);
        }
        self.bits[word] |= bit;
        self.count += 1;
        self.bytes += u64::from(bytes);
    }

    fn remove(&mut self, number: u32, bytes: u32) {
        let (word, bit) = place(number);
        self.bits[word] &= !bit;
        self.count -= 1;
        self.bytes -= u64::from(bytes);
    }
}

/// Messages with consecutive UIDs.
#[derive(Clone, Copy, Debug)]
struct Run {
    number: u32,
    uid: u32,
}

impl Maildrop {
    /// Gives the next number to a message, whose UID is above all others.
    pub fn push(&mut self, uid: Uid, bytes: u32) {
        self.count += 1;
        self.bytes += u64::from(bytes);
        let follows = self.runs.last().is_some_and(|run| run.uid + (self.count - run.number) == uid.0);
        if !follows {
            self.runs.push(Run { number: self.count, uid: uid.0 });
        }
    }

    /// Messages that are neither marked nor lost.
    pub fn left(&self) -> u32 {
        self.count - self.marked.count - self.lost.count
    }

    /// Their sizes.
    pub fn left_bytes(&self) -> u64 {
        self.bytes - self.marked.bytes - self.lost.bytes
    }

    /// The message of this number, marked or not.
    pub fn uid_of(&self, number: u32) -> Option<Uid> {
        if number == 0 || number > self.count {
            return None;
        }
        let run = self.runs[self.runs.partition_point(|run| run.number <= number) - 1];
        Some(Uid(run.uid + (number - run.number)))
    }

    /// The number of a message; `None` when it has none, as one that came later.
    pub fn number_of(&self, uid: Uid) -> Option<u32> {
        let at = self.runs.partition_point(|run| run.uid <= uid.0).checked_sub(1)?;
        let run = self.runs[at];
        let number = run.number.checked_add(uid.0 - run.uid)?;
        let end = self.runs.get(at + 1).map_or(self.count, |next| next.number - 1);
        (number <= end).then_some(number)
    }

    pub fn is_marked(&self, number: u32) -> bool {
        self.marked.contains(number)
    }

    pub fn is_lost(&self, number: u32) -> bool {
        self.lost.contains(number)
    }

    /// Marks a message, of this size, deleted.
    pub fn mark(&mut self, number: u32, bytes: u32) {
        let fresh = !self.is_marked(number) && !self.is_lost(number);
        assert!(number <= self.count && fresh, "a message is marked once");
        self.marked.insert(number, bytes);
    }

    pub fn unmark_all(&mut self) {
        self.marked = Marks::default();
    }

    /// Notes that a message, of this size, is no longer to be had.
    pub fn lose(&mut self, number: u32, bytes: u32) {
        assert!(number <= self.count && !self.is_lost(number), "a message is lost once");
        if self.is_marked(number) {
            self.marked.remove(number, bytes);
        }
        self.lost.insert(number, bytes);
    }

    /// Up to `max` marked messages from a number on, as number and UID.
    pub fn marked_from(&self, number: u32, max: usize) -> Vec<(u32, Uid)> {
        let last = (self.marked.bits.len() as u32 * u64::BITS).min(self.count);
        let marked = (number..=last).filter(|number| self.is_marked(*number));
        marked.filter_map(|number| Some((number, self.uid_of(number)?))).take(max).collect()
    }
}

fn place(number: u32) -> (usize, u64) {
    ((number / u64::BITS) as usize, 1 << (number % u64::BITS))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::{BTreeMap, BTreeSet};

    /// Against a plain map, with gaps of all sizes.
    #[test]
    fn behaves_like_a_map() {
        let (mut maildrop, mut model) = (Maildrop::default(), BTreeMap::new());
        let (mut uid, mut seed) = (0u32, 7u32);
        for number in 1..=5000 {
            seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            uid += 1 + (seed >> 28 == 0) as u32 * (seed >> 8 & 0xff);
            maildrop.push(Uid(uid), seed & 0xffff);
            model.insert(number, (Uid(uid), seed & 0xffff));
        }
        assert!(maildrop.runs.len() > 100 && maildrop.runs.len() < 1000);
        let uids: BTreeMap<Uid, u32> = model.iter().map(|(number, (uid, _))| (*uid, *number)).collect();
        for number in 0..=5001 {
            assert_eq!(maildrop.uid_of(number), model.get(&number).map(|m| m.0));
        }
        for uid in (0..=uid + 2).map(Uid) {
            assert_eq!(maildrop.number_of(uid), uids.get(&uid).copied(), "{uid}");
        }
        assert_eq!(maildrop.number_of(Uid(u32::MAX)), None);
        let mut marked = BTreeSet::new();
        for number in (1..=5000).step_by(3).chain([2, 64, 128]) {
            if marked.insert(number) {
                maildrop.mark(number, model[&number].1);
            }
        }
        let left = model.iter().filter(|(number, _)| !marked.contains(number));
        assert_eq!(maildrop.left_bytes(), left.clone().map(|(_, m)| u64::from(m.1)).sum());
        assert_eq!(maildrop.left() as usize, left.count());
        let (mut all, mut from) = (Vec::new(), 1);
        while let batch @ [_, ..] = &maildrop.marked_from(from, 100)[..] {
            from = batch[batch.len() - 1].0 + 1;
            all.extend(batch.iter().map(|(number, uid)| (*number, *uid)));
        }
        assert_eq!(all, marked.iter().map(|number| (*number, model[number].0)).collect::<Vec<_>>());
        maildrop.lose(64, model[&64].1);
        maildrop.lose(65, model[&65].1);
        assert_eq!(maildrop.left() as usize, 5000 - marked.len() - 1);
        assert!(
            maildrop.is_lost(64) && !maildrop.is_marked(64) && !maildrop.marked_from(64, 1).iter().any(|m| m.0 == 64)
        );
        maildrop.unmark_all();
        let lost = u64::from(model[&64].1) + u64::from(model[&65].1);
        assert_eq!(maildrop.left_bytes() + lost, model.values().map(|m| u64::from(m.1)).sum());
        assert!(maildrop.left() == 4998 && maildrop.is_lost(64));
        let maildrop = &mut Maildrop { lost: Marks::default(), ..maildrop };
        assert!(maildrop.left() == 5000 && !maildrop.is_marked(64) && maildrop.marked_from(1, 9).is_empty());
    }

    #[test]
    fn an_empty_one_and_the_ends_of_the_numbers() {
        let mut maildrop = Maildrop::default();
        assert_eq!((maildrop.uid_of(1), maildrop.number_of(Uid(1)), maildrop.left()), (None, None, 0));
        maildrop.push(Uid(u32::MAX - 1), u32::MAX);
        maildrop.push(Uid(u32::MAX), u32::MAX);
        assert_eq!(maildrop.number_of(Uid(u32::MAX)), Some(2));
        assert_eq!(maildrop.uid_of(u32::MAX), None);
        assert_eq!(maildrop.left_bytes(), 2 * u64::from(u32::MAX));
    }

    /// A million messages in a row: what is kept does not grow with them.
    #[test]
    fn a_million_in_a_row_are_one_run() {
        let mut maildrop = Maildrop::default();
        (1..=1_000_000).for_each(|uid| maildrop.push(Uid(uid), 1));
        assert_eq!(maildrop.runs.len(), 1);
        assert_eq!(maildrop.uid_of(1_000_000), Some(Uid(1_000_000)));
    }
}
