//! One user's account in the hands of whoever runs the server.
//!
//! ```text
//! Job on the user's shard ──▶ Operator ──▶ validate ─ commit ─ durable      the way of every session's changes
//!                                 └──▶ Opened: a view of one mailbox ──▶ find, look at, change
//! ```
//!
//! Every change is durable when its call returns.

mod end;
mod import;
mod opened;

pub use import::{Import, Imported, Target};
pub use opened::{Opened, Rendering, Seen};

use crate::host::Host;
use crate::imap::{NotSet, Session};
use skein_base::{AccountId, MailboxId, UserName};
use skein_store::account::Account;
use skein_store::dictionary::SAMPLE_BYTES_MAX;
use skein_store::op::Op;
use skein_store::{AccountError, Actor, CheckError, Checked, Inspector, Pinned, Rebuilt, StoreError};

/// One user's account.
pub struct Operator {
    session: Session,
}

/// Numbers of a mailbox.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Status {
    /// Messages.
    pub messages: u32,
    /// Those without `\Seen`.
    pub unseen: u32,
    /// Those that no session has claimed as `\Recent`.
    pub recent: u32,
    /// UIDNEXT.
    pub uid_next: u32,
    /// UIDVALIDITY.
    pub uid_validity: u32,
    /// HIGHESTMODSEQ.
    pub highest_modseq: u64,
    /// Sum of the sizes, bytes.
    pub bytes: u64,
}

impl Operator {
    /// The account of a user of this shard; begun if it is new, as by his first login.
    ///
    /// # Errors
    /// The disk or the log failed.
    pub async fn open(host: &Host, user: &UserName) -> Result<Operator, StoreError> {
        let account = host.store().open(user).await?;
        Ok(Operator::of(host, account))
    }

    /// The account of this identity.
    ///
    /// # Errors
    /// There is none, or the disk or the log failed.
    pub async fn open_known(host: &Host, id: AccountId) -> Result<Operator, StoreError> {
        let account = host.store().open_known(id).await?;
        Ok(Operator::of(host, account))
    }

    fn of(host: &Host, account: std::rc::Rc<skein_store::AccountHandle>) -> Operator {
        Operator { session: Session::new(host, account, Actor::Operator) }
    }

    /// Whose it is.
    pub fn user(&self) -> &UserName {
        self.session.account.user()
    }

    /// Names of all mailboxes, in order.
    pub fn mailboxes(&self) -> Vec<String> {
        self.session.account.read(|account| account.mailboxes().map(|m| m.name.to_owned()).collect())
    }

    /// The subscribed names, in order.
    pub fn subscriptions(&self) -> Vec<String> {
        self.session.account.read(|account| account.subscriptions().map(str::to_owned).collect())
    }

    /// A mailbox's numbers.
    ///
    /// # Errors
    /// No such mailbox, or the disk failed.
    pub async fn status(&self, mailbox: &str) -> Result<Status, StoreError> {
        let id = self.session.find_loaded(mailbox).await?;
        Ok(self.session.look(id, |m| Status {
            messages: m.rows().count(),
            unseen: m.rows().unseen(),
            recent: m.unclaimed(),
            uid_next: m.uid_next().0,
            uid_validity: m.validity().0,
            highest_modseq: m.modseq().0,
            bytes: m.bytes(),
        }))
    }

    /// Messages of the account, the newest of each mailbox, at most `max` and none that are large.
    ///
    /// # Errors
    /// The disk failed. What can not be read is left out.
    pub async fn sample(&self, max: usize) -> Result<Vec<Vec<u8>>, StoreError> {
        let (mut out, names) = (Vec::new(), self.mailboxes());
        // Half for the first that has some; many people have INBOX alone.
        let each = if names.len() == 1 { max } else { (max / 2).max(1) };
        for name in names {
            let id = match self.session.find_loaded(&name).await {
                // Deleted meanwhile.
                Err(StoreError::Account(_)) => continue,
                id => id?,
            };
            let newest = self.session.look(id, |m| {
                let from = m.rows().count().saturating_sub(2 * each as u32);
                m.rows().from_rank(from).map(|row| m.fixed(row)).collect::<Vec<_>>()
            });
            let small = newest.iter().rev().filter(|fixed| fixed.body.bytes as usize <= SAMPLE_BYTES_MAX);
            for fixed in small.take(each.min(max - out.len())) {
                match self.session.store.read_body(&self.session.account, fixed, 0..u64::MAX).await {
                    Ok(message) => out.push(message),
                    Err(error) if error.is_damage() => {}
                    Err(error) => return Err(error),
                }
            }
            if out.len() >= max {
                break;
            }
        }
        Ok(out)
    }

    /// Makes a mailbox.
    ///
    /// # Errors
    /// It exists, its name is not fit, or the log refuses.
    pub async fn create(&self, mailbox: &str) -> Result<(), StoreError> {
        self.change(|account, now| account.create(mailbox, now)).await
    }

    /// Removes a mailbox with its messages.
    ///
    /// # Errors
    /// There is none, it has to stay, or the log refuses.
    pub async fn delete(&self, mailbox: &str) -> Result<(), StoreError> {
        self.session.delete_mailbox(mailbox).await?;
        self.settled().await
    }

    /// Gives a mailbox and all below it another name; of INBOX only the messages go.
    ///
    /// # Errors
    /// No such mailbox, the new name is taken or not fit, or the log refuses.
    pub async fn rename(&self, from: &str, to: &str) -> Result<(), StoreError> {
        if !from.eq_ignore_ascii_case("INBOX") {
            return self.change(|account, _| account.rename(from, to)).await;
        }
        self.session.store.load(&self.session.account, MailboxId::INBOX).await?;
        self.change(|account, now| account.empty_inbox_into(to, now)).await
    }

    /// Puts a name into or out of the subscriptions.
    ///
    /// # Errors
    /// The name is not fit, or the log refuses.
    pub async fn subscribe(&self, mailbox: &str, on: bool) -> Result<(), StoreError> {
        self.change(|account, _| account.subscribe(mailbox, on)).await
    }

    /// Annotations of a mailbox, or of the account itself, that clients know: names and values.
    ///
    /// # Errors
    /// No such mailbox.
    pub fn metadata(&self, mailbox: Option<&str>) -> Result<Vec<(String, Vec<u8>)>, StoreError> {
        Ok(self.session.all_metadata(self.metadata_of(mailbox)?))
    }

    /// Sets an annotation by its name in lower case, or removes it.
    ///
    /// # Errors
    /// No such mailbox, a bound, or the log refuses.
    pub async fn set_metadata(&self, mailbox: Option<&str>, name: &str, value: Option<Vec<u8>>) -> Result<(), NotSet> {
        let of = self.metadata_of(mailbox)?;
        self.session.change_metadata(of, vec![(name.to_owned(), value)])?;
        Ok(self.settled().await?)
    }

    fn metadata_of(&self, mailbox: Option<&str>) -> Result<Option<MailboxId>, StoreError> {
        let find = |name: &str| self.session.account.read(|account| account.find(name).map(|m| m.id));
        mailbox.map(|name| find(name).ok_or(AccountError::NoSuchMailbox.into())).transpose()
    }

    /// Looks at all that is kept of the account; changes nothing.
    ///
    /// # Errors
    /// The disk failed, or the inspector wants no more.
    pub async fn check(&self, inspector: &mut impl Inspector) -> Result<Checked, CheckError> {
        self.session.store.check(&self.session.account, inspector).await
    }

    /// Makes the account's indexes again; those of the mailboxes `from_bodies` without a look at what their snapshots say.
    ///
    /// # Errors
    /// No such mailbox, or the disk or the log failed.
    pub async fn rebuild(self, from_bodies: &[String]) -> Result<Vec<Rebuilt>, StoreError> {
        let find = |name: &String| self.session.account.read(|account| account.find(name).map(|m| m.id));
        let from_bodies: Option<Vec<MailboxId>> = from_bodies.iter().map(find).collect();
        let from_bodies = from_bodies.ok_or(AccountError::NoSuchMailbox)?;
        let (store, account) = (self.session.store.clone(), self.session.account.clone());
        drop(self);
        store.rebuild(account, &from_bodies).await
    }

    /// Second names for the account's files as they fit together now.
    ///
    /// # Errors
    /// The disk or the log failed.
    pub async fn pin(&self) -> Result<Pinned, StoreError> {
        self.session.store.pin(&self.session.account).await
    }

    async fn change(
        &self,
        validate: impl FnOnce(&Account, i64) -> Result<Vec<Op>, AccountError>,
    ) -> Result<(), StoreError> {
        self.session.commit_with(validate)?;
        self.settled().await
    }

    /// Waits until all that was changed is durable.
    async fn settled(&self) -> Result<(), StoreError> {
        self.session.store.durable(&self.session.account).await?;
        self.session.checkpoint_if_due();
        Ok(())
    }
}
