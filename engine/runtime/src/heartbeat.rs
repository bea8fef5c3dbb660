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
use std::time::{Duration, Instant};

use skein_base::sync::Notify;

use crate::metrics::SHARD_LATE;
use crate::task::{Class, spawn_detached};
use crate::timer::ring_timer;

/// Often enough to see a stall of some milliseconds, seldom enough to cost under one percent of an idle core: waking from
/// the rings was measured at 43 µs on a busy virtual machine.
const SPACING: Duration = Duration::from_millis(5);
/// Timers that take turns.
const BEATS: u32 = 4;
/// For stalls longer than a full round, ever longer as they are ever less likely.
const GUARDS: [Duration; 3] = [Duration::from_millis(50), Duration::from_millis(500), Duration::from_secs(5)];

/// Starts all of them on this shard; resolves when each beat has rung once, and so from then on one is always set.
pub(crate) async fn start() {
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
        spawn_detached(Class::Session, ("heartbeat", turn.into()), beat(SPACING * turn, first_rung));
    }
    while begun.get() < BEATS {
        change.notified().await;
    }
}

async fn beat(first: Duration, first_rung: impl FnOnce()) {
    let mut due = Instant::now() + first;
    ring_timer(first).await;
    first_rung();
    loop {
        let late = due.elapsed();
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
