//! Driver, edge, turn loop and handover over real sockets, around a core that echoes.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, missing_docs, unreachable_pub)]

mod bursts;
mod device;
mod echo;
mod greedy;
mod node;
#[path = "../e2e/ports.rs"]
mod ports;
mod proxied;
mod relay;
mod stalls;

use std::collections::VecDeque;
use std::io::Write;
use std::net::TcpStream;
use std::sync::{Arc, Mutex, mpsc};
use std::time::Duration;

use device::{Device, heartbeat, hello, upgraded, ws};
use node::Node;
use protocol::limits::FRAME_BYTES_MAX;
use protocol::{Frame, Kind, UserId};
use server::driver::Limits;

const ONE: Limits = Limits {
    connections_max: 10_000,
    unauthenticated_max: 64,
    hello_ms: 60_000,
    close_ms: 2_000,
    half_bytes_max: 64 << 20,
};

/// Every test of this file once more, over the other interface of the kernel.
#[test]
fn the_same_by_io_uring() {
    if std::env::var_os("E2E_IO").is_some() {
        return;
    }
    if let Err(why) = server::driver::choose(server::driver::Io::Uring) {
        eprintln!("not tested by io_uring: {why}");
        return;
    }
    let mut command = std::process::Command::new(std::env::current_exe().unwrap());
    let output = command.env("E2E_IO", "uring").output().unwrap();
    let words = [output.stdout, output.stderr].concat();
    assert!(output.status.success(), "E2E_IO=uring:\n{}", String::from_utf8_lossy(&words));
}

#[test]
fn bytes_one_at_a_time() {
    let node = Node::start(1, ONE);
    let mut device = Device::connect(node.address);
    device.stream.set_nodelay(true).unwrap();
    let bytes =
        [device::REQUEST.as_bytes().to_vec(), ws(2, hello(7).bytes()), ws(2, heartbeat(5).bytes())].concat();
    for byte in bytes {
        device.stream.write_all(&[byte]).unwrap();
    }
    device.read_upgrade();
    assert_eq!(device.read_home(), 0);
    assert_eq!(device.read_frame(), heartbeat(5));
    device.send(&ws(8, &1000_u16.to_be_bytes()));
    assert_eq!(device.read_close(), Some(1000));
    assert!(device.is_ended());
}

#[test]
fn who_says_nothing_is_closed_after_the_deadline() {
    let node = Node::start(1, Limits { hello_ms: 50, ..ONE });
    let mut mute = Device::connect(node.address);
    let mut upgraded = upgraded(node.address);
    assert_eq!(upgraded.read_close(), Some(4002));
    assert!(mute.is_ended());
    assert_eq!(node.counters(0).hello_timeouts, 2);
}

#[test]
fn who_does_not_answer_a_close_is_closed_after_the_deadline() {
    let node = Node::start(1, Limits { hello_ms: 50, close_ms: 50, ..ONE });
    let mut device = upgraded(node.address);
    assert_eq!(device.read_close(), Some(4002));
    assert!(device.is_ended());
    node.until(|node| node.counters(0).connections_now == 0);
}

#[test]
fn other_requests_get_a_proper_answer() {
    let node = Node::start(1, ONE);
    for (request, status) in [
        ("GET /nothing HTTP/1.1\r\nHost: a\r\n\r\n", "404"),
        ("POST /ws HTTP/1.1\r\nHost: a\r\n\r\n", "405"),
        ("GET /ws HTTP/1.1\r\nHost: a\r\n\r\n", "426"),
        ("nonsense\r\n\r\n", "400"),
    ] {
        let mut device = Device::connect(node.address);
        device.send(request.as_bytes());
        let answer = device.read_to_end();
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{request:?} -> {answer:?}");
        assert!(answer.contains("close\r\n") && answer.ends_with(".\n"), "{answer:?}");
    }
}

#[test]
fn bad_frames_have_their_close_codes() {
    let node = Node::start(1, ONE);
    let mut huge = heartbeat(1).bytes().to_vec();
    huge[..4].copy_from_slice(&(FRAME_BYTES_MAX as u32).to_le_bytes());
    for (bytes, code) in [
        (ws(1, b"text"), 1003),
        (ws(2, &huge), 1009),
        (vec![0x82, 0xff, 0, 0, 0, 0, 0, 0x20, 0, 0, 0, 0, 0, 0], 1009),
        (ws(2, b"not a frame"), 1002),
    ] {
        let mut device = Device::at_home(node.address, 7);
        device.send(&bytes);
        assert_eq!(device.read_close(), Some(code));
        let mut first = upgraded(node.address);
        first.send(&bytes);
        assert_eq!(first.read_close(), Some(code));
    }
    assert_eq!(node.counters(0).peer_faults, 4);
}

#[test]
fn a_flood_of_silent_connections_keeps_nobody_out() {
    let node = Node::start(1, ONE);
    let mut before = Device::at_home(node.address, 5);
    let flood: Vec<_> = (0..2000).map(|_| TcpStream::connect(node.address).unwrap()).collect();
    let mut after = Device::at_home(node.address, 6);
    for device in [&mut before, &mut after] {
        device.send(&ws(2, heartbeat(9).bytes()));
        assert_eq!(device.read_frame(), heartbeat(9));
    }
    node.until(|node| node.counters(0).accepted == 2002);
    let counters = node.counters(0);
    assert!(counters.unauthenticated_now <= 64, "{counters:?}");
    assert!(counters.evicted >= 2000 - 64, "{counters:?}");
    drop(flood);
    node.until(|node| node.counters(0).connections_now == 2);
}

#[test]
fn one_connection_too_many_is_closed_and_the_others_live() {
    let node = Node::start(1, Limits { connections_max: 3, ..ONE });
    let mut devices: Vec<_> = (1..=3).map(|user| Device::at_home(node.address, user)).collect();
    let mut fourth = Device::connect(node.address);
    assert!(fourth.is_ended());
    for device in &mut devices {
        device.send(&ws(2, heartbeat(2).bytes()));
        assert_eq!(device.read_frame(), heartbeat(2));
    }
    assert_eq!(node.counters(0).refused_full, 1);
}

#[test]
fn every_connection_moves_to_its_users_home_with_all_it_said() {
    let node = Node::start(4, ONE);
    let mut devices = Vec::new();
    for user in 1..=64 {
        let mut device = upgraded(node.address);
        // One segment: Hello and two frames in one message, a whole message, and a message cut in half.
        let first = [hello(user).bytes(), heartbeat(1).bytes(), heartbeat(2).bytes()]
            .map(|bytes| bytes.to_vec())
            .concat();
        let last = ws(2, heartbeat(4).bytes());
        let (head, tail) = last.split_at(13);
        device.send(&[ws(2, &first), ws(2, heartbeat(3).bytes()), head.to_vec()].concat());
        devices.push((user, device, tail.to_vec()));
    }
    for (user, device, tail) in &mut devices {
        let home = node.placement.user_home(UserId(*user));
        assert_eq!(device.read_home(), u64::from(home.0), "user {user}");
        device.send(tail);
        for number in 1..=4 {
            assert_eq!(device.read_frame(), heartbeat(number), "user {user}");
        }
    }
    let counters: Vec<_> = (0..4).map(|shard| node.counters(shard)).collect();
    let sum = |of: fn(&server::driver::Counters) -> u64| counters.iter().map(of).sum::<u64>();
    assert_eq!(sum(|counters| counters.hellos), 64);
    assert_eq!(sum(|counters| counters.handed_over), sum(|counters| counters.taken_over));
    assert_eq!(sum(|counters| counters.connections_now), 64);
    assert!(sum(|counters| counters.handed_over) > 16, "some were accepted elsewhere: {counters:?}");
}

#[test]
fn a_slow_reader_gets_everything_in_order() {
    let node = Node::start(1, ONE);
    let mut device = Device::at_home(node.address, 7);
    let mut writer = device.stream.try_clone().unwrap();
    let texts: Vec<_> =
        (1..=60).map(|id| Frame::build(Kind::MEMBERS, 1, id, &vec![id as u8; 300_000])).collect();
    let sent = texts.clone();
    // The writer goes ahead as far as the kernel and the core let it; 18 MB fit in no socket buffer here.
    let thread = std::thread::spawn(move || {
        for text in &sent {
            writer.write_all(&ws(2, text.bytes())).unwrap();
        }
    });
    node.until(|node| node.echo(0).most_queued > 0);
    for text in &texts {
        assert_eq!(device.read_frame(), *text);
    }
    thread.join().unwrap();
    node.until(|node| node.echo(0).last_queued == 0);
    let counters = node.counters(0);
    assert!(counters.bytes_written > 18_000_000);
}

#[test]
fn a_paused_connection_is_not_read() {
    let node = Node::start(1, ONE);
    let mut device = Device::at_home(node.address, 7);
    let pause = Frame::build(Kind::GET_CHANNELS, 1, 1, b"");
    device.send(&ws(2, pause.bytes()));
    assert_eq!(device.read_frame(), pause);
    let frames = node.echo(0).frames;
    device.send(&ws(2, heartbeat(1).bytes()));
    // Other connections are served meanwhile, so the thread had every chance to read this one.
    for _ in 0..20 {
        let mut other = Device::at_home(node.address, 8);
        other.send(&ws(8, b""));
        other.read_close();
    }
    assert_eq!(node.echo(0).frames, frames);
    let (answer, answered) = mpsc::channel();
    node.control(0, Box::new(move |outcome| answer.send(outcome).unwrap()));
    assert_eq!(answered.recv_timeout(Duration::from_secs(20)).unwrap(), Ok(()));
    assert_eq!(device.read_frame(), heartbeat(1));
}

#[test]
fn a_drain_closes_everybody_and_says_so() {
    let node = Node::start(2, ONE);
    let mut devices: Vec<_> = (1..=8).map(|user| Device::at_home(node.address, user)).collect();
    let mut silent = upgraded(node.address);
    node.drain();
    for device in devices.iter_mut().chain([&mut silent]) {
        assert_eq!(device.read_close(), Some(1001));
        device.send(&ws(8, &1001_u16.to_be_bytes()));
    }
    node.wait_drained();
    assert!(TcpStream::connect(node.address).is_err(), "nobody listens any more");
}

#[test]
fn two_servers_do_not_share_a_port() {
    let node = Node::start(1, ONE);
    let error = server::driver::reserve(node.address).unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::AddrInUse);
}

#[test]
fn an_idle_shard_sleeps() {
    let node = Node::start(2, ONE);
    let mut device = Device::at_home(node.address, 7);
    device.send(&ws(2, heartbeat(1).bytes()));
    device.read_frame();
    let turns = turns_while_asked(&node);
    assert!(turns <= 2 * ASKED + 20, "{turns} turns while nothing happened");
}

const ASKED: u64 = 200;

/// Each Inspect is a turn or two; a loop that spins would take many while one is asked for and answered.
fn turns_while_asked(node: &Node) -> u64 {
    let before = node.report(0).turns;
    (0..ASKED).fold(0, |_, _| node.report(0).turns - before)
}

#[test]
fn hops_pass_full_rings_and_sleeping_shards_in_order() {
    let (done, took) = mpsc::channel();
    let total = 20 * server::mesh::HOP_RING_MAX as u64;
    let gate = Arc::new(Mutex::new(()));
    let shut = gate.lock().unwrap();
    let (waiting, taken) = (VecDeque::new(), 0);
    let core =
        |_| relay::Relay { total, waiting: waiting.clone(), taken, done: done.clone(), gate: gate.clone() };
    let node = Node::start_with(2, ONE, Vec::new(), core);
    node.control(0, Box::new(|_| {}));
    // The other shard takes nothing: the ring is full, and stays so.
    let turns = turns_while_asked(&node);
    drop(shut);
    assert!(turns <= 2 * ASKED + 20, "{turns} turns while the ring was full");
    assert_eq!(took.recv_timeout(Duration::from_secs(20)), Ok(total));
}
