//! What fan-out costs a receiver in memory: nothing but room in vectors that is kept, and no copy of the body.
#![allow(missing_docs, clippy::unwrap_used, clippy::indexing_slicing)]

use std::io::IoSlice;

use benches::desk::Desk;
use benches::heap::{Count, Counting};
use edge::{Connection, Event, Flow, Moment, SLICES_MAX};
use protocol::body::message::{CreateGroup, SendText};
use protocol::body::{self, session};
use protocol::token::{Claims, Key, sign};
use protocol::ws::{Opcode, encode_header, mask};
use protocol::{ChannelId, DeviceId, Kind, SendId, UserId, frame::Header};
use shard::{ConnId, Input};

#[global_allocator]
static HEAP: Counting = Counting;

/// A desk with a group of so many users, all online and warm.
fn group(members: u64) -> (Desk, u128) {
    let mut desk = Desk::new(0);
    (1..=members).for_each(|user| desk.join(user));
    let channel = ChannelId::group(UserId(1), SendId(7)).0;
    let create = CreateGroup { channel, name: "g".into(), members: (2..=members).collect() };
    desk.turn([Desk::frame(1, 7, &create)]);
    desk.settle();
    for id in 100..120 {
        send(&mut desk, channel, id, "warm");
    }
    (desk, channel)
}

/// Sends one text and gives what the heap was asked for from the moment when the message was stored to the last
/// effect: fan-out, pointers, transmit.
fn send(desk: &mut Desk, channel: u128, id: u64, text: &str) -> (Count, Count) {
    let input = Desk::frame(1, id, &SendText { channel, text: text.into() });
    desk.sent.clear();
    let ((), submit) = Counting::during(|| desk.turn([input]));
    let ((), fan_out) = Counting::during(|| desk.settle());
    (submit, fan_out)
}

#[test]
fn a_receiver_costs_no_allocation() {
    let (few, many) = (20, 420);
    let measured = [few, many].map(|members| {
        let (mut desk, channel) = group(members);
        // The least of several: a hash table that grows now and then is not what is asked about.
        let counts = (200..216).map(|id| send(&mut desk, channel, id, "hello").1.allocations);
        let least = counts.min().unwrap();
        assert!(desk.sent.len() >= members as usize, "{} transmits", desk.sent.len());
        least
    });
    let per_receiver = (measured[1] as f64 - measured[0] as f64) / (many - few) as f64;
    println!(
        "fan-out: {} allocations to {few}, {} to {many}: {per_receiver:.3} a receiver",
        measured[0], measured[1]
    );
    // Vectors that grow by doubling ask log2(N) times; a receiver of its own would ask N times.
    assert!(per_receiver < 0.1, "{per_receiver:.3} allocations a receiver ({measured:?})");
}

#[test]
fn a_body_is_copied_once() {
    let text = "가".repeat(100_000);
    let (mut desk, channel) = group(100);
    let (submit, fan_out) = send(&mut desk, channel, 300, &text);
    let bytes = text.len() as u64;
    println!("a text of {bytes} bytes: {} bytes asked at submit, {} at fan-out", submit.bytes, fan_out.bytes);
    assert!(submit.bytes >= bytes, "the stamped frame is made somewhere");
    assert!(submit.bytes < bytes + bytes / 2, "more than one copy at submit: {} bytes", submit.bytes);
    assert!(fan_out.bytes < bytes / 2, "a copy of the body at fan-out: {} bytes", fan_out.bytes);
    let is_text = |bytes: &[u8]| Header::read(bytes).is_some_and(|h| h.kind == Kind::SEND_TEXT);
    let messages: Vec<_> = desk.sent.iter().filter(|(_, bytes)| is_text(bytes)).collect();
    assert_eq!(messages.len(), 99);
    assert!(messages.iter().all(|(_, bytes)| bytes.as_ptr() == messages[0].1.as_ptr()), "one buffer for all");
}

const MOMENT: Moment<'static> = Moment {
    now_ms: 1,
    wall_ms: 1,
    close_ms: 1000,
    keys: &[Key { id: 1, secret: [9; 32] }],
    rules: &protocol::web::ANYBODY,
};

/// One WebSocket message as a client sends it.
fn masked(payload: &[u8]) -> Vec<u8> {
    let key = [0x37, 0xfa, 0x21, 0x3d];
    let (header, len) = encode_header(Opcode::Binary, payload.len(), Some(key));
    let mut bytes = [&header[..len], payload].concat();
    mask(&mut bytes[len..], key, 0);
    bytes
}

/// A user's connection behind its Hello, with nothing left to write.
fn live(user: u64) -> Connection {
    let request = "GET /ws HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
                   Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
    let claims = Claims { user: UserId(user), device: DeviceId(user), expires_ms: u64::MAX, issued_ms: 1 };
    let token = sign(&MOMENT.keys[0], &claims);
    let hello = body::encode(1, &session::Hello { generation: 0, cursor: 0, token });
    let mut edge = Connection::new(1_000_000);
    let mut bytes = [request.as_bytes(), &masked(hello.bytes())].concat();
    edge.on_bytes(&MOMENT, &mut bytes, &mut |_| Flow::More);
    assert!(edge.is_live());
    let waits = edge.queued_bytes();
    edge.poll_transmit(&mut [IoSlice::new(&[]); SLICES_MAX]);
    edge.advance(waits);
    edge
}

/// Takes what a client sent out of the read buffer of user 1, through the core, to the write of every edge. Gives where the
/// body stands in memory, and what was asked of the heap.
fn pass(desk: &mut Desk, edges: &mut [Connection], mut bytes: Vec<u8>) -> (*const u8, Count) {
    desk.sent.clear();
    Counting::during(|| {
        let mut inputs = Vec::new();
        edges[0].on_bytes(&MOMENT, &mut bytes, &mut |event| {
            if let Event::Frame(frame) = event {
                inputs.push(Input::Frame { conn: ConnId(1), frame });
            }
            Flow::More
        });
        let Some(Input::Frame { frame, .. }) = inputs.first() else { panic!("no frame came out") };
        let place = frame.body().as_ptr();
        desk.turn(inputs);
        desk.settle();
        for (conn, frames) in desk.sent.drain(..) {
            edges[conn.0 as usize - 1].transmit(frames);
        }
        place
    })
}

/// From the bytes of one socket's read to the bytes of 99 sockets' writes: the body is copied out of the read buffer, and
/// then never again.
#[test]
fn from_socket_to_sockets_a_body_is_copied_once() {
    let (mut desk, channel) = group(100);
    // One character; and as many as fit into one read.
    let counts = [(300, 1), (301, 20_000)].map(|(id, chars)| {
        let mut edges: Vec<Connection> = (1..=100).map(live).collect();
        let sent = body::encode(id, &SendText { channel, text: "가".repeat(chars) });
        let (place, count) = pass(&mut desk, &mut edges, masked(sent.bytes()));
        for (user, edge) in (1..).zip(&mut edges).skip(1) {
            let mut slices = [IoSlice::new(&[]); SLICES_MAX];
            let pieces = edge.poll_transmit(&mut slices);
            let piece = slices[..pieces].iter().find(|piece| piece.ends_with(sent.body())).unwrap();
            let written = piece[piece.len() - sent.body().len()..].as_ptr();
            assert_eq!(written, place, "user {user} is written another copy");
        }
        (sent.body().len() as u64, count.bytes)
    });
    let [(small, few), (large, many)] = counts;
    let copies = (many as f64 - few as f64) / (large - small) as f64;
    println!("{few} bytes asked for a body of {small}, {many} for one of {large}: {copies:.2} copies");
    assert!((0.9..1.1).contains(&copies), "{copies:.2} copies of the body");
}
