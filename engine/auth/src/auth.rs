//! One check of one password: the cheap half on the shard, the costly half as a job.

use crate::cache::Cache;
use crate::hash::Hash;
use crate::sources::Sources;
use blake3::Hash as Digest;
use skein_base::limits::PASSWORD_BYTES_MAX;
use skein_base::{Secret, UserName};
use skein_config as config;
use std::sync::Arc;

/// Checks passwords for one shard.
pub struct Auth {
    sources: Arc<Sources>,
    cache: Cache,
    /// Counts reloads: what a job found out about the sources before one is not remembered after it.
    generation: u64,
}

/// Where a check stands after its cheap half.
#[derive(Debug)]
pub enum Step {
    /// This is the user.
    Accept(UserName),
    /// It is not, or there is no such user. The session waits `auth.failure_delay_ms` before it says so.
    Reject,
    /// Run the job off the shard and give its result to [`Auth::finish`].
    Check(Job),
}

/// What a finished check says.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Outcome {
    /// This is the user.
    Accept(UserName),
    /// It is not, or there is no such user.
    Reject,
}

/// The costly half: milliseconds to seconds of a core, no I/O. `Send`, for the blocking pool.
#[derive(Debug)]
pub struct Job {
    subject: Option<Subject>,
    hashes: Vec<Arc<Hash>>,
    decoy: Option<Arc<Hash>>,
    password: Secret,
    generation: u64,
}

/// What a job found out.
#[derive(Debug)]
pub struct Checked {
    subject: Option<Subject>,
    accepted: bool,
    generation: u64,
}

/// Who is checked, and what the cache will know the check by. None for a name that can not be a user's.
#[derive(Debug)]
struct Subject {
    user: UserName,
    digest: Digest,
}

impl Auth {
    /// `key` is 32 random bytes, new with each process, for the cache.
    pub fn new(sources: Arc<Sources>, settings: &config::Auth, key: [u8; 32]) -> Auth {
        Auth { sources, cache: Cache::new(settings, key), generation: 0 }
    }

    /// The sources, for asking whether a user exists.
    pub fn sources(&self) -> &Sources {
        &self.sources
    }

    /// Takes new sources and settings and forgets every verdict, so that a changed password counts at once.
    pub fn reload(&mut self, sources: Arc<Sources>, settings: &config::Auth, key: [u8; 32]) {
        self.sources = sources;
        self.cache = Cache::new(settings, key);
        self.generation += 1;
    }

    /// Forgets every verdict, as after a change in a source that is no file.
    pub fn forget(&mut self) {
        self.cache.clear();
        self.generation += 1;
    }

    /// Looks into the cache and the sources, and checks what is cheap to check. `now_ms` never goes back.
    ///
    /// Empty passwords and those over [`PASSWORD_BYTES_MAX`] are refused whatever the sources say.
    pub fn begin(&mut self, user: &str, password: &Secret, now_ms: u64) -> Step {
        if password.is_empty() || password.expose().len() > PASSWORD_BYTES_MAX {
            return Step::Reject;
        }
        let Ok(user) = UserName::new(user) else {
            return self.job(None, Vec::new(), password).map_or(Step::Reject, Step::Check);
        };
        let digest = self.cache.digest(&user, password);
        match self.cache.verdict(&user, &digest, now_ms) {
            Some(true) => return Step::Accept(user),
            Some(false) => return Step::Reject,
            None => {}
        }
        let (costly, cheap): (Vec<_>, Vec<_>) = self.sources.look_up(&user).partition(|hash| hash.is_costly());
        if cheap.iter().any(|hash| hash.matches(password.expose())) {
            return Step::Accept(user);
        }
        self.job(Some(Subject { user, digest }), costly, password).map_or(Step::Reject, Step::Check)
    }

    /// Remembers what a job found out.
    pub fn finish(&mut self, checked: Checked, now_ms: u64) -> Outcome {
        let Some(Subject { user, digest }) = checked.subject else { return Outcome::Reject };
        if checked.generation == self.generation {
            self.cache.remember(&user, digest, checked.accepted, now_ms);
        }
        if checked.accepted { Outcome::Accept(user) } else { Outcome::Reject }
    }

    /// Both halves in a row, for commands and tests: blocks for as long as the hash takes.
    pub fn verify(&mut self, user: &str, password: &Secret, now_ms: u64) -> Outcome {
        match self.begin(user, password, now_ms) {
            Step::Accept(user) => Outcome::Accept(user),
            Step::Reject => Outcome::Reject,
            Step::Check(job) => self.finish(job.run(), now_ms),
        }
    }

    /// A job, unless there is nothing costly in any source. A user without a costly hash gets the decoy.
    fn job(&self, subject: Option<Subject>, hashes: Vec<Arc<Hash>>, password: &Secret) -> Option<Job> {
        let decoy = if hashes.is_empty() { Some(self.sources.decoy()?) } else { None };
        Some(Job { subject, hashes, decoy, password: password.clone(), generation: self.generation })
    }
}

impl Job {
    /// Does the work.
    pub fn run(self) -> Checked {
        let password = self.password.expose();
        let accepted = self.hashes.iter().any(|hash| hash.matches(password));
        if let Some(decoy) = &self.decoy {
            // For its time only; the optimiser must not see that.
            std::hint::black_box(decoy.matches(password));
        }
        Checked { subject: self.subject, accepted, generation: self.generation }
    }
}
