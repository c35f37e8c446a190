//! What waits for its time, and what is under way.

use std::collections::{BTreeMap, BTreeSet};

use crate::job::Kept;
use crate::{JobId, WAITING_MAX};

/// When a job is looked at again.
#[derive(Debug)]
pub enum Again {
    /// When it is told of.
    Told,
    /// Then, milliseconds since the Unix epoch.
    At(u64),
    /// Then, with what is in no row yet.
    With(u64, Box<Kept>),
}

/// Jobs by their time.
#[derive(Debug, Default)]
pub struct Desk {
    by_time: BTreeSet<(u64, JobId)>,
    times: BTreeMap<JobId, u64>,
    /// Under way; true when it was told of meanwhile.
    under_way: BTreeMap<JobId, bool>,
    /// Of jobs that wait here. Lost with the process: then somebody may be called once more.
    kept: BTreeMap<JobId, Box<Kept>>,
    /// Something had no room: it is read again later.
    pub has_dropped: bool,
}

impl Desk {
    /// Jobs that wait.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.by_time.len()
    }

    /// Jobs that are carried out now.
    #[must_use]
    pub fn under_way(&self) -> usize {
        self.under_way.len()
    }

    /// When the first is due, milliseconds since the Unix epoch.
    #[must_use]
    pub fn next_ms(&self) -> Option<u64> {
        self.by_time.first().map(|(at_ms, _)| *at_ms)
    }

    /// A job is to be looked at then; sooner if it is known for sooner.
    pub fn set(&mut self, job: JobId, at_ms: u64) {
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

    /// The next job that is due is under way now, with what was kept of it.
    pub fn take(&mut self, now_ms: u64) -> Option<(JobId, Box<Kept>)> {
        let (_, job) = self.by_time.first().copied().filter(|(at_ms, _)| *at_ms <= now_ms)?;
        self.by_time.pop_first();
        self.times.remove(&job);
        self.under_way.insert(job, false);
        Some((job, self.kept.remove(&job).unwrap_or_default()))
    }

    /// A job is under way no more.
    pub fn ended(&mut self, job: JobId, again: Again, now_ms: u64) {
        let was_told = self.under_way.remove(&job).unwrap_or(false);
        let at_ms = match again {
            Again::Told => None,
            Again::At(at_ms) => Some(at_ms),
            Again::With(at_ms, kept) => {
                self.kept.insert(job, kept);
                Some(at_ms)
            }
        };
        // It may be another job now, or the same that waits: its row says.
        if let Some(at_ms) = if was_told { Some(now_ms) } else { at_ms } {
            self.set(job, at_ms);
        }
        if !self.times.contains_key(&job) {
            self.kept.remove(&job);
        }
    }
}

#[cfg(test)]
mod tests {
    use protocol::{ChannelId, UserId};

    use super::*;

    const JOB: JobId = (UserId(1), ChannelId(7));

    #[test]
    fn a_job_that_is_told_of_while_it_is_under_way_is_looked_at_again() {
        let mut desk = Desk::default();
        desk.set(JOB, 10);
        desk.set(JOB, 20);
        assert!(desk.take(9).is_none());
        assert!(desk.take(10).is_some_and(|(job, _)| job == JOB));
        assert_eq!((desk.waiting(), desk.under_way(), desk.next_ms()), (0, 1, None));
        desk.set(JOB, 11);
        assert!(desk.take(11).is_none(), "it is under way");
        desk.ended(JOB, Again::Told, 12);
        assert_eq!(desk.next_ms(), Some(12));
        desk.take(12).unwrap();
        desk.ended(JOB, Again::Told, 13);
        assert_eq!((desk.waiting(), desk.under_way()), (0, 0));
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
        assert!(desk.take(0).is_some_and(|(job, _)| job == (UserId(0), ChannelId(1))));
        assert_eq!(desk.waiting(), WAITING_MAX - 1);
    }

    #[test]
    fn what_is_in_no_row_is_kept_with_the_job() {
        let mut desk = Desk::default();
        desk.set(JOB, 0);
        let (_, mut kept) = desk.take(0).unwrap();
        kept.carry.refused();
        desk.ended(JOB, Again::With(5, kept), 1);
        assert_eq!(desk.next_ms(), Some(5));
        assert!(format!("{:?}", desk.take(5).unwrap().1).contains("refused: 1"));
        desk.ended(JOB, Again::At(9), 6);
        assert!(format!("{:?}", desk.take(9).unwrap().1).contains("refused: 0"));
    }
}
