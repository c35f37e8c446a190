//! A question to the servers, and its table.

use std::collections::BTreeMap;

use super::spread::{Spread, Verdict};
use super::{Order, Outcome};

/// What one round found, by the names of the rows.
pub(super) type Figures = BTreeMap<String, f64>;

/// A table of the page and how it is filled.
pub(super) struct Part {
    /// For `--only`, and for the marks around the table.
    pub(super) name: &'static str,
    pub(super) title: &'static str,
    /// What is run, in words with commands.
    pub(super) how: &'static str,
    pub(super) rows: &'static [Row],
    /// Asks once.
    pub(super) round: fn(&Order) -> Outcome<Figures>,
    /// Most rounds: a long question is asked less often.
    pub(super) rounds_max: usize,
}

/// A line of the table.
pub(super) struct Row {
    /// Under which a round gives its figure, and what the page says.
    pub(super) name: &'static str,
    pub(super) target: Target,
}

/// What a figure should be.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(super) enum Target {
    AtMost(f64),
    AtLeast(f64),
    /// Nobody set one.
    None,
}

impl Row {
    pub(super) const fn shown(name: &'static str) -> Self {
        Self { name, target: Target::None }
    }

    pub(super) const fn at_most(name: &'static str, bound: f64) -> Self {
        Self { name, target: Target::AtMost(bound) }
    }

    pub(super) const fn at_least(name: &'static str, bound: f64) -> Self {
        Self { name, target: Target::AtLeast(bound) }
    }
}

impl Target {
    /// The target and the verdict, as the page says them.
    pub(super) fn words(self, spread: &Spread) -> (String, Option<Verdict>) {
        match self {
            Self::AtMost(bound) => (format!("<= {bound}"), Some(spread.at_most(bound))),
            Self::AtLeast(bound) => (format!(">= {bound}"), Some(spread.at_least(bound))),
            Self::None => ("-".to_owned(), None),
        }
    }
}
