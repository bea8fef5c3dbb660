//! Watches the disk of the data folder for one shard: keeps a reserve of it, and brings a log that failed back to work.

use skein_runtime::metrics::{Counter, Gauge};
use skein_runtime::{FreeSpace, free_space, sleep};
use skein_serve::{Host, Store};
use std::path::PathBuf;
use std::time::Duration;

/// How often it looks: a disk fills up by no more than the reserve in this time.
const LOOK: Duration = Duration::from_secs(1);
/// The longest time between two attempts at a disk that stays broken.
const PATIENCE_SECONDS_MAX: u64 = 8;
/// Files that must remain: a checkpoint of many accounts makes a few for each.
const FREE_FILES_MIN: u64 = 1000;

static FREE_BYTES: Gauge =
    Gauge::new("skein_disk_free_bytes", "Free on the disk of the data folder, seen by each shard.");
static RESERVE: Gauge =
    Gauge::new("skein_disk_reserve", "1 while the shard takes no messages because the disk is nearly full.");
static REFUSES: Gauge =
    Gauge::new("skein_log_refuses", "1 while the shard's log takes nothing because its disk failed or is full.");
static FAILURES: Counter = Counter::new("skein_log_failures", "Failures of the log's disk since the start.");

pub(crate) fn register() {
    for gauge in [&FREE_BYTES, &RESERVE, &REFUSES] {
        gauge.register();
    }
    FAILURES.register();
}

/// Runs on each shard for good.
pub(crate) async fn watch(host: Host, store: Store, folder: PathBuf) {
    let (mut reserve, mut patience, mut looks) = (false, 1, 0);
    loop {
        sleep(LOOK).await;
        match free_space(&folder).await {
            Ok(free) => {
                let min = host.settings().config.store.free_bytes_min;
                reserve = keep_reserve(&store, free, min, reserve);
            }
            Err(error) => tracing::warn!(folder = %folder.display(), %error, "how full the disk is can not be told"),
        }
        if store.log().refuses().is_some() {
            looks += 1;
            if looks >= patience {
                let healed = heal(&store).await;
                (looks, patience) = (0, if healed { 1 } else { (patience * 2).min(PATIENCE_SECONDS_MAX) });
            }
        }
        RESERVE.set(i64::from(reserve));
        REFUSES.set(i64::from(store.log().refuses().is_some()));
        FAILURES.set(store.log().failures() as u64);
    }
}

/// Begins or ends the reserve; it ends when an eighth more than it is free, so that it does not come and go with each
/// message.
fn keep_reserve(store: &Store, free: FreeSpace, min: u64, was: bool) -> bool {
    FREE_BYTES.set(i64::try_from(free.bytes).unwrap_or(i64::MAX));
    let is = min > 0 && is_low(free, min, was);
    if is != was {
        let why =
            format!("{} bytes and {} files are free", free.bytes, free.files.map_or("any".into(), |n| n.to_string()));
        store.log().keep_reserve(is.then_some(&why));
        match is {
            true => tracing::error!(free_bytes_min = min, why, "the disk is nearly full: no message is taken"),
            false => tracing::info!(why, "there is room again: messages are taken"),
        }
    }
    is
}

fn is_low(free: FreeSpace, min: u64, was: bool) -> bool {
    let more = |least: u64| if was { least + least / 8 } else { least };
    free.bytes < more(min) || free.files.is_some_and(|files| files < more(FREE_FILES_MIN))
}

async fn heal(store: &Store) -> bool {
    match store.log().heal().await {
        Ok(()) => {
            tracing::info!("the log takes changes again");
            true
        }
        Err(error) => {
            tracing::warn!(%error, "the log still refuses");
            false
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reserve_begins_and_ends_apart() {
        let free = |bytes, files| FreeSpace { bytes, files };
        assert!(!is_low(free(800, None), 800, false) && is_low(free(799, None), 800, false));
        assert!(is_low(free(899, None), 800, true) && !is_low(free(900, None), 800, true));
        assert!(is_low(free(u64::MAX, Some(999)), 800, false) && !is_low(free(u64::MAX, Some(1000)), 800, false));
    }
}
