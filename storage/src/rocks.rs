//! Rows on disk: one RocksDB. Options and failure behaviour follow the measurements in the research notes.

use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use rocksdb::statistics::Ticker;
use rocksdb::{
    BoundColumnFamily, Cache, ColumnFamilyDescriptor, DB, Error, ErrorKind, FlushOptions, ReadOptions,
    ReadTier, Snapshot, WriteBatch, WriteOptions, properties,
};

use crate::error::StoreError;
use crate::family::Family;
use crate::rows::{Direction, Found, Measure, Reads, Rows, Sink, Tier, Unread, Value, Visit};

mod checkpoint;
mod hole;
mod tuning;

pub(crate) use tuning::Shared;

/// One RocksDB.
pub(crate) struct RocksRows {
    db: DB,
    /// By [`Family::index`].
    names: Vec<String>,
    /// Families that are always there, the first of the names.
    fixed: usize,
    shared: Shared,
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
        let fixed: Vec<_> = Family::all(histories).collect();
        // All that are there must be named. Where there is no store yet, none is.
        let there = if path.join("CURRENT").exists() { DB::list_cf(&options, path) } else { Ok(Vec::new()) };
        let there = there.map_err(|error| opening(path, &error))?;
        let families = Family::owns().filter(|family| there.contains(&family.name()));
        let descriptors = (fixed.iter().copied().chain(families))
            .map(|family| ColumnFamilyDescriptor::new(family.name(), shared.family(family)));
        let db =
            DB::open_cf_descriptors(&options, path, descriptors).map_err(|error| opening(path, &error))?;
        let mut synced = WriteOptions::default();
        synced.set_sync(true);
        let mut names = vec![String::new(); Family::PLACES];
        for family in fixed.iter().copied().chain(Family::owns()) {
            if let Some(name) = names.get_mut(family.index()) {
                *name = family.name();
            }
        }
        let (fixed, cache) = (fixed.len(), shared.cache());
        let rows = Self { db, names, fixed, shared: shared.clone(), options, synced, cache };
        rows.flush()?;
        Ok(rows)
    }

    /// Everything in memtables is in files on stable storage when this returns.
    pub(crate) fn flush(&self) -> Result<(), StoreError> {
        let handles: Vec<_> = self.handles()?.into_iter().chain(self.own_handles()).collect();
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
        let mut batch = WriteBatch::default();
        let mut sink = RocksSink { rows: self, batch: &mut batch, handles: self.handles()?, missing: None };
        fill(&mut sink);
        let gone = sink.missing;
        drop(sink);
        if let Some(family) = gone {
            return Err(missing(family));
        }
        self.db.write_opt(batch, options).map_err(|error| failed(&error))
    }

    fn handles(&self) -> Result<Vec<Arc<BoundColumnFamily<'_>>>, StoreError> {
        let gone = |name: &String| StoreError::corrupt(None, format!("family {name} is missing"));
        let fixed = self.names.iter().take(self.fixed);
        fixed.map(|name| self.db.cf_handle(name).ok_or_else(|| gone(name))).collect()
    }

    /// Of the families of one channel that are there.
    fn own_handles(&self) -> impl Iterator<Item = Arc<BoundColumnFamily<'_>>> {
        Family::owns().filter_map(|family| self.handle(family).ok())
    }

    fn handle(&self, family: Family) -> Result<Arc<BoundColumnFamily<'_>>, StoreError> {
        let name = self.names.get(family.index());
        let handle = name.and_then(|name| self.db.cf_handle(name));
        handle.ok_or_else(|| missing(family))
    }

    /// Whether a family of one channel is there.
    pub(crate) fn has_family(&self, family: Family) -> bool {
        self.handle(family).is_ok()
    }

    /// What a read that stood at, or began at, a key says.
    fn unread(&self, error: &Error, family: Family, key: &[u8]) -> Unread {
        match error.kind() {
            ErrorKind::Incomplete => Unread::Miss,
            ErrorKind::Corruption => Unread::Fault(StoreError::corrupt_row(family, key, error.to_string())),
            _ => Unread::Fault(failed(error)),
        }
    }

    fn get_with(&self, family: Family, key: &[u8], options: &ReadOptions) -> Found<Option<Bytes>> {
        let handle = self.handle(family)?;
        let found = self.db.get_cf_opt(&handle, key, options);
        Ok(found.map_err(|error| self.unread(&error, family, key))?.map(Bytes::from))
    }

    fn scan_with(
        &self,
        family: Family,
        (lower, upper): (&[u8], &[u8]),
        direction: Direction,
        mut options: ReadOptions,
        visit: &mut Visit<'_>,
    ) -> Found<()> {
        if lower >= upper {
            return Ok(());
        }
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

    fn number(&self, name: &properties::PropName) -> u64 {
        let Ok(handles) = self.handles() else { return 0 };
        let one =
            |handle: &Arc<_>| self.db.property_int_value_cf(handle, name).ok().flatten().unwrap_or_default();
        handles.iter().map(one).sum::<u64>() + self.own_handles().map(|handle| one(&handle)).sum::<u64>()
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

fn missing(family: Family) -> StoreError {
    StoreError::corrupt(None, format!("family {} is missing", family.name()))
}

struct RocksSink<'a> {
    rows: &'a RocksRows,
    batch: &'a mut WriteBatch,
    handles: Vec<Arc<BoundColumnFamily<'a>>>,
    /// A family that was wanted and is not there: nothing of the batch is written then.
    missing: Option<Family>,
}

impl RocksSink<'_> {
    fn with(&mut self, family: Family, change: impl FnOnce(&mut WriteBatch, &Arc<BoundColumnFamily<'_>>)) {
        if let Some(handle) = self.handles.get(family.index()) {
            return change(self.batch, handle);
        }
        match self.rows.handle(family) {
            Ok(handle) => change(self.batch, &handle),
            Err(_) => self.missing = Some(family),
        }
    }
}

impl Sink for RocksSink<'_> {
    fn put(&mut self, family: Family, key: &[u8], value: &[u8]) {
        self.with(family, |batch, handle| batch.put_cf(handle, key, value));
    }

    fn put_shared(&mut self, family: Family, key: &[u8], value: &Bytes) {
        self.put(family, key, value);
    }

    fn delete(&mut self, family: Family, key: &[u8]) {
        self.with(family, |batch, handle| batch.delete_cf(handle, key));
    }

    fn delete_range(&mut self, family: Family, lower: &[u8], upper: &[u8]) {
        self.with(family, |batch, handle| batch.delete_range_cf(handle, lower, upper));
    }
}

/// The rows as they were when this was made.
struct RocksSnapshot<'a> {
    rows: &'a RocksRows,
    at: Snapshot<'a>,
}

impl std::fmt::Debug for RocksSnapshot<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "RocksSnapshot({:?} at {})", self.rows, self.at.sequence_number())
    }
}

impl Reads for RocksSnapshot<'_> {
    fn get(&self, family: Family, key: &[u8], tier: Tier) -> Found<Option<Bytes>> {
        let mut options = reading(tier);
        options.set_snapshot(&self.at);
        self.rows.get_with(family, key, &options)
    }

    fn scan(
        &self,
        family: Family,
        bounds: (&[u8], &[u8]),
        direction: Direction,
        tier: Tier,
        visit: &mut Visit<'_>,
    ) -> Found<()> {
        let mut options = reading(tier);
        options.set_snapshot(&self.at);
        self.rows.scan_with(family, bounds, direction, options, visit)
    }
}

impl Reads for RocksRows {
    fn get(&self, family: Family, key: &[u8], tier: Tier) -> Found<Option<Bytes>> {
        self.get_with(family, key, &reading(tier))
    }

    fn scan(
        &self,
        family: Family,
        bounds: (&[u8], &[u8]),
        direction: Direction,
        tier: Tier,
        visit: &mut Visit<'_>,
    ) -> Found<()> {
        self.scan_with(family, bounds, direction, reading(tier), visit)
    }
}

impl Rows for RocksRows {
    fn write(&self, fill: &mut dyn FnMut(&mut dyn Sink)) -> Result<(), StoreError> {
        self.put(fill, &self.synced)
    }

    fn add_family(&self, family: Family) -> Result<(), StoreError> {
        if self.has_family(family) {
            self.drop_family(family)?;
        }
        self.db.create_cf(family.name(), &self.shared.family(family)).map_err(|error| failed(&error))
    }

    fn drop_family(&self, family: Family) -> Result<(), StoreError> {
        self.db.drop_cf(&family.name()).map_err(|error| failed(&error))
    }

    fn drop_files(&self, family: Family, (lower, upper): (&[u8], &[u8])) -> Result<(), StoreError> {
        let handle = self.handle(family)?;
        self.db.delete_file_in_range_cf(&handle, lower, upper).map_err(|error| failed(&error))
    }

    fn family_bytes(&self, family: Family) -> u64 {
        let Ok(handle) = self.handle(family) else { return 0 };
        let one = |name| self.db.property_int_value_cf(&handle, name).ok().flatten().unwrap_or_default();
        one(properties::LIVE_SST_FILES_SIZE) + one(properties::CUR_SIZE_ALL_MEM_TABLES)
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

    fn snapshot(&self) -> Box<dyn Reads + '_> {
        Box::new(RocksSnapshot { rows: self, at: self.db.snapshot() })
    }

    fn copy(&self) -> Option<Box<dyn Rows>> {
        None
    }
}
