//! `user list`: names from all shards at once, in the order of their accounts; no account is opened for its name.
//!
//! ```text
//! shard 0: accounts ─ some trees at a time ─▶ names that fit ─▶ a few batches wait ─┐
//! shard 1: accounts ─ some trees at a time ─▶ names that fit ─▶ a few batches wait ─┴─▶ the next account's ─▶ lines
//! ```

use super::desk::Desk;
use super::query::glob;
use super::route::Stop;
use super::rows::Rows;
use super::users::{problem, told};
use super::wire::{Line, Problem};
use serde_json::Map;
use skein_base::{AccountId, UserName};
use skein_serve::Host;
use std::sync::Arc;
use std::vec;

/// Accounts looked at between two breaths: what is made of that many trees takes about 100 µs.
pub(crate) const ACCOUNTS_PER_LOOK: usize = 64;
/// Batches of a shard that wait, so that it goes on while others are behind.
const BATCHES_WAITING: usize = 16;
/// Lines that are sent together: alone, each costs more than its name.
const LINES_TOGETHER: usize = 256;

/// An account whose user fits, or one of which that can not be told.
pub(crate) type Found = (AccountId, Result<UserName, Problem>);

/// A row for each user whose name fits.
pub(crate) async fn list(desk: &Desk, pattern: &str, rows: &Rows) -> Result<(), Stop> {
    let pattern: Arc<str> = pattern.to_lowercase().into();
    let (mut streams, mut works) = (Vec::new(), Vec::new());
    for place in desk.places().await? {
        let (found, batches) = flume::bounded(BATCHES_WAITING);
        let pattern = pattern.clone();
        works.push(desk.begin(place, async move |host| find(&host, &pattern, &found).await)?);
        streams.push(Stream { batches, batch: Vec::new().into_iter(), next: None });
    }
    let mut lines = Vec::with_capacity(LINES_TOGETHER);
    while let Some((id, user)) = next(&mut streams).await {
        lines.push(match user {
            Ok(user) => Line::Row(Map::from_iter([("user".to_owned(), user.as_str().into())])),
            Err(Problem { code, text }) => Line::Problem(Problem::new(code, format!("{}: {text}", id.hex()))),
        });
        if lines.len() == LINES_TOGETHER {
            rows.lines(&lines).await?;
            lines.clear();
        }
    }
    if !lines.is_empty() {
        rows.lines(&lines).await?;
    }
    for work in works {
        work.answer().await??;
    }
    Ok(())
}

/// Those of a shard, sorted, until nobody wants them any more.
async fn find(host: &Host, pattern: &str, found: &flume::Sender<Vec<Found>>) -> Result<(), Stop> {
    for some in host.accounts_here().await.map_err(problem)?.chunks(ACCOUNTS_PER_LOOK) {
        let fitting = fitting(host, some, pattern).await;
        if !fitting.is_empty() && found.send_async(fitting).await.is_err() {
            return Ok(());
        }
        skein_runtime::bulk_yield().await;
    }
    Ok(())
}

/// The pattern that the server's own accounts fit.
pub const RESERVED: &str = "$*";

/// Those of these accounts whose user's name fits, in their order, none of them opened for it. The server's own are nobody's whom a
/// pattern means, unless it says so.
pub(crate) async fn fitting(host: &Host, ids: &[AccountId], pattern: &str) -> Vec<Found> {
    let fits =
        |user: &UserName| user.is_reserved() == pattern.starts_with('$') && glob::matches(pattern, user.as_str());
    let users = ids.iter().zip(host.store().users(ids).await);
    let found = users.filter_map(|(id, user)| match user {
        Ok(user) => Some((*id, Ok(user.filter(fits)?))),
        // Who asks for all asks for users, and for the server's own behind them: it is told once.
        Err(_) if pattern == RESERVED => None,
        Err(error) => Some((*id, Err(told(&error)))),
    });
    found.collect()
}

/// What one shard finds.
struct Stream {
    batches: flume::Receiver<Vec<Found>>,
    batch: vec::IntoIter<Found>,
    next: Option<Found>,
}

impl Stream {
    async fn fill(&mut self) {
        while self.next.is_none() {
            self.next = self.batch.next();
            if self.next.is_none() {
                let Ok(batch) = self.batches.recv_async().await else { return };
                self.batch = batch.into_iter();
            }
        }
    }
}

/// The first of what all shards have left.
async fn next(streams: &mut [Stream]) -> Option<Found> {
    for stream in &mut *streams {
        stream.fill().await;
    }
    let first = streams.iter_mut().filter(|stream| stream.next.is_some());
    first.min_by_key(|stream| stream.next.as_ref().map(|(id, _)| *id))?.next.take()
}
