//! "Something changed, look again."

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

/// Wakes everyone who waits. Carries no data: the waiter looks at the state it cares about.
///
/// ```
/// # use skein_base::sync::Notify;
/// # use std::cell::Cell;
/// # async fn example(changed: Notify, count: &Cell<u32>) {
/// while count.get() == 0 {
///     changed.notified().await; // no await between the look and this line, so nothing is missed
/// }
/// # }
/// ```
#[derive(Clone, Default)]
pub struct Notify(Rc<Shared>);

#[derive(Default)]
struct Shared {
    generation: Cell<u64>,
    ticket_next: Cell<u64>,
    /// Sorted by ticket, because tickets ascend and join at the back.
    waiters: RefCell<VecDeque<(u64, Waker)>>,
}

impl Notify {
    /// Nobody waits yet.
    pub fn new() -> Notify {
        Notify::default()
    }

    /// Resolves at the first [`Notify::notify_all`] after this call, even one that comes before the first poll.
    pub fn notified(&self) -> Notified {
        Notified { shared: self.0.clone(), generation: self.0.generation.get(), ticket: None }
    }

    /// Wakes all who wait now. Those who come later wait for the next call.
    pub fn notify_all(&self) {
        self.0.generation.set(self.0.generation.get() + 1);
        // Wakers may run foreign code, so the queue is not borrowed meanwhile.
        let mut woken = self.0.waiters.take();
        woken.drain(..).for_each(|(_, waker)| waker.wake());
        let mut waiters = self.0.waiters.borrow_mut();
        if waiters.capacity() == 0 {
            *waiters = woken;
        }
    }

    /// How often [`Notify::notify_all`] was called: a cheap "has anything changed since?".
    pub fn generation(&self) -> u64 {
        self.0.generation.get()
    }

    /// How many futures wait.
    pub fn waiting(&self) -> usize {
        self.0.waiters.borrow().len()
    }
}

impl fmt::Debug for Notify {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Notify").field("generation", &self.generation()).field("waiting", &self.waiting()).finish()
    }
}

/// Future of [`Notify::notified`].
#[must_use = "futures do nothing unless awaited"]
pub struct Notified {
    shared: Rc<Shared>,
    generation: u64,
    ticket: Option<u64>,
}

impl Future for Notified {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        if self.shared.generation.get() != self.generation {
            self.ticket = None;
            return Poll::Ready(());
        }
        let shared = self.shared.clone();
        let mut waiters = shared.waiters.borrow_mut();
        match self.ticket.and_then(|ticket| position(&waiters, ticket)) {
            Some(at) => waiters[at].1.clone_from(context.waker()),
            None => {
                let ticket = shared.ticket_next.replace(shared.ticket_next.get() + 1);
                waiters.push_back((ticket, context.waker().clone()));
                self.ticket = Some(ticket);
            }
        }
        Poll::Pending
    }
}

impl Drop for Notified {
    fn drop(&mut self) {
        let Some(ticket) = self.ticket else { return };
        let mut waiters = self.shared.waiters.borrow_mut();
        if let Some(at) = position(&waiters, ticket) {
            waiters.remove(at);
        }
    }
}

fn position(waiters: &VecDeque<(u64, Waker)>, ticket: u64) -> Option<usize> {
    waiters.binary_search_by_key(&ticket, |entry| entry.0).ok()
}

#[cfg(test)]
mod tests {
    use super::super::testing::Hand;
    use super::*;

    #[test]
    fn a_call_before_the_first_poll_counts() {
        let notify = Notify::new();
        let mut early = Hand::new(notify.notified());
        notify.notify_all();
        assert!(early.poll().is_ready());
        let mut late = Hand::new(notify.notified());
        assert!(late.poll().is_pending());
    }

    #[test]
    fn all_wake_once_and_a_dropped_waiter_leaves_no_trace() {
        let notify = Notify::new();
        let mut hands: Vec<_> = (0..5).map(|_| Hand::new(notify.notified())).collect();
        hands.iter_mut().for_each(|hand| assert!(hand.poll().is_pending()));
        hands.remove(2);
        assert_eq!(notify.waiting(), 4);
        notify.notify_all();
        notify.notify_all();
        assert_eq!(notify.waiting(), 0);
        for hand in &mut hands {
            assert_eq!(hand.wakes(), 1);
            assert!(hand.poll().is_ready());
        }
    }

    #[test]
    fn polling_again_takes_one_place_only() {
        let notify = Notify::new();
        let mut hand = Hand::new(notify.notified());
        for _ in 0..3 {
            assert!(hand.poll().is_pending());
        }
        assert_eq!(notify.waiting(), 1);
    }
}
