//! THREAD (RFC 5256): what is found, as threads by subject or by what messages refer to.

use super::link::Link;
use super::search::{Found, searched};
use super::session::Session;
use super::sort::sent_or_received;
use crate::message::Message;
use skein_base::{IdSet, Uid};
use skein_mime::{ThreadNode, Threads};
use skein_proto::imap::{Code, Reply, SearchKey, ThreadBy, response};
use skein_store::StoreError;
use skein_store::mailbox::{CacheAt, Fixed};
use std::io;

/// Messages taken at a time.
const BATCH: usize = 256;
/// Messages looked into before others get the shard.
const LOOKED_INTO_BATCH: usize = 8;

impl Session {
    pub(super) async fn thread(
        &mut self,
        uid: bool,
        by: ThreadBy,
        key: SearchKey,
        link: &mut Link<'_>,
    ) -> io::Result<Reply> {
        if self.selected.is_none() {
            return Ok(Reply::bad("No mailbox is selected"));
        }
        let Found { numbers, mut failed, .. } = match self.found(key, link).await? {
            Ok(found) => found,
            Err(refusal) => return Ok(refusal),
        };
        let threads = self.linked(&numbers, (uid, by), &mut failed, link).await?;
        // Making the forest of a large mailbox takes milliseconds.
        let nodes = match skein_runtime::spawn_blocking(move || threads.finish()).await {
            Ok(nodes) => nodes,
            Err(panicked) => {
                tracing::error!(%panicked, "threads could not be made");
                return Ok(Reply::No { code: Some(Code::ServerBug), text: "Threads could not be made".into() });
            }
        };
        response::thread(link.out(), nodes.iter().map(|ThreadNode { number, children }| (*number, *children)));
        Ok(searched(failed))
    }

    /// The messages with what they refer to; how many can not be read is added to `failed`.
    async fn linked(
        &self,
        uids: &IdSet,
        (by_uid, by): (bool, ThreadBy),
        failed: &mut u32,
        link: &mut Link<'_>,
    ) -> io::Result<Threads> {
        let mut threads = Threads::new(match by {
            ThreadBy::OrderedSubject => skein_mime::ThreadBy::OrderedSubject,
            ThreadBy::References => skein_mime::ThreadBy::References,
            ThreadBy::Refs => skein_mime::ThreadBy::Refs,
        });
        let Some(selected) = &self.selected else { return Ok(threads) };
        let mut from = Uid(1);
        loop {
            let batch: Vec<(u32, Uid, Fixed, CacheAt)> = self.look(selected.mailbox, |m| {
                let mut seen = Vec::with_capacity(BATCH);
                m.visible(selected.view, uids, from, BATCH, &mut seen);
                let number = |uid: Uid, seq: u32| if by_uid { uid.0 } else { seq };
                let all = seen
                    .iter()
                    .map(|seen| (number(seen.row.uid, seen.seq.0), seen.row.uid, m.fixed(seen.row), m.cache(seen.row)));
                all.collect()
            });
            let Some((_, last, _, _)) = batch.last() else { return Ok(threads) };
            from = Uid(last.0 + 1);
            for (i, (number, _, fixed, cache)) in batch.into_iter().enumerate() {
                if let Err(error) = self.link_one(number, fixed, cache, &mut threads).await {
                    crate::failure::log(&error);
                    *failed += 1;
                }
                link.advance(1, self).await?;
                if i % LOOKED_INTO_BATCH == LOOKED_INTO_BATCH - 1 {
                    skein_runtime::session_yield().await;
                }
            }
        }
    }

    async fn link_one(
        &self,
        number: u32,
        fixed: Fixed,
        cache: CacheAt,
        threads: &mut Threads,
    ) -> Result<(), StoreError> {
        let mut message = Message::new(&self.store, &self.account, fixed, cache);
        let sent = sent_or_received(&mut message, &fixed).await?;
        threads.push(number, sent, &message.header(true).await?);
        Ok(())
    }
}
