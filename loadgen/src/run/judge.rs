//! Whether the numbers of a run mean something.

use super::Order;
use crate::report::{Latencies, Totals, Verdict};
use crate::wire::Outcome;

/// Above this share of its core the tool, not the server, sets the pace.
const CORE_SHARE_MAX: f64 = 0.8;
/// Lateness of the tool's own sends that is always fine, microseconds.
const LAG_US: f64 = 1000.0;
/// Above this share of the measured p99 the tool's lateness is a large part of it.
const LAG_SHARE_MAX: f64 = 0.25;

pub(super) fn judge(
    order: &Order,
    totals: &Totals,
    latencies: &Latencies,
    cpu_s: &[f64],
    outcome: &Outcome,
    verdict: &mut Verdict,
) {
    // Workers on one core share it; workers on their own have one each.
    let busiest =
        if order.cpu.is_some() { cpu_s.iter().sum() } else { cpu_s.iter().copied().fold(0.0, f64::max) };
    let core = if totals.seconds > 0.0 { busiest / totals.seconds } else { 0.0 };
    if core > CORE_SHARE_MAX {
        verdict.void.push(format!(
            "the tool used {:.0} % of its core (limit {:.0} %): rates and latencies are its own; CPU per delivery stands",
            core * 100.0,
            CORE_SHARE_MAX * 100.0
        ));
    }
    let (lag, ack) = (latencies.lag.p99_us, latencies.ack.p99_us);
    if order.scenario.load.rate > 0.0 && lag > LAG_US && lag > LAG_SHARE_MAX * ack {
        verdict
            .void
            .push(format!("the tool sent late: p99 {lag:.0} us behind its schedule (ack p99 {ack:.0} us)"));
    }
    if outcome.unsent > 0 {
        let unsent = outcome.unsent;
        verdict
            .notes
            .push(format!("{unsent} sends found their device with 8192 unacked messages and were not made"));
    }
    if outcome.refused > 0 {
        verdict.notes.push(format!("{} sends were refused for good", outcome.refused));
    }
    if outcome.paced > 0 {
        let paced = outcome.paced;
        verdict.notes.push(format!("{paced} times sends waited for the server's pace{PACE_HINT}"));
    }
    for (word, count) in &outcome.rejects {
        let hint = if word == "rate" { PACE_HINT } else { "" };
        verdict.notes.push(format!("the server refused {count} frames with {word}{hint}"));
    }
    for (word, count) in &outcome.closes {
        verdict.notes.push(format!("{count} times: {word}"));
    }
    if let Some(faults) = &outcome.faults {
        verdict.violations = faults.count();
        if outcome.cut_short.is_some() {
            verdict.notes.push(format!(
                "lost is not judged: {} acks and {} deliveries were missing when the run was cut short",
                outcome.unacked, outcome.undelivered
            ));
        }
    } else if outcome.unacked + outcome.undelivered > 0 && outcome.cut_short.is_none() {
        verdict.notes.push(format!(
            "{} acks and {} deliveries were still missing at the end (drain_s); run with --verify to know which",
            outcome.unacked, outcome.undelivered
        ));
    }
}

const PACE_HINT: &str =
    "; its frames_per_s shaped this run: start it with --frames-per-s 1000000 --frames-burst 1000000";

/// Least squares; `None` for fewer than three points or all at one place.
pub(super) fn slope(points: impl Iterator<Item = (f64, f64)>) -> Option<f64> {
    let points: Vec<(f64, f64)> = points.collect();
    #[allow(clippy::cast_precision_loss)]
    let count = points.len() as f64;
    let mean_x = points.iter().map(|(x, _)| x).sum::<f64>() / count;
    let mean_y = points.iter().map(|(_, y)| y).sum::<f64>() / count;
    let above: f64 = points.iter().map(|(x, y)| (x - mean_x) * (y - mean_y)).sum();
    let below: f64 = points.iter().map(|(x, _)| (x - mean_x).powi(2)).sum();
    (points.len() >= 3 && below > 0.0).then(|| above / below)
}

#[cfg(test)]
mod tests {
    use super::slope;

    #[test]
    fn a_line_has_its_slope() {
        let line = [(1.0, 10.0), (2.0, 12.0), (3.0, 14.0), (4.0, 16.0)];
        assert!((slope(line.into_iter()).unwrap() - 2.0).abs() < 1e-9);
        assert!(slope([(1.0, 1.0), (1.0, 2.0), (1.0, 3.0)].into_iter()).is_none());
        assert!(slope([(1.0, 1.0), (2.0, 2.0)].into_iter()).is_none());
    }
}
