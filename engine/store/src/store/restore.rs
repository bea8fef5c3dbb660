//! An account's files taken out as they stand at one moment, and put back.
//!
//! ```text
//! backup    checkpoint ─ pin: no checkpoint runs, so files fit together; a second name keeps each as it is
//! restore   ab12….restore/{tree.in, m1.idx.in, p1.pack} ─ positions made the log's present end ─▶ tree, m1.idx ─▶ swap with ab12…
//! ```
//!
//! What is restored is true to the end of this log: nothing older of the account is replayed on it, wherever the backup came from.

use super::checkpoint::Claim;
use super::{Slot, Store, paths};
use crate::account::{self, Account};
use crate::account_handle::AccountHandle;
use crate::body::{Bodies, NO_SEGMENT};
use crate::error::StoreError;
use crate::mailbox::{Mailbox, SharedBytes, Snapshot};
use crate::pack::parse_pack_name;
use crate::snapshot;
use skein_base::seam::{Clock, Disk};
use skein_base::sync::Notify;
use skein_base::{AccountId, LogPos, UserName};
use skein_index::{AccountSnapshot, write_beside};
use std::collections::HashMap;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::rc::Rc;

/// Times that it is tried to have an account alone.
const OPENINGS_MAX: usize = 100;

/// Why an account is not restored. Nothing of it has changed then.
#[derive(Debug)]
pub enum RestoreError {
    /// It has mail, and nobody said that this may go.
    NotEmpty,
    /// Others open it again and again.
    Busy,
    /// A file is not what a backup holds.
    Unfit {
        /// Which.
        file: String,
        /// Why.
        why: String,
    },
    /// The disk or the log failed.
    Store(StoreError),
}

impl<E: Into<StoreError>> From<E> for RestoreError {
    fn from(error: E) -> RestoreError {
        RestoreError::Store(error.into())
    }
}

impl fmt::Display for RestoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            RestoreError::NotEmpty => f.write_str("the account has mail; with --replace it goes"),
            RestoreError::Busy => f.write_str("the account is opened again and again; try again"),
            RestoreError::Unfit { file, why } => write!(f, "{file} is not fit to be restored: {why}"),
            RestoreError::Store(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for RestoreError {}

/// The folder in the data folder where files of accounts have second names; a start empties it.
pub const PINNED: &str = "pinned";

/// An account's files, as they fit together.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Pinned {
    /// For [`Store::unpin`].
    pub name: String,
    /// Where they are.
    pub folder: PathBuf,
    /// Their names, and the bytes that count.
    pub files: Vec<(String, u64)>,
}

/// What was restored.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Restored {
    /// Mailboxes.
    pub mailboxes: u64,
    /// Messages in them.
    pub messages: u64,
}

impl<D: Disk, C: Clock> Store<D, C> {
    /// Writes out all that the account has, and gives its files second names in a folder of their own, where they fit together and
    /// stay as they are: packs only grow, snapshots and tree are only replaced. Until [`Store::unpin`].
    ///
    /// # Errors
    /// The disk or the log failed, or the account was let go of meanwhile.
    pub async fn pin(&self, handle: &Rc<AccountHandle>) -> Result<Pinned, StoreError> {
        let claim = loop {
            self.checkpoint_in_turn(handle).await?;
            if let Some(error) = handle.lost() {
                return Err(error.into());
            }
            // Another one may have begun meanwhile; its files are as good once it has ended.
            let ended = handle.changed().notified();
            match Claim::of(handle) {
                // One that left bodies in the log is not: a backup has packs alone.
                Some(_) if handle.bodies_from() != NO_SEGMENT => {}
                Some(claim) => break claim,
                None => ended.await,
            }
        };
        let (from, name) =
            (paths::account(&self.0.dir, handle.id()), format!("{}-{:x}", handle.id().hex(), self.next_pin()));
        let folder = self.pinned(&name);
        self.0.disk.remove_dir_all(&folder).await?;
        self.0.disk.create_dir_all(&folder).await?;
        let mut files = Vec::new();
        for file in self.0.disk.list(&from).await? {
            if file != "tree" && paths::mailbox_of(&file).is_none() && parse_pack_name(&file).is_none() {
                continue;
            }
            let to = folder.join(&file);
            self.0.disk.link(&from.join(&file), &to).await?;
            let open = self.0.disk.open(&to).await?;
            files.push((file, self.0.disk.len(&open).await?));
        }
        drop(claim);
        Ok(Pinned { name, folder, files })
    }

    /// Takes the second names away.
    ///
    /// # Errors
    /// The disk failed.
    pub async fn unpin(&self, name: &str) -> Result<(), StoreError> {
        // A name from outside must stay in the folder.
        let is_name = name.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b'-') && !name.is_empty();
        if is_name {
            self.0.disk.remove_dir_all(&self.pinned(name)).await?;
        }
        Ok(())
    }

    fn next_pin(&self) -> u64 {
        self.0.pins.replace(self.0.pins.get() + 1)
    }

    fn pinned(&self, name: &str) -> PathBuf {
        self.0.dir.with_file_name(PINNED).join(name)
    }

    /// Where the files of an account are to stand that is to be restored: snapshots and tree with `.in` behind their names.
    pub fn staging(&self, user: &UserName) -> PathBuf {
        staging(&paths::account(&self.0.dir, AccountId::of(user)))
    }

    /// Restores an account from its staging folder, which goes. Sessions of the user end.
    ///
    /// # Errors
    /// Why not; then everything is as it was.
    pub async fn restore(&self, user: &UserName, replace: bool) -> Result<Restored, RestoreError> {
        let id = AccountId::of(user);
        self.refuses_nothing()?;
        let handle = self.open(user).await?;
        if !replace && self.has_mail(&handle).await? {
            return Err(RestoreError::NotEmpty);
        }
        let folder = paths::account(&self.0.dir, id);
        let staging = staging(&folder);
        let (state, snapshots) = self.read_backup(id, user, &staging).await?;
        drop(handle);
        let done = self.close_for_restore(user).await?;
        let restored = self.put_back(id, state, snapshots, (&folder, &staging)).await;
        if restored.is_ok() {
            self.0.tail.borrow_mut().forget(id);
            self.0.packs.forget_all(id);
        }
        self.0.accounts.borrow_mut().remove(&id);
        done.notify_all();
        restored
    }

    /// What the log lost and has not cut off comes back with a crash, and would be replayed on what is restored.
    fn refuses_nothing(&self) -> Result<(), RestoreError> {
        self.0.log.refuses().map_or(Ok(()), |refusal| Err(refusal.into()))
    }

    /// Lets go of an account and keeps others from opening it until the slot is taken away and the notice given. From here on nobody
    /// changes it: what is logged for it so far is not replayed.
    async fn close_for_restore(&self, user: &UserName) -> Result<Notify, RestoreError> {
        let id = AccountId::of(user);
        for _ in 0..OPENINGS_MAX {
            let handle = self.open(user).await?;
            self.open_anew(&handle, "it is restored from a backup").await?;
            loop {
                let ended = handle.changed().notified();
                if !handle.checkpoint_runs.get() {
                    break;
                }
                ended.await;
            }
            let mut accounts = self.0.accounts.borrow_mut();
            // Somebody may have opened it again meanwhile.
            let is_free = match accounts.get(&id) {
                Some(Slot::Lost(lost)) => Rc::ptr_eq(lost, &handle),
                Some(Slot::Open(_) | Slot::Opening(_)) => false,
                None => true,
            };
            if is_free {
                let done = Notify::new();
                accounts.insert(id, Slot::Opening(done.clone()));
                return Ok(done);
            }
        }
        Err(RestoreError::Busy)
    }

    async fn has_mail(&self, handle: &Rc<AccountHandle>) -> Result<bool, StoreError> {
        let ids: Vec<_> = handle.read(|account| account.mailboxes().map(|m| m.id).collect());
        for id in ids {
            self.load(handle, id).await?;
            if handle.read(|account| account.mailbox(id).is_some_and(|mailbox| mailbox.rows().count() > 0)) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// The tree and the mailboxes of a backup, each checked.
    async fn read_backup(
        &self,
        id: AccountId,
        user: &UserName,
        staging: &Path,
    ) -> Result<(Account, Vec<Snapshot>), RestoreError> {
        let unfit = |file: &str, why: String| RestoreError::Unfit { file: file.to_owned(), why };
        let map = self.0.disk.map(&staging.join("tree.in")).await?;
        let tree = AccountSnapshot::decode(&map).map_err(|error| unfit("tree", error.to_string()))?.0;
        if tree.account != id {
            return Err(unfit("tree", format!("it is not of {user}")));
        }
        let state = account::decode_account(&tree.payload, LogPos::default());
        let state =
            state.map_err(|damage| unfit("tree", format!("it does not read from byte {} on", damage.offset)))?;
        if state.user() != Some(user) {
            return Err(unfit("tree", format!("it is not of {user}, or of an account that had ended")));
        }
        let mut snapshots = Vec::new();
        for named in state.mailboxes() {
            let file = format!("m{}.idx", named.id.0);
            let map = match self.0.disk.map(&staging.join(format!("{file}.in"))).await {
                // One that was never written, as nothing was ever in it.
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                map => map?,
            };
            let snapshot = Snapshot::open(SharedBytes::new(map)).map_err(|error| unfit(&file, error.to_string()))?;
            if (snapshot.head().account, snapshot.head().mailbox) != (id, named.id) || !snapshot::is_sound(&snapshot) {
                return Err(unfit(&file, "it is another mailbox's".to_owned()));
            }
            snapshots.push(snapshot);
        }
        Ok((state, snapshots))
    }

    /// Writes the files anew, true to the log's present end, and puts their folder in place.
    async fn put_back(
        &self,
        id: AccountId,
        mut state: Account,
        snapshots: Vec<Snapshot>,
        (folder, staging): (&Path, &Path),
    ) -> Result<Restored, RestoreError> {
        let pos = self.0.log.end();
        self.0.log.durable(pos).await?;
        // What fails from here on has nothing of this account in it, which is closed.
        self.refuses_nothing()?;
        let mut restored = Restored { mailboxes: state.mailboxes().count() as u64, messages: 0 };
        let ids: Vec<_> = state.mailboxes().map(|m| (m.id, m.validity)).collect();
        let mut found: HashMap<_, _> = snapshots.into_iter().map(|found| (found.head().mailbox, found)).collect();
        for (mailbox, validity) in ids {
            let mut made = match found.remove(&mailbox) {
                Some(snapshot) => Mailbox::from_snapshot(Rc::new(snapshot)),
                None => Mailbox::new(mailbox, validity),
            };
            restored.messages += u64::from(made.rows().count());
            // Mail that came after the backup had UIDs, and clients remember them.
            made.moved_to(pos);
            made.pass_over(pos);
            state.put(made);
        }
        let (version, tree) =
            (account::tree_version(&state, Bodies::Move), account::encode_account(&state, Bodies::Move));
        let handle = AccountHandle::new(id, state.user().expect("a tree has one").clone(), state, Vec::new());
        let mut files = Vec::new();
        for mailbox in handle.read(|account| account.loaded().map(|m| m.freeze(Bodies::Move)).collect::<Vec<_>>()) {
            let name = handle.read(|account| account.name_of(mailbox.id).to_owned());
            files.push(self.write_mailbox(&handle, (&mailbox, &name), staging, &HashMap::new()).await?);
        }
        let tree = AccountSnapshot { account: id, true_to: pos, version, payload: tree };
        files.push(write_beside(&self.0.disk, &paths::tree(staging), tree.encode()).await?);
        for file in &files {
            file.sync().await?;
            file.put_in_place().await?;
        }
        for name in self.0.disk.list(staging).await?.iter().filter(|name| name.ends_with(".in")) {
            self.0.disk.remove(&staging.join(name)).await?;
        }
        self.0.disk.sync_dir(staging).await?;
        self.0.disk.create_dir_all(folder).await?;
        // In one step: a crash leaves the account as it was or as it is to be.
        self.0.disk.exchange(staging, folder).await?;
        let above = folder.parent().expect("an account's folder is in another one");
        self.0.disk.sync_dir(above).await?;
        if let Err(error) = self.0.disk.remove_dir_all(staging).await {
            tracing::warn!(%error, folder = %staging.display(), "what was there before a restore is left behind");
        }
        Ok(restored)
    }
}

fn staging(folder: &Path) -> PathBuf {
    let mut name = folder.as_os_str().to_owned();
    name.push(".restore");
    name.into()
}
