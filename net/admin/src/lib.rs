//! HTTP for operators, on the side runtime: is it alive, is it ready, what does it count.
//!
//! ```text
//! GET /          one line with the links
//! GET /healthz   200 while the process can do its work; 503 with the reason when only a new start helps
//! GET /readyz    200 while new connections are welcome; 503 with the reason at the start, while stopping, and at its limits
//! GET /metrics   OpenMetrics text
//! ```
//!
//! [`adm`] is `skein adm`, over a Unix socket of its own.
//!
//! Never here: sessions, files. Work on a shard is a job behind its sessions.

pub mod adm;
mod pages;
mod server;

pub use pages::{Health, Verdict};
pub use server::{Admin, PageSocket, start};
