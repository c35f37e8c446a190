//! Histograms of latencies in nanoseconds, and the counts of one interval.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hdrhistogram::Histogram;
use hdrhistogram::serialization::{Deserializer, Serializer, V2DeflateSerializer};
use serde::{Deserialize, Serialize};

/// Longest latency told apart: an hour. Longer ones count as an hour.
const HIGHEST_NS: u64 = 3_600_000_000_000;
/// Decimal digits that are kept.
const DIGITS: u8 = 3;

/// A histogram that costs nothing until something is recorded. On the wire and on disk it is base64 of the compressed
/// HdrHistogram V2 encoding.
#[derive(Clone, Debug, Default)]
pub(crate) struct Latency(Option<Box<Histogram<u64>>>);

impl Latency {
    pub(crate) fn record(&mut self, ns: u64) {
        if self.0.is_none() {
            self.0 = Histogram::new_with_bounds(1, HIGHEST_NS, DIGITS).ok().map(Box::new);
        }
        if let Some(histogram) = &mut self.0 {
            histogram.saturating_record(ns.max(1));
        }
    }

    pub(crate) fn merge(&mut self, other: &Self) {
        match (&mut self.0, &other.0) {
            (Some(into), Some(from)) => {
                // Bounds are the same everywhere, so it cannot be refused.
                let _ = into.add(from.as_ref());
            }
            (into @ None, from) => into.clone_from(from),
            (_, None) => {}
        }
    }

    /// What is left without a part of it.
    pub(crate) fn without(mut self, part: &Self) -> Self {
        if let (Some(all), Some(part)) = (&mut self.0, &part.0) {
            // It is refused only when there is more in the part.
            let _ = all.subtract(part.as_ref());
        }
        self
    }

    pub(crate) fn count(&self) -> u64 {
        self.0.as_ref().map_or(0, |histogram| histogram.len())
    }

    /// Microseconds at a quantile from 0 to 1; 0 of nothing.
    #[allow(clippy::cast_precision_loss)]
    pub(crate) fn us(&self, quantile: f64) -> f64 {
        self.0.as_ref().map_or(0.0, |histogram| histogram.value_at_quantile(quantile) as f64 / 1000.0)
    }

    /// Microseconds on average.
    pub(crate) fn mean_us(&self) -> f64 {
        self.0.as_ref().map_or(0.0, |histogram| histogram.mean() / 1000.0)
    }

    /// Microseconds of the worst.
    #[allow(clippy::cast_precision_loss)]
    pub(crate) fn max_us(&self) -> f64 {
        self.0.as_ref().map_or(0.0, |histogram| histogram.max() as f64 / 1000.0)
    }

    /// The encoded form; empty for nothing.
    pub(crate) fn encode(&self) -> String {
        let mut bytes = Vec::new();
        if let Some(histogram) = &self.0
            && V2DeflateSerializer::new().serialize(histogram.as_ref(), &mut bytes).is_err()
        {
            bytes.clear();
        }
        STANDARD.encode(bytes)
    }

    fn decode(text: &str) -> Option<Self> {
        if text.is_empty() {
            return Some(Self(None));
        }
        let bytes = STANDARD.decode(text).ok()?;
        let histogram = Deserializer::new().deserialize(&mut bytes.as_slice()).ok()?;
        // Deserialised bounds are those that were written; a fresh one takes the counts whatever they are.
        let mut whole = Histogram::new_with_bounds(1, HIGHEST_NS, DIGITS).ok()?;
        whole.add(&histogram).ok()?;
        Some(Self(Some(Box::new(whole))))
    }
}

impl Serialize for Latency {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.encode())
    }
}

impl<'de> Deserialize<'de> for Latency {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::decode(&text).ok_or_else(|| serde::de::Error::custom("not a histogram"))
    }
}

/// What part of a run an interval belongs to.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Phase {
    /// Connections are opened, groups made.
    Connect,
    /// Load that does not count.
    Warmup,
    /// Load that counts.
    Measure,
    /// Waiting for what is missing.
    Drain,
}

/// What happened in an interval of about a second. Latencies count only for messages whose intended time lies in
/// [`Phase::Measure`], in whatever interval they end; counts are of the interval itself.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Interval {
    pub(crate) phase: Phase,
    /// Place within its phase.
    pub(crate) index: u32,
    /// Since the phase began.
    pub(crate) begin_s: f64,
    pub(crate) seconds: f64,
    /// What the schedule wanted sent.
    pub(crate) offered: u64,
    pub(crate) acked: u64,
    pub(crate) delivered: u64,
    /// Characters of text delivered, in bytes.
    pub(crate) delivered_bytes: u64,
    /// Users of whom devices were told whether they are there.
    #[serde(default)]
    pub(crate) presences: u64,
    /// Authenticated connections at its end.
    pub(crate) connected: u64,
    /// Connections that were authenticated in it.
    pub(crate) connects: u64,
    /// Connections that ended in it, on purpose or not.
    pub(crate) disconnects: u64,
    /// CPU of the tool, seconds.
    pub(crate) cpu_s: f64,
    pub(crate) ack: Latency,
    pub(crate) delivery: Latency,
    /// From the intended dial to Welcome.
    pub(crate) connect: Latency,
    /// From the intended dial to having caught up, of devices that come back.
    pub(crate) catch_up: Latency,
    /// Deliveries to devices that were cut when the message was sent: says mostly how long they were away.
    pub(crate) resumed: Latency,
    /// Of `delivery`: what was sent while devices of a storm were missing.
    pub(crate) storm: Latency,
    /// From the intended send to the tool's own send.
    pub(crate) lag: Latency,
}

impl Interval {
    pub(crate) fn new(phase: Phase, index: u32) -> Self {
        Self {
            phase,
            index,
            begin_s: 0.0,
            seconds: 0.0,
            offered: 0,
            acked: 0,
            delivered: 0,
            delivered_bytes: 0,
            presences: 0,
            connected: 0,
            connects: 0,
            disconnects: 0,
            cpu_s: 0.0,
            ack: Latency::default(),
            delivery: Latency::default(),
            connect: Latency::default(),
            catch_up: Latency::default(),
            resumed: Latency::default(),
            storm: Latency::default(),
            lag: Latency::default(),
        }
    }

    /// Adds the same interval of another worker.
    pub(crate) fn merge(&mut self, other: &Self) {
        self.seconds = self.seconds.max(other.seconds);
        self.offered += other.offered;
        self.acked += other.acked;
        self.delivered += other.delivered;
        self.delivered_bytes += other.delivered_bytes;
        self.presences += other.presences;
        self.connected += other.connected;
        self.connects += other.connects;
        self.disconnects += other.disconnects;
        self.cpu_s += other.cpu_s;
        self.ack.merge(&other.ack);
        self.delivery.merge(&other.delivery);
        self.connect.merge(&other.connect);
        self.catch_up.merge(&other.catch_up);
        self.resumed.merge(&other.resumed);
        self.storm.merge(&other.storm);
        self.lag.merge(&other.lag);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn merging_is_recording_in_one() {
        let (mut one, mut two, mut all) = (Latency::default(), Latency::default(), Latency::default());
        for ns in (1..50_000_u64).map(|n| n * 997) {
            if ns % 3 == 0 {
                one.record(ns)
            } else {
                two.record(ns)
            }
            all.record(ns);
        }
        let mut merged = Latency::default();
        merged.merge(&one);
        merged.merge(&two);
        merged.merge(&Latency::default());
        for quantile in [0.0, 0.5, 0.99, 0.999, 1.0] {
            assert_eq!(merged.us(quantile), all.us(quantile));
        }
        assert_eq!(merged.count(), all.count());
        let rest = merged.without(&one);
        assert_eq!((rest.count(), rest.us(0.9)), (two.count(), two.us(0.9)));
        assert!((all.us(0.5) - 24_925.0).abs() < 50.0, "{}", all.us(0.5));
    }

    #[test]
    fn what_is_written_is_read_back_and_goes_on_counting() {
        let mut latency = Latency::default();
        latency.record(5);
        latency.record(7_000_000);
        let text = serde_json::to_string(&latency).unwrap();
        let mut back: Latency = serde_json::from_str(&text).unwrap();
        back.record(u64::MAX);
        assert_eq!((back.count(), back.us(0.5)), (3, latency.us(1.0)));
        assert!(serde_json::from_str::<Latency>("\"AAAA\"").is_err());
        assert_eq!(serde_json::from_str::<Latency>("\"\"").unwrap().count(), 0);
    }
}
