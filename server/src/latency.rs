//! How long the server itself takes with a message: from the read of its frame to its ack, and to each live delivery of
//! it, handed to the kernel. No load tool's own lateness is in these times.
//!
//! One message in [`SAMPLED_ONE_IN`] is measured, chosen by its send id alone: whichever shards read it, ack it and
//! deliver it choose the same ones without telling each other. A table of fixed size, shared by all shards of the
//! process, remembers when a sampled frame was read. A new sample overwrites what stood in its place: of a message
//! that takes too long for the table (seconds, at a million messages a second) nothing is recorded.
//!
//! What a page brings is not measured, however recent: it tells when the device came back, not how fast the server is.

use std::fmt::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use protocol::commit::{Batch, Row};
use protocol::hop::Hop;
use protocol::partition::mix64;
use protocol::query::Answer;
use protocol::{Header, Kind, ShardId};
use shard::{Effect, Input};

use crate::spans::{Spans, Stamp, What};

/// One message in so many is measured.
pub const SAMPLED_ONE_IN: u64 = 64;
/// Sampled messages that are remembered: those of a quarter of a second at a million messages a second.
const SLOTS: usize = 4096;
/// Acks and deliveries of sampled messages in one turn; those above it are not measured.
const PENDING_MAX: usize = 4096;
/// Buckets with an upper end.
const BUCKETS: usize = 56;
/// Their upper ends, nanoseconds: from 50 us by a factor of 1.25 to 10 s.
const ENDS_NS: [u64; BUCKETS] = ends_ns();

const _: () = assert!(SLOTS.is_power_of_two() && SAMPLED_ONE_IN.is_power_of_two());

// The compiler carries this out, and would say where an index lies outside.
#[allow(clippy::indexing_slicing)]
const fn ends_ns() -> [u64; BUCKETS] {
    let mut ends = [10_000_000_000; BUCKETS];
    let mut end = 50_000;
    let mut place = 0;
    while place + 1 < BUCKETS {
        ends[place] = end;
        end += end / 4;
        place += 1;
    }
    ends
}

/// Times of one kind.
#[derive(Debug)]
pub struct Histogram {
    buckets: [AtomicU64; BUCKETS],
    longer: AtomicU64,
    sum_ns: AtomicU64,
}

impl Default for Histogram {
    fn default() -> Self {
        Self {
            buckets: [const { AtomicU64::new(0) }; BUCKETS],
            longer: AtomicU64::new(0),
            sum_ns: AtomicU64::new(0),
        }
    }
}

impl Histogram {
    fn record(&self, took_ns: u64) {
        let place = ENDS_NS.partition_point(|end| *end < took_ns);
        self.buckets.get(place).unwrap_or(&self.longer).fetch_add(1, Ordering::Relaxed);
        self.sum_ns.fetch_add(took_ns, Ordering::Relaxed);
    }

    /// In the Prometheus text format, without its head.
    pub fn write(&self, name: &str, out: &mut String) {
        let mut below = 0;
        for (end_ns, count) in ENDS_NS.iter().zip(&self.buckets) {
            below += count.load(Ordering::Relaxed);
            let _ = writeln!(out, "{name}_bucket{{le=\"{}\"}} {below}", *end_ns as f64 / 1e9);
        }
        let count = below + self.longer.load(Ordering::Relaxed);
        let sum_s = Duration::from_nanos(self.sum_ns.load(Ordering::Relaxed)).as_secs_f64();
        let _ = writeln!(out, "{name}_bucket{{le=\"+Inf\"}} {count}");
        let _ = writeln!(out, "{name}_sum {sum_s}\n{name}_count {count}");
    }
}

/// Id and time share no lock: the first word is the id mixed with the second, so that a slot of which one word is old
/// and one is new names neither message, and its sample is lost.
#[derive(Debug, Default)]
struct Slot {
    id_and_time: AtomicU64,
    read_ns: AtomicU64,
}

/// What all shards of a process share.
#[derive(Debug)]
pub struct Latency {
    zero: Instant,
    slots: Box<[Slot]>,
    /// From the read of a frame to its ack.
    pub ack: Histogram,
    /// From the read of a frame to each live delivery.
    pub delivery: Histogram,
    /// Of the measured messages some are traced, where that is wanted.
    spans: Option<Arc<Spans>>,
}

impl Default for Latency {
    fn default() -> Self {
        Self {
            zero: Instant::now(),
            slots: (0..SLOTS).map(|_| Slot::default()).collect(),
            ack: Histogram::default(),
            delivery: Histogram::default(),
            spans: None,
        }
    }
}

impl Latency {
    /// One that traces, too.
    #[must_use]
    pub fn traced(spans: Option<Spans>) -> Self {
        Self { spans: spans.map(Arc::new), ..Self::default() }
    }

    /// Where traces are gathered, if they are.
    #[must_use]
    pub fn spans(&self) -> Option<&Arc<Spans>> {
        self.spans.as_ref()
    }

    /// Nanoseconds since this was made.
    #[must_use]
    pub fn now_ns(&self) -> u64 {
        self.since_zero_ns(Instant::now())
    }

    /// Batches have become durable by a write that began then.
    pub fn stored(&self, batches: &[Batch], began: Instant) {
        let Some(spans) = &self.spans else { return };
        let (began_ns, now_ns) = (self.since_zero_ns(began), self.now_ns());
        for id in batches.iter().flat_map(sampled_of) {
            for (what, at_ns) in [(What::WriteBegan, began_ns), (What::Stored, now_ns)] {
                spans.stamp(Stamp { id, what, at_ns, shard: None });
            }
        }
    }

    fn since_zero_ns(&self, at: Instant) -> u64 {
        u64::try_from(at.saturating_duration_since(self.zero).as_nanos()).unwrap_or(u64::MAX)
    }

    fn remember(&self, id: u64, read_ns: u64) {
        if let Some(slot) = self.slot(id) {
            slot.read_ns.store(read_ns, Ordering::Relaxed);
            slot.id_and_time.store(id ^ read_ns, Ordering::Relaxed);
        }
    }

    fn read_ns(&self, id: u64) -> Option<u64> {
        let slot = self.slot(id)?;
        let read_ns = slot.read_ns.load(Ordering::Relaxed);
        (slot.id_and_time.load(Ordering::Relaxed) ^ read_ns == id).then_some(read_ns)
    }

    fn slot(&self, id: u64) -> Option<&Slot> {
        let place = usize::try_from(mix64(id) / SAMPLED_ONE_IN % SLOTS as u64).ok()?;
        self.slots.get(place)
    }
}

/// Whether the message with this send id is measured.
#[must_use]
pub fn is_sampled(id: u64) -> bool {
    id != 0 && mix64(id).is_multiple_of(SAMPLED_ONE_IN)
}

/// Send ids of the measured messages in a batch.
fn sampled_of(batch: &Batch) -> impl Iterator<Item = u64> + '_ {
    batch.parts.iter().flat_map(|part| &part.rows).filter_map(|row| match row {
        Row::Message { frame, .. } => Some(frame.header().id).filter(|id| is_sampled(*id)),
        _ => None,
    })
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Which {
    Ack,
    Delivery,
}

/// One shard's side: what it reads, what it hands out in this turn. In each turn [`Self::woke`], [`Self::notes`] of each
/// input, [`Self::looks`] at the effects of each step, [`Self::flushed`]. One clock is read, in turns that handed out
/// something sampled.
#[derive(Debug)]
pub struct Stopwatch {
    shared: Arc<Latency>,
    shard: u16,
    woke_ns: u64,
    /// Which, of which message, and when that was read.
    pending: Vec<(Which, u64, u64)>,
}

impl Stopwatch {
    /// A shard's own.
    #[must_use]
    pub fn new(shared: Arc<Latency>, shard: ShardId) -> Self {
        Self { shared, shard: shard.0, woke_ns: 0, pending: Vec::new() }
    }

    fn stamp(&self, id: u64, what: What, at_ns: u64) {
        if let Some(spans) = &self.shared.spans {
            spans.stamp(Stamp { id, what, at_ns, shard: Some(self.shard) });
        }
    }

    /// The driver was woken, and what it tells from now on was read at this instant.
    pub fn woke(&mut self, at: Instant) {
        self.woke_ns = self.shared.since_zero_ns(at);
    }

    /// Remembers when a sampled message was read. Says whether what the core does with the input is live: not so where
    /// a device catches up.
    pub fn notes(&mut self, input: &Input) -> bool {
        match input {
            Input::Frame { frame, .. } => {
                let header = frame.header();
                if header.kind.is_message() && is_sampled(header.id) {
                    self.shared.remember(header.id, self.woke_ns);
                    self.stamp(header.id, What::Read, self.woke_ns);
                }
                true
            }
            // What the home of a held connection has spoken may be a page. Acks are counted all the same.
            Input::Hello { .. }
            | Input::Egress { .. }
            | Input::Took { .. }
            | Input::Reads { .. }
            | Input::Hop { hop: Hop::Speak { .. }, .. } => false,
            Input::Read { answer, .. } => !matches!(answer, Ok(Answer::Inbox { .. })),
            _ => true,
        }
    }

    /// Looks for acks and, if the step was live, deliveries of sampled messages.
    pub fn looks(&mut self, effects: &[Effect], is_live: bool) {
        for effect in effects {
            let frames = match effect {
                Effect::Transmit { frames, .. } => frames,
                Effect::Append(batch) => {
                    self.traces_batch(batch);
                    continue;
                }
                _ => continue,
            };
            // A page of history begins with a frame of its own; what the core sends live comes one by one.
            let Some(header) = Header::read(frames) else { continue };
            let which = match header.kind {
                Kind::SEND_ACK => Which::Ack,
                _ if is_live && header.is_stamped() => Which::Delivery,
                _ => continue,
            };
            if is_sampled(header.id)
                && self.pending.len() < PENDING_MAX
                && let Some(read_ns) = self.shared.read_ns(header.id)
            {
                self.pending.push((which, header.id, read_ns));
            }
        }
    }

    /// What a batch holds is ordered. Only looked at where anything is traced.
    fn traces_batch(&self, batch: &Batch) {
        if self.shared.spans.is_some() {
            sampled_of(batch).for_each(|id| self.stamp(id, What::Ordered, self.shared.now_ns()));
        }
    }

    /// All that was looked at is with the kernel, or as much of it as that takes.
    pub fn flushed(&mut self, clock: impl FnOnce() -> Instant) {
        if self.pending.is_empty() {
            return;
        }
        let now_ns = self.shared.since_zero_ns(clock());
        let spans = self.shared.spans.as_deref();
        for (which, id, read_ns) in self.pending.drain(..) {
            let (histogram, what) = match which {
                Which::Ack => (&self.shared.ack, What::Acked),
                Which::Delivery => (&self.shared.delivery, What::Delivered),
            };
            histogram.record(now_ns.saturating_sub(read_ns));
            if let Some(spans) = spans {
                spans.stamp(Stamp { id, what, at_ns: now_ns, shard: Some(self.shard) });
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use protocol::body::encode;
    use protocol::body::message::SendText;
    use protocol::body::sync::SendAck;
    use protocol::{Frame, InboxSeq, Seq, UserId};
    use shard::{ConnId, Ticket};

    use super::*;

    fn sampled() -> impl Iterator<Item = u64> {
        (1..).filter(|id| is_sampled(*id))
    }

    fn text(id: u64) -> Frame {
        encode(id, &SendText { channel: 7, text: "hello".into() })
    }

    fn delivery(id: u64) -> Effect {
        let stamp = protocol::Stamp { seq: Seq(1), time_ms: 1, sender: UserId(1) };
        Effect::Transmit { conn: ConnId(1), frames: text(id).stamp(stamp).into_bytes() }
    }

    fn ack(id: u64) -> Effect {
        let frames = encode(id, &SendAck { channel: 7, seq: 1, time_ms: 1 }).into_bytes();
        Effect::Transmit { conn: ConnId(1), frames }
    }

    fn counts(latency: &Latency) -> (u64, u64) {
        let count = |histogram: &Histogram| {
            let mut text = String::new();
            histogram.write("x", &mut text);
            text.lines().find_map(|line| line.strip_prefix("x_count ")).unwrap().parse().unwrap()
        };
        (count(&latency.ack), count(&latency.delivery))
    }

    fn reads(watch: &mut Stopwatch, id: u64) {
        assert!(watch.notes(&Input::Frame { conn: ConnId(1), frame: text(id) }));
    }

    #[test]
    fn one_shard_reads_and_another_delivers() {
        let latency = Arc::<Latency>::default();
        let mut reader = Stopwatch::new(latency.clone(), ShardId(0));
        let mut home = Stopwatch::new(latency.clone(), ShardId(0));
        let id = sampled().next().unwrap();
        reader.woke(latency.zero + Duration::from_millis(5));
        reads(&mut reader, id);
        home.looks(&[delivery(id), ack(id), delivery(id)], true);
        assert_eq!(counts(&latency), (0, 0), "nothing before the flush");
        home.flushed(|| latency.zero + Duration::from_millis(7));
        home.flushed(|| panic!("nothing is pending: the clock is left alone"));
        assert_eq!(counts(&latency), (1, 2));
        let mut text = String::new();
        latency.delivery.write("d", &mut text);
        assert!(text.contains("d_sum 0.004\n"), "{text}");
    }

    #[test]
    fn most_messages_are_not_sampled() {
        let mut watch = Stopwatch::new(Arc::default(), ShardId(0));
        for id in (1..1000).filter(|id| !is_sampled(*id)) {
            reads(&mut watch, id);
            watch.looks(&[delivery(id), ack(id)], true);
        }
        watch.flushed(|| panic!("nothing is pending"));
        let share = (1..64_001).filter(|id| is_sampled(*id)).count();
        assert!((900..1100).contains(&share), "{share} of 64,000");
        assert!(!is_sampled(0), "the id of what nobody asked for");
    }

    #[test]
    fn who_catches_up_is_not_measured() {
        let latency = Arc::<Latency>::default();
        let mut watch = Stopwatch::new(latency.clone(), ShardId(0));
        let id = sampled().next().unwrap();
        reads(&mut watch, id);
        let page = Answer::Inbox { frames: Vec::new(), through: InboxSeq(1) };
        let is_live = watch.notes(&Input::Read { ticket: Ticket(1), answer: Ok(page) });
        assert!(!is_live);
        watch.looks(&[delivery(id)], is_live);
        assert!(!watch.notes(&Input::Egress { conn: ConnId(1), queued: 0 }));
        watch.looks(&[Effect::Transmit { conn: ConnId(1), frames: Bytes::new() }], true);
        watch.flushed(|| panic!("nothing is pending"));
        watch.looks(&[ack(id)], is_live);
        watch.flushed(|| latency.zero);
        assert_eq!(counts(&latency), (1, 0), "an ack is an ack on any way");
    }

    #[test]
    fn what_is_overwritten_is_nobody_elses_sample() {
        let latency = Latency::default();
        let place = |id| mix64(id) / SAMPLED_ONE_IN % SLOTS as u64;
        let first = sampled().next().unwrap();
        let second = sampled().skip(1).find(|id| place(*id) == place(first)).unwrap();
        latency.remember(first, 10);
        assert_eq!((latency.read_ns(first), latency.read_ns(second)), (Some(10), None));
        latency.remember(second, 20);
        assert_eq!((latency.read_ns(first), latency.read_ns(second)), (None, Some(20)));
        latency.slot(first).unwrap().read_ns.store(10, Ordering::Relaxed);
        assert_eq!((latency.read_ns(first), latency.read_ns(second)), (None, None), "half of a write");
    }

    #[test]
    fn buckets_grow_by_a_quarter_and_are_cumulative() {
        assert_eq!((ENDS_NS[0], ENDS_NS[1], ENDS_NS[BUCKETS - 1]), (50_000, 62_500, 10_000_000_000));
        for pair in ENDS_NS.windows(2) {
            let factor = pair[1] as f64 / pair[0] as f64;
            assert!((1.1..1.26).contains(&factor), "{pair:?}");
        }
        let histogram = Histogram::default();
        for ns in [1, 50_000, 50_001, 10_000_000_000, 10_000_000_001] {
            histogram.record(ns);
        }
        let mut text = String::new();
        histogram.write("h", &mut text);
        let lines = [
            "h_bucket{le=\"0.00005\"} 2",
            "h_bucket{le=\"0.0000625\"} 3",
            "h_bucket{le=\"10\"} 4",
            "h_count 5",
        ];
        for line in lines.into_iter().chain(["h_bucket{le=\"+Inf\"} 5"]) {
            assert!(text.lines().any(|found| found == line), "{line} is not in\n{text}");
        }
    }
}
