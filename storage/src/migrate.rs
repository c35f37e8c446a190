//! A data directory of format 1 -> the present one: `maru admin migrate`. Format 1 had K stores (RocksDBs), each with a
//! fan-out log and marks of its own; since format 2 there is one, and bays.
//!
//! Offline, and without a drain before: what is not applied stays not applied. The new store grows beside the old ones,
//! and replacing the marker file switches; until then the directory is one of format 1, whose program opens it. A
//! migration that was interrupted begins again from the beginning. The old stores are kept under `format-1`.

mod copy;
mod filler;
mod format1;
mod logs;

use std::fs;
use std::path::Path;

use crate::directory::{self, STORE, io, new_layout, read_marker, sync, write_marker};
use crate::error::StoreError;
use crate::options::Options;
use crate::owned::{Owned, Owners};
use crate::proof;
use crate::rocks::{RocksRows, Shared};
use crate::rows::Tier;
use crate::store::{FORMAT, FORMAT_RAISED};
use crate::value::Layout;
use crate::view::View;
use filler::Filler;
use format1::Old;

/// Where the new store grows.
const GROWING: &str = "store.new";
/// Where the old stores and their marker are kept.
const KEPT: &str = "format-1";

/// What a migration has moved.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Migrated {
    /// Stores of format 1.
    pub stores: u16,
    /// Messages.
    pub messages: u64,
    /// Inbox entries; each was a row.
    pub pointers: u64,
    /// Rows that hold them now.
    pub runs: u64,
    /// Rows of the fan-out logs as they are numbered now.
    pub fanout_rows: u64,
    /// Stays that became a row of their own.
    pub intervals: u64,
    /// Read positions that moved to their channels.
    pub positions: u64,
}

/// Moves a stopped data directory to the format of this program; `None` when it has that format already.
///
/// # Errors
/// [`StoreError::Locked`], [`StoreError::Newer`], [`StoreError::Corrupt`] with what cannot be read or contradicts itself,
/// or [`StoreError::Io`]. The directory is as it was.
pub fn migrate(dir: &Path, options: &Options) -> Result<Option<Migrated>, StoreError> {
    let _lock = directory::lock(dir)?;
    let marker = read_marker(dir)?;
    let Some(marker) = marker else {
        return Err(StoreError::io(dir.display(), "not a maru data directory: it has no marker file"));
    };
    match marker.format {
        1 => {}
        // A start raises what is older than this format.
        FORMAT_RAISED..=FORMAT => {
            keep_old(dir)?;
            return Ok(None);
        }
        found => return Err(StoreError::Newer { found, known: FORMAT }),
    }
    // What an interrupted migration left behind.
    for name in [GROWING, STORE] {
        remove(&dir.join(name))?;
    }
    let (layout, shared) = (new_layout(options)?, Shared::new(options));
    let old = Old::open(dir, &marker, &shared)?;
    let migrated = fill(&dir.join(GROWING), &old, layout, &shared)?;
    drop(old);
    switch(dir, layout)?;
    keep_old(dir)?;
    Ok(Some(migrated))
}

/// Fills the new store; all of it is on stable storage when this returns.
fn fill(path: &Path, old: &Old, layout: Layout, shared: &Shared) -> Result<Migrated, StoreError> {
    let rows = RocksRows::open(path, layout.histories, shared)?;
    let mut filler = Filler::new(&rows, layout);
    filler.migrated.stores = old.count();
    copy::families(old, &mut filler)?;
    logs::renumber(old, &mut filler)?;
    let migrated = filler.finish()?;
    rows.flush()?;
    let owners = Owners::new(Owned::new(layout.histories));
    proof::nothing_lost(&View { rows: &rows, owners: &owners, tier: Tier::Any, left: None })?;
    Ok(migrated)
}

/// From here on the directory has the new format.
fn switch(dir: &Path, layout: Layout) -> Result<(), StoreError> {
    let kept = dir.join(KEPT);
    let steps = || -> std::io::Result<()> {
        fs::create_dir_all(&kept)?;
        fs::copy(dir.join("MARU"), kept.join("MARU"))?;
        fs::File::open(kept.join("MARU"))?.sync_all()?;
        sync(&kept)?;
        fs::rename(dir.join(GROWING), dir.join(STORE))?;
        sync(dir)
    };
    steps().map_err(|error| io(dir, &error))?;
    write_marker(dir, layout)
}

/// Moves the stores of format 1 out of the way. Repeatable: an interrupted move goes on.
fn keep_old(dir: &Path) -> Result<(), StoreError> {
    let kept = dir.join(KEPT);
    let steps = || -> std::io::Result<()> {
        for entry in fs::read_dir(dir)? {
            let entry = entry?;
            if entry.file_name().to_string_lossy().starts_with("store-") {
                fs::create_dir_all(&kept)?;
                fs::rename(entry.path(), kept.join(entry.file_name()))?;
            }
        }
        sync(dir)
    };
    steps().map_err(|error| io(&kept, &error))
}

fn remove(path: &Path) -> Result<(), StoreError> {
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(io(path, &error)),
        _ => Ok(()),
    }
}
