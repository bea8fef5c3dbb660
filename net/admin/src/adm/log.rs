//! `log errors`: what the running server has warned of.

use super::desk::{Desk, LogEntry};
use super::fetch::date;
use super::query::since;
use super::route::Stop;
use super::rows::Rows;
use super::wire::{Code, Problem};
use skein_base::seam::Clock;
use skein_runtime::RealClock;

/// A row for each, oldest first.
pub(crate) async fn errors(
    desk: &Desk,
    from: Option<String>,
    (errors_only, last): (bool, usize),
    rows: &Rows,
) -> Result<(), Stop> {
    let from = match from {
        None => i64::MIN,
        Some(text) => since(&text, RealClock.unix_seconds()).ok_or_else(|| {
            Problem::new(
                Code::Usage,
                format!("{text:?} is no time: a day (2026-03-31; UTC), Unix seconds, or an age (30min, 3d)"),
            )
        })?,
    };
    let mut entries = desk.recent();
    entries.retain(|entry| entry.at_ms / 1000 >= from && (entry.is_error || !errors_only));
    for LogEntry { at_ms, is_error, session, text } in entries.drain(entries.len().saturating_sub(last)..) {
        let row = [
            ("time", date(at_ms.div_euclid(1000)).into()),
            ("level", if is_error { "error" } else { "warn" }.into()),
            ("session", session.into()),
            ("text", text.into()),
        ];
        rows.row(row).await?;
    }
    Ok(())
}
