//! The forms of crypt(3): `$6$`, `$5$`, `$2y$`, and Argon2's.

use super::{Hash, Scheme};
use crate::error::HashError;
use argon2::password_hash::PasswordHash;

/// Memory of one Argon2 check, in KiB. A blocking pool of 4 threads then takes 4 GiB at worst.
const ARGON2_KIB_MAX: u32 = 1 << 20;
/// 2^18 bcrypt rounds are about 20 s of a core.
const BCRYPT_COST_MAX: u32 = 18;
/// Rounds of SHA-crypt; ten million are about 5 s of a core.
const SHA_CRYPT_ROUNDS_MAX: u32 = 10_000_000;
/// What SHA-crypt does when the hash names no rounds, and the least that may be named (crypt(3) raises lower ones).
const SHA_CRYPT_ROUNDS: (u32, u32) = (5000, 1000);

/// `$6$rounds=N$salt$hash`, taken apart.
#[derive(Clone)]
pub(super) struct ShaCrypt {
    pub rounds: u32,
    pub salt: Box<[u8]>,
    pub hash: Box<[u8]>,
}

/// A crypt(3) form by its prefix; `None` when it is none of ours.
pub(super) fn crypt(text: &str) -> Option<Result<Hash, HashError>> {
    match text {
        t if t.starts_with("$argon2") => Some(argon2(t)),
        t if t.starts_with("$2") => Some(bcrypt(t)),
        t if t.starts_with("$6$") => Some(sha_crypt(t, "$6$", "SHA512-CRYPT").map(|p| Hash(Scheme::Sha512Crypt(p)))),
        t if t.starts_with("$5$") => Some(sha_crypt(t, "$5$", "SHA256-CRYPT").map(|p| Hash(Scheme::Sha256Crypt(p)))),
        _ => None,
    }
}

pub(super) fn argon2(text: &str) -> Result<Hash, HashError> {
    let malformed = HashError::Malformed { scheme: "ARGON2" };
    let Ok(hash) = PasswordHash::new(text) else { return Err(malformed) };
    let ours = matches!(hash.algorithm.as_str(), "argon2id" | "argon2i") && hash.hash.is_some() && hash.salt.is_some();
    match argon2::Params::try_from(&hash) {
        Ok(params) if ours && params.m_cost() <= ARGON2_KIB_MAX => Ok(Hash(Scheme::Argon2(text.into()))),
        Ok(_) if ours => Err(HashError::TooCostly { scheme: "ARGON2", max: "m=1048576" }),
        _ => Err(malformed),
    }
}

pub(super) fn bcrypt(text: &str) -> Result<Hash, HashError> {
    let parts: bcrypt::HashParts = text.parse().map_err(|_| HashError::Malformed { scheme: "BLF-CRYPT" })?;
    if parts.get_cost() > BCRYPT_COST_MAX {
        return Err(HashError::TooCostly { scheme: "BLF-CRYPT", max: "cost 18" });
    }
    Ok(Hash(Scheme::Bcrypt(text.into())))
}

pub(super) fn sha_crypt(text: &str, prefix: &str, scheme: &'static str) -> Result<ShaCrypt, HashError> {
    let malformed = || HashError::Malformed { scheme };
    let rest = text.strip_prefix(prefix).ok_or_else(malformed)?;
    let (rounds, rest) = match rest.strip_prefix("rounds=") {
        Some(named) => {
            let (rounds, rest) = named.split_once('$').ok_or_else(malformed)?;
            (rounds.parse().map_err(|_| malformed())?, rest)
        }
        None => (SHA_CRYPT_ROUNDS.0, rest),
    };
    if rounds > SHA_CRYPT_ROUNDS_MAX {
        return Err(HashError::TooCostly { scheme, max: "rounds=10000000" });
    }
    let (salt, hash) = rest.split_once('$').ok_or_else(malformed)?;
    let length = if prefix == "$6$" { 86 } else { 43 };
    if hash.len() != length || hash.contains('$') {
        return Err(malformed());
    }
    Ok(ShaCrypt { rounds: rounds.max(SHA_CRYPT_ROUNDS.1), salt: salt.as_bytes().into(), hash: hash.as_bytes().into() })
}
