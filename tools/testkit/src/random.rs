//! Seeded numbers (splitmix64): one seed, one run.

use std::time::{SystemTime, UNIX_EPOCH};

/// A stream of numbers that a seed determines.
#[derive(Clone, Debug)]
pub struct Random(u64);

impl Random {
    /// A stream from `seed`.
    pub fn new(seed: u64) -> Random {
        Random(seed)
    }

    /// The seed of this run: `SKEIN_SEED`, or a fresh one that is printed so that the run can be repeated.
    pub fn seed_of_run() -> u64 {
        let seed = std::env::var("SKEIN_SEED").ok().and_then(|s| s.parse().ok()).unwrap_or_else(clock_seed);
        println!("seed: SKEIN_SEED={seed}");
        seed
    }

    /// A stream of its own for `part`, independent of this one.
    pub fn fork(&self, part: u64) -> Random {
        let mut fork = Random(self.0 ^ part.wrapping_mul(0xD6E8_FEB8_6659_FD93));
        fork.next();
        fork
    }

    /// The next 64 bits.
    #[allow(clippy::should_implement_trait, reason = "an endless stream, not an iterator")]
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// A number below `end`, which must not be 0.
    pub fn below(&mut self, end: usize) -> usize {
        (self.next() % end as u64) as usize
    }

    /// A number from `from` up to and without `end`.
    pub fn between(&mut self, from: usize, end: usize) -> usize {
        from + self.below(end - from)
    }

    /// True in `percent` of a hundred calls.
    pub fn chance(&mut self, percent: usize) -> bool {
        self.below(100) < percent
    }

    /// One of `choices`, which must not be empty.
    pub fn pick<'a, T>(&mut self, choices: &'a [T]) -> &'a T {
        &choices[self.below(choices.len())]
    }

    /// One of `choices`, which must not be empty.
    pub fn word<'a>(&mut self, choices: &[&'a str]) -> &'a str {
        choices[self.below(choices.len())]
    }
}

fn clock_seed() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(1, |t| t.as_nanos() as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_is_a_stream() {
        let (mut a, mut b) = (Random::new(7), Random::new(7));
        assert!((0..100).all(|_| a.next() == b.next()));
        assert_ne!(a.fork(1).next(), a.fork(2).next());
        assert!((0..1000).all(|_| (3..9).contains(&a.between(3, 9))));
    }
}
