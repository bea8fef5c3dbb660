//! The background task that lets messages leave whose time has come, also of users who do not come.

use skein_base::AccountId;
use skein_base::seam::Clock;
use skein_runtime::metrics::Counter;
use skein_runtime::{RealClock, sleep};
use skein_serve::Host;
use skein_store::{AccountError, StoreError};
use std::time::Duration;

/// How often it is looked whether a round is due.
const LOOK: Duration = Duration::from_secs(1);

static ACCOUNTS: Counter =
    Counter::new("skein_autoexpunge_accounts", "Accounts that the sweep of autoexpunge looked at.");

pub(crate) fn register() {
    ACCOUNTS.register();
}

/// Runs on each shard for good.
pub(crate) async fn run(host: Host) {
    let mut ended_ms = None;
    loop {
        sleep(LOOK).await;
        let pause = u64::from(host.settings().config.autoexpunge.sweep_seconds) * 1000;
        let is_due = ended_ms.is_none_or(|ended: u64| RealClock.monotonic_ms().saturating_sub(ended) >= pause);
        if pause > 0 && is_due && host.expires_anything() {
            sweep(&host).await;
            ended_ms = Some(RealClock.monotonic_ms());
        }
    }
}

/// One round through all accounts of the shard, so many a second.
async fn sweep(host: &Host) {
    let accounts = match host.accounts_here().await {
        Ok(accounts) => accounts,
        Err(error) => return tracing::warn!(%error, "autoexpunge can not list the accounts"),
    };
    let (count, mut messages) = (accounts.len(), 0);
    for id in accounts {
        let config = &host.settings().config.autoexpunge;
        if config.sweep_seconds == 0 {
            return;
        }
        sleep(Duration::from_secs(1) / config.accounts_per_second).await;
        messages += look_at(host, id).await;
    }
    if messages > 0 {
        tracing::info!(accounts = count, messages, "a sweep of autoexpunge has ended");
    }
}

async fn look_at(host: &Host, id: AccountId) -> u64 {
    match host.expire_account(id).await {
        Ok(messages) => {
            ACCOUNTS.add(1);
            messages
        }
        // Deleted since, or nobody's until its user comes.
        Err(StoreError::Account(AccountError::NoSuchAccount)) => 0,
        Err(error) => {
            tracing::warn!(account = %id.hex(), %error, "autoexpunge can not look at an account");
            0
        }
    }
}
