//! Mailboxes that the settings give to every user: made when they are missed, in one record.

use crate::failure;
use crate::host::Host;
use skein_config::{MailboxAuto, MailboxRule};
use skein_store::op::Op;
use skein_store::{AccountHandle, Actor, StoreError};

impl Host {
    /// Makes those that the user has not. What fails now is done at the next login.
    pub(crate) fn provide_all(&self, account: &AccountHandle) {
        let settings = self.settings();
        if let Err(error) = self.provide(account, settings.config.mailbox.iter()) {
            failure::log(&error);
        }
    }

    /// Makes the mailbox of this name, when it is one of them; whether it did.
    ///
    /// # Errors
    /// The log refuses.
    pub(crate) fn provide_named(&self, account: &AccountHandle, name: &str) -> Result<bool, StoreError> {
        let settings = self.settings();
        self.provide(account, settings.config.mailbox.iter().filter(|rule| rule.name == name))
    }

    fn provide<'a>(
        &self,
        account: &AccountHandle,
        rules: impl Iterator<Item = &'a MailboxRule>,
    ) -> Result<bool, StoreError> {
        let wanted = rules.filter(|rule| rule.is_auto());
        let wanted = wanted.map(|rule| (&*rule.name, rule.auto == MailboxAuto::Subscribe));
        let ops = account.read(|state| {
            let mut ops = state.create_missing(wanted, self.store().now());
            let made = ops.iter().flat_map(|op| match op {
                Op::CreateMailbox { mailbox, name, .. } => self.extensions().creating(state, name, *mailbox),
                _ => Vec::new(),
            });
            let more: Vec<Op> = made.collect();
            ops.extend(more);
            ops
        });
        // The operator's, who has said so: no quota of the user's stands against it.
        self.store().commit_for(&Actor::Operator, account, &ops)?;
        Ok(!ops.is_empty())
    }
}
