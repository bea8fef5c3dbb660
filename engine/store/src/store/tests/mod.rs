//! What the store promises, against a disk that keeps only what was synced and a model that knows IMAP's rules.
//!
//! ```text
//! clients ──▶ Store ──▶ SimDisk ── crash ──▶ scan, recover, open ──▶ State     must be one of those the
//!    └──────▶ model: the state after every commit, and up to where it was told ─▶ model went through
//! ```

mod budget;
mod client;
mod crash;
mod damage;
mod damage_any;
mod end;
mod lifecycle;
mod model;
mod names;
mod repair;
mod space;
mod stay;
mod users;
mod world;

/// Prints the seed of a run that panics.
struct Seed(u64);

impl Drop for Seed {
    fn drop(&mut self) {
        if std::thread::panicking() {
            println!("failed with seed {}", self.0);
        }
    }
}
