//! What the last checks of passwords said, without keeping a password.

use crate::lru::Lru;
use blake3::Hash as Digest;
use skein_base::{AccountId, Secret, UserName};
use skein_config as config;

/// Accepted passwords by user and refused ones by user and password. A refusal never pushes out an acceptance: guessing at a
/// user's password must not cost that user a hash at each login.
pub(crate) struct Cache {
    key: [u8; 32],
    accepted: Lru<AccountId, Accepted>,
    /// Time of forgetting, by the first half of the digest.
    refused: Lru<[u8; 16], u64>,
    accepted_ms: u64,
    refused_ms: u64,
}

struct Accepted {
    digest: Digest,
    until_ms: u64,
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

    /// What stands for this user and password here: keyed by a secret of the process, so that a copy of the memory's cache
    /// alone can not be searched with a word list.
    pub(crate) fn digest(&self, user: &UserName, password: &Secret) -> Digest {
        let mut hasher = blake3::Hasher::new_keyed(&self.key);
        // A name holds no NUL, so no other pair gives these bytes.
        hasher.update(user.as_str().as_bytes()).update(&[0]).update(password.expose());
        hasher.finalize()
    }

    /// The last verdict on this user and password, when it is not too old. [`Digest`] compares in constant time.
    pub(crate) fn verdict(&mut self, user: &UserName, digest: &Digest, now_ms: u64) -> Option<bool> {
        let accepted = self.accepted.get(&AccountId::of(user));
        if accepted.is_some_and(|entry| entry.digest == *digest && now_ms < entry.until_ms) {
            return Some(true);
        }
        self.refused.get(&half(digest)).is_some_and(|&until_ms| now_ms < until_ms).then_some(false)
    }

    pub(crate) fn remember(&mut self, user: &UserName, digest: Digest, accepted: bool, now_ms: u64) {
        if accepted {
            let until_ms = now_ms.saturating_add(self.accepted_ms);
            self.accepted.insert(AccountId::of(user), Accepted { digest, until_ms });
        } else {
            self.refused.insert(half(&digest), now_ms.saturating_add(self.refused_ms));
        }
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
