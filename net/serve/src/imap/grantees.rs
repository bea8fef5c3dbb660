//! Who hears that something is shared with him, and in whose mailboxes somebody has something of his own.
//!
//! ```text
//! SETACL, DELETEACL ─▶ the owner's account: shared-to anna, ben      who has heard
//!                          └──▶ ben's account: shared-by/<owner>     what his LIST asks for
//! SELECT, APPEND ────────▶ ben's account: guest-of/<owner>           where something is to go when his account ends
//! ```

use super::session::Session;
use super::visit::{GUEST_OF, SHARED_BY};
use crate::failure::log;
use crate::host::Host;
use skein_acl::{Identifier, list_of, take_out};
use skein_base::{AccountId, MailboxId, UserName};
use skein_store::account::Account;
use skein_store::{AccountError, Actor, StoreError};
use std::collections::BTreeSet;

/// The annotation of an account that says who has heard that something of it is shared with him, a name on each line.
const SHARED_TO: &str = "shared-to";

impl Session {
    /// Lets those know with whom something of this account is shared, and those with whom nothing is any more. What fails now is done with the
    /// next change of a list.
    pub(super) async fn tell_grantees(&self) {
        let owner = self.account.user().clone();
        let (wanted, told) = self.account.read(|account| {
            let lists = account.mailboxes().map(|named| list_of(account, named.id)).collect::<Vec<_>>();
            let users = lists.iter().flat_map(|list| list.grantees()).filter_map(|who| match who {
                Identifier::User(user) if *user != owner => Some(user.clone()),
                _ => None,
            });
            (users.collect::<BTreeSet<UserName>>(), told(account))
        });
        let mut now = told.clone();
        for user in wanted.symmetric_difference(&told) {
            let is_shared = wanted.contains(user);
            if self.tell_shared(user, is_shared).await {
                match is_shared {
                    true => now.insert(user.clone()),
                    false => now.remove(user),
                };
            }
        }
        let noted = self.account.read(|account| account.set_metadata(None, &[(SHARED_TO.into(), names(&now))]));
        let noted = noted.map_err(StoreError::from).and_then(|ops| self.store.commit(&self.account, &ops).map(drop));
        if let Err(error) = noted {
            log(&error);
        }
    }

    /// Notes in a user's account whether something of this one is shared with him; true when that is kept, or he is not there.
    async fn tell_shared(&self, user: &UserName, is_shared: bool) -> bool {
        match self.host.account_of(user).await {
            Ok(Some(_)) => {}
            Ok(None) => return !is_shared,
            Err(_) => return false,
        }
        let note = format!("{SHARED_BY}{}", self.account.user());
        let grantee = user.clone();
        let noted = self.host.at_home_of(user, async move |host| {
            let account = host.store().open(&grantee).await?;
            let value: Option<Box<[u8]>> = is_shared.then(|| Box::from(&b""[..]));
            let ops = account.read(|account| account.set_metadata(None, &[(note.as_str().into(), value)]))?;
            host.store().commit(&account, &ops)?;
            host.store().durable(&account).await
        });
        noted.await.is_some_and(|noted: Result<(), StoreError>| noted.map_err(|error| log(&error)).is_ok())
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

/// The accounts in which a user may have something of his own.
pub(crate) fn hosts_of(account: &Account) -> Vec<UserName> {
    let noted = account.metadata(None).into_iter().flat_map(|metadata| metadata.keys());
    let owner =
        |name: &Box<str>| name.strip_prefix(GUEST_OF).or_else(|| name.strip_prefix(SHARED_BY)).map(UserName::new);
    let owners: BTreeSet<UserName> = noted.filter_map(owner).flatten().collect();
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
fn told(account: &Account) -> BTreeSet<UserName> {
    let told = account.metadata(None).and_then(|own| own.get(SHARED_TO)).map(|names| &**names).unwrap_or_default();
    String::from_utf8_lossy(told).lines().filter_map(|name| UserName::new(name).ok()).collect()
}

fn names(told: &BTreeSet<UserName>) -> Option<Box<[u8]>> {
    let names: String = told.iter().map(|user| format!("{user}\n")).collect();
    (!names.is_empty()).then(|| names.into_bytes().into())
}
