//! The extension: the rights of guests, and what new mailboxes inherit.

use crate::command;
use crate::list::List;
use skein_base::{MailboxId, Rights};
use skein_config::Config;
use skein_hooks::{Call, Extension, Running};
use skein_proto::imap::ExtensionCommand;
use skein_store::Actor;
use skein_store::account::Account;
use skein_store::op::Op;
use std::cell::Cell;

/// The annotation of a mailbox that holds its list; clients do not see it.
pub(crate) const ANNOTATION: &str = "acl";

/// Access control lists on one shard.
#[derive(Default)]
pub struct Acl {
    /// Other users' mailboxes can be reached.
    shares: Cell<bool>,
}

/// A mailbox's list.
pub fn list_of(account: &Account, mailbox: MailboxId) -> List {
    let kept = account.metadata(Some(mailbox)).and_then(|metadata| metadata.get(ANNOTATION));
    kept.map_or_else(List::default, |bytes| List::decode(bytes))
}

impl Extension for Acl {
    fn name(&self) -> &'static str {
        "acl"
    }

    fn configure(&self, config: &Config) {
        let namespaces = &config.namespaces;
        self.shares.set(!namespaces.shared_prefix.is_empty() || !namespaces.public_prefix.is_empty());
    }

    /// Rights that nobody could use are not offered.
    fn capabilities(&self) -> Vec<String> {
        match self.shares.get() {
            true => ["ACL", "LIST-MYRIGHTS", "RIGHTS=texk"].map(str::to_owned).into(),
            false => Vec::new(),
        }
    }

    fn commands(&self) -> &'static [ExtensionCommand] {
        command::COMMANDS
    }

    fn rights(&self, actor: &Actor, account: &Account, mailbox: MailboxId) -> Rights {
        match actor {
            Actor::Owner | Actor::Delivery | Actor::Operator => Rights::ALL,
            Actor::Guest(guest) => list_of(account, mailbox).rights(&guest.user, &guest.groups),
        }
    }

    /// A new mailbox has the list of the nearest one above it.
    fn creating(&self, account: &Account, name: &str, mailbox: MailboxId) -> Vec<Op> {
        let above = name.rmatch_indices('/').find_map(|(at, _)| account.find(&name[..at]));
        let kept = above.and_then(|above| account.metadata(Some(above.id))?.get(ANNOTATION));
        let inherited = kept.map(|value| Op::SetMetadata {
            mailbox: Some(mailbox),
            name: ANNOTATION.into(),
            value: Some(value.clone()),
        });
        inherited.into_iter().collect()
    }

    fn run<'a>(&'a self, call: Call<'a>) -> Running<'a> {
        Box::pin(async move { command::run(&call).await })
    }
}
