//! Rendered caches as snapshots have them, many at a time: each lies somewhere else, and memory brings several as fast as one.

use skein_mime::{CacheRef, CachedText};
use skein_runtime::prefetch;
use skein_store::mailbox::{Mailbox, Visible};

/// Messages whose caches are on their way at once.
pub(super) const ABREAST: usize = 16;

/// Bytes of a cache that say where its texts are.
const HEAD_BYTES: usize = 80;

/// The caches of messages, in their order; the texts that are to be read of them are on their way. A text may still turn out to be
/// damaged.
pub(super) fn caches_at_hand<'m>(
    m: &'m Mailbox,
    batch: &[Visible],
    texts: &[CachedText],
    out: &mut Vec<Option<CacheRef<'m>>>,
) {
    out.clear();
    let places = batch.iter().map(|seen| m.cached(seen.row));
    for (snapshot, row) in places.clone().flatten() {
        let blob = snapshot.cache_as_it_is(row);
        prefetch(&blob[..blob.len().min(HEAD_BYTES)]);
    }
    out.extend(places.map(|place| {
        let (snapshot, row) = place?;
        let cache = CacheRef::new(snapshot.cache_as_it_is(row)).ok()?;
        if !cache.checks_itself() && snapshot.cache(row).is_err() {
            return None;
        }
        for &text in texts {
            prefetch(cache.unread(text));
        }
        Some(cache)
    }));
}
