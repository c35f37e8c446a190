//! The server's own latencies: two reads of its `/metrics`, what came between them, and quantiles of that.

use std::time::Duration;

use client::operator::Operator;
use client::trust::Trust;
use serde::{Deserialize, Serialize};

use crate::accounts::runtime;

/// A server that does not answer for so long has no metrics.
const PATIENCE: Duration = Duration::from_secs(5);

/// What one read of the metrics found.
#[derive(Clone, Debug, Default)]
pub(crate) struct Scrape {
    ack: Histogram,
    delivery: Histogram,
}

/// A histogram of Prometheus, summed over its labels.
#[derive(Clone, PartialEq, Debug, Default)]
struct Histogram {
    /// Upper end in seconds, and how many lie at or below it; rising, the last end is infinite.
    buckets: Vec<(f64, u64)>,
    sum_s: f64,
}

/// What the server itself found in the counted part.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct ServerLatency {
    /// From the read of a frame to its ack handed to the kernel.
    pub(crate) ack: Quantiles,
    /// The same to each live delivery.
    pub(crate) delivery: Quantiles,
}

/// Read from buckets: as exact as these are narrow.
#[derive(Clone, Copy, PartialEq, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Quantiles {
    /// Of how many; the server measures one message in 64.
    pub(crate) count: u64,
    pub(crate) mean_us: f64,
    pub(crate) p50_us: f64,
    pub(crate) p99_us: f64,
}

/// Whom to ask for metrics, `admin` being the admin listener.
///
/// # Errors
/// Words: not such an address.
pub(crate) fn metrics_of(admin: &str, trust: &Trust) -> Result<Operator, String> {
    Operator::new(admin, "", trust).map_err(|error| format!("--metrics: {error}"))
}

impl Scrape {
    /// Asks a server.
    ///
    /// # Errors
    /// Words: no answer, or one without these histograms.
    pub(crate) fn take(server: &Operator) -> Result<Self, String> {
        let words = |fault: &dyn std::fmt::Display| format!("--metrics: {fault}");
        let text = runtime()?.block_on(async {
            let asked = tokio::time::timeout(PATIENCE, server.page("/metrics")).await;
            asked.map_err(|_| words(&"no answer in time"))?.map_err(|error| words(&error))
        })?;
        Self::read(&text).ok_or_else(|| words(&"the answer has no maru_ack_seconds"))
    }

    fn read(text: &str) -> Option<Self> {
        let [ack, delivery] =
            ["maru_ack_seconds", "maru_delivery_seconds"].map(|name| Histogram::read(text, name));
        Some(Self { ack: ack?, delivery: delivery? })
    }

    /// What came since an earlier one.
    pub(crate) fn since(&self, before: &Self) -> ServerLatency {
        ServerLatency {
            ack: self.ack.since(&before.ack).quantiles(),
            delivery: self.delivery.since(&before.delivery).quantiles(),
        }
    }
}

impl Histogram {
    /// `None` when the text has no such name.
    fn read(text: &str, name: &str) -> Option<Self> {
        let mut found = Self::default();
        for line in text.lines().filter_map(|line| line.strip_prefix(name)) {
            let Some((key, value)) = line.rsplit_once(' ') else { continue };
            if key.starts_with("_bucket{") {
                let end = key.split_once("le=\"").and_then(|(_, rest)| rest.split_once('"'));
                let (Some((end, _)), Ok(count)) = (end, value.parse()) else { continue };
                found.add(end.replace("+Inf", "inf").parse().ok()?, count);
            } else if key == "_sum" || key.starts_with("_sum{") {
                found.sum_s += value.parse::<f64>().unwrap_or_default();
            }
        }
        (!found.buckets.is_empty()).then_some(found)
    }

    fn add(&mut self, end_s: f64, count: u64) {
        match self.buckets.binary_search_by(|(end, _)| end.total_cmp(&end_s)) {
            Ok(place) => {
                if let Some((_, there)) = self.buckets.get_mut(place) {
                    *there += count;
                }
            }
            Err(place) => self.buckets.insert(place, (end_s, count)),
        }
    }

    fn since(&self, before: &Self) -> Self {
        let at =
            |end_s: f64| before.buckets.iter().find(|(end, _)| *end == end_s).map_or(0, |(_, count)| *count);
        // A server that was started anew counts from 0.
        let buckets = self.buckets.iter().map(|(end_s, count)| (*end_s, count.saturating_sub(at(*end_s))));
        Self { buckets: buckets.collect(), sum_s: (self.sum_s - before.sum_s).max(0.0) }
    }

    #[allow(clippy::cast_precision_loss)]
    fn quantiles(&self) -> Quantiles {
        let count = self.buckets.last().map_or(0, |(_, count)| *count);
        let us = |share: f64| quantile(&self.buckets, share).unwrap_or_default() * 1e6;
        let mean_us = if count > 0 { self.sum_s / count as f64 * 1e6 } else { 0.0 };
        Quantiles { count, mean_us, p50_us: us(0.5), p99_us: us(0.99) }
    }
}

/// The value that a share of all lie at or below, in the unit of the ends: as if what a bucket holds were spread evenly in
/// it. Buckets are cumulative. What lies above the last finite end is taken for that end; `None` of nothing.
#[allow(clippy::cast_precision_loss)]
pub(crate) fn quantile(buckets: &[(f64, u64)], share: f64) -> Option<f64> {
    let count = buckets.last().filter(|(_, count)| *count > 0)?.1;
    let rank = share.clamp(0.0, 1.0) * count as f64;
    let (mut from, mut below) = (0.0, 0);
    for (end, at_or_below) in buckets {
        if end.is_infinite() {
            break;
        }
        if *at_or_below > below && *at_or_below as f64 >= rank {
            let part = (rank - below as f64) / (at_or_below - below) as f64;
            return Some(from + (end - from) * part);
        }
        (from, below) = (*end, *at_or_below);
    }
    Some(from)
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};

    use super::*;

    const TEXT: &str = "# TYPE maru_ack_seconds histogram\nmaru_ack_seconds_bucket{le=\"0.001\"} 10\n\
        maru_ack_seconds_bucket{le=\"0.002\"} 30\nmaru_ack_seconds_bucket{le=\"+Inf\"} 40\nmaru_ack_seconds_sum 0.5\n\
        maru_ack_seconds_count 40\nmaru_delivery_seconds_bucket{shard=\"0\",le=\"0.001\"} 1\n\
        maru_delivery_seconds_bucket{shard=\"1\",le=\"0.001\"} 2\n\
        maru_delivery_seconds_bucket{shard=\"0\",le=\"+Inf\"} 4\nmaru_delivery_seconds_sum{shard=\"0\"} 0.25\n\
        maru_delivery_seconds_sum{shard=\"1\"} 0.25\n";

    fn near(found: Option<f64>, expected: f64) -> bool {
        found.is_some_and(|found| (found - expected).abs() < 1e-9)
    }

    #[test]
    fn a_quantile_lies_where_its_share_of_the_bucket_is() {
        let buckets = [(1.0, 0), (2.0, 50), (4.0, 100), (f64::INFINITY, 100)];
        for (share, expected) in [(0.0, 1.0), (0.25, 1.5), (0.5, 2.0), (0.75, 3.0), (0.99, 3.96), (1.0, 4.0)]
        {
            assert!(near(quantile(&buckets, share), expected), "{share}: {:?}", quantile(&buckets, share));
        }
        let first = [(1.0, 10), (f64::INFINITY, 10)];
        assert!(near(quantile(&first, 0.5), 0.5), "the first bucket begins at 0");
        let above = [(1.0, 1), (2.0, 1), (f64::INFINITY, 100)];
        assert!(near(quantile(&above, 0.99), 2.0), "no more is known than that it lies above");
        assert_eq!(quantile(&[(1.0, 0), (f64::INFINITY, 0)], 0.5), None);
        assert_eq!(quantile(&[], 0.5), None);
    }

    #[test]
    fn labels_are_summed_and_the_difference_is_what_came_between() {
        let before = Scrape::read(TEXT).unwrap();
        assert_eq!(before.delivery.buckets, [(0.001, 3), (f64::INFINITY, 4)]);
        assert_eq!(before.delivery.sum_s, 0.5);
        let after = TEXT.replace("} 30", "} 130").replace("} 40", "} 140").replace("sum 0.5", "sum 0.7");
        let found = Scrape::read(&after).unwrap().since(&before);
        assert_eq!((found.ack.count, found.delivery), (100, Quantiles::default()));
        let near = |found: f64, expected: f64| (found - expected).abs() < 1e-6;
        assert!(near(found.ack.p50_us, 1500.0) && near(found.ack.p99_us, 1990.0), "{found:?}");
        assert!(near(found.ack.mean_us, 2000.0), "{found:?}");
        let anew = before.since(&Scrape::read(&after).unwrap());
        assert_eq!(anew.ack.count, 0, "a server that was started anew");
    }

    #[test]
    fn what_is_no_server_of_ours_is_named() {
        assert!(Scrape::read("maru_ack_seconds_bucket{le=\"1\"} 1\n").is_none());
        let of = |url: &str| metrics_of(url, &Trust::default());
        assert!(of("ftp://127.0.0.1").unwrap_err().contains("http://"));
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let server = std::thread::spawn(move || {
            for answer in ["HTTP/1.0 404 no\r\n\r\n", "HTTP/1.0 200 ok\r\n\r\nup 1\n"] {
                let (mut stream, _) = listener.accept().unwrap();
                let _ = stream.read(&mut [0; 1024]).unwrap();
                stream.write_all(answer.as_bytes()).unwrap();
            }
        });
        assert!(Scrape::take(&of(&url).unwrap()).unwrap_err().contains("404"));
        assert!(Scrape::take(&of(&url).unwrap()).unwrap_err().contains("maru_ack_seconds"));
        server.join().unwrap();
    }
}
