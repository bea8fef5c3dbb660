//! LIST and UIDL of a whole maildrop, from the columns, a batch at a time.

use super::session::{BATCH, Link, Session};
use skein_base::{Guid, IdSet, Uid};
use skein_proto::pop3::{Pop3, Reply};
use std::io;

/// A message that is not marked deleted.
struct Listed<'a> {
    number: u32,
    uid: Uid,
    size: u32,
    guid: Guid,
    /// One that it came with.
    unique_id: Option<&'a str>,
}

impl Session {
    pub(super) async fn list_all(&self, link: &mut Link<'_>) -> io::Result<()> {
        link.machine.answer(self.totals());
        self.each(link, |pop3, listed| pop3.scan(listed.number, listed.size.into())).await
    }

    pub(super) async fn uidl_all(&self, link: &mut Link<'_>) -> io::Result<()> {
        if self.settings.reuse_xuidl {
            return Box::pin(self.uidl_all_reused(link)).await;
        }
        let (validity, mut id) = (self.look(|inbox| inbox.validity()), Vec::new());
        link.machine.answer(Reply::Done);
        self.each(link, |pop3, listed| {
            id.clear();
            match listed.unique_id {
                Some(known) => id.extend_from_slice(known.as_bytes()),
                None => self.settings.uidl.write(listed.uid, validity, listed.guid, &mut id),
            }
            pop3.unique_id(listed.number, &id);
        })
        .await
    }

    /// The same with a look into each message that has no id of its own yet.
    async fn uidl_all_reused(&self, link: &mut Link<'_>) -> io::Result<()> {
        link.machine.answer(Reply::Done);
        for number in 1.. {
            let Some(uid) = self.maildrop.uid_of(number) else { break };
            if self.maildrop.is_marked(number) || self.maildrop.is_lost(number) {
                continue;
            }
            let id = self.unique_id(uid).await;
            link.machine.unique_id(number, &id);
            link.drain_if_full(self).await?;
            skein_runtime::session_yield().await;
        }
        link.machine.end();
        Ok(())
    }

    /// Writes a line for each message that is not marked deleted, and the end. Never more than a batch is in memory.
    async fn each(&self, link: &mut Link<'_>, mut line: impl FnMut(&mut Pop3, &Listed<'_>)) -> io::Result<()> {
        let (mut from, mut batch) = (Uid(1), Vec::with_capacity(BATCH));
        loop {
            batch.clear();
            self.look(|inbox| {
                inbox.visible(self.view, &IdSet::range(1, u32::MAX), from, BATCH, &mut batch);
                for seen in &batch {
                    let number = self.maildrop.number_of(seen.row.uid);
                    let Some(number) = number.filter(|number| !self.maildrop.is_marked(*number)) else { continue };
                    let fixed = inbox.fixed(seen.row);
                    let (uid, unique_id) = (seen.row.uid, inbox.unique_id(seen.row.uid));
                    let listed = Listed { number, uid, size: fixed.size, guid: fixed.guid, unique_id };
                    line(link.machine, &listed);
                }
            });
            match batch.last().and_then(|last| last.row.uid.next()) {
                Some(next) => from = next,
                None => break,
            }
            link.drain_if_full(self).await?;
            skein_runtime::session_yield().await;
        }
        link.machine.end();
        Ok(())
    }
}
