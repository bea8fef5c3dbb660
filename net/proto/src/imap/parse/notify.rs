//! NOTIFY (RFC 5465 §8).

use super::cursor::Cursor;
use super::fetch::fetch_atts;
use super::filter::{MailboxFilter, mailbox_filter};
use super::{Command, Wrong};
use crate::imap::limits::{NOTIFY_GROUPS_MAX, NOTIFY_MAILBOXES_MAX};
use crate::imap::{Code, FetchItems, NotifyEvents, NotifySelected, NotifySet, Request};

/// `NOTIFY NONE`, `NOTIFY SET [STATUS] (filter-mailboxes events) ..`
pub(super) fn notify(c: &mut Cursor<'_>) -> Result<Command, Wrong> {
    c.space()?;
    let set = match c.keyword().as_str() {
        "NONE" => None,
        "SET" => Some(Box::new(set(c)?)),
        _ => return Err(Wrong::Bad("NOTIFY is SET or NONE")),
    };
    Ok(Command::Ask(Request::Notify(set)))
}

fn set(c: &mut Cursor<'_>) -> Result<NotifySet, Wrong> {
    let mut set = NotifySet::default();
    c.space()?;
    if c.peek() != Some(b'(') {
        if c.keyword().as_str() != "STATUS" {
            return Err(Wrong::Bad("Expected STATUS or a list of events"));
        }
        set.status = true;
        c.space()?;
    }
    let (mut groups, mut has_selected, mut names) = (0, false, 0);
    loop {
        groups += 1;
        if groups > NOTIFY_GROUPS_MAX {
            return Err(Wrong::No(Code::NotificationOverflow, "Too many groups of events"));
        }
        c.need(b'(', "Expected a list of events in parentheses")?;
        let filter = mailbox_filter(c)?;
        c.space()?;
        let (events, fetch) = events(c)?;
        c.need(b')', "Expected a closing parenthesis")?;
        match filter {
            MailboxFilter::Selected | MailboxFilter::SelectedDelayed => {
                if std::mem::replace(&mut has_selected, true) {
                    return Err(Wrong::Bad("SELECTED or SELECTED-DELAYED may be named once"));
                }
                set.selected = selected(events, fetch, filter == MailboxFilter::Selected)?;
            }
            _ if fetch.is_some() => return Err(Wrong::Bad("FETCH items go with SELECTED")),
            filter => {
                names += filter.names();
                if names > NOTIFY_MAILBOXES_MAX {
                    return Err(Wrong::No(Code::NotificationOverflow, "Too many mailboxes"));
                }
                set.groups.extend((!events.is_none()).then_some((filter, events)));
            }
        }
        if !c.eat(b' ') || c.at_end() {
            return Ok(set);
        }
    }
}

/// Of the selected mailbox only its messages are told (RFC 5465 §6.1).
fn selected(events: NotifyEvents, fetch: Option<FetchItems>, immediate: bool) -> Result<Option<NotifySelected>, Wrong> {
    if events.shares(NotifyEvents::OF_MAILBOXES) {
        return Err(Wrong::Bad("SELECTED goes with events of messages"));
    }
    let flags = events.shares(NotifyEvents::FLAG_CHANGE);
    Ok((!events.is_none()).then_some(NotifySelected { immediate, flags, fetch }))
}

/// `(event ..)` or `NONE`
fn events(c: &mut Cursor<'_>) -> Result<(NotifyEvents, Option<FetchItems>), Wrong> {
    let (mut events, mut fetch) = (NotifyEvents::NONE, None);
    if c.peek() != Some(b'(') {
        return match c.keyword().as_str() {
            "NONE" => Ok((events, fetch)),
            _ => Err(Wrong::Bad("Expected NONE or a list of events")),
        };
    }
    c.list(|c| {
        let name = c.atom("Expected an event")?;
        let known = NotifyEvents::NAMES.iter().find(|(_, known)| known.as_bytes().eq_ignore_ascii_case(name));
        let event = known.ok_or(Wrong::No(Code::BadEvent, "This event is not told"))?.0;
        events = events | event;
        if event == NotifyEvents::MESSAGE_NEW && c.rest().starts_with(b" (") {
            c.space()?;
            fetch = Some(fetch_atts(c)?);
        }
        Ok(())
    })?;
    let both = NotifyEvents::MESSAGE_NEW | NotifyEvents::MESSAGE_EXPUNGE;
    let needs_both = events.shares(both | NotifyEvents::FLAG_CHANGE);
    match needs_both && !events.contains(both) {
        true => Err(Wrong::Bad("MessageNew and MessageExpunge go together, and FlagChange with both")),
        false => Ok((events, fetch)),
    }
}
