//! What a run found: the numbers, the verdict, and the file that keeps them.

pub(crate) mod hlog;
pub(crate) mod html;
pub(crate) mod plot;
pub(crate) mod table;

use std::fs;
use std::io;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::meter::{Interval, Latency, Phase};
use crate::probe::Sample;
use crate::scenario::Scenario;
use crate::scrape::ServerLatency;
use crate::wire::Outcome;

/// Version of the file.
pub(crate) const VERSION: u32 = 1;

/// A whole run.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Report {
    pub(crate) maru_load: u32,
    pub(crate) command: String,
    /// RFC 3339, when it began.
    pub(crate) date: String,
    pub(crate) machine: String,
    pub(crate) server: String,
    pub(crate) scenario: Scenario,
    pub(crate) workers: u32,
    pub(crate) verdict: Verdict,
    pub(crate) totals: Totals,
    pub(crate) latencies: Latencies,
    pub(crate) server_use: Option<ServerUse>,
    /// With `--metrics`: the server's own latencies in the counted part.
    #[serde(default)]
    pub(crate) server_latency: Option<ServerLatency>,
    pub(crate) outcome: Outcome,
    pub(crate) timeline: Vec<Point>,
    /// With all histograms; not in the file.
    #[serde(skip)]
    pub(crate) intervals: Vec<Interval>,
}

/// Whether the numbers mean something.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Verdict {
    /// The tool was the bottleneck: reasons.
    pub(crate) void: Vec<String>,
    /// The run did not come to its end: reasons.
    pub(crate) partial: Vec<String>,
    /// Delivery was broken.
    pub(crate) violations: u64,
    /// What else should be known, in words.
    pub(crate) notes: Vec<String>,
}

/// Numbers of the counted part.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Totals {
    pub(crate) seconds: f64,
    pub(crate) connect_s: f64,
    pub(crate) offered_per_s: f64,
    pub(crate) acked_per_s: f64,
    pub(crate) delivered_per_s: f64,
    pub(crate) delivered_bytes_per_s: f64,
    /// Users of whom devices were told whether they are there.
    #[serde(default)]
    pub(crate) presences_per_s: f64,
    pub(crate) connects_per_s: f64,
    pub(crate) connected: u64,
    /// Own CPU: cores used by all workers together.
    pub(crate) tool_cores: f64,
    /// The same while connections were opened.
    #[serde(default)]
    pub(crate) connect_cores: f64,
}

/// Latency distributions.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Latencies {
    pub(crate) ack: Distribution,
    pub(crate) delivery: Distribution,
    pub(crate) connect: Distribution,
    pub(crate) catch_up: Distribution,
    /// Deliveries to devices that were cut; see [`Interval::resumed`].
    pub(crate) resumed: Distribution,
    /// Deliveries of what was sent while devices of a storm were missing, and of all else; empty without a storm.
    #[serde(default)]
    pub(crate) storm: Distribution,
    #[serde(default)]
    pub(crate) calm: Distribution,
    pub(crate) lag: Distribution,
}

/// One of them: the figures that people look at, and all of it.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Distribution {
    pub(crate) count: u64,
    pub(crate) mean_us: f64,
    pub(crate) p50_us: f64,
    pub(crate) p90_us: f64,
    pub(crate) p99_us: f64,
    pub(crate) p999_us: f64,
    pub(crate) max_us: f64,
    /// Base64 of the compressed HdrHistogram V2 encoding, in nanoseconds.
    pub(crate) histogram: Latency,
}

/// What the server used in the counted part.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct ServerUse {
    pub(crate) used: Sample,
    /// Whether the interrupts of its core are added to its CPU; otherwise its system time holds them already.
    #[serde(default)]
    pub(crate) softirq_stands_apart: bool,
    /// Microseconds of user, system and, if they stand apart, its core's interrupts for each delivery.
    pub(crate) cpu_us_per_delivery: f64,
    pub(crate) user_us_per_delivery: f64,
    pub(crate) system_us_per_delivery: f64,
    pub(crate) softirq_us_per_delivery: f64,
    pub(crate) switches_per_delivery: f64,
    /// Microseconds of CPU for each connection and second.
    pub(crate) cpu_us_per_connection_s: f64,
    /// Slope of resident memory over connections while they were opened; `None` for too few.
    pub(crate) bytes_per_connection: Option<f64>,
    /// The same of the kernel's memory, for both ends of the connection.
    pub(crate) kernel_bytes_per_pair: Option<f64>,
}

/// An interval in the file.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Point {
    pub(crate) phase: Phase,
    pub(crate) begin_s: f64,
    pub(crate) seconds: f64,
    pub(crate) offered_per_s: f64,
    pub(crate) acked_per_s: f64,
    pub(crate) delivered_per_s: f64,
    pub(crate) connected: u64,
    pub(crate) connects_per_s: f64,
    pub(crate) ack_p50_us: f64,
    pub(crate) ack_p99_us: f64,
    pub(crate) delivery_p50_us: f64,
    pub(crate) delivery_p99_us: f64,
    pub(crate) delivery_max_us: f64,
    pub(crate) tool_cores: f64,
    pub(crate) server_us_per_delivery: Option<f64>,
    pub(crate) server_rss_kib: Option<u64>,
}

impl From<Latency> for Distribution {
    fn from(histogram: Latency) -> Self {
        Self {
            count: histogram.count(),
            mean_us: histogram.mean_us(),
            p50_us: histogram.us(0.5),
            p90_us: histogram.us(0.9),
            p99_us: histogram.us(0.99),
            p999_us: histogram.us(0.999),
            max_us: histogram.max_us(),
            histogram,
        }
    }
}

impl Latencies {
    /// Over all intervals, drain included: a late message is late, not gone.
    pub(crate) fn of(intervals: &[Interval]) -> Self {
        let sum = |pick: fn(&Interval) -> &Latency| {
            let mut sum = Latency::default();
            intervals.iter().for_each(|interval| sum.merge(pick(interval)));
            sum
        };
        let all = |pick| Distribution::from(sum(pick));
        let storm = sum(|interval| &interval.storm);
        let calm = if storm.count() > 0 {
            sum(|interval| &interval.delivery).without(&storm)
        } else {
            Latency::default()
        };
        Self {
            ack: all(|interval| &interval.ack),
            delivery: all(|interval| &interval.delivery),
            connect: all(|interval| &interval.connect),
            catch_up: all(|interval| &interval.catch_up),
            resumed: all(|interval| &interval.resumed),
            storm: storm.into(),
            calm: calm.into(),
            lag: all(|interval| &interval.lag),
        }
    }

    /// Each with its name, those without a count left out.
    pub(crate) fn named(&self) -> Vec<(&'static str, &Distribution)> {
        let all = [
            ("ack", &self.ack),
            ("delivery", &self.delivery),
            ("connect", &self.connect),
            ("catch-up", &self.catch_up),
            ("resumed", &self.resumed),
            ("in storm", &self.storm),
            ("else", &self.calm),
            ("send lag", &self.lag),
        ];
        all.into_iter().filter(|(_, distribution)| distribution.count > 0).collect()
    }
}

impl Totals {
    #[allow(clippy::cast_precision_loss)]
    pub(crate) fn of(intervals: &[Interval], connect_s: f64) -> Self {
        let counted = || intervals.iter().filter(|interval| interval.phase == Phase::Measure);
        let seconds: f64 = counted().map(|interval| interval.seconds).sum();
        let rate = |pick: fn(&Interval) -> u64| {
            let sum: u64 = counted().map(pick).sum();
            if seconds > 0.0 { sum as f64 / seconds } else { 0.0 }
        };
        let cpu_s: f64 = counted().map(|interval| interval.cpu_s).sum();
        let connecting = intervals.iter().filter(|interval| interval.phase == Phase::Connect);
        let connect_cpu_s: f64 = connecting.map(|interval| interval.cpu_s).sum();
        Self {
            seconds,
            connect_s,
            offered_per_s: rate(|interval| interval.offered),
            acked_per_s: rate(|interval| interval.acked),
            delivered_per_s: rate(|interval| interval.delivered),
            delivered_bytes_per_s: rate(|interval| interval.delivered_bytes),
            presences_per_s: rate(|interval| interval.presences),
            connects_per_s: rate(|interval| interval.connects),
            connected: intervals.iter().map(|interval| interval.connected).max().unwrap_or(0),
            tool_cores: if seconds > 0.0 { cpu_s / seconds } else { 0.0 },
            connect_cores: if connect_s > 0.0 { connect_cpu_s / connect_s } else { 0.0 },
        }
    }
}

impl Verdict {
    /// In a word.
    pub(crate) fn word(&self) -> &'static str {
        match self {
            _ if self.violations > 0 => "FAILED",
            _ if !self.partial.is_empty() => "PARTIAL",
            _ if !self.void.is_empty() => "VOID",
            _ => "ok",
        }
    }
}

impl Report {
    /// Reads a file.
    ///
    /// # Errors
    /// Words.
    pub(crate) fn read(path: &Path) -> Result<Self, String> {
        let text = fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))?;
        let report: Self = serde_json::from_str(&text)
            .map_err(|error| format!("{}: not a report of maru-load: {error}", path.display()))?;
        if report.maru_load != VERSION {
            return Err(format!(
                "{}: version {}; this tool reads {VERSION}",
                path.display(),
                report.maru_load
            ));
        }
        Ok(report)
    }
}

/// Writes a whole file or nothing: beside it first, so that a full disk does not leave half a report.
pub(crate) fn write_whole(path: &Path, text: &str) -> Result<(), String> {
    let words = |error: io::Error| format!("the report {} cannot be written: {error}", path.display());
    // A pipe or a device is written as it is: nothing may be renamed over it.
    if fs::metadata(path).is_ok_and(|there| !there.is_file()) {
        return fs::write(path, text).map_err(words);
    }
    let mut beside = path.as_os_str().to_owned();
    beside.push(".part");
    let beside = Path::new(&beside);
    let written = fs::write(beside, text).and_then(|()| fs::rename(beside, path));
    written.map_err(|error| {
        let _ = fs::remove_file(beside);
        words(error)
    })
}
