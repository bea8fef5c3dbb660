//! Stored passwords: the schemes, and checking one.

mod crypt;
mod digest;
mod make;
mod pbkdf2;
mod scram;

pub use make::{MAKE_SCHEMES, MakeError, make};

use crate::error::HashError;
use argon2::password_hash::PasswordHash;
use argon2::{Argon2, PasswordVerifier};
use base64::Engine;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use crypt::{ShaCrypt, argon2, bcrypt, crypt, sha_crypt};
use digest::SaltedDigest;
use pbkdf2::Pbkdf2;
use sha_crypt::{Sha256Params, Sha512Params, sha256_crypt_b64, sha512_crypt_b64};
use skein_base::Secret;
use skein_base::scram::{ScramHash, ScramKeys};
use std::fmt;

/// Base64 with or without padding: files of different tools differ.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &base64::alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

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
    Pbkdf2(Pbkdf2),
    Scram(Box<ScramKeys>),
}

/// How the bytes of a hash are written as text: `{SSHA.hex}`.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Encoding {
    /// What is usual for the scheme.
    Usual,
    Base64,
    Hex,
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
    /// PBKDF2, SCRAM-SHA-256, SCRAM-SHA-1, and for old files SSHA512, SSHA256, SSHA, SMD5, SHA512, SHA256, SHA, SHA1,
    /// LDAP-MD5 in base64 and PLAIN-MD5 in hex. `.b64`, `.base64` or `.hex` behind a scheme says how its text is encoded, as
    /// Dovecot does. A field that is empty or starts with `!` or `*` is locked, as in shadow(5).
    pub fn parse(field: &str) -> Result<Hash, HashError> {
        if field.is_empty() || field.starts_with(['!', '*']) {
            return Ok(Hash::locked());
        }
        let Some((full_name, text)) = field.strip_prefix('{').and_then(|rest| rest.split_once('}')) else {
            return crypt(field).unwrap_or(Err(HashError::NoScheme));
        };
        let upper = full_name.to_ascii_uppercase();
        let unknown = || HashError::UnknownScheme(full_name.chars().take(32).collect());
        let (name, encoding) = match upper.split_once('.') {
            None => (&*upper, Encoding::Usual),
            Some((name, "B64" | "BASE64")) => (name, Encoding::Base64),
            Some((name, "HEX")) => (name, Encoding::Hex),
            Some(_) => return Err(unknown()),
        };
        let usual_hex = name == "PLAIN-MD5";
        if let Some(digest) = SaltedDigest::parse(name, || encoding.bytes(text, usual_hex)) {
            return digest.map(|digest| Hash(Scheme::Digest(digest)));
        }
        if encoding == Encoding::Usual {
            return Hash::parse_text(name, text).unwrap_or_else(|| Err(unknown()));
        }
        let malformed = || HashError::Malformed { scheme: "an encoded text" };
        let bytes = encoding.bytes(text, false).ok_or_else(malformed)?;
        if matches!(name, "PLAIN" | "CLEARTEXT") {
            return Ok(Hash::plain(Secret::new(bytes)));
        }
        let text = std::str::from_utf8(&bytes).map_err(|_| malformed())?;
        Hash::parse_text(name, text).unwrap_or_else(|| Err(unknown()))
    }

    /// The schemes whose form is text; `None` when it is none of them.
    fn parse_text(name: &str, text: &str) -> Option<Result<Hash, HashError>> {
        Some(match name {
            "PLAIN" | "CLEARTEXT" => Ok(Hash::plain(Secret::from(text))),
            "ARGON2ID" | "ARGON2I" => argon2(text),
            "BLF-CRYPT" => bcrypt(text),
            "SHA512-CRYPT" => sha_crypt(text, "$6$", "SHA512-CRYPT").map(|parts| Hash(Scheme::Sha512Crypt(parts))),
            "SHA256-CRYPT" => sha_crypt(text, "$5$", "SHA256-CRYPT").map(|parts| Hash(Scheme::Sha256Crypt(parts))),
            "CRYPT" => crypt(text).unwrap_or(Err(HashError::Malformed { scheme: "CRYPT" })),
            "PBKDF2" => Pbkdf2::parse(text).map(|parts| Hash(Scheme::Pbkdf2(parts))),
            "SCRAM-SHA-256" => scram::parse(ScramHash::Sha256, text).map(|keys| Hash(Scheme::Scram(Box::new(keys)))),
            "SCRAM-SHA-1" => scram::parse(ScramHash::Sha1, text).map(|keys| Hash(Scheme::Scram(Box::new(keys)))),
            _ => return None,
        })
    }

    /// True when checking takes long enough (over a millisecond) that it must not run on a shard.
    pub fn is_costly(&self) -> bool {
        !matches!(self.0, Scheme::Locked | Scheme::Plain(_) | Scheme::Digest(_))
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
            Scheme::Pbkdf2(parts) => Some(("PBKDF2", u64::from(parts.rounds))),
            Scheme::Scram(keys) if keys.hash == ScramHash::Sha1 => Some(("SCRAM-SHA-1", u64::from(keys.iterations))),
            Scheme::Scram(keys) => Some(("SCRAM-SHA-256", u64::from(keys.iterations))),
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
            Scheme::Pbkdf2(parts) => parts.matches(password),
            Scheme::Scram(keys) => keys.matches(password),
        }
    }

    /// What SCRAM can do with this password.
    pub(crate) fn scram(&self, hash: ScramHash) -> Scram<'_> {
        match &self.0 {
            Scheme::Plain(password) => Scram::Password(password),
            Scheme::Scram(keys) if keys.hash == hash => Scram::Keys(keys),
            _ => Scram::None,
        }
    }
}

/// What a stored password gives SCRAM to work with.
pub(crate) enum Scram<'a> {
    /// Nothing: the password was made into something else.
    None,
    /// The keys themselves.
    Keys(&'a ScramKeys),
    /// The password, of which keys can be made.
    Password(&'a Secret),
}

impl Encoding {
    /// The bytes that the text means.
    fn bytes(self, text: &str, usual_hex: bool) -> Option<Vec<u8>> {
        match self {
            Encoding::Hex => unhex(text),
            Encoding::Usual if usual_hex => unhex(text),
            Encoding::Usual | Encoding::Base64 => BASE64.decode(text).ok(),
        }
    }
}

/// Hex digits in any case.
fn unhex(text: &str) -> Option<Vec<u8>> {
    let digit = |&b: &u8| (b as char).to_digit(16).map(|d| d as u8);
    let pair = |pair: &[u8]| Some(digit(pair.first()?)? << 4 | digit(pair.get(1)?)?);
    text.as_bytes().chunks(2).map(pair).collect()
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
