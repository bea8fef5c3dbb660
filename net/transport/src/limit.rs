//! How many connections the process serves at once, all shards and listeners together.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

/// Counts connections against a maximum. Clones share the count.
#[derive(Clone, Debug)]
pub struct ConnectionLimit(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    open: AtomicUsize,
    max: AtomicUsize,
}

impl ConnectionLimit {
    /// At most `max` connections.
    pub fn new(max: usize) -> ConnectionLimit {
        ConnectionLimit(Arc::new(Shared { open: AtomicUsize::new(0), max: AtomicUsize::new(max) }))
    }

    /// A place for one more connection, `None` when all are taken.
    pub fn try_take(&self) -> Option<ConnectionSlot> {
        let max = self.0.max.load(Relaxed);
        let more = |open| (open < max).then_some(open + 1);
        self.0.open.fetch_update(Relaxed, Relaxed, more).ok()?;
        Some(ConnectionSlot(self.0.clone()))
    }

    /// Changes how many there may be; those open stay.
    pub fn set_max(&self, max: usize) {
        self.0.max.store(max, Relaxed);
    }

    /// How many there may be.
    pub fn max(&self) -> usize {
        self.0.max.load(Relaxed)
    }

    /// How many are open.
    pub fn open(&self) -> usize {
        self.0.open.load(Relaxed)
    }
}

/// One connection's place; travels with it and is free again when dropped.
#[derive(Debug)]
pub struct ConnectionSlot(Arc<Shared>);

impl Drop for ConnectionSlot {
    fn drop(&mut self) {
        self.0.open.fetch_sub(1, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_taken_and_given_back() {
        let limit = ConnectionLimit::new(2);
        let (first, _second) = (limit.try_take().unwrap(), limit.try_take().unwrap());
        assert!(limit.try_take().is_none());
        drop(first);
        assert_eq!(limit.open(), 1);
        assert!(limit.try_take().is_some());
        let _third = limit.try_take().unwrap();
        limit.set_max(1);
        assert!(limit.try_take().is_none());
        limit.set_max(3);
        assert!(limit.try_take().is_some());
    }
}
