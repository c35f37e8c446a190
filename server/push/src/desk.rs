//! What waits in memory for its time, and what is under way.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::limits::WAITING_MAX;
use crate::outbox::JobId;

/// What waits for its time, and what is under way.
#[derive(Debug, Default)]
pub(crate) struct Desk {
    by_time: BTreeSet<(u64, JobId)>,
    times: BTreeMap<JobId, u64>,
    /// Under way; true when it was told of meanwhile.
    under_way: BTreeMap<JobId, bool>,
    /// Something had no room: it is read again later.
    pub(crate) has_dropped: bool,
}

impl Desk {
    /// A job is to be looked at then; sooner if it is known for sooner.
    pub(crate) fn set(&mut self, job: JobId, at_ms: u64) {
        if let Some(again) = self.under_way.get_mut(&job) {
            *again = true;
            return;
        }
        if self.times.len() >= WAITING_MAX && !self.times.contains_key(&job) {
            self.has_dropped = true;
            return;
        }
        let known = self.times.get(&job).copied().unwrap_or(u64::MAX);
        if at_ms < known {
            self.by_time.remove(&(known, job));
            self.by_time.insert((at_ms, job));
            self.times.insert(job, at_ms);
        }
    }

    /// How many wait.
    pub(crate) fn waiting(&self) -> usize {
        self.by_time.len()
    }

    pub(crate) fn next(&mut self, now_ms: u64) -> Option<JobId> {
        let (_, job) = self.by_time.first().copied().filter(|(at, _)| *at <= now_ms)?;
        self.by_time.pop_first();
        self.times.remove(&job);
        self.under_way.insert(job, false);
        Some(job)
    }

    pub(crate) fn ended(&mut self, job: JobId, again: Option<u64>, now_ms: u64) {
        let was_told = self.under_way.remove(&job).unwrap_or(false);
        if was_told {
            // It may be another job now, or the same that waits: its row says.
            self.set(job, now_ms);
        } else if let Some(at_ms) = again {
            self.set(job, at_ms);
        }
    }

    pub(crate) fn wait(&self, now_ms: u64, is_full: bool) -> Duration {
        let next = self.by_time.first().filter(|_| !is_full);
        let wait = next.map_or(u64::MAX, |(at, _)| at.saturating_sub(now_ms));
        Duration::from_millis(wait.clamp(1, 1000))
    }
}

#[cfg(test)]
mod tests {
    use protocol::{ChannelId, UserId};

    use super::*;

    #[test]
    fn a_job_is_looked_at_once_at_a_time_and_the_sooner_time_holds() {
        let (mut desk, job) = (Desk::default(), (UserId(1), ChannelId(2)));
        desk.set(job, 50);
        desk.set(job, 90);
        desk.set(job, 20);
        assert_eq!((desk.waiting(), desk.next(19), desk.next(20), desk.next(99)), (1, None, Some(job), None));
        // It is told of while it is under way, and then again.
        desk.set(job, 30);
        assert_eq!(desk.next(99), None);
        desk.ended(job, None, 40);
        assert_eq!(desk.next(40), Some(job));
        desk.ended(job, None, 40);
        assert_eq!((desk.waiting(), desk.next(u64::MAX)), (0, None));
    }

    #[test]
    fn what_waits_is_bounded_and_what_had_no_room_is_read_again() {
        let mut desk = Desk::default();
        for n in 0..=WAITING_MAX as u64 {
            desk.set((UserId(n), ChannelId(1)), 1000 - n % 1000);
        }
        assert_eq!((desk.waiting(), desk.has_dropped), (WAITING_MAX, true));
        // Who is known may still change its time.
        desk.set((UserId(0), ChannelId(1)), 0);
        assert_eq!((desk.next(0), desk.waiting()), (Some((UserId(0), ChannelId(1))), WAITING_MAX - 1));
    }
}
