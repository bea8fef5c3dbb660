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
    /// When time alone next makes something another of what was looked at, Unix seconds.
    pub turns: Option<i64>,
    _kept: Vec<Glimpse>,
}

impl Session {
    /// Looks at what has changed in mailboxes since a modseq of each, and at what time has changed since `as_of`. What can not be read is not found,
    /// and the log says so.
    pub(in crate::imap) async fn look_through(
        &self,
        key: &SearchKey,
        due: Vec<(MailboxId, ModSeq)>,
        as_of: Option<i64>,
    ) -> Result<Looked, StoreError> {
        let (mut all, mut kept) = (Vec::with_capacity(due.len()), Vec::with_capacity(due.len()));
        let (now, mut turns) = (self.store.now(), None);
        for (source, since) in due {
            let glimpse = match self.glimpse(source).await {
                // It was deleted meanwhile.
                Err(StoreError::Account(AccountError::NoSuchMailbox)) => continue,
                glimpse => glimpse?,
            };
            let (modseq, changed): (ModSeq, IdSet) = self.look(source, |m| {
                let changed = m.rows().changed_since(since).map(|row| row.uid.0);
                (m.modseq(), changed.collect())
            });
            let (open, test) = ((source, glimpse.view), self.test(source, glimpse.view, key.clone()));
            let (aged, next) = match as_of {
                Some(as_of) => self.aged(open, &test, &super::all(), as_of..now).await,
                None => self.aged(open, &test, &changed, now..now).await,
            };
            turns = turns.into_iter().chain(next).min();
            let (among, aged) = (changed.union(&aged), aged.difference(&changed));
            let mut found = Found::none(true);
            if !among.is_empty() {
                let _nobody_is_told = self.find(open, &test, &among, &mut found, None).await;
            }
            all.push(account::Found { source, modseq, among, aged, found: found.numbers });
            kept.push(glimpse);
        }
        Ok(Looked { found: all, turns, _kept: kept })
    }
}
