//! Namespaces: what stands before names as this session's client has them (RFC 2342).
//!
//! ```text
//! client      INBOX   INBOX/Work   shared/anna/Lists        Public/News
//!               │         │ enter        │ visit.rs             │ visit.rs
//! account     INBOX     Work         anna's Lists       the public owner's News
//! ```

use super::session::Session;
use skein_base::UserName;
use skein_config::{Config, NamespaceList, Separator};
use skein_proto::imap::response::{Names, Namespaces};
use skein_proto::imap::{Argument, Arguments, Code, ImapUrl, MailboxFilter, Reply, Request};
use skein_store::Actor;
use std::borrow::Cow;
use std::rc::Rc;

/// A namespace beside the user's own.
pub(crate) struct Space {
    /// `shared/`
    pub prefix: String,
    /// NAMESPACE does not tell of it.
    hidden: bool,
    pub list: NamespaceList,
    /// Mailboxes in it can be subscribed.
    pub subscriptions: bool,
}

/// What the settings say of namespaces, as a session began with it.
pub(crate) struct Spaces {
    /// Before the user's own mailboxes but INBOX.
    pub own: String,
    /// Other users' mailboxes.
    pub shared: Option<Space>,
    /// Those of one account that is for all.
    pub public: Option<(Space, UserName)>,
    /// What is before virtual mailboxes, when there are any.
    virtuals: Option<String>,
    /// Clients see `.` between levels.
    dots: bool,
}

impl Spaces {
    /// `None` when there is one space with nothing before its names.
    pub fn of(config: &Config) -> Option<Rc<Spaces>> {
        let virtuals = (!config.virtual_mailbox.is_empty()).then(|| config.namespaces.virtual_prefix.clone());
        let config = &config.namespaces;
        let shared = Space {
            prefix: config.shared_prefix.clone(),
            hidden: config.shared_hidden,
            list: config.shared_list,
            subscriptions: config.shared_subscriptions,
        };
        let public = Space {
            prefix: config.public_prefix.clone(),
            hidden: config.public_hidden,
            list: config.public_list,
            subscriptions: config.public_subscriptions,
        };
        let owner = UserName::new(&config.public_owner).ok();
        let spaces = Spaces {
            own: config.prefix.clone(),
            shared: Some(shared).filter(|space| !space.prefix.is_empty()),
            public: Some(public).filter(|space| !space.prefix.is_empty()).zip(owner),
            virtuals: virtuals.filter(|prefix| !prefix.is_empty()),
            dots: config.separator == Separator::Dot,
        };
        let is_plain = spaces.virtuals.is_none() && spaces.own.is_empty() && !spaces.has_others() && !spaces.dots;
        (!is_plain).then(|| Rc::new(spaces))
    }

    /// There are others than the user's own.
    pub fn has_others(&self) -> bool {
        self.others().next().is_some()
    }

    pub fn others(&self) -> impl Iterator<Item = &Space> {
        self.shared.iter().chain(self.public.as_ref().map(|(space, _)| space))
    }

    /// The rest of a name that is of a virtual mailbox, or of none.
    pub fn in_virtuals<'n>(&self, name: &'n str) -> Option<&'n str> {
        name.strip_prefix(self.virtuals.as_deref()?)
    }

    /// The name of a virtual mailbox as the client has it.
    pub fn virtual_name(&self, name: &str) -> Option<String> {
        self.virtuals.as_ref().map(|prefix| format!("{prefix}{name}"))
    }

    /// It is as it is on both sides.
    fn is_other(&self, name: &str) -> bool {
        self.other(name).is_some() || self.in_virtuals(name).is_some()
    }

    /// The one that a name is in, when it is another user's.
    pub fn other(&self, name: &str) -> Option<&Space> {
        self.others().find(|space| name.starts_with(&space.prefix))
    }

    /// Names as the client has them, when they are of the user's own account.
    pub fn told<'n>(&self, name: &'n str) -> Cow<'n, str> {
        let as_it_is = self.own.is_empty() || matches!(name, "" | "INBOX") || self.is_other(name);
        if as_it_is { Cow::Borrowed(name) } else { Cow::Owned(format!("{}{name}", self.own)) }
    }

    /// The account's name of what the client names; that of other namespaces stays. `None` when it is in none.
    pub fn inner(&self, name: &str) -> Option<String> {
        if self.own.is_empty() || name == "INBOX" || self.is_other(name) {
            return Some(name.to_owned());
        }
        // One that begins as another namespace does would be taken for one of its.
        let inner = name.strip_prefix(&self.own).filter(|inner| !inner.is_empty() && !self.is_other(inner));
        inner.map(str::to_owned)
    }

    /// Names that are in no namespace are nobody's.
    fn enter_name(&self, name: &mut String) {
        *name = self.inner(name).unwrap_or_default();
    }

    /// Puts the account's names into a request.
    ///
    /// # Errors
    /// A mailbox can not be made there.
    pub fn enter(&self, request: &mut Request, names: Names) -> Result<(), Reply> {
        if self.own.is_empty() {
            return Ok(());
        }
        match request {
            Request::Create { mailbox, .. } => *mailbox = self.inner(mailbox).ok_or_else(|| self.nowhere(names))?,
            Request::Rename { from, to } => {
                self.enter_name(from);
                *to = self.inner(to).ok_or_else(|| self.nowhere(names))?;
            }
            Request::Select { mailbox, .. }
            | Request::Delete { mailbox }
            | Request::Subscribe { mailbox }
            | Request::Unsubscribe { mailbox }
            | Request::Status { mailbox, .. }
            | Request::Copy { mailbox, .. }
            | Request::Move { mailbox, .. }
            | Request::GetMetadata { mailbox: Some(mailbox), .. }
            | Request::SetMetadata { mailbox: Some(mailbox), .. }
            | Request::ResetKey { mailbox: Some(mailbox) } => self.enter_name(mailbox),
            Request::AppendBegin(to) => self.enter_name(&mut to.mailbox),
            Request::Notify(Some(set)) => set.groups.iter_mut().for_each(|(filter, _)| self.enter_filter(filter)),
            Request::MultiSearch { sources, .. } => sources.iter_mut().for_each(|filter| self.enter_filter(filter)),
            Request::Extension { arguments, .. } => {
                // It may be something else than a mailbox.
                if let Some(Argument::Atom(bytes) | Argument::String(bytes)) = arguments.first_mut()
                    && let Some(inner) = decoded(bytes, names).and_then(|name| self.inner(&name))
                {
                    *bytes = names.wire(&inner);
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn enter_filter(&self, filter: &mut MailboxFilter) {
        let is_above = |name: &str| self.own.strip_prefix(name).is_some_and(|rest| rest.starts_with('/'));
        match filter {
            MailboxFilter::Subtree(tops) | MailboxFilter::SubtreeOne(tops) => {
                // What is above all of the user's own mailboxes is the empty name.
                let inner =
                    |top: &String| if is_above(top) || top.is_empty() { Some(String::new()) } else { self.inner(top) };
                *tops = tops.iter().filter_map(inner).collect();
            }
            MailboxFilter::Mailboxes(all) => *all = all.iter().filter_map(|name| self.inner(name)).collect(),
            _ => {}
        }
    }

    fn nowhere(&self, names: Names) -> Reply {
        let text = format!("Names of mailboxes begin with {} here", names.turned(&self.own));
        Reply::No { code: Some(Code::Cannot), text: text.into() }
    }

    /// What NAMESPACE tells.
    pub fn namespaces(&self) -> Namespaces<'_> {
        let told = |space: &'_ Space| !space.hidden;
        Namespaces {
            personal: &self.own,
            virtuals: self.virtuals.as_deref(),
            others: self.shared.as_ref().filter(|space| told(space)).map(|space| &*space.prefix),
            shared: self
                .public
                .as_ref()
                .map(|(space, _)| space)
                .filter(|space| told(space))
                .map(|space| &*space.prefix),
        }
    }

    /// The mailbox of the user's own that a URL names.
    pub fn of_url(&self, url: &ImapUrl, selected: Option<&str>) -> Option<String> {
        let selected = selected.map(|name| self.told(name));
        let name = url.mailbox(selected.as_deref(), Names { utf8: true, dots: self.dots })?;
        self.inner(&name).filter(|name| self.in_virtuals(name).is_none())
    }
}

/// A mailbox name as it came in an argument; `None` when it can be none.
pub(super) fn decoded(bytes: &[u8], names: Names) -> Option<String> {
    Arguments::new(&[Argument::String(bytes.to_vec())]).mailbox(names).ok()
}

/// The mailbox that a URL names in an account.
pub(super) fn mailbox_of_url(spaces: Option<&Spaces>, url: &ImapUrl, selected: Option<&str>) -> Option<String> {
    match spaces {
        Some(spaces) => spaces.of_url(url, selected),
        None => url.mailbox(selected, Names::UTF8),
    }
}

impl Session {
    /// A name of the account as the client has it.
    pub(super) fn told_name<'n>(&self, name: &'n str) -> Cow<'n, str> {
        if let Actor::Guest(_) = &self.actor {
            return format!("{}{name}", self.prefix).into();
        }
        self.spaces.as_ref().map_or(Cow::Borrowed(name), |spaces| spaces.told(name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spaces(own: &str) -> Spaces {
        let space = |prefix: &str| Space {
            prefix: prefix.to_owned(),
            hidden: false,
            list: NamespaceList::Children,
            subscriptions: true,
        };
        let public = Some((space("Public/"), UserName::new("all").unwrap()));
        Spaces {
            own: own.to_owned(),
            shared: Some(space("shared/")),
            public,
            virtuals: Some("Virtual/".to_owned()),
            dots: false,
        }
    }

    #[test]
    fn names_go_both_ways() {
        let with = spaces("INBOX/");
        for (client, account) in [
            ("INBOX", Some("INBOX")),
            ("INBOX/Work/a", Some("Work/a")),
            ("INBOX/INBOX/a", Some("INBOX/a")),
            ("shared/anna/Lists", Some("shared/anna/Lists")),
            ("Public/News", Some("Public/News")),
            ("Virtual/All", Some("Virtual/All")),
            ("INBOX/Virtual/All", None),
            ("Work", None),
            ("INBOX/", None),
            // Told apart from what others share.
            ("INBOX/shared/anna/x", None),
        ] {
            assert_eq!(with.inner(client).as_deref(), account, "{client}");
            if let Some(account) = account {
                assert_eq!(with.told(account), client);
            }
        }
        let without = spaces("");
        assert_eq!((without.inner("Work").as_deref(), &*without.told("Work")), (Some("Work"), "Work"));
    }

    #[test]
    fn filters_mean_the_same_on_both_sides() {
        let entered = |mut filter| {
            spaces("INBOX/").enter_filter(&mut filter);
            filter
        };
        let all = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        assert_eq!(entered(MailboxFilter::Subtree(all(&["INBOX"]))), MailboxFilter::Subtree(all(&[""])));
        let named = MailboxFilter::Mailboxes(all(&["INBOX", "INBOX/a", "b"]));
        assert_eq!(entered(named), MailboxFilter::Mailboxes(all(&["INBOX", "a"])));
    }
}
