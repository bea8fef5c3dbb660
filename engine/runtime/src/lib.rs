//! The runtime: shards, what runs on them, and what they may ask of the machine.
//!
//! ```text
//!   main thread          shard 0 (core 0)            shard 1 (core 1)
//!   signals ──flume──▶   Session  ▌▌▌▌▌  500 µs       ...
//!   checks               Delivery ▌▌▌
//!                        Bulk     ▌      yields ≤ 100 µs
//!                          │  ▲ lanes: one inbox per shard ◀──▶
//!                          ▼  │
//!                        io_uring, 4 blocking threads     side runtime (one tokio thread)
//! ```
//!
//! ```text
//! shards     start one pinned executor per core, wait until they are up, join them
//! task       work classes, spawn (a panic ends one task), blocking pool, bulk_yield
//! timer      sleep, timeout, Deadline: one ordered queue per shard
//! lanes      messages between shards and from foreign threads
//! map_guard  a cut file costs a page, not the process
//! prefetch   memory that will be read soon
//! disk       the Disk seam on io_uring        clock   the Clock seam
//! side       tokio for what only speaks tokio
//! signals    SIGTERM, SIGINT, SIGHUP as messages
//! passed     descriptors of whoever started the process
//! child      a process beside this one, for what this one gives up
//! checks     io_uring, memlock, nofile, the data folder's lock: messages that name the fix
//! metrics    counters without locks, OpenMetrics text; heartbeat: how late a shard's timers are
//! nudge      wakes a shard that sleeps though it has work
//! ```
//!
//! glommio is named here and in net/transport only. Never here: protocols, mail, settings.

mod checks;
mod child;
mod clock;
#[cfg(feature = "contract")]
pub mod contract;
mod data_lock;
mod disk;
mod heartbeat;
mod lanes;
mod map_guard;
pub mod metrics;
mod nudge;
mod passed;
mod prefetch;
mod shards;
mod side;
mod signals;
mod space;
mod task;
mod timer;

pub use checks::{CheckError, Nofile, Privileges, check_cores, check_io_uring, raise_memlock, raise_nofile};
pub use child::fork_child;
pub use clock::RealClock;
pub use data_lock::{DataLock, DataLockError};
pub use disk::{DiskFile, DiskMap, RealDisk};
pub use heartbeat::heartbeat_ages;
pub use lanes::{Inbox, LaneError, Lanes};
pub use map_guard::pages_lost;
pub use passed::passed_descriptors;
pub use prefetch::prefetch;
pub use shards::{OnDeath, ShardContext, ShardDied, Shards, ShardsConfig, StartError, start};
pub use side::{Side, SideGone, SideTask};
pub use signals::{Signal, Signals};
pub use skein_base::sync::{self, Notify, Semaphore, Watermark, oneshot};
pub use space::{FreeSpace, free_space};
pub use task::{
    Class, Label, Panicked, Task, TaskError, bulk_yield, session_yield, shard_id, spawn, spawn_blocking, spawn_detached,
};
pub use timer::{Deadline, Elapsed, Sleep, sleep, sleep_until, timeout};
