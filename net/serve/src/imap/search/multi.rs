//! ESEARCH (RFC 7377): one search in many mailboxes.

use super::{Found, all, searched};
use crate::failure::refuse;
use crate::imap::link::Link;
use crate::imap::session::Session;
use skein_base::MailboxId;
use skein_proto::imap::response::{self, Correlator};
use skein_proto::imap::{MailboxFilter, Reply, Results, Returns, SearchKey};
use skein_store::account::Account;
use skein_store::mailbox::ViewId;
use skein_store::{AccountError, AccountHandle, StoreError};
use std::collections::HashSet;
use std::io;
use std::rc::Rc;

/// A view for as long as a mailbox is searched.
pub(super) struct Glimpse {
    account: Rc<AccountHandle>,
    mailbox: MailboxId,
    pub view: ViewId,
}

impl Drop for Glimpse {
    fn drop(&mut self) {
        self.account.close_view(self.mailbox, self.view);
    }
}

impl Session {
    pub(in crate::imap) async fn multi_search(
        &mut self,
        sources: &[MailboxFilter],
        key: SearchKey,
        needs_modseq: bool,
        returns: &Returns,
        link: &mut Link<'_>,
    ) -> io::Result<Reply> {
        let selected = self.selected.as_ref().map(|selected| (selected.mailbox, selected.view));
        let wants_selected = sources.is_empty() || sources.contains(&MailboxFilter::Selected);
        if selected.is_none() && (wants_selected || returns.update.is_some()) {
            return Ok(Reply::bad("No mailbox is selected"));
        }
        let mut draft = match self.draft(&key, Some(returns)) {
            Ok(draft) => draft,
            Err(reply) => return Ok(reply),
        };
        let only = selected.filter(|_| wants_selected).map(|(mailbox, _)| mailbox);
        let mailboxes = self.account.read(|account| mailboxes(account, sources, only));
        let (mut failed, mut refusal) = (0, None);
        link.begin_progress(self, None);
        for (mailbox, name) in mailboxes {
            let open = selected.filter(|(selected, _)| *selected == mailbox);
            let glimpse = match open {
                Some(_) => None,
                None => match self.glimpse(mailbox).await {
                    Ok(glimpse) => Some(glimpse),
                    // It was deleted meanwhile.
                    Err(StoreError::Account(AccountError::NoSuchMailbox)) => continue,
                    Err(error) => {
                        refusal = Some(refuse(&error));
                        continue;
                    }
                },
            };
            let view = glimpse.as_ref().map_or_else(|| open.expect("one of them").1, |glimpse| glimpse.view);
            let test = self.test(mailbox, view, key.clone());
            let mut found = Found::none(true);
            self.find((mailbox, view), &test, &all(), &mut found, Some(link)).await?;
            failed += found.failed;
            let results = Results::Mailbox(found.numbers);
            let highest = found.highest.filter(|_| needs_modseq);
            let (uids, highest) = self.meant((mailbox, view), returns, true, &results, highest);
            if !results.is_empty() && returns.is_told() {
                let validity = self.look(mailbox, |m| m.validity());
                let of =
                    Correlator { tag: &returns.tag, mailbox: Some((&self.told_name(&name), validity, link.names())) };
                response::esearch(link.out(), of, returns, true, &results, highest);
            }
            if open.is_some() {
                self.remember(returns, uids, found.failed);
                if let Some(draft) = draft.take() {
                    self.keep(draft, returns.clone(), true, &results, None, link.out());
                }
            }
            link.drain_if_full(self).await?;
            skein_runtime::session_yield().await;
        }
        if draft.is_some() {
            response::no_update(link.out(), &returns.tag, "The selected mailbox is not searched");
        }
        Ok(refusal.unwrap_or_else(|| searched(failed)))
    }

    pub(super) async fn glimpse(&self, mailbox: MailboxId) -> Result<Glimpse, StoreError> {
        self.store.load(&self.account, mailbox).await?;
        let open = |account: &mut Account| account.mailbox_mut(mailbox).map(|m| m.open_view(true));
        let view = self.account.with_mut(open).ok_or(AccountError::NoSuchMailbox)?;
        Ok(Glimpse { account: Rc::clone(&self.account), mailbox, view })
    }
}

/// Each mailbox that is meant, once.
fn mailboxes(account: &Account, sources: &[MailboxFilter], selected: Option<MailboxId>) -> Vec<(MailboxId, String)> {
    let subscribed: HashSet<&str> = account.subscriptions().collect();
    let is_meant = |id: MailboxId, name: &str| {
        selected == Some(id) || sources.iter().any(|source| source.covers(name, subscribed.contains(name)))
    };
    let meant = account.mailboxes().filter(|mailbox| is_meant(mailbox.id, mailbox.name));
    meant.map(|mailbox| (mailbox.id, mailbox.name.to_string())).collect()
}
