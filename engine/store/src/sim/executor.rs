//! Runs futures one poll at a time, in an order that the seed decides.

use super::SimRng;
use std::cell::RefCell;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};

/// A single-threaded executor. Clones share it, so that tasks can spawn tasks. Dropping the last clone, or
/// [`SimExecutor::kill_all`], drops every task where it stands: a crash.
#[derive(Clone)]
pub struct SimExecutor(Rc<Shared>);

struct Shared {
    rng: SimRng,
    tasks: RefCell<Vec<Task>>,
}

struct Task {
    future: Option<Pin<Box<dyn Future<Output = ()>>>>,
    flag: Arc<Flag>,
    waker: Waker,
}

struct Flag(AtomicBool);

impl Wake for Flag {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }
    fn wake_by_ref(self: &Arc<Self>) {
        self.0.store(true, Ordering::Relaxed);
    }
}

impl SimExecutor {
    /// Nothing to run yet.
    pub fn new(rng: &SimRng) -> SimExecutor {
        SimExecutor(Rc::new(Shared { rng: rng.clone(), tasks: RefCell::default() }))
    }

    /// Adds a task.
    pub fn spawn(&self, future: impl Future<Output = ()> + 'static) {
        let flag = Arc::new(Flag(AtomicBool::new(true)));
        let waker = Waker::from(flag.clone());
        self.0.tasks.borrow_mut().push(Task { future: Some(Box::pin(future)), flag, waker });
    }

    /// Polls one task that is ready; false when none is.
    pub fn step(&self) -> bool {
        let Some(at) = self.pick() else { return false };
        let (mut future, waker) = {
            let task = &mut self.0.tasks.borrow_mut()[at];
            task.flag.0.store(false, Ordering::Relaxed);
            (task.future.take().expect("only tasks with a future are picked"), task.waker.clone())
        };
        // The list is not borrowed here, so a task may spawn others; it keeps its place because nothing is removed.
        let done = future.as_mut().poll(&mut Context::from_waker(&waker)).is_ready();
        if !done && let Some(task) = self.0.tasks.borrow_mut().get_mut(at) {
            task.future = Some(future);
        }
        true
    }

    /// Runs until nothing is ready.
    pub fn run_until_stalled(&self) {
        while self.step() {}
    }

    /// Runs at most so many polls; false when nothing was ready before that.
    pub fn run_steps(&self, steps: u64) -> bool {
        (0..steps).all(|_| self.step())
    }

    /// Tasks that have not ended.
    pub fn alive(&self) -> usize {
        self.0.tasks.borrow().iter().filter(|t| t.future.is_some()).count()
    }

    /// Drops every task where it stands.
    pub fn kill_all(&self) {
        // Destructors may look at the executor, so the list is not borrowed while they run.
        let tasks = std::mem::take(&mut *self.0.tasks.borrow_mut());
        drop(tasks);
    }

    fn pick(&self) -> Option<usize> {
        let tasks = self.0.tasks.borrow();
        let ready = |t: &Task| t.future.is_some() && t.flag.0.load(Ordering::Relaxed);
        let count = tasks.iter().filter(|t| ready(t)).count() as u64;
        let chosen = self.0.rng.below(count.max(1)) as usize;
        tasks.iter().enumerate().filter(|(_, t)| ready(t)).nth(chosen).map(|(at, _)| at)
    }
}

/// Polls a future until it is done, alone: for steps of a test before and after the run.
pub fn block_on<F: Future>(future: F) -> F::Output {
    let mut future = std::pin::pin!(future);
    let mut context = Context::from_waker(Waker::noop());
    for _ in 0..10_000_000 {
        if let Poll::Ready(value) = future.as_mut().poll(&mut context) {
            return value;
        }
    }
    panic!("the future waits for something that nobody does");
}

#[cfg(test)]
mod tests {
    use super::*;
    use skein_base::sync::Notify;

    #[test]
    fn one_seed_is_one_order_and_tasks_spawn_tasks() {
        let run = |seed| {
            let order = Rc::new(RefCell::new(Vec::new()));
            let executor = SimExecutor::new(&SimRng::new(seed));
            let go = Notify::new();
            for i in 0..6 {
                let (order, wait, spawner) = (order.clone(), go.notified(), executor.clone());
                executor.spawn(async move {
                    wait.await;
                    order.borrow_mut().push(i);
                    spawner.spawn(async move { order.borrow_mut().push(i + 10) });
                });
            }
            executor.run_until_stalled();
            assert_eq!(executor.alive(), 6);
            go.notify_all();
            executor.run_until_stalled();
            assert_eq!(executor.alive(), 0);
            order.take()
        };
        assert_eq!(run(1), run(1));
        assert_ne!(run(1), run(2));
        assert_eq!(run(3).len(), 12);
    }
}
