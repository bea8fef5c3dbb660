//! FETCH of what is ready to be sent: columns, and what the rendered caches of a snapshot hold. No message is opened for it.

use super::sync::begin_line;
use skein_mime::{CacheRef, FieldNames, TooBig, filter_header, is_cached_field};
use skein_proto::imap::response::FetchLine;
use skein_proto::imap::{FetchItem, FetchItems, SectionText};
use skein_store::mailbox::{Mailbox, ViewId, Visible};

/// The items of a FETCH that asks for nothing else.
pub(super) struct ReadyItems<'a> {
    list: Vec<Ready<'a>>,
    needs_caches: bool,
    uid_only: bool,
    /// Header fields of one message, before their length is told.
    fields: Vec<u8>,
}

enum Ready<'a> {
    Column(&'a FetchItem),
    Rendered(&'static str, for<'b> fn(&CacheRef<'b>) -> Result<&'b [u8], TooBig>),
    Fields { head: Vec<u8>, names: FieldNames<'a> },
}

impl<'a> ReadyItems<'a> {
    /// `None` when some item is to be cut from messages.
    pub fn of(items: &'a FetchItems, uid_only: bool) -> Option<ReadyItems<'a>> {
        let list: Vec<Ready<'a>> = items.list.iter().map(Ready::of).collect::<Option<_>>()?;
        let needs_caches = !list.iter().all(|item| matches!(item, Ready::Column(_)));
        Some(ReadyItems { list, needs_caches, uid_only, fields: Vec::new() })
    }

    pub fn needs_caches(&self) -> bool {
        self.needs_caches
    }

    /// Writes the line of a message; nothing, and false, when its cache is not at hand.
    pub fn write(&mut self, m: &Mailbox, view: ViewId, seen: &Visible, out: &mut Vec<u8>) -> bool {
        let cache = match self.needs_caches {
            true => m.cached(seen.row).and_then(|blob| CacheRef::new(blob).ok()).filter(|cache| !cache.is_too_big()),
            false => None,
        };
        if self.needs_caches && cache.is_none() {
            return false;
        }
        let mut line = begin_line(self.uid_only, seen, out);
        for item in &self.list {
            match (item, &cache) {
                (Ready::Column(item), _) => write_column(m, view, seen, item, &mut line, out),
                (Ready::Rendered(name, part), Some(cache)) => {
                    line.ready(out, name, part(cache).unwrap_or_default());
                }
                (Ready::Fields { head, names }, Some(cache)) => {
                    self.fields.clear();
                    filter_header(cache.header_lines().unwrap_or_default(), names, false, &mut self.fields);
                    line.section_named(out, head, self.fields.len() as u64);
                    out.extend_from_slice(&self.fields);
                }
                (_, None) => unreachable!("looked for above"),
            }
        }
        line.end(out);
        true
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
            FetchItem::Envelope => Ready::Rendered("ENVELOPE", |cache| cache.envelope()),
            FetchItem::Body => Ready::Rendered("BODY", |cache| cache.body()),
            FetchItem::BodyStructure => Ready::Rendered("BODYSTRUCTURE", |cache| cache.bodystructure()),
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
