//! Whose accounts are, without opening them: a tree's first bytes, or the record of a birth, say it.
//!
//! ```text
//! open ──▶ its user      closed: its tree ──▶ the user it names      no tree yet: the log ──▶ the user of its birth
//! all else (damage, an end half done, an opening under way) ──▶ opened, as for its user, and closed again
//! ```

use super::{Slot, Store, paths};
use crate::account::{self, AccountError};
use crate::error::StoreError;
use crate::op::Op;
use skein_base::seam::{Clock, Disk};
use skein_base::{AccountId, LogPos, UserName};
use skein_index::AccountSnapshot;
use std::io;

/// What a look at an account that is closed tells.
enum Told {
    User(UserName),
    Nobody,
    /// All that there is of it is in the log.
    InLog,
    /// Opening it will tell.
    Unclear,
}

impl<D: Disk, C: Clock> Store<D, C> {
    /// Whose these accounts are, in their order; `None` for one that is nobody's, as [`Store::open_known`] would say, and an error
    /// for one of which mail is there and no name. What is closed stays so. A batch is read in one go, and its trees are in memory at once.
    pub async fn users(&self, ids: &[AccountId]) -> Vec<Result<Option<UserName>, StoreError>> {
        let closed: Vec<AccountId> = ids.iter().copied().filter(|id| self.user_of_open(*id).is_none()).collect();
        let trees = closed.iter().map(|id| paths::tree(&paths::account(&self.0.dir, *id))).collect();
        let mut trees = closed.iter().zip(self.0.disk.map_all(trees).await).peekable();
        let mut users = Vec::with_capacity(ids.len());
        for id in ids {
            let tree = trees.next_if(|(closed, _)| *closed == id).map(|(_, tree)| tree);
            users.push(self.user_of(*id, tree).await);
        }
        users
    }

    async fn user_of(&self, id: AccountId, tree: Option<io::Result<D::Map>>) -> Result<Option<UserName>, StoreError> {
        // Whoever opened it while its tree was read has taken its records, without which the tree tells too little.
        if let Some(user) = self.user_of_open(id) {
            return Ok(Some(user));
        }
        let is_closed = !self.0.accounts.borrow().contains_key(&id);
        let told = tree.filter(|_| is_closed).map_or(Told::Unclear, |tree| self.told_by(id, tree));
        let user = match told {
            Told::User(user) => Some(user),
            Told::Nobody => return Ok(None),
            Told::InLog => self.user_born_in_log(id).await,
            Told::Unclear => None,
        };
        if user.is_some() {
            return Ok(user);
        }
        let opened = self.open_known(id).await.map(|handle| handle.user().clone());
        if is_closed {
            self.close(id);
        }
        match opened {
            Err(StoreError::Account(AccountError::NoSuchAccount)) => match self.left_files(id).await? {
                true => Err(AccountError::Nameless.into()),
                false => Ok(None),
            },
            opened => opened.map(Some),
        }
    }

    fn user_of_open(&self, id: AccountId) -> Option<UserName> {
        self.0.accounts.borrow().get(&id).and_then(Slot::open).map(|handle| handle.user().clone())
    }

    fn told_by(&self, id: AccountId, tree: io::Result<D::Map>) -> Told {
        let tail = self.0.tail.borrow();
        let end = tail.end_of(id).map(|record| record.end);
        let tree = match tree {
            Err(error) if error.kind() == io::ErrorKind::NotFound && end.is_none() => return Told::InLog,
            Err(_) => return Told::Unclear,
            Ok(map) => AccountSnapshot::decode(&map),
        };
        match tree {
            Ok((tree, _)) if tree.account == id && end.is_none_or(|end| end <= tree.true_to) => {
                match account::decode_user(&tree.payload) {
                    Ok(Some(user)) => Told::User(user),
                    Ok(None) if tail.of(id, tree.true_to).is_empty() => Told::Nobody,
                    Ok(None) | Err(_) => Told::Unclear,
                }
            }
            _ => Told::Unclear,
        }
    }

    /// The user whose account a record of the tail begins; it is the first that can be read.
    async fn user_born_in_log(&self, id: AccountId) -> Option<UserName> {
        let birth = *self.0.tail.borrow().of(id, LogPos::default()).first()?;
        self.read_ops(id, &birth).await.ok()?.into_iter().find_map(|op| match op {
            Op::CreateAccount { user, .. } => Some(user),
            _ => None,
        })
    }
}
