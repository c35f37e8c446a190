//! Whether two sets of runs differ by more than their noise.
//!
//! A side is one report or several with commas between them. With three runs or more on a side each run is one value;
//! with fewer the seconds of the runs are, which tells the noise within a run but not that between runs, and the
//! output says so. The bound of a median is 1.57 times the interquartile range over the square root of the count
//! (McGill, Tukey, Larsen 1978): where two such ranges do not overlap, medians differ at about 95 %.

use std::path::Path;
use std::process::ExitCode;

use clap::Args;

use crate::meter::Phase;
use crate::report::{Point, Report, table};

/// Runs on a side from which each run is a value of its own.
const RUNS_MIN: usize = 3;
/// Seconds below which a point of the timeline is left out.
const POINT_S_MIN: f64 = 0.5;

/// What is compared.
#[derive(Args, Debug)]
pub(crate) struct Flags {
    /// A report, or several with commas between them.
    a: String,
    /// A report, or several with commas between them.
    b: String,
    /// Differences below this share are never called, whatever the noise.
    #[arg(long, value_name = "SHARE", default_value_t = 0.03)]
    least: f64,
    /// Exit with 1 when B is worse in anything.
    #[arg(long)]
    strict: bool,
}

/// One figure of a run.
struct Metric {
    name: &'static str,
    is_higher_better: bool,
    show: fn(f64) -> String,
    of_run: fn(&Report) -> f64,
    of_point: fn(&Point) -> f64,
}

const METRICS: &[Metric] = &[
    Metric {
        name: "delivered /s",
        is_higher_better: true,
        show: table::rate,
        of_run: |report| report.totals.delivered_per_s,
        of_point: |point| point.delivered_per_s,
    },
    Metric {
        name: "acked /s",
        is_higher_better: true,
        show: table::rate,
        of_run: |report| report.totals.acked_per_s,
        of_point: |point| point.acked_per_s,
    },
    Metric {
        name: "ack p50",
        is_higher_better: false,
        show: table::time,
        of_run: |report| report.latencies.ack.p50_us,
        of_point: |point| point.ack_p50_us,
    },
    Metric {
        name: "ack p99",
        is_higher_better: false,
        show: table::time,
        of_run: |report| report.latencies.ack.p99_us,
        of_point: |point| point.ack_p99_us,
    },
    Metric {
        name: "delivery p50",
        is_higher_better: false,
        show: table::time,
        of_run: |report| report.latencies.delivery.p50_us,
        of_point: |point| point.delivery_p50_us,
    },
    Metric {
        name: "delivery p99",
        is_higher_better: false,
        show: table::time,
        of_run: |report| report.latencies.delivery.p99_us,
        of_point: |point| point.delivery_p99_us,
    },
    Metric {
        name: "delivery p99.9",
        is_higher_better: false,
        show: table::time,
        of_run: |report| report.latencies.delivery.p999_us,
        of_point: |_| 0.0,
    },
    Metric {
        name: "connect p99",
        is_higher_better: false,
        show: table::time,
        of_run: |report| report.latencies.connect.p99_us,
        of_point: |_| 0.0,
    },
    Metric {
        name: "server CPU/delivery",
        is_higher_better: false,
        show: |us| format!("{us:.2} us"),
        of_run: |report| report.server_use.as_ref().map_or(0.0, |server| server.cpu_us_per_delivery),
        of_point: |point| point.server_us_per_delivery.unwrap_or(0.0),
    },
    Metric {
        name: "bytes/connection",
        is_higher_better: false,
        show: |bytes| format!("{bytes:.0}"),
        of_run: |report| {
            report.server_use.as_ref().and_then(|server| server.bytes_per_connection).unwrap_or(0.0)
        },
        of_point: |_| 0.0,
    },
];

/// Compares, and prints a line for each figure that both sides have.
///
/// # Errors
/// Words, when a report cannot be read.
pub(crate) fn run(flags: &Flags) -> Result<ExitCode, String> {
    let (a, b) = (read(&flags.a)?, read(&flags.b)?);
    for (name, side) in [("A", &a), ("B", &b)] {
        for report in side {
            println!("{name}: {} {} {}", report.scenario.name, report.date, report.verdict.word());
        }
    }
    let by_run = a.len() >= RUNS_MIN && b.len() >= RUNS_MIN;
    println!(
        "{:<20}{:>22}{:>22}{:>9}  judgement ({})",
        "",
        "A median +- bound",
        "B median +- bound",
        "B / A",
        if by_run { "noise between runs" } else { "noise within runs only: give 3 or more a side" }
    );
    let mut is_worse = false;
    for metric in METRICS {
        let (a, b) = (values(metric, &a, by_run), values(metric, &b, by_run));
        let (Some(a), Some(b)) = (Bounds::of(a), Bounds::of(b)) else { continue };
        let judgement = judge(&a, &b, metric.is_higher_better, flags.least);
        is_worse |= judgement == Judgement::Worse;
        println!(
            "{:<20}{:>22}{:>22}{:>9.3}  {}",
            metric.name,
            a.words(metric.show),
            b.words(metric.show),
            b.median / a.median,
            judgement.word()
        );
    }
    let has_warning = a.iter().chain(&b).any(|report| report.verdict.word() != "ok");
    if has_warning {
        println!("note: a run that is not ok says little; see its own report");
    }
    if a.iter().chain(&b).any(|report| !a.first().is_some_and(|first| first.scenario == report.scenario)) {
        println!("note: the scenarios are not the same");
    }
    Ok(if flags.strict && is_worse { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

fn read(side: &str) -> Result<Vec<Report>, String> {
    side.split(',').map(|path| Report::read(Path::new(path.trim()))).collect()
}

/// What is 0 was not measured.
fn values(metric: &Metric, side: &[Report], by_run: bool) -> Vec<f64> {
    let is_there = |value: &f64| *value > 0.0 && value.is_finite();
    let runs = || side.iter().map(metric.of_run).filter(is_there).collect::<Vec<f64>>();
    if by_run {
        return runs();
    }
    let points = side.iter().flat_map(|report| &report.timeline);
    let points = points.filter(|point| point.phase == Phase::Measure && point.seconds >= POINT_S_MIN);
    let points: Vec<f64> = points.map(metric.of_point).filter(is_there).collect();
    if points.is_empty() { runs() } else { points }
}

/// A median with its bound.
#[derive(Clone, Copy, PartialEq, Debug)]
struct Bounds {
    median: f64,
    /// Infinite for too few values.
    half: f64,
}

/// Fewest values that have a spread.
const VALUES_MIN: usize = 3;

impl Bounds {
    fn of(mut values: Vec<f64>) -> Option<Self> {
        values.sort_unstable_by(f64::total_cmp);
        let median = quantile(&values, 0.5)?;
        if values.len() < VALUES_MIN {
            return Some(Self { median, half: f64::INFINITY });
        }
        let spread = quantile(&values, 0.75)? - quantile(&values, 0.25)?;
        #[allow(clippy::cast_precision_loss)]
        let half = 1.57 * spread / (values.len() as f64).sqrt();
        Some(Self { median, half })
    }

    fn words(&self, show: fn(f64) -> String) -> String {
        let half = if self.half.is_finite() { show(self.half) } else { "?".into() };
        format!("{} +- {half}", show(self.median))
    }
}

/// Between neighbours by place.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss)]
fn quantile(sorted: &[f64], quantile: f64) -> Option<f64> {
    let place = quantile * sorted.len().checked_sub(1)? as f64;
    let (low, high) = (sorted.get(place.floor() as usize)?, sorted.get(place.ceil() as usize)?);
    Some(low + (high - low) * place.fract())
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Judgement {
    Better,
    Worse,
    Same,
    Undecided,
}

impl Judgement {
    fn word(self) -> &'static str {
        match self {
            Self::Better => "B is better",
            Self::Worse => "B is worse",
            Self::Same => "the same",
            Self::Undecided => "undecided",
        }
    }
}

fn judge(a: &Bounds, b: &Bounds, is_higher_better: bool, least: f64) -> Judgement {
    let (difference, noise) = (b.median - a.median, a.half + b.half);
    let enough = least * a.median.abs();
    if difference.abs() <= enough && noise <= enough {
        return Judgement::Same;
    }
    if difference.abs() <= noise || difference.abs() <= enough {
        return Judgement::Undecided;
    }
    if (difference > 0.0) == is_higher_better { Judgement::Better } else { Judgement::Worse }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bounds(values: &[f64]) -> Bounds {
        Bounds::of(values.to_vec()).unwrap()
    }

    #[test]
    fn a_difference_is_called_only_above_the_noise() {
        let tight = bounds(&[100.0, 101.0, 99.0, 100.0, 100.5]);
        let higher = bounds(&[120.0, 121.0, 119.0, 120.0, 120.5]);
        let noisy = bounds(&[60.0, 120.0, 180.0, 90.0, 150.0]);
        assert_eq!(judge(&tight, &higher, true, 0.03), Judgement::Better);
        assert_eq!(judge(&tight, &higher, false, 0.03), Judgement::Worse);
        assert_eq!(judge(&higher, &tight, true, 0.03), Judgement::Worse);
        assert_eq!(judge(&tight, &noisy, true, 0.03), Judgement::Undecided);
        assert_eq!(judge(&tight, &tight, true, 0.03), Judgement::Same);
        assert_eq!(
            judge(&tight, &bounds(&[500.0]), true, 0.03),
            Judgement::Undecided,
            "one value has no noise"
        );
    }

    #[test]
    fn quartiles() {
        let sorted = [1.0, 2.0, 3.0, 4.0, 5.0];
        assert_eq!([0.25, 0.5, 0.75].map(|q| quantile(&sorted, q).unwrap()), [2.0, 3.0, 4.0]);
        assert_eq!(quantile(&[], 0.5), None);
    }
}
