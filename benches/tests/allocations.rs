//! What fan-out costs a receiver in memory: nothing but room in vectors that is kept, and no copy of the body.
#![allow(missing_docs, clippy::unwrap_used, clippy::indexing_slicing)]

use benches::desk::Desk;
use benches::heap::{Count, Counting};
use protocol::body::message::{CreateGroup, SendText};
use protocol::{ChannelId, Kind, SendId, UserId, frame::Header};

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
