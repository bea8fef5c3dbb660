//! When a client that waits hears `* OK Still here`: so often that nothing on the way forgets the connection, and all connections of one
//! host at the same moment, so that a phone's radio wakes once for them.
//!
//! ```text
//! connection a  IDLE──────┬───────────────┬────────
//! connection b     IDLE───┴───────────────┴────────    moments of a host: its number modulo the interval
//! connection of another host ──┴───────────────┴───
//! ```
//!
//! News in between puts nothing off: the next moment may be nearly an interval away, and a silence would last for two.

use std::hash::{BuildHasher, BuildHasherDefault, DefaultHasher};
use std::num::NonZeroU32;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// From now until the host's next moment.
pub(super) fn until_next(interval_seconds: NonZeroU32, host: Option<u64>) -> Duration {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Duration::from_millis(wait_ms(now.as_millis() as u64, interval_seconds, host))
}

/// From a moment of the wall clock, which all shards have in common, until the host's next one; at most an interval and never nothing: a
/// timer that ends then is followed by one of a whole interval.
fn wait_ms(unix_ms: u64, interval_seconds: NonZeroU32, host: Option<u64>) -> u64 {
    let interval_ms = u64::from(interval_seconds.get()) * 1000;
    // The same on every shard: this hasher has no seed.
    let phase = BuildHasherDefault::<DefaultHasher>::new().hash_one(host) % interval_ms;
    let since_last = (unix_ms % interval_ms + interval_ms - phase) % interval_ms;
    interval_ms - since_last
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const TWO_MINUTES: NonZeroU32 = NonZeroU32::new(120).unwrap();
    const NOW: u64 = 1_790_000_000_000;

    #[test]
    fn one_after_the_other() {
        let first = NOW + wait_ms(NOW, TWO_MINUTES, Some(7));
        assert_eq!(wait_ms(first, TWO_MINUTES, Some(7)), 120_000);
        assert_eq!(wait_ms(first - 1, TWO_MINUTES, Some(7)), 1);
        assert_eq!(wait_ms(first + 1, TWO_MINUTES, Some(7)), 119_999);
    }

    #[test]
    fn hosts_are_spread() {
        // Neighbours in one network: about as many in each tenth of the interval.
        let mut tenths = [0; 10];
        for host in 0x0a00_0001..0x0a00_0001 + 10_000 {
            tenths[(wait_ms(NOW, TWO_MINUTES, Some(host)) - 1) as usize / 12_000] += 1;
        }
        assert!(tenths.iter().all(|count| (850..1150).contains(count)), "{tenths:?}");
    }

    proptest! {
        #[test]
        fn a_host_has_one_moment_an_interval(now in 0..u64::MAX / 2, part in 0.0..1.0, interval: NonZeroU32, host: Option<u64>) {
            let wait = wait_ms(now, interval, host);
            prop_assert!((1..=u64::from(interval.get()) * 1000).contains(&wait));
            // Whoever asks between now and then is told the same.
            let later = now + (wait as f64 * part) as u64;
            prop_assert_eq!(later + wait_ms(later, interval, host), now + wait);
        }
    }
}
