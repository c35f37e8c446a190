//! The server's own times: each sampled message counts once for its ack and once for each live delivery; what a page
//! brings does not count.

use protocol::body::message::SendText;
use protocol::{ChannelId, Kind};
use server::latency::is_sampled;

use crate::node::Node;
use crate::people::PASSWORD;
use crate::raw::{Carrier, Raw, Seen, token};

over_both! {
    sampled_messages_are_timed_and_pages_are_not
}

const SENDS: u64 = 300;

/// Reads so many messages.
fn take_messages(device: &mut Raw, count: u64) {
    let mut taken = 0;
    while taken < count {
        match device.next() {
            Seen::Frame(frame) => taken += u64::from(frame.header().is_stamped()),
            other => panic!("{other:?} after {taken} messages"),
        }
    }
}

fn counts(node: &Node) -> (u64, u64) {
    (node.metric("maru_ack_seconds_count", ""), node.metric("maru_delivery_seconds_count", ""))
}

async fn sampled_messages_are_timed_and_pages_are_not(carrier: Carrier) {
    // One shard: no connection is held for another one.
    let node = Node::over(carrier, 1, &["--frames-per-s", "1000000", "--frames-burst", "1000000"]);
    let ann = node.account().signup("ann", PASSWORD).await.unwrap();
    let bob = node.account().signup("bob", PASSWORD).await.unwrap();
    let (ann_token, bob_token) = (token(&node, ann, 71), token(&node, bob, 72));
    let mut from = Raw::live(&node, &ann_token);
    let (mut to, welcome) = Raw::open(&node).welcomed(&bob_token, 0, 0);
    let channel = ChannelId::direct(ann, bob).0;
    assert_eq!(counts(&node), (0, 0));
    let ids = 5000..5000 + SENDS;
    for id in ids.clone() {
        from.body(id, &SendText { channel, text: format!("number {id}") });
    }
    for id in ids.clone() {
        assert_eq!(from.answer(id).kind(), Kind::SEND_ACK);
    }
    take_messages(&mut to, SENDS);
    let sampled = ids.filter(|id| is_sampled(*id)).count() as u64;
    assert!(sampled > 0, "the numbers of this test");
    assert_eq!(counts(&node), (sampled, sampled));

    let (mut again, _) = Raw::open(&node).welcomed(&bob_token, welcome.generation, 0);
    take_messages(&mut again, SENDS);
    assert_eq!(counts(&node), (sampled, sampled), "who comes back tells nothing about the server's speed");
}
