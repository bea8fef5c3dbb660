//! Packs held open for reading.

use super::format::{NoPackHeader, PACK_HEADER_BYTES, PackHeader, pack_name};
use super::group::Kept;
use crate::dictionary::Dictionaries;
use crate::log::ReadError;
use skein_base::seam::Disk;
use skein_base::{AccountId, ShardId};
use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};
use std::rc::Rc;

/// Packs a shard holds open: one descriptor each.
const PACKS_OPEN_MAX: usize = 256;

/// Open packs, the least recently used of which is closed for the next.
pub(crate) struct PackFiles<D: Disk> {
    disk: D,
    dictionaries: Dictionaries<D>,
    open: RefCell<OpenPacks<D::File>>,
    uses: Cell<u64>,
    /// The last ones read.
    pub(super) groups: RefCell<Vec<Rc<Kept<D::File>>>>,
}

/// By account and number.
type OpenPacks<F> = HashMap<(AccountId, u64), Entry<F>>;

struct Entry<F> {
    pack: Pack<F>,
    used: Cell<u64>,
}

/// A pack to read from.
#[derive(Clone)]
pub(crate) struct Pack<F> {
    pub file: F,
    pub header: PackHeader,
}

impl<D: Disk> PackFiles<D> {
    /// `dictionaries` is the folder of those that entries name.
    pub fn new(disk: D, dictionaries: PathBuf, shard: ShardId) -> PackFiles<D> {
        let dictionaries = Dictionaries::new(disk.clone(), dictionaries, shard);
        PackFiles { disk, dictionaries, open: RefCell::default(), uses: Cell::new(0), groups: RefCell::default() }
    }

    pub fn disk(&self) -> &D {
        &self.disk
    }

    pub fn dictionaries(&self) -> &Dictionaries<D> {
        &self.dictionaries
    }

    pub fn cached(&self, account: AccountId, number: u64) -> Option<Pack<D::File>> {
        let open = self.open.borrow();
        let entry = open.get(&(account, number))?;
        entry.used.set(self.next_use());
        Some(entry.pack.clone())
    }

    /// A pack of the account whose folder is `folder`.
    ///
    /// # Errors
    /// Gone, not this account's, or the disk failed.
    pub async fn pack(&self, account: AccountId, folder: &Path, number: u64) -> Result<Pack<D::File>, ReadError> {
        if let Some(pack) = self.cached(account, number) {
            return Ok(pack);
        }
        let file = match self.disk.open(&folder.join(pack_name(number))).await {
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Err(ReadError::PackMissing { pack: number }),
            other => other?,
        };
        let header = PackHeader::decode(&self.disk.read_at(&file, 0, PACK_HEADER_BYTES).await?);
        let header = match header {
            Err(NoPackHeader::Version(version)) => return Err(ReadError::PackVersion { pack: number, version }),
            header => header.ok().filter(|h| (h.account, h.number) == (account, number)),
        };
        let header = header.ok_or(ReadError::PackDamaged { pack: number, offset: 0 })?;
        if let Some(pack) = self.cached(account, number) {
            // Another of this number has been begun meanwhile.
            return Ok(pack);
        }
        let pack = Pack { file, header };
        self.insert(account, pack.clone());
        Ok(pack)
    }

    /// Closes a pack that was removed. Not before: somebody may read from it meanwhile, and would open it again.
    pub fn forget(&self, account: AccountId, number: u64) {
        self.open.borrow_mut().remove(&(account, number));
        self.forget_groups(account);
    }

    /// Closes all of an account's, before its folder is another one.
    pub fn forget_all(&self, account: AccountId) {
        self.open.borrow_mut().retain(|(of, _), _| *of != account);
        self.forget_groups(account);
    }

    pub fn insert(&self, account: AccountId, pack: Pack<D::File>) {
        let mut open = self.open.borrow_mut();
        if open.len() >= PACKS_OPEN_MAX {
            let oldest = open.iter().min_by_key(|(_, entry)| entry.used.get()).map(|(key, _)| *key);
            oldest.map(|key| open.remove(&key));
        }
        let number = pack.header.number;
        open.insert((account, number), Entry { pack, used: Cell::new(self.next_use()) });
    }

    fn next_use(&self) -> u64 {
        self.uses.replace(self.uses.get() + 1)
    }
}
