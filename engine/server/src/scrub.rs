//! The background task that reads all that is kept, before somebody needs it, and mends what it can.
//!
//! ```text
//! something could not be read ──▶ that account at once        every account in turn, so many bytes a second
//!                     └───────────────┬────────────────────────────────┘
//!                        check ── findings ──▶ rebuild, at most once an hour
//! ```

use skein_base::AccountId;
use skein_runtime::metrics::Counter;
use skein_runtime::{RealClock, sleep};
use skein_serve::{Host, Store};
use skein_store::{AccountError, CheckError, Finding, Inspector, Stopped, StoreError};
use std::collections::HashMap;
use std::time::Duration;

use skein_base::seam::Clock;

/// How often it is looked whether something is due.
const LOOK: Duration = Duration::from_secs(1);
/// An account that was rebuilt and is hurt again waits for so long: some damage stays.
const REBUILD_PAUSE_MS: u64 = 3600 * 1000;
/// Accounts whose last rebuild is remembered.
const REBUILT_MAX: usize = 1024;
/// Bytes read before the first pause.
const BURST_BYTES: u64 = 256 * 1024;

static BYTES: Counter = Counter::new("skein_scrub_bytes", "Bytes that the scrubber read.");
static ACCOUNTS: Counter = Counter::new("skein_scrub_accounts", "Accounts that the scrubber looked at.");
static FINDINGS: Counter = Counter::new("skein_scrub_findings", "Things that were not as they were written.");

pub(crate) fn register() {
    [&BYTES, &ACCOUNTS, &FINDINGS].iter().for_each(|counter| counter.register());
}

/// Says what is found, and reads no faster than it may.
struct Scrubber {
    whose: String,
    bytes_per_second: u64,
    /// Bytes that no pause has paid for.
    unpaid: u64,
    findings: u64,
}

impl Inspector for Scrubber {
    async fn found(&mut self, finding: Finding) -> Result<(), Stopped> {
        let Finding { file, mailbox, uid, offset, what, is_mended } = finding;
        let uid = uid.map(|uid| uid.0);
        tracing::error!(
            user = self.whose,
            file,
            mailbox,
            uid,
            offset,
            can_be_mended = is_mended,
            what,
            "stored data is damaged"
        );
        self.findings += 1;
        FINDINGS.add(1);
        Ok(())
    }

    async fn read(&mut self, bytes: u64) {
        BYTES.add(bytes);
        self.unpaid += bytes;
        if self.unpaid >= BURST_BYTES.min(self.bytes_per_second) {
            let pause = self.unpaid * 1_000_000 / self.bytes_per_second;
            self.unpaid = 0;
            sleep(Duration::from_micros(pause)).await;
        }
    }
}

/// What a shard's scrubber knows.
struct Rounds {
    host: Host,
    store: Store,
    /// The accounts that this round has still to look at, last one first.
    left: Vec<AccountId>,
    /// When the last round ended.
    ended_ms: Option<u64>,
    rebuilt: HashMap<AccountId, u64>,
}

/// Runs on each shard for good.
pub(crate) async fn run(host: Host, store: Store) {
    let mut rounds = Rounds { host, store, left: Vec::new(), ended_ms: None, rebuilt: HashMap::new() };
    loop {
        sleep(LOOK).await;
        rounds.go().await;
    }
}

impl Rounds {
    /// Whoever is known to be hurt, then the next account of the round.
    async fn go(&mut self) {
        let sick: Vec<AccountId> = std::iter::from_fn(|| self.store.take_sick()).collect();
        for id in sick {
            // Somebody waits for this one's mail. What is lost was told when it was rebuilt, and is read in vain as often as a client likes.
            if self.may_rebuild(id) {
                self.look_at(id, u64::MAX).await;
            }
        }
        let settings = self.host.settings();
        let (bytes_per_second, pause) =
            (settings.config.store.scrub_bytes_per_second, settings.config.store.scrub_seconds);
        if bytes_per_second == 0 {
            return;
        }
        if self.left.is_empty() && !self.begin(u64::from(pause) * 1000).await {
            return;
        }
        if let Some(id) = self.left.pop() {
            self.look_at(id, bytes_per_second).await;
        }
        if self.left.is_empty() {
            self.ended_ms = Some(RealClock.monotonic_ms());
        }
    }

    /// Begins a round when the last one is long enough ago.
    async fn begin(&mut self, pause_ms: u64) -> bool {
        let now = RealClock.monotonic_ms();
        let ended = *self.ended_ms.get_or_insert(now);
        if now.saturating_sub(ended) < pause_ms {
            return false;
        }
        // Looked at, and mended, by being read.
        if let Err(error) = self.store.dictionaries().await {
            tracing::warn!(%error, "the scrubber can not read the dictionaries");
        }
        match self.host.accounts_here().await {
            Ok(accounts) => self.left = accounts,
            Err(error) => tracing::warn!(%error, "the scrubber can not list the accounts"),
        }
        !self.left.is_empty()
    }

    async fn look_at(&mut self, id: AccountId, bytes_per_second: u64) {
        match self.mend(id, bytes_per_second).await {
            Ok(()) => ACCOUNTS.add(1),
            // Deleted since, or nobody's until its user comes.
            Err(StoreError::Account(AccountError::NoSuchAccount)) => {}
            Err(error) => tracing::warn!(account = %id.hex(), %error, "an account can not be looked at"),
        }
    }

    fn may_rebuild(&self, id: AccountId) -> bool {
        let now = RealClock.monotonic_ms();
        self.rebuilt.get(&id).is_none_or(|last| now.saturating_sub(*last) >= REBUILD_PAUSE_MS)
    }

    async fn mend(&mut self, id: AccountId, bytes_per_second: u64) -> Result<(), StoreError> {
        let handle = self.store.open_known(id).await?;
        let mut scrubber = Scrubber { whose: handle.user().to_string(), bytes_per_second, unpaid: 0, findings: 0 };
        match self.store.check(&handle, &mut scrubber).await {
            Ok(_) | Err(CheckError::Stopped) => {}
            Err(CheckError::Store(error)) => return Err(error),
        }
        if scrubber.findings == 0 || !self.may_rebuild(id) {
            return Ok(());
        }
        let now = RealClock.monotonic_ms();
        if self.rebuilt.len() >= REBUILT_MAX {
            self.rebuilt.retain(|_, last| now.saturating_sub(*last) < REBUILD_PAUSE_MS);
        }
        if self.rebuilt.len() < REBUILT_MAX {
            self.rebuilt.insert(id, now);
            self.store.rebuild(handle, &[]).await?;
        }
        Ok(())
    }
}
