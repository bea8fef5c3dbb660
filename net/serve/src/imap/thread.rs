//! THREAD (RFC 5256): what is found, as threads by subject or by what messages refer to.

use super::kept::{Linked, Threaded};
use super::link::Link;
use super::search::{Found, searched};
use super::session::Session;
use super::sort::sent_or_received;
use crate::message::Message;
use skein_base::{IdSet, Uid};
use skein_mime::Threads;
use skein_proto::imap::{Code, Reply, SearchKey, ThreadBy, response};
use skein_store::StoreError;
use skein_store::mailbox::{CacheAt, Fixed};
use std::io;
use std::rc::Rc;

/// Messages taken at a time.
const BATCH: usize = 256;
/// Messages looked into before others get the shard.
const LOOKED_INTO_BATCH: usize = 8;

impl Session {
    pub(super) async fn thread(
        &mut self,
        uid: bool,
        by: Linked,
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
        let Some(selected) = &self.selected else { return Ok(Reply::bad("No mailbox is selected")) };
        let whose = self.whose(selected.mailbox);
        let threaded = match self.host.kept().threads(whose.clone(), by, &numbers) {
            Some(threaded) => {
                link.advance(threaded.uids.count() as usize, self).await?;
                threaded
            }
            None => match self.threaded_anew(numbers, by, &mut failed, link).await? {
                // What could not be read may be there the next time.
                Ok(threaded) if failed > 0 => Rc::new(threaded),
                Ok(threaded) => self.host.kept().keep_threads(whose, by, threaded),
                Err(refusal) => return Ok(refusal),
            },
        };
        let places = match uid {
            true => None,
            false => Some(self.places_of((selected.mailbox, selected.view), &threaded.uids).await),
        };
        let number = |uid: u32| places.as_ref().map_or(Some(uid), |places| places.number(uid, false));
        let nodes = threaded.nodes.iter();
        response::thread(link.out(), nodes.map(|node| (node.number.and_then(number), node.children)));
        Ok(searched(failed))
    }

    async fn threaded_anew(
        &self,
        uids: IdSet,
        by: Linked,
        failed: &mut u32,
        link: &mut Link<'_>,
    ) -> io::Result<Result<Threaded, Reply>> {
        let threads = self.linked(&uids, by, failed, link).await?;
        // Making the forest of a large mailbox takes milliseconds.
        match skein_runtime::spawn_blocking(move || threads.finish()).await {
            Ok(nodes) => Ok(Ok(Threaded { uids, nodes })),
            Err(panicked) => {
                tracing::error!(%panicked, "threads could not be made");
                Ok(Err(Reply::No { code: Some(Code::ServerBug), text: "Threads could not be made".into() }))
            }
        }
    }

    /// The messages with what they refer to; how many can not be read is added to `failed`.
    async fn linked(
        &self,
        uids: &IdSet,
        (by, collation): Linked,
        failed: &mut u32,
        link: &mut Link<'_>,
    ) -> io::Result<Threads> {
        let mut threads = Threads::new(
            match by {
                ThreadBy::OrderedSubject => skein_mime::ThreadBy::OrderedSubject,
                ThreadBy::References => skein_mime::ThreadBy::References,
                ThreadBy::Refs => skein_mime::ThreadBy::Refs,
            },
            collation,
        );
        let Some(selected) = &self.selected else { return Ok(threads) };
        let mut from = Uid(1);
        loop {
            let batch: Vec<(Uid, Fixed, CacheAt)> = self.look(selected.mailbox, |m| {
                let mut seen = Vec::with_capacity(BATCH);
                m.visible(selected.view, uids, from, BATCH, &mut seen);
                seen.iter().map(|seen| (seen.row.uid, m.fixed(seen.row), m.cache(seen.row))).collect()
            });
            let Some((last, _, _)) = batch.last() else { return Ok(threads) };
            from = Uid(last.0 + 1);
            for (i, (uid, fixed, cache)) in batch.into_iter().enumerate() {
                if let Err(error) = self.link_one(uid, fixed, cache, &mut threads).await {
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

    async fn link_one(&self, uid: Uid, fixed: Fixed, cache: CacheAt, threads: &mut Threads) -> Result<(), StoreError> {
        let mut message = Message::new(&self.store, &self.account, fixed, cache);
        let sent = sent_or_received(&mut message, &fixed).await?;
        threads.push(uid.0, sent, &message.header(true).await?);
        Ok(())
    }
}
