//! Wiring: in which order a server comes up, what each shard runs, and how it all ends.
//!
//! ```text
//! run ─ signals ─ checks ─ data folder ─ certificate ─ users ─ ports ─ confine ─ shards ─ "ready" ─ wait ─ stop
//!                                                                │
//!          shard:  scan its share of the log ─ exchange ─ recover ─ log, store, host ─ accept
//! ```
//!
//! Never here: protocols, mail. Everything it wires is built elsewhere.

mod boot;
mod confine;
mod disk_watch;
mod doors;
mod drain;
mod errands;
mod error;
mod expiry;
mod health;
mod log_line;
mod logging;
mod observe;
mod process;
mod recent;
mod reload;
mod replay;
mod scrub;
mod settings_file;
mod shard;
mod supervisor;
mod takeover;
mod users;

pub use boot::{Start, Started, adm_socket, run};
pub use confine::ConfineError;
pub use error::ServerError;
pub use logging::start as start_logging;
pub use reload::{ReloadError, Reloaded, Reloader};
pub use settings_file::{SettingsError, load_settings};
pub use takeover::TakeoverError;
