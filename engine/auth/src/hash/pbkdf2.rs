//! `{PBKDF2}$1$salt$rounds$hex`: PBKDF2 with HMAC-SHA-1, the salt taken as it is written, as Dovecot does it.

use super::{same, unhex};
use crate::error::HashError;
use sha1::Sha1;

/// About half a second of a core.
const ROUNDS_MAX: u32 = 1_000_000;
const SALT_BYTES_MAX: usize = 256;
/// Of SHA-1.
const HASH_BYTES: usize = 20;

/// Taken apart.
#[derive(Clone)]
pub(super) struct Pbkdf2 {
    pub rounds: u32,
    salt: Box<[u8]>,
    hash: Box<[u8]>,
}

impl Pbkdf2 {
    pub fn parse(text: &str) -> Result<Pbkdf2, HashError> {
        let parts = Pbkdf2::split(text).ok_or(HashError::Malformed { scheme: "PBKDF2" })?;
        match parts.rounds <= ROUNDS_MAX {
            true => Ok(parts),
            false => Err(HashError::TooCostly { scheme: "PBKDF2", max: "1000000 rounds" }),
        }
    }

    fn split(text: &str) -> Option<Pbkdf2> {
        let mut parts = text.strip_prefix("$1$")?.split('$');
        let salt = parts.next().filter(|salt| (1..=SALT_BYTES_MAX).contains(&salt.len()))?;
        let rounds = parts.next()?.parse().ok().filter(|&n: &u32| n > 0)?;
        let hash = parts.next().and_then(unhex).filter(|hash| hash.len() == HASH_BYTES)?;
        parts.next().is_none().then(|| Pbkdf2 { rounds, salt: salt.as_bytes().into(), hash: hash.into() })
    }

    pub fn matches(&self, password: &[u8]) -> bool {
        same(&digest(password, &self.salt, self.rounds), &self.hash)
    }
}

/// The text of a new one.
pub(super) fn print(password: &[u8], salt: &str, rounds: u32) -> String {
    let hex: String = digest(password, salt.as_bytes(), rounds).iter().map(|b| format!("{b:02x}")).collect();
    format!("$1${salt}${rounds}${hex}")
}

fn digest(password: &[u8], salt: &[u8], rounds: u32) -> [u8; HASH_BYTES] {
    let mut hash = [0; HASH_BYTES];
    pbkdf2::pbkdf2_hmac::<Sha1>(password, salt, rounds, &mut hash);
    hash
}
