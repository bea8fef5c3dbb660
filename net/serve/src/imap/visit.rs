//! Other users' mailboxes, as this session's client reaches them: `shared/anna/Lists` is `Lists` of anna.
//!
//! ```text
//! request ─▶ whose is the mailbox? ── his own ──▶ here
//!                  └── anna's ──▶ her shard: a guest (guest.rs) ──▶ what it says is passed on
//! ```
//! A visit begins with the first request, and ends with the session or for want of room.

use super::across::Wish;
use super::guest::{self, Arrival, Ask, Listed, PIECES_UNDER_WAY, Piece, Question};
use super::link::Link;
use super::session::Session;
use super::spaces::{Space, Spaces, decoded};
use crate::host::{Job, ToShard};
use skein_base::{Class, UserName};
use skein_proto::imap::response::Names;
use skein_proto::imap::{Argument, Code, Depth, Reply, Request, StatusItems};
use skein_runtime::spawn_detached;
use skein_store::{AccountError, Guest};
use std::io;
use std::rc::Rc;
use std::sync::Arc;

/// Accounts that one session visits at a time; the one that it has not come to for longest makes room.
const VISITS_MAX: usize = 8;
/// The annotation of an account that says whose mailboxes are shared with its user; the owner's name follows.
pub(super) const SHARED_BY: &str = "shared-by/";
/// The annotation of an account that says in whose mailboxes its user may have something of his own; the owner's name follows.
pub(super) const GUEST_OF: &str = "guest-of/";

/// A session's visits.
pub(crate) struct Visits {
    spaces: Rc<Spaces>,
    me: Arc<Guest>,
    /// The last one used is the last.
    open: Vec<Visit>,
    /// Whose mailbox is selected, when it is another's.
    selected: Option<UserName>,
    /// Whose mailbox takes the messages of the APPEND under way, when it is another's.
    appending: Option<UserName>,
}

struct Visit {
    owner: UserName,
    questions: flume::Sender<Question>,
    news: flume::Receiver<()>,
}

/// Where a request goes.
enum Way {
    Here,
    To(UserName),
    /// It names mailboxes of several accounts.
    Across,
    Nowhere,
}

/// The names in what a source of users says of groups.
pub(super) fn groups_in(said: &str) -> impl Iterator<Item = &str> {
    said.split(',').map(str::trim).filter(|group| !group.is_empty())
}

impl Visits {
    /// None yet.
    pub fn new(spaces: Rc<Spaces>, user: &UserName, groups: &str) -> Visits {
        let groups = groups_in(groups).map(Into::into).collect();
        let me = Arc::new(Guest { user: user.clone(), groups });
        Visits { spaces, me, open: Vec::new(), selected: None, appending: None }
    }

    /// The owner, and the name in his account. `None` for a name of the user's own; an owner who can not be is nobody.
    fn owner(&self, name: &str) -> Option<Result<(UserName, String), ()>> {
        let named =
            |owner: UserName, inner: &str| if inner.is_empty() { Err(()) } else { Ok((owner, inner.to_owned())) };
        if let Some((space, owner)) = &self.spaces.public
            && let Some(inner) = name.strip_prefix(&space.prefix)
        {
            return Some(named(owner.clone(), inner));
        }
        let rest = name.strip_prefix(&self.spaces.shared.as_ref()?.prefix)?;
        let (owner, inner) = rest.split_once('/').unwrap_or((rest, ""));
        let owner = UserName::new(owner).ok().filter(|owner| !self.is_public(owner));
        Some(owner.ok_or(()).and_then(|owner| named(owner, inner)))
    }

    /// His mailboxes are for all, in a namespace of their own.
    fn is_public(&self, user: &UserName) -> bool {
        self.spaces.public.as_ref().is_some_and(|(_, owner)| owner == user)
    }

    /// What the client has before the names of an account.
    fn prefix(&self, owner: &UserName) -> String {
        match (&self.spaces.public, &self.spaces.shared) {
            (Some((space, public)), _) if public == owner => space.prefix.clone(),
            (_, shared) => format!("{}{owner}/", shared.as_ref().map_or("", |space| &space.prefix)),
        }
    }

    /// Takes the owner's name off a mailbox name.
    fn way(&self, name: &mut String) -> Way {
        match self.owner(name) {
            None => Way::Here,
            Some(Err(())) => Way::Nowhere,
            Some(Ok((owner, _))) if owner == self.me.user => Way::Nowhere,
            Some(Ok((owner, inner))) => {
                *name = inner;
                Way::To(owner)
            }
        }
    }

    fn both(&self, one: &mut String, other: &mut String) -> Way {
        match (self.way(one), self.way(other)) {
            (Way::Here, Way::Here) => Way::Here,
            (Way::To(one), Way::To(other)) if one == other => Way::To(one),
            (Way::Nowhere, _) | (_, Way::Nowhere) => Way::Nowhere,
            _ => Way::Across,
        }
    }

    /// Where a request goes; names in it are those of the account that it goes to.
    fn route(&self, request: &mut Request, names: Names) -> Way {
        let at_selected = |owner: &Option<UserName>| owner.clone().map_or(Way::Here, Way::To);
        match request {
            Request::Select { mailbox, .. }
            | Request::Status { mailbox, .. }
            | Request::Create { mailbox, .. }
            | Request::Delete { mailbox }
            | Request::GetMetadata { mailbox: Some(mailbox), .. }
            | Request::SetMetadata { mailbox: Some(mailbox), .. } => self.way(mailbox),
            Request::Rename { from, to } => self.both(from, to),
            Request::AppendBegin(to) => match (&to.replaces, self.way(&mut to.mailbox)) {
                (None, way) => way,
                (Some(_), Way::Here) if self.selected.is_none() => Way::Here,
                (Some(_), Way::To(owner)) if self.selected.as_ref() == Some(&owner) => Way::To(owner),
                (Some(_), Way::Nowhere) => Way::Nowhere,
                _ => Way::Across,
            },
            Request::AppendMessage { .. }
            | Request::AppendUrl(_)
            | Request::AppendLiteral { .. }
            | Request::AppendChunk(_)
            | Request::AppendEnd
            | Request::AppendAbort => at_selected(&self.appending),
            Request::Extension { arguments, .. } => match arguments.first_mut() {
                Some(Argument::Atom(name) | Argument::String(name)) => self.way_of_bytes(name, names),
                _ => Way::Here,
            },
            Request::Copy { mailbox, .. } | Request::Move { mailbox, .. } => {
                match (&self.selected, self.way(mailbox)) {
                    (None, Way::Here) => Way::Here,
                    (Some(owner), Way::To(target)) if *owner == target => Way::To(target),
                    (_, Way::Nowhere) => Way::Nowhere,
                    _ => Way::Across,
                }
            }
            Request::Unselect
            | Request::Close
            | Request::Resync(_)
            | Request::Fetch { .. }
            | Request::Store { .. }
            | Request::Search { .. }
            | Request::ForgetSaved { .. }
            | Request::Sort { .. }
            | Request::Thread { .. }
            | Request::CancelUpdate { .. }
            | Request::UidBatches { .. }
            | Request::Expunge { .. }
            | Request::Sync { .. }
            | Request::Idle
            | Request::IdleEnd
            | Request::Enable => at_selected(&self.selected),
            _ => Way::Here,
        }
    }

    /// The same for a name as an extension reads it, in the client's form.
    fn way_of_bytes(&self, bytes: &mut Vec<u8>, names: Names) -> Way {
        let Some(mut name) = decoded(bytes, names) else { return Way::Here };
        let way = self.way(&mut name);
        if let Way::To(_) = &way {
            *bytes = names.wire(&name);
        }
        way
    }
}

impl Session {
    /// Does what is asked, here or where the mailbox is.
    ///
    /// # Errors
    /// The connection is gone.
    pub async fn serve(&mut self, mut request: Request, link: &mut Link<'_>) -> io::Result<Reply> {
        if let Some(spaces) = &self.spaces
            && let Err(refusal) = spaces.enter(&mut request, link.names())
        {
            return Ok(refusal);
        }
        if let Some(refusal) = self.refuse_virtual(&request, link.names()) {
            if let Request::Select { .. } = &request {
                // What was open is not any more (RFC 3501 §6.3.1).
                self.leave(&Way::Nowhere, link).await?;
            }
            return Ok(refusal);
        }
        let Some(visits) = &mut self.visits else { return self.execute(request, link).await };
        let named = match &request {
            Request::Copy { mailbox, .. } | Request::Move { mailbox, .. } => mailbox.clone(),
            _ => String::new(),
        };
        let way = visits.route(&mut request, link.names());
        if let Request::Select { .. } = &request {
            self.leave(&way, link).await?;
        }
        match way {
            Way::Here => self.execute(request, link).await,
            Way::To(owner) => self.at(&owner, request, link).await,
            Way::Nowhere => Ok(missing()),
            Way::Across => match request {
                Request::Copy { set, uid, mailbox } => {
                    self.across(Wish { set, uid, moving: false }, &named, mailbox, link).await
                }
                Request::Move { set, uid, mailbox } => {
                    self.across(Wish { set, uid, moving: true }, &named, mailbox, link).await
                }
                _ => Ok(across()),
            },
        }
    }

    /// `named` is the target as the client has it.
    async fn across(&mut self, wish: Wish, named: &str, target: String, link: &mut Link<'_>) -> io::Result<Reply> {
        let Some(visits) = &self.visits else { return Ok(across()) };
        let (from, mut name) = (visits.selected.clone(), named.to_owned());
        let to = match visits.way(&mut name) {
            Way::To(owner) => Some(owner),
            _ => None,
        };
        Box::pin(self.copy_across(wish, (from, to), target, link)).await
    }

    /// What was selected before, wherever that is, is left before another mailbox is opened.
    async fn leave(&mut self, way: &Way, link: &mut Link<'_>) -> io::Result<()> {
        let before = self.visits.as_mut().and_then(|visits| visits.selected.take());
        self.unselect();
        match (before, way) {
            // The guest does it himself.
            (Some(before), Way::To(owner)) if before == *owner => Ok(()),
            (Some(before), _) => self.ask(&before, Request::Unselect, link).await.map(drop),
            (None, _) => Ok(()),
        }
    }

    async fn at(&mut self, owner: &UserName, request: Request, link: &mut Link<'_>) -> io::Result<Reply> {
        let (selects, leaves) =
            (matches!(request, Request::Select { .. }), matches!(request, Request::Unselect | Request::Close));
        let appends = is_append(&request);
        let reply = self.ask(owner, request, link).await?;
        let Some(visits) = &mut self.visits else { return Ok(reply) };
        if selects && matches!(reply, Reply::Selected(_)) {
            visits.selected = Some(owner.clone());
        }
        if leaves {
            visits.selected = None;
        }
        if appends {
            visits.appending = Some(owner.clone()).filter(|_| matches!(reply, Reply::Continue));
        }
        Ok(reply)
    }

    /// Asks the guest in an account; his lines go to the client.
    pub(super) async fn ask(&mut self, owner: &UserName, request: Request, link: &mut Link<'_>) -> io::Result<Reply> {
        // What he reads he has seen, and what he adds; and his annotations are his.
        let keeps = matches!(request, Request::Select { .. } | Request::AppendBegin(_) | Request::SetMetadata { .. });
        let ask = Ask::Request { request, client: link.asking() };
        let Some(answers) = self.question(owner, ask).await else { return Ok(missing()) };
        loop {
            match answers.recv_async().await {
                Ok(Piece::Lines(lines)) => {
                    link.out().extend_from_slice(&lines);
                    link.drain_if_full(self).await?;
                }
                Ok(Piece::Pushed(lines)) => {
                    link.out().extend_from_slice(&lines);
                    link.push(self).await?;
                }
                Ok(Piece::Reply(reply)) => {
                    if keeps && !matches!(reply, Reply::No { .. } | Reply::Bad { .. } | Reply::Bye { .. }) {
                        self.note_guest_of(owner);
                    }
                    return Ok(reply);
                }
                Ok(Piece::Names(_) | Piece::Head(_) | Piece::Bytes(_)) | Err(_) => {
                    // The account is gone, or its shard lets go of it.
                    self.forget(owner);
                    return Ok(missing());
                }
            }
        }
    }

    /// The mailboxes of others that the user may know of, by their full names, in those namespaces that are wanted.
    pub(super) async fn shared_names(&mut self, wanted: impl Fn(&Space) -> bool) -> Vec<Listed> {
        let Some(visits) = &self.visits else { return Vec::new() };
        let mut owners: Vec<UserName> = Vec::new();
        if visits.spaces.shared.as_ref().is_some_and(&wanted) {
            let sharers = self.sharers(&visits.me.groups).await.into_iter();
            owners = sharers.filter(|owner| !visits.is_public(owner) && *owner != visits.me.user).collect();
        }
        if let Some((space, owner)) = &visits.spaces.public
            && wanted(space)
            && *owner != visits.me.user
        {
            owners.push(owner.clone());
        }
        let prefixes: Vec<String> = owners.iter().map(|owner| visits.prefix(owner)).collect();
        let mut all = Vec::new();
        for (owner, prefix) in owners.into_iter().zip(prefixes) {
            let Some(answers) = self.question(&owner, Ask::Names).await else { continue };
            if let Ok(Piece::Names(names)) = answers.recv_async().await {
                let told = |listed: Listed| Listed { name: format!("{prefix}{}", listed.name), ..listed };
                all.extend(names.into_iter().map(told));
            }
        }
        all
    }

    /// STATUS of a mailbox as LIST has named it, whoever it belongs to.
    pub(super) async fn status_anywhere(
        &mut self,
        name: &str,
        items: StatusItems,
        link: &mut Link<'_>,
    ) -> io::Result<Reply> {
        let mut inner =
            self.spaces.as_ref().map_or_else(|| Some(name.to_owned()), |spaces| spaces.inner(name)).unwrap_or_default();
        match self.visits.as_ref().map_or(Way::Here, |visits| visits.way(&mut inner)) {
            Way::To(owner) => self.ask(&owner, Request::Status { mailbox: inner, items }, link).await,
            _ => Ok(self.status(&inner, items).await),
        }
    }

    /// Annotations of a mailbox of somebody else, by its name as LIST has it. Of one whose annotations the user may not see nothing is told.
    pub(super) async fn metadata_elsewhere(
        &mut self,
        name: &str,
        entries: &[String],
        link: &mut Link<'_>,
    ) -> io::Result<()> {
        let mut inner = name.to_owned();
        if let Some(Way::To(owner)) = self.visits.as_ref().map(|visits| visits.way(&mut inner)) {
            let (mailbox, entries) = (Some(inner), entries.to_vec());
            let request = Request::GetMetadata { mailbox, entries, max_bytes: None, depth: Depth::Zero };
            self.ask(&owner, request, link).await?;
        }
        Ok(())
    }

    /// Puts a question; `None` when nobody is there to answer.
    pub(super) async fn question(&mut self, owner: &UserName, ask: Ask) -> Option<flume::Receiver<Piece>> {
        let (answers, pieces) = flume::bounded(PIECES_UNDER_WAY);
        let visit = self.visit(owner)?;
        match visit.questions.send_async(Question { ask, answers }).await {
            Ok(()) => Some(pieces),
            Err(_) => {
                self.forget(owner);
                None
            }
        }
    }

    fn visit(&mut self, owner: &UserName) -> Option<&Visit> {
        let (host, visits) = (self.host.clone(), self.visits.as_mut()?);
        let visit = match visits.open.iter().position(|visit| visit.owner == *owner) {
            Some(at) => visits.open.remove(at),
            None => {
                // Handed over, never left lying: a guest who is gone is found out by who asks.
                let (questions, asked) = flume::bounded(0);
                let (told, news) = flume::bounded(1);
                let arrival = Arrival {
                    owner: owner.clone(),
                    guest: visits.me.clone(),
                    prefix: visits.prefix(owner),
                    questions: asked,
                    news: told,
                };
                host.receive_guest(owner, arrival)?;
                Visit { owner: owner.clone(), questions, news }
            }
        };
        if visits.open.len() == VISITS_MAX {
            let kept = [&visits.selected, &visits.appending];
            let idle = visits.open.iter().position(|visit| !kept.contains(&&Some(visit.owner.clone())))?;
            visits.open.remove(idle);
        }
        visits.open.push(visit);
        visits.open.last()
    }

    fn forget(&mut self, owner: &UserName) {
        if let Some(visits) = &mut self.visits {
            visits.open.retain(|visit| visit.owner != *owner);
        }
    }

    /// Resolves when a mailbox of somebody else that is selected has news.
    pub(super) async fn news_elsewhere(&self) {
        let visits = self.visits.as_ref();
        let selected =
            visits.and_then(|visits| visits.open.iter().find(|visit| Some(&visit.owner) == visits.selected.as_ref()));
        match selected {
            // One that has gone is found out by the next request.
            Some(visit) if visit.news.recv_async().await.is_ok() => {}
            _ => std::future::pending().await,
        }
    }

    /// The selected mailbox is somebody else's.
    pub(super) fn is_elsewhere(&self) -> bool {
        self.visits.as_ref().is_some_and(|visits| visits.selected.is_some())
    }
}

impl crate::host::Host {
    /// Lets a guest in where the owner lives; `None` when that shard does not keep up.
    fn receive_guest(&self, owner: &UserName, arrival: Arrival) -> Option<()> {
        let home = self.home_of(owner);
        if home == self.id() {
            spawn_detached(skein_runtime::Class::Session, "guest", guest::serve(self.clone(), arrival));
            return Some(());
        }
        let job: Job = Box::new(move |host| {
            Box::pin(async move {
                // Behind sessions is too late for one.
                spawn_detached(skein_runtime::Class::Session, "guest", guest::serve(host, arrival));
            })
        });
        self.lanes().send(home, ToShard::Run(job)).ok()
    }
}

/// A question of an APPEND; the last one is answered with something else than `Continue`.
fn is_append(request: &Request) -> bool {
    matches!(
        request,
        Request::AppendBegin(_)
            | Request::AppendMessage { .. }
            | Request::AppendUrl(_)
            | Request::AppendLiteral { .. }
            | Request::AppendChunk(_)
            | Request::AppendEnd
            | Request::AppendAbort
    )
}

pub(super) fn missing() -> Reply {
    Reply::no(Class::Missing, AccountError::NoSuchMailbox.to_string())
}

fn across() -> Reply {
    Reply::No { code: Some(Code::Cannot), text: "The mailboxes are of different users".into() }
}
