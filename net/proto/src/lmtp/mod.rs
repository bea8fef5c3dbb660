//! LMTP as a machine (RFC 2033, with the syntax of RFC 5321): a mail transfer agent in, one outcome per recipient out.
//!
//! ```text
//! LHLO ─▶ MAIL ── Ask Sender ─▶ RCPT ── Ask Recipient (each) ─▶ DATA 354
//!           ▲                                                     │ Ask Chunk, Chunk, ...   dots taken out, CRLF everywhere
//!           └──── one reply per accepted recipient ◀── Ask End ◀──┘ CRLF . CRLF and nothing else
//! ```
//!
//! In place of DATA a client may send BDAT (RFC 3030): chunks counted, no dots. A bare LF becomes CRLF there too, so BINARYMIME,
//! whose bodies must stay as they are, is not offered.
//!
//! A trusted proxy says with XCLIENT who its client is, and then starts over.
//!
//! One question at a time: while one is open the machine takes no input, so replies are in order and a message never holds
//! more than one chunk here. What was pipelined waits in the pump's buffer.

mod address;
mod command;
mod data;
mod forwarded;
pub mod limits;
mod machine;
mod message;
mod reply;
mod request;

pub use address::{Address, AddressError};
pub use forwarded::Forwarded;
pub use machine::{Close, Lmtp, RequestId, Settings, Step};
pub use request::{Body, Outcome, Refusal, Reply, Request};
