//! "It has come at least this far", or it failed for good.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

/// A value that only rises, and can be waited for. Poisoned, it never rises again and every wait above it fails.
pub struct Watermark<T, E>(Rc<Shared<T, E>>);

struct Shared<T, E> {
    value: Cell<T>,
    poison: RefCell<Option<E>>,
    ticket_next: Cell<u64>,
    /// Sorted by goal and then by arrival. Goals mostly ascend, so joining is a push to the back.
    waiters: RefCell<VecDeque<(T, u64, Waker)>>,
}

impl<T: Copy + Ord, E: Clone> Watermark<T, E> {
    /// Starts at `value`.
    pub fn new(value: T) -> Watermark<T, E> {
        Watermark(Rc::new(Shared {
            value: Cell::new(value),
            poison: RefCell::new(None),
            ticket_next: Cell::new(0),
            waiters: RefCell::new(VecDeque::new()),
        }))
    }

    /// How far it has come.
    pub fn get(&self) -> T {
        self.0.value.get()
    }

    /// Rises to `value` and wakes who waited for that much; a lower value, or one after the poison, changes nothing.
    pub fn advance(&self, value: T) {
        if value <= self.get() || self.0.poison.borrow().is_some() {
            return;
        }
        self.0.value.set(value);
        while let Some(waker) = self.0.pop_reached(value) {
            waker.wake();
        }
    }

    /// Ends all waiting above the present value with `error`, now and later. The first poison stays.
    pub fn poison(&self, error: E) {
        self.0.poison.borrow_mut().get_or_insert(error);
        let woken = self.0.waiters.take();
        woken.into_iter().for_each(|(_, _, waker)| waker.wake());
    }

    /// What it was poisoned with.
    pub fn poisoned(&self) -> Option<E> {
        self.0.poison.borrow().clone()
    }

    /// Resolves once the value is at least `goal`.
    ///
    /// # Errors
    /// The poison, when the goal was not reached before it.
    pub fn wait_until(&self, goal: T) -> Reached<T, E> {
        Reached { shared: self.0.clone(), goal, ticket: None }
    }

    /// How many futures wait.
    pub fn waiting(&self) -> usize {
        self.0.waiters.borrow().len()
    }
}

impl<T: Copy + Ord, E> Shared<T, E> {
    fn pop_reached(&self, value: T) -> Option<Waker> {
        let mut waiters = self.waiters.borrow_mut();
        if waiters.front()?.0 > value {
            return None;
        }
        waiters.pop_front().map(|(_, _, waker)| waker)
    }

    fn join(&self, goal: T, ticket: Option<u64>, waker: &Waker) -> u64 {
        let mut waiters = self.waiters.borrow_mut();
        if let Some(ticket) = ticket
            && let Ok(at) = waiters.binary_search_by_key(&(goal, ticket), |entry| (entry.0, entry.1))
        {
            waiters[at].2.clone_from(waker);
            return ticket;
        }
        let ticket = self.ticket_next.replace(self.ticket_next.get() + 1);
        match waiters.back() {
            Some(last) if last.0 > goal => {
                let at = waiters.partition_point(|entry| entry.0 <= goal);
                waiters.insert(at, (goal, ticket, waker.clone()));
            }
            _ => waiters.push_back((goal, ticket, waker.clone())),
        }
        ticket
    }

    fn leave(&self, goal: T, ticket: u64) {
        let mut waiters = self.waiters.borrow_mut();
        if let Ok(at) = waiters.binary_search_by_key(&(goal, ticket), |entry| (entry.0, entry.1)) {
            waiters.remove(at);
        }
    }
}

impl<T, E> Clone for Watermark<T, E> {
    fn clone(&self) -> Self {
        Watermark(self.0.clone())
    }
}

impl<T: Copy + fmt::Debug, E: fmt::Debug> fmt::Debug for Watermark<T, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Watermark")
            .field("value", &self.0.value.get())
            .field("poison", &self.0.poison.borrow())
            .finish()
    }
}

/// Future of [`Watermark::wait_until`].
#[must_use = "futures do nothing unless awaited"]
pub struct Reached<T: Copy + Ord, E> {
    shared: Rc<Shared<T, E>>,
    goal: T,
    ticket: Option<u64>,
}

// Nothing in here is ever pinned; `T` is a plain value.
impl<T: Copy + Ord, E> Unpin for Reached<T, E> {}

impl<T: Copy + Ord, E: Clone> Future for Reached<T, E> {
    type Output = Result<(), E>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<(), E>> {
        if self.shared.value.get() >= self.goal {
            return Poll::Ready(Ok(()));
        }
        if let Some(error) = &*self.shared.poison.borrow() {
            return Poll::Ready(Err(error.clone()));
        }
        self.ticket = Some(self.shared.join(self.goal, self.ticket, context.waker()));
        Poll::Pending
    }
}

impl<T: Copy + Ord, E> Drop for Reached<T, E> {
    fn drop(&mut self) {
        if let Some(ticket) = self.ticket {
            self.shared.leave(self.goal, ticket);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::Hand;
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn poison_fails_only_what_was_not_reached() {
        let mark = Watermark::<u64, &str>::new(0);
        let (mut low, mut high) = (Hand::new(mark.wait_until(5)), Hand::new(mark.wait_until(6)));
        assert!(low.poll().is_pending() && high.poll().is_pending());
        mark.advance(5);
        mark.poison("EIO");
        mark.poison("later");
        mark.advance(9);
        assert_eq!((low.wakes(), high.wakes()), (1, 1));
        assert_eq!(low.poll(), Poll::Ready(Ok(())));
        assert_eq!(high.poll(), Poll::Ready(Err("EIO")));
        assert_eq!(Hand::new(mark.wait_until(3)).poll(), Poll::Ready(Ok(())));
        assert_eq!(Hand::new(mark.wait_until(9)).poll(), Poll::Ready(Err("EIO")));
    }

    #[derive(Debug, Clone)]
    enum Act {
        Wait(u64),
        Cancel(usize),
        PollAgain(usize),
        Advance(u64),
    }

    fn act() -> impl Strategy<Value = Act> {
        prop_oneof![
            (0u64..40).prop_map(Act::Wait),
            any::<usize>().prop_map(Act::Cancel),
            any::<usize>().prop_map(Act::PollAgain),
            (0u64..40).prop_map(Act::Advance),
        ]
    }

    proptest! {
        #[test]
        fn exactly_the_reached_are_woken(acts in proptest::collection::vec(act(), 0..80)) {
            let mark = Watermark::<u64, ()>::new(0);
            let mut waiting: Vec<(u64, Hand<Reached<u64, ()>>)> = Vec::new();
            for act in acts {
                match act {
                    Act::Wait(goal) => {
                        let mut hand = Hand::new(mark.wait_until(goal));
                        let ready = hand.poll().is_ready();
                        prop_assert_eq!(ready, goal <= mark.get());
                        if !ready { waiting.push((goal, hand)); }
                    }
                    Act::Cancel(at) if !waiting.is_empty() => drop(waiting.swap_remove(at % waiting.len())),
                    Act::PollAgain(at) if !waiting.is_empty() => {
                        let at = at % waiting.len();
                        prop_assert!(waiting[at].1.poll().is_pending());
                    }
                    Act::Advance(value) => {
                        mark.advance(value);
                        for (goal, hand) in &waiting {
                            prop_assert_eq!(hand.wakes(), usize::from(*goal <= mark.get()));
                        }
                        waiting.retain(|(goal, _)| *goal > mark.get());
                    }
                    _ => {}
                }
                prop_assert_eq!(mark.waiting(), waiting.len());
            }
        }
    }
}
