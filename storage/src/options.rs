//! What an operator may set about the store, within documented bounds.

/// Options of [`crate::Store::open`].
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Options {
    /// History families, 1 ..= 32. Used when the directory is created.
    pub history_families: u8,
    /// The block cache, in bytes.
    pub cache_bytes: usize,
    /// One budget for all memtables, in bytes.
    pub memtable_bytes: usize,
    /// Write-ahead logs, in bytes: what recovery has to read, at 20 to 30 MB a second.
    pub wal_bytes: u64,
    /// Descriptors kept back for connections and everything else; `None` keeps back fifteen sixteenths of the limit.
    pub files_reserve: Option<u64>,
    /// Threads for flush and compaction.
    pub background_jobs: u16,
    /// Messages at which a channel's history gets a family of its own, as long as fewer than 64 have one; 1 is every
    /// channel, `None` is none but by command.
    pub own_from: Option<u64>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            history_families: crate::family::HISTORIES_DEFAULT,
            cache_bytes: 256 * 1024 * 1024,
            memtable_bytes: 256 * 1024 * 1024,
            wal_bytes: 128 * 1024 * 1024,
            files_reserve: None,
            background_jobs: background_jobs(),
            own_from: None,
        }
    }
}

/// Most threads for flush and compaction without being told so: more would only take cores from the shards.
const BACKGROUND_JOBS_MAX: u16 = 4;

/// One a core, and two at least, so that a flush never waits for a compaction.
fn background_jobs() -> u16 {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    u16::try_from(cores).unwrap_or(u16::MAX).clamp(2, BACKGROUND_JOBS_MAX)
}

/// What one compaction into the first level writes at most, about: that level (256 MiB) and the four files of level 0 that
/// start it. A larger one, deeper down, fails without harm when the disk is full and is tried again.
const COMPACTION_BYTES: u64 = (256 + 4 * 32) * 1024 * 1024;

impl Options {
    /// Disk that the store may still write when nothing more is committed, in bytes: every memtable, the logs, and one
    /// compaction. So much is to be kept back for them to get by without meeting a full disk.
    #[must_use]
    pub fn space_needed(&self) -> u64 {
        let memtables = u64::try_from(self.memtable_bytes).unwrap_or(u64::MAX);
        memtables.saturating_add(self.wal_bytes).saturating_add(COMPACTION_BYTES)
    }
}
