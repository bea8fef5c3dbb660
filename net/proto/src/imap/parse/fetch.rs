//! FETCH (RFC 3501 §6.4.5) with CHANGEDSINCE (RFC 7162 §3.1.4), BINARY (RFC 3516), PREVIEW (RFC 8970).

use super::cursor::Cursor;
use super::message::set;
use super::returns::range;
use super::{Command, Enabling, Wrong};
use crate::imap::limits::{FETCH_FIELDS_MAX, FETCH_ITEMS_MAX};
use crate::imap::verb::Verb;
use crate::imap::{
    BinarySection, BodySection, FetchItem, FetchItems, Partial, PreviewForm, Request, ResultRange, SectionText,
};
use skein_base::ModSeq;
use skein_base::limits::MIME_DEPTH_MAX;

/// `FETCH set items [(CHANGEDSINCE n PARTIAL range)]`
pub(super) fn fetch(c: &mut Cursor<'_>, verb: Verb) -> Result<Command, Wrong> {
    c.space()?;
    let set = set(c)?;
    c.space()?;
    let mut list = Vec::new();
    // A UIDFETCH line begins with the UID (RFC 9586 §3.3).
    if verb.is_uid() && !c.enabled.uid_only {
        list.push(FetchItem::Uid);
    }
    match c.peek() {
        Some(b'(') => c.list(|c| item(c, &mut list, false))?,
        _ => item(c, &mut list, true)?,
    }
    let Modifiers { changed_since, vanished, partial } = match c.rest().starts_with(b" (") {
        true => modifiers(c)?,
        false => Modifiers::default(),
    };
    if vanished && (changed_since.is_none() || !verb.is_uid()) {
        return Err(Wrong::Bad("VANISHED goes with UID FETCH and CHANGEDSINCE"));
    }
    if partial.is_some() && !verb.is_uid() {
        return Err(Wrong::Bad("PARTIAL goes with UID FETCH"));
    }
    if changed_since.is_some() {
        add(&mut list, FetchItem::ModSeq)?;
    }
    let (uid, items) = (verb.is_uid(), FetchItems { list });
    Ok(Command::Ask(Request::Fetch { set, uid, items, changed_since, vanished, partial }))
}

/// `(fetch-att ..)`, for commands that tell of new messages; UID is always among them.
pub(super) fn fetch_atts(c: &mut Cursor<'_>) -> Result<FetchItems, Wrong> {
    let mut list = vec![FetchItem::Uid];
    c.list(|c| item(c, &mut list, false))?;
    Ok(FetchItems { list })
}

/// ` (item ..)`: what is to be fetched of messages that are still to come (RFC 5465 §8). None of them sets `\Seen`: nobody has asked for the
/// message.
pub(super) fn items_to_come(c: &mut Cursor<'_>) -> Result<FetchItems, Wrong> {
    c.space()?;
    let (mut asked, mut list) = (Vec::new(), Vec::new());
    c.list(|c| item(c, &mut asked, false))?;
    for item in asked {
        add(
            &mut list,
            match item {
                FetchItem::Section(section) => FetchItem::Section(BodySection { peek: true, ..section }),
                other => other,
            },
        )?;
    }
    Ok(FetchItems { list })
}

#[derive(Default)]
struct Modifiers {
    changed_since: Option<ModSeq>,
    vanished: bool,
    partial: Option<ResultRange>,
}

/// `(CHANGEDSINCE n VANISHED PARTIAL range)` (RFC 7162 §3.1.4.1, §3.2.6, RFC 9394 §3.3)
fn modifiers(c: &mut Cursor<'_>) -> Result<Modifiers, Wrong> {
    c.space()?;
    let mut modifiers = Modifiers::default();
    c.list(|c| {
        match c.keyword().as_str() {
            "CHANGEDSINCE" => {
                c.space()?;
                modifiers.changed_since = Some(ModSeq(c.number64()?));
            }
            "VANISHED" => modifiers.vanished = true,
            "PARTIAL" if modifiers.partial.is_none() => {
                c.space()?;
                modifiers.partial = Some(range(c)?);
            }
            _ => return Err(Wrong::Bad("Unknown FETCH modifier")),
        }
        Ok(())
    })?;
    Ok(modifiers)
}

fn add(list: &mut Vec<FetchItem>, item: FetchItem) -> Result<(), Wrong> {
    if list.contains(&item) {
        return Ok(());
    }
    if list.len() == FETCH_ITEMS_MAX {
        return Err(Wrong::Bad("Too many FETCH items"));
    }
    list.push(item);
    Ok(())
}

fn item(c: &mut Cursor<'_>, list: &mut Vec<FetchItem>, macros: bool) -> Result<(), Wrong> {
    use FetchItem::{Body, BodyStructure, Envelope, Flags, InternalDate, Rfc822Size};
    let word = c.keyword();
    let item = match word.as_str() {
        "FAST" if macros => return add_all(list, &[Flags, InternalDate, Rfc822Size]),
        "ALL" if macros => return add_all(list, &[Flags, InternalDate, Rfc822Size, Envelope]),
        "FULL" if macros => return add_all(list, &[Flags, InternalDate, Rfc822Size, Envelope, Body]),
        "BODY" if c.peek() == Some(b'[') => FetchItem::Section(section(c, false)?),
        "BODY.PEEK" if c.peek() == Some(b'[') => FetchItem::Section(section(c, true)?),
        "BINARY" => FetchItem::Binary(binary(c, false)?),
        "BINARY.PEEK" => FetchItem::Binary(binary(c, true)?),
        "BINARY.SIZE" => FetchItem::BinarySize(part_numbers(c)?),
        "FLAGS" => Flags,
        "INTERNALDATE" => InternalDate,
        "RFC822.SIZE" => Rfc822Size,
        "UID" => FetchItem::Uid,
        "ENVELOPE" => Envelope,
        "BODY" => Body,
        "BODYSTRUCTURE" => BodyStructure,
        "MODSEQ" => FetchItem::ModSeq,
        "SAVEDATE" => FetchItem::SaveDate,
        "EMAILID" => FetchItem::EmailId,
        "THREADID" => FetchItem::ThreadId,
        "X-GUID" => FetchItem::Guid,
        "PREVIEW" => preview(c, PreviewForm::Preview)?,
        "SNIPPET" => preview(c, PreviewForm::SnippetFuzzy)?,
        "RFC822" => FetchItem::Rfc822 { peek: false },
        "RFC822.PEEK" => FetchItem::Rfc822 { peek: true },
        "RFC822.HEADER" => FetchItem::Rfc822Header,
        "RFC822.TEXT" => FetchItem::Rfc822Text { peek: false },
        "RFC822.TEXT.PEEK" => FetchItem::Rfc822Text { peek: true },
        _ => return Err(Wrong::Bad("Unknown FETCH item")),
    };
    add(list, item)
}

fn add_all(list: &mut Vec<FetchItem>, items: &[FetchItem]) -> Result<(), Wrong> {
    items.iter().try_for_each(|item| add(list, item.clone()))
}

/// `[1.2]<partial>` (RFC 3516 §4.2)
fn binary(c: &mut Cursor<'_>, peek: bool) -> Result<BinarySection, Wrong> {
    let path = part_numbers(c)?;
    let partial = if c.eat(b'<') { Some(partial(c)?) } else { None };
    Ok(BinarySection { path, partial, peek })
}

/// `[1.2]`, or `[]`
fn part_numbers(c: &mut Cursor<'_>) -> Result<Vec<u32>, Wrong> {
    c.need(b'[', "Expected [")?;
    let mut path = Vec::new();
    while c.peek() != Some(b']') {
        if !path.is_empty() {
            c.need(b'.', "Missing ] after the section")?;
        }
        path.push(part(c, path.len())?);
    }
    c.need(b']', "Missing ] after the section")?;
    Ok(path)
}

/// ` (LAZY)` after PREVIEW; `FUZZY` and `LAZY=FUZZY` are its drafts'. Other words in parentheses are FETCH's own.
fn preview(c: &mut Cursor<'_>, mut form: PreviewForm) -> Result<FetchItem, Wrong> {
    let mut lazy = false;
    let is_ours = |word: &[u8]| word.eq_ignore_ascii_case(b" (LAZY") || word.eq_ignore_ascii_case(b" (FUZZ");
    if c.rest().get(..b" (LAZY".len()).is_some_and(is_ours) {
        c.space()?;
        c.list(|c| {
            let word = c.atom("Expected LAZY")?.to_ascii_uppercase();
            lazy |= word.starts_with(b"LAZY");
            match (&word[..], form) {
                (b"LAZY", _) => {}
                (b"FUZZY" | b"LAZY=FUZZY", PreviewForm::Preview) => form = PreviewForm::PreviewFuzzy,
                (b"FUZZY" | b"LAZY=FUZZY", _) => {}
                _ => return Err(Wrong::Bad("Unknown PREVIEW modifier")),
            }
            Ok(())
        })?;
    }
    Ok(FetchItem::Preview { form, lazy })
}

/// `section-spec` as a URL has it: without brackets, percent-encoding undone. Nothing for what is none.
pub(crate) fn section_of_url(text: &[u8]) -> Option<BodySection> {
    let bracketed = [b"[", text, b"]"].concat();
    let mut c = Cursor::new(&bracketed, Enabling::default());
    section(&mut c, true).ok().filter(|_| c.at_end())
}

/// `[section]<partial>`, standing on the bracket
fn section(c: &mut Cursor<'_>, peek: bool) -> Result<BodySection, Wrong> {
    c.need(b'[', "Expected [")?;
    let mut path = Vec::new();
    let mut text = SectionText::All;
    while c.peek() != Some(b']') {
        if !c.peek().is_some_and(|b| b.is_ascii_digit()) {
            text = section_text(c, !path.is_empty())?;
            break;
        }
        path.push(part(c, path.len())?);
        if !c.eat(b'.') {
            break;
        }
        if c.peek() == Some(b']') {
            return Err(Wrong::Bad("Invalid section"));
        }
    }
    c.need(b']', "Missing ] after the section")?;
    let partial = if c.eat(b'<') { Some(partial(c)?) } else { None };
    Ok(BodySection { path, text, partial, peek })
}

fn part(c: &mut Cursor<'_>, depth: usize) -> Result<u32, Wrong> {
    if depth == MIME_DEPTH_MAX {
        return Err(Wrong::Bad("Section is nested too deeply"));
    }
    match c.number()? {
        0 => Err(Wrong::Bad("Part numbers start at 1")),
        part => Ok(part),
    }
}

fn section_text(c: &mut Cursor<'_>, inside: bool) -> Result<SectionText, Wrong> {
    let word = c.keyword();
    Ok(match word.as_str() {
        "HEADER" => SectionText::Header,
        "TEXT" => SectionText::Text,
        "MIME" if inside => SectionText::Mime,
        "HEADER.FIELDS" => SectionText::HeaderFields(field_names(c)?),
        "HEADER.FIELDS.NOT" => SectionText::HeaderFieldsNot(field_names(c)?),
        _ => return Err(Wrong::Bad("Unknown section")),
    })
}

fn field_names(c: &mut Cursor<'_>) -> Result<Vec<String>, Wrong> {
    c.space()?;
    let mut names = Vec::new();
    c.list(|c| {
        if names.len() == FETCH_FIELDS_MAX {
            return Err(Wrong::Bad("Too many header field names"));
        }
        names.push(field_name(c)?);
        Ok(())
    })?;
    Ok(names)
}

/// `header-fld-name` that can be one (RFC 5322 §2.2).
pub(super) fn field_name(c: &mut Cursor<'_>) -> Result<String, Wrong> {
    let name = c.text()?;
    match !name.is_empty() && name.bytes().all(|b| matches!(b, 0x21..=0x7e) && b != b':') {
        true => Ok(name),
        false => Err(Wrong::Bad("Invalid header field name")),
    }
}

fn partial(c: &mut Cursor<'_>) -> Result<Partial, Wrong> {
    let origin = c.number64()?;
    c.need(b'.', "Expected <origin.length>")?;
    let bytes = c.number64()?;
    c.need(b'>', "Expected <origin.length>")?;
    match bytes {
        0 => Err(Wrong::Bad("The length of a partial fetch is at least 1")),
        _ => Ok(Partial { origin, bytes }),
    }
}
