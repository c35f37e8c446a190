//! Token buckets by key: so many at once, so many more with time, and a bounded memory of who has used them.

use std::collections::HashMap;
use std::hash::Hash;

/// Buckets of one generation. Two generations are remembered: of the widest keys about 10 MiB.
const BUCKETS_MAX: usize = 32_768;

/// How many at once, and how fast they come back.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Bound {
    pub(crate) burst: u32,
    pub(crate) refill_ms: u64,
}

impl Bound {
    /// So many an hour, and all of them at once after an hour of none.
    pub(crate) fn per_hour(count: u32) -> Self {
        let count = count.max(1);
        Self { burst: count, refill_ms: (3_600_000 / u64::from(count)).max(1) }
    }
}

/// When each bucket will be full again, in milliseconds (the generic cell rate algorithm, ITU-T I.371). A generation
/// that has its number becomes the old one, and the old one is forgotten: bounded memory at a constant cost.
#[derive(Debug)]
pub(crate) struct Buckets<K> {
    young: HashMap<K, u64>,
    old: HashMap<K, u64>,
}

impl<K> Default for Buckets<K> {
    fn default() -> Self {
        Self { young: HashMap::new(), old: HashMap::new() }
    }
}

impl<K: Eq + Hash> Buckets<K> {
    /// After how many milliseconds there is a token; 0 when there is one now.
    pub(crate) fn wait_ms(&self, key: &K, bound: Bound, now_ms: u64) -> u64 {
        let room_ms = u64::from(bound.burst.max(1) - 1) * bound.refill_ms;
        self.full_at_ms(key).saturating_sub(now_ms).saturating_sub(room_ms)
    }

    /// Takes a token, whether there is one or not.
    pub(crate) fn take(&mut self, key: K, bound: Bound, now_ms: u64) {
        let full_at_ms = self.full_at_ms(&key).max(now_ms) + bound.refill_ms;
        if self.young.len() >= BUCKETS_MAX && !self.young.contains_key(&key) {
            self.old = std::mem::take(&mut self.young);
        }
        self.old.remove(&key);
        self.young.insert(key, full_at_ms);
    }

    /// Gives a token back. A bucket that is full is forgotten, so that taking and giving back fills no memory.
    pub(crate) fn give_back(&mut self, key: &K, bound: Bound, now_ms: u64) {
        for generation in [&mut self.young, &mut self.old] {
            let Some(full_at_ms) = generation.get_mut(key) else { continue };
            *full_at_ms = full_at_ms.saturating_sub(bound.refill_ms);
            if *full_at_ms <= now_ms {
                generation.remove(key);
            }
        }
    }

    fn full_at_ms(&self, key: &K) -> u64 {
        self.young.get(key).or_else(|| self.old.get(key)).copied().unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEN: Bound = Bound { burst: 10, refill_ms: 6000 };

    #[test]
    fn the_eleventh_waits() {
        let mut buckets = Buckets::default();
        for taken in 0..10 {
            assert_eq!(buckets.wait_ms(&7, TEN, 1000), 0, "{taken}");
            buckets.take(7, TEN, 1000);
        }
        assert_eq!(buckets.wait_ms(&7, TEN, 1000), 6000);
        assert_eq!(buckets.wait_ms(&7, TEN, 6999), 1);
        assert_eq!(buckets.wait_ms(&7, TEN, 7000), 0);
        assert_eq!(buckets.wait_ms(&8, TEN, 1000), 0, "another key");
        buckets.give_back(&7, TEN, 1000);
        assert_eq!(buckets.wait_ms(&7, TEN, 1000), 0);
    }

    #[test]
    fn memory_is_bounded_and_what_is_given_back_takes_none() {
        let mut buckets = Buckets::default();
        for key in 0..3 * BUCKETS_MAX {
            buckets.take(key, TEN, 0);
            buckets.give_back(&key, TEN, 0);
        }
        assert!(buckets.young.is_empty() && buckets.old.is_empty());
        for key in 0..3 * BUCKETS_MAX {
            buckets.take(key, TEN, 0);
        }
        assert!(buckets.young.len() <= BUCKETS_MAX && buckets.old.len() <= BUCKETS_MAX);
    }

    #[test]
    fn so_many_an_hour() {
        assert_eq!(Bound::per_hour(60), Bound { burst: 60, refill_ms: 60_000 });
        assert_eq!(Bound::per_hour(0), Bound { burst: 1, refill_ms: 3_600_000 });
        assert_eq!(Bound::per_hour(u32::MAX).refill_ms, 1);
    }
}
