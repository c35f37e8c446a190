//! The store of one data directory behind two verbs: commit and read.

use std::cell::Cell;
use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError, RwLock};

use protocol::commit::{Batch, Part, Row};
use protocol::partition::BAYS;
use protocol::query::{Answer, BayState, Query};
use protocol::{BayId, ChannelId, Generation};

use crate::apply::{self, BayWriter};
use crate::error::StoreError;
use crate::family::{Family, HISTORIES_DEFAULT};
use crate::key;
use crate::memory::MemoryRows;
use crate::owned::{Owned, Owners};
use crate::query;
use crate::rows::{Direction, Found, Rows, Tier, Unread};
use crate::value::{self, Layout, Marks, NO_MARKS};
use crate::view::{View, damaged};

/// Version of the format on disk: families, keys and values together. It rises when an older binary would misread.
pub const FORMAT: u32 = 5;
/// The oldest format that a start raises by itself: 3 is 2 with two more families, and 4 is 3 with one more, all empty at
/// first; 5 is 4 with another, and a history may begin above its first message, which an older program would take for a loss.
pub const FORMAT_RAISED: u32 = 2;

/// The store of one data directory: the rows of all 64 bays.
///
/// Reads may come from any thread. [`Self::commit`] may too, as long as the rows of a bay come from one thread at a time:
/// what waits together is then synced together. An answer holds committed facts only, but one read is not one snapshot:
/// rows of different bays are read one after the other.
#[derive(Debug)]
pub struct Store {
    rows: Box<dyn Rows>,
    owners: Owners,
    /// Messages at which a channel gets a family of its own.
    own_from: Option<u64>,
    /// Channels that have so many. The store threads put them here, and never wait for what is done about it.
    large: Mutex<BTreeSet<ChannelId>>,
    /// One change of families at a time, and none while a stored message is rewritten. Locked before `between`.
    todo: Mutex<Todo>,
    /// Commits share it; held alone where a change must stand between two of them.
    between: RwLock<()>,
    /// By bay. Held while a part is put into a write, not while that is synced.
    bays: Vec<Mutex<BayWriter>>,
    poisoned: AtomicBool,
    counts: Counts,
    /// Held for as long as the store is open.
    _lock: Option<std::fs::File>,
}

#[derive(Debug, Default)]
struct Counts {
    commits: AtomicU64,
    batches: AtomicU64,
    rows: AtomicU64,
    reads: AtomicU64,
    misses: AtomicU64,
    moved: AtomicU64,
}

/// Counters and sizes of the store. Counters begin at 0 with the process.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct StoreStats {
    /// Commits.
    pub commits: u64,
    /// Batches in them.
    pub batches: u64,
    /// Rows in them.
    pub rows: u64,
    /// Queries begun at this store.
    pub reads: u64,
    /// Queries of [`Tier::Cached`] that were not in memory.
    pub misses: u64,
    /// Bytes of rows in memory that are not yet in files.
    pub memory_bytes: u64,
    /// Bytes of live files.
    pub disk_bytes: u64,
    /// Bytes of blocks in the block cache.
    pub cache_bytes: u64,
    /// Blocks found in the block cache.
    pub cache_hits: u64,
    /// Blocks read from files.
    pub cache_misses: u64,
    /// Syncs of the write-ahead log.
    pub syncs: u64,
    /// Channels whose history has a family of its own.
    pub own_families: u64,
    /// Those of which messages are still to be moved.
    pub moving: u64,
    /// Messages moved between families.
    pub moved: u64,
}

impl Store {
    /// An empty store in memory, all generations 1.
    #[must_use]
    pub fn memory() -> Self {
        let rows = MemoryRows::new();
        let layout = Layout { format: FORMAT, histories: HISTORIES_DEFAULT };
        // Memory takes every write.
        let _ = create(&rows, layout, &[Generation(1); BAYS as usize]);
        Self::new(Box::new(rows), Owned::new(HISTORIES_DEFAULT), None)
    }

    /// The store over opened rows.
    #[cfg(feature = "rocks")]
    pub(crate) fn assemble(
        rows: Box<dyn Rows>,
        owned: Owned,
        own_from: Option<u64>,
        lock: std::fs::File,
    ) -> Result<Self, StoreError> {
        let store = Self { own_from, ..Self::new(rows, owned, Some(lock)) };
        // Whatever a move left behind before the process ended.
        let mut todo = store.todo.lock().unwrap_or_else(PoisonError::into_inner);
        store.owners.now().iter().for_each(|(channel, _)| todo.left_behind(channel));
        drop(todo);
        store.load_floors()?;
        for bay in BayId::all() {
            let writer = BayWriter {
                trimmed: fault(log_end(&store.view(Tier::Any), bay, Direction::Rising))?,
                marks: fault(marks(&store.view(Tier::Any), bay))?,
                ..BayWriter::default()
            };
            if let Some(slot) = store.writer(bay) {
                *slot.lock().unwrap_or_else(PoisonError::into_inner) = writer;
            }
        }
        Ok(store)
    }

    fn new(rows: Box<dyn Rows>, owned: Owned, lock: Option<std::fs::File>) -> Self {
        Self {
            rows,
            owners: Owners::new(owned),
            own_from: None,
            large: Mutex::default(),
            todo: Mutex::default(),
            between: RwLock::default(),
            bays: BayId::all().map(|_| Mutex::default()).collect(),
            poisoned: AtomicBool::new(false),
            counts: Counts::default(),
            _lock: lock,
        }
    }

    /// A copy that shares nothing; `None` for a store on disk. Nobody may commit meanwhile.
    #[must_use]
    pub fn copy(&self) -> Option<Self> {
        let mut copy = Self::new(self.rows.copy()?, (*self.owners.now()).clone(), None);
        copy.bays.clear();
        for bay in &self.bays {
            copy.bays.push(Mutex::new(bay.lock().unwrap_or_else(PoisonError::into_inner).clone()));
        }
        Some(copy)
    }

    /// Everything that was committed before, as files in `to`, which must not exist: a store of its own once it is opened.
    /// For backups; commits go on meanwhile.
    ///
    /// # Errors
    /// [`StoreError::Full`], [`StoreError::Io`]; also for a store in memory.
    #[cfg(feature = "rocks")]
    pub fn checkpoint(&self, to: &std::path::Path) -> Result<(), StoreError> {
        self.rows.checkpoint(to)
    }

    /// Gives one bay another generation: inbox positions and seqs above those of now may have been given before.
    ///
    /// # Errors
    /// The store cannot be written, or the bay does not exist.
    pub fn begin_life(&self, bay: BayId, generation: Generation) -> Result<(), StoreError> {
        exists(bay)?;
        self.rows.write(&mut |sink| {
            sink.put(Family::Meta, &key::generation(bay), &generation.0.to_be_bytes());
        })
    }

    /// What a shard must know of a bay before its first step.
    ///
    /// # Errors
    /// The rows cannot be read, or the bay does not exist.
    pub fn state(&self, bay: BayId) -> Result<BayState, StoreError> {
        exists(bay)?;
        fault(state(&self.view(Tier::Any), bay))
    }

    /// The same of all bays, rising.
    ///
    /// # Errors
    /// As [`Self::state`].
    pub fn states(&self) -> Result<Vec<BayState>, StoreError> {
        BayId::all().map(|bay| self.state(bay)).collect()
    }

    /// Makes batches durable in order, whole or not at all, with one synced write. Several threads may be here at once:
    /// what they bring is synced together. The rows of a bay come from one of them at a time, in order.
    ///
    /// # Errors
    /// The outcome is unknown: some of the batches, from the first on, may be found after a restart. The store is
    /// poisoned: every later commit is refused.
    pub fn commit(&self, batches: &[Batch]) -> Result<(), StoreError> {
        if self.poisoned.load(Ordering::Acquire) {
            return Err(StoreError::Poisoned);
        }
        let parts = || batches.iter().flat_map(|batch| &batch.parts);
        // A row in the wrong bay would never be found again: nothing of such a commit is written.
        if let Some((bay, what)) = parts().find_map(|part| apply::stray(part).map(|what| (part.bay, what))) {
            self.poisoned.store(true, Ordering::Release);
            return Err(StoreError::Misplaced { bay, what });
        }
        let mut scratch = Vec::new();
        // A move reads messages and writes them elsewhere: one that was rewritten or purged in between would come back as it was.
        let is_rewrite =
            |part: &Part| part.rows.iter().any(|row| matches!(row, Row::Rewrite { .. } | Row::Floor { .. }));
        let rewrites = parts().any(is_rewrite);
        let mut unmoved = rewrites.then(|| self.todo.lock().unwrap_or_else(PoisonError::into_inner));
        let _between = self.between.read().unwrap_or_else(PoisonError::into_inner);
        let owned = self.owners.now();
        let written = self.rows.write(&mut |sink| {
            for part in parts() {
                let Some(writer) = self.writer(part.bay) else { continue };
                let mut writer = writer.lock().unwrap_or_else(PoisonError::into_inner);
                apply::part(part, &owned, &mut writer, &mut scratch, sink);
            }
        });
        if written.is_err() {
            self.poisoned.store(true, Ordering::Release);
        }
        self.note_large(batches, &owned);
        if let Some(todo) = unmoved.as_mut().filter(|_| written.is_ok()) {
            self.publish_floors(todo, batches);
        }
        self.counts.commits.fetch_add(1, Ordering::Relaxed);
        self.counts.batches.fetch_add(batches.len() as u64, Ordering::Relaxed);
        let rows: usize = parts().map(|part: &Part| part.rows.len()).sum();
        self.counts.rows.fetch_add(rows as u64, Ordering::Relaxed);
        written
    }

    /// Answers a query from committed rows; `None` only for [`Tier::Cached`]: not in memory.
    ///
    /// # Errors
    /// The rows cannot be read, or contradict each other.
    pub fn read(&self, query: &Query, tier: Tier) -> Result<Option<Answer>, StoreError> {
        let counts = &self.counts;
        counts.reads.fetch_add(1, Ordering::Relaxed);
        let left = match tier {
            Tier::Cached { rows } if !query::is_short(query, rows) => {
                counts.misses.fetch_add(1, Ordering::Relaxed);
                return Ok(None);
            }
            Tier::Cached { rows } => Some(Cell::new(rows.max(1))),
            Tier::Any | Tier::Once => None,
        };
        let tier = if left.is_some() { tier } else { query::long_tier(query) };
        let view = View { left: left.as_ref(), ..self.view(tier) };
        match query::answer(&view, query) {
            Ok(answer) => Ok(Some(answer)),
            Err(Unread::Miss) => {
                counts.misses.fetch_add(1, Ordering::Relaxed);
                Ok(None)
            }
            Err(Unread::Fault(error)) => Err(error),
        }
    }

    /// Whether a write had an error, after which nothing may be acknowledged any more.
    #[must_use]
    pub fn is_poisoned(&self) -> bool {
        self.poisoned.load(Ordering::Acquire)
    }

    /// Counters and sizes.
    #[must_use]
    pub fn stats(&self) -> StoreStats {
        let (measure, owned) = (self.rows.measure(), self.owners.now());
        let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        StoreStats {
            commits: count(&self.counts.commits),
            batches: count(&self.counts.batches),
            rows: count(&self.counts.rows),
            reads: count(&self.counts.reads),
            misses: count(&self.counts.misses),
            memory_bytes: measure.memory_bytes,
            disk_bytes: measure.disk_bytes,
            cache_bytes: measure.cache_bytes,
            cache_hits: measure.cache_hits,
            cache_misses: measure.cache_misses,
            syncs: measure.syncs,
            own_families: owned.len() as u64,
            moving: owned.iter().filter(|(_, own)| own.is_moving()).count() as u64,
            moved: count(&self.counts.moved),
        }
    }

    pub(crate) fn view(&self, tier: Tier) -> View<'_> {
        View { rows: &*self.rows, owners: &self.owners, tier, left: None }
    }

    fn writer(&self, bay: BayId) -> Option<&Mutex<BayWriter>> {
        self.bays.get(usize::from(bay.0))
    }
}

fn exists(bay: BayId) -> Result<(), StoreError> {
    if bay.partitions().is_empty() {
        Err(StoreError::corrupt(Some(bay), "there is no such bay"))
    } else {
        Ok(())
    }
}

/// Writes the first rows of a new store; generations by bay.
pub(crate) fn create(
    rows: &dyn Rows,
    layout: Layout,
    generations: &[Generation; BAYS as usize],
) -> Result<(), StoreError> {
    rows.write(&mut |sink| {
        sink.put(Family::Meta, key::META_LAYOUT, &value::write_layout(layout));
        for (bay, generation) in BayId::all().zip(generations) {
            sink.put(Family::Meta, &key::generation(bay), &generation.0.to_be_bytes());
        }
    })
}

/// The outcome of a read of [`Tier::Any`], which has no miss.
pub(crate) fn fault<T>(found: Found<T>) -> Result<T, StoreError> {
    found.map_err(|unread| match unread {
        Unread::Fault(error) => error,
        Unread::Miss => {
            StoreError::Io { place: "a read".into(), what: "a miss outside the cached tier".into() }
        }
    })
}

pub(crate) fn state(view: &View<'_>, bay: BayId) -> Found<BayState> {
    let key = key::generation(bay);
    let generation = view.get_decoded(Family::Meta, &key, value::read_number)?;
    let generation = Generation(generation.ok_or_else(|| damaged(Family::Meta, &key))?);
    let fanout_head = log_end(view, bay, Direction::Falling)?;
    let fanout_tail = log_end(view, bay, Direction::Rising)?;
    Ok(BayState { bay, generation, fanout_head, fanout_tail, applied: marks(view, bay)?.to_vec() })
}

/// How far a bay has applied the logs of all.
pub(crate) fn marks(view: &View<'_>, bay: BayId) -> Found<Marks> {
    let found = view.get_decoded(Family::Applied, &key::applied(bay), value::read_marks)?;
    Ok(found.unwrap_or(NO_MARKS))
}

/// The first number of a bay's log in one direction; 0 when there is none.
pub(crate) fn log_end(view: &View<'_>, bay: BayId, direction: Direction) -> Found<u64> {
    let (lower, upper) = key::bay(bay);
    let mut found = 0;
    view.scan(Family::Fanout, (&lower, &upper), direction, &mut |key, _| {
        (_, found) = key::read_fanout(key).ok_or_else(|| damaged(Family::Fanout, key))?;
        Ok(false)
    })?;
    Ok(found)
}

mod families;
mod follow;
mod kept;
mod snapshot;
#[cfg(test)]
mod tests;

use families::Todo;
pub use families::{FamilyError, Moved, OwnFamily};
pub(crate) use follow::KEPT_ROWS_MAX;
pub use follow::{Followed, ListedTo, LogRow};
pub use kept::Keeps;
pub use snapshot::Snapshot;
