//! Many at once, and peers that go away in the middle: what a ring of buffers has to stand, and any driver.

use std::io::Write;
use std::time::Duration;

use socket2::SockRef;

use crate::ONE;
use crate::device::{Device, heartbeat, ws};
use crate::node::{Node, io};
use server::driver::{Io, Limits};

/// More than there are receive buffers in a shard.
const SENDERS: u64 = 1100;

/// Everybody says something and is answered, one after the other.
fn around(devices: &mut [Device], time_ms: u64) {
    for device in devices.iter_mut() {
        device.send(&ws(2, heartbeat(time_ms).bytes()));
    }
    for device in devices.iter_mut() {
        assert_eq!(device.read_frame(), heartbeat(time_ms));
    }
}

#[test]
fn more_senders_at_once_than_buffers_are_all_answered() {
    let node = Node::start(1, Limits { unauthenticated_max: 2000, ..ONE });
    let mut devices: Vec<_> = (1..=SENDERS).map(|user| Device::at_home(node.address, user)).collect();
    // Often enough that they count as busy, where that makes a difference. How many do is the clock's affair.
    for time_ms in 1..=5 {
        around(&mut devices, time_ms);
    }
    let armed = node.counters(0).ring.receiving_now;
    // All of it comes while the shard does nothing.
    let held = node.hold(0);
    for device in &mut devices {
        for time_ms in 10..13 {
            device.send(&ws(2, heartbeat(time_ms).bytes()));
        }
    }
    drop(held);
    for device in &mut devices {
        for time_ms in 10..13 {
            assert_eq!(device.read_frame(), heartbeat(time_ms));
        }
    }
    around(&mut devices, 20);
    let counters = node.counters(0);
    eprintln!("{armed} were received from; {:?}", counters.ring);
    assert_eq!(counters.connections_now, SENDERS);
    assert_eq!(counters.ring.rings_now, u64::from(io() == Io::Uring));
}

#[test]
fn peers_that_reset_while_they_are_sent_to_disturb_nobody() {
    let node = Node::start(1, ONE);
    let mut other = Device::at_home(node.address, 1000);
    for user in 1..=40 {
        let mut device = Device::at_home(node.address, user);
        let large = protocol::Frame::build(protocol::Kind::MEMBERS, 1, 1, &vec![7; 300_000]);
        // Its echo is more than the kernel takes while nobody reads.
        SockRef::from(&device.stream).set_linger(Some(Duration::ZERO)).unwrap();
        device.stream.set_nonblocking(true).unwrap();
        for _ in 0..20 {
            let _ = device.stream.write(&ws(2, large.bytes()));
        }
        drop(device);
        other.send(&ws(2, heartbeat(user).bytes()));
        assert_eq!(other.read_frame(), heartbeat(user));
    }
    node.until(|node| node.counters(0).connections_now == 1);
}

#[test]
fn who_says_much_at_once_is_read_in_order() {
    let node = Node::start(1, ONE);
    let mut device = Device::at_home(node.address, 7);
    // Busy first, then far more than one connection may hold of the buffers.
    for time_ms in 1..=8 {
        around(std::slice::from_mut(&mut device), time_ms);
    }
    let frames = 20_000;
    let mut writer = device.stream.try_clone().unwrap();
    let thread = std::thread::spawn(move || {
        for chunk in (0..frames).collect::<Vec<_>>().chunks(100) {
            let bytes: Vec<u8> = chunk.iter().flat_map(|id| ws(2, heartbeat(*id).bytes())).collect();
            writer.write_all(&bytes).unwrap();
        }
    });
    for id in 0..frames {
        assert_eq!(device.read_frame(), heartbeat(id));
    }
    thread.join().unwrap();
    node.until(|node| node.counters(0).ring.held_now == 0);
}
