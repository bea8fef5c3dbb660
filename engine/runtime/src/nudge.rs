//! Waking a shard that sleeps though it has work.
//!
//! glommio (0.9 and 0.12) arms its preemption timer, then looks whether it has rung, then runs tasks; a thread that the
//! kernel puts aside for 500 µs between the first two runs no task and parks, though tasks are ready, until the next event.
//! The shard's own timers are such events, but each only once until its task has run, and thousands of tasks may be ready
//! before it. Then only the outside can end the sleep: a thread that looks whether each heart still beats.

use std::future::poll_fn;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::task::{Poll, Waker};
use std::time::{Duration, Instant};

use glommio::LocalExecutor;

use crate::heartbeat::Heart;

/// Longest sleep over ready tasks that nothing else ends: four beats of the heart.
const LOOK_EVERY: Duration = Duration::from_millis(20);
/// The longer a heart stands still, the less likely its shard only sleeps, and each nudge takes the shard some bytes until
/// it runs again: the next comes when this part of the silence has passed once more.
const SILENCE_PARTS: u32 = 16;

/// Wakes `executor` from any thread, already before it runs, by waking a task that has nothing to do.
pub(crate) fn waker_of(executor: &LocalExecutor) -> Waker {
    let (sender, receiver) = std::sync::mpsc::channel();
    let idle = executor.spawn(poll_fn(move |context| {
        // Only the first time does anybody listen.
        _ = sender.send(context.waker().clone());
        Poll::<()>::Pending
    }));
    idle.detach();
    receiver.recv().expect("a spawned task is polled at once")
}

/// Nudges shards whose hearts stand still until all their threads, which hold the other end of `running`, have ended.
pub(crate) fn watch(shards: Vec<(Waker, Heart)>, running: &Receiver<()>) {
    let now = Instant::now();
    let mut watched: Vec<_> = shards.into_iter().map(|(waker, heart)| (waker, heart, Silence::new(now))).collect();
    while running.recv_timeout(LOOK_EVERY) == Err(RecvTimeoutError::Timeout) {
        for (waker, heart, silence) in &mut watched {
            if silence.is_nudge_due(heart.last_ms(), Instant::now()) {
                waker.wake_by_ref();
            }
        }
    }
}

/// How long one heart stands still.
struct Silence {
    last_ms: u64,
    since: Instant,
    next: Instant,
}

impl Silence {
    fn new(now: Instant) -> Silence {
        Silence { last_ms: 0, since: now, next: now + LOOK_EVERY }
    }

    fn is_nudge_due(&mut self, last_ms: u64, now: Instant) -> bool {
        if last_ms != self.last_ms {
            *self = Silence { last_ms, ..Silence::new(now) };
        }
        if now < self.next {
            return false;
        }
        self.next = now + LOOK_EVERY.max((now - self.since) / SILENCE_PARTS);
        true
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use futures_lite::future::yield_now;
    use glommio::{LocalExecutorBuilder, Placement};

    use super::*;

    /// Nudges that a heart gets which stands still for `total`, watched every 20 ms.
    fn nudges(total: Duration) -> usize {
        let begun = Instant::now();
        let mut silence = Silence::new(begun);
        let looks = total.as_millis() / LOOK_EVERY.as_millis();
        (1..=looks as u32).filter(|look| silence.is_nudge_due(0, begun + LOOK_EVERY * *look)).count()
    }

    #[test]
    fn a_silent_heart_is_nudged_often_at_first_and_seldom_later() {
        assert_eq!(nudges(Duration::from_millis(200)), 10);
        assert!((20..60).contains(&nudges(Duration::from_secs(2))));
        assert!(nudges(Duration::from_secs(7 * 24 * 3600)) < 300);
    }

    #[test]
    fn a_beating_heart_is_left_alone() {
        let begun = Instant::now();
        let mut silence = Silence::new(begun);
        let nudged = |silence: &mut Silence, look| silence.is_nudge_due(u64::from(look), begun + LOOK_EVERY * look);
        assert!((1..1000).all(|look| !nudged(&mut silence, look)));
    }

    /// On an executor without timers runs a task that is always ready, in turns of `turn`, until the thread has slept or
    /// the task has run so often that it seems never to; whether it slept.
    fn sleeps_in_turns_of(turn: Duration) -> bool {
        let executor = LocalExecutorBuilder::new(Placement::Unbound).io_memory(64 << 10).preempt_timer(turn);
        let (executor, heart) = (executor.make().unwrap(), Heart::default());
        let (run, running) = mpsc::channel::<()>();
        let shards = vec![(waker_of(&executor), heart.clone())];
        let watch = std::thread::spawn(move || watch(shards, &running));
        let has_slept = executor.run(async move {
            let before = sleeps_of_this_thread();
            for _ in 0..2000 {
                yield_now().await;
                heart.beat();
            }
            sleeps_of_this_thread() > before
        });
        drop(run);
        watch.join().unwrap();
        has_slept
    }

    fn sleeps_of_this_thread() -> u64 {
        let status = std::fs::read_to_string("/proc/thread-self/status").unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"));
        line.unwrap().trim().parse().unwrap()
    }

    /// A turn may be over before a task has run: ever shorter ones are tried, until one is so short that this happens.
    #[test]
    fn an_executor_that_sleeps_over_ready_tasks_is_woken() {
        let (sender, slept) = mpsc::channel();
        std::thread::spawn(move || {
            let mut turn = Duration::from_micros(500);
            while !sleeps_in_turns_of(turn) {
                turn = turn * 19 / 20;
            }
            sender.send(turn).unwrap();
        });
        slept.recv_timeout(Duration::from_secs(60)).expect("the executor sleeps");
    }
}
