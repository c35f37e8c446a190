//! How much one session and one user may make the shard do: token buckets over what frames cost, and what a session was
//! refused for want of tokens.

use protocol::SendId;

use crate::input::Tick;
use crate::limits::{ORDER_KEPT_MS, REFUSED_IDS_MAX};

const NS_PER_S: u128 = 1_000_000_000;

/// How fast tokens come and how many are kept.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Pace {
    pub(crate) per_s: u32,
    pub(crate) burst: u32,
}

impl Pace {
    /// How long it takes until so many tokens have come.
    fn ns(self, tokens: u64) -> u64 {
        let ns = u128::from(tokens) * NS_PER_S / u128::from(self.per_s.max(1));
        u64::try_from(ns).unwrap_or(u64::MAX)
    }

    /// What costs more than there can ever be takes all there can be, or it were refused for ever.
    fn at_most_all(self, tokens: u64) -> u64 {
        tokens.min(u64::from(self.burst))
    }
}

/// A token bucket (ITU-T I.371, the virtual scheduling algorithm): all it keeps is when it will be full.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Bucket {
    full_at_ns: u64,
}

impl Bucket {
    /// One that holds at most what `other` holds now.
    pub(crate) fn no_fuller_than(pace: Pace, other: Self, of: Pace, now: Tick) -> Self {
        let burst = u64::from(pace.burst);
        let lacks = burst - other.level(of, now).min(burst);
        Self { full_at_ns: ns(now).saturating_add(pace.ns(lacks)) }
    }

    /// One from which as much was taken, at another pace.
    pub(crate) fn at_pace(self, pace: Pace, of: Pace, now: Tick) -> Self {
        let lacks = u64::from(of.burst).saturating_sub(self.level(of, now));
        Self { full_at_ns: ns(now).saturating_add(pace.ns(lacks)) }
    }

    /// After how many milliseconds so many tokens can be taken; 0 for now.
    pub(crate) fn wait_ms(self, tokens: u64, pace: Pace, now: Tick) -> u32 {
        let now_ns = ns(now);
        let after = self.full_at_ns.max(now_ns).saturating_add(pace.ns(pace.at_most_all(tokens)));
        let latest = now_ns.saturating_add(pace.ns(u64::from(pace.burst)));
        let wait_ms = after.saturating_sub(latest).div_ceil(1_000_000);
        u32::try_from(wait_ms).unwrap_or(u32::MAX)
    }

    /// Takes what [`Self::wait_ms`] said can be taken.
    pub(crate) fn take(&mut self, tokens: u64, pace: Pace, now: Tick) {
        self.full_at_ns = self.full_at_ns.max(ns(now)).saturating_add(pace.ns(pace.at_most_all(tokens)));
    }

    /// Whether nothing is lost when it is forgotten.
    pub(crate) fn is_full(self, now: Tick) -> bool {
        self.full_at_ns <= ns(now)
    }

    /// How many tokens there are.
    pub(crate) fn level(self, pace: Pace, now: Tick) -> u64 {
        let lacks_ns = u128::from(self.full_at_ns.saturating_sub(ns(now)));
        let lacks = (lacks_ns * u128::from(pace.per_s)).div_ceil(NS_PER_S);
        u64::from(pace.burst).saturating_sub(u64::try_from(lacks).unwrap_or(u64::MAX))
    }
}

fn ns(at: Tick) -> u64 {
    at.0.saturating_mul(1_000_000)
}

/// What a session was refused for want of tokens, since it last was not.
///
/// The device sends it again, from the first refused frame on; what it had sent behind that before it knew must not come
/// between. So a send that was not refused before is refused until one that was comes again.
#[derive(Debug, Default)]
pub(crate) struct Owed {
    /// What all of it costs.
    tokens: u64,
    /// The first of the refused sends.
    sends: Vec<SendId>,
    /// Order is kept until then at the latest: a device may give up what was refused.
    ends_at: Tick,
    /// The connection is not read until then.
    pub(crate) read_at: Tick,
}

impl Owed {
    /// Whether a send must wait for an earlier one that was refused.
    pub(crate) fn keeps_back(&self, send: SendId, now: Tick) -> bool {
        !self.sends.is_empty() && now < self.ends_at && !self.sends.contains(&send)
    }

    /// What was refused before is owed too: it comes before this.
    pub(crate) fn with(&self, tokens: u64) -> u64 {
        self.tokens.saturating_add(tokens)
    }

    /// One more is refused, with this hint.
    pub(crate) fn refuse(&mut self, tokens: u64, send: Option<SendId>, now: Tick, wait_ms: u32) {
        self.tokens = self.with(tokens);
        self.read_at = self.read_at.max(now.after_ms(wait_ms.into()));
        let Some(send) = send else { return };
        if self.sends.is_empty() || now >= self.ends_at {
            self.sends.clear();
            self.ends_at = now.after_ms(ORDER_KEPT_MS.saturating_add(wait_ms.into()));
        }
        self.note(send);
    }

    /// A send that went on to its channel was refused there with a hint: it is sent again before those that followed it.
    pub(crate) fn refused_elsewhere(&mut self, send: SendId) {
        if !self.sends.is_empty() {
            self.note(send);
        }
    }

    fn note(&mut self, send: SendId) {
        if self.sends.len() < REFUSED_IDS_MAX && !self.sends.contains(&send) {
            self.sends.push(send);
        }
    }

    /// A frame was taken. Whether the rest can be forgotten: a request that is taken says nothing about the sends.
    pub(crate) fn is_paid(&self, is_send: bool, now: Tick) -> bool {
        is_send || self.sends.is_empty() || now >= self.ends_at
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PACE: Pace = Pace { per_s: 10, burst: 2 };

    fn take(bucket: &mut Bucket, tokens: u64, now: Tick) -> Result<(), u32> {
        match bucket.wait_ms(tokens, PACE, now) {
            0 => {
                bucket.take(tokens, PACE, now);
                Ok(())
            }
            wait_ms => Err(wait_ms),
        }
    }

    #[test]
    fn burst_then_rate() {
        let mut bucket = Bucket::default();
        assert_eq!(take(&mut bucket, 1, Tick(0)), Ok(()));
        assert_eq!(take(&mut bucket, 1, Tick(0)), Ok(()));
        assert_eq!(take(&mut bucket, 1, Tick(0)), Err(100));
        assert_eq!(take(&mut bucket, 2, Tick(0)), Err(200));
        assert_eq!(take(&mut bucket, 1, Tick(99)), Err(1));
        assert_eq!(take(&mut bucket, 1, Tick(100)), Ok(()));
        assert_eq!(take(&mut bucket, 1, Tick(1_000_000)), Ok(()));
        assert_eq!(take(&mut bucket, 1, Tick(1_000_000)), Ok(()));
        assert!(take(&mut bucket, 1, Tick(1_000_000)).is_err());
    }

    #[test]
    fn what_costs_more_than_there_can_be_takes_all() {
        let mut bucket = Bucket::default();
        assert_eq!(take(&mut bucket, 98, Tick(0)), Ok(()));
        assert_eq!(take(&mut bucket, 1, Tick(0)), Err(100));
        assert_eq!(take(&mut bucket, 98, Tick(0)), Err(200));
        assert_eq!(take(&mut bucket, 98, Tick(200)), Ok(()));
    }

    #[test]
    fn one_bucket_begins_with_what_another_has() {
        let now = Tick(5_000);
        let of = Pace { per_s: 10, burst: 8 };
        let mut user = Bucket::default();
        assert_eq!(Bucket::no_fuller_than(PACE, user, of, now).level(PACE, now), 2);
        user.take(7, of, now);
        assert_eq!(user.level(of, now), 1);
        assert_eq!(Bucket::no_fuller_than(PACE, user, of, now).level(PACE, now), 1);
        user.take(1, of, now);
        assert_eq!(Bucket::no_fuller_than(PACE, user, of, now).wait_ms(1, PACE, now), 100);
    }

    #[test]
    fn the_largest_figures_do_not_overflow() {
        let pace = Pace { per_s: u32::MAX, burst: u32::MAX };
        let mut bucket = Bucket::default();
        bucket.take(u64::MAX, pace, Tick(u64::MAX));
        assert_eq!(bucket.wait_ms(u64::MAX, Pace { per_s: 0, burst: u32::MAX }, Tick(1 << 60)), 0);
        let slow = Pace { per_s: 1, burst: u32::MAX };
        let mut bucket = Bucket::default();
        bucket.take(u64::MAX, slow, Tick(7));
        assert_eq!(bucket.wait_ms(u64::MAX, slow, Tick(7)), u32::MAX);
    }

    #[test]
    fn what_was_sent_behind_a_refused_send_waits_for_it() {
        let mut owed = Owed::default();
        assert!(!owed.keeps_back(SendId(1), Tick(0)));
        owed.refuse(1, Some(SendId(1)), Tick(0), 100);
        assert!(owed.keeps_back(SendId(2), Tick(100)), "it was sent behind the refused one");
        owed.refuse(1, Some(SendId(2)), Tick(0), 200);
        assert_eq!((owed.with(1), owed.read_at), (3, Tick(200)));
        assert!(!owed.keeps_back(SendId(1), Tick(100)), "this is the refused one");
        owed.refused_elsewhere(SendId(9));
        assert!(!owed.keeps_back(SendId(9), Tick(100)), "it was sent before the refused one");
        assert!(owed.keeps_back(SendId(3), Tick(100 + ORDER_KEPT_MS - 1)));
        assert!(!owed.keeps_back(SendId(3), Tick(100 + ORDER_KEPT_MS)), "given up by the device");
        assert!(!owed.is_paid(false, Tick(100)) && owed.is_paid(true, Tick(100)));
    }
}
