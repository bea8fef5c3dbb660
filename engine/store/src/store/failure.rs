//! What becomes of accounts when the log fails under them.
//!
//! An account whose memory ran ahead of what is safe is let go of: its sessions end, and whoever opens it again gets it
//! from disk and log as if the server had been started anew. All others go on; reading needs no log.

use super::{Shared, Slot, Store};
use crate::account_handle::{AccountHandle, Lost};
use crate::body::{BodyAddr, Place};
use crate::error::StoreError;
use crate::log::LogError;
use crate::op::Op;
use skein_base::seam::{Clock, Disk};
use skein_base::{AccountId, LogPos};
use std::rc::Rc;

impl<D: Disk, C: Clock> Store<D, C> {
    /// Hears of the log's failures as they happen.
    pub(super) fn watch_log(&self) {
        let shared = Rc::downgrade(&self.0);
        self.0.log.on_failure(move || {
            if let Some(shared) = shared.upgrade() {
                Store(shared).let_go_of_lost();
            }
        });
    }

    fn let_go_of_lost(&self) {
        let log = &self.0.log;
        let is_lost = |slot: &Slot| match slot {
            Slot::Open(handle) => handle.tail_end().and_then(|end| log.lost(end)).map(|why| (handle.clone(), why)),
            Slot::Opening(_) | Slot::Lost(_) => None,
        };
        // What is behind a position that the log gives anew would be another message's.
        self.0.caches.borrow_mut().forget_all();
        let lost: Vec<_> = self.0.accounts.borrow().values().filter_map(is_lost).collect();
        tracing::error!(accounts = lost.len(), "the log failed: accounts with changes that are lost are opened again");
        self.count(|m| m.accounts_lost += lost.len() as u64);
        for (handle, why) in lost {
            self.let_go(&handle, why);
        }
    }

    /// After pages of maps were lost, lets go of the accounts that stand on them. Called every second or so; costs nothing while all
    /// is well.
    pub async fn verify_maps(&self) {
        let hurt = self.0.disk.maps_hurt();
        if self.0.maps_hurt.replace(hurt) == hurt {
            return;
        }
        let open: Vec<Rc<AccountHandle>> = self.0.accounts.borrow().values().filter_map(Slot::open).cloned().collect();
        for handle in open {
            let bad = handle.read(|account| account.loaded().find_map(|mailbox| mailbox.verify_base().err()));
            if let Some(error) = bad
                && let Err(error) = self.distrust(&handle, &error.to_string()).await
            {
                tracing::error!(user = %handle.user(), %error, "an account that stands on damage can not be let go of yet");
                self.0.maps_hurt.set(0);
            }
            self.0.disk.breathe().await;
        }
    }

    /// Lets go of an account whose snapshots are no more what they were when it was opened. Nothing it acknowledged is lost by this: what
    /// no good snapshot has is in the log.
    ///
    /// # Errors
    /// The log fails, which then lets go of it itself.
    pub(super) async fn distrust(&self, handle: &Rc<AccountHandle>, why: &str) -> Result<(), StoreError> {
        if handle.lost().is_none() {
            tracing::error!(user = %handle.user(), why, "an account is opened again from what is left");
            self.count(|m| m.accounts_lost += 1);
        }
        self.open_anew(handle, why).await
    }

    /// The same of one that is to stand on other files than it did, with which nothing is wrong.
    ///
    /// # Errors
    /// As above.
    pub(super) async fn open_anew(&self, handle: &Rc<AccountHandle>, why: &str) -> Result<(), StoreError> {
        // A record that is not durable yet would be left out of what is replayed.
        while let Some(end) = handle.tail_end().filter(|end| !self.0.log.is_durable(*end)) {
            self.0.log.durable(end).await?;
        }
        if handle.lost().is_none() {
            self.let_go(handle, LogError::Distrusted { why: why.into() });
        }
        Ok(())
    }

    fn let_go(&self, handle: &Rc<AccountHandle>, why: LogError) {
        let mut kept = handle.take_tail();
        kept.truncate(kept.partition_point(|record| self.0.log.is_durable(record.end)));
        let mut tail = self.0.tail.borrow_mut();
        // Those of one that is still being opened are there too, with those that it has written out meanwhile.
        tail.forget(handle.id());
        tail.give_back(handle.id(), kept);
        tail.names_bodies_from(handle.id(), handle.bodies_from());
        drop(tail);
        self.0.accounts.borrow_mut().insert(handle.id(), Slot::Lost(handle.clone()));
        handle.lose(Lost::Log(why));
    }

    /// Whether an account's slot is free. One that was let go of keeps it until its checkpoint has ended: two must not
    /// write the same files.
    pub(super) fn is_still_writing(handle: &AccountHandle) -> bool {
        handle.checkpoint_runs.get()
    }

    /// A lost account whose checkpoint does not run is out of memory once its last session has ended.
    pub(super) fn forget_lost(&self, id: AccountId) {
        let mut accounts = self.0.accounts.borrow_mut();
        if matches!(accounts.get(&id), Some(Slot::Lost(handle)) if !Self::is_still_writing(handle)) {
            accounts.remove(&id);
        }
    }
}

impl<D: Disk, C: Clock> Shared<D, C> {
    /// Whether ops may be logged for an account: it is true, and so are the bodies that the ops name.
    pub(super) fn may_log(&self, handle: &AccountHandle, ops: &[Op]) -> Result<(), StoreError> {
        if let Some(error) = handle.lost() {
            return Err(error.into());
        }
        if self.log.failures() == 0 {
            return Ok(());
        }
        ops.iter().flat_map(bodies).find_map(|body| self.lost_body(&body)).map_or(Ok(()), |error| Err(error.into()))
    }

    fn lost_body(&self, body: &BodyAddr) -> Option<LogError> {
        match body.place {
            Place::Log(segment) => self.log.lost(LogPos { segment, offset: body.offset + 1 }),
            Place::Pack(_) | Place::Object(_) => None,
        }
    }
}

fn bodies(op: &Op) -> impl Iterator<Item = BodyAddr> {
    let messages = match op {
        Op::Append { messages, .. } => &messages[..],
        _ => &[],
    };
    messages.iter().map(|message| message.body)
}
