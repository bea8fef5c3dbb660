//! How late a shard is: timers that should ring every 5 ms, and how much later they rang.
//!
//! The best single sign of a shard's health: whatever holds the core (a page fault, a long loop, too much work) shows here.
//!
//! The same timers keep a shard from sleeping through work. glommio (0.9 and 0.12) arms its preemption timer, then looks
//! whether it has rung, then runs tasks; a thread that the kernel puts aside for 500 µs between the first two runs no task
//! and parks, though tasks are ready, until the next event. On an idle shard with a busy machine that was never. So there
//! is always a next event: a timer that has not rung yet. When one has rung but its task, too, is among the ready ones,
//! the next follows 5 ms later; a thread put aside for longer than all of these finds one of the guards.

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
/// For stalls longer than a full round, ever longer as they are ever less likely.
const GUARDS: [Duration; 3] = [Duration::from_millis(50), Duration::from_millis(500), Duration::from_secs(5)];

static BEGAN: LazyLock<Instant> = LazyLock::new(Instant::now);
/// When each shard's heart beat last, in milliseconds since [`BEGAN`]; one more than that, so that 0 is never.
static LAST: RwLock<Vec<Arc<AtomicU64>>> = RwLock::new(Vec::new());

/// How long ago each shard's heart beat, by shard; `None` for one that has not begun or has ended. A running one beats every
/// 5 ms: seconds mean that its core is held, and that nobody on it is served.
pub fn heartbeat_ages() -> Vec<Option<Duration>> {
    let now = now_ms();
    let age = |last: u64| (last > 0).then(|| Duration::from_millis(now.saturating_sub(last)));
    LAST.read().unwrap_or_else(PoisonError::into_inner).iter().map(|last| age(last.load(Relaxed))).collect()
}

fn now_ms() -> u64 {
    u64::try_from(BEGAN.elapsed().as_millis()).unwrap_or(u64::MAX - 1) + 1
}

/// This shard's place in [`LAST`].
fn last_beat() -> Arc<AtomicU64> {
    let shard = shard_id().map_or(0, |id| usize::from(id.0));
    let mut all = LAST.write().unwrap_or_else(PoisonError::into_inner);
    if all.len() <= shard {
        all.resize_with(shard + 1, Arc::default);
    }
    all[shard].clone()
}

/// Its shard has ended when this is dropped.
pub(crate) struct Beating(Arc<AtomicU64>);

impl Drop for Beating {
    fn drop(&mut self) {
        self.0.store(0, Relaxed);
    }
}

/// Starts all of them on this shard; resolves when each beat has rung once, and so from then on one is always set.
pub(crate) async fn start() -> Beating {
    let last = last_beat();
    last.store(now_ms(), Relaxed);
    for period in GUARDS {
        spawn_detached(Class::Session, "guard", guard(period));
    }
    let (begun, change) = (Rc::new(Cell::new(0)), Notify::new());
    for turn in 1..=BEATS {
        let (begun, change) = (begun.clone(), change.clone());
        let first_rung = move || {
            begun.set(begun.get() + 1);
            change.notify_all();
        };
        spawn_detached(Class::Session, ("heartbeat", turn.into()), beat(SPACING * turn, first_rung, last.clone()));
    }
    while begun.get() < BEATS {
        change.notified().await;
    }
    Beating(last)
}

async fn beat(first: Duration, first_rung: impl FnOnce(), last: Arc<AtomicU64>) {
    let mut due = Instant::now() + first;
    ring_timer(first).await;
    first_rung();
    loop {
        let late = due.elapsed();
        last.store(now_ms(), Relaxed);
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

async fn guard(period: Duration) {
    loop {
        ring_timer(period).await;
    }
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
