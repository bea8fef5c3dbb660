//! What the store and the log count, copied to the metrics once a second.

use skein_runtime::metrics::Gauge;
use skein_runtime::sleep;
use skein_serve::Store;
use std::time::Duration;

static ACCOUNTS_OPEN: Gauge = Gauge::new("skein_accounts_open", "Accounts in memory.");
static ACCOUNTS_CLOSED: Gauge = Gauge::new("skein_accounts_closed", "Idle accounts closed since the start.");
static ACCOUNTS_LOST: Gauge =
    Gauge::new("skein_accounts_lost", "Accounts opened again because the log lost changes of theirs, since the start.");
static ACCOUNTS_IN_TAIL: Gauge =
    Gauge::new("skein_accounts_in_tail", "Closed accounts with changes in the log that no snapshot has.");
static MAILBOXES_UNLOADED: Gauge =
    Gauge::new("skein_mailboxes_unloaded", "Mailboxes that left memory before their account did, since the start.");
static MEMORY_BYTES: Gauge = Gauge::new("skein_accounts_memory_bytes", "Memory that open accounts take, by estimate.");
static OPS: Gauge = Gauge::new("skein_ops", "Changes committed since the start.");
static OPS_REPLAYED: Gauge = Gauge::new("skein_ops_replayed", "Changes replayed from the log since the start.");
static SNAPSHOTS: Gauge = Gauge::new("skein_snapshots_written", "Snapshots written since the start.");
static REBUILT: Gauge = Gauge::new("skein_snapshots_rebuilt", "Snapshots found damaged and rebuilt since the start.");
static LOG_RECORDS: Gauge = Gauge::new("skein_log_records", "Records appended to the log since the start.");
static LOG_BYTES: Gauge = Gauge::new("skein_log_bytes", "Bytes written to the log since the start.");
static LOG_BATCHES: Gauge = Gauge::new("skein_log_batches", "Batches written to the log since the start.");
static LOG_SYNCS: Gauge = Gauge::new("skein_log_syncs", "Syncs of the log since the start.");

static SNAPSHOT_BYTES: Gauge = Gauge::new("skein_snapshot_bytes", "Bytes of snapshots written since the start.");
static CHECKPOINT_SYNCS: Gauge =
    Gauge::new("skein_checkpoint_syncs", "Syncs of files and folders that checkpoints asked for since the start.");
static PACK_MESSAGES: Gauge = Gauge::new("skein_pack_messages", "Messages written into packs since the start.");
static PACK_BYTES_TAKEN: Gauge =
    Gauge::new("skein_pack_bytes_taken", "Bytes of them and their rendered caches before compression.");
static PACK_BYTES: Gauge = Gauge::new("skein_pack_bytes", "Bytes of packs written since the start.");
static PACKS_REMOVED: Gauge =
    Gauge::new("skein_packs_compacted", "Packs written again without their waste since the start.");
static BODIES_LOST: Gauge =
    Gauge::new("skein_bodies_lost", "Messages that could not be read when they were to be packed, since the start.");
static SEGMENTS_REMOVED: Gauge =
    Gauge::new("skein_log_segments_drained", "Log segments drained and removed since the start.");
static SEGMENT_BYTES: Gauge = Gauge::new("skein_log_bytes_drained", "Bytes of them.");
static LOG_KEPT: Gauge = Gauge::new("skein_log_kept_bytes", "Bytes of log that are not drained yet.");

/// What checkpoints and drains do.
const DRAINS: [&Gauge; 10] = [
    &SNAPSHOT_BYTES,
    &CHECKPOINT_SYNCS,
    &PACK_MESSAGES,
    &PACK_BYTES_TAKEN,
    &PACK_BYTES,
    &PACKS_REMOVED,
    &BODIES_LOST,
    &SEGMENTS_REMOVED,
    &SEGMENT_BYTES,
    &LOG_KEPT,
];

pub(crate) fn register() {
    skein_serve::metrics::register();
    crate::disk_watch::register();
    DRAINS.iter().for_each(|gauge| gauge.register());
    for gauge in [&ACCOUNTS_CLOSED, &ACCOUNTS_LOST, &ACCOUNTS_IN_TAIL, &MAILBOXES_UNLOADED, &MEMORY_BYTES] {
        gauge.register();
    }
    for gauge in
        [&ACCOUNTS_OPEN, &OPS, &OPS_REPLAYED, &SNAPSHOTS, &REBUILT, &LOG_RECORDS, &LOG_BYTES, &LOG_BATCHES, &LOG_SYNCS]
    {
        gauge.register();
    }
}

/// Runs on each shard for good.
pub(crate) async fn watch(store: Store) {
    loop {
        let (kept, log) = (store.metrics(), store.log().metrics());
        ACCOUNTS_OPEN.set(kept.accounts_open as i64);
        ACCOUNTS_CLOSED.set(kept.accounts_closed as i64);
        ACCOUNTS_LOST.set(kept.accounts_lost as i64);
        ACCOUNTS_IN_TAIL.set(kept.accounts_in_tail as i64);
        MAILBOXES_UNLOADED.set(kept.mailboxes_unloaded as i64);
        MEMORY_BYTES.set(kept.memory_bytes as i64);
        OPS.set(kept.ops as i64);
        OPS_REPLAYED.set(kept.ops_replayed as i64);
        SNAPSHOTS.set(kept.snapshots_written as i64);
        REBUILT.set(kept.snapshots_rebuilt as i64);
        SNAPSHOT_BYTES.set(kept.snapshot_bytes as i64);
        CHECKPOINT_SYNCS.set(kept.checkpoint_syncs as i64);
        PACK_MESSAGES.set(kept.pack_messages as i64);
        PACK_BYTES_TAKEN.set(kept.pack_bytes_taken as i64);
        PACK_BYTES.set(kept.pack_bytes as i64);
        PACKS_REMOVED.set(kept.packs_removed as i64);
        BODIES_LOST.set(kept.bodies_lost as i64);
        SEGMENTS_REMOVED.set(kept.segments_removed as i64);
        SEGMENT_BYTES.set(kept.segment_bytes_removed as i64);
        LOG_KEPT.set(store.log_bytes() as i64);
        LOG_RECORDS.set(log.records as i64);
        LOG_BYTES.set(log.bytes as i64);
        LOG_BATCHES.set(log.batches as i64);
        LOG_SYNCS.set(log.syncs as i64);
        sleep(Duration::from_secs(1)).await;
    }
}
