//! The Clock seam on the kernel's coarse clocks.

use rustix::time::{ClockId, clock_gettime};
use skein_base::seam::Clock;

/// The machine's clocks, as of the kernel's last tick (1 to 4 ms ago): read without a system call in about 5 ns.
#[derive(Clone, Copy, Debug, Default)]
pub struct RealClock;

impl Clock for RealClock {
    fn unix_seconds(&self) -> i64 {
        clock_gettime(ClockId::RealtimeCoarse).tv_sec
    }

    fn monotonic_ms(&self) -> u64 {
        let time = clock_gettime(ClockId::MonotonicCoarse);
        // Both are never negative on a monotonic clock.
        time.tv_sec as u64 * 1000 + time.tv_nsec as u64 / 1_000_000
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_is_after_this_was_written_and_never_goes_back() {
        assert!(RealClock.unix_seconds() > 1_700_000_000);
        let first = RealClock.monotonic_ms();
        assert!((0..1000).all(|_| RealClock.monotonic_ms() >= first));
    }
}
