//! NOTIFY (RFC 5465): what the client asked to be told, at any time.
//!
//! ```text
//! selected mailbox   its view, as ever: what of that is told, and when, is here
//! all others         events of the account ─▶ names that changed ─▶ * LIST   mailboxes with other messages ─▶ * STATUS
//! ```
//!
//! Many events of one mailbox become one line. Each is looked at once, whatever the number of mailboxes.

use super::link::Link;
use super::list;
use super::session::Session;
use super::watch::{Batch, SPECIAL_USE};
use skein_base::{IdSet, MailboxId};
use skein_proto::imap::response::{self, Listing};
use skein_proto::imap::{NotifyEvents, NotifySet, Reply, StatusItems};
use skein_store::account::{Account, Event};
use std::collections::BTreeMap;
use std::io;
use std::rc::Rc;

/// Mailboxes whose STATUS is told before the output is looked at.
const BATCH: usize = 64;

/// What is told of the selected mailbox.
#[derive(Clone, Copy)]
pub(super) struct Told {
    /// Messages that come; without NOTIFY all is told when a command allows it.
    pub messages: bool,
    pub flags: bool,
    /// Messages that go, whatever the command.
    pub immediate: bool,
    /// FETCH lines carry UID.
    pub uids: bool,
}

/// A name that is to be listed.
struct Name {
    name: String,
    old: Option<String>,
}

/// What a batch of events comes to.
#[derive(Default)]
pub(super) struct News {
    names: Vec<Name>,
    status: BTreeMap<MailboxId, StatusItems>,
    pub metadata: BTreeMap<Option<MailboxId>, std::collections::BTreeSet<String>>,
}

impl Session {
    /// NOTIFY: first what is due by what was asked until now, then what is asked from now on.
    pub(super) async fn set_notify(&mut self, set: Option<Box<NotifySet>>, link: &mut Link<'_>) -> io::Result<Reply> {
        self.tell_selected(true, link);
        self.tell_others(link).await?;
        let set = Rc::new(set.map_or_else(NotifySet::default, |set| *set));
        let is_none = set.groups.is_empty() && set.selected.is_none();
        self.notify = Some(set.clone());
        if is_none {
            self.stop_watching();
            return Ok(Reply::Done);
        }
        self.start_watching();
        if set.status {
            self.tell_status_of_all(&set, link).await?;
        }
        Ok(Reply::Done)
    }

    pub(super) fn told(&self) -> Told {
        match self.notify.as_deref().map(|set| &set.selected) {
            None => Told { messages: true, flags: true, immediate: false, uids: false },
            Some(None) => Told { messages: false, flags: false, immediate: false, uids: true },
            Some(Some(events)) => Told { messages: true, flags: events.flags, immediate: events.immediate, uids: true },
        }
    }

    /// Whether there may be something to be told between commands, or while the client idles.
    pub(super) fn has_news(&self, idling: bool) -> bool {
        let told = self.told();
        let expunges = idling || told.immediate;
        let of_selected =
            self.selected.as_ref().is_some_and(|s| self.look(s.mailbox, |m| m.has_news(s.view, expunges)));
        told.messages && (of_selected || self.is_shown_behind() || self.is_context_due()) || self.has_events()
    }

    /// Tells what is new, between commands or while the client idles.
    ///
    /// # Errors
    /// The client is gone.
    pub(crate) async fn push(&mut self, idling: bool, link: &mut Link<'_>) -> io::Result<()> {
        if self.told().messages {
            self.tell_news(idling, link).await?;
        }
        self.tell_others(link).await
    }

    /// Tells all but what the selected mailbox's numbers say: what came into it, in full, and what happened elsewhere.
    pub(super) async fn tell_others(&mut self, link: &mut Link<'_>) -> io::Result<()> {
        self.fetch_fresh(link).await?;
        let batch = match &mut *self.watch.borrow_mut() {
            Some(watch) => watch.batch(),
            None => None,
        };
        let Some(batch) = batch else { return Ok(()) };
        let Batch::Events { from, own } = batch else {
            self.overflow(link);
            return Ok(());
        };
        let news = self.account.read(|account| {
            let events = account.events_from(from).into_iter().flatten();
            let by_others = events.filter(|(number, _)| !own.iter().any(|range| range.contains(number)));
            self.gather(account, by_others.map(|(_, event)| event), link.condstore())
        });
        self.write_news(news, link).await
    }

    /// What was asked of messages that came into the selected mailbox.
    async fn fetch_fresh(&mut self, link: &mut Link<'_>) -> io::Result<()> {
        let fresh = std::mem::take(&mut self.fresh);
        let (Some(set), Some(selected)) = (self.notify.clone(), &self.selected) else { return Ok(()) };
        let items = set.selected.as_ref().and_then(|selected| selected.fetch.as_ref());
        let (Some(items), false) = (items, fresh.is_empty()) else { return Ok(()) };
        let (mailbox, view) = (selected.mailbox, selected.view);
        // Nobody has asked for the messages, so that none is seen by it.
        Box::pin(self.fetch_found((mailbox, view), &fresh, items, None, false, link)).await.map(drop)
    }

    /// New messages of the selected mailbox, but those that this session brought.
    pub(super) fn note_fresh(&mut self, uids: IdSet) {
        let own = self.watch.get_mut().as_mut().map(|watch| watch.take_own_uids()).unwrap_or_default();
        let asks = self.notify.as_ref().and_then(|set| set.selected.as_ref()).is_some_and(|s| s.fetch.is_some());
        if asks {
            self.fresh = self.fresh.union(&uids.difference(&own));
        }
    }

    fn gather<'e>(&self, account: &Account, events: impl Iterator<Item = &'e Event>, condstore: bool) -> News {
        let (mut news, mut known) = (News::default(), BTreeMap::new());
        let mut wanted_of =
            |id: MailboxId| *known.entry(id).or_insert_with(|| self.wanted(account, account.name_of(id)));
        let modseq = if condstore { StatusItems::HIGHESTMODSEQ } else { StatusItems::default() };
        let counts = StatusItems::MESSAGES | StatusItems::UIDNEXT | StatusItems::UNSEEN | modseq;
        let flags = StatusItems::UIDVALIDITY | StatusItems::UNSEEN | modseq;
        let arrivals = NotifyEvents::MESSAGE_NEW | NotifyEvents::MESSAGE_EXPUNGE;
        let mut renamed: Option<(String, String)> = None;
        for event in events {
            match event {
                Event::New { mailbox } | Event::Expunged { mailbox } if wanted_of(*mailbox).shares(arrivals) => {
                    self.note_status(account, *mailbox, counts, &mut news);
                }
                Event::Flags { mailbox } if wanted_of(*mailbox).shares(NotifyEvents::FLAG_CHANGE) => {
                    self.note_status(account, *mailbox, flags, &mut news);
                }
                Event::Created { mailbox } if account.exists(*mailbox) => {
                    let wanted = wanted_of(*mailbox);
                    if wanted.shares(NotifyEvents::FLAG_CHANGE) {
                        self.note_status(account, *mailbox, counts | flags, &mut news);
                    }
                    self.note_name_and_parent(account, account.name_of(*mailbox), &mut news);
                }
                Event::Deleted { name } => self.note_name_and_parent(account, name, &mut news),
                Event::Renamed { mailbox, from } => match account.named(*mailbox) {
                    // What is below moves with it, and is not told (RFC 5465 §5.4).
                    Some(now) if is_carried(renamed.as_ref(), from, now.name) => {}
                    Some(now) => {
                        renamed = Some((from.to_string(), now.name.to_owned()));
                        self.note_renamed(account, from, now.name, &mut news);
                    }
                    None => self.note_name_and_parent(account, from, &mut news),
                },
                Event::Subscription { name }
                    if self.wanted(account, name).shares(NotifyEvents::SUBSCRIPTION_CHANGE) =>
                {
                    news.add(name, None);
                }
                Event::SpecialUse { mailbox } => self.note_metadata(account, Some(*mailbox), SPECIAL_USE, &mut news),
                Event::Metadata { mailbox, name } => self.note_metadata(account, *mailbox, name, &mut news),
                _ => {}
            }
        }
        news
    }

    /// The events that the client wants to be told of a mailbox.
    fn wanted(&self, account: &Account, name: &str) -> NotifyEvents {
        let Some(set) = &self.notify else { return NotifyEvents::NONE };
        let is_subscribed = account.is_subscribed(name);
        let covering = set.groups.iter().filter(|(filter, _)| filter.covers(name, is_subscribed));
        covering.fold(NotifyEvents::NONE, |events, (_, more)| events | *more)
    }

    /// Of the selected mailbox its own way tells (RFC 5465 §3.1).
    fn note_status(&self, account: &Account, id: MailboxId, items: StatusItems, news: &mut News) {
        if account.exists(id) && self.selected.as_ref().is_none_or(|selected| selected.mailbox != id) {
            let noted = news.status.entry(id).or_default();
            *noted = *noted | items;
        }
    }

    /// A mailbox that comes or goes changes what is said of the one above.
    fn note_name_and_parent(&self, account: &Account, name: &str, news: &mut News) {
        for name in [Some(name), name.rsplit_once('/').map(|(parent, _)| parent)].into_iter().flatten() {
            if self.wanted(account, name).shares(NotifyEvents::MAILBOX_NAME) {
                news.add(name, None);
            }
        }
    }

    fn note_renamed(&self, account: &Account, from: &str, to: &str, news: &mut News) {
        let wanted = self.wanted(account, from) | self.wanted(account, to);
        if wanted.shares(NotifyEvents::MAILBOX_NAME) {
            news.add(to, Some(from));
        }
    }

    /// Names that do not begin with `/` are the server's own.
    fn note_metadata(&self, account: &Account, of: Option<MailboxId>, name: &str, news: &mut News) {
        let is_told = match (of, &self.notify) {
            _ if !name.starts_with('/') => false,
            (Some(id), _) if !account.exists(id) => false,
            (Some(id), Some(_)) => {
                self.wanted(account, account.name_of(id)).shares(NotifyEvents::MAILBOX_METADATA_CHANGE)
            }
            (None, Some(set)) => {
                set.groups.iter().any(|(_, events)| events.shares(NotifyEvents::SERVER_METADATA_CHANGE))
            }
            (of, None) => self.watch.borrow().as_ref().is_some_and(|watch| watch.tells_metadata(of.is_some())),
        };
        if is_told {
            news.metadata.entry(of).or_default().insert(name.to_owned());
        }
    }

    async fn write_news(&mut self, news: News, link: &mut Link<'_>) -> io::Result<()> {
        if !news.names.is_empty() {
            let (names, settings) = (link.names(), self.host.settings());
            self.account.read(|account| {
                for Name { name, old } in &news.names {
                    let (attributes, uses) = list::listed(account, &settings.config.mailbox, name);
                    let old_name = old.as_deref().map(|old| self.told_name(old));
                    let listing = Listing { attributes, uses, old_name: old_name.as_deref(), ..Listing::default() };
                    response::list(link.out(), &listing, &self.told_name(name), names);
                }
            });
            link.drain_if_full(self).await?;
        }
        for (i, (id, items)) in news.status.iter().enumerate() {
            self.tell_status(*id, *items, link).await?;
            if i % BATCH == BATCH - 1 {
                skein_runtime::session_yield().await;
            }
        }
        let names = link.names();
        for (of, entries) in &news.metadata {
            self.account.read(|account| match of {
                // It may be gone by now.
                Some(id) if !account.exists(*id) => {}
                Some(id) => {
                    let name = self.told_name(account.name_of(*id));
                    response::metadata_changed(link.out(), Some(&name), entries, names);
                }
                None => response::metadata_changed(link.out(), None, entries, names),
            });
        }
        link.drain_if_full(self).await
    }

    /// Of a mailbox that can not be read, or has gone, nothing is told.
    async fn tell_status(&self, id: MailboxId, items: StatusItems, link: &mut Link<'_>) -> io::Result<()> {
        let name = self.account.read(|account| account.name_of(id).to_owned());
        if let Reply::Status(info) = self.status(&name, items).await {
            let names = link.names();
            response::status(link.out(), &self.told_name(&name), items, &info, names);
        }
        link.drain_if_full(self).await
    }

    /// STATUS of all mailboxes whose messages are watched (RFC 5465 §3.1).
    async fn tell_status_of_all(&self, set: &NotifySet, link: &mut Link<'_>) -> io::Result<()> {
        let selected = self.selected.as_ref().map(|selected| selected.mailbox);
        let watched: Vec<(MailboxId, NotifyEvents)> = self.account.read(|account| {
            let all = account.mailboxes().map(|m| (m.id, self.wanted(account, m.name)));
            all.filter(|(id, events)| events.shares(NotifyEvents::OF_MESSAGES) && Some(*id) != selected).collect()
        });
        debug_assert!(watched.is_empty() || !set.groups.is_empty());
        for (i, (id, events)) in watched.into_iter().enumerate() {
            let counts = StatusItems::MESSAGES | StatusItems::UIDNEXT | StatusItems::UIDVALIDITY | StatusItems::UNSEEN;
            let items = match events.shares(NotifyEvents::FLAG_CHANGE) {
                true => counts | StatusItems::HIGHESTMODSEQ,
                false => counts,
            };
            self.tell_status(id, items, link).await?;
            if i % BATCH == BATCH - 1 {
                skein_runtime::session_yield().await;
            }
        }
        Ok(())
    }

    /// Too much has happened for the client to be told of each (RFC 5465 §5.8).
    fn overflow(&mut self, link: &mut Link<'_>) {
        if self.notify.is_some() {
            response::notification_overflow(link.out());
            self.notify = Some(Rc::default());
            self.stop_watching();
            return;
        }
        // Which annotations have changed is not known any more: all may have.
        self.account.read(|account| {
            let mut news = News::default();
            account.annotations().for_each(|(of, name, _)| self.note_metadata(account, of, name, &mut news));
            let names = link.names();
            for (of, entries) in &news.metadata {
                let name = of.map(|id| self.told_name(account.name_of(id)));
                response::metadata_changed(link.out(), name.as_deref(), entries, names);
            }
        });
    }
}

impl News {
    fn add(&mut self, name: &str, old: Option<&str>) {
        let old = old.map(str::to_owned);
        if !self.names.iter().any(|known| known.name == name && known.old == old) {
            self.names.push(Name { name: name.to_owned(), old });
        }
    }
}

/// Whether a mailbox took another name only because one above it did.
fn is_carried(above: Option<&(String, String)>, from: &str, to: &str) -> bool {
    above.is_some_and(|(old, new)| match (from.strip_prefix(&**old), to.strip_prefix(&**new)) {
        (Some(before), Some(after)) => before == after && before.starts_with('/'),
        _ => false,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_below_is_carried() {
        let above = ("a".to_owned(), "b/c".to_owned());
        let check = |from, to, expect| assert_eq!(is_carried(Some(&above), from, to), expect, "{from} {to}");
        check("a/x", "b/c/x", true);
        check("a/x/y", "b/c/x/y", true);
        check("a/x", "b/c/y", false);
        check("ab", "b/cb", false);
        check("a", "b/c", false);
        assert!(!is_carried(None, "a/x", "b/x"));
    }
}
