//! How much one session may send: a token bucket over frames, and a count of faults in a row.

use crate::input::Tick;

/// A token bucket (as in ITU-T I.371's leaky bucket, seen from the other side): `rate_per_s` on average, `burst` at once.
/// Counted in thousandths of a token so that a millisecond's share is a whole number.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bucket {
    level: u64,
    at: Tick,
}

impl Bucket {
    pub(crate) fn full(burst: u32, now: Tick) -> Self {
        Self { level: u64::from(burst) * 1000, at: now }
    }

    /// Takes one token, or says after how many milliseconds there will be one.
    pub(crate) fn take(&mut self, rate_per_s: u32, burst: u32, now: Tick) -> Result<(), u32> {
        let elapsed_ms = now.0.saturating_sub(self.at.0);
        let gained = elapsed_ms.saturating_mul(u64::from(rate_per_s));
        self.level = self.level.saturating_add(gained).min(u64::from(burst) * 1000);
        self.at = now;
        if self.level >= 1000 {
            self.level -= 1000;
            return Ok(());
        }
        let wait_ms = (1000 - self.level).div_ceil(u64::from(rate_per_s.max(1)));
        Err(u32::try_from(wait_ms).unwrap_or(u32::MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn burst_then_rate() {
        let mut bucket = Bucket::full(2, Tick(0));
        assert_eq!(bucket.take(10, 2, Tick(0)), Ok(()));
        assert_eq!(bucket.take(10, 2, Tick(0)), Ok(()));
        assert_eq!(bucket.take(10, 2, Tick(0)), Err(100));
        assert_eq!(bucket.take(10, 2, Tick(99)), Err(1));
        assert_eq!(bucket.take(10, 2, Tick(100)), Ok(()));
        assert_eq!(bucket.take(10, 2, Tick(1_000_000)), Ok(()));
        assert_eq!(bucket.take(10, 2, Tick(1_000_000)), Ok(()));
        assert!(bucket.take(10, 2, Tick(1_000_000)).is_err());
    }
}
