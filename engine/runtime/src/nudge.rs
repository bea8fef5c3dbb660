//! Waking a shard that fell asleep before its first task.
//!
//! The story is told in heartbeat: an executor may park though tasks are ready. Later its own timers end that; at the
//! very start none is set, and nothing else in the process can reach it. A signal can: it interrupts the system call.

use std::io;
use std::os::unix::thread::JoinHandleExt;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::thread::JoinHandle;
use std::time::Duration;

use nix::sys::pthread::pthread_kill;
use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, Signal, sigaction};

/// A shard that has not begun after this long may be asleep. Its first timers take 20 ms.
const PATIENCE: Duration = Duration::from_millis(60);
/// Ignored by default, and unused: TCP sends it only to those who ask.
const NUDGE: Signal = Signal::SIGURG;

/// Waits for one message from each of `threads`, nudging them meanwhile. One that ends without a word is not waited for.
pub(crate) fn until_begun<T>(threads: &[JoinHandle<T>], begun: &Receiver<()>) {
    let mut missing = threads.len();
    while missing > 0 {
        match begun.recv_timeout(PATIENCE) {
            Ok(()) => missing -= 1,
            Err(RecvTimeoutError::Timeout) => nudge(threads),
            Err(RecvTimeoutError::Disconnected) => return,
        }
    }
}

fn nudge<T>(threads: &[JoinHandle<T>]) {
    if let Err(error) = handle_signal() {
        tracing::warn!(%error, "a slow shard can not be nudged");
        return;
    }
    for thread in threads {
        // One that has ended needs none.
        _ = pthread_kill(thread.as_pthread_t(), NUDGE);
    }
}

/// An ignored signal interrupts nothing, so there is a handler that does nothing.
fn handle_signal() -> io::Result<()> {
    extern "C" fn nothing(_: std::ffi::c_int) {}
    let action = SigAction::new(SigHandler::Handler(nothing), SaFlags::empty(), SigSet::empty());
    #[expect(unsafe_code, reason = "installing a signal handler")]
    // SAFETY: the handler does nothing at all, which is safe at any moment in any thread.
    unsafe {
        sigaction(NUDGE, &action)?;
    }
    Ok(())
}
