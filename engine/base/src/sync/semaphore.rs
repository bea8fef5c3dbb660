//! A budget: taken, given back, first come first served.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

/// A counted budget (bytes, slots). Fair: a small wish does not overtake a large one that came first, so none starves.
///
/// A wish larger than the whole budget takes the whole budget: one huge message passes alone instead of never.
#[derive(Clone)]
pub struct Semaphore(Rc<Shared>);

struct Shared {
    capacity: u64,
    available: Cell<u64>,
    ticket_next: Cell<u64>,
    /// Sorted by ticket. Only the front may take; whoever leaves the front wakes the next when it fits.
    waiters: RefCell<VecDeque<Waiter>>,
}

struct Waiter {
    ticket: u64,
    wish: u64,
    waker: Waker,
}

impl Semaphore {
    /// A budget of `capacity`, all of it free.
    pub fn new(capacity: u64) -> Semaphore {
        Semaphore(Rc::new(Shared {
            capacity,
            available: Cell::new(capacity),
            ticket_next: Cell::new(0),
            waiters: RefCell::new(VecDeque::new()),
        }))
    }

    /// Waits until `wish` is free and everyone before is served. Given back when the permit is dropped.
    pub fn acquire(&self, wish: u64) -> Acquire {
        Acquire { shared: self.0.clone(), wish: wish.min(self.0.capacity), ticket: None }
    }

    /// The same without waiting; `None` when it is not free or others wait.
    pub fn try_acquire(&self, wish: u64) -> Option<Permit> {
        if !self.0.waiters.borrow().is_empty() {
            return None;
        }
        self.0.take(wish.min(self.0.capacity))
    }

    /// What is free now.
    pub fn available(&self) -> u64 {
        self.0.available.get()
    }

    /// The whole budget.
    pub fn capacity(&self) -> u64 {
        self.0.capacity
    }

    /// How many futures wait.
    pub fn waiting(&self) -> usize {
        self.0.waiters.borrow().len()
    }
}

impl Shared {
    fn take(self: &Rc<Self>, wish: u64) -> Option<Permit> {
        let left = self.available.get().checked_sub(wish)?;
        self.available.set(left);
        Some(Permit { shared: self.clone(), amount: wish })
    }

    fn give_back(&self, amount: u64) {
        self.available.set(self.available.get() + amount);
        self.wake_front();
    }

    fn wake_front(&self) {
        let waker = match self.waiters.borrow().front() {
            Some(front) if front.wish <= self.available.get() => front.waker.clone(),
            _ => return,
        };
        waker.wake();
    }

    fn position(&self, ticket: u64) -> usize {
        let found = self.waiters.borrow().binary_search_by_key(&ticket, |waiter| waiter.ticket);
        found.expect("a waiter stays queued until it leaves by itself")
    }

    fn leave(&self, at: usize) {
        self.waiters.borrow_mut().remove(at);
        if at == 0 {
            self.wake_front();
        }
    }
}

impl fmt::Debug for Semaphore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Semaphore").field("available", &self.available()).field("capacity", &self.capacity()).finish()
    }
}

/// Future of [`Semaphore::acquire`].
#[must_use = "futures do nothing unless awaited"]
pub struct Acquire {
    shared: Rc<Shared>,
    wish: u64,
    ticket: Option<u64>,
}

impl Future for Acquire {
    type Output = Permit;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Permit> {
        let at = self.ticket.map(|ticket| self.shared.position(ticket));
        let first = at.unwrap_or_else(|| self.shared.waiters.borrow().len()) == 0;
        if first && let Some(permit) = self.shared.take(self.wish) {
            if self.ticket.take().is_some() {
                self.shared.leave(0);
            }
            return Poll::Ready(permit);
        }
        let shared = self.shared.clone();
        let mut waiters = shared.waiters.borrow_mut();
        match at {
            Some(at) => waiters[at].waker.clone_from(context.waker()),
            None => {
                let ticket = shared.ticket_next.replace(shared.ticket_next.get() + 1);
                waiters.push_back(Waiter { ticket, wish: self.wish, waker: context.waker().clone() });
                self.ticket = Some(ticket);
            }
        }
        Poll::Pending
    }
}

impl Drop for Acquire {
    fn drop(&mut self) {
        if let Some(ticket) = self.ticket {
            self.shared.leave(self.shared.position(ticket));
        }
    }
}

/// A share of the budget; dropping it gives it back.
#[must_use = "dropping a permit gives it back at once"]
pub struct Permit {
    shared: Rc<Shared>,
    amount: u64,
}

impl Permit {
    /// How much is held.
    pub fn amount(&self) -> u64 {
        self.amount
    }

    /// Gives back all above `amount`; a larger `amount` changes nothing.
    pub fn shrink(&mut self, amount: u64) {
        if amount < self.amount {
            let excess = self.amount - amount;
            self.amount = amount;
            self.shared.give_back(excess);
        }
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.shared.give_back(self.amount);
    }
}

impl fmt::Debug for Permit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Permit").field(&self.amount).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::Hand;
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_small_wish_does_not_overtake_a_large_one() {
        let budget = Semaphore::new(10);
        let held = budget.try_acquire(6).unwrap();
        let (mut large, mut small) = (Hand::new(budget.acquire(8)), Hand::new(budget.acquire(1)));
        assert!(large.poll().is_pending() && small.poll().is_pending());
        assert!(budget.try_acquire(1).is_none());
        drop(held);
        assert_eq!((large.wakes(), small.wakes()), (1, 0));
        assert!(small.poll().is_pending());
        let Poll::Ready(large) = large.poll() else { panic!("the budget is free") };
        assert_eq!((large.amount(), small.wakes()), (8, 1));
        assert!(small.poll().is_ready());
    }

    #[test]
    fn a_dropped_front_lets_the_next_pass() {
        let budget = Semaphore::new(10);
        let _held = budget.try_acquire(6).unwrap();
        let (mut large, mut small) = (Hand::new(budget.acquire(8)), Hand::new(budget.acquire(1)));
        assert!(large.poll().is_pending() && small.poll().is_pending());
        drop(large);
        assert_eq!(small.wakes(), 1);
        assert!(small.poll().is_ready());
    }

    #[test]
    fn more_than_everything_is_everything() {
        let budget = Semaphore::new(10);
        let mut permit = budget.try_acquire(1000).unwrap();
        assert_eq!(budget.available(), 0);
        permit.shrink(3);
        assert_eq!(budget.available(), 7);
    }

    #[derive(Debug, Clone)]
    enum Act {
        Wish(u64),
        Cancel(usize),
        GiveBack(usize),
    }

    fn act() -> impl Strategy<Value = Act> {
        prop_oneof![
            (0u64..14).prop_map(Act::Wish),
            any::<usize>().prop_map(Act::Cancel),
            any::<usize>().prop_map(Act::GiveBack),
        ]
    }

    /// Polls whoever was woken, as an executor would, until nobody is.
    fn settle(waiting: &mut Vec<(u64, usize, Hand<Acquire>)>, held: &mut Vec<Permit>, served: &mut Vec<u64>) {
        while let Some(at) = waiting.iter().position(|(_, seen, hand)| hand.wakes() > *seen) {
            waiting[at].1 = waiting[at].2.wakes();
            if let Poll::Ready(permit) = waiting[at].2.poll() {
                held.push(permit);
                served.push(waiting.remove(at).0);
            }
        }
    }

    proptest! {
        #[test]
        fn served_in_order_and_never_stuck(acts in proptest::collection::vec(act(), 0..80)) {
            let budget = Semaphore::new(10);
            let (mut waiting, mut held, mut served) = (Vec::new(), Vec::<Permit>::new(), Vec::new());
            for (number, act) in (0u64..).zip(acts) {
                match act {
                    Act::Wish(wish) => {
                        let mut hand = Hand::new(budget.acquire(wish));
                        match hand.poll() {
                            Poll::Ready(permit) => { held.push(permit); served.push(number); }
                            Poll::Pending => waiting.push((number, 0, hand)),
                        }
                    }
                    Act::Cancel(at) if !waiting.is_empty() => drop(waiting.remove(at % waiting.len())),
                    Act::GiveBack(at) if !held.is_empty() => drop(held.swap_remove(at % held.len())),
                    _ => {}
                }
                settle(&mut waiting, &mut held, &mut served);
                prop_assert_eq!(budget.available() + held.iter().map(Permit::amount).sum::<u64>(), 10);
                prop_assert_eq!(budget.waiting(), waiting.len());
            }
            prop_assert!(served.is_sorted());
            while !held.is_empty() {
                held.clear();
                settle(&mut waiting, &mut held, &mut served);
            }
            prop_assert!(waiting.is_empty() && served.is_sorted());
        }
    }
}
