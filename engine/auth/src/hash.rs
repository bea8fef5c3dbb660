//! Stored passwords: the schemes, and checking one.

use crate::digest::SaltedDigest;
use crate::error::HashError;
use argon2::password_hash::PasswordHash;
use argon2::{Argon2, PasswordVerifier};
use sha_crypt::{Sha256Params, Sha512Params, sha256_crypt_b64, sha512_crypt_b64};
use skein_base::Secret;
use std::fmt;

/// Memory of one Argon2 check, in KiB. A blocking pool of 4 threads then takes 4 GiB at worst.
const ARGON2_KIB_MAX: u32 = 1 << 20;
/// 2^18 bcrypt rounds are about 20 s of a core.
const BCRYPT_COST_MAX: u32 = 18;
/// Rounds of SHA-crypt; ten million are about 5 s of a core.
const SHA_CRYPT_ROUNDS_MAX: u32 = 10_000_000;
/// What SHA-crypt does when the hash names no rounds, and the least that may be named (crypt(3) raises lower ones).
const SHA_CRYPT_ROUNDS: (u32, u32) = (5000, 1000);

/// A stored password, checked for form when it was loaded.
#[derive(Clone)]
pub struct Hash(Scheme);

#[derive(Clone)]
enum Scheme {
    /// Nothing opens it.
    Locked,
    Plain(Secret),
    Digest(SaltedDigest),
    /// PHC form, `$argon2id$` or `$argon2i$`.
    Argon2(Box<str>),
    Bcrypt(Box<str>),
    Sha512Crypt(ShaCrypt),
    Sha256Crypt(ShaCrypt),
}

/// `$6$rounds=N$salt$hash`, taken apart.
#[derive(Clone)]
struct ShaCrypt {
    rounds: u32,
    salt: Box<[u8]>,
    hash: Box<[u8]>,
}

impl Hash {
    /// The password itself.
    pub fn plain(password: Secret) -> Hash {
        Hash(Scheme::Plain(password))
    }

    /// A user who exists and can not log in.
    pub const fn locked() -> Hash {
        Hash(Scheme::Locked)
    }

    /// Reads `{SCHEME}text` or a crypt(3) form such as `$6$salt$hash`.
    ///
    /// Schemes: PLAIN, CLEARTEXT, ARGON2ID, ARGON2I, BLF-CRYPT, SHA512-CRYPT, SHA256-CRYPT, CRYPT (the last four `$` forms),
    /// and for old files SSHA512, SSHA256, SSHA, SHA512, SHA256, SHA, SHA1 in base64. A field that is empty or starts with
    /// `!` or `*` is locked, as in shadow(5).
    pub fn parse(field: &str) -> Result<Hash, HashError> {
        if field.is_empty() || field.starts_with(['!', '*']) {
            return Ok(Hash::locked());
        }
        let Some((name, text)) = field.strip_prefix('{').and_then(|rest| rest.split_once('}')) else {
            return crypt(field).unwrap_or(Err(HashError::NoScheme));
        };
        match name.to_ascii_uppercase().as_str() {
            "PLAIN" | "CLEARTEXT" => Ok(Hash::plain(Secret::from(text))),
            "ARGON2ID" | "ARGON2I" => argon2(text),
            "BLF-CRYPT" => bcrypt(text),
            "SHA512-CRYPT" => sha_crypt(text, "$6$", "SHA512-CRYPT").map(|parts| Hash(Scheme::Sha512Crypt(parts))),
            "SHA256-CRYPT" => sha_crypt(text, "$5$", "SHA256-CRYPT").map(|parts| Hash(Scheme::Sha256Crypt(parts))),
            "CRYPT" => crypt(text).unwrap_or(Err(HashError::Malformed { scheme: "CRYPT" })),
            upper => match SaltedDigest::parse(upper, text) {
                Some(digest) => digest.map(|digest| Hash(Scheme::Digest(digest))),
                None => Err(HashError::UnknownScheme(name.chars().take(32).collect())),
            },
        }
    }

    /// True when checking takes long enough (over a millisecond) that it must not run on a shard.
    pub fn is_costly(&self) -> bool {
        matches!(self.0, Scheme::Argon2(_) | Scheme::Bcrypt(_) | Scheme::Sha512Crypt(_) | Scheme::Sha256Crypt(_))
    }

    /// What checking costs: the scheme and its parameters as a number; `None` when it costs next to nothing. Two hashes of
    /// one cost take the same time.
    pub(crate) fn cost(&self) -> Option<(&'static str, u64)> {
        match &self.0 {
            Scheme::Argon2(text) => {
                let params = PasswordHash::new(text).and_then(|hash| argon2::Params::try_from(&hash)).ok()?;
                Some(("ARGON2", u64::from(params.m_cost()) << 32 | u64::from(params.t_cost())))
            }
            Scheme::Bcrypt(text) => Some(("BLF-CRYPT", u64::from(text.parse::<bcrypt::HashParts>().ok()?.get_cost()))),
            Scheme::Sha512Crypt(parts) => Some(("SHA512-CRYPT", u64::from(parts.rounds))),
            Scheme::Sha256Crypt(parts) => Some(("SHA256-CRYPT", u64::from(parts.rounds))),
            Scheme::Locked | Scheme::Plain(_) | Scheme::Digest(_) => None,
        }
    }

    /// Whether this is the password. Compares in constant time.
    pub fn matches(&self, password: &[u8]) -> bool {
        match &self.0 {
            Scheme::Locked => false,
            // Digests of equal length are compared, so not even the length of the password shows in the time.
            Scheme::Plain(secret) => blake3::hash(secret.expose()) == blake3::hash(password),
            Scheme::Digest(digest) => digest.matches(password),
            Scheme::Argon2(text) => {
                PasswordHash::new(text).is_ok_and(|hash| Argon2::default().verify_password(password, &hash).is_ok())
            }
            Scheme::Bcrypt(text) => bcrypt::verify(password, text).unwrap_or(false),
            Scheme::Sha512Crypt(parts) => Sha512Params::new(parts.rounds as usize)
                .and_then(|params| sha512_crypt_b64(password, &parts.salt, &params))
                .is_ok_and(|text| same(text.as_bytes(), &parts.hash)),
            Scheme::Sha256Crypt(parts) => Sha256Params::new(parts.rounds as usize)
                .and_then(|params| sha256_crypt_b64(password, &parts.salt, &params))
                .is_ok_and(|text| same(text.as_bytes(), &parts.hash)),
        }
    }
}

impl fmt::Debug for Hash {
    /// A hash in a log is a present to who cracks them.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Hash")
    }
}

/// Equality whose time tells nothing of where the two differ.
pub(crate) fn same(a: &[u8], b: &[u8]) -> bool {
    blake3::hash(a) == blake3::hash(b)
}

/// A crypt(3) form by its prefix; `None` when it is none of ours.
fn crypt(text: &str) -> Option<Result<Hash, HashError>> {
    match text {
        t if t.starts_with("$argon2") => Some(argon2(t)),
        t if t.starts_with("$2") => Some(bcrypt(t)),
        t if t.starts_with("$6$") => Some(sha_crypt(t, "$6$", "SHA512-CRYPT").map(|p| Hash(Scheme::Sha512Crypt(p)))),
        t if t.starts_with("$5$") => Some(sha_crypt(t, "$5$", "SHA256-CRYPT").map(|p| Hash(Scheme::Sha256Crypt(p)))),
        _ => None,
    }
}

fn argon2(text: &str) -> Result<Hash, HashError> {
    let malformed = HashError::Malformed { scheme: "ARGON2" };
    let Ok(hash) = PasswordHash::new(text) else { return Err(malformed) };
    let ours = matches!(hash.algorithm.as_str(), "argon2id" | "argon2i") && hash.hash.is_some() && hash.salt.is_some();
    match argon2::Params::try_from(&hash) {
        Ok(params) if ours && params.m_cost() <= ARGON2_KIB_MAX => Ok(Hash(Scheme::Argon2(text.into()))),
        Ok(_) if ours => Err(HashError::TooCostly { scheme: "ARGON2", max: "m=1048576" }),
        _ => Err(malformed),
    }
}

fn bcrypt(text: &str) -> Result<Hash, HashError> {
    let parts: bcrypt::HashParts = text.parse().map_err(|_| HashError::Malformed { scheme: "BLF-CRYPT" })?;
    if parts.get_cost() > BCRYPT_COST_MAX {
        return Err(HashError::TooCostly { scheme: "BLF-CRYPT", max: "cost 18" });
    }
    Ok(Hash(Scheme::Bcrypt(text.into())))
}

fn sha_crypt(text: &str, prefix: &str, scheme: &'static str) -> Result<ShaCrypt, HashError> {
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
