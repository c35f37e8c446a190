//! Encoding a body into a frame and checking one that came in, kind by kind; the same values in protobuf and JSON
//! beside it. For frames, checking is what the server does with a device's bytes: bounds, UTF-8, canonical form, limits.
//! For protobuf and JSON it is decoding, which checks less.
#![allow(missing_docs, unreachable_pub, clippy::unwrap_used)]

mod json;
mod proto;

use std::hint::black_box;

use criterion::{
    BenchmarkGroup, Criterion, Throughput, criterion_group, criterion_main, measurement::WallTime,
};
use prost::Message;
use protocol::body::message::{CreateGroup, SendText};
use protocol::body::session::{Heartbeat, Hello};
use protocol::body::sync::{Complete, GetHistory, MemberItem, Members, SendAck};
use protocol::body::{self, Body};
use protocol::{ChannelId, SendId, UserId};
use serde::Serialize;
use serde::de::DeserializeOwned;

const SENTENCE: &str = "오늘 저녁에 시간 괜찮으세요? 일곱 시쯤 볼까요";

fn direct() -> u128 {
    ChannelId::direct(UserId(7_311_402_000_001), UserId(7_311_402_000_555)).0
}

fn kinds(criterion: &mut Criterion) {
    text(criterion, "send_text_short", SENTENCE.into());
    text(criterion, "send_text_100000_characters", "가나다라마바사아자차".repeat(10_000));
    let users: Vec<u64> = (1..=99).map(|user| 7_311_402_000_001 + user * 17).collect();
    let channel = ChannelId::group(UserId(7_311_402_000_001), SendId(5)).0;
    one(
        criterion,
        "create_group_100",
        &CreateGroup { channel, name: "마루".into(), members: users.clone() },
        &proto::CreateGroup { channel: proto::id(channel), name: "마루".into(), members: users.clone() },
        &json::CreateGroup { channel: channel.to_string(), name: "마루".into(), members: users.clone() },
    );
    let token = "m1.".to_owned() + &"A".repeat(81);
    one(
        criterion,
        "hello",
        &Hello { generation: 77, cursor: 9000, token: token.clone() },
        &proto::Hello { generation: 77, cursor: 9000, token: token.clone() },
        &json::Hello { generation: 77, cursor: 9000, token },
    );
    let time_ms = 1_800_000_000_123;
    one(
        criterion,
        "heartbeat",
        &Heartbeat { time_ms },
        &proto::Heartbeat { time_ms },
        &json::Heartbeat { time_ms },
    );
    one(
        criterion,
        "get_history",
        &GetHistory { channel, after: 0, before: 4000, limit: 50, newest: true },
        &proto::GetHistory { channel: proto::id(channel), after: 0, before: 4000, limit: 50, newest: true },
        &json::GetHistory { channel: channel.to_string(), after: 0, before: 4000, limit: 50, newest: true },
    );
    from_server(criterion, channel, &users, time_ms);
}

/// What the server sends is encoded by it and read by the client.
fn from_server(criterion: &mut Criterion, channel: u128, users: &[u64], time_ms: u64) {
    one(
        criterion,
        "send_ack",
        &SendAck { channel, seq: 4000, time_ms },
        &proto::SendAck { channel: proto::id(channel), seq: 4000, time_ms },
        &json::SendAck { channel: channel.to_string(), seq: 4000, time_ms },
    );
    one(
        criterion,
        "complete",
        &Complete { generation: 77, from: 9000, to: 9001, head: 9001 },
        &proto::Complete { generation: 77, from: 9000, to: 9001, head: 9001 },
        &json::Complete { generation: 77, from: 9000, to: 9001, head: 9001 },
    );
    let items = users.iter().map(|user| MemberItem { user: *user, joined: 1, role: 0 }).collect();
    let proto_items = users.iter().map(|user| proto::Member { user: *user, joined: 1, role: 0 }).collect();
    let json_items = users.iter().map(|user| json::Member { user: *user, joined: 1, role: 0 }).collect();
    one(
        criterion,
        "members_99",
        &Members { channel, items, more: false },
        &proto::Members { channel: proto::id(channel), items: proto_items, more: false },
        &json::Members { channel: channel.to_string(), items: json_items, more: false },
    );
}

fn text(criterion: &mut Criterion, name: &str, text: String) {
    let channel = direct();
    one(
        criterion,
        name,
        &SendText { channel, text: text.clone() },
        &proto::SendText { channel: proto::id(channel), text: text.clone() },
        &json::SendText { channel: channel.to_string(), text },
    );
}

fn one<B, P, J>(criterion: &mut Criterion, name: &str, frame: &B, proto: &P, json: &J)
where
    B: Body,
    P: Message + Default,
    J: Serialize + DeserializeOwned,
{
    let encoded = body::encode(1, frame);
    assert!(body::check(&encoded).is_ok(), "{name}");
    let mut group = criterion.benchmark_group(format!("frames/{name}"));
    let sizes = |group: &mut BenchmarkGroup<'_, WallTime>, bytes: usize| {
        group.throughput(Throughput::Bytes(bytes as u64));
    };
    sizes(&mut group, encoded.bytes().len());
    group.bench_function("encode/frame", |b| b.iter(|| body::encode(1, black_box(frame))));
    group.bench_function("check/frame", |b| b.iter(|| body::ingest::<B>(black_box(&encoded)).is_ok()));
    let bytes = proto.encode_to_vec();
    sizes(&mut group, bytes.len());
    group.bench_function("encode/protobuf", |b| b.iter(|| black_box(proto).encode_to_vec()));
    group.bench_function("check/protobuf", |b| b.iter(|| P::decode(black_box(&bytes[..])).unwrap()));
    let bytes = serde_json::to_vec(json).unwrap();
    sizes(&mut group, bytes.len());
    group.bench_function("encode/json", |b| b.iter(|| serde_json::to_vec(black_box(json)).unwrap()));
    group.bench_function("check/json", |b| {
        b.iter(|| serde_json::from_slice::<J>(black_box(&bytes)).unwrap());
    });
    group.finish();
}

criterion_group!(benches, kinds);
criterion_main!(benches);
