//! What a user may do in an hour: make groups, begin conversations, and have bytes stored. Unlike tokens, which bound what a
//! shard does at a time, these bound what is there for ever.

use protocol::commit::{Quota, Row};
use protocol::hop::Consent;
use protocol::{Code, Refusal, UserId};

use crate::admit::{Bucket, Pace};
use crate::input::{CommandError, Tick};
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

/// What one user may do in an hour: its own bounds, and the settings' where it has none.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Bounds {
    groups_per_h: u32,
    directs_per_h: u32,
    mib_per_h: u32,
}

impl Bounds {
    pub(crate) fn of(quota: Quota, limits: &Limits) -> Self {
        Self {
            groups_per_h: quota.groups_per_h.get().unwrap_or(limits.user_groups_per_h),
            directs_per_h: quota.directs_per_h.get().unwrap_or(limits.user_directs_per_h),
            mib_per_h: quota.mib_per_h.get().unwrap_or(limits.user_mib_per_h),
        }
    }

    /// Bytes of messages; `None`: any number.
    fn bytes(self) -> Option<Pace> {
        let burst = self.mib_per_h.saturating_mul(1024 * 1024);
        (burst > 0).then(|| Pace { per_s: (burst / HOUR_S).max(1), burst })
    }
}

impl Left {
    /// Of one who has spent nothing.
    pub fn all(quota: Quota, limits: &Limits) -> Self {
        Quotas::default().left(Bounds::of(quota, limits), Tick(0))
    }
}

const HOUR_S: u32 = 3600;

/// So many times an hour. What is done once costs an hour's seconds, so that whole tokens come each second.
fn times(per_h: u32) -> Pace {
    Pace { per_s: per_h, burst: per_h.saturating_mul(HOUR_S) }
}

impl Quotas {
    /// Whether nothing is lost when they are forgotten.
    pub(crate) fn are_full(&self, now: Tick) -> bool {
        [self.groups, self.directs, self.bytes].into_iter().all(|bucket| bucket.is_full(now))
    }

    pub(crate) fn left(&self, bounds: Bounds, now: Tick) -> Left {
        let times = |bucket: Bucket, per_h: u32| {
            (per_h > 0).then(|| bucket.level(times(per_h), now) / u64::from(HOUR_S))
        };
        Left {
            groups: times(self.groups, bounds.groups_per_h),
            directs: times(self.directs, bounds.directs_per_h),
            bytes: bounds.bytes().map(|pace| self.bytes.level(pace, now)),
        }
    }

    /// After how many milliseconds so many bytes can be stored; 0 for now.
    pub(crate) fn bytes_wait_ms(&self, bytes: u64, bounds: Bounds, now: Tick) -> u32 {
        bounds.bytes().map_or(0, |pace| self.bytes.wait_ms(bytes, pace, now))
    }

    pub(crate) fn take_bytes(&mut self, bytes: u64, bounds: Bounds, now: Tick) {
        if let Some(pace) = bounds.bytes() {
            self.bytes.take(bytes, pace, now);
        }
    }

    /// The bounds become others: what was spent stays spent. Nothing is counted while there is no bound.
    fn rebound(&mut self, old: Bounds, new: Bounds, now: Tick) {
        let some = |per_h| (per_h > 0).then(|| times(per_h));
        for (bucket, paces) in [
            (&mut self.groups, some(old.groups_per_h).zip(some(new.groups_per_h))),
            (&mut self.directs, some(old.directs_per_h).zip(some(new.directs_per_h))),
            (&mut self.bytes, old.bytes().zip(new.bytes())),
        ] {
            if let Some((old, new)) = paces {
                *bucket = bucket.at_pace(new, old, now);
            }
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
    /// What an operator lets a user do from now on. What was spent within the hour stays spent.
    pub(crate) fn set_quota(&mut self, id: UserId, quota: Quota) -> Result<(), CommandError> {
        let now = self.now;
        let before = self.existing_user(id)?.account.map(|account| account.quota).unwrap_or_default();
        let [old, new] = [before, quota].map(|quota| Bounds::of(quota, &self.config.limits));
        let user = self.existing_user(id)?;
        if let Some(account) = &mut user.account
            && account.quota != quota
        {
            account.quota = quota;
            let row = *account;
            user.quotas().rebound(old, new, now);
            self.user_row(id, Row::Account { user: id, row });
        }
        Ok(())
    }

    /// A user makes a group. Refused for good: nothing else that the device sends has to wait for it.
    pub(crate) fn count_group(&mut self, id: UserId) -> Result<(), Refusal> {
        let now = self.now;
        let Some(user) = self.users.get_mut(&id) else {
            impossible!(self, "a session of a user that is not in memory makes a group");
            return Ok(());
        };
        let per_h = user.bounds(&self.config.limits).groups_per_h;
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
        let now = self.now;
        let Some(user) = self.users.get_mut(&id).filter(|user| user.account.is_some()) else {
            return Consent::NoSuchUser;
        };
        let per_h = user.bounds(&self.config.limits).directs_per_h;
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
    use protocol::commit::OwnBound;

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
        let bounds = Bounds::of(Quota::default(), &limits);
        let mut quotas = Quotas::default();
        let full = Left { groups: Some(2), directs: None, bytes: Some(1 << 20) };
        assert_eq!((Left::all(Quota::default(), &limits), quotas.left(bounds, Tick(7))), (full, full));
        Quotas::take_one(&mut quotas.groups, 2, Tick(7)).unwrap();
        quotas.take_bytes(576, bounds, Tick(7));
        let left = quotas.left(bounds, Tick(7));
        assert_eq!(left, Left { groups: Some(1), directs: None, bytes: Some((1 << 20) - 576) });
    }

    #[test]
    fn other_bounds_leave_what_was_spent() {
        let bounds = |groups_per_h, mib_per_h| Bounds { groups_per_h, directs_per_h: 0, mib_per_h };
        let mut quotas = Quotas::default();
        for _ in 0..2 {
            Quotas::take_one(&mut quotas.groups, 2, Tick(7)).unwrap();
        }
        quotas.take_bytes(576, bounds(2, 1), Tick(7));
        quotas.rebound(bounds(2, 1), bounds(9, 2), Tick(7));
        let left = quotas.left(bounds(9, 2), Tick(7));
        assert_eq!((left.groups, left.bytes), (Some(7), Some((2 << 20) - 576)));
        quotas.rebound(bounds(9, 2), bounds(1, 0), Tick(7));
        assert_eq!(quotas.left(bounds(1, 0), Tick(7)), Left { groups: Some(0), directs: None, bytes: None });
        assert_eq!(Quotas::take_one(&mut quotas.groups, 1, Tick(7)), Err(7200), "two of one an hour");
    }

    #[test]
    fn the_largest_figures_fit() {
        let of = |mib: u32| {
            let quota = Quota { mib_per_h: OwnBound::new(Some(mib)), ..Quota::default() };
            Bounds::of(quota, &Limits { user_mib_per_h: 7, ..Limits::default() })
        };
        assert_eq!(of(4095).bytes().map(|pace| pace.burst), Some(4095 << 20));
        assert_eq!(times(1_000_000).burst, 3_600_000_000);
        assert_eq!(Quotas::default().bytes_wait_ms(u64::MAX, of(0), Tick(0)), 0);
    }
}
