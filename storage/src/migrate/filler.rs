//! Rows on their way into the new store, many to a write.

use super::Migrated;
use crate::error::StoreError;
use crate::family::Family;
use crate::rocks::RocksRows;
use crate::rows::Sink;
use crate::value::Layout;

/// Bytes of keys and values that wait for a write.
const WRITE_BYTES: usize = 4 * 1024 * 1024;

/// Family, key and value.
type Waiting = (Family, Box<[u8]>, Box<[u8]>);

/// Puts rows in order. Nothing is on stable storage before the store is flushed.
pub(super) struct Filler<'a> {
    rows: &'a RocksRows,
    pub(super) layout: Layout,
    pub(super) migrated: Migrated,
    waiting: Vec<Waiting>,
    bytes: usize,
}

impl<'a> Filler<'a> {
    pub(super) fn new(rows: &'a RocksRows, layout: Layout) -> Self {
        Self { rows, layout, migrated: Migrated::default(), waiting: Vec::new(), bytes: 0 }
    }

    /// One row more; a later one of the same key counts.
    pub(super) fn put(&mut self, family: Family, key: &[u8], value: &[u8]) -> Result<(), StoreError> {
        self.waiting.push((family, key.into(), value.into()));
        self.bytes += key.len() + value.len();
        if self.bytes < WRITE_BYTES { Ok(()) } else { self.write() }
    }

    /// Writes what waits; what was moved in all.
    pub(super) fn finish(mut self) -> Result<Migrated, StoreError> {
        self.write()?;
        Ok(self.migrated)
    }

    fn write(&mut self) -> Result<(), StoreError> {
        self.bytes = 0;
        let waiting = std::mem::take(&mut self.waiting);
        self.rows.fill(&mut |sink: &mut dyn Sink| {
            for (family, key, value) in &waiting {
                sink.put(*family, key, value);
            }
        })
    }
}
