//! ENVELOPE, BODY and BODYSTRUCTURE as IMAP bytes (RFC 3501 §7.4.2).
//!
//! ```text
//! string    nil, quoted, literal
//! address   lists of mailboxes and groups
//! envelope  the ten fields of ENVELOPE
//! body      BODY, and BODYSTRUCTURE with its extension data
//! ```
//!
//! The bytes are those that Dovecot gives for the same message, broken mail included, as long as they are valid IMAP.

mod address;
mod body;
mod envelope;
mod string;

pub use address::{Address, addresses};
pub(crate) use address::{domain_part, local_part};
pub use body::{body, bodystructure, part_structure};
pub use envelope::envelope;

#[cfg(test)]
mod tests;
