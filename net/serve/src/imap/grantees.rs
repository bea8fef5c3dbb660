//! Who hears that something is shared with him.
//!
//! ```text
//! SETACL, DELETEACL ─▶ the owner's account: shared-to anna, ben      who has heard
//!                          └──▶ ben's account: shared-by/<owner>     what his LIST asks for
//! ```

use super::session::Session;
use super::visit::SHARED_BY;
use crate::host::{Job, ToShard};
use skein_acl::{Identifier, list_of};
use skein_base::UserName;
use skein_store::StoreError;
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
            let told = account.metadata(None).and_then(|own| own.get(SHARED_TO)).map(|names| names.to_vec());
            (users.collect::<BTreeSet<UserName>>(), told.unwrap_or_default())
        });
        let told: BTreeSet<UserName> =
            String::from_utf8_lossy(&told).lines().filter_map(|name| UserName::new(name).ok()).collect();
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
        let names: String = now.iter().map(|user| format!("{user}\n")).collect();
        let value = (!names.is_empty()).then(|| names.into_bytes().into());
        let noted = self.account.read(|account| account.set_metadata(None, &[(SHARED_TO.into(), value)]));
        let noted = noted.map_err(StoreError::from).and_then(|ops| self.store.commit(&self.account, &ops).map(drop));
        if let Err(error) = noted {
            crate::failure::log(&error);
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
        let (user, home) = (user.clone(), self.host.home_of(user));
        let (done, heard) = flume::bounded(1);
        let job: Job = Box::new(move |host| {
            Box::pin(async move {
                let noted = async {
                    let account = host.store().open(&user).await?;
                    let value: Option<Box<[u8]>> = is_shared.then(|| Box::from(&b""[..]));
                    let ops = account.read(|account| account.set_metadata(None, &[(note.as_str().into(), value)]))?;
                    host.store().commit(&account, &ops)?;
                    host.store().durable(&account).await
                };
                let noted: Result<(), StoreError> = noted.await;
                let _nobody_waits_any_more = done.send(noted.map_err(|error| crate::failure::log(&error)).is_ok());
            })
        });
        match home == self.host.id() {
            true => job(self.host.clone()).await,
            false if self.host.lanes().send(home, ToShard::Run(job)).is_err() => return false,
            false => {}
        }
        heard.recv_async().await.unwrap_or(false)
    }
}
