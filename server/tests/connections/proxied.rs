//! Connections through a proxy that says who connects.

use std::io::{Read, Write};

use server::driver::{Door, Limits};

use crate::ONE;
use crate::device::{self, Device, heartbeat, hello, ws};
use crate::node::Node;

/// This machine is a proxy.
fn door() -> Door {
    Door { proxies: api::Networks::parse("127.0.0.1").unwrap(), ..Door::default() }
}

/// What the proxy writes first for a client of 192.0.2.`last`, with `more` bytes that are no address.
fn preamble(last: u8, more: usize) -> Vec<u8> {
    let len = u16::try_from(12 + more).unwrap();
    let head = [&b"\r\n\r\n\0\r\nQUIT\n\x21\x11"[..], &len.to_be_bytes()].concat();
    [&head[..], &[192, 0, 2, last, 127, 0, 0, 1, 0, 80, 0, 80], &vec![0; more]].concat()
}

fn through(node: &Node, last: u8) -> Device {
    let mut device = Device::connect(node.address);
    device.send(&preamble(last, 0));
    device
}

#[test]
fn torn_in_any_place_a_device_gets_in() {
    let node = Node::behind(door(), 1, ONE);
    let mut device = Device::connect(node.address);
    device.stream.set_nodelay(true).unwrap();
    let bytes = [preamble(7, 40), device::REQUEST.as_bytes().to_vec(), ws(2, hello(7).bytes())].concat();
    for byte in bytes {
        device.stream.write_all(&[byte]).unwrap();
    }
    device.read_upgrade();
    assert_eq!(device.read_home(), 0);
    device.send(&ws(2, heartbeat(5).bytes()));
    assert_eq!(device.read_frame(), heartbeat(5));
    assert_eq!(node.counters(0).unannounced, 0);
}

#[test]
fn a_proxy_that_does_not_say_it_is_dropped_and_counted() {
    let node = Node::behind(door(), 1, ONE);
    for bytes in [device::REQUEST.as_bytes(), &preamble(7, 4000), b"PROXY TCP4 192.0.2.7 127.0.0.1 1 2\r\n"] {
        let before = node.counters(0).unannounced;
        let mut device = Device::connect(node.address);
        let _ = device.stream.write_all(bytes);
        let mut answer = Vec::new();
        let ended = device.stream.read_to_end(&mut answer);
        // What it had not read yet makes it a reset.
        let is_reset = |error: &std::io::Error| error.kind() == std::io::ErrorKind::ConnectionReset;
        assert!(answer.is_empty() && ended.as_ref().err().is_none_or(is_reset), "{ended:?}");
        node.until(|node| node.counters(0).unannounced == before + 1);
    }
}

#[test]
fn who_is_no_proxy_is_not_believed() {
    let node = Node::start(1, ONE);
    assert!(through(&node, 7).read_to_end().starts_with("HTTP/1.1 400 "));
    assert_eq!(node.counters(0).unannounced, 0);
}

#[test]
fn a_crowd_of_one_client_gives_way_to_others_behind_the_same_proxy() {
    let node = Node::behind(door(), 1, Limits { unauthenticated_max: 8, ..ONE });
    let quiet = through(&node, 1);
    // Told one by one, so that each is known for who it is before the next comes.
    let mut crowd = Vec::new();
    for _ in 0..30 {
        let mut device = through(&node, 2);
        device.send(device::REQUEST.as_bytes());
        device.read_upgrade();
        crowd.push(device);
    }
    let counters = node.counters(0);
    assert_eq!((counters.unauthenticated_now, counters.evicted), (8, 23));
    let mut quiet = quiet;
    quiet.send(device::REQUEST.as_bytes());
    quiet.read_upgrade();
    quiet.send(&ws(2, hello(9).bytes()));
    assert_eq!(quiet.read_home(), 0, "the oldest of all is not the one that was in the way");
}
