//! Spans of a message as OTLP's JSON (opentelemetry-proto, trace/v1; ids in hex, times in nanoseconds as text).

use protocol::partition::mix64;
use serde_json::{Value, json};

use super::{Stamp, What};

/// Kinds of spans: inside of the process, and what answers somebody.
const INTERNAL: u32 = 1;
const SERVER: u32 = 2;
/// Deliveries of one message that get a span of their own.
const DELIVERIES_MAX: usize = 32;

/// Whose spans these are.
#[derive(Clone, Copy, Debug)]
pub(super) struct Origin {
    /// The upper half of every trace's id: of this process alone.
    pub(super) trace: u64,
    /// Nanoseconds since the Unix epoch when stamps are at 0.
    pub(super) zero_unix_ns: u64,
}

/// What is posted for all of these spans.
pub(super) fn request(spans: Vec<Value>) -> Value {
    let text = |key: &str, value: &str| json!({ "key": key, "value": { "stringValue": value } });
    let resource = [text("service.name", "maru"), text("service.version", env!("CARGO_PKG_VERSION"))];
    json!({ "resourceSpans": [{
        "resource": { "attributes": resource },
        "scopeSpans": [{ "scope": { "name": "maru.messages" }, "spans": spans }],
    }] })
}

/// Of one message, from its stamps; none when it was never read here.
pub(super) fn spans(origin: Origin, id: u64, stamps: &[Stamp]) -> Vec<Value> {
    let first = |what| stamps.iter().filter(|stamp| stamp.what == what).min_by_key(|stamp| stamp.at_ns);
    let Some(read) = first(What::Read) else { return Vec::new() };
    let last_ns = stamps.iter().map(|stamp| stamp.at_ns).max().unwrap_or(read.at_ns);
    let mut trace = Trace { origin, id, made: 0, spans: Vec::new() };
    let root = trace.add("message", SERVER, None, (read.at_ns, last_ns), read.shard);
    let root = Some(root.as_str());
    let Some(ordered) = first(What::Ordered) else { return trace.spans };
    trace.add("order", INTERNAL, root, (read.at_ns, ordered.at_ns), ordered.shard);
    let mut durable_ns = ordered.at_ns;
    if let (Some(began), Some(stored)) = (first(What::WriteBegan), first(What::Stored)) {
        trace.add("wait for the write", INTERNAL, root, (ordered.at_ns, began.at_ns), None);
        trace.add("write", INTERNAL, root, (began.at_ns, stored.at_ns), None);
        durable_ns = stored.at_ns;
    }
    if let Some(acked) = first(What::Acked) {
        trace.add("ack", INTERNAL, root, (durable_ns, acked.at_ns), acked.shard);
    }
    let delivered = stamps.iter().filter(|stamp| stamp.what == What::Delivered);
    for delivered in delivered.take(DELIVERIES_MAX) {
        trace.add("deliver", INTERNAL, root, (durable_ns, delivered.at_ns), delivered.shard);
    }
    trace.spans
}

struct Trace {
    origin: Origin,
    id: u64,
    made: u64,
    spans: Vec<Value>,
}

impl Trace {
    /// Gives the span's id.
    fn add(
        &mut self,
        name: &str,
        kind: u32,
        parent: Option<&str>,
        (from_ns, to_ns): (u64, u64),
        shard: Option<u16>,
    ) -> String {
        self.made += 1;
        // Never 0, which is no id.
        let span = format!("{:016x}", mix64(self.id.wrapping_add(self.made)) | 1);
        let time = |ns: u64| self.origin.zero_unix_ns.saturating_add(ns).to_string();
        let attributes: Vec<Value> = shard
            .map(|shard| json!({ "key": "maru.shard", "value": { "intValue": shard.to_string() } }))
            .into_iter()
            .collect();
        let mut made = json!({
            "traceId": format!("{:016x}{:016x}", self.origin.trace, self.id), "spanId": span, "name": name, "kind": kind,
            "startTimeUnixNano": time(from_ns), "endTimeUnixNano": time(to_ns.max(from_ns)), "attributes": attributes,
        });
        if let (Some(parent), Some(members)) = (parent, made.as_object_mut()) {
            members.insert("parentSpanId".into(), parent.into());
        }
        self.spans.push(made);
        span
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ORIGIN: Origin = Origin { trace: 0xabc, zero_unix_ns: 1_000_000 };

    fn stamp(what: What, at_ns: u64, shard: u16) -> Stamp {
        let shard = (!matches!(what, What::WriteBegan | What::Stored)).then_some(shard);
        Stamp { id: 7, what, at_ns, shard }
    }

    fn names(spans: &[Value]) -> Vec<(&str, u64, u64)> {
        let time = |span: &Value, key: &str| span[key].as_str().unwrap().parse::<u64>().unwrap() - 1_000_000;
        let of = |span| (time(span, "startTimeUnixNano"), time(span, "endTimeUnixNano"));
        spans.iter().map(|span| (span["name"].as_str().unwrap(), of(span).0, of(span).1)).collect()
    }

    #[test]
    fn a_message_has_a_span_for_each_part_of_its_way() {
        use What::{Acked, Delivered, Ordered, Read, Stored, WriteBegan};
        // As they come from several threads: in no order.
        let stamps = [
            stamp(Delivered, 90, 1),
            stamp(Read, 10, 0),
            stamp(Stored, 60, 0),
            stamp(Ordered, 20, 2),
            stamp(WriteBegan, 30, 0),
            stamp(Acked, 70, 0),
            stamp(Delivered, 95, 0),
        ];
        let spans = spans(ORIGIN, 7, &stamps);
        let expected = [
            ("message", 10, 95),
            ("order", 10, 20),
            ("wait for the write", 20, 30),
            ("write", 30, 60),
            ("ack", 60, 70),
            ("deliver", 60, 90),
            ("deliver", 60, 95),
        ];
        assert_eq!(names(&spans), expected);
        let ids: std::collections::BTreeSet<_> = spans.iter().map(|span| span["spanId"].as_str()).collect();
        assert_eq!(ids.len(), spans.len());
        for span in &spans {
            assert_eq!(span["traceId"], "0000000000000abc0000000000000007");
            assert_eq!(span["spanId"].as_str().unwrap().len(), 16);
        }
        assert!(spans[0].get("parentSpanId").is_none());
        assert!(spans[1..].iter().all(|span| span["parentSpanId"] == spans[0]["spanId"]));
        assert_eq!(spans[1]["attributes"][0]["value"]["intValue"], "2");
    }

    #[test]
    fn what_is_missing_is_left_out() {
        use What::{Acked, Ordered, Read};
        assert!(spans(ORIGIN, 7, &[stamp(Acked, 9, 0)]).is_empty());
        assert_eq!(names(&spans(ORIGIN, 7, &[stamp(Read, 9, 0)])), [("message", 9, 9)]);
        let in_memory = [stamp(Read, 1, 0), stamp(Ordered, 2, 0), stamp(Acked, 3, 0)];
        assert_eq!(names(&spans(ORIGIN, 7, &in_memory)), [("message", 1, 3), ("order", 1, 2), ("ack", 2, 3)]);
    }
}
