//! The K stores of one data directory behind two verbs: commit and read.

use std::cell::Cell;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use protocol::commit::Batch;
use protocol::partition::STORES_MAX;
use protocol::query::{Answer, Query, StoreState};
use protocol::{Generation, Placement, StoreId};

use crate::apply::{self, Apply};
use crate::error::StoreError;
use crate::family::{Family, HISTORIES_DEFAULT};
use crate::key;
use crate::memory::MemoryRows;
use crate::query;
use crate::rows::{Direction, Found, Rows, Tier, Unread};
use crate::value::{self, Layout};
use crate::view::{View, damaged};

/// Version of the format on disk: families, keys and values together. It rises when an older binary would misread.
pub(crate) const FORMAT: u32 = 1;

/// All stores of one data directory.
///
/// Reads may come from any thread. Each store has one writer, which calls [`Self::commit`]. An answer holds committed
/// facts only, but one read is not one snapshot: rows of different stores are read one after the other.
#[derive(Debug)]
pub struct Stores {
    stores: Vec<Store>,
    placement: Placement,
    histories: u8,
    /// Held for as long as the stores are open.
    _lock: Option<std::fs::File>,
}

/// One store.
#[derive(Debug)]
pub(crate) struct Store {
    pub(crate) rows: Box<dyn Rows>,
    writer: Mutex<Writer>,
    counts: Counts,
}

#[derive(Clone, Debug, Default)]
struct Writer {
    poisoned: bool,
    trimmed: u64,
    scratch: Vec<u8>,
}

#[derive(Debug, Default)]
struct Counts {
    commits: AtomicU64,
    batches: AtomicU64,
    rows: AtomicU64,
    reads: AtomicU64,
    misses: AtomicU64,
}

/// Counters and sizes of one store. Counters begin at 0 with the process.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct StoreStats {
    /// Which store.
    pub store: StoreId,
    /// Synced writes.
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
    /// Blocks found in the block cache.
    pub cache_hits: u64,
    /// Blocks read from files.
    pub cache_misses: u64,
    /// Syncs of the write-ahead log.
    pub syncs: u64,
}

impl Stores {
    /// `stores` (1 ..= 64, clamped) empty stores in memory, generation 1.
    #[must_use]
    pub fn memory(stores: u16) -> Self {
        let count = stores.clamp(1, STORES_MAX);
        let all = (0..count).map(|number| {
            let rows = MemoryRows::new(HISTORIES_DEFAULT);
            let layout = Layout {
                format: FORMAT,
                stores: count,
                store: StoreId(number),
                histories: HISTORIES_DEFAULT,
            };
            // Memory takes every write.
            let _ = create(&rows, layout, Generation(1));
            Store::new(Box::new(rows), 0)
        });
        let stores: Vec<_> = all.collect();
        let placement = Placement::new(count, 1).unwrap_or_else(|| unreachable!("clamped above"));
        Self { stores, placement, histories: HISTORIES_DEFAULT, _lock: None }
    }

    /// Puts opened stores together.
    #[cfg(feature = "rocks")]
    pub(crate) fn assemble(
        rows: Vec<Box<dyn Rows>>,
        histories: u8,
        lock: std::fs::File,
    ) -> Result<Self, StoreError> {
        let count = u16::try_from(rows.len()).ok().and_then(|count| Placement::new(count, 1));
        let placement = count.ok_or_else(|| StoreError::io("stores", format!("{} stores", rows.len())))?;
        let stores = rows.into_iter().map(|rows| Store::new(rows, 0)).collect();
        let stores = Self { stores, placement, histories, _lock: Some(lock) };
        for number in 0..stores.count() {
            let tail = stores.state(StoreId(number))?.fanout_tail;
            stores.store(StoreId(number))?.writer().trimmed = tail;
        }
        Ok(stores)
    }

    /// A copy that shares nothing; `None` for stores on disk.
    #[must_use]
    pub fn copy(&self) -> Option<Self> {
        let mut stores = Vec::with_capacity(self.stores.len());
        for store in &self.stores {
            let copy = Store::new(store.rows.copy()?, 0);
            *copy.writer() = store.writer().clone();
            stores.push(copy);
        }
        Some(Self { stores, placement: self.placement, histories: self.histories, _lock: None })
    }

    /// Gives one store another generation: inbox positions and seqs above those of now may have been given before.
    ///
    /// # Errors
    /// The store cannot be written, or does not exist.
    pub fn begin_life(&self, store: StoreId, generation: Generation) -> Result<(), StoreError> {
        let rows = fault(self.view(Tier::Any).rows(store))?;
        rows.write(&mut |sink| sink.put(Family::Meta, key::META_GENERATION, &generation.0.to_be_bytes()))
    }

    /// Number of stores, K.
    #[must_use]
    pub fn count(&self) -> u16 {
        self.placement.stores()
    }

    /// What a shard must know of a store before its first step.
    ///
    /// # Errors
    /// The store cannot be read, or does not exist.
    pub fn state(&self, store: StoreId) -> Result<StoreState, StoreError> {
        fault(state(&self.view(Tier::Any), store))
    }

    /// Makes batches durable in order, whole or not at all, with one synced write. Only the store's one writer calls it.
    ///
    /// # Errors
    /// The outcome is unknown: some of the batches, from the first on, may be found after a restart. The store is
    /// poisoned: every later commit is refused.
    pub fn commit(&self, store: StoreId, batches: &[Batch]) -> Result<(), StoreError> {
        let Store { rows, counts, .. } = self.store(store)?;
        let mut writer = self.store(store)?.writer();
        if writer.poisoned {
            return Err(StoreError::Poisoned { store });
        }
        // A row in the wrong store would never be found again: nothing of such a commit is written.
        let strays = batches.iter().find_map(|batch| apply::stray(self.placement, store, batch));
        if let Some(what) = strays {
            writer.poisoned = true;
            return Err(StoreError::Misplaced { store, what });
        }
        let Writer { trimmed, scratch, .. } = &mut *writer;
        let mut apply = Apply { histories: self.histories, trimmed };
        let written = rows.write(&mut |sink| {
            for batch in batches {
                apply.batch(batch, scratch, sink);
            }
        });
        writer.poisoned = written.is_err();
        counts.commits.fetch_add(1, Ordering::Relaxed);
        counts.batches.fetch_add(batches.len() as u64, Ordering::Relaxed);
        let rows: usize = batches.iter().map(|batch| batch.rows.len()).sum();
        counts.rows.fetch_add(rows as u64, Ordering::Relaxed);
        written
    }

    /// Answers a query from committed rows; `None` only for [`Tier::Cached`]: not in memory.
    ///
    /// # Errors
    /// The rows cannot be read, or contradict each other.
    pub fn read(&self, query: &Query, tier: Tier) -> Result<Option<Answer>, StoreError> {
        let counts = self.store(self.place(query)).map(|store| &store.counts)?;
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

    /// Counters and sizes, one entry a store.
    #[must_use]
    pub fn stats(&self) -> Vec<StoreStats> {
        let one = |(number, store): (u16, &Store)| {
            let measure = store.rows.measure();
            let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
            StoreStats {
                store: StoreId(number),
                commits: count(&store.counts.commits),
                batches: count(&store.counts.batches),
                rows: count(&store.counts.rows),
                reads: count(&store.counts.reads),
                misses: count(&store.counts.misses),
                memory_bytes: measure.memory_bytes,
                disk_bytes: measure.disk_bytes,
                cache_hits: measure.cache_hits,
                cache_misses: measure.cache_misses,
                syncs: measure.syncs,
            }
        };
        (0..).zip(&self.stores).map(one).collect()
    }

    pub(crate) fn view(&self, tier: Tier) -> View<'_> {
        let (placement, histories) = (self.placement, self.histories);
        View { stores: &self.stores, placement, histories, tier, left: None }
    }

    fn store(&self, store: StoreId) -> Result<&Store, StoreError> {
        let found = self.stores.get(usize::from(store.0));
        found.ok_or_else(|| StoreError::corrupt(store, "no such store in this directory"))
    }

    /// The store at which answering a query begins.
    fn place(&self, query: &Query) -> StoreId {
        match query {
            Query::User(user) | Query::Inbox { user, .. } | Query::Joined { user, .. } => {
                self.placement.user_store(*user)
            }
            Query::Channel(channel)
            | Query::Window { channel, .. }
            | Query::History { channel, .. }
            | Query::Membership { channel, .. }
            | Query::Earlier { channel, .. } => self.placement.channel_store(*channel),
            Query::Replay { source, .. } => *source,
        }
    }
}

impl Store {
    fn new(rows: Box<dyn Rows>, trimmed: u64) -> Self {
        let writer = Writer { trimmed, ..Writer::default() };
        Self { rows, writer: Mutex::new(writer), counts: Counts::default() }
    }

    fn writer(&self) -> std::sync::MutexGuard<'_, Writer> {
        self.writer.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Writes the first rows of a new store.
pub(crate) fn create(rows: &dyn Rows, layout: Layout, generation: Generation) -> Result<(), StoreError> {
    rows.write(&mut |sink| {
        sink.put(Family::Meta, key::META_LAYOUT, &value::write_layout(layout));
        sink.put(Family::Meta, key::META_GENERATION, &generation.0.to_be_bytes());
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

pub(crate) fn state(view: &View<'_>, store: StoreId) -> Found<StoreState> {
    let rows = view.rows(store)?;
    let generation = rows.get(Family::Meta, key::META_GENERATION, view.tier)?;
    let generation = generation.as_deref().and_then(value::read_number);
    let generation = generation.ok_or_else(|| damaged(store, Family::Meta, key::META_GENERATION))?;
    let end = |direction| -> Found<u64> {
        let mut number = 0;
        let bounds: (&[u8], &[u8]) = (&key::START, &key::END);
        rows.scan(Family::Fanout, bounds, direction, view.tier, &mut |key, _| {
            number = key::read_fanout(key).ok_or_else(|| damaged(store, Family::Fanout, key))?;
            Ok(false)
        })?;
        Ok(number)
    };
    let (fanout_head, fanout_tail) = (end(Direction::Falling)?, end(Direction::Rising)?);
    let mut applied = Vec::new();
    let bounds: (&[u8], &[u8]) = (&key::START, &key::END);
    rows.scan(Family::Applied, bounds, Direction::Rising, view.tier, &mut |key, value| {
        let row = key::read_applied(key).zip(value::read_number(value.bytes()));
        applied.push(row.ok_or_else(|| damaged(store, Family::Applied, key))?);
        Ok(true)
    })?;
    Ok(StoreState { store, generation: Generation(generation), fanout_head, fanout_tail, applied })
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use protocol::UserId;
    use protocol::commit::{AccountRow, Row};

    use super::*;
    use crate::rows::{Measure, Sink, Visit};

    /// Rows whose disk is full.
    #[derive(Debug)]
    struct FullRows(MemoryRows);

    impl Rows for FullRows {
        fn get(&self, family: Family, key: &[u8], tier: Tier) -> Found<Option<Bytes>> {
            self.0.get(family, key, tier)
        }

        fn scan(
            &self,
            family: Family,
            bounds: (&[u8], &[u8]),
            direction: Direction,
            tier: Tier,
            visit: &mut Visit<'_>,
        ) -> Found<()> {
            self.0.scan(family, bounds, direction, tier, visit)
        }

        fn write(&self, _fill: &mut dyn FnMut(&mut dyn Sink)) -> Result<(), StoreError> {
            Err(StoreError::Full { store: StoreId(0), what: "No space left on device".into() })
        }

        fn measure(&self) -> Measure {
            self.0.measure()
        }

        fn copy(&self) -> Option<Box<dyn Rows>> {
            None
        }
    }

    #[test]
    fn a_row_for_another_store_is_never_written() {
        let stores = Stores::memory(2);
        let user =
            |store| (1..).map(UserId).find(|user| stores.placement.user_store(*user) == store).unwrap();
        let account = |user| Row::Account { user, row: AccountRow::default() };
        let own = Batch { store: StoreId(0), number: 1, rows: vec![account(user(StoreId(0)))] };
        let strays = [
            Batch { store: StoreId(0), number: 2, rows: vec![account(user(StoreId(1)))] },
            Batch { store: StoreId(1), number: 2, rows: vec![account(user(StoreId(1)))] },
        ];
        for stray in strays {
            let stores = Stores::memory(2);
            let error = stores.commit(StoreId(0), &[own.clone(), stray]).unwrap_err();
            assert!(matches!(error, StoreError::Misplaced { store: StoreId(0), .. }), "{error}");
            for store in [StoreId(0), StoreId(1)] {
                let found = stores.read(&Query::User(user(store)), Tier::Any).unwrap();
                assert!(matches!(found, Some(Answer::User { account: None, .. })), "{found:?}");
            }
            let poisoned = stores.commit(StoreId(0), std::slice::from_ref(&own));
            assert_eq!(poisoned, Err(StoreError::Poisoned { store: StoreId(0) }));
        }
    }

    #[test]
    fn an_error_of_a_commit_poisons_its_store() {
        let mut stores = Stores::memory(2);
        let user =
            |store| (1..).map(UserId).find(|user| stores.placement.user_store(*user) == store).unwrap();
        let batch = |store| {
            let rows = vec![Row::Account { user: user(store), row: AccountRow::default() }];
            Batch { store, number: 1, rows }
        };
        let (first, second) = (batch(StoreId(0)), batch(StoreId(1)));
        let whole = std::mem::replace(&mut stores.stores[0].rows, Box::new(FullRows(MemoryRows::new(4))));
        let commit = |stores: &Stores, batch: &Batch| stores.commit(batch.store, std::slice::from_ref(batch));
        assert!(matches!(commit(&stores, &first), Err(StoreError::Full { .. })));
        // Even when the disk has space again: what the failed write left behind is unknown.
        stores.stores[0].rows = whole;
        assert_eq!(commit(&stores, &first), Err(StoreError::Poisoned { store: StoreId(0) }));
        // The other store goes on until the process ends, and reading goes on.
        assert_eq!(commit(&stores, &second), Ok(()));
        assert!(stores.state(StoreId(0)).is_ok());
    }
}
