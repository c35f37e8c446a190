//! What a user may do in an hour: make groups, begin conversations, and have bytes stored. Unlike tokens, which bound what a
//! shard does at a time, these bound what is there for ever.

use protocol::hop::Consent;
use protocol::{Code, Refusal, UserId};

use crate::admit::{Bucket, Pace};
use crate::input::Tick;
use crate::invariant::impossible;
use crate::limits::Limits;
use crate::shard::Shard;

/// In an hour, and at once. A bound of 0 is none.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Quotas {
    groups: Bucket,
    directs: Bucket,
    bytes: Bucket,
}

/// What is left of an hour's quotas; `None` where there is no bound.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Left {
    /// Groups that the user may make now.
    pub groups: Option<u64>,
    /// Conversations that it may begin now.
    pub directs: Option<u64>,
    /// Bytes of messages that it may have stored now.
    pub bytes: Option<u64>,
}

impl Left {
    /// Of one who has spent nothing.
    pub(crate) fn all(limits: &Limits) -> Self {
        Quotas::default().left(limits, Tick(0))
    }
}

const HOUR_S: u32 = 3600;

/// So many times an hour. What is done once costs an hour's seconds, so that whole tokens come each second.
fn times(per_h: u32) -> Pace {
    Pace { per_s: per_h, burst: per_h.saturating_mul(HOUR_S) }
}

impl Limits {
    /// Bytes of messages of one user; `None`: any number.
    fn user_bytes(&self) -> Option<Pace> {
        let burst = self.user_mib_per_h.saturating_mul(1024 * 1024);
        (burst > 0).then(|| Pace { per_s: (burst / HOUR_S).max(1), burst })
    }
}

impl Quotas {
    /// Whether nothing is lost when they are forgotten.
    pub(crate) fn are_full(&self, now: Tick) -> bool {
        [self.groups, self.directs, self.bytes].into_iter().all(|bucket| bucket.is_full(now))
    }

    pub(crate) fn left(&self, limits: &Limits, now: Tick) -> Left {
        let times = |bucket: Bucket, per_h: u32| {
            (per_h > 0).then(|| bucket.level(times(per_h), now) / u64::from(HOUR_S))
        };
        Left {
            groups: times(self.groups, limits.user_groups_per_h),
            directs: times(self.directs, limits.user_directs_per_h),
            bytes: limits.user_bytes().map(|pace| self.bytes.level(pace, now)),
        }
    }

    /// After how many milliseconds so many bytes can be stored; 0 for now.
    pub(crate) fn bytes_wait_ms(&self, bytes: u64, limits: &Limits, now: Tick) -> u32 {
        limits.user_bytes().map_or(0, |pace| self.bytes.wait_ms(bytes, pace, now))
    }

    pub(crate) fn take_bytes(&mut self, bytes: u64, limits: &Limits, now: Tick) {
        if let Some(pace) = limits.user_bytes() {
            self.bytes.take(bytes, pace, now);
        }
    }

    /// One of so many an hour, or the seconds until there is one.
    fn take_one(bucket: &mut Bucket, per_h: u32, now: Tick) -> Result<(), u32> {
        let (pace, one) = (times(per_h), u64::from(HOUR_S));
        match bucket.wait_ms(one, pace, now) {
            _ if per_h == 0 => Ok(()),
            0 => {
                bucket.take(one, pace, now);
                Ok(())
            }
            wait_ms => Err(wait_ms.div_ceil(1000)),
        }
    }
}

impl Shard {
    /// A user makes a group. Refused for good: nothing else that the device sends has to wait for it.
    pub(crate) fn count_group(&mut self, id: UserId) -> Result<(), Refusal> {
        let (per_h, now) = (self.config.limits.user_groups_per_h, self.now);
        let Some(user) = self.users.get_mut(&id) else {
            impossible!(self, "a session of a user that is not in memory makes a group");
            return Ok(());
        };
        let taken = Quotas::take_one(&mut user.quotas().groups, per_h, now);
        taken.map_err(|wait_s| {
            self.counters.quotas_refused += 1;
            let text =
                format!("you made {per_h} groups within the hour, the most allowed; the next in {wait_s} s");
            Refusal::new(Code::Limit, "channel", text)
        })
    }

    /// A user begins a conversation: asked by the home of the direct channel before its first message.
    pub(crate) fn begins(&mut self, id: UserId) -> Consent {
        let (per_h, now) = (self.config.limits.user_directs_per_h, self.now);
        let Some(user) = self.users.get_mut(&id).filter(|user| user.account.is_some()) else {
            return Consent::NoSuchUser;
        };
        match Quotas::take_one(&mut user.quotas().directs, per_h, now) {
            Ok(()) => Consent::Given,
            Err(wait_s) => {
                self.counters.quotas_refused += 1;
                Consent::Spent { wait_s }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_spent_comes_back_within_the_hour() {
        let mut bucket = Bucket::default();
        let half_an_hour = 1_800_000;
        let mut take = |at| Quotas::take_one(&mut bucket, 2, Tick(at));
        assert_eq!((take(0), take(0), take(0)), (Ok(()), Ok(()), Err(1800)));
        assert_eq!(take(half_an_hour - 1), Err(1));
        assert_eq!((take(half_an_hour), take(half_an_hour)), (Ok(()), Err(1800)));
        assert_eq!(Quotas::take_one(&mut Bucket::default(), 0, Tick(0)), Ok(()), "0 is no bound");
    }

    #[test]
    fn what_is_left_is_told_and_no_bound_is_none() {
        let limits =
            Limits { user_groups_per_h: 2, user_directs_per_h: 0, user_mib_per_h: 1, ..Limits::default() };
        let mut quotas = Quotas::default();
        let full = Left { groups: Some(2), directs: None, bytes: Some(1 << 20) };
        assert_eq!((Left::all(&limits), quotas.left(&limits, Tick(7))), (full, full));
        Quotas::take_one(&mut quotas.groups, 2, Tick(7)).unwrap();
        quotas.take_bytes(576, &limits, Tick(7));
        let left = quotas.left(&limits, Tick(7));
        assert_eq!(left, Left { groups: Some(1), directs: None, bytes: Some((1 << 20) - 576) });
    }

    #[test]
    fn the_largest_figures_fit() {
        let limits = Limits { user_mib_per_h: 4095, ..Limits::default() };
        assert_eq!(limits.user_bytes().map(|pace| pace.burst), Some(4095 << 20));
        assert_eq!(times(1_000_000).burst, 3_600_000_000);
        let none = Limits { user_mib_per_h: 0, ..Limits::default() };
        assert_eq!(Quotas::default().bytes_wait_ms(u64::MAX, &none, Tick(0)), 0);
    }
}
