//! Who hears that something is shared with him, and in whose mailboxes somebody has something of his own.
//!
//! ```text
//! SETACL, DELETEACL ─▶ the owner's account: shared-to anna, ben      who has heard
//!                          ├──▶ ben's account: shared-by/<owner>     what his LIST asks for
//!                          └──▶ the account $anyone, or one of a group: the same for many
//! SELECT, APPEND, .. ────▶ ben's account: guest-of/<owner>           where something is to go when his account ends
//! ```

use super::session::Session;
use super::visit::{GUEST_OF, SHARED_BY};
use crate::failure::log;
use crate::host::Host;
use skein_acl::{Identifier, list_of, take_out};
use skein_base::{AccountId, MailboxId, UserName};
use skein_store::account::Account;
use skein_store::{AccountError, AccountHandle, Actor, StoreError};
use std::collections::BTreeSet;

/// The annotation of an account that says who has heard that something of it is shared with him, a name on each line.
const SHARED_TO: &str = "shared-to";
/// Owners who are noted as sharing something with anyone, or with a group: LIST asks each of them, and opens his account for it.
const OWNERS_MAX: usize = 64;
/// Groups of one user whose owners his LIST asks.
pub(super) const GROUPS_MAX: usize = 16;

impl Session {
    /// Lets those know with whom something of this account is shared, and those with whom nothing is any more. What fails now is done with the
    /// next change of a list.
    pub(super) async fn tell_grantees(&self) {
        self.host.tell_grantees(&self.account, self.account.read(told)).await;
    }

    /// Those who share something with the user: by his name, and, where the settings have that shown, with anyone or a group of his.
    pub(super) async fn sharers(&self, groups: &[Box<str>]) -> BTreeSet<UserName> {
        let mut owners = self.account.read(sharers);
        if !self.host.settings().config.namespaces.shared_anyone {
            return owners;
        }
        let groups = groups.iter().filter_map(|name| of_group(name)).take(GROUPS_MAX);
        for of_many in std::iter::once(anyone()).chain(groups) {
            let id = AccountId::of(&of_many);
            let noted = self.host.at_home_of(&of_many, async move |host| {
                let account = host.store().open_known(id).await?;
                Ok::<_, StoreError>(account.read(sharers))
            });
            match noted.await {
                Some(Ok(noted)) => owners.extend(noted),
                // Nothing was ever shared so.
                None | Some(Err(StoreError::Account(AccountError::NoSuchAccount))) => {}
                Some(Err(error)) => log(&error),
            }
        }
        owners
    }

    /// Notes that the user may have something of his own in an account.
    pub(super) fn note_guest_of(&self, owner: &UserName) {
        let note = format!("{GUEST_OF}{owner}");
        let ops = self.account.read(|account| account.set_metadata(None, &[(note.into(), Some(Box::default()))]));
        if let Err(error) = ops.map_err(StoreError::from).and_then(|ops| self.commit(&ops)) {
            log(&error);
        }
    }
}

impl Host {
    /// The same of an account of this shard, of which those of `told` have heard.
    pub(crate) async fn tell_grantees(&self, account: &AccountHandle, told: BTreeSet<UserName>) {
        let owner = account.user();
        let is_public = owner.as_str() == self.settings().config.namespaces.public_owner;
        let wanted: BTreeSet<UserName> = account.read(|account| {
            let lists = account.mailboxes().map(|named| list_of(account, named.id)).collect::<Vec<_>>();
            let users = lists.iter().flat_map(|list| list.grantees()).filter_map(|who| match who {
                Identifier::User(user) => Some(user.clone()).filter(|user| user != owner),
                // LIST asks him in any case.
                _ if is_public => None,
                Identifier::Anyone | Identifier::Authenticated => Some(anyone()),
                Identifier::Group(name) => of_group(name),
            });
            users.collect()
        });
        let mut now = told.clone();
        for user in wanted.symmetric_difference(&told) {
            let is_shared = wanted.contains(user);
            if self.tell_shared(user, owner, is_shared).await {
                match is_shared {
                    true => now.insert(user.clone()),
                    false => now.remove(user),
                };
            }
        }
        let noted = account.read(|account| account.set_metadata(None, &[(SHARED_TO.into(), names(&now))]));
        let noted = noted.map_err(StoreError::from).and_then(|ops| self.store().commit(account, &ops).map(drop));
        if let Err(error) = noted {
            log(&error);
        }
    }

    /// Notes in a user's account, or in one for many, whether something of an owner's is shared; true when that is kept, or he is not there.
    async fn tell_shared(&self, user: &UserName, owner: &UserName, is_shared: bool) -> bool {
        match self.account_of(user).await {
            _ if user.is_reserved() => {}
            Ok(Some(_)) => {}
            Ok(None) => return !is_shared,
            Err(_) => return false,
        }
        self.note_shared(user, owner, is_shared).await
    }

    /// Notes in the account of a grantee whether something of an owner's is shared with him; true when that is kept.
    async fn note_shared(&self, grantee: &UserName, owner: &UserName, is_shared: bool) -> bool {
        let (note, whose) = (format!("{SHARED_BY}{owner}"), grantee.clone());
        let noted = self.at_home_of(grantee, async move |host| {
            let account = host.store().open(&whose).await?;
            let value: Option<Box<[u8]>> = is_shared.then(Box::default);
            let ops = account.read(|account| match is_shared && whose.is_reserved() && is_full(account, &note) {
                true => Err(AccountError::TooManyMetadata),
                false => account.set_metadata(None, &[(note.as_str().into(), value)]),
            })?;
            host.store().commit(&account, &ops)?;
            host.store().durable(&account).await
        });
        let noted: Option<Result<(), StoreError>> = noted.await;
        noted.is_some_and(|noted| noted.map_err(|error| log(&error)).is_ok())
    }

    /// Nothing of an account is shared any more.
    pub(crate) async fn share_nothing(&self, owner: &UserName, told: &BTreeSet<UserName>) {
        for grantee in told {
            // What is kept of one who is no more says nothing.
            let _kept = self.note_shared(grantee, owner, false).await;
        }
    }
}

/// The account that says what is shared with all.
fn anyone() -> UserName {
    UserName::new("$anyone").expect("a name")
}

/// The account that says what is shared with a group; none for a group whose name is too long for one. Names of groups go by case and may hold anything.
fn of_group(group: &str) -> Option<UserName> {
    let escaped = group.bytes().map(|byte| match byte {
        b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' => char::from(byte).to_string(),
        other => format!("={other:02x}"),
    });
    UserName::new(&format!("$group.{}", escaped.collect::<String>())).ok()
}

/// The owners whose names are noted as sharing something.
fn sharers(account: &Account) -> BTreeSet<UserName> {
    let noted = account.metadata(None).into_iter().flat_map(|metadata| metadata.keys());
    noted.filter_map(|name| UserName::new(name.strip_prefix(SHARED_BY)?).ok()).collect()
}

/// There is no room for one more.
fn is_full(account: &Account, note: &str) -> bool {
    let is_noted = account.metadata(None).is_some_and(|metadata| metadata.contains_key(note));
    !is_noted && sharers(account).len() >= OWNERS_MAX
}

/// The accounts in which a user may have something of his own.
pub(crate) fn hosts_of(account: &Account) -> Vec<UserName> {
    let noted = account.metadata(None).into_iter().flat_map(|metadata| metadata.keys());
    let owner = |name: &str| name.strip_prefix(GUEST_OF).or_else(|| name.strip_prefix(SHARED_BY)).map(UserName::new);
    let owners: BTreeSet<UserName> = noted.filter_map(|name| owner(name)).flatten().collect();
    owners.into_iter().collect()
}

/// Takes out of an account of this shard what a user has of his own there, who is no more.
pub(crate) async fn forget_guest(host: &Host, owner: &UserName, gone: &UserName) -> Result<(), StoreError> {
    let store = host.store();
    let account = match store.open_known(AccountId::of(owner)).await {
        Err(StoreError::Account(AccountError::NoSuchAccount)) => return Ok(()),
        account => account?,
    };
    let mailboxes: Vec<MailboxId> = account.read(|account| account.mailboxes().map(|named| named.id).collect());
    for mailbox in mailboxes {
        let taken_out = match store.load(&account, mailbox).await {
            Ok(()) => account.read(|account| take_out(account, mailbox, |user| user != gone)).map_err(StoreError::from),
            Err(error) => Err(error),
        };
        match taken_out {
            // It was deleted meanwhile.
            Err(StoreError::Account(AccountError::NoSuchMailbox | AccountError::NotLoaded)) => {}
            taken_out => drop(store.commit_for(&Actor::Operator, &account, &taken_out?)?),
        }
        skein_runtime::bulk_yield().await;
    }
    // One who has his name is told anew, with the next change of a list.
    let forgotten = account.read(|account| {
        let mut told = told(account);
        told.remove(gone);
        account.set_metadata(None, &[(SHARED_TO.into(), names(&told))])
    });
    store.commit_for(&Actor::Operator, &account, &forgotten?)?;
    store.durable(&account).await
}

/// Who has heard that something of an account is shared with him.
pub(crate) fn told(account: &Account) -> BTreeSet<UserName> {
    let told = account.metadata(None).and_then(|own| own.get(SHARED_TO)).map(|names| &**names).unwrap_or_default();
    String::from_utf8_lossy(told).lines().filter_map(|name| UserName::new(name).ok()).collect()
}

fn names(told: &BTreeSet<UserName>) -> Option<Box<[u8]>> {
    let names: String = told.iter().map(|user| format!("{user}\n")).collect();
    (!names.is_empty()).then(|| names.into_bytes().into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_group_has_a_name_of_its_own() {
        let names =
            ["staff", "Staff", "st aff", "st/aff", "stäff", "=73taff", "anyone"].map(|group| of_group(group).unwrap());
        assert_eq!(names.iter().collect::<BTreeSet<_>>().len(), names.len());
        assert!(names.iter().all(|name| name.is_reserved() && *name != anyone()));
        assert_eq!(of_group("St").unwrap().as_str(), "$group.=53t");
        assert_eq!(of_group(&"x".repeat(255)), None);
    }
}
