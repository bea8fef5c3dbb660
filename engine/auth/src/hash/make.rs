//! Making the stored form of a password, for user files.

use super::digest::SaltedDigest;
use super::{BASE64, pbkdf2, scram};
use argon2::password_hash::SaltString;
use argon2::{Algorithm, Argon2, Params, PasswordHasher, Version};
use base64::Engine;
use sha_crypt::{Sha256Params, Sha512Params, sha256_crypt_b64, sha512_crypt_b64};
use skein_base::Secret;
use skein_base::limits::PASSWORD_BYTES_MAX;
use skein_base::scram::{ScramHash, ScramKeys};
use std::fmt;

/// Schemes that can be made, the one to choose without a reason for another first.
pub const MAKE_SCHEMES: &[&str] = &[
    "ARGON2ID",
    "ARGON2I",
    "BLF-CRYPT",
    "SHA512-CRYPT",
    "SHA256-CRYPT",
    "SCRAM-SHA-256",
    "SCRAM-SHA-1",
    "PBKDF2",
    "SSHA512",
    "PLAIN",
];

/// bcrypt's cost: about 60 ms of a core.
const BCRYPT_COST: u32 = 10;
/// Rounds of SHA-crypt, as mkpasswd and others now write: about 40 ms of a core.
const SHA_CRYPT_ROUNDS: u32 = 100_000;
/// Rounds of PBKDF2-SHA-1: about 40 ms of a core.
const PBKDF2_ROUNDS: u32 = 100_000;
/// Rounds of SCRAM. The client runs them too, at each login and on a phone.
const SCRAM_ITERATIONS: u32 = 10_000;

/// Why there is no stored form.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum MakeError {
    /// A scheme that is not among [`MAKE_SCHEMES`].
    UnknownScheme(String),
    /// Empty, longer than may be sent, or with a NUL or line break, which no client could send or no file could hold.
    BadPassword,
    /// The library refused; a mistake of ours.
    Failed(&'static str),
}

impl fmt::Display for MakeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            MakeError::UnknownScheme(name) => {
                write!(f, "the scheme {name} can not be made: choose one of {}", MAKE_SCHEMES.join(", "))
            }
            MakeError::BadPassword => write!(
                f,
                "a password has 1 to {PASSWORD_BYTES_MAX} bytes, without NUL and line breaks; {{PLAIN}} takes UTF-8 without ':'"
            ),
            MakeError::Failed(scheme) => write!(f, "{scheme} could not be made"),
        }
    }
}

impl std::error::Error for MakeError {}

/// `{SCHEME}text` of a password, with the salt made of these random bytes. Costly.
///
/// # Errors
/// The scheme is none, or the password could never be sent.
pub fn make(scheme: &str, password: &Secret, random: [u8; 16]) -> Result<String, MakeError> {
    let bytes = password.expose();
    if bytes.is_empty() || bytes.len() > PASSWORD_BYTES_MAX || bytes.iter().any(|b| matches!(b, 0 | b'\r' | b'\n')) {
        return Err(MakeError::BadPassword);
    }
    let name = scheme.to_ascii_uppercase();
    let text = match &*name {
        "ARGON2ID" => argon2(Algorithm::Argon2id, bytes, &random),
        "ARGON2I" => argon2(Algorithm::Argon2i, bytes, &random),
        "BLF-CRYPT" => bcrypt::hash_with_salt(bytes, BCRYPT_COST, random).ok().map(|parts| parts.to_string()),
        "SHA512-CRYPT" => Sha512Params::new(SHA_CRYPT_ROUNDS as usize)
            .and_then(|params| sha512_crypt_b64(bytes, salt_text(&random).as_bytes(), &params))
            .ok()
            .map(|hash| format!("$6$rounds={SHA_CRYPT_ROUNDS}${}${hash}", salt_text(&random))),
        "SHA256-CRYPT" => Sha256Params::new(SHA_CRYPT_ROUNDS as usize)
            .and_then(|params| sha256_crypt_b64(bytes, salt_text(&random).as_bytes(), &params))
            .ok()
            .map(|hash| format!("$5$rounds={SHA_CRYPT_ROUNDS}${}${hash}", salt_text(&random))),
        "SCRAM-SHA-256" => Some(scram::print(&ScramKeys::derive(ScramHash::Sha256, bytes, &random, SCRAM_ITERATIONS))),
        "SCRAM-SHA-1" => Some(scram::print(&ScramKeys::derive(ScramHash::Sha1, bytes, &random, SCRAM_ITERATIONS))),
        "PBKDF2" => Some(pbkdf2::print(bytes, &salt_text(&random), PBKDF2_ROUNDS)),
        "SSHA512" => Some(BASE64.encode(SaltedDigest::ssha512(bytes, &random))),
        "PLAIN" => {
            let text = std::str::from_utf8(bytes).ok().filter(|text| !text.contains(':'));
            return text.map(|text| format!("{{PLAIN}}{text}")).ok_or(MakeError::BadPassword);
        }
        _ => return Err(MakeError::UnknownScheme(scheme.chars().take(32).collect())),
    };
    let known = MAKE_SCHEMES.iter().find(|known| **known == name).copied().unwrap_or_default();
    text.map(|text| format!("{{{name}}}{text}")).ok_or(MakeError::Failed(known))
}

/// OWASP's least: 19 MiB, two passes.
fn argon2(algorithm: Algorithm, password: &[u8], random: &[u8; 16]) -> Option<String> {
    let salt = SaltString::encode_b64(random).ok()?;
    let argon2 = Argon2::new(algorithm, Version::V0x13, Params::new(19_456, 2, 1, None).ok()?);
    Some(argon2.hash_password(password, &salt).ok()?.to_string())
}

/// 16 characters of crypt(3)'s alphabet.
fn salt_text(random: &[u8; 16]) -> String {
    const ALPHABET: &[u8; 64] = b"./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    random.iter().map(|b| ALPHABET[usize::from(b & 63)] as char).collect()
}
