//! Who takes more than its share: of a turn, of memory for messages that have no end.

use std::io::Write;
use std::thread::JoinHandle;

use server::driver::Limits;

use crate::ONE;
use crate::device::{Device, heartbeat, hello, upgraded, ws};
use crate::echo::marked;
use crate::node::Node;
use protocol::{Frame, Kind};

const KIB: usize = 1024;

#[test]
fn a_flood_does_not_take_the_whole_turn() {
    const FLOODERS: u64 = 8;
    let node = Node::start(1, ONE);
    let mut flooders: Vec<_> = (1..=FLOODERS).map(|user| Device::at_home(node.address, user)).collect();
    let mut other = Device::at_home(node.address, 99);
    // All of it waits in the kernel before the shard looks.
    let hold = node.hold(0);
    let frames: Vec<u8> = (0..4000).flat_map(|_| heartbeat(1).bytes().to_vec()).collect();
    for flooder in &mut flooders {
        flooder.send(&ws(2, &frames));
    }
    other.send(&ws(2, marked().bytes()));
    drop(hold);
    assert_eq!(other.read_frame(), marked());
    node.until(|node| node.echo(0).frames == FLOODERS * 4000 + 1);
    let seen = node.echo(0);
    // The share, and the frames of the last message that fitted into it.
    assert!(seen.most_in_turn <= 8192 + 4000, "{} frames in a turn", seen.most_in_turn);
    // Each turn looks at one connection more at least, and none a second time before all were looked at.
    assert!(
        seen.marked_turn - seen.first_turn <= 2 * (FLOODERS + 1),
        "{} {}",
        seen.first_turn,
        seen.marked_turn
    );
    assert!(node.counters(0).turns_cut > 0);
}

/// Sends a large frame, as fast as it is taken.
fn half(mut device: Device, id: u64, len: usize) -> JoinHandle<Device> {
    let message = ws(2, Frame::build(Kind::MEMBERS, 1, id, &vec![7; len]).bytes());
    std::thread::spawn(move || {
        device.stream.write_all(&message[..message.len() - 1]).unwrap();
        device.stream.write_all(&message[message.len() - 1..]).unwrap();
        device
    })
}

#[test]
fn half_messages_share_a_budget_and_all_are_finished() {
    const MAX: usize = 1024 * KIB;
    const SESSIONS: u64 = 40;
    let node = Node::start(1, Limits { half_bytes_max: MAX, ..ONE });
    let devices: Vec<_> = (1..=SESSIONS).map(|user| Device::at_home(node.address, user)).collect();
    let writers: Vec<_> = devices.into_iter().map(|device| half(device, 5, 400 * KIB)).collect();
    let most = std::cell::Cell::new(0);
    node.until(|node| {
        let held = node.counters(0).half_bytes_now as usize;
        most.set(most.get().max(held));
        writers.iter().all(JoinHandle::is_finished)
    });
    // One read or one growth above the budget, and what a connection is read of while there is no room.
    let most = most.get();
    assert!(most <= MAX + 512 * KIB + SESSIONS as usize * KIB, "{most} bytes");
    for writer in writers {
        let mut device = writer.join().unwrap();
        assert_eq!(device.read_frame().body().len(), 400 * KIB);
    }
    node.until(|node| node.counters(0).half_bytes_now == 0);
    assert_eq!(node.counters(0).halves_stalled, 0);
}

#[test]
fn halves_without_an_end_keep_nobody_from_being_served() {
    const MAX: usize = 512 * KIB;
    let node = Node::start(1, Limits { half_bytes_max: MAX, ..ONE });
    let mut enemies = Vec::new();
    for user in 1..=8 {
        let mut device = Device::at_home(node.address, user);
        let message = ws(2, Frame::build(Kind::MEMBERS, 1, 5, &vec![7; 400 * KIB]).bytes());
        device.send(&message[..100 * KIB]);
        enemies.push(device);
    }
    node.until(|node| node.counters(0).half_bytes_now as usize >= MAX);
    // Whoever says something short is served, new connections too, and one large message after the other.
    let mut other = upgraded(node.address);
    other.send(&ws(2, hello(99).bytes()));
    other.read_home();
    other.send(&ws(2, heartbeat(3).bytes()));
    assert_eq!(other.read_frame(), heartbeat(3));
    // A long one waits, at most until an enemy that does not go on has been closed for it.
    let mut writer = half(other, 6, 400 * KIB).join().unwrap();
    assert_eq!(writer.read_frame().header().id, 6);
    assert!(node.counters(0).half_bytes_now as usize <= MAX + 512 * KIB);
    // The core knows that nobody listened meanwhile.
    let seen = node.echo(0);
    assert!(seen.goes_on >= 1 && seen.stops >= seen.goes_on, "{} {}", seen.stops, seen.goes_on);
    drop(enemies);
    node.until(|node| node.counters(0).half_bytes_now == 0);
}
