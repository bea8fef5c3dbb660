//! Segment numbers, one ascending row for all shards.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Gives out segment numbers. Clones share one row, across threads: the segments of one account ascend even when it
/// lived on another shard before the last start.
#[derive(Clone, Debug)]
pub struct SegmentNumbers(Arc<AtomicU64>);

impl SegmentNumbers {
    /// The next number given is above `highest`. That has to cover every segment present **and** every position a
    /// snapshot names: a drained segment may be gone while a snapshot still says "true up to there".
    pub fn above(highest: u64) -> SegmentNumbers {
        SegmentNumbers(Arc::new(AtomicU64::new(highest + 1)))
    }

    /// A number never given before.
    pub fn take(&self) -> u64 {
        self.0.fetch_add(1, Ordering::Relaxed)
    }

    /// The highest number given so far, or the one it started above.
    pub fn highest(&self) -> u64 {
        self.0.load(Ordering::Relaxed) - 1
    }
}
