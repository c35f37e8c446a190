//! What devices hear when the server ends their connection over QUIC: CONNECTION_CLOSE with a code of section 9, before
//! the process is gone, and also when they are slow to acknowledge.

use protocol::CloseCode;

use crate::node::Node;
use crate::people::PASSWORD;
use crate::raw::{Carrier, Raw, token};

const DEVICES: u64 = 16;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_drain_tells_every_quic_device() {
    let mut node = Node::over(Carrier::Quic, 2, &[]);
    let account = node.account();
    let mut devices = Vec::new();
    for (name, first) in [("ann", 1), ("bob", 1 + DEVICES)] {
        let user = account.signup(name, PASSWORD).await.unwrap();
        let ids = first..first + DEVICES;
        devices.extend(ids.map(|device| Raw::live(&node, &token(&node, user, device))));
    }
    // They say nothing, and acknowledge nothing until the process is gone: all that it had to say is in their sockets.
    assert_eq!(node.stop(), Some(0));
    for device in &mut devices {
        device.closes(CloseCode::GoingAway);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_drain_tells_those_who_listen_while_it_goes_on() {
    let mut node = Node::over(Carrier::Quic, 2, &[]);
    let user = node.account().signup("ann", PASSWORD).await.unwrap();
    let devices: Vec<_> = (1..=8).map(|device| Raw::live(&node, &token(&node, user, device))).collect();
    let listening: Vec<_> = devices
        .into_iter()
        .map(|mut device| std::thread::spawn(move || device.closes(CloseCode::GoingAway)))
        .collect();
    assert_eq!(node.stop(), Some(0));
    listening.into_iter().for_each(|device| device.join().unwrap());
}
