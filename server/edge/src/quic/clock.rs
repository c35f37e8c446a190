//! The one file that names the clock types which quinn-proto takes as arguments. No clock is read here.

use core::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use quinn_proto::TimeSource;

/// A point on the driver's monotonic clock, finer than milliseconds: round trips are measured with it.
pub type At = Instant;

/// Translates between the two ways in which the driver tells the time.
#[derive(Clone, Copy, Debug)]
pub(super) struct Zero {
    at: At,
    ms: u64,
}

impl Zero {
    pub(super) fn new(at: At, ms: u64) -> Self {
        Self { at, ms }
    }

    /// Milliseconds, rounded up: who waits so long does not come too early.
    pub(super) fn ms(&self, at: At) -> u64 {
        let nanos = at.saturating_duration_since(self.at).as_nanos();
        // One more, because the milliseconds of the driver are rounded down.
        self.ms.saturating_add(u64::try_from(nanos.div_ceil(1_000_000)).unwrap_or(u64::MAX)).saturating_add(1)
    }
}

/// The wall clock as the driver told it last: for the end of Retry tokens.
#[derive(Debug, Default)]
pub(super) struct Wall(AtomicU64);

impl Wall {
    pub(super) fn set(&self, wall_ms: u64) {
        self.0.store(wall_ms, Ordering::Relaxed);
    }
}

impl TimeSource for Wall {
    fn now(&self) -> SystemTime {
        UNIX_EPOCH + Duration::from_millis(self.0.load(Ordering::Relaxed))
    }
}
