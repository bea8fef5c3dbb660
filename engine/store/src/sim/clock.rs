//! Time that moves when told.

use skein_base::seam::Clock;
use std::cell::Cell;
use std::rc::Rc;

/// A clock that starts on 2026-01-01 and stands still. Clones share it.
#[derive(Clone, Debug)]
pub struct SimClock(Rc<Cell<u64>>);

const START_UNIX_SECONDS: i64 = 1_767_225_600;

impl SimClock {
    /// At its start.
    pub fn new() -> SimClock {
        SimClock(Rc::new(Cell::new(0)))
    }

    /// Lets time pass.
    pub fn advance_ms(&self, ms: u64) {
        self.0.set(self.0.get() + ms);
    }
}

impl Default for SimClock {
    fn default() -> SimClock {
        SimClock::new()
    }
}

impl Clock for SimClock {
    fn unix_seconds(&self) -> i64 {
        START_UNIX_SECONDS + (self.0.get() / 1000) as i64
    }

    fn monotonic_ms(&self) -> u64 {
        self.0.get()
    }
}
