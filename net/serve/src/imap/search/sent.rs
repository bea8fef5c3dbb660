//! Days on which messages were sent, as far as searches have read them: SENTBEFORE and its like read each message once, not each time.

use skein_base::Uid;
use std::rc::Rc;

/// Days since 1970 by UID, ascending; [`NO_DATE`] of a message without one.
#[derive(Default)]
pub(in crate::imap) struct SentDays(Vec<(u32, i32)>);

const NO_DATE: i32 = i32::MIN;

/// Messages that are known for each that was read, above which nothing is learnt.
const KNOWN_PER_READ: usize = 64;

/// The day on which a message was sent; `None` when it does not say.
pub(super) type Sent = Option<i64>;

impl SentDays {
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// With others that it does not have.
    fn with(&self, mut new: Vec<(u32, i32)>) -> SentDays {
        new.sort_unstable();
        let (mut all, mut old) = (Vec::with_capacity(self.0.len() + new.len()), self.0.iter().peekable());
        for one in new {
            while let Some(before) = old.next_if(|(uid, _)| *uid < one.0) {
                all.push(*before);
            }
            all.push(one);
        }
        all.extend(old);
        SentDays(all)
    }
}

/// One search's way through the days that are known.
pub(super) struct Walk {
    known: Rc<SentDays>,
    /// What is before is of messages before.
    at: usize,
    read: Vec<(u32, i32)>,
}

impl Walk {
    pub fn through(known: Option<Rc<SentDays>>) -> Walk {
        Walk { known: known.unwrap_or_default(), at: 0, read: Vec::new() }
    }

    /// When a message was sent, if that is known. UIDs ascend from one call to the next.
    pub fn day(&mut self, uid: Uid) -> Option<Sent> {
        let days = &self.known.0;
        if days.get(self.at).is_some_and(|(at, _)| *at < uid.0) {
            self.at += 1;
            if days.get(self.at).is_some_and(|(at, _)| *at < uid.0) {
                self.at += days[self.at..].partition_point(|(at, _)| *at < uid.0);
            }
        }
        let (at, day) = *days.get(self.at)?;
        (at == uid.0).then(|| (day != NO_DATE).then(|| i64::from(day)))
    }

    /// A message that was not known has been read.
    pub fn note(&mut self, uid: Uid, sent: Sent) {
        // A day beyond the calendar is read anew each time.
        match sent.map(i32::try_from) {
            None => self.read.push((uid.0, NO_DATE)),
            Some(Ok(day)) if day != NO_DATE => self.read.push((uid.0, day)),
            Some(_) => {}
        }
    }

    /// All that is known after it, when that is enough more than before for all to be written anew. A few are cheaper read again by the next
    /// search: a result that is kept up learns of one message at a time.
    pub fn learnt(self) -> Option<SentDays> {
        let is_worth_it = !self.read.is_empty() && self.read.len() >= self.known.len() / KNOWN_PER_READ;
        is_worth_it.then(|| self.known.with(self.read))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    proptest! {
        /// As a map would have them, whichever messages searches look at, one after another.
        #[test]
        fn what_was_read_once_is_known(searches in proptest::collection::vec(proptest::collection::btree_set(1u32..200, 0..50), 1..8)) {
            let of = |uid: u32| match uid % 4 {
                0 => None,
                1 => Some(-i64::from(uid)),
                2 => Some(i64::MAX),
                _ => Some(i64::from(uid) * 300),
            };
            let (mut known, mut map) = (None, BTreeMap::new());
            for uids in searches {
                let mut walk = Walk::through(known.clone());
                for uid in &uids {
                    let day = walk.day(Uid(*uid));
                    prop_assert_eq!(day, map.get(uid).copied());
                    if day.is_none() {
                        walk.note(Uid(*uid), of(*uid));
                    }
                }
                let read = walk.read.len();
                let learnt = walk.learnt();
                prop_assert_eq!(learnt.is_some(), read > 0 && read >= map.len() / KNOWN_PER_READ);
                if let Some(learnt) = learnt {
                    map.extend(uids.iter().filter(|uid| *uid % 4 != 2).map(|uid| (*uid, of(*uid))));
                    known = Some(Rc::new(learnt));
                }
                prop_assert_eq!(known.as_ref().map_or(0, |known| known.len()), map.len());
            }
        }
    }
}
