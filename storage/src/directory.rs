//! The data directory around the store: its lock, its marker file, and what creating and opening it mean.
//!
//! ```text
//! LOCK                held by the process that has the directory open
//! MARU                the marker, written last when the directory is created
//! store               the RocksDB
//! ```

use std::fs::{self, File, TryLockError};
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

use protocol::limits::U53_MAX;
use protocol::partition::BAYS;
use protocol::{BayId, Generation};

use crate::error::StoreError;
use crate::family::{Family, HISTORIES_MAX};
use crate::key;
use crate::options::Options;
use crate::owned::{Own, Owned};
use crate::proof;
use crate::rocks::{RocksRows, Shared};
use crate::rows::{Direction, Rows, Tier};
use crate::store::{FORMAT, Store, create, fault};
use crate::value::{Layout, read_layout};
use crate::view::damaged;

const LOCK: &str = "LOCK";
const MARKER: &str = "MARU";
/// The RocksDB within the directory.
pub(crate) const STORE: &str = "store";

impl Store {
    /// Opens a data directory, or creates it. Returns when the recovered log is in files and the cheap proofs of loss
    /// have found nothing.
    ///
    /// # Errors
    /// [`StoreError::Locked`], [`StoreError::Older`], [`StoreError::Newer`], [`StoreError::Corrupt`] with the row that is
    /// gone or damaged, or [`StoreError::Io`].
    pub fn open(dir: &Path, options: &Options) -> Result<Self, StoreError> {
        fs::create_dir_all(dir).map_err(|error| io(dir, &error))?;
        let lock = lock(dir)?;
        let marker = read_marker(dir)?;
        let layout = match &marker {
            Some(marker) => marker.layout()?,
            None => new_layout(options)?,
        };
        let path = dir.join(STORE);
        if marker.is_some() && !path.join("CURRENT").exists() {
            let what = format!("{} is missing, the marker file promises it", path.display());
            return Err(StoreError::corrupt(None, what));
        }
        let rows = RocksRows::open(&path, layout.histories, &Shared::new(options))?;
        agree(&rows, layout, marker.is_some())?;
        if marker.is_none() {
            write_marker(dir, layout)?;
        }
        let owned = owned(&rows, layout.histories)?;
        let store = Self::assemble(Box::new(rows), owned, options.own_from, lock)?;
        proof::nothing_lost(&store.view(Tier::Any))?;
        Ok(store)
    }

    /// Gives every bay a new generation, for a directory that came back from a backup: inbox positions above the
    /// backup's were given to messages that are lost now, and will be given again. A device that holds a cursor of
    /// another generation reads its channels anew instead of believing that it missed nothing. Nobody else may use the
    /// store meanwhile. Repeatable; one that was interrupted is repeated.
    ///
    /// # Errors
    /// [`StoreError::Io`]: no random numbers, or the disk.
    pub fn renew(&self) -> Result<(), StoreError> {
        BayId::all().try_for_each(|bay| self.begin_life(bay, random_generation()?))
    }
}

pub(crate) fn io(path: &Path, error: &std::io::Error) -> StoreError {
    StoreError::io(path.display(), error)
}

/// Held until it is dropped.
pub(crate) fn lock(dir: &Path) -> Result<File, StoreError> {
    let path = dir.join(LOCK);
    let file = File::options().create(true).truncate(false).write(true).open(&path);
    let file = file.map_err(|error| io(&path, &error))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(StoreError::Locked { dir: dir.to_owned() }),
        Err(TryLockError::Error(error)) => Err(io(&path, &error)),
    }
}

pub(crate) fn new_layout(options: &Options) -> Result<Layout, StoreError> {
    let histories = options.history_families;
    if !(1..=HISTORIES_MAX).contains(&histories) {
        let what = format!("{histories} history families; must be 1 to {HISTORIES_MAX}");
        return Err(StoreError::io("options", what));
    }
    Ok(Layout { format: FORMAT, histories })
}

/// The store itself says the same as the marker; a new store is made to say so.
fn agree(rows: &RocksRows, layout: Layout, created: bool) -> Result<(), StoreError> {
    let found = fault(rows.get(Family::Meta, key::META_LAYOUT, Tier::Any))?;
    match found.as_deref().map(read_layout) {
        None if !created => {
            let mut generations = [Generation(0); BAYS as usize];
            for generation in &mut generations {
                *generation = random_generation()?;
            }
            create(rows, layout, &generations)
        }
        Some(Some(found)) if found == layout => Ok(()),
        Some(Some(found)) if found.format > FORMAT => Err(newer(found.format)),
        other => {
            let what = format!("the store says {other:?}, the directory {layout:?}");
            Err(StoreError::corrupt(None, what))
        }
    }
}

/// The channels that have a family of their own. A family that was made for one and never got it is dropped.
fn owned(rows: &RocksRows, histories: u8) -> Result<Owned, StoreError> {
    let mut owned = Owned::new(histories);
    let range = (&key::OWN_PREFIX[..], key::OWN_END);
    fault(rows.scan(Family::Meta, range, Direction::Rising, Tier::Any, &mut |key, value| {
        let row = key::read_own(key).zip(Own::decode(value.bytes()));
        let (channel, own) = row.ok_or_else(|| damaged(Family::Meta, key))?;
        owned = owned.with(channel, Some(own));
        Ok(true)
    }))?;
    let taken: Vec<Family> = owned.iter().map(|(_, own)| own.family()).collect();
    for family in Family::owns() {
        match (taken.iter().filter(|taken| **taken == family).count(), rows.has_family(family)) {
            (0, true) => rows.drop_family(family)?,
            (0, false) | (1, true) => {}
            (1, false) => {
                let what = format!("family {} is missing, and a channel's messages with it", family.name());
                return Err(StoreError::corrupt(None, what));
            }
            _ => {
                return Err(StoreError::corrupt(None, format!("two channels have family {}", family.name())));
            }
        }
    }
    Ok(owned)
}

/// 1 .. 2^53, so that browsers read it as a number.
fn random_generation() -> Result<Generation, StoreError> {
    let random = getrandom::u64().map_err(|error| StoreError::io("random numbers", error))?;
    Ok(Generation((random & U53_MAX).max(1)))
}

fn newer(found: u32) -> StoreError {
    StoreError::Newer { found, known: FORMAT }
}

/// The marker: a line `maru data, format N`, then lines `name number`. A binary of another format reads the first line
/// only.
pub(crate) struct Marker {
    path: PathBuf,
    text: String,
    pub(crate) format: u32,
}

impl Marker {
    /// The number of this name.
    pub(crate) fn number(&self, name: &str) -> Result<u16, StoreError> {
        let mut fields = self.text.lines().filter_map(|line| line.split_once(' '));
        let found = fields.find(|(field, _)| *field == name).and_then(|(_, number)| number.parse().ok());
        found.ok_or_else(|| StoreError::io(self.path.display(), format!("the number of {name} is damaged")))
    }

    /// Most families of RocksDB become slow, and none is no directory of ours.
    pub(crate) fn histories(&self) -> Result<u8, StoreError> {
        let found = u8::try_from(self.number("history_families")?).ok();
        let found = found.filter(|count| (1..=HISTORIES_MAX).contains(count));
        found.ok_or_else(|| StoreError::io(self.path.display(), "the number of history_families is damaged"))
    }

    fn layout(&self) -> Result<Layout, StoreError> {
        match self.format {
            found if found > FORMAT => Err(newer(found)),
            found if found < FORMAT => Err(StoreError::Older { found, known: FORMAT }),
            format => Ok(Layout { format, histories: self.histories()? }),
        }
    }
}

/// Replaces the marker: what it says then holds, whatever is interrupted.
pub(crate) fn write_marker(dir: &Path, layout: Layout) -> Result<(), StoreError> {
    let text = format!("maru data, format {}\nhistory_families {}\n", layout.format, layout.histories);
    let (path, new): (PathBuf, PathBuf) = (dir.join(MARKER), dir.join("MARU.new"));
    let write = || -> std::io::Result<()> {
        let mut file = File::create(&new)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        fs::rename(&new, &path)?;
        sync(dir)
    };
    write().map_err(|error| io(&path, &error))
}

/// Names that were made, changed or removed in a directory are so on stable storage.
pub(crate) fn sync(dir: &Path) -> std::io::Result<()> {
    File::open(dir)?.sync_all()
}

/// `None` where there is no data directory yet.
pub(crate) fn read_marker(dir: &Path) -> Result<Option<Marker>, StoreError> {
    let path = dir.join(MARKER);
    let text = match fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(io(&path, &error)),
    };
    let format = text.lines().next().and_then(|line| line.strip_prefix("maru data, format ")?.parse().ok());
    match format {
        Some(format) if format > 0 => Ok(Some(Marker { path, text, format })),
        _ => Err(StoreError::io(path.display(), "not the marker of a maru data directory")),
    }
}
