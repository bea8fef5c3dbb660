//! The background task that gives the log's space back.

use skein_runtime::sleep;
use skein_serve::{Host, Store};
use skein_store::{COMPACT_BYTES_MIN, DrainLimits, StoreError};
use std::time::Duration;

/// How often it is looked whether something is due.
const LOOK: Duration = Duration::from_secs(1);
/// The longest pause after a failure.
const BACK_OFF_MAX: Duration = Duration::from_secs(60);

/// Runs on each shard for good.
pub(crate) async fn run(host: Host, store: Store) {
    let mut pause = LOOK;
    loop {
        sleep(pause).await;
        store.verify_maps().await;
        let settings = host.settings();
        let limits = &settings.config.store;
        store.set_checkpoint_ops(u64::from(limits.snapshot_ops));
        store.set_pack_sizes(limits.pack_bytes, COMPACT_BYTES_MIN);
        hold_back(&store, limits.log_bytes_max);
        // Whatever makes messages wait must also be drained.
        let keep_bytes = limits.log_keep_bytes.min(limits.log_bytes_max);
        let due = DrainLimits { keep_bytes, keep_seconds: i64::from(limits.log_keep_seconds) };
        pause = match drain(&host, &store, &due).await {
            Ok(()) => LOOK,
            Err(error) => {
                tracing::error!(%error, "the log is not drained for now; it keeps everything");
                (pause * 2).min(BACK_OFF_MAX)
            }
        };
        hold_back(&store, limits.log_bytes_max);
    }
}

async fn drain(host: &Host, store: &Store, due: &DrainLimits) -> Result<(), StoreError> {
    if store.bodies_are_unknown() {
        store.learn_bodies(&host.accounts_here().await?).await?;
    }
    store.drain(due).await
}

/// Above its budget the log takes messages only as fast as it is drained.
fn hold_back(store: &Store, bytes_max: u64) {
    if store.hold_back_over(bytes_max) {
        let bytes = store.log_bytes();
        tracing::warn!(bytes, bytes_max, "the log is over its budget: messages wait until it is drained");
    }
}
