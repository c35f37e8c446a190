//! What can be wrong with a delivery, by name.

use serde::{Deserialize, Serialize};

/// Examples that are kept of each run.
const EXAMPLES_MAX: usize = 20;

/// A broken promise.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Fault {
    /// Acked and not told to a member, or sent and neither acked nor refused.
    Lost,
    /// Told twice, stored twice, acked twice.
    Doubled,
    /// Told after a later one of its channel.
    Reordered,
    /// Told to a device that it is not for, or not of this run at all.
    Foreign,
    /// Told with another text than was sent.
    Damaged,
}

/// What a verified run found.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Faults {
    pub(crate) lost: u64,
    pub(crate) doubled: u64,
    pub(crate) reordered: u64,
    pub(crate) foreign: u64,
    pub(crate) damaged: u64,
    /// The first of them, in words.
    pub(crate) examples: Vec<String>,
    /// Messages that were followed.
    pub(crate) messages: u64,
    /// Deliveries that were checked.
    pub(crate) deliveries: u64,
}

impl Faults {
    pub(crate) fn add(&mut self, fault: Fault, words: impl FnOnce() -> String) {
        let (count, name) = match fault {
            Fault::Lost => (&mut self.lost, "lost"),
            Fault::Doubled => (&mut self.doubled, "doubled"),
            Fault::Reordered => (&mut self.reordered, "reordered"),
            Fault::Foreign => (&mut self.foreign, "foreign"),
            Fault::Damaged => (&mut self.damaged, "damaged"),
        };
        *count += 1;
        if self.examples.len() < EXAMPLES_MAX {
            self.examples.push(format!("{name}: {}", words()));
        }
    }

    /// All kinds together.
    pub(crate) fn count(&self) -> u64 {
        self.lost + self.doubled + self.reordered + self.foreign + self.damaged
    }

    /// Adds what another worker found.
    pub(crate) fn merge(&mut self, other: &Self) {
        self.lost += other.lost;
        self.doubled += other.doubled;
        self.reordered += other.reordered;
        self.foreign += other.foreign;
        self.damaged += other.damaged;
        self.messages += other.messages;
        self.deliveries += other.deliveries;
        let room = EXAMPLES_MAX.saturating_sub(self.examples.len());
        self.examples.extend(other.examples.iter().take(room).cloned());
    }

    /// Every kind with its count.
    pub(crate) fn kinds(&self) -> [(&'static str, u64); 5] {
        [
            ("lost", self.lost),
            ("doubled", self.doubled),
            ("reordered", self.reordered),
            ("foreign", self.foreign),
            ("damaged", self.damaged),
        ]
    }
}
