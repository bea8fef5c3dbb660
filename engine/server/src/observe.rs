//! What the store and the log count, copied to the metrics once a second.

use skein_runtime::metrics::{Counter, Gauge};
use skein_runtime::sleep;
use skein_serve::Store;
use std::time::Duration;

static ACCOUNTS_OPEN: Gauge = Gauge::new("skein_accounts_open", "Accounts in memory.");
static ACCOUNTS_CLOSED: Counter = Counter::new("skein_accounts_closed", "Idle accounts closed.");
static ACCOUNTS_LOST: Counter =
    Counter::new("skein_accounts_lost", "Accounts opened again because the log lost changes of theirs.");
static ACCOUNTS_IN_TAIL: Gauge =
    Gauge::new("skein_accounts_in_tail", "Closed accounts with changes in the log that no snapshot has.");
static MAILBOXES_UNLOADED: Counter =
    Counter::new("skein_mailboxes_unloaded", "Mailboxes that left memory before their account did.");
static MEMORY_BYTES: Gauge = Gauge::new("skein_accounts_memory_bytes", "Memory that open accounts take, by estimate.");
static OPS: Counter = Counter::new("skein_ops", "Changes committed.");
static OPS_REPLAYED: Counter = Counter::new("skein_ops_replayed", "Changes replayed from the log.");
static SNAPSHOTS: Counter = Counter::new("skein_snapshots_written", "Snapshots written.");
static REBUILT: Counter = Counter::new("skein_snapshots_rebuilt", "Snapshots found damaged and rebuilt.");
static LOG_RECORDS: Counter = Counter::new("skein_log_records", "Records appended to the log.");
static LOG_BYTES: Counter = Counter::new("skein_log_bytes", "Bytes written to the log.");
static LOG_BATCHES: Counter = Counter::new("skein_log_batches", "Batches written to the log.");
static LOG_SYNCS: Counter = Counter::new("skein_log_syncs", "Syncs of the log.");

static SNAPSHOT_BYTES: Counter = Counter::new("skein_snapshot_bytes", "Bytes of snapshots written.");
static CHECKPOINT_SYNCS: Counter =
    Counter::new("skein_checkpoint_syncs", "Syncs of files and folders that checkpoints asked for.");
static PACK_MESSAGES: Counter = Counter::new("skein_pack_messages", "Messages written into packs.");
static PACK_BYTES_TAKEN: Counter =
    Counter::new("skein_pack_taken_bytes", "Bytes of them and their rendered caches before compression.");
static PACK_BYTES: Counter = Counter::new("skein_pack_bytes", "Bytes of packs written.");
static PACKS_REMOVED: Counter = Counter::new("skein_packs_compacted", "Packs written again without their waste.");
static SALVAGED: Counter =
    Counter::new("skein_salvaged", "Mailboxes and trees made again from what packs and snapshots tell.");
static RECORDS_LOST: Counter =
    Counter::new("skein_log_records_lost", "Changes of accounts that the log no longer read when they were wanted.");
static ACCOUNTS_REBUILT: Counter = Counter::new("skein_accounts_rebuilt", "Accounts whose indexes were made again.");
static BODIES_LOST: Counter =
    Counter::new("skein_bodies_lost", "Messages that could not be read when they were to be packed.");
static SEGMENTS_REMOVED: Counter = Counter::new("skein_log_segments_drained", "Log segments drained and removed.");
static SEGMENT_BYTES: Counter = Counter::new("skein_log_drained_bytes", "Bytes of them.");
static LOG_KEPT: Gauge = Gauge::new("skein_log_kept_bytes", "Bytes of log that are not drained yet.");

const COUNTERS: [&Counter; 23] = [
    &ACCOUNTS_CLOSED,
    &ACCOUNTS_LOST,
    &MAILBOXES_UNLOADED,
    &OPS,
    &OPS_REPLAYED,
    &SNAPSHOTS,
    &REBUILT,
    &LOG_RECORDS,
    &LOG_BYTES,
    &LOG_BATCHES,
    &LOG_SYNCS,
    &SNAPSHOT_BYTES,
    &CHECKPOINT_SYNCS,
    &PACK_MESSAGES,
    &PACK_BYTES_TAKEN,
    &PACK_BYTES,
    &PACKS_REMOVED,
    &BODIES_LOST,
    &SALVAGED,
    &RECORDS_LOST,
    &ACCOUNTS_REBUILT,
    &SEGMENTS_REMOVED,
    &SEGMENT_BYTES,
];
const GAUGES: [&Gauge; 4] = [&ACCOUNTS_OPEN, &ACCOUNTS_IN_TAIL, &MEMORY_BYTES, &LOG_KEPT];

pub(crate) fn register() {
    skein_serve::metrics::register();
    crate::disk_watch::register();
    crate::scrub::register();
    COUNTERS.iter().for_each(|counter| counter.register());
    GAUGES.iter().for_each(|gauge| gauge.register());
}

/// Runs on each shard for good.
pub(crate) async fn watch(store: Store) {
    loop {
        let (kept, log) = (store.metrics(), store.log().metrics());
        ACCOUNTS_OPEN.set(kept.accounts_open as i64);
        ACCOUNTS_CLOSED.set(kept.accounts_closed);
        ACCOUNTS_LOST.set(kept.accounts_lost);
        ACCOUNTS_IN_TAIL.set(kept.accounts_in_tail as i64);
        MAILBOXES_UNLOADED.set(kept.mailboxes_unloaded);
        MEMORY_BYTES.set(kept.memory_bytes as i64);
        OPS.set(kept.ops);
        OPS_REPLAYED.set(kept.ops_replayed);
        SNAPSHOTS.set(kept.snapshots_written);
        REBUILT.set(kept.snapshots_rebuilt);
        SNAPSHOT_BYTES.set(kept.snapshot_bytes);
        CHECKPOINT_SYNCS.set(kept.checkpoint_syncs);
        PACK_MESSAGES.set(kept.pack_messages);
        PACK_BYTES_TAKEN.set(kept.pack_bytes_taken);
        PACK_BYTES.set(kept.pack_bytes);
        PACKS_REMOVED.set(kept.packs_removed);
        BODIES_LOST.set(kept.bodies_lost);
        SALVAGED.set(kept.salvaged);
        RECORDS_LOST.set(kept.records_lost);
        ACCOUNTS_REBUILT.set(kept.accounts_rebuilt);
        SEGMENTS_REMOVED.set(kept.segments_removed);
        SEGMENT_BYTES.set(kept.segment_bytes_removed);
        LOG_KEPT.set(store.log_bytes() as i64);
        LOG_RECORDS.set(log.records);
        LOG_BYTES.set(log.bytes);
        LOG_BATCHES.set(log.batches);
        LOG_SYNCS.set(log.syncs);
        sleep(Duration::from_secs(1)).await;
    }
}
