//! Search: a thread that follows what is committed into an index of its own, and answers from it.
//!
//! Nothing waits for it. A store thread says behind a commit which bays have grown, which is one bit; the thread reads the
//! fan-out logs from where the index stands. The index keeps how far it goes together with its documents, so a crash is
//! followed by a replay. Where a log does not reach back (the index is new, was removed, or is too far behind), the thread
//! compares the heads of the bay's channels with what it finds in the index and reads the histories between.

pub(crate) mod answers;
mod change;
mod floors;
mod follower;
mod heal;
mod meter;

use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use protocol::commit::{Batch, Row};
use protocol::{BayId, ChannelId, Seq, UserId};
use search::limits::{CHANNELS_MAX, SEARCH_MS};
use search::{Asked, Finder, Found, IndexError, Readable};
use storage::{Store, StoreError};

pub(crate) use meter::SearchMeter;

use follower::Follower;

/// Its directory within the data directory. It may be removed whenever the server is stopped.
pub const DIRECTORY: &str = "search";
/// Channels whose stays are read at a time.
const STAYS_PAGE: usize = 512;

/// Why a search is not answered.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Unanswered {
    /// The index is being made anew.
    #[error("the index cannot be read and is being made anew")]
    Away,
    /// It cannot be read.
    #[error("{0}")]
    Index(#[from] IndexError),
    /// The store cannot.
    #[error("{0}")]
    Store(#[from] StoreError),
}

/// What the follower and those who search share.
#[derive(Debug)]
struct Shared {
    data: Arc<Store>,
    /// Channels of which messages were purged since, and what is left of each begins here.
    purged: Mutex<BTreeMap<ChannelId, Seq>>,
    /// Bays that have grown since they were looked at, a bit each.
    grown: AtomicU64,
    wakes: SyncSender<()>,
    finder: RwLock<Option<Finder>>,
    is_ending: AtomicBool,
    /// Somebody wants the index made anew.
    is_unwanted: AtomicBool,
    /// It turned out that it cannot be read.
    is_damaged: AtomicBool,
    meter: SearchMeter,
}

impl Shared {
    fn wake(&self) {
        // One that has not been taken yet is enough.
        let _ = self.wakes.try_send(());
    }

    fn set_finder(&self, finder: Option<Finder>) {
        *self.finder.write().unwrap_or_else(PoisonError::into_inner) = finder;
    }
}

/// Search of one node. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Search(Arc<Shared>);

/// The thread.
#[derive(Debug)]
pub(crate) struct Following {
    search: Search,
    thread: JoinHandle<()>,
}

impl Following {
    /// Ends it; what it has taken is committed.
    pub(crate) fn end(self) {
        self.search.0.is_ending.store(true, Ordering::Release);
        self.search.0.wake();
        // A thread that panicked has ended the process already.
        let _ = self.thread.join();
    }
}

impl Search {
    /// Starts it on a data directory, before anything is committed: from here on logs are kept until they have been followed.
    /// `may_write` says whether the disk has room.
    ///
    /// # Errors
    /// The system has no thread left, or the directory cannot be written.
    pub(crate) fn start(
        data: &Arc<Store>,
        directory: &Path,
        may_write: impl Fn(u64) -> bool + Send + 'static,
    ) -> io::Result<(Self, Following)> {
        let (wakes, woken) = sync_channel(1);
        let search = Self(Arc::new(Shared {
            data: data.clone(),
            purged: Mutex::default(),
            grown: AtomicU64::new(u64::MAX),
            wakes,
            finder: RwLock::default(),
            is_ending: AtomicBool::new(false),
            is_unwanted: AtomicBool::new(false),
            is_damaged: AtomicBool::new(false),
            meter: SearchMeter::default(),
        }));
        let place = directory.join(DIRECTORY);
        let follower = Follower::open(search.0.clone(), place, Box::new(may_write));
        let follower = follower.map_err(|error| io::Error::other(error.to_string()))?;
        let thread = std::thread::Builder::new().name("search".into()).spawn(move || follower.run(&woken))?;
        Ok((search.clone(), Following { search, thread }))
    }

    /// Batches were committed: their bays have grown. Waits for nothing.
    pub(crate) fn committed(&self, batches: &[Batch]) {
        for row in batches.iter().flat_map(|batch| &batch.parts).flat_map(|part| &part.rows) {
            if let Row::Floor { channel, row, .. } = row {
                self.purged(*channel, row.below);
            }
        }
        let parts = batches.iter().flat_map(|batch| &batch.parts);
        let grown = parts.filter(|part| part.rows.iter().any(|row| matches!(row, Row::Fanout { .. })));
        let bits = grown.fold(0, |bits, part| bits | bit(part.bay));
        if bits != 0 && self.0.grown.fetch_or(bits, Ordering::AcqRel) == 0 {
            self.0.wake();
        }
    }

    /// Messages of a channel are to leave the index. They are shown to nobody any more in any case.
    fn purged(&self, channel: ChannelId, below: Seq) {
        self.0.purged.lock().unwrap_or_else(PoisonError::into_inner).insert(channel, below);
        self.0.wake();
    }

    /// Makes the index anew, from the histories; it goes on by itself.
    pub(crate) fn rebuild(&self) {
        self.0.is_unwanted.store(true, Ordering::Release);
        self.0.wake();
    }

    /// What is counted.
    pub(crate) fn meter(&self) -> &SearchMeter {
        &self.0.meter
    }

    /// Answers a search of a user. Reads the store and the index: for a thread that may wait.
    pub(crate) fn find(&self, user: UserId, asked: &Asked) -> Result<Found, Unanswered> {
        let began = Instant::now();
        let finder = self.0.finder.read().unwrap_or_else(PoisonError::into_inner).clone();
        let finder = finder.ok_or(Unanswered::Away)?;
        let (readable, is_all) = self.readable(user, asked.channel)?;
        let until = began + Duration::from_millis(SEARCH_MS);
        let found = finder.find(asked, &readable, until).inspect_err(|error| {
            if error.is_damage() {
                tracing::error!(%error, "the search index cannot be read; it is made anew");
                self.0.is_damaged.store(true, Ordering::Release);
                self.0.set_finder(None);
                self.0.wake();
            }
        })?;
        let mut hits = Vec::with_capacity(found.hits.len());
        for hit in found.hits {
            // The index hears of a recall a little later than the store.
            let is_recalled = self.0.data.is_recalled(hit.channel, hit.seq)?;
            hits.extend((!is_recalled).then_some(hit));
        }
        let found = Found { hits, is_cut: found.is_cut || !is_all, ..found };
        self.0.meter.searched(began.elapsed(), found.is_cut);
        Ok(found)
    }

    /// Where a user may look, as the store says now; and whether that is everywhere.
    fn readable(&self, user: UserId, channel: Option<ChannelId>) -> Result<(Readable, bool), StoreError> {
        let mut readable = Readable::default();
        if let Some(channel) = channel {
            readable.add(channel, self.0.data.stays_in(user, channel)?);
            return Ok((readable, true));
        }
        let (mut after, mut more, mut channels) = (ChannelId(0), true, 0);
        while more && channels < CHANNELS_MAX {
            let page;
            (page, more) = self.0.data.stays(user, after, STAYS_PAGE)?;
            channels += page.len();
            for (channel, stays) in page {
                after = channel;
                readable.add(channel, stays);
            }
        }
        Ok((readable, !more))
    }
}

fn bit(bay: BayId) -> u64 {
    1u64.checked_shl(bay.0.into()).unwrap_or_default()
}

#[cfg(test)]
mod tests;
