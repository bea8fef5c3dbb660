//! Rendered caches as snapshots and memory have them, many at a time: each lies somewhere else, and memory brings several as fast as one.

use crate::Store;
use skein_mime::{CacheRef, CachedText};
use skein_runtime::prefetch;
use skein_store::mailbox::{Mailbox, Visible};
use std::rc::Rc;

/// Messages whose caches are on their way at once.
pub(super) const ABREAST: usize = 16;

/// Bytes of a cache that say where its texts are.
const HEAD_BYTES: usize = 80;

/// A rendered cache that is in memory.
pub(super) enum AtHand<'m> {
    /// In a snapshot's map; its head has been read.
    Mapped(CacheRef<'m>),
    /// Kept of a message that is in the log.
    Kept(Rc<[u8]>),
}

impl AtHand<'_> {
    /// `None` for one that does not read.
    pub fn cache(&self) -> Option<CacheRef<'_>> {
        match self {
            AtHand::Mapped(cache) => Some(*cache),
            AtHand::Kept(bytes) => CacheRef::new(bytes).ok(),
        }
    }
}

/// The caches of messages, in their order; the texts that are to be read of them are on their way. A text may still turn out to be
/// damaged.
pub(super) fn caches_at_hand<'m>(
    store: &Store,
    m: &'m Mailbox,
    batch: &[Visible],
    texts: &[CachedText],
    out: &mut Vec<Option<AtHand<'m>>>,
) {
    out.clear();
    let places = batch.iter().map(|seen| m.cached(seen.row));
    for (snapshot, row) in places.clone().flatten() {
        let blob = snapshot.cache_as_it_is(row);
        prefetch(&blob[..blob.len().min(HEAD_BYTES)]);
    }
    out.extend(batch.iter().zip(places).map(|(seen, place)| {
        let Some((snapshot, row)) = place else {
            return store.cache_at_hand(&m.fixed(seen.row)).map(AtHand::Kept);
        };
        let cache = CacheRef::new(snapshot.cache_as_it_is(row)).ok()?;
        if !cache.checks_itself() && snapshot.cache(row).is_err() {
            return None;
        }
        for &text in texts {
            prefetch(cache.unread(text));
        }
        Some(AtHand::Mapped(cache))
    }));
}
