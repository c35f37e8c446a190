//! The data directory around the store: its lock, its marker file, and what creating and opening it mean.
//!
//! ```text
//! LOCK                held by the process that has the directory open
//! MARU                the marker, put in place last when the directory is created
//! MARU.new            the next marker; beside no MARU it says that a directory is being created
//! store               the RocksDB
//! ```
//!
//! A directory is created in an empty one alone: whoever lost the marker, or mounted something else, gets an error and no
//! second, empty store.

use std::fs::{self, DirBuilder, File, TryLockError};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::DirBuilderExt;
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
use crate::rows::{Direction, Reads, Rows, Tier};
use crate::store::{FORMAT, FORMAT_RAISED, Store, create, fault};
use crate::value::{Layout, read_layout, write_layout};
use crate::view::damaged;

const LOCK: &str = "LOCK";
const MARKER: &str = "MARU";
const NEW_MARKER: &str = "MARU.new";
/// The RocksDB within the directory.
pub(crate) const STORE: &str = "store";

impl Store {
    /// Opens a data directory, or creates it where there is none or an empty one. Returns when the recovered log is in
    /// files and the cheap proofs of loss have found nothing.
    ///
    /// # Errors
    /// [`StoreError::Locked`], [`StoreError::Older`], [`StoreError::Newer`], [`StoreError::Foreign`],
    /// [`StoreError::Corrupt`] with the row that is gone or damaged, or [`StoreError::Io`].
    pub fn open(dir: &Path, options: &Options) -> Result<Self, StoreError> {
        DirBuilder::new().recursive(true).mode(0o700).create(dir).map_err(|error| io(dir, &error))?;
        // Looked at before the marker: another process may be creating it at this moment.
        let stranger = stranger(dir)?;
        if let (Some(found), None) = (stranger, read_marker(dir)?) {
            return Err(StoreError::Foreign { dir: dir.to_owned(), found });
        }
        let lock = lock(dir)?;
        let marker = read_marker(dir)?;
        let layout = match &marker {
            Some(marker) => marker.layout()?,
            None => begin(dir, options)?,
        };
        let path = dir.join(STORE);
        if marker.is_some() && !path.join("CURRENT").exists() {
            let what = format!("{} is missing, the marker file promises it", path.display());
            return Err(StoreError::corrupt(None, what));
        }
        let rows = RocksRows::open(&path, layout.histories, &Shared::new(options))?;
        agree(&rows, layout, marker.is_some())?;
        if marker.is_none() {
            put_marker(dir)?;
        }
        raise(dir, &rows, layout)?;
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
        // Raised, and ended before the marker said so.
        Some(Some(found)) if is_raised(layout, found) => Ok(()),
        Some(Some(found)) if found.format > FORMAT => Err(newer(found.format)),
        other => {
            let what = format!("the store says {other:?}, the directory {layout:?}");
            Err(StoreError::corrupt(None, what))
        }
    }
}

/// Whether the one is the other, raised by this program or by one before it.
fn is_raised(older: Layout, found: Layout) -> bool {
    let is_newer = older.format < found.format && found.format <= FORMAT;
    older.format >= FORMAT_RAISED && is_newer && found == Layout { format: found.format, ..older }
}

/// Makes an older directory one of this format. What it lacks is there since it was opened, and empty. The store says so
/// first: a marker of the newer format never stands over a store of the older.
fn raise(dir: &Path, rows: &RocksRows, layout: Layout) -> Result<(), StoreError> {
    if layout.format == FORMAT {
        return Ok(());
    }
    let value = write_layout(Layout { format: FORMAT, ..layout });
    rows.write(&mut |sink| sink.put(Family::Meta, key::META_LAYOUT, &value))?;
    let Some(marker) = read_marker(dir)? else { return Ok(()) };
    let rest = marker.text.split_once('\n').map_or("", |(_, rest)| rest);
    write_new_marker(dir, &format!("{}\n{rest}", first_line(FORMAT)))?;
    put_marker(dir)
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
    pub(crate) text: String,
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
            found if found < FORMAT_RAISED => Err(StoreError::Older { found, known: FORMAT }),
            format => Ok(Layout { format, histories: self.histories()? }),
        }
    }
}

/// A name that no directory has which is empty or being created; `None` for one that has none. A dot begins the names of
/// whoever keeps the volume, and `lost+found` is a file system's own.
fn stranger(dir: &Path) -> Result<Option<String>, StoreError> {
    let name = |entry: std::io::Result<fs::DirEntry>| Ok(entry?.file_name().to_string_lossy().into_owned());
    let names = fs::read_dir(dir).and_then(|entries| entries.map(name).collect::<std::io::Result<Vec<_>>>());
    let names = names.map_err(|error| io(dir, &error))?;
    let is_begun = names.iter().any(|name| name == NEW_MARKER);
    let is_known = |name: &str| {
        name.starts_with('.')
            || ["lost+found", LOCK, NEW_MARKER].contains(&name)
            || (is_begun && name == STORE)
    };
    Ok(names.into_iter().filter(|name| !is_known(name)).min())
}

/// From here on the directory is being created, with the layout of an earlier try if there was one.
fn begin(dir: &Path, options: &Options) -> Result<Layout, StoreError> {
    if let Ok(Some(marker)) = read_marker_at(dir.join(NEW_MARKER)) {
        return marker.layout();
    }
    let layout = new_layout(options)?;
    write_new_marker(dir, &marker_text(layout))?;
    Ok(layout)
}

/// Replaces the marker: what it says then holds, whatever is interrupted.
pub(crate) fn write_marker(dir: &Path, layout: Layout) -> Result<(), StoreError> {
    write_new_marker(dir, &marker_text(layout))?;
    put_marker(dir)
}

fn marker_text(layout: Layout) -> String {
    format!("{}\nhistory_families {}\n", first_line(layout.format), layout.histories)
}

fn first_line(format: u32) -> String {
    format!("maru data, format {format}")
}

/// The next marker is on stable storage, under its own name.
pub(crate) fn write_new_marker(dir: &Path, text: &str) -> Result<(), StoreError> {
    let path = dir.join(NEW_MARKER);
    let write = || -> std::io::Result<()> {
        let mut file = File::create(&path)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        sync(dir)
    };
    write().map_err(|error| io(&path, &error))
}

/// The next marker is the marker.
pub(crate) fn put_marker(dir: &Path) -> Result<(), StoreError> {
    let path = dir.join(MARKER);
    fs::rename(dir.join(NEW_MARKER), &path).and_then(|()| sync(dir)).map_err(|error| io(&path, &error))
}

/// Names that were made, changed or removed in a directory are so on stable storage.
pub(crate) fn sync(dir: &Path) -> std::io::Result<()> {
    File::open(dir)?.sync_all()
}

/// `None` where there is no data directory yet.
pub(crate) fn read_marker(dir: &Path) -> Result<Option<Marker>, StoreError> {
    read_marker_at(dir.join(MARKER))
}

fn read_marker_at(path: PathBuf) -> Result<Option<Marker>, StoreError> {
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
