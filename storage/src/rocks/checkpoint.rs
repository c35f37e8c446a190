//! A consistent copy of a running store, for a backup.

use std::path::Path;

use rocksdb::checkpoint::Checkpoint;

use super::{RocksRows, failed};
use crate::error::StoreError;

impl RocksRows {
    /// Hard links to the files of this moment, where `to` is on the same file system, else copies. Memtables are written to
    /// files first, so everything that was committed before is in it; commits go on meanwhile, and each is in it whole or
    /// not at all. On any error nothing is left at `to`.
    pub(super) fn link_files(&self, to: &Path) -> Result<(), StoreError> {
        let made = Checkpoint::new(&self.db).and_then(|checkpoint| checkpoint.create_checkpoint(to));
        made.map_err(|error| failed(&error))
    }
}
