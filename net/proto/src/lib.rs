//! Protocol machines without I/O.
//!
//! ```text
//!  socket bytes ──feed──▶ ┌─────────┐ ──Ask(Request)──▶ session ⇄ account
//!                         │ machine │
//!  socket bytes ◀──out─── └─────────┘ ◀──answer(Reply)── session
//! ```
//!
//! A machine takes bytes, asks requests, takes replies and gives bytes. The pump owns sockets and timers.
//!
//! Never here: sockets, clocks, tasks, stores.

mod base64;
pub mod imap;
pub mod lmtp;
mod number;
pub mod pop3;
pub mod proxy;
pub mod sasl;
