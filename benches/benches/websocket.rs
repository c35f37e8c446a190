//! Unmasking, and taking a read of the kernel apart into WebSocket messages and frames.
#![allow(missing_docs, clippy::unwrap_used, clippy::indexing_slicing)]

use std::hint::black_box;

use criterion::{BatchSize, BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use edge::{Connection, Flow, Moment};
use protocol::body::message::SendText;
use protocol::body::{self, session::Hello};
use protocol::token::{Claims, Key, sign};
use protocol::ws::{Decoder, Event, Opcode, Role, encode_header, mask};
use protocol::{ChannelId, DeviceId, UserId};

const REQUEST: &str = "GET /ws HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
                       Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";

fn masked(payload: &[u8]) -> Vec<u8> {
    let key = [0x37, 0xfa, 0x21, 0x3d];
    let (header, len) = encode_header(Opcode::Binary, payload.len(), Some(key));
    let mut bytes = [&header[..len], payload].concat();
    mask(&mut bytes[len..], key, 0);
    bytes
}

/// `count` texts of about 100 bytes, each a WebSocket message.
fn texts(count: u64) -> Vec<u8> {
    let channel = ChannelId::direct(UserId(1), UserId(2)).0;
    let one = |id| body::encode(id, &SendText { channel, text: "안녕하세요 반갑습니다".into() });
    (1..=count).flat_map(|id| masked(one(id).bytes())).collect()
}

fn unmask(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("websocket/unmask");
    for bytes in [64_usize, 1024, 65_536] {
        let mut payload = vec![7; bytes];
        group.throughput(Throughput::Bytes(bytes as u64));
        group.bench_function(BenchmarkId::from_parameter(bytes), |b| {
            b.iter(|| mask(black_box(&mut payload), [1, 2, 3, 4], 0));
        });
    }
}

fn parse(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("websocket/parse");
    for count in [1, 16] {
        let bytes = texts(count);
        group.throughput(Throughput::Elements(count));
        let setup = || (Decoder::new(Role::Server, 1 << 20), bytes.clone());
        group.bench_function(BenchmarkId::new("decoder", count), |b| {
            b.iter_batched_ref(
                setup,
                |(decoder, bytes)| {
                    let mut seen = 0;
                    decoder.push(bytes, &mut |event| {
                        seen += usize::from(matches!(event, Event::Message(_)));
                        true
                    })
                },
                BatchSize::SmallInput,
            );
        });
        // A live connection of the edge: also splits frames and gives each memory of its own.
        let key = Key { id: 1, secret: [9; 32] };
        let keys = [key.clone()];
        let moment =
            Moment { now_ms: 1, wall_ms: 1, close_ms: 1000, keys: &keys, rules: &protocol::web::ANYBODY };
        let mut connection = live(&moment, &key);
        let mut buffer = bytes.clone();
        group.bench_function(BenchmarkId::new("edge", count), |b| {
            b.iter(|| {
                buffer.copy_from_slice(&bytes);
                connection.on_bytes(&moment, &mut buffer, &mut |event| {
                    black_box(event);
                    Flow::More
                });
            });
        });
    }
}

fn live(moment: &Moment<'_>, key: &Key) -> Connection {
    let mut connection = Connection::new(1_000_000);
    let claims = Claims { user: UserId(1), device: DeviceId(1), expires_ms: u64::MAX, issued_ms: 1 };
    let hello = body::encode(1, &Hello { generation: 0, cursor: 0, token: sign(key, &claims) });
    let mut bytes = [REQUEST.as_bytes(), &masked(hello.bytes())].concat();
    let mut hellos = 0;
    connection.on_bytes(moment, &mut bytes, &mut |_| {
        hellos += 1;
        Flow::More
    });
    assert_eq!(hellos, 1);
    connection
}

criterion_group!(benches, unmask, parse);
criterion_main!(benches);
