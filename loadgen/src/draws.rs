//! Random numbers that are a function of a seed.

use protocol::partition::mix64;

/// A sequence of draws.
#[derive(Clone, Debug)]
pub(crate) struct Draws {
    seed: u64,
    count: u64,
}

impl Draws {
    pub(crate) fn new(seed: u64) -> Self {
        Self { seed: mix64(seed), count: 0 }
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.count += 1;
        mix64(self.seed ^ mix64(self.count))
    }

    /// Below `bound`; 0 when that is 0.
    pub(crate) fn below(&mut self, bound: usize) -> usize {
        let wide = u128::from(self.next()) * bound as u128;
        usize::try_from(wide >> 64).unwrap_or(0)
    }

    /// From 0 up to, not with, 1.
    #[allow(clippy::cast_precision_loss)]
    pub(crate) fn unit(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }
}
