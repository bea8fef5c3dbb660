//! How late a shard is: timers that should ring every 5 ms, and how much later they rang.
//!
//! The best single sign of a shard's health: whatever holds the core (a page fault, a long loop, too much work) shows here.
//!
//! The same timers keep a shard from sleeping through work for longer than 5 ms, mostly: see nudge, which does the rest.

use std::cell::Cell;
use std::rc::Rc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, LazyLock, PoisonError, RwLock};
use std::time::{Duration, Instant};

use skein_base::sync::Notify;

use crate::metrics::SHARD_LATE;
use crate::task::{Class, shard_id, spawn_detached};
use crate::timer::ring_timer;

/// Often enough to see a stall of some milliseconds, seldom enough to cost under one percent of an idle core: waking from
/// the rings was measured at 43 µs on a busy virtual machine.
const SPACING: Duration = Duration::from_millis(5);
/// Timers that take turns.
const BEATS: u32 = 4;

static BEGAN: LazyLock<Instant> = LazyLock::new(Instant::now);
/// Each shard's.
static HEARTS: RwLock<Vec<Heart>> = RwLock::new(Vec::new());

/// When a shard's heart beat last, in milliseconds since [`BEGAN`]; one more than that, so that 0 is never.
#[derive(Clone, Default)]
pub(crate) struct Heart(Arc<AtomicU64>);

impl Heart {
    /// Changes with each beat; 0 before the first and after the last.
    pub fn last_ms(&self) -> u64 {
        self.0.load(Relaxed)
    }

    pub fn beat(&self) {
        self.0.store(now_ms(), Relaxed);
    }

    /// Shows it as that of this thread's shard.
    fn show(&self) {
        let shard = shard_id().map_or(0, |id| usize::from(id.0));
        let mut all = HEARTS.write().unwrap_or_else(PoisonError::into_inner);
        if all.len() <= shard {
            all.resize_with(shard + 1, Heart::default);
        }
        all[shard] = self.clone();
    }
}

/// How long ago each shard's heart beat, by shard; `None` for one that has not begun or has ended. A running one beats every
/// 5 ms: seconds mean that its core is held, and that nobody on it is served.
pub fn heartbeat_ages() -> Vec<Option<Duration>> {
    let now = now_ms();
    let age = |last: u64| (last > 0).then(|| Duration::from_millis(now.saturating_sub(last)));
    HEARTS.read().unwrap_or_else(PoisonError::into_inner).iter().map(|heart| age(heart.last_ms())).collect()
}

fn now_ms() -> u64 {
    u64::try_from(BEGAN.elapsed().as_millis()).unwrap_or(u64::MAX - 1) + 1
}

/// Its shard has ended when this is dropped.
pub(crate) struct Beating(Heart);

impl Drop for Beating {
    fn drop(&mut self) {
        self.0.0.store(0, Relaxed);
    }
}

/// Starts all of them on this shard; resolves when each has rung once, and so from then on one is always set.
pub(crate) async fn start(heart: Heart) -> Beating {
    heart.beat();
    heart.show();
    let (begun, change) = (Rc::new(Cell::new(0)), Notify::new());
    for turn in 1..=BEATS {
        let (begun, change) = (begun.clone(), change.clone());
        let first_rung = move || {
            begun.set(begun.get() + 1);
            change.notify_all();
        };
        spawn_detached(Class::Session, ("heartbeat", turn.into()), beat(SPACING * turn, first_rung, heart.clone()));
    }
    while begun.get() < BEATS {
        change.notified().await;
    }
    Beating(heart)
}

async fn beat(first: Duration, first_rung: impl FnOnce(), heart: Heart) {
    let mut due = Instant::now() + first;
    ring_timer(first).await;
    first_rung();
    loop {
        let late = due.elapsed();
        heart.beat();
        SHARD_LATE.observe(u64::try_from(late.as_micros()).unwrap_or(u64::MAX));
        due += whole_cycles_after(late);
        ring_timer(due.saturating_duration_since(Instant::now())).await;
    }
}

/// Whole cycles, so that the beats stay apart even after a long stall.
fn whole_cycles_after(late: Duration) -> Duration {
    let cycle = SPACING * BEATS;
    let cycles = late.as_nanos() / cycle.as_nanos() + 1;
    cycle * u32::try_from(cycles).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn beats_keep_their_turn_after_a_stall() {
        let ms = Duration::from_millis;
        for (late, next) in [(ms(0), ms(20)), (ms(19), ms(20)), (ms(20), ms(40)), (ms(1001), ms(1020))] {
            assert_eq!(whole_cycles_after(late), next);
        }
    }
}
