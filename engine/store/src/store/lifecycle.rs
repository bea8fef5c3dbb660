//! How accounts leave memory: nobody has used them for a while, or memory is wanted for others.
//!
//! ```text
//! nobody holds the handle ──idle──▶ its tail records ──▶ TailIndex       no disk write; opening it replays them
//! somebody does           ──idle──▶ mailboxes without a view leave, when their snapshot says all they know
//! ```
//!
//! A use is a handle that somebody holds: whoever works on an account in the background has one for as long.

use super::{Slot, Store};
use crate::account_handle::AccountHandle;
use crate::error::StoreError;
use skein_base::AccountId;
use skein_base::seam::{Clock, Disk};
use std::io;
use std::rc::Rc;

/// Accounts looked at between two breaths: about a tenth of a microsecond each.
const ACCOUNTS_PER_BREATH: usize = 512;

/// The part of the memory for accounts that derived mailboxes of closed ones may take: they are worth less than an open account, and more than
/// nothing, as without them their clients read everything again.
const DERIVED_PART: u64 = 8;

/// What may stay in memory.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct OpenLimits {
    /// How long an account stays that nobody uses.
    pub idle_ms: u64,
    /// Accounts; above it those go early that were used longest ago.
    pub accounts_max: usize,
    /// What all take in memory, by estimate; above it likewise.
    pub memory_bytes_max: u64,
}

/// An account that nobody uses at the moment.
struct Unused {
    used_ms: u64,
    id: AccountId,
    bytes: u64,
}

impl<D: Disk, C: Clock> Store<D, C> {
    /// Closes what nobody has used for a while, and more when the limits ask for it. Accounts in use stay whatever the
    /// limits say.
    pub async fn close_idle(&self, limits: &OpenLimits) {
        let kept = self.0.derived.borrow_mut().trim(limits.memory_bytes_max / DERIVED_PART);
        let (mut unused, mut bytes, mut in_use) = (Vec::new(), kept, Vec::new());
        for (i, id) in self.open_ids().into_iter().enumerate() {
            if i % ACCOUNTS_PER_BREATH == ACCOUNTS_PER_BREATH - 1 {
                self.0.disk.breathe().await;
            }
            match self.look_at(id, limits.idle_ms) {
                Look::Gone => {}
                Look::Unused(account) => {
                    bytes += account.bytes;
                    unused.push(account);
                }
                Look::Used(weight) => {
                    bytes += weight;
                    in_use.push(id);
                }
            }
        }
        bytes = self.close_oldest(unused, bytes, limits);
        if bytes > limits.memory_bytes_max {
            bytes = bytes.saturating_sub(kept) + self.0.derived.borrow_mut().trim(0);
            bytes = self.unload_unseen(&in_use, bytes);
        }
        self.count(|m| m.memory_bytes = bytes);
    }

    /// Whether more is open than the limits allow, as far as it was last looked at.
    pub fn is_over(&self, limits: &OpenLimits) -> bool {
        self.0.accounts.borrow().len() > limits.accounts_max
            || self.0.metrics.get().memory_bytes > limits.memory_bytes_max
    }

    /// Every account of this shard, sorted: those with a folder, and those that so far are in the log alone. `is_here` says
    /// whether an account lives on this shard, as the folders are those of all shards.
    ///
    /// # Errors
    /// The folders can not be listed.
    pub async fn accounts(&self, is_here: impl Fn(AccountId) -> bool) -> Result<Vec<AccountId>, StoreError> {
        let mut all: Vec<AccountId> = self.0.tail.borrow().accounts().filter(|id| is_here(*id)).collect();
        all.extend(self.open_ids().into_iter().filter(|id| is_here(*id)));
        let folders = match self.0.disk.list(&self.0.dir).await {
            // Nobody has had a checkpoint yet.
            Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
            folders => folders?,
        };
        for above in folders {
            let names = match self.0.disk.list(&self.0.dir.join(&above)).await {
                Err(error) if error.kind() == io::ErrorKind::NotADirectory => continue,
                names => names?,
            };
            for some in names.chunks(ACCOUNTS_PER_BREATH) {
                all.extend(some.iter().filter_map(|name| AccountId::from_hex(name)).filter(|id| is_here(*id)));
                self.0.disk.breathe().await;
            }
        }
        let sorted = move || {
            all.sort_unstable();
            all.dedup();
            all
        };
        Ok(self.0.disk.offload(sorted).await?)
    }

    fn open_ids(&self) -> Vec<AccountId> {
        self.0.accounts.borrow().keys().copied().collect()
    }

    fn look_at(&self, id: AccountId, idle_ms: u64) -> Look {
        let now = self.0.clock.monotonic_ms();
        let before = now.saturating_sub(idle_ms);
        self.forget_lost(id);
        let accounts = self.0.accounts.borrow();
        let Some(Slot::Open(handle)) = accounts.get(&id) else { return Look::Gone };
        if is_used(handle) {
            handle.used_ms.set(now);
            let before = now.saturating_sub(idle_ms.max(UNLOAD_EARLY_MS));
            let unloaded = handle.with_mut(|account| account.unload(before));
            self.count(|m| m.mailboxes_unloaded += unloaded);
            handle.weigh();
            return Look::Used(handle.memory_bytes.get() as u64);
        }
        if handle.memory_bytes.get() == 0 {
            handle.weigh();
        }
        let account = Unused { used_ms: handle.used_ms.get(), id, bytes: handle.memory_bytes.get() as u64 };
        drop(accounts);
        match account.used_ms <= before && self.close(id) {
            true => Look::Gone,
            false => Look::Unused(account),
        }
    }

    /// Closes those used longest ago until the limits hold; the bytes that are left.
    fn close_oldest(&self, mut unused: Vec<Unused>, mut bytes: u64, limits: &OpenLimits) -> u64 {
        let over = |bytes| bytes > limits.memory_bytes_max || self.0.accounts.borrow().len() > limits.accounts_max;
        if over(bytes) {
            unused.sort_unstable_by_key(|account| account.used_ms);
        }
        for account in unused {
            if !over(bytes) {
                break;
            }
            if self.close(account.id) {
                bytes -= account.bytes;
            }
        }
        bytes
    }

    /// Takes out of memory what sessions have no view of; the bytes that are left.
    fn unload_unseen(&self, in_use: &[AccountId], mut bytes: u64) -> u64 {
        // Somebody who came for a mailbox in this very moment still finds it.
        let before = self.0.clock.monotonic_ms().saturating_sub(UNLOAD_EARLY_MS);
        let accounts = self.0.accounts.borrow();
        for id in in_use {
            let Some(Slot::Open(handle)) = accounts.get(id) else { continue };
            let unloaded = handle.with_mut(|account| account.unload(before));
            if unloaded > 0 {
                let was = handle.memory_bytes.get() as u64;
                handle.weigh();
                bytes = (bytes + handle.memory_bytes.get() as u64).saturating_sub(was);
                self.count(|m| m.mailboxes_unloaded += unloaded);
            }
        }
        bytes
    }

    /// Closes an account that nobody uses and whose changes are safe.
    pub(super) fn close(&self, id: AccountId) -> bool {
        let mut accounts = self.0.accounts.borrow_mut();
        let Some(Slot::Open(handle)) = accounts.get(&id) else { return false };
        let safe = handle.tail_end().is_none_or(|end| self.0.log.is_durable(end));
        if is_used(handle) || !safe {
            return false;
        }
        let derived = handle.with_mut(|account| account.take_derived());
        let mut tail = self.0.tail.borrow_mut();
        tail.give_back(id, handle.take_tail());
        tail.names_bodies_from(id, handle.bodies_from());
        drop(tail);
        let closed = accounts.remove(&id);
        drop(accounts);
        if let Some(derived) = derived {
            self.0.derived.borrow_mut().put(id, derived);
        }
        drop(closed);
        self.count(|m| m.accounts_closed += 1);
        true
    }
}

/// The shortest time for which a mailbox stays that somebody came for, however little memory there is: long enough for
/// a request that opened it to end.
const UNLOAD_EARLY_MS: u64 = 10_000;

enum Look {
    Gone,
    Unused(Unused),
    Used(u64),
}

/// The table itself holds one.
fn is_used(handle: &Rc<AccountHandle>) -> bool {
    Rc::strong_count(handle) > 1
}
