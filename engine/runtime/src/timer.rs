//! Time on a shard: one ordered queue, one timer of the ring.
//!
//! glommio looks through all its timers on each turn of its loop and registers one anew at every poll; ten thousand
//! idle connections, each with a deadline, would cost more than their traffic. So the ring only knows the earliest.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use futures_lite::future;
use skein_base::sync::Notify;

use crate::task::with_local;

/// Resolves after `duration`, not earlier, on a shard that is not overloaded within about a millisecond.
pub fn sleep(duration: Duration) -> Sleep {
    sleep_until(Instant::now() + duration)
}

/// Resolves at `when`.
pub fn sleep_until(when: Instant) -> Sleep {
    Sleep { when, place: None }
}

/// `future`'s result, or [`Elapsed`] when `duration` passes first; then `future` is dropped. So it must be one that may
/// be dropped: a read, a lock, a wait. Never an accept, never a [`Disk`](skein_base::seam::Disk) call.
///
/// # Errors
/// [`Elapsed`].
pub async fn timeout<T>(duration: Duration, future: impl Future<Output = T>) -> Result<T, Elapsed> {
    Deadline::after(duration).limit(future).await
}

/// A moment that several steps share.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Deadline(Instant);

impl Deadline {
    /// From now on.
    pub fn after(duration: Duration) -> Deadline {
        Deadline(Instant::now() + duration)
    }

    /// What is left, zero when it passed.
    pub fn left(self) -> Duration {
        self.0.saturating_duration_since(Instant::now())
    }

    /// Whether it passed.
    pub fn passed(self) -> bool {
        self.left().is_zero()
    }

    /// Like [`timeout`], until this moment.
    ///
    /// # Errors
    /// [`Elapsed`].
    pub async fn limit<T>(self, future: impl Future<Output = T>) -> Result<T, Elapsed> {
        let work = async { Ok(future.await) };
        let late = async {
            sleep_until(self.0).await;
            Err(Elapsed)
        };
        future::or(work, late).await
    }
}

/// The time was up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Elapsed;

impl fmt::Display for Elapsed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("timed out")
    }
}

impl std::error::Error for Elapsed {}

impl From<Elapsed> for std::io::Error {
    fn from(_: Elapsed) -> Self {
        std::io::Error::from(std::io::ErrorKind::TimedOut)
    }
}

/// Future of [`sleep`] and [`sleep_until`]. Dropping it costs one removal; nothing stays behind.
#[must_use = "futures do nothing unless awaited"]
pub struct Sleep {
    when: Instant,
    place: Option<(Timers, u64)>,
}

impl Future for Sleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        if Instant::now() >= self.when {
            self.leave();
            return Poll::Ready(());
        }
        let when = self.when;
        let (timers, ticket) = self.place.get_or_insert_with(|| with_local(|local| local.timers.enter()));
        timers.register(when, *ticket, context.waker());
        Poll::Pending
    }
}

impl Sleep {
    fn leave(&mut self) {
        if let Some((timers, ticket)) = self.place.take() {
            timers.0.queue.borrow_mut().remove(&(self.when, ticket));
        }
    }
}

impl Drop for Sleep {
    fn drop(&mut self) {
        self.leave();
    }
}

/// The queue of one shard.
#[derive(Clone, Default)]
pub(crate) struct Timers(Rc<Shared>);

#[derive(Default)]
struct Shared {
    queue: RefCell<BTreeMap<(Instant, u64), Waker>>,
    ticket_next: Cell<u64>,
    /// What the driver waits for; an earlier arrival must tell it.
    armed: Cell<Option<Instant>>,
    rearm: Notify,
}

impl Timers {
    fn enter(&self) -> (Timers, u64) {
        let ticket = self.0.ticket_next.replace(self.0.ticket_next.get() + 1);
        (self.clone(), ticket)
    }

    fn register(&self, when: Instant, ticket: u64, waker: &Waker) {
        let mut queue = self.0.queue.borrow_mut();
        match queue.get_mut(&(when, ticket)) {
            Some(present) => present.clone_from(waker),
            None => {
                queue.insert((when, ticket), waker.clone());
            }
        }
        drop(queue);
        if self.0.armed.get().is_none_or(|armed| when < armed) {
            self.0.armed.set(Some(when));
            self.0.rearm.notify_all();
        }
    }

    /// Wakes all that is due; the earliest of the rest.
    fn fire(&self, now: Instant) -> Option<Instant> {
        loop {
            let mut queue = self.0.queue.borrow_mut();
            let first = queue.first_entry()?;
            if first.key().0 > now {
                return Some(first.key().0);
            }
            let waker = first.remove();
            drop(queue);
            waker.wake();
        }
    }

    /// Runs for as long as the shard does.
    pub async fn drive(self) {
        loop {
            let now = Instant::now();
            let next = self.fire(now);
            self.0.armed.set(next);
            let earlier = self.0.rearm.notified();
            match next {
                None => earlier.await,
                Some(when) => future::or(earlier, ring_timer(when - now)).await,
            }
        }
    }
}

/// A timer of the ring itself: only for the few that need not go through the queue.
pub(crate) async fn ring_timer(duration: Duration) {
    glommio::timer::Timer::new(duration).await;
}
