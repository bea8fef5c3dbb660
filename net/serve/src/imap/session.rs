//! A logged-in session: requests in, replies and untagged lines out.

use super::append::Append;
use super::batches::Batched;
use super::grantees::GROUPS_MAX;
use super::limit::with_limit;
use super::link::Link;
use super::list;
use super::metadata;
use super::search::Context;
use super::spaces::Spaces;
use super::urlauth::Key;
use super::virtuals::Shown;
use super::visit::{Visits, groups_in};
use super::watch::Watch;
use crate::Store;
use crate::failure::refuse;
use crate::host::{Host, HostSettings};
use skein_acl::{list_of, seen_column};
use skein_auth::Accepted;
use skein_base::{Flags, IdSet, MailboxId, Rights, SpecialUse, UidValidity};
use skein_hooks::{Call, Extensions, Outcome};
use skein_proto::imap::{Argument, Code, NotifySet, Reply, Request, response};
use skein_runtime::sleep;
use skein_store::account::Account;
use skein_store::mailbox::ViewId;
use skein_store::op::Op;
use skein_store::{AccountError, AccountHandle, Actor, StoreError};
use std::cell::RefCell;
use std::io;
use std::rc::Rc;
use std::time::Duration;

/// The mailbox a session has open.
pub(crate) struct Selected {
    pub mailbox: MailboxId,
    pub view: ViewId,
    pub read_only: bool,
    /// Keywords of the mailbox that the client has been told of.
    pub keywords_told: usize,
    /// System flags that it may change, as far as the client has been told.
    pub permanent: Flags,
    /// The key of its URLs, as far as the client has been told that it was reset.
    pub url_key: Option<Key>,
    /// Messages whose flags changed while NOTIFY said that this is not to be told.
    pub untold: IdSet,
    /// UIDs that `$` means (RFC 5182).
    pub saved: IdSet,
    /// Results that are kept up (RFC 5267).
    pub contexts: Vec<Context>,
    /// What UIDBATCHES was answered last.
    pub batched: Option<Batched>,
    /// What it shows, when it is a virtual one.
    pub shown: Option<Box<Shown>>,
}

/// One user's session on the user's own shard.
pub(crate) struct Session {
    pub store: Store,
    pub account: Rc<AccountHandle>,
    pub selected: Option<Selected>,
    pub append: Option<Box<Append>>,
    pub message_bytes_max: u64,
    /// How often the client is told how far a command is; 0 for never.
    pub progress_ms: u64,
    /// Messages that one command works on; 0 is no limit.
    pub message_limit: u32,
    /// Messages that COPY and APPEND save, where there is no limit for all commands; 0 is none.
    pub saved_limit: u32,
    /// How to reach whoever runs the server; empty when that is not said.
    pub admin: Box<str>,
    /// Present once the client asked to be told what others do.
    pub watch: RefCell<Option<Box<Watch>>>,
    /// What NOTIFY asked for, once it was said; nothing after NOTIFY NONE.
    pub notify: Option<Rc<NotifySet>>,
    /// New messages of the selected mailbox that the client is to be told more of.
    pub fresh: IdSet,
    pub host: Host,
    /// Who it is that asks.
    pub actor: Actor,
    /// The column of values that says what he has seen, when the mailboxes' own flag does not.
    pub seen_by: Option<Rc<str>>,
    /// He is an administrator.
    pub is_admin: bool,
    /// What stands before the account's mailbox names as the client knows them, but his own INBOX.
    pub prefix: String,
    /// The namespaces of the user's own session, when there is anything to say of them.
    pub spaces: Option<Rc<Spaces>>,
    /// Where other users' mailboxes are, when that is somewhere.
    pub visits: Option<Box<Visits>>,
    pub extensions: Extensions,
}

impl Session {
    pub fn new(host: &Host, account: Rc<AccountHandle>, actor: Actor) -> Session {
        let mut session = Session {
            store: host.store().clone(),
            account,
            selected: None,
            append: None,
            message_bytes_max: 0,
            progress_ms: 0,
            message_limit: 0,
            saved_limit: 0,
            admin: "".into(),
            watch: RefCell::new(None),
            notify: None,
            fresh: IdSet::new(),
            host: host.clone(),
            actor,
            seen_by: None,
            is_admin: false,
            prefix: String::new(),
            spaces: None,
            visits: None,
            extensions: host.extensions().clone(),
        };
        session.configure(&host.settings());
        session
    }

    /// Goes by these settings from now on.
    pub fn configure(&mut self, settings: &HostSettings) {
        self.message_bytes_max = settings.message_bytes_max;
        self.progress_ms = settings.config.imap.progress_ms;
        self.message_limit = settings.config.imap.message_limit;
        self.saved_limit = settings.config.imap.save_limit;
        self.admin = settings.config.imap.admin.as_str().into();
        self.seen_by = match &self.actor {
            Actor::Guest(guest) if settings.config.namespaces.shared_seen_apart => Some(seen_column(&guest.user)),
            _ => None,
        };
    }

    /// It is the user's own, with the namespaces that the settings say; mailboxes of others may be reached where they do.
    pub fn is_of(&mut self, accepted: &Accepted) {
        let spaces = Spaces::of(&self.host.settings().config);
        let groups = accepted.fields.other("acl_groups").unwrap_or_default();
        let count = groups_in(groups).count();
        if count > GROUPS_MAX && self.host.settings().config.namespaces.shared_anyone {
            tracing::warn!(
                user = %accepted.user, groups = count, max = GROUPS_MAX,
                "a user of too many groups: LIST shows what is shared with the first of them, the rest only by name"
            );
        }
        let others = spaces.clone().filter(|spaces| spaces.has_others());
        self.visits = others.map(|spaces| Box::new(Visits::new(spaces, &accepted.user, groups)));
        self.prefix = spaces.as_ref().map_or(String::new(), |spaces| spaces.own.clone());
        self.spaces = spaces;
    }

    /// Does what is asked. Untagged lines go into the link's buffer, which is drained to the client when it is full.
    ///
    /// # Errors
    /// The connection is gone; there is nobody to reply to.
    pub async fn execute(&mut self, request: Request, link: &mut Link<'_>) -> io::Result<Reply> {
        Ok(match request {
            Request::Select { mailbox, mode, rev2, .. } => self.select(&mailbox, mode, rev2).await,
            Request::Unselect | Request::Logout | Request::Unauthenticate => {
                self.unselect();
                Reply::Done
            }
            Request::Close => self.close(),
            Request::Create { mailbox, uses } => self.create(&mailbox, uses),
            Request::Delete { mailbox } => self.delete(&mailbox).await,
            Request::Rename { from, to } => self.rename(&from, &to).await,
            Request::Subscribe { mailbox } => self.subscribe(&mailbox),
            Request::Unsubscribe { mailbox } => self.change_tree(|account, _| account.subscribe(&mailbox, false)),
            Request::List { reference, patterns, lsub, extended } => {
                let is_extended = extended.as_ref().is_some_and(|options| !options.xlist);
                let wanted = list::Wanted { reference, patterns, lsub, options: extended.unwrap_or_default() };
                Box::pin(self.list(&wanted, is_extended, link)).await?
            }
            Request::Namespace => {
                let namespaces = self.spaces.as_ref().map(|spaces| spaces.namespaces()).unwrap_or_default();
                let names = link.names();
                response::namespace(link.out(), &namespaces, names);
                Reply::Done
            }
            Request::Status { mailbox, items } => self.status(&mailbox, items).await,
            Request::GetMetadata { mailbox, entries, max_bytes, depth } => {
                let wanted = metadata::Wanted { entries, max_bytes, depth };
                Box::pin(self.metadata(mailbox.as_deref(), &wanted, link)).await?
            }
            Request::SetMetadata { mailbox, changes } => self.set_metadata(mailbox.as_deref(), changes, link),
            Request::EnableMetadata { mailboxes } => {
                self.watch_metadata(mailboxes);
                Reply::Done
            }
            Request::Notify(set) => Box::pin(self.set_notify(set, link)).await?,
            Request::AppendBegin(_)
            | Request::AppendMessage { .. }
            | Request::AppendUrl(_)
            | Request::AppendLiteral { .. }
            | Request::AppendChunk(_)
            | Request::AppendAbort => Box::pin(self.append(request)).await,
            Request::AppendEnd => Box::pin(self.append_end()).await,
            Request::Resync(resync) => Box::pin(self.resync(&resync, link)).await?,
            Request::Fetch { set, uid, items, changed_since, vanished, partial } => {
                let (mailbox, view, mut uids) = match self.resolve(&set, uid) {
                    Ok(resolved) => resolved,
                    Err(reply) => return Ok(reply),
                };
                if let Some(since) = changed_since.filter(|_| vanished) {
                    // What is gone may have been above the last that is left, which `*` is.
                    let of = if set.is_saved() { uids.clone() } else { uids.union(&set.resolve(u32::MAX)) };
                    self.tell_vanished(since, &of, link);
                }
                if let Some(range) = partial {
                    if let Err(refusal) = self.refuse_places(range) {
                        return Ok(refusal);
                    }
                    uids = self.places(mailbox, view, &uids, range);
                }
                let (uids, limited) = self.limited(mailbox, view, uids);
                let reply = Box::pin(self.fetch((mailbox, view, uids), &items, changed_since, link)).await?;
                with_limit(reply, limited, link)
            }
            Request::Store { set, uid, mode, silent, flags, unchanged_since } => {
                let wish = super::store::Wish { mode, silent, flags, unchanged_since };
                Box::pin(self.store_flags(&set, uid, wish, link)).await?
            }
            Request::Search { uid, key, needs_modseq, returns } => {
                Box::pin(self.search(uid, key, needs_modseq, returns, link)).await?
            }
            Request::ForgetSaved { code, text } => {
                if let Some(selected) = &mut self.selected {
                    selected.saved = IdSet::new();
                }
                Reply::No { code: Some(code), text: text.into() }
            }
            Request::Sort { uid, by, key, needs_modseq, returns } => {
                Box::pin(self.sort(uid, by, key, needs_modseq, returns, link)).await?
            }
            Request::MultiSearch { sources, key, needs_modseq, returns } => {
                Box::pin(self.multi_search(&sources, key, needs_modseq, &returns, link)).await?
            }
            Request::UidBatches { tag, size, batches } => self.uid_batches(&tag, size, batches, link).await,
            Request::CancelUpdate { tags } => self.cancel_update(&tags),
            Request::Thread { uid, by, collation, key, .. } => {
                Box::pin(self.thread(uid, (by, collation), key, link)).await?
            }
            Request::Copy { set, uid, mailbox } => Box::pin(self.copy(&set, uid, &mailbox)).await,
            Request::Move { set, uid, mailbox } => Box::pin(self.move_away(&set, uid, &mailbox, link)).await,
            Request::Expunge { uids } => self.expunge(uids.as_ref(), link),
            Request::Sync { expunges, .. } => {
                self.tell_news(expunges, link).await?;
                Box::pin(self.tell_others(link)).await?;
                Reply::Done
            }
            Request::Idle => {
                Box::pin(self.push(true, link)).await?;
                Reply::Continue
            }
            Request::IdleEnd => Reply::Done,
            Request::Enable => {
                if let Some(selected) = &self.selected {
                    let modseq = self.look(selected.mailbox, |m| m.modseq());
                    response::highest_modseq(link.out(), modseq);
                }
                Reply::Done
            }
            Request::GenUrlAuth { urls } => self.generate_urls(&urls, link),
            Request::ResetKey { mailbox } => self.reset_key(mailbox.as_deref()),
            Request::UrlFetch { urls } => Box::pin(self.fetch_urls(urls, link)).await?,
            Request::Extension { command, arguments } => Box::pin(self.extension(command, &arguments, link)).await,
            Request::Login { .. } | Request::Sasl(_) => Reply::bad("Already logged in"),
        })
    }

    /// Resolves when there may be news that the session has not been told.
    pub async fn news(&self, idling: bool) {
        if self.is_elsewhere() && idling {
            return self.news_elsewhere().await;
        }
        while !self.has_news(idling) {
            let change = self.account.changed().notified();
            match self.time_turns().filter(|_| self.told().messages) {
                None => change.await,
                Some(turns) => {
                    let left = Duration::from_secs(u64::try_from(turns - self.store.now()).unwrap_or(0));
                    futures_lite::future::or(change, sleep(left)).await;
                }
            }
        }
    }

    /// When time alone next makes something another that is to be told, at the earliest; Unix seconds.
    fn time_turns(&self) -> Option<i64> {
        self.contexts_turn().into_iter().chain(self.shown_turns()).min()
    }

    /// Tells what has changed in the selected mailbox, and in the results that are kept up.
    pub async fn tell_news(&mut self, expunges: bool, link: &mut Link<'_>) -> io::Result<()> {
        Box::pin(self.catch_up_selected()).await;
        self.tell_selected(expunges, link);
        match self.selected.as_ref().is_some_and(|selected| !selected.contexts.is_empty()) {
            true => Box::pin(self.tell_contexts(link)).await,
            false => Ok(()),
        }
    }

    /// Writes the account out in the background when enough has changed.
    pub fn checkpoint_if_due(&self) {
        crate::host::checkpoint_if_due(&self.store, &self.account);
    }

    /// Validates, logs and applies a change of the tree.
    fn change_tree(&self, validate: impl FnOnce(&Account, i64) -> Result<Vec<Op>, AccountError>) -> Reply {
        match self.commit_with(validate) {
            Ok(()) => Reply::Done,
            Err(error) => refuse(&error),
        }
    }

    /// Tells the new mailbox's identity (RFC 8474 §4.1).
    fn create(&self, mailbox: &str, uses: SpecialUse) -> Reply {
        if let Err(error) = self.needs_above(mailbox) {
            return refuse(&error);
        }
        let made = |account: &Account, now| {
            let mut ops = account.create_for(mailbox, uses, now)?;
            if let Some(Op::CreateMailbox { mailbox: id, name, .. }) = ops.first() {
                let more = self.extensions.creating(account, name, *id);
                ops.extend(more);
            }
            Ok(ops)
        };
        match self.change_tree(made) {
            Reply::Done => {
                let made = |account: &Account| account.find(mailbox).map(|made| mailbox_id(made.id, made.validity));
                self.account.read(made).map_or(Reply::Done, |id| Reply::DoneCode(Code::MailboxId(id)))
            }
            refusal => refusal,
        }
    }

    fn subscribe(&self, mailbox: &str) -> Reply {
        let other = self.spaces.as_ref().and_then(|spaces| spaces.other(mailbox));
        if other.is_some_and(|space| !space.subscriptions) {
            return Reply::No { code: Some(Code::Cannot), text: "Mailboxes there can not be subscribed".into() };
        }
        self.change_tree(|account, _| account.subscribe(mailbox, true))
    }

    async fn delete(&self, mailbox: &str) -> Reply {
        if let Err(error) = self.needs_named(mailbox, Rights::DELETE_MAILBOX) {
            return refuse(&error);
        }
        self.delete_mailbox(mailbox).await.map_or_else(|error| refuse(&error), |()| Reply::Done)
    }

    /// Removes a mailbox; those with whom it was shared hear of it.
    pub(crate) async fn delete_mailbox(&self, mailbox: &str) -> Result<(), StoreError> {
        let listed = |account: &Account| Some(list_of(account, account.find(mailbox)?.id).grantees().next().is_some());
        let is_shared = self.account.read(listed).unwrap_or_default();
        self.commit_with(|account, _| account.delete(mailbox))?;
        if is_shared {
            self.tell_grantees().await;
        }
        Ok(())
    }

    async fn rename(&self, from: &str, to: &str) -> Reply {
        let may = self.needs_named(from, Rights::DELETE_MAILBOX).and_then(|()| self.needs_above(to));
        if let Err(error) = may {
            return refuse(&error);
        }
        if !from.eq_ignore_ascii_case("INBOX") {
            return self.change_tree(|account, _| account.rename(from, to));
        }
        match self.store.load(&self.account, MailboxId::INBOX).await {
            Ok(()) => self.change_tree(|account, now| account.empty_inbox_into(to, now)),
            Err(error) => refuse(&error),
        }
    }

    /// Validates and commits with nothing in between.
    pub(crate) fn commit_with(
        &self,
        validate: impl FnOnce(&Account, i64) -> Result<Vec<Op>, AccountError>,
    ) -> Result<(), StoreError> {
        let now = self.store.now();
        let ops = self.account.read(|account| validate(account, now))?;
        self.commit(&ops)
    }

    async fn extension(&self, command: &'static str, arguments: &[Argument], link: &mut Link<'_>) -> Reply {
        let call = Call {
            command,
            arguments,
            actor: &self.actor,
            is_admin: self.is_admin,
            account: &self.account,
            prefix: &self.prefix,
            names: link.names(),
            selected: self.selected.as_ref().map(|selected| selected.mailbox),
            store: &self.store,
            extensions: &self.extensions,
        };
        let Outcome { lines, reply } = self.extensions.run(call).await;
        link.out().extend_from_slice(&lines);
        if matches!(command, "SETACL" | "DELETEACL") && reply == Reply::Done {
            self.tell_grantees().await;
        }
        reply
    }
}

/// Identity of a mailbox as clients are told it, whatever its name: another one when its UIDs are others.
pub(super) fn mailbox_id(id: MailboxId, validity: UidValidity) -> u64 {
    u64::from(id.0) << 32 | u64::from(validity.0)
}

impl Drop for Session {
    fn drop(&mut self) {
        self.unselect();
    }
}
