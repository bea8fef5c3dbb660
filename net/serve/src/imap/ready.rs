//! FETCH of what is ready to be sent: columns, and what the rendered caches at hand hold. No message is opened for it.

use super::caches::{ABREAST, caches_at_hand};
use super::sync::begin_line;
use crate::Store;
use skein_base::limits::OUTPUT_BYTES_WATERMARK;
use skein_mime::{CacheRef, CachedText, FieldNames, filter_header, is_cached_field};
use skein_proto::imap::response::FetchLine;
use skein_proto::imap::{FetchItem, FetchItems, SectionText};
use skein_store::mailbox::{Mailbox, ViewId, Visible};

/// The items of a FETCH that asks for nothing else.
pub(super) struct ReadyItems<'a> {
    list: Vec<Ready<'a>>,
    /// What of the rendered caches they are made of.
    texts: Vec<CachedText>,
    uid_only: bool,
    /// Header fields of one message, before their length is told.
    fields: Vec<u8>,
}

enum Ready<'a> {
    Column(&'a FetchItem),
    Rendered(&'static str, CachedText),
    Fields { head: Vec<u8>, names: FieldNames<'a> },
}

impl<'a> ReadyItems<'a> {
    /// `None` when some item is to be cut from messages.
    pub fn of(items: &'a FetchItems, uid_only: bool) -> Option<ReadyItems<'a>> {
        let list: Vec<Ready<'a>> = items.list.iter().map(Ready::of).collect::<Option<_>>()?;
        let texts = list.iter().filter_map(Ready::text).collect();
        Some(ReadyItems { list, texts, uid_only, fields: Vec::new() })
    }

    pub fn needs_caches(&self) -> bool {
        !self.texts.is_empty()
    }

    /// Writes the lines of those messages of `batch` that are asked for, until `out` is full or one's cache does not have all of it. Gives how
    /// many it has passed.
    pub fn write(
        &mut self,
        (store, m): (&Store, &Mailbox),
        view: ViewId,
        batch: &[Visible],
        is_asked: impl Fn(&Visible) -> bool,
        out: &mut Vec<u8>,
    ) -> usize {
        let (mut done, mut caches) = (0, Vec::with_capacity(ABREAST));
        for abreast in batch.chunks(ABREAST) {
            caches.clear();
            for (i, seen) in abreast.iter().enumerate() {
                done += 1;
                if !is_asked(seen) {
                    continue;
                }
                if caches.is_empty() && self.needs_caches() {
                    caches_at_hand(store, m, abreast, &self.texts, &mut caches);
                }
                let (start, cache) = (out.len(), caches.get(i).and_then(|cache| cache.as_ref()?.cache()));
                if self.write_one(m, view, (seen, cache), out).is_none() {
                    out.truncate(start);
                    return done - 1;
                }
                if out.len() >= OUTPUT_BYTES_WATERMARK {
                    return done;
                }
            }
        }
        done
    }

    fn write_one(
        &mut self,
        m: &Mailbox,
        view: ViewId,
        (seen, cache): (&Visible, Option<CacheRef<'_>>),
        out: &mut Vec<u8>,
    ) -> Option<()> {
        let mut line = begin_line(self.uid_only, seen, out);
        for item in &self.list {
            match item {
                Ready::Column(item) => write_column(m, view, seen, item, &mut line, out),
                Ready::Rendered(name, text) => line.ready(out, name, cache?.text(*text).ok()?),
                Ready::Fields { head, names } => {
                    self.fields.clear();
                    filter_header(cache?.header_lines().ok()?, names, false, &mut self.fields);
                    line.section_named(out, head, self.fields.len() as u64);
                    out.extend_from_slice(&self.fields);
                }
            }
        }
        line.end(out);
        Some(())
    }
}

impl<'a> Ready<'a> {
    fn of(item: &'a FetchItem) -> Option<Ready<'a>> {
        Some(match item {
            FetchItem::Flags
            | FetchItem::InternalDate
            | FetchItem::Rfc822Size
            | FetchItem::Uid
            | FetchItem::ModSeq
            | FetchItem::SaveDate
            | FetchItem::EmailId
            | FetchItem::ThreadId
            | FetchItem::Guid => Ready::Column(item),
            FetchItem::Envelope => Ready::Rendered("ENVELOPE", CachedText::Envelope),
            FetchItem::Body => Ready::Rendered("BODY", CachedText::Body),
            FetchItem::BodyStructure => Ready::Rendered("BODYSTRUCTURE", CachedText::BodyStructure),
            FetchItem::Section(section) if section.path.is_empty() && section.partial.is_none() => {
                let SectionText::HeaderFields(names) = &section.text else { return None };
                if !names.iter().all(|name| is_cached_field(name.as_bytes())) {
                    return None;
                }
                Ready::Fields { head: FetchLine::name_of_section(section), names: FieldNames::of(names) }
            }
            _ => return None,
        })
    }

    fn text(&self) -> Option<CachedText> {
        match self {
            Ready::Column(_) => None,
            Ready::Rendered(_, text) => Some(*text),
            Ready::Fields { .. } => Some(CachedText::Lines),
        }
    }
}

fn write_column(m: &Mailbox, view: ViewId, seen: &Visible, item: &FetchItem, line: &mut FetchLine, out: &mut Vec<u8>) {
    let row = seen.row;
    match item {
        FetchItem::Flags => line.flags(out, row.flags, row.keywords, m.keywords(), m.view(view).is_recent(row.uid)),
        FetchItem::InternalDate => line.internal_date(out, m.fixed(row).internal_date),
        FetchItem::Rfc822Size => line.size(out, u64::from(m.fixed(row).size)),
        FetchItem::Uid => line.uid(out, row.uid),
        FetchItem::ModSeq => line.modseq(out, row.modseq),
        FetchItem::SaveDate => line.save_date(out, m.fixed(row).save_date),
        FetchItem::EmailId => line.email_id(out, m.fixed(row).guid),
        FetchItem::ThreadId => line.thread_id(out),
        FetchItem::Guid => line.guid(out, m.fixed(row).guid),
        other => unreachable!("{other:?} is no column"),
    }
}
