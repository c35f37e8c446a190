//! When an open loop wants its next event, whatever the server does.

use crate::clock::{SECOND, of_seconds};
use crate::draws::Draws;
use crate::scenario::Arrivals;

/// An endless schedule of times, rising.
#[derive(Clone, Debug)]
pub(crate) struct Pace {
    arrivals: Arrivals,
    begin_ns: u64,
    from_per_s: f64,
    to_per_s: f64,
    ramp_s: f64,
    next_ns: f64,
}

impl Pace {
    /// A fixed rate from `begin_ns` on.
    pub(crate) fn fixed(arrivals: Arrivals, begin_ns: u64, per_s: f64, draws: &mut Draws) -> Self {
        Self::ramped(arrivals, begin_ns, per_s, per_s, 1.0, draws)
    }

    /// A rate that rises or falls evenly over `ramp_s` and then stays.
    pub(crate) fn ramped(
        arrivals: Arrivals,
        begin_ns: u64,
        from_per_s: f64,
        to_per_s: f64,
        ramp_s: f64,
        draws: &mut Draws,
    ) -> Self {
        let mut pace = Self { arrivals, begin_ns, from_per_s, to_per_s, ramp_s, next_ns: 0.0 };
        pace.next_ns = pace.gap_ns(draws);
        pace
    }

    /// The next time.
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    pub(crate) fn next_ns(&self) -> u64 {
        self.begin_ns.saturating_add(self.next_ns as u64)
    }

    /// Goes on to the one behind.
    pub(crate) fn advance(&mut self, draws: &mut Draws) {
        self.next_ns += self.gap_ns(draws);
    }

    #[allow(clippy::cast_precision_loss)]
    fn gap_ns(&self, draws: &mut Draws) -> f64 {
        let share = (self.next_ns / SECOND as f64 / self.ramp_s.max(1e-9)).min(1.0);
        let per_s = self.from_per_s + (self.to_per_s - self.from_per_s) * share;
        // A schedule of nothing looks again in a while: a ramp from zero has to begin.
        let mean_ns = SECOND as f64 / per_s.max(1.0);
        match self.arrivals {
            Arrivals::Constant => mean_ns,
            Arrivals::Poisson => -(1.0 - draws.unit()).ln() * mean_ns,
        }
    }
}

/// The time of the `index`-th of evenly spaced events; all at once when the rate is 0.
#[allow(clippy::cast_precision_loss)]
pub(crate) fn even_ns(begin_ns: u64, index: usize, per_s: f64) -> u64 {
    if per_s <= 0.0 {
        return begin_ns;
    }
    begin_ns.saturating_add(of_seconds(index as f64 / per_s))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn count(pace: &mut Pace, until_ns: u64, draws: &mut Draws) -> u64 {
        let mut count = 0;
        let mut before = 0;
        while pace.next_ns() < until_ns {
            assert!(pace.next_ns() >= before);
            before = pace.next_ns();
            count += 1;
            pace.advance(draws);
        }
        count
    }

    #[test]
    fn a_fixed_rate_is_kept_and_a_late_caller_gets_all_it_missed() {
        let mut draws = Draws::new(1);
        let mut pace = Pace::fixed(Arrivals::Constant, 5 * SECOND, 1000.0, &mut draws);
        assert_eq!(pace.next_ns(), 5 * SECOND + 1_000_000);
        assert!((9_999..=10_000).contains(&count(&mut pace, 15 * SECOND, &mut draws)));
    }

    #[test]
    fn poisson_has_the_mean_and_the_spread_of_poisson() {
        let mut draws = Draws::new(2);
        let mut pace = Pace::fixed(Arrivals::Poisson, 0, 1000.0, &mut draws);
        let counts: Vec<f64> =
            (1..=500).map(|slot| count(&mut pace, slot * SECOND / 10, &mut draws) as f64).collect();
        let mean = counts.iter().sum::<f64>() / 500.0;
        let variance = counts.iter().map(|count| (count - mean).powi(2)).sum::<f64>() / 500.0;
        assert!((95.0..105.0).contains(&mean), "{mean}");
        assert!((80.0..125.0).contains(&variance), "{variance}");
    }

    #[test]
    fn a_ramp_sends_the_area_under_it() {
        let mut draws = Draws::new(3);
        let mut pace = Pace::ramped(Arrivals::Constant, 0, 0.0, 1000.0, 10.0, &mut draws);
        let ramp = count(&mut pace, 10 * SECOND, &mut draws);
        assert!((4_800..5_200).contains(&ramp), "{ramp}");
        let flat = count(&mut pace, 12 * SECOND, &mut draws);
        assert!((1_990..2_010).contains(&flat), "{flat}");
    }

    #[test]
    fn even_spacing() {
        assert_eq!(even_ns(7, 3, 0.0), 7);
        assert_eq!(even_ns(0, 3, 1.0), 3 * SECOND);
    }
}
