//! Ports for tests that say something of a port at which nobody listens: that a server which was down finds it again, or that
//! nobody answers there. One that the kernel chose is the next to be given away: to another test's listener, or as the near end of
//! a client's connection.

#![allow(unreachable_pub)]

use std::net::{TcpListener, UdpSocket};
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU32, Ordering};

/// Below the range that Linux chooses from by itself (`net.ipv4.ip_local_port_range`, 32768 unless somebody has set it).
const FIRST: u32 = 20_000;
const COUNT: u32 = 12_000;

/// Every process of tests begins elsewhere.
static NEXT: LazyLock<AtomicU32> = LazyLock::new(|| AtomicU32::new(std::process::id().wrapping_mul(97)));

/// A port of this host that nobody has, for TCP and UDP, and that no other call in this process gives.
pub fn free(host: &str) -> u16 {
    // A host of another network namespace cannot be tried here; nobody else is there.
    let is_taken = |error: std::io::Error| error.kind() == std::io::ErrorKind::AddrInUse;
    for _ in 0..COUNT {
        let port = (FIRST + NEXT.fetch_add(1, Ordering::Relaxed) % COUNT) as u16;
        let tcp = TcpListener::bind((host, port)).err().is_some_and(is_taken);
        let udp = UdpSocket::bind((host, port)).err().is_some_and(is_taken);
        if !tcp && !udp {
            return port;
        }
    }
    panic!("no port of {host} is free");
}

/// `host:port` of its own instead of `host:0`.
pub fn own(address: &str) -> String {
    match address.strip_suffix(":0") {
        Some(host) => format!("{host}:{}", free(host)),
        None => address.to_owned(),
    }
}
