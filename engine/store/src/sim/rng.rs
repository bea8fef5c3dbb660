//! Chance, from a seed.

use std::cell::Cell;
use std::rc::Rc;

/// A small generator (SplitMix64). Clones share one row of numbers, so that one seed is one run.
#[derive(Clone, Debug)]
pub struct SimRng(Rc<Cell<u64>>);

impl SimRng {
    /// The row of this seed.
    pub fn new(seed: u64) -> SimRng {
        SimRng(Rc::new(Cell::new(seed)))
    }

    /// The next 64 bits.
    pub fn next(&self) -> u64 {
        let state = self.0.get().wrapping_add(0x9e37_79b9_7f4a_7c15);
        self.0.set(state);
        let mut z = state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `bound`, which is not 0.
    pub fn below(&self, bound: u64) -> u64 {
        self.next() % bound
    }

    /// True once in `one_in` times; never for 0.
    pub fn once_in(&self, one_in: u32) -> bool {
        one_in != 0 && self.below(u64::from(one_in)) == 0
    }

    /// So many random bytes.
    pub fn bytes(&self, len: usize) -> Vec<u8> {
        (0..len).map(|_| self.next() as u8).collect()
    }
}
