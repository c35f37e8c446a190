//! What a store thread counts, read by metrics while it runs.

use std::fmt::Write;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Upper ends of the buckets of write times, microseconds.
const BUCKETS_US: [u64; 14] =
    [100, 200, 400, 800, 1_600, 3_200, 6_400, 12_800, 25_600, 51_200, 102_400, 204_800, 409_600, 1_638_400];

/// Counters of one store thread.
#[derive(Debug, Default)]
pub struct StoreMeter {
    writes: AtomicU64,
    batches: AtomicU64,
    messages: AtomicU64,
    appended: AtomicU64,
    write_us: AtomicU64,
    buckets: [AtomicU64; BUCKETS_US.len()],
}

impl StoreMeter {
    /// A batch was appended.
    pub fn queued(&self) {
        self.appended.fetch_add(1, Ordering::Relaxed);
    }

    /// One synced write is done.
    pub fn committed(&self, batches: usize, messages: usize, took: Duration) {
        let took_us = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        self.writes.fetch_add(1, Ordering::Relaxed);
        self.batches.fetch_add(batches as u64, Ordering::Relaxed);
        self.messages.fetch_add(messages as u64, Ordering::Relaxed);
        self.write_us.fetch_add(took_us, Ordering::Relaxed);
        let bucket = BUCKETS_US.iter().zip(&self.buckets).find(|(end, _)| took_us <= **end);
        if let Some((_, count)) = bucket {
            count.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Synced writes.
    #[must_use]
    pub fn writes(&self) -> u64 {
        self.writes.load(Ordering::Relaxed)
    }

    /// Batches made durable.
    #[must_use]
    pub fn batches(&self) -> u64 {
        self.batches.load(Ordering::Relaxed)
    }

    /// Messages made durable.
    #[must_use]
    pub fn messages(&self) -> u64 {
        self.messages.load(Ordering::Relaxed)
    }

    /// Batches appended and not yet durable.
    #[must_use]
    pub fn waiting(&self) -> u64 {
        self.appended.load(Ordering::Relaxed).saturating_sub(self.batches())
    }

    /// The histogram of write times in the Prometheus text format, without its head.
    pub fn write_histogram(&self, thread: u16, out: &mut String) {
        let mut below = 0;
        // The ends are small whole numbers: dividing them gives the decimal that a person would write.
        for (end_us, count) in BUCKETS_US.iter().zip(&self.buckets) {
            below += count.load(Ordering::Relaxed);
            let end_s = *end_us as f64 / 1e6;
            let _ = writeln!(
                out,
                "maru_store_write_seconds_bucket{{thread=\"{thread}\",le=\"{end_s}\"}} {below}"
            );
        }
        let sum_s = Duration::from_micros(self.write_us.load(Ordering::Relaxed)).as_secs_f64();
        let writes = self.writes().max(below);
        let _ = writeln!(out, "maru_store_write_seconds_bucket{{thread=\"{thread}\",le=\"+Inf\"}} {writes}");
        let _ = writeln!(out, "maru_store_write_seconds_sum{{thread=\"{thread}\"}} {sum_s}");
        let _ = writeln!(out, "maru_store_write_seconds_count{{thread=\"{thread}\"}} {writes}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_fall_into_cumulative_buckets() {
        let meter = StoreMeter::default();
        for us in [50, 100, 101, 5_000_000] {
            meter.queued();
            meter.committed(1, 2, Duration::from_micros(us));
        }
        meter.queued();
        assert_eq!((meter.writes(), meter.batches(), meter.messages(), meter.waiting()), (4, 4, 8, 1));
        let mut text = String::new();
        meter.write_histogram(3, &mut text);
        assert!(text.contains("bucket{thread=\"3\",le=\"0.0001\"} 2\n"), "{text}");
        assert!(text.contains("bucket{thread=\"3\",le=\"0.0002\"} 3\n"), "{text}");
        assert!(text.contains("bucket{thread=\"3\",le=\"1.6384\"} 3\n"), "{text}");
        assert!(text.contains("le=\"+Inf\"} 4\n"), "{text}");
        assert!(text.contains("count{thread=\"3\"} 4\n"), "{text}");
    }
}
