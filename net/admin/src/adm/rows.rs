//! Lines on their way to the operator. A few wait; who makes them waits for who reads them, but not for ever.

use super::wire::{Line, Problem};
use serde_json::{Map, Value};
use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};
use tokio::sync::watch;
use tokio::time::sleep;

/// Lines that wait. A line may hold a whole message, so few.
const WAITING_MAX: usize = 16;
/// How long a line waits for a reader: long enough for a person who reads the page before it, and then the work, and its place
/// on the shard, is given up.
pub(crate) const READER_PATIENCE: Duration = Duration::from_secs(10 * 60);

/// The sending side. Clones send into the same answer, from any thread.
#[derive(Clone)]
pub(crate) struct Rows {
    lines: flume::Sender<Result<Vec<u8>, Infallible>>,
    /// True once nobody waits for the reader any longer.
    given_up: watch::Receiver<bool>,
    waits: Arc<Waits>,
}

/// Since when the oldest line waits, as milliseconds of its clock and one; 0 when none does.
struct Waits {
    begun: Instant,
    since_ms: AtomicU64,
}

/// The operator has gone; there is nobody to work for.
#[derive(Debug)]
pub(crate) struct Gone;

/// What an answer's body is made of.
pub(crate) type Lines = flume::Receiver<Result<Vec<u8>, Infallible>>;

impl Rows {
    /// On the side runtime.
    pub fn new(patience: Duration) -> (Rows, Lines) {
        let (lines, receiver) = flume::bounded(WAITING_MAX);
        let (give_up, given_up) = watch::channel(false);
        let waits = Arc::new(Waits { begun: Instant::now(), since_ms: AtomicU64::new(0) });
        tokio::spawn(watch_reader(waits.clone(), give_up, patience));
        (Rows { lines, given_up, waits }, receiver)
    }

    /// One thing found or done.
    pub async fn row(&self, fields: impl IntoIterator<Item = (&str, Value)>) -> Result<(), Gone> {
        self.map(fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()).await
    }

    pub async fn map(&self, row: Map<String, Value>) -> Result<(), Gone> {
        self.line(&Line::Row(row)).await
    }

    pub async fn problem(&self, problem: Problem) -> Result<(), Gone> {
        self.line(&Line::Problem(problem)).await
    }

    pub async fn line(&self, line: &Line) -> Result<(), Gone> {
        self.lines(std::slice::from_ref(line)).await
    }

    /// Some short lines on their way together.
    pub async fn lines(&self, lines: &[Line]) -> Result<(), Gone> {
        let mut bytes = Vec::new();
        for line in lines {
            serde_json::to_writer(&mut bytes, line).expect("a line has string keys");
            bytes.push(b'\n');
        }
        let bytes = match self.lines.try_send(Ok(bytes)) {
            Ok(()) => return Ok(()),
            Err(flume::TrySendError::Disconnected(_)) => return Err(Gone),
            Err(flume::TrySendError::Full(bytes)) => bytes,
        };
        self.waits.since_ms.store(self.waits.now_ms(), Relaxed);
        let mut given_up = self.given_up.clone();
        let sent = async { self.lines.send_async(bytes).await.map_err(|_| Gone) };
        let gone = async {
            // An error is a watch that has ended: then so has the reader.
            _ = given_up.wait_for(|given_up| *given_up).await;
            Err(Gone)
        };
        let sent = futures_lite::future::or(sent, gone).await;
        self.waits.since_ms.store(0, Relaxed);
        sent
    }
}

impl Waits {
    fn now_ms(&self) -> u64 {
        self.begun.elapsed().as_millis() as u64 + 1
    }
}

/// Gives up when one line has waited for too long; ends with the last sender.
async fn watch_reader(waits: Arc<Waits>, give_up: watch::Sender<bool>, patience: Duration) {
    loop {
        tokio::select! {
            () = give_up.closed() => return,
            () = sleep(patience / 8) => {}
        }
        let since_ms = waits.since_ms.load(Relaxed);
        if since_ms > 0 && waits.now_ms().saturating_sub(since_ms) >= patience.as_millis() as u64 {
            tracing::warn!(?patience, "skein adm: an answer that nobody reads is given up");
            give_up.send_replace(true);
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn block_on<T>(future: impl Future<Output = T>) -> T {
        tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(future)
    }

    #[test]
    fn a_reader_who_stalls_is_given_up() {
        block_on(async {
            let (rows, lines) = Rows::new(Duration::from_millis(40));
            let mut sent = 0;
            while rows.line(&Line::End).await.is_ok() {
                sent += 1;
            }
            assert_eq!(sent, WAITING_MAX);
            assert!(rows.line(&Line::End).await.is_err(), "for good");
            // What was sent before is there.
            assert_eq!(lines.drain().count(), WAITING_MAX);
        });
    }

    #[test]
    fn a_slow_reader_gets_everything() {
        block_on(async {
            let (rows, lines) = Rows::new(READER_PATIENCE);
            let sending = async {
                for _ in 0..10 * WAITING_MAX {
                    rows.line(&Line::End).await.unwrap();
                }
            };
            let reading = async {
                for _ in 0..10 * WAITING_MAX {
                    tokio::task::yield_now().await;
                    lines.recv_async().await.unwrap().unwrap();
                }
            };
            tokio::join!(sending, reading);
            drop(lines);
            assert!(rows.line(&Line::End).await.is_err());
        });
    }
}
