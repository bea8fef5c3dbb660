//! The end of an account.

use crate::host::Host;
use skein_base::AccountId;
use skein_store::StoreError;

impl Host {
    /// Ends an account of this shard: its sessions end, its mail is removed for good, and a user who comes again begins anew.
    ///
    /// # Errors
    /// There is none, or the log failed, and nothing has changed; or the disk did, and what is left of its files goes later.
    pub async fn end_account(&self, id: AccountId) -> Result<(), StoreError> {
        let account = self.store().open_known(id).await?;
        let (_, finish) = self.store().end(&account)?;
        // While it waits for checkpoints of the account, this must not hold one back.
        drop(account);
        finish.await
    }
}
