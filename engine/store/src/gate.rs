//! The gate: who is asked about a change before it is logged, and told of it after.
//!
//! ```text
//! validate ──▶ ops ──before──▶ log, apply ──after──▶ …        nothing waits in between, so that what was allowed stays so
//!                     └─ Refused
//! ```

use crate::AccountHandle;
use crate::op::Op;
use skein_base::{Class, UserName};
use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

/// Who makes a change.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Actor {
    /// The account's user, in a session of his own.
    Owner,
    /// Another user, in a mailbox that is shared with him.
    Guest(Arc<Guest>),
    /// Mail that arrives.
    Delivery,
    /// Whoever runs the server.
    Operator,
}

/// Another user than the account's.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Guest {
    /// Who he is.
    pub user: UserName,
    /// The groups that he is in.
    pub groups: Vec<Box<str>>,
}

/// A change that has been validated.
#[derive(Clone, Copy)]
pub struct Change<'a> {
    /// Who makes it.
    pub actor: &'a Actor,
    /// Of which account.
    pub account: &'a AccountHandle,
    /// What it is: one record.
    pub ops: &'a [Op],
}

/// No, from the gate.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Refused {
    /// What kind of no.
    pub class: Class,
    /// One sentence for the client.
    pub text: Cow<'static, str>,
}

impl Refused {
    /// With this sentence.
    pub fn new(class: Class, text: impl Into<Cow<'static, str>>) -> Refused {
        Refused { class, text: text.into() }
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// Asked about every change that somebody makes. Neither verb waits, and neither changes the account.
pub trait Gate {
    /// Whether the change may be made.
    ///
    /// # Errors
    /// It may not; then nothing changes.
    fn before(&self, change: &Change<'_>) -> Result<(), Refused>;

    /// The change has been made; it may not be durable yet.
    fn after(&self, change: &Change<'_>);
}
