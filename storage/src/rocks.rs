//! Rows on disk: one RocksDB. Options and failure behaviour follow the measurements in the research notes.

use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use rocksdb::statistics::Ticker;
use rocksdb::{
    BoundColumnFamily, Cache, ColumnFamilyDescriptor, DB, Error, ErrorKind, FlushOptions, ReadOptions,
    ReadTier, WriteBatch, WriteOptions, properties,
};

use crate::error::StoreError;
use crate::family::Family;
use crate::rows::{Direction, Found, Measure, Rows, Sink, Tier, Unread, Value, Visit};

mod checkpoint;
mod hole;
mod tuning;

pub(crate) use tuning::Shared;

/// One RocksDB.
pub(crate) struct RocksRows {
    db: DB,
    names: Vec<String>,
    options: rocksdb::Options,
    synced: WriteOptions,
    cache: Cache,
}

impl std::fmt::Debug for RocksRows {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "RocksRows({})", self.db.path().display())
    }
}

impl RocksRows {
    /// Opens or creates it, with so many history families. When this returns, what was recovered is in files on stable storage: only then may
    /// anything that builds on it be acknowledged, because RocksDB may have read pages that were never synced.
    pub(crate) fn open(path: &Path, histories: u8, shared: &Shared) -> Result<Self, StoreError> {
        hole::check(path)?;
        let options = shared.options();
        let families: Vec<_> = Family::all(histories).collect();
        let descriptors =
            families.iter().map(|family| ColumnFamilyDescriptor::new(family.name(), shared.family(*family)));
        let db =
            DB::open_cf_descriptors(&options, path, descriptors).map_err(|error| opening(path, &error))?;
        let mut synced = WriteOptions::default();
        synced.set_sync(true);
        let names = families.iter().map(|family| family.name()).collect();
        let rows = Self { db, names, options, synced, cache: shared.cache() };
        rows.flush()?;
        Ok(rows)
    }

    /// Everything in memtables is in files on stable storage when this returns.
    pub(crate) fn flush(&self) -> Result<(), StoreError> {
        let handles = self.handles()?;
        let mut flush = FlushOptions::default();
        flush.set_wait(true);
        let all: Vec<_> = handles.iter().collect();
        self.db.flush_cfs_opt(&all, &flush).map_err(|error| failed(&error))
    }

    /// Puts rows without a log and without a sync: they are on stable storage after the next [`Self::flush`].
    pub(crate) fn fill(&self, fill: &mut dyn FnMut(&mut dyn Sink)) -> Result<(), StoreError> {
        let mut unlogged = WriteOptions::default();
        unlogged.disable_wal(true);
        self.put(fill, &unlogged)
    }

    fn put(&self, fill: &mut dyn FnMut(&mut dyn Sink), options: &WriteOptions) -> Result<(), StoreError> {
        let handles = self.handles()?;
        let mut batch = WriteBatch::default();
        fill(&mut RocksSink { batch: &mut batch, handles: &handles });
        self.db.write_opt(batch, options).map_err(|error| failed(&error))
    }

    fn handles(&self) -> Result<Vec<Arc<BoundColumnFamily<'_>>>, StoreError> {
        let missing = |name: &String| StoreError::corrupt(None, format!("family {name} is missing"));
        self.names.iter().map(|name| self.db.cf_handle(name).ok_or_else(|| missing(name))).collect()
    }

    fn handle(&self, family: Family) -> Result<Arc<BoundColumnFamily<'_>>, StoreError> {
        let name = self.names.get(family.index());
        let handle = name.and_then(|name| self.db.cf_handle(name));
        handle.ok_or_else(|| StoreError::corrupt(None, format!("family {family:?} is missing")))
    }

    /// What a read that stood at, or began at, a key says.
    fn unread(&self, error: &Error, family: Family, key: &[u8]) -> Unread {
        match error.kind() {
            ErrorKind::Incomplete => Unread::Miss,
            ErrorKind::Corruption => Unread::Fault(StoreError::corrupt_row(family, key, error.to_string())),
            _ => Unread::Fault(failed(error)),
        }
    }

    fn number(&self, name: &properties::PropName) -> u64 {
        let Ok(handles) = self.handles() else { return 0 };
        let one = |handle| self.db.property_int_value_cf(handle, name).ok().flatten().unwrap_or_default();
        handles.iter().map(one).sum()
    }
}

fn reading(tier: Tier) -> ReadOptions {
    let mut options = ReadOptions::default();
    match tier {
        Tier::Cached { .. } => options.set_read_tier(ReadTier::BlockCache),
        Tier::Once => options.fill_cache(false),
        Tier::Any => {}
    }
    options
}

/// RocksDB's errors are words; these are the words that need an answer of their own.
fn failed(error: &Error) -> StoreError {
    let what = error.to_string();
    match error.kind() {
        ErrorKind::Corruption => StoreError::corrupt(None, what),
        _ if what.contains("No space left on device") => StoreError::Full { what },
        _ => StoreError::io("the store", what),
    }
}

fn opening(path: &Path, error: &Error) -> StoreError {
    let what = error.to_string();
    if what.contains("LOCK") && matches!(error.kind(), ErrorKind::IOError) {
        return StoreError::Locked { dir: path.parent().unwrap_or(path).to_owned() };
    }
    failed(error)
}

struct RocksSink<'a> {
    batch: &'a mut WriteBatch,
    handles: &'a [Arc<BoundColumnFamily<'a>>],
}

impl Sink for RocksSink<'_> {
    fn put(&mut self, family: Family, key: &[u8], value: &[u8]) {
        if let Some(handle) = self.handles.get(family.index()) {
            self.batch.put_cf(handle, key, value);
        }
    }

    fn put_shared(&mut self, family: Family, key: &[u8], value: &Bytes) {
        self.put(family, key, value);
    }

    fn delete(&mut self, family: Family, key: &[u8]) {
        if let Some(handle) = self.handles.get(family.index()) {
            self.batch.delete_cf(handle, key);
        }
    }

    fn delete_range(&mut self, family: Family, lower: &[u8], upper: &[u8]) {
        if let Some(handle) = self.handles.get(family.index()) {
            self.batch.delete_range_cf(handle, lower, upper);
        }
    }
}

impl Rows for RocksRows {
    fn get(&self, family: Family, key: &[u8], tier: Tier) -> Found<Option<Bytes>> {
        let handle = self.handle(family)?;
        let found = self.db.get_cf_opt(&handle, key, &reading(tier));
        Ok(found.map_err(|error| self.unread(&error, family, key))?.map(Bytes::from))
    }

    fn scan(
        &self,
        family: Family,
        (lower, upper): (&[u8], &[u8]),
        direction: Direction,
        tier: Tier,
        visit: &mut Visit<'_>,
    ) -> Found<()> {
        if lower >= upper {
            return Ok(());
        }
        let mut options = reading(tier);
        options.set_iterate_range(lower..upper);
        // A seek within one prefix may ask the prefix bloom filters and skip files; any other must not, because a
        // filter that is asked for the upper bound's prefix would hide the rows below it.
        options.set_total_order_seek(
            direction == Direction::Falling || !tuning::one_prefix(family, lower, upper),
        );
        let handle = self.handle(family)?;
        let mut rows = self.db.raw_iterator_cf_opt(&handle, options);
        match direction {
            Direction::Rising => rows.seek(lower),
            Direction::Falling => rows.seek_to_last(),
        }
        while let Some((key, value)) = rows.item() {
            if !visit(key, Value::Borrowed(value))? {
                return Ok(());
            }
            match direction {
                Direction::Rising => rows.next(),
                Direction::Falling => rows.prev(),
            }
        }
        // The end of the range and an error look the same until the status is asked.
        rows.status().map_err(|error| self.unread(&error, family, lower))
    }

    fn write(&self, fill: &mut dyn FnMut(&mut dyn Sink)) -> Result<(), StoreError> {
        self.put(fill, &self.synced)
    }

    fn measure(&self) -> Measure {
        Measure {
            memory_bytes: self.number(properties::CUR_SIZE_ALL_MEM_TABLES),
            disk_bytes: self.number(properties::LIVE_SST_FILES_SIZE),
            cache_bytes: self.cache.get_usage() as u64,
            cache_hits: self.options.get_ticker_count(Ticker::BlockCacheHit),
            cache_misses: self.options.get_ticker_count(Ticker::BlockCacheMiss),
            syncs: self.options.get_ticker_count(Ticker::WalFileSynced),
        }
    }

    fn checkpoint(&self, to: &Path) -> Result<(), StoreError> {
        self.link_files(to)
    }

    fn copy(&self) -> Option<Box<dyn Rows>> {
        None
    }
}
