//! What can go wrong with a store: the disk's fault or the operator's, never a user's.

use std::path::PathBuf;

use protocol::StoreId;
use protocol::query::ReadFault;

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
    /// Committed rows are gone, damaged, or contradict each other.
    #[error("store {store} is corrupt: {}{what}", row_words(family, key))]
    Corrupt {
        /// Which store.
        store: StoreId,
        /// The family of rows; empty when the damage is not one family's.
        family: String,
        /// The row's key or where the search for it began, hex; empty when it is not one row.
        key: String,
        /// What is wrong.
        what: String,
    },
    /// The disk is full. The outcome of the commit that met it is unknown.
    #[error("the disk of store {store} is full: {what}")]
    Full {
        /// Which store.
        store: StoreId,
        /// The words of the operating system.
        what: String,
    },
    /// A batch holds a row of another store. Nothing of it was written; it is a fault of ours.
    #[error("a commit to store {store} holds what belongs elsewhere: {what}; please report it")]
    Misplaced {
        /// The store that was to take it.
        store: StoreId,
        /// The row.
        what: String,
    },
    /// An earlier commit of this store had an error; nothing more is committed by this process.
    #[error("store {store} is poisoned by an earlier error of a commit; restart the process")]
    Poisoned {
        /// Which store.
        store: StoreId,
    },
    /// Reading or writing had an error that is none of the above.
    #[error("i/o error at {place}: {what}")]
    Io {
        /// A store or a file.
        place: String,
        /// The words of the operating system or of RocksDB.
        what: String,
    },
}

impl StoreError {
    /// Damage that is not one row's.
    pub(crate) fn corrupt(store: StoreId, what: impl Into<String>) -> Self {
        Self::Corrupt { store, family: String::new(), key: String::new(), what: what.into() }
    }

    /// Damage of a row, or of what a search from its key on met.
    pub(crate) fn corrupt_row(store: StoreId, family: Family, key: &[u8], what: impl Into<String>) -> Self {
        let key = key.iter().map(|byte| format!("{byte:02x}")).collect();
        Self::Corrupt { store, family: family.name(), key, what: what.into() }
    }

    #[cfg(feature = "rocks")]
    pub(crate) fn io(place: impl std::fmt::Display, what: impl std::fmt::Display) -> Self {
        Self::Io { place: place.to_string(), what: what.to_string() }
    }
}

impl From<StoreError> for ReadFault {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Corrupt { store, family, key, what } => Self::Corrupt { store, family, key, what },
            StoreError::Io { place, what } => Self::Io { place, what },
            StoreError::Full { store, what } => Self::Io { place: format!("store {store}"), what },
            other => Self::Io { place: "the data directory".into(), what: other.to_string() },
        }
    }
}

fn row_words(family: &str, key: &str) -> String {
    if family.is_empty() { String::new() } else { format!("family {family}, key {key}: ") }
}
