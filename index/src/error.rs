//! Why a file is no snapshot.

use skein_base::Class;
use std::fmt;

/// Why bytes are not taken for a snapshot. Whatever it is, the answer is the same: rebuild.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum SnapshotError {
    /// The file begins with something else, or ends too early to tell.
    NotASnapshot,
    /// Written by a newer build.
    Version {
        /// What it says.
        found: u32,
    },
    /// The header or its table of sections does not check.
    Header,
    /// A section is missing, does not check, or has not the size the header says.
    Section {
        /// Its number in the table.
        id: u32,
    },
    /// The rendered cache of one message does not check; all else is usable.
    Cache {
        /// The row.
        row: u32,
    },
}

impl SnapshotError {
    /// What kind of failure it is.
    pub fn class(&self) -> Class {
        Class::Damaged
    }
}

impl fmt::Display for SnapshotError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SnapshotError::NotASnapshot => f.write_str("the file is not a snapshot"),
            SnapshotError::Version { found } => {
                write!(f, "the snapshot has version {found}, this build reads up to {}", crate::SNAPSHOT_VERSION)
            }
            SnapshotError::Header => f.write_str("the snapshot's header is damaged"),
            SnapshotError::Section { id } => write!(f, "section {id} of the snapshot is missing or damaged"),
            SnapshotError::Cache { row } => write!(f, "the cache of row {row} is damaged"),
        }
    }
}

impl std::error::Error for SnapshotError {}
