//! What happens when the process has no descriptors left. Alone in its process, whose limit it lowers.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    missing_docs,
    unreachable_pub,
    dead_code
)]

#[path = "connections/device.rs"]
mod device;
#[path = "connections/echo.rs"]
mod echo;
#[path = "connections/node.rs"]
mod node;
#[path = "e2e/ports.rs"]
mod ports;

use device::{Device, heartbeat, ws};
use node::Node;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use server::driver::Limits;
use socket2::{Domain, Socket, Type};

fn lower_to(descriptors: u64) {
    let maximum = getrlimit(Resource::Nofile).maximum;
    setrlimit(Resource::Nofile, Rlimit { current: Some(descriptors), maximum }).unwrap();
}

#[test]
fn without_descriptors_nobody_new_is_accepted_and_everybody_else_is_served() {
    let node = Node::start(1, Limits::default());
    let mut device = Device::at_home(node.address, 7);
    // The sockets of the clients are made before the limit falls; connecting takes no further descriptor.
    let mut clients: Vec<_> =
        (0..40).map(|_| Socket::new(Domain::IPV4, Type::STREAM, None).unwrap()).collect();
    let open = std::fs::read_dir("/proc/self/fd").unwrap().count() as u64;
    lower_to(open + 4);
    for client in &clients {
        client.connect(&node.address.into()).unwrap();
    }
    node.until(|node| node.counters(0).accept_errors > 0);
    device.send(&ws(2, heartbeat(3).bytes()));
    assert_eq!(device.read_frame(), heartbeat(3));
    let accepted = node.counters(0).accepted;
    assert!(accepted < 41, "{accepted} accepted under the limit");
    // The kernel kept the others; they come in once there is space.
    clients.truncate(20);
    node.until(|node| node.counters(0).accepted > accepted);
    device.send(&ws(2, heartbeat(4).bytes()));
    assert_eq!(device.read_frame(), heartbeat(4));
    lower_to(open + 1000);
    node.until(|node| node.counters(0).accepted == 41);
    node.until(|node| node.counters(0).connections_now == 21);
}
