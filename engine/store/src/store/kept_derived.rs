//! Derived mailboxes of accounts that have left memory. Nothing of them is on disk, so their UIDs, which clients know, would go with them.
//!
//! ```text
//! account closed ──▶ kept, while there is room ──▶ account opened: as they were, since nothing happens to one that nobody has open
//!                        └── the oldest go first, or what they stand on was salvaged ──▶ derived anew, with another UIDVALIDITY
//! ```

use crate::account::AllDerived;
use skein_base::AccountId;
use std::collections::{BTreeMap, HashMap};

#[derive(Default)]
pub(super) struct KeptDerived {
    all: HashMap<AccountId, Kept>,
    /// By when they came.
    order: BTreeMap<u64, AccountId>,
    bytes: usize,
    came: u64,
}

struct Kept {
    came: u64,
    bytes: usize,
    derived: AllDerived,
}

impl KeptDerived {
    pub fn put(&mut self, id: AccountId, derived: AllDerived) {
        self.forget(id);
        let (came, bytes) = (self.came, derived.memory_bytes());
        self.came += 1;
        self.bytes += bytes;
        self.order.insert(came, id);
        self.all.insert(id, Kept { came, bytes, derived });
    }

    pub fn take(&mut self, id: AccountId) -> Option<AllDerived> {
        let kept = self.all.remove(&id)?;
        self.order.remove(&kept.came);
        self.bytes -= kept.bytes;
        Some(kept.derived)
    }

    pub fn forget(&mut self, id: AccountId) {
        drop(self.take(id));
    }

    /// Lets go of those that came first until the rest takes no more than this; what it takes.
    pub fn trim(&mut self, bytes_max: u64) -> u64 {
        while self.bytes as u64 > bytes_max
            && let Some((_, id)) = self.order.pop_first()
        {
            self.forget(id);
        }
        self.bytes as u64
    }
}
