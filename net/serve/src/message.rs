//! One stored message, read only as far as somebody asks.

use crate::Store;
use skein_mime::{CacheRef, Piece, Section, Span, What, header_len, locate, structure};
use skein_store::mailbox::{CacheAt, Fixed, Snapshot};
use skein_store::{AccountHandle, StoreError};
use std::borrow::Cow;
use std::ops::Range;
use std::rc::Rc;

/// A rendered structure of a message.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Rendered {
    Envelope,
    Body,
    BodyStructure,
}

/// A message of one FETCH or SEARCH. What was read once is kept.
pub(crate) struct Message<'a> {
    store: &'a Store,
    account: &'a AccountHandle,
    fixed: Fixed,
    at: CacheAt,
    blob: Option<Blob>,
    whole: Option<Vec<u8>>,
}

/// Where the rendered cache's bytes are.
enum Blob {
    /// In a row of a snapshot, where it was found good.
    Mapped(Rc<Snapshot>, u32),
    Shared(Rc<[u8]>),
    /// None, or none that reads: everything is rendered from the message.
    Unsound,
}

impl Blob {
    fn cache(&self) -> Option<CacheRef<'_>> {
        let bytes = match self {
            Blob::Mapped(snapshot, row) => snapshot.cache_as_it_is(*row),
            Blob::Shared(bytes) => bytes,
            Blob::Unsound => return None,
        };
        CacheRef::new(bytes).ok()
    }
}

impl<'a> Message<'a> {
    pub fn new(store: &'a Store, account: &'a AccountHandle, fixed: Fixed, at: CacheAt) -> Message<'a> {
        Message { store, account, fixed, at, blob: None, whole: None }
    }

    /// Bytes of the message.
    pub fn bytes(&self) -> u64 {
        u64::from(self.fixed.body.bytes)
    }

    /// The rendered cache; `None` when the message must be looked into.
    pub async fn cache(&mut self) -> Option<CacheRef<'_>> {
        if self.blob.is_none() {
            self.blob = Some(self.find_blob().await);
        }
        self.blob.as_ref().and_then(Blob::cache).filter(|cache| !cache.is_too_big())
    }

    async fn find_blob(&self) -> Blob {
        if let CacheAt::Snapshot(snapshot, row, _) = &self.at
            && snapshot.cache(*row).is_ok_and(|bytes| !bytes.is_empty())
        {
            return Blob::Mapped(snapshot.clone(), *row);
        }
        if self.fixed.body.cache_bytes == 0 {
            return Blob::Unsound;
        }
        // A cache that can not be read is no loss: the message is there.
        self.store.read_cache(self.account, &self.fixed).await.map_or(Blob::Unsound, Blob::Shared)
    }

    /// All of it.
    pub async fn whole(&mut self) -> Result<&[u8], StoreError> {
        if self.whole.is_none() {
            self.whole = Some(self.store.read_body(self.account, &self.fixed, 0..self.bytes()).await?);
        }
        Ok(self.whole.as_deref().expect("just read"))
    }

    /// ENVELOPE, BODY or BODYSTRUCTURE, appended to `out`.
    pub async fn render(&mut self, what: Rendered, out: &mut Vec<u8>) -> Result<(), StoreError> {
        if let Some(cache) = self.cache().await {
            let ready = match what {
                Rendered::Envelope => cache.envelope(),
                Rendered::Body => cache.body(),
                Rendered::BodyStructure => cache.bodystructure(),
            };
            if let Ok(ready) = ready {
                out.extend_from_slice(ready);
                return Ok(());
            }
        }
        let whole = self.whole().await?;
        match what {
            Rendered::Envelope => skein_mime::envelope(&whole[..header_len(whole)], out),
            Rendered::Body => skein_mime::body(whole, &structure(whole), out),
            Rendered::BodyStructure => skein_mime::bodystructure(whole, &structure(whole), out),
        }
        Ok(())
    }

    /// Where a section is in the message.
    pub async fn locate(&mut self, section: &Section) -> Result<Option<Span>, StoreError> {
        // In the log the cache is read with the message: here nobody needs to look.
        if section.path.is_empty() && section.what == What::Whole {
            return Ok(Some(Span { start: 0, end: self.fixed.body.bytes }));
        }
        if let Some(cache) = self.cache().await
            && let Ok(span) = cache.section(section)
        {
            return Ok(span);
        }
        let whole = self.whole().await?;
        Ok(locate(&structure(whole)[..], section))
    }

    /// What a section is made of when its transfer encodings are taken off; `None` when the message has no such part.
    pub async fn pieces(&mut self, path: &[u32]) -> Result<Option<Vec<Piece>>, StoreError> {
        if let Some(parts) = self.cache().await.and_then(|cache| cache.parts().ok()) {
            return Ok(skein_mime::pieces(&parts, path));
        }
        let whole = self.whole().await?;
        Ok(skein_mime::pieces(&structure(whole)[..], path))
    }

    /// The text of PREVIEW. `None` when it is not at hand and `lazy`: then it is not worth reading the message.
    pub async fn preview(&mut self, lazy: bool) -> Result<Option<Cow<'_, [u8]>>, StoreError> {
        if self.cache().await.is_some_and(|cache| cache.preview().is_some()) {
            return Ok(self.cache().await.and_then(|cache| cache.preview()).map(Cow::Borrowed));
        }
        if lazy {
            return Ok(None);
        }
        let whole = self.whole().await?;
        Ok(Some(Cow::Owned(skein_mime::preview(whole, &structure(whole)).into_bytes())))
    }

    /// The id that its X-UIDL field names.
    pub async fn unique_id(&mut self) -> Result<Option<Vec<u8>>, StoreError> {
        if let Some(told) = self.cache().await.and_then(|cache| cache.unique_id()) {
            return Ok(told.map(<[u8]>::to_vec));
        }
        Ok(skein_mime::unique_id(&self.header(false).await?).map(<[u8]>::to_vec))
    }

    /// Header fields by name of the message itself, when the cache has them all.
    pub async fn cached_fields(&mut self, names: &[String], out: &mut Vec<u8>) -> Option<()> {
        self.cache().await?.header_fields(names, out)
    }

    /// A header block that holds at least the cached fields if `only_cached` says that they are enough, else all.
    pub async fn header(&mut self, only_cached: bool) -> Result<Cow<'_, [u8]>, StoreError> {
        if only_cached && self.cache().await.is_some_and(|cache| cache.header_lines().is_ok()) {
            let account = self.account.id();
            let lines = self.cache().await.and_then(|cache| cache.header_lines().ok());
            // What is mapped may have been lost since the line above (engine/docs/healing.md).
            return lines.map(Cow::Borrowed).ok_or(StoreError::Damaged { account, mailbox: None });
        }
        if self.whole.is_none()
            && let Some(header_bytes) = self.cache().await.map(|cache| cache.header_bytes())
        {
            return Ok(Cow::Owned(self.range(0..u64::from(header_bytes)).await?));
        }
        let whole = self.whole().await?;
        Ok(Cow::Borrowed(&whole[..header_len(whole)]))
    }

    /// Some of its bytes.
    pub async fn range(&mut self, range: Range<u64>) -> Result<Vec<u8>, StoreError> {
        if let Some(whole) = &self.whole {
            let end = (range.end as usize).min(whole.len());
            return Ok(whole[(range.start as usize).min(end)..end].to_vec());
        }
        self.store.read_body(self.account, &self.fixed, range).await
    }
}
