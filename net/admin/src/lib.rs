//! HTTP for operators, on the side runtime: is it alive, is it ready, what does it count.
//!
//! ```text
//! GET /          one line with the links
//! GET /healthz   200 while the process lives
//! GET /readyz    200 once every shard serves, 503 before and while stopping
//! GET /metrics   OpenMetrics text
//! ```
//!
//! [`adm`] is `skein adm`, over a Unix socket of its own.
//!
//! Never here: sessions, files. Work on a shard is a job behind its sessions.

pub mod adm;
mod pages;
mod server;

pub use server::{Admin, AdminConfig, start};
