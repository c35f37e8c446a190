//! Deadlines that all lie equally far ahead when they are set: a queue in order of time, without a heap.

use std::collections::VecDeque;

use shard::ConnId;

/// The queue. An entry whose connection is gone or has another deadline is stale; who takes it finds out.
#[derive(Debug, Default)]
pub(super) struct Timers {
    queue: VecDeque<(u64, ConnId)>,
}

impl Timers {
    /// Adds a deadline that is not before any other.
    pub(super) fn push(&mut self, deadline_ms: u64, conn: ConnId) {
        self.queue.push_back((deadline_ms, conn));
    }

    /// The first connection whose deadline is due.
    pub(super) fn pop_due(&mut self, now_ms: u64) -> Option<ConnId> {
        let &(deadline_ms, _) = self.queue.front()?;
        if deadline_ms > now_ms { None } else { self.pop() }
    }

    /// The first connection, due or not.
    pub(super) fn pop(&mut self) -> Option<ConnId> {
        self.queue.pop_front().map(|(_, conn)| conn)
    }

    /// Drops stale entries when there are more than `most`: of many that came and went.
    pub(super) fn tidy(&mut self, most: usize, is_stale: impl Fn(ConnId, u64) -> bool) {
        if self.queue.len() > most {
            self.queue.retain(|(deadline_ms, conn)| !is_stale(*conn, *deadline_ms));
        }
    }

    /// The first deadline, after dropping stale entries before it.
    pub(super) fn next(&mut self, is_stale: impl Fn(ConnId, u64) -> bool) -> Option<u64> {
        while let Some(&(deadline_ms, conn)) = self.queue.front() {
            if !is_stale(conn, deadline_ms) {
                return Some(deadline_ms);
            }
            self.queue.pop_front();
        }
        if self.queue.capacity() > 4096 {
            self.queue = VecDeque::new();
        }
        None
    }
}
