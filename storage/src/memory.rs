//! Rows in memory: what the simulator and the tests run on. Deterministic, and durable as far as the process lives.

mod row;

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::{PoisonError, RwLock};

use bytes::Bytes;

use crate::error::StoreError;
use crate::family::Family;
use crate::rows::{Direction, Found, Measure, Reads, Rows, Sink, Tier, Visit};
use row::{Cell, RowKey};

type Table = BTreeMap<RowKey, Cell>;

/// One ordered table a family.
#[derive(Debug)]
pub(crate) struct MemoryRows {
    tables: RwLock<Vec<Table>>,
}

impl MemoryRows {
    pub(crate) fn new() -> Self {
        Self { tables: RwLock::new(vec![Table::new(); Family::PLACES]) }
    }

    fn cloned(&self) -> Self {
        let tables = self.tables.read().unwrap_or_else(PoisonError::into_inner);
        Self { tables: RwLock::new(tables.clone()) }
    }

    fn clear(&self, family: Family) {
        let mut tables = self.tables.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(table) = tables.get_mut(family.index()) {
            table.clear();
        }
    }
}

struct MemorySink<'a>(&'a mut [Table]);

impl MemorySink<'_> {
    fn table(&mut self, family: Family) -> Option<&mut Table> {
        debug_assert!(family.index() < self.0.len());
        self.0.get_mut(family.index())
    }
}

impl Sink for MemorySink<'_> {
    fn put(&mut self, family: Family, key: &[u8], value: &[u8]) {
        if let Some(table) = self.table(family) {
            table.insert(RowKey::new(key), Cell::copy(value));
        }
    }

    fn put_shared(&mut self, family: Family, key: &[u8], value: &Bytes) {
        if let Some(table) = self.table(family) {
            table.insert(RowKey::new(key), Cell::Shared(value.clone()));
        }
    }

    fn delete(&mut self, family: Family, key: &[u8]) {
        if let Some(table) = self.table(family) {
            table.remove(&RowKey::new(key));
        }
    }

    fn delete_range(&mut self, family: Family, lower: &[u8], upper: &[u8]) {
        let Some(table) = self.table(family) else { return };
        if lower >= upper {
            return;
        }
        let (lower, upper) = (RowKey::new(lower), RowKey::new(upper));
        // One after the other: what is removed is little, and what stays is not moved for it.
        table.extract_if(lower..upper, |_, _| true).for_each(drop);
    }
}

impl Reads for MemoryRows {
    fn get(&self, family: Family, key: &[u8], _tier: Tier) -> Found<Option<Bytes>> {
        let tables = self.tables.read().unwrap_or_else(PoisonError::into_inner);
        Ok(tables.get(family.index()).and_then(|table| table.get(&RowKey::new(key))).map(Cell::to_bytes))
    }

    fn scan(
        &self,
        family: Family,
        (lower, upper): (&[u8], &[u8]),
        direction: Direction,
        _tier: Tier,
        visit: &mut Visit<'_>,
    ) -> Found<()> {
        let tables = self.tables.read().unwrap_or_else(PoisonError::into_inner);
        let Some(table) = tables.get(family.index()) else { return Ok(()) };
        if lower >= upper {
            return Ok(());
        }
        let bounds = (Bound::Included(RowKey::new(lower)), Bound::Excluded(RowKey::new(upper)));
        let mut range = table.range(bounds);
        loop {
            let row = match direction {
                Direction::Rising => range.next(),
                Direction::Falling => range.next_back(),
            };
            let Some((key, value)) = row else { return Ok(()) };
            if !visit(key.as_bytes(), value.as_value())? {
                return Ok(());
            }
        }
    }
}

impl Rows for MemoryRows {
    fn write(&self, fill: &mut dyn FnMut(&mut dyn Sink)) -> Result<(), StoreError> {
        let mut tables = self.tables.write().unwrap_or_else(PoisonError::into_inner);
        fill(&mut MemorySink(&mut tables));
        Ok(())
    }

    fn add_family(&self, family: Family) -> Result<(), StoreError> {
        self.clear(family);
        Ok(())
    }

    fn drop_family(&self, family: Family) -> Result<(), StoreError> {
        self.clear(family);
        Ok(())
    }

    fn drop_files(&self, _family: Family, _bounds: (&[u8], &[u8])) -> Result<(), StoreError> {
        // Memory has no files: what was removed is gone.
        Ok(())
    }

    fn family_bytes(&self, family: Family) -> u64 {
        let tables = self.tables.read().unwrap_or_else(PoisonError::into_inner);
        tables.get(family.index()).map_or(0, |table| (table.len() * size_of::<(RowKey, Cell)>()) as u64)
    }

    /// What the tables hold themselves, not the frames they share: a walk over all rows would hold up whoever writes.
    fn measure(&self) -> Measure {
        let tables = self.tables.read().unwrap_or_else(PoisonError::into_inner);
        let rows: usize = tables.iter().map(Table::len).sum();
        Measure { memory_bytes: (rows * size_of::<(RowKey, Cell)>()) as u64, ..Measure::default() }
    }

    fn snapshot(&self) -> Box<dyn Reads + '_> {
        Box::new(self.cloned())
    }

    fn copy(&self) -> Option<Box<dyn Rows>> {
        Some(Box::new(self.cloned()))
    }
}
