//! Waiting within one shard: single-threaded, no locks, no executor, no clock. The same code runs on glommio and in a
//! seeded simulator.
//!
//! ```text
//! Notify      "something changed, look again"             mailbox changes, work for the log writer
//! Watermark   "it has come at least this far", or failed  group commit: the durable position
//! Semaphore   a budget, taken and given back, in order    bytes in flight
//! oneshot     one answer, once                            owner tasks
//! ```
//!
//! Every handle is an `Rc` inside and cheap to clone; every future is cancel-safe: dropped, it leaves no trace and
//! takes nothing with it. Steady state allocates nothing: the queues of waiters keep their buffers.

mod notify;
pub mod oneshot;
mod semaphore;
mod watermark;

pub use notify::{Notified, Notify};
pub use semaphore::{Acquire, Permit, Semaphore};
pub use watermark::{Reached, Watermark};

#[cfg(test)]
pub(crate) mod testing {
    //! Polling by hand, counting wakes.
    use std::future::Future;
    use std::pin::Pin;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::task::{Context, Poll, Wake, Waker};

    /// A waker that only counts.
    #[derive(Default)]
    pub struct Counter(AtomicUsize);

    impl Wake for Counter {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// A future with a waker of its own.
    pub struct Hand<F> {
        future: Pin<Box<F>>,
        counter: Arc<Counter>,
    }

    impl<F: Future> Hand<F> {
        pub fn new(future: F) -> Hand<F> {
            Hand { future: Box::pin(future), counter: Arc::default() }
        }

        pub fn poll(&mut self) -> Poll<F::Output> {
            let waker = Waker::from(self.counter.clone());
            self.future.as_mut().poll(&mut Context::from_waker(&waker))
        }

        pub fn wakes(&self) -> usize {
            self.counter.0.load(Ordering::Relaxed)
        }
    }
}
