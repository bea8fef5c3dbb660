//! A seeded world for tests: a disk that keeps only what was synced, an executor that runs whoever it likes, a clock
//! that moves when told.
//!
//! ```text
//! SimDisk      write ─▶ current (what reads see)      crash ─▶ per sector and per name: kept, lost, or torn
//!                       pending (not yet synced)      faults: EIO, ENOSPC, short lists of what went wrong
//! SimExecutor  a random one of those ready, one poll at a time; one seed is one run
//! SimClock     implements base::seam::Clock
//! ```
//!
//! Other crates' tests use it, so it is always compiled; nothing in the server does.

mod clock;
mod disk;
mod executor;
mod rng;

pub use clock::SimClock;
pub use disk::{Faults, SimDisk, SimFile};
pub use executor::{SimExecutor, block_on};
pub use rng::SimRng;
