//! The one source of randomness of a simulation: SplitMix64 (Steele, Lea, Flood 2014). Checks never draw from it.

/// A seeded generator.
#[derive(Clone, Debug)]
pub struct Rng(u64);

impl Rng {
    /// A generator whose whole output is a function of `seed`.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self(protocol::partition::mix64(seed ^ 0x6d61_7275))
    }

    /// The next 64 bits.
    pub fn draw(&mut self) -> u64 {
        let value = protocol::partition::mix64(self.0);
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        value
    }

    /// A number in `0 .. bound`; 0 for a bound of 0. The bias of the remainder does not matter here.
    pub fn below(&mut self, bound: u64) -> u64 {
        let value = self.draw();
        if bound == 0 { 0 } else { value % bound }
    }

    /// A place in a list of `len`; 0 for an empty one.
    #[allow(clippy::cast_possible_truncation)]
    pub fn place(&mut self, len: usize) -> usize {
        self.below(len as u64) as usize
    }

    /// A number in `low ..= high`.
    pub fn between(&mut self, low: u64, high: u64) -> u64 {
        low + self.below(high.saturating_sub(low) + 1)
    }

    /// True so many times in a thousand.
    pub fn chance(&mut self, permille: u64) -> bool {
        self.below(1000) < permille
    }

    /// True so many times in a million.
    pub fn rarely(&mut self, per_million: u64) -> bool {
        self.below(1_000_000) < per_million
    }

    /// One of the items.
    pub fn pick<T: Copy>(&mut self, items: &[T]) -> Option<T> {
        let place = self.place(items.len());
        items.get(place).copied()
    }

    /// The numbers `0 .. len` in a random order.
    pub fn order(&mut self, len: usize) -> Vec<usize> {
        let mut order: Vec<usize> = (0..len).collect();
        for last in (1..len).rev() {
            order.swap(last, self.place(last + 1));
        }
        order
    }
}
