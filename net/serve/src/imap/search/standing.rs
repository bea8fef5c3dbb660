//! What a virtual mailbox looks for, or what an extension shows in one, in the mailboxes where something may have come to it.

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
            let Some(glimpse) = self.glimpse_if_there(source).await? else { continue };
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

    /// Has the extension whose mailbox this is look at others, at all that is in them: what its decision goes by is its own to know.
    pub(in crate::imap) async fn let_extension_look(
        &self,
        name: &str,
        due: Vec<(MailboxId, ModSeq)>,
    ) -> Result<Looked, StoreError> {
        let (mut all, mut kept) = (Vec::with_capacity(due.len()), Vec::with_capacity(due.len()));
        for (source, _) in due {
            let Some(glimpse) = self.glimpse_if_there(source).await? else { continue };
            let found = self.account.read(|account| self.extensions.shows(name, account, source));
            all.push(self.look(source, |m| {
                let among: IdSet = m.rows().from_rank(0).map(|row| row.uid.0).collect();
                account::Found { source, modseq: m.modseq(), among, aged: IdSet::new(), found }
            }));
            kept.push(glimpse);
        }
        Ok(Looked { found: all, turns: None, _kept: kept })
    }

    /// `None` when it was deleted meanwhile.
    async fn glimpse_if_there(&self, mailbox: MailboxId) -> Result<Option<Glimpse>, StoreError> {
        match self.glimpse(mailbox).await {
            Err(StoreError::Account(AccountError::NoSuchMailbox)) => Ok(None),
            glimpse => glimpse.map(Some),
        }
    }
}
