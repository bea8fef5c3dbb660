//! What the last checks of passwords said, without keeping a password.

use crate::entry::Fields;
use crate::lru::Lru;
use blake3::Hash as Digest;
use skein_base::{Secret, UserName};
use skein_config as config;
use std::sync::Arc;

/// Which list of sources was asked: a master user is not the user of the same name.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Realm {
    Users,
    Masters,
}

/// Accepted passwords by user and refused ones by user and password. A refusal never pushes out an acceptance: guessing at a
/// user's password must not cost that user a hash at each login.
pub(crate) struct Cache {
    key: [u8; 32],
    accepted: Lru<[u8; 16], Accepted>,
    /// Time of forgetting.
    refused: Lru<[u8; 16], u64>,
    accepted_ms: u64,
    refused_ms: u64,
}

struct Accepted {
    digest: Digest,
    fields: Arc<Fields>,
    until_ms: u64,
}

/// What stands for a user and password in the cache.
#[derive(Clone, Copy)]
pub(crate) struct Key {
    user: [u8; 16],
    digest: Digest,
}

impl Cache {
    pub(crate) fn new(settings: &config::Auth, key: [u8; 32]) -> Cache {
        Cache {
            key,
            accepted: Lru::new(settings.cache_entries_max),
            refused: Lru::new(settings.cache_entries_max),
            accepted_ms: u64::from(settings.cache_seconds) * 1000,
            refused_ms: u64::from(settings.cache_negative_seconds) * 1000,
        }
    }

    /// Keyed by a secret of the process, so that a copy of the memory's cache alone can not be searched with a word list.
    pub(crate) fn key(&self, realm: Realm, user: &UserName, password: &Secret) -> Key {
        let mut hasher = blake3::Hasher::new_keyed(&self.key);
        // A name holds no NUL, so no other pair gives these bytes.
        hasher.update(&[realm as u8]).update(user.as_str().as_bytes()).update(&[0]);
        let user = half(&hasher.finalize());
        Key { user, digest: hasher.update(password.expose()).finalize() }
    }

    /// The last verdict on this user and password, when it is not too old. [`Digest`] compares in constant time.
    pub(crate) fn verdict(&mut self, key: &Key, now_ms: u64) -> Option<Result<Arc<Fields>, ()>> {
        if let Some(entry) = self.accepted.get(&key.user)
            && entry.digest == key.digest
            && now_ms < entry.until_ms
        {
            return Some(Ok(entry.fields.clone()));
        }
        self.refused.get(&half(&key.digest)).is_some_and(|&until_ms| now_ms < until_ms).then_some(Err(()))
    }

    pub(crate) fn accepted(&mut self, key: &Key, fields: Arc<Fields>, now_ms: u64) {
        let until_ms = now_ms.saturating_add(self.accepted_ms);
        self.accepted.insert(key.user, Accepted { digest: key.digest, fields, until_ms });
    }

    pub(crate) fn refused(&mut self, key: &Key, now_ms: u64) {
        self.refused.insert(half(&key.digest), now_ms.saturating_add(self.refused_ms));
    }

    pub(crate) fn clear(&mut self) {
        self.accepted.clear();
        self.refused.clear();
    }
}

fn half(digest: &Digest) -> [u8; 16] {
    let mut half = [0; 16];
    half.copy_from_slice(&digest.as_bytes()[..16]);
    half
}
