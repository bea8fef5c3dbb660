//! SORT (RFC 5256): what is found, by what the columns and the cached header fields say of it.

use super::link::Link;
use super::search::{Found, searched, sent_of};
use super::session::Session;
use crate::message::Message;
use skein_base::{Collation, IdSet, MailboxId, Uid};
use skein_mime::{base_subject, compare_texts, fields, first_display, first_mailbox};
use skein_proto::imap::{Reply, Results, Returns, SearchKey, SortBy, SortKey, response};
use skein_store::StoreError;
use skein_store::mailbox::{CacheAt, Fixed, ViewId};
use std::cmp::Ordering;
use std::io;

/// Messages taken at a time.
const BATCH: usize = 256;
/// New messages that are placed one by one in an order that is known, and which part of all they are at most: each reads some twenty others.
const PLACED_MAX: usize = 1024;
const PLACED_SHARE: usize = 32;
/// Messages looked into before others get the shard.
const LOOKED_INTO_BATCH: usize = 8;

/// What is compared of one message.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum Value {
    Number(i64),
    Text(String),
}

/// A message with its values in the order of the criteria.
struct Sorted {
    uid: Uid,
    values: Vec<Value>,
}

impl Session {
    pub(super) async fn sort(
        &mut self,
        uid: bool,
        by: Vec<SortBy>,
        key: SearchKey,
        needs_modseq: bool,
        returns: Option<Returns>,
        link: &mut Link<'_>,
    ) -> io::Result<Reply> {
        if self.selected.is_none() {
            return Ok(Reply::bad("No mailbox is selected"));
        }
        let draft = match self.draft(&key, returns.as_ref()) {
            Ok(draft) => draft,
            Err(reply) => return Ok(reply),
        };
        let Found { numbers, mut failed, highest, .. } = match self.found(key, link).await? {
            Ok(found) => found,
            Err(refusal) => {
                // Of what is refused with NO nothing is saved (RFC 5182 §2.1).
                if let Some(returns) = &returns {
                    self.remember(returns, IdSet::new(), 0);
                }
                return Ok(refusal);
            }
        };
        let numbers = self.ordered(&numbers, (uid, &by), &mut failed, link).await?;
        let highest = highest.filter(|_| needs_modseq);
        match returns {
            None => response::sort(link.out(), &numbers, highest),
            Some(returns) => {
                let results = Results::Sorted(numbers);
                self.tell(&returns, uid, &results, highest, failed, link.out());
                if let Some(draft) = draft {
                    self.keep(draft, returns, uid, &results, Some(by), link.out());
                }
            }
        }
        Ok(searched(failed))
    }

    /// What is found, in the order of the criteria: UIDs or message numbers. How many can not be read is added to `failed`.
    async fn ordered(
        &self,
        uids: &IdSet,
        (by_uid, by): (bool, &[SortBy]),
        failed: &mut u32,
        link: &mut Link<'_>,
    ) -> io::Result<Vec<u32>> {
        let Some(selected) = &self.selected else { return Ok(Vec::new()) };
        let open = (selected.mailbox, selected.view);
        let (whose, places) = (self.whose(selected.mailbox), self.places_of(open, uids).await);
        let kept = self.host.kept().order(whose.clone(), by);
        let mut order: Vec<u32> = kept.iter().flat_map(|kept| kept.iter().copied()).collect();
        order.retain(|uid| places.find(*uid).is_some());
        let new = places.without(&order);
        if new.len() > PLACED_MAX.min(places.len() / PLACED_SHARE) {
            order = self.sorted_anew(uids, by, failed, link).await?;
        } else {
            link.advance(order.len(), self).await?;
            for uid in &new {
                match self.place(open, by, &order, *uid).await {
                    Ok(at) => order.insert(at, *uid),
                    Err(error) => {
                        crate::failure::log(&error);
                        *failed += 1;
                    }
                }
                link.advance(1, self).await?;
                skein_runtime::session_yield().await;
            }
        }
        if !new.is_empty() && kept.is_none_or(|kept| kept.len() <= order.len() || new.len() > PLACED_MAX) {
            self.host.kept().keep_order(whose, by, &order);
        }
        Ok(order.into_iter().filter_map(|uid| places.number(uid, by_uid)).collect())
    }

    /// UIDs in the order of the criteria.
    async fn sorted_anew(
        &self,
        uids: &IdSet,
        by: &[SortBy],
        failed: &mut u32,
        link: &mut Link<'_>,
    ) -> io::Result<Vec<u32>> {
        let mut all = self.values(uids, by, failed, link).await?;
        all.sort_unstable_by(|a, b| compare(a, b, by));
        Ok(all.into_iter().map(|one| one.uid.0).collect())
    }

    /// Where a message belongs among others that are in order.
    pub(super) async fn place(
        &self,
        (mailbox, view): (MailboxId, ViewId),
        by: &[SortBy],
        order: &[u32],
        uid: u32,
    ) -> Result<usize, StoreError> {
        let new = self.sorted((mailbox, view), by, uid).await?;
        let (mut low, mut high) = (0, order.len());
        while low < high {
            let middle = low + (high - low) / 2;
            match (&new, self.sorted((mailbox, view), by, order[middle]).await?) {
                (Some(new), Some(known)) if compare(&known, new, by).is_gt() => high = middle,
                _ => low = middle + 1,
            }
        }
        Ok(low)
    }

    /// One message with its values, when the view has it.
    async fn sorted(
        &self,
        (mailbox, view): (MailboxId, ViewId),
        by: &[SortBy],
        uid: u32,
    ) -> Result<Option<Sorted>, StoreError> {
        let found = self.look(mailbox, |m| {
            let mut seen = Vec::new();
            m.visible(view, &IdSet::one(uid), Uid(uid), 1, &mut seen);
            seen.first().map(|seen| (m.fixed(seen.row), m.cache(seen.row)))
        });
        let Some((fixed, cache)) = found else { return Ok(None) };
        Ok(Some(Sorted { uid: Uid(uid), values: self.values_of(fixed, cache, by).await? }))
    }

    async fn values(
        &self,
        uids: &IdSet,
        by: &[SortBy],
        failed: &mut u32,
        link: &mut Link<'_>,
    ) -> io::Result<Vec<Sorted>> {
        let Some(selected) = &self.selected else { return Ok(Vec::new()) };
        let (mut all, mut from) = (Vec::new(), Uid(1));
        loop {
            let batch: Vec<(Uid, Fixed, CacheAt)> = self.look(selected.mailbox, |m| {
                let mut seen = Vec::with_capacity(BATCH);
                m.visible(selected.view, uids, from, BATCH, &mut seen);
                seen.iter().map(|seen| (seen.row.uid, m.fixed(seen.row), m.cache(seen.row))).collect()
            });
            let Some((last, _, _)) = batch.last() else { return Ok(all) };
            from = Uid(last.0 + 1);
            for (i, (uid, fixed, cache)) in batch.into_iter().enumerate() {
                match self.values_of(fixed, cache, by).await {
                    Ok(values) => all.push(Sorted { uid, values }),
                    Err(error) => {
                        crate::failure::log(&error);
                        *failed += 1;
                    }
                }
                link.advance(1, self).await?;
                if i % LOOKED_INTO_BATCH == LOOKED_INTO_BATCH - 1 {
                    skein_runtime::session_yield().await;
                }
            }
        }
    }

    async fn values_of(&self, fixed: Fixed, cache: CacheAt, by: &[SortBy]) -> Result<Vec<Value>, StoreError> {
        let mut message = Message::new(&self.store, &self.account, fixed, cache);
        let mut values = Vec::with_capacity(by.len());
        for SortBy { key, comparator, .. } in by {
            let by = comparator.collation;
            values.push(match key {
                SortKey::Arrival => Value::Number(fixed.internal_date),
                SortKey::Size => Value::Number(i64::from(fixed.size)),
                SortKey::Date => Value::Number(sent_or_received(&mut message, &fixed).await?),
                SortKey::DisplayFrom => Value::Text(text(&mut message, "From", by, first_display).await?),
                SortKey::DisplayTo => Value::Text(text(&mut message, "To", by, first_display).await?),
                SortKey::Subject => {
                    Value::Text(text(&mut message, "Subject", by, |value, by| base_subject(value, by).text).await?)
                }
                SortKey::From => Value::Text(text(&mut message, "From", by, first_mailbox).await?),
                SortKey::To => Value::Text(text(&mut message, "To", by, first_mailbox).await?),
                SortKey::Cc => Value::Text(text(&mut message, "Cc", by, first_mailbox).await?),
            });
        }
        Ok(values)
    }
}

/// When a message was sent, or else when it came (RFC 5256 §2.2).
pub(super) async fn sent_or_received(message: &mut Message<'_>, fixed: &Fixed) -> Result<i64, StoreError> {
    let sent = match message.cache().await {
        Some(cache) => cache.sent_date(),
        None => sent_of(message.whole().await?),
    };
    Ok(sent.map_or(fixed.internal_date, |sent| sent.seconds))
}

/// What is compared of the first field of a name; nothing when there is none.
async fn text(
    message: &mut Message<'_>,
    name: &str,
    by: Collation,
    of: fn(&[u8], Collation) -> String,
) -> Result<String, StoreError> {
    let header = message.header(true).await?;
    Ok(fields(&header).find(|field| field.is(name)).map_or_else(String::new, |field| of(field.value, by)))
}

/// By the criteria, then by number (RFC 5256 §3), which UIDs are in the order of.
fn compare(a: &Sorted, b: &Sorted, by: &[SortBy]) -> Ordering {
    let each = a.values.iter().zip(&b.values).zip(by);
    let ordering = each.map(|((a, b), by)| {
        let ordering = match (a, b) {
            (Value::Text(a), Value::Text(b)) => compare_texts(a, b, by.comparator.descending),
            _ => a.cmp(b),
        };
        if by.reverse { ordering.reverse() } else { ordering }
    });
    ordering.fold(Ordering::Equal, Ordering::then).then(a.uid.cmp(&b.uid))
}
