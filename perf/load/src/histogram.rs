//! Latencies in buckets: as many as come, in little memory, each percentile within one part in 64.

use std::time::Duration;

/// Buckets between two powers of two.
const STEPS: usize = 64;
/// Powers of two of microseconds above the first 64 buckets: up to an hour and more.
const POWERS: usize = 27;

/// Counts of latencies.
///
/// An answer that is late makes later requests late, too. Whoever counts them from the moment when each was meant to be sent, and
/// not from when it could be sent at last, sees what users see.
#[derive(Clone, Debug)]
pub struct Histogram {
    counts: Vec<u64>,
    count: u64,
    max: Duration,
}

impl Default for Histogram {
    fn default() -> Histogram {
        Histogram { counts: vec![0; STEPS * (POWERS + 1)], count: 0, max: Duration::ZERO }
    }
}

impl Histogram {
    /// Counts one.
    pub fn add(&mut self, latency: Duration) {
        let last = self.counts.len() - 1;
        self.counts[bucket(latency.as_micros() as u64).min(last)] += 1;
        self.count += 1;
        self.max = self.max.max(latency);
    }

    /// How many were counted.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// Milliseconds within which `part` of all, from 0 to 1, were; 0 when none was counted.
    pub fn ms(&self, part: f64) -> f64 {
        let wanted = ((self.count as f64 * part).ceil() as u64).clamp(1, self.count.max(1));
        let mut seen = 0;
        let found = self.counts.iter().position(|count| {
            seen += count;
            seen >= wanted
        });
        let max_ms = self.max.as_secs_f64() * 1e3;
        found.map_or(0.0, |bucket| (upper(bucket) as f64 / 1e3).min(max_ms))
    }
}

/// Microseconds below 64 have a bucket each; above, each power of two has 64.
fn bucket(us: u64) -> usize {
    let steps = STEPS as u64;
    if us < steps {
        return us as usize;
    }
    let power = us.ilog2() - STEPS.ilog2();
    (u64::from(power + 1) * steps + (us >> power) - steps) as usize
}

/// The largest number of microseconds in a bucket.
fn upper(bucket: usize) -> u64 {
    if bucket < STEPS {
        return bucket as u64;
    }
    let power = bucket / STEPS - 1;
    ((((bucket % STEPS) + STEPS + 1) as u64) << power) - 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_follow_each_other() {
        let mut last = 0;
        for us in 0..100_000 {
            let at = bucket(us);
            assert!(at == last || at == last + 1, "{us}: {last}, {at}");
            assert!(upper(at) >= us && (upper(at) - us) * 64 <= us.max(64), "{us} in a bucket to {}", upper(at));
            last = at;
        }
    }

    #[test]
    fn percentiles() {
        let mut latencies = Histogram::default();
        assert_eq!(latencies.ms(0.5), 0.0);
        (1..=1000).for_each(|ms| latencies.add(Duration::from_millis(ms)));
        for (part, ms) in [(0.5, 500.0), (0.99, 990.0), (1.0, 1000.0)] {
            let found = latencies.ms(part);
            assert!((ms..ms * 1.02).contains(&found) || found == ms, "{part}: {found}");
        }
        latencies.add(Duration::from_secs(1_000_000));
        assert_eq!((latencies.count(), latencies.ms(1.0) > 1000.0), (1001, true));
    }
}
