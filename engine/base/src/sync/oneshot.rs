//! One answer, once, within one shard.

use std::cell::RefCell;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

/// A sender and the receiver of its one value.
pub fn channel<T>() -> (Sender<T>, Receiver<T>) {
    let shared = Rc::new(RefCell::new(Slot { value: None, waker: None, sender_gone: false }));
    (Sender { shared: shared.clone() }, Receiver { shared })
}

struct Slot<T> {
    value: Option<T>,
    waker: Option<Waker>,
    sender_gone: bool,
}

/// Sends the one value. Dropped without sending, the receiver hears [`Dropped`].
pub struct Sender<T> {
    shared: Rc<RefCell<Slot<T>>>,
}

impl<T> Sender<T> {
    /// Delivers the value.
    ///
    /// # Errors
    /// Gives it back when nobody listens any more.
    pub fn send(self, value: T) -> Result<(), T> {
        if self.is_closed() {
            return Err(value);
        }
        self.shared.borrow_mut().value = Some(value);
        Ok(()) // dropping the sender wakes the receiver
    }

    /// Whether the receiver is gone.
    pub fn is_closed(&self) -> bool {
        Rc::strong_count(&self.shared) == 1
    }
}

impl<T> Drop for Sender<T> {
    fn drop(&mut self) {
        let mut slot = self.shared.borrow_mut();
        slot.sender_gone = true;
        let waker = slot.waker.take();
        drop(slot);
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

/// The future of the value. Polled again after it resolved, it says [`Dropped`].
#[must_use = "futures do nothing unless awaited"]
pub struct Receiver<T> {
    shared: Rc<RefCell<Slot<T>>>,
}

impl<T> Future for Receiver<T> {
    type Output = Result<T, Dropped>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<T, Dropped>> {
        let mut slot = self.shared.borrow_mut();
        if let Some(value) = slot.value.take() {
            return Poll::Ready(Ok(value));
        }
        if slot.sender_gone {
            return Poll::Ready(Err(Dropped));
        }
        match &mut slot.waker {
            Some(waker) => waker.clone_from(context.waker()),
            none => *none = Some(context.waker().clone()),
        }
        Poll::Pending
    }
}

/// The sender went away without a value: its task panicked or was cancelled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Dropped;

impl fmt::Display for Dropped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the task that should have answered is gone")
    }
}

impl std::error::Error for Dropped {}

#[cfg(test)]
mod tests {
    use super::super::testing::Hand;
    use super::*;

    #[test]
    fn the_value_arrives_before_and_after_waiting() {
        let (sender, receiver) = channel();
        let mut hand = Hand::new(receiver);
        assert!(hand.poll().is_pending());
        sender.send(7).unwrap();
        assert_eq!(hand.wakes(), 1);
        assert_eq!(hand.poll(), Poll::Ready(Ok(7)));
        let (sender, receiver) = channel();
        sender.send(8).unwrap();
        assert_eq!(Hand::new(receiver).poll(), Poll::Ready(Ok(8)));
    }

    #[test]
    fn each_side_hears_when_the_other_is_gone() {
        let (sender, receiver) = channel::<u8>();
        let mut hand = Hand::new(receiver);
        assert!(hand.poll().is_pending());
        drop(sender);
        assert_eq!(hand.wakes(), 1);
        assert_eq!(hand.poll(), Poll::Ready(Err(Dropped)));
        let (sender, receiver) = channel();
        drop(receiver);
        assert_eq!(sender.send(9), Err(9));
    }
}
