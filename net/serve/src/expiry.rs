//! Messages that leave their mailboxes by themselves, as the settings say, in the background.
//!
//! ```text
//! a session ends ──┐
//!                  ├──▶ mailboxes with a rule ─▶ some rows ─▶ their op ─▶ others run ─▶ some rows ..
//! a sweep ─────────┘
//! ```

use crate::failure;
use crate::host::{Host, checkpoint_if_due};
use crate::metrics;
use skein_base::seam::Clock;
use skein_base::{AccountId, IdSet, MailboxId, Uid};
use skein_config::MailboxRule;
use skein_runtime::{Class, RealClock, bulk_yield, spawn_detached};
use skein_store::account::Account;
use skein_store::{AccountError, AccountHandle, Actor, StoreError};
use std::cell::Cell;
use std::rc::Rc;

/// Messages looked at, or taken out by one op, between two breaths: well within the tenth of a millisecond that background work may
/// hold the core for.
const ROWS_PER_BREATH: usize = 1024;
/// An account is looked at behind its sessions no more often than this: some clients begin a session for each click.
const PAUSE_MS: u64 = 60_000;

/// When the account was last looked at, in milliseconds of the monotonic clock.
struct Looked(Cell<u64>);

impl Host {
    /// Some rule lets messages leave.
    pub fn expires_anything(&self) -> bool {
        self.settings().config.mailbox.iter().any(MailboxRule::expires)
    }

    /// Looks at an account behind a session that ends; the session does not wait.
    pub(crate) fn expire_behind(&self, account: &Rc<AccountHandle>) {
        if self.is_stopping() || !self.expires_anything() || !is_due(account) {
            return;
        }
        let (host, account) = (self.clone(), account.clone());
        spawn_detached(Class::Bulk, "expiry", async move {
            if let Err(error) = host.expire(&account).await {
                failure::log(&error);
            }
        });
    }

    /// Looks at an account of this shard; messages that left.
    ///
    /// # Errors
    /// There is none, or the store failed.
    pub async fn expire_account(&self, id: AccountId) -> Result<u64, StoreError> {
        let account = self.store().open_known(id).await?;
        self.expire(&account).await
    }

    async fn expire(&self, account: &Rc<AccountHandle>) -> Result<u64, StoreError> {
        let settings = self.settings();
        let ruled: Vec<(MailboxId, &MailboxRule)> = account.read(|state| {
            let rules =
                state.mailboxes().filter_map(|m| Some((m.id, MailboxRule::of(&settings.config.mailbox, m.name)?)));
            rules.filter(|(_, rule)| rule.expires()).collect()
        });
        let mut left = 0;
        for (mailbox, rule) in ruled {
            let gone = match self.expire_mailbox(account, mailbox, rule).await {
                // Deleted meanwhile.
                Err(StoreError::Account(AccountError::NoSuchMailbox)) => continue,
                gone => gone?,
            };
            if gone > 0 {
                self.store().durable(account).await?;
                let name = account.read(|state| state.name_of(mailbox).to_owned());
                tracing::info!(user = %account.user(), mailbox = name, messages = gone, "expunged by autoexpunge");
                metrics::AUTOEXPUNGED.add(gone);
                left += gone;
            }
        }
        checkpoint_if_due(self.store(), account);
        Ok(left)
    }

    async fn expire_mailbox(
        &self,
        account: &Rc<AccountHandle>,
        mailbox: MailboxId,
        rule: &MailboxRule,
    ) -> Result<u64, StoreError> {
        let mut left = 0;
        if let Some(seconds) = rule.autoexpunge_seconds {
            let until = self.store().now().saturating_sub_unsigned(seconds);
            let mut from = Some(Uid(1));
            while let Some(at) = from {
                let (gone, next) =
                    self.looked(account, mailbox, |m| m.saved_until(mailbox, until, at, ROWS_PER_BREATH)).await?;
                left += self.take_out(account, mailbox, &gone)?;
                from = next;
                bulk_yield().await;
            }
        }
        if let Some(keep) = rule.autoexpunge_max_mails {
            loop {
                let gone = self.looked(account, mailbox, |m| m.oldest_above(mailbox, keep, ROWS_PER_BREATH)).await?;
                if gone.is_empty() {
                    break;
                }
                left += self.take_out(account, mailbox, &gone)?;
                bulk_yield().await;
            }
        }
        Ok(left)
    }

    /// A look at a mailbox, which may have left memory since the last.
    async fn looked<T>(
        &self,
        account: &Rc<AccountHandle>,
        mailbox: MailboxId,
        look: impl FnOnce(&Account) -> Result<T, AccountError>,
    ) -> Result<T, StoreError> {
        self.store().load(account, mailbox).await?;
        Ok(account.read(look)?)
    }

    fn take_out(&self, account: &Rc<AccountHandle>, mailbox: MailboxId, gone: &IdSet) -> Result<u64, StoreError> {
        let ops = account.read(|state| state.remove(mailbox, gone))?;
        self.store().commit_for(&Actor::Operator, account, &ops)?;
        Ok(gone.count())
    }
}

fn is_due(account: &AccountHandle) -> bool {
    let now = RealClock.monotonic_ms();
    match account.slot::<Looked>() {
        Some(looked) if now.saturating_sub(looked.0.get()) < PAUSE_MS => return false,
        Some(looked) => looked.0.set(now),
        None => account.put_slot(Rc::new(Looked(Cell::new(now)))),
    }
    true
}
