//! What an account was at one position of the log; the payload's meaning is the account layer's.

use crate::SnapshotError;
use crate::format::{array_at, u32_at, u64_at};
use skein_base::{AccountId, LogPos};

const MAGIC: &[u8; 8] = b"SKEINACC";
/// Version written of a payload that a reader of 2 knows. 2 promises that no mailbox's snapshot names a body in the log; the
/// bytes are those of 1.
pub const ACCOUNT_VERSION_PLAIN: u32 = 2;
/// Version written of a payload that says what mailboxes are for, and that a reader of 3 knows.
pub const ACCOUNT_VERSION_USES: u32 = 3;
/// Version written of a payload with annotations, and that a reader of 4 knows.
pub const ACCOUNT_VERSION_METADATA: u32 = 4;
/// Version written of a payload that says what mailboxes hold, and that a reader of 5 knows.
pub const ACCOUNT_VERSION_MEASURED: u32 = 5;
/// Version written of a payload that says which snapshots name bodies in the log.
pub const ACCOUNT_VERSION: u32 = 6;
const HEADER_BYTES: usize = 64;
const CRC_AT: usize = HEADER_BYTES - 4;

/// An account's own snapshot: a payload and the position it is true to, checked.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct AccountSnapshot {
    /// Whose.
    pub account: AccountId,
    /// Every record before this position is in the payload, and none after it.
    pub true_to: LogPos,
    /// [`ACCOUNT_VERSION_PLAIN`], [`ACCOUNT_VERSION_USES`], [`ACCOUNT_VERSION_METADATA`], [`ACCOUNT_VERSION_MEASURED`] or [`ACCOUNT_VERSION`], by what is in the payload; 1 when it was read of such a file.
    pub version: u32,
    /// The account layer's bytes.
    pub payload: Vec<u8>,
}

/// What [`AccountSnapshot::decode`] found beside the snapshot.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum BodiesAre {
    /// In packs or objects, but for those in the log of which the payload speaks (version 2 and later; before 6 there are none).
    Drained,
    /// Perhaps still in the log (version 1).
    Anywhere,
}

impl AccountSnapshot {
    /// The whole file.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(HEADER_BYTES + self.payload.len());
        out.extend_from_slice(MAGIC);
        out.extend_from_slice(&self.version.to_le_bytes());
        out.extend_from_slice(&crc32c::crc32c(&self.payload).to_le_bytes());
        out.extend_from_slice(&self.account.0);
        out.extend_from_slice(&self.true_to.segment.to_le_bytes());
        out.extend_from_slice(&self.true_to.offset.to_le_bytes());
        out.extend_from_slice(&(self.payload.len() as u64).to_le_bytes());
        out.resize(CRC_AT, 0);
        let crc = crc32c::crc32c(&out);
        out.extend_from_slice(&crc.to_le_bytes());
        out.extend_from_slice(&self.payload);
        out
    }

    /// Reads what [`AccountSnapshot::encode`] wrote.
    ///
    /// # Errors
    /// Whatever is wrong with the bytes.
    pub fn decode(bytes: &[u8]) -> Result<(AccountSnapshot, BodiesAre), SnapshotError> {
        if bytes.len() < HEADER_BYTES || bytes[..8] != *MAGIC {
            return Err(SnapshotError::NotASnapshot);
        }
        let (header, payload) = bytes.split_at(HEADER_BYTES);
        if u32_at(header, CRC_AT) != crc32c::crc32c(&header[..CRC_AT]) {
            return Err(SnapshotError::Header);
        }
        let bodies = match u32_at(header, 8) {
            1 => BodiesAre::Anywhere,
            ACCOUNT_VERSION_PLAIN..=ACCOUNT_VERSION => BodiesAre::Drained,
            found => return Err(SnapshotError::Version { found }),
        };
        if u64_at(header, 48) != payload.len() as u64 || u32_at(header, 12) != crc32c::crc32c(payload) {
            return Err(SnapshotError::Section { id: 0 });
        }
        let snapshot = AccountSnapshot {
            account: AccountId(array_at(header, 16)),
            true_to: LogPos { segment: u64_at(header, 32), offset: u64_at(header, 40) },
            version: u32_at(header, 8),
            payload: payload.to_vec(),
        };
        Ok((snapshot, bodies))
    }
}
