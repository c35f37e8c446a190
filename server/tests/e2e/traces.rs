//! Traces of messages, as a collector hears of them.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::sync::mpsc::{Receiver, channel};
use std::time::Instant;

use protocol::body::message::SendText;
use protocol::{ChannelId, Kind};
use serde_json::Value;
use server::latency::is_sampled;

use crate::node::{Node, PATIENCE};
use crate::people::PASSWORD;
use crate::ports;
use crate::raw::{Raw, Seen, token};

/// A collector: what it was posted. Its thread ends with the listener's last connection, at the end of the process.
fn collector() -> (String, Receiver<Value>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let (tells, told) = channel();
    std::thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let mut stream = BufReader::new(stream);
            let mut head = Vec::new();
            loop {
                let mut line = String::new();
                stream.read_line(&mut line).unwrap();
                if line.trim().is_empty() {
                    break;
                }
                head.push(line.trim().to_ascii_lowercase());
            }
            assert_eq!(head[0], "post /v1/traces http/1.1");
            assert!(head.contains(&"content-type: application/json".to_owned()), "{head:?}");
            let length = head.iter().find_map(|line| line.strip_prefix("content-length: ")).unwrap();
            let mut body = vec![0; length.parse().unwrap()];
            stream.read_exact(&mut body).unwrap();
            let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}";
            stream.get_mut().write_all(answer).unwrap();
            if tells.send(serde_json::from_slice(&body).unwrap()).is_err() {
                return;
            }
        }
    });
    (url, told)
}

/// Two people who talk.
struct Pair {
    node: Node,
    from: Raw,
    to: Raw,
    channel: u128,
}

impl Pair {
    async fn start(endpoint: &str) -> Self {
        let traced = ["--trace-endpoint", endpoint, "--trace-sample", "64"];
        let node = Node::start(
            2,
            &[&traced[..], &["--frames-per-s", "1000000", "--frames-burst", "1000000"]].concat(),
        );
        let ann = node.account().signup("ann", PASSWORD).await.unwrap();
        let bob = node.account().signup("bob", PASSWORD).await.unwrap();
        let from = Raw::live(&node, &token(&node, ann, 71));
        let to = Raw::live(&node, &token(&node, bob, 72));
        Self { node, from, to, channel: ChannelId::direct(ann, bob).0 }
    }

    /// Sends messages with these ids and waits until all are acked and delivered.
    fn talk(&mut self, ids: std::ops::Range<u64>) {
        for id in ids.clone() {
            self.from.body(id, &SendText { channel: self.channel, text: "not to be traced".into() });
        }
        for id in ids.clone() {
            assert_eq!(self.from.answer(id).kind(), Kind::SEND_ACK);
        }
        let mut missing = ids.count();
        while missing > 0 {
            match self.to.next() {
                Seen::Frame(frame) => missing -= usize::from(frame.header().is_stamped()),
                other => panic!("{other:?}"),
            }
        }
    }
}

/// Nanoseconds of a span's begin and end.
fn times(span: &Value) -> (u64, u64) {
    let of = |key: &str| span[key].as_str().unwrap().parse().unwrap();
    (of("startTimeUnixNano"), of("endTimeUnixNano"))
}

#[tokio::test]
async fn a_collector_hears_of_the_chosen_messages_and_of_no_other() {
    let (url, told) = collector();
    let mut pair = Pair::start(&url).await;
    let before_ns = u128::from(api::now_ms()) * 1_000_000;
    let ids = 5000..5300;
    pair.talk(ids.clone());
    let chosen: Vec<String> = ids.filter(|id| is_sampled(*id)).map(|id| format!("{id:016x}")).collect();
    assert!(!chosen.is_empty(), "the numbers of this test");

    let mut traces = BTreeMap::<String, Vec<Value>>::new();
    while traces.len() < chosen.len() {
        let posted = told.recv_timeout(PATIENCE).expect("the traces");
        assert!(!posted.to_string().contains("not to be traced"));
        let resource = &posted["resourceSpans"][0];
        assert_eq!(resource["resource"]["attributes"][0]["value"]["stringValue"], "maru");
        for span in resource["scopeSpans"][0]["spans"].as_array().unwrap() {
            let trace = span["traceId"].as_str().unwrap()[16..].to_owned();
            traces.entry(trace).or_default().push(span.clone());
        }
    }
    assert_eq!(traces.keys().cloned().collect::<Vec<_>>(), chosen);
    for spans in traces.values() {
        let of = |name: &str| {
            spans.iter().find(|span| span["name"] == name).unwrap_or_else(|| panic!("{name}: {spans:?}"))
        };
        assert_eq!(spans.len(), 6, "{spans:?}");
        let root = of("message");
        assert!(u128::from(times(root).0) + 1_000_000 >= before_ns, "{root}");
        for name in ["order", "wait for the write", "write", "ack", "deliver"] {
            let span = of(name);
            assert_eq!(span["parentSpanId"], root["spanId"]);
            assert!(times(root).0 <= times(span).0 && times(span).1 <= times(root).1, "{name}: {spans:?}");
        }
        // One after the other; ack and delivery begin with what is durable.
        let way = ["order", "wait for the write", "write"].map(|name| times(of(name)));
        assert!(way[0].1 == way[1].0 && way[1].1 == way[2].0, "{way:?}");
        assert!(times(of("ack")).0 == way[2].1 && times(of("deliver")).0 == way[2].1, "{spans:?}");
    }
    // It is counted when the answer has come.
    let since = Instant::now();
    while (pair.node.metric("maru_traces_exported_total", "") as usize) < chosen.len() {
        assert!(since.elapsed() < PATIENCE, "not counted");
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    assert_eq!(pair.node.metric("maru_traces_lost_total", ""), 0);
    assert_eq!(pair.node.stop(), Some(0));
}

#[tokio::test]
async fn a_collector_that_is_away_costs_traces_and_nothing_else() {
    let gone = ports::own("127.0.0.1:0");
    let mut pair = Pair::start(&format!("http://{gone}")).await;
    pair.talk(5000..5300);
    let since = Instant::now();
    while pair.node.metric("maru_traces_lost_total", "") == 0 {
        assert!(since.elapsed() < PATIENCE, "nothing is lost");
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    pair.talk(6000..6300);
    pair.node.logs(&["the collector takes no traces"]);
    assert_eq!(pair.node.stop(), Some(0));
}
