//! Virtual mailboxes: what is found in the user's others, as one list.
//!
//! ```text
//! SELECT STATUS NOOP IDLE ..   catch up: mailboxes in which something has happened ──search──▶ what comes in, what is leaving
//! FETCH SEARCH STORE COPY ..   as in any mailbox; its ops are those of the messages' own mailboxes (engine/store, account/derived.rs)
//! APPEND to it, CREATE ..      refused here
//! ```
//! Messages that are looked for no more stay, as with Dovecot, until it is opened anew or an EXPUNGE is said in it: a client that marks what it
//! reads among the unseen would have it taken away under its hands. What only time has made too old, or old enough, comes and goes at once.

use super::select::{describe, status_of};
use super::session::{Selected, Session};
use super::spaces::decoded;
use super::visit::missing;
use skein_base::{Class, Flags, IdSet, MailboxId, Rights, UidValidity};
use skein_config::VirtualMailbox;
use skein_proto::imap::response::Names;
use skein_proto::imap::{Argument, Code, Mode, Reply, Request, SearchKey, SelectedInfo, StatusInfo, StatusItems};
use skein_store::account::{Account, DERIVED_MESSAGES_MAX};
use skein_store::{AccountError, Actor, Refused, StoreError};
use std::collections::BTreeSet;
use std::rc::Rc;

/// Mailboxes that one shows messages of; all of them are in memory while it is open.
const SOURCES_MAX: usize = 1000;
/// Looks at what happens while one looks; what happens after that is news.
const LOOKS_MAX: usize = 3;
/// The annotation of an account that says the last UIDVALIDITY that a virtual mailbox of it had.
const VALIDITY: &str = "virtual-validity";

/// What a virtual mailbox that is open shows.
pub(crate) struct Shown {
    definition: VirtualMailbox,
    /// It could not be brought up to date. With what happens next it is tried again, at a command of the client's.
    is_stuck: bool,
}

/// Why nothing can be found by a query; for who wrote the settings.
pub fn wrong_query(query: &str) -> Option<&'static str> {
    SearchKey::standing(query).err()
}

impl Session {
    /// The virtual mailbox of this name.
    pub(super) fn virtual_named(&self, name: &str) -> Option<VirtualMailbox> {
        if self.actor != Actor::Owner {
            return None;
        }
        let name = self.spaces.as_ref()?.in_virtuals(name)?;
        let settings = self.host.settings();
        settings.config.virtual_mailbox.iter().find(|one| one.name == name).cloned()
    }

    /// The refusal of what can not be done with a virtual mailbox, or with a name where only those are.
    pub(super) fn refuse_virtual(&self, request: &Request, names: Names) -> Option<Reply> {
        let spaces = self.spaces.as_ref()?;
        let is_there = |name: &str| spaces.in_virtuals(name).is_some();
        let cannot = |text: &'static str| Some(Reply::No { code: Some(Code::Cannot), text: text.into() });
        match request {
            Request::Select { mailbox, .. } | Request::Status { mailbox, .. } if is_there(mailbox) => {
                self.virtual_named(mailbox).is_none().then(missing)
            }
            Request::Create { mailbox, .. } if is_there(mailbox) => {
                cannot("Only virtual mailboxes are there, which the server makes")
            }
            Request::Delete { mailbox } if is_there(mailbox) => cannot("A virtual mailbox can not be deleted"),
            Request::Rename { from, .. } if is_there(from) => cannot("A virtual mailbox can not take another name"),
            Request::Rename { to, .. } if is_there(to) => cannot("Only virtual mailboxes are there"),
            Request::AppendBegin(to) if is_there(&to.mailbox) => cannot(NO_TARGET),
            Request::Copy { mailbox, .. } | Request::Move { mailbox, .. } if is_there(mailbox) => cannot(NO_TARGET),
            Request::GetMetadata { mailbox: Some(mailbox), .. }
            | Request::SetMetadata { mailbox: Some(mailbox), .. }
            | Request::ResetKey { mailbox: Some(mailbox) }
                if is_there(mailbox) =>
            {
                cannot("A virtual mailbox has no annotations and no keys")
            }
            Request::Extension { arguments, .. } => {
                let Some(Argument::Atom(bytes) | Argument::String(bytes)) = arguments.first() else { return None };
                match decoded(bytes, names).is_some_and(|name| is_there(&name)) {
                    true => cannot("That is not to be had of a virtual mailbox"),
                    false => None,
                }
            }
            _ => None,
        }
    }

    /// Opens it and a view of it.
    pub(super) async fn open_virtual(
        &mut self,
        definition: VirtualMailbox,
        mode: Mode,
    ) -> Result<SelectedInfo, StoreError> {
        let mailbox = self.derived(&definition)?;
        self.look_again(mailbox, &definition).await?;
        let read_only = mode == Mode::ReadOnly;
        let view = self.account.with_mut(|account| {
            account.let_leave(mailbox, &everything());
            account.mailbox_mut(mailbox).map(|m| m.open_view(read_only))
        });
        let view = view.ok_or(AccountError::NoSuchMailbox)?;
        self.account.changed().notify_all();
        self.selected = Some(Selected {
            mailbox,
            view,
            read_only,
            keywords_told: self.look(mailbox, |m| m.keywords().len()),
            permanent: Flags::ALL,
            url_key: None,
            untold: IdSet::new(),
            saved: IdSet::new(),
            contexts: Vec::new(),
            batched: None,
            shown: Some(Box::new(Shown { definition, is_stuck: false })),
        });
        // From here on they stay in memory: what is stored goes to them.
        for source in self.account.read(|account| account.derived_sources(mailbox)) {
            self.store.load(&self.account, source).await?;
        }
        self.account.with_mut(|account| account.refresh_bodies(mailbox));
        Ok(self.look(mailbox, |m| describe(m, view, (read_only, Rights::ALL))))
    }

    pub(super) async fn virtual_status(
        &self,
        definition: &VirtualMailbox,
        items: StatusItems,
    ) -> Result<StatusInfo, StoreError> {
        let mailbox = self.derived(definition)?;
        self.look_again(mailbox, definition).await?;
        self.account.with_mut(|account| {
            if account.mailbox(mailbox).is_some_and(|m| m.view_count() == 0) {
                account.let_leave(mailbox, &everything());
            }
        });
        Ok(self.look(mailbox, |m| status_of(m, items, None)))
    }

    /// Whether something has happened that may change what the selected mailbox shows.
    pub(super) fn is_shown_behind(&self) -> bool {
        self.selected.as_ref().is_some_and(|selected| {
            selected.shown.as_ref().is_some_and(|shown| !shown.is_stuck) && self.is_derived_due(selected.mailbox)
        })
    }

    /// When time alone next changes what the selected mailbox shows, at the earliest; Unix seconds.
    pub(super) fn shown_turns(&self) -> Option<i64> {
        let selected = self.selected.as_ref()?;
        selected.shown.as_ref().filter(|shown| !shown.is_stuck)?;
        self.account.read(|account| account.derived_turns(selected.mailbox))
    }

    fn is_derived_due(&self, mailbox: MailboxId) -> bool {
        let has_turned =
            |account: &Account| account.derived_turns(mailbox).is_some_and(|turns| turns <= self.store.now());
        self.account.read(|account| account.is_derived_behind(mailbox) || has_turned(account))
    }

    /// Brings the selected mailbox up to date, when it is a virtual one.
    pub(super) async fn catch_up_selected(&mut self) {
        let Some((mailbox, shown)) =
            self.selected.as_ref().and_then(|selected| Some((selected.mailbox, selected.shown.as_ref()?)))
        else {
            return;
        };
        if !self.is_derived_due(mailbox) {
            return;
        }
        let definition = shown.definition.clone();
        let caught_up = self.look_again(mailbox, &definition).await;
        if let Err(error) = &caught_up {
            tracing::warn!(user = %self.account.user(), mailbox = definition.name, %error, "a virtual mailbox is not up to date");
        }
        if let Some(shown) = self.selected.as_mut().and_then(|selected| selected.shown.as_mut()) {
            shown.is_stuck = caught_up.is_err();
        }
    }

    /// EXPUNGE was said: what is looked for no more leaves, as far as the session knows of it.
    pub(super) fn let_leave(&self, uids: &IdSet) {
        if let Some(selected) = self.selected.as_ref().filter(|selected| selected.shown.is_some()) {
            self.account.with_mut(|account| account.let_leave(selected.mailbox, uids));
            self.account.changed().notify_all();
        }
    }

    /// The state of it in the account, which begins with whoever comes first.
    fn derived(&self, definition: &VirtualMailbox) -> Result<MailboxId, StoreError> {
        let key = key(definition);
        if let Some(id) = self.account.read(|account| account.derived(&key)) {
            return Ok(id);
        }
        // UIDs begin anew, so no client may take what it knows for these: not even one that knows those of a second ago.
        let (validity, ops) = self.account.read(|account| {
            let noted = account.metadata(None).and_then(|own| own.get(VALIDITY));
            let last = noted.and_then(|value| std::str::from_utf8(value).ok()?.parse().ok()).unwrap_or(0_u32);
            let now = u32::try_from(self.store.now()).unwrap_or(u32::MAX);
            let validity = now.max(last.saturating_add(1));
            let value = Some(validity.to_string().into_bytes().into());
            account.set_metadata(None, &[(VALIDITY.into(), value)]).map(|ops| (UidValidity(validity), ops))
        })?;
        self.store.commit(&self.account, &ops)?;
        let settings = self.host.settings();
        Ok(self.account.with_mut(|account| {
            account.retain_derived(|kept| settings.config.virtual_mailbox.iter().any(|one| *self::key(one) == *kept));
            account.derive(&key, validity)
        }))
    }

    /// Brings it up to date.
    async fn look_again(&self, mailbox: MailboxId, definition: &VirtualMailbox) -> Result<(), StoreError> {
        let as_of = self.account.with_mut(|account| account.pass_time(mailbox, self.store.now()));
        let looked = self.look_since(mailbox, definition, as_of).await;
        // Whoever comes next has it to do.
        if let (Err(_), Some(as_of)) = (&looked, as_of) {
            self.account.with_mut(|account| account.note_time(mailbox, as_of, Some(as_of)));
        }
        looked
    }

    async fn look_since(
        &self,
        mailbox: MailboxId,
        definition: &VirtualMailbox,
        mut as_of: Option<i64>,
    ) -> Result<(), StoreError> {
        // The settings were checked.
        let key = definition.query.as_deref().map(SearchKey::standing).transpose();
        let key = key.map_err(|_| AccountError::NoSuchMailbox)?;
        for _ in 0..LOOKS_MAX {
            let sources: BTreeSet<MailboxId> = self.account.read(|account| {
                account.mailboxes().filter(|named| definition.covers(named.name)).map(|named| named.id).collect()
            });
            if sources.len() > SOURCES_MAX {
                let text = format!("It would show more than {SOURCES_MAX} mailboxes");
                return Err(Refused::new(Class::Limit, text).into());
            }
            let due = self.account.with_mut(|account| account.derive_from(mailbox, &sources));
            if due.is_empty() {
                return Ok(());
            }
            let now = self.store.now();
            let looked = match &key {
                Some(key) => Box::pin(self.look_through(key, due, as_of.take())).await?,
                None => Box::pin(self.let_extension_look(&definition.name, due)).await?,
            };
            let taken = self.account.with_mut(|account| {
                account.note_time(mailbox, now, looked.turns);
                account.take_found(mailbox, &looked.found)
            });
            self.account.changed().notify_all();
            if taken.is_err() {
                let text = format!("It would show more than {DERIVED_MESSAGES_MAX} messages");
                return Err(Refused::new(Class::Limit, text).into());
            }
        }
        Ok(())
    }
}

const NO_TARGET: &str = "Messages can not be put into a virtual mailbox";

/// Another one for all that changes what is in it.
fn key(definition: &VirtualMailbox) -> Rc<str> {
    let VirtualMailbox { name, query, from, .. } = definition;
    format!("{name}\0{}\0{}", query.as_deref().unwrap_or_default(), from.join("\0")).into()
}

fn everything() -> IdSet {
    IdSet::range(1, u32::MAX)
}
