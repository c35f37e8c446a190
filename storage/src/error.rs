//! What can go wrong with a store: the disk's fault or the operator's, never a user's.

use std::path::PathBuf;

use protocol::partition::BAYS;
use protocol::query::ReadFault;
use protocol::{BayId, PartitionId};

use crate::family::Family;

/// Why a store refuses. After any error of a commit the outcome of that commit is unknown: acknowledge nothing more and
/// end the process.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum StoreError {
    /// Another process has the data directory open.
    #[error("the data directory {} is in use by another process; stop that one first", dir.display())]
    Locked {
        /// The data directory.
        dir: PathBuf,
    },
    /// The data directory was written by a newer Maru.
    #[error(
        "the data directory has format {found}, this binary knows formats up to {known}; use a newer maru"
    )]
    Newer {
        /// The format on disk.
        found: u32,
        /// The newest format this binary reads.
        known: u32,
    },
    /// The data directory was written by an older Maru.
    #[error(
        "the data directory has format {found}, this binary uses format {known}; run `maru admin migrate --data DIR` once, with no server running (docs/operations.md says what it does)"
    )]
    Older {
        /// The format on disk.
        found: u32,
        /// The format this binary uses.
        known: u32,
    },
    /// There is something in the directory, and no marker.
    #[error(
        "{} holds {found} and no file MARU, so it is not a Maru data directory, or its marker is gone and nothing is made anew; name an empty directory, or put the whole directory back from a backup",
        dir.display()
    )]
    Foreign {
        /// The directory.
        dir: PathBuf,
        /// The first name in it that does not belong.
        found: String,
    },
    /// Committed rows are gone, damaged, or contradict each other.
    #[error("{} is corrupt: {}{what}", place_words(*bay), row_words(family, key))]
    Corrupt {
        /// Which bay; `None` for what is the whole store's.
        bay: Option<BayId>,
        /// The family of rows; empty when the damage is not one family's.
        family: String,
        /// The row's key or where the search for it began, hex; empty when it is not one row.
        key: String,
        /// What is wrong.
        what: String,
    },
    /// The disk is full. The outcome of the commit that met it is unknown.
    #[error("the disk of the store is full: {what}")]
    Full {
        /// The words of the operating system.
        what: String,
    },
    /// A part of a batch holds a row of another bay. Nothing of the commit was written; it is a fault of ours.
    #[error("a commit to bay {bay} holds what belongs elsewhere: {what}; please report it")]
    Misplaced {
        /// The bay that was to take it.
        bay: BayId,
        /// The row.
        what: String,
    },
    /// An earlier commit had an error; nothing more is committed by this process.
    #[error("the store is poisoned by an earlier error of a commit; restart the process")]
    Poisoned,
    /// Reading or writing had an error that is none of the above.
    #[error("i/o error at {place}: {what}")]
    Io {
        /// The store or a file.
        place: String,
        /// The words of the operating system or of RocksDB.
        what: String,
    },
}

impl StoreError {
    /// Damage that is not one row's.
    pub(crate) fn corrupt(bay: Option<BayId>, what: impl Into<String>) -> Self {
        Self::Corrupt { bay, family: String::new(), key: String::new(), what: what.into() }
    }

    /// Damage of a row, or of what a search from its key on met. The key says whose row it is.
    pub(crate) fn corrupt_row(family: Family, key: &[u8], what: impl Into<String>) -> Self {
        let bay = bay_of(family, key);
        let key = key.iter().map(|byte| format!("{byte:02x}")).collect();
        Self::Corrupt { bay, family: family.name(), key, what: what.into() }
    }

    #[cfg(feature = "rocks")]
    pub(crate) fn io(place: impl std::fmt::Display, what: impl std::fmt::Display) -> Self {
        Self::Io { place: place.to_string(), what: what.to_string() }
    }
}

impl From<StoreError> for ReadFault {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Corrupt { bay, family, key, what } => Self::Corrupt { bay, family, key, what },
            StoreError::Io { place, what } => Self::Io { place, what },
            StoreError::Full { what } => Self::Io { place: "the store".into(), what },
            other => Self::Io { place: "the data directory".into(), what: other.to_string() },
        }
    }
}

/// The bay that a key begins with; none for facts about the store, and for what no key begins with.
fn bay_of(family: Family, key: &[u8]) -> Option<BayId> {
    let partition = key.first_chunk().filter(|_| family != Family::Meta);
    let bay = PartitionId(u16::from_be_bytes(*partition?)).bay();
    (bay.0 < BAYS).then_some(bay)
}

fn place_words(bay: Option<BayId>) -> String {
    bay.map_or_else(|| "the store".into(), |bay| format!("bay {bay}"))
}

fn row_words(family: &str, key: &str) -> String {
    if family.is_empty() { String::new() } else { format!("family {family}, key {key}: ") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key;

    #[test]
    fn words_name_the_bay_and_the_row() {
        let error = StoreError::corrupt_row(Family::Fanout, &key::fanout(BayId(3), 1), "gone");
        assert_eq!(error.to_string(), "bay 3 is corrupt: family fanout, key 00c00000000000000001: gone");
        let error = StoreError::corrupt_row(Family::Meta, key::META_LAYOUT, "gone");
        assert_eq!(error.to_string(), "the store is corrupt: family default, key 6c61796f7574: gone");
        assert_eq!(StoreError::corrupt(Some(BayId(9)), "gone").to_string(), "bay 9 is corrupt: gone");
    }
}
