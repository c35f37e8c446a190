//! The core's own work: a direct message from submit to transmit, a group of 100, a page on return; and a whole turn
//! with the edge and a store in memory around it.
#![allow(missing_docs, clippy::unwrap_used, clippy::indexing_slicing)]

use std::hint::black_box;
use std::io::IoSlice;

use benches::desk::{Desk, hello};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use edge::{Connection, Event, Flow, Moment, SLICES_MAX};
use protocol::body::message::{CreateGroup, SendText};
use protocol::body::{self, session};
use protocol::token::{Claims, Key, sign};
use protocol::ws::{Opcode, encode_header, mask};
use protocol::{ChannelId, DeviceId, SendId, UserId};
use server::words::WordList;
use shard::Words as _;
use shard::{ConnId, Input};
use storage::Store;

const TEXT: &str = "오늘 저녁에 시간 괜찮으세요?";

fn direct(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("core");
    for burst in [1_u64, 16] {
        let mut desk = Desk::new(0);
        desk.join(1);
        desk.join(2);
        let body = SendText { channel: ChannelId::direct(UserId(1), UserId(2)).0, text: TEXT.into() };
        let mut id = 0;
        group.throughput(Throughput::Elements(burst));
        group.bench_function(format!("direct_burst_{burst}"), |b| {
            b.iter(|| {
                desk.turn((0..burst).map(|_| {
                    id += 1;
                    Desk::frame(1, id, &body)
                }));
                desk.settle();
                black_box(desk.sent.drain(..).count())
            });
        });
    }
}

fn group_of_100(criterion: &mut Criterion) {
    let mut desk = Desk::new(0);
    (1..=100).for_each(|user| desk.join(user));
    let channel = ChannelId::group(UserId(1), SendId(7)).0;
    let create = CreateGroup { channel, name: "마루".into(), members: (2..=100).collect() };
    desk.turn([Desk::frame(1, 7, &create)]);
    desk.settle();
    desk.sent.clear();
    let body = SendText { channel, text: TEXT.into() };
    let mut id = 100;
    let mut group = criterion.benchmark_group("core");
    group.throughput(Throughput::Elements(99));
    group.bench_function("group_of_100", |b| {
        b.iter(|| {
            id += 1;
            desk.turn([Desk::frame(1, id, &body)]);
            desk.settle();
            let sent = desk.sent.drain(..).count();
            assert!(sent >= 100, "{sent}");
        });
    });
}

fn resume(criterion: &mut Criterion) {
    let mut desk = Desk::new(50);
    let mut conn = 1000;
    let mut group = criterion.benchmark_group("core");
    group.throughput(Throughput::Elements(50));
    group.bench_function("resume_page_of_50", |b| {
        b.iter(|| {
            conn += 1;
            desk.turn([hello(conn, 1, 0)]);
            desk.settle();
            let sent = desk.sent.drain(..).count();
            assert!(sent >= 50, "{sent}");
            desk.turn([Input::Closed { conn: ConnId(conn) }]);
        });
    });
}

/// Two connections of the edge, the core, and a store in memory: masked bytes in, bytes for the kernel out.
struct Turn {
    desk: Desk,
    store: Store,
    edges: [Connection; 2],
    keys: [Key; 1],
}

impl Turn {
    fn new() -> Self {
        let keys = [Key { id: 1, secret: [9; 32] }];
        let mut desk = Desk::new(0);
        desk.join(1);
        desk.join(2);
        // The channel is in memory from here on, so that a run asks the store for nothing.
        let channel = ChannelId::direct(UserId(1), UserId(2)).0;
        desk.turn([Desk::frame(1, u64::MAX, &SendText { channel, text: TEXT.into() })]);
        desk.settle();
        desk.sent.clear();
        let edges = [1, 2].map(|user| live(&keys, user));
        Self { desk, store: Store::memory(), edges, keys }
    }

    fn run(&mut self, bytes: &mut [u8]) -> usize {
        let moment = moment(&self.keys);
        let mut inputs = Vec::new();
        self.edges[0].on_bytes(&moment, bytes, &mut |event| {
            if let Event::Frame(frame) = event {
                inputs.push(Input::Frame { conn: ConnId(1), frame });
            }
            Flow::More
        });
        self.desk.turn(inputs);
        while !self.desk.batches.is_empty() {
            self.store.commit(&self.desk.batches).unwrap();
            self.desk.store();
        }
        for (conn, frames) in self.desk.sent.drain(..) {
            self.edges[conn.0 as usize - 1].transmit(frames);
        }
        self.edges.iter_mut().map(flush).sum()
    }
}

fn moment(keys: &[Key]) -> Moment<'_> {
    Moment { now_ms: 1, wall_ms: 1, close_ms: 1000, keys, rules: &protocol::web::ANYBODY }
}

fn flush(edge: &mut Connection) -> usize {
    let mut written = 0;
    loop {
        let mut slices = [IoSlice::new(&[]); SLICES_MAX];
        let count = edge.poll_transmit(&mut slices);
        let bytes = slices[..count].iter().map(|slice| slice.len()).sum();
        if bytes == 0 {
            return written;
        }
        black_box(&slices);
        edge.advance(bytes);
        written += bytes;
    }
}

fn masked(payload: &[u8]) -> Vec<u8> {
    let key = [0x37, 0xfa, 0x21, 0x3d];
    let (header, len) = encode_header(Opcode::Binary, payload.len(), Some(key));
    let mut bytes = [&header[..len], payload].concat();
    mask(&mut bytes[len..], key, 0);
    bytes
}

fn live(keys: &[Key; 1], user: u64) -> Connection {
    let request = "GET /ws HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
                   Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
    let claims = Claims { user: UserId(user), device: DeviceId(user), expires_ms: u64::MAX, issued_ms: 1 };
    let hello = body::encode(1, &session::Hello { generation: 0, cursor: 0, token: sign(&keys[0], &claims) });
    let mut edge = Connection::new(1_000_000);
    let mut bytes = [request.as_bytes(), &masked(hello.bytes())].concat();
    edge.on_bytes(&moment(keys), &mut bytes, &mut |_| Flow::More);
    flush(&mut edge);
    edge
}

fn turn(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("turn");
    for burst in [1_u64, 16] {
        let mut turn = Turn::new();
        let channel = ChannelId::direct(UserId(1), UserId(2)).0;
        let mut id = 0;
        group.throughput(Throughput::Elements(burst));
        group.bench_function(format!("direct_in_memory_burst_{burst}"), |b| {
            b.iter_batched_ref(
                || {
                    let frames = (0..burst).flat_map(|_| {
                        id += 1;
                        masked(body::encode(id, &SendText { channel, text: TEXT.into() }).bytes())
                    });
                    frames.collect::<Vec<u8>>()
                },
                |bytes| assert!(turn.run(bytes) > 0),
                criterion::BatchSize::SmallInput,
            );
        });
    }
}

/// What a list of 10,000 words costs a text before it is sent: one line, and the longest there is.
fn words(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("words");
    let lines: Vec<String> =
        (0..5_000).map(|n| format!("badword{n}")).chain((0..5_000).map(|n| format!("나쁜말{n}번"))).collect();
    let list = WordList::parse(&lines.join("\n")).unwrap();
    for (name, text) in [("line", TEXT.to_owned()), ("100000_characters", TEXT.repeat(6_250))] {
        group.throughput(Throughput::Bytes(text.len() as u64));
        group.bench_function(name, |b| b.iter(|| black_box(list.found_in(black_box(&text)))));
    }
    group.finish();
}

criterion_group!(benches, direct, group_of_100, resume, turn, words);
criterion_main!(benches);
