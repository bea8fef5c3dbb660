//! What all shards share: the sources in force, and replacing them while they run.

use crate::error::LoadError;
use crate::sources::{Notices, Sources};
use skein_config as config;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

/// Sources and settings; shards take a new set at their next check after a reload.
pub struct SharedAuth {
    current: RwLock<Arc<State>>,
    generation: AtomicU64,
    /// The files as they were looked at last, whether or not that could be read.
    stamps: Mutex<Vec<Stamp>>,
    /// Held by a refresh until its set is in force: who finds nothing changed may rely on that.
    refreshing: Mutex<()>,
    /// Numbers the sets in the order in which their reading began.
    begun: AtomicU64,
    pub(crate) cache_key: [u8; 32],
    pub(crate) secret: [u8; 32],
}

/// One set, as a whole.
pub struct State {
    /// Who may log in and has mail.
    pub users: Sources,
    /// Who may log in as others.
    pub masters: Sources,
    /// What it was loaded by.
    pub settings: config::Auth,
    pub(crate) generation: u64,
    begun: u64,
}

/// How a changed file is known.
type Stamp = (PathBuf, Option<(i64, i64, u64, u64)>);

impl SharedAuth {
    /// Loads the sources. Blocks: at start, off the shards. `cache_key` is new with each process; `secret` stays the same over
    /// restarts, as what SCRAM tells about strangers is made of it.
    ///
    /// # Errors
    /// A file can not be read.
    pub fn load(
        settings: &config::Auth,
        cache_key: [u8; 32],
        secret: [u8; 32],
    ) -> Result<(Arc<SharedAuth>, Notices), LoadError> {
        let stamps = Mutex::new(stamps(settings));
        let (state, notices) = State::load(settings)?;
        let current = RwLock::new(Arc::new(state));
        let shared = Arc::new(SharedAuth {
            current,
            generation: AtomicU64::new(0),
            stamps,
            refreshing: Mutex::default(),
            begun: AtomicU64::new(0),
            cache_key,
            secret,
        });
        Ok((shared, notices))
    }

    /// From sources that are there already, for tests and commands.
    pub fn of(users: Sources, masters: Sources, settings: config::Auth, key: [u8; 32]) -> Arc<SharedAuth> {
        let state = State::new(users, masters, settings);
        Arc::new(SharedAuth {
            current: RwLock::new(Arc::new(state)),
            generation: AtomicU64::new(0),
            stamps: Mutex::default(),
            refreshing: Mutex::default(),
            begun: AtomicU64::new(0),
            cache_key: key,
            secret: key,
        })
    }

    /// Reads every source again, by these settings, for [`SharedAuth::replace`]. Blocks.
    ///
    /// # Errors
    /// A file can not be read; then everything stays as it was.
    pub fn prepare(&self, settings: &config::Auth) -> Result<(State, Notices), LoadError> {
        *self.stamps.lock().unwrap_or_else(PoisonError::into_inner) = stamps(settings);
        let begun = self.begun.fetch_add(1, Ordering::Relaxed) + 1;
        let (state, notices) = State::load(settings)?;
        Ok((State { begun, ..state }, notices))
    }

    /// Reads every source again when a file has changed; `None` when none has: what is in the files is in force. Blocks.
    ///
    /// # Errors
    /// As [`SharedAuth::prepare`]; said once for each change.
    pub fn refresh(&self) -> Result<Option<Notices>, LoadError> {
        let _one_at_a_time = self.refreshing.lock().unwrap_or_else(PoisonError::into_inner);
        let settings = self.state().settings.clone();
        let changed = *self.stamps.lock().unwrap_or_else(PoisonError::into_inner) != stamps(&settings);
        if !changed {
            return Ok(None);
        }
        let (state, notices) = self.prepare(&settings)?;
        self.replace(state);
        Ok(Some(notices))
    }

    /// Puts sources in place of those in force: a changed password counts at once.
    pub fn replace(&self, mut state: State) {
        let mut current = self.current.write().unwrap_or_else(PoisonError::into_inner);
        state.generation = current.generation + 1;
        if state.begun < current.begun {
            // The files may have changed while it was read: the next look takes them up.
            self.stamps.lock().unwrap_or_else(PoisonError::into_inner).clear();
        }
        let generation = state.generation;
        *current = Arc::new(state);
        self.generation.store(generation, Ordering::Release);
    }

    /// The set in force.
    pub fn state(&self) -> Arc<State> {
        self.current.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn generation(&self) -> u64 {
        self.generation.load(Ordering::Acquire)
    }
}

impl State {
    /// A set from sources that are there already.
    pub fn new(users: Sources, masters: Sources, settings: config::Auth) -> State {
        State { users, masters, settings, generation: 0, begun: 0 }
    }

    fn load(settings: &config::Auth) -> Result<(State, Notices), LoadError> {
        let (users, mut notices) = Sources::load(&settings.sources)?;
        let (masters, more) = Sources::load(&settings.masters)?;
        notices.extend(more);
        Ok((State::new(users, masters, settings.clone()), notices))
    }
}

/// Taken before the files are read: a change in between is seen the next time.
fn stamps(settings: &config::Auth) -> Vec<Stamp> {
    let path = |source: &config::AuthSource| match &source.source {
        config::Source::PasswdFile { path } => Some(path.clone()),
        config::Source::Static { .. } => None,
    };
    let paths = settings.sources.iter().chain(&settings.masters).filter_map(path);
    paths.map(|path| (path.clone(), stamp(&path))).collect()
}

fn stamp(path: &Path) -> Option<(i64, i64, u64, u64)> {
    let file = fs::metadata(path).ok()?;
    Some((file.mtime(), file.mtime_nsec(), file.len(), file.ino()))
}
