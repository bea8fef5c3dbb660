//! What a check needs of the world: a place for costly hashes, a place for far-away sources, and the time.

use std::future::Future;
use std::pin::Pin;

/// Given by the session's side. Nothing of a shard is held while one of these is awaited.
pub trait Offload {
    /// Runs work of milliseconds to seconds of a core off the shard; `None` when it died.
    fn compute<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> impl Future<Output = Option<T>>;

    /// Runs a future on the side runtime; `None` when its deadline has passed.
    fn wait<T: Send + 'static>(
        &self,
        answer: Pin<Box<dyn Future<Output = T> + Send>>,
    ) -> impl Future<Output = Option<T>>;

    /// Milliseconds from an arbitrary start, never going back.
    fn now_ms(&self) -> u64;
}
