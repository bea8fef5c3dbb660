//! POP3 as a machine (RFC 1939, 2449, 5034, 2595, 3206, 6856): one maildrop, numbered once, changed at QUIT.
//!
//! ```text
//! AUTHORIZATION  USER PASS AUTH STLS UTF8 ── Ask Login ──▶ TRANSACTION  STAT LIST UIDL TOP RETR DELE RSET ── Ask Quit ──▶ close
//!                                                            │
//!                         one line: answer(reply) ◀──────────┤
//!      answer(reply), then scan.., unique_id.., body.., end ◀┘ many lines, as large as they may be
//! ```
//!
//! One question at a time: while one is open the machine takes no input, so replies are in order. What was pipelined waits in
//! the pump's buffer. Of a message the machine holds only what waits for the socket: the session gives it piece by piece.
//!
//! No APOP: it asks a server to keep passwords it can read, and MD5 with a known weakness protects them (RFC 6151). TLS does.

mod body;
mod command;
mod config;
pub mod limits;
mod machine;
mod reply;

pub use config::Pop3Config;
pub use machine::{Pop3, Step, Why};
pub use reply::{Code, Reply, Request};
