//! Encoding a body into a frame and checking one that came in, for every kind; the same values in protobuf and JSON beside
//! it. For frames, checking is what the server does with a device's bytes: bounds, UTF-8, canonical form, limits. For
//! protobuf and JSON it is decoding, which checks less.
#![allow(missing_docs, unreachable_pub, clippy::unwrap_used)]

mod plain;

use std::collections::BTreeSet;
use std::hint::black_box;

use criterion::{
    BenchmarkGroup, Criterion, Throughput, criterion_group, criterion_main, measurement::WallTime,
};
use plain::id;
use prost::Message;
use protocol::body::marks::*;
use protocol::body::message::*;
use protocol::body::session::*;
use protocol::body::sync::*;
use protocol::body::{self, Body};
use protocol::{ChannelId, SendId, UserId};
use serde::Serialize;
use serde::de::DeserializeOwned;

const SENTENCE: &str = "오늘 저녁에 시간 괜찮으세요? 일곱 시쯤 볼까요";
const TIME_MS: u64 = 1_800_000_000_123;
const USER: u64 = 7_311_402_000_001;

struct Bench<'a> {
    criterion: &'a mut Criterion,
    kinds: BTreeSet<u16>,
}

fn kinds(criterion: &mut Criterion) {
    let mut bench = Bench { criterion, kinds: BTreeSet::new() };
    sessions(&mut bench);
    messages(&mut bench);
    pages(&mut bench);
    let known: BTreeSet<u16> = body::kinds().iter().map(|known| known.kind).collect();
    assert_eq!(bench.kinds, known, "every kind is measured");
}

/// The same fields for a body and for its plain twin.
macro_rules! one {
    ($bench:ident, $name:literal, $body:ident { $($field:ident: $value:expr => $plain:expr),* $(,)? }) => {
        $bench.one($name, &$body { $($field: $value),* }, &plain::$body { $($field: $plain),* })
    };
}

fn sessions(bench: &mut Bench<'_>) {
    let token = "m2.".to_owned() + &"A".repeat(91);
    one!(bench, "hello", Hello {
        generation: 77 => 77, cursor: 9000 => 9000, token: token.clone() => token.clone(),
    });
    one!(bench, "welcome", Welcome {
        user: USER => USER, device: 9 => 9, generation: 77 => 77, start: 9000 => 9000, head: 9001 => 9001,
        time_ms: TIME_MS => TIME_MS, expires_ms: TIME_MS => TIME_MS, heartbeat_ms: 30_000 => 30_000,
        group_members_max: 100 => 100, kinds: body::kinds() => body::kinds().iter().map(|known| {
            plain::KindVersion { kind: known.kind.into(), version: known.version.into() }
        }).collect(),
    });
    one!(bench, "reauth", Reauth { token: token.clone() => token });
    one!(bench, "heartbeat", Heartbeat { time_ms: TIME_MS => TIME_MS });
    one!(bench, "going_away", GoingAway { reconnect_after_ms: 900 => 900, reason: 4001 => 4001 });
    one!(bench, "done", Done { kind: 3 => 3 });
    one!(bench, "reject", Reject {
        code: 9 => 9, retry_after_ms: 0 => 0, path: "channel".into() => "channel".into(),
        text: "no such channel for this user".into() => "no such channel for this user".into(),
    });
}

fn messages(bench: &mut Bench<'_>) {
    let direct = ChannelId::direct(UserId(USER), UserId(USER + 554)).0;
    let group = ChannelId::group(UserId(USER), SendId(5)).0;
    let users: Vec<u64> = (1..=99).map(|user| USER + user * 17).collect();
    one!(bench, "send_text_short", SendText {
        channel: direct => id(direct), text: SENTENCE.into() => SENTENCE.into(),
    });
    let long = "가나다라마바사아자차".repeat(10_000);
    one!(bench, "send_text_100000_characters", SendText {
        channel: direct => id(direct), text: long.clone() => long,
    });
    one!(bench, "create_group_100", CreateGroup {
        channel: group => id(group), name: "마루".into() => "마루".into(), members: users.clone() => users.clone(),
    });
    one!(bench, "add_members_99", AddMembers {
        channel: group => id(group), members: users.clone() => users.clone(),
    });
    one!(bench, "remove_member", RemoveMember { channel: group => id(group), member: USER => USER });
    one!(bench, "leave_group", LeaveGroup { channel: group => id(group) });
    one!(bench, "rename_group", RenameGroup {
        channel: group => id(group), name: "마루".into() => "마루".into(),
    });
    one!(bench, "set_role", SetRole { channel: group => id(group), member: USER => USER, role: 1 => 1 });
    let items = users.iter().map(|user| MemberItem { user: *user, joined: 1, role: 0 }).collect();
    let twins = users.iter().map(|user| plain::MemberItem { user: *user, joined: 1, role: 0 }).collect();
    one!(bench, "members_99", Members {
        channel: group => id(group), items: items => twins, more: false => false,
    });
}

fn pages(bench: &mut Bench<'_>) {
    let group = ChannelId::group(UserId(USER), SendId(5)).0;
    one!(bench, "send_ack", SendAck {
        channel: group => id(group), seq: 4000 => 4000, time_ms: TIME_MS => TIME_MS,
    });
    one!(bench, "complete", Complete {
        generation: 77 => 77, from: 9000 => 9000, to: 9001 => 9001, head: 9001 => 9001,
    });
    one!(bench, "cursor_ack", CursorAck { generation: 77 => 77, cursor: 9001 => 9001 });
    one!(bench, "get_history", GetHistory {
        channel: group => id(group), after: 0 => 0, before: 4000 => 4000, limit: 50 => 50, newest: true => true,
    });
    one!(bench, "history_page", HistoryPage {
        channel: group => id(group), from: 3950 => 3950, to: 3999 => 3999, head: 4000 => 4000, count: 50 => 50,
        more: true => true,
    });
    one!(bench, "get_members", GetMembers { channel: group => id(group), after: 0 => 0, limit: 500 => 500 });
    one!(bench, "get_channels", GetChannels { after: group => id(group), limit: 500 => 500 });
    let channels = (0..50).map(|n| ChannelId::group(UserId(USER), SendId(n + 1)).0);
    let item = |channel| ChannelItem {
        channel,
        head: 4000,
        read: 3990,
        unread: 10,
        member: true,
        name: "마루".into(),
    };
    let twin = |channel| plain::ChannelItem {
        channel: id(channel),
        head: 4000,
        read: 3990,
        unread: 10,
        member: true,
        name: "마루".into(),
    };
    let (items, twins) = (channels.clone().map(item).collect(), channels.map(twin).collect());
    one!(bench, "channels_50", Channels { items: items => twins, more: true => true });
    one!(bench, "mark_read", MarkRead { channel: group => id(group), seq: 4000 => 4000 });
    marks(bench, group);
}

fn marks(bench: &mut Bench<'_>, group: u128) {
    one!(bench, "mark_delivered", MarkDelivered { channel: group => id(group), seq: 4000 => 4000 });
    let users = USER..USER + 100;
    let items = users.clone().map(|user| ReceiptItem { user, read: 3990, delivered: 4000 }).collect();
    let twins = users.map(|user| plain::ReceiptItem { user, read: 3990, delivered: 4000 }).collect();
    one!(bench, "receipts_100", Receipts { channel: group => id(group), items: items => twins, more: false => false });
    one!(bench, "get_receipts", GetReceipts { channel: group => id(group), after: 0 => 0, limit: 100 => 100 });
    one!(bench, "typing", Typing {
        channel: group => id(group), user: USER => USER, expires_ms: 10_000 => 10_000, state: 1 => 1,
    });
}

impl Bench<'_> {
    fn one<B, P>(&mut self, name: &str, frame: &B, plain: &P)
    where
        B: Body,
        P: Message + Default + Serialize + DeserializeOwned,
    {
        let encoded = body::encode(1, frame);
        assert!(body::check(&encoded).is_ok(), "{name}");
        self.kinds.insert(B::KIND.0);
        let mut group = self.criterion.benchmark_group(format!("frames/{name}"));
        let sizes = |group: &mut BenchmarkGroup<'_, WallTime>, bytes: usize| {
            group.throughput(Throughput::Bytes(bytes as u64));
        };
        sizes(&mut group, encoded.bytes().len());
        group.bench_function("encode/frame", |b| b.iter(|| body::encode(1, black_box(frame))));
        group.bench_function("check/frame", |b| b.iter(|| body::ingest::<B>(black_box(&encoded)).is_ok()));
        let bytes = plain.encode_to_vec();
        sizes(&mut group, bytes.len());
        group.bench_function("encode/protobuf", |b| b.iter(|| black_box(plain).encode_to_vec()));
        group.bench_function("check/protobuf", |b| b.iter(|| P::decode(black_box(&bytes[..])).unwrap()));
        let bytes = serde_json::to_vec(plain).unwrap();
        sizes(&mut group, bytes.len());
        group.bench_function("encode/json", |b| b.iter(|| serde_json::to_vec(black_box(plain)).unwrap()));
        group.bench_function("check/json", |b| {
            b.iter(|| serde_json::from_slice::<P>(black_box(&bytes)).unwrap());
        });
        group.finish();
    }
}

criterion_group!(benches, kinds);
criterion_main!(benches);
