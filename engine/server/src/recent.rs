//! The last warnings and errors, kept for whoever asks the running server (`skein adm log errors`).

use crate::log_line::words;
use skein_admin::adm::LogEntry;
use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;

/// Entries kept; the oldest go. A megabyte or two with the longest texts.
const ENTRIES_MAX: usize = 1000;
/// Bytes of one text: enough for every line of ours, whatever foreign text is in it.
const TEXT_BYTES_MAX: usize = 2048;

static RECENT: Recent = Recent(Mutex::new(VecDeque::new()));

struct Recent(Mutex<VecDeque<LogEntry>>);

/// Listens to all that goes into the log.
pub(crate) struct Listener;

impl<S: Subscriber> Layer<S> for Listener {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let level = *event.metadata().level();
        if level <= Level::WARN {
            RECENT.keep(entry(level, event));
        }
    }
}

/// All that is kept, oldest first.
pub(crate) fn entries() -> Vec<LogEntry> {
    RECENT.0.lock().unwrap_or_else(PoisonError::into_inner).iter().cloned().collect()
}

impl Recent {
    fn keep(&self, entry: LogEntry) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() == ENTRIES_MAX {
            kept.pop_front();
        }
        kept.push_back(entry);
    }
}

fn entry(level: Level, event: &Event<'_>) -> LogEntry {
    let mut text = words(event);
    if text.len() > TEXT_BYTES_MAX {
        text.truncate(text.floor_char_boundary(TEXT_BYTES_MAX));
        text.push('…');
    }
    let at_ms = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as i64);
    let session = skein_serve::current_session().map(|session| session.to_string());
    LogEntry { at_ms, is_error: level == Level::ERROR, session, text }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tracing_subscriber::layer::SubscriberExt;

    #[test]
    fn the_last_ones_are_kept_and_no_more() {
        tracing::subscriber::with_default(tracing_subscriber::registry().with(Listener), || {
            tracing::info!("not this");
            for n in 0..ENTRIES_MAX + 7 {
                tracing::warn!(n, long = %"é".repeat(4000), "seen");
            }
            tracing::error!(user = "anna b", "the last");
        });
        let kept = entries();
        assert_eq!(kept.len(), ENTRIES_MAX);
        assert!(kept[0].text.starts_with("seen n=8 long=é") && !kept[0].is_error, "{}", kept[0].text);
        assert!(kept.iter().all(|entry| entry.text.len() <= TEXT_BYTES_MAX + '…'.len_utf8() && entry.at_ms > 0));
        let last = kept.last().unwrap();
        assert_eq!((last.text.as_str(), last.is_error), ("the last user=\"anna b\"", true));
    }
}
