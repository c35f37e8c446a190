//! What an operator may set about the stores, within documented bounds.

/// Options of [`crate::Stores::open`].
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Options {
    /// Stores, 1 ..= 64. Used when the directory is created; later the directory's own number counts.
    pub stores: u16,
    /// History families a store, 1 ..= 32. Used when the directory is created.
    pub history_families: u8,
    /// One block cache for all stores, in bytes.
    pub cache_bytes: usize,
    /// One budget for the memtables of all stores, in bytes.
    pub memtable_bytes: usize,
    /// Write-ahead logs of all stores together, in bytes: what recovery has to read, at 20 to 30 MB a second.
    pub wal_bytes: u64,
    /// Descriptors kept back for connections and everything else; `None` keeps back fifteen sixteenths of the limit.
    pub files_reserve: Option<u64>,
    /// Threads for flush and compaction, shared by all stores of the process.
    pub background_jobs: u16,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            stores: 8,
            history_families: crate::family::HISTORIES_DEFAULT,
            cache_bytes: 256 * 1024 * 1024,
            memtable_bytes: 256 * 1024 * 1024,
            wal_bytes: 128 * 1024 * 1024,
            files_reserve: None,
            background_jobs: 2,
        }
    }
}

/// What one compaction into the first level writes at most, about: that level (256 MiB) and the four files of level 0 that
/// start it. A larger one, deeper down, fails without harm when the disk is full and is tried again.
const COMPACTION_BYTES: u64 = (256 + 4 * 16) * 1024 * 1024;

impl Options {
    /// Disk that the stores may still write when nothing more is committed, in bytes: every memtable, the logs, and one
    /// compaction. So much is to be kept back for them to get by without meeting a full disk.
    #[must_use]
    pub fn space_needed(&self) -> u64 {
        let memtables = u64::try_from(self.memtable_bytes).unwrap_or(u64::MAX);
        memtables.saturating_add(self.wal_bytes).saturating_add(COMPACTION_BYTES)
    }
}
