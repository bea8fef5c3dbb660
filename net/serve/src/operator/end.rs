//! The end of an account, and one that comes back.

use crate::failure::log;
use crate::host::Host;
use crate::imap::{forget_guest, hosts_of, told};
use skein_base::{AccountId, Class, UserName};
use skein_store::{Refused, RestoreError, Restored, StoreError};

impl Host {
    /// Ends an account of this shard: its sessions end, its mail is removed for good, and a user who comes again begins anew. What he had
    /// of his own in mailboxes of others goes too.
    ///
    /// # Errors
    /// There is none, or the log failed, and it has not ended; or the disk did, and what is left of its files goes later.
    pub async fn end_account(&self, id: AccountId) -> Result<(), StoreError> {
        let account = self.store().open_known(id).await?;
        let user = account.user().clone();
        let (mut hosts, told) = account.read(|account| (hosts_of(account), told(account)));
        hosts.extend(UserName::new(&self.settings().config.namespaces.public_owner).ok());
        // Before it: when this is cut short the account is still there, to be ended again. And after: his sessions went on until then.
        self.forget_guest(&user, &hosts).await?;
        let (_, finish) = self.store().end(&account)?;
        // While it waits for checkpoints of the account, this must not hold one back.
        drop(account);
        finish.await?;
        self.share_nothing(&user, &told).await;
        self.forget_guest(&user, &hosts).await
    }

    /// Puts an account of this shard back from what was copied beside it ([`skein_store::Store::restore`]). Those with whom something of
    /// it is shared hear of it again: what they were told before may have gone with it, or was told on another server.
    ///
    /// # Errors
    /// Why not; then everything is as it was.
    pub async fn restore_account(&self, user: &UserName, replace: bool) -> Result<Restored, RestoreError> {
        let id = AccountId::of(user);
        // One that is damaged, or is not there, has told nobody as far as is known.
        let told = self.store().open_known(id).await.map(|account| account.read(told)).unwrap_or_default();
        let restored = self.store().restore(user, replace).await?;
        match self.store().open_known(id).await {
            Ok(account) => self.tell_grantees(&account, told).await,
            Err(error) => log(&error),
        }
        Ok(restored)
    }

    async fn forget_guest(&self, user: &UserName, hosts: &[UserName]) -> Result<(), StoreError> {
        for owner in hosts {
            let (whose, gone) = (owner.clone(), user.clone());
            let forgotten = self.at_home_of(owner, async move |host| forget_guest(&host, &whose, &gone).await);
            forgotten.await.unwrap_or_else(|| {
                Err(Refused::new(Class::Unavailable, "A shard does not keep up; try again").into())
            })?;
        }
        Ok(())
    }
}
