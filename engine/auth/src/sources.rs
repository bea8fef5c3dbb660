//! Where users come from.

use crate::entry::Entry;
use crate::error::{LoadError, Notice};
use crate::hash::Hash;
use crate::passwd_file::PasswdFile;
use crate::source::{Answer, PassDb, Sample, ScramSample, UserDb};
use crate::walk::Heard;
use skein_base::{Secret, UserName};
use skein_config::{AuthSource, Source, SourceRules, UserTemplate};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// One source and what its answers mean.
pub struct Ranked {
    /// What it is called in what operators read.
    pub name: String,
    /// Asked for passwords.
    pub passdb: Arc<dyn PassDb>,
    /// Asked who has mail; none for a source that only knows passwords.
    pub userdb: Option<Arc<dyn UserDb>>,
    /// What follows from its answers.
    pub rules: SourceRules,
    /// How often it said what.
    pub(crate) answers: Answers,
}

/// How often a source answered, by the answer. Logins are rare beside the hashes they cost: shards share these.
#[derive(Default)]
pub struct Answers([AtomicU64; 4]);

impl Answers {
    /// The words for [`Answers::counts`], in their order.
    pub const NAMES: [&str; 4] = ["match", "mismatch", "unknown", "unavailable"];

    pub(crate) fn count(&self, heard: Heard) {
        let which = match heard {
            Heard::Skipped => return,
            Heard::Match => 0,
            Heard::Mismatch => 1,
            Heard::Unknown => 2,
            Heard::Unavailable => 3,
        };
        self.0[which].fetch_add(1, Relaxed);
    }

    /// Since the sources were read.
    pub fn counts(&self) -> [u64; 4] {
        self.0.each_ref().map(|count| count.load(Relaxed))
    }
}

/// Every source of the settings, in their order; shared by all shards.
#[derive(Default)]
pub struct Sources {
    list: Vec<Ranked>,
    sample: Sample,
}

/// Notices with the file they are about.
pub type Notices = Vec<(PathBuf, Notice)>;

impl Sources {
    /// From sources that are there already.
    pub fn new(list: Vec<Ranked>) -> Sources {
        let samples: Vec<Sample> = list.iter().map(|source| source.passdb.sample()).collect();
        let hash = samples.iter().find_map(|sample| sample.hash.clone());
        let scram = samples.iter().find_map(|sample| sample.scram);
        Sources { list, sample: Sample { hash, scram } }
    }

    /// Loads what the settings name, with the notices of each file. Blocks: at start and on reload, off the shards.
    ///
    /// # Errors
    /// A file can not be read.
    pub fn load(settings: &[AuthSource]) -> Result<(Sources, Notices), LoadError> {
        let mut list = Vec::new();
        let mut notices = Vec::new();
        for AuthSource { source, rules } in settings {
            list.push(match source {
                Source::Static { users, password } => {
                    Ranked::of(StaticUsers::new(users.clone(), password.clone()), *rules)
                        .named(format!("static {users}"))
                }
                Source::PasswdFile { path } => {
                    let file = PasswdFile::load(path)?;
                    notices.extend(file.notices().iter().map(|notice| (path.clone(), notice.clone())));
                    Ranked::of(file, *rules).named(format!("passwd-file {}", path.display()))
                }
            });
        }
        Ok((Sources::new(list), notices))
    }

    /// True when some source in memory knows the user. Sources that take their time are asked by
    /// [`Auth::find`](crate::Auth::find).
    pub fn know(&self, user: &UserName) -> bool {
        !user.is_reserved() && self.userdbs().any(|userdb| matches!(userdb.find(user), Answer::Now(Ok(Some(_)))))
    }

    /// What each source has answered so far, by its name.
    pub fn answers(&self) -> impl Iterator<Item = (&str, [u64; 4])> {
        self.list.iter().map(|source| (source.name.as_str(), source.answers.counts()))
    }

    pub(crate) fn list(&self) -> &[Ranked] {
        &self.list
    }

    /// Those that say who has mail: all but the deny lists.
    pub(crate) fn userdbs(&self) -> impl Iterator<Item = &Arc<dyn UserDb>> {
        self.list.iter().filter(|source| !source.rules.deny).filter_map(|source| source.userdb.as_ref())
    }

    pub(crate) fn sample(&self) -> &Sample {
        &self.sample
    }
}

impl Ranked {
    /// A source that is asked for both.
    pub fn of(source: impl PassDb + UserDb + 'static, rules: SourceRules) -> Ranked {
        let source = Arc::new(source);
        Ranked { name: String::new(), passdb: source.clone(), userdb: Some(source), rules, answers: Answers::default() }
    }

    /// The same, with a name.
    #[must_use]
    pub fn named(self, name: String) -> Ranked {
        Ranked { name, ..self }
    }
}

/// One password for a set of users.
#[derive(Debug)]
pub struct StaticUsers {
    users: UserTemplate,
    entry: Entry,
}

impl StaticUsers {
    /// All users of the template, with this password.
    pub fn new(users: UserTemplate, password: Secret) -> StaticUsers {
        StaticUsers { users, entry: Entry::new(Hash::plain(password)) }
    }
}

impl PassDb for StaticUsers {
    fn look_up(&self, user: &UserName) -> Answer<Option<Entry>> {
        Answer::Now(Ok(self.users.matches(user.as_str()).then(|| self.entry.clone())))
    }

    fn sample(&self) -> Sample {
        Sample { hash: None, scram: Some(ScramSample::Passwords) }
    }
}

impl UserDb for StaticUsers {
    fn find(&self, user: &UserName) -> Answer<Option<Entry>> {
        self.look_up(user)
    }
}
