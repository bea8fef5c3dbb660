//! The side runtime: one tokio thread for what only speaks tokio (LDAP, SQL, etcd, the admin pages).
//!
//! Its handle is entered on every shard's thread, so that a stray tokio call in a library does not panic there.

use std::fmt;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::thread::JoinHandle;

use tokio::runtime::{Builder, EnterGuard, Handle};
use tokio::sync::{oneshot, watch};

/// A handle to the side runtime; clones share it. The thread ends when [`Side::stop`] is called or the process ends.
#[derive(Clone)]
pub struct Side {
    handle: Handle,
    stop: watch::Sender<bool>,
    thread: std::sync::Arc<std::sync::Mutex<Option<JoinHandle<()>>>>,
}

impl Side {
    /// Starts the thread.
    ///
    /// # Errors
    /// When the system gives no thread or no event queue.
    pub fn start() -> io::Result<Side> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let handle = runtime.handle().clone();
        let (stop, mut stopped) = watch::channel(false);
        let thread = std::thread::Builder::new().name("side".into()).spawn(move || {
            runtime.block_on(async move { stopped.wait_for(|stop| *stop).await.map(drop).unwrap_or_default() });
        })?;
        Ok(Side { handle, stop, thread: std::sync::Arc::new(Some(thread).into()) })
    }

    /// Runs a future there; the answer may be awaited on any executor. Dropped unanswered, it runs on.
    pub fn spawn<T: Send + 'static>(&self, future: impl Future<Output = T> + Send + 'static) -> SideTask<T> {
        let (sender, receiver) = oneshot::channel();
        self.handle.spawn(async move {
            // Nobody waiting for the answer is fine.
            drop(sender.send(future.await));
        });
        SideTask { receiver }
    }

    /// Tokio's own handle, for libraries that want one.
    pub fn handle(&self) -> &Handle {
        &self.handle
    }

    /// Ends the thread; tasks that did not end are dropped.
    pub fn stop(&self) {
        self.stop.send_replace(true);
        let thread = self.thread.lock().ok().and_then(|mut slot| slot.take());
        if let Some(thread) = thread {
            // It only fails when a task's destructor panicked, and all that is over now.
            drop(thread.join());
        }
    }

    pub(crate) fn enter(&self) -> EnterGuard<'_> {
        self.handle.enter()
    }
}

/// A future on the side runtime.
#[must_use = "dropping it forgets the answer"]
pub struct SideTask<T> {
    receiver: oneshot::Receiver<T>,
}

impl<T> Future for SideTask<T> {
    type Output = Result<T, SideGone>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.receiver).poll(context).map_err(|_| SideGone)
    }
}

/// The side task panicked or its runtime stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SideGone;

impl fmt::Display for SideGone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the side task panicked or was stopped")
    }
}

impl std::error::Error for SideGone {}
