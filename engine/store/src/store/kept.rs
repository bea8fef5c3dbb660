//! Rendered caches of messages that are still in the log, in memory since somebody first asked for one.
//!
//! A snapshot has its caches mapped; behind a body in the log a cache is to be read with the message, checked and copied, for each
//! command anew. What is kept is bounded by two halves: when the young half is full the old one is dropped and it takes its place, and
//! what is asked for again comes back into the young one. So what has moved into a snapshot goes by itself.

use skein_base::LogPos;
use std::collections::HashMap;
use std::rc::Rc;

/// Bytes of one half, the places of the entries among them: together somewhat more than the caches of a log that is drained in time.
const HALF_BYTES_MAX: usize = 16 << 20;
/// Larger ones are rare, and are read when they are asked for.
const ENTRY_BYTES_MAX: usize = 64 << 10;
/// An entry's place in a table that is between half and nearly full, and the head of its allocation.
const ENTRY_OVERHEAD_BYTES: usize = 64;

#[derive(Default)]
pub(super) struct KeptCaches {
    young: HashMap<LogPos, Rc<[u8]>>,
    old: HashMap<LogPos, Rc<[u8]>>,
    young_bytes: usize,
    old_bytes: usize,
}

impl KeptCaches {
    /// The cache behind the body whose record begins there.
    pub fn get(&mut self, record: LogPos) -> Option<Rc<[u8]>> {
        if let Some(cache) = self.young.get(&record) {
            return Some(cache.clone());
        }
        let cache = self.old.remove(&record)?;
        self.old_bytes -= bytes_of(&cache);
        self.keep(record, &cache);
        Some(cache)
    }

    /// Keeps one that was found good.
    pub fn keep(&mut self, record: LogPos, cache: &Rc<[u8]>) {
        if cache.len() > ENTRY_BYTES_MAX {
            return;
        }
        let bytes = bytes_of(cache);
        if self.young_bytes + bytes > HALF_BYTES_MAX {
            self.old = std::mem::take(&mut self.young);
            self.old_bytes = std::mem::take(&mut self.young_bytes);
        }
        if self.young.insert(record, cache.clone()).is_none() {
            self.young_bytes += bytes;
        }
    }

    pub fn forget_all(&mut self) {
        *self = KeptCaches::default();
    }

    /// An estimate.
    pub fn bytes(&self) -> usize {
        self.young_bytes + self.old_bytes
    }
}

fn bytes_of(cache: &Rc<[u8]>) -> usize {
    cache.len() + ENTRY_OVERHEAD_BYTES
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(offset: u64) -> LogPos {
        LogPos { segment: 1, offset }
    }

    fn cache(byte: u8) -> Rc<[u8]> {
        vec![byte; ENTRY_BYTES_MAX].into()
    }

    #[test]
    fn what_is_kept_is_bounded_and_what_is_asked_for_again_stays() {
        let mut kept = KeptCaches::default();
        let many = 4 * HALF_BYTES_MAX as u64 / ENTRY_BYTES_MAX as u64;
        for i in 0..many {
            kept.keep(at(i), &cache(i as u8));
            assert!(kept.bytes() <= 2 * HALF_BYTES_MAX);
            assert_eq!(kept.get(at(0)).map(|bytes| bytes[0]), Some(0));
            assert_eq!(kept.get(at(i)).map(|bytes| bytes[0]), Some(i as u8));
        }
        assert_eq!(kept.get(at(1)), None);
        assert!(kept.bytes() > HALF_BYTES_MAX);
        kept.forget_all();
        assert_eq!((kept.get(at(0)), kept.bytes()), (None, 0));
    }

    #[test]
    fn one_that_is_kept_twice_counts_once_and_one_that_is_too_large_not_at_all() {
        let mut kept = KeptCaches::default();
        kept.keep(at(1), &cache(1));
        kept.keep(at(1), &cache(1));
        kept.keep(at(2), &vec![2; ENTRY_BYTES_MAX + 1].into());
        assert_eq!(kept.bytes(), ENTRY_BYTES_MAX + ENTRY_OVERHEAD_BYTES);
        assert_eq!(kept.get(at(2)), None);
    }
}
