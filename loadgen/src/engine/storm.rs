//! A storm: all that may be cut is cut at once, and comes back.

use super::Engine;
use crate::clock::{MS, seconds};
use crate::wire::StormReport;

/// Devices cut in one turn: closing thousands of sockets takes the kernel a tenth of a second, and those who go on
/// talking would be late by it.
const CUTS_PER_TURN: usize = 16;

/// One storm.
#[derive(Debug, Default)]
pub(super) struct Storm {
    begin_ns: u64,
    /// 0 while devices are missing.
    end_ns: u64,
    cut: u64,
    missing: u64,
    /// Those whose turn to be cut comes.
    left: Vec<u32>,
}

impl Storm {
    pub(super) fn is_breaking(&self) -> bool {
        !self.left.is_empty()
    }

    /// Whether a message that was intended then met it.
    pub(super) fn covers(&self, intended_ns: u64) -> bool {
        self.begin_ns > 0 && intended_ns >= self.begin_ns && (self.end_ns == 0 || intended_ns < self.end_ns)
    }
}

impl Engine {
    pub(super) fn begin_storm(&mut self, now: u64) {
        let left = self.cast.cuttable.clone();
        self.storm = Storm { begin_ns: now, missing: left.len() as u64, left, ..Storm::default() };
    }

    /// Cuts the next ones.
    pub(super) fn go_on_cutting(&mut self, now: u64) {
        for _ in 0..CUTS_PER_TURN {
            let Some(device) = self.storm.left.pop() else { return };
            let before = self.outcome.cuts;
            self.cut(device, now);
            if self.outcome.cuts == before {
                // It was away anyway.
                self.storm.missing = self.storm.missing.saturating_sub(1);
            } else if let Some(entry) = self.device(device) {
                entry.is_in_storm = true;
                self.storm.cut += 1;
            }
        }
    }

    /// A device of the storm is authenticated again.
    pub(super) fn weather(&mut self, device: u32, now: u64) {
        let Some(entry) = self.device(device) else { return };
        if !std::mem::take(&mut entry.is_in_storm) {
            return;
        }
        self.storm.missing = self.storm.missing.saturating_sub(1);
        if self.storm.missing > 0 {
            return;
        }
        self.storm.end_ns = now;
        let cut = &self.spec.scenario.cut;
        let first_back_ns = self.storm.begin_ns + cut.offline_ms * MS;
        self.outcome.storms.push(StormReport {
            at_s: seconds(self.storm.begin_ns.saturating_sub(self.window_ns.0)),
            cut: self.storm.cut,
            back_s: seconds(now.saturating_sub(first_back_ns)),
        });
    }
}
