//! UIDBATCHES (RFC 10022): ranges of UIDs that cut the mailbox into batches of so many messages, the highest first.
//!
//! ```text
//! numbers  1 ........ M-2N  M-2N+1 .... M-N  M-N+1 ...... M
//! UIDs     1 ................ ─────────────── ─────────────   each range ends where the one before it begins
//! batch           3                  2             1
//! ```

use super::link::Link;
use super::session::Session;
use skein_base::{IdSet, Seq, Uid};
use skein_proto::imap::{Code, Reply, response};
use std::ops::RangeInclusive;

/// Batches of one answer: 300 KiB, and eight million messages in the smallest batches.
const BATCHES_MAX: u32 = 16_384;
/// Batches that are looked up before others get the shard.
const BATCH: usize = 256;
/// Ranges of batches that a client asks for one after the other; who has more gaps asks for the same again.
const ANSWERED_RANGES_MAX: usize = 64;

/// What a client has been told of the selected mailbox.
#[derive(Debug)]
pub(crate) struct Batched {
    size: u32,
    /// How many messages there were then.
    exists: u32,
    /// None of them had this UID.
    next: Uid,
    /// Numbers of the batches that it knows.
    answered: IdSet,
}

impl Batched {
    /// Whether the mailbox is another one now: so much of a batch has come or gone that it may be cut again (RFC 10022 §3.1.1).
    fn is_outdated(&self, exists: u32, below_next: u32) -> bool {
        let (arrived, gone) = (exists - below_next, self.exists.saturating_sub(below_next));
        u64::from(arrived) * 2 >= u64::from(self.size) || u64::from(gone) * 2 > u64::from(self.size)
    }
}

impl Session {
    pub(super) async fn uid_batches(
        &mut self,
        tag: &str,
        size: u32,
        asked: Option<(u32, u32)>,
        link: &mut Link<'_>,
    ) -> Reply {
        let Some(selected) = &mut self.selected else { return Reply::bad("No mailbox is selected") };
        let (mailbox, view) = (selected.mailbox, selected.view);
        let before = selected.batched.take();
        let (exists, last, below_next) = self.look(mailbox, |m| {
            let below = |batched: &Batched| m.seq_of(view, batched.next).0 - 1;
            (m.exists(view), m.last_visible(view).map_or(0, |uid| uid.0), before.as_ref().map_or(0, below))
        });
        let Some(batches) = batches(exists, size, asked) else {
            self.remember_batches(before);
            let text = format!("Too many messages in the mailbox for more than {BATCHES_MAX} batches; ask for a range");
            return Reply::No { code: Some(Code::TooMany), text: text.into() };
        };
        let mut batched = match before {
            Some(before) if before.size == size && !before.is_outdated(exists, below_next) => before,
            _ => Batched { size, exists, next: Uid(last.saturating_add(1)), answered: IdSet::new() },
        };
        if !note(&mut batched.answered, &batches) {
            self.remember_batches(Some(batched));
            return Reply::No {
                code: Some(Code::Limit),
                text: "The mailbox has not changed enough to be cut again".into(),
            };
        }
        self.remember_batches(Some(batched));
        let mut ranges = Vec::with_capacity(batches.clone().count());
        let numbers: Vec<u32> = batches.collect();
        for numbers in numbers.chunks(BATCH) {
            self.look(mailbox, |m| {
                let uid_of = |seq: u32| m.uid_of(view, Seq(seq)).map_or(1, |uid| uid.0);
                ranges.extend(numbers.iter().map(|number| bounds(*number, size, exists, uid_of)));
            });
            skein_runtime::session_yield().await;
        }
        response::uid_batches(link.out(), tag, ranges);
        Reply::Done
    }

    fn remember_batches(&mut self, batched: Option<Batched>) {
        if let Some(selected) = &mut self.selected {
            selected.batched = batched;
        }
    }
}

/// The batches that are asked for and there; `None` when they are too many.
fn batches(exists: u32, size: u32, asked: Option<(u32, u32)>) -> Option<RangeInclusive<u32>> {
    let there = exists.div_ceil(size);
    let (first, last) = asked.unwrap_or((1, there));
    let last = last.min(there);
    (last.saturating_sub(first) < BATCHES_MAX).then_some(first..=last)
}

/// Notes that these are answered; whether any of them was not before.
fn note(answered: &mut IdSet, batches: &RangeInclusive<u32>) -> bool {
    // Of none there is nothing to be spared.
    if batches.is_empty() {
        return true;
    }
    let asked = IdSet::range(*batches.start(), *batches.end());
    let is_new = !asked.difference(answered).is_empty() && answered.ranges().len() < ANSWERED_RANGES_MAX;
    if is_new {
        answered.insert_range(*batches.start(), *batches.end());
    }
    is_new
}

/// The highest and the lowest UID of a batch. Its range begins where the one before it ends; the last one ends at 1 (RFC 10022 §3.1.4).
fn bounds(number: u32, size: u32, exists: u32, uid_of: impl Fn(u32) -> u32) -> (u32, u32) {
    let above = (number - 1) * size;
    let highest = if above == 0 { uid_of(exists) } else { uid_of(exists - above + 1) - 1 };
    let lowest = if exists - above <= size { 1 } else { uid_of(exists - above - size + 1) };
    (highest, lowest)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    fn cut(uids: &[u32], size: u32, asked: Option<(u32, u32)>) -> Vec<(u32, u32)> {
        let exists = uids.len() as u32;
        let uid_of = |seq: u32| uids[seq as usize - 1];
        batches(exists, size, asked).expect("few").map(|number| bounds(number, size, exists, uid_of)).collect()
    }

    proptest! {
        #[test]
        fn every_message_is_in_one_batch(uids in prop::collection::btree_set(1u32..5000, 0..200), size in 1u32..50, asked in prop::option::of((1u32..10, 0u32..5))) {
            let uids: Vec<u32> = uids.into_iter().collect();
            let all = cut(&uids, size, None);
            let expect: Vec<Vec<u32>> = uids.rchunks(size as usize).map(<[u32]>::to_vec).collect();
            let within = |(highest, lowest): &(u32, u32)| -> Vec<u32> { uids.iter().copied().filter(|uid| lowest <= uid && uid <= highest).collect() };
            prop_assert_eq!(all.iter().map(within).collect::<Vec<_>>(), expect);
            // They descend without a gap, down to 1.
            prop_assert!(all.windows(2).all(|pair| pair[0].1 == pair[1].0 + 1));
            prop_assert_eq!(all.last().map_or(1, |last| last.1), 1);
            // A part is a part of all.
            if let Some((first, more)) = asked {
                let part = cut(&uids, size, Some((first, first + more)));
                let from = (first as usize - 1).min(all.len());
                prop_assert_eq!(&part[..], &all[from..(from + more as usize + 1).min(all.len())]);
            }
        }

        #[test]
        fn what_is_answered_is_not_answered_again(asked in prop::collection::vec((1u32..40, 0u32..6), 0..30)) {
            let (mut answered, mut model) = (IdSet::new(), BTreeSet::new());
            for (first, more) in asked {
                let batches = first..=first + more;
                let is_new = batches.clone().any(|number| !model.contains(&number));
                prop_assert_eq!(note(&mut answered, &batches), is_new);
                model.extend(batches);
            }
        }
    }

    #[test]
    fn there_is_an_end_to_batches() {
        let all = |exists| batches(exists, 500, None).map(|batches| batches.count());
        assert_eq!(all(0), Some(0));
        assert_eq!(all(500 * BATCHES_MAX), Some(BATCHES_MAX as usize));
        assert_eq!(all(500 * BATCHES_MAX + 1), None);
        assert_eq!(batches(u32::MAX, 500, Some((8_589_934, 8_590_000))), Some(8_589_934..=8_589_935));
        assert_eq!(cut(&[7], u32::MAX, None), [(7, 1)]);
        let mut answered = IdSet::new();
        for number in 0..ANSWERED_RANGES_MAX as u32 {
            assert!(note(&mut answered, &(2 * number + 1..=2 * number + 1)));
        }
        assert!(!note(&mut answered, &(1000..=1000)) && !note(&mut answered, &(2..=2)));
    }

    #[test]
    fn a_mailbox_is_cut_again_when_half_a_batch_has_changed() {
        let batched = Batched { size: 500, exists: 1000, next: Uid(2000), answered: IdSet::new() };
        assert!(!batched.is_outdated(1000, 1000) && !batched.is_outdated(1249, 1000) && !batched.is_outdated(750, 750));
        assert!(batched.is_outdated(1250, 1000) && batched.is_outdated(749, 749));
        assert!(!batched.is_outdated(1000, 751) && batched.is_outdated(1000, 749));
    }
}
