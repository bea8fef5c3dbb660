//! Delivery: whose mail it is, and the trace headers it gets.
//!
//! ```text
//! RCPT address ── candidates(rules) ──▶ users and details, the first one known
//! message      ── write_trace ──▶ Return-Path, Delivered-To, Received + the message as it came
//!                  DropField takes out a Return-Path that it came with, when the site wants none but ours
//! ```
//!
//! Pure: names, addresses and the time are arguments. Never here: sockets, the store, the wire form of LMTP.

mod date;
mod drop_field;
mod message_id;
mod recipient;
mod trace;

pub use date::write_date;
pub use drop_field::DropField;
pub use message_id::message_id;
pub use recipient::{Recipient, Rules, candidates};
pub use trace::{DeliveredTo, Headers, Trace, write_trace};
