//! Receipts and typing between real devices: who is told live, who asks later, and who shows nothing.

use client::account::{Audience, Privacy};
use protocol::body::marks::{
    GetReceipts, MarkDelivered, ReceiptItem, Receipts, TYPING_GOES_ON, TYPING_STOPPED, Typing,
};
use protocol::body::message::SendText;
use protocol::body::read;
use protocol::body::session::Done;
use protocol::body::sync::{MarkRead, SendAck};
use protocol::{ChannelId, Kind, UserId};

use crate::node::Node;
use crate::people::PASSWORD;
use crate::raw::{Carrier, Raw, Seen, token};

over_both! {
    positions_and_typing_reach_whoever_may_see_them
}

/// The next frame of this kind that nobody asked for.
fn unasked(device: &mut Raw, kind: Kind) -> protocol::Frame {
    loop {
        match device.next() {
            Seen::Frame(frame) if frame.kind() == kind && frame.header().id == 0 => return frame,
            Seen::Frame(_) => {}
            other => panic!("{other:?} where {kind:?} should be"),
        }
    }
}

/// Waits until the device is shown this of the user.
fn sees(device: &mut Raw, user: UserId, read_to: u64, delivered: u64) {
    loop {
        let items = read::<Receipts>(&unasked(device, Kind::RECEIPTS)).unwrap().items;
        if items.contains(&ReceiptItem { user: user.0, read: read_to, delivered }) {
            return;
        }
    }
}

fn asks(device: &mut Raw, id: u64, channel: ChannelId) -> Vec<(u64, u64, u64)> {
    device.body(id, &GetReceipts { channel: channel.0, after: 0, limit: 100 });
    let items = device.answer_as::<Receipts>(id).items;
    items.iter().map(|item| (item.user, item.read, item.delivered)).collect()
}

fn types(device: &mut Raw, id: u64, channel: ChannelId, state: u8) {
    device.body(id, &Typing { channel: channel.0, user: 0, expires_ms: 0, state });
}

fn marks(device: &mut Raw, id: u64, channel: ChannelId, seq: u64) {
    device.body(id, &MarkRead { channel: channel.0, seq });
    device.answer_as::<Done>(id);
}

async fn positions_and_typing_reach_whoever_may_see_them(carrier: Carrier) {
    let mut node = Node::over(carrier, 2, &[]);
    let account = node.account();
    let ann = account.signup("ann", PASSWORD).await.unwrap();
    let bob = account.signup("bob", PASSWORD).await.unwrap();
    let channel = ChannelId::direct(ann, bob);
    let mut anns = Raw::live(&node, &token(&node, ann, 1));
    let mut bobs = Raw::live(&node, &token(&node, bob, 2));
    let mut bobs_too = Raw::live(&node, &token(&node, bob, 3));
    for id in 20..23 {
        anns.body(id, &SendText { channel: channel.0, text: "hello".into() });
        anns.answer_as::<SendAck>(id);
    }
    bobs.body(30, &MarkDelivered { channel: channel.0, seq: 3 });
    sees(&mut anns, bob, 0, 3);
    sees(&mut bobs_too, bob, 0, 3);
    marks(&mut bobs, 31, channel, 2);
    sees(&mut anns, bob, 2, 3);
    sees(&mut bobs_too, bob, 2, 3);

    types(&mut anns, 40, channel, TYPING_GOES_ON);
    types(&mut anns, 41, channel, TYPING_STOPPED);
    for state in [TYPING_GOES_ON, TYPING_STOPPED] {
        let typing = read::<Typing>(&unasked(&mut bobs_too, Kind::TYPING)).unwrap();
        assert_eq!((typing.user, typing.state), (ann.0, state));
        assert_eq!(typing.expires_ms > 0, state == TYPING_GOES_ON);
    }

    // Bob shows nothing from now on, and sees nothing.
    let grant = account.login("bob", PASSWORD, None).await.unwrap();
    let hidden = Privacy { receipts: Some(Audience::Nobody), ..Privacy::default() };
    let all = account.set_privacy(&grant.token, hidden).await.unwrap();
    assert_eq!((all.receipts, all.message), (Some(Audience::Nobody), Some(Audience::Everyone)));
    marks(&mut bobs, 32, channel, 3);
    sees(&mut bobs_too, bob, 3, 3);
    marks(&mut anns, 33, channel, 3);
    let both = [(ann.0, 3, 3)];
    assert_eq!(asks(&mut anns, 50, channel), both);
    assert_eq!(asks(&mut bobs, 51, channel), [(bob.0, 3, 3)]);

    // What is read outlives a kill, and who was away asks.
    node.kill();
    node.up(1);
    let mut anns = Raw::live(&node, &token(&node, ann, 1));
    assert_eq!(asks(&mut anns, 60, channel), both);
    let shown = Privacy { receipts: Some(Audience::Everyone), ..Privacy::default() };
    node.account().set_privacy(&grant.token, shown).await.unwrap();
    let path = format!("/v1/channels/{channel}/read");
    let answer = node.ask("POST", &path, &grant.token, Some(r#"{"seq":3}"#));
    assert!(answer.starts_with("HTTP/1.0 204"), "{answer}");
    sees(&mut anns, bob, 3, 3);
    let answer = node.ask("GET", &format!("/v1/channels/{channel}/receipts"), &grant.token, None);
    assert!(answer.contains(&format!(r#""user":"{ann}""#)) && answer.contains(r#""read":3"#), "{answer}");
    node.stop();
    node.check();
}
