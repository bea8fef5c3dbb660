//! The arithmetic of SCRAM (RFC 5802 §3, RFC 7677): what a server keeps of a password, and the proofs made with it.
//!
//! ```text
//! SaltedPassword = PBKDF2(SASLprep(password), salt, iterations)
//! ClientKey = HMAC(SaltedPassword, "Client Key")     StoredKey = H(ClientKey)
//! ServerKey = HMAC(SaltedPassword, "Server Key")
//! ClientProof = ClientKey XOR HMAC(StoredKey, AuthMessage)
//! ```
//!
//! Shared by the exchange on the wire and by the stored form of passwords, which live on different floors.

use hmac::{Hmac, Mac};
use sha1::{Digest, Sha1};
use sha2::Sha256;
use std::borrow::Cow;
use std::fmt;

/// Iterations where we choose: the least that RFC 7677 §4 asks for. Each client runs them at each login.
pub const ITERATIONS: u32 = 4096;
/// Iterations of a stored key: half a second of a core, for the client too.
pub const ITERATIONS_MAX: u32 = 1_000_000;
/// Bytes of a salt.
pub const SALT_BYTES_MAX: usize = 64;

/// The hash function of a SCRAM mechanism.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum ScramHash {
    /// SCRAM-SHA-1 (RFC 5802)
    Sha1,
    /// SCRAM-SHA-256 (RFC 7677)
    Sha256,
}

/// What a server keeps: enough to check a client and to prove itself, not enough to log in elsewhere.
#[derive(Clone, PartialEq, Eq)]
pub struct ScramKeys {
    /// Of which mechanism.
    pub hash: ScramHash,
    /// Rounds of PBKDF2.
    pub iterations: u32,
    /// The salt, decoded.
    pub salt: Vec<u8>,
    /// `H(ClientKey)`
    pub stored_key: Vec<u8>,
    /// `HMAC(SaltedPassword, "Server Key")`
    pub server_key: Vec<u8>,
}

impl ScramHash {
    /// Bytes of its digests.
    pub const fn bytes(self) -> usize {
        match self {
            ScramHash::Sha1 => 20,
            ScramHash::Sha256 => 32,
        }
    }

    fn digest(self, bytes: &[u8]) -> Vec<u8> {
        match self {
            ScramHash::Sha1 => Sha1::digest(bytes).to_vec(),
            ScramHash::Sha256 => Sha256::digest(bytes).to_vec(),
        }
    }

    /// `HMAC(key, message)`
    pub fn hmac(self, key: &[u8], message: &[u8]) -> Vec<u8> {
        match self {
            ScramHash::Sha1 => hmac::<Hmac<Sha1>>(key, message),
            ScramHash::Sha256 => hmac::<Hmac<Sha256>>(key, message),
        }
    }

    /// `Hi(password, salt, iterations)`: PBKDF2 of one block.
    fn salted(self, password: &[u8], salt: &[u8], iterations: u32) -> Vec<u8> {
        let mut salted = vec![0; self.bytes()];
        match self {
            ScramHash::Sha1 => pbkdf2::pbkdf2_hmac::<Sha1>(password, salt, iterations, &mut salted),
            ScramHash::Sha256 => pbkdf2::pbkdf2_hmac::<Sha256>(password, salt, iterations, &mut salted),
        }
        salted
    }
}

fn hmac<M: Mac + hmac::digest::KeyInit>(key: &[u8], message: &[u8]) -> Vec<u8> {
    let mut mac = <M as Mac>::new_from_slice(key).expect("HMAC takes keys of any length");
    mac.update(message);
    mac.finalize().into_bytes().to_vec()
}

impl ScramKeys {
    /// The keys of a password. Costly: `iterations` rounds.
    pub fn derive(hash: ScramHash, password: &[u8], salt: &[u8], iterations: u32) -> ScramKeys {
        let salted = hash.salted(&prepared(password), salt, iterations);
        let client_key = hash.hmac(&salted, b"Client Key");
        ScramKeys {
            hash,
            iterations,
            salt: salt.to_vec(),
            stored_key: hash.digest(&client_key),
            server_key: hash.hmac(&salted, b"Server Key"),
        }
    }

    /// Keys that no password opens, for a user whom SCRAM can not know: the salt is always the same for a name, so that
    /// asking twice tells nothing, and nobody without `secret` can tell it from a real one.
    pub fn decoy(hash: ScramHash, secret: &[u8; 32], user: &str, iterations: u32, salt_bytes: usize) -> ScramKeys {
        let made = |purpose: &str| {
            let mut hasher = blake3::Hasher::new_keyed(secret);
            hasher.update(purpose.as_bytes()).update(&[0]).update(user.as_bytes());
            let mut bytes = vec![0; SALT_BYTES_MAX];
            hasher.finalize_xof().fill(&mut bytes);
            bytes
        };
        let cut = |mut bytes: Vec<u8>, len: usize| {
            bytes.truncate(len);
            bytes
        };
        ScramKeys {
            hash,
            iterations,
            salt: cut(made("salt"), salt_bytes.clamp(1, SALT_BYTES_MAX)),
            stored_key: cut(made("stored key"), hash.bytes()),
            server_key: cut(made("server key"), hash.bytes()),
        }
    }

    /// Whether the client that sent this proof knows the password.
    pub fn proves(&self, auth_message: &[u8], proof: &[u8]) -> bool {
        if proof.len() != self.hash.bytes() {
            return false;
        }
        let signature = self.hash.hmac(&self.stored_key, auth_message);
        let client_key: Vec<u8> = proof.iter().zip(&signature).map(|(a, b)| a ^ b).collect();
        same(&self.hash.digest(&client_key), &self.stored_key)
    }

    /// What proves the server to the client.
    pub fn server_signature(&self, auth_message: &[u8]) -> Vec<u8> {
        self.hash.hmac(&self.server_key, auth_message)
    }

    /// Whether these are the keys of this password. Costly.
    pub fn matches(&self, password: &[u8]) -> bool {
        same(&ScramKeys::derive(self.hash, password, &self.salt, self.iterations).stored_key, &self.stored_key)
    }
}

impl fmt::Debug for ScramKeys {
    /// Keys in a log are a present to who cracks them.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ScramKeys")
    }
}

/// SASLprep (RFC 4013) of a name or password; one that it forbids, or that is no text, counts as it is.
pub fn prepared(bytes: &[u8]) -> Cow<'_, [u8]> {
    match std::str::from_utf8(bytes).map(stringprep::saslprep) {
        Ok(Ok(Cow::Owned(text))) => Cow::Owned(text.into_bytes()),
        _ => Cow::Borrowed(bytes),
    }
}

/// Equality whose time tells nothing of where the two differ.
fn same(a: &[u8], b: &[u8]) -> bool {
    blake3::hash(a) == blake3::hash(b)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 5802 §5 and RFC 7677 §3, user `user`, password `pencil`; numbers of the RFCs, undone from base64.
    #[test]
    fn the_rfcs_examples() {
        let sha1 = ScramKeys::derive(ScramHash::Sha1, b"pencil", &hex("4125c247e43ab1e93c6dff76"), 4096);
        let message = b"n=user,r=fyko+d2lbbFgONRv9qkxdawL,r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,\
            s=QSXCR+Q6sek8bf92,i=4096,c=biws,r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j";
        assert!(sha1.proves(message, &hex("bf45fcbf7073d93d022466c94321745fe1c8e13b")));
        assert_eq!(sha1.server_signature(message), hex("ae617da6a57c4bbb2e0286568dae1d251905b0a4"));

        let sha256 = ScramKeys::derive(ScramHash::Sha256, b"pencil", &hex("5b6d99689d12358eeca04b141236fa81"), 4096);
        assert!(sha256.matches(b"pencil") && !sha256.matches(b"pencils"));
        assert!(!sha256.proves(message, &[0; 32]) && !sha256.proves(message, b""));
    }

    #[test]
    fn passwords_are_prepared() {
        let of = |password: &str| ScramKeys::derive(ScramHash::Sha256, password.as_bytes(), b"salt", 1).stored_key;
        assert_eq!(of("\u{2168}"), of("IX"));
        assert_eq!(of("I\u{ad}X"), of("IX"));
        assert_eq!(prepared(b"\xff"), &b"\xff"[..]);
        assert_eq!(prepared(b"\x07"), &b"\x07"[..], "forbidden, so as it is");
    }

    #[test]
    fn a_decoy_is_steady_and_its_own() {
        let of = |user: &str| ScramKeys::decoy(ScramHash::Sha1, &[1; 32], user, 4096, 16);
        assert_eq!(of("a"), of("a"));
        assert_ne!(of("a").salt, of("b").salt);
        assert_eq!((of("a").salt.len(), of("a").stored_key.len()), (16, 20));
        assert_ne!(of("a").salt, ScramKeys::decoy(ScramHash::Sha1, &[2; 32], "a", 4096, 16).salt);
    }

    fn hex(text: &str) -> Vec<u8> {
        let digit = |at: usize| u8::from_str_radix(&text[at..at + 2], 16).unwrap();
        (0..text.len()).step_by(2).map(digit).collect()
    }
}
