//! Signals as messages. Blocked in every thread, taken by one that does nothing else.

use std::io;

use nix::sys::signal::{SigSet, Signal as UnixSignal};

/// What the outside asks of the process. SIGPIPE is ignored by Rust's own start-up code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signal {
    /// SIGTERM: end cleanly.
    Terminate,
    /// SIGINT: the same from a keyboard.
    Interrupt,
    /// SIGHUP: read settings and certificates again.
    Reload,
}

/// The stream of signals; clones compete for them.
#[derive(Clone)]
pub struct Signals {
    receiver: flume::Receiver<Signal>,
}

impl Signals {
    /// Blocks the signals: those that come now wait for [`Signals::take`]. Call it before any other thread exists: the
    /// blocking is per thread and inherited.
    ///
    /// # Errors
    /// When the system refuses the mask.
    pub fn block() -> io::Result<()> {
        Ok(signal_set().thread_block()?)
    }

    /// Blocks the signals and starts the thread that waits for them.
    ///
    /// # Errors
    /// When the system refuses the mask or the thread.
    pub fn take() -> io::Result<Signals> {
        Signals::block()?;
        let set = signal_set();
        let (sender, receiver) = flume::unbounded();
        std::thread::Builder::new().name("signals".into()).spawn(move || {
            while let Ok(signal) = set.wait() {
                let signal = match signal {
                    UnixSignal::SIGTERM => Signal::Terminate,
                    UnixSignal::SIGINT => Signal::Interrupt,
                    _ => Signal::Reload,
                };
                if sender.send(signal).is_err() {
                    return;
                }
            }
        })?;
        Ok(Signals { receiver })
    }

    /// The next signal, on any executor.
    pub async fn next(&self) -> Signal {
        match self.receiver.recv_async().await {
            Ok(signal) => signal,
            Err(_) => std::future::pending().await,
        }
    }

    /// A signal that has come already.
    pub fn take_one(&self) -> Option<Signal> {
        self.receiver.try_recv().ok()
    }

    /// The next signal, blocking the thread: for main. `None` when the waiting thread failed.
    pub fn wait(&self) -> Option<Signal> {
        self.receiver.recv().ok()
    }
}

fn signal_set() -> SigSet {
    [UnixSignal::SIGTERM, UnixSignal::SIGINT, UnixSignal::SIGHUP].into_iter().collect()
}
