//! What a virtual mailbox looks for, in the mailboxes where something may have come to it.

use super::Found;
use super::multi::Glimpse;
use crate::imap::session::Session;
use skein_base::{IdSet, MailboxId, ModSeq};
use skein_proto::imap::SearchKey;
use skein_store::account;
use skein_store::{AccountError, StoreError};

/// What was found. The mailboxes stay in memory for as long as this lives.
pub(in crate::imap) struct Looked {
    pub found: Vec<account::Found>,
    _kept: Vec<Glimpse>,
}

impl Session {
    /// Looks at what has changed in mailboxes since a modseq of each. What can not be read is not found, and the log says so.
    pub(in crate::imap) async fn look_through(
        &self,
        key: &SearchKey,
        due: Vec<(MailboxId, ModSeq)>,
    ) -> Result<Looked, StoreError> {
        let (mut all, mut kept) = (Vec::with_capacity(due.len()), Vec::with_capacity(due.len()));
        for (source, since) in due {
            let glimpse = match self.glimpse(source).await {
                // It was deleted meanwhile.
                Err(StoreError::Account(AccountError::NoSuchMailbox)) => continue,
                glimpse => glimpse?,
            };
            let (modseq, among): (ModSeq, IdSet) = self.look(source, |m| {
                let changed = m.rows().changed_since(since).map(|row| row.uid.0);
                (m.modseq(), changed.collect())
            });
            let mut found = Found::none(true);
            if !among.is_empty() {
                let test = self.test(source, glimpse.view, key.clone());
                let _nobody_is_told = self.find((source, glimpse.view), &test, &among, &mut found, None).await;
            }
            all.push(account::Found { source, modseq, among, found: found.numbers });
            kept.push(glimpse);
        }
        Ok(Looked { found: all, _kept: kept })
    }
}
