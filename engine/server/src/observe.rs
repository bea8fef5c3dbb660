//! What the store, the log and the sources of users count, copied to the metrics once a second, and what is read when somebody
//! asks.

use crate::health::Vitals;
use crate::shard::Common;
use skein_auth::Answers;
use skein_base::ShardId;
use skein_runtime::metrics::{self, BYTE_BOUNDS, Counter, Gauge, Histogram, Kind, MICROSECOND_BOUNDS};
use skein_runtime::sleep;
use skein_serve::Host;
use skein_store::Reads;
use skein_store::log::LogStep;
use std::cell::Cell;
use std::sync::Arc;
use std::time::{Duration, Instant};

static ACCOUNTS_OPEN: Gauge = Gauge::new("skein_accounts_open", "Accounts in memory.");
static ACCOUNTS_CLOSED: Counter = Counter::new("skein_accounts_closed", "Idle accounts closed.");
static ACCOUNTS_LOST: Counter = Counter::new(
    "skein_accounts_lost",
    "Accounts opened again because the log lost changes of theirs, or files of theirs are damaged.",
);
static ACCOUNTS_IN_TAIL: Gauge =
    Gauge::new("skein_accounts_in_tail", "Closed accounts with changes in the log that no snapshot has.");
static MAILBOXES_UNLOADED: Counter =
    Counter::new("skein_mailboxes_unloaded", "Mailboxes that left memory before their account did.");
static MEMORY: [Gauge; 3] = [
    Gauge::labelled("skein_memory_bytes", MEMORY_HELP, &[("kind", "accounts")]),
    Gauge::labelled("skein_memory_bytes", MEMORY_HELP, &[("kind", "log_pending")]),
    Gauge::labelled("skein_memory_bytes", MEMORY_HELP, &[("kind", "rendered_caches")]),
];
const MEMORY_HELP: &str = "Memory by what it is for: open accounts (an estimate), records on their way to the disk, what was rendered of messages that are in the log.";
static MESSAGES_ADDED: Counter =
    Counter::new("skein_messages_added", "Messages that came into mailboxes, copies among them.");
static MESSAGES_EXPUNGED: Counter =
    Counter::new("skein_messages_expunged", "Messages expunged, those of deleted mailboxes left out.");
static BODY_READS: [Counter; 3] = [
    Counter::labelled("skein_message_reads", READS_HELP, &[("what", "body"), ("from", "log_cached")]),
    Counter::labelled("skein_message_reads", READS_HELP, &[("what", "body"), ("from", "log_disk")]),
    Counter::labelled("skein_message_reads", READS_HELP, &[("what", "body"), ("from", "pack")]),
];
static CACHES_FROM_MEMORY: Counter =
    Counter::labelled("skein_message_reads", READS_HELP, &[("what", "rendered"), ("from", "memory")]);
static CACHE_READS: [Counter; 3] = [
    Counter::labelled("skein_message_reads", READS_HELP, &[("what", "rendered"), ("from", "log_cached")]),
    Counter::labelled("skein_message_reads", READS_HELP, &[("what", "rendered"), ("from", "log_disk")]),
    Counter::labelled("skein_message_reads", READS_HELP, &[("what", "rendered"), ("from", "pack")]),
];
const READS_HELP: &str =
    "Reads of messages and of what is rendered of them, but from a snapshot's map, by where they were found.";
static AUTH_CACHE: [Counter; 3] = [
    Counter::labelled("skein_auth_cache_looks", CACHE_HELP, &[("result", "accepted")]),
    Counter::labelled("skein_auth_cache_looks", CACHE_HELP, &[("result", "refused")]),
    Counter::labelled("skein_auth_cache_looks", CACHE_HELP, &[("result", "miss")]),
];
const CACHE_HELP: &str = "Looks into the cache of logins: it knew the password as right, as wrong, or not.";
static BATCH_BYTES: Histogram = Histogram::new(
    "skein_log_batch_bytes",
    "Sizes of the log's batches: one write and one sync each.",
    &BYTE_BOUNDS,
    1.0,
);
static SYNC_TOOK: Histogram = Histogram::new(
    "skein_log_sync_seconds",
    "Time that writes of the log and their syncs took.",
    &MICROSECOND_BOUNDS,
    1e-6,
);
static OPS: Counter = Counter::new("skein_ops", "Changes committed.");
static OPS_REPLAYED: Counter = Counter::new("skein_ops_replayed", "Changes replayed from the log.");
static SNAPSHOTS: Counter = Counter::new("skein_snapshots_written", "Snapshots written.");
static REBUILT: Counter = Counter::new("skein_snapshots_rebuilt", "Snapshots found damaged and rebuilt.");
static LOG_RECORDS: Counter = Counter::new("skein_log_records", "Records appended to the log.");
static LOG_BYTES: Counter = Counter::new("skein_log_written_bytes", "Bytes written to the log.");
static LOG_BATCHES: Counter = Counter::new("skein_log_batches", "Batches written to the log.");
static LOG_SYNCS: Counter = Counter::new("skein_log_syncs", "Syncs of the log.");

static SNAPSHOT_BYTES: Counter = Counter::new("skein_snapshot_written_bytes", "Bytes of snapshots written.");
static CHECKPOINT_SYNCS: Counter =
    Counter::new("skein_checkpoint_syncs", "Syncs of files and folders that checkpoints asked for.");
static PACK_MESSAGES: Counter = Counter::new("skein_pack_messages", "Messages written into packs.");
static PACK_BYTES_TAKEN: Counter =
    Counter::new("skein_pack_taken_bytes", "Bytes of them and their rendered caches before compression.");
static PACK_BYTES: Counter = Counter::new("skein_pack_written_bytes", "Bytes of packs written.");
static PACKS_REMOVED: Counter = Counter::new("skein_packs_compacted", "Packs written again without their waste.");
static PACK_BYTES_REMOVED: Counter =
    Counter::new("skein_pack_removed_bytes", "Bytes of packs that compaction removed.");
static PACK_BYTES_LOOKED_AT: Counter =
    Counter::new("skein_pack_examined_bytes", "Bytes of packs that were looked through for waste.");
static PACK_BYTES_WASTED: Counter =
    Counter::new("skein_pack_waste_bytes", "The part of the examined bytes that no message named.");
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

const COUNTERS: [&Counter; 28] = [
    &MESSAGES_ADDED,
    &MESSAGES_EXPUNGED,
    &PACK_BYTES_REMOVED,
    &PACK_BYTES_LOOKED_AT,
    &PACK_BYTES_WASTED,
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
const GAUGES: [&Gauge; 3] = [&ACCOUNTS_OPEN, &ACCOUNTS_IN_TAIL, &LOG_KEPT];

pub(crate) fn register(common: &Arc<Common>) {
    skein_serve::metrics::register();
    skein_transport::register_metrics();
    crate::disk_watch::register();
    crate::scrub::register();
    crate::expiry::register();
    let rows = BODY_READS.iter().chain(&CACHE_READS).chain(&AUTH_CACHE);
    COUNTERS.into_iter().chain(rows).for_each(|counter| counter.register());
    GAUGES.into_iter().chain(&MEMORY).for_each(|gauge| gauge.register());
    [&BATCH_BYTES, &SYNC_TOOK].iter().for_each(|histogram| histogram.register());
    metrics::TASK_PANICS.register();
    collect(common);
    crate::health::collect();
    crate::process::collect();
}

/// What is read when somebody asks.
fn collect(common: &Arc<Common>) {
    let lanes = common.lanes.clone();
    let help = "Messages that wait in a shard's inbox: moved connections, deliveries, jobs.";
    metrics::collect("skein_lane_messages", help, Kind::Gauge, move |samples| {
        for shard in 0..lanes.shards() as u16 {
            samples.put(&[("shard", &shard.to_string())], lanes.depth(ShardId(shard)) as f64);
        }
    });
    let penalties = common.doorman.penalties.clone();
    let help = "Addresses and names that are remembered for failed logins.";
    metrics::collect("skein_penalties", help, Kind::Gauge, move |samples| {
        samples.put(&[], penalties.remembered() as f64);
    });
    let auth = common.doorman.auth.clone();
    let help = "Answers of each source of users since it was read, the cache's left out.";
    metrics::collect("skein_auth_source_answers", help, Kind::Counter, move |samples| {
        let state = auth.state();
        for (realm, sources) in [("users", &state.users), ("masters", &state.masters)] {
            for (i, (name, counts)) in sources.answers().enumerate() {
                // Two sources may have one name.
                let (order, names) = ((i + 1).to_string(), Answers::NAMES);
                for (answer, count) in names.iter().zip(counts) {
                    let labels = [("realm", realm), ("order", order.as_str()), ("source", name), ("answer", *answer)];
                    samples.put(&labels, count as f64);
                }
            }
        }
    });
}

/// Counts the sizes of the log's batches and the times of its syncs.
fn time_syncs(host: &Host) {
    let began = Cell::new(None::<Instant>);
    host.store().log().on_step(move |step| match step {
        LogStep::Batch { bytes } => BATCH_BYTES.observe(bytes),
        LogStep::Sync => began.set(Some(Instant::now())),
        LogStep::Synced => {
            if let Some(began) = began.take() {
                SYNC_TOOK.observe(began.elapsed().as_micros() as u64);
            }
        }
    });
}

fn set_reads(counters: &'static [Counter; 3], reads: Reads) {
    for (counter, count) in counters.iter().zip([reads.log_cached, reads.log_disk, reads.pack]) {
        counter.set(count);
    }
}

/// Runs on each shard for good.
pub(crate) async fn watch(host: Host, vitals: Arc<Vitals>) {
    time_syncs(&host);
    let store = host.store().clone();
    loop {
        let (kept, log) = (store.metrics(), store.log().metrics());
        vitals.note_log(host.id(), &store);
        vitals.set_heartbeat_seconds_max(host.settings().config.health.heartbeat_seconds_max);
        ACCOUNTS_OPEN.set(kept.accounts_open as i64);
        ACCOUNTS_CLOSED.set(kept.accounts_closed);
        ACCOUNTS_LOST.set(kept.accounts_lost);
        ACCOUNTS_IN_TAIL.set(kept.accounts_in_tail as i64);
        MAILBOXES_UNLOADED.set(kept.mailboxes_unloaded);
        MEMORY[0].set(kept.memory_bytes as i64);
        MEMORY[1].set(store.log().pending_bytes() as i64);
        MEMORY[2].set(kept.caches_kept_bytes as i64);
        MESSAGES_ADDED.set(kept.messages_added);
        MESSAGES_EXPUNGED.set(kept.messages_expunged);
        PACK_BYTES_REMOVED.set(kept.pack_bytes_removed);
        PACK_BYTES_LOOKED_AT.set(kept.pack_bytes_looked_at);
        PACK_BYTES_WASTED.set(kept.pack_bytes_wasted);
        set_reads(&BODY_READS, kept.body_reads);
        set_reads(&CACHE_READS, kept.cache_reads);
        CACHES_FROM_MEMORY.set(kept.caches_from_memory);
        let looks = host.auth().cache_looks();
        for (counter, count) in AUTH_CACHE.iter().zip([looks.accepted, looks.refused, looks.missed]) {
            counter.set(count);
        }
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
