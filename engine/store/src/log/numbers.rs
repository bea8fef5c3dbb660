//! Segment numbers, one ascending row for all shards.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Gives out segment numbers. Clones share one row, across threads: the segments of one account ascend even when it
/// lived on another shard before the last start.
#[derive(Clone, Debug)]
pub struct SegmentNumbers(Arc<Numbers>);

#[derive(Debug)]
struct Numbers {
    next: AtomicU64,
    /// The highest segment of this run that has a durable record.
    durable: AtomicU64,
}

impl SegmentNumbers {
    /// The next number given is above `highest`. That has to cover every segment present **and** every position a
    /// snapshot names: a drained segment may be gone while a snapshot still says "true up to there".
    pub fn above(highest: u64) -> SegmentNumbers {
        SegmentNumbers(Arc::new(Numbers { next: AtomicU64::new(highest + 1), durable: AtomicU64::new(0) }))
    }

    /// A number never given before.
    pub fn take(&self) -> u64 {
        self.0.next.fetch_add(1, Ordering::Relaxed)
    }

    /// The highest number given so far, or the one it started above.
    pub fn highest(&self) -> u64 {
        self.0.next.load(Ordering::Relaxed) - 1
    }

    /// Notes that a segment has a durable record.
    pub(super) fn note_durable(&self, segment: u64) {
        self.0.durable.fetch_max(segment, Ordering::Release);
    }

    /// Whether a segment may be removed without its number ever being given again: one above it will be found by the next
    /// start.
    pub(super) fn is_outlived(&self, segment: u64) -> bool {
        self.0.durable.load(Ordering::Acquire) > segment
    }
}
