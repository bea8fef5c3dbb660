//! Work: classes as task queues, tasks whose panic ends only themselves, the blocking pool.

use std::any::Any;
use std::cell::RefCell;
use std::fmt;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_lite::FutureExt;
use glommio::{Latency, Shares, TaskQueueHandle, task::JoinHandle};
use skein_base::ShardId;

/// What kind of work a task is; each class is a task queue of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Class {
    /// Someone waits at a socket: latency of 500 µs matters, even while the core is busy.
    Session,
    /// Deliveries and the log: much work, nobody watches a single one.
    Delivery,
    /// Indexing, drains, merges, compaction: a small share, and [`bulk_yield`] at least every 100 µs.
    Bulk,
}

/// The latency that sessions are promised against other queues on the core.
pub(crate) const SESSION_LATENCY: Duration = Duration::from_micros(500);
/// Shares of the core when all classes want it: bulk work gets about a twentieth.
const SESSION_SHARES: usize = 1000;
const DELIVERY_SHARES: usize = 800;
const BULK_SHARES: usize = 100;

/// Who a task works for, as the log names it when the task panics: `imap#17`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Label {
    /// Kind of work: `imap`, `lmtp`, `drain`.
    pub kind: &'static str,
    /// Which one; 0 when there is only one.
    pub number: u64,
}

impl From<&'static str> for Label {
    fn from(kind: &'static str) -> Label {
        Label { kind, number: 0 }
    }
}

impl From<(&'static str, u64)> for Label {
    fn from((kind, number): (&'static str, u64)) -> Label {
        Label { kind, number }
    }
}

impl fmt::Display for Label {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.number {
            0 => f.write_str(self.kind),
            number => write!(f, "{}#{number}", self.kind),
        }
    }
}

/// What a shard's thread knows about itself.
pub(crate) struct Local {
    pub id: ShardId,
    pub queues: Queues,
    pub timers: crate::timer::Timers,
}

#[derive(Clone, Copy)]
pub(crate) struct Queues {
    session: TaskQueueHandle,
    delivery: TaskQueueHandle,
    bulk: TaskQueueHandle,
}

impl Queues {
    /// Must run inside an executor.
    #[allow(clippy::disallowed_methods, reason = "this is skein_runtime")]
    pub fn create() -> Queues {
        let executor = glommio::executor();
        Queues {
            session: executor.create_task_queue(
                Shares::Static(SESSION_SHARES),
                Latency::Matters(SESSION_LATENCY),
                "session",
            ),
            delivery: executor.create_task_queue(Shares::Static(DELIVERY_SHARES), Latency::NotImportant, "delivery"),
            bulk: executor.create_task_queue(Shares::Static(BULK_SHARES), Latency::NotImportant, "bulk"),
        }
    }

    fn of(self, class: Class) -> TaskQueueHandle {
        match class {
            Class::Session => self.session,
            Class::Delivery => self.delivery,
            Class::Bulk => self.bulk,
        }
    }
}

thread_local! {
    static LOCAL: RefCell<Option<Local>> = const { RefCell::new(None) };
}

pub(crate) fn enter_shard(local: Local) {
    LOCAL.with(|slot| *slot.borrow_mut() = Some(local));
}

pub(crate) fn leave_shard() {
    LOCAL.with(|slot| slot.borrow_mut().take());
}

pub(crate) fn with_local<R>(look: impl FnOnce(&Local) -> R) -> R {
    LOCAL.with(|slot| look(slot.borrow().as_ref().expect("only a shard's thread can do this")))
}

/// The shard this thread is, `None` on any other thread.
pub fn shard_id() -> Option<ShardId> {
    LOCAL.with(|slot| slot.borrow().as_ref().map(|local| local.id))
}

/// Starts a task on this shard. Dropping the [`Task`] lets it run on; a panic in it is logged under `label`, reported
/// through the task, and ends nothing else.
///
/// # Panics
/// Outside of a shard.
pub fn spawn<T: 'static>(class: Class, label: impl Into<Label>, future: impl Future<Output = T> + 'static) -> Task<T> {
    let label = label.into();
    let queue = with_local(|local| local.queues.of(class));
    // Boxed: awaited in the block below it would take its room twice.
    let future = Box::pin(AssertUnwindSafe(future).catch_unwind());
    let caught = async move {
        let _counted = crate::metrics::TASKS[class as usize].hold();
        future.await.map_err(|payload| {
            let panicked = Panicked::from_payload(payload.as_ref());
            tracing::error!(task = %label, panic = %panicked.message, "a task panicked; only this task ends");
            crate::metrics::TASK_PANICS.add(1);
            panicked
        })
    };
    #[allow(clippy::disallowed_methods, reason = "the one place: caught above")]
    let task = glommio::spawn_local_into(caught, queue).expect("the class queues live as long as the shard");
    Task { handle: task.detach() }
}

/// [`spawn`] without interest in the result.
pub fn spawn_detached(class: Class, label: impl Into<Label>, future: impl Future<Output = ()> + 'static) {
    drop(spawn(class, label, future));
}

/// A started task; await it for its result. Dropped, the task runs on: a half-done change is worse than an unread result.
#[must_use = "use spawn_detached when the result does not matter"]
pub struct Task<T> {
    handle: JoinHandle<Result<T, Panicked>>,
}

impl<T> Task<T> {
    /// Drops the task's future at its next await. Only for work that may stop anywhere: never with a [`Disk`] call inside.
    ///
    /// [`Disk`]: skein_base::seam::Disk
    pub fn cancel(&self) {
        self.handle.cancel();
    }
}

impl<T> Future for Task<T> {
    type Output = Result<T, TaskError>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.handle).poll(context).map(|outcome| match outcome {
            Some(Ok(value)) => Ok(value),
            Some(Err(panicked)) => Err(TaskError::Panicked(panicked)),
            None => Err(TaskError::Cancelled),
        })
    }
}

/// Why a task has no result.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TaskError {
    /// It panicked; already logged.
    Panicked(Panicked),
    /// It was cancelled, by [`Task::cancel`] or by the end of the shard.
    Cancelled,
}

impl fmt::Display for TaskError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            TaskError::Panicked(panicked) => panicked.fmt(f),
            TaskError::Cancelled => f.write_str("the task was cancelled"),
        }
    }
}

impl std::error::Error for TaskError {}

/// Code panicked and was caught.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Panicked {
    /// What it said.
    pub message: String,
}

impl Panicked {
    pub(crate) fn from_payload(payload: &(dyn Any + Send)) -> Panicked {
        let text = payload.downcast_ref::<&str>().copied();
        let text = text.or_else(|| payload.downcast_ref::<String>().map(String::as_str));
        Panicked { message: text.unwrap_or("a panic without a text").to_owned() }
    }
}

impl fmt::Display for Panicked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "panicked: {}", self.message)
    }
}

impl std::error::Error for Panicked {}

/// Runs `job` on the shard's blocking threads: synchronous file calls and processor work over a millisecond. It runs to
/// its end even when the future is dropped after its first poll.
///
/// # Errors
/// When `job` panics.
///
/// # Panics
/// Outside of a shard.
pub async fn spawn_blocking<T: Send + 'static>(job: impl FnOnce() -> T + Send + 'static) -> Result<T, Panicked> {
    // Caught inside the pool: an escaping panic would take the pool's thread along.
    let caught = move || catch_unwind(AssertUnwindSafe(job)).map_err(|p| Panicked::from_payload(p.as_ref()));
    #[allow(clippy::disallowed_methods, reason = "this is skein_runtime")]
    let outcome = glommio::executor().spawn_blocking(caught);
    outcome.await
}

/// Lets every other queue with work run first. A [`Class::Bulk`] loop calls it at least every 100 µs, or clients feel it:
/// measured, a loop that only yields to its own queue gives every socket of the core 100 ms.
#[allow(clippy::disallowed_methods, reason = "this is skein_runtime")]
pub async fn bulk_yield() {
    glommio::executor().yield_task_queue_now().await;
}

/// Yields only when the queue has used up its turn: for long loops in [`Class::Session`] and [`Class::Delivery`], cheap
/// enough for every round.
#[allow(clippy::disallowed_methods, reason = "this is skein_runtime")]
pub async fn session_yield() {
    glommio::executor().yield_if_needed().await;
}
