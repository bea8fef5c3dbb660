//! Dictionaries: what mails of a site have in common, so that small ones compress as well as large ones.
//!
//! ```text
//! dictionaries/0f3a5577.dict  [ SKEINDIC 8 | version 4 | id 4 | bytes 4 | zero 4 | began 8 | the dictionary | CRC32C 4 ]
//! dictionaries/0f3a5577.copy  the same once more: what is written with a dictionary is lost without it
//! ```
//!
//! A dictionary is never changed and never removed: its id is of its bytes, and each entry of a pack names the one that it was
//! written with. New mail is written with the newest.

mod files;
mod train;

pub(crate) use files::Dictionaries;
pub use files::{DictionaryError, dictionary_files, is_dictionary};
pub use train::{SAMPLE_BYTES_MAX, Sample, TrainError, Trained, train};

use std::sync::Arc;

const MAGIC: &[u8; 8] = b"SKEINDIC";
/// Version written; an older reader refuses a newer one.
pub const DICTIONARY_VERSION: u32 = 1;
const HEADER_BYTES: usize = 32;
/// Bytes of a dictionary at most: more gains little, and each thread that compresses holds one.
pub const DICTIONARY_BYTES_MAX: usize = 64 * 1024;

/// A dictionary. Clones share it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Dictionary {
    id: u32,
    began: i64,
    bytes: Arc<[u8]>,
}

/// Why bytes are no dictionary.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum NoDictionary {
    /// Not what was written.
    Damaged,
    /// A newer version's.
    Version(u32),
}

impl Dictionary {
    /// One of these bytes, which are at most [`DICTIONARY_BYTES_MAX`] and not none; `began` in Unix seconds.
    pub fn new(bytes: &[u8], began: i64) -> Dictionary {
        assert!((1..=DICTIONARY_BYTES_MAX).contains(&bytes.len()), "a dictionary of {} bytes", bytes.len());
        Dictionary { id: id_of(bytes), began, bytes: bytes.into() }
    }

    /// Names it. Never 0.
    pub fn id(&self) -> u32 {
        self.id
    }

    /// When it was made, Unix seconds.
    pub fn began(&self) -> i64 {
        self.began
    }

    /// What zstd is given.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The file's bytes.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(HEADER_BYTES + self.bytes.len() + 4);
        out.extend_from_slice(MAGIC);
        out.extend_from_slice(&DICTIONARY_VERSION.to_le_bytes());
        out.extend_from_slice(&self.id.to_le_bytes());
        out.extend_from_slice(&(self.bytes.len() as u32).to_le_bytes());
        out.extend_from_slice(&[0; 4]);
        out.extend_from_slice(&self.began.to_le_bytes());
        out.extend_from_slice(&self.bytes);
        out.extend_from_slice(&crc32c::crc32c(&out).to_le_bytes());
        out
    }

    /// Reads what [`Dictionary::encode`] wrote.
    ///
    /// # Errors
    /// It is not that.
    pub fn decode(file: &[u8]) -> Result<Dictionary, NoDictionary> {
        let (said, crc) = file.split_last_chunk::<4>().ok_or(NoDictionary::Damaged)?;
        let (head, bytes) = said.split_first_chunk::<HEADER_BYTES>().ok_or(NoDictionary::Damaged)?;
        let number = |at: usize| u32::from_le_bytes(head[at..at + 4].try_into().expect("four bytes"));
        if !head.starts_with(MAGIC) || crc32c::crc32c(said).to_le_bytes() != *crc {
            return Err(NoDictionary::Damaged);
        }
        if number(8) != DICTIONARY_VERSION {
            return Err(NoDictionary::Version(number(8)));
        }
        let is_whole = (1..=DICTIONARY_BYTES_MAX).contains(&bytes.len())
            && number(16) as usize == bytes.len()
            && number(12) == id_of(bytes);
        if !is_whole {
            return Err(NoDictionary::Damaged);
        }
        let began = i64::from_le_bytes(head[24..32].try_into().expect("eight bytes"));
        Ok(Dictionary { id: number(12), began, bytes: bytes.into() })
    }
}

fn id_of(bytes: &[u8]) -> u32 {
    let hash = blake3::hash(bytes);
    let (id, _) = hash.as_bytes().split_first_chunk().expect("32 bytes");
    u32::from_le_bytes(*id).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_reads_back_and_a_flip_does_not() {
        let dictionary = Dictionary::new(b"Received: from ", 7);
        let file = dictionary.encode();
        assert_eq!(Dictionary::decode(&file), Ok(dictionary));
        for at in 0..file.len() {
            let mut hurt = file.clone();
            hurt[at] ^= 1;
            assert_eq!(Dictionary::decode(&hurt), Err(NoDictionary::Damaged), "byte {at}");
            assert_eq!(Dictionary::decode(&file[..at]), Err(NoDictionary::Damaged), "{at} bytes");
        }
        let mut newer = file.clone();
        newer[8] = 2;
        let end = newer.len() - 4;
        let crc = crc32c::crc32c(&newer[..end]);
        newer[end..].copy_from_slice(&crc.to_le_bytes());
        assert_eq!(Dictionary::decode(&newer), Err(NoDictionary::Version(2)));
    }

    /// `testdata/v1` has one, and a pack with entries that name it.
    #[test]
    fn dictionaries_of_version_1_stay_readable() {
        let dictionary = Dictionary::new(b"Content-Type: text/plain; charset=utf-8\r\n", 1_795_476_890);
        let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/v1/dictionary.dict");
        if std::env::var_os("SKEIN_WRITE_GOLDEN").is_some() {
            std::fs::write(&path, dictionary.encode()).unwrap();
        }
        let file = std::fs::read(&path).unwrap();
        assert_eq!(Dictionary::decode(&file), Ok(dictionary.clone()));
        assert_eq!(file, dictionary.encode(), "the same version writes the same bytes");
    }
}
