//! Starting and ending the shards.

use std::fmt;
use std::future::Future;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, PoisonError, mpsc};
use std::task::Waker;
use std::thread::JoinHandle;
use std::time::Duration;

use glommio::{GlommioError, LocalExecutor, LocalExecutorBuilder, Placement, PoolPlacement};
use skein_base::ShardId;

use crate::heartbeat::{self, Heart};
use crate::nudge;
use crate::side::Side;
use crate::task::{Class, Local, Panicked, Queues, TaskError, enter_shard, leave_shard, spawn, spawn_detached};
use crate::timer::Timers;

/// Threads per shard for synchronous file calls: one long call must not hold up the next.
const BLOCKING_THREADS: usize = 4;
/// A restarted process may find the locked memory of its predecessor not yet given back by the kernel.
const MEMORY_ATTEMPTS: u32 = 5;
const MEMORY_PAUSE: Duration = Duration::from_millis(100);
/// EX_SOFTWARE of sysexits.h: the supervisor sees that it was not a clean stop.
const EXIT_SHARD_DIED: i32 = 70;

/// How the shards are made.
#[derive(Clone, Debug)]
pub struct ShardsConfig {
    /// How many; 0 is one for each core this process may use.
    pub count: usize,
    /// Pin each to a core of its own. Without effect when there are more shards than cores.
    pub pin: bool,
    /// Bytes of buffers registered with each ring; locked memory, resident.
    pub io_memory_bytes: usize,
    /// Entries of a ring's submission queue: how much is handed over in one system call.
    pub ring_depth: usize,
    /// How often a running queue looks whether another deserves the core.
    pub preempt: Duration,
    /// What happens when a shard's main task panics.
    pub on_death: OnDeath,
}

/// What the end of one shard by panic means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnDeath {
    /// The process ends with exit status 70; the supervisor starts it anew and the log is replayed.
    EndProcess,
    /// [`Shards::join`] reports it: for tests.
    Report,
}

impl Default for ShardsConfig {
    fn default() -> Self {
        ShardsConfig {
            count: 0,
            pin: true,
            io_memory_bytes: 1 << 20,
            ring_depth: 512,
            preempt: Duration::from_micros(500),
            on_death: OnDeath::EndProcess,
        }
    }
}

impl ShardsConfig {
    /// Small, unpinned shards that report a death instead of ending the process.
    pub fn for_tests(count: usize) -> ShardsConfig {
        ShardsConfig {
            count,
            pin: false,
            io_memory_bytes: 64 << 10,
            ring_depth: 128,
            on_death: OnDeath::Report,
            ..ShardsConfig::default()
        }
    }

    /// How many shards there will be.
    pub fn shard_count(&self) -> usize {
        if self.count == 0 { cores().len().max(1) } else { self.count }
    }

    fn core_of(&self, cores: &[usize], shard: usize) -> Option<usize> {
        if self.pin && self.shard_count() <= cores.len() { cores.get(shard).copied() } else { None }
    }
}

/// The cores this process may run on, by the affinity it was started with (`taskset`, cgroups).
fn cores() -> Vec<usize> {
    match rustix::thread::sched_getaffinity(None) {
        Ok(set) => (0..rustix::thread::CpuSet::MAX_CPU).filter(|cpu| set.is_set(*cpu)).collect(),
        Err(_) => (0..std::thread::available_parallelism().map_or(1, |count| count.get())).collect(),
    }
}

/// What a shard's main task is given.
#[derive(Clone)]
pub struct ShardContext {
    /// Which shard this is.
    pub id: ShardId,
    /// How many there are.
    pub shards: usize,
    /// The side runtime.
    pub side: Side,
    ready: Arc<Ready>,
}

impl ShardContext {
    /// Tells [`Shards::wait_ready`] that this shard serves. Call it once.
    pub fn signal_ready(&self) {
        self.ready.change(|state| state.ready += 1);
    }
}

#[derive(Default)]
struct Ready {
    state: Mutex<ReadyState>,
    changed: Condvar,
}

#[derive(Default)]
struct ReadyState {
    ready: usize,
    ended: usize,
}

impl Ready {
    fn change(&self, change: impl FnOnce(&mut ReadyState)) {
        change(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner));
        self.changed.notify_all();
    }
}

/// The running shards.
pub struct Shards<T> {
    threads: Vec<JoinHandle<Result<T, ShardDied>>>,
    ready: Arc<Ready>,
}

impl<T> Shards<T> {
    /// Waits until every shard called [`ShardContext::signal_ready`]; false when one ended before.
    pub fn wait_ready(&self) -> bool {
        let state = self.ready.state.lock().unwrap_or_else(PoisonError::into_inner);
        let waiting = |state: &mut ReadyState| state.ready < self.threads.len() && state.ended == 0;
        let state = self.ready.changed.wait_while(state, waiting).unwrap_or_else(PoisonError::into_inner);
        state.ready >= self.threads.len()
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.threads.len()
    }

    /// Waits until every shard's main task ended, and what each came to.
    pub fn join(self) -> Vec<Result<T, ShardDied>> {
        let died = |id| ShardDied { shard: id, message: "its thread is gone".to_owned() };
        let threads = (0..).map(ShardId).zip(self.threads);
        threads.map(|(id, thread)| thread.join().unwrap_or_else(|_| Err(died(id)))).collect()
    }
}

/// Starts the shards; each runs `main` until it ends. Returns when all executors are up, or none is left running.
///
/// `main` itself runs in [`Class::Session`].
///
/// # Errors
/// When an executor can not be made: which shard, and the limit behind it.
pub fn start<G, F, T>(config: ShardsConfig, side: &Side, main: G) -> Result<Shards<T>, StartError>
where
    G: Fn(ShardContext) -> F + Send + Sync + 'static,
    F: Future<Output = T> + 'static,
    T: Send + 'static,
{
    let (count, cores) = (config.shard_count(), cores());
    assert!(count <= usize::from(u16::MAX), "a shard's number has 16 bits");
    crate::metrics::make_room(count);
    if let Err(error) = crate::map_guard::install() {
        tracing::warn!(%error, "a mapped file that is cut while it is in use would end the process");
    }
    let (ready, main) = (Arc::new(Ready::default()), Arc::new(main));
    let (report, reports) = mpsc::channel();
    let (begin, begun) = mpsc::channel();
    let (run, running) = mpsc::channel();
    let mut threads = Vec::with_capacity(count);
    let mut gates = Vec::with_capacity(count);
    for (id, number) in (0..count as u16).map(ShardId).zip(0..) {
        let context = ShardContext { id, shards: count, side: side.clone(), ready: ready.clone() };
        let (config, core, main) = (config.clone(), config.core_of(&cores, number), main.clone());
        let (gate, go) = mpsc::channel();
        gates.push(gate);
        let signs = Signs { report: report.clone(), go, begin: begin.clone(), _run: run.clone() };
        let body = move || shard_thread(config, core, context, signs, move |context| main(context));
        let thread = std::thread::Builder::new().name(format!("shard-{number}")).spawn(body);
        threads.push(thread.map_err(|source| StartError { shard: id, source })?);
    }
    drop((report, begin, run));
    // A thread that ends without a word counts as an error of the system.
    let ended = || Err(StartError { shard: ShardId(0), source: io::Error::other("a shard's thread ended at once") });
    let shards = (0..count).map(|_| reports.recv().unwrap_or_else(|_| ended())).collect::<Result<_, _>>()?;
    let watch = std::thread::Builder::new().name("nudge".into()).spawn(move || nudge::watch(shards, &running));
    watch.map_err(|source| StartError { shard: ShardId(0), source })?;
    for gate in gates {
        // A thread that died since says so when it is joined.
        _ = gate.send(());
    }
    // One that ends without a word is not waited for.
    _ = begun.iter().take(count).count();
    Ok(Shards { threads, ready })
}

/// How a shard's thread and [`start`] talk while it starts.
struct Signs {
    /// The executor is made, or not: how it is woken, and the heart that shows whether it needs to be.
    report: mpsc::Sender<Result<(Waker, Heart), StartError>>,
    /// All executors are made: run.
    go: mpsc::Receiver<()>,
    /// Tasks run, and timers ring.
    begin: mpsc::Sender<()>,
    /// Dropped when the thread ends.
    _run: mpsc::Sender<()>,
}

fn shard_thread<F, T: 'static>(
    config: ShardsConfig,
    core: Option<usize>,
    context: ShardContext,
    signs: Signs,
    main: impl FnOnce(ShardContext) -> F + 'static,
) -> Result<T, ShardDied>
where
    F: Future<Output = T> + 'static,
{
    let (id, ready) = (context.id, context.ready.clone());
    let (executor, heart) = (make_executor(&config, core), Heart::default());
    let (executor, outcome) = match executor {
        Ok(executor) => {
            let waker = nudge::waker_of(&executor);
            (Some(executor), Ok((waker, heart.clone())))
        }
        Err(source) => (None, Err(StartError { shard: id, source })),
    };
    _ = signs.report.send(outcome);
    drop(signs.report);
    // The gate stays shut when another shard could not start.
    let (Some(executor), Ok(())) = (executor, signs.go.recv()) else {
        return Err(ShardDied { shard: id, message: "it was never started".to_owned() });
    };
    let side = context.side.clone();
    let _tokio = side.enter();
    let outcome = catch_unwind(AssertUnwindSafe(|| executor.run(shard_main(context, heart, signs.begin, main))));
    let outcome = outcome.unwrap_or_else(|payload| Err(Panicked::from_payload(payload.as_ref()).message));
    let outcome = outcome.map_err(|message| ShardDied { shard: id, message });
    if let Err(death) = &outcome
        && config.on_death == OnDeath::EndProcess
    {
        // Whatever comes of telling: a process without its shards would hold the sockets and serve nobody.
        let _told = catch_unwind(AssertUnwindSafe(|| {
            tracing::error!(shard = id.0, reason = %death.message, "a shard died; ending the process for a clean restart");
        }));
        std::process::exit(EXIT_SHARD_DIED);
    }
    ready.change(|state| state.ended += 1);
    outcome
}

async fn shard_main<F, T: 'static>(
    context: ShardContext,
    heart: Heart,
    begin: mpsc::Sender<()>,
    main: impl FnOnce(ShardContext) -> F + 'static,
) -> Result<T, String>
where
    F: Future<Output = T> + 'static,
{
    let timers = Timers::default();
    enter_shard(Local { id: context.id, queues: Queues::create(), timers: timers.clone() });
    crate::metrics::enter_shard(context.id);
    spawn_detached(Class::Session, "timers", timers.drive());
    let beating = heartbeat::start(heart).await;
    // Nobody listens when `start` has given up on another shard.
    _ = begin.send(());
    drop(begin);
    let outcome = spawn(Class::Session, "main", async move { main(context).await }).await;
    drop(beating);
    leave_shard();
    outcome.map_err(|error| match error {
        TaskError::Panicked(panicked) => panicked.message,
        TaskError::Cancelled => "its main task was cancelled".to_owned(),
    })
}

fn make_executor(config: &ShardsConfig, core: Option<usize>) -> io::Result<LocalExecutor> {
    let mut attempts = 1;
    loop {
        let builder = LocalExecutorBuilder::new(core.map_or(Placement::Unbound, Placement::Fixed))
            .io_memory(config.io_memory_bytes)
            .ring_depth(config.ring_depth)
            .preempt_timer(config.preempt)
            .blocking_thread_pool_placement(PoolPlacement::Unbound(BLOCKING_THREADS));
        match builder.make() {
            Err(error) if attempts < MEMORY_ATTEMPTS && error.raw_os_error() == Some(OUT_OF_MEMORY) => {
                attempts += 1;
                std::thread::park_timeout(MEMORY_PAUSE);
            }
            made => return made.map_err(|error: GlommioError<()>| error.into()),
        }
    }
}

const OUT_OF_MEMORY: i32 = rustix::io::Errno::NOMEM.raw_os_error();

/// An executor could not be made.
#[derive(Debug)]
pub struct StartError {
    /// For which shard.
    pub shard: ShardId,
    /// What the system said.
    pub source: io::Error,
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "shard {} can not start: {}", self.shard, self.source)?;
        if self.source.raw_os_error() == Some(OUT_OF_MEMORY) || self.source.to_string().contains("MemLock") {
            f.write_str(
                "; locked memory is short: set LimitMEMLOCK=infinity in the systemd unit, \
                or --ulimit memlock=-1 for a container, or use fewer shards",
            )?;
        }
        Ok(())
    }
}

impl std::error::Error for StartError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.source)
    }
}

/// A shard ended by a panic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShardDied {
    /// Which.
    pub shard: ShardId,
    /// What it said.
    pub message: String,
}

impl fmt::Display for ShardDied {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "shard {} died: {}", self.shard, self.message)
    }
}

impl std::error::Error for ShardDied {}
