//! `{SCRAM-SHA-256}iterations,salt,StoredKey,ServerKey`, the last three in base64, as Dovecot writes it.

use super::BASE64;
use crate::error::HashError;
use base64::Engine;
use skein_base::scram::{ITERATIONS_MAX, SALT_BYTES_MAX, ScramHash, ScramKeys};

pub(super) fn parse(hash: ScramHash, text: &str) -> Result<ScramKeys, HashError> {
    let scheme = match hash {
        ScramHash::Sha1 => "SCRAM-SHA-1",
        ScramHash::Sha256 => "SCRAM-SHA-256",
    };
    let keys = split(hash, text).ok_or(HashError::Malformed { scheme })?;
    match keys.iterations <= ITERATIONS_MAX {
        true => Ok(keys),
        false => Err(HashError::TooCostly { scheme, max: "1000000 iterations" }),
    }
}

fn split(hash: ScramHash, text: &str) -> Option<ScramKeys> {
    let mut parts = text.split(',');
    let iterations = parts.next()?.parse().ok().filter(|&n: &u32| n > 0)?;
    let mut bytes = || BASE64.decode(parts.next()?).ok();
    let (salt, stored_key, server_key) = (bytes()?, bytes()?, bytes()?);
    let fits = (1..=SALT_BYTES_MAX).contains(&salt.len())
        && stored_key.len() == hash.bytes()
        && server_key.len() == hash.bytes()
        && parts.next().is_none();
    fits.then_some(ScramKeys { hash, iterations, salt, stored_key, server_key })
}

pub(super) fn print(keys: &ScramKeys) -> String {
    let text = |bytes: &[u8]| BASE64.encode(bytes);
    format!("{},{},{},{}", keys.iterations, text(&keys.salt), text(&keys.stored_key), text(&keys.server_key))
}
