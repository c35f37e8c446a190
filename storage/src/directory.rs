//! The data directory around the stores: its lock, its marker file, and what creating and opening it mean.
//!
//! ```text
//! LOCK                held by the process that has the directory open
//! MARU                the marker, written last when the directory is created
//! store-00 ...        one RocksDB each
//! ```

use std::fs::{self, File, TryLockError};
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

use protocol::Generation;
use protocol::StoreId;
use protocol::limits::U53_MAX;
use protocol::partition::STORES_MAX;

use crate::error::StoreError;
use crate::family::{Family, HISTORIES_MAX};
use crate::key;
use crate::options::Options;
use crate::proof;
use crate::rocks::{RocksRows, Shared};
use crate::rows::{Rows, Tier};
use crate::stores::{FORMAT, Stores, create, fault};
use crate::value::{Layout, read_layout};

const LOCK: &str = "LOCK";
const MARKER: &str = "MARU";

impl Stores {
    /// Opens a data directory, or creates it. Returns when the recovered log is in files and the cheap proofs of loss
    /// have found nothing.
    ///
    /// # Errors
    /// [`StoreError::Locked`], [`StoreError::Newer`], [`StoreError::Corrupt`] with the row that is gone or damaged, or
    /// [`StoreError::Io`].
    pub fn open(dir: &Path, options: &Options) -> Result<Self, StoreError> {
        fs::create_dir_all(dir).map_err(|error| io(dir, &error))?;
        let lock = lock(dir)?;
        let marker = read_marker(dir)?;
        let layout = match marker {
            Some(layout) => layout,
            None => new_layout(options)?,
        };
        let shared = Shared::new(options, layout);
        let mut rows: Vec<Box<dyn Rows>> = Vec::with_capacity(usize::from(layout.stores));
        for number in 0..layout.stores {
            let layout = Layout { store: StoreId(number), ..layout };
            let path = dir.join(format!("store-{number:02}"));
            if marker.is_some() && !path.join("CURRENT").exists() {
                let what = format!("{} is missing, the marker file promises it", path.display());
                return Err(StoreError::corrupt(layout.store, what));
            }
            let one = RocksRows::open(&path, layout, &shared)?;
            agree(&one, layout, marker.is_some())?;
            rows.push(Box::new(one));
        }
        if marker.is_none() {
            write_marker(dir, layout)?;
        }
        let stores = Self::assemble(rows, layout.histories, lock)?;
        proof::nothing_lost(&stores.view(Tier::Any))?;
        Ok(stores)
    }

    /// Gives every store a new generation, for a directory that came back from a backup: inbox positions above the
    /// backup's were given to messages that are lost now, and will be given again. A device that holds a cursor of
    /// another generation reads its channels anew instead of believing that it missed nothing. Nobody else may use the
    /// stores meanwhile. Repeatable; one that was interrupted is repeated.
    ///
    /// # Errors
    /// [`StoreError::Io`]: no random numbers, or the disk.
    pub fn renew(&self) -> Result<(), StoreError> {
        for number in 0..self.count() {
            self.begin_life(StoreId(number), random_generation()?)?;
        }
        Ok(())
    }
}

fn io(path: &Path, error: &std::io::Error) -> StoreError {
    StoreError::io(path.display(), error)
}

fn lock(dir: &Path) -> Result<File, StoreError> {
    let path = dir.join(LOCK);
    let file = File::options().create(true).truncate(false).write(true).open(&path);
    let file = file.map_err(|error| io(&path, &error))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(StoreError::Locked { dir: dir.to_owned() }),
        Err(TryLockError::Error(error)) => Err(io(&path, &error)),
    }
}

fn new_layout(options: &Options) -> Result<Layout, StoreError> {
    let (stores, histories) = (options.stores, options.history_families);
    if !(1..=STORES_MAX).contains(&stores) || !(1..=HISTORIES_MAX).contains(&histories) {
        let what = format!(
            "{stores} stores of {histories} history families; allowed are 1 to {STORES_MAX} and 1 to {HISTORIES_MAX}"
        );
        return Err(StoreError::io("options", what));
    }
    Ok(Layout { format: FORMAT, stores, store: StoreId(0), histories })
}

/// The store itself says the same as the marker; a new store is made to say so.
fn agree(rows: &RocksRows, layout: Layout, created: bool) -> Result<(), StoreError> {
    let found = fault(rows.get(Family::Meta, key::META_LAYOUT, Tier::Any))?;
    match found.as_deref().map(read_layout) {
        None if !created => create(rows, layout, random_generation()?),
        Some(Some(found)) if found == layout => Ok(()),
        Some(Some(found)) if found.format > FORMAT => Err(newer(found.format)),
        other => {
            let what = format!("the store says {other:?}, the directory {layout:?}");
            Err(StoreError::corrupt(layout.store, what))
        }
    }
}

/// 1 .. 2^53, so that browsers read it as a number.
fn random_generation() -> Result<Generation, StoreError> {
    let random = getrandom::u64().map_err(|error| StoreError::io("random numbers", error))?;
    Ok(Generation((random & U53_MAX).max(1)))
}

fn newer(found: u32) -> StoreError {
    StoreError::Newer { found, known: FORMAT }
}

/// The marker: a line `maru data, format N`, then lines `name number`. An older binary reads the first line only.
fn write_marker(dir: &Path, layout: Layout) -> Result<(), StoreError> {
    let text = format!(
        "maru data, format {}\nstores {}\nhistory_families {}\n",
        layout.format, layout.stores, layout.histories
    );
    let (path, new): (PathBuf, PathBuf) = (dir.join(MARKER), dir.join("MARU.new"));
    let write = || -> std::io::Result<()> {
        let mut file = File::create(&new)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        fs::rename(&new, &path)?;
        File::open(dir)?.sync_all()
    };
    write().map_err(|error| io(&path, &error))
}

fn read_marker(dir: &Path) -> Result<Option<Layout>, StoreError> {
    let path = dir.join(MARKER);
    let text = match fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(io(&path, &error)),
    };
    let format = text.lines().next().and_then(|line| line.strip_prefix("maru data, format ")?.parse().ok());
    let number = |name: &str| {
        let mut fields = text.lines().filter_map(|line| line.split_once(' '));
        fields.find(|(field, _)| *field == name).and_then(|(_, number)| number.parse::<u16>().ok())
    };
    match format {
        Some(found) if found > FORMAT => return Err(newer(found)),
        Some(FORMAT) => {}
        _ => return Err(StoreError::io(path.display(), "not the marker of a maru data directory")),
    }
    let stores = number("stores").filter(|stores| (1..=STORES_MAX).contains(stores));
    let histories = number("history_families").and_then(|count| u8::try_from(count).ok());
    let histories = histories.filter(|count| (1..=HISTORIES_MAX).contains(count));
    let layout = stores.zip(histories).map(|(stores, histories)| Layout {
        format: FORMAT,
        stores,
        store: StoreId(0),
        histories,
    });
    layout
        .ok_or_else(|| {
            StoreError::io(path.display(), "the numbers of stores and history families are damaged")
        })
        .map(Some)
}
