//! A figure of several rounds, and whether it says anything.

use std::fmt;

/// Median, least and most.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(super) struct Spread {
    pub(super) median: f64,
    pub(super) least: f64,
    pub(super) most: f64,
}

/// Whether a budget is met.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Verdict {
    Met,
    Missed,
    /// Some rounds say so, some so.
    Undecided,
}

impl Spread {
    /// `None` of nothing.
    pub(super) fn of(figures: impl IntoIterator<Item = f64>) -> Option<Self> {
        let mut all: Vec<f64> = figures.into_iter().filter(|figure| figure.is_finite()).collect();
        all.sort_by(f64::total_cmp);
        let (least, most) = (*all.first()?, *all.last()?);
        let middle = all.len() / 2;
        let median = if all.len() % 2 == 1 {
            *all.get(middle)?
        } else {
            f64::midpoint(*all.get(middle - 1)?, *all.get(middle)?)
        };
        Some(Self { median, least, most })
    }

    pub(super) fn at_most(&self, bound: f64) -> Verdict {
        self.judge(self.most <= bound, self.least > bound)
    }

    pub(super) fn at_least(&self, bound: f64) -> Verdict {
        self.judge(self.least >= bound, self.most < bound)
    }

    fn judge(&self, all: bool, none: bool) -> Verdict {
        match (all, none) {
            (true, _) => Verdict::Met,
            (_, true) => Verdict::Missed,
            _ => Verdict::Undecided,
        }
    }
}

impl fmt::Display for Spread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = match self.median.abs() {
            small if small < 100.0 => 2,
            _ => 0,
        };
        write!(f, "{:.digits$} ({:.digits$} to {:.digits$})", self.median, self.least, self.most)
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Met => "met",
            Self::Missed => "**missed**",
            Self::Undecided => "undecided",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn noise_larger_than_the_difference_is_undecided() {
        let spread = Spread::of([1.2, 1.7, 1.5]).unwrap();
        assert_eq!((spread.median, spread.least, spread.most), (1.5, 1.2, 1.7));
        assert_eq!(spread.at_most(1.6), Verdict::Undecided);
        assert_eq!(spread.at_most(1.7), Verdict::Met);
        assert_eq!(spread.at_most(1.1), Verdict::Missed);
        assert_eq!(spread.at_least(1.0), Verdict::Met);
        assert_eq!(spread.at_least(2.0), Verdict::Missed);
        assert_eq!(Spread::of([4.0, 2.0]).unwrap().median, 3.0);
        assert_eq!(Spread::of([f64::NAN]), None);
        assert_eq!(spread.to_string(), "1.50 (1.20 to 1.70)");
    }
}
