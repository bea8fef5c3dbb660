//! Files by their chunks' hashes: what grew is hashed from its last chunk on.

use crate::{BackupError, Progress};
use std::fs::File;
use std::io::Read;
use std::path::Path;

/// Bytes of a chunk: few hashes for a large file, little to read again for one that grew.
pub(crate) const CHUNK_BYTES: u64 = 4 * 1024 * 1024;

/// One chunk's hash in hex.
pub(crate) fn of(bytes: &[u8]) -> String {
    blake3::hash(bytes).to_hex().to_string()
}

/// Fills `buffer` with the next chunk, of at most `left` bytes; false at the end.
pub(crate) fn next(file: &mut File, path: &Path, left: u64, buffer: &mut Vec<u8>) -> Result<bool, BackupError> {
    buffer.clear();
    let bytes = left.min(CHUNK_BYTES);
    file.take(bytes).read_to_end(buffer).map_err(BackupError::at(path))?;
    if (buffer.len() as u64) < bytes {
        return Err(BackupError::Shrank { path: path.to_owned() });
    }
    Ok(bytes > 0)
}

/// Whether a file begins with the bytes of these hashes.
pub(crate) fn check(path: &Path, bytes: u64, chunks: &[String], progress: Progress<'_>) -> Result<(), BackupError> {
    let mut file = File::open(path).map_err(BackupError::at(path))?;
    let (mut left, mut buffer) = (bytes, Vec::new());
    for (i, chunk) in chunks.iter().enumerate() {
        let is_there = next(&mut file, path, left, &mut buffer).map_err(|error| match error {
            BackupError::Shrank { path } => BackupError::damaged(&path, "it is shorter than its manifest says"),
            other => other,
        })?;
        if !is_there || of(&buffer) != *chunk {
            let at = i as u64 * CHUNK_BYTES;
            return Err(BackupError::damaged(path, format!("the bytes from {at} on are not those that were written")));
        }
        left -= buffer.len() as u64;
        progress(buffer.len() as u64);
    }
    if left > 0 { Err(BackupError::damaged(path, "its manifest has too few hashes")) } else { Ok(()) }
}
