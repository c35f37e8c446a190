//! Ids of users and devices: 41 bits of milliseconds since 2026-01-01, 10 bits of node, 12 bits of sequence.
//!
//! An id is never made twice, whatever the clock does and whoever else uses the same database: a process first takes
//! a window of time that nobody had, in one SQL statement, and makes ids from it only. A clock that steps back makes
//! ids whose time runs ahead of it, nothing worse.

use std::sync::{Mutex, PoisonError};

/// Milliseconds from the Unix epoch to 2026-01-01T00:00:00Z.
pub const EPOCH_MS: u64 = 1_767_225_600_000;
/// Milliseconds in a window. Small, so that a tool that makes one id pushes time ahead by no more than this.
pub const WINDOW_MS: u64 = 1000;

const TIME_BITS: u32 = 41;
const NODE_BITS: u32 = 10;
const SEQUENCE_BITS: u32 = 12;
/// Highest node number.
pub const NODE_MAX: u16 = (1 << NODE_BITS) - 1;

const _: () = assert!(TIME_BITS + NODE_BITS + SEQUENCE_BITS == 63);

/// Makes ids within the windows it is given. Numbers here are milliseconds since [`EPOCH_MS`].
#[derive(Debug)]
pub struct Snowflake {
    node: u16,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    /// The next id's time and sequence as one number, so that a full sequence carries into the time.
    next: u64,
    /// Exclusive end of the window, in milliseconds.
    end_ms: u64,
}

impl Snowflake {
    /// A maker without a window.
    #[must_use]
    pub fn new(node: u16) -> Self {
        Self { node: node.min(NODE_MAX), state: Mutex::new(State { next: 0, end_ms: 0 }) }
    }

    /// The next id, or `None` when the window is used up or lies wholly before `now_ms`.
    #[must_use]
    pub fn next(&self, now_ms: u64) -> Option<u64> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let next = state.next.max(now_ms << SEQUENCE_BITS);
        let time_ms = next >> SEQUENCE_BITS;
        if time_ms >= state.end_ms || time_ms >> TIME_BITS != 0 {
            return None;
        }
        state.next = next + 1;
        let sequence = next & ((1 << SEQUENCE_BITS) - 1);
        Some(time_ms << (NODE_BITS + SEQUENCE_BITS) | u64::from(self.node) << SEQUENCE_BITS | sequence)
    }

    /// Takes a window that nobody else has. What was left of the one before is given up.
    pub fn take_window(&self, begin_ms: u64, end_ms: u64) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        // Two requests may have taken a window at once; ids of the later one are all above the earlier one's.
        if end_ms > state.end_ms {
            state.next = begin_ms << SEQUENCE_BITS;
            state.end_ms = end_ms;
        }
    }

    /// The node number in every id.
    #[must_use]
    pub fn node(&self) -> u16 {
        self.node
    }
}

/// Milliseconds since [`EPOCH_MS`]; 0 for a clock before it.
#[must_use]
pub fn since_epoch(unix_ms: u64) -> u64 {
    unix_ms.saturating_sub(EPOCH_MS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_layout() {
        let ids = Snowflake::new(5);
        ids.take_window(7, 8);
        assert_eq!(ids.next(7), Some(7 << 22 | 5 << 12));
        assert_eq!(ids.next(7), Some(7 << 22 | 5 << 12 | 1));
        let last = Snowflake::new(NODE_MAX);
        last.take_window((1 << 41) - 1, 1 << 41);
        let id = last.next((1 << 41) - 1).unwrap();
        assert_eq!(id >> 63, 0);
        assert_eq!(id, ((1 << 51) - 1) << 12);
    }

    #[test]
    fn a_clock_that_steps_back_makes_no_id_twice() {
        let ids = Snowflake::new(0);
        ids.take_window(100, 110);
        let mut seen = std::collections::HashSet::new();
        for now_ms in [105, 104, 50, 105, 0, 109, 100] {
            for _ in 0..3000 {
                let Some(id) = ids.next(now_ms) else { break };
                assert!(seen.insert(id), "{id} twice");
            }
        }
        assert!(ids.next(110).is_none());
    }

    #[test]
    fn a_window_ends() {
        let ids = Snowflake::new(0);
        assert!(ids.next(1).is_none());
        ids.take_window(10, 12);
        assert_eq!((0..10_000).filter_map(|_| ids.next(0)).count(), 2 * 4096);
        ids.take_window(12, 13);
        assert_eq!(ids.next(0), Some(12 << 22));
        // An older window that arrives late is not used.
        ids.take_window(11, 12);
        assert_eq!(ids.next(0), Some(12 << 22 | 1));
    }
}
