//! What search counts.

use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use search::Sizes;

/// Counters begin at 0 with the process; sizes are those of the last commit.
#[derive(Debug, Default)]
pub(crate) struct SearchMeter {
    searches: AtomicU64,
    cut: AtomicU64,
    spent_us: AtomicU64,
    changes: AtomicU64,
    commits: AtomicU64,
    /// Bays whose histories are still to be read.
    rebuilding: AtomicU64,
    sizes: Mutex<Sizes>,
    /// Since when the oldest change waits for its commit.
    waits: Mutex<Option<Instant>>,
}

/// All of it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Counts {
    pub(crate) searches: u64,
    pub(crate) cut: u64,
    pub(crate) spent_us: u64,
    pub(crate) changes: u64,
    pub(crate) commits: u64,
    pub(crate) rebuilding: u64,
    pub(crate) sizes: Sizes,
    pub(crate) behind: Duration,
}

impl SearchMeter {
    pub(crate) fn read(&self) -> Counts {
        let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let waits = *self.waits.lock().unwrap_or_else(PoisonError::into_inner);
        Counts {
            searches: count(&self.searches),
            cut: count(&self.cut),
            spent_us: count(&self.spent_us),
            changes: count(&self.changes),
            commits: count(&self.commits),
            rebuilding: count(&self.rebuilding),
            sizes: *self.sizes.lock().unwrap_or_else(PoisonError::into_inner),
            behind: waits.map(|since| since.elapsed()).unwrap_or_default(),
        }
    }

    pub(super) fn searched(&self, spent: Duration, is_cut: bool) {
        self.searches.fetch_add(1, Ordering::Relaxed);
        self.cut.fetch_add(is_cut.into(), Ordering::Relaxed);
        let spent_us = u64::try_from(spent.as_micros()).unwrap_or(u64::MAX);
        self.spent_us.fetch_add(spent_us, Ordering::Relaxed);
    }

    pub(super) fn changed(&self) {
        self.changes.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn waits(&self, since: Option<Instant>) {
        *self.waits.lock().unwrap_or_else(PoisonError::into_inner) = since;
    }

    pub(super) fn committed(&self) {
        self.commits.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn sized(&self, sizes: Sizes) {
        *self.sizes.lock().unwrap_or_else(PoisonError::into_inner) = sizes;
    }

    pub(super) fn rebuilds(&self, bays: usize) {
        self.rebuilding.store(bays as u64, Ordering::Relaxed);
    }
}
