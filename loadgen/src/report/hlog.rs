//! The HdrHistogram interval log: one line a second, for the tools that read it.

use std::fmt::Write;

use super::Report;
use crate::meter::Phase;

/// Delivery latencies (acks where nothing is delivered) of the counted part and what came late, in nanoseconds. The
/// format is HdrHistogram's log, version 1.3.
///
/// # Errors
/// None today; the signature is that of its neighbours.
pub(crate) fn log(report: &Report) -> Result<String, String> {
    let mut out = String::new();
    let has_deliveries = report.latencies.delivery.count > 0;
    let _ = writeln!(
        out,
        "#[Histogram log format version 1.3]\n#[maru-load {}, {}]",
        report.scenario.name, report.date
    );
    let _ = writeln!(out, "#[StartTime: 0.000 (seconds since the counted part began)]");
    let _ = writeln!(
        out,
        "\"StartTimestamp\",\"Interval_Length\",\"Interval_Max\",\"Interval_Compressed_Histogram\""
    );
    for interval in report.intervals.iter().filter(|interval| interval.phase >= Phase::Measure) {
        let latency = if has_deliveries { &interval.delivery } else { &interval.ack };
        if latency.count() == 0 {
            continue;
        }
        let begin_s =
            interval.begin_s + if interval.phase == Phase::Drain { report.totals.seconds } else { 0.0 };
        // Interval_Max is in milliseconds where values are nanoseconds.
        let max_ms = latency.max_us() / 1000.0;
        let _ = writeln!(out, "{begin_s:.3},{:.3},{max_ms:.3},{}", interval.seconds, latency.encode());
    }
    Ok(out)
}
