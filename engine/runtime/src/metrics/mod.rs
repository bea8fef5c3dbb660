//! Numbers about the running server, cheap enough for every command.
//!
//! ```text
//! static DELIVERED: Counter = Counter::new("skein_delivered_messages", "Messages accepted.");
//! DELIVERED.add(1);          a shard writes its own cells: a load and a store, no locked instruction
//! metrics::render()          sums nothing: one line per shard, OpenMetrics text
//! metrics::collect(..)       what is known elsewhere, read when somebody asks
//! ```
//!
//! Metrics are statics; each appears in [`render`] from its first use, or from [`register`] on. All of them with what they mean:
//! tools/docs/metrics.md.

mod collector;
mod render;

use std::cell::Cell;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::sync::{Mutex, OnceLock, PoisonError};

use collector::Collector;
use skein_base::ShardId;

pub use collector::{Kind, Samples, collect};
pub use render::{CONTENT_TYPE, render};

/// Tasks that ended by a panic.
pub static TASK_PANICS: Counter = Counter::new("skein_task_panics", "Tasks that ended by a panic, caught.");
/// Tasks by class, in its order.
pub static TASKS: [Gauge; 3] = [
    Gauge::labelled("skein_tasks", TASKS_HELP, &[("class", "session")]),
    Gauge::labelled("skein_tasks", TASKS_HELP, &[("class", "delivery")]),
    Gauge::labelled("skein_tasks", TASKS_HELP, &[("class", "bulk")]),
];
const TASKS_HELP: &str = "Tasks that have begun and not ended, waiting ones among them.";
/// How late timers ring.
pub static SHARD_LATE: Histogram = Histogram::new(
    "skein_shard_late_seconds",
    "How late a 5 ms timer rang on the shard: whatever holds the core shows here.",
    &MICROSECOND_BOUNDS,
    1e-6,
);

/// Bounds for durations counted in microseconds and shown in seconds (scale 1e-6): 100 µs to 10 s.
pub static MICROSECOND_BOUNDS: [u64; 16] = [
    100, 250, 500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000, 1_000_000, 2_500_000,
    5_000_000, 10_000_000,
];

/// Bounds for bytes: 512 B to 32 MiB, each four times the one before.
pub static BYTE_BOUNDS: [u64; 9] = [512, 2048, 8192, 32_768, 131_072, 524_288, 2_097_152, 8_388_608, 33_554_432];

/// A fixed label of one metric: `("protocol", "imap")`.
pub type MetricLabel = (&'static str, &'static str);

static SHARDS: AtomicUsize = AtomicUsize::new(0);
static REGISTRY: Mutex<Vec<Entry>> = Mutex::new(Vec::new());

thread_local! {
    static SHARD: Cell<usize> = const { Cell::new(usize::MAX) };
}

/// Cells for this many shards in each metric used from now on.
pub(crate) fn make_room(shards: usize) {
    SHARDS.fetch_max(shards, Relaxed);
}

pub(crate) fn enter_shard(id: ShardId) {
    SHARD.set(usize::from(id.0));
}

/// How many values each histogram of this name has seen over all shards, by its labels.
pub fn counts_of(name: &str) -> Vec<(&'static [MetricLabel], u64)> {
    let entries = REGISTRY.lock().unwrap_or_else(PoisonError::into_inner).clone();
    let counted = entries.into_iter().filter_map(|entry| match entry {
        Entry::Histogram(metric) if metric.about.name == name => Some((metric.about.labels, metric.count())),
        _ => None,
    });
    counted.collect()
}

#[derive(Clone, Copy)]
enum Entry {
    Counter(&'static Counter),
    Gauge(&'static Gauge),
    Histogram(&'static Histogram),
    Collector(&'static Collector),
}

fn enlist(entry: Entry) {
    REGISTRY.lock().unwrap_or_else(PoisonError::into_inner).push(entry);
}

/// What every metric is described by.
struct About {
    name: &'static str,
    help: &'static str,
    labels: &'static [MetricLabel],
}

/// One row of cells per shard and one for all other threads, each row on cache lines of its own.
struct Cells(OnceLock<Rows>);

struct Rows {
    cells: Box<[AtomicU64]>,
    stride: usize,
}

/// Two cache lines: neighbouring lines are fetched in pairs.
const CELLS_PER_LINE: usize = 16;

impl Cells {
    fn rows(&self, width: usize, enlist: impl FnOnce()) -> &Rows {
        self.0.get_or_init(|| {
            enlist();
            let stride = width.next_multiple_of(CELLS_PER_LINE);
            let rows = SHARDS.load(Relaxed) + 1;
            Rows { cells: (0..rows * stride).map(|_| AtomicU64::new(0)).collect(), stride }
        })
    }
}

impl Rows {
    fn count(&self) -> usize {
        self.cells.len() / self.stride
    }

    /// The row of this thread, and whether no other thread writes to it.
    fn mine(&self) -> (usize, bool) {
        let (shard, foreign) = (SHARD.get(), self.count() - 1);
        if shard < foreign { (shard, true) } else { (foreign, false) }
    }

    fn cell(&self, row: usize, column: usize) -> &AtomicU64 {
        &self.cells[row * self.stride + column]
    }

    fn add(&self, column: usize, amount: u64) {
        let (row, alone) = self.mine();
        let cell = self.cell(row, column);
        if alone {
            cell.store(cell.load(Relaxed).wrapping_add(amount), Relaxed);
        } else {
            cell.fetch_add(amount, Relaxed);
        }
    }
}

/// Registers metrics so that they show at zero. All kinds have this as `.register()`.
pub fn register(counters: &[&'static Counter]) {
    counters.iter().for_each(|counter| counter.register());
}

/// A number that only rises.
pub struct Counter {
    about: About,
    cells: Cells,
}

impl Counter {
    /// `name` without `_total`, which the text adds.
    pub const fn new(name: &'static str, help: &'static str) -> Counter {
        Counter::labelled(name, help, &[])
    }

    /// One of several of the same name, told apart by labels.
    pub const fn labelled(name: &'static str, help: &'static str, labels: &'static [MetricLabel]) -> Counter {
        Counter { about: About { name, help, labels }, cells: Cells(OnceLock::new()) }
    }

    /// Adds.
    pub fn add(&'static self, amount: u64) {
        self.rows().add(0, amount);
    }

    /// Takes over what is counted elsewhere: this shard's count, which must not fall.
    pub fn set(&'static self, count: u64) {
        let rows = self.rows();
        rows.cell(rows.mine().0, 0).store(count, Relaxed);
    }

    /// Shows it at zero from now on.
    pub fn register(&'static self) {
        self.rows();
    }

    /// The sum over all shards.
    pub fn total(&'static self) -> u64 {
        let rows = self.rows();
        (0..rows.count()).map(|row| rows.cell(row, 0).load(Relaxed)).sum()
    }

    fn rows(&'static self) -> &'static Rows {
        self.cells.rows(1, || enlist(Entry::Counter(self)))
    }
}

/// A number that rises and falls.
pub struct Gauge {
    about: About,
    cells: Cells,
}

impl Gauge {
    /// Without labels.
    pub const fn new(name: &'static str, help: &'static str) -> Gauge {
        Gauge::labelled(name, help, &[])
    }

    /// One of several of the same name, told apart by labels.
    pub const fn labelled(name: &'static str, help: &'static str, labels: &'static [MetricLabel]) -> Gauge {
        Gauge { about: About { name, help, labels }, cells: Cells(OnceLock::new()) }
    }

    /// Adds; what one shard adds another may take away, the sum is right.
    pub fn add(&'static self, amount: i64) {
        self.rows().add(0, amount.cast_unsigned());
    }

    /// Counts one more for as long as the guard lives.
    pub fn hold(&'static self) -> Held {
        self.add(1);
        Held(self)
    }

    /// Sets this shard's value.
    pub fn set(&'static self, value: i64) {
        let rows = self.rows();
        rows.cell(rows.mine().0, 0).store(value.cast_unsigned(), Relaxed);
    }

    /// Shows it at zero from now on.
    pub fn register(&'static self) {
        self.rows();
    }

    /// The sum over all shards.
    pub fn total(&'static self) -> i64 {
        let rows = self.rows();
        let values = (0..rows.count()).map(|row| rows.cell(row, 0).load(Relaxed).cast_signed());
        values.fold(0, i64::wrapping_add)
    }

    fn rows(&'static self) -> &'static Rows {
        self.cells.rows(1, || enlist(Entry::Gauge(self)))
    }
}

/// One that a gauge counts while it lives.
pub struct Held(&'static Gauge);

impl Drop for Held {
    fn drop(&mut self) {
        self.0.add(-1);
    }
}

/// How often values fell between fixed bounds.
pub struct Histogram {
    about: About,
    bounds: &'static [u64],
    scale: f64,
    cells: Cells,
}

impl Histogram {
    /// Counts values against `bounds` (ascending); the text shows bound × `scale`, so that microseconds show as seconds.
    pub const fn new(name: &'static str, help: &'static str, bounds: &'static [u64], scale: f64) -> Histogram {
        Histogram::labelled(name, help, bounds, scale, &[])
    }

    /// One of several of the same name, told apart by labels.
    pub const fn labelled(
        name: &'static str,
        help: &'static str,
        bounds: &'static [u64],
        scale: f64,
        labels: &'static [MetricLabel],
    ) -> Histogram {
        Histogram { about: About { name, help, labels }, bounds, scale, cells: Cells(OnceLock::new()) }
    }

    /// Counts one value.
    pub fn observe(&'static self, value: u64) {
        let rows = self.rows();
        rows.add(self.bounds.partition_point(|bound| *bound < value), 1);
        rows.add(self.bounds.len() + 1, value);
    }

    /// How many values there were, over all shards.
    pub fn count(&'static self) -> u64 {
        let rows = self.rows();
        let row = |row| (0..=self.bounds.len()).map(move |column| rows.cell(row, column).load(Relaxed)).sum::<u64>();
        (0..rows.count()).map(row).sum()
    }

    /// How many values of a shard fell up to each bound, and above all of them. Since the start; take the difference of two.
    pub fn counts(&'static self, shard: ShardId) -> Vec<u64> {
        let (rows, row) = (self.rows(), usize::from(shard.0));
        (0..=self.bounds.len()).map(|column| rows.cell(row, column).load(Relaxed)).collect()
    }

    /// The bounds.
    pub fn bounds(&self) -> &'static [u64] {
        self.bounds
    }

    /// Shows it at zero from now on.
    pub fn register(&'static self) {
        self.rows();
    }

    /// Columns: a count per bound, one above all bounds, the sum of values.
    fn rows(&'static self) -> &'static Rows {
        self.cells.rows(self.bounds.len() + 2, || enlist(Entry::Histogram(self)))
    }
}
