//! How far a long command is, told to its client from time to time (RFC 9585).
//!
//! ```text
//! begin(goal) ─▶ advance(n) ─▶ advance(n) ─ due ─▶ * OK [INPROGRESS ("tag" done goal)] .. leaves at once
//! ```
//! Lines are told between other lines only, where a command's loop is at the end of one.

use super::link::Link;
use super::session::Session;
use skein_base::seam::Clock;
use skein_runtime::RealClock;
use std::io;

/// What is known of one command.
#[derive(Default)]
pub(super) struct Progress {
    ticker: Option<Ticker>,
    done: u32,
    goal: Option<u32>,
}

/// When the next line is due. Time is an argument.
#[derive(Debug)]
struct Ticker {
    every_ms: u64,
    due_ms: u64,
}

impl Ticker {
    fn new(every_ms: u64, now_ms: u64) -> Ticker {
        Ticker { every_ms, due_ms: now_ms.saturating_add(every_ms) }
    }

    /// Whether one is due; the next is due as long after this one, however late this one is.
    fn is_due(&mut self, now_ms: u64) -> bool {
        let is_due = now_ms >= self.due_ms;
        if is_due {
            self.due_ms = now_ms.saturating_add(self.every_ms);
        }
        is_due
    }
}

impl Link<'_> {
    /// The command has so many messages to look at, when that is known. A command that goes over them again counts on.
    pub(super) fn begin_progress(&mut self, session: &Session, goal: Option<u32>) {
        let every_ms = session.progress_ms;
        self.progress =
            Progress { ticker: (every_ms > 0).then(|| Ticker::new(every_ms, RealClock.monotonic_ms())), done: 0, goal };
    }

    /// So many more are done.
    ///
    /// # Errors
    /// The client is gone.
    pub(super) async fn advance(&mut self, more: usize, session: &Session) -> io::Result<()> {
        let progress = &mut self.progress;
        progress.done = progress.done.saturating_add(more as u32);
        if !progress.ticker.as_mut().is_some_and(|ticker| ticker.is_due(RealClock.monotonic_ms())) {
            return Ok(());
        }
        let (done, goal) = (progress.done, progress.goal);
        // That it is done is for the tagged line to say.
        if goal.is_some_and(|goal| done >= goal) {
            return Ok(());
        }
        self.write_progress(done, goal);
        self.push(session).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_as_far_apart_as_asked() {
        let mut ticker = Ticker::new(10_000, 500);
        let mut due = |now| ticker.is_due(now);
        assert!(!due(500) && !due(10_499));
        assert!(due(10_500) && !due(10_500) && !due(20_499));
        // One that comes late does not bring the next sooner.
        assert!(due(29_000) && !due(30_500) && !due(38_999) && due(39_000));
    }
}
