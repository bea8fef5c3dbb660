//! Where users come from.

use crate::error::{LoadError, Notice};
use crate::hash::Hash;
use crate::passwd_file::PasswdFile;
use skein_base::{Secret, UserName};
use skein_config::{Source, UserTemplate};
use std::path::PathBuf;
use std::sync::Arc;

/// A source of users that answers at once, from memory.
pub trait PassDb: Send + Sync {
    /// The stored password of a user, or `None` when the user is not known here.
    fn look_up(&self, user: &UserName) -> Option<Arc<Hash>>;
    /// A costly hash as most users have it, or `None` when no user has one. It is checked and its result thrown away when
    /// the user is unknown.
    fn decoy(&self) -> Option<Arc<Hash>>;
}

/// Every source of the settings, in their order; shared by all shards.
pub struct Sources {
    list: Vec<Box<dyn PassDb>>,
    decoy: Option<Arc<Hash>>,
}

impl Sources {
    /// From sources that are there already.
    pub fn new(list: Vec<Box<dyn PassDb>>) -> Sources {
        let decoy = list.iter().find_map(|source| source.decoy());
        Sources { list, decoy }
    }

    /// Loads what the settings name, with the notices of each file. Blocks: at start and on reload, off the shards.
    pub fn load(settings: &[Source]) -> Result<(Sources, Vec<(PathBuf, Notice)>), LoadError> {
        let mut list: Vec<Box<dyn PassDb>> = Vec::new();
        let mut notices = Vec::new();
        for source in settings {
            match source {
                Source::Static { users, password } => {
                    list.push(Box::new(StaticUsers::new(users.clone(), password.clone())));
                }
                Source::PasswdFile { path } => {
                    let file = PasswdFile::load(path)?;
                    notices.extend(file.notices().iter().map(|notice| (path.clone(), notice.clone())));
                    list.push(Box::new(file));
                }
            }
        }
        Ok((Sources::new(list), notices))
    }

    /// True when some source knows the user: delivery asks this of each recipient.
    pub fn know(&self, user: &UserName) -> bool {
        self.list.iter().any(|source| source.look_up(user).is_some())
    }

    /// The user's stored passwords, one for each source that knows the user.
    pub(crate) fn look_up<'a>(&'a self, user: &'a UserName) -> impl Iterator<Item = Arc<Hash>> + 'a {
        self.list.iter().filter_map(|source| source.look_up(user))
    }

    pub(crate) fn decoy(&self) -> Option<Arc<Hash>> {
        self.decoy.clone()
    }
}

/// One password for a set of users.
#[derive(Debug)]
pub struct StaticUsers {
    users: UserTemplate,
    hash: Arc<Hash>,
}

impl StaticUsers {
    /// All users of the template, with this password.
    pub fn new(users: UserTemplate, password: Secret) -> StaticUsers {
        StaticUsers { users, hash: Arc::new(Hash::plain(password)) }
    }
}

impl PassDb for StaticUsers {
    fn look_up(&self, user: &UserName) -> Option<Arc<Hash>> {
        self.users.matches(user.as_str()).then(|| self.hash.clone())
    }

    fn decoy(&self) -> Option<Arc<Hash>> {
        None
    }
}
