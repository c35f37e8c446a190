//! What one turn takes in before the core is stepped with it and everybody is answered. Whoever has more waits for the
//! next turn, behind those who were not looked at in this one. The model is quinn's work limiter.

use std::time::{Duration, Instant};

/// Frames that one carrier brings in a turn: one read more may come, of which each frame has 16 bytes at least.
pub(super) const FRAMES_PER_TURN: usize = 8192;
/// Bytes that one carrier brings in a turn, and one read more.
pub(super) const BYTES_PER_TURN: u64 = 1024 * 1024;
/// Time that one carrier's reads may take in a turn, and as much again the posts and the hops. It is what an ack waits for
/// beside others who never stop sending, so it is of the order of a sync of the disk.
pub(crate) const TIME_PER_TURN: Duration = Duration::from_millis(1);
/// Connections, posts or hops between two looks at the clock; of connections each may bring 64 KiB in between.
pub(crate) const LOOK_EVERY: usize = 8;

/// One carrier's share of a turn.
#[derive(Clone, Copy, Debug)]
pub(super) struct Budget {
    frames_end: usize,
    bytes_end: u64,
    until: Instant,
}

impl Budget {
    /// A share that begins with so much told and read already.
    pub(super) fn new(at: Instant, told: usize, bytes_read: u64) -> Self {
        Self {
            frames_end: told + FRAMES_PER_TURN,
            bytes_end: bytes_read + BYTES_PER_TURN,
            until: at + TIME_PER_TURN,
        }
    }

    /// Whether more may be read, by what was told and read so far.
    pub(super) fn has_room(&self, told: usize, bytes_read: u64) -> bool {
        told < self.frames_end && bytes_read < self.bytes_end
    }

    /// Whether the time is over.
    pub(super) fn is_late(&self, at: Instant) -> bool {
        at >= self.until
    }
}
