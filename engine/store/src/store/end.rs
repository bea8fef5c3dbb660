//! How an account ends: its mail goes, all of it, and never comes back.
//!
//! ```text
//! end ── record in the log ── durable ──▶ nobody sees the mail any more
//!           files removed ── that is safe ── a tree that names nothing ──▶ the record is needed no more
//! ```
//!
//! After a crash between, whoever comes first, a login or a drain, finishes it. The tree stays, so that records of before, in
//! segments that outlive that of the end, are passed over, and an account that begins anew gives no UIDVALIDITY again.

use super::{Slot, Store, paths};
use crate::account::{self, Account, AccountError};
use crate::account_handle::{AccountHandle, Lost};
use crate::body::Bodies;
use crate::error::StoreError;
use crate::log::TailRecord;
#[cfg(test)]
use crate::log::tests::Mutant;
use crate::pack::parse_pack_name;
use skein_base::seam::{Clock, Disk};
use skein_base::sync::Notify;
use skein_base::{AccountId, LogPos};
use skein_index::{AccountSnapshot, write_beside};
use std::future::Future;
use std::io;
use std::path::Path;
use std::rc::Rc;

impl<D: Disk, C: Clock> Store<D, C> {
    /// Ends an account: at once for whoever has it open, for good when the future says so. Also the place of the end in the
    /// log. A user who comes again begins a new account. The future must be run to its end.
    ///
    /// # Errors
    /// The log refuses; nothing changed. Of the future: when the log failed nothing has changed either; when the disk did, the
    /// mail is gone, and what is left of its files goes later.
    pub fn end(
        &self,
        handle: &Rc<AccountHandle>,
    ) -> Result<(LogPos, impl Future<Output = Result<(), StoreError>> + use<D, C>), StoreError> {
        let id = handle.id();
        // Should the log lose the end, the account is what its files say.
        let bodies_from = handle.bodies_from();
        let end = self.commit(handle, &handle.read(Account::end_all))?;
        // Whoever comes now waits for the end, and needs its records no less than those of an account that is open.
        let done = Notify::new();
        self.0.accounts.borrow_mut().insert(id, Slot::Opening(done.clone()));
        self.0.tail.borrow_mut().give_back(id, handle.take_tail());
        self.0.tail.borrow_mut().names_bodies_from(id, bodies_from);
        handle.lose(Lost::Ended);
        let (store, handle) = (self.clone(), handle.clone());
        let finish = async move {
            let finished = store.see_to_the_end(&handle, end).await;
            store.0.accounts.borrow_mut().remove(&id);
            done.notify_all();
            finished
        };
        Ok((end, finish))
    }

    async fn see_to_the_end(&self, handle: &AccountHandle, end: LogPos) -> Result<(), StoreError> {
        let id = handle.id();
        while Self::is_still_writing(handle) {
            handle.changed().notified().await;
        }
        #[cfg(test)]
        if self.0.log.mutant() == Mutant::RemoveBeforeEnd {
            self.remove_files(id, &paths::account(&self.0.dir, id)).await?;
        }
        if let Err(error) = self.0.log.durable(end).await {
            let mut kept = self.0.tail.borrow_mut().take(id, LogPos::default());
            kept.truncate(kept.partition_point(|record| self.0.log.is_durable(record.end)));
            self.0.tail.borrow_mut().give_back(id, kept);
            return Err(error.into());
        }
        tracing::info!(user = %handle.user(), account = %id.hex(), "an account has ended; its mail is removed");
        self.count(|m| m.accounts_ended += 1);
        match self.bring_up(id, None).await {
            Err(StoreError::Account(AccountError::NoSuchAccount)) => Ok(()),
            Err(error) => Err(error),
            Ok(_) => unreachable!("its last record ends it"),
        }
    }

    /// Whether there are snapshots or packs of an account, which then is not gone even if nothing names it.
    ///
    /// # Errors
    /// Its folder can not be read.
    pub async fn left_files(&self, id: AccountId) -> Result<bool, StoreError> {
        let names = self.names_in(&paths::account(&self.0.dir, id)).await?;
        Ok(names.iter().any(|name| paths::mailbox_of(name).is_some() || parse_pack_name(name).is_some()))
    }

    /// The end of an account in the log's tail that files do not know of yet.
    pub(super) async fn unfinished_end(&self, id: AccountId, folder: &Path) -> Result<Option<TailRecord>, StoreError> {
        let Some(end) = self.0.tail.borrow().end_of(id) else { return Ok(None) };
        let known_to = match self.0.disk.map(&paths::tree(folder)).await {
            Ok(map) => {
                AccountSnapshot::decode(&map).ok().filter(|(tree, _)| tree.account == id).map(|(tree, _)| tree.true_to)
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(error.into()),
        };
        let known_to = match known_to {
            Some(known_to) => known_to,
            // Without a tree that reads, its snapshots tell whether the account has begun anew.
            None => self.newest_snapshot(id, folder).await?,
        };
        Ok((known_to < end.end).then_some(end))
    }

    async fn newest_snapshot(&self, id: AccountId, folder: &Path) -> Result<LogPos, StoreError> {
        let mut newest = LogPos::default();
        for name in self.names_in(folder).await? {
            if paths::mailbox_of(&name).is_some() {
                let map = self.0.disk.map(&folder.join(name)).await?;
                let head = skein_index::read_head(&map).ok().filter(|head| head.account == id);
                newest = newest.max(head.map_or(LogPos::default(), |head| head.true_to));
            }
        }
        Ok(newest)
    }

    /// Removes what the account had, and leaves a tree that says so; the account as it is then.
    pub(super) async fn finish_end(
        &self,
        id: AccountId,
        folder: &Path,
        end: TailRecord,
    ) -> Result<Account, StoreError> {
        let mut state = Account::unborn();
        state.apply(&self.read_ops(id, &end).await?, end.end);
        #[cfg(test)]
        let folder_before = if self.0.log.mutant() == Mutant::EndBeforeRemoval { Path::new("/none") } else { folder };
        #[cfg(not(test))]
        let folder_before = folder;
        self.remove_files(id, folder_before).await?;
        self.0.disk.create_dir_all(folder).await?;
        let (version, payload) =
            (account::tree_version(&state, Bodies::Move), account::encode_account(&state, Bodies::Move));
        let tree = AccountSnapshot { account: id, true_to: end.end, version, payload };
        let tree = write_beside(&self.0.disk, &paths::tree(folder), tree.encode()).await?;
        tree.sync().await?;
        tree.put_in_place().await?;
        self.0.disk.sync_dir(folder).await?;
        #[cfg(test)]
        if self.0.log.mutant() == Mutant::EndBeforeRemoval {
            self.remove_all_but_tree(folder).await?;
        }
        Ok(state)
    }

    /// All files of the account, for good: a tree in place says that none can come back.
    async fn remove_files(&self, id: AccountId, folder: &Path) -> Result<(), StoreError> {
        for name in self.names_in(folder).await? {
            self.0.disk.remove(&folder.join(&name)).await?;
            if let Some(number) = parse_pack_name(&name) {
                self.0.packs.forget(id, number);
            }
            self.0.disk.breathe().await;
        }
        match self.0.disk.sync_dir(folder).await {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            synced => Ok(synced?),
        }
    }

    /// The same too late: a mistake on purpose.
    #[cfg(test)]
    async fn remove_all_but_tree(&self, folder: &Path) -> Result<(), StoreError> {
        for name in self.names_in(folder).await?.into_iter().filter(|name| name != "tree") {
            self.0.disk.remove(&folder.join(name)).await?;
        }
        Ok(())
    }

    async fn names_in(&self, folder: &Path) -> Result<Vec<String>, StoreError> {
        match self.0.disk.list(folder).await {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
            names => Ok(names?),
        }
    }
}
