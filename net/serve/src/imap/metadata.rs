//! GETMETADATA and SETMETADATA (RFC 5464).

use super::link::Link;
use super::list::{Pattern, Uses};
use super::session::Session;
use super::watch::SPECIAL_USE;
use crate::failure::refuse;
use skein_acl::{kept_as, told_as};
use skein_base::{Class, MailboxId, Rights, SpecialUse};
use skein_proto::imap::response::MetadataLine;
use skein_proto::imap::{Code, Depth, Reply};
use skein_store::account::Account;
use skein_store::op::Op;
use skein_store::{AccountError, Actor, StoreError};
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::{fmt, io};

/// How to reach whoever runs the server (RFC 5464 §6.2.2): from the settings, and read only.
const ADMIN: &str = "/shared/admin";

/// Rights any of which, with `l`, lets somebody read and set annotations of a mailbox (RFC 5464 §3.3).
const ANNOTATES: Rights = Rights(Rights::READ.0 | Rights::SEEN.0 | Rights::WRITE.0 | Rights::INSERT.0 | Rights::POST.0);

/// What GETMETADATA asks of each mailbox.
pub(super) struct Wanted {
    pub entries: Vec<String>,
    pub max_bytes: Option<u32>,
    pub depth: Depth,
}

impl Session {
    pub(super) async fn metadata(
        &self,
        mailbox: Option<&str>,
        wanted: &Wanted,
        link: &mut Link<'_>,
    ) -> io::Result<Reply> {
        let mut found = match mailbox {
            Some(name) => self.account.read(|account| mailboxes(account, name)),
            None => vec![None],
        };
        let refused = found.iter().flatten().find_map(|id| self.may_annotate(*id).err());
        found.retain(|of| of.is_none_or(|id| self.may_annotate(id).is_ok()));
        if found.is_empty() {
            return Ok(refuse(&refused.unwrap_or(AccountError::NoSuchMailbox.into())));
        }
        let mut longest = 0;
        for of in found {
            longest = longest.max(self.tell_metadata(of, wanted, link).await?);
        }
        match longest {
            0 => Ok(Reply::Done),
            bytes => Ok(Reply::DoneCode(Code::MetadataLongEntries(bytes))),
        }
    }

    /// Refuses who may not know of a mailbox's annotations, nor change them.
    fn may_annotate(&self, mailbox: MailboxId) -> Result<(), StoreError> {
        match self.rights(mailbox) {
            rights if rights.contains(Rights::LOOKUP) && !rights.shares(ANNOTATES) => self.needs(mailbox, ANNOTATES),
            _ => self.needs(mailbox, Rights::LOOKUP),
        }
    }

    /// One mailbox's line, or the server's. Bytes of the longest value that was left out.
    pub(super) async fn tell_metadata(
        &self,
        of: Option<MailboxId>,
        wanted: &Wanted,
        link: &mut Link<'_>,
    ) -> io::Result<u64> {
        let names = self.account.read(|account| match of {
            Some(id) => account.exists(id).then(|| self.told_name(account.name_of(id)).into_owned()),
            None => Some(String::new()),
        });
        // It went meanwhile.
        let Some(mailbox) = names else { return Ok(0) };
        let (mut line, mut longest) = (MetadataLine::new(Some(&mailbox), link.names()), 0);
        let max = wanted.max_bytes.map_or(usize::MAX, |max| max as usize);
        for entry in &wanted.entries {
            let below = self.account.read(|account| self.below(account, of, entry, wanted.depth));
            for name in std::iter::once(entry).chain(&below) {
                self.account.read(|account| match self.value(account, of, name) {
                    Some(value) if value.len() > max => longest = longest.max(value.len() as u64),
                    Some(value) => line.entry(link.out(), name, Some(&value)),
                    // With DEPTH it is told "if it exists" (RFC 5464 §4.2.2).
                    None if name == entry && wanted.depth == Depth::Zero => line.entry(link.out(), name, None),
                    None => {}
                });
                link.drain_if_full(self).await?;
            }
        }
        line.end(link.out());
        skein_runtime::session_yield().await;
        Ok(longest)
    }

    /// Names of what there is below an entry.
    fn below(&self, account: &Account, of: Option<MailboxId>, entry: &str, depth: Depth) -> Vec<String> {
        let is_below = |name: &str| {
            let rest = name.strip_prefix(entry).and_then(|rest| rest.strip_prefix('/'));
            rest.is_some_and(|rest| match depth {
                Depth::Zero => false,
                Depth::One => !rest.contains('/'),
                Depth::Infinity => true,
            })
        };
        let stored = account.metadata(of).into_iter().flat_map(|metadata| metadata.keys());
        let stored = stored.filter_map(|name| match &self.actor {
            Actor::Guest(guest) => told_as(&guest.user, name),
            _ => Some(Cow::Borrowed(&**name)),
        });
        let computed = if of.is_some() { SPECIAL_USE } else { ADMIN };
        let computed = Some(computed).filter(|name| self.value(account, of, name).is_some()).map(Cow::Borrowed);
        let mut names: Vec<String> =
            stored.chain(computed).filter(|name| is_below(name)).map(Cow::into_owned).collect();
        names.sort_unstable();
        names
    }

    /// The value of an entry that clients know.
    fn value<'a>(&'a self, account: &'a Account, of: Option<MailboxId>, name: &str) -> Option<Cow<'a, [u8]>> {
        match of {
            None if name == ADMIN => Some(&*self.admin).filter(|admin| !admin.is_empty()).map(|a| a.as_bytes().into()),
            Some(id) if name == SPECIAL_USE => {
                let (settings, named) = (self.host.settings(), account.named(id)?);
                let uses = match &self.actor {
                    // As LIST tells him.
                    Actor::Guest(_) => named.special_use,
                    _ => Uses::new(account, &settings.config.mailbox).of(&named),
                };
                (!uses.is_none()).then(|| words(uses).into_bytes().into())
            }
            _ => account.metadata(of)?.get(&*self.kept_as(name)).map(|value| (&**value).into()),
        }
    }

    pub(super) fn set_metadata(
        &self,
        mailbox: Option<&str>,
        changes: Vec<(String, Option<Vec<u8>>)>,
        link: &mut Link<'_>,
    ) -> Reply {
        let of = match mailbox.map(|name| self.account.read(|account| account.find(name).map(|m| m.id))) {
            Some(None) => return refuse(&AccountError::NoSuchMailbox.into()),
            Some(found) => found,
            None => None,
        };
        if let Some(Err(error)) = of.map(|id| self.may_annotate(id)) {
            return refuse(&error);
        }
        let is_guest = matches!(self.actor, Actor::Guest(_));
        let read_only = match of {
            None => Some(ADMIN),
            // What the owner's mailbox is for is not for others to say.
            Some(_) => Some(SPECIAL_USE).filter(|_| is_guest),
        };
        if changes.iter().any(|(name, _)| Some(&**name) == read_only) {
            return Reply::no(Class::Denied, "That entry is read-only");
        }
        let before = self.uses();
        match self.change_metadata(of, changes) {
            Ok(()) => {
                self.tell_lost_uses(of, &before, link);
                Reply::Done
            }
            Err(NotSet::Store(error)) => refuse(&error),
            Err(error) => Reply::No { code: Some(Code::UseAttr), text: error.to_string().into() },
        }
    }

    /// Sets annotations of a mailbox or of the account; [`SPECIAL_USE`] becomes what the mailbox is for.
    pub(crate) fn change_metadata(
        &self,
        of: Option<MailboxId>,
        changes: Vec<(String, Option<Vec<u8>>)>,
    ) -> Result<(), NotSet> {
        let (mut stored, mut uses) = (Vec::with_capacity(changes.len()), None);
        for (name, value) in changes {
            match of {
                Some(id) if name == SPECIAL_USE => uses = Some((id, special_use(value.as_deref())?)),
                _ => stored.push((self.kept_as(&name).into(), value.map(Vec::into_boxed_slice))),
            }
        }
        let ops = self.account.read(|account| -> Result<Vec<Op>, AccountError> {
            let mut ops = account.set_metadata(of, &stored)?;
            if let Some((id, uses)) = uses {
                ops.extend(account.set_special_use(id, uses)?);
            }
            Ok(ops)
        })?;
        let settings = self.host.settings();
        let rules = &settings.config.mailbox;
        let is_by_name =
            |id| self.account.read(|account| account.named(id).is_some_and(|m| Uses::is_by_name(&m, rules)));
        if uses.is_some_and(|(id, uses)| uses.is_none() && is_by_name(id)) {
            return Err(NotSet::UseByName);
        }
        Ok(self.commit(&ops)?)
    }

    /// Under what name an entry is kept.
    fn kept_as<'n>(&self, name: &'n str) -> Cow<'n, str> {
        match &self.actor {
            Actor::Guest(guest) => kept_as(&guest.user, name),
            _ => name.into(),
        }
    }

    /// All annotations that clients know, with their values.
    pub(crate) fn all_metadata(&self, of: Option<MailboxId>) -> Vec<(String, Vec<u8>)> {
        self.account.read(|account| {
            let tops = ["/private", "/shared"].iter();
            let names = tops.flat_map(|top| self.below(account, of, top, Depth::Infinity));
            let value =
                |name: String| self.value(account, of, &name).map(|value| value.into_owned()).map(|v| (name, v));
            names.filter_map(value).collect()
        })
    }

    /// What mailboxes are for, those that are for something.
    fn uses(&self) -> BTreeMap<MailboxId, SpecialUse> {
        let settings = self.host.settings();
        self.account.read(|account| {
            let uses = Uses::new(account, &settings.config.mailbox);
            account.mailboxes().map(|m| (m.id, uses.of(&m))).filter(|(_, uses)| !uses.is_none()).collect()
        })
    }

    /// Mailboxes that are no more what another one is for now (RFC 6154 §5.4).
    fn tell_lost_uses(&self, of: Option<MailboxId>, before: &BTreeMap<MailboxId, SpecialUse>, link: &mut Link<'_>) {
        let after = self.uses();
        self.account.read(|account| {
            for (id, _) in before.iter().filter(|(id, was)| Some(**id) != of && after.get(id) != Some(was)) {
                let name = self.told_name(account.name_of(*id));
                let mut line = MetadataLine::new(Some(&name), link.names());
                line.entry(link.out(), SPECIAL_USE, self.value(account, Some(*id), SPECIAL_USE).as_deref());
                line.end(link.out());
            }
        });
    }
}

/// Why annotations are not set.
#[derive(Debug)]
pub enum NotSet {
    /// The store refuses.
    Store(StoreError),
    /// A use that no mailbox can have.
    UnknownUse,
    /// The mailbox is for that by its name, which nobody can take from it.
    UseByName,
}

impl<E: Into<StoreError>> From<E> for NotSet {
    fn from(error: E) -> NotSet {
        NotSet::Store(error.into())
    }
}

impl fmt::Display for NotSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            NotSet::Store(error) => write!(f, "{error}"),
            NotSet::UnknownUse => f.write_str("No mailbox can have this special use"),
            NotSet::UseByName => f.write_str("The mailbox has its use by its name"),
        }
    }
}

/// The mailbox of this name, or those that it is a pattern of: Horde asks so, from a draft of the RFC.
fn mailboxes(account: &Account, name: &str) -> Vec<Option<MailboxId>> {
    match account.find(name) {
        Some(found) => vec![Some(found.id)],
        None if name.contains(['*', '%']) => {
            let pattern = Pattern::new(name);
            account.mailboxes().filter(|m| pattern.matches(m.name)).map(|m| Some(m.id)).collect()
        }
        None => Vec::new(),
    }
}

/// `\Drafts \Sent`
fn words(uses: SpecialUse) -> String {
    let set = SpecialUse::NAMES.iter().filter(|(one, _)| uses.shares(*one)).map(|(_, name)| *name);
    set.collect::<Vec<_>>().join(" ")
}

/// Uses by their names, checked as CREATE does (RFC 6154 §4).
fn special_use(value: Option<&[u8]>) -> Result<SpecialUse, NotSet> {
    let text = std::str::from_utf8(value.unwrap_or_default()).unwrap_or("?");
    text.split_ascii_whitespace().try_fold(SpecialUse::NONE, |uses, word| {
        let known = SpecialUse::NAMES.iter().find(|(_, name)| name.eq_ignore_ascii_case(word));
        known.map(|(one, _)| uses | *one).ok_or(NotSet::UnknownUse)
    })
}
