//! The data folder's dictionaries, each in two files that mend each other.

use super::{DICTIONARY_BYTES_MAX, Dictionary, HEADER_BYTES, NoDictionary};
use crate::log::ReadError;
use skein_base::ShardId;
use skein_base::seam::Disk;
use skein_base::sync::Semaphore;
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::rc::Rc;
use std::{fmt, io};

/// Dictionaries of one data folder. A site makes one in years.
pub const DICTIONARIES_MAX: usize = 64;

/// Ends of the names of the two files.
const ENDS: [&str; 2] = ["dict", "copy"];

/// Why a dictionary is not kept.
#[derive(Debug)]
pub enum DictionaryError {
    /// There are [`DICTIONARIES_MAX`] already.
    TooMany,
    /// The disk failed.
    Io(io::Error),
}

impl fmt::Display for DictionaryError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            DictionaryError::TooMany => {
                write!(f, "there are {DICTIONARIES_MAX} dictionaries, which is the most there may be")
            }
            DictionaryError::Io(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for DictionaryError {}

impl From<io::Error> for DictionaryError {
    fn from(error: io::Error) -> DictionaryError {
        DictionaryError::Io(error)
    }
}

/// The names of a dictionary's two files.
pub fn dictionary_files(id: u32) -> [String; 2] {
    ENDS.map(|end| format!("{id:08x}.{end}"))
}

/// Whether a file of the folder of dictionaries is one, and which one's.
pub fn is_dictionary(name: &str) -> Option<u32> {
    let (id, _) = name.split_once('.')?;
    let id = u32::from_str_radix(id, 16).ok()?;
    dictionary_files(id).iter().any(|file| file == name).then_some(id)
}

/// What a shard knows of them.
pub(crate) struct Dictionaries<D: Disk> {
    disk: D,
    dir: PathBuf,
    /// Others write here too, each beside its own name.
    shard: ShardId,
    writing: Semaphore,
    known: RefCell<BTreeMap<u32, Known>>,
    /// Whether the folder was read.
    is_read: Cell<bool>,
}

/// A dictionary in memory.
#[derive(Clone)]
struct Known {
    dictionary: Rc<Dictionary>,
    /// Its name is on the disk for good: before that nothing is written with it.
    is_safe: bool,
}

impl<D: Disk> Dictionaries<D> {
    pub fn new(disk: D, dir: PathBuf, shard: ShardId) -> Dictionaries<D> {
        let writing = Semaphore::new(1);
        Dictionaries { disk, dir, shard, writing, known: RefCell::default(), is_read: Cell::new(false) }
    }

    /// The one to write with.
    ///
    /// # Errors
    /// The disk failed.
    pub async fn newest(&self) -> io::Result<Option<Rc<Dictionary>>> {
        if !self.is_read.get() {
            self.read_all().await?;
        }
        self.make_safe().await?;
        let known = self.known.borrow();
        let safe = known.values().filter(|known| known.is_safe).map(|known| &known.dictionary);
        Ok(safe.max_by_key(|dictionary| (dictionary.began(), dictionary.id())).cloned())
    }

    /// A file that reads well may have its name by a rename that was never synced, as the process died or the sync failed: then the
    /// next crash takes it, and with it all mail that was written with it.
    async fn make_safe(&self) -> io::Result<()> {
        let is_unsafe = |(id, known): (&u32, &Known)| (!known.is_safe).then_some(*id);
        let unsafe_yet: Vec<u32> = self.known.borrow().iter().filter_map(is_unsafe).collect();
        if unsafe_yet.is_empty() {
            return Ok(());
        }
        self.disk.sync_dir(&self.dir).await?;
        let mut known = self.known.borrow_mut();
        known.iter_mut().filter(|(id, _)| unsafe_yet.contains(id)).for_each(|(_, known)| known.is_safe = true);
        Ok(())
    }

    /// All there are. Files of them that are gone or damaged are made again from the other one, or from memory.
    ///
    /// # Errors
    /// The disk failed.
    pub async fn all(&self) -> io::Result<Vec<Rc<Dictionary>>> {
        self.read_all().await?;
        Ok(self.known.borrow().values().map(|known| known.dictionary.clone()).collect())
    }

    /// The one of this id.
    ///
    /// # Errors
    /// Gone, damaged, or the disk failed.
    pub async fn get(&self, id: u32) -> Result<Rc<Dictionary>, ReadError> {
        if let Some(known) = self.known.borrow().get(&id) {
            return Ok(known.dictionary.clone());
        }
        let dictionary = self.read(id).await?.ok_or(ReadError::DictionaryMissing { id })?;
        Ok(self.learn(dictionary))
    }

    /// Keeps one, durably; from now on it is the one to write with, if no newer is there.
    ///
    /// # Errors
    /// It is not kept.
    pub async fn keep(&self, dictionary: Dictionary) -> Result<(), DictionaryError> {
        self.read_all().await?;
        if self.known.borrow().len() >= DICTIONARIES_MAX && !self.known.borrow().contains_key(&dictionary.id()) {
            return Err(DictionaryError::TooMany);
        }
        self.disk.create_dir_all(&self.dir).await?;
        for name in dictionary_files(dictionary.id()) {
            self.write(&name, &dictionary).await?;
        }
        let kept = Known { is_safe: true, dictionary: Rc::new(dictionary) };
        self.known.borrow_mut().insert(kept.dictionary.id(), kept);
        Ok(())
    }

    /// Takes note of one that was read, unless it is known.
    fn learn(&self, dictionary: Rc<Dictionary>) -> Rc<Dictionary> {
        let read = Known { is_safe: false, dictionary };
        self.known.borrow_mut().entry(read.dictionary.id()).or_insert(read).dictionary.clone()
    }

    async fn read_all(&self) -> io::Result<()> {
        let names = match self.disk.list(&self.dir).await {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
            names => names?,
        };
        let known: Vec<(u32, Rc<Dictionary>)> =
            self.known.borrow().iter().map(|(id, known)| (*id, known.dictionary.clone())).collect();
        let mut ids: std::collections::BTreeSet<u32> = names.iter().filter_map(|name| is_dictionary(name)).collect();
        ids.extend(known.iter().map(|(id, _)| *id));
        for id in ids.into_iter().take(DICTIONARIES_MAX) {
            let in_memory = known.iter().find(|(known, _)| *known == id);
            match (self.read(id).await?, in_memory) {
                (Some(found), _) => drop(self.learn(found)),
                (None, Some((_, dictionary))) => {
                    for name in dictionary_files(id) {
                        self.write(&name, dictionary).await?;
                        tracing::error!(file = %name, "a dictionary was gone or damaged and is made again from memory");
                    }
                }
                (None, None) => {
                    let error = ReadError::DictionaryMissing { id };
                    tracing::error!(%error, "mail that was written with it can not be read");
                }
            }
        }
        self.is_read.set(true);
        Ok(())
    }

    /// From either file; one that is not as it was written is made again from the other.
    async fn read(&self, id: u32) -> io::Result<Option<Rc<Dictionary>>> {
        let files = dictionary_files(id);
        let mut found = None;
        let mut hurt = Vec::new();
        for name in &files {
            match self.read_file(name).await? {
                Ok(dictionary) if dictionary.id() == id => found = Some(dictionary),
                Err(NoDictionary::Version(version)) => {
                    tracing::error!(file = %name, version, "a newer version wrote this dictionary");
                    return Ok(None);
                }
                _ => hurt.push(name),
            }
        }
        let Some(dictionary) = found else { return Ok(None) };
        for name in hurt {
            match self.write(name, &dictionary).await {
                Ok(()) => {
                    tracing::error!(file = %name, "a dictionary was gone or damaged and is made again from its copy")
                }
                // It is read from the other, and mended another time.
                Err(error) => {
                    tracing::error!(file = %name, %error, "a dictionary is gone or damaged, and can not be made again")
                }
            }
        }
        Ok(Some(Rc::new(dictionary)))
    }

    async fn read_file(&self, name: &str) -> io::Result<Result<Dictionary, NoDictionary>> {
        let file = match self.disk.open(&self.dir.join(name)).await {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Err(NoDictionary::Damaged)),
            file => file?,
        };
        let bytes = self.disk.read_at(&file, 0, HEADER_BYTES + DICTIONARY_BYTES_MAX + 5).await?;
        Ok(Dictionary::decode(&bytes))
    }

    async fn write(&self, name: &str, dictionary: &Dictionary) -> io::Result<()> {
        let _turn = self.writing.acquire(1).await;
        let path = self.dir.join(name);
        let new = self.dir.join(format!("{name}.{:04x}.tmp", self.shard.0));
        let file = match self.disk.create(&new).await {
            // Left by a failure or a crash.
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                self.disk.remove(&new).await?;
                self.disk.create(&new).await?
            }
            file => file?,
        };
        self.disk.write_at(&file, 0, dictionary.encode()).await?;
        self.disk.fdatasync(&file).await?;
        self.disk.rename(&new, &path).await?;
        self.disk.sync_dir(&self.dir).await
    }
}
