//! The one place that reads the clocks. Everything below gets time as an argument.

use std::time::{Instant, SystemTime, UNIX_EPOCH};

use shard::Tick;

/// One look at both clocks.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Now {
    /// Milliseconds on the monotonic clock.
    pub tick: Tick,
    /// Milliseconds since the Unix epoch; may jump.
    pub wall_ms: u64,
    /// The monotonic clock itself, finer than milliseconds: QUIC measures round trips with it.
    pub at: Instant,
}

/// The clocks of one thread.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    zero: Instant,
}

impl Clock {
    /// A clock whose monotonic zero is a second ago, so that no time is 0.
    #[must_use]
    pub fn start() -> Self {
        Self { zero: Instant::now() }
    }

    /// Now.
    #[must_use]
    pub fn now(&self) -> Now {
        let at = Instant::now();
        let elapsed = at.saturating_duration_since(self.zero).as_millis();
        let tick = Tick(u64::try_from(elapsed).unwrap_or(u64::MAX).saturating_add(1000));
        let wall = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis();
        Now { tick, wall_ms: u64::try_from(wall).unwrap_or(u64::MAX), at }
    }
}
