//! The narrow seam below the queries: ordered rows in families. `rocks` and `memory` implement it; everything that is
//! known about keys and values stands above it, once.

use std::fmt;

use bytes::Bytes;

use crate::error::StoreError;
use crate::family::Family;

/// How far a read may reach.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Tier {
    /// Memory and the block cache: never the disk. What is not there is a miss, and so is what lies behind so many rows:
    /// a shard answers this on its own thread, between other things.
    Cached {
        /// Rows that may be looked at, 1 or more.
        rows: u32,
    },
    /// The disk too; may block for milliseconds.
    Any,
    /// As [`Self::Any`], and what is read is not kept in the block cache: long reads that nobody repeats.
    Once,
}

/// Why a read has no outcome.
#[derive(Debug)]
pub(crate) enum Unread {
    /// [`Tier::Cached`] was asked for, and a row is not in memory or the rows are used up.
    Miss,
    /// The store cannot be read.
    Fault(StoreError),
}

impl From<StoreError> for Unread {
    fn from(error: StoreError) -> Self {
        Self::Fault(error)
    }
}

/// Outcome of a read.
pub(crate) type Found<T> = Result<T, Unread>;

/// A value while a scan stands on it.
pub(crate) enum Value<'a> {
    /// The memory store's own, shared for the price of a count.
    Shared(&'a Bytes),
    /// Within a block of RocksDB, or a small one of the memory store; keeping it costs a copy.
    Borrowed(&'a [u8]),
}

impl Value<'_> {
    /// The bytes.
    pub(crate) fn bytes(&self) -> &[u8] {
        match self {
            Self::Shared(bytes) => bytes,
            Self::Borrowed(bytes) => bytes,
        }
    }

    /// The bytes, to keep.
    pub(crate) fn to_bytes(&self) -> Bytes {
        match self {
            Self::Shared(bytes) => Bytes::clone(bytes),
            Self::Borrowed(bytes) => Bytes::copy_from_slice(bytes),
        }
    }
}

/// Where a scan goes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Direction {
    Rising,
    Falling,
}

/// Called for each row; says whether to go on. It must not read the rows: memory is locked meanwhile.
pub(crate) type Visit<'a> = dyn FnMut(&[u8], Value<'_>) -> Found<bool> + 'a;

/// Takes the changes of one write.
pub(crate) trait Sink {
    /// Sets a row.
    fn put(&mut self, family: Family, key: &[u8], value: &[u8]);
    /// Sets a row to a value that may be shared.
    fn put_shared(&mut self, family: Family, key: &[u8], value: &Bytes);
    /// Removes a row.
    fn delete(&mut self, family: Family, key: &[u8]);
    /// Removes the rows from `lower` up to and without `upper`.
    fn delete_range(&mut self, family: Family, lower: &[u8], upper: &[u8]);
}

/// What the operator may want to know of the rows.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Measure {
    pub(crate) memory_bytes: u64,
    pub(crate) disk_bytes: u64,
    pub(crate) cache_bytes: u64,
    pub(crate) cache_hits: u64,
    pub(crate) cache_misses: u64,
    pub(crate) syncs: u64,
}

/// Ordered rows to read, as they are now or as they were at one moment. Reads may come from any thread.
pub(crate) trait Reads: Send + Sync + fmt::Debug {
    /// One row.
    fn get(&self, family: Family, key: &[u8], tier: Tier) -> Found<Option<Bytes>>;

    /// The rows with `lower <= key < upper`, as they were when the scan began.
    fn scan(
        &self,
        family: Family,
        bounds: (&[u8], &[u8]),
        direction: Direction,
        tier: Tier,
        visit: &mut Visit<'_>,
    ) -> Found<()>;
}

/// Ordered rows. Reads and writes may come from any thread.
pub(crate) trait Rows: Reads {
    /// Everything that `fill` puts into the sink, whole or not at all, on stable storage when this returns.
    fn write(&self, fill: &mut dyn FnMut(&mut dyn Sink)) -> Result<(), StoreError>;

    /// Makes a family of one channel, empty; one that is there already is emptied.
    fn add_family(&self, family: Family) -> Result<(), StoreError>;

    /// Drops a family of one channel with all that it holds.
    fn drop_family(&self, family: Family) -> Result<(), StoreError>;

    /// Drops the files of a family that hold nothing but rows with `lower <= key < upper`, which are removed already. Rows of
    /// such a range that stand elsewhere stay as they are.
    fn drop_files(&self, family: Family, bounds: (&[u8], &[u8])) -> Result<(), StoreError>;

    /// Bytes of a family in files and in memory.
    fn family_bytes(&self, family: Family) -> u64;

    /// Sizes.
    fn measure(&self) -> Measure;

    /// Everything that was written before, as files in a directory that does not exist yet.
    #[cfg(feature = "rocks")]
    fn checkpoint(&self, to: &std::path::Path) -> Result<(), StoreError> {
        Err(StoreError::io(to.display(), "a store in memory has no files to copy"))
    }

    /// The rows as they are now, whatever is written later. What was written over or removed keeps its room for as long as this
    /// is held.
    fn snapshot(&self) -> Box<dyn Reads + '_>;

    /// A copy that shares nothing, if this is memory.
    fn copy(&self) -> Option<Box<dyn Rows>>;
}
