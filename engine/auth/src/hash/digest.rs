//! Plain and salted digests, `{SSHA}` and its kin: weak, but what old user files hold.

use crate::error::HashError;
use crate::hash::same;
use md5::Md5;
use sha1::Sha1;
use sha2::{Digest, Sha256, Sha512};

/// Bytes of a salt; tools write 4 to 16.
const SALT_BYTES_MAX: usize = 64;

/// `digest(password, salt)`, salt empty for the unsalted schemes.
#[derive(Clone)]
pub(crate) struct SaltedDigest {
    algorithm: Algorithm,
    digest: Box<[u8]>,
    salt: Box<[u8]>,
}

#[derive(Clone, Copy)]
enum Algorithm {
    Md5,
    Sha1,
    Sha256,
    Sha512,
}

impl SaltedDigest {
    /// Takes the decoded bytes of a scheme apart; `None` when the scheme, in upper case, is no digest.
    pub(crate) fn parse(
        scheme: &str,
        bytes: impl FnOnce() -> Option<Vec<u8>>,
    ) -> Option<Result<SaltedDigest, HashError>> {
        let (algorithm, digest_bytes, salted, name) = match scheme {
            "SSHA" => (Algorithm::Sha1, 20, true, "SSHA"),
            "SSHA256" => (Algorithm::Sha256, 32, true, "SSHA256"),
            "SSHA512" => (Algorithm::Sha512, 64, true, "SSHA512"),
            "SMD5" => (Algorithm::Md5, 16, true, "SMD5"),
            "SHA" | "SHA1" => (Algorithm::Sha1, 20, false, "SHA"),
            "SHA256" => (Algorithm::Sha256, 32, false, "SHA256"),
            "SHA512" => (Algorithm::Sha512, 64, false, "SHA512"),
            "LDAP-MD5" | "PLAIN-MD5" => (Algorithm::Md5, 16, false, "MD5"),
            _ => return None,
        };
        let salt_max = if salted { SALT_BYTES_MAX } else { 0 };
        Some(match bytes() {
            Some(bytes) if (digest_bytes..=digest_bytes + salt_max).contains(&bytes.len()) => {
                let (digest, salt) = bytes.split_at(digest_bytes);
                Ok(SaltedDigest { algorithm, digest: digest.into(), salt: salt.into() })
            }
            _ => Err(HashError::Malformed { scheme: name }),
        })
    }

    /// `digest salt`, ready for base64: `{SSHA512}` with this salt.
    pub(crate) fn ssha512(password: &[u8], salt: &[u8]) -> Vec<u8> {
        [digest::<Sha512>(password, salt), salt.to_vec()].concat()
    }

    pub(crate) fn matches(&self, password: &[u8]) -> bool {
        match self.algorithm {
            Algorithm::Md5 => same(&digest::<Md5>(password, &self.salt), &self.digest),
            Algorithm::Sha1 => same(&digest::<Sha1>(password, &self.salt), &self.digest),
            Algorithm::Sha256 => same(&digest::<Sha256>(password, &self.salt), &self.digest),
            Algorithm::Sha512 => same(&digest::<Sha512>(password, &self.salt), &self.digest),
        }
    }
}

fn digest<D: Digest>(password: &[u8], salt: &[u8]) -> Vec<u8> {
    D::new().chain_update(password).chain_update(salt).finalize().to_vec()
}
