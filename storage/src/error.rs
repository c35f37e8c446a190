//! What can go wrong with a store: the disk's fault or the operator's, never a user's.

use std::path::PathBuf;

use protocol::StoreId;

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
    #[error("store {store} is corrupt: {what}")]
    Corrupt {
        /// Which store.
        store: StoreId,
        /// The row and what is wrong with it.
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
    pub(crate) fn corrupt(store: StoreId, what: impl Into<String>) -> Self {
        Self::Corrupt { store, what: what.into() }
    }

    #[cfg(feature = "rocks")]
    pub(crate) fn io(place: impl std::fmt::Display, what: impl std::fmt::Display) -> Self {
        Self::Io { place: place.to_string(), what: what.to_string() }
    }
}
