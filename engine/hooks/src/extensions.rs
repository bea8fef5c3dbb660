//! The extensions of one shard.

use crate::extension::{Call, Extension, Outcome, Quota};
use skein_auth::Fields;
use skein_base::{IdSet, MailboxId, Rights, SpecialUse};
use skein_config::Config;
use skein_proto::imap::{ExtensionCommand, Reply};
use skein_store::account::Account;
use skein_store::op::Op;
use skein_store::{AccountHandle, Actor, Change, Gate, Refused};
use std::rc::Rc;
use std::sync::Arc;

/// Makes an extension on the shard that it is going to live on.
pub type Maker = Arc<dyn Fn() -> Rc<dyn Extension> + Send + Sync>;

/// All of them, in the order in which they are asked. Clones share them.
#[derive(Clone, Default)]
pub struct Extensions(Rc<[Rc<dyn Extension>]>);

impl Extensions {
    /// Makes them.
    pub fn new(makers: &[Maker]) -> Extensions {
        Extensions(makers.iter().map(|make| make()).collect())
    }

    /// Settings are new, or are read for the first time.
    pub fn configure(&self, config: &Config) {
        self.0.iter().for_each(|extension| extension.configure(config));
    }

    /// What CAPABILITY tells because of them, sorted.
    pub fn capabilities(&self) -> Vec<String> {
        let mut all: Vec<String> = self.0.iter().flat_map(|extension| extension.capabilities()).collect();
        all.sort_unstable();
        all.dedup();
        all
    }

    /// The commands that they add.
    pub fn commands(&self) -> Vec<ExtensionCommand> {
        self.0.iter().flat_map(|extension| extension.commands()).copied().collect()
    }

    /// See [`Extension::user_known`].
    pub fn user_known(&self, account: &AccountHandle, fields: &Fields) {
        self.0.iter().for_each(|extension| extension.user_known(account, fields));
    }

    /// Some of them goes by what all of the account's mailboxes hold.
    pub fn wants_usage(&self, account: &AccountHandle) -> bool {
        self.0.iter().any(|extension| extension.wants_usage(account))
    }

    /// What all of them allow.
    pub fn rights(&self, actor: &Actor, account: &Account, mailbox: MailboxId) -> Rights {
        self.0.iter().fold(Rights::ALL, |rights, extension| rights & extension.rights(actor, account, mailbox))
    }

    /// See [`Extension::opening`].
    ///
    /// # Errors
    /// The first that refuses.
    pub fn opening(&self, actor: &Actor, account: &AccountHandle, mailbox: MailboxId) -> Result<(), Refused> {
        self.0.iter().try_for_each(|extension| extension.opening(actor, account, mailbox))
    }

    /// See [`Extension::creating`].
    pub fn creating(&self, account: &Account, name: &str, mailbox: MailboxId) -> Vec<Op> {
        self.0.iter().flat_map(|extension| extension.creating(account, name, mailbox)).collect()
    }

    /// See [`Extension::listing`].
    pub fn listing(&self, actor: &Actor, account: &Account, names: &mut Vec<String>) {
        self.0.iter().for_each(|extension| extension.listing(actor, account, names));
    }

    /// See [`Extension::mailboxes`].
    pub fn mailboxes(&self) -> Vec<(String, SpecialUse)> {
        self.0.iter().flat_map(|extension| extension.mailboxes()).collect()
    }

    /// See [`Extension::shows`]; the first is asked that has a mailbox of this name.
    pub fn shows(&self, name: &str, account: &Account, source: MailboxId) -> IdSet {
        let has = |extension: &&Rc<dyn Extension>| extension.mailboxes().iter().any(|(own, _)| own == name);
        self.0.iter().find(has).map_or_else(IdSet::new, |extension| extension.shows(name, account, source))
    }

    /// The first one's that knows any.
    pub fn quota(&self, account: &AccountHandle, mailbox: Option<MailboxId>) -> Option<Quota> {
        self.0.iter().find_map(|extension| extension.quota(account, mailbox))
    }

    /// See [`Extension::would_take`].
    ///
    /// # Errors
    /// The first that refuses.
    pub fn would_take(&self, account: &AccountHandle, mailbox: MailboxId, bytes: u64) -> Result<(), Refused> {
        self.0.iter().try_for_each(|extension| extension.would_take(account, mailbox, bytes))
    }

    /// Runs a command that one of them has added.
    pub async fn run(&self, call: Call<'_>) -> Outcome {
        let knows = |extension: &&Rc<dyn Extension>| extension.commands().iter().any(|c| c.name == call.command);
        match self.0.iter().find(knows) {
            Some(extension) => extension.run(call).await,
            None => Reply::bad("Unknown command").into(),
        }
    }
}

impl Gate for Extensions {
    fn before(&self, change: &Change<'_>) -> Result<(), Refused> {
        self.0.iter().try_for_each(|extension| extension.before(change))
    }

    fn after(&self, change: &Change<'_>) {
        self.0.iter().for_each(|extension| extension.after(change));
    }
}
