//! QUIT's update: what is marked deleted goes, and the client is told once that is durable (RFC 1939 §6).

use super::Pop3Delete;
use super::session::{Session, refuse};
use crate::metrics;
use skein_base::{Flags, IdSet, MailboxId};
use skein_proto::pop3::Reply;
use skein_store::account::StoreRequest;
use skein_store::op::{Op, StoreMode};
use skein_store::{Actor, StoreError};

/// Messages of one change: a record in the log stays far below its bound even when no two of them are neighbours.
const UPDATE_BATCH: usize = 16 * 1024;

impl Session {
    pub(super) async fn update(&mut self) -> Reply {
        self.settle();
        match self.remove_marked().await {
            Ok(()) => Reply::Done,
            Err(error) => refuse(&error),
        }
    }

    async fn remove_marked(&mut self) -> Result<(), StoreError> {
        let (mut from, mut removed) = (1, 0);
        loop {
            let batch = self.maildrop.marked_from(from, UPDATE_BATCH);
            let Some((last, _)) = batch.last() else { break };
            from = last + 1;
            removed += batch.len();
            let uids: IdSet = batch.iter().map(|(_, uid)| uid.0).collect();
            let ops = self.removal(uids)?;
            self.store.commit_for(&Actor::Owner, &self.account, &ops)?;
            skein_runtime::session_yield().await;
        }
        if removed > 0 {
            self.store.durable(&self.account).await?;
            self.maildrop.unmark_all();
            metrics::POP3_DELETED.add(removed as u64);
        }
        Ok(())
    }

    /// The change; what others expunged meanwhile is gone already.
    fn removal(&self, uids: IdSet) -> Result<Vec<Op>, StoreError> {
        let ops = self.account.read(|account| match &self.settings.delete {
            Pop3Delete::Expunge => account.remove(MailboxId::INBOX, &uids),
            Pop3Delete::Flag(keyword) => {
                let (mode, flags, keywords) = (StoreMode::Add, Flags::default(), vec![keyword.clone()]);
                let request = StoreRequest { uids, mode, flags, keywords, unchanged_since: None };
                account.store(MailboxId::INBOX, request).map(|(ops, _)| ops)
            }
        });
        Ok(ops?)
    }
}
