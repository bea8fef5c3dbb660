//! Test kit: start a real server, speak to it, kill it, compare.
//!
//! ```text
//! server    Server: one server process on free ports with its own folder (Skein, or Dovecot to check the tests themselves)
//! imap      a small blocking IMAP client        pop3, lmtp   the same for POP3 and LMTP
//! mail      messages that prove their own identity, line endings
//! fixtures  real-world mail kept outside the project
//! adm       `skein adm` against a server
//! postfix   a private Postfix delivering to a server
//! program   external programs: found or skipped, run with a deadline
//! process   what /proc says of a process tree: CPU, memory
//! crash     many clients, a kill or a power cut, and the comparison after it
//! random    seeded numbers          wait   conditions with a deadline          temp   a folder that goes away
//! ```
//!
//! Never here: anything of the server's own code. What is tested is the program, from outside.

pub mod adm;
pub mod crash;
pub mod fixtures;
pub mod imap;
pub mod lmtp;
pub mod mail;
pub mod pop3;
pub mod postfix;
pub mod process;
pub mod program;
pub mod random;
pub mod server;
pub mod temp;
pub mod wait;

pub use server::Server;
